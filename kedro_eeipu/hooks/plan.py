"""Plan a run against the cache: which nodes are served and which must be called."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from kedro_eeipu._kedro import keep_nodes, strip_transcoding
from kedro_eeipu.cache.store.store import Record, Store
from kedro_eeipu.config.settings import CacheSettings
from kedro_eeipu.hooks.action import NodeAction
from kedro_eeipu.hooks.dataset import MemoizedDataset
from kedro_eeipu.hooks.node_copies import calling_node, delivering_node
from kedro_eeipu.hooks.node_state import left_by
from kedro_eeipu.hooks.process_state import CarriedState, changes_settings
from kedro_eeipu.hooks.pruning import Gate
from kedro_eeipu.hooks.run_directory import RunDirectory
from kedro_eeipu.hooks.stand_ins import StandIns
from kedro_eeipu.hooks.units import split_units
from kedro_eeipu.hooks.world import World

__all__ = ["Planner", "RunPlan"]


@dataclass
class RunPlan:
    """What a run will do.

    Attributes:
        pipeline: The nodes that it needs.
        actions: The action of every node, by node name, in the order in which they run.
        reused: Names of the nodes that are served from the cache without being called.
        recalled: Names of the nodes that are served and called all the same, because a node that
            runs needs an output of which no bytes are kept.
        datasets: What the catalog has for every produced dataset.
        streamed: What it has for the outputs of generators that are never cached.
        run: The run's directory.
        write_through: Whether it is a plain run, which writes and confirms the user's datasets.
    """

    pipeline: Pipeline
    actions: dict[str, NodeAction]
    datasets: dict[str, MemoizedDataset]
    run: RunDirectory
    reused: set[str] = field(default_factory=set)
    recalled: set[str] = field(default_factory=set)
    streamed: dict[str, AbstractDataset[Any, Any]] = field(default_factory=dict)
    write_through: bool = False

    def nodes_to_run(self) -> list[Node]:
        """Copies of the nodes that Kedro must call, with their actions for functions."""
        with warnings.catch_warnings():
            # Kedro warns of a dotted dataset name whenever such a node is made.
            warnings.simplefilter("ignore", UserWarning)
            return [
                delivering_node(action)
                if name in self.reused
                else calling_node(action, confirms=self.write_through)
                for name, action in self.actions.items()
                if name not in self.reused or self.delivers(name)
            ]

    def delivers(self, name: str) -> bool:
        """Whether a node's outputs must be saved even when it is served from the cache."""
        return any(output.delivers for output in self.actions[name].outputs.values())

    def close(self) -> None:
        """Give up all leases of this process."""
        for action in self.actions.values():
            action.close()


class Planner:
    """Plans runs of one project against one store.

    Args:
        store: The shared store.
        settings: What ``eeipu.yml`` says about the cache.
        project: Where relative paths in the settings start.
        world: What nodes could depend on, ``None`` where that is not known.
    """

    def __init__(
        self, store: Store, settings: CacheSettings, project: Path, world: World | None = None
    ) -> None:
        self.store = store
        self.settings = settings
        self.project = project
        self.world = world

    def plan(
        self,
        pipeline: Pipeline,
        catalog: CatalogProtocol[Any, Any],
        run: RunDirectory,
        *,
        write_through: bool = False,
        meta: Mapping[str, Any] | None = None,
        gate: Gate | None = None,
        manager: Any = None,
        carried: CarriedState | None = None,
        nodes: Collection[str] | None = None,
    ) -> RunPlan:
        """Decide for every node whether it is served or called.

        A node is served when its record exists, and the content of every output that somebody
        will read is really there. Whose inputs are made in this very run cannot be decided yet:
        it is called, and looks again once they are known.

        Args:
            pipeline: The pipeline as it is registered. What it does with a dataset is part of
                keys, whether the run needs the nodes that do it or not.
            catalog: The catalog of the run; it is only read.
            run: The directory of the run.
            write_through: Whether outputs are also written where the user's catalog declares them.
            meta: What new records say about this run.
            gate: Ends the run early when what it reports on the way is not good enough.
            manager: Pluggy's manager of the hooks of the session.
            carried: What the nodes of the run leave in the process for each other.
            nodes: Names of the nodes that the run needs, by default all; with each its ancestors.
        """
        stand_ins = StandIns(
            pipeline,
            catalog,
            run,
            store=self.store,
            settings=self.settings,
            project=self.project,
            world=self.world,
            write_through=write_through,
            meta=meta or {},
            gate=gate,
            manager=manager,
            carried=carried,
        )
        records: dict[str, Record] = {}
        begins = None if carried is None else carried.beginning(carried.now)
        is_open = False  # whether a node is called that may change settings
        needed = pipeline if nodes is None else keep_nodes(pipeline, nodes)
        for node in needed.nodes:
            action = stand_ins.add(node)
            # Where a node before is called, nobody knows where its generators will end.
            is_certain = len(records) == len(stand_ins.actions) - 1
            record = None if is_open else action.find(begins, is_certain=is_certain)
            if record is None:
                is_open = is_open or (begins is not None and changes_settings(node.name))
            else:
                records[node.name] = record
                if begins is not None:
                    begins.leave(left_by(record))
                # Known from the record alone: whether the content is there is asked when needed.
                for name, blob in zip(node.outputs, record.outputs, strict=True):
                    action.outputs[name].promise(blob)
        plan = RunPlan(
            needed,
            stand_ins.actions,
            stand_ins.datasets,
            run,
            streamed=stand_ins.streamed,
            write_through=write_through,
        )
        plan.reused, plan.recalled = self._served(plan, records)
        while split := split_units(plan.actions, plan.reused):
            records = {name: record for name, record in records.items() if name not in split}
            plan.reused, plan.recalled = self._served(plan, records)
        for name, action in plan.actions.items():
            if name in plan.reused or name in plan.recalled:
                action.serve(records[name], recall=name in plan.recalled)
            else:
                for output in action.outputs.values():
                    output.promise(None)
        return plan

    def _served(self, plan: RunPlan, records: Mapping[str, Record]) -> tuple[set[str], set[str]]:
        """Nodes that are served: those that are not called, and those that are called for recipes.

        They have a record, and their outputs, as far as anybody needs them, are there. Walked from
        the end: what is needed depends only on the nodes after.
        """
        pipeline = plan.pipeline
        children: dict[str, set[str]] = {n.name: set() for n in pipeline.nodes}
        for child, parents in pipeline.node_dependencies.items():
            for parent in parents:
                children[parent.name].add(child.name)
        served: set[str] = set()
        recalled: set[str] = set()
        loaded: set[str] = set()  # what the nodes that are called load
        for node in reversed(pipeline.nodes):
            record, name = records.get(node.name), node.name
            delivers = plan.delivers(name)
            if record is not None:
                read = not children[name] or not children[name] <= served
                if not (read or delivers) or all(map(self.store.has, record.outputs)):
                    outputs = zip(node.outputs, record.outputs, strict=True)
                    recipes = {
                        strip_transcoding(n)
                        for n, blob in outputs
                        if blob.is_recipe and not plan.actions[name].outputs[n].has_files(blob)
                    }
                    if not recipes or not (delivers or recipes & loaded):
                        served.add(name)
                        continue
                    recalled.add(name)
            loaded.update(map(strip_transcoding, node.inputs))
        return served, recalled
