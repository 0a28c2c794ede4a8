"""Measure trials of the demo project's pipelines, for the simulation in demo_workers.py.

    cd demo_project && ../.venv/bin/python ../tests/benchmarks/demo_trials.py

Each pipeline runs 40 trials at random, the defaults first, and 20 more that EEIPU proposes, so
that both the whole space and its better part are seen. Costs are CPU seconds. Written to
tests/benchmarks/demo_trials.json: the ranges and the stage graph on the unit cube, and of each
trial its point, its value and the seconds of the stages that ran.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from kedro.framework.startup import bootstrap_project

from kedro_eeipu.project.project import Project
from kedro_eeipu.study.encoding import dimension
from kedro_eeipu.study.limits import Limits
from kedro_eeipu.study.opening import open_study
from kedro_eeipu.study.sampler import EEIPUSampler
from kedro_eeipu.tuning.runner import EEIPURunner

RESULTS = Path(__file__).with_name("demo_trials.json")
PIPELINES = ("__default__", "vision", "language")
TRIALS = {"random": 40, "eeipu": 60}


def measure(name: str, home: Path) -> dict[str, Any]:
    """Run the trials of a pipeline with a cache and a study of their own."""
    bootstrap_project(Path.cwd())  # anew: after a run Kedro knows the pipelines of that run only
    project = Project.load(Path.cwd(), pipeline_name=name)
    project = replace(project, storage=f"sqlite:///{home / 'study.db'}")
    project.store.root = str(home / "cache")
    study = open_study(project.storage, "measured", project.space, create=True)
    for kind, count in TRIALS.items():
        # CPU time is the cost of a node: others may use the machine meanwhile.
        limits, meta = Limits(trials=count), {"clock": "cpu"}
        runner = EEIPURunner(project, study, limits, sampler=kind, meta=meta)
        runner.run()
    sampler = EEIPUSampler(project.space, project.stage_graph())
    sign = 1.0 if study.maximize else -1.0
    trials = []
    for trial in study.trials():
        if trial.value is not None:
            seen = runner.observer.observation(trial, frozenset())
            trials.append(
                {
                    "x": [None if u != u else u for u in sampler.point(trial.params)],
                    "y": sign * trial.value,
                    "costs": {s: round(seconds, 4) for s, seconds in seen.costs.items()},
                    "loads": {s: round(seconds, 4) for s, seconds in seen.loads.items()},
                }
            )
    dimensions = [dimension(project.space, r) for r in project.space]
    return {
        "parameters": list(project.space.paths),
        "dimensions": [
            {
                "levels": d.levels,
                "ordered": d.ordered,
                "places": list(d.places),
                "active_when": d.active_when and [d.active_when[0], sorted(d.active_when[1])],
            }
            for d in dimensions
        ],
        "stages": [
            {"nodes": list(s.nodes), "parameters": list(s.parameters), "parents": sorted(s.parents)}
            for s in project.stage_graph()
        ],
        "trials": trials,
    }


def main() -> None:
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in PIPELINES:
        if name not in found:
            with tempfile.TemporaryDirectory() as home:
                found[name] = measure(name, Path(home))
            RESULTS.write_text(json.dumps(found, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
