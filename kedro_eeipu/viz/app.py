"""The application that ``kedro eeipu viz`` serves: Kedro-Viz's page, and trials to choose from.

The page at ``/`` has the picker and shows Kedro-Viz's own page, ``view/``, once or twice. What
that page asks of ``api/`` goes to ``trials/<number>/api/``, so that every tab and every half has
its own trial and the server keeps no state. A saved site has its files at the same addresses.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.specifiers import SpecifierSet

from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.study.explain import History
from kedro_eeipu.study.records import with_defaults
from kedro_eeipu.viz.answers import Answers
from kedro_eeipu.viz.hosts import OnlyOurHosts
from kedro_eeipu.viz.live_report import LiveReport

if TYPE_CHECKING:
    from kedro_eeipu.project.project import Project
    from kedro_eeipu.study.records import TrialRecord
    from kedro_eeipu.study.storage import TrialStudy

__all__ = [
    "STATIC",
    "TESTED",
    "Pages",
    "about",
    "create_app",
    "encoded",
    "kedro_viz_html",
    "require_kedro_viz",
    "shown_trial",
    "view_page",
]

# Kedro-Viz's page offers its own publishing only with this package.
PACKAGES = [{"package_name": "fsspec", "package_version": "", "is_compatible": False}]
TESTED = SpecifierSet(">=12.3,<13")
STATIC = Path(__file__).parent / "static"
_OURS = '<script src="../static/view.js"></script><link rel="stylesheet" href="../static/view.css">'


class Pages:
    """All that can be asked for, by address, as JSON documents.

    Args:
        project: The project.
        study: The study whose trials are shown; read again whenever the list is asked for.
    """

    def __init__(self, project: Project, study: TrialStudy) -> None:
        self.study = study
        self.project = project
        redactor = project.redactor
        self.answers = Answers(project, redactor)
        self._lock = threading.Lock()
        self._history = History()
        self._listed: dict[int, dict[str, Any]] = {}

    def trials(self) -> dict[str, Any]:
        """The study for the picker, the best trial first, then those that have no value.

        Trials from before an edit come last.
        """
        sign = -1 if self.study.maximize else 1
        ranked = sorted(
            self.study.trials(),
            key=lambda t: (
                bool(self.study.changes(t)),
                t.value is None,
                sign * (t.value or 0.0),
                t.number,
            ),
        )
        current = [t for t in ranked if t.value is not None and not self.study.changes(t)]
        defaults = with_defaults(current, self.project.space, current[0]) if current else None
        return {
            "study": self.study.name,
            "defaults": None if defaults is None else defaults.number,
            "objective": str(self.project.space.objective),
            "maximize": self.study.maximize,
            "trials": [
                {
                    **self._in_list(t),
                    "confirmation": t.confirmation.words if t.confirmation else "",
                }
                for t in self.study.confirmed(ranked)
            ],
        }

    def _in_list(self, trial: TrialRecord) -> dict[str, Any]:
        """A trial as the picker lists it; one that has ended never changes."""
        listed = self._listed.get(trial.number)
        if listed is None:
            listed = self.answers.listed(trial, self.study.changes(trial))
            if trial.state != "running":
                self._listed[trial.number] = listed
        return listed

    def _ended(self, trials: Sequence[TrialRecord]) -> History:
        """The trials that have ended so far."""
        with self._lock:
            for trial in trials:
                if trial.state != "running" and trial.number not in self._history:
                    self._history.add(trial)
            return self._history

    def trial(self, number: int, path: str) -> dict[str, Any]:
        """One document of a trial.

        Args:
            number: The trial.
            path: ``facts``, ``api/main``, ``api/run-status``, ``api/pipelines/<id>`` or
                ``api/nodes/<id>``.

        Raises:
            KeyError: There is none.
        """
        trials = self.study.trials()
        if not 0 <= number < len(trials):
            raise KeyError(number)
        trial = trials[number]
        if path == "facts":
            return self.answers.facts(trial)
        if path == "api/main" or path.startswith("api/pipelines/"):
            return self.answers.main(trial)
        if path == "api/run-status":
            return self.answers.run_status(trial)
        if path.startswith("api/nodes/"):
            return self.answers.node(trial, self._ended(trials), path.removeprefix("api/nodes/"))
        raise KeyError(path)


def create_app(project: Project, study: TrialStudy, host: str = "127.0.0.1") -> Any:
    """The application, for any ASGI server.

    Args:
        project: The project.
        study: The study whose trials are shown.
        host: The address that it is served on.

    Raises:
        ConfigurationError: Kedro-Viz is not installed.
    """
    require_kedro_viz()
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.requests import Request
    from starlette.responses import FileResponse, HTMLResponse, Response
    from starlette.routing import Mount, Route
    from starlette.staticfiles import StaticFiles

    pages, live = Pages(project, study), LiveReport(project, study)
    html = kedro_viz_html()
    view = view_page(html)

    def listing(request: Request) -> Response:
        document = encoded(pages.trials())
        tag = f'"{hashlib.sha1(document).hexdigest()}"'
        if request.headers.get("If-None-Match") == tag:
            return Response(status_code=304)
        return Response(document, media_type="application/json", headers={"ETag": tag})

    def document(request: Request) -> Response:
        try:
            answer = pages.trial(request.path_params["number"], request.path_params["path"])
        except KeyError:
            raise HTTPException(404, "there is no such thing") from None
        return Response(encoded(answer), media_type="application/json")

    def file(path: Path) -> Callable[[Request], Response]:
        return lambda request: FileResponse(path)

    def fixed(document: Any) -> Callable[[Request], Response]:
        return lambda request: Response(encoded(document), media_type="application/json")

    def page(request: Request) -> Response:
        return HTMLResponse(view)

    def shown_report(request: Request) -> Response:
        return HTMLResponse(live.page())

    def report_tag(request: Request) -> Response:
        return Response(encoded({"tag": live.tag()}), media_type="application/json")

    served = Starlette(
        routes=[
            Route("/trials.json", listing),
            Route("/trials/{number:int}/{path:path}", document),
            Route("/report.html", shown_report),
            Route("/report.json", report_tag),
            Route("/view/", page),
            Route("/view/workflow", page),
            *(Route(f"/view/api/{name}", fixed(answer)) for name, answer in about().items()),
            Route("/favicon.ico", file(html / "favicon.ico")),
            Route("/", file(STATIC / "shell.html")),
            Mount("/view/assets", StaticFiles(directory=html / "assets")),
            Mount("/static", StaticFiles(directory=STATIC)),
        ]
    )
    served.add_middleware(OnlyOurHosts, host=host)
    return served


def require_kedro_viz() -> str:
    """The version of Kedro-Viz.

    Raises:
        ConfigurationError: It is not installed.
    """
    try:
        import kedro_viz
    except ImportError:
        raise ConfigurationError(
            "Kedro-Viz is not installed", remedy="pip install 'kedro-eeipu[viz]'"
        ) from None
    return str(kedro_viz.__version__)


def kedro_viz_html() -> Path:
    """Where Kedro-Viz keeps its page."""
    import kedro_viz

    return Path(kedro_viz.__file__).parent / "html"


def view_page(html: Path) -> str:
    """Kedro-Viz's page with our script in it, and without what it loads from the internet."""
    page = (html / "index.html").read_text(encoding="utf-8")
    page = re.sub(r"<link\b[^>]*https?://[^>]*>", "", page)
    return page.replace("<head>", f"<head>{_OURS}", 1)


def about() -> dict[str, Any]:
    """What Kedro-Viz's page asks about itself, answered without asking the internet."""
    version = require_kedro_viz()
    return {
        "version": {"installed": version, "is_outdated": False, "latest": version},
        "metadata": {"has_missing_dependencies": False, "package_compatibilities": PACKAGES},
        "deploy-viz-metadata": {"timestamp": "", "version": version},
    }


def encoded(document: Any) -> bytes:
    """A document as JSON; numbers that JSON does not know become null."""
    import orjson

    text: bytes = orjson.dumps(document, default=str, option=orjson.OPT_NON_STR_KEYS)
    return text


def shown_trial(study: TrialStudy, number: int | None) -> TrialRecord:
    """The trial to begin with: the one asked for, else the best, else the latest that has ended.

    Raises:
        ConfigurationError: There is none.
    """
    trials = study.trials()
    if number is None:
        ended = [t for t in trials if t.nodes]
        best = study.best() or (ended[-1] if ended else None)
        if best is None:
            raise ConfigurationError(
                f"study '{study.name}' has no trial to show yet",
                remedy="`kedro eeipu tune` makes some.",
            )
        return best
    if not 0 <= number < len(trials) or not trials[number].nodes:
        raise ConfigurationError(
            f"study '{study.name}' has no trial {number} to show",
            remedy="`kedro eeipu trials` lists them.",
        )
    return trials[number]
