"""Equality of values whose bytes differ."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeRegressor

from kedro_eeipu.hooks.same_value import same_value


class Model:
    def __init__(self, *parts: Any) -> None:
        self.parts = parts
        self.itself = self


CELLS = pd.DataFrame({"a": [np.array([1.0, math.nan]), {"b": 1}]})
LINEAR = LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0])
TREE = DecisionTreeRegressor(random_state=0).fit([[1.0], [2.0]], [1.0, 2.0])
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
        (Model(1, np.ones(2)), Model(1, np.ones(2)), True),
        (Model(1, np.ones(2)), Model(1, np.zeros(2)), False),
        (Model(1), Model(True), False),
        (csr_matrix([[1, 0]]), csr_matrix([[1, 0]]), True),
        (csr_matrix([[1, 0]]), csr_matrix([[2, 0]]), False),
        (LINEAR, copy.deepcopy(LINEAR), True),
        (TREE, copy.deepcopy(TREE), True),
        (TREE, DecisionTreeRegressor(random_state=0).fit([[1.0], [2.0]], [1.0, 3.0]), False),
        (LINEAR, LinearRegression().fit([[1.0], [2.0]], [1.0, 3.0]), False),
        (CELLS, copy.deepcopy(CELLS), True),
        (CELLS, CELLS.iloc[::-1].reset_index(drop=True), False),
    ],
)
def test_equal_values(a: Any, b: Any, same: bool) -> None:
    assert same_value(a, b) is same
