"""What differs between two files of weights, layer by layer; whether weights fit a net."""

from __future__ import annotations

import numpy as np

from ..files import hdf5
from . import kinds, weights
from .report import Report, listed, size

_WEIGHTS = ("caffemodel", "hdf5", "foreign")


def compare(first: str, second: str) -> Report:
    """Two files of weights, or a net's prototxt and weights. ValueError for other files."""
    found = [kinds.kind_of(path) for path in (first, second)]
    if all(kind in _WEIGHTS for kind in found):
        return of_weights(first, second)
    if sorted(found)[1] == "net" and any(kind in _WEIGHTS for kind in found):
        net, file = (first, second) if found[0] == "net" else (second, first)
        return of_fit(net, file)
    raise ValueError(
        f"two files of weights are compared, or a net and weights; {first} is {found[0]}, {second} is "
        f"{found[1]} by its content"
    )


def _arrays(path: str) -> dict[str, list[np.ndarray]]:
    if kinds.kind_of(path) == "foreign":
        from ..importing import read

        return {s.name: list(s.arrays.values()) for s in read.read(path).layers}
    return {layer.name: list(layer.arrays()) for layer in weights.layers_of(path) if layer.blobs}


def of_weights(first: str, second: str) -> Report:
    """A row for each blob that differs, and the layers that only one file has."""
    mine, theirs = _arrays(first), _arrays(second)
    report = Report(f"compared with {second}", head=("layer", "blob", "", "largest", "relative"))
    equal = 0
    for name in [name for name in mine if name in theirs]:
        rows = [_row(name, k, a, b) for k, (a, b) in enumerate(zip(mine[name], theirs[name]))]
        rows = [row for row in rows if row]
        if len(mine[name]) != len(theirs[name]):
            rows.append((name, "", f"{len(mine[name])} blobs, there {len(theirs[name])}", "", ""))
        report.rows += rows
        equal += not rows
    report.facts["equal"] = f"{equal} of {len(set(mine) & set(theirs))} layers with weights in both"
    report.facts["only here"] = listed(name for name in mine if name not in theirs)
    report.facts["only there"] = listed(name for name in theirs if name not in mine)
    if not report.rows and mine.keys() == theirs.keys():
        report.what += ": the same weights"
    return report


def _row(name: str, k: int, mine: np.ndarray, theirs: np.ndarray) -> tuple[str, ...]:
    """How a blob differs; empty where it does not."""
    if mine.shape != theirs.shape:
        if mine.size == theirs.size and np.array_equal(mine.ravel(), theirs.ravel()):
            what = f"{size(mine.shape)}, there {size(theirs.shape)}, the same values"
        else:
            what = f"{size(mine.shape)}, there {size(theirs.shape)}"
        return name, str(k), what, "", ""
    if np.array_equal(mine, theirs, equal_nan=True):
        return ()
    gap = np.abs(mine.astype(np.float64) - theirs)
    norm = float(np.linalg.norm(mine.astype(np.float64)))
    relative = f"{float(np.linalg.norm(gap)) / norm:.2g}" if norm else "from 0"
    share = np.count_nonzero(gap) / gap.size
    return name, str(k), f"{100 * share:.3g}% of {size(mine.shape)}", f"{gap.max():.2g}", relative


def of_fit(net_path: str, path: str) -> Report:
    """Whether weights fit a net: what would be copied, and what is missing."""
    from .. import importing
    from ..exporting import deploy

    net, _ = deploy.of_file(net_path)
    done = importing.import_weights(net, path)
    report = Report(f"fits the net in {net_path}" if done.copied else f"fits nothing in {net_path}")
    report.facts |= {
        "copied": f"{len(done.copied)}: {listed(done.copied)}" if done.copied else "",
        "of another shape": listed(f"{n}[{k}]" for n, k, *_ in done.coerced),
        "only in the file": listed(done.ignored),
    }
    report.missing += [f"weights of {name}" for name in done.missing]
    own = "--weights" if hdf5.is_hdf5(path) or importing.is_caffes(path) else "import them first:"
    report.next.append(f"caffe export {net_path} OUT.onnx {own} {path}")
    return report
