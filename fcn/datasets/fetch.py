"""`fcn data fetch`: downloads a data set and unpacks it, or unpacks archives that are on disk.

Running the command again resumes an interrupted download. A complete download is checked and kept,
and what is unpacked is not unpacked again.
"""

import argparse
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from fcn.datasets.dataset import DataError, Source
from fcn.datasets.registry import PUBLISHED, named
from fcn.downloads import Checksum, check_sum, obtain

LEAST, FOLD = 1 << 30, 100  # bytes that any archive may hold, and how many times its own size


def fetch(
    name: str, folder: Path, archives: Sequence[str | Path] = (), unchecked: bool = False
) -> None:
    """Bring the files of one data set under `folder`.

    A file of the same name among `archives` is used instead of a download; `unchecked` allows
    downloads that nothing protects. DataError says what failed, at which address, and what to do.
    """
    folder = Path(folder)
    sources = named(name, PUBLISHED).sources
    given = {Path(path).name: Path(path) for path in archives}
    unknown = sorted(given.keys() - {source.file for source in sources})
    if unknown:
        names = ", ".join(source.file for source in sources)
        raise DataError(f"{', '.join(unknown)}: the files of {name} are called {names}")
    for source in sources:
        place = folder / source.to
        if (place / (source.holds or source.file)).exists():
            print(f"{source.file}: already in {place}")
            continue
        archive = given.get(source.file, folder / "downloads" / source.file)
        if source.file in given:
            if not archive.is_file():
                raise DataError(f"no archive {archive.absolute()}")
            check_sum(archive, checksum_of(source))
        else:
            obtain(source.urls, archive, checksum_of(source), unchecked)
        if source.holds:
            unpack(archive, source.holds, place)
        else:
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(archive, place / source.file)
        print(f"{source.file}: in {place}")


def checksum_of(source: Source) -> Checksum | None:
    """The published checksum of a file, if there is one."""
    return Checksum("md5", source.md5) if source.md5 else None


# ---- unpacking


def unpack(archive: Path, holds: str, place: Path) -> None:
    """Unpack to `place` the tree of an archive that has a folder `holds`, whole or not at all."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=place.parent) as folder:
        try:
            extract(archive, folder)
        except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error) as error:
            why = str(error).partition(":\n")[0]  # not what each of tarfile's methods says
            raise DataError(
                f"{archive} is cut short or damaged ({why}): delete it and fetch it again"
            ) from None
        except OSError as error:
            text = error.strerror or error
            raise DataError(f"cannot unpack {archive} to {place}: {text}") from None
        found = sorted(path for path in Path(folder).rglob(holds) if path.is_dir())
        if not found:
            raise DataError(f"{archive} has no folder {holds}: it is not the file it should be")
        root = min(found, key=lambda path: len(path.parts)).parent
        place.mkdir(exist_ok=True)
        for item in sorted(root.iterdir(), key=lambda item: item.name == holds):  # that one last
            if not (place / item.name).exists():  # what is there already stays
                shutil.move(item, place / item.name)


def extract(archive: Path, folder: str) -> None:
    """Extract a tar or zip archive below `folder`; paths that lead out of it are refused."""
    size = archive.stat().st_size
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as content:
            require_plausible(size, sum(member.file_size for member in content.infolist()))
            for member in tqdm(content.infolist(), desc=f"unpacking {archive.name}", unit=""):
                content.extract(member, folder)  # drops leading slashes and '..' itself
        return
    with tarfile.open(archive) as content:
        # Pythons before 3.11.4 have no filter "data"; the others are told that require_inside does it
        content.extraction_filter = lambda member, _: member
        total = 0
        for member in tqdm(content, desc=f"unpacking {archive.name}", unit=""):
            total += member.size
            require_plausible(size, total)
            require_inside(member, Path(folder).resolve())
            content.extract(member, folder)


def require_plausible(packed: int, unpacked: int) -> None:
    """Raise TarError for an archive that would fill the disk: pictures are packed to a tenth at best."""
    if unpacked > max(LEAST, FOLD * packed):
        raise tarfile.TarError(f"its {packed:,} bytes claim to hold {unpacked:,}")


def require_inside(member: tarfile.TarInfo, folder: Path) -> None:
    """Raise TarError unless a tar's member is a file, a folder or a link that stays in `folder`."""
    member.name = member.name.lstrip("/")
    member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
    member.uid = member.gid = 0  # a root who unpacks keeps the files
    member.uname = member.gname = ""
    path = Path(folder, member.name)
    reached = path  # of a link: what it leads to
    if member.islnk() or member.issym():
        reached = (path.parent if member.issym() else folder) / member.linkname
    elif not (member.isfile() or member.isdir()):
        raise tarfile.TarError(f"{member.name} is no file, folder or link")
    if not all(each.resolve().is_relative_to(folder) for each in (path, reached)):
        raise tarfile.TarError(f"{member.name} leads out of the folder it is unpacked to")


def run(args: argparse.Namespace) -> int:
    """Fetch one data set; returns the exit code."""
    fetch(args.name, args.to, args.archive, args.unchecked)
    print(f"next: fcn data prepare {args.name}")
    return 0
