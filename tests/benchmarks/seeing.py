"""How long it takes to look at a large study: 1,000 trials of a pipeline of 100 nodes.

    python tests/benchmarks/seeing.py

The first trial runs; the others are made up and stored as if they had. Prints the seconds of
`kedro eeipu trials` and `report`, of `viz` until its page is served, and, where there is a
browser, of a switch from one trial to another in the page. What other plugins of the environment
cost is in `kedro --version`.
"""

from __future__ import annotations

import json
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import optuna

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "browser")]

from conftest import KedroProject  # noqa: E402
from pages import Page, browser_missing, start_browser, wait_for  # noqa: E402

TRIALS, NODES, PARAMETERS, SWITCHES = 1_000, 100, 20, 15

CODE = """
import numpy
import pandas


def step(amount, *frames):
    start = sum(float(f["x"].iloc[0]) for f in frames) / max(1, len(frames))
    return pandas.DataFrame({"x": start + amount * numpy.arange(50.0), "y": "text"})


def score(frame):
    return {"loss": float(frame["x"].mean())}
"""
PIPELINE = f"""
from kedro.pipeline import Pipeline, node

from . import nodes


def create_pipeline(**kwargs):
    made = []
    for i in range({NODES} - 1):
        before = [f"frame_{{j}}" for j in (i - 1, i - 7) if j >= 0 and (j == i - 7 or i % 10)]
        inputs = [f"params:part_{{i * {PARAMETERS} // {NODES}}}.amount", *before]
        made.append(node(nodes.step, inputs, f"frame_{{i}}", name=f"step_number_{{i}}"))
    made.append(node(nodes.score, "frame_{NODES - 2}", "metrics", name="score"))
    return Pipeline(made)
"""


def make_project(path: Path) -> KedroProject:
    """A project of so many nodes, with its first trial run."""
    parts = [f"part_{i}" for i in range(PARAMETERS)]
    project = KedroProject(path)
    project.write_nodes(CODE)
    project.write_pipeline(PIPELINE)
    project.write_catalog({})
    project.write_parameters(
        {
            **{part: {"amount": 0.5} for part in parts},
            "eeipu": {
                "objective": {"dataset": "metrics", "key": "loss", "direction": "minimize"},
                "space": {f"{part}.amount": {"low": 0.0, "high": 1.0} for part in parts},
                "trials": TRIALS,
            },
        }
    )
    return project


def make_up_trials(tuner: Any) -> None:
    """Store trials that share the nodes before a random one with the first trial."""
    draw = random.Random(0)
    (first,) = tuner.study.trials()
    study = tuner.study.optuna
    distributions = study.get_trials()[0].distributions
    now = datetime.now()
    trials = []
    for number in range(1, TRIALS):
        changed = draw.randrange(NODES)
        nodes = []
        for i, node in enumerate(first.nodes):
            told = node.to_json()
            reused = i < changed
            told |= {"status": "reused" if reused else "ran", "seconds": draw.uniform(0.1, 2.0)}
            if reused:
                told["saved"] = told.pop("seconds")
            else:
                told["key"] = f"{number:08x}{i:056x}"
                told["outputs"] = [draw.choice(first.nodes[:-1]).outputs[0]]
            nodes.append(told)
        began = now + timedelta(minutes=number)
        trials.append(
            optuna.trial.FrozenTrial(
                number=-1,
                trial_id=-1,
                state=optuna.trial.TrialState.COMPLETE,
                value=draw.uniform(0.0, 10.0),
                datetime_start=began,
                datetime_complete=began + timedelta(seconds=50),
                params={path: draw.random() for path in first.params},
                distributions=distributions,
                user_attrs={"nodes": json.dumps(nodes), "run": {"id": f"run-{number}"}},
                system_attrs={},
                intermediate_values={},
            )
        )
    study.add_trials(trials)


def seconds_of(project: KedroProject, *arguments: str) -> float:
    """Seconds of a command, its interpreter's start included."""
    started = time.perf_counter()
    done = project.kedro(*arguments)
    if done.returncode:
        sys.exit(done.stderr)
    return time.perf_counter() - started


def look(project: KedroProject) -> None:
    """Time `viz`, and switches between trials in its page."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}/"
    started = time.perf_counter()
    with subprocess.Popen(
        project.command("eeipu", "viz", "--port", str(port)),
        cwd=project.path,
        env=project.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            wait_for(lambda: answers(f"{address}trials.json"), "the server")
            print(f"viz: page served after {time.perf_counter() - started:.1f} s")
            if browser_missing():
                print(f"switch: not timed, {browser_missing()}")
                return
            page = Page(start_browser())
            started = time.perf_counter()
            page.open(address)
            print(f"viz: graph drawn {time.perf_counter() - started:.1f} s after opening it")
            page.click("score")
            wait_for(lambda: "took" in page.panel(), "the card of a node")
            # Early trials are explained sooner than late ones.
            chosen = range(1, TRIALS, TRIALS // SWITCHES)
            taken = [page.switch_milliseconds(number) for number in chosen]
            print(
                f"switch of trial: median {statistics.median(taken):.0f} ms, "
                f"{min(taken):.0f} to {max(taken):.0f} ms in {len(taken)} switches"
            )
            page.driver.quit()
        finally:
            server.terminate()


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=30) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder))
        tuner = project.tuner(sampler="random")
        with tuner.project.quiet():
            tuner.evaluate(tuner.project.space.defaults())
        make_up_trials(tuner)
        print(f"{TRIALS} trials, {NODES} nodes, {PARAMETERS} parameters")
        print(f"kedro --version alone: {seconds_of(project, '--version'):.1f} s")
        for command in ("trials", "trials --format json", "report"):
            print(f"{command}: {seconds_of(project, 'eeipu', *command.split()):.1f} s")
        size = (project.path / ".eeipu" / "report.html").stat().st_size
        print(f"report: {size / 1e6:.1f} MB")
        look(project)


if __name__ == "__main__":
    main()
