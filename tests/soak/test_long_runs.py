"""The short form of the soak's long run, and what it takes for a fault."""

import pytest

from tests.soak import long_runs


@pytest.mark.slow
def test_a_short_run_is_looked_at():
    done, _ = long_runs.soak(0, steps=40, every=10)
    assert done.startswith("40 steps at 6 sizes, 4 scorings and snapshots: memory ")


def test_what_grows_is_a_fault():
    before = [10000, 300 << 20, 10, 4]
    assert long_runs.judged([before, [20000, 302 << 20, 10, 4]])[1] == []
    faults = long_runs.judged([[500, 1, 9, 3], before, [20000, 304 << 20, 11, 5]])[1]
    assert faults == ["memory grew by 1.3%", "open files grew", "threads grew"]
