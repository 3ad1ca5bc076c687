"""Nets for other libraries: `caffe.export(net, "net.onnx")`, `caffe.export(net, "net.py")`.

Every layer type has a writer in the table of each target, or its reason in `reasons.LEFT_OUT`. What
was written is run, and held against the net, before it takes its name.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import pathlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..glog import logger

if TYPE_CHECKING:
    import numpy as np

    from ..net import Net

# Ending of the file -> the module of this package that writes it
TARGETS = {".onnx": "onnx.model", ".py": "pytorch.model"}
WEIGHTS = (".pth", ".safetensors")
_MISSING = {
    "onnx": "ONNX needs the packages onnx and onnxruntime: pip install fcn-caffe[onnx]",
    "onnxruntime": "ONNX needs the packages onnx and onnxruntime: pip install fcn-caffe[onnx]",
    "safetensors": "this file of weights needs the package safetensors: pip install safetensors",
}


class Report(NamedTuple):
    """What was exported, and how it agrees with the net."""

    files: list[pathlib.Path]
    library: str  # that ran it
    inputs: dict[str, str]  # blob -> its shape in words, free sizes as ?
    outputs: dict[str, str]
    cuts: list[Any]  # deploy.Cut: layers that were left out
    trials: list[Any]  # check.Trial: the comparisons
    gradients: str  # what the comparison in training found; "" for ONNX

    def __str__(self) -> str:
        """A few lines."""
        lines = [f"wrote {' and '.join(map(str, self.files))}"]
        for what, blobs in (("inputs", self.inputs), ("outputs", self.outputs)):
            lines.append(f"  {what}: " + ", ".join(f"{n} {shape}" for n, shape in blobs.items()))
        lines += [f"  left out: {cut.layer} ({cut.type}): {cut.why}" for cut in self.cuts]
        lines += [f"  {self.library} on {trial}" for trial in self.trials]
        lines += [f"  gradients in training: {self.gradients}"] * bool(self.gradients)
        return "\n".join(lines)


def export(
    net: Net,
    path: str | os.PathLike[str],
    *,
    inputs: Iterable[str] = (),
    outputs: Iterable[str] = (),
    weights: str | os.PathLike[str] | None = None,
    samples: Mapping[str, np.ndarray] | None = None,
    tolerance: float = 1e-5,
    gradients: bool = True,
) -> Report:
    """Write a net as ONNX (path.onnx) or as a module of PyTorch (path.py), checked against the net.

    `inputs` and `outputs` name blobs between which the exported part lies; else data layers become
    inputs, and what losses read outputs. `weights` is the file for a module's weights, .pth (the
    default: path with that ending) or .safetensors. `samples` are inputs to compare on, besides random
    ones of three sizes. `gradients` compares those of a module in training, too.

    Raises ValueError where a layer cannot be exported, or where the results differ by more than
    `tolerance` (norm of the difference over the norm), naming the layer; nothing is written then.
    """
    given, path = pathlib.Path(path), os.path.abspath(os.fspath(path))
    stem, ending = os.path.splitext(path)
    if ending not in TARGETS:
        raise ValueError(
            f"{path}: the name must end in {' or '.join(TARGETS)}, which says what to write"
        )
    beside = os.path.abspath(os.fspath(weights)) if weights else f"{stem}.pth"
    if os.path.splitext(beside)[1] not in WEIGHTS:
        raise ValueError(f"{beside}: a file of weights ends in {' or '.join(WEIGHTS)}")
    if os.path.dirname(beside) != os.path.dirname(path):
        raise ValueError(f"{beside}: the weights lie beside the module, in {os.path.dirname(path)}")
    with _explaining_imports(), _quiet(), _written_whole(os.path.dirname(path)) as folder:
        names = [os.path.join(folder, os.path.basename(name)) for name in (path, beside)]
        if ending == ".onnx":
            names.pop()
        done = _export(
            net, ending, names, list(inputs), list(outputs), samples, tolerance, gradients
        )
    return done._replace(files=[given.with_name(os.path.basename(name)) for name in done.files])


def _export(
    net: Net,
    ending: str,
    names: Sequence[str],
    inputs: Sequence[str],
    outputs: Sequence[str],
    samples: Mapping[str, np.ndarray] | None,
    tolerance: float,
    gradients: bool,
) -> Report:
    """Write the files `names`, and compare."""
    import numpy as np

    from . import check, deploy, sizes

    target = importlib.import_module(f".{TARGETS[ending]}", __name__)
    deployed, part = deploy.of_net(net, inputs, outputs)
    wanted = part.outputs
    exported, found = _written(target, deployed, wanted)
    files = exported.save(*names)
    runner = exported.runner(*names)
    rng = np.random.default_rng(0)
    trials = [sizes.values(deployed, shapes, rng) for shapes in found.trials]
    if samples:
        trials.append({name: np.asarray(samples[name], np.float32) for name in deployed.inputs})
    compared = check.agree(deployed, wanted, trials, runner, tolerance)
    learned = ""
    if ending == ".py" and gradients:
        from . import gradients as in_training

        whole = sizes.values(deployed, {n: found.base[n] for n in deployed.inputs}, rng)
        learned = in_training.agree(deployed, part.param, runner, [trials[1], whole])
    shapes = [{name: found.words(name) for name in blobs} for blobs in (deployed.inputs, wanted)]
    return Report(files, runner.library, shapes[0], shapes[1], part.cuts, compared, learned)


def _written(target: Any, net: Net, outputs: Sequence[str]) -> tuple[Any, Any]:
    """The net in the target's words, with as many sizes free as its writers allow."""
    from . import sizes

    for fixed in ((), (2, 3), range(8)):
        found = sizes.find(net, fixed)
        with contextlib.suppress(sizes.FixedSize):
            return target.Exported(net, outputs, found), found
    raise AssertionError("a writer asks for a size that is not free")


@contextlib.contextmanager
def _explaining_imports() -> Iterator[None]:
    """Say what to install where a library is missing."""
    try:
        yield
    except ImportError as error:
        if (name := (error.name or "").partition(".")[0]) in _MISSING:
            raise ImportError(_MISSING[name]) from None
        raise


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Log warnings only: the nets that are built to compare with are nobody's business."""
    before = logger.level
    logger.setLevel(max(before, logging.WARNING))
    try:
        yield
    finally:
        logger.setLevel(before)


@contextlib.contextmanager
def _written_whole(folder: str) -> Iterator[str]:
    """A temporary folder, whose files move to `folder` when the block ends without an error."""
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"there is no folder {folder}")
    with tempfile.TemporaryDirectory(prefix=".export-", dir=folder) as temporary:
        yield temporary
        for name in os.listdir(temporary):
            if os.path.isfile(os.path.join(temporary, name)):
                os.replace(os.path.join(temporary, name), os.path.join(folder, name))
