"""What is recorded of a trial and of its nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class NodeRecord:
    """What happened to one node in one trial.

    Attributes:
        name: The node's name.
        status: ``ran``, ``reused``, ``failed`` or ``skipped``.
        seconds: What running it cost, zero when it was reused.
        saved: What running it had cost when its record was made, zero when it ran.
        load: Seconds that reading its outputs from the cache took.
        key: Its key in the cache.
        parts: Shortened tokens of what the key is made of, by name of code or input.
        outputs: Digest and size in bytes of each output.
        why_not: Why it is never cached.
        error: What it raised.
    """

    name: str
    status: str
    seconds: float = 0.0
    saved: float = 0.0
    load: float = 0.0
    key: str | None = None
    parts: Mapping[str, str] = field(default_factory=dict)
    outputs: tuple[tuple[str, int], ...] = ()
    why_not: str | None = None
    error: str | None = None

    @property
    def made(self) -> bool:
        """Whether this trial has put its outputs into the cache."""
        return self.status == "ran" and not self.why_not

    def to_json(self) -> dict[str, Any]:
        """As it is stored: what is empty left out."""
        return {k: v for k, v in self.__dict__.items() if v not in (None, 0.0, {}, ())}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> NodeRecord:
        """As read back; keys of a later version are passed over."""
        known = {k: v for k, v in told.items() if k in cls.__dataclass_fields__}
        known["outputs"] = tuple((str(d), int(n)) for d, n in known.get("outputs", ()))
        return cls(**known)


@dataclass(frozen=True)
class TrialRecord:
    """One trial of a study.

    Attributes:
        number: Its number in the study, from 0.
        state: ``complete``, ``pruned``, ``failed`` or ``running``.
        params: Values by dotted path, active parameters only.
        value: The objective, ``None`` unless complete.
        nodes: What happened to its nodes, in the order of the pipeline.
        error: Why it failed or was pruned.
        interrupted: Whether it was stopped from outside, by Ctrl-C or a kill.
        run_id: Kedro's id of its run.
        runtime_params: Parameters the user gave on the command line.
        proposing: Seconds that choosing its parameters took.
        started: When it began, in seconds since 1970, ``None`` when that is not known.
        finished: When it ended, likewise.
    """

    number: int
    state: str
    params: Mapping[str, Any]
    value: float | None
    nodes: tuple[NodeRecord, ...] = ()
    error: str | None = None
    interrupted: bool = False
    run_id: str = ""
    runtime_params: Mapping[str, Any] = field(default_factory=dict)
    proposing: float = 0.0
    started: float | None = None
    finished: float | None = None

    @property
    def cost(self) -> float:
        """Seconds of node time."""
        return sum(n.seconds for n in self.nodes)

    @property
    def saved(self) -> float:
        """Seconds that its reused nodes would have cost."""
        return sum(n.saved for n in self.nodes)
