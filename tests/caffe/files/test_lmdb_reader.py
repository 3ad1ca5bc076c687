"""LMDBs read without the library, against those that the library writes."""

import random
import shutil

import pytest
from databases import data_layer, write
from nets import build

from caffe.files.lmdb_reader import LmdbFile

lmdb = pytest.importorskip("lmdb")
SIZES = (
    0,
    1,
    500,
    2000,
    2040,
    2048,
    5000,
    20000,
)  # of values: in the leaf, and in pages of their own


def data_net(path):
    return build(data_layer(path), path.parent)


def first_value(net):
    return net.forward()["data"].flat[0]


@pytest.mark.parametrize("folder", [True, False])
def test_every_record_is_read_in_the_order_of_the_keys(folder, tmp_path):
    path, draw = str(tmp_path / "db"), random.Random(1)
    with lmdb.open(path, map_size=1 << 27, subdir=folder) as database:
        assert (list(LmdbFile(path).records()), LmdbFile(path).count) == ([], 0)
        for _ in range(3):  # transactions that free pages and use them again
            with database.begin(write=True) as records:
                for _ in range(800):
                    key = b"%07d" % draw.randrange(10**7)
                    records.put(key, draw.randbytes(draw.choice(SIZES)))
                for key in [key for key, _ in records.cursor()][::3]:
                    records.delete(key)
        with database.begin() as records:
            wanted = list(records.cursor())
    assert list(LmdbFile(path).records()) == wanted
    assert LmdbFile(path).count == len(wanted)


def test_a_database_made_anew_at_the_same_path_is_the_one_that_is_read(tmp_path):
    write(tmp_path / "db", 1)
    before = data_net(tmp_path / "db")
    assert first_value(before) == 1
    shutil.rmtree(tmp_path / "db")
    write(tmp_path / "db", 7)
    assert first_value(data_net(tmp_path / "db")) == 7
    assert first_value(before) == 1  # of the file that it has opened


def test_the_script_itself_may_have_the_database_open(tmp_path):
    write(tmp_path / "db", 3)
    with lmdb.open(str(tmp_path / "db"), readonly=True):
        net = data_net(tmp_path / "db")
        assert first_value(net) == 3
    with lmdb.open(str(tmp_path / "db")) as database, database.begin(write=True) as records:
        records.put(b"9", b"")
    assert first_value(net) == 3


def test_what_is_no_lmdb_is_refused(tmp_path):
    for name, content, reason in (
        ("empty", b"", "is no LMDB: it has 0 bytes"),
        ("zeros", bytes(9000), "is no LMDB, or one of a 32-bit machine"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=reason):
            data_net(tmp_path / name)
    (tmp_path / "folder").mkdir()
    with pytest.raises(ValueError, match="cannot open LMDB .*data.mdb"):
        data_net(tmp_path / "folder")


def test_a_damaged_one_ends_in_a_sentence(tmp_path):
    write(tmp_path / "db", 3, subdir=False)
    whole, draw, refused = (tmp_path / "db").read_bytes(), random.Random(2), 0
    for _ in range(300):
        damaged = bytearray(whole[: draw.choice((len(whole), draw.randrange(len(whole))))])
        for _ in range(20):
            damaged[draw.randrange(len(damaged) if draw.random() < 0.5 else 200)] = draw.randrange(
                256
            )
        (tmp_path / "bad").write_bytes(damaged)
        try:
            assert len(list(LmdbFile(str(tmp_path / "bad")).records())) <= 2**32
        except ValueError as error:
            assert "bad" in str(error)
            refused += 1
    assert refused > 100


def test_a_tree_that_reads_its_pages_again_and_again_is_refused(tmp_path):
    """Each level of pages that all lead to one page multiplies what is read; no record is there."""
    path, file = str(tmp_path / "db"), tmp_path / "db" / "data.mdb"
    with lmdb.open(path, map_size=1 << 27) as database, database.begin(write=True) as records:
        for i in range(2000):
            records.put(b"%07d" % i, bytes(100))
    found, raw = LmdbFile(path), bytearray(file.read_bytes())
    size, nodes = found._page_size, found._nodes(found._root)[1]
    root, (leaf, branch, *_) = found._root, map(found._child, nodes)
    raw[leaf * size + 12 : leaf * size + 14] = (16).to_bytes(2, "little")  # without records
    raw[branch * size : (branch + 1) * size] = raw[root * size : (root + 1) * size]
    for page, to in ((root, branch), (branch, leaf)):
        for node in nodes:
            at = node + (page - root) * size
            raw[at : at + 6] = to.to_bytes(6, "little")
    file.write_bytes(raw)
    with pytest.raises(ValueError, match="its tree has more than the file's [0-9]+ pages"):
        list(LmdbFile(path).records())
