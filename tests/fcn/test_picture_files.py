"""Which pictures a command line names, and what their results are called."""

import numpy as np
import pytest

from fcn import picture_files
from fcn.vis import save_classes


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Files of a working directory, which is the home folder, too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in (
        "a.jpg", "b.PNG", "in/c.webp", "in/d/e.HEIC", "in/readme.md", "in/.hidden/f.png", "in/.g.png",
        "a_classes.png", "a_overlay.png", "results/a.png", "results/a_classes.png",
        "results/a_overlay.png", "[1].jpg", ".txt/h.gif",
    ):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "list.txt").write_text("\ufeffb.PNG\n\n  in \n~/a.jpg\n")
    return tmp_path


@pytest.mark.parametrize(
    "words, pictures, results",
    [
        (["a.jpg"], ["a.jpg"], 0),
        (["gone.jpg"], ["gone.jpg"], 0),  # reading it will say so
        (["in"], ["in/c.webp", "in/d/e.HEIC"], 0),
        (["."], ["[1].jpg", "a.jpg", "b.PNG", "in/c.webp", "in/d/e.HEIC"], 5),
        (["*.jpg"], ["[1].jpg", "a.jpg"], 0),
        (["[1].jpg"], ["[1].jpg"], 0),  # a file of that name, no pattern
        (["**/*.webp"], ["in/c.webp"], 0),
        (["**/*.png"], [], 5),
        (["~/in/*.webp"], ["in/c.webp"], 0),
        (["@list.txt"], ["b.PNG", "in/c.webp", "in/d/e.HEIC", "a.jpg"], 0),
        (["list.txt", "a.jpg", "./a.jpg"], ["b.PNG", "in/c.webp", "in/d/e.HEIC", "a.jpg"], 0),
        ([".txt"], [".txt/h.gif"], 0),  # a folder
        (["results"], ["results/a.png"], 2),  # named, so its pictures are meant
        (["results/a.png", "results/a_classes.png"], ["results/a.png"], 1),
        (["a.jpg", "a_overlay.png", "a_overlay.png"], ["a.jpg"], 1),
    ],
)
def test_words(tree, words, pictures, results):
    found = picture_files.find(words, tree / "results")
    assert [str(path.absolute().relative_to(tree)) for path in found.pictures] == pictures
    assert found.results == results and not found.problems


def test_results_in_the_working_directory(tree):
    """The folder of the results may hold the pictures."""
    found = picture_files.find(["*.jpg", "."], tree)
    assert [path.name for path in found.pictures][:2] == ["[1].jpg", "a.jpg"]


@pytest.mark.parametrize(
    "word, said",
    [
        ("*.tif", "*.tif: no file has such a name"),
        ("empty", "empty: no pictures in this folder, nor in those in it"),
        ("@gone", "gone: a list of pictures, a path a line, cannot be read: No such file"),
        ("gone.txt", "gone.txt: a list of pictures"),
        (
            "bytes.txt",
            "bytes.txt: a list of pictures, a path a line, cannot be read: it is no text",
        ),
    ],
)
def test_words_that_name_nothing_are_told(tree, word, said):
    (tree / "empty").mkdir()
    (tree / "bytes.txt").write_bytes(b"\xff\xfe\xff")
    found = picture_files.find([word, "a.jpg"], tree / "results")
    assert found.pictures[-1].name == "a.jpg"
    assert said in found.problems[0]


def test_the_same_picture_twice_beside_other_depths(tree):
    assert len(picture_files.find(["a.jpg", "a.jpg"], tree / "results", once=False).pictures) == 2


def test_names_of_results_do_not_collide(tree):
    paths = [tree / name for name in ("x.png", "x_2.png", "in/x.png", "X.jpg", "x.jpg")]
    assert picture_files.stems(paths, tree / "results") == ["x", "x_2", "x_3", "X_4", "x_5"]


def test_names_of_results_of_earlier_runs(tree):
    """A picture's results replace its own of before, and no other's."""
    out = tree / "results"
    first, second = tree / "in/x.png", tree / "x.png"
    save_classes(np.zeros((2, 2)), out / "x_sem_classes.png", picture_files.source(first))
    assert picture_files.stems([second], out, ["_sem", "_geo"]) == ["x_2"]
    assert picture_files.stems([first], out, ["_sem", "_geo"]) == ["x"]
    assert picture_files.stems([second, first], out, ["_sem", "_geo"]) == ["x_2", "x"]
    (out / "y_classes.png").write_text("anybody's")
    assert picture_files.stems([tree / "y.png"], out) == ["y_2"]


def test_pictures_that_are_only_called_like_results(tree):
    """Neither says that it is one, nor is there what goes with it."""
    names = ["in/city_overlay.png", "in/land_classes.png"]
    for name in names:
        (tree / name).touch()
    assert [str(path) for path in picture_files.find(names, tree / "results").pictures] == names
    assert picture_files.find(["in"], tree / "results").results == 0


def test_a_file_of_somebody_else_is_not_written_over(tree):
    (tree / "results/b_overlay.png").write_bytes(b"mine")
    assert picture_files.stems([tree / "b.PNG"], tree / "results") == ["b_2"]
