"""What people see, in a real browser."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pages import Page, browser_missing, files, serving, settle, start_browser, wait_for

from kedro_eeipu.reporting import report_html
from kedro_eeipu.search import Objective, PipelineStage, Range, SearchSpace, StageGraph
from kedro_eeipu.states import NodeState
from kedro_eeipu.study.limits import Limits
from kedro_eeipu.study.records import NodeRecord, TrialRecord
from kedro_eeipu.viz.app import create_app
from kedro_eeipu.viz.site import save_site

DEFAULTS = {"clean.scale": 1.0, "left.weight": 2.0, "right.power": 2, "shift": 3.0}
EVIL = "<img src=x onerror=window.hacked=1>"


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    missing = browser_missing()
    if missing and os.environ.get("CI"):
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)
    started = start_browser()
    yield started
    started.quit()


def made_up_trials() -> list[TrialRecord]:
    """Trials of two stages and two parameters."""
    draw = random.Random(0)
    trials = []
    for number in range(24):
        params = {"a": draw.random(), "b.n": draw.randrange(1, 9)}
        value = (params["a"] - 0.4) ** 2 + 0.01 * params["b.n"]
        nodes = (NodeRecord("first", NodeState.RAN, 1.0), NodeRecord("last", NodeState.RAN, 0.5))
        trials.append(TrialRecord(number, "complete", params, value, nodes))
    return trials


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of made-up trials."""
    ranges = (
        Range("a", "float", 0.5, low=0.0, high=1.0),
        Range("b.n", "int", 3, low=1, high=8),
    )
    space = SearchSpace(ranges, Objective("metrics", "loss", "minimize"))
    graph = StageGraph(
        (
            PipelineStage("s0", ("first",), ("a",), frozenset()),
            PipelineStage("s1", ("last",), ("a", "b.n"), frozenset({0})),
        )
    )
    file = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(report_html(made_up_trials(), graph, space, study="s", maximize=False))
    return file


@pytest.fixture
def page(driver: Any) -> Iterator[Page]:
    """A page whose console holds no error when the test is over."""
    shown = Page(driver)
    shown.prefer("dark")
    driver.set_window_size(1400, 900)
    shown.errors()
    yield shown
    assert shown.errors() == []


@pytest.fixture
def tuner(project: Any) -> Any:
    """Two trials of a pipeline with a frame that the catalog does not know."""
    nodes = (project.source / "nodes.py").read_text()
    nodes = nodes.replace(
        "    return [weight * x for x in cleaned",
        "    return pandas.DataFrame({'weighted': [weight * x for x in cleaned",
    ).replace('cleaned["rows"]]\n\n\ndef right', 'cleaned["rows"]]})\n\n\ndef right')
    nodes = nodes.replace("sum(left_rows)", "float(left_rows['weighted'].sum())")
    project.write_nodes(f"import pandas\n{nodes}")
    pipeline = (project.source / "pipeline.py").read_text()
    project.write_pipeline(pipeline.replace('"right_rows"', repr(EVIL)))
    made = project.tuner(limits=Limits(trials=24), sampler="random")
    made.evaluate(DEFAULTS)
    made.evaluate({**DEFAULTS, "left.weight": 4.0})
    return made


def test_trials_in_kedro_viz(tuner: Any, page: Page) -> None:
    with serving(create_app(tuner.project, tuner.study), page) as address:
        page.open(f"{address}?trial=1")
        page.click("left_rows")
        assert wait_for(page.cells, "rows")[-3:] == ["4", "8", "12"]
        page.run("document.querySelector('iframe').contentWindow.loadedOnce = true")
        settle()
        page.watch_drawing()
        before = page.fills()
        swatch = "return getComputedStyle(document.querySelector('.legend li'), '::before')"
        assert page.run(f"{swatch}.backgroundColor") == before["left"], "the legend is right"
        assert before["clean"] == before["right"] != before["left"]

        page.choose("#0")
        wait_for(lambda: page.cells()[-3:] == ["2", "4", "6"], "rows of the other trial")
        assert set(page.fills().values()) == {before["left"]}, "all nodes ran in trial 0"
        assert page.run("return document.querySelector('iframe').contentWindow.loadedOnce")
        settle()
        assert page.drawn() == 0, "the graph stays as it is laid out"
        assert "trial=0" in page.driver.current_url
        page.click("left")
        wait_for(lambda: "it had not run before" in page.panel(), "the card")

        tuner.evaluate({**DEFAULTS, "shift": 26.0})
        # The page may have asked while the trial ran: one without a value is listed last.
        best_first = ["#2", "#0", "#1"]
        wait_for(lambda: [row.split()[0] for row in page.listed()] == best_first, "the new trial")
        (row,) = page.listed("weight=4")
        assert row.startswith("#1 ")
        assert "left.weight=4 " in row
        assert "right.power=2" in row, "all parameters are listed"
        assert [row.split()[0] for row in page.listed("23")] == ["#0"], "its value is 23"
        page.run("document.body.dispatchEvent(new Event('pointerdown', {bubbles: true}))")

        page.run(
            "document.querySelector('iframe').contentDocument"
            ".querySelector('[data-test=global-toolbar-workflow-btn]').click()"
        )
        status = "return document.querySelector('iframe').contentDocument.body.innerText"
        wait_for(lambda: "completed successfully" in page.run(status), "the run status")
        hacked = "return window.hacked || document.querySelector('iframe').contentWindow.hacked"
        assert page.run(hacked) is None, "names are text"


def test_the_report_follows_the_study_and_links_to_its_trials(tuner: Any, page: Page) -> None:
    with serving(create_app(tuner.project, tuner.study), page) as address:
        page.driver.get(f"{address}report.html?trial=1")
        rows = """return [...document.querySelectorAll('.trials tr[data-trial]')]
            .map((e) => Number(e.dataset.trial)).sort();"""
        assert page.run(rows) == [0, 1]
        assert page.run("return document.querySelector('tr.marked').dataset.trial") == "1"
        search = "const input = document.querySelector('.trials input'); input.value = 'complete';"
        page.run(search)
        tuner.evaluate({**DEFAULTS, "shift": 7.0})
        wait_for(lambda: page.run(rows) == [0, 1, 2], "the new trial")
        assert page.run("return document.querySelector('.trials input').value") == "complete"
        assert page.run("return document.querySelector('tr.marked').dataset.trial") == "1"
        link = page.run("return document.querySelector('tr.marked a').href")
        assert link == f"{address}?trial=1"


def test_the_graph_is_seen_in_a_narrow_light_window(tuner: Any, page: Page) -> None:
    page.driver.set_window_size(800, 900)
    page.prefer("light")
    with serving(create_app(tuner.project, tuner.study), page) as address:
        page.open(f"{address}?trial=1")
        page.click("left_rows")
        wait_for(page.cells, "rows")
        settle()
        seen = """const frame = document.querySelector('iframe'), doc = frame.contentDocument;
            const left = doc.querySelector('.pipeline-sidebar').getBoundingClientRect().right;
            const right = doc.querySelector('.pipeline-metadata').getBoundingClientRect().left;
            return right - left;"""
        assert page.run(seen) > 150
        inner = "document.querySelector('iframe').contentDocument"
        assert page.run(f"return {inner}.querySelector('.kui-theme--light') !== null")
        assert page.run("return document.body.dataset.theme") == "light"
        swatch = "return getComputedStyle(document.querySelector('.legend li'), '::before')"
        assert page.run(f"{swatch}.backgroundColor") == page.fills()["left"]
        # The second trial is that of the defaults, whatever its rank.
        assert page.run("return document.querySelector('a.report').href").endswith("?trial=1")
        page.run("document.querySelector('.compare').click()")
        chosen = "return [...document.querySelectorAll('.chosen')].map((e) => e.textContent)"
        wait_for(lambda: len(page.run(chosen)) == 2, "the second trial")
        assert page.run(chosen)[1].startswith("Trial 0")
        page.ready(1)


def test_two_trials_side_by_side_in_a_saved_site(tuner: Any, page: Page, tmp_path: Path) -> None:
    save_site(tuner.project, tuner.study, [0, 1], tmp_path / "site")
    with files(tmp_path, page) as address:
        page.open(f"{address}site/?trial=0&against=1", panes=2)
        changed = {"left", "left_rows", "join", "joined", "score", "metrics"}
        for pane in (0, 1):

            def marked(pane: int = pane) -> bool:
                return page.outlined(pane) == changed

            wait_for(marked, f"marks in pane {pane}")
        told = page.run("return document.querySelector('#differences').innerText")
        assert "left.weight 2 → 4" in told
        page.click("left_rows", pane=0)
        assert wait_for(lambda: page.cells(0), "rows")[-3:] == ["2", "4", "6"]
        assert wait_for(lambda: page.cells(1), "rows")[-3:] == ["4", "8", "12"]


@pytest.mark.parametrize(("width", "theme"), [(1400, "light"), (800, "dark")])
def test_report_draws_every_figure(made_up: Path, page: Page, width: int, theme: str) -> None:
    page.driver.set_window_size(width, 900)
    page.prefer(theme)
    page.driver.get(made_up.as_uri())
    wait_for(lambda: all(page.figures().values()), f"every figure, {width} wide")
    drawn = page.figures()
    expected = {"Timeline", "Parallel coordinates", "a", "b.n", "Importance"}
    assert {*expected, "Importance of the stages", "Expected and measured values"} <= set(drawn)
    assert {"a over b.n", "b.n over a"} & set(drawn)
    wide = page.run("return document.documentElement.scrollWidth")
    assert wide <= width, "nothing sticks out"
    cut = """return [...document.querySelectorAll('figure')].filter((f) =>
        [...f.querySelectorAll('.main-svg')].some((svg) =>
          svg.getBoundingClientRect().right > f.getBoundingClientRect().right))
      .map((f) => f.querySelector('figcaption').textContent);"""
    assert page.run(cut) == [], "all of a figure is to be seen"
    ground = page.run("return getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, ground[4:-1].split(","))) > 380) == (theme == "light")


def test_table_sorts_filters_and_marks_trials(made_up: Path, page: Page) -> None:
    page.driver.get(made_up.as_uri())
    wait_for(lambda: all(page.figures().values()), "every figure")
    numbers = """return [...document.querySelectorAll('.trials tr[data-trial]')]
        .map((e) => Number(e.dataset.trial));"""
    trials = made_up_trials()
    by_value = sorted(trials, key=lambda t: t.value or 0.0)
    assert page.run(numbers) == [t.number for t in by_value], "best first"
    head = "document.querySelectorAll('.trials th button')"
    page.run(f"{head}[0].click()")
    assert page.run(numbers) == list(range(24))
    search = """const input = document.querySelector('.trials input');
        input.value = arguments[0]; input.dispatchEvent(new Event('input'));"""
    page.run(search, "n>4 a<0.5")
    assert page.run(numbers) == [
        t.number for t in trials if t.params["b.n"] > 4 and t.params["a"] < 0.5
    ]
    page.run(search, "")
    page.run("document.querySelector('.trials tr[data-trial=\"7\"]').click()")
    marks = """return report.plots.filter((p) => p.data.some((t) => t.meta === 'marked')).map(
        (p) => p.closest('figure').querySelector('figcaption').textContent);"""
    marked = page.run(marks)
    assert {"a", "b.n", "Best value by trial", "Expected and measured values"} <= set(marked)
    lines = "return report.plots.find((p) => p.data[0].type === 'parcoords').data[0].customdata"
    assert page.run(lines)[-1] == 7, "its line is drawn last"
    # A point of a figure that is clicked marks its trial in the table.
    page.run(
        """report.plots.find((p) => p.closest('figure').textContent.startsWith('a'))
        .emit('plotly_click', {points: [{data: {meta: 'trials'}, customdata: 3}]});"""
    )
    chosen = "return document.querySelector('.trials tr.marked').dataset.trial"
    assert page.run(chosen) == "3"
    hover = "return report.plots.flatMap((p) => p.data).find((t) => t.hovertext).hovertext[0]"
    assert page.run(hover).startswith("<br>a = ")
