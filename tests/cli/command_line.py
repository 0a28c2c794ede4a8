"""The commands as tests give them, and what tests ask of their output."""

from __future__ import annotations

import inspect
import json
import logging
from typing import Any

import yaml
from click.testing import CliRunner, Result
from kedro.framework.startup import bootstrap_project

from kedro_eeipu.cli import commands


class Shell:
    """Runs `kedro eeipu …` of a project in this process."""

    def __init__(self, project: Any) -> None:
        self.project = project

    def __call__(self, *arguments: str, say: str = "") -> Result:
        self.project.bootstrap()
        metadata = bootstrap_project(self.project.path)
        try:
            return _runner().invoke(commands, ["eeipu", *arguments], obj=metadata, input=say)
        finally:
            logging.disable(logging.NOTSET)

    def json(self, *arguments: str) -> Any:
        result = self(*arguments, "--format", "json")
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)


def _runner() -> CliRunner:
    # Click before 8.2, which Kedro before 1.1 asks for, keeps stderr apart only on request.
    arguments = inspect.signature(CliRunner).parameters
    options: dict[str, Any] = {"mix_stderr": False} if "mix_stderr" in arguments else {}
    return CliRunner(**options)


def block(project: Any, **changes: Any) -> None:
    """Change keys of the `eeipu` block; `None` takes a key out."""
    parameters = yaml.safe_load((project.path / "conf/base/parameters.yml").read_text())
    for key, value in changes.items():
        if value is None:
            parameters["eeipu"].pop(key)
        else:
            parameters["eeipu"][key] = value
    project.write_parameters(parameters)


def refused(result: Result, *words: str) -> None:
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    for word in words:
        assert word in result.stderr, result.stderr


def document(result: Result) -> Any:
    """The JSON document that a command printed."""
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def by_name(nodes: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {n["name"]: n for n in nodes}
