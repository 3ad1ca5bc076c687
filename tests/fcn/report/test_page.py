"""The page shows what is there, names what is not, and needs nothing but itself."""

import html
import json
import re
import time

import numpy as np
import pytest
from run_folder import run_folder

from fcn import report
from fcn.report import numbers, page
from fcn.report.reading import read_run, read_runs

PNGS = [f"report-{what}.png" for what in ("classes", "confusion", "loss", "pictures", "scores")]


def text_of(path):
    """A page's text without its marks."""
    body = re.sub(r"<style>.*?</style>", "", path.read_text(), flags=re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", body)).split())


def test_a_whole_run(tmp_path):
    folder = run_folder(tmp_path, steps=(1000,))
    path = report.write(folder)
    assert path == folder / "report.html"
    assert sorted(p.name for p in folder.glob("*.png")) == PNGS
    assert not list(folder.glob(".*"))  # nothing half written
    text = text_of(path)
    assert "What this report lacks" not in text
    for part in (
        *("voc-fcn8s, run 1", "Every pixel is given class 0.", "rate 1e-11", "loss per pixel"),
        *(
            "thing 4",
            "The largest confusions",
            "2008_000005",
            "Before, at iteration",
            "best mean IU",
        ),
        *("fcn train voc-fcn8s --run 1", "done at iteration 2,000", "base_lr", "weight_decay"),
    ):
        assert part in text, part


def test_no_line_without_words(tmp_path):
    """Under the losses of several runs there is nothing to say of short ones whose rate changes."""
    folders = [
        run_folder(tmp_path, run, display=100, steps=(1000,), pictures=0) for run in ("1", "2")
    ]
    source = report.write_page(folders, tmp_path / "both.html").read_text()
    assert not re.search(r"<p[^>]*>[^<]*:\s*</p>", source)


def test_no_address_leaves_the_page(tmp_path):
    source = report.write(run_folder(tmp_path)).read_text()
    addresses = re.findall(r"\b(?:src|href|action|srcset|poster)=[\"']([^\"']*)", source)
    assert addresses and all(a.startswith(("data:", "#")) for a in addresses)
    assert not re.search(r"url\(|@import|https?:|<script|\son\w+=", source)


def test_the_largest_confusions_come_first():
    hist = np.array([[90, 10, 0], [0, 50, 50], [1, 0, 99]])
    found = numbers.confusions(hist)
    assert [(c.truth, c.given, c.share, c.pixels) for c in found] == [
        *((1, 2, 0.5, 50), (0, 1, 0.1, 10), (2, 0, 0.01, 1))
    ]


def test_held_back_loss_is_in_the_unit_of_the_log(tmp_path):
    run = read_run(run_folder(tmp_path))
    record = run.scores["score"][-1]
    pixels = np.sum(record["hist"]) / record["images"]
    assert numbers.loss_of(run).held_back.y[-1] == pytest.approx(record["loss"] / pixels)


def test_classes_are_sorted_and_absent_ones_are_last(tmp_path):
    folder = run_folder(tmp_path, rounds=1)
    record = json.loads((folder / "scores.jsonl").read_text())
    record["iu"][2] = record["accuracy"][2] = None
    (folder / "scores.jsonl").write_text(json.dumps(record))
    bars = page.bars_of([run := read_run(folder)], "score", [run.scores["score"][-1]])
    values = [bar.values[0] for bar in bars]
    assert values[:-1] == sorted(values[:-1], reverse=True) and values[-1] is None
    assert bars[-1].name == "thing 2"
    report.write(folder)


@pytest.mark.parametrize(
    "keep, lacks, shows",
    [
        ({"scores.jsonl"}, "log.csv is not there", "The largest confusions"),
        ({"log.csv"}, "scores.jsonl is not there", "loss per pixel"),
        ({"run.json"}, "log.csv is not there", "fcn train voc-fcn8s"),
        ({"scores.jsonl", "log.csv"}, "run.json is not there", "aeroplane"),  # the task's names
    ],
)
def test_what_is_missing_is_said_and_the_rest_shown(tmp_path, keep, lacks, shows):
    folder = run_folder(tmp_path, classes=21, pictures=0)
    for name in {"run.json", "log.csv", "scores.jsonl", "findings.jsonl"} - keep:
        (folder / name).unlink()
    text = text_of(report.write(folder))
    assert lacks in text and shows in text


def test_losses_that_are_not_numbers_are_counted(tmp_path):
    folder = run_folder(tmp_path)
    with open(folder / "log.csv", "a") as file:
        file.write("1,2020,t,1e-10,1,ab,nan,nan,nan,3\n1,2040,t,1e-10,1,ab,inf,inf,inf,3\n")
    assert "2 lines of the log have no finite loss" in text_of(report.write(folder))


def test_a_run_whose_every_loss_is_lost(tmp_path):
    folder = run_folder(tmp_path, iterations=20, rounds=1)
    lines = (folder / "log.csv").read_text().splitlines()
    lines[1:] = [f"1,{k},t,1e-10,1,ab,nan,nan,nan,3" for k in (0, 20)]
    (folder / "log.csv").write_text("\n".join(lines))
    report.write(folder)


@pytest.mark.parametrize("classes", [2, 60])
def test_few_and_many_classes(tmp_path, classes):
    folder = run_folder(tmp_path, classes=classes, level=1.5)
    source = report.write(folder).read_text()
    assert source.count('class="name"') >= 3 * classes
    assert len(source) < 1_000_000


def test_two_labellings_are_shown_one_after_the_other(tmp_path):
    text = text_of(report.write(run_folder(tmp_path, layers=("score_sem", "score_geo"))))
    assert "Confusions of score_sem" in text and "Pictures of score_geo" in text


def test_several_runs_side_by_side(tmp_path):
    folders = [
        run_folder(tmp_path),
        run_folder(tmp_path, run="lr2", iterations=3000, set={"base_lr": "1e-9"}),
    ]
    path = report.write_page(folders)
    assert path == folders[0] / "report-run-1-run-lr2.html"
    text = text_of(path)
    for part in ("run 1 and run lr2", "≠ settings", "base_lr=1e-9", "≠ command"):
        assert part in text
    assert "≠ seed" not in text


def test_runs_that_lack_different_things(tmp_path):
    one, two = run_folder(tmp_path), run_folder(tmp_path, run="two", classes=7)
    (one / "log.csv").unlink()
    (one / "scores.jsonl").unlink()
    (two / "run.json").unlink()
    assert "run two" in text_of(report.write_page([one, two]))


def test_the_figure_of_strides_finds_sister_models(tmp_path):
    folders = [run_folder(tmp_path, model=f"voc-fcn{stride}s") for stride in (32, 16, 8)]
    text = text_of(report.write(folders[2]))
    assert "input stride 32 stride 16 stride 8 truth" in text
    alone = run_folder(tmp_path / "alone")
    assert "Strides" not in text_of(report.write(alone))


def test_names_from_files_are_text_and_never_marks(tmp_path):
    folder = run_folder(tmp_path, names=["<b>", "a&b", "c", "d", "e"])
    assert "<b>" not in page.render(read_runs([folder])).replace("<b>Loss", "").replace(
        "<b>Scores", ""
    )


def test_a_large_run_is_written_fast_and_small(tmp_path):
    folder = run_folder(
        tmp_path, classes=21, iterations=100_000, display=1, rounds=25, size=(375, 500)
    )
    report.write(folder)  # what is imported only once
    start = time.process_time()
    path = report.write(folder)
    assert time.process_time() - start < 4  # 1.3 s on an idle machine
    assert path.stat().st_size < 3_000_000


def test_training_goes_on_without_its_report(tmp_path, capsys):
    assert report.write_or_say(tmp_path) is None
    assert "warning: no report of" in capsys.readouterr().err
