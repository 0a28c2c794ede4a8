"""Spares tests and their processes what takes more than half of a trial of a tiny project."""

from __future__ import annotations

import functools
import sys
import types
from typing import Any

__all__ = ["quicken", "silence_progress"]


def quicken() -> None:
    """Let libraries leave out what no test looks at.

    Dynaconf's reading of the source of every frame of the stack, four times whenever Kedro loads a
    project's settings, where it needs file names alone; and the ten migrations of Optuna's tables,
    loaded three times for every new study.
    """
    from alembic.script import base
    from dynaconf.loaders import py_loader
    from dynaconf.utils import files

    for module in (py_loader, files):
        vars(module)["inspect"] = types.SimpleNamespace(stack=_stack_without_source)
    util: Any = vars(base)["util"]
    util.load_python_file = functools.lru_cache(util.load_python_file)


def silence_progress() -> None:
    """Leave out Kedro's lines of progress, which rich draws."""
    from kedro.framework.project import LOGGING

    # In the configuration: Kedro makes its handlers anew for every project.
    for handler in LOGGING.data["handlers"].values():
        handler["level"] = "WARNING"
    LOGGING.configure(LOGGING.data)


def _stack_without_source() -> list[types.SimpleNamespace]:
    """What `inspect.stack` says of the frames but for their source."""
    frame: types.FrameType | None = sys._getframe(1)
    frames = []
    while frame:
        frames.append(types.SimpleNamespace(filename=frame.f_code.co_filename))
        frame = frame.f_back
    return frames
