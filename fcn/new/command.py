"""`fcn new DIR --images ... --masks ...`: makes a model folder for a folder of pictures and masks."""

import argparse
import dataclasses
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from fcn import weights
from fcn.datasets import splits
from fcn.datasets.dataset import VOID
from fcn.new import instances, mapping, nearest, overfit, pairs, reading, stored, texts, writing
from fcn.new.classlist import Entry, read_classes, read_maps
from fcn.new.coco import Coco
from fcn.new.mapping import Unclear
from fcn.new.pairs import Pairing
from fcn.new.reading import Fault, Look, ReadMask
from fcn.new.stored import Key
from fcn.new.writing import Plan
from fcn.wording import counted, first_few

VAL = 0.2
KINDS = {  # of masks, for people
    stored.VALUES: "values",
    stored.PALETTE: "a palette",
    stored.COLOURS: "colours",
    stored.LABELS: "labels",
}
VOC_PARTS = ("JPEGImages", "SegmentationClass")
# Kind of a fault -> (one, many, the way out)
TITLES = {
    "unmasked": ("picture has no mask", "pictures have no mask", "add the masks"),
    "unpictured": ("mask has no picture", "masks have no picture", "add the pictures"),
    "doubled": (
        "picture has the name of another",
        "pictures have the names of others",
        "rename them: endings do not count",
    ),
    "unreadable": ("file cannot be read", "files cannot be read", "restore them"),
    "size": (
        "picture and its mask differ in size",
        "pictures and their masks differ in size",
        "write both in the same size",
    ),
}


class Source(NamedTuple):
    """Where pictures and masks come from."""

    pairing: Pairing
    read: ReadMask
    order: Sequence[str] = ()  # of labels
    lists: Path | None = None  # of a tree like VOC's
    classes: Path | None = None  # the list of classes that lies beside the data


def run(args: argparse.Namespace) -> int:
    """Make the folder, and train on one picture if that is asked for; returns the exit code."""
    if args.images or not args.check:
        make(args)
    return overfit.run(args) if args.check else 0


def make(args: argparse.Namespace) -> None:
    """Make the folder. ValueError lists all that is wrong with pictures and masks."""
    writing.refuse_used(args.dir)
    if args.val is not None and not 0 < args.val < 1:
        raise ValueError(f"--val {args.val:g}: a share between 0 and 1, such as 0.2")
    source = find(args.images, args.masks)
    found = source.pairing
    print(f"{counted(len(found.pairs), 'pair')} of picture and mask: {found.how}", flush=True)
    looks, faults = reading.read_all(found.pairs, source.read)
    faults = [*unpaired(found), *faults]
    listed = args.classes or source.classes
    entries = read_classes(listed) if listed else []
    wrong = [f"{told(faults)}\n--skip leaves them out"] if faults and not args.skip else []
    plan = None
    try:
        if looks:
            plan = planned(args, source, looks, entries)
    except Unclear as error:
        wrong.append(str(error))
    if wrong:
        raise ValueError("\n".join(wrong))
    if plan is None:
        raise ValueError(told(faults) if faults else "no picture has a mask")
    if faults:
        print(f"left out: {told(faults)}")
    writing.write(args.dir, plan)
    show(args, plan)


# ---- what is there


def find(images: str | None, masks: str | None) -> Source:
    """Find pictures and masks. ValueError if it is not said where, or if none are there."""
    if not images:
        raise ValueError("--images: the folder of the pictures; --masks: the folder of their masks")
    tree = Path(images).expanduser()
    if all((tree / part).is_dir() for part in VOC_PARTS) and masks in (None, images):
        return voc_tree(tree)
    if not masks:
        raise ValueError(f"--masks: the folder of the masks of {images}")
    if Path(masks).suffix.lower() == ".json" and Path(masks).is_file():
        coco = Coco(Path(masks))
        return Source(coco.pairs(images), coco.read, coco.order)
    return Source(pairs.find(images, masks), reading.read_mask)


def voc_tree(tree: Path) -> Source:
    """A tree like VOC's, whose pictures without a mask do not count."""
    pictures, masks = (str(tree / part) for part in VOC_PARTS)
    found = pairs.find(pictures, masks)
    spare = f"; {counted(len(found.unmasked), 'picture')} without a mask do not count"
    how = f"{found.how}, in a tree like VOC's" + (spare if found.unmasked else "")
    labels = tree / "labelmap.txt"  # as CVAT writes it
    return Source(
        dataclasses.replace(found, unmasked=[], how=how),
        reading.read_mask,
        lists=tree / "ImageSets/Segmentation",
        classes=labels if labels.is_file() else None,
    )


def unpaired(found: Pairing) -> list[Fault]:
    """What is left over of pictures and masks, and pictures of one name."""
    kinds = ("unmasked", "unpictured", "doubled")
    return [Fault(kind, path) for kind in kinds for path in getattr(found, kind)]


def told(faults: Sequence[Fault]) -> str:
    """All faults, by their kinds: how many, the first five, and what to do with these."""
    lines = []
    for kind, (one, many, way) in TITLES.items():
        mine = [f"{f.path}: {f.text}" if f.text else str(f.path) for f in faults if f.kind == kind]
        if mine:
            joint = "\n    " if kind in ("unreadable", "size") else ", "
            text = first_few(mine, joint=joint)
            lines.append(f"{counted(len(mine), one, many)} ({way}):\n    {text}")
    return "\n".join(lines)


# ---- what is made of it


def planned(
    args: argparse.Namespace, source: Source, looks: Sequence[Look], entries: Sequence[Entry]
) -> Plan:
    """Decide classes and splits. Unclear if the masks do not tell."""
    maps = read_maps(args.map)
    stated = [e.key for e in entries if e.key is not None] + list(maps)
    by_colour = reading.goes_by_colour(looks) or any(isinstance(key, tuple) for key in stated)
    seen, as_key = reading.tally(looks, by_colour), dict[Key, Key]()
    few = nearest.centres(seen) if not any(isinstance(key, str) for key in seen) else []
    if args.nearest:
        wanted = [key for key in stated if isinstance(key, tuple) == by_colour] or few
        seen, as_key = nearest.merged(seen, wanted)
    ask: Callable[[str], str] | None = input if sys.stdin.isatty() else None
    numbered = instances.are_numbered(looks)
    near = not args.nearest and not numbered and nearest.are_near(seen, few)
    try:
        classes = mapping.decide(seen, entries, maps, source.order, None if near else ask)
    except Unclear as error:
        if near:
            raise Unclear(nearest.explain(seen, few, looks)) from error
        if numbered and not maps:
            raise Unclear(instances.explain(looks)) from error
        raise
    nearest.refuse_blurred(classes.of, looks)
    train, val = split(args, source, looks)
    return Plan(
        pairing=source.pairing,
        looks=looks,
        read=source.read,
        classes=classes,
        by_colour=by_colour,
        nearest=as_key,
        unheld=[key for key in maps if key not in seen and key not in as_key],
        train=train,
        val=val,
        small=args.small,
        stages=args.stages,
    )


def split(
    args: argparse.Namespace, source: Source, looks: Sequence[Look]
) -> tuple[list[str], list[str]]:
    """(ids to train on, ids to score): by the tree's own lists, or drawn."""
    scenes = {look.pair.id: look.digest for look in looks}
    paths = [source.lists / f"{name}.txt" for name in ("train", "val")] if source.lists else []
    if paths and args.val is None and all(path.is_file() for path in paths):
        both = [[id for id in splits.read_ids(path) if id in scenes] for path in paths]
        if all(both):
            print(f"split as in {source.lists}")
            return both[0], both[1]
    return splits.drawn(scenes, VAL if args.val is None else args.val)


# ---- what is said


def show(args: argparse.Namespace, plan: Plan) -> None:
    """Print what was made, and what to do next."""
    shares = writing.shares(plan)
    total = sum(pixels for pixels, _ in shares.values())
    print(f"{counted(len(plan.classes.names), 'class', 'classes')} ({plan.classes.why}):")
    for number, name in [*enumerate(plan.classes.names), (VOID, "void")]:
        pixels, masks = shares.get(number, (0, 0))
        if number != VOID or pixels:
            print(f"  {number:3} {name:20} {pixels / total:8.3%} in {counted(masks, 'mask')}")
    for note in notes(plan, shares):
        print(f"note: {note}")
    scored = "by their names, so that new pictures leave the others where they are"
    if plan.pairing.how.endswith("VOC's"):
        scored = "in val.txt"
    print(f"{len(plan.train)} to train on, {len(plan.val)} to score ({scored})")
    print(f"mean of the training pictures, B G R: {plan.mean}")
    where = plan.pairing.masks_dir if plan.in_place else args.dir / writing.MASKS
    print(f"masks: {where}" + (", as they are" if plan.in_place else ", made of the others"))
    print(f"wrote {args.dir}; look at {args.dir / 'labels.png'}: are the labels right? Next:")
    for line in next_commands(args, plan):
        print(f"  {line}")


def notes(plan: Plan, shares: Mapping[int, tuple[int, int]]) -> list[str]:
    """What may be wrong."""
    found = []
    absent = [name for k, name in enumerate(plan.classes.names) if k not in shares]
    if absent:
        found.append(f"no mask holds {first_few(absent)}")
    palettes: dict[int, Key] = {}
    for look in plan.looks:
        if look.kind == stored.PALETTE and not plan.by_colour:
            palettes |= {code: look.stands_for[code] for code in look.counts}
    as_voc = {code: mapping.VOC_COLOURS.get(colour) for code, colour in palettes.items()}
    moved = {code: k for code, k in as_voc.items() if k != code}
    if moved and None not in as_voc.values():
        code, k = next(iter(moved.items()))
        found.append(
            f"the masks' palette has VOC's colours in another order: {code} has that of {k}. Classes "
            "follow the values; if the colours are right, list them in --classes FILE"
        )
    if len(plan.classes.names) > 2 and instances.count_up(plan.looks):
        found.append(instances.NOTE)
    found += odd_kinds(plan) + twins(plan.classes.names)
    if plan.unheld:
        found.append(
            f"--map names {first_few(map(mapping.shown, plan.unheld))}, which no mask holds"
        )
    left_out = sum(look.left_out for look in plan.looks)
    if left_out:
        found.append(
            f"{counted(left_out, 'shape has no area and counts', 'shapes have no area and count')} "
            "for nothing"
        )
    return found


def odd_kinds(plan: Plan) -> list[str]:
    """Masks of another kind than nearly all others, by name."""
    by_kind: dict[str, list[Path]] = {}
    for look in plan.looks:
        by_kind.setdefault(look.kind, []).append(look.pair.mask)
    usual = max(by_kind, key=lambda kind: len(by_kind[kind]))
    return [
        f"{len(masks)} of {counted(len(plan.looks), 'mask')} {'is' if len(masks) == 1 else 'are'} of "
        f"{KINDS[kind]}, and the others of {KINDS[usual]}: {first_few([path.name for path in masks])}"
        for kind, masks in by_kind.items()
        if kind != usual
    ]


def twins(names: Sequence[str]) -> list[str]:
    """Classes whose names differ in case or spaces alone."""
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault("".join(name.casefold().split()), []).append(repr(name))
    return [
        f"{' and '.join(each)} differ in case or spaces alone, and are {len(each)} classes"
        for each in alike.values()
        if len(each) > 1
    ]


def next_commands(args: argparse.Namespace, plan: Plan) -> list[str]:
    """The commands that come next."""
    stages = texts.STAGES if plan.stages else texts.AT_ONCE
    models = [shlex.quote((args.dir / stage.folder).as_posix()) for stage in stages]
    body = "ilsvrc-nets/vgg16-fcn"
    first = [] if plan.small or weights.existing(body) else [f"{weights.how_to_get(body)}: VGG-16"]
    return [
        *first,
        f"fcn new {shlex.quote(str(args.dir))} --check  # can the net learn one picture by heart?",
        *(f"fcn train {model}" for model in models),
        f"fcn report {models[-1]} --open",
        f"fcn infer PICTURE --model {models[-1]}",
    ]
