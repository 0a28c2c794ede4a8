"""The commands in a notebook."""

from __future__ import annotations

import json
from typing import Any

import pytest


@pytest.fixture
def shell(project: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    interactive = pytest.importorskip("IPython.testing.globalipapp")
    made = interactive.get_ipython() or interactive.start_ipython()
    project.bootstrap()
    monkeypatch.chdir(project.path)
    made.run_line_magic("load_ext", "kedro_eeipu")
    yield made
    made.run_line_magic("unload_ext", "kedro_eeipu")


def test_study_in_a_notebook(shell: Any, capsys: pytest.CaptureFixture[str]) -> None:
    shell.run_line_magic("eeipu", "tune --trials 2 --sampler random")
    assert "Stopped: the study has its 2 trials." in capsys.readouterr().out
    shell.run_line_magic("eeipu", "trials --format json")
    assert [t["number"] for t in json.loads(capsys.readouterr().out)] == [0, 1]


def test_best_and_report_return_what_a_notebook_shows(
    shell: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.run_line_magic("eeipu", "tune --trials 2 --sampler random --quiet")
    capsys.readouterr()
    best = shell.run_line_magic("eeipu", "best")
    assert best.params.keys() == {"clean.scale", "left.weight", "right.power", "shift"}
    assert "metrics[loss]" in repr(best)
    assert "<table>" in best._repr_html_()
    assert not capsys.readouterr().out, "it is shown once"
    page = shell.run_line_magic("eeipu", "report")
    assert page._repr_html_().startswith('<iframe srcdoc="&lt;!')
    capsys.readouterr()
    assert shell.run_line_magic("eeipu", "best --format json") is None
    assert json.loads(capsys.readouterr().out)["number"] == best.number


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("trials --study tuesday", "there is no study 'tuesday' yet"),
        ("trials --colour", "Usage: kedro eeipu trials"),
        ("viz --trial 1", "Type `kedro eeipu viz --trial 1` in a terminal."),
    ],
    ids=["study", "option", "viz"],
)
def test_mistakes_are_told_in_words(
    shell: Any, capsys: pytest.CaptureFixture[str], line: str, told: str
) -> None:
    shell.run_line_magic("eeipu", line)
    assert told in capsys.readouterr().err


def test_outside_of_a_project(
    shell: Any, tmp_path_factory: Any, monkeypatch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    shell.run_line_magic("eeipu", "trials")
    assert "there is no Kedro project here" in capsys.readouterr().err
