"""results.md: generated from records, and only from them."""

import json

import pytest

from fcn import results
from fcn.cli import main


def record(model, layer="score", date="2026-01-02", **more):
    scores = dict(pixel_accuracy=0.9, mean_accuracy=0.8, mean_iu=0.651234, fw_iu=None)
    made = dict(weights="w.caffemodel", sha1="ab" * 20, split="seg11valid", images=736, date=date)
    return dict(model=model, layer=layer, versions={"torch": "2.13.0"}) | made | scores | more


def row(text, model, task="semantic"):
    (line,) = (x for x in text.splitlines() if x.startswith(f"| {model} | {task} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_without_records_the_table_says_so():
    text = results.table([])
    assert row(text, "voc-fcn8s")[-3:] == [
        "91.2 / 77.6 / 65.5 / 84.5",
        "91.2212 / 77.6146 / 65.5126 / 84.5445",
        "not scored yet",
    ]
    assert len([x for x in text.splitlines() if x.endswith("| not scored yet |")]) == 18


def test_the_newest_record_counts_and_tells_what_it_was_made_from():
    text = results.table(
        [
            record("voc-fcn8s", mean_iu=0.1),
            record("voc-fcn8s"),
            record("siftflow-fcn8s", "score_geo"),
            record("voc-fcn8s/sample"),
            {"iteration": 4000, "layer": "score"},  # a solver's, of no finished weights
        ]
    )
    assert row(text, "voc-fcn8s")[-1] == "90.0000 / 80.0000 / 65.1234 / –"
    assert row(text, "siftflow-fcn8s", "geometric")[-1] != "not scored yet"
    assert row(text, "siftflow-fcn8s")[-1] == "not scored yet"
    assert "abab; 736 pictures of seg11valid; 2026-01-02, torch 2.13.0" in text


def test_both_ways_of_counting_are_noted():
    both = {"absent": [8, 10, 19], "mean_iu_present": 0.412, "mean_iu_foreground": 0.391}
    text = results.table(
        [record("siftflow-fcn8s", "score_sem", **both), record("pascalcontext-fcn8s", **both)]
    )
    sift, context = text.splitlines()[-2:]
    assert "mean IU 41.2000 without the absent classes" in sift and "background" not in sift
    assert "mean IU 39.1000 of the 59 without background" in context


def test_the_committed_table_is_that_of_the_committed_records():
    lines = results.RECORDS.read_text().splitlines() if results.RECORDS.is_file() else []
    assert results.TABLE.read_text() == results.table([json.loads(x) for x in lines])


def test_models_of_one_s_own_stand_below(project):
    """A folder of any name beside the published ones is not asked for its task."""
    (project / "my-net").mkdir()
    (project / "my-net/solver.prototxt").touch()
    text = results.table([record("my-net"), record("my-net", "score_geo")])
    assert row(text, "my-net")[2:] == ["–", "–", "90.0000 / 80.0000 / 65.1234 / –"]
    assert row(text, "my-net", "geometric")


@pytest.mark.parametrize("broken", ['{"model": "a"', "[1]", "null"])
def test_a_broken_record_is_told_by_its_line(project, broken, monkeypatch, capsys):
    monkeypatch.setattr(results, "RECORDS", project / "results.jsonl")
    monkeypatch.setattr(results, "TABLE", project / "results.md")
    lines = [json.dumps(record("voc-fcn8s")), "", broken, json.dumps(record("voc-fcn8s"))]
    results.RECORDS.write_text("\n".join(lines))
    assert main(["results"]) == 2
    said = capsys.readouterr().err
    assert "results.jsonl:3: no record" in said and "Traceback" not in said
    assert not results.TABLE.exists()
