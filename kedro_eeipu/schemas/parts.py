"""What JSON schemas are made of: durations, values that may be left empty, closed mappings."""

from __future__ import annotations

from typing import Any

__all__ = ["DRAFT", "DURATION", "SCHEMAS_URL", "TEXT", "closed", "described", "or_null"]

DRAFT = "http://json-schema.org/draft-07/schema#"
SCHEMAS_URL = "https://raw.githubusercontent.com/kedro-eeipu/kedro-eeipu/main/kedro_eeipu/schemas"
# JavaScript, in which editors read patterns, has no way to ignore case inside of one.
_DURATION = (
    r"^\s*\+?(\d[\d_]*\.?\d*|\.\d+)([eE][+-]?\d+)?"
    r"\s*([sS]([eE][cC])?|[mM]([iI][nN])?|[hHdD])?\s*$"
)

TEXT = {"type": "string"}
# Kedro puts a value in its place before the block is read.
_INTERPOLATION = {"type": "string", "pattern": r"\$\{.+\}"}


def described(text: str, *kinds: dict[str, Any]) -> dict[str, Any]:
    """One of several kinds, or an interpolation, with a description."""
    return {"description": text, "anyOf": [*kinds, _INTERPOLATION]}


def or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a value that may be left empty; the description stays outside."""
    schema = dict(schema)
    described_as = {k: schema.pop(k) for k in ("description",) if k in schema}
    return {**described_as, "anyOf": [schema, {"type": "null"}]}


def closed(properties: dict[str, Any], *required: str, **more: Any) -> dict[str, Any]:
    """A mapping with these keys and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
        **more,
    }


DURATION = described(
    "Seconds, or a text such as 90s, 30min, 2h, 1d.",
    {"type": "number", "exclusiveMinimum": 0},
    {"type": "string", "pattern": _DURATION},
)
