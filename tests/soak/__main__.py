"""python -m tests.soak --minutes N: what is done to the project for hours, and what came of it.

A kind of fault is a module with `soak(seconds, seed)`, which returns what was done and the faults that
were found. Exit code 1 if there are any.
"""

import argparse
import json
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from tests.soak import coverage_guided, fuzzing, kills, long_runs, sanitized  # noqa: E402

KINDS = {
    "runs that are killed": kills.soak,
    "a run of 20,000 steps": long_runs.soak,
    "files changed at random": fuzzing.soak,
    "files changed by coverage": coverage_guided.soak,
    "kernels under the sanitizers": sanitized.soak,
}


def main() -> int:
    """Run every kind for its share of the minutes; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=4, help="for all together (%(default)s)")
    parser.add_argument("--only", choices=KINDS, help="this kind")
    parser.add_argument("--seed", type=int, default=0, help="of everything random (%(default)s)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the figures as JSON")
    args = parser.parse_args()
    kinds = [args.only] if args.only else list(KINDS)
    figures, failed = {}, False
    for kind in kinds:
        begin = time.monotonic()
        print(f"{kind} ...", flush=True)
        done, faults = KINDS[kind](60 * args.minutes / len(kinds), args.seed)
        seconds = round(time.monotonic() - begin)
        figures[kind] = {"done": done, "faults": faults, "seconds": seconds}
        print(f"  {done}, {len(faults)} faults, {seconds} s", *faults, sep="\n  ", flush=True)
        failed |= bool(faults)
    if args.out:
        args.out.write_text(json.dumps(figures, indent=1) + "\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
