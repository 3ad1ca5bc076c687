"""Writes a new model folder, whole or not at all."""

import os
import runpy
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from fcn import prototxts
from fcn.datasets.folder import CLASSES
from fcn.new import preview, stored, texts
from fcn.new.mapping import Classes
from fcn.new.pairs import Pairing
from fcn.new.reading import THREADS, Look, ReadMask
from fcn.new.stored import Key, Mask
from fcn.vis import save_classes

MASKS = "masks"  # where masks go that are no class indices yet


class Plan(NamedTuple):
    """All that is to be written."""

    pairing: Pairing
    looks: Sequence[Look]
    read: ReadMask
    classes: Classes
    by_colour: bool
    nearest: Mapping[Key, Key]  # key -> that which it counts as; {} where each counts as itself
    train: Sequence[str]
    val: Sequence[str]
    small: bool
    stages: bool
    unheld: Sequence[Key] = ()  # of --map, in no mask

    def class_of(self, look: Look, code: int) -> int:
        """The class of a code in a mask, or VOID."""
        key = stored.key_of(look.kind, look.stands_for, code, self.by_colour)
        return self.classes.of[self.nearest.get(key, key)]

    @property
    def in_place(self) -> bool:
        """Whether the masks hold classes already, under names that the data layer finds."""
        end = self.pairing.mask_end
        return end is not None and all(
            look.plain
            and look.pair.mask
            == self.pairing.masks_dir / f"{look.pair.id}{end}{look.pair.mask.suffix}"
            and all(self.class_of(look, code) == code for code in look.counts)
            for look in self.looks
        )

    @property
    def mean(self) -> tuple[float, ...]:
        """The mean of the training pictures, BGR."""
        train = set(self.train)
        means = np.array([look.mean for look in self.looks if look.pair.id in train])
        return tuple(round(float(mean), 2) for mean in means.mean(axis=0))

    def as_classes(self, look: Look, mask: Mask) -> np.ndarray:
        """A mask as classes, H x W uint8."""
        known = sorted(look.counts)
        table = np.array([self.class_of(look, code) for code in known], np.uint8)
        return table[np.searchsorted(known, mask.codes)]


@contextmanager
def whole_or_nothing(folder: Path) -> Iterator[Path]:
    """A folder beside `folder` to write into, which takes its place at the end, and goes on an error.

    FileExistsError if `folder` is there and not empty.
    """
    refuse_used(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = folder.parent / f".{folder.name}.{os.getpid()}.draft"
    draft.mkdir()
    try:
        yield draft
        if folder.is_dir():
            folder.rmdir()
        draft.rename(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def refuse_used(folder: Path) -> None:
    """FileExistsError if a folder is there and not empty, or is no folder."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} is there already: name a new folder, or an empty one")


def write(folder: Path, plan: Plan) -> None:
    """Write the model folder: lists, masks, nets, solvers, recipes, and a picture of some labels."""
    folder = folder.resolve()
    with whole_or_nothing(folder) as draft:
        (draft / CLASSES).write_text(
            "".join(f"{n}\n" for n in plan.classes.names), encoding="utf-8"
        )
        for split, ids in (("train", plan.train), ("val", plan.val)):
            (draft / f"{split}.txt").write_text("".join(f"{id}\n" for id in ids), encoding="utf-8")
        if not plan.in_place:
            convert(draft / MASKS, plan)
        preview.draw(draft / "labels.png", plan.looks, plan.train, plan.classes.names, shown(plan))
        for stage in texts.STAGES if plan.stages else texts.AT_ONCE:
            write_stage(draft, folder, stage, plan)


def convert(folder: Path, plan: Plan) -> None:
    """Write every mask as class indices, a palette PNG."""

    def one(look: Look) -> None:
        path = folder / f"{look.pair.id}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        save_classes(classes_of(look, plan), path)

    bar = tqdm(total=len(plan.looks), desc="masks", unit="", leave=False, disable=None)
    with bar, ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(one, plan.looks):
            bar.update()


def classes_of(look: Look, plan: Plan) -> np.ndarray:
    """The mask of a pair as classes, H x W uint8."""
    return plan.as_classes(look, plan.read(look.pair, look.size))


def shown(plan: Plan) -> preview.Read:
    """What gives the preview a mask as classes."""
    return lambda look: classes_of(look, plan)


def write_stage(draft: Path, folder: Path, stage: texts.Stage, plan: Plan) -> None:
    """Write one net: net.py, what it writes, solver.prototxt and solve.py."""
    place = draft / stage.folder
    place.mkdir(exist_ok=True)
    final = folder / stage.folder
    masks = folder / MASKS if not plan.in_place else Path(os.path.abspath(plan.pairing.masks_dir))
    facts = texts.Facts(
        title=folder.name,
        images_dir=relative(Path(os.path.abspath(plan.pairing.images_dir)), final),
        masks_dir=relative(masks, final),
        mask_end=(plan.pairing.mask_end or "") if plan.in_place else "",
        mean=plan.mean,
        train=len(plan.train),
        val=len(plan.val),
        small=plan.small,
    )
    (place / "net.py").write_text(texts.net_text(stage, facts), encoding="utf-8")
    (place / "solve.py").write_text(texts.solve_text(stage, facts), encoding="utf-8")
    (place / "solver.prototxt").write_text(texts.solver_text(stage, facts))
    made = runpy.run_path(str(place / "net.py"))
    prototxts.write_files(place, made["fcn"], made["TASK"], deployed=True)


def relative(path: Path, start: Path) -> str:
    """A path as seen from a folder; absolute where there is no way, as between drives."""
    try:
        return Path(os.path.relpath(path, start)).as_posix()
    except ValueError:
        return path.as_posix()


def shares(plan: Plan) -> dict[int, tuple[int, int]]:
    """Class, or VOID -> (pixels, masks that hold it)."""
    found: dict[int, tuple[int, int]] = {}
    for look in plan.looks:
        here: dict[int, int] = {}
        for code, pixels in look.counts.items():
            number = plan.class_of(look, code)
            here[number] = here.get(number, 0) + pixels
        for number, pixels in here.items():
            before = found.get(number, (0, 0))
            found[number] = (before[0] + pixels, before[1] + 1)
    return found
