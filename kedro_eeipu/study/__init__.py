"""Trials, their stage costs and reuse, and the sampler that proposes the next one."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kedro_eeipu.study.records import NodeRecord, TrialRecord
    from kedro_eeipu.study.sampler import EEIPUSampler, Observation
    from kedro_eeipu.study.storage import TrialStudy, open_study

__all__ = ["EEIPUSampler", "NodeRecord", "Observation", "TrialRecord", "TrialStudy", "open_study"]

_ROOMS = {
    "records": ("NodeRecord", "TrialRecord"),
    "sampler": ("EEIPUSampler", "Observation"),
    "storage": ("TrialStudy", "open_study"),
}


def __getattr__(name: str) -> Any:
    # Optuna takes half a second to import, and what only reads records has no need of it.
    for room, names in _ROOMS.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{room}"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
