"""`tune` as a function, for notebooks and scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kedro_eeipu.notebook.study import Study, selected
from kedro_eeipu.project.selection import DEFAULT_PIPELINE

__all__ = ["tune"]


def tune(
    study: str | None = None,
    *,
    project: str | Path | None = None,
    pipeline: str = DEFAULT_PIPELINE,
    env: str | None = None,
    params: Mapping[str, Any] | None = None,
    conf_source: str | None = None,
    trials: int | None = None,
    budget: float | str | None = None,
    stop: str | None = None,
    own: Sequence[str | Mapping[str, Any]] | str | Mapping[str, Any] = (),
    former: Sequence[str] = (),
    sampler: str = "eeipu",
    seed: int = 0,
    runner: str = "SequentialRunner",
    workers: int | None = None,
    scheduler: str | None = None,
    quiet: bool = False,
) -> Study:
    """Run trials until a limit is reached, as `kedro eeipu tune` does, and return the study.

    Interrupt it any time: the same call resumes.

    Args:
        study: The study; by default the one named after the pipeline.
        project: The project's root; by default the project around the working directory.
        pipeline: Registered pipeline.
        env: Configuration environment.
        params: Runtime parameters, nested, as for `kedro run`.
        conf_source: Another configuration folder than the project's own.
        trials: Number of trials, earlier ones of the study counted in.
        budget: Node time: seconds, or a text such as ``30min``.
        stop: ``auto`` to stop, too, when another trial is not worth its cost.
        own: Values to be tried first, each once: ``{"model.depth": 5}``, or a list of such.
        former: Earlier studies to learn from, too: names, or ``FILE:NAME`` of another file.
        sampler: ``eeipu``, ``random``, ``tpe`` or ``gp``.
        seed: Seed of the sampler.
        runner: Kedro's runner for the nodes.
        workers: Number of trials at a time, in their own processes.
        scheduler: Address of a Dask cluster.
        quiet: Whether nothing is printed.

    Raises:
        ConfigurationError: Something is wrong in the configuration or in what is asked for.
        StudyStopped: Too many trials have failed.
    """
    from rich.console import Console

    from kedro_eeipu.cli.progress import PlainView
    from kedro_eeipu.errors import ConfigurationError
    from kedro_eeipu.logs import logs_to_stderr
    from kedro_eeipu.study.sampler_names import SAMPLERS
    from kedro_eeipu.tuning.holdout import measure_holdout, unmeasured
    from kedro_eeipu.tuning.options import TuneOptions

    for name, given, allowed in (
        ("sampler", sampler, SAMPLERS),
        ("stop", stop, (None, "auto")),
    ):
        if given not in allowed:
            choices = ", ".join(repr(a) for a in allowed)
            raise ConfigurationError(f"{name} is {given!r}", remedy=f"Known: {choices}.")
    selection = selected(study, project, pipeline, env, params, conf_source)
    logs_to_stderr()
    loaded = selection.load_project()
    options = TuneOptions(
        trials=trials,
        budget=budget,
        auto=stop == "auto",
        own=own,
        former=former,
        sampler=sampler,
        seed=seed,
        runner=runner,
        workers=workers,
        scheduler=scheduler,
    )
    # Plain text: rich would show each line in its own block.
    console = Console(quiet=quiet, force_jupyter=False)
    tuner = options.prepare(loaded, selection.study_name, lambda limits: PlainView(console, limits))
    before = len(tuner.study.trials())
    result = tuner.run()
    if result.best is not None:
        again = len(tuner.study.trials()) > before
        measure_holdout(
            loaded, tuner.study, unmeasured(loaded, tuner.study, result.best, again=again)
        )
    console.print(f"Stopped: {result.stopped}.", highlight=False, soft_wrap=True, markup=False)
    return Study(selection)
