"""Paths to parameters and into values, as people write them.

A path is the keys that lead to a value, joined by dots, as Kedro names parameters after
``params:``. A key may hold a dot itself, or be a number: ``val.loss`` leads to ``{"val.loss": …}``
as well as to ``{"val": {"loss": …}}``.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Hashable, Iterator, Mapping, Sequence, Sized
from copy import deepcopy
from typing import Any

import yaml

__all__ = [
    "MissingKey",
    "find",
    "holding",
    "item",
    "item_names",
    "key_chains",
    "lookup",
    "override",
    "scalar_paths",
    "value_at",
]

Scalar = bool | int | float | str | None

_MOST_NAMES = 20  # that an error lists


# --- parameters -----------------------------------------------------------------------------------


def key_chains(parameters: Mapping[Any, Any], path: str) -> list[tuple[Hashable, ...]]:
    """The keys that lead to a parameter, once for each way in which the path can be read.

    Kedro gives two parameters that have the same path the same name, and takes the last one.
    """
    chains: list[tuple[Hashable, ...]] = []
    for key, value in parameters.items():
        name = str(key)
        if name == path:
            chains.append((key,))
        elif path.startswith(f"{name}.") and isinstance(value, Mapping):
            chains += [(key, *rest) for rest in key_chains(value, path[len(name) + 1 :])]
    return chains


def lookup(parameters: Mapping[Any, Any], path: str) -> Any:
    """The value of a parameter.

    Raises:
        KeyError: There is none.
    """
    chains = key_chains(parameters, path)
    if not chains:
        raise KeyError(path)
    return value_at(parameters, chains[-1])


def value_at(parameters: Mapping[Any, Any], chain: Sequence[Hashable]) -> Any:
    """What these keys lead to, one inside the other."""
    value: Any = parameters
    for key in chain:
        value = value[key]
    return value


def override(parameters: Mapping[Any, Any], values: Mapping[str, Any]) -> dict[Any, Any]:
    """Whole top-level subtrees of ``parameters`` with ``values`` set at their paths.

    Kedro replaces, rather than merges, a nested runtime parameter when the run environment has a
    parameters file of its own, so siblings must travel along.
    """
    subtrees: dict[Any, Any] = {}
    for path, value in values.items():
        chains = key_chains(parameters, path)
        top, *rest = chains[-1] if chains else path.split(".")
        if not rest:
            subtrees[top] = deepcopy(value)
            continue
        level = subtrees.setdefault(top, deepcopy(parameters.get(top, {})))
        for part in rest[:-1]:
            level = level.setdefault(part, {})
        level[rest[-1]] = deepcopy(value)
    return subtrees


def scalar_paths(parameters: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Scalar]]:
    """Paths and values of all scalar parameters outside the ``eeipu`` blocks."""
    for key, value in parameters.items():
        path = f"{prefix}{key}"
        if path == "eeipu" or path.startswith("eeipu_"):
            continue
        if isinstance(value, Mapping):
            yield from scalar_paths(value, f"{path}.")
        elif value is None or isinstance(value, (bool, int, float, str)):
            yield path, value


# --- values of datasets ---------------------------------------------------------------------------


class MissingKey(KeyError):
    """A value has nothing under a key.

    Attributes:
        key: The key.
        value: The value.
    """

    def __init__(self, key: Any, value: Any) -> None:
        super().__init__(key)
        self.key, self.value = key, value


def find(value: Any, path: str | Sequence[Any]) -> Any:
    """What a path leads to inside a value.

    Args:
        value: The value.
        path: A list of keys; or a text of keys with dots between them, of which the longest key
            that is there comes first.

    Raises:
        MissingKey: It leads nowhere.
    """
    if not isinstance(path, str):
        for key in path:
            value = _first_item(value, key)
        return value
    missing: MissingKey | None = None
    parts = path.split(".")
    for count in range(len(parts), 0, -1):
        first, rest = ".".join(parts[:count]), ".".join(parts[count:])
        for key in _readings(first):
            try:
                inner = item(value, key)
            except MissingKey:
                continue
            try:
                return find(inner, rest) if rest else inner
            except MissingKey as error:
                missing = missing or error
    raise missing or MissingKey(parts[0], value)


def item(value: Any, key: Any) -> Any:
    """The entry of a mapping, a table, a sequence or a record under an exact key.

    A table gives the column of that name, else the row with that label, else the row at that
    position.

    Raises:
        MissingKey: There is none.
    """
    if _is_lazy(value):
        raise MissingKey(key, value)
    try:
        if isinstance(value, Mapping):
            return value[key]
        if hasattr(value, "columns") and key in list(value.columns):
            return value[key]
        if hasattr(value, "loc") and key in value.index:
            return value.loc[key]
        if isinstance(key, int) and not isinstance(key, bool):
            return _at(value, key)
        if isinstance(key, str) and key in _fields(value):
            return getattr(value, key)
    except (LookupError, TypeError):
        pass
    raise MissingKey(key, value)


def item_names(value: Any) -> str:
    """What can be named inside a value, for an error; its type if nothing can."""
    names: list[Any] = []
    if isinstance(value, Mapping):
        names = list(value)
    elif hasattr(value, "columns"):
        names = list(value.columns)
        if hasattr(value, "loc"):
            names += list(value.index[:_MOST_NAMES])
    elif hasattr(value, "loc"):
        names = list(value.index[:_MOST_NAMES])
    elif isinstance(value, Sequence) and not isinstance(value, (str, bytes)) and len(value):
        return f"0 … {len(value) - 1}" if len(value) > 1 else "0"
    else:
        names = list(_fields(value))
    shown = [str(name) for name in names[:_MOST_NAMES]]
    return ", ".join([*shown, *(["…"] if len(names) > len(shown) else [])]) or type(value).__name__


def holding(value: Any) -> str:
    """What a value holds, or is, in a sentence for an error."""
    kind = type(value).__name__
    if _is_lazy(value):
        return f"It is a {kind}, whose values are not computed yet: let the node collect it first."
    with contextlib.suppress(TypeError):  # a tensor that is a single number has no length
        if isinstance(value, Sized) and not isinstance(value, (str, bytes)) and len(value) == 0:
            return "It is empty."
    names = item_names(value)
    return f"It is of type {kind}." if names == kind else f"There is: {names}."


def _is_lazy(value: Any) -> bool:
    """Whether a value is a table that is yet to be computed, of Polars or Spark."""
    return hasattr(value, "collect") and not hasattr(value, "__len__")


def _first_item(value: Any, key: Any) -> Any:
    for reading in _readings(key):
        with contextlib.suppress(MissingKey):
            return item(value, reading)
    raise MissingKey(key, value)


def _readings(key: Any) -> Iterator[Any]:
    """A key as it is written, and as the other of text and number: ``1`` may be either."""
    yield key
    if not isinstance(key, str):
        yield str(key)
        return
    with contextlib.suppress(yaml.YAMLError, ValueError):
        read = yaml.safe_load(key)
        if not isinstance(read, str) and isinstance(read, Hashable):
            yield read


def _at(value: Any, position: int) -> Any:
    """The entry at a position of a table or a sequence."""
    if hasattr(value, "iloc"):
        return value.iloc[position]
    if hasattr(value, "columns"):  # a table without labels: a row is a mapping of its columns
        if not -len(value) <= position < len(value):  # polars raises its own error
            raise KeyError(position)
        return value.row(position, named=True)
    if isinstance(value, (str, bytes)):
        raise KeyError(position)
    return value[position]


def _fields(value: Any) -> Sequence[str]:
    """Names of the fields of a record: a data class, a named tuple, a model of pydantic."""
    if isinstance(value, type):
        return ()
    if dataclasses.is_dataclass(value):
        return [f.name for f in dataclasses.fields(value)]
    fields = getattr(value, "_fields", None) or getattr(type(value), "model_fields", ())
    return list(fields) if isinstance(fields, (tuple, list, dict)) else ()
