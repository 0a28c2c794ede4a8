"""Requests by a foreign name are refused."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from kedro_eeipu.viz.app import create_app


@pytest.mark.parametrize(
    ("host", "served_on", "status"),
    [
        ("127.0.0.1:4141", "127.0.0.1", 200),
        ("localhost:4141", "127.0.0.1", 200),
        ("LOCALHOST", "127.0.0.1", 200),
        ("[::1]:4141", "::1", 200),
        ("192.168.7.7:4141", "0.0.0.0", 200),
        ("tuning.example.org:80", "tuning.example.org", 200),
        ("tuning.example.org", "127.0.0.1", 400),
        ("evil.example", "127.0.0.1", 400),
        ("evil.example:4141", "0.0.0.0", 400),
        ("127.0.0.1.evil.example", "127.0.0.1", 400),
        ("localhost.evil.example:4141", "127.0.0.1", 400),
        ("", "127.0.0.1", 400),
    ],
)
def test_only_this_machine_is_answered(
    project: Any, host: str, served_on: str, status: int
) -> None:
    tuner = project.tuner()
    client = TestClient(create_app(tuner.project, tuner.study, served_on))
    for path in ("/trials.json", "/", "/static/view.js"):
        assert client.get(path, headers={"host": host}).status_code == status
