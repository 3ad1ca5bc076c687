"""Whatever a file holds: an answer, never an exception."""

import os
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from places import GOLDEN

from caffe.inspecting import inspect

CUT = [
    "formats/v0/net.caffemodel",
    "formats/v1/net.prototxt",
    "formats/saved/weights.caffemodel",
    "formats/saved/weights.caffemodel.h5",
    "formats/blobs/mean_legacy.binaryproto",
    "formats/blobs/datum_float.bin",
    "solvers/adam/snap_iter_4.solverstate",
    "solvers/adam/solver.prototxt",
    "solvers/adam/data.npz",
    "log/train.txt",
]


@pytest.mark.parametrize("name", CUT)
def test_cut_off(name, folder):
    content = (GOLDEN / name).read_bytes()
    for end in sorted(
        {1, 2, 5, len(content) // 3, len(content) // 2, len(content) - 9, len(content) - 1}
    ):
        (folder / "cut").write_bytes(content[:end])
        assert inspect("cut").text("cut").startswith("cut: ")


def test_a_cut_caffemodel_is_called_damaged(folder):
    content = (GOLDEN / "formats/saved/weights.caffemodel").read_bytes()
    (folder / "cut").write_bytes(content[:-20])
    found = inspect("cut").text("cut")
    assert found.startswith("cut: a caffemodel that cannot be read\n  wrong: cut: damaged")
    assert "truncated?" in found


@given(st.binary(max_size=200))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_random_bytes(folder, content):
    (folder / "file").write_bytes(content)
    assert inspect("file").text("file").startswith("file: ")


@given(st.text(alphabet="layernt{}:\"\n1.#'", max_size=80))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_random_text(folder, content):
    (folder / "file").write_text(content)
    assert inspect("file").text("file").startswith("file: ")


def test_devices_links_and_missing_files(folder):
    assert "a device, pipe or socket" in inspect("/dev/null").text("/dev/null")
    os.symlink("nowhere", "link")
    for name in ("none", "link"):
        with pytest.raises(RuntimeError, match=f"Could not open file {name}"):
            inspect(name)
    os.mkdir("new")
    assert "an empty folder" in inspect("new").text("new")


def test_a_damaged_database(folder):
    pytest.importorskip("lmdb")
    os.mkdir("db")
    (folder / "db" / "data.mdb").write_bytes(b"no database" * 1000)
    assert "an LMDB that cannot be read\n  wrong: cannot open LMDB db" in inspect("db").text("db")


def test_a_database_without_its_library(folder, monkeypatch):
    (folder / "level").mkdir()
    (folder / "level" / "CURRENT").write_text("MANIFEST-000001\n")
    monkeypatch.setitem(__import__("sys").modules, "plyvel", None)
    assert "leveldb databases need plyvel: pip install plyvel" in inspect("level").text("level")


def test_a_file_under_another_name(folder):
    shutil.copy(GOLDEN / "formats/saved/weights.caffemodel", folder / "picture.jpg")
    assert "picture.jpg: a caffemodel" in inspect("picture.jpg").text("picture.jpg")
