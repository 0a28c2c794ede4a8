"""Settings of libraries in the process: what reads each of them, and puts it back."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from kedro_eeipu.hooks.process_parts import Part, named_in_library, of_library

__all__ = ["IN_CODE", "LIBRARY_SETTINGS"]


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


def _matplotlib(matplotlib: Any) -> dict[str, Any]:
    # Not by rcParams' own items, which choose a backend. A cycler is told as text, by which it can
    # be set.
    values = dict.items(matplotlib.rcParams)
    return {n: repr(v) if type(v).__name__ == "Cycler" else v for n, v in values}


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
        "matplotlib", _matplotlib, lambda m, v: m.rcParams.update(v), is_ours=False
    ),
}
# Settings that are variables of a module, as code names them.
IN_CODE = frozenset(f"torch.backends.cudnn.{name}:" for name in _CUDNN)
