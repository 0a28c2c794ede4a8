"""What follows from what an audit has found: notes in the store, and what the user is told."""

from __future__ import annotations

import time
from collections.abc import Callable

from kedro.pipeline.node import Node

from kedro_eeipu.cache.store.notes import VARYING, VERIFIED, WORLDS
from kedro_eeipu.hooks.doubts import Doubt, Doubts, function_token
from kedro_eeipu.hooks.world import World, short
from kedro_eeipu.project.project import Project
from kedro_eeipu.study.records import NodeRecord, TrialRecord
from kedro_eeipu.tuning.audit_findings import Finding, Kind

__all__ = ["Consequences"]


class Consequences:
    """Notes what audits have found, and reads what was noted.

    Args:
        project: The project.
        changed: Called when a doubt was noted, so that nodes have other keys.
    """

    def __init__(self, project: Project, changed: Callable[[], None]) -> None:
        self._project = project
        self._notes = project.store.notes
        self._changed = changed

    def keep_world(self) -> None:
        """Note what the project is made of now, to be able to name an edit later."""
        world = self._project.world
        if self._notes.get(WORLDS, world.digest) is None:
            self._notes.put(WORLDS, world.digest, world.to_json())

    def varies(self, node: NodeRecord) -> bool:
        """Whether a node is noted as not deterministic."""
        return self._function(node.name) in self._notes.keys(VARYING)

    def is_settled(self, node: NodeRecord) -> bool:
        """Whether a node varies, or its record was verified in today's world."""
        # By itself, a node of a unit says nothing.
        doubt = self._doubts().of(self._node(node.name))
        if self.varies(node) or (doubt and doubt.unit):
            return True
        note = None if node.key is None else self._notes.get(VERIFIED, node.key)
        return note is not None and note.get("world") == self._project.world.digest

    def is_inferred(self, node: NodeRecord) -> bool:
        """Whether the project has changed since the record of a node was made."""
        return node.world != short(self._project.world.digest)

    def place(self, node: NodeRecord) -> str:
        """Where the record of a node was made, empty where that is not known."""
        record = None if node.key is None else self._project.store.get(node.key)
        return "" if record is None else str(record.meta.get("place", ""))

    def verified(self, key: str, **more: bool) -> None:
        """Note that a record was verified in today's world."""
        world, now = self._project.world.digest, round(time.time(), 3)
        self._notes.put(VERIFIED, key, {"world": world, "time": now, **more})

    def of(self, trial: TrialRecord, finding: Finding) -> str:
        """Note a finding that is not good; what the user should know, empty for nothing.

        Args:
            trial: The trial that was audited.
            finding: What was found.
        """
        if finding.kind == Kind.ELSEWHERE:
            self.verified(finding.key, elsewhere=True)
            return (
                f"node {finding.node} gives another result here than on the machine or with the "
                "libraries that made its record: it differs by machine. The record is kept."
            )
        if finding.kind == Kind.VARIES:
            self._notes.put(VARYING, self._function(finding.node), {"node": finding.node})
            return _varying(trial, finding)
        if finding.kind == Kind.REFUTED:
            return (
                f"trial {trial.number} has the objective {trial.value!r}, and came out twice as "
                f"{finding.value!r} without the cache. The first node that differs is "
                f"{finding.node}. The trial no longer counts."
            )
        if finding.kind == Kind.WRONG:
            return self._served_wrongly(trial, finding)
        if finding.kind == Kind.PASSED_ON:
            return self._passed_on(finding)
        return ""

    def _served_wrongly(self, trial: TrialRecord, finding: Finding) -> str:
        node = next(n for n in trial.nodes if n.name == finding.node)
        # Where its key holds the world, or the world is the same, that explains nothing.
        never = not self.is_inferred(node) or "world" in node.parts
        reason = "an audit found that it depends on something that its key does not contain"
        edits = self._edits(finding.key)
        self._doubts().note(Doubt(reason, never), self._node(finding.node))
        self._changed()
        since = f" Changed since it was recorded: {', '.join(edits)}." if edits else ""
        if never:
            from_now_on = (
                "No file of the project explains that, so it runs in every trial from now on. Name "
                f"what it reads in eeipu.yml: cache.nodes.{finding.node}.depends_on."
            )
        else:
            from_now_on = "From now on it runs again whenever anything in the project changes."
        return (
            f"node {finding.node} reused a wrong record: it depends on something that its key does "
            f"not hold.{since} {from_now_on} Trials that used such records no longer count."
        )

    def _edits(self, key: str) -> list[str]:
        """What was edited in the project since a record was made, as far as that is known."""
        record = self._project.store.get(key)
        made_in = str((record.meta if record else {}).get("world", ""))
        then = self._notes.get(WORLDS, made_in) if made_in else None
        return [] if then is None else self._project.world.changes_since(World.from_json(then))

    def _passed_on(self, finding: Finding) -> str:
        others = ", ".join(finding.others)
        reason = f"an audit found that {finding.node} depends on what {others} leaves behind"
        nodes = [self._node(name) for name in (*finding.others, finding.node)]
        together = self._doubts().share(reason, nodes, helps=False)
        self._changed()
        from_now_on = "are reused together or not at all" if together else "run in every trial"
        return (
            f"node {finding.node} depends on what {others} leaves in the process besides its "
            f"outputs. They {from_now_on} from now on, and trials that reused them no longer count."
        )

    def _doubts(self) -> Doubts:
        return Doubts(self._project.store, self._project.settings.cache)

    def _node(self, name: str) -> Node:
        return next(n for n in self._project.pipeline.nodes if n.name == name)

    def _function(self, name: str) -> str:
        return function_token(self._node(name), self._project.settings.cache)


def _varying(trial: TrialRecord, finding: Finding) -> str:
    text = (
        f"node {finding.node} is not deterministic: two runs with the same inputs differ. A hit "
        "returns what was recorded."
    )
    if finding.value is None or trial.value is None:
        return text
    return (
        f"{text} Trial {trial.number} has the objective {trial.value!r}; without the cache it is "
        f"{finding.value!r}."
    )
