"""What the reuse must get right at the level of Kedro, one test a case."""

from __future__ import annotations

import json
import logging
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kedro
import pytest
import yaml
from kedro.io import AbstractDataset, DatasetError
from kedro.runner import ParallelRunner, ThreadRunner

from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.study.limits import Limits

KEDRO = tuple(map(int, kedro.__version__.split(".")[:2]))
needless = pytest.mark.xfail(KEDRO < (1, 6), reason="older Kedro: nodes run needlessly")
DEFAULTS = {"clean.scale": 1.0, "left.weight": 2.0, "right.power": 2, "shift": 3.0}
ALL = ["clean", "join", "left", "right", "score"]


def edit(project: Any, file: str, *changes: tuple[str, str]) -> None:
    path = project.source / f"{file}.py"
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)


def configure(project: Any, name: str, **entries: Any) -> None:
    path = project.path / "conf" / "base" / f"{name}.yml"
    path.write_text(
        yaml.safe_dump({**yaml.safe_load(path.read_text()), **entries}, sort_keys=False)
    )


def trial(project: Any, **changes: Any) -> tuple[Any, list[str]]:
    """A trial of the project as it is now, and the functions it called."""
    project.executions()
    record = project.tuner().evaluate({**DEFAULTS, **changes})
    return record, sorted(project.executions())


def node(record: Any, name: str) -> Any:
    return next(n for n in record.nodes if n.name == name)


def test_case_12_parameters_as_a_whole_miss_but_descendants_hit(project: Any) -> None:
    edit(project, "pipeline", ('"params:clean"]', '"parameters"]'))
    edit(
        project,
        "nodes",
        ("def clean(raw, options):\n", "def clean(raw, p):\n    options = p['clean']\n"),
    )
    trial(project)
    configure(project, "parameters", unrelated=1)
    assert trial(project)[1] == ["clean"]


def test_case_13_sibling_of_a_parameter_changes_nothing(project: Any) -> None:
    trial(project)
    configure(project, "parameters", left={"weight": 2.0, "other": "edited"})
    assert trial(project)[1] == []


def test_case_15_override_equal_to_the_default_hits(project: Any) -> None:
    project.tuner().evaluate({})
    project.executions()
    assert trial(project)[1] == []


def test_case_15_number_in_quotes_is_distinct(project: Any) -> None:
    edit(project, "nodes", ("joined, shift):\n", "joined, shift):\n    shift = float(shift)\n"))
    trial(project)
    parameters = yaml.safe_load((project.path / "conf/base/parameters.yml").read_text())
    del parameters["eeipu"]["space"]["shift"]
    project.write_parameters({**parameters, "shift": "3.0"})
    project.executions()
    project.tuner("other").evaluate({k: v for k, v in DEFAULTS.items() if k != "shift"})
    assert project.executions() == ["score"]


@pytest.mark.parametrize(
    "base",
    ["@dataclass\nclass Weight:\n", "class Weight(BaseModel):\n"],
    ids=["dataclass", "pydantic"],
)
@pytest.mark.parametrize("field", ["weight: float", "weight: float\n    extra: int = 0"])
def test_case_16_class_built_from_parameters(project: Any, field: str, base: str) -> None:
    edit(
        project,
        "nodes",
        (
            "def left(cleaned, weight):\n",
            "from dataclasses import dataclass\n\nfrom pydantic import BaseModel\n\n\n"
            f"{base}    weight: float\n\n\n"
            "def left(cleaned, weight):\n    Weight(weight=weight)\n",
        ),
    )
    trial(project)
    edit(project, "nodes", ("    weight: float\n", f"    {field}\n"))
    executed = trial(project)[1]
    assert executed == ([] if field == "weight: float" else ["left"])


@pytest.mark.parametrize("base", ["@dataclass\nclass Rows:\n", "class Rows(BaseModel):\n"])
def test_case_16_object_among_the_data(project: Any, base: str) -> None:
    edit(
        project,
        "nodes",
        (
            "def left(cleaned, weight):\n",
            "from dataclasses import dataclass\n\nfrom pydantic import BaseModel\n\n\n"
            f"{base}    rows: list\n    scale: int = 1\n\n\ndef left(cleaned, weight):\n",
        ),
        ("    return [weight * x", "    return Rows(rows=[weight * x"),
        ('in cleaned["rows"]]\n\n\ndef right', 'in cleaned["rows"]])\n\n\ndef right'),
        ("sum(left_rows)", "sum(left_rows.rows) * left_rows.scale"),
        ("len(left_rows)", "len(left_rows.rows)"),
    )
    first, executed = trial(project)
    assert executed == ALL
    assert trial(project)[1] == []
    edit(project, "nodes", ("scale: int = 1", "scale: int = 2"))
    again, executed = trial(project)
    assert {"left", "join"} <= set(executed)
    assert again.value != first.value


def test_case_17_no_parameter_value_is_written_anywhere(project: Any) -> None:
    edit(project, "nodes", ('options["kind"]}', '"k"}'))
    configure(project, "parameters", clean={"scale": 1.0, "kind": "hunter2-secret"})
    trial(project)
    for path in (project.path / ".eeipu").rglob("*"):
        assert not path.is_file() or b"hunter2-secret" not in path.read_bytes(), path


def test_case_18_input_file_with_equal_content_elsewhere_hits(project: Any) -> None:
    trial(project)
    data = project.path / "data"
    (data / "raw.json").rename(data / "moved.json")
    configure(project, "catalog", raw={"type": "json.JSONDataset", "filepath": "data/moved.json"})
    assert trial(project)[1] == []


def test_case_18_input_changed_while_it_was_read_is_not_recorded(project: Any) -> None:
    raw = project.path / "data" / "raw.json"
    edit(
        project,
        "nodes",
        (
            '    ran("clean")\n',
            '    ran("clean")\n    from pathlib import Path\n'
            f"    Path({str(raw)!r}).write_text('{{\"rows\": [9.0]}}')\n",
        ),
    )
    trial(project)
    assert "clean" in trial(project)[1]


@needless
def test_case_19_load_args_and_kind_miss_credentials_do_not(project: Any) -> None:
    edit(project, "nodes", ('in raw["rows"]', 'in (raw if isinstance(raw, list) else raw["rows"])'))
    entry = {"type": "json.JSONDataset", "filepath": "data/raw.json"}
    trial(project)
    (project.path / "conf" / "local" / "credentials.yml").write_text("who: {}\n")
    configure(project, "catalog", raw={**entry, "credentials": "who"})
    assert trial(project)[1] == []
    configure(project, "catalog", raw={**entry, "fs_args": {"auto_mkdir": True}})
    assert trial(project)[1] == []
    configure(
        project, "catalog", raw={**entry, "fs_args": {"open_args_load": {"encoding": "latin1"}}}
    )
    assert "clean" in trial(project)[1]
    configure(project, "catalog", raw={**entry, "type": "yaml.YAMLDataset"})
    assert "clean" in trial(project)[1]


def test_case_20_partitions(project: Any) -> None:
    folder = project.path / "data" / "parts"
    folder.mkdir()
    (folder / "a.json").write_text("[1.0]")
    configure(
        project,
        "catalog",
        raw={
            "type": "partitions.PartitionedDataset",
            "path": "data/parts",
            "dataset": "json.JSONDataset",
        },
    )
    edit(project, "nodes", ('in raw["rows"]', "in [x for k in sorted(raw) for x in raw[k]()]"))
    assert trial(project)[1] == ALL
    assert trial(project)[1] == []
    (folder / "b.json").write_text("[2.0]")
    assert "clean" in trial(project)[1]
    (folder / "b.json").rename(folder / "c.json")
    assert "clean" in trial(project)[1]
    (folder / "c.json").write_text("[3.0]")
    assert "clean" in trial(project)[1]
    (folder / "c.json").unlink()
    assert trial(project)[1] == []


def test_case_20_confirms_bypasses(project: Any) -> None:
    edit(project, "pipeline", ('name="clean")', 'name="clean", confirms="raw")'))
    configure(
        project,
        "catalog",
        raw={
            "type": "partitions.IncrementalDataset",
            "path": "data",
            "filename_suffix": "raw.json",
            "dataset": "json.JSONDataset",
        },
    )
    edit(project, "nodes", ('in raw["rows"]', "in [1.0, 2.0]"))
    trial(project)
    record, executed = trial(project)
    assert "clean" in executed
    assert node(record, "clean").why_not


class Table(AbstractDataset[Any, Any]):
    """A dataset whose content nobody can tell, as a database table's."""

    def load(self) -> Any:
        return {"rows": [1.0, 2.0]}

    def save(self, data: Any) -> None:
        raise AssertionError("a trial writes nothing of the user's")

    def _describe(self) -> dict[str, Any]:
        return {}


def test_case_22_unknown_dataset_bypasses_until_its_version_is_stated(project: Any) -> None:
    configure(project, "catalog", raw={"type": f"{__name__}.Table"})
    trial(project)
    record, executed = trial(project)
    assert executed == ["clean"]
    assert "cache.inputs.raw.version" in node(record, "clean").why_not
    project.write_settings({"cache": {"inputs": {"raw": {"version": "2026-01"}}}})
    trial(project)
    assert trial(project)[1] == []
    project.write_settings({"cache": {"inputs": {"raw": {"version": "2026-02"}}}})
    assert trial(project)[1] == ["clean"]


def test_case_23_mutated_input_does_not_change_the_key(project: Any) -> None:
    edit(
        project,
        "nodes",
        ('    ran("clean")\n', '    ran("clean")\n    options["seen"] = True\n'),
        ('    ran("join")\n', '    ran("join")\n    left_rows.append(0.0)\n'),
    )
    assert trial(project)[1] == ALL
    assert trial(project)[1] == []


def test_case_27_write_only_dataset_keeps_the_returned_object(project: Any) -> None:
    configure(
        project, "catalog", metrics={"type": f"{__name__}.WriteOnly", "filepath": "data/out.html"}
    )
    first = trial(project)[0]
    again, executed = trial(project)
    assert executed == []
    assert again.value == first.value
    assert not (project.path / "data" / "out.html").exists()


class WriteOnly(AbstractDataset[Any, Any]):
    def __init__(self, filepath: str) -> None:
        self._path = Path(filepath)

    def load(self) -> Any:
        raise NotImplementedError

    def save(self, data: Any) -> None:
        self._path.write_text(str(data))

    def _describe(self) -> dict[str, Any]:
        return {}


def test_case_28_node_without_outputs_runs_in_every_trial_where_it_is_asked_for(
    project: Any,
) -> None:
    edit(
        project,
        "pipeline",
        ("    ])", '        node(nodes.tell, "metrics", None, name="tell"),\n    ])'),
    )
    edit(project, "nodes", ("def join", 'def tell(metrics):\n    ran("tell")\n\n\ndef join'))
    assert trial(project)[1] == ALL
    parameters = yaml.safe_load((project.path / "conf/base/parameters.yml").read_text())
    configure(project, "parameters", eeipu={**parameters["eeipu"], "also": ["tell"]})
    assert trial(project)[1] == ["tell"]
    assert trial(project)[1] == ["tell"]


def test_case_28_none_and_exceptions_are_kedros_and_not_recorded(project: Any) -> None:
    edit(project, "nodes", ('    ran("join")\n', '    ran("join")\n    return None\n'))
    record, _ = trial(project)
    assert record.state == "failed"
    assert "None" in record.error
    edit(project, "nodes", ("    return None\n", '    raise ValueError("no")\n'))
    assert trial(project)[0].error.endswith("no")
    record, executed = trial(project)
    assert executed == ["join"]
    assert record.state == "failed"


def test_case_29_unpicklable_output_is_made_again_for_its_consumers(project: Any) -> None:
    edit(
        project,
        "nodes",
        (
            'return {"sum": sum(left_rows) + sum(right_rows), "n": len(left_rows)}',
            "return lambda: (sum(left_rows) + sum(right_rows), len(left_rows))",
        ),
        ('    return {"loss": abs(joined', '    s, n = joined()\n    return {"loss": abs(joined'),
        ('joined["sum"]', "s"),
        ('joined["n"]', "n"),
    )
    record, executed = trial(project)
    assert "join" in executed
    assert record.value == 23.0
    assert trial(project)[1] == []
    record, executed = trial(project, shift=4.0)
    assert executed == ["join", "score"], "join is called again for what cannot be kept"
    assert record.value == 22.0


def test_arrays_are_handed_on_as_kedro_copies_them(project: Any) -> None:
    edit(
        project,
        "nodes",
        ("def left(", "import numpy\n\n\ndef left("),
        (
            '    return [weight * x for x in cleaned["rows"]]',
            '    rows = numpy.asfortranarray(numpy.outer(cleaned["rows"], [weight, 1.0]))\n'
            "    rows.setflags(write=False)\n"
            "    return rows",
        ),
        (
            '    return {"sum": sum(left_rows) + sum(right_rows)',
            "    left_rows[0, 0] = 0.0\n"
            '    return {"sum": 100.0 * left_rows.flags.c_contiguous + left_rows.sum()',
        ),
    )
    loss = project.plain_run()["loss"]
    for _ in range(2):
        record, _ = trial(project)
        assert record.value == loss > 90


_STATES = {
    "global variable": ("G = None", "global G; G = weight", "G"),
    "both write": ("G = 0", "global G; G += weight", "later()"),
    "counter": (
        "G = 0\n\n\ndef count():\n    global G\n    G += 1\n    return G",
        "count()",
        "count()",
    ),
    "item": ("G = {}", "G['weight'] = weight", "G['weight']"),
    "default item": ("G = {}", "G.clear(); G.setdefault('weight', weight)", "G['weight']"),
    "list": ("G = []", "G.append(weight)", "G[-1]"),
    "class": ("class G:\n    last = None", "G.last = weight", "G.last"),
    "object": (
        "class State:\n    def fit(self, v):\n        self.v = v\n\n\nG = State()",
        "G.fit(weight)",
        "G.v",
    ),
    "generator": ("import random\nG = random.Random(0)", "G.seed(weight)", "G.random()"),
    "weak set": (
        "import weakref\n\n\nclass G:\n    live = weakref.WeakSet()\n\n    def __init__(self, v):\n"
        "        self.v = v\n        self.live.add(self)\n\n\nKEPT = []",
        "KEPT[:] = [G(weight)]",
        "sum(g.v for g in G.live)",
    ),
}


@pytest.mark.parametrize("kind", _STATES)
def test_nodes_that_share_state_are_never_reused(project: Any, kind: str) -> None:
    made, written, read = _STATES[kind]
    later = "def later():\n    global G\n    G += 1\n    return G\n\n\n" if "both" in kind else ""
    edit(
        project,
        "nodes",
        ("def left(", f"{made}\n\n\n{later}def left("),
        ('    ran("left")', f"    {written}\n    ran('left')"),
        ('    return {"sum": sum(left_rows)', f"    return {{'sum': 100 * {read}"),
    )
    for weight in (2.0, 4.0, 2.0, 4.0):
        record, executed = trial(project, **{"left.weight": weight})
        assert {"left", "join"} <= set(executed)
        assert record.value == project.plain_run({"left.weight": weight})["loss"]
        assert "right" not in executed or weight == 2.0


_LEFT: dict[str, tuple[str, str, str, Callable[[float], float]]] = {
    "signal handler": (
        "import signal\n\n\ndef one(*_):\n    pass",
        "signal.signal(signal.SIGUSR1, one if weight == 2.0 else signal.SIG_IGN)",
        "(signal.getsignal(signal.SIGUSR1) is one)",
        lambda weight: weight == 2.0,
    ),
    "entry of sys.modules": (
        "import sys\nfrom types import SimpleNamespace",
        "sys.modules['made'] = SimpleNamespace(weight=weight)",
        "sys.modules['made'].weight",
        lambda weight: weight,
    ),
    "position of a generator": (
        "G = (n for n in range(100))",
        "[next(G) for _ in range(int(weight))]",
        "next(G)",
        int,
    ),
}


@pytest.mark.parametrize("kind", _LEFT)
def test_what_lives_on_in_the_process_is_put_back_or_told(
    project: Any, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    made, written, read, value = _LEFT[kind]
    edit(
        project,
        "nodes",
        ("def left(", f"{made}\n\n\ndef left("),
        ('    ran("left")', f"    {written}\n    ran('left')"),
        ('    return {"sum": sum(left_rows)', f"    return {{'sum': 100 * {read}"),
    )
    tuner = project.tuner(limits=Limits(trials=9))
    # Not of the root: Kedro makes its handlers anew.
    logging.getLogger("kedro_eeipu").addHandler(caplog.handler)
    try:
        wrong = []
        for weight in (2.0, 2.0, 4.0, 4.0, 2.0):
            record = tuner.evaluate({**DEFAULTS, "left.weight": weight})
            if record.value != 100 * value(weight) + 14.0 - 3.0:
                wrong.append(weight)
    finally:
        logging.getLogger("kedro_eeipu").removeHandler(caplog.handler)
        sys.modules.pop("made", None)
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    assert not wrong or "may differ" in caplog.text
    assert wrong or kind != "position of a generator"


@pytest.mark.parametrize("reader", ["never cached", "after two writers", "of a generator"])
def test_state_that_is_read_by_what_always_runs(project: Any, reader: str) -> None:
    """Its writers must run, too, and so must one reader when another has been found."""
    edit(
        project,
        "nodes",
        ("def left(", "G = []\n\n\ndef left("),
        ('    ran("left")', "    G.append(weight)\n    ran('left')"),
        ('    return {"sum": sum(left_rows)', "    return {'sum': 100 * sum(G)"),
    )
    if reader == "never cached":
        project.write_settings({"cache": {"nodes": {"join": {"cache": False}}}})
    elif reader == "after two writers":
        edit(project, "nodes", ('    ran("right")', "    G.append(5.0)\n    ran('right')"))
    else:
        edit(
            project,
            "nodes",
            ("    return [weight * x for x in", "    yield [weight * x for x in"),
            ("sum(right_rows)", "sum(right_rows) + len(list(left_rows))"),
            ('"n": len(left_rows)', '"n": 1'),
        )
    for weight in (2.0, 4.0, 2.0):
        record, executed = trial(project, **{"left.weight": weight})
        assert {"left", "join"} <= set(executed)
        assert record.value == project.plain_run({"left.weight": weight})["loss"]


def test_nodes_that_share_what_is_made_once_are_reused(project: Any) -> None:
    lazy = (
        "TABLE = {}\nMODEL = None\n\n\ndef table():\n    global MODEL\n    MODEL = MODEL or [1.0]\n"
        "    TABLE['made'] = 1.0\n    return TABLE['made'] * MODEL[0]\n\n\ndef left("
    )
    edit(
        project,
        "nodes",
        ("def left(", lazy),
        *((f'    ran("{name}")', f"    table()\n    ran('{name}')") for name in ("left", "right")),
    )
    assert trial(project)[1] == ALL
    assert trial(project)[1] == []


def test_value_that_is_handed_on_without_a_copy_is_never_cached(project: Any) -> None:
    """One consumer changes it, and the other sees that, as in a plain run."""
    edit(
        project,
        "nodes",
        ('    ran("left")', '    ran("left")\n    cleaned["rows"] = [*cleaned["rows"], 9.0]'),
    )
    configure(project, "catalog", cleaned={"type": "kedro.io.MemoryDataset", "copy_mode": "assign"})
    loss = project.plain_run()["loss"]
    for _ in range(2):
        record, executed = trial(project)
        assert record.value == loss
        assert {"clean", "left", "right"} <= set(executed)


def test_trial_fails_where_the_declared_kind_cannot_hold_a_value(project: Any) -> None:
    edit(project, "nodes", ('"kind": options["kind"]', '"kind": ran'))
    record, _ = trial(project)
    assert record.state == "failed"
    assert "JSON serializable" in record.error
    with pytest.raises(DatasetError, match="JSON serializable"):
        project.plain_run()


def test_case_30_over_max_entry_bytes_costs_are_kept(project: Any) -> None:
    project.write_settings({"cache": {"max_entry_bytes": 1}})
    assert trial(project)[1] == ALL
    record, executed = trial(project)
    assert executed == ALL
    assert record.cost > 0


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('name="left"', 'name="renamed"'),
        ('name="left"', 'name="left", tags=["a", "b"]'),
        ('"left_rows"', '"other_rows"'),
        ('name="left"', 'name="left", namespace="ns"'),
    ],
)
def test_case_31_names_tags_and_namespaces_hit(project: Any, old: str, new: str) -> None:
    trial(project)
    edit(project, "pipeline", (old, new))
    assert trial(project)[1] == []


def test_case_31_order_of_inputs_misses(project: Any) -> None:
    trial(project)
    edit(project, "pipeline", ('["left_rows", "right_rows"]', '["right_rows", "left_rows"]'))
    assert "join" in trial(project)[1]


def test_case_31_other_mapping_of_outputs_misses(project: Any) -> None:
    edit(
        project,
        "nodes",
        (
            'return {"loss": abs(joined["sum"] - shift), "nested": {"n": joined["n"]}}',
            'return {"a": {"loss": 1.0}, "b": {"loss": 2.0}}',
        ),
    )
    edit(
        project, "pipeline", ('"metrics", name="score"', '{"a": "metrics", "b": "x"}, name="score"')
    )
    assert trial(project)[0].value == 1.0
    edit(project, "pipeline", ('{"a": "metrics", "b": "x"}', '{"b": "metrics", "a": "x"}'))
    assert trial(project)[0].value == 2.0


def test_case_32_dataset_factories_are_keyed_by_what_they_resolve_to(project: Any) -> None:
    trial(project)
    path = project.path / "conf" / "base" / "catalog.yml"
    catalog = yaml.safe_load(path.read_text())
    del catalog["raw"]
    path.write_text(
        yaml.safe_dump(
            {**catalog, "ra{x}": {"type": "json.JSONDataset", "filepath": "data/ra{x}.json"}}
        )
    )
    assert trial(project)[1] == []


@pytest.mark.parametrize("runner", [ThreadRunner, pytest.param(ParallelRunner, marks=needless)])
def test_case_33_every_runner_has_the_same_keys(project: Any, runner: Any) -> None:
    first = project.tuner(runner=runner()).evaluate(DEFAULTS)
    assert sorted(project.executions()) == ALL
    again, executed = trial(project)
    assert executed == []
    assert {n.name: n.key for n in first.nodes} == {n.name: n.key for n in again.nodes}
    assert first.value == again.value


def test_case_34_trials_write_no_catalog_file(project: Any) -> None:
    before = project.files()
    project.tuner(runner=ThreadRunner()).evaluate(DEFAULTS)
    assert project.files() == before


def test_case_38_no_usable_root_costs_only_time(project: Any) -> None:
    project.write_settings({"cache": {"root": "/proc/nowhere"}})
    for _ in range(2):
        record, executed = trial(project)
        assert executed == ALL
        assert record.value == 23.0


def test_case_39_lost_blobs_of_ancestors_are_computed_again(project: Any) -> None:
    record, _ = trial(project)
    lost = {d for name in ("clean", "left") for d, _ in node(record, name).outputs}
    for blob in (project.path / ".eeipu" / "cache" / "cas").rglob("*"):
        if blob.name in lost:
            blob.unlink()
    record, executed = trial(project, **{"right.power": 3})
    assert executed == ALL
    assert record.value == abs(12 + 36 - 3)


def test_case_40_ctrl_c_leaves_nothing_half_done(project: Any) -> None:
    edit(project, "nodes", ('    ran("join")\n', "    raise KeyboardInterrupt\n"))
    tuner = project.tuner()
    with pytest.raises(KeyboardInterrupt):
        tuner.evaluate(DEFAULTS)
    assert tuner.study.trials()[-1].interrupted
    cache = project.path / ".eeipu" / "cache"
    assert [p for p in (cache / "leases").rglob("*") if p.is_file()] == []
    assert tuner.project.store.verify() == []
    assert all(n.func.__module__.endswith("nodes") for n in tuner.project.pipeline.nodes)


def test_case_46_unseeded_randomness_returns_the_recorded_draw(project: Any) -> None:
    edit(
        project,
        "nodes",
        (
            '    ran("score")\n',
            '    ran("score")\n    import random\n    shift = random.random()\n',
        ),
    )
    first, _ = trial(project)
    again, executed = trial(project)
    assert executed == []
    assert again.value == first.value


def test_case_47_a_hit_is_no_observation_of_cost(project: Any) -> None:
    tuner = project.tuner()
    tuner.evaluate(DEFAULTS)
    again = tuner.evaluate({**DEFAULTS, "shift": 9.0})
    observed = tuner.observer.observation(again, tuner.project.store.digests())
    stages = {s.nodes: k for k, s in enumerate(tuner.project.stage_graph())}
    assert set(observed.costs) == {k for nodes, k in stages.items() if "score" in nodes}
    assert node(again, "clean").seconds == 0.0


def test_case_48_an_evicted_prefix_is_told_as_not_cached(project: Any) -> None:
    tuner = project.tuner()
    record = tuner.evaluate(DEFAULTS)
    kept = tuner.project.store.digests()
    assert tuner.observer.observation(record, kept).available == frozenset(
        range(len(list(tuner.project.stage_graph())))
    )
    ((digest, _),) = node(record, "clean").outputs
    next((project.path / ".eeipu" / "cache" / "cas").rglob(digest)).unlink()
    stage = next(k for k, s in enumerate(tuner.project.stage_graph()) if "clean" in s.nodes)
    kept = tuner.project.store.digests()
    assert stage not in tuner.observer.observation(record, kept).available


def test_case_49_failed_trial_leaves_its_finished_stages(project: Any) -> None:
    edit(project, "nodes", ('    ran("score")\n', '    ran("score")\n    1 / (shift != 7.0)\n'))
    assert trial(project, shift=7.0)[0].state == "failed"
    assert trial(project)[1] == ["score"]


# --- what catalogs may hold besides -------------------------------------------------------------


def validator(project: Any, factor: str) -> None:
    (project.source / "checks.py").write_text(
        "class Rows:\n"
        "    def validate(self, data):\n"
        f"        return {{**data, 'rows': [{factor} * x for x in data['rows']]}}\n"
    )


@pytest.mark.skipif(KEDRO < (1, 7), reason="validators are new in Kedro 1.7")
def test_validator_that_changes_data_is_in_the_key(project: Any) -> None:
    validator(project, "10.0")
    configure(
        project,
        "catalog",
        raw={
            "type": "json.JSONDataset",
            "filepath": "data/raw.json",
            "validator": {"class": f"{project.package}.checks.Rows", "on": ["load"]},
        },
    )
    assert trial(project)[0].value == abs(2 * 60 + 1400 - 3.0)
    assert trial(project)[1] == []
    validator(project, "20.0")
    record, executed = trial(project)
    assert executed == ALL
    assert record.value == abs(2 * 120 + 5600 - 3.0)


def streaming(project: Any) -> None:
    edit(
        project,
        "nodes",
        (
            '    return [weight * x for x in cleaned["rows"]]',
            '    for x in cleaned["rows"]:\n        yield f"{weight * x}\\n"',
        ),
        ("sum(left_rows)", "sum(map(float, left_rows.split()))"),
    )
    configure(
        project,
        "catalog",
        left_rows={
            "type": "text.TextDataset",
            "filepath": "data/left.txt",
            "fs_args": {"open_args_save": {"mode": "a"}},
        },
    )


def test_generator_writes_a_private_file_in_a_trial(project: Any) -> None:
    streaming(project)
    before = project.files()
    for called in ({"left", "join"}, set()):
        record, executed = trial(project)
        assert record.value == 23.0
        assert called == {"left", "join"} & set(executed)
    assert project.files() == before
    assert project.plain_run()["loss"] == 23.0


def test_generator_into_something_that_is_no_file_is_refused(project: Any) -> None:
    streaming(project)
    configure(project, "catalog", left_rows={"type": f"{__name__}.Table"})
    with pytest.raises(ConfigurationError, match="left_rows"):
        trial(project)


def transcoded(project: Any) -> None:
    edit(
        project,
        "pipeline",
        ('"params:clean"], "cleaned"', '"params:clean"], "cleaned@json"'),
        ('["cleaned", "params:left.weight"]', '["cleaned@text", "params:left.weight"]'),
        ('["cleaned", "params:right"]', '["cleaned@json", "params:right"]'),
    )
    edit(
        project,
        "nodes",
        (
            "def left(cleaned, weight):\n",
            "def left(cleaned, weight):\n    import json\n    cleaned = json.loads(cleaned)\n",
        ),
    )
    path = project.path / "conf" / "base" / "catalog.yml"
    catalog = yaml.safe_load(path.read_text())
    entry = catalog.pop("cleaned")
    catalog["cleaned@json"] = entry
    catalog["cleaned@text"] = {**entry, "type": "text.TextDataset"}
    path.write_text(yaml.safe_dump(catalog))


def test_transcoded_dataset_is_shared_privately_and_reused(project: Any) -> None:
    transcoded(project)
    before = project.files()
    record, executed = trial(project)
    assert record.value == 23.0
    assert executed == ALL
    assert trial(project)[1] == []
    record, executed = trial(project, **{"left.weight": 3.0})
    assert executed == ["join", "left", "score"]
    assert record.value == 29.0
    assert project.files() == before


def test_transcoded_dataset_that_is_no_file_is_refused(project: Any) -> None:
    transcoded(project)
    configure(project, "catalog", **{"cleaned@text": {"type": f"{__name__}.Table"}})
    with pytest.raises(ConfigurationError, match="cleaned@text"):
        trial(project)


def test_transcoded_dataset_in_a_cached_plain_run(project: Any) -> None:
    transcoded(project)
    project.write_settings({"cache": {"runs": True}})
    for rows in ([1.0, 2.0, 3.0], [1.0], [1.0, 2.0, 3.0]):
        (project.path / "data" / "raw.json").write_text(json.dumps({"rows": rows}))
        expected = 2 * sum(rows) + sum(x * x for x in rows) - 3.0
        assert project.plain_run()["loss"] == abs(expected)
    assert len(project.executions()) == 10
