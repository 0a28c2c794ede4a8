"""``kedro eeipu best``, and how it and others find the project as a study's trials had it."""

from __future__ import annotations

import json
import shutil

from command_line import Shell, refused

REGISTRY = """
from kedro.pipeline import Pipeline, node

from . import nodes
from .pipeline import create_pipeline


def doubled(joined, shift):
    return {"loss": 2 * abs(joined["sum"] - shift)}


def register_pipelines():
    whole = create_pipeline()
    own = Pipeline([node(doubled, ["joined", "params:shift"], "metrics", name="doubled")])
    shared = whole.only_nodes("clean", "left", "right", "join")
    return {"__default__": whole, "de only": shared + own}
"""


def test_best_is_a_trial(shell: Shell) -> None:
    shell("tune", "--trials", "4")
    best = shell.json("best")
    assert best["value"] == min(t["value"] for t in shell.json("trials"))
    shown = shell("best").stdout
    assert f"Trial {best['number']}: metrics[loss] {best['value']:.6g}" in shown
    assert "clean.scale" in shown


def test_params_that_the_configuration_needs_are_those_of_the_latest_trial(shell: Shell) -> None:
    path = shell.project.path / "conf/base/parameters.yml"
    path.write_text(path.read_text().replace("untouched", "${runtime_params:who}"))
    tuned = shell("tune", "--trials", "1", "--params", "who=them")
    assert tuned.exit_code == 0, tuned.stderr
    assert shell.json("best")["number"] == 0
    assert shell.json("explain", "0")[0]["name"] == "clean"
    assert shell.json("trials")[0]["changed_since"] == []
    assert shell("report").exit_code == 0


def test_a_study_of_any_name_is_shown_with_its_pipeline(shell: Shell) -> None:
    (shell.project.source / "pipeline_registry.py").write_text(REGISTRY)
    shell("tune", "--pipeline", "de only", "--study", "june", "--trials", "1")
    shown = shell("best", "--study", "june")
    assert shown.exit_code == 0, shown.stderr
    assert "metrics[loss] 46, with the defaults" in shown.stdout
    assert "`kedro eeipu confirm --pipeline 'de only' --study june`" in shown.stdout
    (trial,) = shell.json("trials", "--study", "june")
    assert trial["changed_since"] == []
    assert shell("report", "--study", "june").exit_code == 0
    applied = shell("apply", "--best", "--study", "june", "--env", "tuned")
    assert "Wrote conf/tuned/parameters_eeipu_de only.yml" in applied.stdout
    saved = json.loads((shell.project.path / "data/metrics.json").read_text())
    assert saved == {"loss": 46.0}
    other = shell("tune", "--study", "june", "--trials", "1")
    assert "trial 0 is of pipeline 'de only', and this call tunes '__default__'" in other.stderr
    assert "Pass --pipeline 'de only', or" in other.stderr
    assert "metrics[loss] 23, with the defaults" in shell("best", "--study", "june").stdout


def test_environment_of_the_trial_that_is_gone_is_told(shell: Shell) -> None:
    folder = shell.project.path / "conf" / "prod"
    folder.mkdir()
    (folder / "globals.yml").write_text("{}")
    shell("tune", "--trials", "1", "--env", "prod")
    shutil.rmtree(folder)
    told = "trial 0 ran with --env prod, and that environment is gone"
    refused(shell("best"), told, str(folder), "name another one with --env.")
    refused(shell("apply", "--best", "--env", "base"), told, "name another one with --tuned-env.")
    assert told in shell("trials").stderr
    assert shell("best", "--env", "local").exit_code == 0
    refused(shell("best", "--env", "prod"), "--env: there is no configuration environment 'prod'")
