"""Trials, their stage costs and reuse, and the sampler that proposes the next one."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kedro_eeipu.study.opening import open_study
    from kedro_eeipu.study.records import NodeRecord, TrialRecord
    from kedro_eeipu.study.sampler import EEIPUSampler, Observation
    from kedro_eeipu.study.storage import TrialStudy

__all__ = ["EEIPUSampler", "NodeRecord", "Observation", "TrialRecord", "TrialStudy", "open_study"]

_MODULES = {
    "EEIPUSampler": "sampler",
    "NodeRecord": "records",
    "Observation": "sampler",
    "TrialRecord": "records",
    "TrialStudy": "storage",
    "open_study": "opening",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for: a worker needs the records, and not Optuna."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
