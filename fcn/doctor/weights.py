"""The filled net: layers that cannot learn, parameters that nothing filled, NaN in the files."""

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from fcn import weights as files
from fcn.doctor.case import TRAIN, Case
from fcn.doctor.stored import layers_in
from fcn.findings import NOTE, REFUSE, WARN, Finding
from fcn.prototxts import NetParameter

WEIGHTED = ("Convolution", "Deconvolution", "InnerProduct", "Scale", "Embed")
SHOWN = 6  # of many layers, so many are named


def check(case: Case) -> Iterator[Finding]:
    """Findings on the parameters of the train net."""
    if case.net is None or TRAIN not in case.nets:
        return
    broken = not_finite(case)
    if broken:
        yield broken
        return  # all others would follow from it
    zero = {name for name, blobs in case.net.params.items() if not blobs[0].data.any()}
    biased = {
        name for name, blobs in case.net.params.items() if any(b.data.any() for b in blobs[1:])
    }
    yield from check_flow(case, zero, biased)
    yield from check_filled(case)


def not_finite(case: Case) -> Finding | None:
    """A finding if a parameter is NaN or infinite."""
    assert case.net is not None
    bad = {}
    for name, blobs in case.net.params.items():
        count = sum(int(np.count_nonzero(~np.isfinite(blob.data))) for blob in blobs)
        if count:
            bad[name] = count
    if not bad:
        return None
    shown = ", ".join(f"{name} ({count} values)" for name, count in list(bad.items())[:SHOWN])
    sources = ", ".join(str(file) for _, file in case.start) or "what filled the net"
    what = f"{len(bad)} layers start with NaN or infinite weights"
    way = "start from an earlier snapshot, or train the stage before this one again"
    return Finding("weights.nan", REFUSE, what, f"{shown}; from {sources}", way)


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
            if layer.type.endswith("Loss"):
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
        evidence = f"{len(others)} of {len(layers)} layers with weights; {blocked(cured, layers)}"
        yield Finding("weights.zero", REFUSE, what, evidence, way_to_fill(case))
    learned = [layer for layer in layers if rate(layer) > 0]
    if not learned:
        what = "no layer is learned: lr_mult is 0 everywhere"
        way = "give the score layers param { lr_mult: 1 }"
        yield Finding("weights.frozen", REFUSE, what, f"{len(layers)} layers", way)
    elif not fixed and not others:
        cut = [layer.name for layer in learned if not any(t in cured.reached for t in layer.top)]
        if cut:
            what = f"{listed(cut)} {is_or_are(cut)} not learned: no way leads from a loss to them"
            way = "connect them to the scores, or set lr_mult: 0"
            yield Finding("weights.cut_off", WARN, what, f"{len(cut)} layers", way)


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
    learned = [
        name
        for name in case.net.params
        if name in kinds and kinds[name].type != "Deconvolution" and rate(kinds[name]) > 0
    ]
    absent = [name for name in learned if name not in held]
    drawn = [name for name in absent if case.net.params[name][0].data.any()]
    if held and len(absent) > len(learned) / 2:
        what = f"{file} fills {len(learned) - len(absent)} of {len(learned)} learned layers"
        evidence = f"not in the file: {listed(absent)}; in the file: {listed(list(held))}"
        way = "do the layers' names in prototxt and file agree?"
        yield Finding("weights.unmatched", WARN, what, evidence, way)
    elif drawn:
        what = f"{listed(drawn)} {is_or_are(drawn)} not in the file and start from random or other values"
        way = "as it should be for new layers; else see their names"
        yield Finding("weights.random", NOTE, what, str(file), way)
