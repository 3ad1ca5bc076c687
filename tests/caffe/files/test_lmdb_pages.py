"""LMDB read page by page: what the library writes is read, and what is damaged is an error."""

import random
import shutil

import pytest

from caffe.files.lmdb_pages import Pages

lmdb = pytest.importorskip("lmdb")
PAGE = 4096


def written(folder, records, **options):
    """A database that the library has written, in its folder."""
    with lmdb.open(str(folder), map_size=1 << 26, **options) as environment:
        for part in range(0, len(records), 50):  # several transactions
            with environment.begin(write=True) as transaction:
                for key, value in records[part : part + 50]:
                    transaction.put(key, value)
    return folder


def records(count, seed=0):
    """Records of sizes that fit into a page, do just not, and take several."""
    draw = random.Random(seed)
    sizes = [0, 1, 30, 700, 2020, 2030, 2040, 4079, 4080, 4081, 9000]
    return [
        (f"{i:05d}".encode() * draw.choice([1, 20]), draw.randbytes(draw.choice(sizes)))
        for i in draw.sample(range(count), count)
    ]


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    return written(tmp_path_factory.mktemp("db"), records(500))


@pytest.mark.parametrize("count", [0, 1, 3, 2000])
def test_what_the_library_writes(tmp_path, count):
    given = records(count)
    pages = Pages(written(tmp_path, given))
    assert pages.entries == count
    assert list(pages.values()) == [value for _, value in sorted(given)]


def test_what_was_deleted_and_written_again(database, tmp_path):
    shutil.copytree(database, tmp_path, dirs_exist_ok=True)
    with lmdb.open(str(tmp_path), map_size=1 << 26) as environment:
        for k in range(3):
            with environment.begin(write=True) as transaction:
                keys = list(transaction.cursor().iternext(values=False))
                for key in keys[k::7]:
                    transaction.delete(key)
                transaction.put(f"new {k}".encode(), bytes(5000))
        with environment.begin() as transaction:
            wanted = list(transaction.cursor().iternext(keys=False))
    assert list(Pages(tmp_path).values()) == wanted


def test_a_file_without_a_folder(tmp_path):
    path = tmp_path / "file.mdb"
    written(path, records(9), subdir=False)
    assert len(list(Pages(path).values())) == 9


@pytest.mark.parametrize("seed", range(40))
def test_damaged_ones_are_errors_and_nothing_worse(database, tmp_path, seed):
    """The library ends the process at one in thirty of these, by SIGBUS."""
    draw, raw = random.Random(seed), bytearray((database / "data.mdb").read_bytes())
    for _ in range(draw.choice([1, 8, 60])):
        page = draw.randrange(len(raw) // PAGE)
        raw[page * PAGE + draw.randrange(draw.choice([24, 160, PAGE]))] = draw.randrange(256)
    path = tmp_path / "data.mdb"
    path.write_bytes(raw[: draw.choice([len(raw), draw.randrange(len(raw))])])
    try:
        pages = Pages(path)
        assert sum(1 for _ in pages.values()) <= len(raw)
    except ValueError as error:
        assert str(path) in str(error)


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda raw: raw[:100], "too short"),
        (lambda raw: b"", "too short"),
        (lambda raw: raw.replace(b"\xde\xc0\xef\xbe", b"\xbe\xef\xc0\xde"), "another version or byte order"),
        (lambda raw: raw[: 3 * PAGE], "it is none of the file's 3 pages"),
    ],
)  # fmt: skip
def test_what_is_said_of_it(database, tmp_path, change, said):
    path = tmp_path / "data.mdb"
    path.write_bytes(change((database / "data.mdb").read_bytes()))
    with pytest.raises(ValueError, match=f"{path}: damaged, or no LMDB: .*{said}"):
        list(Pages(path).values())


def test_pages_that_lead_back(database, tmp_path):
    raw = bytearray((database / "data.mdb").read_bytes())
    root = Pages(database).root
    start = root * PAGE
    node = start + int.from_bytes(raw[start + 16 : start + 18], "little")
    raw[node : node + 6] = root.to_bytes(6, "little")
    (tmp_path / "data.mdb").write_bytes(raw)
    with pytest.raises(ValueError, match="pages that lead back to each other"):
        list(Pages(tmp_path).values())
