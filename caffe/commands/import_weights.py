"""`caffe import_weights`: another library's weights in a caffemodel."""

from __future__ import annotations

from collections.abc import Sequence

from .flags import ArgumentParser
from .shapes import add_shapes, shapes


def import_weights(argv: Sequence[str]) -> int:
    """Put weights of PyTorch, NumPy, Keras or safetensors into a net's layers, and save a caffemodel."""
    parser = ArgumentParser("caffe import_weights", description=import_weights.__doc__)
    parser.add_argument("net", help="the net's prototxt")
    parser.add_argument("file", help="a state_dict (.pth), .npz, .safetensors or .h5 file")
    parser.add_argument("out", help="caffemodel to write; Caffe's HDF5 if it ends in .h5")
    parser.add_argument(
        "--by",
        choices=("name", "order"),
        help="match layers by name, or by order and shape (default: by name if half of them have one)",
    )
    add_shapes(parser)
    args = parser.parse_args(argv)
    # not at the top: its help needs neither
    from .. import importing
    from ..exporting import deploy
    from ..glog import init_log

    init_log(1)
    net, _ = deploy.of_file(args.net, shapes=shapes(args.shape))
    if importing.is_caffes(args.file):
        report = importing.import_weights(net, args.file)
    else:
        content, pairs = importing.plan(net, args.file, args.by, {})
        report = importing.fill(net, args.file, content, pairs)
        for stored, target in pairs:
            if stored.name != target.name:
                print(f"{stored.name} -> {target.name}")
    print(report)
    save = net.save_hdf5 if args.out.endswith(".h5") else net.save
    save(args.out)
    print(f"wrote {args.out}")
    return 0
