"""The call of a node's function: how long it took, and what it reported on the way."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

from kedro.pipeline.node import Node

from kedro_eeipu.curves import Listener, Thresholds, listening
from kedro_eeipu.errors import error_text
from kedro_eeipu.hooks.found_by_itself import Findings, findings
from kedro_eeipu.hooks.pruning import Pruned

__all__ = ["NodeCall"]


class NodeCall:
    """Calls the function of one node of one run.

    Args:
        node: The node, with its own function.
        meta: What its record says about the run; of a run that is timed by the processor's clock
            it says ``clock: cpu``.
        thresholds: What decides whether a training continues; ``None`` where none ends early.

    Attributes:
        seconds: What the latest call took.
        curve: What it reported, by step.
        found: The files that it opened and the modules that it imported by itself.
        times: When it began and ended, in seconds since the epoch; both 0 before.
    """

    def __init__(self, node: Node, meta: Mapping[str, Any], thresholds: Thresholds | None) -> None:
        self._node = node
        self._clock = time.process_time if meta.get("clock") == "cpu" else time.perf_counter
        self._thresholds = thresholds
        self.seconds = 0.0
        self.curve: tuple[tuple[int, float], ...] = ()
        self.found = Findings()
        self.times = (0.0, 0.0)

    def whole(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function, and let it run to its end."""
        return self._call(Listener(), args, kwargs)

    def stoppable(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function, which may end early by what it reports.

        Raises:
            Pruned: It was told to end. What it returned all the same may be half a result.
        """
        if self._thresholds is None:
            return self.whole(*args, **kwargs)
        listener = Listener(self._thresholds)
        try:
            result = self._call(listener, args, kwargs)
        except Exception as error:
            # A library may have wrapped what its callback has raised.
            if listener.stopped:
                raise Pruned(listener.stopped) from error
            if (pruned := self.pruned(error)) is not None:
                raise pruned from error
            raise
        if listener.stopped:
            raise Pruned(listener.stopped)
        return result

    def pruned(self, error: BaseException) -> Pruned | None:
        """What it means that a node has raised this: that its trial is pruned, ``None`` if not."""
        optuna = sys.modules.get("optuna.exceptions")  # imported by who raises it
        if self._thresholds is None or optuna is None:
            return None
        if not isinstance(error, optuna.TrialPruned):
            return None
        return Pruned(f"stopped by itself: {error_text(error)}")

    def clock(self) -> float:
        """Seconds of the clock that the run is timed by."""
        return self._clock()

    def _call(self, listener: Listener, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        began, started = time.time(), self.clock()
        try:
            with listening(listener), findings() as self.found:
                return self._node.func(*args, **kwargs)
        finally:
            self.seconds = self.clock() - started
            self.times = (began, time.time())
            self.curve = listener.curve()
