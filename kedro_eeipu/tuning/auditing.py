"""Checking what trials reuse, within a share of the seconds that reuse has saved.

Single nodes run once more with their inputs from the cache, which finds what a key misses. Whole
trials run once more without the cache, which finds what nodes leave behind for each other. What
was kept before the project's world changed is checked first; then chance decides.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from kedro_eeipu.project.project import Project
from kedro_eeipu.states import NodeState
from kedro_eeipu.study.audit import Audit
from kedro_eeipu.study.records import NodeRecord, TrialRecord
from kedro_eeipu.study.storage import TrialStudy
from kedro_eeipu.tuning.audit_consequences import Consequences
from kedro_eeipu.tuning.audit_findings import (
    Finding,
    Kind,
    Procedure,
    examine_node,
    examine_trial,
    is_mixed,
)
from kedro_eeipu.tuning.audit_process import AuditEndedError, AuditProcess
from kedro_eeipu.tuning.audit_tasks import Answer, Task
from kedro_eeipu.tuning.listener import Listener

__all__ = ["Auditor"]

# Seconds that a process takes to load a project, where nobody has measured them.
_STARTING = 4.0
# Kedro's own part of a run, which is paid for each execution.
_EACH = 0.2
# Between two looks whether there is an answer: a wait without end might not hear Ctrl-C.
_LOOK_SECONDS = 1.0
# What takes so many times as long as expected hangs.
_PATIENCE = 20.0
# After so many audits that show nothing a node is left alone.
_MOST_IN_VAIN = 3
# Whole trials may take so much of what audits may spend.
_REPLAYS = 0.5


class Executor(Protocol):
    """Runs tasks in a fresh process."""

    @property
    def is_running(self) -> bool: ...

    def send(self, task: Task) -> None: ...

    def poll(self, seconds: float) -> Answer | None: ...

    def close(self) -> None: ...


@dataclass
class _Pending:
    """A record that may be checked.

    Attributes:
        trial: The trial that reused it first.
        node: The node in this trial.
        is_inferred: Whether the project has changed since it was made.
    """

    trial: TrialRecord
    node: NodeRecord
    is_inferred: bool

    @property
    def seconds(self) -> float:
        return self.node.saved + _EACH


@dataclass
class _Running:
    """What is being looked into.

    Attributes:
        procedure: Gives the next task.
        trial: The trial.
        keys: Keys of the records that it verifies.
        is_replay: Whether it replays the trial.
        seconds: What its longest task is expected to take.
        audit: What is known so far.
        sent: When the last task was sent.
    """

    procedure: Procedure
    trial: TrialRecord
    keys: tuple[str, ...]
    is_replay: bool
    seconds: float
    audit: Audit
    sent: float = 0.0


@dataclass
class _Spent:
    """Seconds of audits, those of whole trials apart."""

    nodes: float = 0.0
    replays: float = 0.0

    @property
    def all(self) -> float:
        return self.nodes + self.replays


class Auditor:
    """Checks what the trials of a study reuse.

    Args:
        project: The project and its search.
        study: The study.
        listener: Is told about the seconds, and what the user should know.
        changed: Called when the store has noted a doubt, so that nodes have other keys.
        on_worker: Whether trials run on workers.
        starting: Seconds that it takes to start a process and load the project.
        executor: What runs nodes.
    """

    def __init__(
        self,
        project: Project,
        study: TrialStudy,
        listener: Listener,
        changed: Callable[[], None],
        *,
        on_worker: bool = False,
        starting: float = _STARTING,
        executor: Callable[..., Executor] = AuditProcess,
    ) -> None:
        self.share = project.settings.cache.audit
        self._project = project
        self._study = study
        self._listener = listener
        self._consequences = Consequences(project, changed)
        self._on_worker = on_worker
        self._starting = starting
        self._new_executor = executor
        self._executor: Executor | None = None
        self._running: _Running | None = None
        self._pending: dict[str, _Pending] = {}
        self._mixed: list[TrialRecord] = []
        self._taken_up: set[str] = set()
        self._checks: Counter[str] = Counter()
        self._in_vain: Counter[str] = Counter()
        self._left_alone: set[str] = set()  # names of nodes
        self._replayed = False
        self._ended = not self.share
        self._saved = 0.0
        self._spent = _Spent()
        self._random = random.Random(0)

    @property
    def seconds(self) -> float:
        """Seconds that the audits of the study took."""
        return self._spent.all

    def begin(self) -> None:
        """Take in what the study has saved and audited so far."""
        if self._ended:
            return
        self._saved = sum(t.saved for t in self._study.trials())
        self._spent.nodes = self._study.audited_seconds()
        self._consequences.keep_world()

    def add(self, trial: TrialRecord) -> None:
        """Take in a trial that has ended."""
        if self._ended:
            return
        self._saved += trial.saved
        if is_mixed(trial) and (not self._replayed or not self._mixed):
            self._mixed.append(trial)
        for node in trial.nodes:
            if node.status != NodeState.REUSED or node.key is None or not node.outputs:
                continue
            if node.has_recipes:  # there is nothing to compare: what is made from it is audited
                continue
            if node.key not in self._taken_up and node.name not in self._left_alone:
                self._taken_up.add(node.key)
                inferred = self._consequences.is_inferred(node)
                self._pending[node.key] = _Pending(trial, node, inferred)

    def work(self, *, wait: bool) -> None:
        """Check what the saved seconds pay for.

        Args:
            wait: Whether to wait for what is running; else only its results are taken in.
        """
        while not self._ended:
            if self._running is None and not self._next():
                return
            try:
                if not self._go_on(wait):
                    return
            except AuditEndedError as error:
                self._running, self._ended = None, True
                self._listener.noticed(f"what trials reuse is no longer audited: {error}.")

    def close(self) -> None:
        """End what is running; its record is checked another time."""
        self._ended = True
        if self._executor is not None:
            self._executor.close()
            self._executor = None

    # --- what is checked next ---------------------------------------------------------------------

    def _next(self) -> bool:
        """Begin to look into something, if there is something that is paid for."""
        if not self._pending and not self._mixed:
            return False
        allowed = self.share * self._saved
        if self._executor is None or not self._executor.is_running:
            allowed -= self._starting
        if allowed <= self._spent.all:
            return False
        for_nodes = allowed - self._spent.all
        # A key that misses an edit comes to light in any record of its node.
        edited = any(
            p.is_inferred and not self._checks[p.node.name] for p in self._pending.values()
        )
        if self._mixed and not edited:
            for_replays = min(_REPLAYS * allowed - self._spent.replays, for_nodes)
            replay = next((t for t in self._mixed if _cold_seconds(t) <= for_replays), None)
            if replay is not None and self._begin_replay(replay):
                return True
            if not self._replayed:  # it is saved for
                for_nodes = min(for_nodes, (1 - _REPLAYS) * allowed - self._spent.nodes)
        while (key := self._chosen(for_nodes)) is not None:
            pending = self._pending.pop(key)
            # Asked only now: in a bucket, each question takes a moment.
            if not self._consequences.is_settled(pending.node):
                self._begin_node(key, pending)
                return True
        return False

    def _chosen(self, seconds: float) -> str | None:
        """The key of the record that is checked next, ``None`` where it is not paid for yet.

        What was kept in another world goes first. Nodes take turns, those that cost less before
        those that are saved for; which record of a node it is, chance decides.
        """
        keys = [key for key, pending in self._pending.items() if pending.is_inferred]
        keys = keys or list(self._pending)
        if not keys:
            return None
        fewest = min(self._checks[self._pending[key].node.name] for key in keys)
        keys = [key for key in keys if self._checks[self._pending[key].node.name] == fewest]
        cheapest = min(keys, key=lambda key: self._pending[key].seconds)
        name = self._pending[cheapest].node.name
        keys = [key for key in keys if self._pending[key].node.name == name]
        paid = [key for key in keys if self._pending[key].seconds <= seconds]
        return self._random.choice(paid) if paid else None

    def _begin_node(self, key: str, pending: _Pending) -> None:
        self._checks[pending.node.name] += 1
        procedure = examine_node(pending.trial, pending.node, self._consequences)
        audit = Audit(checked=(pending.node.name,))
        seconds = _cold_seconds(pending.trial)  # of a replay, where there is a difference
        self._running = _Running(procedure, pending.trial, (key,), False, seconds, audit)

    def _begin_replay(self, trial: TrialRecord) -> bool:
        self._mixed.clear()
        self._replayed = True
        # What follows a node that is not deterministic would differ, too.
        if any(map(self._consequences.varies, trial.nodes)):
            return False
        procedure = examine_trial(trial, self._consequences)
        keys = tuple(n.key for n in trial.nodes if n.key)
        seconds = _cold_seconds(trial)
        self._running = _Running(procedure, trial, keys, True, seconds, Audit(replayed=True))
        return True

    # --- the results ----------------------------------------------------------------------------

    def _go_on(self, wait: bool) -> bool:
        """Take in an answer and send the next task; whether there may be more to do at once."""
        running = self._running
        assert running is not None
        if self._executor is None:
            self._executor = self._new_executor(self._project, on_worker=self._on_worker)
        if not running.sent:
            return self._send(running, next(running.procedure))
        answer = self._executor.poll(_LOOK_SECONDS if wait else 0.0)
        seconds = time.monotonic() - running.sent
        if answer is None:
            if seconds > _PATIENCE * (running.seconds + self._starting + _LOOK_SECONDS):
                raise AuditEndedError(f"trial {running.trial.number} takes too long there")
            return wait
        running.audit = running.audit.with_more(Audit(seconds))
        self._listener.audited(seconds)
        if running.is_replay:
            self._spent.replays += seconds
        else:
            self._spent.nodes += seconds
        try:
            return self._send(running, running.procedure.send(answer))
        except StopIteration as stop:
            self._running = None
            self._conclude(running, stop.value)
        return True

    def _send(self, running: _Running, task: Task) -> bool:
        assert self._executor is not None
        running.sent = time.monotonic()
        self._executor.send(task)
        return True

    def _conclude(self, running: _Running, finding: Finding) -> None:
        """Let it have its consequences, and record the audit with the trial."""
        if finding.kind == Kind.VERIFIED:
            for key in running.keys:
                self._pending.pop(key, None)
                self._consequences.verified(key)
        elif finding.kind == Kind.UNKNOWN:
            self._in_vain[finding.node] += 1
            if self._in_vain[finding.node] == _MOST_IN_VAIN:
                self._left_alone.add(finding.node)
        elif finding.kind != Kind.REFUTED:
            self._left_alone.update({finding.node, *finding.others})
            self._mixed.clear()  # they may have used what was found wrong
        text = self._consequences.of(running.trial, finding)
        if text:
            self._listener.noticed(text)
        refuted = finding.kind == Kind.REFUTED
        audit = running.audit.with_more(Audit(findings=(text,) if text else (), refuted=refuted))
        self._study.audited(running.trial.number, audit)
        self._pending = {
            key: p for key, p in self._pending.items() if p.node.name not in self._left_alone
        }


def _cold_seconds(trial: TrialRecord) -> float:
    return sum(n.seconds + n.saved for n in trial.nodes) + _EACH
