"""Several solvers share one order of the data: no picture twice in a round, none left out."""

import json

import h5py
import numpy as np
import pytest
from PIL import Image

import caffe
from caffe import workers

COUNT = 7  # pictures; 7 of 3 solvers do not come out even

LAYERS = {
    "ImageData": "image_data_param { source: 'list' batch_size: 2 %s }",
    "ImageSegData": "image_data_param { source: 'list' batch_size: 2 label_type: IMAGE %s }",
    "HDF5Data": "hdf5_data_param { source: 'files' batch_size: 2 %s }",
}


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    """Pictures of one gray value each, which is their label; a list of them, and two HDF5 files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(workers, "_stated", [1, 0])
    monkeypatch.setattr(workers, "_common_seed", 5)
    for i in range(COUNT):
        Image.new("RGB", (4, 4), (i, i, i)).save(f"{i}.png")
    (tmp_path / "list").write_text("".join(f"{i}.png {i}\n" for i in range(COUNT)))
    values = np.arange(COUNT, dtype=np.float32)[:, None]
    for name, part in (("a.h5", values[:3]), ("b.h5", values[3:])):
        with h5py.File(name, "w") as file:
            file["data"], file["label"] = part, part
    (tmp_path / "files").write_text("a.h5\nb.h5\n")


def net_of(kind, more, rank, count, phase=caffe.TRAIN):
    caffe.set_solver_count(count)
    caffe.set_solver_rank(rank)
    caffe.set_random_seed(100 + rank)
    tops = "top: 'data' top: 'label'" + " top: 'dim'" * (kind == "ImageSegData")
    text = f"layer {{ name: 'd' type: '{kind}' {tops} {LAYERS[kind] % more} }}"
    with open("net.prototxt", "w") as file:
        file.write(text)
    return caffe.Net("net.prototxt", phase)


def taken(net, batches):
    """The labels of so many batches."""
    found = []
    for _ in range(batches):
        net.forward()
        found += [int(label) for label in net.blobs["label"].data.ravel()]
    return found


@pytest.mark.parametrize("more", ["", "shuffle: true"])
@pytest.mark.parametrize("kind", LAYERS)
def test_each_takes_its_own_of_one_order(kind, more):
    each = [taken(net_of(kind, more, rank, 3), 7) for rank in range(3)]
    order = [label for turn in zip(*each) for label in turn]
    rounds = [sorted(order[i : i + COUNT]) for i in range(0, len(order), COUNT)]
    assert rounds[: len(order) // COUNT] == [list(range(COUNT))] * (len(order) // COUNT)
    if more:
        assert order[:COUNT] != list(range(COUNT))


@pytest.mark.parametrize("kind", LAYERS)
def test_a_test_net_reads_all(kind):
    assert taken(net_of(kind, "", 1, 3, caffe.TEST), 4)[:COUNT] == list(range(COUNT))


@pytest.mark.parametrize("more", ["", "shuffle: true"])
@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_they_go_on_where_the_first_one_was(kind, more, count):
    """Also where other numbers of solvers go on: they share what is left."""
    first = net_of(kind, more, 0, 3)
    before = [taken(first, 1)] + [taken(net_of(kind, more, rank, 3), 1) for rank in (1, 2)]
    state = json.loads(json.dumps(first.layers[0].resume_state()))
    done = [label for turn in zip(*before) for label in turn]  # 6 of 7
    after = []
    for rank in range(count):
        net = net_of(kind, more, rank, count)
        net.layers[0].resume_from(state)
        after.append(taken(net, 1))
    resumed = [label for turn in zip(*after) for label in turn]
    assert sorted([*done, resumed[0]]) == list(range(COUNT))  # the round ends
    if not (more and count == 1):  # one alone shuffles by its own numbers
        uncut = [taken(net_of(kind, more, rank, 3), 3) for rank in range(3)]
        order = [label for turn in zip(*uncut) for label in turn]
        assert resumed == order[6 : 6 + len(resumed)]


def test_resumed_solvers_draw_other_numbers():
    state = None
    drawn = []
    for rank in range(2):
        net = net_of("ImageData", "", rank, 2)
        state = state or net.layers[0].resume_state()
        net.layers[0].resume_from(json.loads(json.dumps(state)))
        drawn.append(net.layers[0].random.random())
    assert drawn[0] != drawn[1]
