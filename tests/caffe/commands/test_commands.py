"""The command line: flags, log lines, signals, exit codes and files of every tool."""

import csv
import os
import re
import shutil
import subprocess
import sys

import lmdb
import numpy as np
import pytest
import torch
from PIL import Image
from places import GOLDEN, ROOT

import caffe
from caffe import glog
from caffe.__main__ import main
from caffe.commands import COMMANDS, flags, logs
from caffe.layers import hdf5 as hdf5_layers
from caffe.layers.conv import Convolution
from caffe.layers.inner_product import InnerProduct
from caffe.proto import caffe_pb2
from caffe.running import roofline

PREFIX = re.compile(r"^([IWEF])\d{8} \d\d:\d\d:\d\d\.\d{6} +\d+ ([\w.]+:\d+\] .*)$")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty working directory, everything logged, one thread: the machine may be busy. Its peaks
    are not measured."""
    monkeypatch.setattr(roofline, "peak", lambda: roofline.Peak(100.0, 10.0))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GLOG_minloglevel", "0")
    glog.init_log()
    monkeypatch.setattr(hdf5_layers, "_logged", set())
    handlers, threads = list(glog.logger.handlers), torch.get_num_threads()
    torch.set_num_threads(1)
    yield tmp_path
    torch.set_num_threads(threads)
    for handler in set(glog.logger.handlers) - set(handlers):
        handler.close()
    glog.logger.handlers[:] = handlers
    monkeypatch.undo()
    glog.init_log()


@pytest.fixture
def training(folder):
    """The folder in which BVLC Caffe printed its logs."""
    for path in (GOLDEN / "log").iterdir():
        shutil.copy(path, folder)
    (folder / "snapshot").mkdir()
    return folder


# ---- log lines


def normalized(text):
    """Lines without times, process ids and speeds; values with four digits."""
    lines = []
    for line in text.splitlines():
        match = PREFIX.match(line)
        line = f"{match[1]} {match[2]}" if match else line
        line = re.sub(r"\([-+.\de]+ iter/s, [-+.\de]+s/", "(… iter/s, …s/", line)
        line = re.sub(r"[-+.\de]+ ms\.", "… ms.", line)
        lines.append(re.sub(r"(= |oss: )([-\d.e]+)", lambda m: m[1] + f"{float(m[2]):.3e}", line))
    return lines


def test_train_test_and_time_print_caffe_s_lines(training, capfd):
    def check(golden, *arguments):
        assert main(arguments) == 0
        out, err = capfd.readouterr()
        assert out == ""
        wanted, lines = normalized((GOLDEN / "log" / golden).read_text()), normalized(err)
        assert lines[: len(wanted)] == wanted
        ours = lines[len(wanted) :]  # behind Caffe's
        assert bool(ours) == ("time" in arguments)
        assert all(line.startswith("I roofline:0] ") for line in ours)
        hdf5_layers._logged.clear()

    check("train.txt", "train", "-solver", "solver.prototxt")
    state = "snapshot/s_iter_10.solverstate"
    check("train_resumed.txt", "train", "--solver=solver.prototxt", f"--snapshot={state}")
    check("train_weights.txt", "-solver=solver.prototxt", "train", "-weights", "init.caffemodel")
    weights = "snapshot/s_iter_20.caffemodel"
    check("test.txt", "test", "-model=net.prototxt", "-weights", weights, "-iterations", "3")
    check("time.txt", "time", "-model", "net.prototxt", "-iterations=3")


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


def test_stage_level_and_several_weights(folder, capfd):
    (folder / "net.prototxt").write_text(
        'layer { name: "d" type: "DummyData" top: "d" dummy_data_param { shape { dim: 1 dim: 1 } } }'
        'layer { name: "a" type: "InnerProduct" bottom: "d" top: "a" include { stage: "x" min_level: 2 }'
        "  inner_product_param { num_output: 1 } }"
        'layer { name: "b" type: "InnerProduct" bottom: "d" top: "b" include { stage: "y" }'
        "  inner_product_param { num_output: 1 } }"
    )
    net = caffe.Net("net.prototxt", caffe.TEST, level=2, stages=["x", "y"])
    for name, value in (("a", 3), ("b", 4)):
        net.params[name][1].data[...] = value
        net.save(f"{name}.caffemodel")
    net.params["a"][1].data[...] = 5
    net.save("later.caffemodel")
    capfd.readouterr()
    arguments = ["test", "-model=net.prototxt", "-iterations=1", "-stage=x,y"]
    assert main([*arguments, "-level=2", "-weights=a.caffemodel,b.caffemodel"]) == 0
    assert "] a = 3\n" in (err := capfd.readouterr().err)
    assert "] b = 4\n" in err
    assert main([*arguments, "-weights=b.caffemodel,later.caffemodel"]) == 0
    assert "] a = " not in (err := capfd.readouterr().err)
    assert "] b = 4\n" in err


def test_debug_info_is_logged_at_displayed_iterations(training, capfd):
    with open("solver.prototxt", "a") as file:
        file.write("debug_info: true\n")
    solver = caffe.get_solver("solver.prototxt")
    solver.net.copy_from("init.caffemodel")
    mean = np.abs(solver.net.params["ip2"][0].data).mean()
    capfd.readouterr()
    solver.step(2)
    lines = [line for line in capfd.readouterr().err.splitlines() if "ward]" in line]
    lines = [re.sub("^.*?net.cpp:", "", line) for line in lines]
    assert len(lines) == 18  # of iteration 0 alone: 10 forward, 7 backward, the norms
    assert [line.rpartition(": ")[0] for line in lines[5:11]] == [
        "591]     [Forward] Layer tanh1, top blob ip1 data",
        "591]     [Forward] Layer ip2, top blob ip2 data",
        "603]     [Forward] Layer ip2, param blob 0 data",
        "603]     [Forward] Layer ip2, param blob 1 data",
        "591]     [Forward] Layer loss, top blob loss data",
        "619]     [Backward] Layer loss, bottom blob ip2 diff",
    ]
    assert float(lines[7].rpartition(": ")[2]) == pytest.approx(mean, rel=1e-4)
    assert lines[-2].startswith("630]     [Backward] Layer ip1, param blob 1 diff: ")
    assert lines[-1].startswith("676]     [Backward] All net params (data, diff): L1 norm = (")


def test_log_folder(training, capfd):
    (training / "logs").mkdir()
    assert main(["time", "-model=net.prototxt", "-iterations=1", "-log_dir=logs"]) == 0
    shown = capfd.readouterr().err
    assert (training / "logs" / "caffe.INFO").read_text() == shown
    assert "Benchmark ends" in shown


# ---- signals

SIGNALLING = """
import signal
import caffe

class Signal(caffe.Layer):
    def setup(self, bottom, top):
        self.passes = 0
    def reshape(self, bottom, top):
        top[0].reshape(1)
    def forward(self, bottom, top):
        self.passes += 1
        if self.passes == 3:
            signal.raise_signal(getattr(signal, self.param_str))
    def backward(self, top, propagate_down, bottom):
        pass
"""


def test_time_runs_backward_in_a_net_without_loss(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.prototxt").write_text(
        'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 } } }'
        'layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" '
        "inner_product_param { num_output: 2 } }"
    )
    calls = []
    backward = InnerProduct.backward
    monkeypatch.setattr(
        InnerProduct, "backward", lambda *args: (calls.append(args[2]), backward(*args))
    )
    assert main(["time", "-model=net.prototxt", "-iterations=2"]) == 0
    # Once untimed, then twice an iteration. As Caffe: the weights' gradient only
    assert calls == [[False]] * 5


FED = """
layer { name: "data" type: "Input" top: "data" top: "label"
  input_param { shape { dim: 1 dim: 3 dim: 40 dim: 40 } shape { dim: 1 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 32 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip" inner_product_param { num_output: 2 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""


@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
def test_time_runs_passes_on_new_inputs_and_tells_rates(folder, capfd, monkeypatch, phase):
    (folder / "net.prototxt").write_text(FED)
    seen = []
    name = "forward_window" if phase == "TEST" else "forward"
    own = getattr(Convolution, name)

    def spy(self, bottom, top, *more):
        seen.append((bottom[0].x.sum().item(), more))
        own(self, bottom, top, *more)

    monkeypatch.setattr(Convolution, name, spy)
    assert main(["time", "-model=net.prototxt", f"-phase={phase}", "-iterations=2"]) == 0
    # Caffe's first pass and an untimed one; then, an iteration, a whole pass and one layer by layer
    assert len({total for total, _ in seen}) == len(seen) == 6
    if phase == "TEST":
        windows = {window for _, (window, _) in seen}
        followers = {follower.type for _, (_, follower) in seen}
        assert windows == {(0, 38, 0, 38)} and followers == {"ReLU"}
    lines = capfd.readouterr().err.splitlines()
    assert "peak of this machine: 100 GMAC/s" in lines[-1] and "; 10.0 GB/s" in lines[-1]
    relu = next(line for line in lines if "relu\tforward: " in line)
    assert relu.endswith(": 0 ms.") == (phase == "TEST")
    told = [line.partition("roofline:0] ")[2] for line in lines if " roofline:0] " in line]
    assert told[0] == "Forward:" and told[len(told) // 2] == "Backward:"
    tables = told[: len(told) // 2], told[len(told) // 2 :]
    for table in tables:
        rows = {row.split()[0]: row.split() for row in table[2:7]}
        assert list(rows) == ["data", "conv", "relu", "ip", "loss"]
        assert rows["conv"][4] == "0.001"  # backward: the weights' gradient, no other is wanted
        assert table[7].startswith("sum of layers ")


@pytest.mark.parametrize(
    ("name", "arguments", "stopped", "snapshots"),
    [
        ("SIGINT", [], True, [3]),
        ("SIGHUP", [], False, [3, 6]),
        ("SIGINT", ["-sigint_effect=snapshot"], False, [3, 6]),
        ("SIGINT", ["-sigint_effect=none"], False, [6]),
        ("SIGHUP", ["-sighup_effect", "stop"], True, [3]),
    ],
)
def test_signals(folder, capfd, name, arguments, stopped, snapshots):
    """SIGINT stops after a snapshot, SIGHUP snapshots, or as the flags say."""
    (folder / "signalling.py").write_text(SIGNALLING)
    sys.modules.pop("signalling", None)
    (folder / "net.prototxt").write_text(
        'layer { name: "s" type: "Python" top: "s" python_param {'
        f' module: "signalling" layer: "Signal" param_str: "{name}" }} }}'
        'layer { name: "p" type: "Parameter" top: "p" parameter_param { shape { dim: 1 } } }'
        'layer { name: "loss" type: "EuclideanLoss" bottom: "p" bottom: "s" top: "loss" }'
    )
    (folder / "solver.prototxt").write_text(
        'net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 6 solver_mode: CPU '
        'snapshot_prefix: "s"'
    )
    assert main(["train", "-solver=solver.prototxt", *arguments]) == 0
    assert ("solver.cpp:311] Optimization stopped early." in capfd.readouterr().err) == stopped
    found = sorted(int(path.stem.split("_")[-1]) for path in folder.glob("*.solverstate"))
    assert found == snapshots


# ---- mistakes


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
        (["train", "-solver=solver.prototxt", "-gpu=0,1"], "several GPUs is not available"),
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


def test_errors_of_a_python_layer_tell_where(folder, capfd):
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


def test_every_command_has_help(capfd):
    for name in COMMANDS:
        with pytest.raises(SystemExit) as stop:
            main([name, "--help"])
        assert stop.value.code == 0
        assert name in capfd.readouterr().out
    assert main(["--help"]) == 0
    listed = capfd.readouterr().out
    assert all(name in listed for name in COMMANDS)
    assert main([]) == 1


# ---- flags


def test_flags_as_gflags_reads_them():
    known = (flags.Flag("text", "a", ""), flags.Flag("count", 1, ""), flags.Flag("on", False, ""))

    def parse(*argv):
        values, others = flags.parse(argv, known, "caffe")
        return values.text, values.count, values.on, others

    assert parse() == ("a", 1, False, [])
    assert parse("-text", "-b", "one", "--count=-3", "-on", "two") == (
        "-b",
        -3,
        True,
        ["one", "two"],
    )
    assert parse("-on=t", "--noon", "-count", "0x10") == ("a", 16, False, [])
    assert parse("-on=no", "--", "-on") == ("a", 1, False, ["-on"])
    assert parse("-text=b=c", "-") == ("b=c", 1, False, ["-"])
    for argv in (["-notext"], ["-on=maybe"], ["-count=1.5"], ["-noon=true"]):
        with pytest.raises(flags.UsageError):
            parse(*argv)


# ---- upgrades


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("v0/net.prototxt", "v0/upgraded.prototxt", 1),
        ("v0/data_layers.prototxt", "v0/data_layers_upgraded.prototxt", 1),
        ("v0/net.caffemodel", "v0/upgraded.caffemodel", 1),
        ("v1/net.prototxt", "v1/upgraded.prototxt", 0),
        ("v1/features.prototxt", "v1/features_upgraded.prototxt", 0),
        ("v1/net.caffemodel", "v1/upgraded.caffemodel", 0),
        ("transform/v1.prototxt", "transform/v1_upgraded.prototxt", 0),
        ("transform/v2.prototxt", "transform/v2_upgraded.prototxt", 0),
        ("batchnorm/three_params.prototxt", "batchnorm/three_params_upgraded.prototxt", 0),
        ("batchnorm/net.caffemodel", "batchnorm/upgraded.caffemodel", 0),
        ("inputs/input_dim.prototxt", "inputs/input_dim_upgraded.prototxt", 0),
        ("inputs/input_with_v1.prototxt", "inputs/input_with_v1_upgraded.prototxt", 0),
    ],
)
def test_upgraded_nets_are_caffe_s_to_the_byte(old, new, code):
    command = "upgrade_net_proto_" + ("text" if old.endswith("prototxt") else "binary")
    assert main([command, str(GOLDEN / "formats" / old), "out"]) == code
    with open("out", "rb") as got:
        assert got.read() == (GOLDEN / "formats" / new).read_bytes()


def test_upgraded_solver(capfd):
    old = GOLDEN / "solvers" / "old_solver_type_enum" / "solver.prototxt"
    assert main(["upgrade_solver_proto_text", str(old), "new"]) == 0
    with open("new") as file:
        assert 'type: "Nesterov"' in (text := file.read())
    assert "solver_type" not in text
    assert main(["upgrade_solver_proto_text", "new", "newer"]) == 0
    assert "Solver already in latest proto format: new" in capfd.readouterr().err
    with open("newer") as file:
        assert file.read() == text


# ---- databases


def records(path):
    """{key: Datum}, read with the library alone."""
    with (
        lmdb.open(str(path), readonly=True, lock=False) as database,
        database.begin() as transaction,
    ):
        return {
            key.decode(): caffe_pb2.Datum.FromString(value) for key, value in transaction.cursor()
        }


@pytest.fixture
def pictures(folder):
    """Two pictures of 2 x 3 pixels, BGR of each known, and their list."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (2, 2, 3, 3), np.uint8)
    (folder / "root").mkdir()
    for i, picture in enumerate(pixels):
        Image.fromarray(picture).save(folder / "root" / f"a {i}.png")
    (folder / "list.txt").write_text("a 1.png 7\n\na 0.png 300\n")
    return pixels[::-1]  # in the list's order


def test_convert_imageset(pictures, capfd):
    assert main(["convert_imageset", "root/", "list.txt", "db"]) == 0
    err = capfd.readouterr().err
    assert "convert_imageset.cpp:89] A total of 2 images." in err
    assert "convert_imageset.cpp:153] Processed 2 files." in err
    found = records("db")
    assert list(found) == ["00000000_a 1.png", "00000001_a 0.png"]
    assert [datum.label for datum in found.values()] == [7, 300]
    for datum, picture in zip(found.values(), pictures):
        assert (datum.channels, datum.height, datum.width, datum.encoded) == (3, 2, 3, False)
        bgr = picture[:, :, ::-1].transpose(2, 0, 1)
        assert datum.data == bgr.tobytes()
    assert main(["convert_imageset", "root/", "list.txt", "db"]) == 1
    assert "db is there already" in capfd.readouterr().err


def test_convert_imageset_gray_and_resized(pictures):
    arguments = ["-gray", "-resize_height=4", "--resize_width", "6", "-check_size"]
    assert main(["convert_imageset", *arguments, "root/", "list.txt", "db"]) == 0
    for datum, picture in zip(records("db").values(), pictures):
        assert (datum.channels, datum.height, datum.width) == (1, 4, 6)
        values = np.frombuffer(datum.data, np.uint8).reshape(4, 6)
        grey = picture @ [0.299, 0.587, 0.114]
        assert values[0, 0] == pytest.approx(grey[0, 0], abs=1)  # twice the size: corners stay
        assert values[3, 5] == pytest.approx(grey[1, 2], abs=1)


def test_convert_imageset_encoded(pictures):
    def stored(*arguments):
        shutil.rmtree("db", ignore_errors=True)
        assert main(["convert_imageset", *arguments, "root/", "list.txt", "db"]) == 0
        return list(records("db").values())

    for datum, name in zip(stored("-encoded"), ("a 1.png", "a 0.png")):
        with open(f"root/{name}", "rb") as file:
            assert (datum.encoded, datum.data) == (True, file.read())
    assert all(d.encoded and d.data.startswith(b"\xff\xd8") for d in stored("-encode_type=jpg"))
    grey = stored("-encoded", "-gray")[0]  # not the file's colours: encoded anew
    with Image.open(__import__("io").BytesIO(grey.data)) as image:
        assert (image.format, image.mode) == ("PNG", "L")


def test_convert_imageset_shuffles_and_skips(folder, capfd):
    Image.new("L", (1, 1), 9).save(folder / "p.png")
    (folder / "list.txt").write_text("".join(f"p.png {i}\n" for i in range(40)) + "gone.png 1\n")
    assert main(["convert_imageset", "-gray", "-shuffle", "", "list.txt", "db"]) == 0
    err = capfd.readouterr().err
    assert "E" in {
        line[0] for line in err.splitlines() if "Could not open or find file gone.png" in line
    }
    assert "1 of 41 pictures could not be read" in err
    labels = [datum.label for datum in records("db").values()]
    assert sorted(labels) == list(range(40))
    assert labels != sorted(labels)
    (folder / "none.txt").write_text("gone.png 1\n")
    assert main(["convert_imageset", "", "none.txt", "db2"]) == 1


@pytest.mark.parametrize("encoded", [[], ["-encoded"]])
def test_compute_image_mean(pictures, capfd, encoded):
    assert main(["convert_imageset", *encoded, "root/", "list.txt", "db"]) == 0
    assert main(["compute_image_mean", "db", "mean.binaryproto"]) == 0
    mean = pictures[..., ::-1].transpose(0, 3, 1, 2).astype(float).mean(0)
    proto = caffe_pb2.BlobProto()
    with open("mean.binaryproto", "rb") as file:
        proto.ParseFromString(file.read())
    np.testing.assert_allclose(caffe.io.blobproto_to_array(proto)[0], mean, rtol=1e-6)
    err = capfd.readouterr().err
    assert "compute_image_mean.cpp:114] Number of channels: 3\n" in err
    assert f"mean_value channel [2]: {mean[2].mean():g}\n" in err


def test_extract_features(folder, capfd):
    (folder / "net.prototxt").write_text(
        'layer { name: "d" type: "DummyData" top: "d" dummy_data_param {'
        ' shape { dim: 2 dim: 3 dim: 1 dim: 2 } data_filler { type: "gaussian" std: 1 } } }'
        'layer { name: "ip" type: "InnerProduct" bottom: "d" top: "ip"'
        " inner_product_param { num_output: 4 } }"
        'layer { name: "tanh" type: "TanH" bottom: "d" top: "t" }'
    )
    net = caffe.Net("net.prototxt", caffe.TEST)
    net.params["ip"][1].data[...] = [1, 2, 3, 4]
    net.save("w.caffemodel")
    command = ["extract_features", "w.caffemodel", "net.prototxt", "ip,t", "db1,db2", "3", "lmdb"]
    assert main([*command, "CPU"]) == 0
    assert "Extracted features of 6 query images for feature blob ip" in capfd.readouterr().err
    assert list(records("db1")) == [f"{i:010d}" for i in range(6)]
    for datum in records("db1").values():
        assert (datum.channels, datum.height, datum.width) == (4, 1, 1)
        assert list(datum.float_data) == [1, 2, 3, 4]
    tanh = np.array([caffe.io.datum_to_array(datum) for datum in records("db2").values()])
    assert tanh.shape == (6, 3, 1, 2)
    assert len(np.unique(tanh)) == tanh.size


# ---- logs


def test_parse_log(training, capfd):
    assert main(["parse_log", "train.txt", ".", "--verbose"]) == 0
    assert capfd.readouterr().out == "Wrote ./train.txt.train\nWrote ./train.txt.test\n"
    with open("train.txt.train") as file:
        assert file.readline() == "NumIters,Seconds,LearningRate,loss\n"
        train = list(csv.reader(file))
    assert [row[0] for row in train] == ["0.0", "5.0", "10.0", "15.0"]
    assert [float(row[2]) for row in train] == [
        0.1,
        0.1,
        0.1,
        0.05,
    ]  # the rate comes after the loss
    assert [float(row[3]) for row in train] == [1.09861, 0.968623, 1.0559, 1.22274]
    assert all(0 <= float(row[1]) < 0.01 for row in train)
    with open("train.txt.test") as file:
        test = list(csv.DictReader(file))
    assert [float(row["accuracy"]) for row in test] == [0, 0.75, 0.875]
    assert [float(row["loss"]) for row in test] == [1.09861, 0.658814, 0.403577]


def test_parse_log_of_old_caffe_over_new_year(folder):
    (folder / "old.log").write_text(
        "I1231 23:59:58.000000  1 solver.cpp:1] Solving x\n"
        "I1231 23:59:59.500000  1 solver.cpp:2] Iteration 0, Testing net (#0)\n"
        "I0101 00:00:01.000000  1 solver.cpp:3]     Test net output #0: loss = nan (* 1 = nan loss)\n"
        "other output\n"
        "I0101 00:00:02.000000  1 solver.cpp:3]     Test net output #1: loss-2 = -1e-05\n"
    )
    train, test = logs.read_log("old.log")
    assert train == []
    assert test[0]["Seconds"] == 3
    assert np.isnan(test[0]["loss"])
    assert test[0]["loss-2"] == -1e-5


def test_plot_training_log(training):
    for chart in range(8):
        name = f"{chart}.svg"
        assert main(["plot_training_log", str(chart), name, "train.txt", "train_resumed.txt"]) == 0
        assert logs.CHARTS[chart][0].split(" vs")[0].split()[-1] in logs.CHARTS[chart][0]
        with open(name) as file:
            text = file.read()
        assert "<!-- train.txt" in text
        assert "<!-- train_resumed.txt" in text
        assert f"<!-- {logs.CHARTS[chart][0]} -->" in text


# ---- LeNet on digits


def test_lenet_learns_digits_through_the_tools(folder, capfd, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    import digits

    digits.prepare(folder, iterations=200)
    for command in digits.COMMANDS:
        assert main(command) == 0
    accuracy = re.search(r"Test net output #\d: accuracy = ([\d.]+)", capfd.readouterr().err)
    assert float(accuracy[1]) >= 0.97
