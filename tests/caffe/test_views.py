"""How blobs, nets and solvers show themselves, and that to look at them changes nothing."""

import html.parser
import re

import pytest
from nets import NET, SOLVER, conv, layer, source

import caffe
from caffe import views
from caffe.blob import Blob

TEXT = (
    'name: "<small>"\n'
    + source(20, 30)
    + conv("a", "data", 4)
    + layer("relu", "ReLU", ["a"], "a")
    + conv("b", "a", 5)
    + layer("sum", "Eltwise", ["b", "b"], "sum")
)


class Tags(html.parser.HTMLParser):
    """Fails where tags do not close each other; collects the text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.cells, self.text = [], [], ""
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if self.open[-1] in ("td", "th"):
            self.cells.append(data)


@pytest.fixture
def net(net_of):
    return net_of(TEXT)


@pytest.fixture
def solver(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.prototxt").write_text(NET % {"label": 1})
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    return caffe.get_solver("solver.prototxt")


def test_a_net(net):
    size = views.size_text(caffe.memory.need(net).total)
    assert repr(net) == (
        f"<Net '<small>', TEST: 5 layers, 297 parameters, about {size} of memory\n"
        " inputs: data 1 x 3 x 20 x 30\n"
        " outputs: sum 1 x 5 x 20 x 30>"
    )
    shown = Tags(net._repr_html_())
    assert f"Net '<small>', TEST: 5 layers, 297 parameters, about {size} of memory" in shown.text
    rows = [shown.cells[i : i + 5] for i in range(0, 10, 5)]
    assert rows[0] == ["layer", "type", "tops", "shape", "parameters"]
    assert "Convolution" in shown.cells and "5 x 4 x 3 x 3, 5" in shown.cells
    assert "Split" not in shown.cells  # Caffe inserted it


def test_blobs_and_parameters(net):
    assert repr(net.blobs["data"]) == "<Blob 'data': 1 x 3 x 20 x 30 float32, 7.03 KiB>"
    assert Tags(net.blobs["data"]._repr_html_()).cells[3:] == [
        "data",
        "1 x 3 x 20 x 30",
        "7.03 KiB",
    ]
    assert repr(net.params["a"][1]) == "<Blob 'a[1]': 4 float32, 16 B>"
    assert repr(net.params["a"]) == repr(list(net.params["a"]))
    assert repr(Blob(())) == "<Blob: one value float32, 4 B>"
    assert Tags(net.params["a"]._repr_html_()).cells[3:6] == ["a[0]", "4 x 3 x 3 x 3", "432 B"]
    assert repr(net.params) == (
        "2 layers, 297 parameters, 1.16 KiB\na  4 x 3 x 3 x 3, 4  448 B\nb  5 x 4 x 3 x 3, 5  740 B"
    )
    assert Tags(net.params._repr_html_()).cells[3:6] == ["a", "4 x 3 x 3 x 3, 4", "448 B"]
    assert repr(net.blobs).splitlines()[:2] == [
        "6 blobs",
        "data           1 x 3 x 20 x 30  7.03 KiB",
    ]
    assert Tags(net.blobs._repr_html_()).cells[3:5] == ["data", "1 x 3 x 20 x 30"]


def test_layers_have_no_address(net):
    assert repr(net.layers[:2]) == "[<Input 'data'>, <Convolution 'a'>]"


def test_solvers(solver):
    lines = repr(solver).splitlines()
    assert lines[:3] == [
        "<SGDSolver 'solver.prototxt': iteration 0 of 100",
        " base_lr 0.01 (fixed), momentum 0.9, weight_decay 0.0005",
        " 1 test net, every 1,000 iterations",
    ]
    assert lines[3].startswith(" <Net, TRAIN: 16 layers, ")
    assert "iteration 0 of 100" in Tags(solver._repr_html_()).text


def test_looking_advances_no_rate(solver):
    solver.param.lr_policy = "multistep"
    solver.param.stepvalue.append(0)
    repr(solver), solver._repr_html_()
    assert solver.current_step == 0


def test_looking_changes_and_allocates_nothing(net, mock_gpu):
    def state():
        blobs = [*net.blobs.values(), *(blob for each in net.params.values() for blob in each)]
        return [
            (b._data.version_despite_views(), b._data.newest, len(b._data._views)) for b in blobs
        ]

    for _ in range(2):  # before the first pass and after it
        before = state()
        for thing in (
            net,
            net.blobs,
            net.params,
            net.layers,
            *net.blobs.values(),
            *net.params.values(),
        ):
            repr(thing)
            if hasattr(thing, "_repr_html_"):
                thing._repr_html_()
        assert state() == before
        net._forward(0, len(net.layers) - 1)
    assert repr(net.blobs["a"]).endswith("KiB, on cpu:0>")  # where the mock GPU computes


def test_memory_that_was_reused_is_not_read(net):
    net.reuse_memory()
    net.forward()
    assert repr(net.blobs["a"]).endswith("KiB, released>")
    assert "a" in repr(net.blobs)


def test_a_net_without_anything(net_of):
    net = net_of(layer("nothing", "DummyData", [], "x", "dummy_data_param { shape { } }"))
    assert repr(net.params) == "0 layers, 0 parameters, 0 B"
    assert "outputs: x one value" in repr(net)
    Tags(net._repr_html_()), Tags(net.params._repr_html_())


def test_long_tables_are_cut():
    rows = [[str(i), "x" * (i % 7)] for i in range(500)]
    lines = views.text_table(rows).splitlines()
    assert len(lines) == 56 and "... 445 more ..." in lines[40] and lines[-1].startswith("499")
    assert views.html_table(["a", "b"], rows).count("<tr>") == 57


@pytest.mark.parametrize(
    "size, shown",
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "0.977 KiB"),
        (2**20, "1 MiB"),
        (5 * 2**40, "5.12e+03 GiB"),
    ],
)
def test_sizes(size, shown):
    assert views.size_text(size) == shown


def test_counts():
    assert [views.many(n, "layer") for n in (0, 1, 1234)] == ["0 layers", "1 layer", "1,234 layers"]
    assert views.many(134_486_652, "parameter") == "134.5 million parameters"


def test_every_public_thing_of_a_net_shows_no_address(net, solver):
    for thing in (net, solver, *vars(net).values()):
        if not type(thing).__module__.startswith(("caffe.running", "caffe.topology", "caffe.one")):
            assert not re.search(r"object at 0x", repr(thing))
