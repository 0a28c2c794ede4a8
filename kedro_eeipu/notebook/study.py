"""A study as an object, for notebooks and scripts.

from kedro_eeipu import load_study

study = load_study()
study.trials.sort_values("value")
study.plot.history()
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.framework.startup import bootstrap_project
from kedro.utils import find_kedro_project

from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.notebook.display import Best, Page, html_table
from kedro_eeipu.project.selection import DEFAULT_PIPELINE, Selection
from kedro_eeipu.wording import counted, duration

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

    from kedro_eeipu.project.project import Project
    from kedro_eeipu.reporting.view import StudyView
    from kedro_eeipu.study.storage import TrialStudy

__all__ = ["Plots", "Study", "load_study", "selected"]


def load_study(
    name: str | None = None,
    *,
    project: str | Path | None = None,
    pipeline: str = DEFAULT_PIPELINE,
    env: str | None = None,
    params: Mapping[str, Any] | None = None,
    conf_source: str | None = None,
) -> Study:
    """A study of a Kedro project.

    Args:
        name: The study; by default the one named after the pipeline.
        project: The project's root; by default the project around the working directory.
        pipeline: Registered pipeline.
        env: Configuration environment; by default that of the latest trial.
        params: Runtime parameters, nested, as for `kedro run`; by default those of the latest
            trial.
        conf_source: Another configuration folder than the project's own.

    Raises:
        ConfigurationError: There is no such project or study, or its configuration is wrong.
    """
    return Study(selected(name, project, pipeline, env, params, conf_source))


def selected(
    name: str | None,
    project: str | Path | None,
    pipeline: str,
    env: str | None,
    params: Mapping[str, Any] | None,
    conf_source: str | None,
) -> Selection:
    """What these arguments select, of a project that is bootstrapped here.

    Raises:
        ConfigurationError: There is no project, or the parameters are not a mapping.
    """
    if params is not None and not isinstance(params, Mapping):
        raise ConfigurationError(
            f"params is {params!r}, not a mapping",
            remedy="Write them nested, for example params={'model': {'depth': 5}}.",
        )
    path = find_kedro_project(Path.cwd()) if project is None else Path(project).absolute()
    if path is None or not (Path(path) / "pyproject.toml").exists():
        raise ConfigurationError(
            "there is no Kedro project here",
            where=str(Path.cwd() if path is None else path),
            remedy="Change into one, or name its root: project='…'.",
        )
    bootstrap_project(Path(path))
    return Selection(Path(path), name, pipeline, env, dict(params or {}), conf_source)


class Study:
    """A study: its trials, the best of them, its figures and its report.

    It reads trials again whenever it is asked, so it follows a study that is being tuned. Code and
    configuration are those of the moment in which it was loaded.

    Attributes:
        name: Its name.
        plot: Its figures.
    """

    def __init__(self, selection: Selection) -> None:
        self._project, self._study = selection.load_study()
        self._selection = selection
        self._shown: tuple[Any, StudyView] | None = None
        self.name = self._study.name
        self.plot = Plots(self)

    @property
    def project(self) -> Project:
        """The project as the commands see it."""
        return self._project

    @property
    def recorded(self) -> TrialStudy:
        """The study as the commands see it; `recorded.optuna` is the study of Optuna."""
        return self._study

    @property
    def trials(self) -> pd.DataFrame:
        """One row per trial, by number: state, value, seconds, and a column for each parameter."""
        try:
            import pandas as pd
        except ImportError:
            raise ConfigurationError(
                "pandas is not installed", remedy="pip install pandas"
            ) from None

        view = self._view()
        numbers = [t.number for t in view.trials]
        paths = dict.fromkeys(path for t in view.trials for path in t.params)
        columns: dict[str, list[Any]] = {
            "state": [t.state for t in view.trials],
            "value": [t.value for t in view.trials],
            "cost_seconds": [t.cost for t in view.trials],
            "saved_seconds": [t.saved for t in view.trials],
            **{path: [t.params.get(path) for t in view.trials] for path in paths},
            "started": [_time(t.started) for t in view.trials],
            "finished": [_time(t.finished) for t in view.trials],
            "confirmed": [t.confirmation and t.confirmation.confirmed for t in view.trials],
            "changed_since": [", ".join(view.changes.get(n, ())) for n in numbers],
            "error": [t.error for t in view.trials],
        }
        table = pd.DataFrame(columns, index=pd.Index(numbers, name="trial"))
        return table.astype({"value": float})

    @property
    def best(self) -> Best:
        """The best trial of today's pipeline beside the project's own values.

        Raises:
            ConfigurationError: No trial of today's pipeline is complete.
        """
        from kedro_eeipu.cli.recorded import confirm_command, verdict

        gain = self._view().gain
        if gain is None:
            raise ConfigurationError(
                f"study '{self.name}' has no complete trial of today's pipeline yet"
            )
        command = confirm_command(self._project, self._study)
        return Best(gain, self._project.space, verdict(gain.best, command))

    def report(self, output: str | Path | None = None) -> Page:
        """The report, which a notebook shows inline.

        Args:
            output: A file to write it to as well.
        """
        from kedro_eeipu.reporting.page import report_html

        view = self._view()
        page = Page(
            report_html(
                view.trials,
                view.graph,
                view.space,
                study=view.study,
                maximize=view.maximize,
                changes=view.changes,
            )
        )
        if output is not None:
            page.save(output)
        return page

    def _view(self) -> StudyView:
        """What the figures are drawn from, read again if there is something new."""
        from kedro_eeipu.reporting.view import StudyView

        trials = self._study.confirmed(self._study.trials())
        state = [(t.number, t.state, t.confirmation, t.holdout) for t in trials]
        if self._shown is None or self._shown[0] != state:
            redactor = self._project.redactor
            view = StudyView(
                trials=[t.redacted(redactor.text, redactor.value) for t in trials],
                graph=self._project.stage_graph(),
                space=self._project.space,
                study=self.name,
                maximize=self._study.maximize,
                changes={t.number: self._study.changes(t) for t in trials},
            )
            self._shown = state, view
        return self._shown[1]

    def __repr__(self) -> str:
        view = self._view()
        gain = view.gain
        best = "no complete trial" if gain is None else gain.in_words()[0].rstrip(".")
        return f"<study {self.name}: {counted(len(view.trials), 'trial')}; {best}>"

    def _repr_html_(self) -> str:
        view = self._view()
        gain = view.gain
        spent, saved = (sum(getattr(t, x) for t in view.done) for x in ("cost", "saved"))
        states = [t.state for t in view.trials]
        rows = [
            ("objective", f"{'maximize' if view.maximize else 'minimize'} {view.objective}"),
            ("trials", ", ".join(f"{states.count(s)} {s}" for s in dict.fromkeys(states)) or "0"),
            ("node time", f"{duration(spent)}, {duration(saved)} saved by reuse"),
        ]
        table = html_table([f"study {self.name}", ""], rows)
        return table if gain is None else table + self.best._repr_html_()


class Plots:
    """The figures of a study, those of the report, as Plotly figures.

    Args:
        study: The study.
    """

    def __init__(self, study: Study) -> None:
        self._study = study

    def history(self) -> go.Figure:
        """The best value against the seconds spent, beside the same trials without reuse."""
        return self._drawn("history")

    def timeline(self) -> go.Figure:
        """One row per trial, one segment per stage: what ran and what was reused."""
        return self._drawn("timeline")

    def stages(self) -> go.Figure:
        """Seconds that each stage ran and saved."""
        return self._drawn("stages")

    def importance(self, stages: bool = False) -> go.Figure:
        """How much each parameter matters.

        Args:
            stages: Whether stages are shown instead.
        """
        return self._drawn("importance", stages)

    def slice(self, paths: Sequence[str] | None = None) -> go.Figure:
        """What the model believes of each parameter around the best trial.

        Args:
            paths: Parameters to show; all by default.
        """
        return self._drawn("slice", self._known(paths))

    def pairs(self, paths: Sequence[str] | None = None) -> go.Figure:
        """What the model believes of each pair of parameters around the best trial.

        Args:
            paths: Parameters to pair; the most important ones by default.
        """
        return self._drawn("pairs", self._known(paths))

    def parallel(self) -> go.Figure:
        """Parallel coordinates of the parameters and the value."""
        return self._drawn("parallel")

    def predictions(self) -> go.Figure:
        """What the model, fitted to the others, predicts for each trial, and what was measured."""
        return self._drawn("predictions")

    def _drawn(self, name: str, *arguments: Any) -> go.Figure:
        from kedro_eeipu.reporting import figures

        return getattr(figures, name)(self._study._view(), *arguments)

    def _known(self, paths: Sequence[str] | None) -> Sequence[str] | None:
        """Paths as they are asked for.

        Raises:
            ConfigurationError: One of them is not tuned.
        """
        tuned = self._study.project.space.paths
        for path in paths or ():
            if path not in tuned:
                raise ConfigurationError(
                    f"'{path}' is not tuned", remedy=f"Known: {', '.join(tuned)}."
                )
        return paths

    def __repr__(self) -> str:
        names = [name for name in vars(Plots) if not name.startswith("_")]
        return f"<figures of study {self._study.name}: {', '.join(f'{n}()' for n in names)}>"


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, tz=timezone.utc)
