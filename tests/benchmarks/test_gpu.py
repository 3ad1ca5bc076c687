"""The GPU run's plan, its process and its figures, and a rehearsal of all of it."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import replay
import torch

from benchmarks.gpu import __main__ as command
from benchmarks.gpu import fidelity, figures, parts, tests, trace
from benchmarks.gpu.part import SMALL, Report
from benchmarks.gpu.parts import PARTS, Part, Planned


def seconds(plan):
    return sum(planned.seconds for planned in plan)


# ---- the plan


def test_all_parts_fit_into_the_minutes():
    plan, left_out = parts.plan(None, parts.MINUTES, 140)
    assert [planned.part for planned in plan] == list(PARTS) and left_out == {}
    assert seconds(plan) <= 60 * parts.MINUTES


@pytest.mark.parametrize("minutes", [6, 3, 1, 0.3])
def test_fewer_minutes_keep_what_matters_most(minutes):
    plan, left_out = parts.plan(None, minutes, 140)
    ranks = [planned.part.rank for planned in plan]
    assert ranks == sorted(ranks) and seconds(plan) <= 60 * minutes + 1e-9
    assert len(plan) + len(left_out) == len(PARTS)
    assert all("others matter more" in why for why in left_out.values())
    for planned in plan:
        assert planned.seconds >= parts.LEAST * planned.part.seconds


def test_a_small_gpu_leaves_out_what_does_not_fit():
    plan, left_out = parts.plan(["forward", "trace"], 7, 9.5)
    assert [planned.part.name for planned in plan] == ["trace"]
    assert left_out == {"forward": "it needs 16 GiB of the GPU's memory, of which 9.5 are free"}


def test_unknown_parts_are_refused(capsys):
    with pytest.raises(SystemExit):
        command.parse(["--only", "forward,backward"])
    assert "no part backward; the parts are machine, fidelity" in capsys.readouterr().err


def test_without_a_gpu_one_line_says_so(capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert command.main([]) == command.NO_GPU == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and "python -m benchmarks.gpu --rehearse" in line


# ---- a part's process


@pytest.fixture
def run_script(tmp_path, monkeypatch):
    """Runs Python code in the place of a part."""

    def run(code, limit):
        (tmp_path / "script.py").write_text(f"import sys\nfile = sys.argv[4]\n{code}")
        popen = subprocess.Popen

        def start(args, **kwargs):
            return popen([sys.executable, str(tmp_path / "script.py"), *args[1:]], **kwargs)

        monkeypatch.setattr(command.subprocess, "Popen", start)
        record = command.Record(tmp_path / "gpu.json", {"card": "abacus"})
        part = Part("forward", "digs", 1, 1, 0)
        outcome = command.run_part(Planned(part, limit), record, tmp_path, False)
        return outcome, json.loads((tmp_path / "gpu.json").read_text())["parts"]["forward"]

    return run


TELL = """
import json, os, time
def tell(key, value):
    with open(file, "a") as out:
        out.write(json.dumps({"key": key, "value": value, "line": key}) + chr(10))
tell("a", 1)
tell("a", 2)
"""


def test_results_of_a_part(run_script):
    outcome, kept = run_script(TELL + "tell('b', 3)", 60)
    assert outcome == kept["outcome"] == "done"
    assert {key: result["value"] for key, result in kept["results"].items()} == {"a": 2, "b": 3}


def test_a_part_that_is_cut_off_has_told_what_it_knew(run_script):
    outcome, kept = run_script(TELL + "time.sleep(600)", 1.5)
    assert outcome == kept["outcome"] == "cut off after 2 s"
    assert kept["results"]["a"]["value"] == 2 and kept["seconds"] < 60


def test_a_part_that_fails_leaves_its_last_lines(run_script):
    outcome, kept = run_script(TELL + "raise ValueError('no such kernel')", 60)
    assert outcome == "failed with exit code 1" and kept["results"]["a"]["value"] == 2
    assert kept["last_lines"][-1] == "ValueError: no such kernel"


def test_a_failure_within_a_part_does_not_end_it(tmp_path, capsys):
    report = Report(tmp_path / "part.jsonl", 10)
    assert report.attempt("tf32", lambda: 1 / 0) is None
    assert report.attempt("float32", lambda: 5) == 5
    told = json.loads((tmp_path / "part.jsonl").read_text())
    assert told["value"] == {"error": "ZeroDivisionError: division by zero"}
    assert "tf32: FAILED" in capsys.readouterr().out


# ---- what parts read


def test_errors_of_cases_are_judged():
    def case(name):
        if name == "c":
            raise RuntimeError("no kernel image")
        off = {"a": 1e-6, "b": 3e-5}[name]
        return [replay.Error("top/x", off, 1e-5), replay.Error("param_diff/y", 1e-5, 1e-4)]

    result = fidelity.judge(case, [("a",), ("b",), ("c",)])
    assert (result["cases"], result["within"]) == (3, 1)
    assert result["raised"] == {"c": "RuntimeError: no kernel image"}
    assert result["worst"][0][:2] == (pytest.approx(3), "b: top/x")
    assert result["largest"] == {"1e-05": 3e-5, "0.0001": 1e-5}
    line = fidelity.line_of("layers", "float32", result, 2)
    assert "1 of 3 within" in line and "1 raised" in line and "beyond: b: top/x" in line


def test_pytest_output_is_read(tmp_path, monkeypatch, capsys):
    """A failing, a passing and a skipped test, in parallel and in one process."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_it.py").write_text(
        "import pytest\npytestmark = pytest.mark.cuda\n"
        "def test_good(): pass\n"
        "def test_bad():\n    x = 41\n    assert x == 42, 'not the answer'\n"
        "@pytest.mark.skip\ndef test_not(): pass\n"
        "@pytest.fixture\ndef broken(): raise OSError('no device')\n"
        "def test_error(broken): pass\n"
    )
    (tmp_path / "pyproject.toml").write_text(
        "[tool.pytest.ini_options]\naddopts = '-q'\nmarkers = ['cuda: needs one']\n"
    )
    monkeypatch.setattr(tests, "ROOT", tmp_path)
    for found in (True, None):
        monkeypatch.setattr(tests.importlib.util, "find_spec", lambda name, found=found: found)
        file = tmp_path / f"part-{found}.jsonl"
        tests.run(Report(file, 60), SMALL._replace(rehearsal=False))
        told = {
            line["key"]: line["value"] for line in map(json.loads, file.read_text().splitlines())
        }
        assert told["counts"] == {"passed": 1, "failed": 1, "skipped": 1, "error": 1}
        assert len(told["failed"]) == 2 and told["exit code"] == 1
        assert any("not the answer" in line for line in told["test_bad"])


def event(name, start, end):
    span = SimpleNamespace(start=start, end=end, elapsed_us=lambda: end - start)
    return SimpleNamespace(name=name, time_range=span)


def test_shares_of_a_trace():
    events = [event("gemm", 0, 40), event("gemm", 30, 60), event("relu", 70, 80)]
    events += [event("Memcpy HtoD (Pinned -> Device)", 75, 95)]
    found = trace.summary(events, 100e-6, 2)
    assert found["busy"] == pytest.approx(0.85)
    assert (found["kernels"], found["copies"]) == (1.5, 0.5)
    assert found["longest"] == {"gemm": pytest.approx(0.035), "relu": pytest.approx(0.005)}


# ---- documents


def test_documents_have_the_figures_of_the_newest_run():
    for path, text in figures.documents(figures.newest()).items():
        assert path.read_text() == text, "run: python -m benchmarks.gpu.figures"


def test_without_a_run_the_documents_say_so():
    assert figures.report(None) == figures.summary(None) == figures.NONE


def test_text_without_markers_is_refused():
    with pytest.raises(ValueError, match="no markers"):
        figures.put("nothing", "figures")


# ---- all of it


@pytest.mark.slow
def test_rehearsal(tmp_path):
    """Every part runs through, in small, with the CPU in the role of the GPU.

    A GPU's machine may have nothing but what training needs.
    """
    absent = tmp_path / "absent"
    absent.mkdir()
    for name in ("lmdb", "argcomplete"):
        (absent / f"{name}.py").write_text(f"raise ModuleNotFoundError(name={name!r})\n")
    run = [sys.executable, "-m", "benchmarks.gpu", "--rehearse", "--out", str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(absent)}
    done = subprocess.run(run, cwd=command.ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads((tmp_path / "gpu-rehearsal.json").read_text())
    assert list(record["parts"]) == parts.names() and record["left_out"] == {}
    for name, part in record["parts"].items():
        assert part["outcome"] == "done" and part["results"], name
        for key, result in part["results"].items():
            assert "FAILED" not in result["line"], f"{name}: {key}"
    forward = figures.results(record, "forward")
    for row in forward["forward float32"] + forward["forward bf16"]:
        assert row["differs"] <= row["tolerance"]
    assert len(forward["forward tf32"]) == len(forward["stream tf32"]) == 5
    assert len(figures.results(record, "training")["step float32"]) == 6
    section, sentence = figures.report(record), figures.summary(record)
    assert "| ours, CUDA graphs |" in section and "| target | 20 | 8 |  |" in section
    assert "not whole" not in section and "FCN-8s forward in bf16" in sentence
