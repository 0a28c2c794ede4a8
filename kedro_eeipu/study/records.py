"""What is recorded of a trial and of its nodes."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from kedro_eeipu.states import NodeState
from kedro_eeipu.study.audit import Audit, audit_in
from kedro_eeipu.study.confirmation import Confirmation, confirmation_in
from kedro_eeipu.study.holdout import HeldOut, holdout_in

if TYPE_CHECKING:
    from kedro_eeipu.search import SearchSpace

__all__ = ["NodeRecord", "TrialRecord", "with_confirmations", "with_defaults"]

_STATES = {"COMPLETE": "complete", "RUNNING": "running", "PRUNED": "pruned"}


@dataclass(frozen=True)
class NodeRecord:
    """What happened to one node in one trial.

    Attributes:
        name: The node's name.
        status: Whether it ran, was reused, failed, was stopped or was skipped.
        seconds: What running it cost, zero when it was reused; of a stopped one what it cost by
            then.
        saved: What running it had cost when its record was made, zero when it ran.
        load: Seconds that reading its outputs from the cache took.
        key: Its key in the cache.
        parts: Shortened tokens of what the key is made of, by name of code or input.
        outputs: Digest and size in bytes of each output; of 0 bytes is what is only known by how
            it was made.
        why_not: Why it is never cached.
        error: What it raised, or why it was stopped.
        world: Shortened digest of the project when its outputs were made.
        kept: Bytes of files that were kept of its lazy outputs.
        curve: What its code has reported, by step: in this trial, or when its record was made.
    """

    name: str
    status: NodeState
    seconds: float = 0.0
    saved: float = 0.0
    load: float = 0.0
    key: str | None = None
    parts: Mapping[str, str] = field(default_factory=dict)
    outputs: tuple[tuple[str, int], ...] = ()
    why_not: str | None = None
    error: str | None = None
    world: str = ""
    kept: int = 0
    curve: tuple[tuple[int, float], ...] = ()

    @property
    def has_outputs(self) -> bool:
        """Whether its outputs were there in the end: it ran or was reused."""
        return self.status in (NodeState.RAN, NodeState.REUSED)

    @property
    def has_recipes(self) -> bool:
        """Whether of an output no bytes are kept: who needs it has the node called again."""
        return any(digest and not size for digest, size in self.outputs)

    @property
    def was_stored(self) -> bool:
        """Whether this trial has put its outputs into the cache."""
        return self.status == NodeState.RAN and not self.why_not

    def to_json(self) -> dict[str, Any]:
        """As it is stored: what is empty left out."""
        return {k: v for k, v in self.__dict__.items() if v not in (None, 0.0, {}, (), "")}

    @property
    def was_called(self) -> bool:
        """Whether its function was called in the trial."""
        return self.status in (NodeState.RAN, NodeState.FAILED, NodeState.STOPPED)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> NodeRecord:
        """As read back; keys of a later version are passed over."""
        fields = cls.__dataclass_fields__.keys()
        # A study holds very many records, and few have other keys.
        plain = stored.keys() <= fields
        values = dict(stored) if plain else {k: stored[k] for k in stored.keys() & fields}
        values["status"] = NodeState(stored["status"])
        values["outputs"] = tuple([(digest, size) for digest, size in stored.get("outputs", ())])
        values["curve"] = tuple([(step, value) for step, value in stored.get("curve", ())])
        return cls(**values)


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
        env: Configuration environment it ran in, ``None`` for the project's default.
        pipeline: Name of the registered pipeline, empty where an earlier version has recorded it.
        runtime_params: Parameters the user gave on the command line.
        proposing: Seconds that choosing its parameters took.
        pipeline_state: Digest of the state of the pipeline in which it began, empty where an
            earlier version has recorded it.
        started: When it began, in seconds since 1970, ``None`` when that is not known.
        finished: When it ended, in the same unit.
        on_worker: Whether it ran on a worker of a cluster.
        reported: Intermediate values, by place in the ``report`` of the ``eeipu`` block.
        confirmation: The result when it ran once more, ``None`` if it did not, or if that was
            not asked for.
        audit: What was checked of what it reused, ``None`` in the same cases.
        holdout: Its value on data that the search never sees, ``None`` in the same cases.
    """

    number: int
    state: str
    params: Mapping[str, Any]
    value: float | None
    nodes: tuple[NodeRecord, ...] = ()
    error: str | None = None
    interrupted: bool = False
    run_id: str = ""
    env: str | None = None
    pipeline: str = ""
    runtime_params: Mapping[str, Any] = field(default_factory=dict)
    proposing: float = 0.0
    pipeline_state: str = ""
    started: float | None = None
    finished: float | None = None
    on_worker: bool = False
    reported: Mapping[int, float] = field(default_factory=dict)
    confirmation: Confirmation | None = None
    audit: Audit | None = None
    holdout: HeldOut | None = None

    @classmethod
    def stored(
        cls,
        number: int,
        state: str,
        params: Mapping[str, Any],
        value: float | None,
        attributes: Mapping[str, Any],
        times: tuple[datetime | None, datetime | None],
        reported: Mapping[int, float] | None = None,
    ) -> TrialRecord:
        """A trial as Optuna stores it.

        Args:
            number: Its number.
            state: Name of Optuna's state of it.
            params: Its values.
            value: Its objective; that of a trial which is not complete is passed over.
            attributes: Its user attributes.
            times: When it began and ended.
            reported: What it has reported on the way, by step.
        """
        run = attributes.get("run", {})
        started, finished = (None if t is None else t.timestamp() for t in times)
        return cls(
            number=number,
            state=_STATES.get(state, "failed"),
            params=params,
            value=value if state == "COMPLETE" else None,
            nodes=tuple(map(NodeRecord.from_json, json.loads(attributes.get("nodes", "[]")))),
            error=attributes.get("error"),
            interrupted=bool(attributes.get("interrupted", False)),
            run_id=run.get("id", ""),
            env=run.get("env"),
            pipeline=run.get("pipeline", ""),
            runtime_params=run.get("runtime_params", {}),
            proposing=float(run.get("proposing", 0.0)),
            pipeline_state=run.get("pipeline_state", ""),
            started=started,
            finished=finished,
            on_worker=bool(run.get("on_worker", False)),
            reported=reported or {},
        )

    def redacted(self, text: Callable[[str], str], value: Callable[[Any], Any]) -> TrialRecord:
        """The trial as it may be shown.

        Args:
            text: Hides secrets in an error.
            value: Hides secrets in the values of parameters.
        """
        return replace(
            self,
            params=value(self.params),
            runtime_params=value(self.runtime_params),
            error=self.error and text(self.error),
            nodes=tuple(replace(n, error=n.error and text(n.error)) for n in self.nodes),
        )

    @property
    def cost(self) -> float:
        """Seconds of node time."""
        return sum(n.seconds for n in self.nodes)

    @property
    def saved(self) -> float:
        """Seconds that its reused nodes would have cost."""
        return sum(n.saved for n in self.nodes)

    @property
    def overhead(self) -> float:
        """Wall seconds that it took besides its nodes and loading for them; 0 when not known."""
        if self.started is None or self.finished is None:
            return 0.0
        nodes = sum(n.seconds + n.load for n in self.nodes)
        # Nodes that ran side by side may add up to more than the trial's wall time.
        return self.proposing + max(0.0, self.finished - self.started - nodes)


def with_confirmations(
    trials: Iterable[TrialRecord], attributes: Mapping[str, Any]
) -> list[TrialRecord]:
    """Trials with what the user attributes of their study say about them."""
    return [
        replace(
            t,
            confirmation=confirmation_in(attributes, t.number),
            audit=audit_in(attributes, t.number),
            holdout=holdout_in(attributes, t.number),
        )
        for t in trials
    ]


def with_defaults(
    trials: Iterable[TrialRecord], space: SearchSpace, best: TrialRecord
) -> TrialRecord | None:
    """The first complete trial that ran with the project's present values, ``None`` without one.

    Not one whose values were moved into a range that leaves them out, and none that was given other
    ``--params`` than the best trial, beside which it is shown. ``--params`` of tuned parameters do
    not matter: the trial has its own values of these.

    Args:
        trials: Trials of today's pipeline: a parameter that was not tuned yet had today's default.
        space: What is searched.
        best: The best trial.
    """
    own = {r.path: r.default for r in space}
    own = {r.path: r.default for r in space.active(own)}
    given = _fixed(best.runtime_params, space.paths)
    return next(
        (
            t
            for t in trials
            if t.value is not None
            and {**own, **t.params} == own
            and _fixed(t.runtime_params, space.paths) == given
        ),
        None,
    )


def _fixed(given: Mapping[str, Any], tuned: Collection[str], prefix: str = "") -> dict[str, Any]:
    """Nested parameters by dotted path, without those that are tuned."""
    fixed: dict[str, Any] = {}
    for key, value in given.items():
        path = f"{prefix}{key}"
        if path in tuned:
            continue
        if isinstance(value, Mapping) and value:
            fixed |= _fixed(value, tuned, f"{path}.")
        else:
            fixed[path] = value
    return fixed
