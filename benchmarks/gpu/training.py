"""FCN-32s training steps, pictures read from JPEG and .mat files on the disk, beside PyTorch's forms.

Timed are many steps in a row, as training runs them: reading, upload, arithmetic and update overlap.
"""

import gc
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from google.protobuf import text_format

import caffe
from fcn.datasets.voc import MEAN, SBDDSegDataLayer

from .. import contest, fcn8s, peer_torch, peers, reading
from ..contest import OURS
from .part import Report, Scale, device, peak_gib, synchronize

PRECISIONS = ("float32", "tf32", "bf16")
GRAPHS, RECOMPUTE = "ours, CUDA graphs", "ours, recompute"
OUR_FORMS = (OURS, GRAPHS, RECOMPUTE)
PEERS = ("PyTorch eager", "PyTorch channels last", "PyTorch compiled")
WARM = 6  # steps before those that count
RATE = 1e-10
SOLVER = f"""base_lr: {RATE} lr_policy: "fixed" momentum: 0.99 weight_decay: 0.0005
average_loss: 20 random_seed: 1"""
READERS = 4  # processes of PyTorch's DataLoader


def run(report: Report, scale: Scale) -> None:
    """All forms in every precision; compiled models last, which take long to build."""
    tree = report.folder / "tree"
    reading.write_tree(tree, scale.step_size)
    tables: dict[str, list] = {precision: [] for precision in PRECISIONS}
    for names in ([*OUR_FORMS, *PEERS[:-1]], PEERS[-1:]):
        for precision, rows in tables.items():
            for name in names:
                call = ours if name in OUR_FORMS else peer
                gc.collect()  # the peak of memory is this contestant's alone
                title = f"{name} {precision}"
                found = report.attempt(title, call, scale, name, precision, tree)
                tell(report, rows, name, precision, found)


def tell(report: Report, rows: list, name: str, precision: str, found: Any) -> None:
    """Report a contestant's row."""
    if found is None:
        return
    seconds, gib = found
    rows.append(contest.row(precision, name, 1e3 * seconds, peak_gib=gib))
    memory = "" if gib is None else f", peak {gib:.2f} GiB"
    report(
        f"step {precision}", rows, f"{precision:8} {name:22} {1e3 * seconds:8.2f} ms a step{memory}"
    )


def steps_a_second(
    step: Callable[[int], Any], runs: int, scale: Scale
) -> tuple[float, float | None]:
    """Mean seconds of a step in a row of them, and the peak of memory; `step(n)` makes n steps."""
    step(WARM)
    synchronize()
    peak_gib(scale)
    begin = time.perf_counter()
    step(runs)
    synchronize()
    return (time.perf_counter() - begin) / runs, peak_gib(scale)


# ---- ours


def solver_of(scale: Scale, tree: Path) -> Any:
    """The published solver of voc-fcn32s on a tree, with random weights."""
    net = fcn8s.read("train", scale.narrow, "voc-fcn32s")
    params = dict(sbdd_dir=str(tree), split="train", mean=MEAN, seed=1337)
    net.layer[0].python_param.param_str = repr(params)
    train, solver = tree.parent / "train.prototxt", tree.parent / "solver.prototxt"
    train.write_text(text_format.MessageToString(net))
    solver.write_text(f'train_net: "{train}" {SOLVER}')
    made = caffe.SGDSolver(str(solver))
    fcn8s.fill(made.net.params)
    return made


def ours(scale: Scale, name: str, precision: str, tree: Path) -> tuple[float, float | None]:
    """Our seconds a step and peak, in one of our forms."""
    peers.switch(OURS, precision)
    caffe.set_cuda_graphs(name == GRAPHS)
    try:
        solver = solver_of(scale, tree)
        if name == RECOMPUTE:
            solver.net.recompute()
        return steps_a_second(solver.step, scale.runs, scale)
    finally:
        caffe.set_cuda_graphs(False)


# ---- PyTorch


class Pictures(torch.utils.data.Dataset):
    """The same files, read by the same code."""

    def __init__(self, tree: Path, count: int):
        self.count = count
        self.reader = SBDDSegDataLayer.reader(sbdd_dir=str(tree), split="train", mean=MEAN)
        self.ids = self.reader.read_split()

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        id = self.ids[i % len(self.ids)]
        label = torch.from_numpy(self.reader.load_label(id))
        return torch.from_numpy(self.reader.load_image(id)), label


def peer(scale: Scale, name: str, precision: str, tree: Path) -> tuple[float, float | None]:
    """PyTorch's seconds a step and peak, in one of its forms."""
    peers.switch(name, precision)
    where = device(scale)
    layout = torch.contiguous_format if name == "PyTorch eager" else torch.channels_last
    model = peer_torch.FCN32s(narrow=scale.narrow).to(where, memory_format=layout)
    if name == "PyTorch compiled":
        model = torch.compile(model, **scale.compile)
    trainer = peer_torch.Trainer(model, precision, RATE)
    batches = batches_of(scale, Pictures(tree, WARM + scale.runs))

    def step(count: int) -> None:
        for _ in range(count):
            x, label = next(batches)
            x = x.to(where, memory_format=layout, non_blocking=True)
            trainer.launch(x, label.to(where, non_blocking=True))

    return steps_a_second(step, scale.runs, scale)


def batches_of(scale: Scale, pictures: Pictures) -> Iterator:
    """Batches of one, read ahead by processes of their own into page-locked memory."""
    readers = 1 if scale.rehearsal else READERS
    loader = torch.utils.data.DataLoader(
        pictures, num_workers=readers, pin_memory=not scale.rehearsal
    )
    return iter(loader)
