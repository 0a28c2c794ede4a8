"""A Dask cluster whose workers run trials."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from kedro_eeipu import processes
from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.tuning import worker
from kedro_eeipu.tuning.timeouts import TOPIC
from kedro_eeipu.tuning.worker import Assignment

__all__ = ["Cluster", "opener"]

_LOOK_SECONDS = 1.0  # between two looks at which workers there are
_CONNECT_SECONDS = 10
_FIRST_WORKER_SECONDS = 120
_LOCAL = {
    # A trial that takes its worker with it would take the others, too.
    "distributed.scheduler.allowed-failures": 0,
    # A node may keep the interpreter to itself for as long as it likes.
    "distributed.scheduler.worker-ttl": None,
    # Kedro's ParallelRunner starts its own processes.
    "distributed.worker.daemon": False,
    # Looking ten to a hundred times a second at what a process does costs sixteen of them, on a
    # machine of two cores, a quarter of it.
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "500ms",
    "distributed.admin.system-monitor.interval": "10s",
    # We say in a sentence what ends a study.
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

    def why_ended(self, run_id: str) -> str:
        """Why the worker of a run has ended itself; empty if it did not say so."""
        events = self._client.get_events(TOPIC)
        reports = [event for _, event in events if event.get("run") == run_id]
        return str(reports[-1]["reason"]) if reports else ""

    def close(self, kill: bool = False) -> None:
        """Let go of the cluster, and end it if it is ours.

        Args:
            kill: Whether what runs on our own workers is ended at once.
        """
        if kill and self._local is not None:
            for nanny in list(self._local.workers.values()):
                with contextlib.suppress(Exception):
                    processes.kill(nanny.pid)
        with contextlib.suppress(Exception):
            self._client.close(timeout=2)
        if self._local is not None:
            with contextlib.suppress(Exception):
                self._local.close(timeout=10)
        self._at_end.close()


def opener(
    workers: int | None, scheduler: str | None, resources: Mapping[str, float]
) -> Callable[[], Cluster]:
    """What opens the cluster that was asked for, when it is needed.

    Raises:
        ConfigurationError: Two clusters were asked for, or no worker.
    """
    if workers is not None and workers < 1:
        raise ConfigurationError(
            f"{workers} workers run no trial", where="--workers", remedy="Ask for 1 or more."
        )
    if workers is not None and scheduler is not None:
        raise ConfigurationError(
            "--workers starts a cluster, and --scheduler names a running one",
            remedy="Pass either --workers or --scheduler.",
        )
    if scheduler is not None:
        return lambda: Cluster.connect(scheduler, resources)
    return lambda: Cluster.start(workers or 1, resources)


def _distributed() -> Any:
    try:
        import distributed
    except ImportError as error:
        raise ConfigurationError(
            f"running trials on workers needs Dask ({error})",
            remedy="pip install 'kedro-eeipu[dask]'",
        ) from None
    for name in ("distributed", "distributed.client"):  # each has its level
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return distributed
