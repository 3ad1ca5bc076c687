"""python -m benchmarks: FCN-8s at full width, ours beside plain PyTorch, in one run.

Forward and training step alternate between the two, every timed pass on a new picture; medians and
ratios are printed, the outputs compared, and all of it written to benchmarks/results/.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from statistics import median

os.environ.setdefault("GLOG_minloglevel", "2")

import numpy as np
import torch

import caffe

from . import fcn8s, peer_torch

RESULTS = Path(__file__).resolve().parent / "results"


def timed(call, *args):
    begin = time.perf_counter()
    result = call(*args)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - begin, result


def alternate(ours, peer, inputs, warm=1):
    """Medians of both over the inputs, and the results of the last one."""
    times = {"ours": [], "peer": []}
    for i, item in enumerate(inputs):
        for name, call in (("ours", ours), ("peer", peer)):
            seconds, result = timed(call, *item)
            if i >= warm:
                times[name].append(seconds)
            times[name + " result"] = result
    return (
        {name: median(times[name]) for name in ("ours", "peer")},
        times["ours result"],
        times["peer result"],
    )


def forward(size, runs, device):
    """A TEST net's forward; the outputs agree to 1e-5 of their norm."""
    net = fcn8s.net(*size)
    model = peer_torch.FCN8s().eval()
    model.load(net.params)
    model.to(device)

    def ours(x, label):
        net.blobs["data"].data[...] = x
        net._forward(0, len(net.layers) - 1)
        return net.blobs["score"].data.copy()

    @torch.no_grad()
    def peer(x, label):
        return model(torch.from_numpy(x).to(device)).cpu().numpy()

    medians, a, b = alternate(ours, peer, fcn8s.pictures(*size, runs + 1))
    return medians | {"difference": float(np.linalg.norm(a - b) / np.linalg.norm(b))}


def training(size, runs, device):
    """A step of the published solver, and of its like in PyTorch."""
    solver = fcn8s.solver(*size)
    model = peer_torch.FCN8s()
    model.load(solver.net.params)
    trainer = peer_torch.Trainer(model.to(device))

    def ours(x, label):
        solver.net.blobs["data"].data[...] = x
        solver.net.blobs["label"].data[...] = label
        solver.step(1)
        return float(solver.net.blobs["loss"].data)

    def peer(x, label):
        return trainer.step(torch.from_numpy(x).to(device), torch.from_numpy(label).to(device))

    medians, a, b = alternate(ours, peer, fcn8s.pictures(*size, runs + 1))
    # dropout draws differ, so the losses do; of random weights, by well under a tenth
    return medians | {"difference": abs(a - b) / b}


def files(size, runs, device):
    """Loading and saving the 537 MB of weights, beside reading and writing the same bytes."""
    net = fcn8s.net(*size)
    with tempfile.TemporaryDirectory() as folder:
        path, copy = Path(folder, "w.caffemodel"), Path(folder, "copy.bin")
        net.save(str(path))
        array = np.fromfile(path, np.uint8)
        load, save = (
            alternate(ours, peer, [()] * (runs + 1))[0]
            for ours, peer in (
                (lambda: net.copy_from(str(path)), lambda: np.fromfile(path, np.uint8)),
                (lambda: net.save(str(path)), lambda: array.tofile(copy)),
            )
        )
    return {"load": load, "save": save}


def peak_memory(size):
    """Peak resident GiB of a process that does a forward and a training step with a test net."""
    code = (
        "import benchmarks.fcn8s as f, sys\n"
        f"s = f.solver({size[0]}, {size[1]})\n"
        f"x, y = next(f.pictures({size[0]}, {size[1]}, 1))\n"
        "s.test_nets[0].share_with(s.net)\n"
        "for net in (s.test_nets[0], s.net):\n"
        "    net.blobs['data'].data[...] = x; net.blobs['label'].data[...] = y\n"
        "s.test_nets[0].forward(); s.step(1)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=RESULTS.parent.parent)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20


def machine():
    cpu = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((x.split(": ")[1] for x in lines if x.startswith("model name")), cpu)
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "cpu": cpu,
        "threads": torch.get_num_threads(),
        "gpu": gpu,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "date": date.today().isoformat(),
    }


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--size", type=int, nargs=2, default=(500, 500), metavar=("H", "W"))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--gpu", action="store_true", help="measure on the GPU")
    parser.add_argument(
        "--only", choices=["forward", "training", "files", "memory"], action="append"
    )
    options = parser.parse_args()
    chosen = options.only or ["forward", "training", "files", "memory"]
    device = torch.device("cuda" if options.gpu else "cpu")
    if options.gpu:
        caffe.set_mode_gpu()
    record = {"machine": machine(), "size": list(options.size), "runs": options.runs}
    height, width = options.size
    print(f"FCN-8s, full width, {height}x{width}, {record['machine']}")
    row = "{:<28}{:>10}{:>10}{:>8}  {}".format
    print(row("", "ours", "peer", "ratio", "peer; agreement"))
    if "memory" in chosen:
        record["peak_gib"] = peak_memory(options.size)
        print(row("peak memory, training", f"{record['peak_gib']:.2f} GiB", "", "", ""))
    for name, work in (("forward", forward), ("training", training)):
        if name in chosen:
            r = record[name] = work(options.size, options.runs, device)
            print(
                row(
                    f"{name}{' step' if name == 'training' else ''}",
                    f"{r['ours']:.3f} s",
                    f"{r['peer']:.3f} s",
                    f"{r['ours'] / r['peer']:.2f}",
                    f"PyTorch eager; differ by {r['difference']:.1e}",
                ),
                flush=True,
            )
    if "files" in chosen:
        record["files"] = files(options.size, options.runs, device)
        for name, against in (("load", "np.fromfile"), ("save", "ndarray.tofile")):
            r = record["files"][name]
            ratio = f"{r['ours'] / r['peer']:.2f}"
            print(row(f"{name} 537 MB", f"{r['ours']:.3f} s", f"{r['peer']:.3f} s", ratio, against))
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"fcn8s-{height}x{width}-{device.type}.json"
    path.write_text(json.dumps(record, indent=1) + "\n")
    print(f"written to {path}")


if __name__ == "__main__":
    main()
