"""Files that prototxts name: written only where the caller works, and never read from a device."""

import os

import h5py
import numpy as np
import pytest

import caffe
from caffe.files import allowed

LAYERS = (
    'layer { name: "x" type: "DummyData" top: "x" top: "y" '
    "dummy_data_param { shape { dim: 2 dim: 3 } } }\n"
)
OUTPUT = LAYERS + (
    'layer { name: "o" type: "HDF5Output" bottom: "x" bottom: "y" hdf5_output_param '
    '{ file_name: "%s" } }'
)
PRODUCT = (
    'layer { name: "p" type: "InnerProduct" bottom: "x" top: "z" '
    "inner_product_param { num_output: 1 } }"
)
SOLVER = 'train_net: "net.prototxt" base_lr: 1 lr_policy: "fixed" snapshot_prefix: "{}" {}'


@pytest.fixture(autouse=True)
def nothing_allowed(monkeypatch, tmp_path):
    """The working directory is `work`, and nets lie in `nets`."""
    monkeypatch.setattr(allowed, "_writable", [])
    monkeypatch.setattr(allowed, "_readable", None)
    for name in ("work", "nets", "else"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "work")


def net(tmp_path, text):
    path = tmp_path / "nets" / "net.prototxt"
    path.write_text(text)
    return caffe.Net(str(path), caffe.TEST)


@pytest.mark.parametrize("place", ["out.h5", "{0}/work/out.h5", "{0}/nets/../nets/out.h5"])
def test_output_where_the_caller_works(tmp_path, place):
    net(tmp_path, OUTPUT % place.format(tmp_path)).forward()
    with h5py.File(place.format(tmp_path)) as file:
        assert file["data"].shape == (2, 3, 1, 1)


@pytest.mark.parametrize("place", ["../out.h5", "{0}/else/out.h5", "../work2/out.h5"])
def test_output_elsewhere(tmp_path, place):
    text = OUTPUT % place.format(tmp_path)
    with pytest.raises(ValueError, match=r"layer 'o' \(HDF5Output\): .* leads to ") as caught:
        net(tmp_path, text)
    folder = os.path.dirname(os.path.abspath(place.format(tmp_path)))
    assert f"caffe.allow_writing('{folder}')" in str(caught.value)
    os.makedirs(folder, exist_ok=True)
    caffe.allow_writing(folder)
    net(tmp_path, text).forward()


def test_output_writes_over_no_other_kind_of_file(tmp_path):
    (tmp_path / "work" / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match="is there, and no HDF5 file: it is not written over"):
        net(tmp_path, OUTPUT % "thesis.txt")
    (tmp_path / "else" / "rc").write_text("export PATH")
    (tmp_path / "work" / "link").symlink_to(tmp_path / "else" / "rc")
    with pytest.raises(ValueError, match="link is a link to .*rc: remove it first"):
        net(tmp_path, OUTPUT % "link")
    assert (tmp_path / "else" / "rc").read_text() == "export PATH"


def solver(tmp_path, prefix, more="snapshot: 1"):
    net(tmp_path, LAYERS + PRODUCT)
    os.replace(tmp_path / "nets" / "net.prototxt", tmp_path / "work" / "net.prototxt")
    path = tmp_path / "nets" / "solver.prototxt"
    path.write_text(SOLVER.format(prefix, more))
    return caffe.SGDSolver(str(path))


def test_snapshots_where_the_caller_works(tmp_path):
    solver(tmp_path, "s").snapshot()
    solver(tmp_path, f"{tmp_path}/nets/s").snapshot()
    (tmp_path / "work" / "big").symlink_to(
        tmp_path / "else"
    )  # the caller's own link to a large disk
    solver(tmp_path, "big/s").snapshot()
    assert (tmp_path / "else" / "s_iter_0.caffemodel").exists()


def test_snapshots_elsewhere(tmp_path):
    prefix = f"{tmp_path}/else/s"
    with pytest.raises(ValueError, match="solver.prototxt: snapshot_prefix: .*allow_writing"):
        solver(tmp_path, prefix)
    made = solver(tmp_path, prefix, "")  # it may never write a snapshot
    with pytest.raises(ValueError, match="snapshot_prefix: .*allow_writing"):
        made.snapshot()
    assert not list((tmp_path / "else").iterdir())
    made.param.snapshot_prefix = f"{tmp_path}/else/mine"  # the caller's own choice
    made.snapshot()
    assert (tmp_path / "else" / "mine_iter_0.caffemodel").exists()


SOURCES = {
    "ImageData": "image_data_param {{ source: '{0}' batch_size: 1 }}",
    "HDF5Data": "hdf5_data_param {{ source: '{0}' batch_size: 1 }}",
    "Data": "data_param {{ source: '{0}' batch_size: 1 backend: LMDB }}",
    "WindowData": "window_data_param {{ source: '{0}' batch_size: 1 }} transform_param {{ crop_size: 9 }}",
    "ImageSegData": "image_data_param {{ source: '{0}' batch_size: 1 }}",
    "MatRead": "mat_read_param {{ source: '{0}' }}",
}


@pytest.mark.parametrize("kind", SOURCES)
def test_a_source_that_never_ends(tmp_path, kind):
    os.mkfifo("pipe")
    for source in ("/dev/zero", "pipe"):
        text = SOURCES[kind].format(source)
        tops = 'top: "a"' + ' top: "b" top: "c"' * (kind == "ImageSegData")
        with pytest.raises(ValueError, match="layer 'd' .*a device, a pipe or a socket"):
            net(tmp_path, f'layer {{ name: "d" type: "{kind}" {tops} {text} }}')


def test_a_picture_and_a_mean_that_never_end(tmp_path):
    (tmp_path / "work" / "list").write_text("/dev/zero 1\n")
    text = 'layer { name: "d" type: "ImageData" top: "a" image_data_param { source: "list" '
    for more in ("", "transform_param { mean_file: '/dev/zero' }"):
        with pytest.raises(ValueError, match="layer 'd' .*/dev/zero is a device"):
            net(tmp_path, f"{text} batch_size: 1 }} {more} }}")


def test_reading_below_some_folders_alone(tmp_path):
    for folder in ("work", "else"):
        with h5py.File(tmp_path / folder / "a.h5", "w") as file:
            file["a"] = np.zeros((1, 2))
    text = 'layer { name: "d" type: "HDF5Data" top: "a" hdf5_data_param { source: "list" batch_size: 1 } }'
    (tmp_path / "work" / "list").write_text(f"{tmp_path}/else/a.h5\n")
    net(tmp_path, text)
    caffe.read_only_below(tmp_path / "work")
    with pytest.raises(ValueError, match="layer 'd' .* files are read below .*read_only_below"):
        net(tmp_path, text)
    (tmp_path / "work" / "list").write_text("a.h5\n")
    net(tmp_path, text)


def test_folders_that_are_not_there():
    for call in (caffe.allow_writing, caffe.read_only_below):
        with pytest.raises(NotADirectoryError, match="there is no folder nowhere"):
            call("nowhere")
