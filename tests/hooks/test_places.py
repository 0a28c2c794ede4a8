"""Where the data of free inputs lies, and what stands for its content."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from kedro.io import AbstractDataset
from kedro_datasets.pandas import SQLQueryDataset, SQLTableDataset

from kedro_eeipu.cache.identity.canonical import Unidentifiable
from kedro_eeipu.config.settings import InputSettings
from kedro_eeipu.hooks.inputs import free_input


class PathDataset(AbstractDataset[Any, Any]):
    """Stands for a dataset of a library that is given no more than a path."""

    def __init__(
        self,
        *,
        filepath: str,
        file_format: str = "parquet",
        load_args: dict[str, Any] | None = None,
    ) -> None: ...

    def load(self) -> Any: ...

    def save(self, data: Any) -> None: ...

    def _describe(self) -> dict[str, Any]:
        return {}


PathDataset.__module__ = "kedro_datasets.spark.spark_dataset"


def token(dataset: Any, stated: InputSettings | None = None) -> str:
    return free_input("raw", dataset, {} if stated is None else {"raw": stated})[0]


def test_files_that_a_library_finds_by_a_path_are_known_by_content(tmp_path: Path) -> None:
    folder, pattern = PathDataset(filepath=str(tmp_path)), PathDataset(filepath=f"{tmp_path}/*.csv")
    (tmp_path / "a.csv").write_text("1")
    before = token(folder), token(pattern)
    assert before == (token(folder), token(PathDataset(filepath=f"file://{tmp_path}/*.csv")))
    (tmp_path / "b.csv").write_text("2")
    assert token(folder) != before[0]
    assert token(pattern) != before[1]
    with pytest.raises(Unidentifiable, match="matches no file"):
        token(PathDataset(filepath=f"{tmp_path}/*.json"))
    with pytest.raises(Unidentifiable, match=r"cache\.inputs\.raw\.version"):
        token(PathDataset(filepath=str(tmp_path), load_args={"schema": {"filepath": "s.json"}}))


def test_delta_table_is_known_by_its_log(tmp_path: Path) -> None:
    table = PathDataset(filepath=str(tmp_path), file_format="delta")
    (tmp_path / "_delta_log").mkdir()
    (tmp_path / "_delta_log" / "0.json").write_text("add part-0")
    (tmp_path / "part-0").write_text("data")
    before = token(table)
    (tmp_path / "part-1").write_text("of a write that goes on")
    assert token(table) == before
    (tmp_path / "_delta_log" / "1.json").write_text("add part-1")
    assert token(table) != before


def test_files_that_hugging_face_writes_while_it_reads_do_not_count(tmp_path: Path) -> None:
    data = PathDataset(filepath=str(tmp_path))
    for name in ("state.json", "dataset_info.json", "data-0.arrow"):
        (tmp_path / name).write_text(name)
    before = token(data)
    (tmp_path / "cache-1f.arrow").write_text("what map() came to")
    assert token(data) == before
    (tmp_path / "state.json").unlink()
    assert token(data) != before


def test_query_tells_the_version_of_a_table(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "orders.db")
    database.execute("create table orders (id integer)")
    database.commit()
    credentials = {"con": f"sqlite:///{tmp_path}/orders.db"}
    stated = InputSettings(version_query="select count(*) from orders")

    def table() -> Any:  # each run has a catalog of its own
        return SQLTableDataset(table_name="orders", credentials=credentials)

    first = table()
    before = token(first, stated)
    database.execute("insert into orders values (1)")
    database.commit()
    assert token(first, stated) == before, "it is asked once a run"
    assert token(table(), stated) != before
    with pytest.raises(Unidentifiable, match="failed: OperationalError"):
        token(table(), InputSettings(version_query="select 1 from nowhere"))
    with pytest.raises(Unidentifiable, match="no connection"):
        token(PathDataset(filepath="x"), stated)
    query = tmp_path / "query.sql"
    query.write_text("select * from orders")
    before = token(SQLQueryDataset(filepath=str(query), credentials=credentials), stated)
    query.write_text("select id from orders")
    assert token(SQLQueryDataset(filepath=str(query), credentials=credentials), stated) != before
