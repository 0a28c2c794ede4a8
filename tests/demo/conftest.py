"""The demo's own data and parameters, made small enough to run its nodes in a second."""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

DEMO = Path(__file__).parents[2] / "demo_project"
sys.path.insert(0, str(DEMO / "src"))


@pytest.fixture(scope="session")
def demo() -> Path:
    """The folder of the demo project."""
    return DEMO


@pytest.fixture(scope="session")
def raw() -> dict[str, pd.DataFrame]:
    """The three raw tables as they are in the project."""
    return {
        f"{name}_raw": pd.read_parquet(DEMO / "data" / "01_raw" / f"{name}.parquet")
        for name in ("flights", "weather", "planes")
    }


@pytest.fixture(scope="session")
def base_parameters() -> dict[str, Any]:
    """`conf/base/parameters.yml`."""
    return yaml.safe_load((DEMO / "conf" / "base" / "parameters.yml").read_text())


@pytest.fixture
def parameters(base_parameters: dict[str, Any]) -> dict[str, Any]:
    """The project's parameters with small models."""
    parameters = copy.deepcopy(base_parameters)
    parameters["scoring"]["method"] = "anova"
    parameters["random_forest"]["n_estimators"] = 5
    parameters["boosting"]["max_iter"] = 5
    parameters["svm"]["max_rows"] = 200
    parameters["stacking"]["n_estimators"] = 5
    return parameters


@pytest.fixture(scope="session")
def small_raw(raw: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The raw tables with every sixth flight."""
    return {**raw, "flights_raw": raw["flights_raw"].iloc[::6].reset_index(drop=True)}
