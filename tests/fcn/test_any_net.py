"""Any net: its files, class names, mean and inputs, from wherever they are stated."""

import numpy as np
import pytest
from places import ROOT

import caffe
from caffe import layers as L
from caffe.proto import caffe_pb2
from fcn import any_net
from fcn.tasks import PASCALCONTEXT, SIFTFLOW, VOC

NAMES = ("background", "aeroplane", "bicycle")
INPUT = 'layer {{ name: "in" type: "Input" top: "data" input_param {{ shape {{ dim: {} }} }} }}'


def own(model, name="mine"):
    """The tiny model under a name that tells nothing."""
    model.joinpath("voc-tiny.caffemodel").rename(model / f"{name}.caffemodel")
    return model.rename(model.with_name(name))


@pytest.mark.parametrize(
    "name, task", [("voc-fcn8s", VOC), ("pascalcontext-fcn32s", PASCALCONTEXT)]
)
def test_published_models(name, task, tmp_path):
    (tmp_path / "w.caffemodel").touch()
    found = any_net.find(name, tmp_path / "w.caffemodel")
    assert found.names_of("score", task.classes) == task.dataset.classes
    np.testing.assert_allclose(found.mean, task.mean, rtol=1e-6)
    assert found.model == name and found.kinds == {"data": "color"}


def test_two_kinds_of_names(tmp_path):
    (tmp_path / "w.caffemodel").touch()
    found = any_net.find(ROOT / "siftflow-fcn8s", tmp_path / "w.caffemodel")
    for blob, names in (
        ("score_sem", SIFTFLOW.dataset.classes),
        ("score_geo", SIFTFLOW.dataset.geo_classes),
    ):
        assert found.names_of(blob, len(names)) == names
    given = any_net.find(ROOT / "siftflow-fcn8s", tmp_path / "w.caffemodel", names=["a", "b"])
    assert given.names_of("score_sem", 2) == ("a", "b")
    assert given.names_of("score_geo", 3) == SIFTFLOW.dataset.geo_classes


def test_a_folder_of_one_s_own(model):
    found = any_net.find(own(model))
    assert found.names_of("score", 3) == NAMES and found.mean == (90, 95, 100)
    assert found.prototxt.name == "val.prototxt" and found.weights.name == "mine.caffemodel"
    assert found.load().blobs["score"].shape[1] == 3


def test_files_of_any_name_if_there_is_one(model, capsys):
    folder = own(model)
    (folder / "train.prototxt").rename(folder / "train_all.prototxt")
    (folder / "val.prototxt").rename(folder / "net.prototxt")
    (folder / "mine.caffemodel").rename(folder / "epoch7.caffemodel")
    found = any_net.find(folder)
    assert (found.prototxt.name, found.weights.name) == ("net.prototxt", "epoch7.caffemodel")
    assert "epoch7.caffemodel, the only caffemodel there" in capsys.readouterr().out
    (folder / "epoch8.caffemodel").touch()
    with pytest.raises(FileNotFoundError, match="no weights for"):
        any_net.find(folder)
    (folder / "other.prototxt").touch()
    with pytest.raises(FileNotFoundError, match="no prototxt of"):
        any_net.find(folder)


def test_a_prototxt_with_what_belongs_to_it(model, tmp_path):
    weights = model / "voc-tiny.caffemodel"
    found = any_net.find(
        str(model / "val.prototxt"), str(weights), names=NAMES[::-1], mean="1, 2,3"
    )
    assert found.names_of("score", 3) == NAMES[::-1] and found.mean == (1, 2, 3)
    with pytest.raises(
        ValueError, match="val.prototxt: a prototxt needs its weights, by --weights"
    ):
        any_net.find(model / "val.prototxt")
    with pytest.raises(FileNotFoundError, match="no weights file .*gone"):
        any_net.find(model / "val.prototxt", "gone.caffemodel")
    with pytest.raises(FileNotFoundError, match="no prototxt .*gone.prototxt"):
        any_net.find("gone.prototxt", weights)


def test_a_folder_named_as_a_data_set_s_is_not_taken_for_it(model):
    """voc-mine with 3 channels is not VOC's 21 classes."""
    (model / "classes.txt").unlink()
    with pytest.raises(ValueError) as error:
        any_net.find(model).names_of("score", 3)
    for word in ("so nobody knows", "classes.txt", "--names"):
        assert word in str(error.value)


def test_as_many_names_as_channels(model):
    (model / "classes.txt").write_text("background\n")
    with pytest.raises(
        ValueError, match="score has 3 channels, a class each, but .*classes.txt has 1 name"
    ):
        any_net.find(model).names_of("score", 3)
    with pytest.raises(ValueError, match=r"but --names \(names=\) has 2 names"):
        any_net.find(model, names=["a", "b"]).names_of("score", 3)
    with pytest.raises(ValueError, match="300 channels; a picture of classes holds 256"):
        any_net.find(model, names=list(map(str, range(300)))).names_of("score", 300)


def test_no_names_at_all(model):
    folder = own(model)
    (folder / "classes.txt").unlink()
    with pytest.raises(
        ValueError, match="nobody knows what the classes of .*mine are called. Way out"
    ):
        any_net.find(folder).names_of("score", 3)


@pytest.mark.parametrize(
    "text, said",
    [("a\n\nb\na\n", "lines 1 and 4 are both 'a'"), ("", None)],
)
def test_lists_of_names(tmp_path, text, said):
    path = tmp_path / "names.txt"
    path.write_text(text)
    if said is None:
        assert any_net.read_names(path) == ()
        path.write_bytes("\ufeff# names\ncafé\r\n\r\n zoo \r\n\r\n".encode())
        assert any_net.read_names(str(path)) == ("café", "zoo")
        return
    with pytest.raises(ValueError, match=f"names.txt: {said}"):
        any_net.read_names(path)


# ---- means


def test_files_of_means(tmp_path):
    wanted = (1.5, 2, 3)
    picture = np.tile(np.array(wanted)[:, None, None], (1, 4, 5))
    (tmp_path / "mean.txt").write_text("1.5 2\n3\n")
    np.save(tmp_path / "mean.npy", picture)
    np.save(tmp_path / "three.npy", np.array(wanted))
    (tmp_path / "mean.binaryproto").write_bytes(
        caffe.io.array_to_blobproto(picture[None]).SerializeToString()
    )
    for name in ("mean.txt", "mean.npy", "three.npy", "mean.binaryproto"):
        assert any_net.read_mean(tmp_path / name) == wanted, name
    assert any_net.read_mean("7") == any_net.read_mean([7]) == any_net.read_mean(7) == (7, 7, 7)
    assert any_net.read_mean("-1,2.5e1,0") == (-1, 25, 0)


@pytest.mark.parametrize("mean", ["1,2", "1,2,3,4", [1, 2], ["a", "b", "c"], [np.nan, 1, 2]])
def test_what_is_no_mean(mean):
    with pytest.raises(ValueError, match="a mean is three numbers, B,G,R, or one for all"):
        any_net.read_mean(mean)


DATA = """layer {{ name: "data" type: "ImageData" top: "data" top: "label" include {{ phase: TRAIN }}
  transform_param {{ {} }} }}
"""


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """bare(inside): a folder with a deploy net, and a train net whose data layer states `inside`."""
    monkeypatch.chdir(tmp_path)

    def build(inside=None):
        folder = tmp_path / "mine"
        folder.mkdir(exist_ok=True)
        n = caffe.NetSpec()
        n.data = L.Input(input_param=dict(shape=dict(dim=[1, 3, 9, 9])))
        n.score = L.Convolution(n.data, num_output=3, kernel_size=1)
        (folder / "deploy.prototxt").write_text(str(n.to_proto()))
        if inside is not None:
            (folder / "train_val.prototxt").write_text(DATA.format(inside))
        caffe.Net(str(folder / "deploy.prototxt"), caffe.TEST).save(str(folder / "w.caffemodel"))
        return folder

    return build


def test_the_mean_of_a_data_layer_beside(bare, tmp_path):
    assert any_net.find(bare("mean_value: 1 mean_value: 2 mean_value: 3")).mean == (1, 2, 3)
    blob = caffe_pb2.BlobProto(num=1, channels=3, height=1, width=2, data=[1, 3, 5, 5, 7, 7])
    (tmp_path / "m.binaryproto").write_bytes(blob.SerializeToString())
    assert any_net.find(bare('mean_file: "m.binaryproto"')).mean == (2, 5, 7)


def test_the_mean_of_a_file_beside(bare):
    folder = bare()
    (folder / "solver.prototxt").write_text('net: "train_val.prototxt"')
    with pytest.raises(ValueError, match="deploy.prototxt: the mean .* Way out: --mean B,G,R"):
        any_net.find(folder)
    (folder / "mean.txt").write_text("4,5,6")
    assert any_net.find(folder).mean == (4, 5, 6)
    assert any_net.find(folder, mean=[0, 0, 0]).mean == (0, 0, 0)


def test_scaled_pixels_are_refused(bare):
    with pytest.raises(ValueError, match=r"'data' \(ImageData\) scales pixels by 0.5"):
        any_net.find(bare("scale: 0.5 mean_value: 1"))


# ---- inputs


@pytest.mark.parametrize(
    "text, said",
    [
        (
            INPUT.format("[1, 1, 5, 5]"),
            r"input data has shape \[1, 1, 5, 5\]; color is 1 x 3 x H x W",
        ),
        ("", "no layer reads pictures"),
    ],
)
def test_nets_that_read_something_else(tmp_path, text, said):
    use = 'layer { name: "relu" type: "ReLU" bottom: "data" top: "out" }' if text else ""
    (tmp_path / "net.prototxt").write_text(text + use)
    with pytest.raises(ValueError, match=said):
        any_net.input_kinds(tmp_path / "net.prototxt")


def test_a_foreign_python_layer_s_param_str_is_its_own(tmp_path):
    (tmp_path / "net.prototxt").write_text(
        'layer { name: "d" type: "Python" top: "data" python_param { module: "m" layer: "l" '
        'param_str: "--fast" } } layer { name: "relu" type: "ReLU" bottom: "data" top: "out" }'
    )
    assert any_net.input_kinds(tmp_path / "net.prototxt") == {"data": "color"}
