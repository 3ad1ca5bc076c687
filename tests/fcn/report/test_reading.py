"""What is missing, older or half written in a run's folder is named, and the rest is read."""

import json

import numpy as np
import pytest
from run_folder import run_folder

from fcn.report.reading import read_run, read_runs


def test_a_whole_folder_has_no_problems(tmp_path):
    run = read_run(run_folder(tmp_path))
    assert run.problems == []
    assert (run.model, run.name, run.sample) == ("voc-fcn8s", "1", False)
    assert run.log["iteration"].tolist() == list(range(0, 2001, 20))
    assert [record["iteration"] for record in run.scores["score"]] == [500, 1000, 1500, 2000]


@pytest.mark.parametrize(
    "name, says",
    [
        ("run.json", "run.json is not there"),
        ("log.csv", "log.csv is not there"),
        ("scores.jsonl", "scores.jsonl is not there"),
    ],
)
def test_names_a_missing_file(tmp_path, name, says):
    folder = run_folder(tmp_path)
    (folder / name).unlink()
    run = read_run(folder)
    assert len(run.problems) == 1 and run.problems[0].startswith(says)
    assert (run.model, run.name) == ("voc-fcn8s", "1")  # by the folder, too


def test_half_written_last_lines_are_left_out(tmp_path):
    folder = run_folder(tmp_path)
    for name in ("log.csv", "scores.jsonl", "findings.jsonl"):
        text = (folder / name).read_text()
        (folder / name).write_text(text + text.splitlines()[-1][:20])
    (folder / "run.json").write_text('{"run": "1", ')
    run = read_run(folder)
    assert len(run.log["iteration"]) == 101 and len(run.scores["score"]) == 4
    assert len(run.findings) == 1
    assert run.problems == [
        "run.json cannot be read (half written?)",
        "line 103 of log.csv cannot be read (half written?)",
        "line 5 of scores.jsonl cannot be read (half written?)",
        "line 2 of findings.jsonl cannot be read (half written?)",
    ]


def test_scores_of_the_old_format(tmp_path):
    """Before there were run folders, a record had neither run nor confusion matrix."""
    folder = run_folder(tmp_path)
    records = [json.loads(line) for line in (folder / "scores.jsonl").read_text().splitlines()]
    for record in records:
        for key in ("run", "time", "rate", "seed", "start_sha1", "hist"):
            del record[key]
    (folder / "scores.jsonl").write_text("\n".join(map(json.dumps, records)))
    for name in ("run.json", "log.csv", "findings.jsonl"):
        (folder / name).unlink()
    run = read_run(folder)
    assert len(run.scores["score"]) == 4
    assert "scores.jsonl has no confusion matrices (an older format)" in run.problems


def test_what_a_resumed_run_did_again_counts_once(tmp_path):
    """Killed at 2000, resumed at 1000: the later lines hold."""
    folder = run_folder(tmp_path)
    for name, key in (("log.csv", ",1000,"), ("scores.jsonl", '"iteration": 1000,')):
        text = (folder / name).read_text()
        line = next(line for line in text.splitlines() if key in line)
        (folder / name).write_text(text + line + "\n")
    run = read_run(folder)
    assert run.log["iteration"].tolist() == list(range(0, 1001, 20))
    assert [record["iteration"] for record in run.scores["score"]] == [500, 1000]


def test_a_loss_that_is_not_a_number_is_read_as_such(tmp_path):
    folder = run_folder(tmp_path)
    with open(folder / "log.csv", "a") as file:
        file.write("1,2020,t,1e-10,1,ab,nan,nan,nan,3\n1,2040,t,1e-10,1,ab,,,inf,3\n")
    loss = read_run(folder).log["loss_per_pixel"]
    assert np.isnan(loss[-2]) and np.isinf(loss[-1])


def test_runs_beside_each_other_have_names_of_their_own(tmp_path):
    one, two = run_folder(tmp_path), run_folder(tmp_path, run="lr2")
    other = run_folder(tmp_path, model="voc-fcn32s")
    assert [run.label for run in read_runs([one, two])] == ["run 1", "run lr2"]
    assert [run.label for run in read_runs([one, other])] == ["voc-fcn8s", "voc-fcn32s"]
    labels = [run.label for run in read_runs([one, two, other])]
    assert labels == ["voc-fcn8s 1", "voc-fcn8s lr2", "voc-fcn32s"]
    assert len({run.label for run in read_runs([one, run_folder(tmp_path / "copy")])}) == 2
