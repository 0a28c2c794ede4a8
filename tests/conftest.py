"""A small, real Kedro project that tests can write, change, run and tune."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml
from hypothesis import HealthCheck, settings
from kedro_processes import KedroProcesses
from quick_libraries import quicken, silence_progress

from kedro_eeipu.hooks import hooks, process_state, shared_state

pytest_plugins = ["services"]
# Other work on the machine is no reason to fail.
settings.register_profile("busy", suppress_health_check=[HealthCheck.too_slow], deadline=None)
settings.load_profile("busy")
KEDRO = KedroProcesses()
_NUMBERS = itertools.count()
os.environ["DO_NOT_TRACK"] = "1"

NODES = """
from pathlib import Path

EXECUTIONS = Path(__file__).parents[2] / "executions.log"


def ran(name):
    with EXECUTIONS.open("a") as file:
        file.write(name + "\\n")


def clean(raw, options):
    ran("clean")
    return {"rows": tuple(x * options["scale"] for x in raw["rows"]), "kind": options["kind"]}


def left(cleaned, weight):
    ran("left")
    return [weight * x for x in cleaned["rows"]]


def right(cleaned, options):
    ran("right")
    return [x ** options["power"] for x in cleaned["rows"]]


def join(left_rows, right_rows):
    ran("join")
    return {"sum": sum(left_rows) + sum(right_rows), "n": len(left_rows)}


def score(joined, shift):
    ran("score")
    return {"loss": abs(joined["sum"] - shift), "nested": {"n": joined["n"]}}
"""

PIPELINE = """
from kedro.pipeline import Pipeline, node

from . import nodes


def create_pipeline(**kwargs):
    return Pipeline([
        node(nodes.clean, ["raw", "params:clean"], "cleaned", name="clean"),
        node(nodes.left, ["cleaned", "params:left.weight"], "left_rows", name="left"),
        node(nodes.right, ["cleaned", "params:right"], "right_rows", name="right"),
        node(nodes.join, ["left_rows", "right_rows"], "joined", name="join"),
        node(nodes.score, ["joined", "params:shift"], "metrics", name="score"),
    ])
"""

PARAMETERS: dict[str, Any] = {
    "clean": {"scale": 1.0, "kind": "plain"},
    "left": {"weight": 2.0, "other": "untouched"},
    "right": {"power": 2},
    "shift": 3.0,
    "eeipu": {
        "objective": {"dataset": "metrics", "key": "loss", "direction": "minimize"},
        "space": {
            "clean.scale": {"low": 0.5, "high": 2.0},
            "left.weight": {"low": 0.1, "high": 10.0, "log": True},
            "right.power": {"low": 1, "high": 3},
            "shift": {"low": 0.0, "high": 50.0},
        },
        "trials": 4,
    },
}

CATALOG: dict[str, Any] = {
    "raw": {"type": "json.JSONDataset", "filepath": "data/raw.json"},
    "cleaned": {"type": "json.JSONDataset", "filepath": "data/cleaned.json"},
    "metrics": {"type": "json.JSONDataset", "filepath": "data/metrics.json"},
}


class KedroProject:
    """A Kedro project on disk.

    Attributes:
        path: Its root.
        package: Its package, unique in this process so that no other project's is imported.
        sources: The folders in which the packages of all projects lie.
    """

    sources: ClassVar[set[str]] = set()

    def __init__(self, path: Path) -> None:
        self.path = path
        self.package = f"project_{os.getpid()}_{next(_NUMBERS)}"
        self.source = path / "src" / self.package
        self.source.mkdir(parents=True)
        self.sources.add(str(path / "src"))
        (path / "conf" / "base").mkdir(parents=True)
        (path / "conf" / "local").mkdir()
        (path / "data").mkdir()
        (path / "pyproject.toml").write_text(
            f'[tool.kedro]\npackage_name = "{self.package}"\nproject_name = "Test"\n'
            'kedro_init_version = "1.0.0"\nsource_dir = "src"\n'
        )
        (path / "conf" / "logging.yml").write_text(
            "version: 1\ndisable_existing_loggers: false\n"
            "handlers: {err: {class: logging.StreamHandler, stream: ext://sys.stderr}}\n"
            "loggers: {}\nroot: {handlers: [err]}\n"
        )
        for name, text in {
            "__init__": "",
            "settings": 'DISABLE_HOOKS_FOR_PLUGINS = ("kedro_mlflow",)\n',
            "pipeline_registry": "from .pipeline import create_pipeline\n\n\n"
            "def register_pipelines():\n    return {'__default__': create_pipeline()}\n",
        }.items():
            (self.source / f"{name}.py").write_text(text)
        self.write_nodes(NODES)
        self.write_pipeline(PIPELINE)
        self.write_parameters(PARAMETERS)
        self.write_catalog(CATALOG)
        (path / "data" / "raw.json").write_text(json.dumps({"rows": [1.0, 2.0, 3.0]}))

    def write_nodes(self, text: str) -> None:
        (self.source / "nodes.py").write_text(textwrap.dedent(text))

    def write_pipeline(self, text: str) -> None:
        (self.source / "pipeline.py").write_text(textwrap.dedent(text))

    def write_parameters(self, parameters: Mapping[str, Any], env: str = "base") -> None:
        folder = self.path / "conf" / env
        folder.mkdir(exist_ok=True)
        (folder / "parameters.yml").write_text(yaml.safe_dump(dict(parameters), sort_keys=False))

    def write_credentials(self, credentials: Mapping[str, Any]) -> None:
        (self.path / "conf" / "local" / "credentials.yml").write_text(
            yaml.safe_dump(dict(credentials))
        )

    def study_in(self, postgresql: Any, database: str | None = None, **settings: Any) -> str:
        """Record trials in PostgreSQL, in a new database unless it is named; returns its URL."""
        url = database or postgresql.database()
        self.write_credentials(
            {"database": {"username": postgresql.user, "password": postgresql.password}}
        )
        self.write_settings({"study": {"storage": url, "credentials": "database"}, **settings})
        return str(url)

    def keep_in_bucket(self, s3: Any, bucket: str | None = None, **cache: Any) -> str:
        """Put the cache into a bucket, a new one unless it is named; returns its root."""
        root = f"s3://{bucket or s3.bucket()}/tuning/cache"
        self.write_credentials({"bucket": s3.options, "signing": {"key": "planted-signing-key"}})
        keys = {"root": root, "credentials": "bucket", "signing_key": "signing"}
        self.write_settings({"cache": {**keys, **cache}})
        return root

    def write_catalog(self, catalog: Mapping[str, Any]) -> None:
        (self.path / "conf" / "base" / "catalog.yml").write_text(yaml.safe_dump(dict(catalog)))

    def write_settings(self, settings: Mapping[str, Any], env: str = "base") -> None:
        folder = self.path / "conf" / env
        folder.mkdir(exist_ok=True)
        (folder / "eeipu.yml").write_text(yaml.safe_dump(dict(settings)))

    def executions(self) -> list[str]:
        """Names of the functions called since the last question, in order."""
        log = self.path / "executions.log"
        names = log.read_text().split() if log.exists() else []
        log.unlink(missing_ok=True)
        return names

    def bootstrap(self) -> None:
        """Make this project the one of this process, its code read anew."""
        from kedro.framework.startup import bootstrap_project

        # Kedro reads the settings of a package once in a process.
        for name in [m for m in sys.modules if m.split(".")[0] == self.package]:
            if not name.endswith(".settings"):
                del sys.modules[name]
        bootstrap_project(self.path)

    def load(self, **options: Any) -> Any:
        """The project as the tuner sees it."""
        from kedro_eeipu.project.project import Project

        self.bootstrap()
        return Project.load(self.path, **options)

    def tuner(self, study: str = "default", **options: Any) -> Any:
        """An `EEIPURunner` on this project."""
        from kedro_eeipu.study.limits import Limits
        from kedro_eeipu.study.opening import open_study
        from kedro_eeipu.tuning.runner import EEIPURunner

        project = self.load(**options.pop("load", {}))
        limits = options.pop("limits", Limits(trials=4))
        opened = open_study(project.storage, study, project.space, create=True)
        return EEIPURunner(project, opened, limits, **options)

    def plain_run(self, runtime_params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """`kedro run` in this process: no trial, no cache; returns the metrics it writes."""
        from kedro.framework.session import KedroSession

        self.bootstrap()
        params = dict(runtime_params or {})
        with KedroSession.create(self.path, save_on_close=False, runtime_params=params) as session:
            session.run()
        return json.loads((self.path / "data" / "metrics.json").read_text())

    def kedro(self, *arguments: str, timeout: float = 240) -> subprocess.CompletedProcess[str]:
        """`kedro …` in a process of its own."""
        return KEDRO.run(arguments, self.path, self.environment(), timeout)

    @staticmethod
    def command(*arguments: str) -> list[str]:
        return [sys.executable, "-W", "ignore", "-m", "kedro", *arguments]

    @staticmethod
    def hears_ctrl_c() -> None:
        """Undo, in a child process, that a suite run in the background ignores SIGINT."""
        signal.signal(signal.SIGINT, signal.default_int_handler)

    @staticmethod
    def environment() -> dict[str, str]:
        return {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}

    def files(self) -> dict[str, bytes]:
        """The user's files and their content: all but code, the log and the plugin's own."""
        return {
            p.relative_to(self.path).as_posix(): p.read_bytes()
            for folder in ("conf", "data")
            for p in sorted((self.path / folder).rglob("*"))
            if p.is_file()
        }


@pytest.fixture
def project(tmp_path: Path) -> KedroProject:
    """A project of five nodes: clean, two branches, join, score."""
    return KedroProject(tmp_path)


@pytest.fixture
def make_project(tmp_path: Path) -> Callable[[], KedroProject]:
    """Makes several projects in one test."""
    numbers = itertools.count()
    return lambda: KedroProject(tmp_path / str(next(numbers)))


@pytest.fixture(autouse=True, scope="session")
def _quick_processes() -> Iterator[None]:
    """Spare the processes that tests start what takes long and has no part in most tests.

    Those are the two seconds in which MLflow is imported, and Dask's own imports in each worker:
    its workers are forked from one process, as in Dask's own tests. A test that needs MLflow or
    workers as users have them deletes the variable.
    """
    paths = [
        str(Path(__file__).parent / "site"),
        *os.environ.get("PYTHONPATH", "").split(os.pathsep),
    ]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    os.environ["HIDDEN_DISTRIBUTIONS"] = "kedro-mlflow"
    os.environ["DASK_DISTRIBUTED__WORKER__MULTIPROCESSING_METHOD"] = "forkserver"
    yield
    KEDRO.close()


@pytest.fixture(autouse=True, scope="session")
def _quick_libraries() -> None:
    quicken()
    silence_progress()


@pytest.fixture(autouse=True)
def _no_run_left() -> Any:
    yield
    assert not hooks._runs, "a run was announced and never forgotten"
    # What one project has changed in this process is nothing to the next one, nor is its folder,
    # in which every import of a missing library would look.
    shared_state.forget()
    process_state.forget()
    sys.path[:] = [folder for folder in sys.path if folder not in KedroProject.sources]
    for name in [m for m in sys.modules if m.startswith("project_")]:
        del sys.modules[name]
