"""python -m benchmarks: FCN-8s at full width, ours beside every peer that is installed, in one run.

The same work and weights for all, by turns, every timed pass on a new picture; results are compared
in the same run. Prints medians, ratios and whether the targets are met, and writes them to
benchmarks/results/. Exits with 1 where results disagree.
"""

import argparse
import gc
import json
import os
import platform
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

os.environ.setdefault("GLOG_minloglevel", "2")

import torch

import caffe

from . import contest, fcn8s, peers
from .crf import crf
from .exports import exports
from .files import files
from .forward import forward, stream
from .layers import layers
from .memory import memory
from .nets import BATCHES, nets
from .parts import parts
from .scoring import scoring
from .training import training

RESULTS = Path(__file__).resolve().parent / "results"
WORKS = {
    work.__name__: work
    for work in (
        files,
        layers,
        parts,
        forward,
        stream,
        nets,
        exports,
        training,
        scoring,
        crf,
        memory,
    )
}
DISAGREE = 1  # exit code


def parse(argv):
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("--only", choices=WORKS, action="append", help="this work (may be given again)")
    add("--net", choices=BATCHES, action="append", help="of the work `nets` this one, or these")
    add("--runs", type=int, default=5, help="pictures, steps or times that count (%(default)s)")
    add("--size", type=int, nargs=2, default=(500, 500), metavar=("H", "W"), help="of a picture")
    add("--gpu", action="store_true", help="measure on the GPU")
    add("--narrow", type=int, default=1, metavar="N", help="divide all widths, to try this out")
    add("--out", type=Path, default=RESULTS, help="folder for the JSON (benchmarks/results)")
    add("--show", action="store_true", help="print what lies there, measure nothing")
    options = parser.parse_args(argv)
    if options.runs < 1:
        parser.error(f"--runs is at least 1, got {options.runs}")
    options.device = torch.device("cuda" if options.gpu else "cpu")
    return options


def machine(gpu):
    """The machine and the versions, for the head of the table."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text().splitlines()
        cpu = next((x.split(": ")[1] for x in lines if x.startswith("model name")), cpu)
    return {
        "cpu": cpu,
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if gpu else None,
        "versions": {"python": platform.python_version()} | peers.versions(),
        "date": date.today().isoformat(),
    }


def others():
    """CPU seconds that everybody but us has used since the machine started; None if it is not told."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return None
    user, nice, system, _, _, *interrupts = map(int, stat.read_text().split()[1:9])
    busy = (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")
    return busy - sum(os.times()[:4])  # with our children


def watched(call, *args):
    """A work's record, and how many cores others kept busy meanwhile: with some, times say little."""
    before, begin = others(), time.perf_counter()
    record = call(*args)
    if before is not None:
        record["others_cores"] = (others() - before) / (time.perf_counter() - begin)
    return record


def measured(options, paths):
    """The record of each work, written to its path."""
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        fcn8s.write(Path(folder), *options.size, options.narrow)
        for work, path in paths.items():
            record = watched(WORKS[work], options, Path(folder))
            record["machine"] = machine(options.gpu)
            rows = record["rows"]
            record["targets"] = [
                contest.judge(rows, t) if isinstance(t, contest.Target) else t
                for t in record["targets"]
                if options.device.type == "cpu" and options.narrow == 1  # what they are set for
            ]
            record["failed"] = contest.failures(rows)
            path.write_text(json.dumps(record, indent=1) + "\n")
            yield record
            gc.collect()  # the contestants, of some GiB, before the next are built


def recorded(paths):
    """The records that lie there."""
    for path in paths.values():
        if path.exists():
            yield json.loads(path.read_text())


def tell(records):
    """Print records, the machine where it is not that of the one before; whether any failed."""
    machine, failed = None, False
    for record in records:
        line = contest.machine_line(record["machine"])
        if line != machine:
            print(line, end="\n\n")
        machine = line
        print(contest.told(record), end="\n\n", flush=True)
        failed |= bool(record["failed"])
    return failed


def main(argv=None):
    """Measure what was asked for and print the tables."""
    options = parse(argv)
    if options.gpu:
        try:
            caffe.set_mode_gpu()
        except RuntimeError as error:
            sys.exit(str(error))
    works = options.only or WORKS
    paths = {work: options.out / f"{work}-{options.device.type}.json" for work in works}
    failed = tell(recorded(paths) if options.show else measured(options, paths))
    return DISAGREE if failed else 0


if __name__ == "__main__":
    sys.exit(main())
