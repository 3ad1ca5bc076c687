"""What the page gets for a picture."""

import base64
import io
import threading
import time

import numpy as np
import pytest
from PIL import Image

from fcn.finite_scores import NotFinite
from fcn.segmentation import Answer
from fcn.serving.answers import Limits, Service
from fcn.serving.uploads import Refused


def encoded(image, kind="PNG", **options):
    """A picture as a file's bytes."""
    buffer = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def decoded(text):
    """The picture in base64."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))


def unrolled(answer, size):
    """The classes of runs."""
    pairs = np.array(answer["runs"]).reshape(-1, 2)
    return np.repeat(pairs[:, 0], pairs[:, 1]).reshape(size[::-1])


def test_classes_shares_picture_and_png(client, scene, serve):
    status, answer = client.upload(encoded(scene))
    (one,) = answer["answers"]
    wanted = serve.by_colour(scene)[0].classes
    assert status == 200 and (answer["width"], answer["height"]) == (60, 40)
    assert answer["shown"] == [60, 40]
    assert np.array_equal(decoded(one["png"]), wanted)
    assert np.array_equal(unrolled(one, (60, 40)), wanted)
    assert np.abs(decoded(answer["picture"]).astype(int) - scene).mean() < 12  # a JPEG
    assert one["classes"] == [
        {"index": 2, "name": "bicycle", "color": "#008000", "share": 0.5},
        {"index": 0, "name": "background", "color": "#000000", "share": 0.25},
        {"index": 1, "name": "aeroplane", "color": "#800000", "share": 0.25},
    ]
    with Image.open(io.BytesIO(base64.b64decode(one["png"]))) as png:
        assert png.mode == "P" and png.getpalette()[3:6] == [128, 0, 0]


def test_large_pictures_are_shown_smaller_but_answered_in_full(scene, serve):
    large = np.tile(scene, (3, 40, 1))
    with serve.serving() as client:
        _, answer = client.upload(encoded(large))
    (one,) = answer["answers"]
    assert answer["shown"] == [1400, 70] and decoded(answer["picture"]).shape == (70, 1400, 3)
    assert unrolled(one, (1400, 70)).shape == (70, 1400)
    assert np.array_equal(decoded(one["png"]), serve.by_colour(large)[0].classes)


def test_pictures_of_every_kind_are_read_as_fcn_infer_does(client, scene, serve):
    """Turned by EXIF, transparent, of 16 bits, with a palette, of other formats."""
    image = Image.fromarray(scene)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = image.transpose(Image.Transpose.ROTATE_90)
    wanted = serve.by_colour(scene)[0].classes
    files = {
        "jpeg": encoded(turned, "JPEG", exif=exif, quality=100, subsampling=0),
        "rgba": encoded(image.convert("RGBA")),
        "palette": encoded(image.quantize(8), "GIF"),
        "tiff": encoded(image, "TIFF"),
        "webp": encoded(image, "WEBP", lossless=True),
        "cmyk": encoded(image.convert("CMYK"), "TIFF"),
    }
    for name, data in files.items():
        status, answer = client.upload(data)
        assert status == 200, (name, answer)
        differ = decoded(answer["answers"][0]["png"]) != wanted
        assert differ.mean() < 0.02, name
    status, answer = client.upload(encoded(np.full((5, 7), 65535, np.uint16)))
    assert status == 200 and (decoded(answer["picture"]) == 255).all()


def test_nets_with_two_scores_give_two_answers(serve):
    def two(image):
        classes = np.zeros(image.shape[:2], np.uint8)
        return [
            Answer("score", "_sem", classes, ("sky", "sea")),
            Answer("score", "_geo", classes + 1, ("up", "down")),
        ]

    with serve.serving(two) as client:
        _, answer = client.upload(encoded(np.zeros((4, 4, 3), np.uint8)))
    assert [one["title"] for one in answer["answers"]] == ["sem", "geo"]
    assert [one["classes"][0]["name"] for one in answer["answers"]] == ["sky", "down"]


def test_one_picture_at_a_time(scene, serve):
    inside, most = [], []

    def slow(image):
        inside.append(threading.current_thread())
        most.append(len(inside))
        time.sleep(0.02)
        inside.pop()
        return serve.by_colour(image)

    found = []
    with serve.serving(slow, waiting=8) as client:
        threads = [
            threading.Thread(target=lambda: found.append(client.upload(encoded(scene))[0]))
            for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [200] * 6 and max(most) == 1


def test_a_full_queue_is_told(scene, serve):
    begun, go_on = threading.Event(), threading.Event()

    def waits(image):
        begun.set()
        assert go_on.wait(10)
        return serve.by_colour(image)

    with serve.serving(waits, waiting=0) as client:
        first = []
        thread = threading.Thread(target=lambda: first.append(client.upload(encoded(scene))))
        thread.start()
        assert begun.wait(10)
        status, headers, body = client.ask("POST", "/segment", encoded(scene))
        go_on.set()
        thread.join()
        assert status == 503 and headers["Retry-After"] == "5"
        assert b"Too many of your pictures wait already. Try again soon." in body
        assert first[0][0] == 200
        assert client.upload(encoded(scene))[0] == 200  # the place is free again


def test_a_client_has_one_place_and_the_others_go_on():
    service = Service(lambda image: [], Limits(10**6, 10**6, 1))
    order, entered, leave = [], threading.Event(), threading.Event()

    def ask(name, client):
        with service.turn(client):
            order.append(name)
            entered.set()
            assert leave.wait(10)

    threads = [threading.Thread(target=ask, args=("first", "greedy"))]
    threads[0].start()
    assert entered.wait(10)
    threads.append(threading.Thread(target=ask, args=("second", "greedy")))
    threads[1].start()
    while service.asking["greedy"] < 2:
        time.sleep(0.001)
    with pytest.raises(Refused, match="Too many of your pictures"), service.turn("greedy"):
        pass
    threads.append(threading.Thread(target=ask, args=("other's", "modest")))
    threads[2].start()
    while len(order) < 2:
        time.sleep(0.001)
    with pytest.raises(Refused, match="Too many pictures wait already"), service.turn("third"):
        pass
    leave.set()
    for thread in threads:
        thread.join()
    assert order == ["first", "other's", "second"]
    assert not service.asking and not service.served  # nothing is kept of who has asked
    service.close()


def test_a_server_that_is_being_ended_says_so(scene, serve):
    service = Service(serve.by_colour, Limits(10**6, 10**6, 1))
    service.close()
    with pytest.raises(Refused, match="The server is being ended") as refusal:
        service.answer(encoded(scene))
    assert refusal.value.status == 503


@pytest.mark.parametrize(
    "error, status, sentence",
    [
        (
            NotFinite("score is not finite", True),
            500,
            "The net gives no answer: score is not finite.",
        ),
        (
            MemoryError("needs 9 GiB"),
            413,
            "not enough memory for this picture: needs 9 GiB. A smaller",
        ),
        (MemoryError(), 413, "There is not enough memory for this picture. A smaller one may do."),
        (
            KeyError("/secret"),
            500,
            "This should not happen; where fcn serve was started it says more.",
        ),
    ],
)
def test_a_net_that_fails_is_told_and_the_next_picture_is_segmented(
    error, status, sentence, scene, serve
):
    failing = [error]

    def fails(image):
        if failing:
            raise failing.pop()
        return serve.by_colour(image)

    with serve.serving(fails) as client:
        found, answer = client.upload(encoded(scene))
        assert found == status and sentence in answer["error"]
        assert client.upload(encoded(scene))[0] == 200
