"""What a trial costs beside a bare `KedroServiceSession.run` of the same six trivial nodes.

    python tests/benchmarks/overhead.py [trials]

Bare runs, trials that run every node and trials that are wholly reused take turns, so that a
machine that slows down slows all alike. Wall and CPU milliseconds: median (quartiles).
"""

from __future__ import annotations

import logging
import random
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from conftest import PARAMETERS, PIPELINE, KedroProject

from kedro_eeipu.study.limits import Limits

SIXTH = 'node(nodes.score, ["joined", "params:left.weight"], "again", name="sixth"),\n    ])'


def measure(action: Callable[[], Any]) -> tuple[float, float]:
    """Wall and CPU milliseconds of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    action()
    return 1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - cpu)


def main(trials: int) -> None:
    warnings.simplefilter("ignore")
    project = KedroProject(Path(tempfile.mkdtemp()))
    project.write_pipeline(PIPELINE.replace("])", SIXTH))
    nodes = project.source / "nodes.py"
    nodes.write_text(nodes.read_text().replace("with EXECUTIONS", "return\n    with EXECUTIONS"))
    tuner = project.tuner(limits=Limits(trials=trials))
    logging.disable(logging.CRITICAL)
    rng = random.Random(0)
    times: dict[str, list[tuple[float, float]]] = {"bare": [], "run": [], "reused": []}
    with tuner.project.quiet():
        for _ in range(trials + 3):
            params = {
                "clean.scale": rng.uniform(0.5, 2),
                "left.weight": rng.uniform(0.1, 10),
                "right.power": 2,
                "shift": rng.uniform(0, 50),
            }
            runtime = {"shift": params["shift"], "right": PARAMETERS["right"]}
            session = tuner.project.session
            times["bare"].append(measure(partial(session.run, runtime_params=runtime)))
            times["run"].append(measure(partial(tuner.evaluate, params)))
            times["reused"].append(measure(partial(tuner.evaluate, params)))
    print(f"{trials} of each, milliseconds: median (quartiles)")
    for name, pairs in times.items():
        for clock, values in zip(("wall", "CPU"), zip(*pairs[3:], strict=True), strict=True):
            low, middle, high = statistics.quantiles(values, n=4)
            print(f"{name:>7} {clock:>5} {middle:7.1f} ({low:.1f} to {high:.1f})")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
