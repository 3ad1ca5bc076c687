"""`--jobs N`: a command as N workers on this machine, each with its share of the pictures."""

import argparse
import sys
from collections.abc import Sequence

import caffe


def wanted(args: argparse.Namespace) -> bool:
    """Whether this process is to start workers. ValueError for a number of them that cannot be."""
    if args.jobs < 1:
        raise ValueError(f"--jobs {args.jobs}: at least 1 process computes")
    return args.jobs > 1 and not caffe.workers.started_together()


def run(name: str, args: argparse.Namespace) -> int:
    """Run the subcommand `name` again as args.jobs workers; returns the exit code."""
    words = without_jobs(args.words)
    return caffe.workers.launch([sys.executable, "-m", "fcn", name, *words], args.jobs)


def without_jobs(words: Sequence[str]) -> list[str]:
    """A command line without --jobs N.

    >>> without_jobs(["a.jpg", "--jobs", "4", "--cpu", "--jobs=2"])
    ['a.jpg', '--cpu']
    """
    kept, after = [], ""
    for word in words:
        if after != "--jobs" and word != "--jobs" and not word.startswith("--jobs="):
            kept.append(word)
        after = word
    return kept
