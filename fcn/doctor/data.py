"""The data layers as the prototxts state them: means, splits, keys, train against test."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from fcn.datasets import param_str
from fcn.doctor.case import TEST, TRAIN, Case, Source
from fcn.doctor.pictures import way_to_mean
from fcn.doctor.recipe import losses
from fcn.findings import NOTE, REFUSE, WARN, Finding
from fcn.wording import counted


def check(case: Case) -> Iterator[Finding]:
    """Findings on the data layers."""
    for source in case.sources:
        yield from check_keys(source)
    yield from check_means(case)
    yield from check_classes(case)
    yield from check_splits(case)
    if not case.sources and losses(case):
        what = "no data layer of the nets can be looked at: labels and pictures were not checked"
        way = "a layer of voc_layers reads any tree of pictures and palette PNGs"
        yield Finding("data.unknown", NOTE, what, "no Python data layer", way)


def check_keys(source: Source) -> Iterator[Finding]:
    """What the layer says of its param_str: keys that it does not know, values that make no sense."""
    if source.kind is None or source.reader is not None:
        return
    if isinstance(source.error, FileNotFoundError):
        return  # told with what is missing
    known = [*source.kind.required, *source.kind.optional]
    unknown = [key for key in source.params if key not in known]
    if unknown:
        what = f"{source.title} is given {', '.join(unknown)}, which it does not know"
        way = "; ".join(["remove it", *param_str.hints(unknown, known)])
        yield Finding("data.unknown_key", REFUSE, what, f"keys: {', '.join(known)}", way)
        return
    text = str(source.error.args[0] if source.error and source.error.args else source.error)
    way = "correct its param_str in the prototxt"
    yield Finding("data.params", REFUSE, text, source.title, way)


def mean_of(source: Source) -> tuple[float, ...] | None:
    """The mean in a param_str; None if there is none that is one or three numbers."""
    if source.params.get("mean") is None:
        return None
    try:
        mean = np.asarray(source.params.get("mean"), float).ravel()
    except (TypeError, ValueError):
        return None
    return tuple(np.broadcast_to(mean, 3).tolist()) if mean.size in (1, 3) else None


def shown(mean: Sequence[float]) -> str:
    """A mean for people."""
    return "(" + ", ".join(f"{value:.6g}" for value in mean) + ")"


def check_means(case: Case) -> Iterator[Finding]:
    """The means of the train and the test net: against each other, or else against the published."""
    stated = [(source, mean) for source in case.sources if (mean := mean_of(source)) is not None]
    each = "; ".join(f"{source.which} net {shown(mean)}" for source, mean in stated)
    if any(not np.allclose(mean, stated[0][1], atol=0.01) for _, mean in stated):
        what = "the train and the test net subtract different means"
        yield Finding("data.mean_differs", REFUSE, what, each, way_to_mean(case))
    elif stated and case.task is not None:
        yield from check_known_mean(case, stated[0][1], each)


def check_known_mean(case: Case, mean: Sequence[float], each: str) -> Iterator[Finding]:
    """A mean, the same in both nets, against that of a published model."""
    assert case.task is not None
    given, right = np.array(mean), np.array(case.task.mean)
    if np.allclose(given, right, atol=0.05):
        return
    cases = (
        (~given.any(), "data.no_mean", WARN, "no mean is subtracted"),
        (
            np.allclose(given, right[::-1], atol=0.05),
            "data.mean_order",
            WARN,
            "the mean is in the order R, G, B, but pictures are B, G, R",
        ),
        (
            np.allclose(given, -right, atol=0.05),
            "data.mean_sign",
            REFUSE,
            "the mean has the wrong sign: it is subtracted, so this one would be added",
        ),
        (True, "data.mean", WARN, "the mean is not the data set's"),
    )
    kind, level, what = next(rest for holds, *rest in cases if holds)
    yield Finding(kind, level, what, f"{each} (B, G, R)", way_to_mean(case))


def check_classes(case: Case) -> Iterator[Finding]:
    """The classes of the train and the test net against each other."""
    for train, test in zip(case.sources_of(TRAIN), case.sources_of(TEST)):
        count = [
            each.params.get("classes", getattr(each.kind, "classes", 0)) for each in (train, test)
        ]
        if None not in (train.kind, test.kind) and count[0] != count[1]:
            what = "the train and the test net read labels of different classes"
            evidence = f"train {count[0]}, test {count[1]}"
            way = "the same 'classes' in both param_str"
            yield Finding("data.classes_differ", REFUSE, what, evidence, way)


# ---- splits


def check_splits(case: Case) -> Iterator[Finding]:
    """Which lists are trained on and scored."""
    train, test = (next(iter(case.sources_of(which)), None) for which in (TRAIN, TEST))
    if train is not None:
        yield from check_shuffled(train)
    if train is not None and test is not None:
        yield from check_overlap(train, test)
    for source, which in ((train, TRAIN), (test, TEST)):
        yield from check_published_split(case, source, which)


def check_shuffled(train: Source) -> Iterator[Finding]:
    """Only splits with 'train' in their names are shuffled."""
    split = str(train.params.get("split", "train"))
    if train.kind is None or ("train" in split and train.params.get("randomize", True)):
        return
    what = f"the train net reads split {split!r} always in the same order"
    why = (
        "randomize is off"
        if "train" in split
        else "only lists with 'train' in their name are shuffled"
    )
    way = "train on the training list, or give the list such a name; 'randomize': True"
    yield Finding("data.not_shuffled", WARN, what, why, way)


def check_overlap(train: Source, test: Source) -> Iterator[Finding]:
    """Pictures that are both trained on and scored."""
    both = sorted(set(train.ids) & set(test.ids))
    if not both:
        return
    same = set(train.ids) == set(test.ids)
    splits = f"train: {train.params.get('split')!r}, test: {test.params.get('split')!r}"
    evidence = f"{splits}; {', '.join(both[:5])}{' ...' if len(both) > 5 else ''}"
    way = "score another list; --leakage allows it"
    if same:
        what = f"the nets train on and score the same {counted(len(both), 'picture')}"
        yield Finding("data.same_split", REFUSE, what, evidence, way)
    else:
        verb = "is" if len(both) == 1 else "are"
        scored = counted(len(test.ids), "scored picture")
        what = f"{len(both)} of {scored} {verb} trained on"
        yield Finding("data.leakage", REFUSE, what, evidence, way)


def check_published_split(case: Case, source: Source | None, which: str) -> Iterator[Finding]:
    """The split of a published model against the published one."""
    if case.task is None or source is None:
        return
    nets: dict[str, Any] = case.task.nets
    wanted = list(nets.values())[which != TRAIN]
    split = source.params.get("split")
    if split in (wanted, None) or (wanted, split) == ("seg11valid", "segvalid11"):
        return
    what = f"the {which} net reads split {split!r}, not {wanted!r}"
    way = f"'split': {wanted!r}"
    yield Finding("data.split", WARN, what, f"{source.title} of {case.model}", way)
