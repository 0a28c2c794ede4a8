"""Many workers, one study in PostgreSQL, one cache in a bucket, nodes that sleep.

    python tests/benchmarks/many_workers.py                  # 16 workers of 2 drivers, 200 trials
    python tests/benchmarks/many_workers.py --workers 4 --trials 24

Says how much faster that is than the same nodes one after the other, and fails when a trial is lost
or numbered twice, a key is computed twice or a lease is left.
"""

from __future__ import annotations

import argparse
import collections
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def put_to_sleep(project: Any, s3: Any, postgresql: Any, seconds: float) -> None:
    """Let each node of a project sleep, and put its study and its cache on servers."""
    nodes = project.source / "nodes.py"
    slow = f"def ran(name):\n    import time; time.sleep({seconds})\n"
    nodes.write_text(nodes.read_text().replace("def ran(name):\n", slow))
    root = project.keep_in_bucket(s3)
    project.write_credentials(
        {
            "bucket": s3.options,
            "signing": {"key": "signs"},
            "database": {"username": postgresql.user, "password": postgresql.password},
        }
    )
    project.write_settings(
        {
            "cache": {"root": root, "credentials": "bucket", "signing_key": "signing", "audit": 0},
            "study": {"storage": postgresql.database(), "credentials": "database"},
        }
    )


def tune(project: Any, drivers: int, workers: int, *options: str) -> tuple[float, int]:
    """Run several drivers at the same time, each with its share of the workers.

    Returns:
        Seconds, and how many of the drivers have run the best trial once more to confirm it.

    Raises:
        RuntimeError: One of them failed.
    """
    started = time.perf_counter()
    share = ("--workers", str(workers // drivers))
    running = [
        subprocess.Popen(
            project.command("eeipu", "tune", *share, "--seed", str(seed), *options),
            cwd=project.path,
            env=project.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for seed in range(drivers)
    ]
    confirmed = 0
    for process in running:
        said, _ = process.communicate()
        if process.returncode:
            raise RuntimeError(said)
        confirmed += "runs once more" in said
    return time.perf_counter() - started, confirmed


def check(project: Any, trials: int, confirmed: int) -> dict[str, Any]:
    """What has come of a study.

    Args:
        project: The project.
        trials: How many trials the study must have at least.
        confirmed: How often a trial has run once more outside the study.

    Raises:
        AssertionError: A trial is lost or numbered twice, a key was computed twice, or something
            is left behind.
    """
    done = project.kedro("eeipu", "trials", "--format", "json")
    found = json.loads(done.stdout)
    assert [t["number"] for t in found] == list(range(len(found)))
    states = collections.Counter(t["state"] for t in found)
    assert states["running"] == states["failed"] == 0, states
    assert states["complete"] >= trials, states
    nodes = [n for t in found for n in t["nodes"]]
    ran = collections.Counter(n["key"] for n in nodes if n["status"] == "ran")
    assert max(ran.values()) == 1, "a key was computed twice"
    executed = project.executions().count("score") - confirmed
    recorded = sum(n["status"] == "ran" and n["name"] == "score" for n in nodes)
    assert executed == recorded, f"{executed} executions, {recorded} recorded"
    loaded = project.load()
    store = loaded.store
    assert store.stats()["leases"] == 0
    assert store.verify() == []
    from kedro_eeipu.study.opening import open_study

    records = open_study(loaded.storage, "default").trials()
    spans = [(t.started, t.finished) for t in records if t.started and t.finished]
    assert len(spans) == len(records)
    return {
        "trials": len(found),
        "seconds from the first trial's begin to the last one's end": round(
            max(end for _, end in spans) - min(begin for begin, _ in spans), 1
        ),
        "seconds a trial was in hand": round(sum(end - begin for begin, end in spans), 1),
        "seconds of proposing": round(sum(t.proposing for t in records), 1),
        "nodes run": sum(n["status"] == "ran" for n in nodes),
        "nodes reused": sum(n["status"] == "reused" for n in nodes),
        "node seconds": round(sum(t["cost_seconds"] for t in found), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--drivers", type=int, default=2)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=1.0, help="that each node sleeps")
    parser.add_argument("--sampler", default="eeipu")
    arguments = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from conftest import KedroProject
    from services import initdb, postgresql_server, s3_server

    found = initdb()
    if found is None:
        sys.exit("PostgreSQL is not installed (apt-get install postgresql)")
    with (
        tempfile.TemporaryDirectory() as folder,
        s3_server() as s3,
        postgresql_server(found) as postgresql,
    ):
        project = KedroProject(Path(folder))
        put_to_sleep(project, s3, postgresql, arguments.seconds)
        options = ("--trials", str(arguments.trials), "--sampler", arguments.sampler)
        seconds, confirmed = tune(project, arguments.drivers, arguments.workers, *options)
        told = check(project, arguments.trials, confirmed)
    told["wall seconds"] = round(seconds, 1)
    # Alone, the nodes would take at least the seconds that they took; the rest is left out.
    told["times faster"] = round(told["node seconds"] / seconds, 2)
    print(json.dumps(vars(arguments) | told, indent=2))


if __name__ == "__main__":
    main()
