"""`caffe export`: a net as ONNX or as a module of PyTorch, held against the net."""

from __future__ import annotations

from collections.abc import Sequence

from ..glog import warning
from .flags import ArgumentParser
from .shapes import add_shapes, shapes


def export(argv: Sequence[str]) -> int:
    """Write a net as ONNX (OUT.onnx) or as a module of PyTorch (OUT.py, and its weights beside it).

    The file is run on random inputs of three sizes, and kept only if it agrees with the net.
    """
    parser = ArgumentParser("caffe export", description=export.__doc__)
    parser.add_argument("net", help="the net's prototxt, of any age; its phase TEST is exported")
    parser.add_argument("out", help="file to write, OUT.onnx or OUT.py")
    parser.add_argument("--weights", help="the net's caffemodel (default: what its fillers give)")
    add_shapes(parser)
    for side in ("inputs", "outputs"):
        parser.add_argument(
            f"--{side}", nargs="+", default=[], metavar="BLOB", help=f"other {side} than the net's"
        )
    parser.add_argument("--weights-out", help="file for a module's weights, .pth or .safetensors")
    parser.add_argument("--tolerance", type=float, default=1e-5, help="allowed difference (1e-5)")
    parser.add_argument("--no-gradients", action="store_true", help="do not compare a training")
    args = parser.parse_args(argv)
    # not at the top: its help needs neither
    from .. import exporting
    from ..exporting import deploy
    from ..glog import init_log

    init_log(1)  # warnings, not how the nets are built
    net, cuts = deploy.of_file(
        args.net, args.weights, shapes(args.shape), args.inputs, args.outputs
    )
    if not args.weights and net.params:
        warning("export:0", f"no --weights: {args.out} gets what the fillers of {args.net} give")
    done = exporting.export(
        net,
        args.out,
        weights=args.weights_out,
        tolerance=args.tolerance,
        gradients=not args.no_gradients,
    )
    print(done._replace(cuts=[*cuts, *done.cuts]))
    return 0
