"""The page of `fcn serve` in a real browser: a picture dropped in is segmented, and nobody else is asked."""

import base64

import numpy as np
import pytest
from browser import CHROMIUM, CONTRAST, OUTSIDE, Browser
from PIL import Image

from fcn.segmentation import Answer

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

# The colour of the overlay at shares of its width and height, with its opacity
OVERLAY = """((x, y) => {{
  const canvas = document.getElementById("overlay");
  const at = canvas.getContext("2d").getImageData(x * canvas.width, y * canvas.height, 1, 1).data;
  return [...at, Number(canvas.style.opacity)];
}})({}, {})"""
GREEN_AT, RED_AT, BLUE_AT = (0.1, 0.3), (0.8, 0.3), (0.5, 0.9)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    one = Browser(tmp_path_factory.mktemp("profile"))
    yield one
    one.close()


@pytest.fixture
def picture(tmp_path, scene):
    """Large enough to fill the page: green on the left, red on the right, blue below."""
    path = tmp_path / "my photo.png"
    Image.fromarray(np.repeat(np.repeat(scene, 10, 0), 10, 1)).save(path)
    return path


def shown(browser):
    """Wait for the answer."""
    browser.until('!document.getElementById("result").hidden')
    browser.until('document.getElementById("picture").complete')


def text(browser, part):
    return browser.value(f'document.getElementById("{part}").innerText')


def point(browser, x, y):
    """Move the pointer to a place of the picture, and say what the page says of it."""
    box = browser.value("""(() => { const box = document.getElementById("overlay").getBoundingClientRect();
      return [box.left, box.top, box.width, box.height]; })()""")
    browser.move(box[0] + x * box[2], box[1] + y * box[3])
    return browser.value(
        '[document.getElementById("tip").hidden, document.getElementById("tip").innerText]'
    )


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [400, 1600])
def test_a_picture_dropped_in_is_segmented(browser, client, picture, width, dark):
    browser.visit(client.url, width, dark)
    assert browser.value(OUTSIDE) == [] and browser.value(CONTRAST) >= 4.5
    browser.drop(picture)
    shown(browser)
    assert browser.complaints() == []
    for place, colour in (
        (GREEN_AT, [128, 0, 0, 255]),
        (RED_AT, [0, 128, 0, 255]),
        (BLUE_AT, [0] * 4),
    ):
        assert browser.value(OVERLAY.format(*place)) == [*colour, 0.5]
    assert text(browser, "legend").split() == [
        *("bicycle", "50.0%", "background", "25.0%", "aeroplane", "25.0%")
    ]
    assert (
        "my photo.png, 600x400 pixels" in text(browser, "about") and text(browser, "message") == ""
    )
    assert browser.value("document.documentElement.scrollWidth") <= width
    assert browser.value(OUTSIDE) == [] and browser.value(CONTRAST) >= 4.5
    shade = browser.value("getComputedStyle(document.documentElement).backgroundColor")
    assert (shade == "rgb(255, 255, 255)") is not dark
    asked = [url for url in browser.requests() if not url.startswith(("data:", "blob:"))]
    assert asked == [client.url, f"{client.url}segment"]


def test_the_class_under_the_pointer_is_named(browser, client, picture):
    browser.visit(client.url, 900)
    browser.drop(picture)
    shown(browser)
    assert point(browser, *GREEN_AT) == [False, "aeroplane"]
    assert point(browser, *RED_AT) == [False, "bicycle"]
    assert point(browser, *BLUE_AT) == [False, "background"]
    browser.move(3, 3)
    browser.until('document.getElementById("tip").hidden')


def test_the_slider_goes_from_input_to_classes(browser, client, picture):
    browser.visit(client.url, 900)
    browser.drop(picture)
    shown(browser)
    for value in (0, 100):
        browser.value(f"""(() => {{ const slider = document.getElementById("strength");
          slider.value = {value}; slider.dispatchEvent(new Event("input")); }})()""")
        assert browser.value(OVERLAY.format(*RED_AT))[4] == value / 100


def test_a_class_of_the_legend_is_shown_alone(browser, client, picture):
    browser.visit(client.url, 900)
    browser.drop(picture)
    shown(browser)
    browser.value('document.querySelectorAll("#legend tr")[1].focus()')  # background
    assert browser.value(OVERLAY.format(*BLUE_AT))[:4] == [0, 0, 0, 255]
    assert browser.value(OVERLAY.format(*RED_AT))[3] == 0
    browser.value("document.activeElement.blur()")
    assert browser.value(OVERLAY.format(*RED_AT))[:4] == [0, 128, 0, 255]


def test_the_classes_are_downloaded(browser, client, picture, serve, tmp_path):
    browser.visit(client.url, 900)
    browser.choose("#file", picture)
    shown(browser)
    assert browser.value('document.getElementById("download").download') == "my photo_classes.png"
    loaded = browser.value("""new Promise(done => { const image = new Image();
      image.onload = () => done([image.naturalWidth, image.naturalHeight]);
      image.onerror = () => done(null); image.src = document.getElementById("download").href; })""")
    assert loaded == [600, 400]
    content = browser.value("score.png")  # what that address was made of
    path = tmp_path / "classes.png"
    path.write_bytes(base64.b64decode(content))
    with Image.open(path) as image:
        assert image.mode == "P"
        classes = serve.by_colour(np.asarray(Image.open(picture)))[0].classes
        assert np.array_equal(np.asarray(image), classes)


@pytest.mark.parametrize(
    "name, content, sentence",
    [
        (
            "notes.txt",
            b"no picture",
            "notes.txt: The file is no picture of a kind that is read here",
        ),
        ("cut.png", None, "cut.png: The picture is damaged: "),
        (
            "huge.png",
            b"\0" * 1_000_001,
            "huge.png has 1.0 MB; up to 1 MB and 1 million pixels are taken.",
        ),
    ],
)
def test_what_cannot_be_segmented_is_a_sentence(
    browser, client, picture, tmp_path, name, content, sentence
):
    path = tmp_path / name
    path.write_bytes(content or picture.read_bytes()[:1200])
    browser.visit(client.url, 900)
    browser.drop(path)
    browser.until('document.getElementById("message").className === "bad"')
    assert sentence in text(browser, "message") and browser.value(CONTRAST) >= 4.5
    assert browser.value('document.getElementById("result").hidden')
    assert browser.value('document.getElementById("busy").hidden')
    browser.drop(picture)
    shown(browser)
    assert text(browser, "message") == ""


def test_a_server_that_has_ended_is_told(browser, client, picture):
    browser.visit(client.url, 900)
    browser.value('window.fetch = () => Promise.reject(new TypeError("Failed to fetch"))')
    browser.drop(picture)
    browser.until('document.getElementById("message").className === "bad"')
    assert "The server gives no answer. Is fcn serve still running?" in text(browser, "message")


def test_the_newest_picture_is_shown(browser, picture, tmp_path, serve):
    """The answer to an earlier one may come later."""
    first = tmp_path / "first.png"
    Image.new("RGB", (80, 40), "red").save(first)
    with serve.serving() as client:
        browser.visit(client.url, 900)
        browser.value("""(() => { const ask = window.fetch; let held;
          window.fetch = async (...rest) => { const answer = await ask(...rest);
            if (!held) { held = new Promise(done => { window.release = done; }); await held; }
            return answer; }; })()""")
        browser.drop(first)
        browser.until("!!window.release")
        browser.drop(picture)
        shown(browser)
        browser.value("window.release()")
        browser.value("new Promise(done => setTimeout(done, 50))")
        assert "my photo.png" in text(browser, "about")


def test_a_net_with_two_scores_has_a_choice(browser, picture, serve):
    def two(image):
        classes = serve.by_colour(image)[0].classes
        ground = np.ones_like(classes)
        return [
            Answer("score", "_sem", classes, serve.names),
            Answer("score", "_geo", ground, ("sky", "ground")),
        ]

    with serve.serving(two) as client:
        browser.visit(client.url, 900)
        browser.drop(picture)
        shown(browser)
        browser.value("""(() => { const scores = document.getElementById("scores");
          scores.value = 1; scores.dispatchEvent(new Event("change")); })()""")
        assert text(browser, "legend").split() == ["ground", "100.0%"]
        assert (
            browser.value('document.getElementById("download").download')
            == "my photo_geo_classes.png"
        )
        assert browser.complaints() == []
