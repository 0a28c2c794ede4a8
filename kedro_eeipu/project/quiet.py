"""What other plugins do in every run, and should not do while trials run."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["quiet"]

# Kedro-Viz rewrites a file that grows with every run to show the last one's status.
_NOT_WHILE_TUNING = ("kedro_viz",)


@contextmanager
def quiet(manager: Any) -> Iterator[None]:
    """Let Kedro and plugins that only slow a search down be silent.

    Args:
        manager: Pluggy's manager of the session's hooks.
    """
    silenced = [
        (name, plugin)
        for name, plugin in manager.list_name_plugin()
        if plugin is not None and type(plugin).__module__.split(".")[0] in _NOT_WHILE_TUNING
    ]
    for _, plugin in silenced:
        manager.unregister(plugin)
    kedro_logger = logging.getLogger("kedro")
    level = kedro_logger.level
    kedro_logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        kedro_logger.setLevel(level)
        for name, plugin in silenced:
            manager.register(plugin, name=name)
