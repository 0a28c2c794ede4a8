"""Kedro-Viz's page and the report in a real browser; as a script, the pictures of the docs.

    python tests/browser/pages.py STUDIED_PROJECT

takes a project that has been tuned and draws ``docs/pages/images/*.png``.
"""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_WAIT_SECONDS = 90
_FRAME = "const frame = document.querySelectorAll('iframe')[arguments[0]];"
_DOCUMENT = f"{_FRAME} const doc = frame.contentDocument;"


def browser_missing() -> str:
    """What is missing for tests in a browser, in words; empty when nothing is."""
    if not any(map(shutil.which, BROWSERS)):
        return "there is no Chromium (Debian: apt-get install chromium)"
    if not shutil.which("chromedriver"):
        return "there is no chromedriver (Debian: apt-get install chromium-driver)"
    return ""


def start_browser(width: int = 1400, height: int = 900) -> Any:
    """A Chromium without a window."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = next(filter(None, map(shutil.which, BROWSERS)))
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--enable-unsafe-swiftshader",
        "--hide-scrollbars",
        f"--window-size={width},{height}",
        # Nothing but this machine can be reached.
        "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    driver.set_script_timeout(_WAIT_SECONDS)
    return driver


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    """The first true value of a condition.

    Raises:
        TimeoutError: There was none within half a minute.
    """
    end = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise TimeoutError(f"waited in vain for {what}")


class Page:
    """The page of trials; panes are numbered from 0.

    Args:
        driver: The browser.
    """

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, address: str, panes: int = 1) -> None:
        """Go to an address and wait for the graphs of so many panes."""
        self.driver.get(address)
        for pane in range(panes):
            self.ready(pane)

    def prefer(self, theme: str) -> None:
        """As if the user preferred a theme, ``light`` or ``dark``."""
        feature = {"name": "prefers-color-scheme", "value": theme}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    def leave(self) -> None:
        """Leave the page for an empty one; what it was still loading is given up."""
        self.driver.get("about:blank")

    def ready(self, pane: int = 0) -> None:
        """Wait until the graph of a pane is drawn."""
        script = f"{_FRAME} return frame?.contentWindow.trialView?.ready && frame.contentDocument"
        script += ".querySelectorAll('.pipeline-node').length"
        wait_for(lambda: self.run(script, pane), f"the graph of pane {pane}")

    def run(self, script: str, *arguments: Any) -> Any:
        """The value of a script."""
        return self.driver.execute_script(script, *arguments)

    def click(self, name: str, pane: int = 0) -> None:
        """Click a node or dataset of the graph."""
        self.run(
            f"""{_DOCUMENT}
            [...doc.querySelectorAll('.pipeline-node')]
              .find((e) => e.textContent.trim() === arguments[1])
              .dispatchEvent(new MouseEvent('click', {{bubbles: true}}));""",
            pane,
            name,
        )

    def panel(self, pane: int = 0) -> str:
        """The text of the panel beside the graph."""
        script = f"{_DOCUMENT} return doc.querySelector('.pipeline-metadata')?.innerText || ''"
        return str(self.run(script, pane))

    def cells(self, pane: int = 0) -> list[str]:
        """The cells of the table in the panel."""
        script = f"{_DOCUMENT} return [...doc.querySelectorAll('.pipeline-metadata td')]"
        found: list[str] = self.run(f"{script}.map((e) => e.textContent)", pane)
        return found

    def fills(self, pane: int = 0) -> dict[str, str]:
        """The colour of each coloured node, by name."""
        found: dict[str, str] = self.run(
            f"""{_DOCUMENT}
            return Object.fromEntries([...doc.querySelectorAll('.pipeline-node--task')]
              .map((e) => [e.textContent.trim(),
                           getComputedStyle(e.querySelector('.pipeline-node__bg')).fill]));""",
            pane,
        )
        return found

    def outlined(self, pane: int = 0) -> set[str]:
        """Names of what is marked as different."""
        return set(
            self.run(
                f"""{_DOCUMENT}
                return [...doc.querySelectorAll('.pipeline-node')]
                  .filter((e) => getComputedStyle(e.querySelector('.pipeline-node__bg'))
                    .stroke === 'rgb(255, 179, 71)')
                  .map((e) => e.textContent.trim());""",
                pane,
            )
        )

    def choose(self, query: str, pane: int = 0) -> None:
        """Search in the picker and take the first trial found."""
        from selenium.webdriver.common.by import By
        from selenium.webdriver.common.keys import Keys

        self.driver.find_elements(By.CSS_SELECTOR, ".chosen")[pane].click()
        search = self.driver.find_elements(By.CSS_SELECTOR, ".choice input")[pane]
        search.send_keys(query + Keys.ENTER)

    def listed(self, query: str = "", pane: int = 0) -> list[str]:
        """The rows of the picker for a query; the picker stays open."""
        self.run(
            """const pane = document.querySelectorAll('.pane')[arguments[0]];
            if (pane.querySelector('.choice').hidden) pane.querySelector('.chosen').click();
            const search = pane.querySelector('input');
            search.value = arguments[1];
            search.dispatchEvent(new Event('input'));""",
            pane,
            query,
        )
        found: list[str] = self.run(
            """return [...document.querySelectorAll('.pane')[arguments[0]].querySelectorAll('li')]
            .filter((e) => e.dataset.trial)
            .map((e) => e.innerText.replace(/\\s+/g, ' ').trim());""",
            pane,
        )
        return found

    def switch_milliseconds(self, number: int, pane: int = 0) -> float:
        """Choose a trial by its number; the time until the card in the panel is that trial's.

        The nodes have their colours by then.
        """
        self.listed(str(number), pane)
        taken: float = self.driver.execute_async_script(
            f"""{_DOCUMENT}
            const done = arguments[2];
            const shown = () => doc.querySelector('.pipeline-metadata').textContent;
            const before = shown();
            const row = document.querySelector(`li[data-trial="${{arguments[1]}}"]`);
            const started = performance.now();
            row.click();
            const look = () => {{
              if (shown() !== before) done(performance.now() - started);
              else requestAnimationFrame(look);
            }};
            look();""",
            pane,
            number,
        )
        return taken

    def watch_drawing(self, pane: int = 0) -> None:
        """Begin to count what is drawn anew in the graph: shapes that come, go or move."""
        self.run(
            f"""{_DOCUMENT}
            frame.drawn = 0;
            const graph = doc.querySelector('.pipeline-flowchart__graph');
            new MutationObserver((changes) => {{ frame.drawn += changes.length; }}).observe(
              graph, {{subtree: true, childList: true, attributeFilter: ['d', 'transform']}});""",
            pane,
        )

    def drawn(self, pane: int = 0) -> int:
        """How much has been drawn anew since `watch_drawing`."""
        return int(self.run(f"{_FRAME} return frame.drawn", pane))

    def errors(self) -> list[str]:
        """What the browser's console holds of errors, since the last question."""
        return [e["message"] for e in self.driver.get_log("browser") if e["level"] == "SEVERE"]

    def figures(self) -> dict[str, int]:
        """How much each figure of the report has drawn, by its title."""
        found: dict[str, int] = self.run(
            """return Object.fromEntries([...document.querySelectorAll('figure')].map((f) => [
              f.querySelector('figcaption').textContent,
              f.querySelector('.no-webgl') ? 0 : f.querySelectorAll(
                '.main-svg .point, .main-svg .js-line, .hm image, canvas.gl-canvas').length,
            ]));"""
        )
        return found

    def picture(self, file: Path) -> None:
        self.driver.save_screenshot(str(file))


@contextmanager
def serving(app: Any, page: Page) -> Iterator[str]:
    """Serve an application; gives its address.

    The page is left before the server stops: what it still asks for would be refused.
    """
    import uvicorn

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_for(lambda: server.started or not thread.is_alive(), "the server")
        yield f"http://127.0.0.1:{port}/"
    finally:
        page.leave()
        server.should_exit = True
        thread.join(timeout=30)


@contextmanager
def files(folder: Path, page: Page) -> Iterator[str]:
    """Serve files as any web server would; gives the address.

    The page is left before the server stops: what it still asks for would be refused.
    """

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            page.leave()
            server.shutdown()
            thread.join()


def draw(project_path: Path, target: Path) -> None:
    """The pictures of the docs."""
    from kedro.framework.startup import bootstrap_project

    from kedro_eeipu.project.project import Project
    from kedro_eeipu.reporting import report_html
    from kedro_eeipu.study import open_study
    from kedro_eeipu.viz.app import create_app

    bootstrap_project(project_path)
    project = Project.load(project_path)
    study = open_study(project.storage, "default")
    ranked = sorted((t.value, t.number) for t in study.trials() if t.value is not None)
    best, second = (number for _, number in ranked[:2])
    page = Page(start_browser())
    page.prefer("dark")
    with serving(create_app(project, study), page) as address:
        page.open(f"{address}?trial={best}")
        page.click("plane_features")
        wait_for(page.cells, "rows")
        page.listed()
        settle()
        page.picture(target / "viz.png")
        page.open(f"{address}?trial={best}&against={second}", panes=2)
        wait_for(lambda: page.outlined(1), "marks")
        settle()
        page.picture(target / "viz-two-trials.png")
    report = target / "report.html"
    report.write_text(
        report_html(
            study.confirmed(study.trials()),
            project.stage_graph(),
            project.space,
            study=study.name,
            maximize=study.maximize,
        )
    )
    page.driver.set_window_size(1400, 1500)
    page.prefer("light")
    page.driver.get(report.as_uri())
    wait_for(page.figures, "figures")
    settle()
    page.picture(target / "report.png")
    page.run(
        "[...document.querySelectorAll('h2')].find((e) => e.textContent.startsWith('Which'))"
        ".scrollIntoView()"
    )
    settle()
    page.picture(target / "report-beliefs.png")
    report.unlink()
    page.driver.quit()


def settle() -> None:
    """Let animations end, which no event tells of."""
    time.sleep(2.0)


if __name__ == "__main__":
    os.environ.setdefault("DO_NOT_TRACK", "1")
    draw(Path(sys.argv[1]).resolve(), Path(__file__).parents[2] / "docs" / "pages" / "images")
