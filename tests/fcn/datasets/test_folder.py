"""Users' own folders: the data layer, `fcn data check`, and the task of a model folder."""

import numpy as np
import pytest
from PIL import Image
from trees import bgr_minus, build, fails, palette_png, pattern, picture, text, visit

import caffe
from fcn import prototxts
from fcn.cli import main
from fcn.datasets.folder import FolderDataLayer, folder_dataset
from fcn.nets import score, seg_loss
from fcn.tasks import Task, task_of

MEAN = (80.0, 90.5, 100.0)
# id: (picture's ending, height and width, what the mask holds)
SCENES = {
    "north/a": (".JPG", (21, 33), [0, 1, 2]),
    "south/a": (".png", (17, 40), [2, 255, 0]),
    "b.v2": (".jpeg", (30, 12), [1, 1, 2]),
    "Zürich 3": (".tif", (25, 25), [0, 2]),
}


@pytest.fixture
def folders(tmp_path):
    """Pictures and masks in sub-folders, with lists and three classes in a model folder."""
    for k, (id, (ending, size, values)) in enumerate(SCENES.items()):
        picture(size, k, tmp_path / "pictures" / f"{id}{ending}")
        palette_png(tmp_path / "masks" / f"{id}_mask.png", pattern(size, values))
    text(tmp_path / "mine/train.txt", "north/a", "b.v2")
    text(tmp_path / "mine/val.txt", "south/a", "Zürich 3")
    text(tmp_path / "mine/classes.txt", "ground", "tree", "", "house ")
    return tmp_path


def params(root, split="val", **more):
    own = {key: str(root / name) for key, name in FOLDERS.items()}
    return own | {"split": split, "mean": MEAN, "classes": 3, "mask_end": "_mask"} | more


FOLDERS = {"images_dir": "pictures", "masks_dir": "masks", "lists_dir": "mine"}


def write_model(folder, classes=3, up="../", mean=MEAN):
    """Prototxts and solver of a net on the folders, by what a net.py would say."""
    folder.mkdir(exist_ok=True)
    dataset = folder_dataset(
        str(folder / "net.py"), f"{up}pictures", f"{up}masks", mean, mask_end="_mask"
    )
    for stem, split in dataset.nets.items():
        n = caffe.NetSpec()
        Task(dataset).data(n, split)
        n.score = score(n.data, classes)
        n.loss = seg_loss(n.score, n.label, normalize=True)
        (folder / f"{stem}.prototxt").write_text(prototxts.text_of(n.to_proto()))
    (folder / "solver.prototxt").write_text('train_net: "train.prototxt" test_net: "val.prototxt"')


# ---- the data layer


def test_pictures_and_masks(folders):
    layer, blobs = build(FolderDataLayer, params(folders))
    for id, (data, label) in zip(["south/a", "Zürich 3"], visit(layer, blobs, 2)):
        ending, size, values = SCENES[id]
        path = folders / "pictures" / f"{id}{ending}"
        np.testing.assert_array_equal(data, bgr_minus(path, MEAN))
        np.testing.assert_array_equal(label[0, 0], pattern(size, values))
    north = FolderDataLayer.reader(**params(folders, "train"))
    assert north.load_image("north/a").shape == (3, 21, 33)  # not the other a


def test_pictures_beside_masks_of_the_same_name(folders, tmp_path):
    picture((9, 8), 3, tmp_path / "pictures/both.jpg")
    palette_png(tmp_path / "pictures/both.png", pattern((9, 8), [0, 1]))
    same = params(folders, masks_dir=str(tmp_path / "pictures"), mask_end="")
    reader = FolderDataLayer.reader(**same)
    assert [array.dtype.name for array in reader.load_all("both")] == ["float32", "uint8"]


def test_training_pictures_are_shuffled_by_the_seed(folders):
    text(folders / "mine/train.txt", *SCENES)
    orders = []
    for seed in (1, 1, 2):
        layer, blobs = build(FolderDataLayer, params(folders, "train", seed=seed))
        orders.append([data.shape for data, _ in visit(layer, blobs, 12)])
    assert orders[0] == orders[1] != orders[2]


@pytest.mark.parametrize(
    "more, error, words",
    [
        (dict(images_dir="none"), FileNotFoundError, ["no folder", "none", "net.py"]),
        (dict(classes=1), ValueError, ["classes must be a number from 2 to 255, got 1"]),
        (dict(mean=(1, 2)), ValueError, ["mean must be three numbers"]),
        (dict(mask_end=""), FileNotFoundError, ["2 files", "south/a.png"]),
        (dict(batch_size=4), KeyError, ["iter_size"]),
        (dict(split="test"), FileNotFoundError, ["no split 'test'"]),
        (dict(classes=2), ValueError, ["label values 2 are out of range: 0 to 1"]),
    ],
)
def test_what_does_not_do_is_said(folders, more, error, words):
    fails(FolderDataLayer, params(folders) | more, error, *words)


# ---- the task of a folder


def test_a_folder_with_classes_has_a_task_of_its_own(folders, monkeypatch):
    monkeypatch.chdir(folders)
    write_model(folders / "mine")
    for name in ("mine", "./mine/", str(folders / "mine")):
        task = task_of(name)
        assert task.dataset.classes == ("ground", "tree", "house") == task.names_of("score")
        assert (task.mean, task.nets) == (MEAN, {"train": "train", "val": "val"})
        assert task.normalize and task.dataset.scored == {"score": "label"}
    n = caffe.NetSpec()
    task.data(n, "val")
    assert n.to_proto().layer == prototxts.read_net("mine/val.prototxt").layer[:1]


def test_stages_have_the_classes_of_the_folder_above(folders):
    write_model(folders / "mine/fcn32s", up="../../")
    assert task_of(str(folders / "mine/fcn32s")).dataset.classes == ("ground", "tree", "house")
    net = prototxts.read_net(folders / "mine/fcn32s/train.prototxt")
    assert prototxts.data_layers(net)[0][1]["lists_dir"] == ".."


@pytest.mark.parametrize("name", ["voc-mine", "voc-fcn8s", "anything"])
def test_names_of_folders_do_not_matter(folders, name):
    """A folder called voc-mine has its own classes, and no bicycles."""
    (folders / "mine").rename(folders / name)
    write_model(folders / name)
    assert task_of(str(folders / name)).dataset.classes[2] == "house"
    (folders / name / "classes.txt").unlink()
    with pytest.raises(ValueError, match=r"21 classes.* 3 channels|no classes.txt"):
        task_of(str(folders / name))


def test_a_count_that_differs_from_the_names_is_an_error(folders):
    write_model(folders / "mine", classes=4)
    with pytest.raises(ValueError, match=r"classes.txt has 3 classes, but blob 'score'.* 4 chan"):
        task_of(str(folders / "mine"))
    deployed = prototxts.deploy(prototxts.read_net(folders / "mine/val.prototxt"))
    for path in (folders / "mine").glob("*.prototxt"):
        path.unlink()
    (folders / "mine/deploy.prototxt").write_text(prototxts.text_of(deployed))
    with pytest.raises(ValueError, match="4 channels"):
        task_of(str(folders / "mine"))
    text(folders / "mine/classes.txt", "")
    with pytest.raises(ValueError, match="names no class"):
        task_of(str(folders / "mine"))


# ---- fcn data check, fcn data upper-bound


def checked(folder, capsys):
    status = main(["data", "check", str(folder)])
    return status, "".join(capsys.readouterr())


@pytest.mark.parametrize("stage", ["", "fcn32s"])
def test_check_reads_any_folder(folders, stage, capsys):
    means = np.zeros(3)
    for id in ("north/a", "b.v2"):
        means += bgr_minus(folders / f"pictures/{id}{SCENES[id][0]}", (0, 0, 0))[0].mean((1, 2)) / 2
    model = folders / "mine" / stage
    write_model(model, up="../../" if stage else "../", mean=tuple(np.round(means, 1).tolist()))
    status, out = checked(folders / "mine", capsys)
    assert status == 0 and "no problems" in out and out.count("2 pairs read") == 2
    assert "2 house" in out and "255 void" in out
    assert main(["data", "upper-bound", str(folders / "mine"), "--strides", "1"]) == 0
    assert "mine val label: 2 pictures, 3 classes" in capsys.readouterr().out


def test_check_finds_what_is_wrong_in_any_folder(folders, capsys):
    write_model(folders / "mine")
    text(folders / "mine/val.txt", *(f"gone{k:03}" for k in range(170)))
    Image.new("RGB", (33, 21)).save(folders / "masks/north/a_mask.png")
    status, out = checked(folders / "mine", capsys)
    assert status == 1 and "a_mask.png: label is a RGB picture" in out
    assert out.count("missing: ") == 5 and "and 335 more of this kind" in out
    assert "gone001" in out and "gone003" not in out


def test_check_without_a_net_or_a_folder(folders, capsys):
    status, out = checked(folders / "mine", capsys)
    assert status == 2 and "no net in" in out and "Traceback" not in out
    status, out = checked(folders / "pictures", capsys)
    assert status == 2 and "voc, nyud" in out and "classes.txt" in out
