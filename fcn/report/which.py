"""Finds the folders of runs that a command line names, and the runs of a model's other stages."""

import re
from pathlib import Path

from fcn import models, places, runs
from fcn.report.reading import FINDINGS, Run, is_run, no_run, read_run

STRIDES = (32, 16, 8)


def run_folder(name: str | None, sample: bool = False) -> Path:
    """The folder of a run that is named by its path or its model; None: the newest of all.

    FileNotFoundError if there is none.
    """
    if name is None:
        inner = f"sample/{runs.FOLDER}" if sample else runs.FOLDER
        found = [
            folder.parent
            for models_in in ("*-*", f"{models.SYSTEMS}/*")
            for folder in places.HOME.glob(f"{models_in}/{inner}")
        ]
        return _newest(found, f"below {places.HOME}")
    for path in (Path(name), places.HOME / name):
        if path.is_dir() and is_run(path):
            return path.resolve()
        if path.is_dir() and path.name != "sample" and runs.FOLDER in path.absolute().parts:
            raise FileNotFoundError(no_run(path))
        if path.is_file():
            raise FileNotFoundError(no_run(path))
    if Path(name).name == "sample":
        name, sample = str(Path(name).parent), True
    folder = models.own_folder(models.model_name(name), sample)
    return _newest([folder], f"of {name}: {folder / runs.FOLDER} holds none")


def runs_in(folder: Path) -> list[runs.Run]:
    """The runs of a model folder that a report can show, the one last worked on first."""
    return [run for run in runs.runs_of(folder) if is_run(run.folder)]


def refused_in(folder: Path) -> list[Path]:
    """The folders of a model folder's trainings that were refused before their first step."""
    base = folder / runs.FOLDER
    return [path.parent for path in (*base.glob(FINDINGS), *base.glob(f"*/{FINDINGS}"))]


def _newest(folders: list[Path], where: str) -> Path:
    """The run of these model folders that was last worked on."""
    found = [run for folder in folders for run in runs_in(folder)]
    if found:
        return max(found, key=runs.Run.worked_on).folder.resolve()
    refused = [path for folder in folders for path in refused_in(folder)]
    if not refused:
        raise FileNotFoundError(f"no run {where}; fcn train makes one")
    return max(refused, key=lambda path: (path / FINDINGS).stat().st_mtime).resolve()


def stages(shown: list[Run]) -> dict[int, Run]:
    """Stride -> run, of the runs given and of the newest ones of the first run's sister models."""
    found: dict[int, Run] = {}
    for run in shown:
        match = re.fullmatch(r"(.*fcn)(32|16|8)s(.*)", run.model)
        if match:
            found.setdefault(int(match[2]), run)
    match = re.fullmatch(r"(.*fcn)(32|16|8)s(.*)", shown[0].model)
    parts = shown[0].folder.parts
    if match and shown[0].model in parts:
        at = parts.index(shown[0].model)
        inner = "sample" if "sample" in parts[at:] else ""
        for stride in STRIDES:
            folder = Path(*parts[:at], f"{match[1]}{stride}s{match[3]}", inner)
            kept = [run.folder for run in runs_in(folder) if (run.folder / "pictures").is_dir()]
            if stride not in found and kept:
                found[stride] = read_run(kept[0])
    return {stride: found[stride] for stride in STRIDES if stride in found}
