"""`fcn data fetch`: downloads a data set and unpacks it, or unpacks archives that are on disk.

Running the command again resumes an interrupted download. A complete download is checked and kept,
and what is unpacked is not unpacked again.
"""

import argparse
import hashlib
import http.client
import shutil
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from fcn.datasets.dataset import DataError, Source
from fcn.datasets.registry import PUBLISHED, named

TIMEOUT = 30  # seconds without a byte
ATTEMPTS = 3  # at one address; each resumes the last one
CHUNK = 1 << 18
BROKEN = (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError)


def fetch(name: str, folder: Path, archives: Sequence[str | Path] = ()) -> None:
    """Bring the files of one data set under `folder`.

    A file of the same name among `archives` is used instead of a download. DataError says what
    failed, at which address, and what to do about it.
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
            check_sum(archive, source.md5)
        else:
            obtain(source, archive)
        if source.holds:
            unpack(archive, source.holds, place)
        else:
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(archive, place / source.file)
        print(f"{source.file}: in {place}")


# ---- downloading


def obtain(source: Source, path: Path) -> None:
    """Download to `path`, unless it is there, from the first address that gives the right file."""
    if path.is_file():
        check_sum(path, source.md5)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    failures = []
    for url in source.urls:
        try:
            download(url, path, source.md5)
            return
        except DataError as error:
            failures.append(str(error))
    raise DataError("\n".join([f"could not get {source.file}:", *failures]))


def download(url: str, path: Path, md5: str | None = None) -> None:
    """Download `url` to `path`.part, which stays if the connection breaks, and rename it at the end."""
    part = path.with_name(path.name + ".part")
    for attempt in range(1, ATTEMPTS + 1):
        try:
            transfer(url, part)
            break
        except urllib.error.HTTPError as error:
            raise DataError(f"{url}: the server answers {error.code} {error.reason}") from None
        except BROKEN as error:
            if attempt == ATTEMPTS:
                kept = part.stat().st_size if part.exists() else 0
                why = getattr(error, "reason", error)
                raise DataError(
                    f"{url}: connection broken ({why}); {size(kept)} are kept in {part}: "
                    "run the same command again to resume"
                ) from None
    try:
        check_sum(part, md5)
    except DataError as error:
        part.unlink()  # wrong bytes must not be resumed
        raise DataError(f"{url}: {error}") from None
    part.replace(path)


def transfer(url: str, part: Path) -> None:
    """One attempt to download: append to `part` what it lacks."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        complete = error.code == 416 and error.headers.get("Content-Range") == f"bytes */{have}"
        error.close()
        if complete:
            return
        if error.code != 416:
            raise
        part.unlink()  # longer than the file: not its beginning
        return transfer(url, part)
    with answer:
        if answer.status != 206:
            have = 0  # this server does not resume: start again
        rest = answer.headers.get("Content-Length")
        total = have + int(rest) if rest else None
        check_space(part, (total or 0) - have)
        bar = tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=part.stem)
        with bar, open(part, "ab" if have else "wb") as file:
            while chunk := answer.read(CHUNK):
                try:
                    file.write(chunk)
                    file.flush()
                except OSError as error:
                    raise DataError(
                        f"cannot write {part}: {error.strerror or error}; what is there is kept: "
                        "make room and run the same command again"
                    ) from None
                have += len(chunk)
                bar.update(len(chunk))
        if total and have < total:
            raise ConnectionError(f"after {size(have)} of {size(total)}")


def check_space(path: Path, needed: int) -> None:
    """DataError unless the disk has this many bytes free."""
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        raise DataError(
            f"disk full: {path.parent} has {size(free)} free, {size(needed)} more are needed"
        )


def check_sum(path: Path, md5: str | None) -> None:
    """DataError unless the file has this MD5 sum. If none was published, the sum is printed."""
    digest = hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    found = digest.hexdigest()
    if md5 is None:
        print(f"{path.name}: MD5 {found} (none was published to compare it with)")
    elif found != md5:
        raise DataError(
            f"wrong checksum of {path}: MD5 {found}, published is {md5} "
            f"({size(path.stat().st_size)}): cut short, or another file; delete it and fetch again"
        )


def size(count: float) -> str:
    """A number of bytes for people: `1.3 GB`."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.4g} {unit}"
        count /= 1000
    return f"{count:.4g} GB"


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
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as content:
            for member in tqdm(content.infolist(), desc=f"unpacking {archive.name}", unit=""):
                content.extract(member, folder)  # drops leading slashes and '..' itself
        return
    with tarfile.open(archive) as content:
        # Pythons before 3.11.4 have no filter "data"; the others are told that require_inside does it
        content.extraction_filter = lambda member, _: member
        for member in tqdm(content, desc=f"unpacking {archive.name}", unit=""):
            require_inside(member, Path(folder).resolve())
            content.extract(member, folder)


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
    fetch(args.name, args.to, args.archive)
    print(f"next: fcn data prepare {args.name}")
    return 0
