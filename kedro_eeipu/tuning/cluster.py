"""Trials on many workers: a Dask cluster, and the runner that keeps all of it busy."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import Any

from kedro_eeipu.errors import ConfigurationError, EEIPUError, StudyStopped
from kedro_eeipu.study.limits import NOTHING_NEW
from kedro_eeipu.study.records import TrialRecord
from kedro_eeipu.study.storage import LimitReached
from kedro_eeipu.tuning import worker
from kedro_eeipu.tuning.runner import EEIPURunner
from kedro_eeipu.tuning.trial import TrialResult
from kedro_eeipu.tuning.worker import Assignment, source_of

WORKER_ENDED = "interrupted: its worker ended"

_LOOK_SECONDS = 1.0  # between looks at who is there
_CONNECT_SECONDS = 10
_FIRST_WORKER_SECONDS = 120
_LOCAL = {
    # A trial that takes its worker with it would take the others, too.
    "distributed.scheduler.allowed-failures": 0,
    # A node may keep the interpreter to itself for as long as it likes.
    "distributed.scheduler.worker-ttl": None,
    # Kedro's ParallelRunner starts processes of its own.
    "distributed.worker.daemon": False,
    # Looking ten to a hundred times a second at what a process does costs sixteen of them, on a
    # machine of two cores, a quarter of it.
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "500ms",
    "distributed.admin.system-monitor.interval": "10s",
    # Whatever ends a study is told by us, in a sentence.
    "distributed.nanny.pre-spawn-environ.DASK_LOGGING__DISTRIBUTED": "critical",
}


class Cluster:
    """The workers of a Dask cluster, each of which runs one trial at a time.

    Args:
        client: Connected to the cluster.
        local: The cluster itself, if it is ours to end.
        resources: What a trial takes of a worker's resources.
    """

    def __init__(self, client: Any, local: Any, resources: Mapping[str, float]) -> None:
        self._client = client
        self._local = local
        self._resources = dict(resources)
        self._at_end = contextlib.ExitStack()

    @classmethod
    def start(cls, workers: int, resources: Mapping[str, float]) -> Cluster:
        """Start processes on this machine; returns when the first of them is there.

        Raises:
            ConfigurationError: Dask is not installed, or no process could be started.
        """
        distributed = _distributed()
        import dask.config

        # Until the end: a process that takes the place of another is started in the same way.
        settings = dask.config.set(_LOCAL)
        local = distributed.LocalCluster(
            n_workers=0,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            memory_limit=None,
            resources=dict(resources) or None,
            silence_logs=logging.CRITICAL,
        )
        cluster = cls(distributed.Client(local, set_as_default=False), local, resources)
        cluster._at_end.enter_context(settings)
        try:
            # The others follow while the first already runs a trial.
            local.scale(workers)
            cluster._client.wait_for_workers(1, timeout=_FIRST_WORKER_SECONDS)
        except BaseException as error:
            cluster.close(kill=True)
            if not isinstance(error, TimeoutError):
                raise
            raise ConfigurationError(
                f"no worker has started within {_FIRST_WORKER_SECONDS} s",
                where="--workers",
                remedy="Start fewer of them, or by hand (`dask scheduler`, `dask worker ADDRESS "
                "--nthreads 1`) and pass --scheduler ADDRESS: they say what is wrong.",
            ) from None
        return cluster

    @classmethod
    def connect(cls, address: str, resources: Mapping[str, float]) -> Cluster:
        """Use a cluster that is running.

        Raises:
            ConfigurationError: Dask is not installed, nobody answers, or there are no workers that
                could run a trial.
        """
        distributed = _distributed()
        try:
            client = distributed.Client(address, set_as_default=False, timeout=_CONNECT_SECONDS)
        except (OSError, ValueError, TypeError) as error:
            raise ConfigurationError(
                f"no Dask scheduler answers at {address} ({str(error).splitlines()[0]})",
                where="--scheduler",
                remedy="Start one with `dask scheduler`, and workers with "
                f"`dask worker {address} --nthreads 1`.",
            ) from None
        cluster = cls(client, None, resources)
        try:
            cluster._check_workers(address)
        except BaseException:
            cluster.close()
            raise
        return cluster

    def _check_workers(self, address: str) -> None:
        deadline = time.monotonic() + _FIRST_WORKER_SECONDS
        while not self.size():
            if time.monotonic() > deadline:
                offered = f" that offer {self._resources}" if self._resources else ""
                raise ConfigurationError(
                    f"the Dask cluster at {address} has no workers{offered}",
                    where="--scheduler",
                    remedy=f"Start them with `dask worker {address} --nthreads 1`.",
                )
            time.sleep(_LOOK_SECONDS)
        threads = {n for n in self._client.nthreads().values() if n > 1}
        if threads:
            raise ConfigurationError(
                f"a worker of the Dask cluster at {address} has {max(threads)} threads, and Kedro "
                "runs one session in a process",
                where="--scheduler",
                remedy="Start workers with `--nthreads 1 --nworkers N` instead.",
            )

    @property
    def alive(self) -> bool:
        """Whether the scheduler still answers."""
        return bool(self._client.status == "running")

    def size(self) -> int:
        """Number of trials that can run at the same time now."""
        if not self.alive:
            return 0
        try:
            workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        except OSError:  # it has just ended
            return 0
        offered = [w["resources"] for w in workers]
        return sum(
            all(has.get(name, 0) >= amount for name, amount in self._resources.items())
            for has in offered
        )

    def submit(self, assignment: Assignment) -> Any:
        """Run a trial on the next free worker; the future of its result."""
        return self._client.submit(
            worker.run,
            assignment,
            key=f"eeipu-{assignment.run_id}",
            pure=False,
            retries=0,
            resources=self._resources or None,
        )

    def close(self, kill: bool = False) -> None:
        """Let go of the cluster, and end it if it is ours.

        Args:
            kill: Whether what runs on our own workers is ended at once.
        """
        if kill and self._local is not None:
            for nanny in list(self._local.workers.values()):
                with contextlib.suppress(Exception):
                    os.kill(nanny.pid, signal.SIGKILL)
        with contextlib.suppress(Exception):
            self._client.close(timeout=2)
        if self._local is not None:
            with contextlib.suppress(Exception):
                self._local.close(timeout=10)
        self._at_end.close()


@dataclass(frozen=True)
class _InHand:
    """A trial that a worker has."""

    number: int
    run_id: str
    params: Mapping[str, Any]


def opener(
    workers: int | None, scheduler: str | None, resources: Mapping[str, float]
) -> Callable[[], Cluster]:
    """What opens the cluster that was asked for, when it is needed.

    Raises:
        ConfigurationError: Two clusters were asked for.
    """
    if workers is not None and scheduler is not None:
        raise ConfigurationError(
            "workers of our own and a running cluster were asked for",
            remedy="Pass either --workers or --scheduler.",
        )
    if scheduler is not None:
        return lambda: Cluster.connect(scheduler, resources)
    return lambda: Cluster.start(workers or 1, resources)


class ClusterRunner(EEIPURunner):
    """Runs as many trials at a time as a cluster has workers.

    This process alone proposes and records: a new trial as soon as a worker is free, knowing of
    all that run. A worker that needs what another is computing waits for it, by the cache's leases.

    Args:
        open_cluster: Gives the cluster that runs the trials, which is closed at the end.
        arguments, options: As for `EEIPURunner`.

    Raises:
        ConfigurationError: Workers could not share the cache.
    """

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
        self._in_hand: dict[Any, _InHand] = {}
        self._ended: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def _run_trials(self) -> str:
        finished = False
        self.cluster = self._open_cluster()
        try:
            over = ""
            while True:
                with self.study.one_reading():
                    stopped = over or self._limit_reached()
                    begun = False
                    if not stopped and len(self._in_hand) < self.cluster.size():
                        with contextlib.suppress(LimitReached):  # by another driver meanwhile
                            over = self._start_one()
                            begun = not over
                if stopped and not self._in_hand:
                    finished = True
                    return stopped
                if self._collect(0.0 if begun else _LOOK_SECONDS):
                    self._give_up_on_repeated_failure()
                    if over == NOTHING_NEW:  # unless what has just ended is to be made again
                        over = ""
        except EEIPUError:
            raise
        except Exception as error:
            # The connection may break in the middle of any question.
            if self.cluster.alive and not isinstance(error, OSError | CancelledError):
                raise
            raise self._gone() from None
        finally:
            try:
                if not finished:
                    self._abandon()
            finally:
                self.cluster.close(kill=not finished)

    def _start_one(self) -> str:
        """Propose a trial and hand it to a worker; else why none is to be begun any more."""
        started = time.perf_counter()
        params = self.propose()
        if reason := self._not_to_be_run():
            return reason
        number, run_id = self._begin(params, time.perf_counter() - started)
        self.listener.trial_started(number, params, None)
        project = self.project
        future = self.cluster.submit(
            Assignment(
                source=source_of(project),
                runtime_params=project.runtime_params,
                params=params,
                run_id=run_id,
                meta={"study": self.study.name, "trial": number},
                runner=f"{type(self.runner).__module__}.{type(self.runner).__qualname__}",
                parts=project.fixed_parts,
                gate=self._gate(),
            )
        )
        self._in_hand[future] = _InHand(number, run_id, params)
        future.add_done_callback(self._ended.put)
        return ""

    def _exhausted(self, proposed: Mapping[str, Any], trials: Sequence[TrialRecord]) -> bool:
        # What workers have in hand is known before long.
        running = any(dict(t.params) == proposed for t in self._in_hand.values())
        return (running and self._finite) or super()._exhausted(proposed, trials)

    def _collect(self, seconds: float) -> bool:
        """Record the trials that have ended, the first of them waited for so long.

        Returns:
            Whether there were any.

        Raises:
            StudyStopped: The scheduler is gone.
            EEIPUError: What a trial found wrong ends the study.
        """
        try:
            future = self._ended.get(timeout=seconds) if seconds else self._ended.get_nowait()
        except queue.Empty:
            if not self.cluster.alive:
                raise self._gone() from None
            return False
        trial = self._in_hand[future]
        result = self._result(future, trial)
        del self._in_hand[future]
        self._finish(trial.number, result)
        self._collect(0.0)
        return True

    def _result(self, future: Any, trial: _InHand) -> TrialResult:
        if future.status == "finished":
            result: TrialResult = future.result()
            return result
        if future.status != "error":
            raise self._gone()
        error = future.exception()
        if type(error).__name__ != "KilledWorker":
            return TrialResult(None, (), f"{type(error).__name__}: {error}")
        return self._lost_worker(trial)

    def _lost_worker(self, trial: _InHand) -> TrialResult:
        """What is known of a trial whose worker ended; it is tried again once."""
        nodes = tuple(self._left_behind(trial.run_id))
        before = [t for t in self.study.trials() if t.params == dict(trial.params)]
        if any(t.error == WORKER_ENDED for t in before):
            return TrialResult(None, nodes, "its worker ended, for the second time")
        return TrialResult(None, nodes, WORKER_ENDED, interrupted=True)

    def _gone(self) -> EEIPUError:
        return StudyStopped(
            "the Dask scheduler is gone. What its workers had in hand is tried again.\n"
            "What was finished is kept; the same command goes on."
        )

    def _abandon(self) -> None:
        """Cancel what workers have in hand, and record it as interrupted."""
        for future, trial in self._in_hand.items():
            with contextlib.suppress(Exception):
                future.cancel()
            nodes = self._left_behind(trial.run_id)
            self.study.finish(trial.number, None, nodes, error="interrupted", interrupted=True)
        self._in_hand.clear()


def _distributed() -> Any:
    try:
        import distributed
    except ImportError as error:
        raise ConfigurationError(
            f"running trials on workers needs Dask ({error})",
            remedy="pip install 'kedro-eeipu[dask]'",
        ) from None
    for name in ("distributed", "distributed.client"):  # Dask gives the second a level of its own
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return distributed
