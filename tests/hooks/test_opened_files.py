"""Files that nodes open by themselves: a record serves while they are as they were."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedro_eeipu.hooks import dataset, found_by_itself
from kedro_eeipu.hooks.opened_files import ChangedFiles, few_names, file_parts
from kedro_eeipu.states import FILE_PART
from kedro_eeipu.study.explain import History

SPACE = {"first.p": {"low": 0, "high": 100}, "second.q": {"low": 0, "high": 100}}
NODES = """
from pathlib import Path

DATA = Path(__file__).parents[2] / "data"
EXECUTIONS = DATA.parent / "executions.log"

def ran(name):
    with EXECUTIONS.open("a") as log:
        log.write(name + "\\n")

def number(file):
    return int(file.read_text()) if file.exists() else 0

def load(p):
    ran("load")
    {load}

def score(x, q):
    ran("score")
    {score}
"""


@pytest.fixture
def warned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Warnings as they are written, each time."""
    texts: list[str] = []
    monkeypatch.setattr(dataset, "_warned", set())
    monkeypatch.setattr(dataset.logger, "warning", lambda text, *a: texts.append(text % a))
    return texts


def write(project: Any, load: str, score: str = "return {'loss': x + q}") -> None:
    text = NODES.replace("{load}", load.replace("\n", "\n    ")).replace("{score}", score)
    project.write_nodes(text)
    project.write_pipeline(
        "from kedro.pipeline import Pipeline, node\nfrom . import nodes\n\n"
        "def create_pipeline(**kwargs):\n    return Pipeline([\n"
        "        node(nodes.load, 'params:first.p', 'x', name='load'),\n"
        "        node(nodes.score, ['x', 'params:second.q'], 'metrics', name='score'),\n    ])\n"
    )
    objective = {"dataset": "metrics", "key": "loss", "direction": "minimize"}
    project.write_parameters(
        {
            "first": {"p": 1},
            "second": {"q": 1},
            "eeipu": {"objective": objective, "space": SPACE, "trials": 4},
        }
    )
    project.write_catalog(
        {
            "x": {"type": "json.JSONDataset", "filepath": "data/x.json"},
            "metrics": {"type": "json.JSONDataset", "filepath": "data/metrics.json"},
        }
    )
    (project.path / "data").mkdir(exist_ok=True)


def evaluate(project: Any, p: int, q: int) -> float:
    """The value of one trial of a tuner of its own."""
    record = project.tuner().evaluate({"first.p": p, "second.q": q})
    assert record.error is None
    return record.value


def tuner_of_today(project: Any) -> Any:
    """A tuner that counts the trials of the pipeline as it is, as the commands do."""
    tuner = project.tuner()
    tuner.study.compare_with(tuner.project.state)
    return tuner


def parts_of(project: Any, node: str) -> list[str]:
    """Names of the parts of a node in the last trial that are files."""
    last = project.tuner().study.trials()[-1]
    (record,) = [n for n in last.nodes if n.name == node]
    return [name for name in record.parts if name.startswith(FILE_PART)]


def executed(project: Any) -> list[str]:
    return list(project.executions())


def test_edit_of_an_opened_file_is_seen_and_undone(project: Any, warned: list[str]) -> None:
    write(project, "return p + number(DATA / 'rate.txt')")
    rate = project.path / "data" / "rate.txt"
    rate.write_text("10")
    assert evaluate(project, 1, 2) == 13
    executed(project)
    assert evaluate(project, 1, 3) == 14
    assert executed(project) == ["score"]
    rate.write_text("20")
    assert evaluate(project, 1, 2) == 23
    assert executed(project) == ["load", "score"]
    rate.write_text("10")
    assert evaluate(project, 1, 2) == 13
    assert executed(project) == []
    assert warned == []


def test_trials_of_another_content_are_not_of_today(project: Any) -> None:
    write(project, "return p + number(DATA / 'rate.txt')")
    rate = project.path / "data" / "rate.txt"
    rate.write_text("10")
    evaluate(project, 1, 2)
    rate.write_text("20")
    tuner = tuner_of_today(project)
    (before,) = tuner.study.trials()
    assert tuner.study.changes(before) == ("file `data/rate.txt`, which node `load` opens",)
    assert tuner.study.current() == []
    now = tuner.evaluate({"first.p": 1, "second.q": 2})
    history = History(tuner.study.trials())
    reasons = [history.reason(1, node) for node in now.nodes]
    assert reasons[0] == "against trial 0: data/rate.txt, which it opens, changed"
    assert [t.number for t in tuner.study.current()] == [1]
    rate.write_text("10")
    assert [t.number for t in tuner_of_today(project).study.current()] == [0]


def test_what_a_trial_may_reuse_is_known_before_it_runs(project: Any) -> None:
    write(project, "return p + number(DATA / 'rate.txt')")
    rate = project.path / "data" / "rate.txt"
    rate.write_text("10")
    tuner = project.tuner()
    trial = tuner.evaluate({"first.p": 1, "second.q": 2})
    kept = {digest for node in trial.nodes for digest, _ in node.outputs}
    assert tuner.proposer.observer.observation(trial, kept).available
    rate.write_text("20")
    assert not project.tuner().proposer.observer.observation(trial, kept).available


def test_file_that_is_looked_for_and_comes(project: Any, warned: list[str]) -> None:
    write(
        project,
        "try:\n    more = (DATA / 'more.txt').read_text()\n"
        "except FileNotFoundError:\n    more = '0'\nreturn p + int(more)",
    )
    assert evaluate(project, 1, 2) == 3
    assert evaluate(project, 1, 2) == 3
    assert executed(project) == ["load", "score"]
    (project.path / "data" / "more.txt").write_text("5")
    assert evaluate(project, 1, 2) == 8
    assert warned == []


def test_folder_that_is_listed(project: Any, warned: list[str]) -> None:
    write(project, "return p + sum(map(number, (DATA / 'parts').glob('*.txt')))")
    parts = project.path / "data" / "parts"
    parts.mkdir()
    (parts / "a.txt").write_text("1")
    assert evaluate(project, 0, 0) == 1
    (parts / "b.txt").write_text("2")
    assert evaluate(project, 0, 0) == 3
    (parts / "a.txt").unlink()
    assert evaluate(project, 0, 0) == 2
    assert warned == []


def test_file_that_a_thread_of_the_node_opens(project: Any, warned: list[str]) -> None:
    write(
        project,
        "from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor() as pool:\n"
        "    rates = [*pool.map(number, [DATA / 'a.txt', DATA / 'b.txt'])]\nreturn p + sum(rates)",
    )
    for name in "ab":
        (project.path / "data" / f"{name}.txt").write_text("1")
    assert evaluate(project, 0, 0) == 2
    assert parts_of(project, "load") == [f"{FILE_PART}data/{name}.txt" for name in "ab"]
    (project.path / "data" / "b.txt").write_text("2")
    assert evaluate(project, 0, 0) == 3
    assert warned == []


def test_many_files_count_as_their_folder(project: Any, warned: list[str]) -> None:
    write(project, "return p + sum(number(DATA / 'parts' / f'{i}.txt') for i in range(80))")
    parts = project.path / "data" / "parts"
    parts.mkdir()
    for i in range(80):
        (parts / f"{i}.txt").write_text("1")
    assert evaluate(project, 0, 0) == 80
    assert parts_of(project, "load") == [f"{FILE_PART}data/parts/*"]
    (parts / "79.txt").write_text("2")
    assert evaluate(project, 0, 0) == 81
    assert warned == []


def test_nodes_that_pass_a_file_on_are_reused_together_or_not_at_all(
    project: Any, warned: list[str]
) -> None:
    write(
        project,
        "(DATA / 'weight.txt').write_text(str(p))\nreturn 0",
        "return {'loss': number(DATA / 'weight.txt') * 10 + q}",
    )
    assert evaluate(project, 1, 2) == 12
    assert warned == [
        "score: it opens data/weight.txt, which load writes; these nodes are reused together or not"
        " at all from now on. Pass the data on through the catalog, and each is reused by itself"
    ]
    node = project.tuner().study.trials()[0].nodes[-1]
    assert node.why_not == "it opens data/weight.txt, which load writes"
    executed(project)
    for p, q, value in ((2, 2, 22), (1, 3, 13), (2, 2, 22), (1, 3, 13), (2, 3, 23)):
        assert evaluate(project, p, q) == value
    assert executed(project) == 3 * ["load", "score"]
    trials = tuner_of_today(project).study.current()
    assert [t.value for t in trials] == [12, 22, 13, 22, 13, 23]
    assert len(warned) == 1


@pytest.mark.parametrize(
    ("write_it", "read_it"),
    [
        (
            "import sqlite3\ntable = sqlite3.connect(DATA / 'w.db')\n"
            "with table:\n    table.execute('drop table if exists w')\n"
            "    table.execute('create table w (w)')\n"
            "    table.execute('insert into w values (?)', (p,))\ntable.close()\nreturn 0",
            "import sqlite3; db = sqlite3.connect(DATA / 'w.db'); "
            "w, = db.execute('select w from w').fetchone()",
        ),
        (
            "import tempfile\nfolder = Path(tempfile.gettempdir()) / DATA.parent.name\n"
            "folder.mkdir(exist_ok=True)\n(folder / 'w').write_text(str(p))\nreturn str(folder)",
            "w = number(Path(x) / 'w')",
        ),
    ],
    ids=["database", "temporary file"],
)
def test_whatever_kind_of_file_is_passed_on(
    project: Any, warned: list[str], write_it: str, read_it: str
) -> None:
    write(project, write_it, f"{read_it}; return {{'loss': w * 10 + q}}")
    points = [(1, 2, 12), (2, 2, 22), (1, 3, 13), (2, 2, 22), (1, 3, 13), (2, 3, 23)]
    assert [evaluate(project, p, q) for p, q, _ in points] == [value for *_, value in points]
    assert len(warned) == 1
    assert "are reused together or not at all" in warned[0]


def test_file_that_a_node_once_wrote_is_told_to_later_readers(
    project: Any, warned: list[str]
) -> None:
    """A node that comes to the pipeline later finds the file as the last trial has left it."""
    write(
        project,
        "(DATA / 'weight.txt').write_text(str(p))\nreturn 0",
        "return {'loss': number(DATA / 'weight.txt') * 10 + q}",
    )
    evaluate(project, 1, 2)
    warned.clear()
    nodes = project.source / "nodes.py"
    nodes.write_text(nodes.read_text().replace("def score(", "def other("))
    pipeline = project.source / "pipeline.py"
    pipeline.write_text(pipeline.read_text().replace("nodes.score", "nodes.other"))
    evaluate(project, 1, 2)
    told = [text.partition(". Its key")[0] for text in warned]
    assert told == ["score opens data/weight.txt"]


def test_file_that_somebody_changes_during_the_run_leaves_no_record(
    project: Any, warned: list[str]
) -> None:
    write(
        project,
        "import subprocess, sys\nfile = DATA / 'rate.txt'\nrate = number(file)\n"
        'code = f\'open({str(file)!r}, "w").write("20")\'\n'
        "subprocess.run([sys.executable, '-c', code], check=True)\nreturn p + rate",
    )
    rate = project.path / "data" / "rate.txt"
    rate.write_text("10")
    assert evaluate(project, 1, 2) == 13
    node = project.tuner().study.trials()[0].nodes[0]
    assert node.why_not == "it opens data/rate.txt, which was changed during the run"
    assert evaluate(project, 1, 2) == 23
    assert executed(project) == ["load", "score", "load", "score"]
    reason = "load: it opens data/rate.txt, which was changed during the run; "
    assert [text.startswith(reason) for text in warned] == [True]


def test_what_a_library_writes_and_the_node_reads_again_is_told(
    project: Any, warned: list[str]
) -> None:
    """As torch saves and loads a checkpoint: the file is written by code that is not Python's."""
    write(
        project,
        "import subprocess, sys\nfile = DATA / 'best.txt'\n"
        'code = f\'open({str(file)!r}, "w").write("7")\'\n'
        "subprocess.run([sys.executable, '-c', code], check=True)\nreturn p + number(file)",
    )
    assert evaluate(project, 1, 2) == 10
    assert evaluate(project, 1, 3) == 11
    assert executed(project) == ["load", "score", "score"]
    assert {text.partition(". Its key")[0] for text in warned} == {"load opens data/best.txt"}


def test_file_of_an_intermediate_dataset_is_told(project: Any, warned: list[str]) -> None:
    """A trial saves it elsewhere, so what lies there is of an earlier run."""
    write(project, "return p", "return {'loss': number(DATA / 'x.json') * 10 + q}")
    (project.path / "data" / "x.json").write_text("1")
    evaluate(project, 1, 2)
    told = [text.partition(". Its key")[0] for text in warned]
    assert told == ["score opens data/x.json"]


def test_file_that_the_node_makes_itself_is_its_own(project: Any, warned: list[str]) -> None:
    write(
        project,
        "file = DATA / 'memo.txt'\nif number(file) == 0:\n    file.write_text('7')\n"
        "return p + number(file)",
    )
    assert evaluate(project, 1, 2) == 10
    assert evaluate(project, 1, 2) == 10
    assert executed(project) == ["load", "score"]
    assert warned == []


def test_code_that_is_read_as_text_counts_and_code_that_is_imported_does_not(
    project: Any, warned: list[str]
) -> None:
    write(
        project,
        "from . import more\nreturn more.x + p + len((DATA / 'rules.py').read_text())",
    )
    (project.source / "more.py").write_text("x = 0\n")
    rules = project.path / "data" / "rules.py"
    rules.write_text("# 1")
    assert evaluate(project, 0, 0) == 3
    assert parts_of(project, "load") == [f"{FILE_PART}data/rules.py"]
    rules.write_text("# 12")
    assert evaluate(project, 0, 0) == 4
    assert warned == []


def test_data_elsewhere_counts_and_what_is_temporary_does_not(
    project: Any,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    warned: list[str],
) -> None:
    file = tmp_path_factory.mktemp("elsewhere") / "rate.txt"
    file.write_text("10")
    write(project, f"return p + number(Path({str(file)!r}))")
    assert evaluate(project, 1, 2) == 13
    assert parts_of(project, "load") == []
    monkeypatch.setattr(found_by_itself, "is_temporary", lambda name: False)
    assert evaluate(project, 2, 2) == 14
    assert parts_of(project, "load") == [f"{FILE_PART}{file}"]
    file.write_text("20")
    assert evaluate(project, 2, 2) == 24
    assert warned == []


def test_plain_runs_see_it_too(project: Any) -> None:
    write(project, "return p + number(DATA / 'rate.txt')")
    project.write_settings({"cache": {"runs": True}})
    rate = project.path / "data" / "rate.txt"
    values = []
    for text in ("10", "20", "10"):
        rate.write_text(text)
        assert project.kedro("run").returncode == 0
        values.append(json.loads((project.path / "data/metrics.json").read_text())["loss"])
    assert values == [12, 22, 12]
    assert executed(project) == ["load", "score", "load", "score"]


def test_a_seen_write_counts_whatever_the_clocks_say(tmp_path: Path) -> None:
    """As where a filesystem has its own clock, or tells whole seconds."""
    file = tmp_path / "a.txt"
    file.write_text("1")
    now = file.stat()
    call = found_by_itself.Call(now.st_mtime + 60, now.st_mtime + 70, {str(file)})
    times = found_by_itself.Times(now.st_mtime + 50, now.st_mtime + 80, {"writer": call})
    assert times.writers(str(file), now) == ["writer"]
    assert (
        times._replace(others={"writer": call._replace(written=set())}).writers(str(file), now)
        == []
    )


NAMES = st.lists(
    st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=4).map("/".join), max_size=300
)


@given(NAMES)
def test_few_names_stand_for_all_files(names: list[str]) -> None:
    few = few_names(names)
    if few is None:
        return
    assert len(few) <= 50
    for name in names:
        assert name in few or any(
            f.endswith("*") and name.startswith(f.removesuffix("*")) for f in few
        )
    assert all(f.count("/") > 1 for f in few if f.endswith("*"))


def test_changed_files_are_read_again_for_a_trial_that_knows_more(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("1")
    first = {n: t[:12] for n, t in file_parts(tmp_path, ["a.txt"]).items()}
    changed = ChangedFiles(tmp_path)
    assert changed("node", first) == []
    file.write_text("22")
    second = {n: t[:12] for n, t in file_parts(tmp_path, ["a.txt"]).items()}
    assert changed("node", second) == []
    assert changed("node", first) == ["a.txt"]
    assert ChangedFiles(tmp_path, {"other"})("node", first) == []
    file.unlink()
    third = {n: t[:12] for n, t in file_parts(tmp_path, ["a.txt"]).items()}
    assert changed("node", third) == []
    assert changed("node", second) == ["a.txt"]


def test_name_of_a_file_may_end_in_a_star(tmp_path: Path) -> None:
    file = tmp_path / "a*"
    tokens = []
    for text in ("1", "22"):
        file.write_text(text)
        tokens.append(file_parts(tmp_path, ["a*"]))
    assert tokens[0] != tokens[1]
    (tmp_path / "a").write_text("another file")
    assert file_parts(tmp_path, ["a*"]) == tokens[1]


@pytest.mark.parametrize(
    ("name", "load"),
    [
        (".env", "return p + number(DATA / '.env')"),
        ("Screen 3.00\u202fPM.txt", "return p + number(DATA / 'Screen 3.00\u202fPM.txt')"),
        (
            "rate.txt",
            "with open(DATA / 'rate.txt', 'a+') as file:\n    file.seek(0)\n"
            "    return p + int(file.read())",
        ),
        (
            "rate.txt",
            "import os\nfile = os.open(DATA / 'rate.txt', os.O_RDWR | os.O_CREAT)\n"
            "content = os.read(file, 9)\nos.close(file)\nreturn p + int(content)",
        ),
    ],
    ids=["hidden", "a space of no line", "to append", "to make it"],
)
def test_whatever_it_is_called_and_however_it_is_read(
    project: Any, warned: list[str], name: str, load: str
) -> None:
    write(project, load)
    file = project.path / "data" / name
    values = []
    for text in ("10", "20", "10"):
        file.write_text(text)
        values.append(evaluate(project, 1, 2))
    assert values == [13, 23, 13]
    assert executed(project).count("load") == 2
    assert warned == []


def test_file_that_is_read_once_in_a_process_counts_for_all_later_trials(
    project: Any, warned: list[str]
) -> None:
    write(project, "return p + memo()", "return {'loss': x + q + holder.rate}")
    nodes = project.source / "nodes.py"
    nodes.write_text(
        nodes.read_text() + "\nimport functools\n\n@functools.lru_cache\ndef memo():\n"
        "    return number(DATA / 'rate.txt')\n\nclass Holder:\n"
        "    @functools.cached_property\n    def rate(self):\n"
        "        return number(DATA / 'other.txt')\n\nholder = Holder()\n"
    )
    rate, other = (project.path / "data" / name for name in ("rate.txt", "other.txt"))
    rate.write_text("10")
    other.write_text("100")
    tuner = project.tuner()  # another would import the code anew
    trials = [tuner.evaluate({"first.p": p, "second.q": p}) for p in (1, 2)]
    assert [t.value for t in trials] == [112, 114]
    for trial in trials:
        opened = {n.name: [p for p in n.parts if p.startswith(FILE_PART)] for n in trial.nodes}
        assert opened["load"] == [f"{FILE_PART}data/rate.txt"]
        assert opened["score"] == [f"{FILE_PART}data/other.txt"]
    assert warned == []
    rate.write_text("20")
    executed(project)
    assert tuner.evaluate({"first.p": 2, "second.q": 2}).value == 114, "of the former content"
    assert executed(project) == ["load"]
    assert "load: it opens data/rate.txt, which was changed during the run" in warned[0]
    assert evaluate(project, 2, 2) == 124
    assert executed(project) == ["load", "score"]


@pytest.mark.parametrize("file", ["/usr/src/app/nodes.py", "/dev/shm/nodes.py", "<string>"])
def test_code_of_a_project_may_be_anywhere(file: str) -> None:
    assert found_by_itself._is_user_code(file)
    assert not found_by_itself._is_user_code(json.__file__)
    assert not found_by_itself._is_user_code(pytest.__file__)


def test_folder_in_which_the_node_writes_itself(project: Any, warned: list[str]) -> None:
    write(
        project,
        "(DATA / 'out' / 'n.txt').write_text(str(p))\n"
        "return p + len(list((DATA / 'in').glob('*.txt'))) + len(list(DATA.glob('*.csv')))",
    )
    for name in ("in", "out"):
        (project.path / "data" / name).mkdir()
    assert evaluate(project, 1, 2) == 3
    (project.path / "data" / "in" / "1.txt").touch()
    assert evaluate(project, 1, 2) == 4
    (project.path / "data" / "2.csv").touch()
    assert evaluate(project, 1, 2) == 5
    assert warned == []
    write(project, "(DATA / 'n.txt').write_text(str(p))\nreturn p + len(list(DATA.glob('*.csv')))")
    assert evaluate(project, 1, 2) == 4
    assert warned[0].startswith("load opens data/. Its key does not see that")


def test_node_that_opens_other_files_than_before_is_reused_again(project: Any) -> None:
    write(project, "return p + sum(number(f) for f in DATA.glob('*.txt'))")
    for number in range(3):
        (project.path / "data" / f"{number}.txt").write_text("10")
        assert evaluate(project, 1, 2) == 13 + 10 * number
        executed(project)
        assert evaluate(project, 1, 3) == 14 + 10 * number
        assert executed(project) == ["score"]


def test_database_that_is_named_by_a_uri_is_told(project: Any, warned: list[str]) -> None:
    file = project.path / "data" / "rates.db"
    write(
        project,
        "import sqlite3\n"
        "db = sqlite3.connect(f'file:{DATA}/rates.db?mode=ro', uri=True)\n"
        "return p + db.execute('select rate from rates').fetchone()[0]",
    )
    with sqlite3.connect(file) as db:
        db.execute("create table rates as select 10 as rate")
    assert evaluate(project, 1, 2) == 13
    assert "opens data/rates.db" in warned[0]
