"""Lists of pictures and labels."""

import os

import pytest

from caffe.files.image_list import read_image_list


def test_names_may_hold_blanks_and_any_bytes(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes(b"a b.png 7\n\nf\xfcnf.png   300\n")
    names, labels = zip(*read_image_list(path))
    assert [os.fsencode(name) for name in names] == [b"a b.png", b"f\xfcnf.png"]
    assert labels == (7, 300)


@pytest.mark.parametrize("line", ["a.png", "a.png x", "a.png 1.5"])
def test_a_line_without_a_label_is_named(tmp_path, line):
    path = tmp_path / "list.txt"
    path.write_text(f"a.png 1\n{line}\n")
    with pytest.raises(ValueError, match="list.txt, line 2: a path and a whole number are needed"):
        read_image_list(path)
