"""FCN-8s forward, every picture a new one: at one size, and over a stream of VOC's sizes."""

from statistics import median

from . import contest, fcn8s, peers
from .contest import Target

WARM = 1  # pictures before those that count
ONE_SIZE = (
    Target("float32", 0.75, ("ONNX Runtime", "OpenVINO")),
    Target("bf16", 0.75, ("OpenVINO",)),
)
MANY_SIZES = (Target("float32", 0.85), Target("bf16", 0.85))


def forward(options, folder):
    """Median seconds a picture of one size, after a picture that is not counted."""
    height, width = options.size
    contestants, left_out = peers.build_all(folder, options.size, options.device)
    pictures = (x for x, _ in fcn8s.pictures(height, width, options.runs + WARM))
    rows = contest.compete(contestants, pictures, WARM, median, contest.distance)
    title = f"forward: FCN-8s, {height}x{width}, median of {options.runs} pictures, each a new one"
    return {"title": title, "unit": "s", "rows": rows, "left_out": left_out, "targets": ONE_SIZE}


def stream(options, folder):
    """Seconds for all of a stream of pictures, the first of each size and of all included."""
    contestants, left_out = peers.build_all(folder, None, options.device)
    pictures = fcn8s.stream(options.runs)
    rows = contest.compete(contestants, pictures, reduce=sum, difference=contest.distance)
    title = (
        f"stream: FCN-8s, sum over {options.runs * len(fcn8s.SIZES)} pictures of "
        f"{len(fcn8s.SIZES)} sizes in random order, from the very first"
    )
    return {"title": title, "unit": "s", "rows": rows, "left_out": left_out, "targets": MANY_SIZES}
