"""Peak memory of a forward and of training steps, each contestant in a process of its own.

python -m benchmarks.memory FOLDER WORK NAME PRECISION DEVICE NARROW H W prints one contestant's.
"""

import json
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import torch

import caffe

from . import contest, fcn8s, peers, training
from .contest import OURS, LeftOut

STATUS = Path("/proc/self/status")
PASSES = 2  # what the first leaves, as momentum is, is there in the second
GIB = 2**30


def memory(options, folder):
    """GiB above what the process has before it reads the net: weights, activations, workspace."""
    height, width = options.size
    where = "on the GPU" if options.device.type == "cuda" else "resident"
    record = {
        "title": f"memory: FCN-8s, {height}x{width}, peak {where} above the process without a net",
        "unit": "GiB",
        "best": "least",
        "rows": [],
        "left_out": {},
        "targets": (),
    }
    if not STATUS.exists():
        record["left_out"]["everybody"] = f"peaks are read from {STATUS}, which Linux has"
        return record
    able = [peer for peer in peers.PEERS if options.device.type in peer.devices]
    wanted = [("forward", peer.name, peer.precision) for peer in able]
    wanted += [("training", name, "float32") for name in (OURS, "PyTorch eager")]
    for work, name, precision in wanted:
        result = child(options, folder, work, name, precision)
        if "left_out" in result:
            record["left_out"][f"{name} {precision}"] = result["left_out"]
        else:
            record["rows"].append(contest.row(f"{work} {precision}", name, result["gib"]))
    return record


def child(options, folder, *what):
    """What one contestant's process prints."""
    args = [folder, *what, options.device.type, options.narrow, *options.size]
    command = [sys.executable, "-m", "benchmarks.memory", *map(str, args)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=fcn8s.ROOT, text=True)
    return json.loads(done.stdout)


def resident(field):
    """GiB that the process has (VmRSS), or had at most (VmHWM)."""
    lines = STATUS.read_text().splitlines()
    return next(int(x.split()[1]) for x in lines if x.startswith(field)) * 1024 / GIB


def measure(options, folder, work, name, precision):
    """The peak of this process, in GiB."""
    peer = next(p for p in peers.PEERS if (p.name, p.precision) == (name, precision))
    peers.importable(peer.module)
    before = resident("VmRSS")
    if work == "forward":
        run = peers.build(peer, folder, options.size, options.device).run
    elif name == OURS:
        run = training.ours(options, precision).run
    else:
        run = training.peer(options, folder, precision).run
    for picture, label in fcn8s.pictures(*options.size, PASSES):
        run(picture if work == "forward" else (picture, label))
    if options.device.type == "cuda":
        return torch.cuda.max_memory_allocated() / GIB
    return resident("VmHWM") - before


def main(folder, work, name, precision, device, narrow, height, width):
    """Run one contestant's work alone in this process and print its peak memory."""
    if device == "cuda":
        caffe.set_mode_gpu()
    size = (int(height), int(width))
    options = Namespace(device=torch.device(device), narrow=int(narrow), size=size)
    try:
        result = {"gib": measure(options, Path(folder), work, name, precision)}
    except LeftOut as error:
        result = {"left_out": str(error)}
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
