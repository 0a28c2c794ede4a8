"""Whether audits find what nodes pass on wherever trials run, and lose nothing when killed.

    python tests/proof/anywhere.py

One node leaves its weight in a library, and another adds it to its output; no key holds that. The
project is tuned with two workers, on a Dask cluster that others started, with the study in
PostgreSQL and the cache in a bucket, and by a driver that is killed during an audit and started
again. Every trial that still counts at the end must have the value of a plain run.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import yaml
from conftest import NODES, PARAMETERS, KedroProject
from services import Dask, initdb, postgresql_server, s3_server

Tuned = tuple[str, list[dict[str, Any]]]

SLEEPS = 0.3
TRIALS = "60"
PASSED_ON = """
import colorsys
import time


def left(cleaned, weight):
    time.sleep({seconds})
    vars(colorsys)["passed_on"] = weight
    return [weight * x for x in cleaned["rows"]]


def right(cleaned, options):
    time.sleep({seconds})
    return [x ** options["power"] + vars(colorsys).get("passed_on", 0) for x in cleaned["rows"]]
"""
SPACE = {
    "left.weight": [1.0, 2.0, 4.0],
    "right.power": [1, 2, 3],
    "shift": {"low": 0, "high": 50, "step": 1},
}


def main() -> int:
    ways: dict[str, Callable[[KedroProject], Tuned]] = {
        "one process": lambda project: tuned(project),
        "two workers": lambda project: tuned(project, "--workers", "2"),
        "a Dask cluster": on_a_cluster,
        "PostgreSQL and a bucket, two workers": in_services,
        "killed during an audit, then started again": killed,
    }
    wrong = False
    print("| trials run | found after trial | trials | that count | of them wrong |")
    print("|---|---|---|---|---|")
    for name, tune in ways.items():
        with tempfile.TemporaryDirectory() as folder:
            project = made(Path(folder))
            output, trials = tune(project)
        counting = [t for t in trials if t["value"] is not None and not t["changed_since"]]
        others = [t for t in counting if abs(t["value"] - right_value(t["params"])) > 1e-9]
        found = [t["number"] for t in trials if t["audit"] and t["audit"]["findings"]]
        wrong |= bool(others) or not found or len(counting) == len(trials)
        first = min(found, default="never")
        cells = f"{first} | {len(trials)} | {len(counting)} | {len(others)}"
        print(f"| {name} | {cells} |", flush=True)
        if others or not found:
            print(output[-2000:], file=sys.stderr)
    return 1 if wrong else 0


def made(folder: Path) -> KedroProject:
    project = KedroProject(folder)
    project.write_nodes(NODES + PASSED_ON.format(seconds=SLEEPS))
    search = {**PARAMETERS["eeipu"], "space": SPACE}
    project.write_parameters({**PARAMETERS, "eeipu": search})
    project.write_settings({"cache": {"audit": 1.0}})
    return project


def right_value(params: dict[str, Any]) -> float:
    """What a plain run returns."""
    weight, rows = params["left.weight"], (1.0, 2.0, 3.0)
    total = sum(weight * x + x ** params["right.power"] + weight for x in rows)
    return float(abs(total - params["shift"]))


def command(*arguments: str) -> list[str]:
    return KedroProject.command(
        "eeipu", "tune", "--trials", TRIALS, "--sampler", "random", *arguments
    )


def tuned(project: KedroProject, *arguments: str) -> Tuned:
    """What `tune` prints, and the trials."""
    output = run(project, command(*arguments))
    listed = run(project, KedroProject.command("eeipu", "trials", "--format", "json"))
    return output, json.loads(listed[listed.index("[{") :])


def run(project: KedroProject, words: list[str]) -> str:
    """What a process prints.

    Raises:
        RuntimeError: It fails.
    """
    done = subprocess.run(
        words,
        cwd=project.path,
        env=project.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if words[-1] != "json" else None,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stdout[-2000:])
    return done.stdout


def on_a_cluster(project: KedroProject) -> Tuned:
    dask = Dask(project)
    try:
        return tuned(project, "--scheduler", dask.address)
    finally:
        dask.stop()


def in_services(project: KedroProject) -> Tuned:
    initialise = initdb()
    if initialise is None:
        raise RuntimeError("PostgreSQL is not installed (apt-get install postgresql)")
    with s3_server() as s3, postgresql_server(initialise) as postgresql:
        project.keep_in_bucket(s3, audit=1.0)
        conf = project.path / "conf"
        settings = yaml.safe_load((conf / "base" / "eeipu.yml").read_text())
        credentials = yaml.safe_load((conf / "local" / "credentials.yml").read_text())
        project.study_in(postgresql, **settings)
        of_database = yaml.safe_load((conf / "local" / "credentials.yml").read_text())
        project.write_credentials({**credentials, **of_database})
        return tuned(project, "--workers", "2")


def killed(project: KedroProject) -> Tuned:
    """Kill the driver while an audit runs nodes, three times, and let it finish then."""
    for _ in range(3):
        driver = subprocess.Popen(
            command(),
            cwd=project.path,
            env=project.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        while driver.poll() is None and not list(project.path.glob(".eeipu/runs/*/audit-*-*")):
            time.sleep(0.02)
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    return tuned(project)


if __name__ == "__main__":
    sys.exit(main())
