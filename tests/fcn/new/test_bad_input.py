"""`fcn new` on what is wrong: all of it is listed, with counts, the first five by name; nothing is left."""

import shutil

import pytest
from own_folders import COLOURS, colours, grey, labelme, new, palette, refused, scene, values, write
from PIL import Image

from fcn.cli import main
from fcn.new import mapping

NAMES = [f"p{k}" for k in range(8)]


# ---- pairs


def test_pictures_and_masks_without_a_partner(tmp_path, capsys):
    write(tmp_path, [f"p{k:02}" for k in range(12)], grey)
    for k in range(7):
        (tmp_path / f"masks/p{k:02}.png").unlink()
    (tmp_path / "pictures/p11.jpg").unlink()
    out = refused(tmp_path, capsys=capsys)
    assert "7 pictures have no mask" in out and "1 mask has no picture" in out
    assert "p04.jpg and 2 more" in out and "p05" not in out and "p11.png" in out
    status, out = new(tmp_path, "--skip", capsys=capsys)
    assert status == 0 and "left out: 7 pictures" in out and "4 pairs" in out


def test_sub_folders_are_kept_apart(tmp_path, capsys):
    write(tmp_path, ["north/a", "south/b", "c"], grey)
    write(tmp_path / "other", ["south/a"], grey)
    (tmp_path / "masks/north/a.png").unlink()
    shutil.copy(tmp_path / "other/masks/south/a.png", tmp_path / "masks/south/a.png")
    out = refused(tmp_path, capsys=capsys)
    assert "1 picture has no mask" in out and "north/a.jpg" in out and "south/a.png" in out


@pytest.mark.parametrize(
    "picture, mask, how",
    [
        (
            "x{}_leftImg8bit.png",
            "x{}_gtFine_labelIds.png",
            "'x*_leftImg8bit', masks 'x*_gtFine_label",
        ),
        ("image_{}.JPG", "label_{}.png", "'image_*', masks 'label_*'"),
        ("{}.jpeg", "{}-seg.PNG", "'-seg' behind"),
    ],
)
def test_how_pairs_are_found(tmp_path, picture, mask, how, capsys):
    for k in range(6):
        pixels, labels = scene(k)
        for name, array in ((f"images/{picture}", pixels), (f"masks/{mask}", labels)):
            path = tmp_path / name.format(k)
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(array).save(path)
    status, out = new(tmp_path, "--images", tmp_path / "images", capsys=capsys)
    assert status == 0 and "6 pairs" in out and how in out
    if "behind" not in how:  # names that the data layer cannot find: masks are written anew
        assert (tmp_path / "mine/masks").is_dir()
    assert main(["data", "check", str(tmp_path / "mine")]) == 0


@pytest.mark.parametrize("end", ["", "_m"])
def test_numbered_names_are_not_taken_for_one_another(tmp_path, end, capsys):
    """p10 is not p1 with a 0 behind."""
    write(tmp_path, [f"p{k}" for k in range(32)], grey, end=end)
    status, out = new(tmp_path, capsys=capsys)
    assert status == 0 and "32 pairs" in out, out
    for path in (tmp_path / "masks").iterdir():
        path.rename(tmp_path / "pictures" / path.name)
    (tmp_path / "mine").rename(tmp_path / "first")
    status, out = new(tmp_path, "--masks", tmp_path / "pictures", capsys=capsys)
    assert status == 0 and "32 pairs" in out, out


@pytest.mark.parametrize("end, picture", [("_mask", ".png"), ("", ".jpg")])
def test_masks_beside_the_pictures(tmp_path, end, picture, capsys):
    write(tmp_path, NAMES, grey, picture=picture, end=end)
    for path in (tmp_path / "masks").iterdir():
        path.rename(tmp_path / "pictures" / path.name)
    status, out = new(tmp_path, "--masks", tmp_path / "pictures", capsys=capsys)
    assert status == 0 and "8 pairs" in out and "as they are" in out
    assert main(["data", "check", str(tmp_path / "mine")]) == 0


def test_masks_in_a_folder_of_the_pictures_folder(tmp_path, capsys):
    write(tmp_path, NAMES, grey, picture=".png")
    shutil.move(tmp_path / "masks", tmp_path / "pictures/masks")
    status, out = new(tmp_path, "--masks", tmp_path / "pictures/masks", capsys=capsys)
    assert status == 0 and "8 pairs" in out


def test_several_masks_of_a_picture(tmp_path, capsys):
    write(tmp_path, NAMES, grey, end="_labelIds")
    write(tmp_path, NAMES, colours, end="_color")
    out = refused(tmp_path, capsys=capsys)
    assert "'_color', '_labelIds'" in out and "--masks 'FOLDER/**/*_color.png'" in out
    pattern = str(tmp_path / "masks/*_labelIds.png")
    status, out = new(tmp_path, "--masks", pattern, capsys=capsys)
    assert status == 0 and "8 pairs" in out and "as they are" in out


def test_pictures_of_one_name(tmp_path, capsys):
    write(tmp_path, NAMES, grey)
    Image.new("RGB", (30, 24)).save(tmp_path / "pictures/p1.PNG")
    out = refused(tmp_path, capsys=capsys)
    assert "2 pictures have the names of others" in out and "p1.PNG" in out


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--images", "none"], "no folder"),
        (["--masks", "none/*.png"], "no mask in none/*.png"),
        (["--val", "1.5"], "--val 1.5"),
        (["--map", "255"], "--map 255: it should be"),
        (["--map", "1=2", "1=3"], "mapped to"),
        (["--map", "0=0", "1=1", "2=300"], "classes are 0 to 254"),
        (["--classes", "none"], "none"),
    ],
)
def test_options_that_make_no_sense(tmp_path, arguments, words, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, NAMES, grey)
    assert words in refused(tmp_path, *arguments, capsys=capsys)


def test_images_or_masks_unsaid(tmp_path, capsys):
    (tmp_path / "pictures").mkdir()
    for given, words in (
        ([], "--images: the folder"),
        (["--images", str(tmp_path)], "--masks: the"),
    ):
        assert main(["new", str(tmp_path / "mine"), *given]) == 2
        assert words in capsys.readouterr().err


# ---- files


def test_sizes_and_broken_files(tmp_path, capsys):
    truth = write(tmp_path, NAMES, grey)
    grey(truth["p2"][:, 3:], tmp_path / "masks/p2.png")
    path = tmp_path / "masks/p3.png"
    path.write_bytes(path.read_bytes()[:60])
    (tmp_path / "pictures/p4.jpg").write_text("no picture")
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(tmp_path / "pictures/p5.jpg") as image:
        image.load()
    image.save(tmp_path / "pictures/p5.jpg", exif=exif)
    out = refused(tmp_path, capsys=capsys)
    assert "2 files cannot be read" in out and "p3.png" in out and "p4.jpg: no picture" in out
    assert "2 pictures and their masks differ in size" in out
    assert "p2.jpg: picture 24x30, mask 24x27" in out and "EXIF orientation is 6" in out
    status, out = new(tmp_path, "--skip", capsys=capsys)
    assert status == 0 and main(["data", "check", str(tmp_path / "mine")]) == 0


# ---- values


def test_colours_that_no_class_has(tmp_path, capsys):
    truth = write(tmp_path, [f"p{k}" for k in range(9)], colours, classes=4)
    assert all((labels == 3).any() for labels in truth.values())
    pixels = COLOURS[truth["p7"]]
    pixels[0, :4] = [(9, 9, 9), (9, 9, 9), (8, 8, 8), (7, 7, 7)]
    Image.fromarray(pixels).save(tmp_path / "masks/p7.png")
    (tmp_path / "list").write_text("ground 0,0,0\ntree 200,30,60\nhouse 10,180,90\n")
    out = refused(tmp_path, "--classes", tmp_path / "list", capsys=capsys)
    assert "9 masks hold 4 colours that no class has" in out and "and 4 more" in out
    shown = [line.split()[0] for line in out.splitlines() if " of these pixels" in line]
    assert shown[:2] == ["30,60,220", "9,9,9"] and len(shown) == 3
    assert "--map 30,60,220=void" in out
    more = ["--map", "30,60,220=house", "9,9,9=void", "8,8,8=void", "7,7,7=tree"]
    status, out = new(tmp_path, "--classes", tmp_path / "list", *more, capsys=capsys)
    assert status == 0, out


@pytest.mark.parametrize(
    "save, words",
    [
        (colours, ["which colour is which class", "200,30,60=2", "NAME R,G,B"]),
        (values(3, 0, 9), ["which value is which class", "--map 0=0 3=1 9=2", "NAME VALUE"]),
        (values(1, 2, 3), ["--map 1=0 2=1 3=2"]),
        (values(0, 9, 255), ["255=void"]),
        (values(0, 0, 0), ["nothing to learn"]),
    ],
)
def test_what_is_not_clear_is_said_with_what_was_seen(tmp_path, save, words, capsys):
    write(tmp_path, NAMES, save)
    out = refused(tmp_path, capsys=capsys)
    for word in [*words, "% of", "in 8 masks"]:
        assert word in out
    if "--map" in out:  # what is offered does
        offered = out[out.index("--map") :].splitlines()[0].split()
        assert new(tmp_path, *offered, capsys=capsys)[0] in (0, 2 if save is values else 0)


@pytest.mark.parametrize(
    "text, words",
    [
        ("a\n", "a net needs two classes"),
        ("a 0,0,0\nb\nc 1,1,1\n", "list:2: no colour"),
        ("a\nb\na\n", "list:3: name a is there in line 1"),
        ("a 5\nb 5\n", "list:2: key 5 is there in line 1"),
        ("a 0\nb 1\n", "1 value that no class has"),
        ("a 0,0,0\nb 5,5,5\n", "2 colours that no class has"),
        ("a\nb\nc\nd\n", ""),
        ("", "names none"),
    ],
)
def test_lists_that_do_not_do(tmp_path, text, words, capsys):
    write(tmp_path, NAMES, palette)
    (tmp_path / "list").write_text(text)
    if words:
        assert words in refused(tmp_path, "--classes", tmp_path / "list", capsys=capsys)
    else:
        status, out = new(tmp_path, "--classes", tmp_path / "list", capsys=capsys)
        assert status == 0 and "no mask holds d" in out


def test_everything_at_once(tmp_path, capsys):
    write(tmp_path, NAMES, colours)
    (tmp_path / "masks/p1.png").unlink()
    (tmp_path / "masks/p2.png").write_bytes(b"")
    out = refused(tmp_path, capsys=capsys)
    assert "1 picture has no mask" in out and "1 file cannot be read" in out
    assert "which colour is which class" in out


def test_whoever_is_there_is_asked(tmp_path, capsys, monkeypatch):
    answers = {"0,0,0": "ground", "10,180,90": "void", "200,30,60": "tree"}
    asked = []

    def answer(question):
        asked.append(question)
        return next(name for key, name in answers.items() if f" {key} " in question)

    write(tmp_path, NAMES, colours)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", answer)
    status, out = new(tmp_path, capsys=capsys)
    assert status == 0 and len(asked) == 3 and "Which colour is which class?" in out
    assert (tmp_path / "mine/classes.txt").read_text() == "ground\ntree\n"
    monkeypatch.setattr("builtins.input", lambda question: "")
    shutil.rmtree(tmp_path / "mine")
    assert "which colour is which class" in refused(tmp_path, capsys=capsys)


def test_broken_labelme_files(tmp_path, capsys):
    write(tmp_path, NAMES, labelme("a", "b"), ending=".json")
    (tmp_path / "masks/p1.json").write_text("{")
    (tmp_path / "masks/p2.json").write_text('{"version": 1}')
    (tmp_path / "masks/p3.json").write_text('{"shapes": ["a"]}')
    (tmp_path / "masks/p4.json").write_text('{"shapes": [{"label": "a", "points": [1, 2, 3]}]}')
    out = refused(tmp_path, capsys=capsys)
    assert "4 files cannot be read" in out and "not JSON" in out and "no list of shapes" in out


# ---- the folder


def test_a_used_folder_is_refused(tmp_path, capsys):
    write(tmp_path, NAMES, grey)
    (tmp_path / "mine").mkdir()
    assert new(tmp_path, capsys=capsys)[0] == 0  # an empty one is not
    out = refused(tmp_path, capsys=capsys)
    assert "is there already" in out


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_nothing_half_written_is_left(tmp_path, error, capsys, monkeypatch):
    write(tmp_path, NAMES, colours)

    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr("fcn.new.writing.write_stage", fail)
    before = sorted(tmp_path.rglob("*"))
    maps = ["--map", "0,0,0=0", "200,30,60=1", "10,180,90=2"]
    status, _ = new(tmp_path, *maps, capsys=capsys)
    assert status in (2, 130) and before == sorted(tmp_path.rglob("*"))


def test_proposals_keep_the_background_first():
    seen = {key: mapping.Tally(1, []) for key in (255, 4, 0)}
    assert mapping.propose(seen) == {0: "0", 4: "1", 255: "void"}


MAPS = ["0,0,0=background", "200,30,60=a", "10,180,90=b"]


def test_a_mask_of_another_kind_and_keys_that_no_mask_holds_are_named(tmp_path, capsys):
    write(tmp_path, NAMES, palette)
    path = tmp_path / "masks/p3.png"
    Image.open(path).convert("RGB").save(path)
    status, out = new(tmp_path, "--map", *MAPS, "9,9,9=void", capsys=capsys)
    assert status == 0, out
    assert "1 of 8 masks is of colours, and the others of a palette: p3.png" in out
    assert "--map names 9,9,9, which no mask holds" in out


def test_few_masks_that_hold_a_value_are_named(tmp_path, capsys):
    write(tmp_path, NAMES, grey)
    path = tmp_path / "masks/p5.png"
    picture = Image.open(path)
    picture.putpixel((0, 0), 201)
    picture.save(path)
    out = refused(tmp_path, capsys=capsys)
    assert "201" in out and "in 1 mask: p5.png" in out
