"""The page in a real browser: shown as a whole, at every width, light and dark, and nothing asked for."""

import pytest
from browser import CHROMIUM, CONTRAST, OUTSIDE, Browser
from run_folder import run_folder

from fcn import report

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    one = Browser(tmp_path_factory.mktemp("profile"))
    yield one
    one.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Pages of one run, of two, of 60 classes, and of a run that has little."""
    folder = tmp_path_factory.mktemp("runs")
    runs = [run_folder(folder, steps=(800,)), run_folder(folder, run="lr2", set={"base_lr": "1"})]
    many = run_folder(folder, model="pascalcontext-fcn8s", classes=60, pictures=2)
    little = run_folder(folder, model="voc-fcn32s", pictures=0)
    for name in ("run.json", "log.csv", "findings.jsonl"):
        (little / name).unlink()
    return {
        "one": report.write(runs[0]),
        "two": report.write_page(runs),
        "many": report.write(many),
        "little": report.write(little),
    }


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [400, 1600])
@pytest.mark.parametrize("name", ["one", "two", "many", "little"])
def test_is_shown_as_a_whole(browser, pages, name, width, dark):
    browser.show(pages[name], width, dark)
    assert browser.complaints() == []
    own = pages[name].as_uri()
    assert [url for url in browser.requests() if not url.startswith("data:")] == [own]
    assert browser.value("document.documentElement.scrollWidth") <= width
    assert browser.value(OUTSIDE) == []
    assert browser.value("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    if name != "little":
        assert browser.value("document.images.length") >= 8
    assert browser.value(CONTRAST) >= 4.5
    shade = browser.value("getComputedStyle(document.documentElement).backgroundColor")
    assert (shade == "rgb(255, 255, 255)") is not dark


def test_labels_beside_curves_do_not_overlap(browser, pages):
    for name in ("one", "two"):
        browser.show(pages[name], 1600)
        rows = browser.value("""[...document.querySelectorAll(".plot > svg")].map(svg =>
          [...svg.querySelectorAll(".direct")].map(e => e.getBoundingClientRect().y))""")
        assert rows and all(b - a >= 14 for y in map(sorted, rows) for a, b in zip(y, y[1:]))


def test_prints_in_black_on_white(browser, pages):
    browser.show(pages["one"], 800, dark=True, media="print")
    color = browser.value("getComputedStyle(document.documentElement).backgroundColor")
    assert color == "rgb(255, 255, 255)"
