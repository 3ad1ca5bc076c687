"""The nets to start from: the file of another stage, and a stage that starts at chance."""

import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import caffe
from fcn import models, places, prototxts, runs
from fcn import weights as files
from fcn.doctor.case import TEST, TRAIN, Case
from fcn.doctor.net import mapped
from fcn.doctor.stored import Outputs, layers_in, outputs_of_layers
from fcn.explain import next_size_that_fits
from fcn.findings import REFUSE, WARN, Finding
from fcn.scoring import read_records

PICTURES = 3  # looked at
LARGEST, SIDE = 256, 128  # of a larger picture, a part of about this side
AT_CHANCE = 0.98  # of ln(classes): as large a loss means that nothing was learned


def check(case: Case) -> Iterator[Finding]:
    """Findings on the files that filled the net."""
    for name, file in case.start:
        found = list(check_stage(case, name, file))
        yield from found
        if not found and not name.startswith(f"{models.CLASSIFIERS}/"):
            yield from check_record(name, file)
    if case.start and not case.from_classifier:
        yield from check_chance(case)


# ---- which net a file is of


def layers_of(net: prototxts.NetParameter) -> Outputs:
    """The layers with parameters that a prototxt states, with their outputs."""
    found = {}
    for layer in net.layer:
        if layer.type in ("Convolution", "InnerProduct"):
            inner = layer.type == "InnerProduct"
            param = layer.inner_product_param if inner else layer.convolution_param
            found[layer.name] = int(param.num_output)
        elif layer.type == "Deconvolution":
            found[layer.name] = int(layer.convolution_param.num_output)
    return found


def identify(file: Path, sample: bool = False) -> str | None:
    """The published model, or net of the embedded task, that a caffemodel is of; None if unknown."""
    return name_of(outputs_of_layers(file), sample)


def name_of(held: Outputs, sample: bool = False) -> str | None:
    """The model whose learned layers are those of a file."""
    names = sorted(path.parent.name for path in places.ROOT.glob("*-fcn*/net.py"))
    if not held:
        return None
    for form in (sample, not sample):
        for name in names:
            try:
                stated = layers_of(prototxts.read_net(models.prototxt_of(name, form)))
            except (OSError, ValueError):
                continue
            if (
                stated
                and {k: held[k] for k in stated if k in held} == stated
                and not (heads(held) - heads(stated))
            ):
                return name + (" --sample" if form else "")
    return None


def heads(layers: Mapping[str, Any]) -> set[str]:
    """The layers of a decoder, which tell the stages apart."""
    return {name for name in layers if name.startswith(("score", "upscore"))}


def check_stage(case: Case, name: str, file: Path) -> Iterator[Finding]:
    """A finding if a file lacks layers of the net that training starts from."""
    held = layers_in(case, file)
    try:
        due = layers_of(prototxts.read_net(models.prototxt_of(name, case.sample)))
    except (OSError, ValueError):
        due = {}  # a user's own net, by a name that the project does not know
    if not held or not due or not heads(due):
        return
    absent = sorted(heads(due) - heads(held))
    if not absent:
        return
    is_of = name_of(held, case.sample)
    kind = (
        f"of {is_of}"
        if is_of
        else "of a net without scores"
        if not heads(held)
        else "of another net"
    )
    what = f"{file.name} is {kind}, but training starts from {name}"
    evidence = (
        f"{file} lacks {', '.join(absent)}; it has {', '.join(sorted(heads(held))) or 'no score'}"
    )
    way = f"--weights with a file of {name}: {first_line(name, case.sample)}"
    yield Finding("start.other_stage", REFUSE, what, evidence, way)


def first_line(name: str, sample: bool) -> str:
    """The first way to get a net's weights."""
    try:
        return files.how_to_get(name, sample).splitlines()[0]
    except OSError:
        return f"train it: fcn train {name}"


# ---- at chance


def check_record(name: str, file: Path) -> Iterator[Finding]:
    """A finding if the starting net's own scores say that it gives every pixel one class."""
    record = file.parent / "scores.jsonl"
    number = runs.iteration(file)
    if number < 0 or not record.is_file():
        return
    try:
        lines = [line for line in read_records(record) if line.get("iteration") == number]
    except (ValueError, OSError):
        return
    for line in lines[-1:]:
        known = [value for value in line.get("accuracy", []) if value is not None]
        if len(known) > 1 and known.count(0) == len(known) - 1 and max(known) == 1:
            what = f"{name} is at chance: it gives every pixel the same class"
            evidence = f"{record}, iteration {number}: mean IU {line.get('mean_iu')}"
            way = f"train {name} longer before this stage"
            yield Finding("start.chance", REFUSE, what, evidence, way)


def check_chance(case: Case) -> Iterator[Finding]:
    """Findings if the filled net's scores of the first pictures are uniform, or all one class."""
    for score, label in case.scored.items():
        results = list(first_scores(case, score, label))
        if not results:
            continue
        classes = len(results[0][0])
        spread = max(float(np.ptp(scores, axis=0).max()) for scores, _ in results)
        loss = float(np.mean([loss_of(scores, truth) for scores, truth in results]))
        chance = float(np.log(classes))
        evidence = (
            f"{score!r}: loss {loss:.5f} a pixel on {len(results)} pictures; "
            f"ln {classes} = {chance:.5f}"
        )
        names = ", ".join(name for name, _ in case.start)
        way = f"train {names} until it scores above chance, or take another file with --weights"
        given = {int(k) for scores, _ in results for k in np.unique(scores.argmax(0))}
        true = {int(k) for _, truth in results for k in np.unique(truth[truth < classes])}
        if spread < 1e-6:
            what = "this stage starts at chance: the scores of its starting net are uniform"
            yield Finding("start.chance", REFUSE, what, evidence, way)
        elif len(given) == 1 and len(true) > 1:
            at_chance = loss > AT_CHANCE * chance
            what = f"the starting net gives every pixel class {given.pop()}"
            level = REFUSE if at_chance else WARN
            yield Finding("start.chance", level, what, evidence, way)


def first_scores(case: Case, score: str, label: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(C x H x W scores, H x W labels) of some scored pictures, by the train net's weights.

    They are computed in a net of their own, so that the solver's nets see the pictures they would.
    """
    source = next((s for s in case.sources_of(TEST) if label in s.tops and s.ids), None)
    if case.net is None or source is None or source.reader is None or uniform_on_purpose(case):
        return
    end = time.monotonic() + case.seconds / 5
    for id in source.ids[:: max(1, len(source.ids) // PICTURES)][:PICTURES]:
        try:
            arrays = dict(zip(source.layer.top, source.reader.load_all(id)))
            height, width = (part_of(case, size) for size in arrays[label].shape[-2:])
            net = deployed(case, height, width)
            for blob in net.inputs:
                net.blobs[blob].data[0] = arrays[blob][:, :height, :width]
            net.forward()
        except (OSError, ValueError, KeyError):
            continue  # a file that is told elsewhere, or a size that does not fit
        yield np.array(net.blobs[score].data[0]), arrays[label][0, :height, :width]
        if time.monotonic() > end:
            break


def part_of(case: Case, size: int) -> int:
    """A picture's length, or the part of it that is computed, which has to fit the net."""
    if size <= LARGEST:
        return size
    layers, _ = mapped(case.nets[TEST])
    return min(size, next_size_that_fits(layers, SIDE))


def deployed(case: Case, height: int, width: int) -> caffe.Net:
    """The test net without data and losses, which shares the train net's weights."""
    form = prototxts.deploy(case.nets[TEST], height, width)
    for layer in form.layer:  # fillers would draw numbers that the training draws otherwise
        for kind in ("convolution_param", "inner_product_param"):
            if layer.HasField(kind):
                getattr(layer, kind).ClearField("weight_filler")
                getattr(layer, kind).ClearField("bias_filler")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "deploy.prototxt"
        path.write_text(prototxts.text_of(form))
        net = caffe.Net(str(path), caffe.TEST)
    assert case.net is not None
    net.share_with(case.net)
    return net


def uniform_on_purpose(case: Case) -> bool:
    """Whether the start is a whole net whose scores are still zero, as after a conversion.

    Its stage is the first one, which learns the scores; a later stage has layers that the file lacks.
    """
    held = [name for _, file in case.start for name in layers_in(case, file)]
    stated = layers_of(case.nets[TRAIN])
    return all(name in held for name in stated) or not heads(dict.fromkeys(held))


def loss_of(scores: np.ndarray, truth: np.ndarray) -> float:
    """The mean softmax loss of the pixels that have a class."""
    scores = scores.astype(np.float64) - scores.max(axis=0)
    log_sum = np.log(np.exp(scores).sum(axis=0))
    valid = truth < len(scores)
    rows, columns = np.nonzero(valid)
    if not len(rows):
        return 0.0
    return float((log_sum[valid] - scores[truth[valid], rows, columns]).mean())
