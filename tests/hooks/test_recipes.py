"""Values of which no bytes are kept: known by how they were made, and made again when needed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from kedro_eeipu.hooks.kept_files import KeptFiles

PARAMETERS = {
    "p": 1,
    "q": 0,
    "r": 0,
    "eeipu": {
        "objective": {"dataset": "metrics", "key": "loss", "direction": "minimize"},
        "space": {name: {"low": 0, "high": 100} for name in ("p", "q", "r")},
        "trials": 4,
    },
}
PIPELINE = (
    "node(nodes.prepare, ['raw', 'params:p'], 'x', name='prepare'),"
    "node(nodes.feature, ['x', 'params:q'], 'y', name='feature'),"
    "node(nodes.total, 'y', 'z', name='total'),"
    "node(nodes.score, ['z', 'params:r'], 'metrics', name='score')"
)
RAN = """
from pathlib import Path

EXECUTIONS = Path(__file__).parents[2] / "executions.log"


def ran(name):
    with EXECUTIONS.open("a") as file:
        file.write(name + "\\n")

"""
POLARS = (
    RAN
    + """
import polars as pl


def prepare(raw, p):
    ran("prepare")
    return raw.with_columns(pl.col("x") * p)


def feature(x, q):
    ran("feature")
    return x.with_columns(pl.col("x") + q)


def total(y):
    ran("total")
    return float(y.collect()["x"].sum())


def score(z, r):
    ran("score")
    return {"loss": z + r}
"""
)
LAZY_CSV = {"type": "polars.LazyPolarsDataset", "file_format": "csv"}


def write(project: Any, nodes: str, pipeline: str = PIPELINE, /, **catalog: Any) -> None:
    """Give the project other nodes, of which the catalog declares these datasets."""
    project.write_nodes(nodes)
    project.write_pipeline(
        "from kedro.pipeline import Pipeline, node\nfrom . import nodes\n\n"
        f"def create_pipeline(**kwargs):\n    return Pipeline([{pipeline}])\n"
    )
    project.write_parameters(PARAMETERS)
    project.write_catalog(
        {"metrics": {"type": "json.JSONDataset", "filepath": "data/metrics.json"}, **catalog}
    )


def in_csv(name: str) -> dict[str, str]:
    return {**LAZY_CSV, "filepath": f"data/{name}.csv"}


class Trials:
    """Trials of one project; each gives its value, and the nodes whose functions were called."""

    def __init__(self, project: Any, study: str = "default") -> None:
        self.project = project
        self.tuner = project.tuner(study)

    def __call__(self, p: int, q: int, r: int) -> tuple[float, set[str]]:
        self.project.executions()
        self.last = self.tuner.evaluate({"p": p, "q": q, "r": r})
        assert self.last.error is None
        return self.last.value, set(self.project.executions())

    def states(self) -> dict[str, str]:
        return {node.name: str(node.status) for node in self.last.nodes}


@pytest.fixture
def polars(project: Any) -> Any:
    pytest.importorskip("polars")
    write(project, POLARS, raw=in_csv("raw"))
    (project.path / "data" / "raw.csv").write_text("x\n1\n2\n")
    return project


def test_lazy_frames_are_known_by_how_they_were_made(polars: Any) -> None:
    trial = Trials(polars)
    assert trial(1, 0, 0) == (3, {"prepare", "feature", "total", "score"})
    assert trial(1, 0, 1) == (4, {"score"}), "what comes before is reused, and not called"
    assert trial(1, 5, 0) == (13, {"prepare", "feature", "total", "score"})
    assert trial.states()["prepare"] == "reused", "it is called for its value, and that is all"
    prepare = trial.last.nodes[0]
    assert prepare.seconds == 0
    assert prepare.load > 0
    assert prepare.outputs[0][1] == 0
    assert trial(1, 0, 0) == (3, set())
    (polars.path / "data" / "raw.csv").write_text("x\n100\n200\n")
    later = Trials(polars, "later")
    assert later(1, 0, 0) == (300, {"prepare", "feature", "total", "score"})
    assert later(1, 5, 0)[0] == 310
    records = [r for r in later.tuner.project.store.records() if r.meta["node"] == "prepare"]
    assert [r.meta["recipes"] for r in records] == [["x"]] * 2
    assert later.tuner.project.store.verify() == []


def test_plain_runs_reuse_what_lazy_frames_come_to(polars: Any) -> None:
    polars.write_settings({"cache": {"runs": True}})
    assert polars.plain_run()["loss"] == 3
    polars.executions()
    assert polars.plain_run({"r": 1})["loss"] == 4
    assert polars.executions() == ["score"]
    (polars.path / "data" / "raw.csv").write_text("x\n100\n200\n")
    assert polars.plain_run()["loss"] == 300


def test_edit_of_a_lazy_node_runs_what_comes_after_it(polars: Any) -> None:
    assert Trials(polars)(1, 5, 0)[0] == 13
    polars.write_nodes(POLARS.replace('pl.col("x") * p', 'pl.col("x") * p + 1'))
    assert Trials(polars)(1, 5, 0) == (15, {"prepare", "feature", "total", "score"})
    polars.write_nodes(POLARS.replace("y.collect()", "y.collect(engine='in-memory')"))
    value, called = Trials(polars)(1, 5, 0)
    assert (value, called) == (13, {"prepare", "feature", "total"}), "and the frames it needs"


def loss_of(nodes: str) -> str:
    """A module of nodes that end in `score`, the loss of which is a number that `total` gives."""
    return RAN + nodes + '\n\ndef score(z, r):\n    ran("score")\n    return {"loss": z + r}\n'


JSON = {"raw": {"type": "json.JSONDataset", "filepath": "data/raw.json"}}
# `raw` holds the numbers 1, 2 and 3.
PARTITIONS = """
def prepare(raw, p):
    ran("prepare")
    return {str(i): lambda x=x: x * p for i, x in enumerate(raw["rows"])}


def feature(x, q):
    ran("feature")
    return {name: lambda load=load: load() + q for name, load in x.items()}


def total(y):
    ran("total")
    return sum(load() for load in y.values())
"""
PARTITIONED = {"type": "partitions.PartitionedDataset", "dataset": "json.JSONDataset"}


@pytest.mark.parametrize("declared", [False, True])
def test_partitions_that_are_loaded_when_they_are_needed(project: Any, declared: bool) -> None:
    kept = {name: {**PARTITIONED, "path": f"data/{name}"} for name in ("x", "y") if declared}
    write(project, loss_of(PARTITIONS), **JSON, **kept)
    trial = Trials(project)
    assert trial(1, 0, 0) == (6, {"prepare", "feature", "total", "score"})
    assert trial(1, 0, 1) == (7, {"score"})
    assert trial(2, 0, 1) == (13, {"prepare", "feature", "total", "score"})
    value, called = trial(1, 5, 0)
    assert value == 21
    assert {"feature", "total"} <= called
    assert not (project.path / "data" / "x").exists()


MODEL = """
class Model:
    def __init__(self, weight):
        self.predict = lambda x: x * weight


def prepare(raw, p):
    ran("prepare")
    return [x * p for x in raw["rows"]], Model(p)


def feature(x, model, q):
    ran("feature")
    return [model.predict(v) + q for v in x]


def total(y):
    ran("total")
    return sum(y)
"""
MODEL_PIPELINE = PIPELINE.replace("'x', name", "['x', 'model'], name").replace(
    "['x', 'params:q']", "['x', 'model', 'params:q']"
)


def test_model_that_cannot_be_pickled_is_made_again_where_it_is_needed(project: Any) -> None:
    write(project, loss_of(MODEL), MODEL_PIPELINE, **JSON)
    trial = Trials(project)
    assert trial(2, 0, 0) == (24, {"prepare", "feature", "total", "score"})
    assert trial(2, 0, 1) == (25, {"score"})
    assert trial(2, 1, 0) == (27, {"prepare", "feature", "total", "score"})
    assert trial.states()["prepare"] == "reused"
    project.write_nodes(loss_of(MODEL.replace("x * weight", "x * weight + 1")))
    assert Trials(project)(2, 0, 0)[0] == 27, "the class is in the key of the node that makes it"


NOT_KNOWN = {
    "draws random numbers": (
        "import random\n\n\ndef prepare(raw, p):\n    ran('prepare')\n"
        "    shift = random.randint(0, 10**9) * 0\n"
        "    return [lambda x=x: x * p + shift for x in raw['rows']]\n",
        "random numbers",
    ),
    "only parameters": (
        "def prepare(q, p):\n    ran('prepare')\n    return [lambda: p, lambda: 5 * p]\n",
        "cache.nodes.prepare.depends_on",
    ),
}


@pytest.mark.parametrize("case", NOT_KNOWN)
def test_value_whose_making_is_not_known_runs_in_every_trial(project: Any, case: str) -> None:
    prepare, reason = NOT_KNOWN[case]
    rest = PARTITIONS[PARTITIONS.index("def feature") :]
    rest = rest.replace("{name: lambda", "[lambda").replace("in x.items()}", "in x]")
    rest = rest.replace("for name, load", "for load").replace("y.values()", "y")
    pipeline = PIPELINE if "raw" in prepare else PIPELINE.replace("'raw'", "'params:q'")
    write(project, loss_of(prepare + "\n\n" + rest), pipeline, **JSON)
    trial = Trials(project)
    for r in (0, 1):
        assert trial(1, 0, r) == (6 + r, {"prepare", "feature", "total", "score"})
        assert reason in trial.last.nodes[0].why_not


def test_stated_version_stands_for_data_that_a_node_finds_by_itself(project: Any) -> None:
    prepare, _ = NOT_KNOWN["only parameters"]
    rest = "def feature(x, q):\n    return [f() + q for f in x]\n\n\n"
    rest += "def total(y):\n    return sum(y)\n"
    pipeline = PIPELINE.replace("'raw'", "'params:q'")
    write(project, loss_of(prepare + "\n\n" + rest), pipeline, **JSON)
    project.write_settings({"cache": {"nodes": {"prepare": {"version": "1"}}}})
    trial = Trials(project)
    assert trial(1, 0, 0) == (6, {"prepare", "score"})
    assert trial(1, 0, 1) == (7, {"score"})


GLOBALS = """
STATE = {"scale": 1}


def prepare(raw, p):
    ran("prepare")
    return [lambda x=x: x * STATE["scale"] for x in raw["rows"]]


def change(p):
    ran("change")
    STATE["scale"] = p
    return p


def feature(x, changed, q):
    ran("feature")
    return [load() + q for load in x]


def total(y):
    ran("total")
    return sum(y)
"""


def test_global_that_lazy_values_read_when_they_are_evaluated(project: Any) -> None:
    pipeline = PIPELINE.replace("['x', 'params:q']", "['x', 'changed', 'params:q']")
    pipeline += ", node(nodes.change, 'params:p', 'changed', name='change')"
    write(project, loss_of(GLOBALS), pipeline, **JSON)
    trial = Trials(project)
    assert [trial(p, 0, 0)[0] for p in (1, 2, 2, 1, 3)] == [6, 12, 12, 6, 18]


def test_input_that_changes_before_it_is_evaluated_is_not_recorded(polars: Any) -> None:
    file = polars.path / "data" / "raw.csv"
    polars.write_nodes(
        POLARS.replace(
            '    ran("total")\n',
            f'    ran("total")\n    Path({str(file)!r}).write_text("x\\n7\\n")\n',
        )
    )
    for _ in range(2):
        file.write_text("x\n1\n2\n")
        value, called = Trials(polars)(1, 0, 0)
        assert value == 7, "as in a plain run"
        assert "total" in called


def folders(project: Any) -> list[Any]:
    return list(project.load().store.folders.all())


def test_declared_lazy_frames_are_kept_in_files(polars: Any) -> None:
    write(polars, POLARS, raw=in_csv("raw"), x=in_csv("x"), y=in_csv("y"))
    trial = Trials(polars)
    assert trial(1, 0, 0) == (3, {"prepare", "feature", "total", "score"})
    assert trial.last.nodes[0].kept > 0
    assert trial(1, 5, 0) == (13, {"feature", "total", "score"}), "x is loaded from its file"
    assert not (polars.path / "data" / "x.csv").exists()
    kept = folders(polars)
    assert len(kept) == 3
    assert not any(folder.is_pinned for folder in kept)
    store = polars.load().store
    assert store.verify() == []
    assert store.stats()["folders"] == 3
    (polars.path / "data" / "raw.csv").write_text("x\n100\n200\n")
    assert Trials(polars)(1, 5, 0)[0] == 310


def test_files_that_are_gone_or_damaged_are_made_again(polars: Any) -> None:
    write(polars, POLARS, raw=in_csv("raw"), x=in_csv("x"))
    assert Trials(polars)(1, 0, 0)[0] == 3
    files = list((polars.path / ".eeipu" / "cache" / "files").rglob("x.csv"))
    assert len(files) == 1
    files[0].write_text("x\n70\n80\n")
    assert [p.detail for p in polars.load().store.verify()] == ["x.csv has another size"]
    assert Trials(polars)(1, 5, 0) == (13, {"prepare", "feature", "total", "score"})
    trial = Trials(polars)
    assert trial(1, 7, 0)[0] == 17
    assert trial.states()["prepare"] == "reused"
    assert trial.last.nodes[0].kept > 0, "they count to the size of the cache"
    assert files[0].read_text() == "x\n1\n2\n", "they are kept again"
    assert Trials(polars)(1, 8, 0) == (19, {"feature", "total", "score"})
    assert polars.load().store.gc(0).size == 0
    assert folders(polars) == []
    assert Trials(polars)(1, 9, 0) == (21, {"prepare", "feature", "total", "score"})


def test_files_written_on_data_that_changed_meanwhile_do_not_stay(polars: Any) -> None:
    write(polars, POLARS, raw=in_csv("raw"), x=in_csv("x"))
    file = polars.path / "data" / "raw.csv"
    changing = f'    Path({str(file)!r}).write_text("x\\n7\\n")\n'
    polars.write_nodes(POLARS.replace('    ran("prepare")\n', '    ran("prepare")\n' + changing))
    for _ in range(2):
        file.write_text("x\n1\n2\n")
        assert Trials(polars)(1, 0, 0)[0] == 7, "as in a plain run"
        assert folders(polars) == []


def test_apply_brings_what_is_kept_in_files(polars: Any) -> None:
    from kedro_eeipu.project.apply import Adoption

    write(polars, POLARS, raw=in_csv("raw"), x=in_csv("x"))
    trial = Trials(polars)
    assert trial(1, 0, 0)[0] == 3
    saved = Adoption(polars.load(), trial.last, "default", "local").save_outputs()
    assert {"x", "metrics"} <= set(saved.saved)
    assert (polars.path / "data" / "x.csv").read_text() == "x\n1\n2\n"
    assert not list((polars.path / ".eeipu" / "cache" / "pins").iterdir())


def test_plan_says_what_is_called_again_and_what_to_write(polars: Any) -> None:
    from kedro_eeipu.project.description import node_plan

    write(polars, POLARS, raw=in_csv("raw"), x=in_csv("x"))
    trial = Trials(polars)
    assert [node["called_again"] for node in node_plan(polars.load())] == [None] * 4
    trial(1, 0, 0)
    again = {n["name"]: n["called_again"] for n in node_plan(polars.load(), [trial.last])}
    assert again.pop("feature").startswith("if a node after it runs, because no bytes of 'y'")
    assert set(again.values()) == {None}, "x is declared"


def test_audit_of_what_is_made_from_lazy_frames(polars: Any, tmp_path: Path) -> None:
    from kedro_eeipu.tuning.audit_tasks import NodeTask, run_task

    write(polars, POLARS, raw=in_csv("raw"), x=in_csv("x"))
    trial = Trials(polars)
    trial(1, 5, 0)
    total = trial.last.nodes[2]

    def answer() -> Any:
        task = NodeTask(trial.last.params, "total", str(total.key), total.outputs)
        return run_task(polars.load(), task, tmp_path / str(len(list(tmp_path.iterdir()))))

    assert (answer().same, answer().skipped) == (True, "")
    assert polars.executions()[-2:] == ["feature", "total"], "y is made again, x is in a file"
    (polars.path / "data" / "raw.csv").write_text("x\n100\n200\n")
    assert answer().skipped == "its key is another one here"


@pytest.mark.parametrize("made_before", [False, True])
def test_what_is_made_from_files_of_changed_data_is_not_recorded(
    polars: Any, made_before: bool
) -> None:
    """The files hold what came in while they were written; keys say what was there before."""
    write(polars, POLARS, raw=in_csv("raw"), x=in_csv("x"))
    file = polars.path / "data" / "raw.csv"
    if made_before:  # then the node is called for its files alone
        assert Trials(polars)(1, 9, 0)[0] == 21
        shutil.rmtree(polars.path / ".eeipu" / "cache" / "files")
    written = KeptFiles.write

    def late(self: KeptFiles, value: Any) -> None:
        file.write_text("x\n7\n")
        written(self, value)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(KeptFiles, "write", late)
        assert Trials(polars)(1, 0, 0)[0] == 7, "as in a plain run"
    file.write_text("x\n1\n2\n")
    assert Trials(polars, "later")(1, 0, 0)[0] == 3


STAMPED = """
import uuid


class Model:
    def __init__(self, weight):
        self.weight, self.stamp = weight, uuid.uuid4().hex

    def __getstate__(self):
        return {**vars(self), "saved": uuid.uuid4().hex}


def prepare(raw, p):
    ran("prepare")
    return Model(p)


def feature(x, q):
    ran("feature")
    return [x.weight * v + q for v in (1, 2, 3)]


def total(y):
    ran("total")
    return sum(y)
"""


def test_what_follows_models_whose_bytes_differ_each_time_is_reused(project: Any) -> None:
    """As those of catboost and Keras do, by an id or the time in them."""
    write(project, loss_of(STAMPED), **JSON)
    trial = Trials(project)
    assert trial(1, 0, 0)[0] == 6
    assert trial(1, 5, 0) == (21, {"feature", "total", "score"})
    later = Trials(project, "later")
    assert later(1, 0, 0) == (6, set())
    assert later(1, 7, 0) == (27, {"feature", "total", "score"})


def test_lazy_values_in_a_bucket_are_made_again_and_that_is_told(polars: Any, s3: Any) -> None:
    from kedro_eeipu.project.description import node_plan

    write(polars, POLARS, raw=in_csv("raw"), x=in_csv("x"))
    root = polars.keep_in_bucket(s3)
    trial = Trials(polars)
    assert trial(1, 0, 0)[0] == 3
    assert trial(1, 0, 1) == (4, {"score"})
    assert trial(1, 5, 0) == (13, {"prepare", "feature", "total", "score"})
    plan = node_plan(polars.load(), [trial.last])
    assert plan[0]["called_again"].endswith(
        "where the cache lies in a folder of yours (cache.root)"
    )
    client, bucket = s3.client(), root.split("/")[2]
    for key in s3.keys(bucket):
        client.delete_object(Bucket=bucket, Key=key)
    client.delete_bucket(Bucket=bucket)
    assert trial(1, 7, 0)[0] == 17, "no trouble with the cache ends a study"
