"""The filled net: layers that cannot learn, parameters that nothing filled, NaN in the files."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np

import caffe
from fcn import weights as files
from fcn.doctor.case import TRAIN, Case
from fcn.doctor.stored import layers_in
from fcn.findings import NOTE, REFUSE, WARN, Finding
from fcn.prototxts import NetParameter, is_loss
from fcn.wording import counted

WEIGHTED = ("Convolution", "Deconvolution", "InnerProduct", "Scale", "Embed")
MULTIPLYING = WEIGHTED[:3]
FILLED = ("Convolution", "InnerProduct")  # by starting files; others fill themselves
TINY = 1e-8  # as good as zero: published fillers and trained layers are above 1e-4
# Layers through which a zero stays one that is added or scored: then it is a fresh start
LINEAR = (*WEIGHTED, "Bias", "BatchNorm", "Crop", "Dropout", "Split", "Power")
SHOWN = 6  # of many layers, so many are named

# {layer: (largest magnitude of its weights, of its other parameters)}
Magnitudes: TypeAlias = Mapping[str, tuple[float, float]]


def check(case: Case) -> Iterator[Finding]:
    """Findings on the parameters of the train net."""
    if case.net is None or TRAIN not in case.nets:
        return
    largest = magnitudes(case.net)
    broken = not_finite(case, largest)
    if broken:
        yield broken
        return  # all others would follow from it
    kinds = {layer.name: layer.type for layer in case.nets[TRAIN].layer}
    weighted = [name for name in largest if kinds.get(name) in WEIGHTED]
    zero = {name for name in weighted if largest[name][0] < TINY}
    biased = {name for name, (_, bias) in largest.items() if bias >= TINY}
    yield from check_flow(case, zero, biased)
    yield from check_lost(case, zero, largest)
    yield from check_filled(case)


def magnitudes(net: caffe.Net) -> Magnitudes:
    """The largest magnitudes of each layer's parameters; nan or inf where one is not finite."""
    engine = getattr(caffe, "diagnosis", None)
    if engine is None:  # BVLC's pycaffe
        each = {n: [float(np.abs(b.data).max()) for b in blobs] for n, blobs in net.params.items()}
    else:
        values = engine.weight_magnitudes(net, by_layer=False)
        names = list(net.layer_dict)
        each = {}
        for (i, _), value in sorted(values.items()):
            each.setdefault(names[i], []).append(value)
    return {name: (found[0], float(np.max([0.0, *found[1:]]))) for name, found in each.items()}


def not_finite(case: Case, largest: Magnitudes) -> Finding | None:
    """A finding if a parameter is NaN or infinite."""
    assert case.net is not None
    names = [name for name, values in largest.items() if not np.isfinite(values).all()]
    if not names:
        return None
    counts = [
        sum(int(np.count_nonzero(~np.isfinite(blob.data))) for blob in case.net.params[name])
        for name in names[:SHOWN]
    ]
    shown = ", ".join(f"{name} ({counted(n, 'value')})" for name, n in zip(names, counts))
    begin = "starts" if len(names) == 1 else "start"
    what = f"{counted(len(names), 'layer')} {begin} with NaN or infinite weights"
    way = "start from an earlier snapshot, or train the stage before this one again"
    return Finding("weights.nan", REFUSE, what, f"{shown}; from {origin(case)}", way)


def origin(case: Case) -> str:
    """The files that filled the net."""
    return ", ".join(str(file) for _, file in case.start) or "what filled the net"


# ---- what can learn


class Flow:
    """Which layers of a net get values from below and a gradient from above, given those that are zero."""

    def __init__(self, net: NetParameter, zero: Collection[str], biased: Collection[str] = ()):
        """`zero` names the layers whose weights are zero, `biased` those whose bias is not."""
        self.layers = list(net.layer)
        self.zero, self.biased = set(zero), set(biased)
        while healed := {layer.name for layer in self.layers if self.heals(layer)}:
            self.zero -= healed

    def heals(self, layer: Any) -> bool:
        """Whether a zero layer gets a gradient for its weights."""
        return layer.name in self.zero and rate(layer) > 0 and self.learns(layer)

    def learns(self, layer: Any) -> bool:
        """Whether values come from below and a gradient from above."""
        return self.alive[layer.bottom[0]] and any(top in self.reached for top in layer.top)

    @property
    def zero(self) -> set[str]:
        """The layers that are zero."""
        return self._zero

    @zero.setter
    def zero(self, names: set[str]) -> None:
        self._zero = names
        self.spread()

    def spread(self) -> None:
        """Follow values up and gradients down."""
        self.alive: dict[str, bool] = {}
        ins = []  # per layer, whether its input is alive: in-place layers overwrite
        for layer in self.layers:
            below = [self.alive.get(name, True) for name in layer.bottom]
            ins.append(below)
            out = not below or below[0] if layer.type == "Crop" else not below or any(below)
            if layer.name in self._zero:
                out = layer.name in getattr(self, "biased", ())
            self.alive.update(dict.fromkeys(layer.top, out))
        self.reached: set[str] = set()
        for layer, below in zip(reversed(self.layers), reversed(ins)):
            if is_loss(layer):
                self.reached.update(layer.bottom[:1])
            elif any(top in self.reached for top in layer.top) and layer.name not in self._zero:
                bottoms = layer.bottom[:1] if layer.type == "Crop" else layer.bottom
                passed = [b for b, live in zip(bottoms, below) if live or layer.type != "ReLU"]
                self.reached.update(passed)


def rate(layer: Any) -> float:
    """The lr_mult of a layer's weights."""
    return float(layer.param[0].lr_mult) if layer.param else 1.0


def check_flow(case: Case, zero: Collection[str], biased: Collection[str]) -> Iterator[Finding]:
    """Findings on layers that stay as they are however long the net is trained."""
    flow = Flow(case.nets[TRAIN], zero, biased)
    layers = [layer for layer in case.nets[TRAIN].layer if layer.type in WEIGHTED]
    stuck = [layer for layer in layers if layer.name in flow.zero]
    fixed = [layer.name for layer in stuck if layer.type == "Deconvolution" and not rate(layer)]
    if fixed:
        what = f"{listed(fixed)} {is_or_are(fixed)} zero and not learned (lr_mult 0)"
        evidence = "the scores stay zero, the loss ln(classes), and nothing below gets a gradient"
        way = "fcn train fills it; else weight_filler { type: 'bilinear' } with group, or surgery.interp"
        yield Finding("weights.upscore", REFUSE, what, evidence, way)
    others = [layer.name for layer in stuck if layer.name not in fixed]
    # zero only because a fixed layer above is: the same fault
    cured = Flow(case.nets[TRAIN], set(zero) - set(fixed), biased)
    others = [name for name in others if name in cured.zero]
    if others:
        what = f"{listed(others)} {is_or_are(others)} zero and will stay so: no gradient passes"
        evidence = f"{len(others)} of {counted(len(layers), 'layer')} with weights; {blocked(cured, layers)}"
        yield Finding("weights.zero", REFUSE, what, evidence, way_to_fill(case))
    learned = [layer for layer in layers if rate(layer) > 0]
    if not learned:
        what = "no layer is learned: lr_mult is 0 everywhere"
        way = "give the score layers param { lr_mult: 1 }"
        yield Finding("weights.frozen", REFUSE, what, counted(len(layers), "layer"), way)
    elif not fixed and not others:
        cut = [layer.name for layer in learned if not any(t in cured.reached for t in layer.top)]
        if cut:
            what = f"{listed(cut)} {is_or_are(cut)} not learned: no way leads from a loss to them"
            way = "connect them to the scores, or set lr_mult: 0"
            yield Finding("weights.cut_off", WARN, what, counted(len(cut), "layer"), way)


def check_lost(case: Case, zero: Collection[str], largest: Magnitudes) -> Iterator[Finding]:
    """A finding on layers below a nonlinearity that are zero, and would learn from nothing.

    A layer of scores starts from zero, and so does one that is added to another.
    """
    if case.refused("weights."):
        return  # told, with all that it blocks
    net = case.nets[TRAIN]
    lost = [
        layer.name
        for layer in net.layer
        if layer.name in zero and layer.type in MULTIPLYING and is_of_body(net, layer)
    ]
    if not lost:
        return
    whole = "zero" if not any(largest[name][0] for name in lost) else "as good as zero"
    what = f"the weights of {listed(lost)} are {whole}: what they had learned is lost"
    values = ", ".join(f"{name} {largest[name][0]:.2g}" for name in lost[:SHOWN])
    biased = any(largest[name][1] >= TINY for name in lost)
    kept = "; a bias is left, which is the same at every place" if biased else ""
    evidence = f"largest weight: {values}{kept}; from {origin(case)}"
    yield Finding("weights.zero", REFUSE, what, evidence, way_to_fill(case))


def is_of_body(net: NetParameter, layer: Any) -> bool:
    """Whether a nonlinearity reads what a layer gives, before it is added to anything or scored."""
    blobs = set(layer.top)
    below = True
    for other in net.layer:
        if below:
            below = other.name != layer.name
        elif blobs.intersection(other.bottom):
            if other.type not in LINEAR:
                ends = is_loss(other) or other.type.endswith(("Accuracy", "Eltwise", "Silence"))
                return not ends
            blobs.update(other.top)
    return False


def is_or_are(names: Collection[str]) -> str:
    """The verb of a list of names."""
    return "is" if len(names) == 1 else "are"


def listed(names: Collection[str]) -> str:
    """Some names for people."""
    shown = ", ".join(list(names)[:SHOWN])
    return f"{shown} and {len(names) - SHOWN} more" if len(names) > SHOWN else shown


def blocked(flow: Flow, layers: Collection[Any]) -> str:
    """Which other layers get no gradient."""
    none = [layer.name for layer in layers if rate(layer) > 0 and layer.name not in flow.zero]
    none = [name for name in none if not flow.learns(next(x for x in layers if x.name == name))]
    return f"no gradient reaches {listed(none)} either" if none else "all others learn"


def way_to_fill(case: Case) -> str:
    """The command that makes the weights, or what to look at."""
    names = [name for name, _ in case.start] or list(case.wanted)
    try:
        how = "; ".join(files.how_to_get(name, case.sample) for name in names)
    except OSError:
        how = ""
    return (
        f"take a whole file ({how.splitlines()[0]})" if how else "give these layers a weight_filler"
    )


# ---- what the files filled


def check_filled(case: Case) -> Iterator[Finding]:
    """Findings on parameters that no starting file holds."""
    assert case.net is not None
    if len(case.start) != 1:  # several files fill layers of other names
        return
    file = case.start[0][1]
    held = layers_in(case, file)
    kinds = {layer.name: layer for layer in case.nets[TRAIN].layer}
    filled = [name for name in case.net.params if name in kinds and kinds[name].type in FILLED]
    learned = [name for name in filled if rate(kinds[name]) > 0]
    absent = [name for name in learned if name not in held]
    drawn = [name for name in absent if case.net.params[name][0].data.any()]
    if held and len(absent) > len(filled) / 2:
        what = (
            f"{file} fills {len(learned) - len(absent)} of {counted(len(learned), 'learned layer')}"
        )
        evidence = f"not in the file: {listed(absent)}; in the file: {listed(list(held))}"
        way = "do the layers' names in prototxt and file agree?"
        yield Finding("weights.unmatched", WARN, what, evidence, way)
    elif drawn:
        what = f"{listed(drawn)} {is_or_are(drawn)} not in the file and start from random or other values"
        way = "as it should be for new layers; else see their names"
        yield Finding("weights.random", NOTE, what, str(file), way)
