"""caffe.proto against the facts; its module under the oldest and newest protobuf; text syntax."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import text_format
from google.protobuf.descriptor import FieldDescriptor as F
from places import GOLDEN, ROOT

from caffe.files import read
from caffe.files.prototxt import ParseError, parse_text
from caffe.files.upgrade import upgrade_net
from caffe.proto import caffe_pb2

TYPES = {
    F.TYPE_INT32: "int32",
    F.TYPE_INT64: "int64",
    F.TYPE_UINT32: "uint32",
    F.TYPE_FLOAT: "float",
    F.TYPE_DOUBLE: "double",
    F.TYPE_BOOL: "bool",
    F.TYPE_STRING: "string",
    F.TYPE_BYTES: "bytes",
}


def _default(field):
    value = field.default_value
    if field.enum_type:
        return field.enum_type.values_by_number[value].name
    if field.type == F.TYPE_STRING:
        return f'"{value}"'
    return str(value).lower() if field.type == F.TYPE_BOOL else f"{value:.6g}"


def _label(field):
    if hasattr(field, "is_repeated"):  # protobuf 6.31 and newer
        return "repeated" if field.is_repeated else "required" if field.is_required else "optional"
    return {1: "optional", 2: "required", 3: "repeated"}[field.label]


def _field_line(field):
    kind = field.message_type or field.enum_type
    line = f"  {field.number} {_label(field)} "
    line += kind.full_name[len("caffe.") :] if kind else TYPES[field.type]
    line += f" {field.name}"
    if field.has_default_value:
        line += f" default={_default(field)}"
    return line + (" packed" if field.GetOptions().packed else "")


def _enum_line(enum):
    return f"{enum.name}: " + ", ".join(sorted(f"{v.name} = {v.number}" for v in enum.values))


def _described():
    """The generated module's descriptor in the form of the facts file, as a set a message."""
    file = caffe_pb2.DESCRIPTOR
    found = {"": {f"enum {_enum_line(e)}" for e in file.enum_types_by_name.values()}}
    for name, message in file.message_types_by_name.items():
        found[name] = {_field_line(f) for f in message.fields}
        found[name] |= {f"  enum {_enum_line(e)}" for e in message.enum_types}
    return found


def _facts():
    found, current = {"": set()}, ""
    for line in (GOLDEN / "caffe-schema.txt").read_text().splitlines():
        if line.startswith("message "):
            current = line.split()[1]
            found[current] = set()
        elif "enum " in line:
            head, values = line.split(": ")
            found[current].add(f"{head}: " + ", ".join(sorted(values.split(", "))))
        elif line.startswith("  "):
            found[current].add(line)
    return found


def _without_forks(lines, facts):
    """A message's lines without a fork's: BVLC's numbers end below 200, but for these of V1."""
    kept = set()
    for line in lines:
        if "enum " in line:
            head, values = line.split(": ")
            values = [v for v in values.split(", ") if int(v.split(" = ")[1]) < 1000]
            kept.add(f"{head}: {', '.join(values)}")
        elif int(line.split()[0]) < 200 or line in facts:
            kept.add(line)
    return kept - {"  enum LabelType: IMAGE = 1, NONE = 0, PIXEL = 2"}  # of ImageSegData


def test_schema_equals_the_facts():
    described, facts = _described(), _facts()
    for name in facts:
        assert _without_forks(described[name], facts[name]) == facts[name], name


def test_what_forks_added_stands_apart():
    """Their messages behind all of Caffe's; their fields of Caffe's messages behind Caffe's."""
    described, facts = _described(), _facts()
    text = (ROOT / "caffe/proto/caffe.proto").read_text()
    border = text.index("// ---- Messages that forks added")
    for name in described.keys() - {""}:
        assert (text.index(f"\nmessage {name} {{") > border) == (name not in facts), name
    for name in facts.keys() - {""}:
        fields = caffe_pb2.DESCRIPTOR.message_types_by_name[name].fields
        forks = [_field_line(field) not in facts[name] for field in fields]
        assert forks == sorted(forks), name


ROUND_TRIP = """
import sys
sys.path.insert(0, sys.argv[1])
import google.protobuf
assert google.protobuf.__version__ == sys.argv[2] or sys.argv[2] == "newest"
sys.path.insert(0, sys.argv[3])
import caffe_pb2
from google.protobuf import text_format
net = text_format.Parse(sys.argv[4], caffe_pb2.NetParameter())
net.layer[0].blobs.add(data=[1.5, -2]).shape.dim.extend([2])
again = caffe_pb2.NetParameter.FromString(net.SerializeToString())
assert again == net and again.layer[0].convolution_param.kernel_size == [3, 5]
assert text_format.Parse(text_format.MessageToString(net), caffe_pb2.NetParameter()) == net
print(google.protobuf.__version__, net.SerializeToString().hex())
"""
NET = """name: "n"
layer { name: "c" type: "Convolution" param { lr_mult: 0 } include { phase: TRAIN }
  convolution_param { num_output: 2 kernel_size: [3, 5] weight_filler { type: "xavier" } } }"""


@pytest.mark.parametrize("version", ["5.26.0", "newest"])
def test_generated_module_under_both_ends_of_protobuf(version, tmp_path, request):
    """Installs that protobuf beside the tests (kept in pytest's cache) and uses it on its own."""
    where = Path(request.config.cache.mkdir("protobuf")) / version
    if not (where / "google/protobuf").exists():
        wanted = "protobuf" if version == "newest" else f"protobuf=={version}"
        pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", where, wanted]
        try:
            done = subprocess.run(pip, capture_output=True, text=True, timeout=60)
        except subprocess.TimeoutExpired:
            pytest.skip(f"pip did not get {wanted} within a minute")
        if done.returncode:
            pytest.skip(f"pip cannot get {wanted}: {done.stderr.strip().splitlines()[-1]}")
    module = Path(caffe_pb2.__file__).parent
    command = [sys.executable, "-S", "-c", ROUND_TRIP, where, version, module, NET]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    used, payload = done.stdout.split()
    assert int(used.split(".")[0]) >= 5
    net = caffe_pb2.NetParameter.FromString(bytes.fromhex(payload))
    assert list(net.layer[0].blobs[0].data) == [1.5, -2]


# -- text, as the C++ parser takes it --

SNIPPETS = json.loads((GOLDEN / "formats/text_syntax/snippets.json").read_text())


def _net(text):
    return parse_text(text, caffe_pb2.NetParameter(), "n.prototxt")


@pytest.mark.parametrize("row", SNIPPETS, ids=[row["name"] for row in SNIPPETS])
def test_text_is_taken_or_refused_as_by_caffe(row):
    if not row["accepted"]:
        with pytest.raises(ParseError, match="n.prototxt"):
            _net(row["text"])
    elif row.get("upgrade_aborts"):
        with pytest.raises(ValueError, match="both 'layer' and 'layers'"):
            upgrade_net(_net(row["text"]))
    else:
        wanted = text_format.Parse(row["canonical"], caffe_pb2.NetParameter())
        got = upgrade_net(_net(row["text"])).SerializeToString(deterministic=True)  # nan == nan
        assert got == wanted.SerializeToString(deterministic=True)


@pytest.mark.parametrize(
    "text",
    [
        'name: "n";;',
        "input_dim: 08",
        "input_dim: 1_000",
        "layer { loss_weight: 017 }",  # octal is for integers
        "layer { loss_weight: 1e }",
        "layer { loss_weight: 1.5.2 }",
        "layer { loss_weight: 1.5.f }",
        "layer { loss_weight: infinit }",
        'layer { name: "a" >',
        'layer [ { name: "a" } ',
        "input_dim: [1 2]",
        'name: "\\q"',
        'name: "a\\\nb"',
        'näme: "n"',
        "force_backward: 00002",
        "layer { phase: 1.0 }",
    ],
)
def test_more_text_that_is_refused(text):
    with pytest.raises(ParseError):
        _net(text)


@pytest.mark.parametrize(
    "text, same",
    [
        ("layer [ { name: 'a' } ]", "layer { name: 'a' }"),
        ("layer: < name: 'a'; >", "layer { name: 'a' }"),
        ("input_dim: 0X1f, input_dim: 00", "input_dim: 31 input_dim: 0"),
        ("input_dim: - 5", "input_dim: -5"),
        ("layer { loss_weight: 0.e1 loss_weight: -INFINITY }", "layer { loss_weight: [0, -inf] }"),
        ("layer { phase: 0x1 propagate_down: 01 }", "layer { phase: TEST propagate_down: true }"),
        ("input_dim:1layer{}", "input_dim: 1 layer { }"),
        ("name: '\\u00e4\\xc3\\244' '\\x4g'", 'name: "ää\\004g"'),
        (r"name: '\X41\7'", 'name: "A\\007"'),
        ("# \u00e4 \x01\nname: 'n'", 'name: "n"'),
    ],
)
def test_more_text_that_is_taken(text, same):
    assert _net(text) == _net(same)


def test_files_both_parsers_take_are_read_alike():
    """The recorded nets and solvers, and the project's own: protobuf's Python parser agrees."""
    root = ROOT
    paths = [*GOLDEN.glob("formats/*/*.prototxt"), *GOLDEN.glob("solvers/*/*.prototxt")]
    paths += [path for path in root.glob("*/*.prototxt") if "demo" not in path.parts]
    assert len(paths) > 60
    for path in paths:
        solver = path.name.startswith("solver")
        kind = caffe_pb2.SolverParameter if solver else caffe_pb2.NetParameter
        text = path.read_text()
        assert parse_text(text, kind(), path) == text_format.Parse(text, kind()), path


def test_comments_in_any_encoding():
    assert _net("# grün\nname: 'n'".encode("latin-1")).name == "n"


def test_parse_errors_name_file_line_and_column(tmp_path):
    path = tmp_path / "bad.prototxt"
    path.write_text('name: "n"\nlayer {\n  name: "a"\n  tipe: "ReLU"\n}\n')
    with pytest.raises(
        ValueError, match=r"bad.prototxt:4:3: .*no field 'tipe'; did you mean 'type'"
    ):
        read.read_net(path)


def test_missing_and_binary_files(tmp_path):
    with pytest.raises(RuntimeError, match="Could not open file .*no.prototxt"):
        read.read_net(tmp_path / "no.prototxt")
    with pytest.raises(RuntimeError, match="Could not open file .*no.prototxt"):
        read.read_solver(tmp_path / "no.prototxt")
    with pytest.raises(RuntimeError, match="Could not open file .*directory"):
        read.read_net(tmp_path)
    with pytest.raises(ValueError, match="weights by mistake"):
        read.read_net(GOLDEN / "formats/v1/net.caffemodel")
    with pytest.raises(ValueError, match="no binary net"):
        read.read_net_binary(GOLDEN / "formats/v1/net.prototxt")
