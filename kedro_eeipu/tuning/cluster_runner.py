"""The runner that gives every worker of a cluster a trial, until the study ends."""

from __future__ import annotations

import contextlib
import queue
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from typing import Any

from kedro_eeipu.errors import ConfigurationError, EEIPUError, StudyStopped, error_text
from kedro_eeipu.study.limits import NOTHING_NEW
from kedro_eeipu.study.storage import LimitReached
from kedro_eeipu.tuning.cluster import Cluster
from kedro_eeipu.tuning.lost_workers import RunningTrial, result_without_worker, timeout_of
from kedro_eeipu.tuning.mlflow_runs import close_lost_run
from kedro_eeipu.tuning.runner import EEIPURunner
from kedro_eeipu.tuning.trial import TrialResult
from kedro_eeipu.tuning.worker import Assignment, source_of

__all__ = ["ClusterRunner"]

_LOOK_SECONDS = 1.0  # between two looks at which workers are free


class ClusterRunner(EEIPURunner):
    """Runs as many trials at a time as a cluster has workers.

    This process alone proposes and records: a new trial as soon as a worker is free, with all that
    run taken into account. A worker that needs what another is computing waits for it, by the
    cache's leases.

    Args:
        open_cluster: Gives the cluster that runs the trials, which is closed at the end.
        arguments, options: As for `EEIPURunner`.

    Raises:
        ConfigurationError: Workers could not share the cache.
    """

    on_worker = True

    def __init__(
        self, *arguments: Any, open_cluster: Callable[[], Cluster], **options: Any
    ) -> None:
        super().__init__(*arguments, **options)
        if self.project.store.root.startswith("memory:"):
            raise ConfigurationError(
                "the cache is in the memory of one process, and workers are others",
                where="eeipu.yml: cache.root",
                remedy="Name a folder that all workers reach, or a bucket.",
            )
        self._open_cluster = open_cluster
        self._running: dict[Any, RunningTrial] = {}  # by the future of its result
        self._ended: queue.SimpleQueue[Any] = queue.SimpleQueue()  # futures, filled by Dask

    def _run_trials(self) -> str:
        with self._cluster_open():
            return self._keep_workers_busy()

    def _keep_workers_busy(self) -> str:
        """Run trials until a limit is reached and the last of them has ended; says which limit."""
        ending = ""  # why the last proposal was not run
        while True:
            begun = False
            with self.study.one_reading():
                reason = ending or self._limit_reached()
                if not reason and len(self._running) < self.cluster.size():
                    with contextlib.suppress(LimitReached):  # another process was faster
                        ending = self._begin_next()
                        begun = not ending
            if self.auditor is not None:
                self.auditor.work(wait=bool(reason and not self._running))
            # An audit may have found that some of the trials do not count.
            if reason and not self._running and (reason := ending or self._limit_reached()):
                return reason
            # If a trial was begun, another worker may be free: look again at once.
            if self._record_ended(0.0 if begun else _LOOK_SECONDS):
                self.check_failures()
                if ending == NOTHING_NEW:  # a trial that was interrupted is to be run again
                    ending = ""

    def _begin_next(self) -> str:
        """Propose a trial and give it to a worker; else says why no more trials are begun."""
        started = time.perf_counter()
        proposed = self.proposer.propose([t.params for t in self._running.values()])
        if reason := self._not_to_be_run(proposed):
            return reason
        params = proposed.params
        self.listener.proposed(proposed.why)
        gate = self._gate()  # asks for the trials, which are read again once one has begun
        number, run_id = self._begin(params, time.perf_counter() - started)
        self.listener.trial_started(number, params, None)
        project = self.project
        future = self.cluster.submit(
            Assignment(
                source=source_of(project),
                runtime_params=project.runtime_params,
                params=params,
                run_id=run_id,
                meta=self._run_meta(number),
                runner=f"{type(self.runner).__module__}.{type(self.runner).__qualname__}",
                parts=project.fixed_parts,
                gate=gate,
                mlflow=self._mlflow_run(number),
                configuration=project.configuration.portable(),
            )
        )
        self._running[future] = RunningTrial(number, run_id, params)
        future.add_done_callback(self._ended.put)
        return ""

    def _record_ended(self, seconds: float) -> bool:
        """Record the trials that have ended; waits for the first of them at most so long.

        Returns:
            Whether there were any.

        Raises:
            StudyStopped: The scheduler is gone.
            EEIPUError: A trial found something wrong that ends the study.
        """
        try:
            future = self._ended.get(timeout=seconds) if seconds else self._ended.get_nowait()
        except queue.Empty:
            if not self.cluster.alive:
                raise _scheduler_gone() from None
            return False
        trial = self._running[future]
        result = self._result(future, trial)
        del self._running[future]
        self._finish(trial.number, result)
        self._record_ended(0.0)
        return True

    def _result(self, future: Any, trial: RunningTrial) -> TrialResult:
        """The result of a trial whose future is done."""
        if future.status == "finished":
            result: TrialResult = future.result()
            return result
        if future.status != "error":
            raise _scheduler_gone()
        error = future.exception()
        if type(error).__name__ != "KilledWorker":
            return TrialResult(None, (), self.project.redactor.text(error_text(error)))
        nodes = tuple(self._finished_nodes(trial.run_id))
        timeout = timeout_of(trial, self.project, self.cluster)
        result = result_without_worker(trial, nodes, timeout, self.study.current())
        close_lost_run(
            self.project, trial.run_id, trial.params, nodes, was_stopped=result.interrupted
        )
        return result

    @contextlib.contextmanager
    def _cluster_open(self) -> Iterator[None]:
        """Open the cluster, and close it at the end; running trials are ended with it.

        Raises:
            StudyStopped: The scheduler was lost.
        """
        self.cluster = self._open_cluster()
        finished = False
        try:
            yield
            finished = True
        except EEIPUError:
            raise
        except Exception as error:
            # The connection may break in the middle of any question to the cluster.
            if self.cluster.alive and not isinstance(error, OSError | CancelledError):
                raise
            raise _scheduler_gone() from None
        finally:
            try:
                if not finished:
                    self._abandon()
            finally:
                self.cluster.close(kill=not finished)

    def _abandon(self) -> None:
        """Cancel the running trials, and record them as interrupted."""
        for future, trial in self._running.items():
            with contextlib.suppress(Exception):
                future.cancel()
            self._record_interrupted(trial.number, trial.run_id, "interrupted")
        self._running.clear()


def _scheduler_gone() -> EEIPUError:
    return StudyStopped(
        "the Dask scheduler is gone. What its workers were running is tried again.\n"
        "What was finished is kept; the same command resumes."
    )
