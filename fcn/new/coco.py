"""COCO's annotations: one JSON file for all pictures, with polygons and run-length coded regions."""

from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from fcn.datasets.folder import SUFFIXES
from fcn.new import labelme, shapes
from fcn.new.pairs import Pair, Pairing, listed
from fcn.new.stored import Mask
from fcn.wording import counted, first_few

LISTS = ("images", "annotations", "categories")


class Coco:
    """The annotations in a file. Regions are drawn in their order, crowds beneath all others."""

    def __init__(self, path: Path):
        """ValueError for what is no file of COCO's."""
        self.path = path
        try:
            content = labelme.load(path)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        lacks = [key for key in LISTS if not isinstance(content.get(key), list)]
        if lacks:
            hint = ": for LabelMe's files, name their folder" if "shapes" in content else ""
            raise ValueError(f"{path} is no file of COCO's: it has no {', no '.join(lacks)}{hint}")
        self.images = content["images"]
        self.regions: dict[Any, list[dict]] = {}
        try:
            categories = sorted(content["categories"], key=lambda each: each["id"])
            self.names = {each["id"]: str(each["name"]) for each in categories}
            for record in self.images:
                self.known(record)
            for region in sorted(content["annotations"], key=lambda each: not each.get("iscrowd")):
                self.regions.setdefault(region["image_id"], []).append(region)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"{path}: a picture, a category or an annotation is not whole: {error}"
            ) from None
        if content["annotations"] and not any("segmentation" in r for r in content["annotations"]):
            raise ValueError(f"{path} has boxes alone: no annotation has a segmentation")
        self.records: dict[str, dict] = {}  # id of a pair -> the file's record of the picture

    def known(self, record: Any) -> None:
        """Raise KeyError or TypeError unless a picture's record names its file and its number."""
        hash(record["id"])
        if not isinstance(record["file_name"], str):
            raise TypeError(f"file_name is {record['file_name']!r}")

    @property
    def order(self) -> list[str]:
        """The categories' names, by their numbers."""
        return list(dict.fromkeys(self.names.values()))

    def pairs(self, images: str) -> Pairing:
        """The pictures that the file names, below a folder: by their paths, or else by their names."""
        pictures = listed(images, SUFFIXES)
        by_name: dict[str, list[str]] = {}
        for key in pictures.by_key:
            by_name.setdefault(PurePosixPath(key).name, []).append(key)
        found, absent = [], []
        for record in self.images:
            named = PurePosixPath(str(record["file_name"]).replace("\\", "/")).with_suffix("")
            there = str(named) in pictures.by_key
            same = [str(named)] if there else by_name.get(named.name, [])
            if len(same) != 1:
                absent.append(Path(record["file_name"]))
                continue
            self.records[same[0]] = record
            found.append(Pair(same[0], pictures.by_key[same[0]][0], self.path))
        bare = [r["file_name"] for r in self.records.values() if r["id"] not in self.regions]
        empty = f"; {counted(len(bare), 'picture')} without an annotation: {first_few(bare)}"
        return Pairing(
            found,
            f"{self.path.name} names the pictures{empty if bare else ''}",
            pictures.root,
            self.path.parent,
            None,
            unmasked=[
                paths[0] for key, paths in pictures.by_key.items() if key not in self.records
            ],
            unpictured=absent,
            doubled=[p for paths in pictures.by_key.values() if len(paths) > 1 for p in paths],
        )

    def read(self, pair: Pair, size: tuple[int, int]) -> Mask:
        """The mask of a picture; ValueError, which names picture and annotation, if it cannot be drawn."""
        record = self.records[pair.id]
        height, width = labelme.stated_size(record.get("height"), record.get("width"), size)

        def which(region: dict[str, Any]) -> str:
            return f"annotation {region.get('id', 'without an id')} of {record['file_name']}"

        regions = self.regions.get(record["id"], [])
        for region in regions:
            if region.get("category_id") not in self.names:
                known = first_few(sorted(map(str, self.names)), 20)
                raise ValueError(
                    f"{which(region)} has category {region.get('category_id')}; there are {known}"
                )
            if not region.get("segmentation") and region.get("bbox"):
                raise ValueError(
                    f"{which(region)} is a box without an outline: its object would be background"
                )
        labelled = [(self.names[each["category_id"]], which(each), each) for each in regions]
        return labelme.draw(labelled, inside, height, width)


def inside(region: dict[str, Any], height: int, width: int) -> np.ndarray | None:
    """The pixels that a region covers; None if it has no segmentation."""
    segmentation = region.get("segmentation")
    if isinstance(segmentation, dict):
        return shapes.runs(segmentation["counts"], height, width)
    covered = np.zeros((height, width), bool)
    for corners in segmentation or ():
        covered |= shapes.polygon(np.reshape(corners, (-1, 2)).tolist(), height, width)
    return covered if segmentation else None
