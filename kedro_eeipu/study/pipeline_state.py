"""What the values of trials depend on besides their own parameters, and what of it has changed.

The state of a pipeline is the code and the inputs of the nodes that the objective needs, how they
are connected, and the parameters that no range tunes. A trial keeps the digest of the state in
which it began; the study keeps each state once, in parts, so that differences can be named.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from kedro_eeipu.study.audit import REFUTED
from kedro_eeipu.study.records import NodeRecord, TrialRecord
from kedro_eeipu.wording import counted

__all__ = [
    "STATE_ATTRIBUTE",
    "Comparison",
    "PipelineState",
    "digest_of",
    "in_few_words",
    "is_own",
    "part_of_node",
    "states_in",
]

STATE_ATTRIBUTE = "eeipu:state:"  # of a study, before the digest of a state
_MOST_CHANGES = 5  # that a sentence lists


def digest_of(content: Any) -> str:
    """A digest of something that JSON can hold."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class PipelineState:
    """The state of a pipeline.

    Attributes:
        graph: Digest of the nodes and their inputs, and of how they are connected. The names of
            nodes and datasets are no part of it.
        parts: Tokens of what it is made of, by what it is in words: "node `train`'s code".
        parameters: Tokens of the parameters that no range tunes, by dotted path.
        defaults: Tokens of the project's own values of those that ranges tune.
        key_parts: Of each node, the parts of its key that no trial changes. They are not stored:
            trials that an earlier version of the plugin recorded are compared by them.
        doubted: Of each node whose key the audit found to be not enough, the project's world as
            trials hold it; empty for a node that is never served again. Not stored either.
        units: Of each node that depends on what another leaves behind, the part of its key that
            stands for that. Not stored either.
        changed_files: Of the parts of a node in a trial, the files of the project that it opened
            and that are others now; ``None`` where nobody looks. Not stored either.
    """

    graph: str
    parts: Mapping[str, str]
    parameters: Mapping[str, str]
    defaults: Mapping[str, str]
    key_parts: Mapping[str, Mapping[str, str]] = field(default_factory=dict, compare=False)
    doubted: Mapping[str, str] = field(default_factory=dict, compare=False)
    units: Mapping[str, str] = field(default_factory=dict, compare=False)
    changed_files: Callable[[str, Mapping[str, str]], list[str]] | None = field(
        default=None, compare=False
    )

    @cached_property
    def digest(self) -> str:
        """What trials keep of it."""
        return digest_of([self.graph, self.parameters, sorted(self.defaults)])

    def to_json(self) -> dict[str, Any]:
        """As the study keeps it."""
        return {
            "graph": self.graph,
            "parts": dict(self.parts),
            "parameters": dict(self.parameters),
            "defaults": dict(self.defaults),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> PipelineState:
        """As read back; keys of a later version are passed over."""
        return cls(
            stored.get("graph", ""),
            stored.get("parts", {}),
            stored.get("parameters", {}),
            stored.get("defaults", {}),
        )

    def changes_since(self, then: PipelineState, own: Iterable[str]) -> tuple[str, ...]:
        """What has changed since an earlier state, in words.

        Args:
            then: The earlier state.
            own: Paths of the parameters for which its trials have their own values. What the
                configuration says about them does not matter, whether or not a range is left.
        """
        changes: list[str] = []
        if self.graph != then.graph:
            changes += _differing(then.parts, self.parts) or ["how the nodes are connected"]
        changes += [f"parameter `{path}`" for path in self.changed_parameters(then, own)]
        return tuple(changes)

    def changed_parameters(self, then: PipelineState, own: Iterable[str]) -> list[str]:
        """Paths of the parameters that have other values than in an earlier state.

        Args:
            then: The earlier state.
            own: As for `changes_since`.
        """
        before, now = ({**s.defaults, **s.parameters} for s in (then, self))
        own = frozenset(own)
        return [
            path
            for path in {**then.parameters, **self.parameters}
            if before.get(path) != now.get(path) and not _is_within(path, own)
        ]


def states_in(attributes: Mapping[str, Any]) -> dict[str, PipelineState]:
    """The states among the user attributes of a study, by digest."""
    return {
        key.removeprefix(STATE_ATTRIBUTE): PipelineState.from_json(stored)
        for key, stored in attributes.items()
        if key.startswith(STATE_ATTRIBUTE)
    }


class Comparison:
    """Compares trials with the pipeline as it is now.

    Args:
        now: The state of the pipeline.
        recorded: Gives the states that the study keeps, by digest.
        unknown: Paths of parameters whose present values are not known, such as secrets that were
            given on the command line.
    """

    def __init__(
        self,
        now: PipelineState,
        recorded: Callable[[], Mapping[str, PipelineState]],
        unknown: Iterable[str] = (),
    ) -> None:
        self.now = now
        self._recorded = recorded
        self._unknown = tuple(unknown)
        self._states: dict[str, PipelineState | None] = {}
        self._changes: dict[tuple[str, frozenset[str]], tuple[str, ...]] = {}
        self._of_earlier_version: dict[int, tuple[str, ...]] = {}

    def changes(self, trial: TrialRecord) -> tuple[str, ...]:
        """What has changed since a trial that its value depends on, in words.

        Empty for a trial of the present state, and for one of which nothing is known.
        """
        return self._state_changes(trial) or self._changed_files(trial)

    def _state_changes(self, trial: TrialRecord) -> tuple[str, ...]:
        digest = trial.pipeline_state
        if digest == self.now.digest:
            return self._doubted(trial)
        if not digest:
            return self._by_key_parts(trial) or self._doubted(trial)
        key = digest, frozenset(trial.params)
        if key not in self._changes:
            then = self._state(digest)
            self._changes[key] = (
                ("something that was not recorded",)
                if then is None
                else self.now.changes_since(then, [*trial.params, *self._unknown])
            )
        return self._changes[key]

    def _changed_files(self, trial: TrialRecord) -> tuple[str, ...]:
        """The files that its nodes opened by themselves and that are others now, in words."""
        if self.now.changed_files is None:
            return ()
        return tuple(
            f"file `{name}`, which node `{node.name}` opens"
            for node in trial.nodes
            for name in self.now.changed_files(node.name, node.parts)
        )

    def _doubted(self, trial: TrialRecord) -> tuple[str, ...]:
        """What the audit says about the records that a trial has used, in words.

        A value that was made in today's world is right whatever its key leaves out. Of a node
        whose key and world are not enough, only those count that were computed without a key.
        """
        refuted = (REFUTED,) if trial.audit is not None and trial.audit.refuted else ()
        if not self.now.doubted and not self.now.units:
            return refuted
        return refuted or tuple(
            f"what node `{node.name}` was served"
            for node in trial.nodes
            if node.key is not None and self._is_doubted(node)
        )

    def _is_doubted(self, node: NodeRecord) -> bool:
        if part := self.now.units.get(node.name):
            return part not in node.parts
        world = self.now.doubted.get(node.name)
        return world is not None and (not world or world != node.world)

    def changed_parameters(self, trial: TrialRecord) -> list[str]:
        """Paths of the parameters that have changed since a trial, except its own."""
        digest = trial.pipeline_state
        then = None if digest in ("", self.now.digest) else self._state(digest)
        return [] if then is None else self.now.changed_parameters(then, trial.params)

    def current(self, trials: Iterable[TrialRecord]) -> list[TrialRecord]:
        """The trials of the present state."""
        return [t for t in trials if not self.changes(t)]

    def _state(self, digest: str) -> PipelineState | None:
        if digest not in self._states:  # another process may have recorded it since
            self._states.update(self._recorded())
        return self._states.setdefault(digest, None)

    def _by_key_parts(self, trial: TrialRecord) -> tuple[str, ...]:
        """What the keys of the nodes show about a trial that has no state."""
        if trial.number in self._of_earlier_version:
            return self._of_earlier_version[trial.number]
        changes = tuple(
            _part_in_words(node.name, part)
            for node in trial.nodes
            if node.parts
            for part, token in self.now.key_parts.get(node.name, {}).items()
            if node.parts.get(part) != token
        )
        if trial.state != "running":
            self._of_earlier_version[trial.number] = changes
        return changes


def in_few_words(changes: Sequence[str]) -> str:
    """A list of changes as a sentence holds it."""
    more = len(changes) - _MOST_CHANGES
    shown = ", ".join(dict.fromkeys(changes[:_MOST_CHANGES]))
    return f"{shown} and {counted(more, 'more thing')}" if more > 0 else shown


def _differing(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    return [name for name in {**before, **now} if before.get(name) != now.get(name)]


def _is_within(path: str, own: frozenset[str]) -> bool:
    """Whether a parameter is one of these, or inside one of them."""
    if path in own:
        return True
    return any(path.startswith(f"{outer}.") for outer in own)


def _part_in_words(node: str, part: str) -> str:
    if part.startswith("params:"):
        return f"parameter `{part.removeprefix('params:')}`"
    if is_own(part):
        return part_of_node(node, part)
    return f"input `{part}`"


_OF_NODES = {
    "code": "node `{}`'s code",
    "settings": "node `{}`'s settings in eeipu.yml",
    "validators": "a validator of node `{}`'s data",
    "hooks": "a hook that sees node `{}`'s data",
    "made": "settings of libraries that node `{}` begins with",
}


def is_own(part: str) -> bool:
    """Whether a part of a node's key is neither a parameter nor an input."""
    return part in _OF_NODES or part.startswith("$")


def part_of_node(node: str, part: str) -> str:
    """Such a part in words."""
    if part.startswith("$"):
        return f"environment variable `{part[1:]}`, which node `{node}` names"
    return _OF_NODES[part].format(node)
