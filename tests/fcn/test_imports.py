"""What FCN modules may import and use: caffe's public names only, one way, and at the top of a file."""

import ast
import sys

import pytest
from places import ROOT

import caffe

PACKAGE = sorted((ROOT / "fcn").rglob("*.py"))
SCRIPTS = sorted(
    path
    for path in [*ROOT.glob("*.py"), *ROOT.glob("*-*/*.py"), *ROOT.glob("systems/*/*.py")]
    if path.name != "setup.py"
)
# Modules of pycaffe that may be imported from; of `caffe` itself, the names that it lists.
PUBLIC_MODULES = {
    *("caffe", "caffe.coord_map", "caffe.draw", "caffe.layers", "caffe.params", "caffe.proto")
}


def relative(path):
    return str(path.relative_to(ROOT))


def imported(path):
    """(module, name or None) of each import of a file; relative imports are not used here."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            yield from ((node.module, alias.name) for alias in node.names)


def module_of(path):
    """The name that a file of the package is imported by."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def package_imports():
    """Module -> modules of the package that it imports."""
    modules = {module_of(path) for path in PACKAGE}
    graph = {}
    for path in PACKAGE:
        names = {f"{module}.{name}" if name else module for module, name in imported(path)}
        names |= {module for module, _ in imported(path)}
        # a package's own name stands before each of its modules that it imports
        graph[module_of(path)] = names & modules - {"fcn", module_of(path)}
    return graph


@pytest.mark.parametrize("path", [*PACKAGE, *SCRIPTS], ids=relative)
def test_public_names_of_caffe_only(path):
    """The same code runs on BVLC's pycaffe: no engine module, no tensor, no private attribute."""
    for module, name in imported(path):
        if module.split(".")[0] == "caffe":
            assert module in PUBLIC_MODULES, module
            if module == "caffe" and name:
                assert name in caffe.__all__, name
        assert module.split(".")[0] != "torch"
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else ""
            if owner == "caffe":
                assert node.attr in caffe.__all__, node.attr
            private = node.attr.startswith("_") and not node.attr.startswith("__")
            assert not private or owner in ("self", "cls"), f"{owner}.{node.attr}"


@pytest.mark.parametrize("path", SCRIPTS, ids=relative)
def test_scripts_import_the_two_packages_only(path):
    """Root modules and model folders do not import each other."""
    third_party = {"numpy"}
    for module, _ in imported(path):
        top = module.split(".")[0]
        assert top in {"caffe", "fcn"} | third_party | sys.stdlib_module_names, module


def test_no_import_circles():
    graph, finished = package_imports(), set()

    def visit(module, trail):
        assert module not in trail, " -> ".join([*trail, module])
        if module not in finished:
            for other in graph[module]:
                visit(other, [*trail, module])
            finished.add(module)

    for module in graph:
        visit(module, [])


def test_circles_are_found(monkeypatch):
    """The test above would see one."""
    graph = {"fcn.a": {"fcn.b"}, "fcn.b": {"fcn.a"}}
    monkeypatch.setattr(sys.modules[__name__], "package_imports", lambda: graph)
    with pytest.raises(AssertionError, match="fcn.a -> fcn.b -> fcn.a"):
        test_no_import_circles()


@pytest.mark.parametrize("path", PACKAGE, ids=relative)
def test_no_import_inside_a_function(path):
    """So that no circle hides there."""
    for function in ast.walk(ast.parse(path.read_text())):
        if isinstance(function, ast.FunctionDef):
            for node in ast.walk(function):
                assert not isinstance(node, ast.Import | ast.ImportFrom), function.name


def test_data_holds_no_code():
    assert not list((ROOT / "data").glob("*.py")) and not list((ROOT / "data").glob("*/*.py"))
