"""Downloads a file: it resumes, tries one address after another, and compares checksums."""

import hashlib
import http.client
import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

TIMEOUT = 30  # seconds without a byte
ATTEMPTS = 3  # at one address; each resumes the last one
CHUNK = 1 << 18
BROKEN = (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError)


class Checksum(NamedTuple):
    """What identifies a file: "md5" or "sha1", and its digest in hexadecimal."""

    kind: str
    digest: str


class DownloadError(RuntimeError):
    """What failed, at which address, and what to do about it."""


def obtain(
    urls: Iterable[str], path: Path, checksum: Checksum | None, unchecked: bool = False
) -> None:
    """Download to `path`, unless it is there, from the first address that gives the right file.

    An address by http is tried by https first. `unchecked` as in `require_trust`. DownloadError says
    what failed at each address.
    """
    if path.is_file():
        check_sum(path, checksum)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    failures = []
    for url in dict.fromkeys(each for given in urls for each in by_https_first(given)):
        try:
            download(url, path, checksum, unchecked)
            return
        except DownloadError as error:
            failures.append(str(error))
    raise DownloadError("\n".join([f"could not get {path.name}:", *failures]))


def by_https_first(url: str) -> list[str]:
    """The addresses to try for one."""
    plain = url.startswith("http://") and not is_encrypted(url)
    return ["https" + url.removeprefix("http"), url] if plain else [url]


def is_encrypted(url: str) -> bool:
    """Whether nobody on the way can change what comes: by https, or from this machine itself."""
    parts = urllib.parse.urlsplit(url)
    return parts.scheme == "https" or parts.hostname in ("localhost", "127.0.0.1", "::1")


def require_trust(url: str, checksum: Checksum | None, unchecked: bool) -> None:
    """DownloadError for an address whose file anybody on the way could have changed: not encrypted,
    and no checksum is known. With `unchecked` it is taken."""
    if checksum is None and not is_encrypted(url) and not unchecked:
        raise DownloadError(
            f"{url}: not fetched, since it is not encrypted and no checksum was published: anybody on the "
            "way could change it. --unchecked fetches it all the same; a file that you have is taken, too "
            "(fcn get --from FILE, fcn data fetch --archive FILE)"
        )


def download(
    url: str, path: Path, checksum: Checksum | None = None, unchecked: bool = False
) -> None:
    """Download `url` to `path`.part, which stays if the connection breaks, and rename it at the end.

    The checksum is compared before that; `unchecked` as in `require_trust`.
    """
    require_trust(url, checksum, unchecked)
    part = path.with_name(path.name + ".part")
    for attempt in range(1, ATTEMPTS + 1):
        try:
            arrived = transfer(url, part)
            break
        except urllib.error.HTTPError as error:
            raise DownloadError(f"{url}: the server answers {error.code} {error.reason}") from None
        except BROKEN as error:
            if attempt == ATTEMPTS:
                have = part.stat().st_size if part.exists() else 0
                kept = f"{size(have)} are kept in {part}: " if have else ""
                why = getattr(error, "reason", error)
                raise DownloadError(
                    f"{url}: connection broken ({why}); {kept}run the same command again"
                    + (" to resume" if have else "")
                ) from None
    try:
        require_trust(arrived, checksum, unchecked)  # where a redirection led
        check_sum(part, checksum)
    except DownloadError as error:
        part.unlink()  # wrong bytes must not be resumed
        raise DownloadError(f"{url}: {error}") from None
    part.replace(path)


def transfer(url: str, part: Path) -> str:
    """One attempt to download: append to `part` what it lacks. Returns the address it came from."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        complete = error.code == 416 and error.headers.get("Content-Range") == f"bytes */{have}"
        error.close()
        if complete:
            return error.geturl() or url
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
                    raise DownloadError(
                        f"cannot write {part}: {error.strerror or error}; what is there is kept: "
                        "make room and run the same command again"
                    ) from None
                have += len(chunk)
                bar.update(len(chunk))
        if total and have < total:
            raise ConnectionError(f"after {size(have)} of {size(total)}")
        return str(answer.geturl())


def check_space(path: Path, needed: int) -> None:
    """DownloadError unless the disk has this many bytes free."""
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        raise DownloadError(
            f"disk full: {path.parent} has {size(free)} free, {size(needed)} more are needed"
        )


def check_sum(path: Path, checksum: Checksum | None) -> None:
    """DownloadError unless the file has this checksum. If none was published, its MD5 is printed."""
    kind, published = checksum or Checksum("md5", "")
    found = digest(path, kind)
    name = kind.upper()
    if checksum is None:
        print(f"{path.name}: {name} {found} (none was published to compare it with)")
    elif found != published:
        raise DownloadError(
            f"wrong checksum of {path}: {name} {found}, published is {published} "
            f"({size(path.stat().st_size)}): cut short, or another file; delete it and fetch again"
        )


def digest(path: Path, kind: str) -> str:
    """A file's "md5" or "sha1", in hexadecimal."""
    found = hashlib.new(kind, usedforsecurity=False)
    with open(path, "rb") as file:
        while chunk := file.read(1 << 22):
            found.update(chunk)
    return found.hexdigest()


def size(count: float) -> str:
    """A number of bytes for people: `1.3 GB`."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.4g} {unit}"
        count /= 1000
    return f"{count:.4g} GB"
