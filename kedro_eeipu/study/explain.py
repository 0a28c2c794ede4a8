"""Why a node ran or was reused: its key's parts against those of earlier trials."""

from __future__ import annotations

from collections.abc import Sequence

from kedro_eeipu.study.records import NodeRecord, TrialRecord

_WORDS = {
    "code": "its code changed",
    "settings": "what eeipu.yml says of it changed",
    "validators": "a validator of its data changed",
}


def reasons(trials: Sequence[TrialRecord], number: int) -> dict[str, str]:
    """One reason per node of a trial, against the nearest earlier trial.

    Args:
        trials: All trials of the study.
        number: The trial to explain.
    """
    earlier = [t for t in trials if t.number < number]
    trial = next(t for t in trials if t.number == number)
    return {node.name: _reason(node, earlier) for node in trial.nodes}


def _reason(node: NodeRecord, earlier: Sequence[TrialRecord]) -> str:
    if node.status == "skipped":
        return "the trial ended before it was reached"
    if node.why_not:
        return f"it is never cached: {node.why_not}"
    before = _before(earlier, node)
    if node.status == "reused":
        made = [number for number, n in before if n.key == node.key and n.status == "ran"]
        same = "same code, parameters and inputs as"
        return f"{same} trial {made[0]}" if made else f"{same} in an earlier study or run"
    closest = nearest(earlier, node)
    if closest is None:
        return "it had not run before"
    number, then = closest
    changed = changed_parts(then, node)
    if not changed:
        again = "it failed then" if then.status == "failed" else "its outputs were no longer kept"
        return f"as in trial {number}, but {again}"
    return f"against trial {number}: {', '.join(map(_words, changed))}"


def nearest(earlier: Sequence[TrialRecord], node: NodeRecord) -> tuple[int, NodeRecord] | None:
    """The number of the earlier trial in which a node differed least, and the node in it."""
    before = _before(earlier, node)
    return min(before, key=lambda b: len(changed_parts(b[1], node))) if before else None


def _before(earlier: Sequence[TrialRecord], node: NodeRecord) -> list[tuple[int, NodeRecord]]:
    return [
        (t.number, n)
        for t in reversed(earlier)
        for n in t.nodes
        if n.name == node.name and n.parts and n.status in ("ran", "reused", "failed")
    ]


def changed_parts(a: NodeRecord, b: NodeRecord) -> list[str]:
    """Names of the parts of two keys that differ."""
    names = sorted(set(a.parts) | set(b.parts))
    return [name for name in names if a.parts.get(name) != b.parts.get(name)]


def _words(part: str) -> str:
    if part in _WORDS:
        return _WORDS[part]
    if part == "parameters":
        return "a parameter changed (it takes all of them)"
    if part.startswith("params:"):
        return f"parameter {part.removeprefix('params:')} changed"
    return f"input {part} changed"
