"""requirements.lock: what requirements.txt pins, with all that it needs, each file by its hash."""

import re

from places import ROOT

LOCK = (ROOT / "requirements.lock").read_text()
ENTRY = re.compile(r"^(?P<name>[a-z0-9._-]+)==(?P<version>\S+)(?P<rest>.*(?:\n    .*)+)", re.M)


def pinned():
    """(name, version) of each line of requirements.txt."""
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return {tuple(line.split("==")) for line in lines if line and not line.startswith("#")}


def test_the_lock_has_what_is_pinned_and_no_other_version():
    locked = {(entry["name"], entry["version"]) for entry in ENTRY.finditer(LOCK)}
    assert pinned() - locked == set(), (
        "requirements.txt has changed: the lock's head says how to make it"
    )
    names = {name for name, _ in pinned()}
    assert {each for each in locked if each[0] in names} == pinned()


def test_every_file_has_a_hash_and_no_line_names_another_place():
    lines = [line for line in LOCK.splitlines() if line and not line.startswith("#")]
    entries = list(ENTRY.finditer(LOCK))
    assert len(entries) == sum(not line.startswith(" ") for line in lines)  # none is left unread
    for entry in entries:
        hashes = re.findall(r"--hash=sha256:[0-9a-f]{64}\b", entry["rest"])
        assert hashes and len(hashes) == entry["rest"].count("--hash"), entry["name"]
    assert not re.search(r"://|^-|@ ", "\n".join(lines), re.M)
