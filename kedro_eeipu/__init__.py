"""Tune the hyperparameters of a whole Kedro pipeline, paying only for the nodes that change."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kedro_eeipu.curves import optuna_trial, report, should_prune
    from kedro_eeipu.notebook.magic import load_ipython_extension
    from kedro_eeipu.notebook.study import load_study
    from kedro_eeipu.notebook.tuning import tune

__all__ = [
    "__version__",
    "load_ipython_extension",
    "load_study",
    "optuna_trial",
    "report",
    "should_prune",
    "tune",
]

__version__ = "0.1.0"

# The module that holds each public name: it is imported when the name is asked for.
_MODULES = {
    "load_ipython_extension": "kedro_eeipu.notebook.magic",
    "load_study": "kedro_eeipu.notebook.study",
    "optuna_trial": "kedro_eeipu.curves",
    "report": "kedro_eeipu.curves",
    "should_prune": "kedro_eeipu.curves",
    "tune": "kedro_eeipu.notebook.tuning",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is asked for: each run of a project imports this package."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
