"""Values that a user wants to be tried: ``tune --try FILE`` or ``tune --try a.b=1,c=x``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.search.space import Range, SearchSpace
from kedro_eeipu.wording import did_you_mean, scalar

__all__ = ["own_values"]

_FILES = (".yml", ".yaml", ".json")
_PRINTED = re.compile(r'^\[\{"number": ', re.MULTILINE)  # how `trials --format json` begins
_CLOSING = {"[": "]", "{": "}"}


def own_values(
    given: Sequence[str | Mapping[str, Any]], space: SearchSpace
) -> list[dict[str, Any]]:
    """The configurations that a user wants to be tried, each once.

    What is not given has its default.

    Args:
        given: Mappings of parameters, nested or by dotted paths; files; or pairs ``path=value``
            with commas between them. A file holds such a mapping or a list of them, or what
            ``trials --format json`` printed.
        space: What is searched.

    Raises:
        ConfigurationError: A file cannot be read, a name is no tuned parameter, or a value is not
            in its range.
    """
    configurations: list[dict[str, Any]] = []
    for entry in given:
        read = _read(entry, space) if isinstance(entry, str) else [("own", _flat(entry, space))]
        for where, wanted in read:
            values = _completed(wanted, space, where)
            if values not in configurations:
                configurations.append(values)
    return configurations


def _read(text: str, space: SearchSpace) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """The configurations in one argument, each with its place for errors."""
    path = Path(text)
    if path.suffix not in _FILES and "=" in text:
        yield f"--try {text}", _pairs(text)
        return
    try:
        content = _document(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(
            f"cannot be read: {str(error).splitlines()[0]}",
            where=f"--try {text}",
            remedy="Name a YAML or JSON file, or write for example --try model.depth=5,seed=3.",
        ) from None
    listed = content if isinstance(content, list) else [content]
    for number, entry in enumerate(listed, start=1):
        where = f"{text}, entry {number}" if len(listed) > 1 else text
        if not isinstance(entry, Mapping) or not entry:
            raise ConfigurationError(
                "it is not a mapping of parameters to values",
                where=where,
                remedy="Write for example: [{model.depth: 5}, {model.depth: 7}]",
            )
        inner = entry.get("params")
        yield where, _flat(inner if isinstance(inner, Mapping) else entry, space)


def _document(text: str) -> Any:
    """What a file holds. Above what ``trials`` printed there may be Kedro's first log lines."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        printed = _PRINTED.search(text)
        if printed is None:
            raise
        return yaml.safe_load(text[printed.start() :])


def _flat(entry: Mapping[Any, Any], space: SearchSpace) -> dict[str, Any]:
    """A nested mapping by dotted paths; a value that is tuned as a whole stays one."""
    flat: dict[str, Any] = {}

    def visit(prefix: str, value: Any) -> None:
        if isinstance(value, Mapping) and prefix not in space.paths and value:
            for key, inner in value.items():
                visit(f"{prefix}.{key}" if prefix else str(key), inner)
        else:
            flat[prefix] = value

    visit("", entry)
    return flat


def _pairs(text: str) -> dict[str, Any]:
    """``path=value`` pairs; a comma inside brackets parts nothing."""
    pairs: dict[str, Any] = {}
    for part in _split(text):
        path, sign, value = part.partition("=")
        if not sign or not path.strip():
            raise ConfigurationError(
                f"'{part}' is not path=value",
                where=f"--try {text}",
                remedy="Write for example --try model.depth=5,model.kernel=rbf.",
            )
        try:
            pairs[path.strip()] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise ConfigurationError(
                f"'{value}' is not a value", where=f"--try {text}", remedy="Write it as in YAML."
            ) from None
    return pairs


def _split(text: str) -> list[str]:
    parts: list[str] = [""]
    closing: list[str] = []
    for letter in text:
        if letter == "," and not closing:
            parts.append("")
            continue
        if letter in _CLOSING:
            closing.append(_CLOSING[letter])
        elif closing and letter == closing[-1]:
            closing.pop()
        parts[-1] += letter
    return [part for part in parts if part.strip()]


def _completed(given: Mapping[str, Any], space: SearchSpace, where: str) -> dict[str, Any]:
    """Values of all active parameters, the defaults where none are given."""
    ranges = {r.path: r for r in space}
    values = {r.path: r.nearest(r.default) for r in space}
    for path, value in given.items():
        if path not in ranges:
            hint = did_you_mean(path, ranges)
            raise ConfigurationError(
                f"'{path}' is not tuned",
                where=where,
                remedy=" ".join(filter(None, (hint, f"Known: {', '.join(ranges)}."))),
            )
        values[path] = _in_range(ranges[path], value, where)
    active = {r.path: values[r.path] for r in space.active(values)}
    for path in given:
        if path not in active:
            conditions = ", ".join(
                f"{other} is {' or '.join(map(scalar, allowed))}"
                for other, allowed in ranges[path].when
            )
            raise ConfigurationError(
                f"'{path}' has no effect with these values: it is used only where {conditions}",
                where=where,
                remedy="Leave it out, or give the other value, too.",
            )
    return active


def _in_range(r: Range, value: Any, where: str) -> Any:
    """A value as trials have it: ``3`` of a float is ``3.0``.

    Raises:
        ConfigurationError: It is not in the range.
    """
    if isinstance(value, str) and r.kind != "categorical":
        value = _number(value)  # YAML reads 1e-3 as text
    if not r.contains(value):
        raise ConfigurationError(
            f"{r.path} = {scalar(value)} is not in its range: {r.describe()}",
            where=where,
            remedy="Change the value, or the range in the `eeipu` block.",
        )
    return value if r.kind == "categorical" else r.nearest(value)


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text
