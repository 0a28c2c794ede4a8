"""The JSON schema of ``eeipu.yml``: what an editor can say about it.

It accepts what `kedro_eeipu.config.settings` accepts.
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

__all__ = ["settings_schema"]

_VERSION = {"type": ["string", "number", "boolean"]}
_BYTES = described(
    "Bytes, or a text such as 500MB, 20GB.",
    {"type": "number", "minimum": 0},
    {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*([kKmMgGtT][bB]?|[bB])?\s*$"},
)


def _text(description: str) -> dict[str, Any]:
    return or_null({"description": description, **TEXT})


def _flag(description: str) -> dict[str, Any]:
    return or_null(described(description, {"type": "boolean"}))


def _by_name(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return or_null({"description": description, "type": "object", "additionalProperties": schema})


def settings_schema() -> dict[str, Any]:
    """The schema of ``eeipu.yml``."""
    version = described("Change it when the data or the files change.", _VERSION)
    query = _text("A query of the dataset's database that gives the version.")
    node = closed(
        {
            "cache": _flag("Whether the node's outputs may come from the cache."),
            "version": or_null({"description": "Change it, and the node runs again.", **_VERSION}),
            "depends_on": or_null(
                {
                    "description": "Files and $VARIABLES that the node reads.",
                    "anyOf": [TEXT, {"type": "array", "items": TEXT}],
                }
            ),
        }
    )
    cache = closed(
        {
            "root": _text(
                "Where outputs are kept: a path, or an address such as s3://bucket/cache."
            ),
            "credentials": _text("Entry of credentials.yml with the storage options of the root."),
            "signing_key": _text("Entry of credentials.yml whose `key` signs the records."),
            "max_size": or_null({**_BYTES, "description": "What `cache gc` shrinks the cache to."}),
            "max_entry_bytes": or_null({**_BYTES, "description": "Larger outputs are not stored."}),
            "runs": _flag("Whether plain `kedro run` uses the cache, too."),
            "audit": or_null(
                described(
                    "Share of the saved seconds that goes into audits.",
                    {"type": "number", "minimum": 0, "maximum": 1},
                )
            ),
            "nodes": _by_name("Settings by node name or pattern.", or_null(node)),
            "inputs": _by_name(
                "Versions of data that cannot be read as a file.",
                {
                    **closed({"version": or_null(version), "version_query": query}),
                    "anyOf": [{"required": ["version"]}, {"required": ["version_query"]}],
                },
            ),
        },
        description="Where outputs of nodes are kept, and which.",
    )
    study = closed(
        {
            "storage": _text("Database address of Optuna; empty for SQLite in .eeipu/study.db."),
            "credentials": _text("Entry of credentials.yml with `username` and `password`."),
        },
        description="Where trials are recorded.",
    )
    amount = described("An amount.", {"type": "number", "exclusiveMinimum": 0})
    cluster = closed(
        {"resources": _by_name("What a trial takes of a worker's resources.", amount)},
        description="How trials run on workers.",
    )
    return {
        "$schema": DRAFT,
        "$id": f"{SCHEMAS_URL}/eeipu.schema.json",
        "title": "eeipu.yml of kedro-eeipu",
        **closed(
            {
                "cache": or_null(cache),
                "study": or_null(study),
                "cluster": or_null(cluster),
                "nodes": _by_name(
                    "Timeouts by node name or pattern.", closed({"timeout": DURATION}, "timeout")
                ),
                "mlflow": _flag("Whether trials are MLflow runs, also without kedro-mlflow."),
            }
        ),
    }
