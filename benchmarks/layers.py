"""Time of each layer of FCN-8s beside what this machine can do, measured in the same run.

A layer that multiplies has its GMAC (10^9 multiply-adds, as the definition has them), GMAC/s and the
share of the peak; any other the bytes of its bottoms and tops, GB/s and the share of a large copy's.
Whoever does less than the definition says, by Winograd's filtering or by leaving what no picture
changes as it is, gets above 100%. Layers that work in place are timed with the one they follow.
"""

import time
from statistics import median

import torch
from torch.nn import functional as F

import caffe

from . import contest, fcn8s, peers

WARM = 1
FLOAT = 4  # bytes


def layers(options, folder):
    """Median milliseconds of each layer's forward, run one by one, and of whole passes between."""
    paths = [str(folder / f"fcn8s.{end}") for end in ("prototxt", "caffemodel")]
    net = caffe.Net(*paths, caffe.TEST)
    peers.switch(contest.OURS, "float32")
    units, last = units_of(net), len(net.layers) - 1
    times, whole = [[] for _ in units], []
    for turn, (x, _) in enumerate(fcn8s.pictures(*options.size, 2 * (options.runs + WARM))):
        net.blobs["data"].data[...] = x
        if turn % 2:
            whole.append(contest.timed(net._forward, 0, last)[0])
            continue
        for own, (first, end) in zip(times, units):
            own.append(contest.timed(net._forward, first, end)[0])
    millis = [1e3 * median(own[WARM:]) for own in times]
    peak, copy = peak_gmacs(options.device), copy_gbs(options.device)
    names = list(net.layer_dict)
    rows = [row(net, names[first], ms, peak, copy) for (first, _), ms in zip(units, millis)]
    height, width = options.size
    record = {
        "title": f"layers: FCN-8s, {height}x{width}, float32, each layer's median of {options.runs}",
        "unit": "ms",
        "rows": rows,
        "sum_ms": sum(millis),
        "whole_ms": 1e3 * median(whole[WARM:]),
        "peak_gmac_s": peak,
        "copy_gb_s": copy,
        "left_out": {},
        "targets": (),
    }
    return record | {"table": table(record)}


def units_of(net):
    """(first, last) of every layer and those after it that work in place on its top."""
    units, tops = [], []
    for i, name in enumerate(net.layer_dict):
        if i and net.bottom_names[name] == net.top_names[name] == tops:
            units[-1] = (units[-1][0], i)
        else:
            units.append((i, i))
        tops = net.top_names[name]
    return units


def row(net, name, ms, peak, copy):
    """What a layer did in so many milliseconds."""
    layer = net.layer_dict[name]
    own = {"layer": name, "type": layer.type, "ms": ms}
    bottoms, tops = (
        [net.blobs[blob] for blob in names[name]] for names in (net.bottom_names, net.top_names)
    )
    if layer.type in ("Convolution", "Deconvolution"):
        weight = layer.blobs[0]
        ends = bottoms if layer.type == "Deconvolution" else tops
        gmac = sum(blob.count for blob in ends) * weight.count / weight.shape[0] / 1e9
        return own | {"gmac": gmac, "gmac_s": gmac / ms * 1e3, "share": gmac / ms * 1e3 / peak}
    gb = FLOAT * sum(blob.count for blob in [*bottoms, *tops]) / 1e9
    return own | {"gb_s": gb / ms * 1e3, "share": gb / ms * 1e3 / copy}


def table(record):
    """The rows as text."""
    wide = max(len(r["layer"]) for r in record["rows"]) + 2
    line = f"{{:<{wide}}}{{:<14}}{{:>9}}{{:>8}}{{:>9}}{{:>9}}{{:>9}}{{:>9}}".format
    lines = [line("layer", "type", "ms", "of all", "GMAC", "GMAC/s", "GB/s", "of peak")]
    for r in record["rows"]:
        cells = [f"{r['ms']:.2f}", f"{r['ms'] / record['sum_ms']:.1%}"]
        cells += [f"{r[key]:.1f}" if key in r else "" for key in ("gmac", "gmac_s", "gb_s")]
        lines.append(line(r["layer"], r["type"], *cells, f"{r['share']:.0%}"))
    lines += [
        f"sum of layers {record['sum_ms']:.1f} ms; whole passes {record['whole_ms']:.1f} ms",
        f"peak of this machine: {record['peak_gmac_s']:.0f} GMAC/s, a float32 convolution that is "
        f"bound by arithmetic; {record['copy_gb_s']:.1f} GB/s, a large copy, read and written",
    ]
    return "\n".join(lines)


def peak_gmacs(device):
    """GMAC/s of 512 to 512 channels, 3x3, on 44x44, channels last: the best of several."""
    x = torch.randn(1, 512, 44, 44, device=device).to(memory_format=torch.channels_last)
    weight = torch.randn(512, 512, 3, 3, device=device).to(memory_format=torch.channels_last)
    with torch.no_grad():
        seconds = fastest(lambda: F.conv2d(x, weight, padding=1))
    return 512 * 512 * 9 * 44 * 44 / seconds / 1e9


def copy_gbs(device):
    """GB/s read and written by a copy of 256 MiB: the best of several."""
    source = torch.ones(2**26, device=device)
    target = torch.zeros_like(source)
    return 2 * FLOAT * source.numel() / fastest(lambda: target.copy_(source)) / 1e9


def fastest(call, times=20):
    time.sleep(contest.PAUSE)
    return min(contest.timed(call)[0] for _ in range(times))
