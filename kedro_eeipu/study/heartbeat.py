"""Signs of life of the trials that this process runs, for other drivers of the same study."""

from __future__ import annotations

import logging
import threading
from typing import Any

__all__ = ["GRACE_SECONDS", "INTERVAL_SECONDS", "Heartbeat"]

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 20
GRACE_SECONDS = 90  # without a sign of life for so long, a trial has lost its driver


class Heartbeat:
    """Beats for every running trial, in its own thread.

    Args:
        storage: Optuna's storage, which keeps the time of the last beat by its own clock.
    """

    def __init__(self, storage: Any) -> None:
        self._storage = storage
        self._trials: set[int] = set()
        self._thread: threading.Thread | None = None

    def begin(self, trial_id: int) -> None:
        """A trial runs."""
        self._storage.record_heartbeat(trial_id)
        self._trials.add(trial_id)
        if self._thread is None:
            self._thread = threading.Thread(target=self._beat, name="eeipu-heartbeat", daemon=True)
            self._thread.start()

    def end(self, trial_id: int) -> None:
        """A trial is recorded."""
        self._trials.discard(trial_id)

    def stale(self, study_id: int) -> set[int]:
        """Ids of running trials that have lost their driver."""
        return set(self._storage._get_stale_trial_ids(study_id))

    def _beat(self) -> None:
        pause = threading.Event()
        while not pause.wait(INTERVAL_SECONDS):
            for trial_id in list(self._trials):
                try:
                    self._storage.record_heartbeat(trial_id)
                except Exception as error:  # the next beat may get through
                    logger.debug("heartbeat of trial %s failed: %s", trial_id, error)
