"""A run that writes to a private folder: by path, whatever the datasets are called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline, node
from kedro.runner import SequentialRunner
from kedro_datasets.json import JSONDataset

from kedro_eeipu._kedro import init_config
from kedro_eeipu.hooks.fresh_run import FreshRun
from kedro_eeipu.search import Objective


class Inheriting(JSONDataset):  # type: ignore[misc]
    """A class that has no ``__init__`` of its own."""


CATALOG: dict[str, Any] = {
    "raw": {"type": "json.JSONDataset", "filepath": "{root}/raw.json"},
    "written": {"type": "json.JSONDataset", "filepath": "{root}/same.json"},
    "read": {"type": "json.JSONDataset", "filepath": "{root}/same.json"},
    "table@pandas": {"type": "pandas.CSVDataset", "filepath": "{root}/table.csv"},
    "table@text": {"type": "text.TextDataset", "filepath": "{root}/table.csv"},
    "versions": {
        "type": "json.JSONDataset",
        "filepath": "{root}/versions.json",
        "versioned": True,
    },
    "parts": {
        "type": "partitions.PartitionedDataset",
        "path": "{root}/parts",
        "dataset": "json.JSONDataset",
        "filename_suffix": ".json",
    },
    "one_part": {"type": "json.JSONDataset", "filepath": "{root}/parts/b.json"},
    "cached": {
        "type": "CachedDataset",
        "dataset": {"type": "json.JSONDataset", "filepath": "{root}/cached.json"},
    },
    "sql": {
        "type": "pandas.SQLTableDataset",
        "table_name": "t",
        "credentials": {"con": "sqlite:///{root}/rows.db"},
    },
}


def _filled(config: Any, root: Path) -> Any:
    if isinstance(config, dict):
        return {key: _filled(value, root) for key, value in config.items()}
    return config.replace("{root}", str(root)) if isinstance(config, str) else config


def _content(root: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def test_declared_outputs_go_elsewhere_by_path(tmp_path: Path) -> None:
    root, private = tmp_path / "data", tmp_path / "private"
    root.mkdir()
    (root / "raw.json").write_text("1")
    (root / "same.json").write_text('"old"')
    (root / "parts").mkdir()
    (root / "parts" / "a.json").write_text("7")
    before = _content(root)
    seen: dict[str, Any] = {}
    pipeline = Pipeline(
        [
            node(lambda old: seen.update(old=old) or "go", "read", "go", name="reads_first"),
            node(lambda raw, _: raw + 1, ["raw", "go"], "written", name="write"),
            node(
                lambda n: pd.DataFrame({"n": [n]}), "written", "table@pandas", name="table",
                confirms="raw",
            ),
            node(lambda text: {"rows": text}, "table@text", "versions", name="versions"),
            node(lambda v: {"b": v["rows"]}, "versions", "parts", name="parts"),
            node(lambda p: sorted(p), "parts", "cached", name="cached"),
            node(lambda c: pd.DataFrame({"c": c}), "cached", "sql", name="sql"),
            node(lambda t: {"loss": len(t)}, "sql", "metrics", name="score"),
        ]
    )  # fmt: skip
    pipeline += Pipeline(
        [node(lambda part, _: part, ["one_part", "cached"], "seen_part", name="part")]
    )
    catalog = DataCatalog.from_config(_filled(CATALOG, root))
    objective = Objective("metrics", "loss", "minimize")
    run = FreshRun("run", private, _Nowhere(), objective)  # type: ignore[arg-type]
    run.begin(pipeline, catalog)
    assert not any(n.confirms for n in pipeline.nodes)
    SequentialRunner().run(pipeline, catalog)
    run.end()
    assert any(n.confirms for n in pipeline.nodes)
    assert _content(root) == before
    assert seen == {"old": "old"}, "what lies there before the run can be read"
    assert run.in_memory == ["sql"]
    assert catalog["read"].load() == 2, "two names, one file"
    assert catalog["cached"].load() == ["a", "b"], "a folder that is read from, too, is complete"


def test_arguments_of_a_dataset_are_complete() -> None:
    own = Inheriting(filepath="x.json", save_args={"indent": 1}, metadata={"n": 2})
    config = init_config(own)
    assert config.pop("type").endswith("Inheriting")
    assert config == {"filepath": "x.json", "save_args": {"indent": 1}, "metadata": {"n": 2}}
    assert init_config(JSONDataset(filepath="x.json", metadata={"n": 2}))["metadata"] == {"n": 2}


class _Nowhere:
    """A store that is asked for nothing here."""
