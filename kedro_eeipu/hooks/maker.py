"""What a produced dataset asks of the node that makes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from kedro.pipeline.node import Node

from kedro_eeipu.cache.store.store import Blob
from kedro_eeipu.hooks.run_directory import Output

__all__ = ["Maker"]


class Maker(Protocol):
    """What makes a dataset in a run: the action of a node."""

    node: Node
    identity: Any
    inputs: Mapping[str, Any]

    def saved(self, name: str, output: Output | None) -> None:
        """Take note that an output has been saved; ``None`` where nothing stands for it."""

    def recipe(self, name: str, value: Any) -> Blob | str:
        """What stands for an output of which there are no bytes, or why nothing does."""

    def rebuild(self, name: str) -> None:
        """Compute an output again, and save or hold it."""
