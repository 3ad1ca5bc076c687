"""Everything that is missing, at once: weights, data folders, split lists, files."""

import os
from collections.abc import Iterator
from pathlib import Path

from fcn import places
from fcn import weights as files
from fcn.datasets.registry import PUBLISHED
from fcn.doctor.case import Case, Source
from fcn.findings import REFUSE, Finding
from fcn.wording import counted

# What is known of the sizes of downloads.
DATA_SIZES = {"voc": "about 3 GB", "nyud": "2.8 GB, if made from the published .mat file"}
SHOWN = 5  # of many files, so many are named


def check(case: Case) -> Iterator[Finding]:
    """A finding for each thing that is not there."""
    yield from missing_weights(case)
    seen: set[str] = set()
    for source in case.sources:
        for finding in [*missing_folders(case, source), *missing_split(case, source)]:
            if finding.evidence not in seen:
                seen.add(finding.evidence)
                yield finding


# ---- weights


def missing_weights(case: Case) -> Iterator[Finding]:
    """The nets to start from that have no file."""
    if case.start:
        return
    if case.given and len(case.given) != len(case.wanted):
        what = (
            f"--weights names {counted(len(case.given), 'file')}, "
            f"but training starts from {len(case.wanted)}"
        )
        yield Finding("missing.weights", REFUSE, what, ", ".join(case.wanted), "name one for each")
        return
    for number, name in enumerate(case.wanted):
        paths = [case.given[number]] if case.given else files.candidates(name, case.sample)
        if any(path.is_file() for path in paths):
            continue
        looked = "looked for " + ", ".join(str(path) for path in paths)
        what = f"the weights of {name}, which training starts from, are not there"
        yield Finding("missing.weights", REFUSE, what, looked, how_to_get(name, case.sample))


def how_to_get(name: str, sample: bool) -> str:
    """The commands that make or get the weights, on one line."""
    try:
        text = files.how_to_get(name, sample)
    except OSError:
        text = f"train it: fcn train {name}"
    return text.replace("\n", "; ")


# ---- data


def missing_folders(case: Case, source: Source) -> Iterator[Finding]:
    """The folders that a data layer reads which are not there."""
    if source.reader is not None or source.kind is None:
        return
    for key in source.kind.required:
        value = source.params.get(key)
        if not key.endswith("_dir") or not isinstance(value, str):
            continue
        folder = Path(os.path.normpath(Path(source.folder, value)))
        if folder.is_dir() or found_at_home(value):
            continue
        what = f"the data folder {folder} is not there"
        evidence = f"{source.title}: {key} is {value!r}{size_of(case, source)}"
        yield Finding("missing.data", REFUSE, what, evidence, data_command(case, source))


def found_at_home(value: str) -> bool:
    """Whether the data layers find a relative folder below the project."""
    tail = [part for part in Path(value).parts if part != ".."]
    return not Path(value).is_absolute() and places.HOME.joinpath(*tail).is_dir()


def missing_split(case: Case, source: Source) -> Iterator[Finding]:
    """A split's list that is not there, and files that it names."""
    reader, way = source.reader, data_command(case, source)
    if reader is None:
        if isinstance(source.error, FileNotFoundError) and not any(missing_folders(case, source)):
            text = str(source.error).partition("\n")[0]
            yield Finding("missing.data", REFUSE, text, source.title, way)
        return
    if not source.ids:
        path = reader.path("split")
        what = f"the list of split {reader.split!r} is not there, or names no picture"
        others = sorted(other.stem for other in path.parent.glob("*.txt"))
        there = f"; lists there: {', '.join(others[:9])}" if others else ""
        yield Finding("missing.split", REFUSE, what, f"{path.absolute()}{there}", way)
        return
    absent = reader.absent_files(source.ids)
    if absent:
        first = ", ".join(str(path) for path in absent[:SHOWN])
        more = f" and {len(absent) - SHOWN} more" if len(absent) > SHOWN else ""
        verb = "is" if len(absent) == 1 else "are"
        what = f"{counted(len(absent), 'file')} of split {reader.split!r} {verb} not there"
        yield Finding("missing.files", REFUSE, what, f"{first}{more}", way)


def set_of(case: Case, source: Source) -> str:
    """The name of the data set that a layer reads; "" for a user's own."""
    if case.task is None:
        return ""
    return case.task.dataset.name


def size_of(case: Case, source: Source) -> str:
    """The size of the download, where it is known."""
    size = DATA_SIZES.get(set_of(case, source))
    return f"; {size}" if size else ""


def data_command(case: Case, source: Source) -> str:
    """The commands that get the data set."""
    name = set_of(case, source)
    if name == "sample":
        return "fcn data sample"
    if name in PUBLISHED:
        return f"fcn data fetch {name}, then fcn data prepare {name} (see data/{name}/README.md)"
    return f"correct the data layer's param_str in {source.folder}, or put the files there"
