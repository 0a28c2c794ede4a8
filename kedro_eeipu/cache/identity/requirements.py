"""The libraries that a library requires: their upgrade may change what it computes."""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Iterable, Iterator, Mapping

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from kedro_eeipu.cache.identity.origin import owners

__all__ = ["PLUMBING", "required", "with_requirements"]

# What lies between the nodes. It requires half a hundred libraries, for its command line and its
# downloads, that have no part in what a node computes.
PLUMBING = frozenset({"", "python", "kedro", "kedro_datasets", "kedro_eeipu", "fsspec"})


def with_requirements(libraries: Mapping[str, str]) -> dict[str, str]:
    """Versions of libraries together with those of all that they require.

    Args:
        libraries: Versions by top-level name, as in `Origin`.
    """
    return {**libraries, **required(libraries)}


def required(libraries: Iterable[str]) -> dict[str, str]:
    """Versions, by ``"required NAME"``, of what some libraries require, and what that requires.

    Optional requirements (extras) count only where another library asks for them.

    Args:
        libraries: Top-level names. They are not among what is returned.
    """
    return dict(_required(frozenset(libraries) - PLUMBING))


@functools.lru_cache(maxsize=4096)
def _required(libraries: frozenset[str]) -> Mapping[str, str]:
    own: set[str] = {canonicalize_name(name) for library in libraries for name in owners(library)}
    found: dict[str, str] = {}
    visited: set[tuple[str, str]] = set()
    ahead: list[tuple[str, str]] = [(name, "") for name in sorted(own)]
    while ahead:
        asked = ahead.pop()
        if asked in visited:
            continue
        visited.add(asked)
        name, extra = asked
        version, _ = _installed(name)
        if version and name not in own:
            found[name] = version
        ahead.extend(_asked_by(name, extra))
    return {f"required {name}": version for name, version in sorted(found.items())}


@functools.lru_cache(maxsize=4096)
def _asked_by(name: str, extra: str) -> tuple[tuple[str, str], ...]:
    """What a distribution asks for on this machine: names, each with an extra or ``""``."""
    return tuple(
        (canonicalize_name(requirement.name), wanted)
        for requirement in _requirements(name)
        if _holds(requirement, extra)
        for wanted in ("", *sorted(requirement.extras))
    )


def _requirements(name: str) -> Iterator[Requirement]:
    for line in _installed(name)[1]:
        try:
            yield Requirement(line)
        except InvalidRequirement:  # of an old distribution; pip reads over it, too
            continue


def _holds(requirement: Requirement, extra: str) -> bool:
    try:
        return requirement.marker is None or requirement.marker.evaluate({"extra": extra})
    except (UndefinedComparison, UndefinedEnvironmentName):
        return True


@functools.lru_cache(maxsize=4096)
def _installed(name: str) -> tuple[str, tuple[str, ...]]:
    """Version of a distribution and the lines of its requirements; empty if there is none."""
    try:
        distribution = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return "", ()
    return distribution.version or "", tuple(distribution.requires or ())
