"""A run of one node whose inputs come from the cache, to compare its outputs with its record."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from kedro_eeipu.cache.store.store import Blob, CacheMiss, Record, Store
from kedro_eeipu.errors import EEIPUError
from kedro_eeipu.hooks.plan import Planner, RunPlan
from kedro_eeipu.hooks.run import PlannedRun
from kedro_eeipu.hooks.run_directory import Output
from kedro_eeipu.hooks.same_value import same_value

__all__ = ["AuditedRun", "NotAuditedError", "same_outputs"]


class NotAuditedError(EEIPUError):
    """A node cannot be run by itself; the message says why."""


class _Again(Planner):
    """Plans a run in which some nodes are called although they have records, and no others are.

    Args:
        planner: Plans runs of the project.
        names: The nodes.

    Attributes:
        records: Records of the nodes, by name.
    """

    def __init__(self, planner: Planner, names: Collection[str]) -> None:
        super().__init__(planner.store, planner.settings, planner.project, planner.world)
        self.names = names
        self.records: dict[str, Record] = {}

    def _served(self, plan: RunPlan, records: Mapping[str, Record]) -> tuple[set[str], set[str]]:
        self.records = {n: r for n, r in records.items() if n in self.names}
        for name in self.names:
            plan.actions[name].bypass("it is audited")
            for output in plan.actions[name].outputs.values():
                output.stored = False
        return super()._served(plan, {n: r for n, r in records.items() if n not in self.names})


@dataclass
class AuditedRun(PlannedRun):
    """A run in which one node is called; what it returns goes to the run's own folder.

    Attributes:
        node: Name of the node.
        key: The key of its record.
        before: Names of other nodes that are called before it.
        outputs: What it returned, in the order of its outputs.
    """

    node: str = ""
    key: str = ""
    before: tuple[str, ...] = ()
    outputs: list[Output] = field(default_factory=list)

    def begin(
        self, pipeline: Pipeline, catalog: CatalogProtocol[Any, Any], manager: Any = None
    ) -> RunPlan:
        """Plan the run; see `PlannedRun`.

        Raises:
            NotAuditedError: Its record is another now, or an input is not in the cache.
        """
        called = {self.node, *self.before}
        self.planner = planner = _Again(self.planner, called)
        plan = super().begin(pipeline, catalog, manager)
        record = planner.records.get(self.node)
        if record is None or record.key != self.key:
            raise NotAuditedError("its key is another one here")
        if others := plan.actions.keys() - plan.reused - plan.recalled - called:
            raise NotAuditedError(f"{min(others)} would have to run, too")
        return plan

    def complete(self, result: dict[str, Any], catalog: CatalogProtocol[Any, Any]) -> None:
        """Keep what the node returned; see `PlannedRun`."""
        super().complete(result, catalog)
        assert self.plan is not None
        outputs = [o.output for o in self.plan.actions[self.node].outputs.values()]
        self.outputs = [o for o in outputs if o is not None]


def same_outputs(
    store: Store, outputs: Sequence[Blob], other_store: Store, others: Sequence[Blob]
) -> bool | None:
    """Whether two executions of a node returned the same; ``None`` if that is unknown."""
    if len(outputs) != len(others):
        return None
    try:
        return all(
            a.digest == b.digest or same_value(store.load(a), other_store.load(b))
            for a, b in zip(outputs, others, strict=True)
        )
    except CacheMiss:
        return None
