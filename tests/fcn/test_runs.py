"""A run's folder: nobody else writes there, and going on takes what is whole."""

import json
import multiprocessing
import os
import time

import pytest

from fcn import runs
from fcn.runs import FIRST, InUse, Run


@pytest.fixture
def folder(tmp_path):
    """A model folder without any run."""
    return tmp_path


def leave(run, iteration=None, age=0):
    """Let a run have a snapshot, or only a record."""
    run.folder.mkdir(parents=True, exist_ok=True)
    files = [run.folder / "run.json"]
    files[0].write_text(json.dumps({"run": run.name}))
    if iteration is not None:
        files += [
            run.folder / f"train_iter_{iteration}.{end}" for end in ("caffemodel", "solverstate")
        ]
    for path in files:
        path.touch()
        os.utime(path, (time.time() - age,) * 2)
    return run


def test_the_first_run_is_where_it_was_published(folder):
    run = runs.new_run(folder)
    assert run == Run(FIRST, folder / "snapshot") and not run.exists()


def test_a_fresh_start_never_meets_another_runs_files(folder):
    leave(runs.new_run(folder), 258)
    second = leave(runs.new_run(folder), 4)
    assert second.folder == folder / "snapshot" / "2"
    leave(runs.new_run(folder, "slow-1e-11"))
    assert runs.new_run(folder).name == "3"
    with pytest.raises(
        ValueError, match=r"run 2 \(iteration 4\) is there already.*--resume --run 2"
    ):
        runs.new_run(folder, "2")


def test_files_of_an_older_version_are_the_first_run(folder):
    (folder / "snapshot").mkdir()
    (folder / "snapshot" / "train_iter_8000.caffemodel").touch()
    assert [run.name for run in runs.runs_of(folder)] == [FIRST]
    assert runs.new_run(folder).name == "2"


@pytest.mark.parametrize("name", ["", "a/b", "..", ".x", "-x", "train_iter_4", "a b", "pictures"])
def test_what_is_no_name(folder, name):
    with pytest.raises(ValueError, match="a run's name has letters"):
        runs.new_run(folder, name)


def test_the_run_last_worked_on_is_resumed(folder):
    leave(runs.new_run(folder), 258, age=10)
    leave(runs.new_run(folder), 4, age=500)
    assert runs.run_to_resume(folder).name == FIRST
    assert runs.run_to_resume(folder, "2").name == "2"
    leave(Run("3", folder / "snapshot" / "3"))
    with pytest.raises(FileNotFoundError) as error:
        runs.run_to_resume(folder)
    assert "nothing to resume: no" in str(error.value)
    assert "3 (no solverstate), 1 (iteration 258), 2 (iteration 4)" in str(error.value)
    with pytest.raises(FileNotFoundError, match="no run 9 of .*; the runs there are: 3"):
        runs.run_to_resume(folder, "9")


def test_what_came_before_a_nan_is_left_out(folder, capsys):
    run = leave(leave(runs.new_run(folder), 4), 8)
    leave(run, 12)
    run.doubt(run.states()[:2])
    assert [state.name for state in run.trusted_states()] == ["train_iter_4.solverstate"]
    said = capsys.readouterr().out
    assert "left out: train_iter_12.solverstate" in said and "train_iter_8" in said
    run.doubt(run.states())  # nothing else is there
    assert run.trusted_states() == run.states()


def test_a_damaged_record_is_no_obstacle(folder):
    run = leave(runs.new_run(folder), 4)
    run.record_path.write_text('{"run": "1", "se')
    assert run.record() == {}
    run.write_record(seed=3)
    assert run.record() == {"seed": 3}


# ---- the lock


def hold(folder, ready, go):
    with Run(FIRST, folder).locked():
        ready.set()
        go.wait(60)


def test_a_run_in_use_is_refused_until_its_process_is_gone(tmp_path):
    """However the process goes: SIGKILL leaves the file behind, but not the lock."""
    folder = tmp_path / "snapshot"
    folder.mkdir()
    context = multiprocessing.get_context("spawn")
    ready, go = context.Event(), context.Event()
    other = context.Process(target=hold, args=(folder, ready, go))
    other.start()
    assert ready.wait(60)
    with (
        pytest.raises(InUse, match=rf"in use by process {other.pid} on .*--run NAME"),
        Run(FIRST, folder).locked(),
    ):
        pass
    leave(Run(FIRST, folder.parent / "snapshot"))  # its first snapshot is not written yet
    with pytest.raises(InUse, match=f"in use by process {other.pid}"):
        runs.run_to_resume(folder.parent, None)
    other.kill()
    other.join()
    other.close()
    with Run(FIRST, folder).locked():
        assert f"process {os.getpid()} on" in (folder / "lock").read_text()
    assert (folder / "lock").read_text() == ""


def test_a_lock_left_by_a_process_that_is_gone_is_no_obstacle(folder):
    (folder / "lock").write_text("process 4000000 on a-host-that-is-gone since 2015\n")
    with Run(FIRST, folder).locked():
        pass
