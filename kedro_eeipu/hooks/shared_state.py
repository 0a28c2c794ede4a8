"""What a node reaches besides its inputs, and whether that changed while it ran."""

from __future__ import annotations

from collections.abc import Mapping

from kedro.pipeline.node import Node

from kedro_eeipu.cache.identity.canonical import Unidentifiable
from kedro_eeipu.cache.identity.code import CodeIdentity, code_identity


def reached(node: Node) -> CodeIdentity | None:
    """The node's code with the globals, classes and objects that it reaches, as they are now.

    ``None`` where that cannot be told.
    """
    try:
        return code_identity(node.func)
    except Unidentifiable:
        return None


def changed(before: CodeIdentity | None, after: CodeIdentity | None) -> set[str]:
    """Names of what differs, but for what was empty and is made once from nothing."""
    if before is None or after is None:
        return set()
    then, now = _by_name(before.parts), _by_name(after.parts)
    return {n for n, d in then.items() if now.get(n, d) != d and n not in before.lazy}


def names(code: CodeIdentity) -> set[str]:
    """Names of what code reaches."""
    return set(_by_name(code.parts))


def _by_name(parts: Mapping[str, str]) -> dict[str, str]:
    """Digests of project code and values; things of one name, which are numbered, are one."""
    found: dict[str, str] = {}
    for label, digest in parts.items():
        if ":" in label:
            name = label.partition(" (")[0]
            found[name] = found.get(name, "") + digest
    return found
