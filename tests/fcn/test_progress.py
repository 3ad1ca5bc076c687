"""What a person sees of a loss that is summed over a picture's pixels."""

import csv

import pytest

from fcn.progress import Display, Progress


@pytest.fixture
def progress(tmp_path):
    """Of a solver that makes no step."""

    def of(per_pixel):
        solver = type("Solver", (), {})()
        solver.param = type("Param", (), {"display": 20, "iter_size": 1})
        solver.iter, solver.add_callback = 0, lambda before, after: None
        return Progress(solver, 100_000, tmp_path / "log.csv", {"run": "1"}, per_pixel)

    return of


SUMMED = Display(
    40, 1e-10, loss=570848.0, smoothed_loss=6e5, loss_per_pixel=3.04452, pictures_per_second=2
)


def test_a_summed_loss_is_shown_a_pixel_too(progress, tmp_path, capsys):
    of = progress(per_pixel=False)
    of.show(SUMMED)
    line = capsys.readouterr().out
    assert line.startswith("iteration 40 of 100000: loss 3.0445 a pixel (570848 in all)")
    (row,) = csv.DictReader((tmp_path / "log.csv").read_text().splitlines())
    assert (row["loss"], row["loss_per_pixel"]) == ("570848.0", "3.04452")


def test_a_mean_is_shown_once(progress):
    assert "in all" not in progress(per_pixel=True).numbers(SUMMED)
