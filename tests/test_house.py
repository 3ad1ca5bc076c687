"""What holds the house together: who may import whom, how long files are, that public names explain
themselves."""

import ast
import subprocess
from pathlib import Path

import pytest
from places import ROOT

TRACKED = subprocess.run(
    ["git", "ls-files", "-co", "--exclude-standard"],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=True,
).stdout.splitlines()
GENERATED = ("caffe/proto/caffe_pb2.py", "tests/golden/")
PYTHON = [
    name
    for name in TRACKED
    if name.endswith(".py") and not name.startswith(GENERATED) and (ROOT / name).is_file()
]
CODE = [name for name in PYTHON if name.startswith(("caffe/", "fcn/"))]

# The engine's floors, from the ground up: a module imports from its own floor and from those below.
FLOORS = [
    (
        *("proto", "names", "c_math", "glog", "context", "timer", "machine_memory"),
        *(
            "arguments",
            "background",
            "layer_functions",
            "named",
            "launch",
            "one_thread",
            "python_modules",
            "views",
            "workers",
        ),
    ),
    ("files", "graph", "net_spec", "coord_map", "layout", "svg", "draw", "io", "kernels"),
    ("permutohedral", "crf", "boxes"),
    ("syncedmem", "blob"),
    ("layer", "filler"),
    ("files.weights",),  # of a net's layers
    ("layers",),
    ("topology", "unknown_layers", "own_layers", "build"),
    ("running",),
    ("arrays", "net_face", "net_files", "net"),
    ("diagnosis", "learnable"),
    ("testing",),
    ("gradients", "resuming", "smoothed_loss", "lr_policy", "solver_nets", "solver", "updates"),
    ("classifier", "detector", "confusion", "nccl", "pycaffe"),
    ("exporting", "importing"),
    ("public",),
    ("", "__main__", "commands", "inspecting"),
]
# The side of prototxts: no tensors, so that a net can be written where there is no PyTorch
WITHOUT_TORCH = (
    "proto",
    "files",
    "graph",
    "net_spec",
    "coord_map",
    "names",
    "c_math",
    "arguments",
    "named",
)


def module_of(name):
    """The dotted name of a file's module."""
    return name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


MODULES = {module_of(name): ROOT / name for name in CODE}


def imported(module):
    """The project's modules that a module imports when it is loaded; not those for type checkers."""
    path = MODULES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    nodes = list(ast.parse(path.read_text()).body)
    found = set()
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.If | ast.Try | ast.With):
            nodes += ast.iter_child_nodes(node)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *filter(None, [node.module])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                found.add(inner if inner in MODULES else base)
    return {name for name in found if name in MODULES} - {module}


def floor_of(module):
    """The number of an engine module's floor."""
    name = module.removeprefix("caffe").removeprefix(".")
    while True:
        for number, rooms in enumerate(FLOORS):
            if name in rooms:
                return number
        if not name:
            raise AssertionError(f"{module} is on no floor: enter it in FLOORS")
        name = name.rpartition(".")[0] if "." in name else ""


@pytest.mark.parametrize("module", [name for name in MODULES if name.split(".")[0] == "caffe"])
def test_the_engine_imports_downwards(module):
    for other in imported(module):
        assert other.split(".")[0] == "caffe", f"{module} imports {other}: the engine knows no FCN"
        assert floor_of(other) <= floor_of(module), f"{module} imports {other}, from a floor above"


def test_there_are_no_import_circles():
    graph = {module: imported(module) for module in MODULES}
    done, path = set(), []

    def visit(module):
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module not in done:
            path.append(module)
            for other in sorted(graph[module]):
                visit(other)
            path.pop()
            done.add(module)

    for module in graph:
        visit(module)


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("caffe.")])
def test_the_side_of_prototxts_knows_no_tensors(module):
    if module.split(".")[1] in WITHOUT_TORCH:
        assert "torch" not in {
            alias.name.split(".")[0]
            for node in ast.walk(ast.parse(MODULES[module].read_text()))
            if isinstance(node, ast.Import)
            for alias in node.names
        }


def test_kernels_know_tensors_and_no_blobs():
    for module in MODULES:
        if module.startswith("caffe.kernels"):
            others = {name for name in imported(module) if not name.startswith("caffe.kernels")}
            assert others <= {"caffe.context", "caffe.glog"}, module


@pytest.mark.parametrize("name", PYTHON)
def test_a_file_is_read_in_one_sitting(name):
    text = (ROOT / name).read_text()
    assert len(text.splitlines()) <= 350, "over 350 lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 60, f"{node.name} has over 60 lines"


def test_c_files_are_short_and_there_are_no_utils():
    for name in TRACKED:
        if name.endswith((".c", ".h")) and (ROOT / name).is_file():
            assert len((ROOT / name).read_text().splitlines()) <= 300, name
        assert Path(name).name not in ("utils.py", "helpers.py", "misc.py"), name


# Methods that say the same wherever they stand; their class says it once (Layer, Hooks, Kernel, ...)
INHERITED = {
    *("resume_state", "resume_from", "position_state", "go_to"),
    *("means", "setup", "reshape", "forward", "backward", "forward_window", "forward_fused"),
    *(
        "affected_window",
        "aliases_bottom",
        "fuses",
        "channel_factors",
        "is_identity",
        "forget_weights",
    ),
    *("derived_weights", "workspace", "multiply_adds", "allow_force_backward"),
    *("converted_parameters", "applies", "gradients", "compute_update", "check", "steps"),
    *("begin_forward", "before_forward", "after_forward", "begin_backward", "before_backward"),
    *("after_backward", "maps", "diffs", "saved", "stays", "keeps_diff", "reason"),
    "forward_backward",
}


def public(body, within=""):
    """(qualified name, node, whether it is a method) of public functions, as deep as classes go."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public(node.body, f"{within}{node.name}.")
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            setter = any(isinstance(d, ast.Attribute) for d in node.decorator_list)
            if not setter and not (within and node.name in INHERITED):
                yield within + node.name, node, bool(within)


@pytest.mark.parametrize("name", CODE)
def test_public_functions_have_types_and_docstrings(name):
    lacking = []
    for qualified, node, is_method in public(ast.parse((ROOT / name).read_text()).body):
        static = any(
            isinstance(d, ast.Name) and d.id == "staticmethod" for d in node.decorator_list
        )
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        arguments = arguments[1:] if is_method and not static else arguments
        if any(argument.annotation is None for argument in arguments) or node.returns is None:
            lacking.append(f"{qualified}: types")
        if ast.get_docstring(node) is None:
            lacking.append(f"{qualified}: docstring")
    assert not lacking, f"{name} lacks {lacking}"


@pytest.mark.parametrize(
    "name", [*CODE, *(n for n in PYTHON if n.startswith(("benchmarks/", "examples/")))]
)
def test_every_module_and_class_says_what_it_is(name):
    tree = ast.parse((ROOT / name).read_text())
    assert ast.get_docstring(tree), name
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{name}: class {node.name}"
