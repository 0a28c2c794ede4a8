"""``kedro eeipu confirm``, and what the other commands say of it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from command_line import Shell, block, refused

from kedro_eeipu.tuning import confirming
from kedro_eeipu.tuning.fresh_trial import confirmation


@pytest.fixture(autouse=True)
def _here(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process do what a fresh one does, which takes seconds to start."""

    def run(task: Any, *_: Any, **__: Any) -> dict[str, Any]:
        project.bootstrap()
        return confirmation(task).to_json()

    monkeypatch.setattr(confirming, "_run", run)


def test_all_commands_say_whether_the_best_is_confirmed(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    not_yet = "Trial 0 is not confirmed yet: `kedro eeipu confirm` runs it without the cache."
    assert not_yet in shell("tune", "--trials", "1").stdout, "the study was short"
    assert not_yet in shell("best").stdout
    assert "confirmed" not in shell("trials").stdout
    assert shell.json("trials")[0]["confirmation"] is None
    assert not_yet in shell("apply", "--best", "--env", "tuned").stdout
    monkeypatch.setattr(confirming, "is_cheap", lambda *_: True)
    assert "Trial 0 is confirmed." in shell("tune", "--trials", "1").stdout
    for command in (("best",), ("apply", "--best", "--env", "tuned"), ("tune", "--trials", "1")):
        assert "Trial 0 is confirmed." in shell(*command).stdout
    (told,) = shell.json("trials")
    assert told["confirmation"]["confirmed"]
    assert told["confirmation"]["value"] == told["value"] == shell.json("best")["value"]
    assert shell("trials").stdout.split()[-1] == "yes"
    assert shell("report").exit_code == 0
    page = (shell.project.path / ".eeipu/report.html").read_text()
    assert "<strong>yes</strong><small>without the cache" in page


def test_difference_is_a_failure_with_the_node_in_it(shell: Shell) -> None:
    shell("tune", "--trials", "1", "--sampler", "random")
    nodes = shell.project.source / "nodes.py"
    nodes.write_text(nodes.read_text().replace("abs(joined", "1 + abs(joined"))
    result = shell("confirm", "--trial", "0")
    assert result.exit_code == 1
    assert "not confirmed: 24.0 instead of 23.0, first differs at node score." in result.stdout
    assert "Changed since the trial ran: node `score`'s code." in result.stdout
    applied = shell("apply", "--trial", "0", "--env", "tuned")
    assert "Warning: Trial 0 is not confirmed: 24.0" in applied.stderr
    refused(shell("confirm", "--trial", "7"), "no complete trial 7")


def test_node_that_trials_leave_out_runs_on_request(shell: Shell) -> None:
    pipeline = shell.project.source / "pipeline.py"
    text = pipeline.read_text()
    plot = '        node(lambda m: {"plotted": m["loss"]}, "metrics", "plot", name="plot"),\n    ])'
    pipeline.write_text(text.replace("    ])", plot))
    shell.project.write_catalog(
        {**_catalog(shell), "plot": {"type": "json.JSONDataset", "filepath": "data/plot.json"}}
    )
    shell("tune", "--trials", "1", "--sampler", "random")
    assert "Trials left out plot" in shell("apply", "--best", "--env", "tuned").stdout
    assert not (shell.project.path / "data/plot.json").exists()
    assert shell("confirm", "--whole").exit_code == 0
    assert "Saved plot from the cache" in shell("apply", "--best", "--env", "tuned").stdout
    assert (shell.project.path / "data/plot.json").exists()


def _catalog(shell: Shell) -> Any:
    return yaml.safe_load((shell.project.path / "conf/base/catalog.yml").read_text())


@pytest.mark.parametrize("written", [{"tolerance": -1}, {"tolerance": "no"}, 3, {"near": 1}])
def test_tolerance_is_a_number(shell: Shell, written: Any) -> None:
    block(shell.project, confirm=written)
    refused(shell("plan"), "eeipu.confirm")
