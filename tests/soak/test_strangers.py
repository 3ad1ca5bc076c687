"""The short form of the soak's fuzzing: some changed files for every loader; and its own parts."""

import time
from pathlib import Path

import pytest

from tests.soak import fuzzing
from tests.soak.fuzzing import Fault, examples, try_file
from tests.soak.mutation import png_with_right_sums
from tests.soak.strangers import TARGETS, Target, encoded

LIBRARIES = {"safetensors": "safetensors", "LMDB": "lmdb", "inspect": "safetensors"}


@pytest.mark.parametrize("name", TARGETS)
def test_a_changed_file_is_taken_or_refused_in_a_sentence(name, tmp_path, monkeypatch):
    pytest.importorskip(LIBRARIES.get(name, "numpy"))
    monkeypatch.chdir(tmp_path)
    examples(name, tmp_path, 20, 1, shrink=False)


@pytest.mark.parametrize("name", TARGETS)
def test_the_good_files_are_taken(name, tmp_path, monkeypatch):
    if name in ("net", "list of windows", "inspect"):
        pytest.skip("what it names is not there, or it is no one kind of file")
    pytest.importorskip(LIBRARIES.get(name, "numpy"))
    monkeypatch.chdir(tmp_path)
    path = tmp_path / TARGETS[name].name
    taken = [try_file(TARGETS[name], path, each) for each in TARGETS[name].seeds()]
    assert sum(taken) > len(taken) / 2


def failing(error):
    def load(path: Path):
        raise error

    return Target(lambda: [b""], load)


@pytest.mark.parametrize(
    "error", [KeyError("x"), TypeError("a"), MemoryError(), ValueError(), ValueError(" "), RecursionError()]
)  # fmt: skip
def test_what_counts_as_a_fault(error, tmp_path):
    with pytest.raises(Fault) as caught:
        try_file(failing(error), tmp_path / "file", b"")
    assert "RecursionError" not in repr(error) or "Recursion" in str(caught.value)


def test_a_file_that_takes_too_long_is_a_fault(tmp_path, monkeypatch):
    monkeypatch.setattr(fuzzing, "PATIENCE", 1)
    endless = Target(lambda: [b""], lambda path: time.sleep(60))
    with pytest.raises(Fault, match="over 1 seconds"):
        try_file(endless, tmp_path / "file", b"")


def test_sums_of_a_png_are_made_to_fit():
    raw = encoded("PNG")
    assert png_with_right_sums(raw) == raw
    assert png_with_right_sums(raw.replace(b"\0\0\0\x0c", b"\0\0\0\x0d", 1)) != raw
