"""What a node reaches besides its inputs, and whether that changed while it ran."""

from __future__ import annotations

from collections.abc import Mapping

from kedro.pipeline.node import Node

from kedro_eeipu.cache.identity.canonical import MovesOn, Unidentifiable
from kedro_eeipu.cache.identity.code import CodeIdentity, code_identity
from kedro_eeipu.hooks.dataset import warn_once
from kedro_eeipu.hooks.library_settings import IN_CODE

__all__ = ["changed", "forget", "is_noted", "names", "note", "reached", "refuse_touched"]


def reached(node: Node) -> CodeIdentity | None:
    """The node's code with the globals, classes and objects that it reaches, as they are now.

    ``None`` if that is unknown.
    """
    try:
        return code_identity(node.func, with_caches=True)
    except MovesOn as reason:
        warn_once(
            "%s is not reused, and its value may differ from that of a plain run: %s",
            node.name,
            reason,
        )
        return None
    except Unidentifiable:
        return None


def changed(
    before: CodeIdentity | None, after: CodeIdentity | None, *, with_caches: bool = True
) -> set[str]:
    """Names of what differs, ignoring lazy initialisation.

    Args:
        before: What a node reached before.
        after: What it reaches now.
        with_caches: Whether kept results count; `before` must have been asked for them.
    """
    if before is None:
        return set()
    if after is None:  # what can no longer be determined may have changed
        return names(before)
    then, now = _by_name(before.parts), _by_name(after.parts)
    other = {n for n, d in then.items() if now.get(n) != d and n not in before.lazy}
    other -= IN_CODE  # looked at as settings
    kept = after.caches if with_caches else {}
    return other | {n for n, d in kept.items() if before.caches.get(n) != d}


# What nodes of this process were seen to change. It is no longer as a plain run finds it.
_touched: set[str] = set()


def note(changes: set[str]) -> None:
    """Remember for the runs that follow in this process what a node has changed."""
    _touched.update(changes)


def is_noted(changes: set[str]) -> bool:
    """Whether nodes were seen to change all of these."""
    return changes <= _touched


def forget() -> None:
    """Forget what nodes have changed, for code of another project."""
    _touched.clear()


def refuse_touched(code: CodeIdentity) -> None:
    """Refuse to look for records of code that reaches what a node has changed in this process.

    Raises:
        Unidentifiable: It does.
    """
    touched = names(code) & _touched
    if touched:
        raise Unidentifiable(
            f"nodes pass on values in {min(touched)}, a global variable or what it holds"
        )


def names(code: CodeIdentity) -> set[str]:
    """Names of what code reaches."""
    return set(_by_name(code.parts))


def _by_name(parts: Mapping[str, str]) -> dict[str, str]:
    """Digests of project code and values; things of one name, which are numbered, are one."""
    digests: dict[str, str] = {}
    for label, digest in parts.items():
        if ":" in label:
            name = label.partition(" (")[0]
            digests[name] = digests.get(name, "") + digest
    return digests
