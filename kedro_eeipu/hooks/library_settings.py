"""Settings of libraries in the process, what reads each and puts it back, and their defaults."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any

from kedro_eeipu.hooks.dataset import warn_once
from kedro_eeipu.hooks.process_parts import (
    ABSENT,
    SETTINGS,
    Part,
    decimal_settings,
    named_in_library,
    of_library,
)

__all__ = ["IN_CODE", "LIBRARY_SETTINGS", "note_settings", "settings_that_were_made"]


def _flat(options: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Options of pandas by their full names."""
    flat: dict[str, Any] = {}
    for name, value in options.items():
        inner = _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else None
        flat.update({f"{prefix}{name}": value} if inner is None else inner)
    return flat


def _change_options(pandas: Any, items: Mapping[str, Any]) -> None:
    for name, value in items.items():
        pandas.set_option(name, value)


def _matplotlib(parameters: Any) -> dict[str, Any]:
    """Parameters without those of how figures are shown, which the first figure sets.

    Not by their own items, which choose a backend. A cycler is told as text, by which it can be
    set.
    """
    return {
        name: repr(value) if type(value).__name__ == "Cycler" else value
        for name, value in dict.items(parameters)
        if not name.startswith(("backend", "interactive"))
    }


def _torch_settings(torch: Any) -> dict[str, Any]:
    settings = {
        "dtype": str(torch.get_default_dtype()),
        "grad": torch.is_grad_enabled(),
        "anomalies": torch.is_anomaly_enabled(),
        "deterministic": [
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
        ],
        # Trainings set it, for speed, and the last digits of later sums depend on it.
        "threads": torch.get_num_threads(),
    }
    with contextlib.suppress(RuntimeError):  # where it was set by part, which torch 2.9 allows
        settings["precision"] = torch.get_float32_matmul_precision()
    if hasattr(torch, "get_default_device"):
        settings["device"] = str(torch.get_default_device())
    return settings


def _change_torch(torch: Any, items: Mapping[str, Any]) -> None:
    setters = {
        "dtype": lambda v: torch.set_default_dtype(getattr(torch, v.removeprefix("torch."))),
        "grad": torch.set_grad_enabled,
        "anomalies": torch.autograd.set_detect_anomaly,
        "deterministic": lambda v: torch.use_deterministic_algorithms(v[0], warn_only=v[1]),
        "threads": torch.set_num_threads,
        "precision": torch.set_float32_matmul_precision,
        "device": torch.set_default_device,
    }
    for name, value in items.items():
        if value is not None:
            setters[name](value)


_CUDNN = ("enabled", "benchmark", "deterministic")


def _cudnn(torch: Any) -> dict[str, Any]:
    return {name: getattr(torch.backends.cudnn, name) for name in _CUDNN}


def _change_cudnn(torch: Any, items: Mapping[str, Any]) -> None:
    for name, value in items.items():
        setattr(torch.backends.cudnn, name, value)


LIBRARY_SETTINGS: dict[str, Part] = {
    "numpy's handling of errors": named_in_library(
        "numpy", lambda np: np.geterr(), lambda np, v: np.seterr(**v)
    ),
    "numpy's print options": named_in_library(
        "numpy",
        lambda np: {k: w for k, w in np.get_printoptions().items() if k != "override_repr"},
        lambda np, v: np.set_printoptions(**v),
    ),
    "pandas' options": named_in_library(
        "pandas",
        lambda pd: _flat(pd._config.config._global_config),
        _change_options,
        is_ours=False,
    ),
    "sklearn's configuration": named_in_library(
        "sklearn", lambda s: s.get_config(), lambda s, v: s.set_config(**v)
    ),
    "torch's settings": named_in_library("torch", _torch_settings, _change_torch),
    "torch's settings of cuDNN": named_in_library("torch", _cudnn, _change_cudnn),
    "dask's configuration": of_library("dask.config", lambda d: repr(d.config)),
    "matplotlib's parameters": named_in_library(
        "matplotlib",
        lambda m: _matplotlib(m.rcParams),
        lambda m, v: m.rcParams.update(v),
        is_ours=False,
    ),
}
# Settings that are variables of a module, as code names them.
IN_CODE = frozenset(f"torch.backends.cudnn.{name}:" for name in _CUDNN)

# The number of threads is none of them: by default it is the machine's.
_TORCH = {
    "dtype": "torch.float32",
    "grad": True,
    "anomalies": False,
    "deterministic": [False, False],
    "precision": "highest",
    "device": "cpu",
}
_NUMPY_ERRORS = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}
_NUMPY_PRINT = {
    "edgeitems": 3,
    "threshold": 1000,
    "floatmode": "maxprec",
    "precision": 8,
    "suppress": False,
    "linewidth": 75,
    "nanstr": "nan",
    "infstr": "inf",
    "sign": "-",
    "formatter": None,
    "legacy": False,
}


def _pandas_defaults(pandas: Any) -> dict[str, Any]:
    """Without what says how pandas computes: dask sets that when it is imported, by whoever."""
    options = pandas._config.config._registered_options
    return {n: o.defval for n, o in options.items() if not n.startswith("compute.")}


# The module, what its settings are before anybody changes them, and whether they count only for
# nodes whose code uses the library, since a notebook changes them for its plots.
_DEFAULTS: dict[str, tuple[str, Callable[[Any], Mapping[str, Any]], bool]] = {
    "the decimal context": ("decimal", lambda d: decimal_settings(d.DefaultContext), False),
    "numpy's handling of errors": ("numpy", lambda _: _NUMPY_ERRORS, False),
    "numpy's print options": ("numpy", lambda _: _NUMPY_PRINT, False),
    "pandas' options": ("pandas", _pandas_defaults, False),
    "sklearn's configuration": ("sklearn", lambda s: s._config._global_config, False),
    "torch's settings": ("torch", lambda _: _TORCH, False),
    "torch's settings of cuDNN": (
        "torch",
        lambda _: {"enabled": True, "benchmark": False, "deterministic": False},
        False,
    ),
    "matplotlib's parameters": ("matplotlib", lambda m: _matplotlib(m.rcParamsDefault), True),
}


_made: dict[str, dict[str, Any]] | None = None


def note_settings() -> None:
    """Take note of the settings that imports and hooks have made, before nodes are called.

    Libraries that are imported later make some, too, and the keys of nodes do not depend on when.
    """
    global _made
    made = {}
    for name, (module, defaults, _) in _DEFAULTS.items():
        library = sys.modules.get(module)
        if library is None:
            continue
        try:
            now, default = {**SETTINGS, **LIBRARY_SETTINGS}[name].read(), defaults(library)
            if now != ABSENT and (other := _other(now, default)):
                made[name] = other
        except Exception as error:
            warn_once("Whether the project changes %s is not seen: %s", name, error)
    _made = made


def settings_that_were_made(reached: Collection[str]) -> dict[str, dict[str, Any]]:
    """Settings that are not as libraries have them, as imports and hooks of a project make them.

    Args:
        reached: Parts of the code of a node, as `CodeIdentity` names them.
    """
    if _made is None:
        note_settings()
    return {name: values for name, values in (_made or {}).items() if _concerns(name, reached)}


def _concerns(setting: str, reached: Collection[str]) -> bool:
    module, _, is_of_users = _DEFAULTS[setting]
    return not is_of_users or not {f"library {module}", f"required {module}"}.isdisjoint(reached)


def _other(now: Mapping[str, Any], default: Mapping[str, Any]) -> dict[str, Any]:
    return {n: v for n, v in sorted(now.items()) if n in default and v != default[n]}
