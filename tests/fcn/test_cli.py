"""The `fcn` command: its help pages, mistakes in a sentence, lazy imports, completion."""

import os
import subprocess
import sys

import pytest
from places import ROOT

from fcn import cli


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_a_help_page(name, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main([*name.split(), "--help"])
    assert end.value.code == 0
    page = capsys.readouterr().out
    assert page.startswith(f"usage: fcn {name}") and cli.COMMANDS[name].summary in page


def test_the_first_page_lists_every_command(capsys):
    for words, group in ([[], ""], [["data"], "data "]):
        with pytest.raises(SystemExit):
            cli.main([*words, "--help"])
        page = capsys.readouterr().out
        for name in cli.COMMANDS:
            if name.startswith(group):
                assert name.removeprefix(group).split()[0] in page


@pytest.mark.parametrize(
    "arguments",
    [[], ["segment"], ["data"], ["data", "burn"], ["infer"], ["explain", "voc-fcn8s", "--gpu"]],
)
def test_bad_commands_exit_2(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    assert end.value.code == 2
    assert "usage: fcn" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["train", "voc-fcn4s"], "no model folder"),
        (["train", "data"], "has no solve.py"),
        (["train", "nyud-fcn32s-hha", "--sample"], "no --sample form"),
        (["train", "voc-fcn8s", "--resume", "none.solverstate"], "no solverstate"),
        *(
            (words + ["nyud-fcn32s-hha", "--sample"], "has no form of the embedded")
            for words in (
                ["score", "--model"],
                ["doctor"],
                ["report"],
                ["infer", "pyproject.toml", "--model"],
            )
        ),
        (["score", "--weights", "none.caffemodel"], "no weights file"),
        (["infer", "none.jpg", "--weights", "none.caffemodel"], "no weights file"),
        (["explain", "none.prototxt"], "no prototxt"),
        (["explain", str(ROOT / "README.md")], "README.md:"),
        (["data", "fetch", "voc", "--archive", "none.tar"], "the files of voc are called"),
        (["data", "upper-bound", "voc", "none"], "voc is not below"),
    ],
)
def test_mistakes_are_told_in_a_sentence(arguments, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"fcn {arguments[0]}") and said in err and "Traceback" not in err


@pytest.mark.parametrize("name", [None, *cli.COMMANDS])
def test_help_imports_no_engine(name):
    """So every help page is there in well under a third of a second."""
    code = f"""if True:
        import sys
        from fcn import cli
        cli.build_parser({name!r}).format_help()
        sys.exit(any(name in sys.modules for name in ("torch", "numpy", "caffe")))"""
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


@pytest.mark.parametrize("script", ["infer.py", "score.py"])
def test_root_scripts_are_the_commands(script):
    page = subprocess.run(
        [sys.executable, ROOT / script, "--help"], cwd="/", capture_output=True, text=True
    ).stdout
    assert page.startswith(f"usage: {script}") and "--weights" in page


@pytest.mark.parametrize(
    "line, word",
    [("fcn ex", "explain"), ("fcn data up", "upper-bound"), ("fcn score --rec", "--record")],
)
def test_completion(line, word, tmp_path):
    """What a shell asks argcomplete for."""
    pytest.importorskip("argcomplete")
    asked = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)), "IFS": "\n"}
    asked |= {"_ARGCOMPLETE_STDOUT_FILENAME": str(tmp_path / "words")}
    code = "import sys; sys.argv = ['fcn']; from fcn.cli import main; main()"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=os.environ | asked)
    assert word in (tmp_path / "words").read_text()
