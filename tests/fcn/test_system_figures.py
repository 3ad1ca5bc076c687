"""The part of systems/results.md whose figures are no mean IU."""

import json

import pytest

from fcn import cli, models, system_figures, systems
from fcn.system_figures import FIGURES, Figure

ONE = Figure("one", "the first", "AP", ("a", "area"), "the old", ("b", "area"))


def write(folder, records):
    folder.mkdir()
    (folder / "results.json").write_text(json.dumps(records))


def test_a_row_a_system_and_a_column_a_seed(tmp_path, monkeypatch):
    monkeypatch.setattr(system_figures, "FIGURES", (ONE, ONE._replace(system="two")))
    assert system_figures.table(tmp_path) == ""
    records = {"1": {"a": {"area": 0.9}, "b": {"area": 0.5}}, "3": {"a": {"area": 0.8}}, "2": {}}
    write(tmp_path / "one", records)
    text = system_figures.table(tmp_path)
    assert "| seed 1 | seed 2 | seed 3 |" in text
    assert text.endswith("| [one](one) | the first | AP | the old | 0.900 (+0.400) |  | 0.800 |\n")


def test_scripts_are_run_and_their_figures_stand_below_the_table(tmp_path, monkeypatch, capsys):
    called = []
    monkeypatch.setattr(systems, "RECORDS", tmp_path / "results.jsonl")
    monkeypatch.setattr(systems, "TABLE", tmp_path / "results.md")
    monkeypatch.setattr(systems, "seed_of_scenes", lambda: 1)
    monkeypatch.setattr(systems, "run_python", lambda words: called.append(words) or 0)
    write(tmp_path / "mnc", {"1": {"masks, 0.5": 0.75}})
    assert cli.main(["systems", "mnc"]) == 0
    assert [len(words) for words in called] == [1] and called[0][0].endswith("systems/mnc/run.py")
    assert "| AP^r at .5 | the boxes, filled | 0.750 |" in (tmp_path / "results.md").read_text()
    monkeypatch.setattr(systems, "run_python", lambda words: 2)
    assert cli.main(["systems", "mnc"]) == 2
    assert "mnc/run.py ended with exit code 2" in capsys.readouterr().err


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.system)
def test_a_system_that_is_listed_has_its_script_and_its_page(figure):
    folder = models.folder(f"systems/{figure.system}")
    assert (folder / "run.py").is_file()
    assert f"python systems/{figure.system}/run.py" in (folder / "README.md").read_text()
