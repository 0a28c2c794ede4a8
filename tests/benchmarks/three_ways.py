"""The best value against processor time on the demo: this plugin, without reuse, a loop by hand.

    python tests/benchmarks/three_ways.py [--seeds 3] [--minutes 2]

Three ways to tune the demo's default pipeline, each with its own copy of the project:

- ``eeipu``: `kedro eeipu tune`;
- ``cold``: the same, with ``cache: false`` for all nodes, so every trial runs every node;
- ``loop``: Optuna's default sampler, and `kedro run --params …` for each trial.

All of them try the project's own values first. Time is that of the processor, of all processes and
from the very start (imports included), so other work on the machine changes it little. Results are
appended to ``three_ways.jsonl``; what is there is not run again. The last line of output is the
table, and the figure is written to docs/pages/images/curve.svg.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from curve import Curve, drawn, mean_curve

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).with_suffix(".jsonl")
FIGURE = ROOT / "docs" / "pages" / "images" / "curve.svg"
METRICS = "data/08_reporting/metrics.json"
NAMES = {
    "eeipu": ("kedro-eeipu", "#0f766e"),
    "cold": ("the same optimizer, without reuse", "#8250df"),
    "loop": ("Optuna in a loop over kedro run", "#bc4c00"),
}


def processor_seconds() -> float:
    """Of this process and all of its children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def report(number: int, value: float | None) -> None:
    print(f"trial {json.dumps([number, round(processor_seconds(), 2), value])}", flush=True)


def tune(path: Path, seed: int, seconds: float, env: str | None) -> None:
    """Trials of the plugin until the time is used up."""
    from kedro.framework.startup import bootstrap_project

    from kedro_eeipu.project.project import Project
    from kedro_eeipu.tuning.listener import Listener
    from kedro_eeipu.tuning.options import TuneOptions

    class Clock(Listener):
        def trial_finished(self, trial: Any) -> None:
            report(trial.number, trial.value)
            if processor_seconds() > seconds:
                raise KeyboardInterrupt

    bootstrap_project(path)
    project = Project.load(path, env=env)
    tuner = TuneOptions(trials=10_000, seed=seed).prepare(project, "study", lambda limits: Clock())
    try:
        tuner.run()
    except KeyboardInterrupt:
        return


def loop(path: Path, seed: int, seconds: float) -> None:
    """What a user writes without the plugin: Optuna, and a process for each run."""
    import optuna
    from kedro.framework.startup import bootstrap_project

    from kedro_eeipu.project.project import Project

    bootstrap_project(path)
    space = Project.load(path).space
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    study.enqueue_trial(space.defaults())

    def objective(trial: optuna.Trial) -> float:
        values: dict[str, Any] = {}
        for r in space.ranges:
            if all(values.get(parent) in allowed for parent, allowed in r.when):
                values[r.path] = suggested(trial, r)
        given = ",".join(f"{name}={value}" for name, value in values.items())
        command = [sys.executable, "-W", "ignore", "-m", "kedro", "run", "--params", given]
        subprocess.run(command, cwd=path, check=True, capture_output=True)
        return float(json.loads((path / METRICS).read_text())["log_loss"])

    while processor_seconds() < seconds:
        study.optimize(objective, n_trials=1)
        report(study.trials[-1].number, study.trials[-1].value)


def suggested(trial: Any, r: Any) -> Any:
    """A value of a range, as a user of Optuna asks for it."""
    if r.kind == "categorical":
        return trial.suggest_categorical(r.path, r.choices)
    if r.kind == "int":
        step = 1 if r.log else int(r.step or 1)
        return trial.suggest_int(r.path, int(r.low), int(r.high), log=r.log, step=step)
    return trial.suggest_float(r.path, r.low, r.high, log=r.log, step=r.step)


def measure(way: str, seed: int, minutes: float) -> Iterator[list[Any]]:
    """One way with one seed, in a process and a copy of the demo of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "demo"
        shutil.copytree(ROOT / "demo_project", path, ignore=shutil.ignore_patterns(".eeipu"))
        cold = path / "conf" / "cold"
        cold.mkdir()
        (cold / "eeipu.yml").write_text('cache: {nodes: {"*": {cache: false}}}\n')
        command = [sys.executable, "-W", "ignore", __file__, "--way", way, "--path", path]
        command += ["--seed", str(seed), "--minutes", str(minutes)]
        # As where no other plugin is installed: kedro-mlflow alone takes two seconds of each run.
        plain = {
            "HIDDEN_DISTRIBUTIONS": "kedro-mlflow",
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests" / "site")]),
        }
        with subprocess.Popen(
            [str(c) for c in command],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **plain, "OMP_NUM_THREADS": "1", "DO_NOT_TRACK": "1"},
        ) as process:
            assert process.stdout
            for line in process.stdout:
                if line.startswith("trial ["):
                    yield json.loads(line.removeprefix("trial "))


def runs() -> list[dict[str, Any]]:
    if not RESULTS.exists():
        return []
    return [json.loads(line) for line in RESULTS.read_text().splitlines()]


def best_at(run: dict[str, Any], seconds: float) -> float | None:
    """The best value that a run had after so many seconds."""
    values = [v for _, at, v in run["trials"] if at <= seconds and v is not None]
    return min(values, default=None)


def curve(way: str, minutes: float) -> Curve:
    """The mean of the best values of all seeds, from when each of them has one."""
    chosen = [
        [(at / 60, value) for _, at, value in run["trials"] if value is not None]
        for run in runs()
        if run["way"] == way and run["minutes"] >= minutes
    ]
    start = max((trials[0][0] for trials in chosen), default=0.0)
    return mean_curve(chosen, minutes, start) if chosen else []


def table(minutes: float) -> str:
    rows = ["| way | seeds | trials | best log loss |", "|---|---|---|---|"]
    for way, (name, _) in NAMES.items():
        chosen = [r for r in runs() if r["way"] == way and r["minutes"] >= minutes]
        counts = [sum(at <= 60 * minutes for _, at, _ in r["trials"]) for r in chosen]
        best = [best_at(r, 60 * minutes) for r in chosen]
        values = ", ".join(f"{b:.4f}" for b in best if b is not None)
        rows.append(f"| {name} | {len(chosen)} | {', '.join(map(str, counts))} | {values} |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--way", help=argparse.SUPPRESS)
    parser.add_argument("--path", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.way == "loop":
        return loop(asked.path, asked.seed, 60 * asked.minutes)
    if asked.way:
        env = "cold" if asked.way == "cold" else None
        return tune(asked.path, asked.seed, 60 * asked.minutes, env)
    for seed in range(asked.seeds):
        for way in NAMES:
            if any(
                (r["way"], r["seed"], r["minutes"]) == (way, seed, asked.minutes) for r in runs()
            ):
                continue
            trials = list(measure(way, seed, asked.minutes))
            row = {"way": way, "seed": seed, "minutes": asked.minutes, "trials": trials}
            with RESULTS.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(f"{way} {seed}: {len(trials)} trials", flush=True)
    curves = {way: found for way in NAMES if (found := curve(way, asked.minutes))}
    title = f"Best log loss on the demo, mean of {asked.seeds} seeds (lower is better)"
    unit = "minutes of processor time, everything included"
    FIGURE.write_text(drawn(curves, NAMES, title, unit), encoding="utf-8")
    print(table(asked.minutes))
    return None


if __name__ == "__main__":
    main()
