"""Kill processes in the middle of writing lazy outputs; nothing wrong may be served afterwards.

    python tests/proof/lazy_killed.py [polars dask spark] [--kills 5]

A child tunes a pipeline whose first output the catalog declares. It is killed once the first file
of that output has appeared in the cache, after a random time. Then another child runs the same
trial to its end. Its value must be that of a plain run, `verify` must find nothing wrong, and what
the killed ones have left must go with `gc`.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]
os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
warnings.simplefilter("ignore")

from conftest import KedroProject  # noqa: E402
from lazy import CATALOG, HEAD, LIBRARIES, PARAMETERS, PIPELINE  # noqa: E402

ROWS = 400_000
LIMIT = 120.0
PARTS = {
    "dask": ("    return frame.assign(", "    return frame.repartition(npartitions=8).assign("),
    "spark": ("    return raw.filter(", "    return raw.repartition(8).filter("),
}


def made(library: str, folder: Path) -> KedroProject:
    """A project whose first output is declared, and written in several parts where it can be."""
    import pandas as pd

    project = KedroProject(folder)
    text = HEAD + LIBRARIES[library]
    old, new = PARTS.get(library, ("", ""))
    assert old in text
    text = text.replace(old, new, 1)
    for name in ("prepare", "feature", "total", "score"):
        text = text.replace(f"{{{name}}}", "0")
    project.write_nodes(text)
    project.write_pipeline(PIPELINE)
    project.write_parameters(PARAMETERS)
    project.write_catalog(
        {
            "metrics": {"type": "json.JSONDataset", "filepath": "data/metrics.json"},
            **{n: {**CATALOG[library], "filepath": f"data/{n}.parquet"} for n in ("raw", "x")},
        }
    )
    numbers = range(ROWS)
    frame = pd.DataFrame({"g": [i % 3 for i in numbers], "v": [i * 7 % 11 for i in numbers]})
    frame.to_parquet(project.path / "data" / "raw.parquet", index=False)
    return project


def params(number: int) -> dict[str, int]:
    """The values of a trial."""
    return {"p": 1 + number // 4 % 3, "q": number % 4, "t": 1, "r": 1}


def child(project: KedroProject, study: str, number: int) -> subprocess.Popen[bytes]:
    """A process that runs one trial and says what came out."""
    command = [sys.executable, "-W", "ignore", "-m", "kedro", "eeipu", "tune"]
    command += ["--study", study, "--sampler", "random", "--trials", "1", "--try"]
    return subprocess.Popen(
        [*command, ",".join(f"{name}={value}" for name, value in params(number).items())],
        cwd=project.path,
        env=project.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def kill_while_it_writes(
    project: KedroProject, process: subprocess.Popen[bytes], wait: float
) -> bool:
    """Whether it was killed before it had written everything."""
    cache = project.path / ".eeipu" / "cache"
    deadline = time.monotonic() + LIMIT
    while process.poll() is None and time.monotonic() < deadline:
        if any(path.is_file() for path in cache.glob("tmp/*/content/**/*")):
            break
        time.sleep(0.0005)
    time.sleep(wait)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return bool(list(cache.glob("tmp/*/content"))) and not list(cache.glob("files/*/*"))


def proved(library: str, kills: int, folder: Path) -> dict[str, Any]:
    """What came of killing so many processes, one after the other."""
    choose = random.Random(0)
    project = made(library, folder)
    hit = wrong = 0
    problems: list[Any] = []
    for i in range(kills):
        process = child(project, f"killed-{i}", i)
        hit += kill_while_it_writes(project, process, choose.uniform(0, 0.02))
        problems += project.load().store.verify()
        again = child(project, f"again-{i}", i)
        assert again.wait() == 0
        tuner = project.tuner(f"again-{i}")
        value = tuner.study.trials()[-1].value
        wrong += abs(value - project.plain_run(params(i))["loss"]) > 1e-9
        store = project.load().store
        problems += store.verify()
        store.gc(0, grace_seconds=-10)  # the files of this one, too: the next one writes again
        left = [*(project.path / ".eeipu" / "cache" / "tmp").iterdir()]
        problems += [path.name for path in left]
    return {"killed while writing": hit, "of": kills, "wrong": wrong, "problems": problems}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("libraries", nargs="*", default=["polars", "dask", "spark"])
    parser.add_argument("--kills", type=int, default=5)
    options = parser.parse_args()
    logging.disable(logging.ERROR)
    failed = False
    for library in options.libraries:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            result = proved(library, options.kills, Path(folder))
            os.chdir("/")
        print(library, result, flush=True)
        failed = failed or bool(
            result["wrong"] or result["problems"] or not result["killed while writing"]
        )
    sys.exit(failed)


if __name__ == "__main__":
    main()
