"""Kedro-Viz of one trial: its recorded outputs as datasets, its nodes coloured by what happened."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset
from kedro.pipeline import Pipeline
from kedro_datasets._typing import JSONPreview, TablePreview

from kedro_eeipu.cache.store import Blob, Store
from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.graph.space import override
from kedro_eeipu.hooks import replace_dataset
from kedro_eeipu.project import Project
from kedro_eeipu.study.explain import reasons
from kedro_eeipu.study.records import NodeRecord, TrialRecord

TESTED = ("12.", "13.")
_ROWS = 40
# Fill and stroke by what happened to a node, for the light and the dark theme.
_COLOURS = {
    "ran": ("#c8e6c9", "#2e7d32"),
    "reused": ("#b3e5fc", "#0277bd"),
    "failed": ("#ffcdd2", "#c62828"),
    "skipped": ("#eeeeee", "#9e9e9e"),
}


class RecordedDataset(AbstractDataset[Any, Any]):
    """An output of a trial, read from the cache.

    Args:
        blob: Its content.
        store: The cache.
        kind: Type of the dataset that the catalog declares, for the description.
    """

    def __init__(self, blob: Blob, store: Store, kind: str = "undeclared") -> None:
        self._blob = blob
        self._store = store
        self._kind = kind

    @property
    def preview(self) -> Callable[[], Any]:
        """Makes what Kedro-Viz shows; which kind it is, its return annotation tells."""
        try:
            value = self.load()
        except Exception as error:
            value = {"not in the cache any more": str(error)}
        return preview_of(value)

    def load(self) -> Any:
        return self._store.load(self._blob)

    def save(self, data: Any) -> None:
        raise NotImplementedError("a recorded output is never written")

    def _exists(self) -> bool:
        return self._store.has(self._blob)

    def _describe(self) -> dict[str, Any]:
        return {"declared as": self._kind, "bytes": self._blob.size}


def preview_of(value: Any) -> Callable[[], Any]:
    """A function without arguments that returns a table of frames, and JSON of all else."""
    if hasattr(value, "to_frame") and not hasattr(value, "columns"):
        value = value.to_frame()
    if hasattr(value, "columns") and hasattr(value, "to_dict"):
        frame = value.head(_ROWS)

        def table() -> TablePreview:
            told = json.loads(frame.to_json(orient="split", date_format="iso", default_handler=str))
            return TablePreview(told)

        return table

    def document() -> JSONPreview:
        return JSONPreview(json.dumps(summary(value), default=str, indent=2))

    return document


def summary(value: Any, depth: int = 0) -> Any:
    """What JSON can show of a value: itself where it is small and plain, else its features."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping) and depth < 4:
        return {str(k): summary(v, depth + 1) for k, v in list(value.items())[:_ROWS]}
    if isinstance(value, (list, tuple, set, frozenset)) and depth < 4:
        return [summary(v, depth + 1) for v in list(value)[:_ROWS]]
    told: dict[str, Any] = {"type": f"{type(value).__module__}.{type(value).__qualname__}"}
    for name in ("shape", "dtype", "ndim"):
        if hasattr(value, name):
            told[name] = str(getattr(value, name))
    if hasattr(value, "get_params"):
        told["parameters"] = {k: summary(v, depth + 1) for k, v in value.get_params().items()}
    for name in ("min", "mean", "max"):
        try:
            told[name] = float(getattr(value, name)())
        except (AttributeError, TypeError, ValueError, RuntimeError):
            continue
    return told if len(told) > 1 else {**told, "value": repr(value)[:500]}


def trial_catalog(project: Project, trial: TrialRecord) -> Any:
    """The project's catalog with the trial's parameters, and its outputs out of the cache."""
    runtime = {**trial.runtime_params, **override(project.parameters, trial.params)}
    catalog: Any = project.session.load_context(runtime)._get_catalog()
    outputs = {n.name: n.outputs for n in project.pipeline.nodes}
    for node in trial.nodes:
        for name, (digest, size) in zip(outputs.get(node.name, []), node.outputs, strict=False):
            kind = catalog.get_type(name) or "undeclared"
            catalog.get(name, fallback_to_runtime_pattern=True)
            recorded = RecordedDataset(Blob(digest, size, 0.0), project.store, kind)
            replace_dataset(catalog, name, recorded)
    return catalog


def trial_pipeline(project: Project, trial: TrialRecord, why: Mapping[str, str]) -> Pipeline:
    """Copies of the pipeline's nodes, each with a card that says what happened to it."""
    records = {n.name: n for n in trial.nodes}
    with warnings.catch_warnings():
        # Kedro calls node previews experimental whenever such a node is made.
        warnings.simplefilter("ignore")
        return Pipeline(
            [
                node._copy(preview_fn=partial(_card, records[node.name], why[node.name]))
                if node.name in records
                else node
                for node in project.pipeline.nodes
            ]
        )


def node_styles(trial: TrialRecord) -> dict[str, dict[str, Any]]:
    """Kedro-Viz styles by node name."""
    styles = {}
    for node in trial.nodes:
        fill, stroke = _COLOURS.get(node.status, _COLOURS["skipped"])
        styles[node.name] = {
            "themes": {
                "light": {"fill": fill, "stroke": stroke},
                "dark": {"fill": stroke, "stroke": fill},
            }
        }
    return styles


def create_app(project: Project, trials: list[TrialRecord], number: int) -> Any:
    """Kedro-Viz's own application, filled with one trial.

    Raises:
        ConfigurationError: Kedro-Viz is not installed, or not a release this was tested with.
    """
    try:
        import kedro_viz
        from kedro_viz.api.apps import create_api_app_from_project
        from kedro_viz.data_access import data_access_manager
        from kedro_viz.models.metadata import NodeExtras
        from kedro_viz.server import populate_data
    except ImportError:
        raise ConfigurationError(
            "Kedro-Viz is not installed", remedy="pip install 'kedro-viz>=12'"
        ) from None
    if not kedro_viz.__version__.startswith(TESTED):
        raise ConfigurationError(
            f"Kedro-Viz {kedro_viz.__version__} is not a release that this works with",
            remedy="pip install 'kedro-viz>=12,<14'",
        )
    trial = next(t for t in trials if t.number == number)
    extras = {name: NodeExtras(stats=None, styles=s) for name, s in node_styles(trial).items()}
    populate_data(
        data_access_manager,
        trial_catalog(project, trial),
        {project.pipeline_name: trial_pipeline(project, trial, reasons(trials, number))},
        extras,
    )
    return create_api_app_from_project(Path(project.path))


def _card(node: NodeRecord, why: str) -> Any:
    from kedro.pipeline.preview_contract import TextPreview

    lines = [f"{node.status}: {node.error or why}"]
    if node.seconds:
        lines.append(f"{node.seconds:.3f} s")
    if node.saved:
        lines.append(f"{node.saved:.3f} s saved")
    if node.key:
        lines.append(f"key {node.key[:16]}")
    return TextPreview("\n".join(lines))
