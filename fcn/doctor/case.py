"""The case that is looked at: a model folder with its recipe, and its nets as far as they are built."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import caffe
from caffe.proto import caffe_pb2
from fcn import models, prototxts
from fcn.datasets import param_str
from fcn.datasets.data_layer import SegDataLayer
from fcn.findings import REFUSE, Finding
from fcn.tasks import Task, class_list, task_of

TRAIN, TEST = "train", "test"  # the two nets of a case


@dataclass
class Case:
    """What the checks look at.

    `folder` holds solver.prototxt and what it names. What is not there yet stays empty, and the
    checks that need it find nothing: nets that cannot be built, weights that are missing.
    """

    folder: Path
    settings: Any  # SolverParameter
    scored: Mapping[str, str] = field(default_factory=lambda: {"score": "label"})
    net: caffe.Net | None = None  # the train net, built and filled
    test_net: caffe.Net | None = None
    start: Sequence[tuple[str, Path]] = ()  # (name, file) of each net that filled it
    wanted: Sequence[str] = ()  # names of the nets that the recipe starts from
    given: Sequence[Path] = ()  # files that were named instead of those found
    steps: int = 0  # that are planned; 0: not known, and the solver's max_iter stands in
    sample: bool = False  # on the embedded task
    task: Task | None = None  # default: the published model's, by the folder's name
    seconds: float = 5.0  # for reading labels of a large set, and less for everything else
    surveys: dict[Any, Any] = field(default_factory=dict)  # what was read, so that it is read once
    unread: dict[str, tuple[Path, Exception]] = field(default_factory=dict)  # TRAIN, TEST -> why
    found: list[Finding] = field(default_factory=list)  # by the checks that ran
    no_task: Exception | None = None  # why the task of the folder is not known

    def __post_init__(self) -> None:
        """Find the task of a published model."""
        self.folder = Path(self.folder).absolute()
        if self.task is None:
            try:
                self.task = task_of(str(self.folder), self.sample or self.folder.name == "sample")
            except (OSError, ValueError) as error:
                self.no_task = error

    @property
    def listed(self) -> Path | None:
        """The list of classes of a user's own folder."""
        return class_list(self.folder)

    @property
    def model(self) -> str:
        """The name of the model folder."""
        here = self.folder
        return here.parent.name if self.sample and here.name == "sample" else here.name

    @cached_property
    def nets(self) -> dict[str, prototxts.NetParameter]:
        """TRAIN and TEST -> the net as its prototxt states it, with the layers of its phase.

        A prototxt that cannot be read is in `unread`.
        """
        settings = self.settings
        paths = {TRAIN: settings.train_net or settings.net}
        paths[TEST] = settings.test_net[0] if settings.test_net else settings.net
        found = {}
        for which, path in paths.items():
            if not path:
                continue
            try:
                found[which] = of_phase(prototxts.read_net(self.folder / path), which)
            except (OSError, ValueError) as error:
                self.unread[which] = (self.folder / path, error)
        return found

    @cached_property
    def sources(self) -> list["Source"]:
        """The data layers of both nets."""
        return [
            Source(which, layer, self.folder)
            for which, net in self.nets.items()
            for layer in net.layer
            if not layer.bottom and layer.type == "Python"
        ]

    def sources_of(self, which: str) -> list["Source"]:
        """The data layers of one net."""
        return [source for source in self.sources if source.which == which]

    def labels(self, which: str) -> dict[str, str]:
        """Label blob -> score blob of the losses of a net, or of what is scored."""
        net = self.nets.get(which)
        found = prototxts.scored(net) if net else {}
        return {label: score for score, label in (found or self.scored).items()}

    def classes_of(self, which: str, blob: str) -> int:
        """The number of classes that the labels of a net's blob have; 0 if it is not known."""
        return next((s.classes_of(blob) for s in self.sources_of(which) if blob in s.layer.top), 0)

    def names(self, blob: str, count: int) -> list[str]:
        """The class names of a label or score blob; numbers where they are not known."""
        known = self.task.names_of(blob) if self.task else ()
        return list(known) if len(known) == count else [f"class {k}" for k in range(count)]

    def refused(self, *kinds: str) -> bool:
        """Whether the checks so far refuse it for one of these kinds, given by how they begin."""
        return any(each.level == REFUSE and each.kind.startswith(kinds) for each in self.found)

    def has(self, *kinds: str) -> bool:
        """Whether the checks so far found one of these kinds, given by how they begin."""
        return any(each.kind.startswith(kinds) for each in self.found)

    @property
    def from_classifier(self) -> bool:
        """Whether training starts from a classification net alone."""
        names = [name for name, _ in self.start] or list(self.wanted)
        return bool(names) and all(name.startswith(f"{models.CLASSIFIERS}/") for name in names)


class Source:
    """A Python data layer of one of the nets."""

    def __init__(self, which: str, layer: Any, folder: Path):
        """`folder` is what the layer's paths are relative to."""
        self.which, self.layer, self.folder = which, layer, folder
        self.error: Exception | None = None  # why there is no reader

    @cached_property
    def params(self) -> dict[str, Any]:
        """param_str as a dict; {} if it is none."""
        try:
            return param_str.parse(self.layer.python_param.param_str)
        except ValueError:
            return {}

    @cached_property
    def kind(self) -> type[SegDataLayer] | None:
        """The layer's class, if it reads segmentations file by file; None for any other."""
        try:
            kind = prototxts.layer_kind(self.layer)
        except ImportError:
            return None
        return kind if isinstance(kind, type) and issubclass(kind, SegDataLayer) else None

    @cached_property
    def reader(self) -> SegDataLayer | None:
        """The layer outside of any net; None, with `error`, if its data is not there."""
        if self.kind is None:
            return None
        params = dict(self.params)
        for key, value in self.params.items():
            if key.endswith("_dir") and (self.folder / str(value)).is_dir():
                params[key] = os.path.normpath(self.folder / value)
        try:
            return self.kind.reader(**params)
        except (OSError, ValueError, KeyError) as error:
            self.error = error
            return None

    def classes_of(self, blob: str) -> int:
        """The number of classes of a label blob; 0 if it is not known, or makes no sense."""
        if self.kind is None:
            return 0
        if blob.endswith("geo") and hasattr(self.kind, "geo_classes"):
            return int(self.kind.geo_classes)
        if self.reader is not None:
            return int(self.reader.classes)
        if isinstance(self.error, FileNotFoundError):
            return int(self.params.get("classes", self.kind.classes))
        return 0

    @cached_property
    def ids(self) -> list[str]:
        """The ids of the split; [], with `error`, if its list is not there."""
        if self.reader is None:
            return []
        try:
            return list(self.reader.read_split())
        except (OSError, ValueError) as error:
            self.error = error
            return []

    @property
    def tops(self) -> dict[str, str]:
        """Blob of the net -> top of the reader."""
        return dict(zip(self.layer.top, self.reader.tops)) if self.reader else {}

    def top_files(self, top: str, id: str) -> Path | None:
        """The file of one top for one picture, if there is one."""
        reader = self.reader
        return reader.path(top, id) if reader and top in reader.files else None

    @property
    def title(self) -> str:
        """The layer and the net, for people."""
        return f"layer '{self.layer.name}' of the {self.which} net"


def of_phase(net: prototxts.NetParameter, which: str) -> prototxts.NetParameter:
    """The layers of a net that are there in phase TRAIN or TEST."""
    phase = caffe_pb2.TRAIN if which == TRAIN else caffe_pb2.TEST
    kept = [layer for layer in net.layer if is_included(layer, phase)]
    if len(kept) == len(net.layer):
        return net
    result = prototxts.NetParameter()
    result.layer.extend(kept)
    return result


def is_included(layer: Any, phase: int) -> bool:
    """Whether a layer's include and exclude rules let it into a phase."""
    if layer.include:
        return any(not rule.HasField("phase") or rule.phase == phase for rule in layer.include)
    return not any(rule.HasField("phase") and rule.phase == phase for rule in layer.exclude)
