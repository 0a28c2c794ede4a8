"""What finished trials say about the pipeline as it is today.

A trial is evidence of what stages cost and of which outputs the cache can serve. Code, settings
and fixed inputs may have changed since it ran; then its costs still count, its outputs do not.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Set
from functools import cached_property
from operator import attrgetter

from kedro_eeipu.hooks.opened_files import ChangedFiles
from kedro_eeipu.project.project import Project
from kedro_eeipu.project.since import SinceTrial
from kedro_eeipu.states import NodeState
from kedro_eeipu.study.records import NodeRecord, TrialRecord
from kedro_eeipu.study.sampler import Observation

__all__ = ["Observer"]


class Observer:
    """Compares recorded trials with today's pipeline.

    Args:
        project: The project and its search.
        overhead: Seconds that a trial took besides its nodes, so that one that runs little is not
            taken to be free. By default the measured ones.
    """

    def __init__(
        self,
        project: Project,
        overhead: Callable[[TrialRecord], float] = attrgetter("overhead"),
    ) -> None:
        self._project = project
        self._overhead = overhead

    def observation(
        self,
        trial: TrialRecord,
        kept: Set[str],
        *,
        changed: Collection[str] = (),
        costs_only: bool = False,
    ) -> Observation:
        """What a trial says about today's stages: their costs, and which can be served from it.

        Args:
            trial: A finished trial.
            kept: Digests of what the cache holds.
            changed: Paths of parameters that have changed since.
            costs_only: Whether its value says nothing of today's objective.
        """
        records = {n.name: n for n in trial.nodes}
        outdated = self._since.outdated_nodes(trial, changed, edited=costs_only)
        costs, loads, available = {}, {}, set()
        for s, stage in enumerate(self._project.stage_graph()):
            nodes = [records[name] for name in stage.nodes if name in records]
            if len(nodes) < len(stage.nodes):
                continue
            if all(n.status == NodeState.RAN for n in nodes):
                costs[s] = sum(n.seconds for n in nodes)
                if again := [n.seconds for n in nodes if n.has_recipes]:
                    loads[s] = sum(again)
            if all(n.status == NodeState.REUSED for n in nodes):
                loads[s] = sum(n.load for n in nodes)
            servable = (n.name not in outdated and _is_kept(n, kept) for n in nodes)
            if stage.cacheable and all(servable):
                available.add(s)
        # A failure of code that has changed since, or an interruption, is no sign of bad
        # parameters.
        stopped = trial.interrupted or self.of_other_code(trial)
        overhead = self._overhead(trial)
        return Observation(costs, loads, frozenset(available), overhead, stopped, costs_only)

    def of_other_code(self, trial: TrialRecord) -> bool:
        """Whether the code, the settings or the fixed inputs of a node that it ran have changed."""
        return any(self._since.is_outdated(n) for n in trial.nodes if n.parts)

    def forget_plans(self) -> None:
        """Compare with the pipeline as the project plans it now."""
        self.__dict__.pop("_since", None)

    @cached_property
    def _since(self) -> SinceTrial:
        project = self._project
        files = ChangedFiles(project.path)
        return SinceTrial(project.pipeline, project.fixed_parts, project.parameters, files)


def _is_kept(node: NodeRecord, kept: Set[str]) -> bool:
    """Whether the cache holds what a node made, if it made something."""
    if not node.has_outputs or not node.outputs:
        return False
    return all(digest in kept or (digest and not size) for digest, size in node.outputs)
