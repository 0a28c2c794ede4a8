"""Whether a trial gives the same value when its nodes run once more without the cache.

Optuna does not let a finished trial be changed, so this is kept as an attribute of the study.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Confirmation", "attribute_of", "confirmation_in"]

_PREFIX = "eeipu:confirmation:"


@dataclass(frozen=True)
class Confirmation:
    """The result when a trial ran once more, in a fresh process and without the cache.

    Attributes:
        confirmed: Whether the objective was equal, or within the tolerance.
        expected: The objective of the trial.
        value: The objective now, ``None`` if there was none.
        differing: Nodes with another output than in the trial, in the order in which they ran.
            What cannot be compared counts if its bytes differ, so a confirmed trial may have some.
        changed: What was edited since the trial ran, in words; only where it is not confirmed.
        error: Why the run failed; empty if it did not.
        seconds: Wall seconds that it took, the start of the process included.
        time: When it ended, in seconds since 1970.
        whole: Whether all nodes of the pipeline ran.
        in_memory: Declared datasets without a path. They were handed on in memory, so what they do
            to a value is not confirmed.
        outputs: Digest and size of the declared outputs that are in the cache, by dataset.
    """

    confirmed: bool
    expected: float
    value: float | None = None
    differing: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    error: str = ""
    seconds: float = 0.0
    time: float = 0.0
    whole: bool = False
    in_memory: tuple[str, ...] = ()
    outputs: Mapping[str, tuple[str, int]] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """The result in a few words."""
        if self.confirmed:
            within = f" within the tolerance ({self.value!r})" if self._differs else ""
            return f"confirmed{within}"
        if self.error:
            return f"not confirmed: the run failed: {self.error}"
        now = f"not confirmed: {self.value!r} instead of {self.expected!r}"
        if self.differing:
            return f"{now}, first differs at node {self.differing[0]}"
        return f"{now}, and no output that can be compared differs"

    @property
    def _differs(self) -> bool:
        return self.value != self.expected

    def to_json(self) -> dict[str, Any]:
        """As it is stored."""
        return dict(self.__dict__)

    def listed(self) -> dict[str, Any]:
        """As ``trials --format json`` shows it."""
        return {k: v for k, v in self.to_json().items() if k != "outputs"}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Confirmation:
        """As read back; keys of a later version are passed over."""
        values = {k: v for k, v in stored.items() if k in cls.__dataclass_fields__}
        for name in ("differing", "changed", "in_memory"):
            values[name] = tuple(values.get(name, ()))
        outputs = values.get("outputs", {})
        values["outputs"] = {name: (digest, size) for name, (digest, size) in outputs.items()}
        return cls(**values)


def attribute_of(number: int) -> str:
    """The attribute of a study that holds the confirmation of a trial."""
    return f"{_PREFIX}{number}"


def confirmation_in(attributes: Mapping[str, Any], number: int) -> Confirmation | None:
    """What the user attributes of a study say about a trial, ``None`` for nothing."""
    stored = attributes.get(attribute_of(number))
    return None if stored is None else Confirmation.from_json(stored)
