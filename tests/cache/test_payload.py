"""Serialised values."""

from __future__ import annotations

import datetime
import io
import math
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import pytest
import torch
from code_edits import Loader
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from kedro_eeipu.cache.identity.origin import Origin, origin_of
from kedro_eeipu.cache.store import payload

if TYPE_CHECKING:
    from typing_extensions import Buffer


def _written(value: object, limit: int | None = None) -> tuple[bytes, str]:
    file = io.BytesIO()
    digest, size = payload.write(value, file, limit)
    assert size == len(file.getvalue())
    assert payload.digest_of(io.BytesIO(file.getvalue())) == digest
    return file.getvalue(), digest


def _read(data: bytes, digest: str) -> object:
    return payload.read(io.BytesIO(data), len(data), digest)


def _again(value: object) -> object:
    return _read(*_written(value))


trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner) | st.tuples(inner),
    max_leaves=15,
)


@given(trees)
def test_plain_values_come_back_equal_and_with_the_same_digest(value: object) -> None:
    data, digest = _written(value)
    back = _read(data, digest)
    assert back == value
    assert _written(back)[1] == digest
    assert _written(pickle.loads(pickle.dumps(value, 0)))[1] == digest


def test_case_12_equal_metrics_have_equal_digests_however_strings_are_shared() -> None:
    name = "accuracy"
    copy = "".join(["accu", "racy"])
    assert name is not copy
    assert _written({name: 1.0, "best": name})[1] == _written({copy: 1.0, "best": name})[1]


def test_nans_stay_those_that_code_compares_with() -> None:
    back = _again([np.nan, math.nan, float("nan"), {"a": np.nan}])
    assert isinstance(back, list)
    assert back[0] is np.nan
    assert back[1] is math.nan
    assert back[2] is not np.nan
    assert math.isnan(back[2])
    assert back[3]["a"] is np.nan
    column = _again(pd.DataFrame({"a": pd.Series(["x", np.nan], dtype=object)}))
    assert isinstance(column, pd.DataFrame)
    assert column["a"].to_list()[1] is np.nan


def test_nan_of_numpy_is_read_where_numpy_was_not_imported(tmp_path: Path) -> None:
    data, digest = _written({"loss": np.nan})
    (tmp_path / "payload").write_bytes(data)
    code = (
        "import io, sys\nfrom kedro_eeipu.cache.store import payload\n"
        "sys.modules.pop('numpy', None)\n"
        f"data = open({str(tmp_path / 'payload')!r}, 'rb').read()\n"
        f"print(payload.read(io.BytesIO(data), len(data), {digest!r}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "{'loss': nan}", done.stderr


def test_value_of_a_library_names_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who takes a frame in may use pandas through it alone."""
    frame = pd.DataFrame({"a": [1.0]})
    plain, before = _written({"a": [1.0]})[1], _written(frame)[1]

    def upgraded(module: str) -> Origin:
        origin = origin_of(module)
        return Origin("pandas", "pandas 99.0") if origin.name == "pandas" else origin

    monkeypatch.setattr("kedro_eeipu.cache.store.payload.origin_of", upgraded)
    assert _written(frame)[1] != before
    assert _written({"a": [1.0]})[1] == plain


def test_sharing_of_lists_survives() -> None:
    shared = [1]
    back = _again([shared, shared])
    assert isinstance(back, list)
    assert back[0] is back[1]
    loop: list[object] = [1]
    loop.append(loop)
    back = _again(loop)
    assert isinstance(back, list)
    assert back[1] is back


def test_case_12_equal_arrays_have_equal_digests_however_types_are_shared() -> None:
    arrays = {"a": np.arange(10), "b": np.arange(10)[::2], "c": np.array(["x", None])}
    apart = {name: pickle.loads(pickle.dumps(array)) for name, array in arrays.items()}
    assert _written(arrays)[1] == _written(apart)[1]
    assert _written(np.arange(10))[1] != _written(np.arange(10.0))[1]


@pytest.mark.parametrize("size", [10, 100_000, 2_000_000])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_come_back_writable_in_their_layout(size: int, order: Literal["C", "F"]) -> None:
    array = np.asarray(np.random.default_rng(0).normal(size=(size // 2, 2)), order=order)
    back = _again(array)
    assert isinstance(back, np.ndarray)
    np.testing.assert_array_equal(back, array)
    assert back.flags.writeable
    assert back.flags.f_contiguous if order == "F" else back.flags.c_contiguous
    back[0, 0] = 5
    assert _written(array)[1] == _written(array.copy(order))[1]


def test_read_only_and_strided_arrays() -> None:
    array = np.zeros(1_000_000)
    array.setflags(write=False)
    back = _again([array, array[::2]])
    assert isinstance(back, list)
    assert back[0].flags.writeable, "as a copy is"
    assert _written([array])[1] == _written([array.copy()])[1]
    assert back[1].shape == (500_000,)


_FRAMES = {
    "mixed": pd.DataFrame(
        {
            "i": range(4),
            "s": ["a", None, "ü", "a"],
            "c": pd.Categorical(["x", "y", "x", "y"]),
            "t": pd.date_range("2020", periods=4, tz="Europe/Berlin"),
            "n": pd.array([1, None, 3, 4], dtype="Int64"),
            "o": [{"a": 1}, [1], (1,), datetime.date(2020, 1, 1)],
        }
    ),
    "multi index": pd.DataFrame(
        np.zeros((4, 2)), index=pd.MultiIndex.from_product([["a", "b"], [1, 2]])
    ),
    "large": pd.DataFrame(np.random.default_rng(0).normal(size=(200_000, 5))),
    "empty": pd.DataFrame(),
}


@pytest.mark.parametrize("name", ["multi index", "large", "empty"])
def test_case_12_equal_frames_have_equal_digests(name: str) -> None:
    frame = _FRAMES[name]
    back = _again(frame)
    assert isinstance(back, pd.DataFrame)
    assert _written(back)[1] == _written(frame)[1]
    columns = list(frame)
    assert _written(back[columns])[1] == _written(frame[columns])[1]


@pytest.mark.parametrize("frame", _FRAMES.values(), ids=_FRAMES)
def test_frames_come_back_equal(frame: pd.DataFrame) -> None:
    back = _again(frame)
    assert isinstance(back, pd.DataFrame)
    assert_frame_equal(back, frame)
    assert _written(back)[1] == _written(_again(back))[1]


@pytest.mark.parametrize("value", [{"a": 1}, np.arange(1_000_000)], ids=["small", "large"])
def test_case_37_every_damage_is_noticed(value: object) -> None:
    data, digest = _written(value)
    places = [0, 1, len(data) // 2, len(data) - 20, len(data) - 1]
    damaged = [data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :] for place in places]
    damaged += [data[:-1], data[:5], b"", data + b"x", data[1:]]
    for broken in damaged:
        with pytest.raises(payload.Damaged):
            _read(broken, digest)
        with pytest.raises(payload.Damaged):
            payload.read(io.BytesIO(broken), len(data), digest)


class _Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._folder),)


def test_case_44_digest_is_checked_before_anything_is_unpickled(tmp_path: Path) -> None:
    bomb = _Bomb(tmp_path / "exploded")
    _, digest = _written({"a": 1})
    planted, planted_digest = _written(bomb)
    with pytest.raises(payload.Damaged):
        _read(planted, digest)
    assert not (tmp_path / "exploded").exists()
    _read(planted, planted_digest)
    assert (tmp_path / "exploded").exists()


def test_case_30_limit_ends_the_writing() -> None:
    class Counting(io.BytesIO):
        written = 0

        def write(self, data: Buffer, /) -> int:
            count = super().write(data)
            Counting.written += count
            return count

    with pytest.raises(payload.TooLarge):
        payload.write([np.zeros(1_000_000)] * 2 + ["x" * 100_000_000], Counting(), 1_000_000)
    assert Counting.written < 2_000_000


_MODEL = (
    "def helper(x):\n    return x * 2\n"
    "class Model:\n    def __init__(self, k):\n        self.k = k\n"
    "    def predict(self, x):\n        return helper(self.k * x)\n"
)


def test_case_05_object_of_an_edited_class_is_another_value(project: Loader) -> None:
    with project({"nodes.py": _MODEL}) as nodes:
        data, digest = _written([nodes.Model(1)])
        assert _written([nodes.Model(1)])[1] == digest
    with project({"nodes.py": _MODEL.replace("x * 2", "x * 3")}) as nodes:
        assert _written([nodes.Model(1)])[1] != digest
        with pytest.raises(payload.Outdated, match="nodes:Model"):
            _read(data, digest)
    with project({"nodes.py": "# comment\n" + _MODEL}) as nodes:
        assert _written([nodes.Model(1)])[1] == digest
        back = _read(data, digest)
        assert isinstance(back, list)
        assert back[0].predict(2) == 4


def _model() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(300, 300), torch.nn.BatchNorm1d(300))


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.arange(10.0)[2:7:2],
        lambda: torch.arange(5.0).bfloat16(),
        lambda: torch.empty(0),
        lambda: torch.eye(3).to_sparse(),
        lambda: _model().state_dict(),
        lambda: torch.optim.Adam(_model().parameters()).state_dict(),
        _model,
    ],
)
def test_equal_tensors_have_equal_digests(make: Callable[[], object]) -> None:
    """Torch pickles them under their address in memory."""
    data, digest = _written(make())
    assert _written(make())[1] == digest
    assert _written(_read(data, digest))[1] == digest


def test_tensors_are_what_they_were() -> None:
    model = _model()
    back = _again(model.state_dict())
    assert isinstance(back, dict)
    assert all(torch.equal(back[name], value) for name, value in model.state_dict().items())
    assert _written(_again(torch.ones(3)))[1] != _written(torch.zeros(3))[1]
    tensor = _again(torch.zeros(300, 300))
    assert isinstance(tensor, torch.Tensor)
    assert float(tensor.add_(1).sum()) == 90_000, "it can be written to"


_METHODS = """
import functools
from toolz import curry
class Base:
    def inherited(self, x): return x + self.k
class Model(Base):
    def __init__(self, k): self.k, self.callback = k, self.go
    def go(self, x): return x * 2 + self.k
    @classmethod
    def made(cls, x): return x * 2
@curry
def times(k, x): return x * 2 + k
"""


@pytest.mark.parametrize(
    "made",
    [
        "Model(1).go",
        "Model(1).inherited",
        "Model.made",
        "[Model(1)]",
        "{'f': functools.partial(Model(1).go, 1)}",
        "times",
        "times(1)",
    ],
)
def test_case_05_bound_methods_and_curried_functions(project: Loader, made: str) -> None:
    with project({"nodes.py": _METHODS}) as nodes:
        data, digest = _written(eval(made, nodes.__dict__))
        assert _written(eval(made, nodes.__dict__))[1] == digest
        assert _written(_read(data, digest))[1] == digest
    edited = _METHODS.replace("x * 2", "x * 3").replace("x + self.k", "x - self.k")
    with project({"nodes.py": edited}) as nodes:
        assert _written(eval(made, nodes.__dict__))[1] != digest
        with pytest.raises(payload.Outdated, match="nodes:"):
            _read(data, digest)


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_case_05_function_in_a_pickle_inside_a_value(project: Loader, protocol: int) -> None:
    with project({"nodes.py": _MODEL}) as nodes:
        data, digest = _written({"f": b"PLPY" + pickle.dumps(nodes.helper, protocol)})
    with project({"nodes.py": _MODEL.replace("x * 2", "x * 3")}) as nodes:
        assert _written({"f": b"PLPY" + pickle.dumps(nodes.helper, protocol)})[1] != digest
        with pytest.raises(payload.Outdated, match="nodes:helper"):
            _read(data, digest)


def test_bytes_that_only_look_like_pickles() -> None:
    value = bytes(range(256)) * 50 + b"\x80\x04\x95" * 50
    assert _again(value) == value


def test_case_05_function_inside_a_value(project: Loader) -> None:
    with project({"nodes.py": _MODEL}) as nodes:
        before = _written({"f": nodes.helper})[1]
    with project({"nodes.py": _MODEL.replace("x * 2", "x * 3")}) as nodes:
        assert _written({"f": nodes.helper})[1] != before
