"""Which blobs to drop when the cache is full: GreedyDual-Size-Frequency.

The priority of a blob is H = L + frequency * seconds to rebuild / bytes, where L, the inflation,
is the priority of the last blob dropped, taken when the blob was last used (Cherkasova 1998,
"Improving WWW Proxies Performance with Greedy-Dual-Size-Frequency Caching Policy"). What is
expensive, small and often used stays; what has not been used for long is overtaken by L.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Candidate", "Usage", "victims"]


@dataclass(frozen=True)
class Usage:
    """How a blob has been used.

    Attributes:
        frequency: number of times it was written or read.
        inflation: L at the last of them.
    """

    frequency: int = 1
    inflation: float = 0.0

    def encode(self) -> bytes:
        return json.dumps({"frequency": self.frequency, "inflation": self.inflation}).encode()

    @classmethod
    def decode(cls, data: bytes) -> Usage:
        """Return the usage in ``data``; a damaged one counts as new."""
        try:
            entry = json.loads(data)
            return cls(int(entry["frequency"]), float(entry["inflation"]))
        except (ValueError, KeyError, TypeError):
            return cls()


@dataclass(frozen=True)
class Candidate:
    """A blob that may be dropped: bytes, and the seconds that computing it again would take."""

    digest: str
    size: int
    seconds: float
    usage: Usage

    @property
    def priority(self) -> float:
        """H, per byte."""
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
