"""Names in error messages."""

import pytest

from caffe.names import as_text, did_you_mean


@pytest.mark.parametrize(
    "name, known, hint",
    [
        ("tipe", ["name", "type"], "; did you mean 'type'?"),
        ("Data", ["label", "data"], "; did you mean 'data'?"),
        ("xyz", ["name", "type"], ""),
        ("name", [], ""),
    ],
)
def test_the_nearest_known_name_is_a_hint(name, known, hint):
    assert did_you_mean(name, known) == hint


def test_a_hint_has_its_own_words_and_measure():
    assert did_you_mean("xyz", ["abc"], " ({})", cutoff=0) == " (abc)"


@pytest.mark.parametrize(
    "name, text",
    [
        ("ä", "ä"),
        ("ä".encode(), "ä"),
        ("ä".encode("latin-1"), r"\xe4"),  # as protobuf returns it
        (b"a\xe4".decode("utf-8", "surrogateescape"), r"a\xe4"),  # as h5py returns it
    ],
)
def test_names_that_are_no_text_become_printable(name, text):
    assert as_text(name) == text
    as_text(name).encode("utf-8")
