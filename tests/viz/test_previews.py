"""Previews of values."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from kedro_eeipu.viz.previews import ROWS, png, preview_of, summary


def test_tables() -> None:
    frame = pd.DataFrame({"a": range(100), "b": pd.Timestamp("2026-01-01"), "c": np.nan})
    made = preview_of(frame)
    assert made.kind == "TablePreview"
    assert made.content["columns"] == ["a", "b", "c"]
    assert made.content["data"][1] == [1, "2026-01-01T00:00:00.000", None]
    assert len(made.content["data"]) == len(made.content["index"]) == ROWS
    assert made.stats == {"rows": 100, "columns": 3}
    assert preview_of(frame["a"]).content["columns"] == ["a"]
    assert preview_of(pd.DataFrame(np.zeros((2, 900)))).stats["columns"] == 900
    odd = frame.set_index(["a", "b"])
    odd.columns = pd.MultiIndex.from_tuples([("x", 1)])
    json.dumps(preview_of(odd).content, allow_nan=False)


def test_arrow_tables() -> None:
    pyarrow = pytest.importorskip("pyarrow")
    made = preview_of(pyarrow.table({"a": [1, 2], "b": [b"x", None]}))
    assert made.content["data"] == [[1, "b'x'"], [2, None]]


def test_json_is_shown_as_it_is() -> None:
    made = preview_of({"k": np.float64(2), "nan": float("nan"), "s": (1, {"t"}), 3: None})
    assert made.kind == "JSONPreview"
    assert json.loads(made.content) == {"k": 2.0, "nan": "nan", "s": [1, ["t"]], "3": None}
    assert json.loads(preview_of(list(range(50))).content)[-1] == "… 10 more"
    assert json.loads(preview_of({i: i for i in range(50)}).content)["…"] == "10 more"
    json.dumps(summary({"a": {"b": {"c": {"d": {"e": {}}}}}}))


def test_arrays_and_models_are_told_by_their_features() -> None:
    told = summary(np.arange(6.0).reshape(2, 3))
    assert told == {
        "type": "numpy.ndarray",
        "shape": "(2, 3)",
        "dtype": "float64",
        "bytes": 48,
        "min": 0.0,
        "mean": 2.5,
        "max": 5.0,
    }
    assert summary(np.array([1.0, np.nan, np.inf]))["not finite"] == 2
    assert summary(np.full(100_000, 60_000, dtype=np.float16))["mean"] == 60_000
    assert "min" not in summary(np.array(["a"]))
    linear = pytest.importorskip("sklearn.linear_model")
    assert summary(linear.Ridge(alpha=2.0))["parameters"]["alpha"] == 2.0
    assert "value" in summary(object())
    assert summary((np.zeros(2), 1))[0]["shape"] == "(2,)"


def test_tensors_and_networks() -> None:
    torch = pytest.importorskip("torch")
    told = summary(torch.ones(2, 3, dtype=torch.bfloat16, requires_grad=True))
    assert (told["shape"], told["dtype"], told["mean"]) == ("(2, 3)", "torch.bfloat16", 1.0)
    assert told["bytes"] == 12
    assert summary(torch.nn.Linear(3, 2))["parameters"] == 8


def test_sparse_matrices() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    told = summary(sparse.csr_matrix(np.eye(3) * 4))
    assert (told["shape"], told["max"]) == ("(3, 3)", 4.0)


def pixels(content: str) -> np.ndarray:
    image = pytest.importorskip("PIL.Image")
    return np.asarray(image.open(io.BytesIO(base64.b64decode(content))))


@pytest.mark.parametrize("shape", [(12, 9), (12, 9, 3), (12, 9, 4)], ids=str)
def test_arrays_of_pixels_are_pictures(shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    made = preview_of(array)
    assert made.kind == "ImagePreview"
    assert np.array_equal(pixels(made.content), array)
    assert preview_of(png(array)).content == made.content, "bytes of a PNG are one already"


def test_what_is_no_picture() -> None:
    rows: list[Any] = [np.zeros((100, 3)), np.full((9, 9, 3), 7.0), np.zeros((2, 2), np.uint8)]
    assert {preview_of(a).kind for a in rows} == {"JSONPreview"}
    shown = preview_of(np.full((9, 9, 3), 0.5))
    assert pixels(shown.content)[0, 0].tolist() == [128, 128, 128]


def test_figures_are_pictures() -> None:
    matplotlib = pytest.importorskip("matplotlib.figure")
    figure = matplotlib.Figure(figsize=(2, 1))
    figure.add_subplot().plot([1, 2, 1])
    assert pixels(preview_of(figure).content).ndim == 3
    graph_objects = pytest.importorskip("plotly.graph_objects")
    made = preview_of(graph_objects.Figure(graph_objects.Scatter(y=np.arange(3.0))))
    assert made.kind == "PlotlyPreview"
    assert made.content["data"][0]["type"] == "scatter"
    json.dumps(made.content)
