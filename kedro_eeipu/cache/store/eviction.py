"""Which blobs to drop when the cache is full: GreedyDual-Size-Frequency.

The priority of a blob is H = L + frequency * seconds to rebuild / bytes, where L, the inflation,
is the priority of the last blob dropped, taken when the blob was last used (Cherkasova 1998,
"Improving WWW Proxies Performance with Greedy-Dual-Size-Frequency Caching Policy"). What is
expensive, small and often used stays; what has not been used for long is overtaken by L.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from kedro_eeipu.cache.files.base import Files
from kedro_eeipu.cache.files.layout import INFLATION, tombstone_path, usage_path

__all__ = ["Candidate", "Usage", "UsageLog", "victims"]


@dataclass(frozen=True)
class Usage:
    """How a blob has been used.

    Attributes:
        frequency: number of times it was written or read.
        inflation: L at the last of them.
    """

    frequency: int = 1
    inflation: float = 0.0


@dataclass(frozen=True)
class Candidate:
    """A blob that may be dropped: bytes, and the seconds that computing it again would take."""

    digest: str
    size: int
    seconds: float
    usage: Usage

    @property
    def priority(self) -> float:
        """H, in seconds per byte."""
        return self.usage.inflation + self.usage.frequency * self.seconds / max(self.size, 1)


def victims(candidates: Iterable[Candidate], excess: int) -> list[Candidate]:
    """Return the candidates of lowest priority that together free ``excess`` bytes."""
    chosen = []
    for candidate in sorted(candidates, key=lambda c: (c.priority, c.digest)):
        if excess <= 0:
            break
        chosen.append(candidate)
        excess -= candidate.size
    return chosen


class UsageLog:
    """Usage of all blobs, one small file each. A count that is lost does not matter."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._inflation: float | None = None

    def of(self, digest: str) -> Usage:
        """Return the usage of a blob; one without a readable file counts as new."""
        return self.of_all([digest])[digest]

    def of_all(self, digests: Sequence[str]) -> dict[str, Usage]:
        """Return the usages of many blobs."""
        contents: dict[str, bytes] = {}
        with contextlib.suppress(Exception):
            contents = self._files.read_all([usage_path(digest) for digest in digests])
        return {digest: self._decoded(contents.get(usage_path(digest), b"")) for digest in digests}

    def _decoded(self, data: bytes) -> Usage:
        try:
            entry = json.loads(data)
            return Usage(int(entry["frequency"]), float(entry["inflation"]))
        except Exception:
            return Usage(inflation=self.inflation)

    def count(self, digest: str) -> None:
        """Note that a blob was read."""
        with contextlib.suppress(Exception):
            self._write(digest, Usage(self.of(digest).frequency + 1, self.inflation))

    def evict(self, victim: Candidate) -> None:
        """Note that a blob is about to be dropped, and raise L to its priority."""
        if victim.priority > self.inflation:
            self._inflation = victim.priority
            self._files.replace(INFLATION, json.dumps({"L": victim.priority}).encode())
        self._files.replace(tombstone_path(victim.digest), b"")

    def was_evicted(self, digest: str) -> bool:
        """Whether a blob was ever dropped; readers who count its use do not undo the mark."""
        return self._files.size(tombstone_path(digest)) is not None

    def forget(self, digest: str) -> None:
        self._files.delete(usage_path(digest))

    @property
    def inflation(self) -> float:
        """L as this process knows it."""
        if self._inflation is None:
            try:
                self._inflation = float(json.loads(self._files.read(INFLATION))["L"])
            except Exception:
                self._inflation = 0.0
        return self._inflation

    def _write(self, digest: str, usage: Usage) -> None:
        self._files.replace(usage_path(digest), json.dumps(asdict(usage)).encode())
