"""Tune other people's projects as they are, and compare every value with a plain run.

    python tests/projects/run.py PATH…

Each PATH is a checkout of a Kedro project (a rendered starter, say); its folder's name is looked up
in `blocks.yml`. Of each a copy is made and gets the block. In the copy `plan` is run, 20 trials,
and `apply`; then every trial's parameters are run by Kedro alone, each in a process of its own.
The trials are run once more on everything that `plan` leaves out. Prints a table in Markdown.

    python tests/projects/run.py --cost --trials 200 PATH…

Instead, what it costs to prove the results: audits while the study runs, and `confirm` at its end.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import logging
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
COST = (
    "| project | trials | node seconds | seconds saved | audits, wall seconds "
    "| of the node seconds | `confirm`, wall seconds | of the node seconds | by default |\n"
    + "|---" * 9
    + "|"
)
HEAD = (
    "| project | nodes | unmodified but for the block | reused | needless runs | wrong values "
    "| node seconds a trial | with all nodes |\n|---|---|---|---|---|---|---|---|"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--blocks", type=Path, default=HERE / "blocks.yml")
    parser.add_argument("--cost", action="store_true", help="What audits and confirm cost.")
    options = parser.parse_args()
    logging.disable(logging.WARNING)  # what plugins say when they are imported
    blocks = yaml.safe_load(options.blocks.read_text())
    print(COST if options.cost else HEAD, flush=True)
    measure = cost if options.cost else measured
    for path in options.paths:
        known = blocks.get(path.name)
        if known is None:
            print(f"| {path.name} | no block in {options.blocks} |", flush=True)
            continue
        if not options.cost or "seeded" not in known:
            show_row(path, path.name, known, options.trials, measure)
        if "seeded" in known:
            changes = [*known.get("changes", ()), *known["seeded"]]
            needed = f"{known.get('needed', 'no:')}; a seed, 1 line".replace(":;", ":")
            seeded = {**known, "changes": changes, "needed": needed}
            show_row(path, f"{path.name}, seeded", seeded, options.trials, measure)


Measure = Callable[[Path, Mapping[str, Any], int], list[str]]


def show_row(
    path: Path, name: str, known: Mapping[str, Any], trials: int, measure: Measure
) -> None:
    """Print the row of a project, measured in a copy of it."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        shutil.copytree(path, copy, ignore=shutil.ignore_patterns(".eeipu", ".git"))
        try:
            row = measure(copy, known, trials)
        except RuntimeError as error:
            print(error, file=sys.stderr)
            row = [f"stopped: {str(error).strip().splitlines()[-1]}"]
    print("| " + " | ".join([name, *row]) + " |", flush=True)


def measured(project: Path, known: Mapping[str, Any], trials: int) -> list[str]:
    """A row of the table, from the second cell on."""
    needs = prepare(project, known)
    pipeline = ("--pipeline", known["pipeline"]) if "pipeline" in known else ()
    plan = json.loads(kedro(project, "eeipu", "plan", *pipeline, "--format", "json"))
    left_out = [node["name"] for node in plan["left_out"]]
    records = tuned(project, trials, pipeline)
    kedro(project, "eeipu", "apply", "--best", "--env", "tuned", *pipeline)
    wrong = [
        r["number"]
        for r in records
        if r["value"] is not None and plain_value(project, known, r["params"]) != r["value"]
    ]
    done = [r for r in records if r["value"] is not None]
    failed = len(records) - len(done)
    again = {plain_value(project, known, done[0]["params"]) for _ in range(3)} if wrong else ()
    nodes = [node for r in records for node in r["nodes"]]
    reused = sum(node["status"] == "reused" for node in nodes)
    whole = ""
    if left_out:
        shutil.rmtree(project / ".eeipu")
        write_block(project, {**known["block"], "also": left_out})
        whole = f"{seconds(tuned(project, trials, pipeline)):.3f}"
    return [
        f"{len(plan['nodes'])} of {len(plan['nodes']) + len(left_out)}",
        "; ".join(needs) or "yes",
        f"{reused / len(nodes):.0%}",
        f"{needless(plan, records)} of {sum(n['status'] == 'ran' for n in nodes)}",
        ("plain runs differ: " if len(again) > 1 else "")
        + f"{len(wrong)} of {len(done)}"
        + (f", {failed} failed" if failed else ""),
        f"{seconds(records):.3f}",
        whole or "nothing is left out",
    ]


def cost(project: Path, known: Mapping[str, Any], trials: int) -> list[str]:
    """A row of the table of costs, from the second cell on."""
    prepare(project, known)
    pipeline = ("--pipeline", known["pipeline"]) if "pipeline" in known else ()
    records = tuned(project, trials, pipeline)
    spent = sum(r["cost_seconds"] for r in records)
    audits = sum(r["audit"]["seconds"] for r in records if r["audit"])
    by_default = [r["confirmation"] for r in records if r["confirmation"]]
    kedro(project, "eeipu", "confirm", *pipeline)
    records = json.loads(kedro(project, "eeipu", "trials", "--format", "json", *pipeline))
    confirmed = next(r["confirmation"] for r in records if r["confirmation"])
    assert confirmed["confirmed"], confirmed
    return [
        str(len(records)),
        f"{spent:.1f}",
        f"{sum(r['saved_seconds'] for r in records):.1f}",
        f"{audits:.1f}",
        f"{audits / spent:.1%}",
        f"{confirmed['seconds']:.1f}",
        f"{confirmed['seconds'] / spent:.1%}",
        "confirmed" if by_default else "`confirm` is named",
    ]


def prepare(project: Path, known: Mapping[str, Any]) -> list[str]:
    """Write the block and what else it takes to tune a project; what that is, in words."""
    needs = [known["needed"]] if "needed" in known else []
    if fit_to_environment(project):
        needs.append("Kedro 1 in pyproject.toml")
    for change in known.get("changes", ()):
        texts = {file: file.read_text() for file in project.glob(change["file"])}
        assert any(change["old"] in text for text in texts.values()), change
        for file, text in texts.items():
            file.write_text(text.replace(change["old"], change["new"]))
    write_data(project, known.get("data"))
    write_block(project, known["block"])
    return needs


def fit_to_environment(project: Path) -> bool:
    """Let the Kedro that is installed load the project; whether that took a change of its files.

    kedro-mlflow, which is installed beside it for other tests, is no part of the projects.
    """
    from kedro import __version__

    settings = next(project.glob("src/*/settings.py"))
    text = settings.read_text()
    settings.write_text(f'{text}\nDISABLE_HOOKS_FOR_PLUGINS = ("kedro_mlflow",)\n')
    file = project / "pyproject.toml"
    text = file.read_text()
    fitting = re.sub(
        r'kedro_init_version = "0[^"]*"', f'kedro_init_version = "{__version__}"', text
    )
    file.write_text(fitting)
    return fitting != text


def tuned(project: Path, trials: int, pipeline: tuple[str, ...]) -> list[dict[str, Any]]:
    kedro(project, "eeipu", "tune", "--trials", str(trials), "--seed", "1", *pipeline)
    shown: list[dict[str, Any]] = json.loads(
        kedro(project, "eeipu", "trials", "--format", "json", *pipeline)
    )
    return shown


def seconds(records: list[dict[str, Any]]) -> float:
    """Node seconds of a trial, on average."""
    return float(sum(r["cost_seconds"] for r in records) / len(records))


def needless(plan: Mapping[str, Any], records: list[dict[str, Any]]) -> int:
    """Executions of nodes that ran before with the same values of all parameters that reach them.

    Nodes of which `plan` says that they are never reused are left out of the count.
    """
    reach = {name: s["parameters"] for s in plan["stages"] for name in s["nodes"]}
    cacheable = {n["name"] for n in plan["nodes"] if n["cacheable"]}
    before, again = set(), 0
    for record in records:
        for node in record["nodes"]:
            name = node["name"]
            if node["status"] != "ran" or name not in cacheable:
                continue
            values = json.dumps([name, {p: record["params"].get(p) for p in reach[name]}])
            again += values in before
            before.add(values)
    return again


def kedro(project: Path, *arguments: str) -> str:
    """What a command prints.

    Raises:
        RuntimeError: It fails.
    """
    environment = {**os.environ, "DO_NOT_TRACK": "1", "MPLBACKEND": "agg", "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "kedro", *arguments],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr or done.stdout)
    # Kedro names its logging configuration on stdout before any plugin is loaded.
    return _json_of(done.stdout)


def _json_of(out: str) -> str:
    """The document that a command has printed, without what Kedro logs before it."""
    lines = out.splitlines()
    start = next((i for i, line in enumerate(lines) if line[:1] == "{" or line[:2] == "[{"), 0)
    return "\n".join(lines[start:])


def plain_value(project: Path, known: Mapping[str, Any], params: Mapping[str, Any]) -> float:
    """The objective as Kedro alone computes it, in a process of its own.

    It is a copy of this one, which has imported libraries but nothing of any project.
    """
    for library in ("matplotlib", "pandas", "plotly.express", "sklearn.ensemble"):
        importlib.import_module(library)
    for plugin in importlib.metadata.entry_points(group="kedro.hooks"):
        plugin.load()
    context = multiprocessing.get_context("fork")
    with context.Pool(1) as pool:
        return pool.apply(
            _plain_run, (str(project), known["block"]["objective"], known.get("pipeline"), params)
        )


def _plain_run(
    project: str, objective: Mapping[str, Any], pipeline: str | None, params: Mapping[str, Any]
) -> float:
    import random

    import numpy as np

    os.chdir(project)
    random.seed()  # else all copies of a process go on with its random numbers
    np.random.seed()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(1, 2)
    from kedro.framework.hooks import hook_impl
    from kedro.framework.session import KedroSession
    from kedro.framework.startup import bootstrap_project

    from kedro_eeipu.search.paths import override
    from kedro_eeipu.search.space import Objective

    class Catch:
        @hook_impl
        def before_dataset_saved(self, dataset_name: str, data: Any) -> None:
            if dataset_name == objective["dataset"]:
                values.append(data)

    values: list[Any] = []
    bootstrap_project(Path(project))
    with KedroSession.create(project_path=project) as session:
        assert isinstance(session, KedroSession)
        values_of_run = override(session.load_context().params, params)
    with KedroSession.create(project_path=project, runtime_params=values_of_run) as session:
        assert isinstance(session, KedroSession)
        session._hook_manager.register(Catch())
        session.run(pipeline_name=pipeline)
    read = Objective(objective["dataset"], objective.get("key", ""), objective["direction"])
    return read.read(values[-1])


def write_block(project: Path, block: Mapping[str, Any]) -> None:
    file = project / "conf" / "base" / "parameters_eeipu.yml"
    file.write_text(yaml.safe_dump({"eeipu": dict(block)}, sort_keys=False))


def write_data(project: Path, data: Mapping[str, Any] | None) -> None:
    """A small table for a project that has none: numbers, and a class that depends on them."""
    if data is None:
        return
    import numpy as np
    import pandas as pd

    random = np.random.default_rng(0)
    frame = pd.DataFrame({name: random.normal(size=data["rows"]) for name in data["numbers"]})
    noisy = frame.sum(axis=1) + random.normal(size=data["rows"])
    frame[data["class"]] = pd.qcut(noisy, len(data["classes"]), labels=data["classes"]).astype(str)
    file = project / data["file"]
    file.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(file, index=False)


if __name__ == "__main__":
    main()
