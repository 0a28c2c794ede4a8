"""Equality of values whose bytes differ."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from kedro_eeipu.hooks.same_value import same_value

TABLE = pd.DataFrame({"a": [1.0, math.nan], "b": ["x", None]})


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ({"a": [1, (math.nan,)]}, {"a": [1, (math.nan,)]}, True),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, False),
        (1, 1.0, False),
        (TABLE, pd.concat([TABLE[["a"]], TABLE[["b"]]], axis=1), True),
        (TABLE, TABLE.rename_axis("n"), False),
        (TABLE, TABLE.iloc[::-1], False),
        (np.ones((2, 2)), np.asfortranarray(np.ones((2, 2))), True),
        (np.array([math.nan]), np.array([math.nan]), True),
        (np.array([1.0]), np.array([1], dtype="f4"), False),
        (np.array(["a", None], dtype=object), np.array(["a", None], dtype=object), True),
        (object(), object(), False),
    ],
)
def test_equal_values(a: Any, b: Any, same: bool) -> None:
    assert same_value(a, b) is same
