"""A trial in Kedro-Viz's own application, asked over HTTP."""

from __future__ import annotations

import json
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from kedro_eeipu.viz import create_app, preview_of, summary

DEFAULTS = {"clean.scale": 1.0, "left.weight": 2.0, "right.power": 2, "shift": 3.0}


@pytest.fixture
def served(project: Any) -> Iterator[Any]:
    """A function that gets a path of Kedro-Viz's API for the second of two trials."""
    import uvicorn

    tuner = project.tuner()
    tuner.evaluate(DEFAULTS)
    tuner.evaluate({**DEFAULTS, "left.weight": 4.0})
    app = create_app(tuner.project, tuner.study.trials(), 1)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)

    def get(path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
            return json.load(answer)

    yield get
    server.should_exit = True
    thread.join(timeout=30)


def test_trial_is_shown_with_its_undeclared_datasets(served: Any) -> None:
    nodes = {n["name"]: n for n in served("/api/main")["nodes"]}

    def details(name: str) -> Any:
        return served(f"/api/nodes/{nodes[name]['id']}")

    undeclared = details("left_rows")
    assert undeclared["preview_type"] == "JSONPreview"
    assert json.loads(undeclared["preview"]) == [4.0, 8.0, 12.0], "of trial 1, not of the defaults"
    assert json.loads(details("metrics")["preview"])["nested"] == {"n": 3}
    card = details("left")["preview"]["content"]
    assert card.startswith("ran: against trial 0: parameter left.weight changed")
    assert details("clean")["preview"]["content"].startswith("reused: same code")
    fills = {
        n: nodes[n]["node_extras"]["styles"]["themes"]["light"]["fill"] for n in ("left", "right")
    }
    assert fills["left"] != fills["right"], "what ran and what was reused look different"


def test_previews_of_values() -> None:
    import numpy as np
    import pandas as pd

    frame = pd.DataFrame({"a": range(100), "b": pd.Timestamp("2026-01-01")})
    table = preview_of(frame)()
    assert table["columns"] == ["a", "b"]
    assert len(table["data"]) == 40
    assert preview_of(frame["a"])()["columns"] == ["a"]
    assert json.loads(preview_of({"k": np.float64(2)})()) == {"k": 2.0}
    told = summary(np.arange(6.0).reshape(2, 3))
    assert (told["shape"], told["mean"]) == ("(2, 3)", 2.5)
    assert "value" in summary(object())
