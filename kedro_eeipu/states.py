"""What can become of a node in a run."""

from __future__ import annotations

from enum import Enum

__all__ = ["FILE_PART", "STATE_PART", "NodeState"]

# With it begin the parts of a key that are settings or random generators.
STATE_PART = "state: "
# And those that are files of the project which the function opens by itself.
FILE_PART = "opens "


class NodeState(str, Enum):
    """State of a node; its text is what JSON and the study hold."""

    RAN = "ran"
    REUSED = "reused"
    FAILED = "failed"
    STOPPED = "stopped"  # by what it reported, so that its trial is pruned
    SKIPPED = "skipped"  # the run ended before it was reached
    RUNNING = "running"  # only during the run: never recorded

    # The text itself, in every version of Python.
    def __str__(self) -> str:
        return self.value

    def __format__(self, spec: str) -> str:
        return format(self.value, spec)
