"""A study as an object: one import and three lines."""

from __future__ import annotations

import ast
import subprocess
import sys
from typing import Any

import pytest

import kedro_eeipu
from kedro_eeipu import load_study, tune
from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.notebook.study import Plots, Study
from kedro_eeipu.reporting import figures


@pytest.fixture
def study(project: Any) -> Study:
    project.bootstrap()
    return tune(project=project.path, trials=3, sampler="random", own=[{"right": {"power": 1}}])


def test_trials_best_and_figures(study: Study) -> None:
    trials = study.trials
    assert list(trials.index) == [0, 1, 2]
    assert list(trials.columns[:6]) == [
        *("state", "value", "cost_seconds", "saved_seconds"),
        *("clean.scale", "left.weight"),
    ]
    assert trials["right.power"][1] == 1, "own values are tried after the defaults"
    assert study.best.number == trials["value"].idxmin()
    assert study.best.params["shift"] == trials["shift"][study.best.number]
    names = [name for name in vars(Plots) if not name.startswith("_")]
    assert sorted(names) == sorted(figures.__all__), "the same figures as those of the report"
    for name in names:
        drawn = getattr(study.plot, name)()
        assert type(drawn).__module__ == "plotly.graph_objs._figure"
    assert len(study.plot.slice(["shift"]).data) < len(study.plot.slice().data)
    with pytest.raises(ConfigurationError, match="'shfit' is not tuned"):
        study.plot.slice(["shfit"])


def test_what_a_notebook_shows(study: Study, tmp_path: Any) -> None:
    assert "3 complete" in study._repr_html_()
    assert "better than the defaults (23)" in repr(study)
    page = study.report(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text() == page.html
    assert "<iframe srcdoc=" in page._repr_html_()
    assert "parameter" in repr(study.best)


def test_it_follows_a_study_that_goes_on(
    study: Study, project: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(study.trials) == 3
    tune(project=project.path, trials=4, sampler="random")
    assert "Stopped: the study has its 4 trials." in capsys.readouterr().out
    tune(project=project.path, trials=4, quiet=True)
    assert not capsys.readouterr().out
    assert len(study.trials) == 4


@pytest.mark.parametrize("own", [{"shift": 7.0}, "shift=7.0"])
def test_own_values_need_no_list(project: Any, own: Any) -> None:
    project.bootstrap()
    assert list(tune(project=project.path, trials=2, own=own).trials["shift"]) == [3.0, 7.0]


def test_mistakes(project: Any, tmp_path_factory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    project.bootstrap()
    with pytest.raises(ConfigurationError, match="there is no study 'x' yet") as error:
        load_study("x", project=project.path)
    assert error.value._render_traceback_() == [f"ConfigurationError: {error.value}"]
    with pytest.raises(ConfigurationError, match="sampler is 'best'"):
        tune(project=project.path, sampler="best")
    with pytest.raises(ConfigurationError, match="--workers: 0 workers run no trial"):
        tune(project=project.path, workers=0)
    wrong: Any = "shift=1"
    with pytest.raises(ConfigurationError, match="params is 'shift=1', not a mapping"):
        load_study(project=project.path, params=wrong)
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    with pytest.raises(ConfigurationError, match="there is no Kedro project here"):
        load_study()


def test_public_names_are_imported_late() -> None:
    assert {"load_study", "tune", "load_ipython_extension"} <= set(dir(kedro_eeipu))
    code = "import sys, kedro_eeipu; print(sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = subprocess.check_output([sys.executable, "-c", code], text=True)
    heavy = {"kedro", "optuna", "torch", "pandas", "plotly", "click"}
    assert not heavy & set(ast.literal_eval(loaded))
