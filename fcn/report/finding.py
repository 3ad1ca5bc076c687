"""Finds the folders of runs that a command line names, and the runs of a model's other stages."""

import re
from pathlib import Path

from fcn import models, places
from fcn.report.reading import FILES, Run, is_run, read_run

STRIDES = (32, 16, 8)


def run_folder(name: str | None, sample: bool = False) -> Path:
    """The folder of a run that is named by its path or its model; None: the newest of all.

    FileNotFoundError if there is none.
    """
    if name is None:
        pattern = "*-*/sample/snapshot" if sample else "*-*/snapshot"
        return _newest(list(places.HOME.glob(pattern)), f"below {places.HOME}")
    for path in (Path(name), places.HOME / name):
        if path.is_dir() and is_run(path):
            return path.resolve()
        if path.is_dir() and path.name != "sample" and "snapshot" in path.absolute().parts:
            raise FileNotFoundError(f"{path} holds no run: there is no {', no '.join(FILES)}")
    if Path(name).name == "sample":
        name, sample = str(Path(name).parent), True
    folder = models.own_folder(models.model_name(name), sample)
    return _newest([folder / "snapshot"], f"of {name}: {folder / 'snapshot'} holds none")


def runs_in(snapshots: Path) -> list[Path]:
    """The folders of a model's runs: `snapshot` itself, and those in it."""
    folders = [snapshots, *(path for path in sorted(snapshots.glob("*")) if path.is_dir())]
    return [path for path in folders if path.name != "pictures" and is_run(path)]


def _newest(snapshots: list[Path], where: str) -> Path:
    """The run that was last worked on."""
    found = [run for folder in snapshots for run in runs_in(folder)]
    if not found:
        raise FileNotFoundError(f"no run {where}; fcn train makes one")
    return max(found, key=last_worked_on).resolve()


def last_worked_on(folder: Path) -> float:
    """When a run's records were last written, in seconds."""
    times = [path.stat().st_mtime for name in FILES if (path := folder / name).is_file()]
    return max(times, default=folder.stat().st_mtime)


def stages(runs: list[Run]) -> dict[int, Run]:
    """Stride -> run, of the runs given and of the newest ones of the first run's sister models."""
    found: dict[int, Run] = {}
    for run in runs:
        match = re.fullmatch(r"(.*fcn)(32|16|8)s(.*)", run.model)
        if match:
            found.setdefault(int(match[2]), run)
    match = re.fullmatch(r"(.*fcn)(32|16|8)s(.*)", runs[0].model)
    parts = runs[0].folder.parts
    if match and runs[0].model in parts:
        at = parts.index(runs[0].model)
        inner = "sample/snapshot" if "sample" in parts[at:] else "snapshot"
        for stride in STRIDES:
            folder = Path(*parts[:at], f"{match[1]}{stride}s{match[3]}", inner)
            folders = [path for path in runs_in(folder) if (path / "pictures").is_dir()]
            if stride not in found and folders:
                found[stride] = read_run(max(folders, key=last_worked_on))
    return {stride: found[stride] for stride in STRIDES if stride in found}
