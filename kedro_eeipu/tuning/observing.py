"""What finished trials say of the pipeline as it is today.

A trial is evidence of what stages cost and of which outputs the cache can serve. Code, settings
and fixed inputs may have changed since it ran; then its costs still count, its outputs do not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from operator import attrgetter

from kedro_eeipu.project.project import Project
from kedro_eeipu.states import NodeState
from kedro_eeipu.study.records import NodeRecord, TrialRecord
from kedro_eeipu.study.sampler import Observation

__all__ = ["Observer"]

_PART_WORDS = {"code": "code", "settings": "settings in eeipu.yml"}


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

    def observation(self, trial: TrialRecord, kept: Set[str]) -> Observation:
        """What a trial says of today's stages: their costs, and which can be served from it.

        Args:
            trial: A finished trial.
            kept: Digests of what the cache holds.
        """
        records = {n.name: n for n in trial.nodes}
        costs, loads, available = {}, {}, set()
        for s, stage in enumerate(self._project.stage_graph()):
            nodes = [records[name] for name in stage.nodes if name in records]
            if len(nodes) < len(stage.nodes):
                continue
            if all(n.status == NodeState.RAN for n in nodes):
                costs[s] = sum(n.seconds for n in nodes)
            if all(n.status == NodeState.REUSED for n in nodes):
                loads[s] = sum(n.load for n in nodes)
            if stage.cacheable and all(self._servable(n, kept) for n in nodes):
                available.add(s)
        # A failure of code that has changed since, or an interruption, is no sign of bad
        # parameters.
        stopped = trial.interrupted or self.of_other_code(trial)
        return Observation(costs, loads, frozenset(available), self._overhead(trial), stopped)

    def of_other_code(self, trial: TrialRecord) -> bool:
        """Whether the code, the settings or the fixed inputs of a node that it ran have changed."""
        return any(self._outdated(n) for n in trial.nodes if n.parts)

    def changes(self, trials: Sequence[TrialRecord]) -> list[str]:
        """What has changed since the last complete trial that its value may depend on, in words."""
        last = next((t for t in reversed(trials) if t.value is not None), None)
        return [
            f"{_PART_WORDS.get(part, part)} of {node.name}"
            for node in (last.nodes if last is not None else ())
            for part, token in self._fixed_parts(node).items()
            if node.parts.get(part, token) != token
        ]

    def _servable(self, node: NodeRecord, kept: Set[str]) -> bool:
        """Whether a trial with the same parameters would be served what this node made."""
        if not node.has_outputs or not node.outputs or self._outdated(node):
            return False
        return all(digest in kept for digest, _ in node.outputs)

    def _outdated(self, node: NodeRecord) -> bool:
        """Whether the code, the settings or the fixed inputs of a node have changed since."""
        return any(node.parts.get(name) != part for name, part in self._fixed_parts(node).items())

    def _fixed_parts(self, node: NodeRecord) -> dict[str, str]:
        return self._project.fixed_parts.get(node.name, {})
