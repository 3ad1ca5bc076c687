"""Whatever is in a run's folder, the report shows what can be read, and says what cannot, file and line."""

import html
import json
import random
import re

import pytest
from run_folder import run_folder

from fcn import cli, report
from fcn.report.page import render
from fcn.report.reading import read_run, read_runs

RECORDS = ("run.json", "scores.jsonl", "findings.jsonl")


@pytest.fixture
def folder(tmp_path):
    """A small run's folder."""
    return run_folder(tmp_path, iterations=200, rounds=2, pictures=1, size=(20, 30))


def text_of(source):
    """A page's text without its marks."""
    body = re.sub(r"<style>.*?</style>", "", source, flags=re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", body)).split())


def lines(path):
    return path.read_text().splitlines()


# ---- lines


@pytest.mark.parametrize("name", ["scores.jsonl", "findings.jsonl"])
def test_a_damaged_line_is_named_by_its_number(folder, name):
    path = folder / name
    first = lines(path)[0]
    path.write_text("\n".join([first, first[:30], "", '"text"', first]) + "\n")
    run = read_run(folder)
    assert run.problems == [f"lines 2 and 4 of {name} cannot be read"]
    assert f"lines 2 and 4 of {name} cannot be read" in text_of(render([run]))


def test_of_many_damaged_lines_the_first_are_named(folder):
    (folder / "log.csv").write_text(lines(folder / "log.csv")[0] + "\n1,2\n" * 9)
    assert read_run(folder).problems == [
        "lines 2, 4, 6, 8 and 5 more of log.csv cannot be read",
        "log.csv has no lines yet",
    ]


@pytest.mark.parametrize(
    "field, value",
    [
        *(("hist", value) for value in ([[1, 2], [3]], [[1, "x"], [2, 3]], 5, [[-1, 0], [0, 1]])),
        *(("mean_iu", value) for value in ("high", [0.5], True, float("nan"), 50)),
        *(("iu", value) for value in (["a", 1], 0.5, {"0": 1})),
        *(("iteration", value) for value in ("20", float("inf"), [2], 10**40)),
        ("layer", 3),
        ("images", "all"),
    ],
)
def test_a_field_that_is_not_understood_is_named_with_its_line(folder, field, value):
    path = folder / "scores.jsonl"
    one, two = lines(path)
    path.write_text(one + "\n" + json.dumps(json.loads(two) | {field: value}) + "\n")
    run = read_run(folder)
    assert f"line 2 of scores.jsonl: '{field}' cannot be understood" in run.problems
    assert "line 2 of scores.jsonl" in text_of(render([run]))


def test_a_scoring_without_an_iteration_is_said(folder):
    path = folder / "scores.jsonl"
    path.write_text(lines(path)[0] + '\n{"mean_iu": 0.5}\n')
    run = read_run(folder)
    assert run.problems == ["a scoring in scores.jsonl has no iteration, and is left out"]


# ---- whole files


@pytest.mark.parametrize(
    "content, says",
    [
        (b"", "run.json cannot be read"),
        (b'{"run": "1", ', "run.json cannot be read (half written?)"),
        (b"\xff\xfe\x00", "run.json cannot be read"),
        (b"[1, 2]", "run.json does not hold a record"),
        (b'{"start": 5, "set": [1], "solver": {}}', "run.json: 'solver', 'start' and 'set' cannot"),
    ],
)
def test_a_damaged_run_json(folder, content, says):
    (folder / "run.json").write_bytes(content)
    run = read_run(folder)
    assert len(run.problems) == 1 and run.problems[0].startswith(says)
    assert says in text_of(report.write(folder).read_text())


@pytest.mark.parametrize("name", [*RECORDS, "log.csv"])
def test_a_folder_in_place_of_a_file(folder, name):
    (folder / name).unlink()
    (folder / name).mkdir()
    run = read_run(folder)
    assert [p for p in run.problems if p.startswith(f"{name} cannot be read: Is a directory")]
    render([run])


ODD = [None, True, 0, -1, 1e300, float("nan"), "", "\ud800<b>", [], [[1], [2, 3]], {}, {"how": [1]}]


@pytest.mark.parametrize("value", ODD, ids=map(repr, ODD))
def test_fields_of_any_type_break_nothing(folder, value):
    """All fields at once, then each of a few alone."""
    for name in RECORDS:
        records = [dict.fromkeys(json.loads(line), value) for line in lines(folder / name)]
        if name == "scores.jsonl":
            records = [each | {"iteration": k, "layer": "score"} for k, each in enumerate(records)]
        (folder / name).write_text("\n".join(map(json.dumps, records)) + "\n")
    report.write(folder) if isinstance(value, str) else render(read_runs([folder]))
    rng = random.Random(repr(value))
    again = run_folder(folder.parents[1] / "again", rounds=1, iterations=40, pictures=0)
    for name in RECORDS:
        record = json.loads(lines(again / name)[0])
        for key in rng.sample(sorted(record), 2):
            (again / name).write_text(json.dumps(record | {key: value}) + "\n")
            render(read_runs([again]))


@pytest.mark.parametrize("seed", range(4))
def test_files_cut_and_changed_anywhere_break_nothing(folder, seed):
    rng = random.Random(seed)
    for name in (*RECORDS, "log.csv", "pictures/2008_000000.truth.png"):
        path = folder / name
        data = bytearray(path.read_bytes())
        for _ in range(4):
            data[rng.randrange(len(data))] = rng.randrange(256)
        path.write_bytes(data[: rng.randrange(len(data))] if rng.random() < 0.5 else data)
    render(read_runs([folder]))


def test_a_run_without_scores_and_of_one_line(folder):
    (folder / "scores.jsonl").unlink()
    (folder / "log.csv").write_text("\n".join(lines(folder / "log.csv")[:2]) + "\n")
    text = text_of(report.write(folder).read_text())
    assert "scores.jsonl is not there, so there are no scores" in text
    assert "The learning rate is 1e-10 in the only line that has one." in text
    assert "throughout" not in text


def test_a_rate_that_stays_is_said_to(folder):
    assert "The learning rate is 1e-10 throughout." in text_of(report.write(folder).read_text())


# ---- folders that are none of a run


@pytest.fixture
def base(project):
    """A model folder in a project without runs."""
    (project / "voc-fcn8s/snapshot/old").mkdir(parents=True)
    (project / "notes.txt").write_text("text")
    (project / "photos").mkdir()
    return project


@pytest.mark.parametrize(
    "name, says",
    [
        ("voc-fcn8s/snapshot", "snapshot holds no run: there is no run.json, no log.csv"),
        ("voc-fcn8s/snapshot/old", "old holds no run: there is no run.json"),
        ("photos", "no run of photos"),
        ("notes.txt", "notes.txt is a file: name the run's folder"),
        ("nowhere", "no model folder"),
        ("voc-fcn8s", "no run of voc-fcn8s"),
    ],
)
def test_no_run_is_said_in_a_sentence(base, capsys, name, says):
    assert cli.main(["report", name]) == 2
    said = capsys.readouterr().err
    assert says in said and said.count("\n") == 1 and "Traceback" not in said


# ---- runs that were refused, or ended by what was found


FOUND = {
    "time": "2026-01-01T12:00:00",
    "iteration": 0,
    "kind": "weights.zero",
    "level": "refuse",
    "what": "fc6, fc7 are zero and will stay so",
    "evidence": "no gradient passes",
    "way_out": "convert.py makes them",
}


@pytest.mark.parametrize("name", ["voc-fcn8s", "voc-fcn8s/snapshot", None])
def test_a_refused_run_shows_what_was_refused_and_why(base, name):
    folder = base / "voc-fcn8s/snapshot"
    note = FOUND | {"kind": "data.mean", "level": "note", "what": "a mean of one's own"}
    (folder / "findings.jsonl").write_text(json.dumps(note) + "\n" + json.dumps(FOUND) + "\n")
    (folder / "train.log").write_text("")
    assert cli.main(["report", *filter(None, [name])]) == 0
    text = text_of((folder / "report.html").read_text())
    assert "refused before its first step, for what is found below; nothing was trained" in text
    assert text.index(FOUND["what"]) < text.index(note["what"])
    assert FOUND["evidence"] in text and FOUND["way_out"] in text
    assert "What this report lacks" not in text


def test_a_run_that_can_be_shown_comes_before_a_refused_one(base):
    folder = run_folder(base, iterations=40, rounds=1, pictures=0)
    refused = base / "voc-fcn8s/snapshot/2"
    refused.mkdir()
    (refused / "findings.jsonl").write_text(json.dumps(FOUND) + "\n")
    assert cli.main(["report", "voc-fcn8s"]) == 0
    assert (folder / "report.html").exists() and not (refused / "report.html").exists()
    report.write_page([folder, refused], base / "both.html")
    assert "refused before its first step" in text_of((base / "both.html").read_text())


def test_what_ended_a_run_is_said_once(folder):
    what = "loss is nan at iteration 8: first in layer 'conv3_3'"
    nan = FOUND | {"iteration": 8, "kind": "nan", "what": what, "evidence": "rate 0.1"}
    (folder / "findings.jsonl").write_text(json.dumps(nan) + "\n")
    record = json.loads((folder / "run.json").read_text())
    how = f"Poisoned: {what} (rate 0.1). Way out: {nan['way_out']}"
    record["ended"] = {"how": how, "iteration": 8, "time": "2026-01-01T12:00:00"}
    (folder / "run.json").write_text(json.dumps(record))
    text = text_of(report.write(folder).read_text())
    assert text.count(what) == 1 and text.count(nan["way_out"]) == 1
    assert "ended: by what was found (see Findings) at iteration 8, 2026-01-01 12:00:00" in text


def test_an_error_that_ended_a_run_is_said_once(folder):
    record = json.loads((folder / "run.json").read_text())
    record["ended"]["how"] = "OSError: /data/a.mat: No such file"
    (folder / "run.json").write_text(json.dumps(record))
    text = text_of(report.write(folder).read_text())
    assert text.count("No such file") == 1 and "ended: by an error (see Run record)" in text


def test_a_folder_to_write_into(folder, tmp_path):
    (tmp_path / "pages").mkdir()
    assert report.write_page([folder], tmp_path / "pages") == tmp_path / "pages/report.html"
