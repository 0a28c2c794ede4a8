"""Which nodes would do something else today than they did in a trial."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from typing import Any

from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from kedro_eeipu.search.stages import touches
from kedro_eeipu.study.records import NodeRecord, TrialRecord

__all__ = ["SinceTrial"]


class SinceTrial:
    """Compares the nodes of recorded trials with today's.

    Args:
        pipeline: The nodes that trials run.
        fixed_parts: Of each node, the parts of its key that no trial changes.
        parameters: The project's parameters.
        changed_files: Of the parts of a node in a trial, the files that it opened and that are
            others now.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        fixed_parts: Mapping[str, Mapping[str, str]],
        parameters: Mapping[str, Any],
        changed_files: Callable[[str, Mapping[str, str]], list[str]],
    ) -> None:
        self._pipeline = pipeline
        self._fixed_parts = fixed_parts
        self._parameters = parameters
        self._changed_files = changed_files

    def outdated_nodes(
        self, trial: TrialRecord, changed: Collection[str] = (), *, edited: bool = False
    ) -> set[str]:
        """The nodes that have changed since a trial, and those that depend on them.

        Args:
            trial: The trial.
            changed: Paths of parameters that have changed since.
            edited: Whether the pipeline has been edited since, so that a node which had no key
                then may have changed, too.
        """
        records = {n.name: n for n in trial.nodes}
        outdated: set[str] = set()
        for node, parents in self._parents.items():
            record = records.get(node.name)
            if (
                record is None
                or any(parent in outdated for parent in parents)
                or (self.is_outdated(record) if record.parts else edited)
                or any(touches(node, path, self._parameters) for path in changed)
            ):
                outdated.add(node.name)
        return outdated

    def is_outdated(self, node: NodeRecord) -> bool:
        """Whether the code, settings, fixed inputs or files of a node have changed since."""
        fixed = self._fixed_parts.get(node.name, {})
        is_edited = any(node.parts.get(name) != part for name, part in fixed.items())
        return is_edited or bool(self._changed_files(node.name, node.parts))

    @cached_property
    def _parents(self) -> dict[Node, list[str]]:
        """Each node after those that it directly depends on, which are given by name."""
        parents = self._pipeline.node_dependencies
        return {node: [p.name for p in parents[node]] for node in self._pipeline.nodes}
