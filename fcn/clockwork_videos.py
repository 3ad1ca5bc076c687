"""Score FCN-8s by the schedules of a clockwork on short videos of the embedded task, and draw the table.

    fcn demo                            # trains the net
    python systems/clockwork/run.py     # writes results.json and figure.png here

A schedule's time is that of the net alone, without reading and looking, and without each video's first frame.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from tqdm import tqdm

import caffe
from fcn import models, places, weights
from fcn.clockwork import FUSION, SCHEDULES, Clockwork, full
from fcn.datasets.sample import sequences
from fcn.measures import fast_hist, scores
from fcn.prototxts import read_net
from fcn.tasks import SAMPLE

HERE = places.HOME / "systems/clockwork"
MODEL, FRAMES = "voc-fcn8s", 6
VIDEOS: dict[
    str, tuple[Callable[..., list[sequences.Frame]], int]
] = {  # what moves: how a video is drawn, and the pixels that it moves by from frame to frame
    "panned by 2": (sequences.panned, 2),
    "panned by 4": (sequences.panned, 4),
    "panned by 8": (sequences.panned, 8),
    "panned by 16": (sequences.panned, 16),
    "digits moving by 2": (sequences.moving, 2),
    "digits moving by 8": (sequences.moving, 8),
    "one digit moving by 4": (sequences.one_moving, 4),
}


def measure(count: int, seed: int) -> list[dict[str, Any]]:
    """A row for each kind of video and schedule."""
    net = read_net(models.folder(MODEL, sample=True) / "deploy.prototxt")
    file = weights.given_or_found(None, MODEL, sample=True)
    rows = []
    for kind, (draw, shift) in VIDEOS.items():
        clocks = [Clockwork(net, file, schedule) for _, schedule in SCHEDULES]
        hists = np.zeros((len(clocks), SAMPLE.classes, SAMPLE.classes), np.int64)
        taken: list[list[float]] = [[] for _ in clocks]
        rng = np.random.RandomState(seed)
        for _ in tqdm(range(count), desc=kind, leave=False, disable=None):
            video = draw(rng, "infer", FRAMES, shift)
            for which, clock in enumerate(clocks):
                clock.restart()
                for number, (picture, truth) in enumerate(video):
                    data = (
                        picture[:, :, ::-1].transpose(2, 0, 1)
                        - np.array(SAMPLE.mean, np.float32)[:, None, None]
                    )
                    begin = time.perf_counter()
                    found = clock(data)
                    seconds = time.perf_counter() - begin
                    hists[which] += fast_hist(truth.ravel(), found.ravel(), SAMPLE.classes)
                    if number:
                        taken[which].append(seconds)
        for (name, _), clock, hist, times in zip(SCHEDULES, clocks, hists, taken):
            rows.append(
                {
                    "video": kind,
                    "schedule": name,
                    "mean_iu": scores(hist)["mean_iu"],
                    "ms": 1e3 * sum(times) / len(times),
                    "deepest": clock.updates[FUSION - 1] / (count * FRAMES),
                }
            )
    return rows


def stage_times(side: int, passes: int = 10) -> str:
    """The milliseconds that each stage of the full FCN-8s takes for a picture of side x side."""
    net = Clockwork(read_net(models.folder(MODEL) / "deploy.prototxt"), None, full)
    rng = np.random.RandomState(0)
    taken: list[list[float]] = [[] for _ in net.stages]
    for _ in range(passes + 1):
        net.net.blobs["data"].reshape(1, 3, side, side)
        net.net.blobs["data"].data[...] = rng.uniform(-120, 130, (1, 3, side, side))
        for stage, seconds in enumerate(taken):
            begin = time.perf_counter()
            net.update(stage)
            seconds.append(time.perf_counter() - begin)
    each = [1e3 * median(seconds[1:]) for seconds in taken]
    shown = " + ".join(f"{ms:.1f}" for ms in each)
    return f"{MODEL}, {side}x{side}: stages to pool3, pool4, fc7, and fusion: {shown} = {sum(each):.1f} ms"


def table(rows: list[dict[str, Any]]) -> str:
    """Rows as a table of Markdown; time and mean IU as shares of the full net's, too."""
    lines = ["| video | schedule | mean IU | of full | ms a frame | of full | deepest stage runs |"]
    lines.append("|---" * 7 + "|")
    whole = {row["video"]: row for row in rows if row["schedule"] == "full"}
    for row in rows:
        iu, ms = (row[key] / whole[row["video"]][key] for key in ("mean_iu", "ms"))
        lines.append(
            f"| {row['video']} | {row['schedule']} | {row['mean_iu']:.3f} | {iu:.0%} | "
            f"{row['ms']:.1f} | {ms:.0%} | {row['deepest']:.0%} |"
        )
    return "\n".join(lines)


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Mean IU against time a frame, a panel a kind of video."""
    kinds = list(VIDEOS)
    figure, axes = plt.subplots(1, len(kinds), figsize=(3.2 * len(kinds), 3), sharey=True)
    for axis, kind in zip(axes, kinds):
        for row in (row for row in rows if row["video"] == kind):
            axis.scatter(row["ms"], row["mean_iu"], label=row["schedule"])
        axis.set_title(kind, fontsize=9)
        axis.set_xlabel("ms a frame")
        axis.set_xlim(0)
    axes[0].set_ylabel("mean IU")
    axes[-1].legend(fontsize=6, loc="lower right")
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    """Measure, write and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=int, default=20, help="of each kind (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the videos (%(default)s)")
    parser.add_argument("--out", type=Path, default=HERE, help="folder (systems/clockwork)")
    text = "only the time of each stage of the full net, for a picture of SIDE x SIDE"
    parser.add_argument("--stages", type=int, metavar="SIDE", help=text)
    args = parser.parse_args()
    caffe.init_log(1)
    if args.stages:
        print(stage_times(args.stages))
        return
    rows = measure(args.videos, args.seed)
    (args.out / "results.json").write_text(json.dumps(rows, indent=1) + "\n")
    draw(rows, args.out / "figure.png")
    print(table(rows))


if __name__ == "__main__":
    main()
