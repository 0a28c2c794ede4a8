"""Plain runs through the cache: `cache: {runs: true}` in eeipu.yml."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
import yaml
from kedro.framework.session import KedroServiceSession
from kedro.runner import ParallelRunner, SequentialRunner, ThreadRunner

ALL = ["clean", "join", "left", "right", "score"]


@pytest.fixture
def cached(project: Any) -> Any:
    project.write_settings({"cache": {"runs": True}})
    return project


def run(project: Any, **options: Any) -> dict[str, Any]:
    project.bootstrap()
    session = KedroServiceSession.create(project_path=project.path)
    return session.run(**options)


def metrics(project: Any) -> Any:
    return json.loads((project.path / "data" / "metrics.json").read_text())


def edit_catalog(project: Any, **entries: Any) -> None:
    path = project.path / "conf" / "base" / "catalog.yml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **entries}))


def test_runs_are_not_cached_unless_asked_for(project: Any) -> None:
    project.plain_run()
    project.plain_run()
    assert sorted(project.executions()) == sorted(ALL * 2)
    assert not (project.path / ".eeipu").exists()


def test_second_run_executes_nothing(cached: Any) -> None:
    first = cached.plain_run()
    assert sorted(cached.executions()) == ALL
    assert cached.plain_run() == first
    assert cached.executions() == []
    assert list((cached.path / ".eeipu" / "runs").iterdir()) == []


def test_only_what_changed_is_executed(cached: Any) -> None:
    cached.plain_run()
    cached.executions()
    assert cached.plain_run({"shift": 10.0})["loss"] == abs(2 * 6 + 14 - 10)
    assert cached.executions() == ["score"]


def test_runs_and_trials_share_what_they_computed(cached: Any) -> None:
    cached.plain_run()
    cached.executions()
    cached.tuner().evaluate(
        {"clean.scale": 1.0, "left.weight": 2.0, "right.power": 2, "shift": 5.0}
    )
    assert cached.executions() == ["score"]


def test_the_result_is_that_of_the_whole_run(cached: Any) -> None:
    for _ in range(2):
        result = run(cached)
        assert set(result) == {"metrics"}
        assert result["metrics"].load() == metrics(cached)


@pytest.mark.parametrize("runner", [SequentialRunner, ParallelRunner])
def test_results_in_memory_can_still_be_loaded(cached: Any, runner: Any) -> None:
    pipeline = cached.source / "pipeline.py"
    pipeline.write_text(
        pipeline.read_text()
        .replace('"metrics", name="score"', '"scored", name="score"')
        .replace("    ])", '        node(nodes.loss, "joined", "n", name="loss"),\n    ])')
        .replace('name="score")', 'name="score", tags="eeipu.no-cache")')
    )
    nodes = cached.source / "nodes.py"
    nodes.write_text(nodes.read_text() + "\n\ndef loss(joined):\n    return joined['sum'] - 3.0\n")
    for _ in range(2):
        result = run(cached, runner=runner())
        assert result["scored"].load()["loss"] == result["n"].load() == 23.0
    assert cached.executions()[-1] == "score"


def test_case_25_deleted_output_is_written_again(cached: Any) -> None:
    first = cached.plain_run()
    cached.executions()
    for name in ("metrics", "cleaned"):
        (cached.path / "data" / f"{name}.json").unlink()
    assert cached.plain_run() == first
    assert (cached.path / "data" / "cleaned.json").exists()
    assert cached.executions() == []


def test_case_25_versioned_output_gets_its_new_version(cached: Any) -> None:
    edit_catalog(
        cached,
        metrics={"type": "json.JSONDataset", "filepath": "data/metrics.json", "versioned": True},
    )
    run(cached)
    run(cached)
    versions = list((cached.path / "data" / "metrics.json").iterdir())
    assert len(versions) == 2
    assert len({(v / "metrics.json").read_text() for v in versions}) == 1
    assert sorted(cached.executions()) == ALL


def test_case_26_changed_save_args_save_again(cached: Any) -> None:
    cached.plain_run()
    cached.executions()
    edit_catalog(
        cached,
        metrics={
            "type": "json.JSONDataset",
            "filepath": "data/metrics.json",
            "save_args": {"indent": 7},
        },
    )
    cached.plain_run()
    assert (cached.path / "data" / "metrics.json").read_text().startswith('{\n       "')
    assert cached.executions() == []


def test_case_24_two_outputs_one_declared(cached: Any) -> None:
    nodes, pipeline = cached.source / "nodes.py", cached.source / "pipeline.py"
    nodes.write_text(
        nodes.read_text().replace(
            'return {"loss": abs(joined["sum"] - shift), "nested": {"n": joined["n"]}}',
            'return {"loss": abs(joined["sum"] - shift)}, [joined["n"]]',
        )
    )
    pipeline.write_text(pipeline.read_text().replace('"metrics", name', '["metrics", "n"], name'))
    first = {n: d.load() for n, d in run(cached).items()}
    cached.executions()
    assert (
        {n: d.load() for n, d in run(cached).items()}
        == first
        == {
            "metrics": {"loss": 23.0},
            "n": [3],
        }
    )
    assert cached.executions() == []
    store = cached.path / ".eeipu" / "cache" / "cas"
    lost = min((p for p in store.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    lost.unlink()
    assert {n: d.load() for n, d in run(cached).items()} == first


def test_case_21_load_version_of_an_input_is_respected(cached: Any) -> None:
    edit_catalog(
        cached, raw={"type": "json.JSONDataset", "filepath": "data/raw.json", "versioned": True}
    )
    raw = cached.path / "data" / "raw.json"
    raw.unlink()
    for version, rows in (("2026-01", [1.0]), ("2026-02", [2.0])):
        (raw / version).mkdir(parents=True)
        (raw / version / "raw.json").write_text(json.dumps({"rows": rows}))
    expected = {"2026-01": abs(2 + 1 - 3.0), "2026-02": abs(4 + 4 - 3.0)}
    for _ in range(2):
        for version, loss in expected.items():
            run(cached, load_versions={"raw": version})
            assert metrics(cached)["loss"] == loss
    assert sorted(cached.executions()) == sorted(ALL * 2)


def test_case_33_from_nodes_gives_the_same_results(cached: Any) -> None:
    cached.plain_run()
    cached.executions()
    for _ in range(2):
        run(cached, from_nodes=["left", "right"])
        assert metrics(cached)["loss"] == 23.0
    assert sorted(cached.executions()) == ["left", "right"]
    (cached.path / "data" / "cleaned.json").write_text(json.dumps({"rows": [1.0]}))
    run(cached, from_nodes=["left", "right"])
    assert metrics(cached)["loss"] == 0.0


def test_case_33_only_missing_outputs_is_left_to_kedro(cached: Any) -> None:
    cached.plain_run()
    cached.executions()
    (cached.path / "data" / "metrics.json").unlink()
    run(cached, only_missing_outputs=True)
    assert sorted(cached.executions()) == ["join", "left", "right", "score"]
    assert metrics(cached)["loss"] == 23.0


@pytest.mark.parametrize("runner", [ThreadRunner, ParallelRunner])
def test_case_33_every_runner_delivers_the_same(cached: Any, runner: Any) -> None:
    first = cached.plain_run()
    cached.executions()
    (cached.path / "data" / "metrics.json").unlink()
    result = run(cached, runner=runner())
    assert metrics(cached) == result["metrics"].load() == first
    assert cached.executions() == []


LEAVING = {
    "variable": (
        "__import__('os').environ['WEIGHT'] = str(weight)",
        "float(__import__('os').environ.get('WEIGHT', 0))",
    ),
    "generator": (
        "__import__('random').seed(weight)",
        "__import__('random').random()",
    ),
    "working directory": (
        "__import__('os').chdir('data')",
        "__import__('os').getcwd().count('data')",
    ),
}


@pytest.mark.parametrize("what", LEAVING)
def test_what_a_node_leaves_is_known_of_nodes_in_processes_of_their_own(
    cached: Any, what: str
) -> None:
    """They leave nothing for others there, but do in runs that reuse them later."""
    leave, find = LEAVING[what]
    nodes = cached.source / "nodes.py"
    text = nodes.read_text().replace('    ran("left")\n', f'    ran("left")\n    {leave}\n')
    nodes.write_text(text.replace('    ran("score")\n', f'    ran("score")\n    shift += {find}\n'))
    assert text != nodes.read_text()
    assert cached.kedro("run", "--runner", "ParallelRunner").returncode == 0
    cached.executions()
    assert cached.kedro("run").returncode == 0
    found, executed = metrics(cached), cached.executions()
    cached.write_settings({})
    assert cached.kedro("run").returncode == 0
    assert found == metrics(cached)
    assert ("left" in executed) is (what == "working directory")


TOGETHER = """
import os, random, time

def wait_for(name):
    while not os.path.exists(name):
        time.sleep(0.01)

def seed(weight):
    if os.path.exists("together"):
        wait_for("right has begun")
    random.seed(weight)
    open("left has seeded", "w").close()

def overlap():
    open("right has begun", "w").close()
    wait_for("left has seeded")
"""


def test_what_nodes_do_at_the_same_time_is_not_put_down_to_one(cached: Any) -> None:
    """Else `right`, reused, would undo what `left` does."""
    nodes = cached.source / "nodes.py"
    text = nodes.read_text()
    for name, line in (
        ("left", "seed(weight)"),
        ("right", "overlap()"),
        ("score", "shift += random.random()"),
    ):
        text = text.replace(f'    ran("{name}")\n', f'    ran("{name}")\n    {line}\n')
    nodes.write_text(TOGETHER + text)
    (cached.path / "together").touch()
    assert cached.kedro("run", "--runner", "ThreadRunner").returncode == 0
    (cached.path / "together").unlink()
    cached.executions()
    assert cached.kedro("run", "--params", "left.weight=5.0").returncode == 0
    found, executed = metrics(cached), cached.executions()
    assert "clean" not in executed
    cached.write_settings({})
    assert cached.kedro("run", "--params", "left.weight=5.0").returncode == 0
    assert found == metrics(cached)


def test_node_error_is_unchanged_and_nothing_is_left(cached: Any) -> None:
    nodes = cached.source / "nodes.py"
    nodes.write_text(nodes.read_text().replace('    ran("join")\n', '    raise OSError("no")\n'))
    with pytest.raises(OSError, match="no"):
        run(cached)
    assert list((cached.path / ".eeipu" / "runs").iterdir()) == []


def test_wrong_settings_mean_an_uncached_run(cached: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cached.write_settings({"cache": {"runs": True, "credentials": "nowhere"}})
    told: list[str] = []
    monkeypatch.setattr(
        "kedro_eeipu.hooks.plugin.logger.warning", lambda text, *a: told.append(text % a)
    )
    assert cached.plain_run()["loss"] == 23.0
    assert len(told) == 1
    assert "not cached" in told[0]
    assert "nowhere" in told[0]


def test_unusable_root_means_an_uncached_run(cached: Any) -> None:
    cached.write_settings({"cache": {"runs": True, "root": "data/raw.json/cache"}})
    assert cached.plain_run()["loss"] == 23.0
    assert cached.plain_run()["loss"] == 23.0


def test_interrupted_run_leaves_nothing_to_the_next(cached: Any) -> None:
    nodes = cached.source / "nodes.py"
    text = nodes.read_text()
    nodes.write_text(text.replace('    ran("join")\n', "    raise KeyboardInterrupt\n"))
    with pytest.raises(KeyboardInterrupt):
        run(cached)
    nodes.write_text(text)
    cached.executions()
    assert cached.plain_run()["loss"] == 23.0
    assert sorted(cached.executions()) == ["join", "score"]
    assert list((cached.path / ".eeipu" / "runs").iterdir()) == []


@pytest.mark.parametrize("configured", [False, True])
def test_plain_runs_import_nothing_heavy(project: Any, configured: bool) -> None:
    heavy = {"torch", "optuna", "botorch"}
    if configured:
        project.write_settings({"cache": {"runs": False}})
    else:
        heavy |= {"kedro_eeipu.cache.store.store", "kedro_eeipu.project.project"}
    code = (
        "import sys; from pathlib import Path\n"
        "from kedro.framework.startup import bootstrap_project\n"
        "from kedro.framework.session import KedroServiceSession\n"
        "bootstrap_project(Path.cwd())\n"
        "KedroServiceSession.create(project_path=Path.cwd()).run()\n"
        f"print(sorted({heavy!r} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=project.path,
        env=project.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"
