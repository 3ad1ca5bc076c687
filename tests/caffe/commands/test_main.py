"""The command line: exit codes, streams, users' mistakes in one sentence, help."""

import os
import subprocess
import sys

import pytest
from log_lines import PREFIX
from places import ROOT

from caffe.__main__ import main
from caffe.commands import COMMANDS


def test_module_exit_codes_and_environment(training):
    """`python -m caffe` from outside: streams, exit codes, GLOG_minloglevel."""

    def run(*arguments, level="0"):
        environment = os.environ | {"PYTHONPATH": str(ROOT), "GLOG_minloglevel": level}
        command = [sys.executable, "-m", "caffe", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    quiet = run("time", "-model", "net.prototxt", "-iterations", "1", level="1")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")
    wrong = run("train", "-solver", "nowhere.prototxt")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert wrong.stderr == "caffe train: Could not open file nowhere.prototxt\n"


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["trian"], "unknown command 'trian'; known: train"),
        (["train"], "needs a solver: -solver"),
        (["train", "-solver"], "flag '-solver' is missing its argument"),
        (["train", "-solvr=x"], "unknown command line flag 'solvr'"),
        (["train", "solver.prototxt"], "takes flags only, got 'solver.prototxt'"),
        (["train", "-solver=s", "-snapshot=a", "-weights=b"], "not both"),
        (["train", "-solver=s", "-sigint_effect=die"], "one of snapshot, stop, none, got 'die'"),
        (["train", "-solver=solver.prototxt", "-snapshot=no"], "Could not open file no"),
        (["train", "-solver=solver.prototxt", "-gpu=0,1"], "GPU 0"),
        (["train", "-solver=solver.prototxt", "-precision=tf32"], "has float32"),
        (["time", "-model=net.prototxt", "-precision=fp16"], "float32, tf32, bf16, got 'fp16'"),
        (["train", "-solver=net.prototxt"], "SolverParameter has no field 'name'"),
        (["test", "-model=net.prototxt"], "needs weights"),
        (["test", "-model=net.prototxt", "-weights=no"], "Could not open file no"),
        (["time", "-model=net.prototxt", "-iterations=ten"], "illegal value 'ten' specified for int32"),
        (["time", "-model=net.prototxt", "-iterations=0"], "at least 1, got 0"),
        (["time", "-model=net.prototxt", "-phase=train"], "TRAIN or TEST, got 'train'"),
        (["time", "-model=solver.prototxt"], "NetParameter has no field"),
        (["upgrade_net_proto_text", "net.prototxt"], "takes two files, got 1"),
        (["upgrade_net_proto_text", "batches.h5", "x"], "binary data where a prototxt"),
        (["upgrade_net_proto_binary", "net.prototxt", "x"], "no binary net"),
        (["convert_imageset", "/", "list"], "3 arguments are needed, got 2"),
        (["convert_imageset", "/", "batches.txt", "db"], "batches.txt, line 1: a path and a whole"),
        (["convert_imageset", "-resize_width=2", "/", "l", "db"], "go together"),
        (["compute_image_mean", "nowhere"], "there is no database nowhere"),
        (["compute_image_mean", "-backend=sql", "net.prototxt"], "unknown database backend 'sql'"),
        (["extract_features", "w", "n", "a,b", "x", "1", "lmdb"], "2 blobs and 1 databases"),
        (["parse_log", "net.prototxt", "."], "no training log"),
        (["parse_log", "train.txt"], "the following arguments are required: output_dir"),
        (["plot_training_log", "9", "x.png", "train.txt"], "invalid choice: 9"),
        (["plot_training_log", "0", "x.nope", "train.txt"], "cannot write x.nope"),
        (["classify", "x.jpg", "y.npy"], "--model_def"),
        (["draw_net", "nowhere", "x.dot"], "Could not open file nowhere"),
    ],
)  # fmt: skip
def test_mistakes_get_one_sentence_and_exit_code_1(training, capfd, arguments, wanted):
    assert main(arguments) == 1
    out, err = capfd.readouterr()
    said = [line for line in err.splitlines() if not PREFIX.match(line)]
    assert out == ""
    assert len(said) == 1
    assert wanted in said[0]
    assert said[0].startswith("caffe")


def test_errors_of_a_python_layer_tell_where(folder, capfd, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.syspath_prepend(folder)
    (folder / "faulty.py").write_text(
        "import caffe\nclass Faulty(caffe.Layer):\n    def setup(self, bottom, top):\n"
        "        raise ValueError('no such split')\n    def reshape(self, bottom, top): pass\n"
        "    def forward(self, bottom, top): pass\n"
    )
    (folder / "net.prototxt").write_text(
        'layer { name: "f" type: "Python" top: "f" python_param { module: "faulty" layer: "Faulty" } }'
    )
    assert main(["time", "-model=net.prototxt"]) == 1
    assert f"caffe time: no such split ({folder}/faulty.py:4)\n" in capfd.readouterr().err


@pytest.mark.parametrize("flag", ["--help", "-help", "-h"])
def test_every_command_has_help(flag, folder, capfd):
    for name in COMMANDS:
        with pytest.raises(SystemExit) as stop:
            main([name, flag])
        assert stop.value.code == 0
        assert name in capfd.readouterr().out
    assert not list(folder.iterdir())


HELP = """
import sys
from caffe.__main__ import main
from caffe.commands import COMMANDS

for arguments in [["--help"], *([name, "--help"] for name in COMMANDS)]:
    try:
        main(arguments)
    except SystemExit:
        pass
assert "torch" not in sys.modules
"""


def test_help_comes_at_once(folder):
    """All help pages in one process, which has not imported PyTorch, whose import takes a second."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", HELP], check=True, env=environment, capture_output=True)


def test_a_list_of_commands(capfd):
    assert main(["--help"]) == 0
    listed = capfd.readouterr().out
    assert all(name in listed for name in COMMANDS)
    assert main([]) == 1
