"""What project code registers with libraries."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest

from kedro_eeipu.cache.identity.replaced import replaced_in_libraries


class Area:
    def __init__(self, data: Any) -> None:
        self.data = data


@pytest.fixture
def series_accessor() -> Iterator[None]:
    pd.api.extensions.register_series_accessor("area")(Area)
    yield
    del pd.Series.area
    pd.Series._accessors.discard("area")


@pytest.mark.usefixtures("series_accessor")
def test_accessor_of_pandas_is_found() -> None:
    assert ("pandas.Series.area", Area) in replaced_in_libraries()


def test_accessor_of_a_library_that_keeps_no_list_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """As xarray registers them: the class lies in a descriptor of its own."""

    class Cached:
        def __init__(self, name: str, accessor: type) -> None:
            self._name, self._accessor = name, accessor

        def __get__(self, obj: Any, kind: type) -> Any:
            return self._accessor if obj is None else self._accessor(obj)

    dataset = type("Dataset", (), {"area": Cached("area", Area), "mean": Cached("mean", dict)})
    library = types.ModuleType("xarray")
    library.Dataset = dataset  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "xarray", library)
    found = {name: value for name, value in replaced_in_libraries() if name.startswith("xarray")}
    assert found == {"xarray.Dataset.area": Area}
