"""What is found wrong with a training run, before it, during it, or by `fcn doctor`."""

from collections.abc import Iterable
from typing import NamedTuple

# How heavy a finding is, the heaviest first. REFUSE: training would be wasted.
REFUSE, WARN, NOTE = LEVELS = ("refuse", "warn", "note")


class Finding(NamedTuple):
    """One thing that is wrong, or may be; each text is a sentence or part of one."""

    kind: str  # "labels.binary": what tests and records know it by
    level: str  # of LEVELS
    what: str  # what is wrong
    evidence: str  # the numbers, files and layers that show it
    way_out: str  # what to do

    def about(self, place: str) -> "Finding":
        """The same finding, which names the place where it holds."""
        return self._replace(what=f"{place}: {self.what}")

    def also(self, evidence: str) -> "Finding":
        """The same finding, seen elsewhere, too."""
        return self._replace(evidence=f"{self.evidence}; {evidence}")

    def __str__(self) -> str:
        """The finding as lines for people."""
        parts = (self.what, self.evidence and f"seen: {self.evidence}", f"way out: {self.way_out}")
        return "\n    ".join(part for part in parts if part)


def by_weight(findings: Iterable[Finding]) -> list[Finding]:
    """The findings, the heaviest first, otherwise in their order."""
    return sorted(findings, key=lambda finding: LEVELS.index(finding.level))
