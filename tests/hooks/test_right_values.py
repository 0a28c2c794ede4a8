"""A trial's value is what a plain run with its parameters gives, whatever else the project does."""

from __future__ import annotations

import os
import random
import statistics
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from kedro_eeipu import beginning
from kedro_eeipu.hooks import dataset
from kedro_eeipu.hooks.random_generators import seeded_by_now
from kedro_eeipu.study.explain import History

SPACE = {
    "first.p": {"low": 0, "high": 100},
    "second.q": {"low": 0, "high": 100},
}
PARAMETERS = {
    "first": {"p": 1},
    "second": {"q": 1},
    "eeipu": {
        "objective": {"dataset": "metrics", "key": "loss", "direction": "minimize"},
        "space": SPACE,
        "trials": 4,
    },
}
HOOKS = """
from kedro.framework.hooks import hook_impl

class Hooks:
    {body}
"""


@pytest.fixture(autouse=True)
def _environment() -> Iterator[None]:
    """Let what the last trial of a test has set be nothing to other tests."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def write(project: Any, nodes: str, pipeline: str, catalog: dict[str, Any] | None = None) -> None:
    """Give the project other nodes; `pipeline` lists them as arguments of `Pipeline`."""
    project.write_nodes(nodes)
    project.write_pipeline(
        "from kedro.pipeline import Pipeline, node\nfrom . import nodes\n\n"
        f"def create_pipeline(**kwargs):\n    return Pipeline([{pipeline}])\n"
    )
    project.write_parameters(PARAMETERS)
    project.write_catalog(
        {"metrics": {"type": "json.JSONDataset", "filepath": "data/metrics.json"}} | (catalog or {})
    )


def values(project: Any, *points: tuple[int, int], study: str = "default") -> list[float]:
    """Values of trials, one after the other in one process."""
    tuner = project.tuner(study)
    records = [tuner.evaluate({"first.p": p, "second.q": q}) for p, q in points]
    assert [r.error for r in records] == [None] * len(records)
    return [r.value for r in records]


def plain_values(project: Any, *points: tuple[int, int]) -> list[float]:
    """The same by `kedro run`, each in a process of its own."""
    found = []
    for p, q in points:
        done = project.kedro("run", "--params", f"first.p={p},second.q={q}")
        assert done.returncode == 0, done.stderr
        found.append(yaml.safe_load((project.path / "data/metrics.json").read_text())["loss"])
    return found


def test_no_trial_confirms_the_user_s_dataset(project: Any) -> None:
    write(
        project,
        "def load(parts, p):\n    return sum(float(t) for t in parts.values()) + p\n\n"
        "def score(loaded, q):\n    return {'loss': loaded + q / 10}\n",
        "node(nodes.load, ['parts', 'params:first.p'], 'loaded', confirms='parts'),"
        "node(nodes.score, ['loaded', 'params:second.q'], 'metrics')",
        {
            "parts": {
                "type": "partitions.IncrementalDataset",
                "path": "data/parts",
                "dataset": "text.TextDataset",
                "filename_suffix": ".txt",
            }
        },
    )
    folder = project.path / "data" / "parts"
    folder.mkdir()
    for name in ("a", "b", "c"):
        (folder / f"{name}.txt").write_text("1")
    before = project.files()
    assert values(project, (0, 2), (0, 9), (0, 3), (2, 0)) == [3.2, 3.9, 3.3, 5.0]
    assert project.files() == before
    assert project.kedro("run").returncode == 0
    assert (folder / "CHECKPOINT").read_text().endswith("c")


LISTS = """
import pandas as pd

def make(p):
    return pd.DataFrame({"x": [[p], [p, p]]})

def grow(frame, q):
    for cell in frame["x"]:
        cell.append(q)
    return sum(map(len, frame["x"]))

def score(frame, grown):
    return {"loss": sum(map(sum, frame["x"])) + 100 * grown}
"""


OWN_COPIES = """
class Frame(dict):
    def __deepcopy__(self, memo):
        return self
"""


@pytest.mark.parametrize("own_copies", [False, True])
def test_change_in_place_of_what_copies_share_is_seen_as_in_a_plain_run(
    project: Any, own_copies: bool
) -> None:
    with_own_copies = OWN_COPIES + LISTS.replace("pd.DataFrame", "Frame")
    write(
        project,
        with_own_copies if own_copies else LISTS,
        "node(nodes.make, 'params:first.p', 'frame'),"
        "node(nodes.grow, ['frame', 'params:second.q'], 'grown'),"
        "node(nodes.score, ['frame', 'grown'], 'metrics')",
    )
    points = (1, 1), (1, 5), (2, 5), (1, 1)
    assert values(project, *points) == plain_values(project, *points)
    record = project.tuner().evaluate({"first.p": 1, "second.q": 5})
    assert {n.name.partition("__")[0]: n.status for n in record.nodes}["make"] == "reused"
    assert any("in place" in (n.why_not or "") for n in record.nodes)


def test_generators_that_settings_have_seeded_are_known() -> None:
    """They were seeded before anybody could look: what nodes draw from them is not chance."""
    import numpy

    python, numpys = random.getstate(), numpy.random.mtrand._rand._bit_generator
    earlier = beginning.random_state()
    try:
        beginning.note()
        random.random()
        assert "Python's random generator" not in seeded_by_now()
        random.seed(7)
        assert "Python's random generator" in seeded_by_now()
    finally:
        random.setstate(python)
        beginning._state[:] = () if earlier is None else python
    bits: Any = type(numpys)()
    generator = SimpleNamespace(_rand=SimpleNamespace(_bit_generator=bits))
    library = SimpleNamespace(random=SimpleNamespace(mtrand=generator))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "numpy", library)
        assert "numpy's random generator" not in seeded_by_now()
        bits._legacy_seeding(7)
        assert "numpy's random generator" in seeded_by_now()


ORDER = """
def shift(q):
    return q

def count(frame, shifted):
    return sum(map(sum, frame["x"])) + shifted
"""


def test_nodes_run_in_the_order_of_a_plain_run(project: Any) -> None:
    """Where `make` is reused, nothing that `grow` needs is left to be made."""
    write(
        project,
        LISTS.replace("def score(frame, grown)", "def score(counted, grown)").replace(
            'sum(map(sum, frame["x"])) + 100', "counted + 100"
        )
        + ORDER,
        "node(nodes.make, 'params:first.p', 'frame'),"
        "node(nodes.shift, 'params:second.q', 'shifted'),"
        "node(nodes.count, ['frame', 'shifted'], 'counted'),"
        "node(nodes.grow, ['frame', 'params:second.q'], 'grown'),"
        "node(nodes.score, ['counted', 'grown'], 'metrics')",
    )
    points = (1, 1), (1, 5), (1, 7)
    assert values(project, *points) == plain_values(project, *points)


def test_lists_in_cells_that_nobody_changes_are_reused(project: Any) -> None:
    write(
        project,
        LISTS.replace("        cell.append(q)\n", "        len(cell) + q\n"),
        "node(nodes.make, 'params:first.p', 'frame'),"
        "node(nodes.grow, ['frame', 'params:second.q'], 'grown'),"
        "node(nodes.score, ['frame', 'grown'], 'metrics')",
    )
    values(project, (1, 1))
    record = project.tuner().evaluate({"first.p": 1, "second.q": 1})
    assert {n.status for n in record.nodes} == {"reused"}


def _with_hook(project: Any, body: str, made_with: str = "") -> None:
    (project.source / "hooks.py").write_text(HOOKS.format(body=body.replace("\n", "\n    ")))
    (project.source / "settings.py").write_text(
        'DISABLE_HOOKS_FOR_PLUGINS = ("kedro_mlflow",)\n'
        f"from .hooks import Hooks\nHOOKS = (Hooks({made_with}),)\n"
    )


def _tune_once(project: Any, study: str) -> tuple[float, dict[str, str]]:
    """One trial with the defaults in a process of its own; what became of the nodes."""
    done = project.kedro("eeipu", "tune", "--trials", "1", "--study", study)
    assert done.returncode == 0, done.stderr
    shown = project.kedro("eeipu", "trials", "--study", study, "--format", "json")
    trial = yaml.safe_load(shown.stdout)[0]
    return trial["value"], {n["name"].partition("__")[0]: n["status"] for n in trial["nodes"]}


SUM = """
def total(raw, p):
    return sum(raw["rows"]) + p

def score(total, q):
    return {"loss": total * q}
"""


def _summing(project: Any) -> None:
    write(
        project,
        SUM,
        "node(nodes.total, ['raw', 'params:first.p'], 'total'),"
        "node(nodes.score, ['total', 'params:second.q'], 'metrics')",
        {"raw": {"type": "json.JSONDataset", "filepath": "data/raw.json"}},
    )


def test_hook_that_changes_data_is_part_of_the_key(project: Any) -> None:
    _summing(project)
    hook = "@hook_impl\ndef after_dataset_loaded(self, dataset_name, data):\n"
    hook += "    if dataset_name == 'raw':\n        data['rows'].append(10.0)\n"
    _with_hook(project, hook)
    assert _tune_once(project, "one")[0] == 17.0
    assert _tune_once(project, "two") == (17.0, {"total": "reused", "score": "reused"})
    _with_hook(project, hook.replace("10.0", "20.0"))
    assert _tune_once(project, "three")[0] == 27.0


def test_what_a_hook_is_made_with_is_part_of_the_key(project: Any) -> None:
    _summing(project)
    hook = "def __init__(self, extra):\n    self.extra = extra\n"
    hook += "@hook_impl\ndef after_dataset_loaded(self, dataset_name, data):\n"
    hook += "    if dataset_name == 'raw':\n        data['rows'].append(self.extra)\n"
    _with_hook(project, hook, "10.0")
    assert _tune_once(project, "one")[0] == 17.0
    _with_hook(project, hook, "20.0")
    assert _tune_once(project, "two")[0] == 27.0


def test_metadata_and_tags_that_a_hook_may_read_are_part_of_the_key(project: Any) -> None:
    _summing(project)
    hook = "@hook_impl\ndef before_node_run(self, node, catalog, inputs):\n"
    hook += "    if 'total' in inputs:\n"
    hook += "        return {'total': inputs['total'] + catalog.get('total').metadata['add']}\n"
    hook += "    if 'raw' in inputs and 'more' in node.tags:\n"
    hook += "        inputs['raw']['rows'].append(catalog.get('raw').metadata['more'])\n"
    _with_hook(project, hook)

    def value(study: str, add: float, more: float, tags: list[str]) -> float:
        write(
            project,
            SUM,
            f"node(nodes.total, ['raw', 'params:first.p'], 'total', tags={tags}),"
            "node(nodes.score, ['total', 'params:second.q'], 'metrics')",
            {
                "raw": {
                    "type": "json.JSONDataset",
                    "filepath": "data/raw.json",
                    "metadata": {"more": more},
                },
                "total": {
                    "type": "pickle.PickleDataset",
                    "filepath": "data/total.pkl",
                    "metadata": {"add": add},
                },
            },
        )
        return _tune_once(project, study)[0]

    assert value("one", 1.0, 2.0, []) == 8.0
    assert value("two", 2.0, 2.0, []) == 9.0
    assert value("three", 2.0, 2.0, ["more"]) == 11.0
    assert value("four", 2.0, 3.0, ["more"]) == 12.0


def test_hook_that_asks_for_a_file_is_told_that_a_trial_has_none(project: Any) -> None:
    _summing(project)
    catalog = yaml.safe_load((project.path / "conf/base/catalog.yml").read_text())
    catalog["total"] = {"type": "pickle.PickleDataset", "filepath": "data/total.pkl"}
    project.write_catalog(catalog)
    hook = "@hook_impl\ndef after_node_run(self, node, catalog, outputs):\n"
    hook += "    for name in outputs:\n        print(catalog.get(name)._filepath)\n"
    _with_hook(project, hook)
    done = project.kedro("eeipu", "tune", "--trials", "1")
    assert done.returncode == 1
    assert "in a trial 'total' lies in the cache and has no '_filepath'" in done.stdout


def test_hook_that_only_measures_makes_nothing_run_again(project: Any) -> None:
    _summing(project)
    hook = "def __init__(self):\n    self.times = {}\n"
    hook += "@hook_impl\ndef before_node_run(self, node):\n"
    hook += "    import time\n    self.times[node.name] = time.time()\n"
    _with_hook(project, hook)
    _tune_once(project, "one")
    assert set(_tune_once(project, "two")[1].values()) == {"reused"}


APPENDING = """@hook_impl
def after_node_run(self, outputs):
    for name, value in outputs.items():
        if name == "y":
            value[0].append(10)
"""


def test_what_a_hook_changes_is_changed_once(project: Any) -> None:
    """A record holds what the hook has left; the hook sees what is served once more."""
    write(
        project,
        "def first(p):\n    return p % 2\n\ndef second(x):\n    return [[x]]\n\n"
        "def score(y, q):\n    return {'loss': sum(map(sum, y)) + q}\n",
        "node(nodes.first, 'params:first.p', 'x'), node(nodes.second, 'x', 'y'),"
        "node(nodes.score, ['y', 'params:second.q'], 'metrics')",
        {"y": {"type": "MemoryDataset", "copy_mode": "copy"}},
    )
    _with_hook(project, APPENDING)
    assert values(project, (1, 1), (3, 2), (1, 3)) == [12, 13, 14]
    project.write_catalog(
        {n: {"type": "json.JSONDataset", "filepath": f"data/{n}.json"} for n in ("y", "metrics")}
    )
    project.write_settings({"cache": {"runs": True}})
    assert plain_values(project, (1, 1), (1, 2)) == [12, 13]
    assert yaml.safe_load((project.path / "data" / "y.json").read_text()) == [[1, 10]]


CHAIN = (
    "node(nodes.first, 'params:first.p', 'x'), node(nodes.second, ['x', 'params:second.q'], 'y'),"
    "node(nodes.score, 'y', 'metrics')"
)
POINTS = (1, 1), (1, 2), (2, 2), (1, 1), (2, 1)
GENERATORS = {
    "seeded by the first, drawn by the second": (
        "np.random.seed(p)\n    return 0",
        "return x + q * np.random.rand()",
    ),
    "seeded and drawn by the first, drawn by the second": (
        "np.random.seed(p)\n    return np.random.rand()",
        "return x + q * np.random.normal()",
    ),
    "Python's": ("random.seed(p)\n    return random.random()", "return x + q * random.random()"),
    "each seeds its own": (
        "np.random.seed(3)\n    return p * np.random.rand()",
        "np.random.seed(3)\n    return x + q * np.random.rand(2000).sum()",
    ),
}


@pytest.mark.parametrize("case", GENERATORS)
def test_drawn_numbers_are_those_of_a_plain_run(project: Any, case: str) -> None:
    first, second = GENERATORS[case]
    write(
        project,
        "import random\nimport numpy as np\n\n"
        f"def first(p):\n    {first}\n\ndef second(x, q):\n    {second}\n\n"
        "def score(y):\n    return {'loss': float(y)}\n",
        CHAIN,
    )
    plain = plain_values(project, *POINTS[:3])
    expected = [*plain, plain[0]]
    assert values(project, *POINTS[:4]) == expected
    record = project.tuner().evaluate({"first.p": 2, "second.q": 2})
    assert record.value == plain[2]
    assert {n.status for n in record.nodes} == {"reused"}


def test_generator_that_the_project_seeds_when_imported_is_put_back(project: Any) -> None:
    write(
        project,
        "import numpy as np\nnp.random.seed(7)\n\n"
        "def first(p):\n    return p * np.random.rand()\n\n"
        "def second(x, q):\n    return x + q * np.random.rand()\n\n"
        "def score(y):\n    return {'loss': float(y)}\n",
        CHAIN,
    )
    plain = plain_values(project, *POINTS[:3])
    assert values(project, *POINTS[:4]) == [*plain, plain[0]]


def test_setting_that_a_node_changes_holds_for_those_after_it_only(project: Any) -> None:
    write(
        project,
        "import decimal\n\n"
        "def first(p):\n    decimal.getcontext().prec = 3 + p\n    return 0\n\n"
        "def second(x, q):\n    return float(decimal.Decimal(q) / 7)\n\n"
        "def score(y):\n    return {'loss': y}\n",
        CHAIN,
    )
    plain = plain_values(project, *POINTS[:3])
    tuner = project.tuner()
    assert values(project, *POINTS[:4]) == [*plain, plain[0]]
    record = tuner.evaluate({"first.p": 1, "second.q": 1})
    assert {n.status for n in record.nodes} == {"reused"}


# How a node sets it to p, which is 1 or 2, and how another reads that.
SETTINGS = {
    "Python": {
        "os.environ['MODE'] = str(p)": "int(os.environ['MODE'])",
        "os.environ['MORE'] = os.environ.get('MORE', '') + 'a' * p": "len(os.environ['MORE'])",
        "os.environ['LESS'] = '1'; p == 1 or os.environ.pop('LESS')": (
            "2 - len(os.environ.get('LESS', ''))"
        ),
        "os.environ['TZ'] = f'ABC{p}'; time.tzset()": "time.timezone // 3600",
        "warnings.filterwarnings('ignore', message=f'p={p}')": (
            "int(warnings.filters[0][1].pattern[2:])"
        ),
        "logging.getLogger('kedro').setLevel(10 + p)": "logging.getLogger('kedro').level - 10",
        "logging.disable(49 + p)": "2 - logging.getLogger('kedro').isEnabledFor(51)",
        "socket.setdefaulttimeout(p)": "int(socket.getdefaulttimeout())",
        "gc.disable() if p == 2 else gc.enable()": "2 - gc.isenabled()",
        "sys.setrecursionlimit(2000 + p)": "sys.getrecursionlimit() - 2000",
    },
    "libraries": {
        "np.seterr(all='ignore' if p == 1 else 'warn')": "1 + (np.geterr()['over'] == 'warn')",
        "np.set_printoptions(precision=p)": "np.get_printoptions()['precision']",
        "pd.set_option('display.max_rows', p)": "pd.get_option('display.max_rows')",
        "sklearn.set_config(working_memory=p)": "sklearn.get_config()['working_memory']",
        "plt.style.use('ggplot' if p == 2 else 'default')": (
            "1 + ('#E24A33' in str(plt.rcParams['axes.prop_cycle']))"
        ),
        "plt.rcParams['figure.dpi'] = p": "plt.rcParams['figure.dpi']",
    },
    "torch": {
        "torch.set_num_threads(1 + p)": "torch.get_num_threads() - 1",
        "torch.use_deterministic_algorithms(p == 2)": (
            "1 + torch.are_deterministic_algorithms_enabled()"
        ),
        "torch.backends.cudnn.benchmark = p == 2": "1 + torch.backends.cudnn.benchmark",
        "torch.set_float32_matmul_precision('high' if p == 2 else 'highest')": (
            "1 + (torch.get_float32_matmul_precision() == 'high')"
        ),
        "torch.set_default_device('meta' if p == 2 else 'cpu')": "1 + torch.empty(1).is_meta",
    },
}


@pytest.mark.parametrize("of", SETTINGS)
def test_settings_that_a_node_changes_are_changed_again_where_it_is_reused(
    project: Any, of: str
) -> None:
    cases = SETTINGS[of]
    modules = ["gc", "logging", "os", "socket", "sys", "time", "warnings"]
    modules += ["matplotlib.pyplot as plt", "numpy as np", "pandas as pd", "sklearn", "torch"]
    code = "".join(cases)
    imports = [f"import {m}" for m in modules if f"{m.rpartition(' ')[2]}." in code]
    change, read = "\n    ".join(cases), ", ".join(cases.values())
    write(
        project,
        "\n".join(imports) + "\n\n"
        f"def first(p):\n    print('first runs')\n    {change}\n    return p\n\n"
        f"def second(x, q):\n    print('second runs')\n    found = [{read}]\n"
        "    assert found == [x] * len(found), found\n    return x + 10 * q\n\n"
        "def score(y):\n    return {'loss': float(y)}\n",
        CHAIN,
    )
    points = (1, 1), (1, 2), (2, 2), (1, 3), (2, 4), (2, 1), (1, 1)
    tuner = project.tuner()
    records = [tuner.evaluate({"first.p": p, "second.q": q}) for p, q in points]
    assert [r.error for r in records] == [None] * len(points)
    assert [r.value for r in records] == [10.0 * q + p for p, q in points]
    assert {n.status for n in records[-1].nodes} == {"reused"}
    first = [next(n.status for n in r.nodes if n.name.startswith("first")) for r in records]
    assert first == ["ran", "reused", "ran", "reused", "reused", "reused", "reused"]

    project.write_settings({"cache": {"runs": True}})
    done = project.kedro("run", "--params", "first.p=2,second.q=7")
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load((project.path / "data/metrics.json").read_text())["loss"] == 72.0
    assert "second runs" in done.stdout
    assert "first runs" not in done.stdout


def test_settings_that_code_makes_when_it_is_imported_are_in_the_key(project: Any) -> None:
    made = """
import decimal
import numpy as np
import pandas as pd
import sklearn
import torch
from matplotlib import pyplot

decimal.getcontext().prec = 5
np.seterr(over="warn")
pd.set_option("display.max_rows", 20)
sklearn.set_config(working_memory=64)
torch.set_default_dtype(torch.float32)
pyplot.rcParams["figure.dpi"] = 90

def first(p):
    settings = [decimal.getcontext().prec, np.geterr()["over"], pd.get_option("display.max_rows")]
    settings += [sklearn.get_config()["working_memory"], torch.get_default_dtype()]
    return [*map(str, settings), str(pyplot.rcParams["figure.dpi"])]

def second(x, q):
    return x

def score(y):
    return {"loss": 0.0, "settings": y}
"""
    edits = [
        ("prec = 5", "prec = 6"),
        ('over="warn"', 'over="ignore"'),
        ('_rows", 20', '_rows", 30'),
        ("memory=64", "memory=32"),
        ("torch.float32)", "torch.float64)"),
        ("= 90", "= 80.0"),
    ]
    expected = ["5", "warn", "20", "64", "torch.float32", "90.0"]
    project.write_settings({"cache": {"runs": True}})
    for number in range(-1, len(edits)):
        if number >= 0:
            old, new = edits[number]
            assert old in made
            made = made.replace(old, new)
            expected[number] = ["6", "ignore", "30", "32", "torch.float64", "80.0"][number]
        write(project, made, CHAIN)
        assert project.kedro("run").returncode == 0
        found = yaml.safe_load((project.path / "data/metrics.json").read_text())["settings"]
        assert found == expected


READERS = {
    "named": "import os\n\ndef read():\n    return os.environ.get('SCALE', '1')\n",
    "through a helper": (
        "import os\n\ndef get(name):\n    return os.getenv(name, '1')\n\n"
        "def read():\n    return get('SCALE')\n"
    ),
    "by a global": (
        "from os import environ\nNAME = 'SCALE'\n\ndef read():\n    return environ.get(NAME, '1')\n"
    ),
    "in a path": (
        "import os.path\n\ndef read():\n"
        "    return os.path.expandvars('${SCALE}').replace('${SCALE}', '1')\n"
    ),
}


@pytest.mark.parametrize("how", READERS)
def test_environment_variable_that_code_names_is_in_the_key(
    project: Any, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(
        project,
        f"{READERS[how]}\n"
        "def first(p):\n    return int(read()) * p\n\n"
        "def second(x, q):\n    return x + q\n\n"
        "def score(y):\n    return {'loss': float(y)}\n",
        CHAIN,
    )
    monkeypatch.delenv("SCALE", raising=False)
    assert values(project, (1, 1), (1, 2)) == [2.0, 3.0]
    monkeypatch.setenv("SCALE", "10")
    assert values(project, (1, 1), (1, 2)) == [11.0, 12.0]
    monkeypatch.setenv("SCALE", "20")
    tuner = project.tuner()
    trials = [tuner.evaluate({"first.p": 1, "second.q": q}) for q in (1, 2)]
    assert [t.value for t in trials] == [21.0, 22.0]
    assert [n.status for n in trials[1].nodes] == ["reused", "ran", "ran"]
    reason = History(project.tuner().study.trials()).reason(trials[0].number, trials[0].nodes[0])
    assert reason == "against trial 3: environment variable SCALE changed"


@pytest.mark.parametrize("variable", ["HF_TOKEN", "MY_KEY", "MASTER_PORT", "LOGIN"])
def test_secret_in_the_environment_is_not_written_down(project: Any, variable: str) -> None:
    value = "https://me:sesame@host" if variable == "LOGIN" else "sesame"
    write(
        project,
        "import os\n\n"
        f"def first(p):\n    os.environ['{variable}'] = '{value}' + str(p)\n    return 0\n\n"
        f"def second(x, q):\n    return int(os.environ['{variable}'][-1]) + 10 * q\n\n"
        "def score(y):\n    return {'loss': float(y)}\n",
        CHAIN,
    )
    assert values(project, (1, 1), (1, 2), (2, 2), (1, 1)) == [11.0, 21.0, 22.0, 11.0]
    record = project.tuner().evaluate({"first.p": 1, "second.q": 1})
    assert "environment variables" in record.nodes[0].why_not
    for path in (project.path / ".eeipu").rglob("*"):
        assert not path.is_file() or b"sesame" not in path.read_bytes(), path


def test_setting_is_made_again_that_was_made_while_modules_were_imported(project: Any) -> None:
    """Libraries make some when they are imported; these are the node's."""
    write(
        project,
        "import os\nimport pandas as pd\n\n"
        "def first(p):\n    import tabnanny\n    os.environ['MODE'] = str(p)\n"
        "    pd.set_option('display.max_rows', p)\n    return 0\n\n"
        "def second(x, q):\n    mode = int(os.environ['MODE'])\n"
        "    assert mode == pd.get_option('display.max_rows')\n    return 10 * q + mode\n\n"
        "def score(y):\n    return {'loss': float(y)}\n",
        CHAIN,
    )
    sys.modules.pop("tabnanny", None)
    points = (1, 1), (1, 2), (2, 2), (2, 3), (1, 3), (1, 1)
    tuner = project.tuner()
    try:
        records = [tuner.evaluate({"first.p": p, "second.q": q}) for p, q in points]
    finally:
        sys.modules.pop("tabnanny", None)
    assert [r.value for r in records] == [10.0 * q + p for p, q in points]
    first = [r.nodes[0].status for r in records]
    assert first == ["ran", "reused", "ran", "reused", "reused", "reused"]
    project.write_settings({"cache": {"runs": True}})
    done = project.kedro("run", "--params", "first.p=1,second.q=7")
    assert done.returncode == 0, done.stdout


def test_node_that_sometimes_changes_a_setting_is_awaited_by_those_after_it(project: Any) -> None:
    """The other does not depend on it, and was recorded where it had changed nothing."""
    write(
        project,
        "import os\n\n"
        "def first(p):\n    if p > 1:\n        os.environ['MODE'] = str(p)\n    return 0\n\n"
        "def second(q):\n    return 10 * q + int(os.environ.get('MODE', '1'))\n\n"
        "def score(x, y):\n    return {'loss': float(y)}\n",
        "node(nodes.first, 'params:first.p', 'x', name='a'),"
        "node(nodes.second, 'params:second.q', 'y', name='b'),"
        "node(nodes.score, ['x', 'y'], 'metrics', name='c')",
    )
    points = (2, 3), (1, 1), (3, 1), (3, 2), (1, 2), (2, 1)
    assert values(project, *points) == [10.0 * q + p for p, q in points]


LEFT_BEHIND = {
    "behind lru_cache": (
        "@functools.lru_cache\ndef model():\n    return {'p': 0}\n",
        "model()['p'] = p",
        "model()['p']",
    ),
    "behind cached_property": (
        "class Models:\n    @functools.cached_property\n    def one(self):\n"
        "        return {'p': 0}\nMODELS = Models()\n",
        "MODELS.one['p'] = p",
        "MODELS.one['p']",
    ),
    "by a method": (
        "class Filler:\n    def __init__(self, p):\n        self.p = p\n"
        "    def fill(self):\n        global MODEL\n        MODEL = self.p\nMODEL = None\n",
        "Filler(p).fill()",
        "MODEL",
    ),
    "in a closure": (
        "def make():\n    kept = 0\n    def put(p):\n        nonlocal kept\n        kept = p\n"
        "    return put, lambda: kept\nPUT, GET = make()\n",
        "PUT(p)",
        "GET()",
    ),
    "in a library's function": (
        "import statistics\n",
        "statistics.mean = lambda values: p",
        "statistics.mean([0])",
    ),
}


@pytest.mark.parametrize("case", LEFT_BEHIND)
def test_what_one_node_leaves_for_another_is_not_reused(
    project: Any, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings: list[str] = []
    monkeypatch.setattr(statistics, "mean", statistics.mean)  # to be put back
    monkeypatch.setattr(dataset.logger, "warning", lambda text, *a: warnings.append(text % a))
    made, left, read = LEFT_BEHIND[case]
    write(
        project,
        f"import functools\n{made}\n\ndef first(p):\n    {left}\n    return 0\n\n"
        f"def second(x, q):\n    return x + 10 * q + {read}\n\n"
        "def score(y):\n    return {'loss': float(y)}\n",
        CHAIN,
    )
    points = (1, 1), (1, 2), (2, 2), (1, 1), (2, 1)
    assert values(project, *points) == [10.0 * q + p for p, q in points]
    assert any("may differ from that of a plain run" in w for w in warnings)


LAZY = {
    "polars": (
        "import polars as pl\n\n"
        "def first(raw, p):\n    return raw.with_columns(pl.col('x') * p)\n\n"
        "def second(x, q):\n    return x.with_columns(pl.col('x') + q)\n\n"
        "def score(y):\n    return {'loss': float(y.collect()['x'].sum())}\n",
        {"type": "polars.LazyPolarsDataset", "file_format": "csv"},
    ),
    "dask": (
        "import dask.dataframe as dd\n\ndef first(raw, p):\n"
        "    frame = dd.read_csv('data/raw.csv')\n    return frame.assign(x=frame.x * p)\n\n"
        "def second(x, q):\n    return {'inside': [x.assign(x=x.x + q)]}\n\n"
        "def score(y):\n    return {'loss': float(y['inside'][0].x.sum().compute())}\n",
        {"type": "pandas.CSVDataset"},
    ),
}


@pytest.mark.parametrize("library", LAZY)
def test_lazy_values_are_not_evaluated_on_earlier_data(
    project: Any, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("polars" if library == "polars" else "dask.dataframe")
    monkeypatch.chdir(project.path)
    nodes, raw = LAZY[library]
    write(
        project,
        nodes,
        "node(nodes.first, ['raw', 'params:first.p'], 'x'),"
        "node(nodes.second, ['x', 'params:second.q'], 'y'), node(nodes.score, 'y', 'metrics')",
        {"raw": {**raw, "filepath": "data/raw.csv"}},
    )
    file = project.path / "data" / "raw.csv"
    file.write_text("x\n1\n2\n")
    points = (1, 0), (2, 0), (2, 1)
    assert values(project, *points) == [3, 6, 8]
    file.write_text("x\n100\n200\n")
    assert values(project, *points, study="later") == [300, 600, 602]


def test_declared_lazy_dataset_is_handed_on_within_a_trial(project: Any) -> None:
    pytest.importorskip("polars")
    nodes, raw = LAZY["polars"]
    write(
        project,
        nodes.replace("y.collect()", "y"),
        "node(nodes.first, ['raw', 'params:first.p'], 'x'),"
        "node(nodes.second, ['x', 'params:second.q'], 'y'), node(nodes.score, 'z', 'metrics'),"
        "node(lambda y: y.collect(), 'y', 'z', name='collect')",
        {
            "raw": {**raw, "filepath": "data/raw.csv"},
            "x": {**raw, "filepath": "data/x.csv"},
            "y": {**raw, "filepath": "data/y.csv"},
        },
    )
    (project.path / "data" / "raw.csv").write_text("x\n1\n2\n")
    points = (1, 0), (2, 0), (2, 1), (1, 1)
    assert values(project, *points) == [3, 6, 8, 5]


def test_class_of_the_project_that_keeps_values_in_memory_counts(project: Any) -> None:
    own = "from kedro.io import MemoryDataset\n\nclass Own(MemoryDataset):\n"
    own += "    def load(self):\n        return super().load() + 2\n"
    (project.source / "own.py").write_text(own)
    write(
        project,
        "def first(p):\n    return p\n\ndef second(x, q):\n    return x * q\n\n"
        "def score(y):\n    return {'loss': float(y)}\n",
        CHAIN,
    )
    project.write_catalog({"x": {"type": f"{project.package}.own.Own"}})
    assert values(project, (1, 10)) == [30.0]
    (project.source / "own.py").write_text(own.replace("+ 2", "+ 3"))
    assert values(project, (1, 10)) == [40.0]


FOUND = """
import importlib
import json
import sqlite3
from pathlib import Path

def load(parts, p):
    Path("data/own.txt").write_text("1")
    rates = Path("data/rates.json")
    scale = Path("data/scale.json")
    return {
        "rate": json.loads(rates.read_text()),
        "scale": json.loads(scale.read_text()),
        "parts": {name: part() for name, part in parts.items()},
        "own": Path("data/own.txt").read_text(),
        "table": sqlite3.connect("data/table.db").execute("select 1").fetchall(),
        "p": p,
    }

def score(loaded, q):
    module = importlib.import_module("demo_found.impl" + str(q))
    return {"loss": module.f(loaded["rate"] + loaded["p"])}
"""


def test_files_and_modules_that_a_node_finds_by_itself_are_told(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(
        project,
        FOUND,
        "node(nodes.load, ['parts', 'params:first.p'], 'loaded', name='load'),"
        "node(nodes.score, ['loaded', 'params:second.q'], 'metrics', name='score')",
        {
            "parts": {
                "type": "partitions.PartitionedDataset",
                "path": "data/parts",
                "dataset": "text.TextDataset",
            }
        },
    )
    (project.path / "data" / "parts").mkdir()
    (project.path / "data" / "parts" / "a.txt").write_text("1")
    (project.path / "data" / "table.db").write_bytes(b"")
    for name in ("rates", "scale"):
        (project.path / "data" / f"{name}.json").write_text("2")
    package = project.path / "src" / "demo_found"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "impl1.py").write_text("def f(x):\n    return x\n")
    project.write_settings({"cache": {"nodes": {"load": {"depends_on": ["data/scale.json"]}}}})
    warnings: list[str] = []
    monkeypatch.chdir(project.path)
    monkeypatch.setattr(dataset, "_warned", set())
    monkeypatch.setattr(dataset.logger, "warning", lambda text, *a: warnings.append(text % a))
    try:
        assert values(project, (0, 1), (1, 1)) == [2.0, 3.0]
        told = [text.partition(". Its key")[0] for text in warnings]
        warnings.clear()
        monkeypatch.setattr(dataset, "_warned", set())
        assert values(project, (0, 1), study="again") == [2.0]
        reused = [text.partition(". Its key")[0] for text in warnings]
    finally:
        for name in [name for name in sys.modules if name.startswith("demo_found")]:
            del sys.modules[name]
    assert told == reused
    assert told == [
        "load opens data/table.db",
        "score imports demo_found, demo_found.impl1 by a name that it computes",
    ]


def test_module_that_a_library_has_generated_is_not_told(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As torch does it, the first time that a model is trained."""
    write(
        project,
        "import importlib.util, pathlib, sys, tempfile\n\n"
        "def load(p):\n"
        "    with tempfile.TemporaryDirectory() as folder:\n"
        "        file = pathlib.Path(folder) / 'generated_here.py'\n"
        "        file.write_text('x = 1')\n"
        "        spec = importlib.util.spec_from_file_location('generated_here', file)\n"
        "        module = importlib.util.module_from_spec(spec)\n"
        "        sys.modules['generated_here'] = module\n"
        "        spec.loader.exec_module(module)\n"
        "    return module.x\n\n"
        "def score(x, p, q):\n    return {'loss': x + p + q}\n",
        "node(nodes.load, 'params:first.p', 'x', name='load'),"
        "node(nodes.score, ['x', 'params:first.p', 'params:second.q'], 'metrics', name='score')",
    )
    warnings: list[str] = []
    monkeypatch.setattr(dataset, "_warned", set())
    monkeypatch.setattr(dataset.logger, "warning", lambda text, *a: warnings.append(text % a))
    try:
        assert values(project, (1, 1), (1, 2)) == [3.0, 4.0]
    finally:
        sys.modules.pop("generated_here", None)
    assert warnings == []


SIDECAR = """
import json
from pathlib import Path
from kedro.io import AbstractDataset

class WithUnits(AbstractDataset):
    def __init__(self, filepath, units):
        self._filepath, self._units = Path(filepath), Path(units)

    def _load(self):
        return json.loads(self._filepath.read_text())

    def _save(self, data):
        self._filepath.parent.mkdir(parents=True, exist_ok=True)
        self._filepath.write_text(json.dumps(data))
        self.write_units()

    def write_units(self):
        {how}

    def _describe(self):
        return {{}}
"""


@pytest.mark.parametrize(
    ("how", "is_refused"),
    [
        ("self._units.write_text('m')", True),
        ("self._units.unlink()", True),
        ("self._filepath.with_suffix('.tmp').write_text('m'); "
         "self._filepath.with_suffix('.tmp').rename(self._units)", True),
        ("self._units.open('a').close()", False),
        ("self._filepath.with_suffix('.units').write_text('m')", False),
    ],
    ids=["written", "deleted", "renamed", "appended", "beside"],
)  # fmt: skip
def test_second_file_of_a_dataset_is_left_alone(
    project: Any, how: str, is_refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another file of the user's holds, a trial does not change, wherever it is tried."""
    monkeypatch.chdir(project.path)
    units = project.path / "data" / "units.txt"
    units.parent.mkdir(exist_ok=True)
    units.write_text("km")
    (project.source / "units.py").write_text(SIDECAR.format(how=how))
    kind = f"{project.source.name}.units.WithUnits"
    write(
        project,
        SUM,
        "node(nodes.total, ['raw', 'params:first.p'], 'total'),"
        "node(nodes.score, ['total', 'params:second.q'], 'metrics')",
        {
            "raw": {"type": "json.JSONDataset", "filepath": "data/raw.json"},
            "total": {"type": kind, "filepath": "data/total.json", "units": "data/units.txt"},
        },
    )
    record = project.tuner().evaluate({"first.p": 1, "second.q": 1})
    assert units.read_text() == "km"
    if is_refused:
        assert "units.WithUnits: it writes data/units.txt besides its own file" in record.error
        assert "derive that path from its filepath" in record.error
    else:
        assert record.error is None


def test_second_file_of_partitions_is_left_alone(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.path)
    units = project.path / "data" / "units.txt"
    units.parent.mkdir(exist_ok=True)
    units.write_text("km")
    source = SIDECAR.format(how="self._units.write_text('m')")
    (project.source / "units.py").write_text(source)
    kind = f"{project.source.name}.units.WithUnits"
    parts = {"type": kind, "units": "data/units.txt"}
    write(
        project,
        "def split(p):\n    return {'a': p}\n"
        "def score(parts, q):\n    return {'loss': parts['a']() * q}\n",
        "node(nodes.split, ['params:first.p'], 'parts'),"
        "node(nodes.score, ['parts', 'params:second.q'], 'metrics')",
        {
            "parts": {
                "type": "partitions.PartitionedDataset",
                "path": "data/parts",
                "dataset": parts,
            }
        },
    )
    record = project.tuner().evaluate({"first.p": 1, "second.q": 1})
    assert units.read_text() == "km"
    assert "units.WithUnits: it writes data/units.txt besides its own file" in record.error


@pytest.mark.parametrize("adds", [True, False])
def test_dataset_that_adds_to_its_file_is_named(project: Any, adds: bool) -> None:
    """A plain run reads the rows of earlier ones, too."""
    opening = {"fs_args": {"open_args_save": {"mode": "a"}}} if adds else {}
    write(
        project,
        SUM.replace("return sum(raw", "return str(sum(raw").replace("+ p", "+ p)"),
        "node(nodes.total, ['raw', 'params:first.p'], 'total'),"
        "node(lambda total, q: {'loss': len(total) * q}, ['total', 'params:second.q'], 'metrics')",
        {
            "raw": {"type": "json.JSONDataset", "filepath": "data/raw.json"},
            "total": {"type": "text.TextDataset", "filepath": "data/total.txt", **opening},
        },
    )
    done = project.kedro("eeipu", "tune", "--trials", "1")
    assert done.returncode == 0
    assert ("total adds to its file" in " ".join(done.stderr.split())) is adds
