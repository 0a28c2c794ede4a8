"""What keeping and loading lazy values costs, against their own datasets; a fit that is reused.

python tests/proof/lazy_costs.py [polars dask ibis spark fit]

Each operation alternates with the one that it is compared with. Other work on the machine adds to
the time that one takes, so there are ratios of the fastest and, where the library works in this
process, of the medians of CPU seconds.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]
os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
warnings.simplefilter("ignore")

from conftest import KedroProject  # noqa: E402
from kedro.io import AbstractDataset  # noqa: E402
from lazy import CATALOG, PARAMETERS  # noqa: E402

from kedro_eeipu.cache.identity.canonical import combine  # noqa: E402
from kedro_eeipu.cache.store.store import Store  # noqa: E402
from kedro_eeipu.hooks.kept_files import KeptFiles  # noqa: E402
from kedro_eeipu.hooks.recipes import recipe_of  # noqa: E402

ROWS = 4_000_000
REPEATS = 15
EVALUATE: dict[str, Callable[[Any], Any]] = {
    "polars": lambda frame: frame.select("v").sum().collect(),
    "dask": lambda frame: frame.v.sum().compute(),
    "ibis": lambda frame: frame.v.sum().execute(),
    "spark": lambda frame: frame.agg({"v": "sum"}).first(),
}
FIT = """
from pathlib import Path

from pyspark.ml.feature import VectorAssembler
from pyspark.ml.regression import GBTRegressor
from pyspark.sql import functions as F


def prepare(raw, p):
    return raw.withColumn("w", F.sin(raw.v * p) + raw.g)


def fit(x, q):
    frame = VectorAssembler(inputCols=["v", "g"], outputCol="features").transform(x)
    model = GBTRegressor(labelCol="w", maxIter=6 + q, seed=1).fit(frame)
    return model.transform(frame).select("w", "prediction")


def total(y, t):
    row = y.agg(F.avg(F.abs(y.w - y.prediction) ** (1 + t))).first()
    return float(row[0])


def score(z, r):
    return {"loss": z + r}
"""
PIPELINE = """
from kedro.pipeline import Pipeline, node

from . import nodes


def create_pipeline(**kwargs):
    return Pipeline([
        node(nodes.prepare, ["raw", "params:p"], "x", name="prepare"),
        node(nodes.fit, ["x", "params:q"], "y", name="fit"),
        node(nodes.total, ["y", "params:t"], "z", name="total"),
        node(nodes.score, ["z", "params:r"], "metrics", name="score"),
    ])
"""


def seconds(function: Callable[[], Any]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def both_seconds(function: Callable[[], Any]) -> tuple[float, float]:
    """Seconds of the clock, and of CPU in all threads of this process."""
    before = time.process_time()
    return seconds(function), time.process_time() - before


def costs(library: str, folder: Path) -> dict[str, Any]:
    """Seconds of keeping and loading, and of the dataset's own saving and loading."""
    import numpy as np
    import pandas as pd

    generator = np.random.default_rng(1)
    frame = pd.DataFrame({"g": generator.integers(0, 9, ROWS), "v": generator.normal(size=ROWS)})
    frame.to_parquet(folder / "raw.parquet", index=False)
    config = {**CATALOG[library], "filepath": str(folder / "raw.parquet")}
    value = AbstractDataset.from_config("raw", config).load()
    store = Store(str(folder / "cache"))
    names = ("save", "keep", "digests", "load", "load kept")
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for number in range(REPEATS + 1):
        own = {**config, "filepath": str(folder / f"own-{number}.parquet")}
        for name, took in _once(store, own, value, EVALUATE[library], number):
            measured[name] += [took] if number else []  # the first one imports
    fastest = {name: round(min(wall for wall, _ in took), 3) for name, took in measured.items()}
    cpu = {name: median(used for _, used in took) for name, took in measured.items()}
    result: dict[str, Any] = dict(fastest)
    for kept, own_name in (("keep", "save"), ("load kept", "load")):
        result[f"{kept} / {own_name}"] = round(fastest[kept] / fastest[own_name], 2)
        if library != "spark":
            result[f"CPU {kept} / {own_name}"] = round(cpu[kept] / cpu[own_name], 2)
    if library != "spark":
        result["CPU digests / save"] = round(cpu["digests"] / cpu["save"], 2)
    return result


def _once(
    store: Store, own: dict[str, Any], value: Any, evaluate: Callable[[Any], Any], number: int
) -> list[tuple[str, tuple[float, float]]]:
    """Seconds of each operation, in an order that alternates."""
    dataset = AbstractDataset.from_config("own", own)
    blob, key = recipe_of(combine(code=str(number)), 0), combine(key=str(number))
    files, kept = (KeptFiles("kept", store, dataset, "parquet", f"run{number}") for _ in "ab")

    def keep() -> None:
        files.write(value)
        files.commit(blob, key, 1.0)

    saving = [("save", lambda: dataset.save(value)), ("keep", keep)]
    loading = [
        ("load", lambda: evaluate(dataset.load())),
        ("load kept", lambda: evaluate(kept.load(kept.path(blob) or ""))),
    ]
    step = 1 if number % 2 else -1
    measured = []
    for name, function in [*saving[::step], *loading[::step]]:
        measured.append((name, both_seconds(function)))
        if name == "keep":  # digests are computed beside what comes next
            measured.append(("digests", both_seconds(store.folders.settle)))
    return measured


def fit(folder: Path) -> dict[str, float]:
    """Node seconds of trials of a Spark pipeline that change what comes after an expensive fit."""
    import numpy as np
    import pandas as pd

    results: dict[str, Any] = {}
    for case in ("not declared", "declared"):
        project = KedroProject(folder / case.replace(" ", "-"))
        project.write_nodes(FIT)
        project.write_pipeline(PIPELINE)
        project.write_parameters(PARAMETERS)
        names = ["raw", "y"] if case == "declared" else ["raw"]
        project.write_catalog(
            {
                "metrics": {"type": "json.JSONDataset", "filepath": "data/metrics.json"},
                **{n: {**CATALOG["spark"], "filepath": f"data/{n}.parquet"} for n in names},
            }
        )
        generator = np.random.default_rng(1)
        frame = {"g": generator.integers(0, 9, 5000), "v": generator.normal(size=5000)}
        pd.DataFrame(frame).to_parquet(project.path / "data" / "raw.parquet", index=False)
        tuner = project.tuner()
        rows = []
        for t, r in ((0, 0), (1, 0), (1, 1), (2, 1)):
            params = {"p": 1, "q": 1, "t": t, "r": r}
            took = seconds(lambda: rows.append(tuner.evaluate(params)))  # noqa: B023
            plain = project.plain_run(params)["loss"]
            assert rows[-1].error is None, rows[-1].error
            assert abs(rows[-1].value - plain) < 1e-9
            results[f"{case}, t={t} r={r}"] = round(took, 2)
    return results


def main() -> None:
    logging.disable(logging.ERROR)
    for what in sys.argv[1:] or [*EVALUATE, "fit"]:
        with tempfile.TemporaryDirectory() as folder:
            result = fit(Path(folder)) if what == "fit" else costs(what, Path(folder))
            print(what, json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
