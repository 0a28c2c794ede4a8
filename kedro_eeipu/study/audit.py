"""What was checked of what a trial reused.

Optuna does not let a finished trial be changed, so this is kept as an attribute of the study.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

__all__ = ["REFUTED", "Audit", "audit_attribute", "audit_in", "audited_seconds", "refuted_trials"]

_PREFIX = "eeipu:audit:"
REFUTED = "what it reused: without the cache it gives another result"


@dataclass(frozen=True)
class Audit:
    """What was checked of what a trial reused, in a separate process.

    Attributes:
        seconds: Wall seconds that it took. They are no node's, and count to the budget.
        checked: Names of the nodes that ran once more.
        replayed: Whether the whole trial ran once more, without the cache.
        findings: What was wrong, in words.
        refuted: Whether the trial has another objective without the cache.
    """

    seconds: float = 0.0
    checked: tuple[str, ...] = ()
    replayed: bool = False
    findings: tuple[str, ...] = ()
    refuted: bool = False

    def with_more(self, other: Audit) -> Audit:
        """Both together."""
        return replace(
            self,
            seconds=round(self.seconds + other.seconds, 3),
            checked=(*self.checked, *other.checked),
            replayed=self.replayed or other.replayed,
            findings=(*self.findings, *other.findings),
            refuted=self.refuted or other.refuted,
        )

    def to_json(self) -> dict[str, Any]:
        """As it is stored and listed."""
        return dict(self.__dict__)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Audit:
        """As read back."""
        return cls(
            float(stored.get("seconds", 0.0)),
            tuple(stored.get("checked", ())),
            bool(stored.get("replayed", False)),
            tuple(stored.get("findings", ())),
            bool(stored.get("refuted", False)),
        )


def audit_attribute(number: int) -> str:
    """The attribute of a study that holds the audit of a trial."""
    return f"{_PREFIX}{number}"


def audit_in(attributes: Mapping[str, Any], number: int) -> Audit | None:
    """What the user attributes of a study say about the audit of a trial, ``None`` for nothing."""
    stored = attributes.get(audit_attribute(number))
    return None if stored is None else Audit.from_json(stored)


def refuted_trials(attributes: Mapping[str, Any]) -> frozenset[int]:
    """Numbers of the trials that have another objective without the cache."""
    return frozenset(
        int(name.removeprefix(_PREFIX))
        for name, stored in attributes.items()
        if name.startswith(_PREFIX) and stored.get("refuted")
    )


def audited_seconds(attributes: Mapping[str, Any]) -> float:
    """Seconds of all audits of a study."""
    return sum(
        Audit.from_json(stored).seconds
        for name, stored in attributes.items()
        if name.startswith(_PREFIX)
    )
