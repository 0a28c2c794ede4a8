"""Secrets are neither shown nor stored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from kedro_eeipu.config.redaction import HIDDEN, Redactor, without_hidden
from kedro_eeipu.errors import StudyStopped
from kedro_eeipu.study.limits import Limits

PASSWORD = "hunter2 correct/horse"
TOKEN = "given-on-the-command-line"


def stored(project: Any) -> bytes:
    """All bytes that the plugin keeps of a project."""
    files = [p for p in (Path(project.path) / ".eeipu").rglob("*") if p.is_file()]
    assert any(p.name == "study.db" for p in files)
    return b"".join(p.read_bytes() for p in files)


def raising(project: Any, error: str) -> None:
    nodes = project.source / "nodes.py"
    text = nodes.read_text().replace('    ran("join")\n', f'    ran("join")\n    raise {error}\n')
    nodes.write_text(text)


@pytest.mark.parametrize("options", [[], ["--runner", "ParallelRunner"], ["--workers", "1"]])
def test_credentials_in_the_text_of_an_error(project: Any, options: list[str]) -> None:
    project.write_credentials({"database": {"password": PASSWORD}})
    raising(project, f'ValueError("cannot log in with {PASSWORD} at db.example.org")')
    done = project.kedro("eeipu", "tune", "--trials", "2", *options)
    said = [done.stdout + done.stderr]
    for command in (("trials",), ("trials", "--format", "json"), ("explain", "--trial", "0")):
        shown = project.kedro("eeipu", *command)
        assert shown.returncode == 0, shown.stderr
        said.append(shown.stdout + shown.stderr)
    assert "cannot log in with" in said[2]
    assert not any(PASSWORD in text for text in said)
    assert PASSWORD.encode() not in stored(project)
    assert b"cannot log in with" in stored(project)


def test_secret_of_a_killed_process_is_not_left_in_its_files(project: Any) -> None:
    project.write_credentials({"database": {"password": PASSWORD}})
    loaded = project.load()
    directory = loaded.run_directory("some-run")
    directory.put_node("join", {"status": "failed", "error": f"ValueError: {PASSWORD}"})
    content = b"".join(p.read_bytes() for p in directory.path.iterdir())
    assert PASSWORD.encode() not in content
    assert b"ValueError" in content
    directory.remove()


def test_error_that_ends_a_study(project: Any) -> None:
    raising(project, 'OSError("postgresql://me:planted-word@db.example.org refused")')
    with pytest.raises(StudyStopped) as error:
        project.tuner(limits=Limits(trials=9), sampler="random").run()
    assert "planted-word" not in str(error.value)
    assert f"postgresql://{HIDDEN}@db.example.org refused" in str(error.value)
    assert b"planted-word" not in stored(project)


def test_params_that_are_named_like_secrets(project: Any) -> None:
    raising(project, f'KeyError("{TOKEN}")')
    params = f"db_password={TOKEN},left.other=given"
    project.kedro("eeipu", "tune", "--trials", "1", "--params", params)
    (trial,) = project.tuner().study.trials()
    assert trial.runtime_params == {"db_password": HIDDEN, "left": {"other": "given"}}
    assert TOKEN.encode() not in stored(project)
    assert TOKEN not in project.kedro("eeipu", "trials", "--format", "json").stdout


def test_secrets_that_an_earlier_version_stored_are_not_shown(project: Any) -> None:
    project.write_credentials({"database": {"password": PASSWORD}})
    tuner = project.tuner()
    number, _ = tuner._begin({"clean.scale": 1.0}, 0.0)
    tuner.study.finish(number, None, (), error=f"join: ValueError: {PASSWORD}")
    for command in (("trials", "--format", "json"), ("trials",)):
        shown = project.kedro("eeipu", *command).stdout
        assert PASSWORD not in shown
    (listed,) = json.loads(project.kedro("eeipu", "trials", "--format", "json").stdout)
    assert listed["error"] == f"join: ValueError: {HIDDEN}"


def test_apply_does_not_write_secrets(project: Any) -> None:
    params = f"api_token={TOKEN},left.other=given"
    done = project.kedro("eeipu", "tune", "--trials", "1", "--params", params)
    assert done.returncode == 0, done.stderr
    applied = project.kedro("eeipu", "apply", "--best", "--env", "tuned")
    assert applied.returncode == 0, applied.stderr
    assert "was given --params api_token" in applied.stderr
    again = project.kedro(
        "eeipu", "apply", "--best", "--env", "tuned", "--params", f"api_token={TOKEN}"
    )
    assert again.returncode == 0, again.stderr
    assert "was given --params" not in again.stderr
    (file,) = (project.path / "conf" / "tuned").iterdir()
    written = yaml.safe_load(file.read_text())
    assert written["left"]["other"] == "given"
    assert TOKEN not in file.read_text()
    assert HIDDEN not in file.read_text()


def test_tuned_parameter_is_no_secret(project: Any) -> None:
    parameters = yaml.safe_load((project.path / "conf/base/parameters.yml").read_text())
    parameters["clean"]["token"] = "word-piece"
    parameters["eeipu"]["space"]["clean.token"] = ["word-piece", "byte-pair"]
    project.write_parameters(parameters)
    redactor = project.load().redactor
    assert redactor.text("word-piece or byte-pair") == "word-piece or byte-pair"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:word@host/db", f"postgresql://{HIDDEN}@host/db"),
        ("https://x.org/a?sig=abc%2F&b=1", f"https://x.org/a?sig={HIDDEN}&b=1"),
        ("?X-Amz-Signature=0af3&X=1", f"?X-Amz-Signature={HIDDEN}&X=1"),
        ("connect(db_password=xyz, port=5)", f"connect(db_password={HIDDEN}, port=5)"),
        ("hunter2%20correct%2Fhorse", HIDDEN),
        ("token == '}' and tokens=5", "token == '}' and tokens=5"),
        ("mail me@example.org", "mail me@example.org"),
    ],
)
def test_texts(text: str, shown: str) -> None:
    assert Redactor([PASSWORD]).text(text) == shown


def test_sections_that_hold_something_hidden_are_left_out() -> None:
    parameters = {"a": {"b": 1}, "c": {"d": HIDDEN, "e": [2]}, "f": [f"x{HIDDEN}"]}
    assert without_hidden(parameters) == ({"a": {"b": 1}}, ["c.d", "f"])
