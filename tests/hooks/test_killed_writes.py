"""A process that is killed while a dataset writes a lazy output into the cache."""

from __future__ import annotations

from typing import Any

import pytest
from test_recipes import JSON, PARTITIONED, Trials, folders, loss_of, write

# The second part kills the process once the first one is written.
NODES = """
import os
import signal

import polars as pl

PROJECT = Path(__file__).parents[2]
CACHE = PROJECT / ".eeipu" / "cache"


def part(number, p):
    if number == 1 and (PROJECT / "kill").exists():
        written = list(CACHE.glob("tmp/*/content/x/0.parquet"))
        assert written and written[0].stat().st_size
        os.kill(os.getpid(), signal.SIGKILL)
    return pl.DataFrame({"v": [1.0 + 2 * number, 2.0 + 2 * number]}) * p


def prepare(raw, p):
    ran("prepare")
    return {str(i): lambda i=i: part(i, p) for i in range(2)}


def feature(x, q):
    ran("feature")
    return [load()["v"] + q for load in x.values()]


def total(y):
    ran("total")
    return float(sum(column.sum() for column in y))
"""
X = {
    **PARTITIONED,
    "dataset": {"type": "polars.EagerPolarsDataset", "file_format": "parquet"},
    "path": "data/x",
    "filename_suffix": ".parquet",
}


@pytest.mark.parametrize("kind", ["lazy", "generator"])
def test_killed_in_the_middle_of_a_write(project: Any, kind: str) -> None:
    pytest.importorskip("polars")
    lazy = "return {str(i): lambda i=i: part(i, p) for i in range(2)}"
    assert lazy in NODES
    stream = "yield from ({str(i): part(i, p)} for i in range(2))"
    write(project, loss_of(NODES.replace(lazy, lazy if kind == "lazy" else stream)), **JSON, x=X)
    (project.path / "kill").touch()
    assert project.kedro("eeipu", "tune", "--trials", "1").returncode != 0
    assert project.executions() == ["prepare"]
    cache = project.path / ".eeipu" / "cache"
    assert [p.name for p in cache.glob("tmp/*/content/x/*")] == ["0.parquet"], "half of the files"
    store = project.load().store
    assert (folders(project), store.verify()) == ([], [])
    (project.path / "kill").unlink()
    trial = Trials(project, "later")
    assert trial(1, 0, 0) == (10, {"prepare", "feature", "total", "score"})
    assert trial(1, 5, 0) == (30, {"feature", "total", "score"})
    assert (len(folders(project)), store.verify()) == (1, [])
    store.gc(None, grace_seconds=-10)
    assert list((cache / "tmp").iterdir()) == []
    assert list((cache / "leases").iterdir()) == []
    assert trial(1, 6, 0) == (34, {"feature", "total", "score"})
