"""What runs in Kedro runs in a trial: values that cannot be copied, hooks that look at data."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest

from kedro_eeipu.hooks import other_plugins
from kedro_eeipu.hooks.lazy_values import LazyValues, ValueGoneError

NODES = """
def prepare(raw, p):
    return {"total": sum(raw["rows"]) + p}


def score(prepared, q):
    return {"loss": prepared["total"] * q}


def draw(prepared):
    import matplotlib
    matplotlib.use("agg")
    import matplotlib.pyplot as plt
    plt.plot([prepared["total"]])
    return plt
"""
PIPELINE = """
from kedro.pipeline import Pipeline, node
from . import nodes


def create_pipeline(**kwargs):
    return Pipeline([
        node(nodes.prepare, ["raw", "params:p"], "prepared", name="prepare"),
        node(nodes.score, ["prepared", "params:q"], "metrics", name="score"),
        node(nodes.draw, "prepared", "drawn", name="draw"),
    ])
"""
CATALOG = {
    "raw": {"type": "json.JSONDataset", "filepath": "data/raw.json"},
    "drawn": {"type": "matplotlib.MatplotlibDataset", "filepath": "data/drawn.png"},
}
HOOKS = """
import json
from kedro.framework.hooks import hook_impl

LOADS = []


class Hooks:
    @hook_impl
    def before_node_run(self, node, inputs):
        {before}

    @hook_impl
    def after_node_run(self, node, inputs, outputs):
        {after}
"""


def write(project: Any, before: str = "pass", after: str = "pass", **block: Any) -> None:
    project.write_nodes(NODES)
    project.write_pipeline(PIPELINE)
    objective = {"dataset": "metrics", "key": "loss", "direction": "minimize"}
    space = {"p": {"low": 0, "high": 9}, "q": {"low": 1, "high": 9}}
    project.write_parameters(
        {"p": 1, "q": 1, "eeipu": {"objective": objective, "space": space, "trials": 4, **block}}
    )
    project.write_catalog(CATALOG)
    (project.source / "hooks.py").write_text(HOOKS.format(before=before, after=after))
    (project.source / "settings.py").write_text(
        'DISABLE_HOOKS_FOR_PLUGINS = ("kedro_mlflow",)\n'
        "from .hooks import Hooks\nHOOKS = (Hooks(),)\n"
    )


def trial(project: Any, p: int = 1, q: int = 1) -> Any:
    record = project.tuner().evaluate({"p": p, "q": q})
    assert record.error is None
    return {n.name: n for n in record.nodes}


def test_module_as_output_of_a_plot_runs_in_trials(project: Any) -> None:
    write(project, also=["drawn"])
    before = project.files()
    for _ in range(2):
        node = trial(project)["draw"]
        assert node.status == "ran"
        assert "cannot be stored" in node.why_not
    assert project.files() == before
    assert project.kedro("run").returncode == 0


def test_module_in_memory_fails_as_in_kedro(project: Any) -> None:
    write(project, also=["drawn"])
    project.write_catalog({"raw": CATALOG["raw"]})
    assert project.kedro("run").returncode == 1
    assert project.tuner().evaluate({"p": 1, "q": 1}).state == "failed"


def test_hooks_see_inputs_and_outputs_of_reused_nodes(project: Any) -> None:
    log = "open('hooks.log', 'a').write(json.dumps({}, default=str) + '\\n')"
    write(
        project,
        log.format("[node.name, 'before', inputs]"),
        log.format("[node.name, 'after', dict(inputs), {**outputs}]"),
    )
    lines = []
    for study in ("one", "two"):
        done = project.kedro("eeipu", "tune", "--trials", "1", "--study", study)
        assert done.returncode == 0, done.stderr
        file = project.path / "hooks.log"
        lines.append(sorted(file.read_text().splitlines()))
        file.unlink()
    assert lines[0] == lines[1]
    assert json.dumps(["score", "after", {"prepared": {"total": 7.0}, "params:q": 1}]) in (
        line.rsplit(", {", 1)[0] + "]" for line in lines[0]
    )


def test_value_that_is_gone_gives_the_hook_an_error_and_the_trial_goes_on(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(project, after="outputs['prepared'] if node.name == 'prepare' else None")
    trial(project)
    tuner = project.tuner()
    prepared = next(n for n in tuner.study.trials()[0].nodes if n.name == "prepare")
    root = project.path / ".eeipu"
    blobs = [f for f in root.rglob("*") if f.is_file() and prepared.outputs[0][0][2:] in f.name]
    assert blobs
    for blob in blobs:
        blob.unlink()
    warned: set[str] = set()
    monkeypatch.setattr(other_plugins, "_warned", warned)
    record = tuner.evaluate({"p": 1, "q": 1})
    assert record.error is None
    assert {n.status for n in record.nodes} == {"reused"}
    assert len(warned) == 1
    assert "it looks at 'prepared' of prepare, which is reused" in warned.pop()


def test_other_error_of_a_hook_fails_the_trial_as_it_fails_a_run(project: Any) -> None:
    write(project, after="outputs['nothing']")
    assert "nothing" in project.tuner().evaluate({"p": 1, "q": 1}).error


def test_large_input_is_not_loaded_where_no_hook_looks(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kedro_datasets.pickle import PickleDataset

    write(
        project, "len(inputs), 'raw' in inputs, inputs['params:p'] if node.name == 'prepare' else 0"
    )
    project.write_nodes(NODES.replace('sum(raw["rows"])', "len(raw)"))
    project.write_catalog(
        {**CATALOG, "raw": {"type": "pickle.PickleDataset", "filepath": "data/raw.pkl"}}
    )
    with (project.path / "data" / "raw.pkl").open("wb") as file:
        pickle.dump(bytes(400_000_000), file)
    loads = []
    load = PickleDataset.load

    def counting(self: Any) -> Any:
        loads.append(self)
        return load(self)

    monkeypatch.setattr(PickleDataset, "load", counting)
    trial(project)
    assert len(loads) == 1
    assert {n.status for n in trial(project).values()} == {"reused"}
    assert len(loads) == 1


def lazy(loads: list[str]) -> LazyValues:
    def load(name: str) -> Any:
        loads.append(name)
        if name == "gone":
            raise ValueGoneError("gone")
        return {"value": name}

    return LazyValues(["a", "b"], load)


WHOLE = {"a": {"value": "a"}, "b": {"value": "b"}}


@pytest.mark.parametrize(
    "read",
    [
        dict,
        lambda x: {**x},
        lambda x: (lambda **given: given)(**x),
        lambda x: dict(x.items()),
        lambda x: dict(zip(x, x.values(), strict=True)),
        lambda x: x.copy(),
        copy.copy,
        copy.deepcopy,
        lambda x: x | {},
        lambda x: {} | x,
        lambda x: json.loads(json.dumps(x)),
        lambda x: json.loads(json.dumps(x, indent=1, sort_keys=True)),
        lambda x: pickle.loads(pickle.dumps(x)),
        lambda x: {k: x[k] for k in x},
        lambda x: {k: x.get(k) for k in x.keys()},  # noqa: SIM118
        lambda x: {k: x.pop(k) for k in list(x)},
        lambda x: dict(reversed([x.popitem(), x.popitem()])),
        lambda x: {k: x.setdefault(k, None) for k in x},
        lambda x: eval(repr(x)),
    ],
)
def test_lazy_values_are_complete(read: Any) -> None:
    loads: list[str] = []
    values = lazy(loads)
    assert isinstance(values, dict)
    assert read(values) == WHOLE
    assert sorted(set(loads)) == ["a", "b"]
    assert len(loads) == 2


def test_update_and_comparison_of_lazy_values() -> None:
    assert lazy([]) == WHOLE
    assert not lazy([]) != WHOLE  # noqa: SIM202
    whole: dict[str, Any] = {}
    whole.update(lazy([]))
    assert whole == WHOLE
    whole = {"c": 1}
    whole |= lazy([])
    assert whole == {"c": 1, **WHOLE}
    values = lazy([])
    values |= {"a": 1}
    assert values == {**WHOLE, "a": 1}


def test_names_of_lazy_values_load_nothing() -> None:
    loads: list[str] = []
    values = lazy(loads)
    assert list(values) == list(values.keys()) == ["a", "b"]
    assert len(values) == 2
    assert "a" in values
    assert values.get("c") is None
    assert bool(values)
    del values["a"]
    values["b"] = 3
    assert values["b"] == 3
    assert loads == []
