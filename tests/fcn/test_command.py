"""The `fcn` command: its table, its help pages, its exit statuses."""

import subprocess
import sys

import pytest
from places import ROOT

from fcn.command import COMMANDS, DATA_COMMANDS, main


@pytest.mark.parametrize(
    "command", [[name] for name in COMMANDS] + [["data", name] for name in DATA_COMMANDS]
)
def test_every_command_has_a_help_page(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([*command, "--help"])
    assert stopped.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: fcn {' '.join(command)}")
    *group, name = command
    text = (DATA_COMMANDS if group else COMMANDS)[name][1]
    assert text[1:30] in out.replace("\n", " ")


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    out = capsys.readouterr().out
    assert all(name in out for name in (*COMMANDS, "data"))


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["explain", "voc-fcn4s"], "did you mean voc-fcn8s"),
        (["infer", "a.jpg", "--weights", "gone.caffemodel"], "no weights file"),
        (["train", "voc-fcn4s"], "did you mean voc-fcn8s"),
        (["data", "check", "voc", "/nowhere"], "see data/voc/README.md"),
        (["data", "fetch", "voc", "--archive", "other.zip"], "the files of voc are called"),
    ],
)
def test_what_the_user_can_put_right_is_a_sentence(arguments, says, capsys):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert says in error and "Traceback" not in error


@pytest.mark.parametrize("arguments", [[], ["nothing"], ["data"], ["infer"], ["train"]])
def test_a_wrong_command_line_exits_2(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "usage: fcn" in capsys.readouterr().err


def test_help_loads_no_subcommand():
    """`fcn --help` answers at once: it loads neither scikit-learn nor matplotlib."""
    code = (
        "import sys; from fcn.command import parser_of; parser_of([]); print(sorted(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    for name in ("sklearn", "matplotlib", "fcn.train", "fcn.datasets"):
        assert f"'{name}'" not in done.stdout, name


def test_train_passes_the_options_on(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["train", "nyud-fcn32s-hha", "--sample", "--cpu"])
    assert stopped.value.code == 2
    assert "this model has no --sample form" in capsys.readouterr().err


def test_python_m_fcn():
    done = subprocess.run(
        [sys.executable, "-m", "fcn", "explain", "voc-fcn8s"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0 and "offset 31" in done.stdout
