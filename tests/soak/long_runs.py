"""A training of 20,000 steps at changing shapes, scored and saved every 500: does anything grow?

What is looked at: the process's memory, its open files and its threads, at every scoring.
"""

import tempfile
from pathlib import Path

import numpy as np
import scipy.io
import tiny_model
import warm
from PIL import Image

STEPS, EVERY = 20_000, 500
WARM = 10_000  # by then the heaps of the C libraries have found their size
GROWTH = 0.01  # of the memory after the warm-up
SIZES = ((30, 34), (26, 60), (44, 28), (50, 50), (31, 41), (64, 33))  # of pictures

SOLVE = """
import os
import torch
from fcn.train import Recipe, solve
from fcn.training_loop import Training
torch.set_num_threads(1)
def look(self, score=Training.score):
    score(self)
    pages = int(open("/proc/self/statm").read().split()[1])
    files, threads = (len(os.listdir("/proc/self/" + each)) for each in ("fd", "task"))
    with open("{looks}", "a") as file:
        print(self.solver.iter, pages * os.sysconf("SC_PAGE_SIZE"), files, threads, file=file)
Training.score = look
solve(__file__, Recipe("voc-start", rounds={rounds}, steps={every}))
"""


def soak(
    seconds: float, seed: int = 0, steps: int = STEPS, every: int = EVERY
) -> tuple[str, list[str]]:
    """(what was done, the faults). It takes the time that its steps take, about 3 minutes."""
    with tempfile.TemporaryDirectory() as place:
        looks = Path(place, "looks.txt")
        model = model_in(Path(place))
        (model / "solve.py").write_text(
            SOLVE.format(looks=looks, rounds=steps // every, every=every)
        )
        words = [model / "solve.py", "--cpu", "--anyway", "--keep", "3"]
        words += ["--weights", Path(place, "start.caffemodel")]
        process = warm.start(words, place)
        _, said = process.communicate(timeout=3600)
        if process.returncode:
            return "a run that failed", [said[-500:]]
        return judged([[int(n) for n in line.split()] for line in looks.read_text().splitlines()])


def judged(looks: list[list[int]]) -> tuple[str, list[str]]:
    """What grew between the end of the warm-up and the end."""
    first = next(look for look in looks if look[0] >= min(WARM, looks[-1][0] // 2))
    last = looks[-1]
    growth = last[1] / first[1] - 1
    done = (
        f"{last[0]} steps at {len(SIZES)} sizes, {len(looks)} scorings and snapshots: memory "
        f"{first[1] >> 20} MiB after {first[0]} steps, {growth:+.2%} at the end; {last[2]} open files and "
        f"{last[3]} threads, {first[2]} and {first[3]} before"
    )
    faults = [f"memory grew by {growth:.1%}"] if growth > GROWTH else []
    faults += ["open files grew"] * (last[2] > first[2]) + ["threads grew"] * (last[3] > first[3])
    return done, faults


def model_in(place: Path) -> Path:
    """A small model whose pictures have many sizes."""
    folder = place / "voc-tiny"
    tiny_model.write_data(place / "data")
    rng, names = np.random.RandomState(1), []
    for k, size in enumerate(SIZES):
        pixels, labels = tiny_model.picture(rng, *size)
        names.append(f"p{k}")
        Image.fromarray(pixels).save(place / "data/sbd/img" / f"p{k}.jpg")
        gt = np.zeros((1, 1), [("Segmentation", "O")])
        gt[0, 0]["Segmentation"] = labels
        scipy.io.savemat(place / "data/sbd/cls" / f"p{k}.mat", {"GTcls": gt})
    (place / "data/sbd/train.txt").write_text("\n".join(names) + "\n")
    tiny_model.write_model(folder, snapshot=EVERY)
    tiny_model.write_weights(folder, place / "start.caffemodel")
    return folder
