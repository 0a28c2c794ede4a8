"""Measure samplers on the demo's three pipelines and write the tables of docs/pages/promise.md.

    python tests/benchmarks/promise.py --seeds 100-119 [--settings cache] [--pipelines ml vision]
    python tests/benchmarks/promise.py --list
    python tests/benchmarks/promise.py --table

The first runs the comparison of `kedro eeipu compare` seed by seed, for what is missing in
tests/benchmarks/promise/, and adds a line once all samplers of a seed have finished. It takes
hours and can be killed and started again at any time, on another machine, too. An unfinished seed
resumes on the machine that has it in demo_project/.eeipu/promise/, and begins anew on others.
The second lists what was measured with which version of the optimizer. The third only writes the
tables.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock
from promise_lines import append, file_of, line, optimizers, read, seeds_of
from promise_tables import write_tables

import kedro_eeipu
from kedro_eeipu.cli.common import interrupt_on_signals
from kedro_eeipu.cli.compare import parsed_seeds
from kedro_eeipu.comparison.contest import Contestant, optimizer_digest
from kedro_eeipu.errors import EEIPUError
from kedro_eeipu.wording import counted

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "demo_project"
HOME = DEMO / ".eeipu" / "promise"
PIPELINES = {"ml": "__default__", "vision": "vision", "language": "language"}
PEERS = ("random", "tpe", "gp", "logei", "carbo")


@dataclass(frozen=True)
class Setting:
    """How samplers are compared.

    Attributes:
        peers: The samplers besides EEIPU.
        trials: Their budget in cold trials.
        cached: Whether the peers have the cache.
        from_scratch: Whether there is no common warm-up.
    """

    peers: tuple[str, ...] = PEERS
    trials: float = 12
    cached: bool = True
    from_scratch: bool = False


SETTINGS = {
    "cache": Setting(),
    "no-cache": Setting(cached=False),
    "long": Setting(trials=48),
    "scratch": Setting(trials=22, from_scratch=True),  # the ten of the common warm-up, and twelve
    "new-peers": Setting(peers=("smac", "ax")),
}


class Task(NamedTuple):
    """One seed of one pipeline in one setting."""

    pipeline: str
    setting: str
    seed: int

    def __str__(self) -> str:
        return f"{self.pipeline}, {self.setting}, seed {self.seed}"


def main() -> int:
    """Measure unless told not to, and write the tables if told to."""
    asked = _arguments()
    if not Path(kedro_eeipu.__file__).is_relative_to(ROOT):
        print(f"kedro_eeipu is not the one of this checkout: set PYTHONPATH={ROOT}")
        return 2
    if asked.one:
        return _child(Task(asked.one[0], asked.one[1], int(asked.one[2])))
    if asked.list:
        _list()
        return 0
    if asked.table:
        write_tables(asked.optimizer)
        return 0
    tasks = [
        Task(pipeline, setting, seed)
        for setting in asked.settings
        for seed in parsed_seeds(asked.seeds)
        for pipeline in asked.pipelines
    ]
    tasks = [task for task in tasks if not _is_measured(task)]
    _list()
    print(f"optimizer {optimizer_digest()}: {counted(len(tasks), 'seed')} to measure", flush=True)
    interrupt_on_signals()
    children: set[subprocess.Popen[bytes]] = set()
    with ThreadPoolExecutor(asked.processes) as pool:
        try:
            codes = list(pool.map(lambda task: _in_a_process(task, children), tasks))
        except KeyboardInterrupt:
            for child in set(children):
                child.terminate()
            return 1
    return 1 if any(codes) else 0


def _is_measured(task: Task) -> bool:
    """Whether there is a line of this seed, with this version of the optimizer."""
    return task.seed in seeds_of(read(file_of(task.pipeline, task.setting)), optimizer_digest())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seeds", default="100-119", help="a range, such as 100-119")
    parser.add_argument("--pipelines", nargs="+", default=list(PIPELINES), choices=list(PIPELINES))
    parser.add_argument("--settings", nargs="+", default=["cache"], choices=list(SETTINGS))
    parser.add_argument("--processes", type=int, default=1, help="seeds measured side by side")
    parser.add_argument("--list", action="store_true", help="list what was measured")
    parser.add_argument("--table", action="store_true", help="write the tables of the page")
    parser.add_argument(
        "--optimizer", help="tables of this version of the optimizer, not of that with most seeds"
    )
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    return parser.parse_args()


def _list() -> None:
    """Print how many seeds each version of the optimizer has."""
    for pipeline in PIPELINES:
        for setting in SETTINGS:
            for optimizer, seeds in optimizers(read(file_of(pipeline, setting))).items():
                own = " (this one)" if optimizer == optimizer_digest() else ""
                print(
                    f"{pipeline}, {setting}: {counted(seeds, 'seed')} of optimizer {optimizer}{own}"
                )


def _in_a_process(task: Task, children: set[subprocess.Popen[bytes]]) -> int:
    """Measure a seed in a process of its own, which gives its memory back."""
    started = time.perf_counter()
    env = os.environ | {"OMP_NUM_THREADS": "1", "DO_NOT_TRACK": "1"}
    command = [sys.executable, "-W", "ignore", __file__, "--one", *map(str, task)]
    child = subprocess.Popen(command, cwd=DEMO, env=env)
    children.add(child)
    code = child.wait()
    children.remove(child)
    end = f"exit code {code}" if code else "measured"
    print(f"{task}: {end} after {time.perf_counter() - started:.0f} s", flush=True)
    return code


def _child(task: Task) -> int:
    """Measure one seed here; what is wrong is printed as one line."""
    interrupt_on_signals()
    try:
        measure(task)
    except KeyboardInterrupt:
        return 1
    except EEIPUError as error:
        print(f"{task}: {error}", file=sys.stderr)
        return 2
    return 0


def measure(task: Task) -> None:
    """Compare the samplers with one seed, and add a line to the results."""
    from kedro.framework.startup import bootstrap_project

    from kedro_eeipu.comparison import Comparison
    from kedro_eeipu.logs import logs_to_stderr
    from kedro_eeipu.project.project import Project

    before, parent = optimizer_digest(), os.getppid()
    bootstrap_project(DEMO)
    logs_to_stderr()
    folder = HOME / f"{task.pipeline}-{task.seed}"
    folder.mkdir(parents=True, exist_ok=True)
    setting = SETTINGS[task.setting]
    comparison = Comparison(
        Project.load(DEMO, pipeline_name=PIPELINES[task.pipeline]),
        ("eeipu", *setting.peers),
        [task.seed],
        setting.trials,
        in_trials=True,
        uncached=() if setting.cached else setting.peers,
        from_scratch=setting.from_scratch,
        clock="cpu",
        folder=folder,
    )

    def stop_with_parent(_: Contestant) -> None:
        if os.getppid() != parent:
            raise KeyboardInterrupt

    comparison.after_trial = stop_with_parent
    # The process of a killed call ends with its trial; other settings use the same folder.
    with FileLock(folder / "seed.lock"):
        if _is_measured(task):
            return
        runs = comparison.run()
        optimizer_digest.cache_clear()
        if optimizer_digest() != before:
            raise EEIPUError("the optimizer was edited while this seed was measured; start again")
        entry = line(task.seed, comparison.about(), runs)
        append(file_of(task.pipeline, task.setting), entry, HOME / "results.lock")


if __name__ == "__main__":
    sys.exit(main())
