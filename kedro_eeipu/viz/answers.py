"""What Kedro-Viz's page asks for, answered for one trial.

Kedro-Viz describes the pipeline once. A trial changes the content of its answers, and never their
shape: cards of the nodes, values of parameters, previews of datasets.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from kedro.io import MemoryDataset
from kedro.io.core import is_parameter

from kedro_eeipu._kedro import catalog_of, replace_dataset, strip_transcoding
from kedro_eeipu.cache.store.store import Blob, CacheMiss
from kedro_eeipu.config.redaction import Redactor
from kedro_eeipu.search.paths import lookup, override
from kedro_eeipu.states import NodeState
from kedro_eeipu.study.pipeline_state import in_few_words
from kedro_eeipu.viz.previews import Preview, preview_of
from kedro_eeipu.wording import duration

if TYPE_CHECKING:
    from kedro_eeipu.project.project import Project
    from kedro_eeipu.study.explain import History
    from kedro_eeipu.study.records import NodeRecord, TrialRecord

__all__ = ["PIPELINE", "Answers"]

# Kedro-Viz's page shows the run status of the pipeline with this id alone.
PIPELINE = "__default__"
STATES = (
    NodeState.RAN,
    NodeState.REUSED,
    NodeState.FAILED,
    NodeState.STOPPED,
    NodeState.SKIPPED,
)
_KEPT_PREVIEWS = 256
# What takes longer to load than anybody waits for a click.
_LARGEST = 1_000_000_000


class Answers:
    """Kedro-Viz's answers for the trials of a study.

    Args:
        project: The project; all nodes of its pipeline are drawn.
        redactor: Hides secrets in all answers.
    """

    def __init__(self, project: Project, redactor: Redactor) -> None:
        self.project = project
        self.redactor = redactor
        self._lock = threading.Lock()
        self._details: dict[str, dict[str, Any]] = {}
        self._previews: OrderedDict[str, Preview] = OrderedDict()
        self._nodes = {n.name: n for n in project.registered.nodes}
        self._outputs = {name for n in project.registered.nodes for name in n.outputs}
        self._produced = {strip_transcoding(name) for name in self._outputs}
        self._types: dict[str, str] = {}
        self._not_previewed: set[str] = set()
        self._graph = self._describe()
        self._main = self._base()
        self._names = {n["id"]: self._full_name(n) for n in self._main["nodes"]}
        self._kinds = {n["id"]: n["type"] for n in self._main["nodes"]}
        # A node and a dataset may have the same name.
        self._tasks, self._data, self._taken_in = (
            {self._names[i]: i for i, k in self._kinds.items() if k == kind}
            for kind in ("task", "data", "parameters")
        )

    @property
    def ids(self) -> list[str]:
        """Ids of all that is drawn."""
        return list(self._kinds)

    def main(self, trial: TrialRecord) -> dict[str, Any]:
        """The graph, for ``/api/main``."""
        parameters = self._parameters(trial)
        nodes = [
            {**n, "parameters": self._taken(self._names[n["id"]], parameters)}
            if n["type"] == "task"
            else n
            for n in self._main["nodes"]
        ]
        return {**self._main, "nodes": nodes}

    def node(self, trial: TrialRecord, history: History, node: str) -> dict[str, Any]:
        """What the panel shows of a node, dataset or parameter, for ``/api/nodes/<id>``.

        Args:
            trial: The trial.
            history: The trials of the study, to say why a node ran or was reused.
            node: Id of what was clicked.

        Raises:
            KeyError: There is nothing of this id.
        """
        name, kind = self._names[node], self._kinds[node]
        if kind == "modularPipeline":
            return {}
        answer = self._detail(node)
        if kind == "task":
            answer["parameters"] = self._taken(name, self._parameters(trial))
            record = next((n for n in trial.nodes if n.name == name), None)
            if record is not None:
                why = history.reason(trial.number, record)
                answer["preview"] = {
                    "kind": "text",
                    "content": self.card(record, why),
                    "meta": None,
                }
        elif kind == "parameters":
            path = name.removeprefix("params:")
            value = _value(self._parameters(trial), name)
            answer["parameters"] = value if name == "parameters" else {path: value}
        elif name in self._produced:
            answer |= self._recorded(trial, name)
        return {k: v for k, v in answer.items() if v is not None}

    def run_status(self, trial: TrialRecord) -> dict[str, Any]:
        """The trial as a run of the pipeline, for ``/api/run-status``."""
        nodes, datasets = {}, {}
        for record in trial.nodes:
            if record.status == NodeState.SKIPPED or record.name not in self._tasks:
                continue
            failed = record.status == NodeState.FAILED
            nodes[self._tasks[record.name]] = {
                "status": "failed" if failed else "success",
                "duration": record.seconds,
                "error": self._error(record.error) if failed else None,
            }
        for name, blob in self._blobs(trial).items():
            status = {"name": name, "size": blob.size, "status": "success", "error": None}
            datasets[self._data[name]] = status
        failed = trial.state == "failed"
        return {
            "nodes": nodes,
            "datasets": datasets,
            "pipeline": {
                "run_id": trial.run_id or f"trial-{trial.number}",
                "start_time": _iso(trial.started),
                "end_time": _iso(trial.finished),
                "duration": trial.cost,
                "status": "failed" if failed else "success",
                "error": self._error(trial.error) if failed else None,
            },
        }

    def facts(self, trial: TrialRecord) -> dict[str, Any]:
        """What the page colours nodes by, and what it compares two trials by.

        By id in the graph: the status of each node; and the key of each node, the content of each
        dataset and the value of each parameter.
        """
        parameters = self._parameters(trial)
        content: dict[str, Any] = {
            self._tasks[n.name]: n.key or dict(n.parts)
            for n in trial.nodes
            if n.name in self._tasks
        }
        content |= {self._data[name]: blob.digest for name, blob in self._blobs(trial).items()}
        content |= {i: _value(parameters, name) for name, i in self._taken_in.items()}
        ran = {self._tasks[n.name]: n.status for n in trial.nodes if n.name in self._tasks}
        return {
            "number": trial.number,
            "params": self._shown(trial.params),
            "status": ran,
            "content": content,
        }

    def listed(self, trial: TrialRecord, changes: Sequence[str] = ()) -> dict[str, Any]:
        """A trial as the picker lists it.

        Args:
            trial: The trial.
            changes: What has changed since that its value depends on.
        """
        return {
            "number": trial.number,
            "state": trial.state,
            "value": trial.value,
            "cost": duration(trial.cost),
            "saved": duration(trial.saved),
            "params": self._shown(trial.params),
            "counts": {s: sum(n.status == s for n in trial.nodes) for s in STATES},
            "error": self.redactor.text(trial.error or "").split("\n")[0],
            "changed": in_few_words(changes),
        }

    def card(self, record: NodeRecord, why: str) -> str:
        """What happened to a node, why, and what it cost."""
        lines = [record.status.upper(), self.redactor.text(record.error or why), ""]
        if record.was_called:
            lines.append(f"took {duration(record.seconds)}")
        if record.status == NodeState.REUSED:
            lines.append(f"saved {duration(record.saved)}")
        if record.outputs:
            lines.append(f"outputs of {sum(n for _, n in record.outputs):,} bytes")
        lines.append(f"key {record.key[:16]}" if record.key else "no key")
        if record.why_not:
            lines.append(f"never cached: {record.why_not}")
        return "\n".join(lines)

    def _describe(self) -> Any:
        """Kedro-Viz's own model of the pipeline; what trials produce is emptied in it.

        The user's files may be of any run, and are none of this one's.
        """
        from kedro_viz.data_access import DataAccessManager
        from kedro_viz.server import populate_data

        catalog: Any = catalog_of(self.project.session.load_context(self.project.runtime_params))
        for name in self._outputs:
            kind = ".".join((catalog.get_type(name) or "in memory only").split(".")[-3:])
            self._types[strip_transcoding(name)] = kind
            declared = catalog.get(name, fallback_to_runtime_pattern=True)
            metadata = getattr(declared, "metadata", None)
            if ((metadata or {}).get("kedro-viz") or {}).get("preview") is False:
                self._not_previewed.add(strip_transcoding(name))
            replace_dataset(catalog, name, MemoryDataset(metadata=metadata))
        manager = DataAccessManager()
        populate_data(manager, catalog, {PIPELINE: self.project.registered}, {})
        return manager

    def _full_name(self, drawn: Mapping[str, Any]) -> str:
        if drawn["type"] != "task":
            return str(drawn["name"])
        # Before Kedro-Viz 12.4, the answers do not hold it.
        return str(self._graph.nodes.get_node_by_id(drawn["id"]).kedro_obj.name)

    def _base(self) -> dict[str, Any]:
        from kedro_viz.api.rest.responses.pipelines import GraphAPIResponse
        from kedro_viz.api.rest.responses.utils import get_encoded_response

        graph = self._graph
        tree = graph.create_modular_pipelines_tree_for_registered_pipeline(PIPELINE)
        response = GraphAPIResponse(
            nodes=graph.get_nodes_for_registered_pipeline(PIPELINE),
            edges=graph.get_edges_for_registered_pipeline(PIPELINE),
            tags=graph.tags.as_list(),
            layers=graph.get_sorted_layers_for_registered_pipeline(PIPELINE),
            pipelines=graph.registered_pipelines.as_list(),
            modular_pipelines=tree,
            selected_pipeline=PIPELINE,
        )
        main: dict[str, Any] = json.loads(get_encoded_response(response))
        main["pipelines"] = [{"id": PIPELINE, "name": self.project.pipeline_name}]
        for node in main["nodes"]:
            if node["name"] in self._types:
                node["dataset_type"] = self._types[node["name"]]
        return main

    def _detail(self, node: str) -> dict[str, Any]:
        """What Kedro-Viz says about a node; a free input is previewed from its own dataset."""
        from kedro_viz.api.rest.responses.utils import get_encoded_response
        from kedro_viz.models.flowchart import node_metadata as metadata

        with self._lock:  # Kedro-Viz keeps the current node in the class
            if node not in self._details:
                item = self._graph.nodes.get_node_by_id(node)
                make: Any = {
                    "TaskNode": lambda: metadata.TaskNodeMetadata(task_node=item),
                    "DataNode": lambda: metadata.DataNodeMetadata(data_node=item),
                    "TranscodedDataNode": lambda: metadata.TranscodedDataNodeMetadata(
                        transcoded_data_node=item
                    ),
                    "ParametersNode": lambda: metadata.ParametersNodeMetadata(parameters_node=item),
                }[type(item).__name__]
                detail = json.loads(get_encoded_response(make()))
                self._details[node] = self.redactor.value(detail)
            return dict(self._details[node])

    def _recorded(self, trial: TrialRecord, name: str) -> dict[str, Any]:
        """What the panel shows of a dataset that the trial produced, or did not."""
        answer: dict[str, Any] = {"type": self._types[name], "original_type": None}
        blob = self._blobs(trial).get(name)
        if blob is None:
            preview = Preview("JSONPreview", json.dumps(f"trial {trial.number} did not make it"))
            return {**answer, "preview": preview.content, "preview_type": preview.kind}
        if name in self._not_previewed:
            return {**answer, "stats": {"file_size": blob.size}}
        preview = self._preview(blob)
        answer["preview"] = self.redactor.value(preview.content)
        answer["preview_type"] = preview.kind
        answer["stats"] = {**preview.stats, "file_size": blob.size}
        return answer

    def _preview(self, blob: Blob) -> Preview:
        preview = self._previews.get(blob.digest)
        if preview is None:
            if blob.size > _LARGEST:
                problem = f"{blob.size / 1e9:.1f} GB, too large for a preview"
                return Preview("JSONPreview", json.dumps(problem))
            try:
                preview = preview_of(self.project.store.load(blob))
            except CacheMiss as reason:
                return Preview("JSONPreview", json.dumps(f"no longer in the cache: {reason}"))
            except Exception as error:
                problem = f"no preview: {type(error).__name__}: {error}"
                return Preview("JSONPreview", json.dumps(problem))
            self._previews[blob.digest] = preview
            while len(self._previews) > _KEPT_PREVIEWS:
                self._previews.popitem(last=False)
        return preview

    def _blobs(self, trial: TrialRecord) -> dict[str, Blob]:
        """What the trial made or was served, by name of the dataset."""
        return {
            strip_transcoding(name): Blob(digest, size, 0.0)
            for node in trial.nodes
            if node.name in self._nodes
            for name, (digest, size) in zip(
                self._nodes[node.name].outputs, node.outputs, strict=False
            )
            if digest
        }

    def _parameters(self, trial: TrialRecord) -> dict[str, Any]:
        own = self.project.parameters
        if trial.runtime_params != self.project.runtime_params:
            own = self.project.session.load_context(dict(trial.runtime_params)).params
        values = {**own, **override(own, trial.params)}
        hidden: dict[str, Any] = self.redactor.parameters(values, shown=self.project.space.paths)
        return hidden

    def _taken(self, name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters that a node takes in."""
        taken: dict[str, Any] = {}
        for declared in filter(is_parameter, self._nodes[name].inputs):
            if declared == "parameters":
                taken |= parameters
            else:
                taken[declared.removeprefix("params:")] = _value(parameters, declared)
        return taken

    def _shown(self, params: Mapping[str, Any]) -> dict[str, Any]:
        hidden: dict[str, Any] = self.redactor.value(dict(params))
        return hidden

    def _error(self, error: str | None) -> dict[str, str]:
        return {"message": self.redactor.text(error or "it failed"), "traceback": ""}


def _value(parameters: Mapping[str, Any], declared: str) -> Any:
    if declared == "parameters":
        return dict(parameters)
    try:
        return lookup(parameters, declared.removeprefix("params:"))
    except (KeyError, TypeError):
        return None


def _iso(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, timezone.utc).isoformat()
