"""Why a node ran or was reused: its key's parts against those of earlier trials.

A set of trials is an integer here, whose bit n stands for trial n: to intersect two sets of a
thousand trials is one operation, so that a whole study is explained in time linear in its records.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.search.paths import scalar_paths
from kedro_eeipu.states import FILE_PART, STATE_PART, NodeState
from kedro_eeipu.study.records import NodeRecord, TrialRecord

if TYPE_CHECKING:
    from kedro_eeipu.study.storage import TrialStudy

__all__ = ["History", "changed_parts", "code_changes", "explanation", "trial_json"]

_WORDS = {
    "code": "its code changed",
    "settings": "its settings in eeipu.yml changed",
    "validators": "a validator of its data changed",
    "made": "an import or a hook made another setting of a library",
    "world": "the project changed, and its key holds all of it since a wrong record was reused",
}
_AGAIN = {NodeState.FAILED: "it failed then", NodeState.STOPPED: "it was stopped then"}


@dataclass
class _Alike:
    """Trials in which a node's key has parts of the same names.

    Attributes:
        trials: All of them.
        holding: Those that hold a token, by name of the part and token.
    """

    trials: int = 0
    holding: defaultdict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))

    def closest(self, node: NodeRecord, earlier: int) -> tuple[int, int] | None:
        """How many parts the earlier trial that shares most shares, and its number."""
        # sharing[k]: the trials that share at least k of the parts looked at so far.
        sharing = [self.trials & earlier]
        if not sharing[0]:
            return None
        for part in node.parts.items():
            alike = self.holding.get(part, 0) & sharing[0]
            if not alike:
                continue
            most = sharing[-1] & alike
            for k in range(len(sharing) - 1, 0, -1):
                sharing[k] |= sharing[k - 1] & alike
            if most:
                sharing.append(most)
        return len(sharing) - 1, _latest(sharing[-1])


class History:
    """The trials of a study, asked what a node of one of them has in common with earlier ones.

    Args:
        trials: Trials that have ended, in any order.
    """

    def __init__(self, trials: Iterable[TrialRecord] = ()) -> None:
        self._trials: dict[int, TrialRecord] = {}
        self._nodes: dict[int, dict[str, NodeRecord]] = {}
        self._alike: defaultdict[str, defaultdict[tuple[str, ...], _Alike]] = defaultdict(
            lambda: defaultdict(_Alike)
        )
        self._ran: defaultdict[tuple[str, str | None], int] = defaultdict(int)
        for trial in trials:
            self.add(trial)

    def __contains__(self, number: int) -> bool:
        return number in self._nodes

    def add(self, trial: TrialRecord) -> None:
        """Take in a trial that has ended."""
        self._trials[trial.number] = trial
        self._nodes[trial.number] = {n.name: n for n in trial.nodes}
        bit = 1 << trial.number
        for node in trial.nodes:
            if not node.parts or node.status == NodeState.SKIPPED:
                continue
            alike = self._alike[node.name][tuple(sorted(node.parts))]
            alike.trials |= bit
            for part in node.parts.items():
                alike.holding[part] |= bit
            if node.status == NodeState.RAN:
                self._ran[node.name, node.key] |= bit

    def nearest(self, number: int, node: NodeRecord) -> tuple[int, NodeRecord] | None:
        """The number of the earlier trial in which a node differed least, and the node in it.

        Args:
            number: The trial of the node; only those before it count, the latest of equals.
            node: The node as this trial has it.
        """
        earlier = _before(number)
        candidates = []
        for names, alike in self._alike.get(node.name, {}).items():
            closest = alike.closest(node, earlier)
            if closest is not None:
                shared, trial = closest
                candidates.append((shared - len(node.parts.keys() | names), trial))
        if not candidates:
            return None
        then = max(candidates)[1]
        return then, self._nodes[then][node.name]

    def against(self, number: int, node: NodeRecord) -> tuple[int, NodeRecord] | None:
        """The earlier trial that says why a node ran or was reused, and the node in it.

        Of a reused node the one that made its outputs, of another the nearest; ``None`` where no
        trial says why.
        """
        if node.status == NodeState.SKIPPED or node.why_not or _has_unknown_input(node):
            return None
        if node.status != NodeState.REUSED:
            return self.nearest(number, node)
        producers = self._ran.get((node.name, node.key), 0) & _before(number)
        return (then := _latest(producers), self._nodes[then][node.name]) if producers else None

    def reason(self, number: int, node: NodeRecord) -> str:
        """Why a node ran or was reused in the trial of this number, in words."""
        if node.status == NodeState.SKIPPED:
            return "the trial ended before it was reached"
        if node.why_not:
            return f"it is never cached: {node.why_not}"
        if _has_unknown_input(node):
            return "one of its inputs cannot be stored, so it is unknown whether it changed"
        match = self.against(number, node)
        if node.status == NodeState.REUSED:
            same = "same code, parameters and inputs as"
            return f"{same} trial {match[0]}" if match else f"{same} in an earlier study or run"
        if match is None:
            return "it had not run before"
        then, record = match
        changed = changed_parts(record, node)
        if not changed:
            again = _AGAIN.get(record.status, "its outputs were no longer in the cache")
            return f"as in trial {then}, but {again}"
        words = (self._words(part, then, number) for part in changed)
        return f"against trial {then}: {', '.join(words)}"

    def _words(self, part: str, then: int, now: int) -> str:
        """What has changed between two trials, with the keys inside it whose values are known."""
        if part in _WORDS:
            return _WORDS[part]
        if part == "parameters":
            keys = ", ".join(self._changed_keys("", then, now))
            return (
                f"{f'parameter {keys}' if keys else 'a parameter'} changed (it takes all of them)"
            )
        if part.startswith("$"):
            return f"environment variable {part[1:]} changed"
        if part.startswith(STATE_PART):
            return f"{part.removeprefix(STATE_PART)} differed when it began"
        if part.startswith(FILE_PART):
            return f"{part.removeprefix(FILE_PART)}, which it opens, changed"
        if not part.startswith("params:"):
            is_input = not part.endswith(" leaves behind")
            return f"input {part} changed" if is_input else f"{part} changed"
        name = part.removeprefix("params:")
        keys = ", ".join(self._changed_keys(f"{name}.", then, now))
        return f"parameter {name} changed ({keys})" if keys else f"parameter {name} changed"

    def _changed_keys(self, prefix: str, then: int, now: int) -> list[str]:
        """Dotted paths that begin so, and had other values in the one trial than in the other."""
        a, b = (_values(self._trials[n]) if n in self._trials else {} for n in (then, now))
        return [k for k in b if k.startswith(prefix) and k in a and a[k] != b[k]]


def explanation(
    study: TrialStudy, number: int, code_of: Callable[[str], Mapping[str, str]]
) -> list[dict[str, Any]]:
    """The node records of a trial, as ``trials`` lists them, with what changed and since when.

    Args:
        study: The study.
        number: The trial.
        code_of: The code identities that the cache recorded with a key, by name of what they
            identify; empty for a key that it no longer has.

    Raises:
        ConfigurationError: The study has no such trial.
    """
    trials = study.trials()
    if not 0 <= number < len(trials):
        raise ConfigurationError(
            f"study '{study.name}' has no trial {number}",
            remedy="`kedro eeipu trials` lists them.",
        )
    trial, history = trials[number], History(trials[: number + 1])
    entries: list[dict[str, Any]] = trial_json(history, trial)["nodes"]
    for node, entry in zip(trial.nodes, entries, strict=True):
        earlier = history.against(number, node)
        then, before = earlier or (None, None)
        entry["against"] = then
        entry["changed"] = [] if before is None else changed_parts(before, node)
        codes = [code_of(n.key) if n is not None and n.key else {} for n in (node, before)]
        entry["code"] = code_changes(*codes) if "code" in entry["changed"] and all(codes) else []
    return entries


def trial_json(history: History, trial: TrialRecord) -> dict[str, Any]:
    """A trial in the contract of ``kedro eeipu trials --format json``."""
    return {
        "number": trial.number,
        "state": trial.state,
        "params": dict(trial.params),
        "value": trial.value,
        "cost_seconds": trial.cost,
        "saved_seconds": trial.saved,
        "error": trial.error,
        "audit": trial.audit and trial.audit.to_json(),
        "confirmation": trial.confirmation and trial.confirmation.listed(),
        "nodes": [
            {
                "name": n.name,
                "status": n.status,
                "seconds": n.seconds,
                "reason": n.error or history.reason(trial.number, n),
                "key": n.key,
                "curve": [list(point) for point in n.curve],
            }
            for n in trial.nodes
        ],
    }


def code_changes(now: Mapping[str, str], before: Mapping[str, str]) -> list[str]:
    """What differs between the code of two records, in words."""
    changes: list[str] = []
    of_others: list[str] = []
    for name in sorted(set(now) | set(before)):
        old, new = before.get(name), now.get(name)
        if old == new:
            continue
        kind, _, rest = name.partition(" ")
        if kind == "required":
            change = f"{rest}, which a library requires: {old or 'none'} -> {new or 'none'}"
            (changes if old and new else of_others).append(change)
        elif kind in ("library", "python"):
            changes.append(f"{name}: {old or 'not used'} -> {new or 'not used'}")
        else:
            module, _, thing = name.partition(":")
            verb = "is new" if old is None else "is no longer used" if new is None else "changed"
            changes.append(f"{thing} in {module} {verb}" if thing else f"{name} {verb}")
    # What came or went with a library that another line names says nothing more.
    return changes or of_others


def changed_parts(a: NodeRecord, b: NodeRecord) -> list[str]:
    """Names of the parts of two keys that differ."""
    names = sorted(set(a.parts) | set(b.parts))
    return [name for name in names if a.parts.get(name) != b.parts.get(name)]


def _before(number: int) -> int:
    return (1 << number) - 1


def _latest(trials: int) -> int:
    return trials.bit_length() - 1


def _has_unknown_input(node: NodeRecord) -> bool:
    """Whether a node that may be cached had no key: something it takes could not be stored."""
    return node.status == NodeState.RAN and bool(node.parts) and node.key is None


def _values(trial: TrialRecord) -> dict[str, Any]:
    """What is known about a trial's parameters, by dotted path."""
    return {**dict(scalar_paths(trial.runtime_params)), **trial.params}
