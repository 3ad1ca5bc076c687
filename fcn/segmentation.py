"""The answer of a net for one picture: classes, shares, pictures and files of it."""

import base64
import difflib
import html
import io
import json
import numbers
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from PIL import Image

from fcn.vis import PALETTE, add_legend, hex_color, save_classes, vis_seg

Only: TypeAlias = Sequence[str] | None  # names of the classes that are shown, or all
LONGEST = 1000  # of a picture's sides in a notebook
FIRST = 5  # classes that a line of text names, at most, where it is a summary


class Answer(NamedTuple):
    """What one score blob says of a picture."""

    blob: str  # "score"
    ending: str  # of the names of its files: "" for a net's only scores, "_sem", "_geo"
    classes: np.ndarray  # H x W uint8
    names: tuple[str, ...]
    scores: np.ndarray | None = None  # C x H x W, if they are kept
    probable: bool = False  # the scores are probabilities, made by a Softmax layer


class Segmentation:
    """The classes of a picture's pixels.

    image    H x W x 3 uint8 RGB, the picture as it was read, upright
    classes  H x W uint8, a class a pixel
    names    of the classes
    shares   name -> share of the pixels, of the classes there, the largest first
    notes    what is to be said of the picture: several frames, 12 bits, a smaller scale
    also     blob -> Segmentation, of a net with other scores, too (SIFT Flow's score_geo)
    """

    def __init__(
        self,
        label: str,
        image: np.ndarray,
        answers: Sequence[Answer],
        notes: Sequence[str] = (),
        again: Callable[[], Mapping[str, np.ndarray]] | None = None,
    ) -> None:
        """Of the picture called `label`; `again()` computes each blob's scores, C x H x W."""
        first, *others = answers
        self.label, self.image, self.notes = label, image, tuple(notes)
        self.blob, self.ending = first.blob, first.ending
        self.classes, self.names, self.probable = first.classes, first.names, first.probable
        self.also = {
            other.blob: Segmentation(label, image, [other], notes, again) for other in others
        }
        self._again = again
        if first.scores is not None:
            self.scores = first.scores

    def __getstate__(self) -> dict[str, Any]:
        """All but the net, and so the scores, if nobody asked for them before."""
        return self.__dict__ | {"_again": None}

    # ---- numbers

    @cached_property
    def shares(self) -> dict[str, float]:
        """Name -> share of the pixels, of the classes there, the largest first."""
        return {self.names[k]: count / self.classes.size for k, count in self._counts()}

    def _counts(self) -> list[tuple[int, int]]:
        """(class, pixels) of the classes there, the largest first."""
        counts = Image.fromarray(self.classes).histogram()  # NumPy's would take 8 bytes a pixel
        return sorted(((k, n) for k, n in enumerate(counts) if n), key=lambda each: -each[1])

    @cached_property
    def scores(self) -> np.ndarray:
        """C x H x W float32, the net's scores, at the scale that the picture was segmented at.

        They are kept if the picture was segmented with scores=True; else the net runs once more.
        """
        if self._again is None:
            raise RuntimeError(f"{self.label}: its net is gone, so scores can no more be computed")
        return self._again()[self.blob]

    @property
    def probabilities(self) -> np.ndarray:
        """C x H x W float32, the softmax of `scores`."""
        if self.probable:
            return self.scores
        shifted = np.exp(self.scores - self.scores.max(0))
        return shifted / shifted.sum(0)

    def index(self, name: str | int) -> int:
        """The class of a name, or of a number; ValueError if there is none, which lists the names."""
        if isinstance(name, str) and name in self.names:
            return self.names.index(name)
        if isinstance(name, numbers.Integral) and 0 <= name < len(self.names):
            return int(name)
        raise ValueError(unknown_class(name, self.names))

    def mask(self, name: str | int) -> np.ndarray:
        """H x W bool: where a class is, given by its name or number."""
        return self.classes == self.index(name)

    # ---- pictures

    @property
    def overlay(self) -> Image.Image:
        """The classes' colours over the picture."""
        return self.draw()

    def draw(self, only: Only = None, legend: bool = False) -> Image.Image:
        """The colours over the picture; of the classes `only`, if it is given; with a legend."""
        shown = self.classes
        if only is not None:
            shown = np.where(np.isin(shown, [self.index(name) for name in only]), shown, 0)
        picture = Image.fromarray(vis_seg(self.image, shown, PALETTE))
        if not legend:
            return picture
        return add_legend(picture, [(k, f"{n} {100 * s:.1f}%") for k, n, s in self._rows(only)])

    def _rows(self, only: Only = None) -> list[tuple[int, str, float]]:
        """(class, name, share) of the classes there, the largest first."""
        keep = range(len(self.names)) if only is None else [self.index(name) for name in only]
        return [
            (k, self.names[k], count / self.classes.size)
            for k, count in self._counts()
            if k in keep
        ]

    # ---- text

    def __repr__(self) -> str:
        """`photo.jpg (500x375): background 71.2%, person 28.8%`."""
        rows = self._rows()
        more = f" and {len(rows) - FIRST} more" if len(rows) > FIRST else ""
        return f"<Segmentation of {self.summary(count=FIRST)}{more}>"

    def summary(self, only: Only = None, count: int | None = None) -> str:
        """One line: the picture, its size, and its classes with their shares, the largest first."""
        height, width = self.classes.shape
        shares = [f"{name} {100 * share:.1f}%" for _, name, share in self._rows(only)[:count]]
        none = f"no {' or '.join(only or ['class'])}"
        return f"{self.label} ({width}x{height}): {', '.join(shares) or none}"

    def legend(self, only: Only = None) -> str:
        """A line a class: colour, name, share."""
        rows = self._rows(only)
        longest = max((len(name) for _, name, _ in rows), default=0)
        return "\n".join(
            f"  {hex_color(k) if k else 'none   '}  {name:{longest}}  {100 * share:5.1f}%"
            for k, name, share in rows
        )

    def _repr_png_(self) -> bytes:
        """The overlay with its legend, for a notebook."""
        return _png(self.draw(legend=True))

    def _repr_html_(self) -> str:
        """The same for a notebook that shows HTML, which is every one."""
        return self.html()

    def html(self) -> str:
        """The overlay, and a table of colours, names and shares, as HTML that needs no other file."""
        picture = self.overlay
        picture.thumbnail((LONGEST, LONGEST))
        rows = "".join(
            f'<tr><td style="background:{hex_color(k) if k else "none"};border:1px solid;'
            f'width:1.5em"></td><td style="text-align:left">{html.escape(name)}</td>'
            f"<td>{100 * share:.1f}%</td></tr>"
            for k, name, share in self._rows()
        )
        height, width = self.classes.shape
        title = html.escape(f"{self.label} ({width}x{height})")
        notes = "".join(f"<br>{html.escape(note)}" for note in self.notes)
        address = base64.b64encode(_png(picture)).decode()
        return (
            '<div style="display:flex;flex-wrap:wrap;gap:1em;align-items:flex-start">'
            f'<figure style="margin:0"><img alt="{title}" src="data:image/png;base64,{address}">'
            f"<figcaption>{title}{notes}</figcaption></figure><table>{rows}</table></div>"
        ) + "".join(each.html() for each in self.also.values())

    # ---- files

    def save(
        self,
        stem: str | Path,
        *,
        only: Only = None,
        overlay: bool = True,
        legend: bool = False,
        as_json: bool = False,
        probabilities: bool = False,
        source: str = "",
        about: Mapping[str, Any] | None = None,
    ) -> list[Path]:
        """Write STEM_classes.png, and what is asked for beside it; returns the files.

        STEM_overlay.png         `draw(only, legend)`
        STEM.json                `as_dict(only)`, after what is in `about`
        STEM_probabilities.npy   C x H x W float16

        A net's other scores have their ending behind STEM: STEM_geo_classes.png. OSError if a file
        cannot be written.
        """
        asked = only
        if only is not None and self.also:
            only = [name for name in only if name in self.names]  # others are of the other scores
        base = f"{Path(stem).expanduser()}{self.ending}"
        Path(base).parent.mkdir(parents=True, exist_ok=True)
        written = [Path(f"{base}_classes.png")]
        save_classes(self.classes, written[0], source)
        if overlay:
            written.append(Path(f"{base}_overlay.png"))
            self.draw(only, legend).save(written[-1])
        if as_json:
            written.append(Path(f"{base}.json"))
            text = json.dumps({**(about or {}), **self.as_dict(only)}, ensure_ascii=False)
            written[-1].write_text(text + "\n", encoding="utf-8")
        if probabilities:
            written.append(Path(f"{base}_probabilities.npy"))
            np.save(written[-1], self.probabilities.astype(np.float16))
        for other in self.also.values():
            there = None if asked is None else [name for name in asked if name in other.names]
            written += other.save(
                stem, only=there, overlay=overlay, legend=legend, as_json=as_json,
                probabilities=probabilities, source=source, about=about,
            )  # fmt: skip
        return written

    def as_dict(self, only: Only = None) -> dict[str, Any]:
        """Shares and masks for JSON; a mask is COCO's uncompressed run lengths.

        `size` is height and width. `counts` are lengths of runs, column after column, first of
        pixels that are not of the class, then of those that are, and so on.
        """
        counts = run_lengths(self.classes)
        size = list(self.classes.shape)
        return {
            "picture": self.label,
            "height": size[0],
            "width": size[1],
            "scores": self.blob,
            "notes": list(self.notes),
            "classes": [
                {
                    "index": k,
                    "name": name,
                    "share": share,
                    "mask": {"size": size, "counts": counts[k]},
                }
                for k, name, share in self._rows(only)
            ],
        }


def run_lengths(classes: np.ndarray) -> dict[int, list[int]]:
    """Class -> lengths of runs in column-major order, of other pixels and of the class's in turn.

    >>> run_lengths(np.array([[0, 1], [0, 0]]))
    {0: [0, 2, 1, 1], 1: [2, 1, 1]}
    """
    flat = np.asarray(classes).ravel(order="F")
    starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1])
    ends = np.append(starts[1:], flat.size)
    found = {}
    for k in np.unique(flat[starts]):
        here = flat[starts] == k
        borders = np.column_stack([starts[here], ends[here]]).ravel()
        lengths = np.diff(np.concatenate([[0], borders, [flat.size]])).tolist()
        found[int(k)] = lengths if lengths[-1] else lengths[:-1]
    return found


def unknown_class(name: Any, names: Sequence[str]) -> str:
    """A sentence: there is no such class, the most similar name, and all of them."""
    near = difflib.get_close_matches(str(name), names, 1)
    hint = f"; did you mean {near[0]}?" if near else "."
    return f"no class {name!r}{hint} The {len(names)} classes are: {', '.join(names)}"


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
