"""`fcn report` finds runs by folder, by model and by name."""

import os
import webbrowser

import pytest
from run_folder import run_folder

from fcn import cli


@pytest.fixture
def runs(project):
    """A model with two runs, of which `lr2` is newer, and another model."""
    folders = run_folder(project), run_folder(project, run="lr2")
    other = run_folder(project, model="voc-fcn32s")
    for age, folder in ((300, other), (200, folders[0])):
        for path in folder.glob("*.*"):
            os.utime(path, (path.stat().st_mtime - age,) * 2)
    return project


@pytest.mark.parametrize(
    "arguments, page",
    [
        ([], "voc-fcn8s/snapshot/lr2/report.html"),
        (["voc-fcn8s"], "voc-fcn8s/snapshot/lr2/report.html"),
        (["voc-fcn8s/snapshot"], "voc-fcn8s/snapshot/report.html"),
        (["voc-fcn8s/snapshot/lr2"], "voc-fcn8s/snapshot/lr2/report.html"),
        (["voc-fcn8s", "voc-fcn32s"], "voc-fcn8s/snapshot/lr2/report-voc-fcn8s-voc-fcn32s.html"),
        (["voc-fcn8s", "--out", "new/page.html"], "new/page.html"),
    ],
)
def test_writes_the_page_of(runs, capsys, arguments, page):
    assert cli.main(["report", *arguments]) == 0
    assert (runs / page).is_file()
    assert capsys.readouterr().out.startswith("wrote ")
    assert len(list((runs / page).parent.glob((runs / page).stem + "-*.png"))) == 5


def test_opens_the_browser(runs, monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    assert cli.main(["report", "voc-fcn32s", "--open"]) == 0
    assert opened == [(runs / "voc-fcn32s/snapshot/report.html").as_uri()]


def test_runs_of_the_embedded_task(project):
    folder = run_folder(project, model="voc-fcn8s/sample", sample=True)
    assert cli.main(["report", "voc-fcn8s", "--sample"]) == 0
    assert cli.main(["report", "voc-fcn8s/sample"]) == 0
    assert (folder / "report.html").is_file()


@pytest.mark.parametrize(
    "name", ["voc-fcn8s", "voc-fcn8s/snapshot", "voc-fcn8s/snapshot/other", None]
)
def test_where_there_is_no_run_one_sentence_says_so(project, capsys, name):
    (project / "voc-fcn8s/snapshot/other").mkdir(parents=True)
    assert cli.main(["report", *filter(None, [name])]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "no run" in said


def test_an_unknown_model_is_named(project, capsys):
    assert cli.main(["report", "voc-fcn9s"]) == 2
    assert "no model folder" in capsys.readouterr().err
