"""Tune pipelines of lazy frames in their own libraries, and compare each trial with a plain run.

    python tests/proof/lazy.py [polars dask ibis spark delta] [--trials 60] [--out build/lazy.jsonl]

A pipeline has four nodes: ``prepare`` and ``feature`` are lazy, ``total`` evaluates, ``score`` is
cheap. Between trials the input is replaced and the code of a node edited, and the features are
declared or not. Delta tables are read as frames of pandas, so that nothing is lazy there. Each
trial must come to what a plain run comes to, and must call no more functions than those whose code,
parameters or data are new, and the lazy ones that those need.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]
os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
warnings.simplefilter("ignore")

from conftest import KedroProject  # noqa: E402

NODES = ("prepare", "feature", "total", "score")
READS = {
    "prepare": ("raw", "p"),
    "feature": ("prepare", "q"),
    "total": ("feature", "t"),
    "score": ("total", "r"),
}
PARAMETERS = {
    **dict.fromkeys("pqtr", 1),
    "eeipu": {
        "objective": {"dataset": "metrics", "key": "loss", "direction": "minimize"},
        "space": {name: {"low": 0, "high": 3} for name in "pqtr"},
        "trials": 4,
    },
}
PIPELINE = """
from kedro.pipeline import Pipeline, node

from . import nodes


def create_pipeline(**kwargs):
    return Pipeline([
        node(nodes.prepare, ["raw", "params:p"], "x", name="prepare"),
        node(nodes.feature, ["x", "params:q"], "y", name="feature"),
        node(nodes.total, ["y", "params:t"], "z", name="total"),
        node(nodes.score, ["z", "params:r"], "metrics", name="score"),
    ])
"""
HEAD = """
from pathlib import Path

EXECUTIONS = Path(__file__).parents[2] / "executions.log"


def ran(name):
    with EXECUTIONS.open("a") as file:
        file.write(name + "\\n")


def score(z, r):
    ran("score")
    return {"loss": z + r * 0.5 + {score}}

"""
LIBRARIES = {
    "polars": """
import polars as pl


def prepare(raw, p):
    ran("prepare")
    return raw.filter(pl.col("v") > p).with_columns(w=pl.col("v") * 2 + {prepare})


def feature(x, q):
    ran("feature")
    return x.group_by("g").agg(pl.col("w").sum() + q + {feature}).sort("g")


def total(y, t):
    ran("total")
    return float(y.collect()["w"].sum()) * (t + 1 + {total})
""",
    "dask": """
def prepare(raw, p):
    ran("prepare")
    frame = raw[raw.v > p]
    return frame.assign(w=frame.v * 2 + {prepare})


def feature(x, q):
    ran("feature")
    return (x.groupby("g").w.sum() + q + {feature}).to_frame()


def total(y, t):
    ran("total")
    return float(y.compute().w.sum()) * (t + 1 + {total})
""",
    "ibis": """
def prepare(raw, p):
    ran("prepare")
    return raw.filter(raw.v > p).mutate(w=raw.v * 2 + {prepare})


def feature(x, q):
    ran("feature")
    return x.group_by("g").aggregate(w=x.w.sum() + q + {feature})


def total(y, t):
    ran("total")
    return float(y.w.sum().execute()) * (t + 1 + {total})
""",
    "delta": """
def prepare(raw, p):
    ran("prepare")
    frame = raw[raw.v > p].reset_index(drop=True)
    return frame.assign(w=frame.v * 2 + {prepare})


def feature(x, q):
    ran("feature")
    sums = x.groupby("g", as_index=False).w.sum()
    return sums.assign(w=sums.w + q + {feature})


def total(y, t):
    ran("total")
    return float(y.w.sum()) * (t + 1 + {total})
""",
    "spark": """
from pyspark.sql import functions as F


def prepare(raw, p):
    ran("prepare")
    return raw.filter(raw.v > p).withColumn("w", raw.v * 2 + {prepare})


def feature(x, q):
    ran("feature")
    return x.groupBy("g").agg((F.sum("w") + q + {feature}).alias("w"))


def total(y, t):
    ran("total")
    return float(y.agg(F.sum("w")).first()[0]) * (t + 1 + {total})
""",
}
CATALOG: dict[str, dict[str, Any]] = {
    "polars": {"type": "polars.LazyPolarsDataset", "file_format": "parquet"},
    "dask": {"type": "dask.ParquetDataset"},
    "ibis": {
        "type": "ibis.FileDataset",
        "file_format": "parquet",
        "connection": {"backend": "duckdb"},
    },
    "delta": {"type": "pandas.DeltaTableDataset", "save_args": {"mode": "overwrite"}},
    "spark": {
        "type": "spark.SparkDataset",
        "file_format": "parquet",
        "save_args": {"mode": "overwrite"},
    },
}


class Walk:
    """One project of one library, in the state to which edits have brought it."""

    def __init__(self, library: str, folder: Path, seed: int) -> None:
        self.library = library
        self.random = random.Random(seed)
        self.project = KedroProject(folder)
        self.project.write_pipeline(PIPELINE)
        self.project.write_parameters(PARAMETERS)
        self.numbers = dict.fromkeys(NODES, 0)
        self.data = 0
        self.versions = 0  # of a Delta table, which is another one even with equal rows
        self.declared: set[str] = set()
        self.known: set[Any] = set()
        self.kept: set[Any] = set()
        self.write_data()
        self.write_nodes()
        self.write_catalog()

    def write_data(self) -> None:
        import pandas as pd

        rows = range(20 + self.data)
        frame = pd.DataFrame(
            {"g": [i % 3 for i in rows], "v": [(i * 7 + self.data) % 11 for i in rows]}
        )
        path = self.project.path / "data" / "raw.parquet"
        if self.library == "delta":
            import deltalake

            deltalake.write_deltalake(str(path), frame, mode="overwrite")
            self.versions += 1
        else:
            frame.to_parquet(path, index=False)

    def write_nodes(self) -> None:
        text = HEAD + LIBRARIES[self.library]
        for name, number in self.numbers.items():
            text = text.replace(f"{{{name}}}", str(number))
        self.project.write_nodes(text)

    def write_catalog(self) -> None:
        kind = CATALOG[self.library]
        names = ["raw", *sorted(self.declared)]
        self.project.write_catalog(
            {
                "metrics": {"type": "json.JSONDataset", "filepath": "data/metrics.json"},
                **{name: {**kind, "filepath": f"data/{name}.parquet"} for name in names},
            }
        )

    def change(self) -> str:
        """Edit something now and then; returns what."""
        kind = self.random.choice(["", "", "", "", "data", "code", "declared"])
        if kind == "data":
            self.data = self.random.randrange(4)
            self.write_data()
        elif kind == "code":
            name = self.random.choice(NODES)
            self.numbers[name] = self.random.randrange(3)
            self.write_nodes()
        elif kind == "declared":
            self.declared ^= {self.random.choice("xy")}
            self.write_catalog()
        return kind

    def expected(self, params: dict[str, int]) -> tuple[set[str], set[str]]:
        """Nodes that have to run, and lazy ones that these may have called again."""
        signatures: dict[str, Any] = {"raw": ("raw", self.data, self.versions)}
        new, needed = set(), set()
        outputs = {"prepare": "x", "feature": "y"}
        for name, (source, parameter) in READS.items():
            # What is declared is read back, so that what reads it is known by that, too.
            read = outputs.get(source) in self.declared
            own = (name, self.numbers[name], params[parameter], signatures[source], read)
            signatures[name] = own
            if own not in self.known:
                new.add(name)
        for name in reversed(NODES):
            source = READS[name][0]
            if source in outputs and (name in new or name in needed) and source not in new:
                kept = (signatures[source], "kept")
                if outputs[source] not in self.declared or kept not in self.kept:
                    needed.add(source)
        for name, output in outputs.items():
            if output in self.declared and (name in new or name in needed):
                self.kept.add((signatures[name], "kept"))
        self.known |= {signatures[name] for name in new}
        return new, needed

    def trials(self, number: int) -> Iterator[dict[str, Any]]:
        tuner = None
        for i in range(number):
            edit = self.change() if i else ""
            if tuner is None or edit:
                tuner = self.project.tuner(f"walk-{i}")
            params = {name: self.random.randrange(2) for name in "pqtr"}
            new, needed = self.expected(params)
            self.project.executions()
            started = time.perf_counter()
            record = tuner.evaluate(params)
            seconds = time.perf_counter() - started
            called = self.project.executions()
            plain = self.project.plain_run(params)["loss"]
            self.project.executions()
            yield {
                "library": self.library,
                "trial": i,
                "edit": edit,
                "value": record.value,
                "plain": plain,
                "error": record.error,
                "same": record.error is None and abs(record.value - plain) < 1e-9,
                "called": called,
                "needless": sorted(set(called) - new - needed),
                "missing": sorted(new - set(called)),
                "lazy_calls": sorted(set(called) - new),
                "seconds": round(seconds, 3),
            }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("libraries", nargs="*", default=list(LIBRARIES))
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("build/lazy.jsonl"))
    options = parser.parse_args()
    options.out = options.out.absolute()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    logging.disable(logging.ERROR)
    wrong = 0
    for library in options.libraries:
        with tempfile.TemporaryDirectory() as folder, options.out.open("a") as out:
            walk = Walk(library, Path(folder), options.seed)
            os.chdir(folder)
            lines = []
            for line in walk.trials(options.trials):
                out.write(json.dumps(line) + "\n")
                out.flush()
                lines.append(line)
                if not line["same"] or line["needless"]:
                    print(line)
            os.chdir("/")
        same = sum(line["same"] for line in lines)
        needless = sum(len(line["needless"]) for line in lines)
        calls = sum(len(line["called"]) for line in lines)
        lazy = sum(len(line["lazy_calls"]) for line in lines)
        edits = sum(bool(line["edit"]) for line in lines)
        print(
            f"{library}: {same} of {len(lines)} trials as plain runs, {edits} edits, {calls} of "
            f"{4 * len(lines)} functions called, {lazy} of them for lazy values, "
            f"{needless} needless"
        )
        wrong += len(lines) - same + needless
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
