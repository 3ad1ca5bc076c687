"""The files of the nets to start from: of another stage, or of one whose scores are on record."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fcn import models, prototxts, runs
from fcn import weights as files
from fcn.doctor.case import Case
from fcn.doctor.stored import Outputs, layers_in, outputs_of_layers
from fcn.findings import REFUSE, Finding
from fcn.scoring import read_records


def check(case: Case) -> Iterator[Finding]:
    """Findings on the files that filled the net."""
    for name, file in case.start:
        found = list(check_stage(case, name, file))
        yield from found
        if not found and not name.startswith(f"{models.CLASSIFIERS}/"):
            yield from check_record(name, file)


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
    names = models.known_models()
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


# ---- its record


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
