"""FCN-8s forward beside PyTorch's forms: at one size, over a stream of sizes, and by stages.

A picture lies in the host's memory, its scores in the GPU's: upload and arithmetic are timed.
"""

from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import torch

import caffe

from .. import contest, fcn8s, peer_torch, peers
from ..contest import OURS, Contestant
from .part import Report, Scale, device, synchronize

WARM = 5  # pictures of a size before those that count: captures, cuDNN's and the compiler's choices
PICTURES = 4  # that come by turns
PRECISIONS = ("float32", "tf32", "bf16")
GRAPHS, COMPILED = "ours, CUDA graphs", "PyTorch compiled"
EACH = 5  # pictures of each size in the stream
STAGES = {
    "to pool3": "pool3",
    "to pool4": "pool4",
    "to the end": None,
}  # as the talk's slides split


def run(report: Report, scale: Scale) -> None:
    """One size, the stages, the stream; then the same of compiled models, which take long to build."""
    race = Race(report, scale)
    for compiled in (False, True):
        for precision in PRECISIONS:
            race.one_size(precision, compiled)
        if not compiled:
            report.attempt("stages", stages, report, scale, race.net)
        for precision in PRECISIONS:
            race.stream(precision, compiled)


# ---- contestants


class Race:
    """The contestants and what was measured of each, a table a precision."""

    def __init__(self, report: Report, scale: Scale):
        self.report, self.scale = report, scale
        self.net = fcn8s.net(*scale.size, scale.narrow)
        model = peer_torch.FCN8s(narrow=scale.narrow)
        model.load(self.net.params)
        self.model = model.to(device(scale)).eval()
        self.rows: dict[str, list] = {}
        self.pictures = [x for x, _ in fcn8s.pictures(*scale.size, PICTURES)]
        shrink = 10 if scale.rehearsal else 1
        each = 1 if scale.rehearsal else EACH
        self.many = [x[..., ::shrink, ::shrink].copy() for x in fcn8s.stream(each)]
        peers.switch("PyTorch eager", "float32")
        with torch.inference_mode():
            x = torch.from_numpy(self.pictures[0]).to(device(scale))
            self.right = self.model(x).cpu().numpy()

    def forms(self, precision: str, dynamic: bool) -> dict[str, Callable]:
        """{name: a function that builds this contestant}: one at a time, for each takes memory."""
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        plain, last = torch.contiguous_format, torch.channels_last
        how = {"dynamic": True} if dynamic else self.scale.compile
        how |= {"backend": "eager"} if self.scale.rehearsal else {}

        def pytorch(name: str, layout: Any, wrap: Callable = lambda model: model) -> Contestant:
            model = peer_torch.FCN8s(narrow=self.scale.narrow).to(device(self.scale), dtype)
            model.load_state_dict(self.model.state_dict())
            model = model.eval().to(memory_format=layout)
            return peer(name, precision, wrap(model), dtype, layout)

        return {
            OURS: lambda: ours(OURS, precision, False, self.net, self.scale),
            GRAPHS: lambda: ours(GRAPHS, precision, True, self.net, self.scale),
            "PyTorch eager": lambda: pytorch("PyTorch eager", plain),
            "PyTorch channels last": lambda: pytorch("PyTorch channels last", last),
            COMPILED: lambda: pytorch(COMPILED, last, lambda model: torch.compile(model, **how)),
        }

    def run(self, title: str, precision: str, compiled: bool, measure: Callable) -> None:
        """Build each contestant, measure it and tell the table so far; failures are told, too."""
        rows = self.rows.setdefault(title, [])
        for name, build in self.forms(precision, dynamic="stream" in title).items():
            if (name == COMPILED) != compiled:
                continue
            who = self.report.attempt(f"{title}, {name}", build)
            row = who and self.report.attempt(f"{title}, {name}", measure, who)
            if row:
                rows.append(row)
                self.report(title, rows, line_of(title, row))

    def one_size(self, precision: str, compiled: bool) -> None:
        """Median milliseconds a picture, and how far everybody's scores are from float32's."""
        self.run(
            f"forward {precision}",
            precision,
            compiled,
            lambda who: measure(who, self.pictures, self.right, self.scale.runs),
        )

    def stream(self, precision: str, compiled: bool) -> None:
        """Milliseconds a picture of eight sizes in random order, the first of each size included."""
        self.run(
            f"stream {precision}", precision, compiled, lambda who: measure_stream(who, self.many)
        )


def ours(name: str, precision: str, graphs: bool, like: Any, scale: Scale) -> Contestant:
    """Our engine; a net of its own with another's weights."""
    net = fcn8s.net(*scale.size, scale.narrow, like)

    def ready() -> None:
        peers.switch(OURS, precision)
        caffe.set_cuda_graphs(graphs)

    def forward(x: np.ndarray) -> torch.Tensor:
        data = net.blobs["data"]
        data.reshape(*x.shape)
        data.data[...] = x
        net.forward()
        return net.blobs["score"].x

    return Contestant(name, precision, forward, ready)


def peer(name: str, precision: str, model: Callable, dtype: torch.dtype, layout: Any) -> Contestant:
    """A form of PyTorch's model."""
    where = next(model.parameters()).device  # type: ignore[attr-defined]

    @torch.inference_mode()
    def forward(x: np.ndarray) -> torch.Tensor:
        picture = torch.from_numpy(x).to(where).to(dtype, memory_format=layout)
        return model(picture)

    return Contestant(name, precision, forward, lambda: peers.switch(name, precision))


# ---- the works


def measure(who: Contestant, pictures: list, right: np.ndarray, runs: int) -> dict[str, Any]:
    """A contestant's row."""
    who.ready()
    for i in range(WARM):
        who.run(pictures[i % len(pictures)])
    off = contest.distance(who.run(pictures[0]).float().cpu().numpy(), right)
    times = [contest.timed(who.run, pictures[i % len(pictures)])[0] for i in range(runs)]
    return contest.row(
        who.group,
        who.name,
        1e3 * median(times),
        [off],
        contest.TOLERANCE[who.group],
        fastest=1e3 * min(times),
    )


def measure_stream(who: Contestant, pictures: list) -> dict[str, Any]:
    """A contestant's row: all pictures, and the second half alone, when most sizes have been seen."""
    who.ready()
    times = [1e3 * contest.timed(who.run, x)[0] for x in pictures]
    later = times[len(times) // 2 :]
    return contest.row(who.group, who.name, sum(times) / len(times), later=sum(later) / len(later))


def line_of(title: str, row: dict[str, Any]) -> str:
    """A row as text."""
    line = f"{title:16} {row['name']:22} {row['value']:8.3f} ms"
    if "differs" in row:
        mark = "" if contest.agrees(row) else ", TOO FAR"
        line += f", scores differ by {row['differs']:.1e}{mark}"
    if "later" in row:
        line += f" a picture, {row['later']:.3f} in the second half"
    return line


def stages(report: Report, scale: Scale, net: Any) -> None:
    """Median milliseconds of the net up to each stage's end, and of each stage."""
    pictures = [x for x, _ in fcn8s.pictures(*scale.size, PICTURES)]
    names = list(net._layer_names)
    for precision in PRECISIONS:
        peers.switch(OURS, precision)
        times: dict[str, list[float]] = {stage: [] for stage in STAGES}
        for turn in range(WARM + scale.runs):
            net.blobs["data"].data[...] = pictures[turn % PICTURES]
            net.blobs["data"].x  # the upload is not a stage's  # noqa: B018
            synchronize()
            start = 0
            for stage, last in STAGES.items():
                end = names.index(last) if last else len(names) - 1
                seconds = contest.timed(net._forward, start, end)[0]
                start = end + 1
                if turn >= WARM:
                    times[stage].append(1e3 * seconds)
        found = {stage: median(each) for stage, each in times.items()}
        line = ", ".join(f"{stage} {ms:.2f}" for stage, ms in found.items())
        report(
            f"stages {precision}",
            found,
            f"{precision:8} stages, ms: {line} (the talk's: 60.0, 18.7, 23.0)",
        )
