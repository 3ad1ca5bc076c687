"""Nets in other processes: after a fork, by spawn, in PyTorch's DataLoader; numbers as in the parent."""

import os
import signal
import subprocess
import sys

import pytest
from nets import conv, layer, source
from PIL import Image
from places import ROOT

SECONDS = 60  # a child that waits for threads that are not there waits for ever

NET = (
    source(40, 44)
    + conv("a", "data", 64)
    + conv("b", "a", 40, size=5, pad=2)
    + layer("pool", "Pooling", ["b"], "pool", "pooling_param { kernel_size: 2 stride: 2 }")
    + conv("up", "pool", 40, 4, 2, 1, kind="Deconvolution")
    + layer("ip", "InnerProduct", ["up"], "ip", "inner_product_param { num_output: 300 }")
)

# A net that has computed in two threads, and a function that runs it again
PARENT = """
import multiprocessing, os, sys
import numpy as np, torch
import caffe

torch.set_num_threads(2)
caffe.set_random_seed(1)
net = caffe.Net("net.prototxt", caffe.TRAIN)
net.params["ip"][0].data[...] = 1e-3

def run(seed):
    data = np.random.RandomState(seed).rand(*net.blobs["data"].shape)
    score = net.forward(data=data)["ip"].copy()
    net.blobs["ip"].diff[...] = 1
    net.clear_param_diffs()
    net.backward()
    return score, net.params["a"][0].diff.copy()

def same(got, want):
    return all(np.allclose(a, b, rtol=1e-4, atol=1e-6) for a, b in zip(got, want))
"""

FORK = """
want = [run(seed) for seed in range(4)]
with multiprocessing.get_context("fork").Pool(2) as pool:
    got = pool.map(run, range(4))
    threads = pool.apply(torch.get_num_threads)
assert all(map(same, got, want))
assert (threads, torch.get_num_threads()) == (1, 2)
assert same(run(0), want[0])
"""

LOADER = """
class Scores(torch.utils.data.Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, seed):
        return run(seed)

want = [run(seed) for seed in range(4)]
loader = torch.utils.data.DataLoader(
    Scores(), batch_size=None, num_workers=2, multiprocessing_context="fork")
got = [[part.numpy() for part in parts] for parts in loader]
assert len(got) == 4 and all(map(same, got, want))
"""

READER = """
import os
import caffe

net = caffe.Net("data.prototxt", caffe.TEST)
read = lambda: [int(net.forward()["label"][0]) for _ in range(3)]
assert read() == [0, 1, 2]
child = os.fork()
wanted = [3, 4, 0]
if not child:
    os._exit(read() != wanted)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert read() == wanted
"""

SPAWN = """
import multiprocessing
import numpy as np
import caffe

def score(net, seed):
    data = np.random.RandomState(seed).rand(*net.blobs["data"].shape)
    return net.forward(data=data)["ip"].copy()

if __name__ == "__main__":
    net = caffe.Net("net.prototxt", caffe.TEST)
    net.params["ip"][0].data[...] = 1e-3
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        got = pool.starmap(score, [(net, 0), (net, 1)])
    np.testing.assert_allclose(got, [score(net, 0), score(net, 1)], rtol=1e-5)
"""


def run(script, folder, **environment):
    (folder / "script.py").write_text(script)
    (folder / "net.prototxt").write_text(NET)
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "script.py"],  # Python 3.12 warns of fork itself
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        said = process.communicate(timeout=SECONDS)[1]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # its children, too
        raise
    assert process.returncode == 0, said


@pytest.mark.parametrize("kernels", ["1", "0"])
def test_a_forked_process_computes_the_same_numbers(kernels, tmp_path):
    run(PARENT + FORK, tmp_path, CAFFE_KERNELS=kernels)


def test_so_do_the_workers_of_a_data_loader(tmp_path):
    run(PARENT + LOADER, tmp_path)


def test_a_data_layer_reads_on_in_parent_and_child(tmp_path):
    for i in range(5):
        Image.new("RGB", (4, 4), (i, i, i)).save(tmp_path / f"{i}.png")
    (tmp_path / "list.txt").write_text("".join(f"{i}.png {i}\n" for i in range(5)))
    (tmp_path / "data.prototxt").write_text(
        'layer { name: "data" type: "ImageData" top: "data" top: "label" '
        'image_data_param { source: "list.txt" batch_size: 1 } }'
    )
    run(READER, tmp_path)


def test_a_spawned_process_computes_the_same_numbers(tmp_path):
    run(SPAWN, tmp_path)
