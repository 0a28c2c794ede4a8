"""What Kedro-Viz shows of a value: a table, a picture, a plotly figure, or JSON."""

from __future__ import annotations

import base64
import io
import json
import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["ROWS", "Preview", "png", "preview_of", "summary"]

ROWS = 40
COLUMNS = 60
_DEPTH = 4
_TEXT = 2000
_PNG = b"\x89PNG\r\n\x1a\n"
_SMALLEST_IMAGE = 8


@dataclass(frozen=True)
class Preview:
    """A preview as Kedro-Viz takes it.

    Attributes:
        kind: One of Kedro-Viz's types: ``TablePreview``, ``ImagePreview``, ``PlotlyPreview`` or
            ``JSONPreview``.
        content: What that type holds, fit for JSON.
        stats: ``rows`` and ``columns`` of a frame.
    """

    kind: str
    content: Any
    stats: Mapping[str, int] = field(default_factory=dict)


def preview_of(value: Any) -> Preview:
    """The preview of any value; what is neither table nor picture is shown as JSON."""
    for make in (_table, _picture, _plotly):
        preview = make(value)
        if preview is not None:
            return preview
    return Preview("JSONPreview", json.dumps(summary(value), indent=2))


def summary(value: Any, depth: int = 0) -> Any:
    """What JSON can show of a value: itself where it is small and plain, else its features."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(value)
    if isinstance(value, str):
        return value if len(value) <= _TEXT else f"{value[:_TEXT]}… ({len(value):,} characters)"
    if isinstance(value, Mapping) and depth < _DEPTH:
        entries = {str(k): summary(v, depth + 1) for k, v in list(value.items())[:ROWS]}
        return entries if len(value) <= ROWS else {**entries, "…": f"{len(value) - ROWS:,} more"}
    if isinstance(value, (list, tuple, set, frozenset)) and depth < _DEPTH:
        items = [summary(v, depth + 1) for v in list(value)[:ROWS]]
        return items if len(value) <= ROWS else [*items, f"… {len(value) - ROWS:,} more"]
    return _features(value, depth)


def _features(value: Any, depth: int) -> dict[str, Any]:
    """Type, shape, size and statistics of an array, tensor, frame or model."""
    features: dict[str, Any] = {"type": f"{type(value).__module__}.{type(value).__qualname__}"}
    for name in ("shape", "dtype", "device"):
        attribute = getattr(value, name, None)
        if attribute is not None and not callable(attribute) and str(attribute) != "cpu":
            features[name] = str(tuple(attribute)) if name == "shape" else str(attribute)
    if getattr(value, "nbytes", None) is not None and isinstance(value.nbytes, int):
        features["bytes"] = value.nbytes
    features |= _statistics(value)
    columns = getattr(value, "columns", None)
    if columns is not None and not callable(columns):
        features["columns"] = [str(c) for c in list(columns)[:COLUMNS]]
    if callable(getattr(value, "get_params", None)):
        features["parameters"] = summary(value.get_params(), depth + 1)
    if callable(getattr(value, "state_dict", None)) and callable(
        getattr(value, "parameters", None)
    ):
        features["parameters"] = sum(p.numel() for p in value.parameters())
    return features if len(features) > 1 else {**features, "value": repr(value)[:_TEXT]}


def _statistics(value: Any) -> dict[str, float | int]:
    """Smallest, mean and largest number of an array or tensor, and how many are not numbers."""
    array = _as_array(value)
    if array is None or array.size == 0 or array.dtype.kind not in "biuf":
        return {}
    if array.dtype.kind != "f":
        numbers, missing = array, 0
    else:
        finite = np.isfinite(array)
        missing = int(array.size - finite.sum())
        numbers = array[finite] if missing else array
    statistics: dict[str, float | int] = {}
    if numbers.size:
        # A sum of half precision overflows.
        mean = numbers.mean(dtype=np.float64)
        statistics = {"min": float(numbers.min()), "mean": float(mean), "max": float(numbers.max())}
    return {**statistics, "not finite": missing} if missing else statistics


def _as_array(value: Any) -> np.ndarray | None:
    if isinstance(value, (np.ndarray, np.generic)):
        return np.asarray(value)
    if not (hasattr(value, "shape") and hasattr(value, "dtype")):
        return None
    try:
        if hasattr(value, "detach"):  # a tensor, perhaps of a type that numpy lacks
            value = value.detach().cpu()
            value = value.float() if value.is_floating_point() else value
        elif hasattr(value, "tocoo"):  # a sparse matrix: of what it stores
            value = value.data
        return np.asarray(value)
    except Exception:
        return None


def _table(value: Any) -> Preview | None:
    """A table of a frame, series or index of pandas, polars or pyarrow."""
    if hasattr(value, "to_frame") and not hasattr(value, "columns"):
        value = value.to_frame()
    if hasattr(value, "column_names") and hasattr(value, "to_pylist"):
        columns, head = list(value.column_names), value.slice(0, ROWS).to_pylist()
        rows: list[Sequence[Any]] = [[row[c] for c in columns] for row in head]
        index: Sequence[Any] = range(len(rows))
    elif hasattr(value, "iter_rows") and hasattr(value, "columns"):
        columns, rows = list(value.columns), list(value.head(ROWS).iter_rows())
        index = range(len(rows))
    elif hasattr(value, "iloc") and hasattr(value, "columns"):
        columns, head = list(value.columns), value.iloc[:ROWS, :COLUMNS]
        text = head.to_json(orient="values", date_format="iso", default_handler=str)
        rows, index = json.loads(text), [_label(i) for i in head.index]
    else:
        return None
    content = {
        "index": list(index),
        "columns": [_label(c) for c in columns[:COLUMNS]],
        "data": [[_cell(v) for v in row[:COLUMNS]] for row in rows],
    }
    return Preview("TablePreview", content, {"rows": len(value), "columns": len(columns)})


def _label(name: Any) -> str | int:
    return name if isinstance(name, int) else str(name)


def _cell(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def _picture(value: Any) -> Preview | None:
    """A picture of a matplotlib figure, a PIL image, PNG bytes, or an array of pixels."""
    library = type(value).__module__.split(".")[0]
    if library == "matplotlib" and hasattr(value, "savefig"):
        written = io.BytesIO()
        value.savefig(written, format="png", dpi=110, bbox_inches="tight")
        data = written.getvalue()
    elif library == "PIL" and hasattr(value, "save"):
        written = io.BytesIO()
        value.save(written, format="PNG")
        data = written.getvalue()
    elif isinstance(value, (bytes, bytearray)) and value.startswith(_PNG):
        data = bytes(value)
    elif isinstance(value, np.ndarray):
        pixels = _pixels(value)
        if pixels is None:
            return None
        data = png(pixels)
    else:
        return None
    return Preview("ImagePreview", base64.b64encode(data).decode())


def _pixels(array: np.ndarray) -> np.ndarray | None:
    """An array as 8-bit pixels, ``None`` when it is no picture.

    Pictures are bytes of shape ``(h, w)``, and bytes or floats within 0 and 1 of shape
    ``(h, w, 3)`` or ``(h, w, 4)``.
    """
    coloured = array.ndim == 3 and array.shape[2] in (3, 4)
    grey = array.ndim == 2 and array.dtype == np.uint8
    if not (coloured or grey) or min(array.shape[:2]) < _SMALLEST_IMAGE:
        return None
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind == "f" and array.min() >= 0.0 and array.max() <= 1.0:
        return (array * 255).round().astype(np.uint8)
    return None


def png(pixels: np.ndarray) -> bytes:
    """8-bit pixels of shape ``(h, w)``, ``(h, w, 3)`` or ``(h, w, 4)`` as a PNG file.

    Source: W3C, Portable Network Graphics, third edition.
    """
    height, width = pixels.shape[:2]
    colour = {1: 0, 3: 2, 4: 6}[1 if pixels.ndim == 2 else pixels.shape[2]]
    lines = np.ascontiguousarray(pixels).reshape(height, -1)
    unfiltered = np.hstack([np.zeros((height, 1), np.uint8), lines]).tobytes()

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    return b"".join(
        [
            _PNG,
            chunk(b"IHDR", header),
            chunk(b"IDAT", zlib.compress(unfiltered, 6)),
            chunk(b"IEND", b""),
        ]
    )


def _plotly(value: Any) -> Preview | None:
    if not hasattr(value, "to_plotly_json"):
        return None
    return Preview("PlotlyPreview", json.loads(value.to_json()))
