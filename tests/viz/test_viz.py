"""What Kedro-Viz's page is answered for each trial of a study."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from kedro_eeipu.cli.viz import _require_free
from kedro_eeipu.cli.viz import viz as viz_command
from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.study.explain import History
from kedro_eeipu.viz.app import TESTED, Pages, encoded, kedro_viz_html, shown_trial, view_page
from kedro_eeipu.viz.fallback import command
from kedro_eeipu.viz.fallback_catalog import put_trial, trial_document
from kedro_eeipu.viz.plugin import TRIAL_VARIABLE
from kedro_eeipu.viz.site import save_site

DEFAULTS = {"clean.scale": 1.0, "left.weight": 2.0, "right.power": 2, "shift": 3.0}
SECRET = "hunter2-correct-horse"


@pytest.fixture
def tuner(project: Any) -> Any:
    """A study of two trials; only the branch of `left` ran in the second."""
    made = project.tuner()
    made.evaluate(DEFAULTS)
    made.evaluate({**DEFAULTS, "left.weight": 4.0})
    return made


def asked(tuner: Any) -> Callable[..., Any]:
    """A function that answers what the page asks of a node of a trial."""
    pages = Pages(tuner.project, tuner.study)
    ids = {n.get("full_name") or n["name"]: n["id"] for n in pages.trial(0, "api/main")["nodes"]}
    return lambda number, name: pages.trial(number, f"api/nodes/{ids[name]}")


def test_datasets_that_the_catalog_does_not_know_are_shown(tuner: Any) -> None:
    node = asked(tuner)
    for number, rows in ((0, [2.0, 4.0, 6.0]), (1, [4.0, 8.0, 12.0])):
        told = node(number, "left_rows")
        assert told["preview_type"] == "JSONPreview"
        assert json.loads(told["preview"]) == rows
        assert told["type"] == "in memory only"
        assert told["stats"]["file_size"] > 0
    assert node(1, "metrics")["type"] == "json.json_dataset.JSONDataset"
    assert json.loads(node(1, "metrics")["preview"])["nested"] == {"n": 3}


def test_the_users_files_are_not_shown_for_a_trial(project: Any, tuner: Any) -> None:
    project.plain_run({"shift": 40.0})
    trial = replace(tuner.study.trials()[1], nodes=())
    pages = Pages(tuner.project, tuner.study)
    found = next(n for n in pages.answers.main(trial)["nodes"] if n["name"] == "metrics")
    told = pages.answers.node(trial, History([trial]), found["id"])
    assert "did not make it" in told["preview"]


def test_parameters_are_those_of_the_trial(tuner: Any) -> None:
    node = asked(tuner)
    assert node(0, "params:left.weight")["parameters"] == {"left.weight": 2.0}
    assert node(1, "params:left.weight")["parameters"] == {"left.weight": 4.0}
    assert node(1, "left")["parameters"] == {"left.weight": 4.0}
    assert node(1, "right")["parameters"] == {"right": {"power": 2}}


def test_nodes_are_coloured_and_carry_a_card(tuner: Any) -> None:
    pages = Pages(tuner.project, tuner.study)
    names = {n["id"]: n["name"] for n in pages.trial(1, "api/main")["nodes"]}
    told = {names[i]: status for i, status in pages.trial(1, "facts")["status"].items()}
    ran = {"left", "join", "score"}
    assert told == {n: "ran" if n in ran else "reused" for n in ("clean", "right", *ran)}
    node = asked(tuner)
    ran, reused = (node(1, name)["preview"]["content"] for name in ("left", "clean"))
    assert ran.startswith("RAN\nagainst trial 0: parameter left.weight changed")
    assert re.search(r"took [\d.e-]+ s\noutputs of [\d,]+ bytes\nkey [0-9a-f]{16}$", ran)
    assert reused.startswith("REUSED\nsame code, parameters and inputs as trial 0")
    assert "saved " in reused


def test_run_status_is_that_of_the_trial(project: Any, tuner: Any) -> None:
    pages = Pages(tuner.project, tuner.study)
    ids = {n["name"]: n["id"] for n in pages.trial(0, "api/main")["nodes"]}
    done = pages.trial(1, "api/run-status")
    assert done["pipeline"]["status"] == "success"
    assert done["pipeline"]["start_time"] <= done["pipeline"]["end_time"]
    assert done["nodes"][ids["clean"]]["duration"] == 0.0, "it was reused"
    assert done["datasets"][ids["left_rows"]]["size"] > 0
    trial = tuner.study.trials()[1]
    nodes = (*trial.nodes[:-1], replace(trial.nodes[-1], status="failed", error="boom"))
    failed = replace(trial, nodes=nodes, state="failed", error="score: boom")
    told = pages.answers.run_status(failed)
    assert told["nodes"][ids["score"]] == {
        "status": "failed",
        "duration": trial.nodes[-1].seconds,
        "error": {"message": "boom", "traceback": ""},
    }
    assert told["pipeline"]["error"]["message"] == "score: boom"


def test_picker_lists_the_best_first_and_new_trials_as_they_come(tuner: Any) -> None:
    pages = Pages(tuner.project, tuner.study)
    values = {t.number: t.value for t in tuner.study.trials()}
    assert [t["number"] for t in pages.trials()["trials"]] == sorted(
        values, key=lambda n: values[n]
    )
    tuner.evaluate({**DEFAULTS, "shift": 26.0})
    first = pages.trials()["trials"][0]
    assert (first["number"], first["value"]) == (2, 0.0)
    assert first["counts"] == {"ran": 1, "reused": 4, "failed": 0, "stopped": 0, "skipped": 0}
    assert first["changed"] == ""


def test_picker_marks_trials_from_before_an_edit(tuner: Any) -> None:
    parameters = {**tuner.project.state.parameters, "left.other": "another token"}
    tuner.study.compare_with(replace(tuner.project.state, parameters=parameters))
    listed = Pages(tuner.project, tuner.study).trials()["trials"]
    assert {t["changed"] for t in listed} == {"parameter `left.other`"}
    assert shown_trial(tuner.study, None).number == max(t["number"] for t in listed)


def test_facts_of_two_trials_differ_where_the_trials_do(tuner: Any) -> None:
    pages = Pages(tuner.project, tuner.study)
    names = {n["id"]: n["name"] for n in pages.trial(0, "api/main")["nodes"]}
    a, b = (pages.trial(number, "facts")["content"] for number in (0, 1))
    changed = {names[i] for i in a if a[i] != b[i]}
    nodes = {"left", "join", "score"}
    assert changed == nodes | {"left_rows", "joined", "metrics", "params:left.weight"}


def test_no_secret_is_told(project: Any) -> None:
    parameters = yaml.safe_load((project.path / "conf/base/parameters.yml").read_text())
    parameters["right"] = {"power": 2, "api_key": SECRET, "inner": {"DB_PASSWORD": f"{SECRET}2"}}
    parameters["clean"]["kind"] = f"postgres://me:{SECRET}3@host"
    project.write_parameters(parameters)
    (project.path / "conf/local/credentials.yml").write_text(
        yaml.safe_dump({"db": {"key": f"{SECRET}3", "more": [f"{SECRET}4"]}})
    )
    nodes = (project.source / "nodes.py").read_text()
    project.write_nodes(
        nodes.replace("def left(cleaned, weight):", f"def left(cleaned, weight, x='{SECRET}4'):")
    )
    tuner = project.tuner()
    tuner.evaluate(DEFAULTS)
    pages = Pages(tuner.project, tuner.study)
    paths = ["facts", "api/main", "api/run-status"]
    paths += [f"api/nodes/{i}" for i in pages.answers.ids]
    told = b"".join(encoded(pages.trial(0, path)) for path in paths) + encoded(pages.trials())
    assert SECRET.encode() not in told
    assert "•••".encode() in told
    assert b'"power":2' in told


def test_user_text_travels_as_text_only(project: Any) -> None:
    evil = "<img src=x onerror=alert(1)>"
    pipeline = (project.source / "pipeline.py").read_text()
    project.write_pipeline(pipeline.replace('"left_rows"', repr(evil)))
    tuner = project.tuner()
    tuner.evaluate(DEFAULTS)
    assert asked(tuner)(0, evil)["preview"]
    page = view_page(kedro_viz_html())
    assert evil not in page
    assert (
        "innerHTML"
        not in (Path(__file__).parents[2] / "kedro_eeipu/viz/static/shell.js").read_text()
    )


def test_page_loads_nothing_from_the_internet() -> None:
    page = view_page(kedro_viz_html())
    assert not re.findall(r"(?:src|href)=\"https?:", page)
    assert page.index("view.js") < page.index("./assets/"), "ours runs first"


def test_unknown_things_are_unknown(tuner: Any) -> None:
    pages = Pages(tuner.project, tuner.study)
    for number, path in ((9, "facts"), (0, "api/nodes/none"), (0, "secrets")):
        with pytest.raises(KeyError):
            pages.trial(number, path)


def test_trial_to_begin_with(tuner: Any) -> None:
    assert shown_trial(tuner.study, None) == tuner.study.best()
    assert shown_trial(tuner.study, 1).number == 1
    with pytest.raises(ConfigurationError, match="no trial 7"):
        shown_trial(tuner.study, 7)


def test_previews_survive_what_is_no_longer_there(tuner: Any) -> None:
    for file in (tuner.project.path / ".eeipu" / "cache" / "cas").rglob("*"):
        if file.is_file():
            file.unlink()
    assert "no longer in the cache" in asked(tuner)(0, "left_rows")["preview"]


def test_cache_at_a_url(project: Any, tmp_path: Path) -> None:
    project.write_settings({"cache": {"root": f"file://{tmp_path / 'elsewhere'}"}})
    tuner = project.tuner()
    tuner.evaluate(DEFAULTS)
    assert not (project.path / ".eeipu" / "cache").exists()
    assert json.loads(asked(tuner)(0, "left_rows")["preview"]) == [2.0, 4.0, 6.0]


@pytest.mark.slow
def test_cache_in_a_bucket_while_it_is_tuned(project: Any, s3: Any) -> None:
    project.keep_in_bucket(s3)
    tuner = project.tuner()
    tuner.evaluate(DEFAULTS)
    node = asked(tuner)
    # As on another machine: nothing of the bucket has been read here.
    shutil.rmtree(project.path / ".eeipu" / "copies")
    assert json.loads(node(0, "left_rows")["preview"]) == [2.0, 4.0, 6.0]
    pages = Pages(tuner.project, tuner.study)
    seen: set[int] = set()
    with subprocess.Popen(
        project.command("eeipu", "tune", "--trials", "6", "--sampler", "random", "--quiet"),
        cwd=project.path,
        env=project.environment(),
    ) as tune:
        try:
            while tune.poll() is None or len(seen) < 6:
                time.sleep(0.05)
                for trial in pages.trials()["trials"]:
                    number, params = trial["number"], trial["params"]
                    if trial["state"] == "running" or number in seen:
                        continue
                    seen.add(number)
                    cleaned = [x * params["clean.scale"] for x in (1.0, 2.0, 3.0)]
                    rows = [params["left.weight"] * x for x in cleaned]
                    assert json.loads(node(number, "left_rows")["preview"]) == rows
        finally:
            tune.kill()
    assert tune.returncode == 0
    assert seen == set(range(6))


def test_saved_site_has_what_is_asked_for(tuner: Any, tmp_path: Path) -> None:
    target = tmp_path / "site"
    assert save_site(tuner.project, tuner.study, [1], target) == [0, 1]
    pages = Pages(tuner.project, tuner.study)
    for path in ("facts", "api/main", *(f"api/nodes/{i}" for i in pages.answers.ids)):
        assert json.loads((target / "trials/1" / path).read_text()) == json.loads(
            encoded(pages.trial(1, path))
        )
    assert json.loads((target / "trials.json").read_text())["saved"] is True
    for file in (
        "index.html",
        "report.html",
        "static/shell.js",
        "view/index.html",
        "view/api/version",
    ):
        assert (target / file).stat().st_size > 0
    save_site(tuner.project, tuner.study, [1], target)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(ConfigurationError, match="is there and is not such a site"):
        save_site(tuner.project, tuner.study, [1], tmp_path / "mine")


def test_other_releases_of_kedro_viz_get_the_trial_through_hooks(
    tuner: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "--include-hooks" in command(tuner.project, "127.0.0.1", 4141)
    assert "99.0" not in TESTED
    file = tmp_path / "trial.json"
    file.write_text(json.dumps(trial_document(tuner.project, tuner.study.trials()[1])))
    monkeypatch.setenv(TRIAL_VARIABLE, str(file))
    context = tuner.project.session.load_context({})
    catalog = context._get_catalog()  # the plugin's hook puts the trial in
    assert catalog["left_rows"].load() == [4.0, 8.0, 12.0]
    assert json.loads(catalog["left_rows"].preview()) == [4.0, 8.0, 12.0]
    assert catalog["params:left.weight"].load() == 4.0
    put_trial(catalog, context, file)
    assert catalog["metrics"].load()["nested"] == {"n": 3}


def test_a_wrong_address_is_no_wrong_port() -> None:
    for host in ("300.1.1.1", "203.0.113.1"):
        with pytest.raises(ConfigurationError) as refused:
            _require_free(host, 0)
        assert refused.value.where == "--host"
    port = next(option for option in viz_command.params if option.name == "port")
    with pytest.raises(click.BadParameter, match="99999 is not in the range"):
        port.type.convert("99999", port, None)
