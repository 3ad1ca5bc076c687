"""A training that is cut and resumed equals the uncut one, bit for bit: weights, data, Dropout, losses."""

import json
import os

import h5py
import numpy as np
import pytest
from PIL import Image

import caffe
from caffe import python_modules
from caffe.files import database
from caffe.io import array_to_datum

PICTURES = 7
SOLVER = """
net: "net.prototxt" base_lr: 0.0001 momentum: 0.9 lr_policy: "step" gamma: 0.9 stepsize: 3
average_loss: 5 max_iter: 17 snapshot: 4 snapshot_prefix: "s" random_seed: 2 type: "{type}"
snapshot_format: {format} {more}
"""
BODY = """
layer { name: "c" type: "Convolution" bottom: "data" top: "c"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "d" type: "Dropout" bottom: "c" top: "c" }
layer { name: "ip" type: "InnerProduct" bottom: "c" top: "ip"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""
CHANGED = "transform_param { crop_size: 8 mirror: true }"
DATA = {
    "ImageData": f"{CHANGED} image_data_param {{ source: 'list' batch_size: 3 shuffle: true }}",
    "Data": f"{CHANGED} data_param {{ source: 'db' backend: LMDB batch_size: 3 rand_skip: 5 }}",
    "HDF5Data": "hdf5_data_param { source: 'h5list' batch_size: 2 shuffle: true }",
    "WindowData": """transform_param { crop_size: 8 mirror: true } window_data_param {
        source: 'windows' batch_size: 4 fg_fraction: 0.5 fg_threshold: 0.5 bg_threshold: 0.5 }""",
    "DummyData": """dummy_data_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } shape { dim: 2 }
        data_filler { type: "gaussian" } data_filler { type: "constant" value: 1 } }""",
    "Python": "python_param { module: 'told' layer: 'Told' }",
}
TOLD = """
import numpy as np
import caffe

class Silent(caffe.Layer):
    def setup(self, bottom, top):
        self.rng = np.random.RandomState(3)
        top[0].reshape(1, 3, 8, 8)
        top[1].reshape(1)

    def reshape(self, bottom, top):
        pass

    def forward(self, bottom, top):
        top[0].data[...] = self.rng.standard_normal((1, 3, 8, 8))
        top[1].data[...] = self.rng.randint(3)

    def backward(self, top, propagate_down, bottom):
        pass

class Told(Silent):
    def resume_state(self):
        name, keys, *rest = self.rng.get_state()
        return [name, keys.tolist(), *rest]

    def resume_from(self, state):
        self.rng.set_state(state)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Data for every data layer."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(python_modules, "_allowed", {})
    caffe.allow_python_layers(tmp_path)
    (tmp_path / "told.py").write_text(TOLD)
    rng = np.random.RandomState(0)
    pixels = rng.randint(0, 255, (PICTURES, 12, 14, 3)).astype(np.uint8)
    for k in range(PICTURES):
        Image.fromarray(pixels[k]).save(f"{k}.png")
    lines = [f"{k}.png {k % 3}" for k in range(PICTURES)]
    (tmp_path / "list").write_text("\n".join(lines) + "\n")
    with database.create("lmdb", "db") as put:
        datums = [array_to_datum(pixels[k].transpose(2, 0, 1), k % 3) for k in range(PICTURES)]
        put([(b"%d" % k, datum.SerializeToString()) for k, datum in enumerate(datums)])
    for name, start in (("a.h5", 0), ("b.h5", 5)):
        with h5py.File(name, "w") as file:
            file["data"] = rng.standard_normal((5, 3, 8, 8))
            file["label"] = np.arange(start, start + 5) % 3
    (tmp_path / "h5list").write_text("a.h5\nb.h5\n")
    windows = ["2", "1 0.9 1 1 9 9", "0 0.1 2 2 11 10"]
    blocks = [[f"# {k}", f"{k}.png", "3", "12", "14", *windows] for k in range(3)]
    (tmp_path / "windows").write_text("\n".join(line for block in blocks for line in block) + "\n")
    return tmp_path


def write(data, type="SGD", format="BINARYPROTO", more=""):
    head = f'layer {{ name: "data" type: "{data}" top: "data" top: "label" {DATA[data]} }}'
    with open("net.prototxt", "w") as file:
        file.write(head + BODY)
    with open("solver.prototxt", "w") as file:
        file.write(SOLVER.format(type=type, format=format, more=more))


def begun():
    """A solver in a process whose random numbers are elsewhere."""
    caffe.set_random_seed(77)
    return caffe.get_solver("solver.prototxt")


def everything(solver):
    """All that a training has: weights, histories, iteration, the smoothed loss."""
    blobs = [blob for row in solver.net.params.values() for blob in row]
    values = [blob.data.tobytes() for blob in [*blobs, *solver.history]]
    return solver.iter, solver.current_step, solver.smoothed_loss, values


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("at", [4, 12])
def test_a_cut_training_equals_the_uncut_one(folder, data, at):
    write(data)
    uncut = caffe.get_solver("solver.prototxt")
    uncut.step(17)
    resumed = begun()
    resumed.restore(f"s_iter_{at}.solverstate")
    resumed.step(17 - at)
    assert everything(resumed) == everything(uncut)


@pytest.mark.parametrize("type", ["Adam", "Nesterov", "AdaDelta"])
@pytest.mark.parametrize("format, ending", [("BINARYPROTO", ""), ("HDF5", ".h5")])
def test_every_solver_and_both_formats(folder, type, format, ending):
    write("ImageData", type, format, "delta: 1e-6" if type == "AdaDelta" else "")
    uncut = caffe.get_solver("solver.prototxt")
    uncut.step(17)
    resumed = begun()
    resumed.restore(f"s_iter_8.solverstate{ending}")
    resumed.step(9)
    assert everything(resumed) == everything(uncut)


def test_cut_again_and_again_and_with_iter_size(folder):
    write("ImageData", more="iter_size: 2")
    uncut = caffe.get_solver("solver.prototxt")
    uncut.step(17)
    for at, steps in ((8, 4), (12, 4), (16, 1)):  # each writes the snapshot of the next anew
        resumed = begun()
        resumed.restore(f"s_iter_{at}.solverstate")
        resumed.step(steps)
    assert everything(resumed)[3] == everything(uncut)[3]


def test_caffes_two_files_are_as_they_were(folder):
    write("ImageData")
    solver = caffe.get_solver("solver.prototxt")
    solver.step(4)
    names = sorted(name for name in os.listdir() if name.startswith("s_iter_4"))
    assert names == ["s_iter_4.caffemodel", "s_iter_4.position.json", "s_iter_4.solverstate"]
    assert set(json.loads((folder / names[1]).read_text())["train"]) == {"data"}


def test_without_the_file_it_resumes_as_caffe_does_and_says_so(folder, monkeypatch):
    write("ImageData")
    caffe.get_solver("solver.prototxt").step(4)
    (folder / "s_iter_4.position.json").unlink()
    said = []
    monkeypatch.setattr("caffe.resuming.info", lambda where, text: said.append(text))
    solver = begun()
    solver.restore("s_iter_4.solverstate")
    assert solver.iter == 4 and len(said) == 1
    assert "no s_iter_4.position.json: data begin anew, and random numbers at the seed" in said[0]


def test_a_layer_that_does_not_tell_is_named(folder):
    write("Python")
    text = (folder / "net.prototxt").read_text().replace("'Told'", "'Silent'")
    (folder / "net.prototxt").write_text(text)
    caffe.get_solver("solver.prototxt").step(4)
    solver = begun()
    solver.restore("s_iter_4.solverstate")
    said = solver.restore_position("s_iter_4.solverstate")
    assert said == "layer data tells no resume_state: its data begin anew"


@pytest.mark.parametrize(
    "damage, said",
    [
        (lambda record: "{", "is damaged"),
        (lambda record: record | {"train": {"none": {}}}, "damaged, or of another net: 'none'"),
        (lambda record: record | {"train": {"data": 3}}, "damaged, or of another net"),
        (lambda record: record | {"generators": {"cpu": "AAAA"}}, "damaged, or of another net"),
        (lambda record: {}, "damaged, or of another net: 'format'"),
        (lambda record: [], "damaged, or of another net"),
    ],
)
def test_a_damaged_file_is_an_error_that_names_it(folder, damage, said):
    write("ImageData")
    caffe.get_solver("solver.prototxt").step(4)
    path = folder / "s_iter_4.position.json"
    changed = damage(json.loads(path.read_text()))
    path.write_text(changed if isinstance(changed, str) else json.dumps(changed))
    with pytest.raises(ValueError, match=f"s_iter_4.position.json .*{said}"):
        begun().restore("s_iter_4.solverstate")


def test_a_list_that_has_changed_is_an_error(folder):
    write("ImageData")
    caffe.get_solver("solver.prototxt").step(4)
    (folder / "list").write_text("0.png 0\n1.png 1\n2.png 2\n")
    with pytest.raises(ValueError, match="an order of 7 pictures, for a list of 3"):
        begun().restore("s_iter_4.solverstate")


def test_of_another_iteration(folder):
    write("ImageData")
    caffe.get_solver("solver.prototxt").step(8)
    os.replace("s_iter_8.position.json", "s_iter_4.position.json")
    solver = begun()
    solver.restore("s_iter_4.solverstate")
    assert "is of iteration 8, and the state of 4" in solver.restore_position(
        "s_iter_4.solverstate"
    )
