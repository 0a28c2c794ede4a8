"""A trial in a catalog: its outputs, read from the cache, and its parameters as datasets."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.framework.context import KedroContext
from kedro.io import AbstractDataset, CatalogProtocol, MemoryDataset
from kedro_datasets import _typing as previews

from kedro_eeipu._kedro import replace_dataset
from kedro_eeipu.cache.store.store import Blob, Store
from kedro_eeipu.config.loading import load_settings
from kedro_eeipu.config.opening import open_store
from kedro_eeipu.config.redaction import Redactor
from kedro_eeipu.search.paths import lookup, override
from kedro_eeipu.viz.previews import preview_of

if TYPE_CHECKING:
    from kedro_eeipu.project.project import Project
    from kedro_eeipu.study.records import TrialRecord

__all__ = ["put_trial", "trial_document"]


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
        """Makes what Kedro-Viz shows; its return annotation says which kind of preview it is."""
        try:
            preview = preview_of(self.load())
        except Exception as error:
            preview = preview_of(f"no longer in the cache: {error}")

        def show() -> Any:
            return self._redactor.value(preview.content)

        show.__annotations__["return"] = getattr(previews, preview.kind)
        return show

    def load(self) -> Any:
        return self._store.load(self._blob)

    def save(self, data: Any) -> None:
        raise NotImplementedError("a recorded output is never written")

    def _exists(self) -> bool:
        return self._store.has(self._blob)

    def _describe(self) -> dict[str, Any]:
        return {"digest": self._blob.digest, "bytes": self._blob.size}


def trial_document(project: Project, trial: TrialRecord) -> dict[str, Any]:
    """Digest and size of each output of a trial, and its parameters, secret ones hidden."""
    redactor = project.redactor
    parameters = {
        **project.parameters,
        **trial.runtime_params,
        **override(project.parameters, trial.params),
    }
    outputs = {n.name: n.outputs for n in project.registered.nodes}
    return {
        "datasets": {
            name: [digest, size]
            for node in trial.nodes
            for name, (digest, size) in zip(outputs.get(node.name, []), node.outputs, strict=False)
            if digest
        },
        "parameters": redactor.parameters(parameters, shown=project.space.paths),
    }


def put_trial(catalog: CatalogProtocol[Any, Any], context: KedroContext, file: Path) -> None:
    """Put the outputs and parameters of a trial into a catalog.

    Args:
        catalog: The catalog.
        context: The context of the project, which says where the cache is.
        file: The trial, as `trial_document` describes it.
    """
    trial = json.loads(file.read_text())
    store = open_store(context, load_settings(context))
    redactor = Redactor.of(context)
    for name, (digest, size) in trial["datasets"].items():
        replace_dataset(catalog, name, RecordedDataset(Blob(digest, size, 0.0), store, redactor))
    for name in [n for n in catalog.keys() if n.startswith("params:")]:  # noqa: SIM118
        path = name.removeprefix("params:")
        try:
            value = lookup(trial["parameters"], path)
        except KeyError:  # a parameter that the trial's document does not hold
            value = redactor.parameters(catalog.load(name), path)
        replace_dataset(catalog, name, MemoryDataset(value))
    replace_dataset(catalog, "parameters", MemoryDataset(trial["parameters"]))
