"""The JSON schema of parameters files: what an editor can say about an ``eeipu`` block.

It accepts what `kedro_eeipu.search.block` accepts. What depends on the project (whether a parameter
is there, whether ``low`` is below ``high``) only the block's own reader knows.
"""

from __future__ import annotations

from typing import Any

from kedro_eeipu.schemas.parts import (
    DRAFT,
    DURATION,
    SCHEMAS_URL,
    TEXT,
    closed,
    described,
    or_null,
)

__all__ = ["block_schema", "parameters_schema"]

_SCALAR = {"type": ["string", "number", "boolean"]}
_NUMBER = described("A number.", {"type": "number"})
_COUNT = described("A number of trials.", {"type": "integer", "minimum": 1})
_KEY = {
    "description": "What leads to the number inside: keys joined by dots, or a list of keys.",
    "anyOf": [_SCALAR, {"type": "array", "items": _SCALAR}, {"type": "null"}],
}
_DIRECTION = described("Whether larger or smaller is better.", {"enum": ["maximize", "minimize"]})


def _dataset(text: str) -> dict[str, Any]:
    return {"description": text, **TEXT}


def _range() -> dict[str, Any]:
    """A range: a list of choices, ``{low: …, high: …}`` or ``{choices: …}``."""
    choices = {"type": "array", "minItems": 1}
    when = or_null(
        {
            "description": "Another tuned parameter, and its values at which this one exists.",
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
        }
    )
    log = described("Search on a logarithmic scale.", {"type": "boolean"})
    step = or_null(described("Distance between values.", {"type": "number", "exclusiveMinimum": 0}))
    return {
        "anyOf": [
            {"description": "The choices.", **choices},
            closed(
                {
                    "low": {**_NUMBER, "description": "Smallest value."},
                    "high": {**_NUMBER, "description": "Largest value."},
                    "log": log,
                    "step": step,
                    "when": when,
                },
                *("low", "high"),
                **{
                    "not": {
                        "properties": {"log": {"const": True}, "step": {"not": {"type": "null"}}},
                        "required": ["log", "step"],
                    }
                },
            ),
            closed(
                {"choices": {"description": "The choices.", **choices}, "when": when}, "choices"
            ),
        ]
    }


def block_schema() -> dict[str, Any]:
    """The schema of one ``eeipu`` block."""
    report = closed({"dataset": _dataset("A dataset."), "key": _KEY}, "dataset")
    return closed(
        {
            "objective": closed(
                {
                    "dataset": _dataset("A dataset that a node produces."),
                    "key": _KEY,
                    "direction": _DIRECTION,
                },
                *("dataset", "direction"),
                description="The number to maximize or minimize.",
            ),
            "space": {
                "description": "Ranges by the dotted path of a parameter.",
                "type": "object",
                "minProperties": 1,
                "additionalProperties": _range(),
            },
            "budget": or_null({**DURATION, "description": "Node time that trials may take."}),
            "trials": or_null({**_COUNT, "description": "How many trials the study has."}),
            "timeout": or_null({**DURATION, "description": "A longer trial is ended."}),
            "max_failures": or_null(
                {**_COUNT, "description": "Stop after this many failed trials."}
            ),
            "report": or_null(
                {
                    "description": "Intermediate values that may end a trial early.",
                    "type": "array",
                    "items": {"anyOf": [{"type": "string", "minLength": 1}, report]},
                }
            ),
            "also": or_null(
                {
                    "description": "More nodes, tags and datasets that trials run.",
                    "anyOf": [
                        {"type": "string", "minLength": 1},
                        {"type": "array", "items": {"type": "string", "minLength": 1}},
                    ],
                }
            ),
            "confirm": or_null(
                closed(
                    {"tolerance": described("0 or more.", {"type": "number", "minimum": 0})},
                    description="How far a confirmed objective may be from the trial's.",
                )
            ),
            "holdout": or_null(
                closed(
                    {
                        "dataset": _dataset("A dataset that the search does not see."),
                        "key": _KEY,
                        "direction": _DIRECTION,
                    },
                    "dataset",
                    description="A value that the search never sees.",
                )
            ),
        },
        *("objective", "space"),
        description="What kedro-eeipu searches.",
    )


def parameters_schema() -> dict[str, Any]:
    """The schema of a file of parameters: its ``eeipu`` blocks, and anything else."""
    return {
        "$schema": DRAFT,
        "$id": f"{SCHEMAS_URL}/parameters.schema.json",
        "title": "Kedro parameters with an eeipu block",
        "type": "object",
        "properties": {"eeipu": {"$ref": "#/definitions/block"}},
        "patternProperties": {"^eeipu_": {"$ref": "#/definitions/block"}},
        "definitions": {"block": block_schema()},
    }
