"""Command-line flags."""

import pytest

from caffe.commands import flags


def test_flags_as_gflags_reads_them():
    known = (flags.Flag("text", "a", ""), flags.Flag("count", 1, ""), flags.Flag("on", False, ""))

    def parse(*argv):
        values, others = flags.parse(argv, known, "caffe")
        return values.text, values.count, values.on, others

    assert parse() == ("a", 1, False, [])
    assert parse("-text", "-b", "one", "--count=-3", "-on", "two") == (
        "-b",
        -3,
        True,
        ["one", "two"],
    )
    assert parse("-on=t", "--noon", "-count", "0x10") == ("a", 16, False, [])
    assert parse("-on=no", "--", "-on") == ("a", 1, False, ["-on"])
    assert parse("-text=b=c", "-") == ("b=c", 1, False, ["-"])
    for argv in (["-notext"], ["-on=maybe"], ["-count=1.5"], ["-noon=true"]):
        with pytest.raises(flags.UsageError):
            parse(*argv)
