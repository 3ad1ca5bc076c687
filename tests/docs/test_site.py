"""The manual: it builds without a warning, asks the network for nothing, and names what there is."""

import os
import re
import shutil
import subprocess

import pytest
from places import ROOT

import caffe

MKDOCS = shutil.which("mkdocs")
# Not on the page of caffe's names: one class under several names, and what
# `caffe time` measures with
ELSEWHERE = {
    *("SGDSolver", "NesterovSolver", "AdaGradSolver", "RMSPropSolver", "AdaDeltaSolver"),
    *("AdamSolver", "Tally", "TRAIN", "TEST", "layers", "params", "layer_type_list"),
    "roofline",
}
# What a browser fetches by itself to show a page
FETCHED = re.compile(
    r"""<(?:script|img|iframe|source|video|audio)\b[^>]*\bsrc=["']?((?:https?:)?//[^"'\s>]+)"""
    r"""|<link\b(?![^>]*\brel=["']?(?:canonical|prev|next))[^>]*\bhref=["']?((?:https?:)?//[^"'\s>]+)"""
    r"""|(?:url\(|@import)\s*["']?((?:https?:)?//[^"')\s]+)"""
)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built manual."""
    if MKDOCS is None:
        pytest.skip("mkdocs is not installed: pip install -r docs/requirements.txt")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [MKDOCS, "build", "--strict", "--quiet", "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and not done.stderr.strip(), done.stdout + done.stderr
    return folder


def test_every_page_is_there(site):
    pages = (ROOT / "docs").rglob("*.md")
    for page in pages:
        path = page.relative_to(ROOT / "docs").with_suffix(".html")
        assert (site / path).is_file(), path
    assert not list(site.rglob("*.py")) and not list(site.rglob("requirements.txt"))


def test_nothing_is_fetched_from_the_network(site):
    found = [
        f"{path.relative_to(site)}: {address}"
        for path in site.rglob("*.*")
        if path.suffix in (".html", ".css")
        for match in FETCHED.findall(path.read_text())
        for address in filter(None, match)
    ]
    assert found == []


def test_docstrings_are_on_the_pages_of_names(site):
    text = (site / "reference/caffe.html").read_text()
    assert "Run the net, or its layers from" in text  # of Net.forward
    assert "The colours blended over" in (site / "reference/fcn.html").read_text()


def test_the_page_of_names_has_every_public_name_of_caffe():
    page = (ROOT / "docs/reference/caffe.md").read_text()
    there = set(re.findall(r"^::: caffe\.(\w+)", page, re.M))
    assert set(caffe.__all__) - ELSEWHERE <= there
    assert set(caffe.__all__) >= ELSEWHERE and not ELSEWHERE & there


@pytest.mark.parametrize("path", sorted((ROOT / "docs").rglob("*.png")), ids=lambda p: p.name)
def test_pictures_are_small_and_shown(path):
    assert path.stat().st_size < (400_000 if path.name == "demo.png" else 100_000)
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    assert any(path.name in page.read_text() for page in pages)


def test_the_built_manual_is_not_committed():
    assert "site/" in (ROOT / ".gitignore").read_text().splitlines()
