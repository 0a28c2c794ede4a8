"""Sittings at a project: each in a process that has not imported the project before.

A `kedro` process takes two seconds, nearly all of it for imports. So the libraries are imported
once, and every sitting is a fork; ``fresh=True`` starts a new interpreter instead, to confirm.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import logging
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

LIMIT_SECONDS = 90.0


def warm_up() -> None:
    """Import what every sitting needs, before the first fork."""
    sys.dont_write_bytecode = True
    os.environ.update(
        DO_NOT_TRACK="1",
        KEDRO_DISABLE_TELEMETRY="1",
        OMP_NUM_THREADS="1",
        PYTHONDONTWRITEBYTECODE="1",
        COLUMNS="300",
    )
    import importlib

    for name in (
        "kedro.framework.startup",
        "kedro.framework.session",
        "kedro.framework.cli.cli",
        "kedro.runner",
        "kedro_datasets.json",
        "kedro_datasets.pickle",
        "kedro_datasets.text",
        "kedro_datasets.pandas.csv_dataset",
        "kedro_datasets.partitions",
        "kedro_datasets.yaml",
        "numpy",
        "pandas",
        "pydantic",
        "attrs",
        "optuna",
        "alembic.command",
        "sqlalchemy",
        "dask",
        "sklearn",
        "kedro_eeipu.cli",
        # Of the layouts that there have been; what is missing is imported by the sittings.
        "kedro_eeipu.project.project",
        "kedro_eeipu.tuning.runner",
        "kedro_eeipu.hooks.plan",
        "kedro_eeipu.runner",
        "kedro_eeipu.cli.progress",
        "kedro_eeipu.study.explain",
        "kedro_eeipu.study.fast_read",
        "kedro_eeipu.cache.files.remote",
        "kedro_eeipu.cache.files.mirrored",
        "kedro.framework.session.store",
        "fsspec.implementations.local",
    ):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    # Kedro imports all plugins in every process, also those whose hooks a project disables.
    for group in ("kedro.hooks", "kedro.project_commands"):
        for entry in entry_points(group=group):
            entry.load()
    import optuna

    sys.path.append(str(Path(__file__).parents[1]))
    from quick_libraries import quicken

    sys.path.pop()
    quicken()
    optuna.storages.RDBStorage("sqlite://")
    gc.collect()
    gc.freeze()  # what a fork does not look at it need not copy


@dataclass
class Sitting:
    """What a sitting has come to.

    Attributes:
        value: The objective of its (last) trial or run; an error's text if there is none.
        values: The objectives of all its trials.
        nodes: Status of each node of each trial.
        why_not: Why nodes are never reused, by node.
        warnings: What the plugin has warned of.
        text: What it printed and logged.
        seconds: How long it took.
    """

    value: Any = None
    values: list[Any] = field(default_factory=list)
    nodes: list[dict[str, str]] = field(default_factory=list)
    why_not: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    text: str = ""
    seconds: float = 0.0


class Place:
    """A project folder, made anew from its files.

    Args:
        files: Texts by relative path; bytes are written as they are.
        fresh: Whether each sitting starts a new interpreter.
    """

    def __init__(self, files: Mapping[str, str | bytes], fresh: bool = False) -> None:
        quick = "/dev/shm" if os.path.isdir("/dev/shm") else None
        self.root = Path(tempfile.mkdtemp(prefix="proof-", dir=quick))
        self.fresh = fresh
        self.write(files)

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *_: Any) -> None:
        shutil.rmtree(self.root, ignore_errors=True)

    def write(self, files: Mapping[str, str | bytes | None]) -> None:
        """Write files; ``None`` deletes a file or folder."""
        for name, content in files.items():
            path = self.root / name
            if content is None:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def tune(
        self, study: str = "default", params: Sequence[Mapping[str, Any]] = (), trials: int = 1
    ) -> Sitting:
        """Trials with these parameters, or else with the project's own."""
        return self._sit("tune", study=study, params=list(params), trials=len(params) or trials)

    def run(self, params: Mapping[str, Any] | None = None) -> Sitting:
        """A run as `kedro run` does it."""
        return self._sit("run", params=dict(params or {}))

    def runs(self, params: Sequence[Mapping[str, Any]]) -> Sitting:
        """Runs as `kedro run` does them, each in a process of its own."""
        return self._sit("runs", params=[dict(p) for p in params])

    def confirm(self, study: str, number: int) -> Sitting:
        """Whether a trial is confirmed, by `kedro eeipu confirm`."""
        return self._sit("confirm", study=study, number=number)

    def plan(self) -> Sitting:
        """`kedro eeipu plan`."""
        return self._sit("plan")

    def _sit(self, task: str, **options: Any) -> Sitting:
        begun = time.perf_counter()
        if self.fresh:
            done = subprocess.run(
                [sys.executable, __file__, str(self.root), task, json.dumps(options)],
                cwd=self.root,
                capture_output=True,
                text=True,
                timeout=LIMIT_SECONDS,
                stdin=subprocess.DEVNULL,
            )
            answer = done.stdout.rpartition("\x00")[2] or json.dumps({"value": done.stderr[-2000:]})
        else:
            answer = _forked(self.root, task, options)
        sitting = Sitting(**json.loads(answer))
        sitting.seconds = time.perf_counter() - begun
        return sitting


def _forked(root: Path, task: str, options: Mapping[str, Any]) -> str:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            os.setsid()
            answer = sit(root, task, options).encode()
            while answer:
                answer = answer[os.write(writing, answer) :]
        finally:
            os._exit(0)
    os.close(writing)
    got, until = b"", time.monotonic() + LIMIT_SECONDS
    while True:
        ready, _, _ = select.select([reading], [], [], max(0.0, until - time.monotonic()))
        if not ready:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)
            got = json.dumps({"value": f"took more than {LIMIT_SECONDS:g} s"}).encode()
            break
        part = os.read(reading, 1 << 16)
        if not part:
            break
        got += part
    os.close(reading)
    os.waitpid(child, 0)
    return got.decode() or json.dumps({"value": "the process died"})


def sit(root: Path, task: str, options: Mapping[str, Any]) -> str:
    """Do a task in this process, which is used up by it; the fields of a `Sitting` as JSON."""
    result: dict[str, Any] = {}
    log = os.open(tempfile.gettempdir(), os.O_TMPFILE | os.O_RDWR)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.chdir(root)
    warned = _Warnings()
    logging.getLogger("kedro_eeipu").addHandler(warned)
    try:
        result = _TASKS[task](root, **options)
    except BaseException as error:
        result["value"] = f"{type(error).__name__}: {error}"[:500]
        traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os.lseek(log, 0, os.SEEK_SET)
    text = result["text"] = os.read(log, 1 << 20).decode(errors="replace")
    printed = [line for line in text.splitlines() if line.startswith("Warning: ")]
    result["warnings"] = [*dict.fromkeys(printed + warned.lines)]
    return json.dumps(result, default=repr)


class _Warnings(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def _command(metadata: Any, *arguments: str) -> str:
    """What a command of the plugin prints on stdout."""
    from kedro_eeipu.cli import commands

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        try:
            commands.main(
                ["eeipu", *arguments], obj=metadata, standalone_mode=False, prog_name="kedro"
            )
        except SystemExit as stopped:
            if stopped.code:
                print(f"exit {stopped.code} of {arguments}", file=sys.stderr)
    return printed.getvalue()


def _bootstrap(root: Path) -> Any:
    from kedro.framework.startup import bootstrap_project

    with contextlib.suppress(ImportError):  # Kedro's command line begins with it
        from kedro_eeipu import beginning

        beginning.note()
    return bootstrap_project(root)


def _tune(root: Path, study: str, params: list[dict[str, Any]], trials: int) -> dict[str, Any]:
    metadata = _bootstrap(root)
    if params:
        try:
            from kedro_eeipu.tuning.runner import EEIPURunner
        except ImportError:
            from kedro_eeipu.runner import EEIPURunner  # type: ignore[no-redef]

        asked = iter(params)
        evaluate = EEIPURunner.evaluate

        def evaluate_asked(self: Any, proposed: Any, *args: Any, **kwargs: Any) -> Any:
            return evaluate(self, dict(next(asked)), *args, **kwargs)

        EEIPURunner.evaluate = evaluate_asked  # type: ignore[method-assign,assignment]
    options = ["--study", study, "--sampler", "random"]
    print(_command(metadata, "tune", *options, "--trials", str(trials)), file=sys.stderr)
    # Nodes may have switched off what prints.
    logging.disable(logging.NOTSET)
    printed = _command(metadata, "trials", "--study", study, "--format", "json")
    recorded = json.loads(printed[printed.index("[") :])
    for trial, wanted in zip(recorded, params, strict=False):
        if trial["params"] != wanted:
            raise RuntimeError(f"a trial ran with {trial['params']} for {wanted}")
    values = [t["value"] if t["value"] is not None else t["error"] for t in recorded]
    return {
        "values": values,
        "value": values[-1] if values else "no trial",
        "nodes": [{n["name"]: n["status"] for n in t["nodes"]} for t in recorded],
    }


def _run(root: Path, params: dict[str, Any]) -> dict[str, Any]:
    from kedro.framework.session import KedroSession

    _bootstrap(root)
    with KedroSession.create(root, runtime_params=params) as session:
        result = session.run()
    metrics = result["metrics"]
    metrics = metrics.load() if hasattr(metrics, "load") else metrics
    return {"value": float(metrics["loss"])}


def _plan(root: Path) -> dict[str, Any]:
    printed = _command(_bootstrap(root), "plan", "--format", "json")
    nodes = json.loads(printed[printed.index("{") :])["nodes"]
    return {"why_not": {n["name"]: n["why_not"] for n in nodes if n["why_not"]}}


def _runs(root: Path, params: list[dict[str, Any]]) -> dict[str, Any]:
    """The project is imported once, and has run nothing when each of the runs is forked.

    A fork seeds Python's generator anew, which an import may have seeded.
    """
    import random

    from kedro.framework.project import pipelines

    _bootstrap(root)
    len(pipelines)  # imports the project's modules
    state = random.getstate()
    os.register_at_fork(after_in_child=lambda: random.setstate(state))
    values = [json.loads(_forked(root, "run", {"params": p}))["value"] for p in params]
    return {"values": values, "value": values[-1]}


def _confirm(root: Path, study: str, number: int) -> dict[str, Any]:
    """This process is a fresh one: it has run nothing of the project."""
    from kedro_eeipu.project.project import Project
    from kedro_eeipu.study.opening import open_study
    from kedro_eeipu.tuning import confirming, fresh_trial

    def run(task: Any, *_: Any, **__: Any) -> dict[str, Any]:
        return fresh_trial.confirmation(task).to_json()

    confirming._run = run
    _bootstrap(root)
    project = Project.load(root)
    opened = open_study(project.storage, study)
    result = confirming.confirm(project, opened, opened.trials()[number])
    return {"value": result.confirmed, "values": [result.value], "why_not": {study: result.words}}


_TASKS: dict[str, Any] = {
    "tune": _tune,
    "run": _run,
    "runs": _runs,
    "plan": _plan,
    "confirm": _confirm,
}


if __name__ == "__main__":
    kept = os.dup(1)
    answer = sit(Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3]))
    os.write(kept, b"\x00" + answer.encode())
    os._exit(0)
