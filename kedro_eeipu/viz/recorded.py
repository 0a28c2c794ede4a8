"""A trial in Kedro-Viz by public means: its outputs as datasets of the catalog.

For releases of Kedro-Viz that `Answers` was not tested with. ``kedro viz run --include-hooks``
makes the catalog and calls `put_into`, which finds in a file what the trial recorded.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.framework.context import KedroContext
from kedro.io import AbstractDataset, CatalogProtocol, MemoryDataset
from kedro_datasets import _typing as previews

from kedro_eeipu.cache.store.store import Blob, Store
from kedro_eeipu.config.loading import load_settings, open_store
from kedro_eeipu.config.redaction import Redactor
from kedro_eeipu.hooks import replace_dataset
from kedro_eeipu.search.space import lookup, override
from kedro_eeipu.viz.previews import preview_of

if TYPE_CHECKING:
    from kedro_eeipu.project.project import Project
    from kedro_eeipu.study.records import TrialRecord

# Names the file with what the trial recorded.
VARIABLE = "KEDRO_EEIPU_TRIAL"
# `kedro viz run` ends in a traceback above it.
LARGEST_PORT = 49151
_GRACE_SECONDS = 5


class RecordedDataset(AbstractDataset[Any, Any]):
    """An output of a trial, read from the cache.

    Args:
        blob: Its content.
        store: The cache.
        redactor: Hides secrets in what is shown.
    """

    def __init__(self, blob: Blob, store: Store, redactor: Redactor) -> None:
        self._blob = blob
        self._store = store
        self._redactor = redactor

    @property
    def preview(self) -> Callable[[], Any]:
        """Makes what Kedro-Viz shows; which kind it is, its return annotation tells."""
        try:
            made = preview_of(self.load())
        except Exception as error:
            made = preview_of(f"no longer to be seen: {error}")

        def show() -> Any:
            return self._redactor.value(made.content)

        show.__annotations__["return"] = getattr(previews, made.kind)
        return show

    def load(self) -> Any:
        return self._store.load(self._blob)

    def save(self, data: Any) -> None:
        raise NotImplementedError("a recorded output is never written")

    def _exists(self) -> bool:
        return self._store.has(self._blob)

    def _describe(self) -> dict[str, Any]:
        return {"digest": self._blob.digest, "bytes": self._blob.size}


def command(project: Project, host: str, port: int) -> list[str]:
    """The command that serves Kedro-Viz with hooks."""
    told = [sys.executable, "-m", "kedro", "viz", "run", "--include-hooks", "--no-browser"]
    told += ["--host", host, "--port", str(port), "--pipeline", project.pipeline_name]
    return [*told, "--env", project.env] if project.env else told


def serve(project: Project, trial: TrialRecord, arguments: Sequence[str]) -> int:
    """Run a command with the trial in its catalog until it ends; returns its exit status.

    Interrupted, it ends the command with all that it has started: Kedro-Viz serves from a process
    of its own, which would hold the port.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "trial.json"
        file.write_text(json.dumps(recorded(project, trial), default=str))
        environment = {**os.environ, VARIABLE: str(file)}
        server = subprocess.Popen(
            arguments, cwd=project.path, env=environment, start_new_session=True
        )
        try:
            return server.wait()
        except KeyboardInterrupt:
            return 0
        finally:
            _end(server)


def _end(server: subprocess.Popen[bytes]) -> None:
    """End a process that leads a session, and all of that session."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(server.pid, number)
            server.wait(_GRACE_SECONDS)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def recorded(project: Project, trial: TrialRecord) -> dict[str, Any]:
    """Digest and size of each output of a trial, and its parameters, secret ones hidden."""
    redactor = Redactor.of(project.session.load_context(project.runtime_params))
    parameters = {
        **project.parameters,
        **trial.runtime_params,
        **override(project.parameters, trial.params),
    }
    outputs = {n.name: n.outputs for n in project.pipeline.nodes}
    return {
        "datasets": {
            name: [digest, size]
            for node in trial.nodes
            for name, (digest, size) in zip(outputs.get(node.name, []), node.outputs, strict=False)
            if digest
        },
        "parameters": redactor.parameters(parameters, shown=project.space.paths),
    }


def put_into(catalog: CatalogProtocol, context: KedroContext) -> None:
    """Put the outputs and parameters of the trial that the environment names into a catalog."""
    told = json.loads(Path(os.environ[VARIABLE]).read_text())
    store = open_store(context, load_settings(context))
    redactor = Redactor.of(context)
    for name, (digest, size) in told["datasets"].items():
        replace_dataset(catalog, name, RecordedDataset(Blob(digest, size, 0.0), store, redactor))
    for name in [n for n in catalog.keys() if n.startswith("params:")]:  # noqa: SIM118
        path = name.removeprefix("params:")
        try:
            value = lookup(told["parameters"], path)
        except KeyError:  # a key with a dot in it, which no trial changes
            value = redactor.parameters(catalog.load(name), path)
        replace_dataset(catalog, name, MemoryDataset(value))
    replace_dataset(catalog, "parameters", MemoryDataset(told["parameters"]))
