"""`Segmentation`: numbers, pictures, text and files of an answer whose classes are known."""

import html.parser
import io
import json
import pickle

import numpy as np
import pytest
from colours import indices
from PIL import Image

from fcn.segmentation import Answer, Segmentation, run_lengths
from fcn.vis import PALETTE, vis_seg

NAMES = ("background", "a <b>", "cat", "dog")


@pytest.fixture
def result():
    classes = np.zeros((10, 20), np.uint8)
    classes[2:6, 3:13] = 3
    classes[7, :10] = 1
    image = np.random.RandomState(0).randint(0, 256, (10, 20, 3)).astype(np.uint8)
    scores = np.stack([10.0 * (classes == k) for k in range(4)]).astype(np.float32)
    return Segmentation(
        "p&q.jpg", image, [Answer("score", "", classes, NAMES, scores)], ["a <note>"]
    )


@pytest.fixture
def two(result):
    """A net with two scores."""
    geo = (result.classes > 0).astype(np.uint8)
    answers = [
        Answer("score_sem", "_sem", result.classes, NAMES),
        Answer("score_geo", "_geo", geo, ("sky", "cat")),
    ]
    return Segmentation("p.jpg", result.image, answers)


def test_numbers(result):
    assert result.shares == {"background": 0.75, "dog": 0.2, "a <b>": 0.05}
    assert list(result.shares) == ["background", "dog", "a <b>"]  # the largest first
    assert np.array_equal(result.mask("dog"), result.classes == 3)
    assert np.array_equal(result.mask(np.int64(1)), result.classes == 1)
    assert not result.mask("cat").any()
    np.testing.assert_allclose(result.probabilities.sum(0), 1, rtol=1e-6)


@pytest.mark.parametrize(
    "name, hint", [("dgo", "; did you mean dog?"), ("xyz", "."), (4, "."), (-1, ".")]
)
def test_unknown_classes(result, name, hint):
    for ask in (result.mask, lambda name: result.draw([name])):
        with pytest.raises(ValueError) as error:
            ask(name)
        wanted = f"no class {name!r}{hint} The 4 classes are: background, a <b>, cat, dog"
        assert str(error.value) == wanted


def test_pictures(result):
    assert np.array_equal(result.overlay, vis_seg(result.image, result.classes, PALETTE))
    only = np.where(result.classes == 1, 1, 0)
    assert np.array_equal(result.draw(["a <b>"]), vis_seg(result.image, only, PALETTE))
    assert np.array_equal(result.draw([]), result.image)
    legend = np.asarray(result.draw(["dog"], legend=True))
    assert legend.shape[1] > 20 and (legend[:, 20:] == PALETTE[3]).all(2).any()
    assert not (legend[:, 20:] == PALETTE[1]).all(2).any()


def test_text(result):
    line = "p&q.jpg (20x10): background 75.0%, dog 20.0%, a <b> 5.0%"
    assert result.summary() == line and repr(result) == f"<Segmentation of {line}>"
    assert result.summary(["dog", "cat"]) == "p&q.jpg (20x10): dog 20.0%"
    assert result.summary(["cat"]) == "p&q.jpg (20x10): no cat"
    assert result.legend().splitlines() == [
        "  none     background   75.0%",
        "  #808000  dog          20.0%",
        "  #800000  a <b>         5.0%",
    ]


def test_repr_of_many_classes_is_short():
    names = tuple(f"class {k}" for k in range(40))
    classes = np.arange(40, dtype=np.uint8)[None]
    image = np.zeros((1, 40, 3), np.uint8)
    text = repr(Segmentation("x", image, [Answer("score", "", classes, names)]))
    assert text.endswith("class 4 2.5% and 35 more>")


def test_in_a_notebook(result):
    picture = Image.open(io.BytesIO(result._repr_png_()))
    assert np.array_equal(picture, result.draw(legend=True))
    page = result._repr_html_()
    tags, said = [], []

    class Reader(html.parser.HTMLParser):
        def handle_starttag(self, tag, attrs):
            tags.append((tag, dict(attrs)))

        def handle_data(self, data):
            said.append(data)

    Reader().feed(page)
    assert {"p&q.jpg (20x10)", "a <note>", "a <b>", "dog", "20.0%"} <= set(said)
    assert "b" not in [tag for tag, _ in tags]
    address = next(attrs["src"] for tag, attrs in tags if tag == "img")
    assert address.startswith("data:image/png;base64,")
    assert "background:#808000" in page


def test_a_large_picture_is_small_in_a_notebook():
    image = np.zeros((3000, 2000, 3), np.uint8)
    large = Segmentation("x", image, [Answer("score", "", image[..., 0], NAMES)])
    assert len(large._repr_html_()) < 20_000


def test_pickle(result):
    found = pickle.loads(pickle.dumps(result))
    assert np.array_equal(found.classes, result.classes) and found.shares == result.shares
    assert np.array_equal(found.scores, result.scores)
    image = np.zeros((1, 1, 3), np.uint8)
    lazy = Segmentation("x", image, [Answer("score", "", image[..., 0], NAMES)], (), lambda: {})
    with pytest.raises(RuntimeError, match="x: its net is gone"):
        _ = pickle.loads(pickle.dumps(lazy)).scores


# ---- files


def test_files(result, tmp_path):
    made = result.save(tmp_path / "new/p", legend=True, as_json=True, probabilities=True)
    names = ["p_classes.png", "p_overlay.png", "p.json", "p_probabilities.npy"]
    assert made == [tmp_path / "new" / name for name in names]
    assert np.array_equal(indices(made[0]), result.classes)
    assert np.array_equal(indices(made[1]), result.draw(legend=True))
    shares = np.load(made[3])
    assert shares.dtype == np.float16 and np.array_equal(shares, result.probabilities.astype("f2"))


def test_only_what_is_asked_for(result, tmp_path):
    result.save(str(tmp_path / "p"), overlay=False)
    assert [path.name for path in tmp_path.iterdir()] == ["p_classes.png"]


def decoded(mask):
    """COCO's uncompressed run lengths as H x W bool: columns, pixels outside first."""
    flat = np.concatenate([np.full(n, k % 2) for k, n in enumerate(mask["counts"])])
    return flat.reshape(mask["size"][::-1]).T.astype(bool)


def test_json(result, tmp_path):
    result.save(tmp_path / "p", as_json=True, about={"model": "m"})
    found = json.loads((tmp_path / "p.json").read_text())
    assert (found["model"], found["picture"], found["notes"]) == ("m", "p&q.jpg", ["a <note>"])
    assert (found["height"], found["width"], found["scores"]) == (10, 20, "score")
    assert [each["name"] for each in found["classes"]] == ["background", "dog", "a <b>"]
    for each in found["classes"]:
        assert each["share"] == result.shares[each["name"]]
        assert np.array_equal(decoded(each["mask"]), result.mask(each["index"]))
    result.save(tmp_path / "p", as_json=True, only=["dog", "cat"])
    found = json.loads((tmp_path / "p.json").read_text())
    assert [each["name"] for each in found["classes"]] == ["dog"]
    assert np.array_equal(indices(tmp_path / "p_classes.png"), result.classes)  # has them all


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (13, 7), (40, 40)])
def test_run_lengths(shape):
    rng = np.random.RandomState(1)
    for classes in (
        rng.randint(0, 4, shape),
        rng.randint(0, 2, shape).repeat(3, 0),
        np.full(shape, 7),
    ):
        found = run_lengths(classes)
        assert set(found) == set(np.unique(classes).tolist())
        for k, counts in found.items():
            assert all(counts[1:]) and sum(counts) == classes.size
            mask = decoded({"size": list(classes.shape), "counts": counts})
            assert np.array_equal(mask, classes == k)


def test_two_scores(two, tmp_path):
    assert (two.blob, list(two.also)) == ("score_sem", ["score_geo"])
    assert two.also["score_geo"].shares == {"sky": 0.75, "cat": 0.25}
    assert two._repr_html_().count("<img") == 2
    two.save(tmp_path / "p", as_json=True, only=["cat"])
    ends = ("classes.png", "overlay.png")
    wanted = {
        f"p_{which}{end}"
        for which in ("sem", "geo")
        for end in ("_" + ends[0], "_" + ends[1], ".json")
    }
    assert {path.name for path in tmp_path.iterdir()} == wanted
    assert np.array_equal(indices(tmp_path / "p_sem_overlay.png"), two.image)  # there is no cat
    found = json.loads((tmp_path / "p_geo.json").read_text())
    assert found["classes"][0]["share"] == 0.25 and found["scores"] == "score_geo"
