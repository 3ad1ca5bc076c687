"""Input, DummyData, Parameter, MemoryData, HDF5Data, HDF5Output."""

import h5py
import numpy as np
import pytest
from gradient_check import Layers, build

import caffe
from caffe.blob import Blob


def test_input_takes_one_shape_or_one_for_each_top():
    one = Layers('type: "Input" input_param { shape { dim: 2 dim: 3 } }', tops=2)
    assert [list(top.shape) for top in one.top] == [[2, 3], [2, 3]]
    two = Layers('type: "Input" input_param { shape { dim: 2 } shape { } }', tops=2)
    assert [list(top.shape) for top in two.top] == [[2], []]
    with pytest.raises(ValueError, match="one for each of 3 tops; got 2"):
        Layers('type: "Input" input_param { shape { dim: 2 } shape { } }', tops=3)


def test_dummy_data_fills_constants_once_and_draws_the_rest_anew():
    run = Layers(
        'type: "DummyData" dummy_data_param { shape { dim: 2 } data_filler { value: 1 } '
        'data_filler { type: "uniform" min: 2 max: 3 } }',
        tops=2,
    )
    assert run.top[0].data.tolist() == [1, 1]
    run.top[0].data[...] = 9
    before = run.top[1].data.copy()
    run.layer.forward([], run.top)
    assert run.top[0].data.tolist() == [9, 9]
    assert (run.top[1].data != before).all() and (run.top[1].data >= 2).all()


def test_dummy_data_of_old_prototxts():
    text = "num: 2 num: 4 channels: 3 height: 5 width: 6 width: 1"
    run = Layers(f'type: "DummyData" dummy_data_param {{ {text} }}', tops=2)
    assert [list(top.shape) for top in run.top] == [[2, 3, 5, 6], [4, 3, 5, 1]]


@pytest.mark.parametrize(
    "text, message",
    [
        ("shape { dim: 2 } shape { dim: 2 }", "one for each of 3 tops; got 2"),
        ("shape { dim: 2 } num: 1", "either shape, or num"),
        ("num: 1 channels: 2", "must each be given once"),
        ("shape { dim: 2 } data_filler { } data_filler { }", "one for each of 3 tops"),
    ],
)
def test_dummy_data_errors(text, message):
    with pytest.raises(ValueError, match=message):
        Layers(f'type: "DummyData" dummy_data_param {{ {text} }}', tops=3)


def test_a_parameter_is_its_top():
    run = Layers('type: "Parameter" parameter_param { shape { dim: 2 dim: 3 } }')
    run.params[0].data[...] = 4
    assert (run.forward()[0] == 4).all() and run.forward()[0].shape == (2, 3)
    assert np.shares_memory(run.top[0].diff, run.params[0].diff)


# -- MemoryData --

MEMORY = 'type: "MemoryData" memory_data_param { batch_size: 2 channels: 1 height: 2 width: 3 }'


def arrays(shape=(4, 1, 2, 3), labels=4, dtype=np.float32):
    data = np.arange(np.prod(shape), dtype=dtype).reshape(shape)
    return data, np.arange(labels, dtype=np.float32)


def test_memory_data_goes_round_and_sees_later_changes():
    run = Layers(MEMORY, tops=2)
    assert list(run.top[1].shape) == [2]
    data, labels = arrays()
    run.layer.set_input_arrays(data, labels)
    for wanted in ([0, 1], [2, 3], [0, 1]):
        pictures, label = run.forward()
        assert label.shape == (2, 1, 1, 1) and label.ravel().tolist() == wanted
        np.testing.assert_array_equal(pictures, data[wanted])
    data[2] = 77
    assert (run.forward()[0][0] == 77).all()


@pytest.mark.parametrize(
    "pair, message",
    [
        (arrays(dtype=np.float64), "data array must be float32"),
        (arrays((4, 2, 2, 3)), "data array has wrong number of channels"),
        (arrays((4, 1, 3, 3)), "data array has wrong height"),
        (arrays((4, 1, 2, 2)), "data array has wrong width"),
        (arrays((4, 2, 3)), "data array must be 4-d"),
        ((arrays((4, 1, 3, 2))[0].transpose(0, 1, 3, 2), np.zeros(4, np.float32)), "C contiguous"),
        (
            arrays((3, 1, 2, 3), 3),
            "first dimensions of input arrays must be a multiple of batch size",
        ),
        (arrays(labels=2), "data and labels must have the same first dimension"),
    ],
)
def test_memory_data_errors_are_pycaffes(pair, message):
    with pytest.raises(RuntimeError, match=message):
        Layers(MEMORY, tops=2).layer.set_input_arrays(*pair)


def test_memory_data_without_data():
    with pytest.raises(ValueError, match="call net.set_input_arrays"):
        Layers(MEMORY, tops=2).forward()


# -- HDF5 --


@pytest.fixture
def files(tmp_path):
    """Files of three and two rows, counting on; and their list."""
    paths = []
    for name, rows in (("a", range(0, 3)), ("b", range(3, 5))):
        path = tmp_path / f"{name}.h5"
        with h5py.File(path, "w") as file:
            file["data"] = np.array([[row, row + 0.5] for row in rows])
            file["label"] = np.array(rows)
        paths.append(str(path))
    source = tmp_path / "list.txt"
    source.write_text("\n".join(paths) + "\n")
    return source


def hdf5(source, text="batch_size: 2", tops=("data", "label")):
    layer = build(f'type: "HDF5Data" hdf5_data_param {{ source: "{source}" {text} }}', tops=tops)
    blobs = [Blob(()) for _ in tops]
    layer.setup([], blobs)
    return layer, blobs


def read(layer, blobs):
    layer.forward([], blobs)
    return [blob.data.copy() for blob in blobs]


def test_hdf5_batches_run_on_into_the_next_file(files):
    layer, blobs = hdf5(files)
    assert [list(blob.shape) for blob in blobs] == [[2, 2], [2]]
    seen = [read(layer, blobs) for _ in range(5)]
    assert [label.tolist() for _, label in seen] == [[0, 1], [2, 3], [4, 0], [1, 2], [3, 4]]
    assert all((data[:, 0] == label).all() for data, label in seen)


def test_hdf5_shuffles_every_round_anew(files):
    caffe.set_random_seed(7)
    layer, blobs = hdf5(files, "batch_size: 5 shuffle: true")
    orders = [tuple(read(layer, blobs)[1]) for _ in range(8)]
    assert all(sorted(order) == [0, 1, 2, 3, 4] for order in orders)
    assert len(set(orders)) > 2


def test_hdf5_errors(files, tmp_path):
    with pytest.raises(ValueError, match="no.txt"):
        hdf5(tmp_path / "no.txt")
    with pytest.raises(
        ValueError, match="no dataset 'nope', the name of a top; it has data, label"
    ):
        hdf5(files, tops=("data", "nope"))
    (tmp_path / "gone.txt").write_text("gone.h5\n")
    with pytest.raises(ValueError, match="cannot read gone.h5"):
        hdf5(tmp_path / "gone.txt")
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(ValueError, match="lists no HDF5 files"):
        hdf5(tmp_path / "empty.txt")
    with pytest.raises(ValueError, match="batch_size must be given"):
        hdf5(files, "")


def test_hdf5_output_holds_one_batch(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "out.h5"
    run = Layers(
        f'type: "HDF5Output" hdf5_output_param {{ file_name: "{path}" }}',
        [(2, 3), (2, 1, 1)],
        tops=0,
    )
    run.randomize(-1, 1, {})
    run.forward()
    with h5py.File(path) as file:
        assert {name: file[name].shape for name in file} == {
            "data": (2, 3, 1, 1),
            "label": (2, 1, 1, 1),
        }
        np.testing.assert_array_equal(file["data"][:, :, 0, 0], run.bottom[0].data)
        np.testing.assert_array_equal(file["label"][:, 0, 0, 0], run.bottom[1].data.ravel())
    with pytest.raises(ValueError, match="holds a batch already"):
        run.forward()
