"""`fcn get MODEL`: brings published weights to where every command finds them.

The addresses are tried one after another, and a download that broke off is resumed. Where none
answers, copies that other projects hold in formats of their own are tried, if their checksums are
known: their numbers become a caffemodel of the net's own name. `--from FILE` takes a file of either
kind that is on disk.
"""

import argparse
import shutil
from pathlib import Path

import caffe
from fcn import models, places, prototxts, published, re_exports, stages, weights
from fcn.downloads import Checksum, DownloadError, check_sum, obtain

SHORT = {"vgg16": "ilsvrc-nets/vgg16", "alexnet": "ilsvrc-nets/alexnet"}
CONVERTED = {"ilsvrc-nets/vgg16": "", "ilsvrc-nets/alexnet": " --model alexnet"}


def run(args: argparse.Namespace) -> int:
    """Bring the weights of one net; returns the exit code."""
    net = SHORT.get(args.net) or (args.net if args.net in published.ADDRESSES else None)
    net = net or models.model_name(args.net)
    if not published.addresses(net):
        raise ValueError(f"{net} has no published weights: {weights.how_to_get(net)}")
    print(published.about(net), flush=True)
    path = from_file(net, args.file) if args.file else from_network(net, args.unchecked)
    print(f"{net}: {path}")
    convert = places.script("ilsvrc-nets/convert.py")
    after = f"fcn infer image.jpg --model {net}"
    print(f"next: {convert + CONVERTED[net] if net in CONVERTED else after}")
    return 0


def place_of(net: str) -> tuple[Path, Checksum | None]:
    """Where the published file of a net belongs, and its checksum, if one is known."""
    file = published.NAMES[net][0]
    known = published.SHA1.get(file)
    return models.own_folder(net) / file, Checksum("sha1", known) if known else None


def from_network(net: str, unchecked: bool = False) -> Path:
    """Download the published file, or else a copy; DownloadError lists all that was tried."""
    path, checksum = place_of(net)
    if path.is_file():
        print(f"{path} is there already")
    try:
        obtain(published.addresses(net), path, checksum, unchecked)
        return path
    except DownloadError as error:
        failures = [str(error)]
    for copy in published.RE_EXPORTS.get(net, ()):
        print(f"{failures[-1]}\ntrying a copy of its numbers, {copy.file}", flush=True)
        kept = path.with_name(copy.file)
        try:
            obtain([copy.url], kept, copy.checksum)
        except DownloadError as error:
            failures.append(str(error))
            continue
        converted = convert(net, kept)
        kept.unlink()
        return converted
    by_hand = f"if you have the file: fcn get {net} --from FILE; --sample works without it"
    raise DownloadError("\n".join([*failures, by_hand]))


def from_file(net: str, file: Path) -> Path:
    """Take a file on disk: the published one, or a copy that another project made."""
    if not file.is_file():
        raise FileNotFoundError(f"no file {file.absolute()}")
    if file.suffix in re_exports.ENDINGS:
        known = {copy.file: copy.checksum for copy in published.RE_EXPORTS.get(net, ())}
        check_sum(file, known.get(file.name))
        return convert(net, file)
    path, checksum = place_of(net)
    require_net(net, file)
    check_sum(file, checksum)
    if path.exists() and path.samefile(file):
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    shutil.copyfile(file, part)
    part.replace(path)
    return path


def convert(net: str, file: Path) -> Path:
    """Write the numbers of another library's file as a caffemodel of the net's own name."""
    caffe.init_log(1)  # warnings, not how the net is built
    target = prototxts.build(models.prototxt_of(net))
    re_exports.fill(target, file)
    path = models.own_folder(net) / f"{Path(net).name}.caffemodel"
    path.parent.mkdir(parents=True, exist_ok=True)
    target.save(str(path))
    return path


def require_net(net: str, file: Path) -> None:
    """ValueError unless a caffemodel is of that net: its layers are told by their names."""
    found = stages.stage_of(caffe.weight_shapes(str(file)))
    model = Path(net).name
    if not model.endswith(found) or not found:
        what = stages.TITLES.get(found, "of no net that is known here")
        raise ValueError(f"{file} is not {model}: by its layers it is {what}")
