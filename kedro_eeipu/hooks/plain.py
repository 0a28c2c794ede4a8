"""Plain runs through the cache, where ``eeipu.yml`` asks for them (``cache: {runs: true}``)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kedro.framework.context import KedroContext
from kedro.pipeline import Pipeline

from kedro_eeipu.config.loading import load_settings
from kedro_eeipu.config.opening import ensure_home, open_store
from kedro_eeipu.config.redaction import Redactor
from kedro_eeipu.hooks.plan import Planner
from kedro_eeipu.hooks.run import PlannedRun
from kedro_eeipu.hooks.run_directory import RunDirectory

__all__ = ["plain_run"]

logger = logging.getLogger(__name__)


def plain_run(
    run_id: str, run_params: Mapping[str, Any], context: KedroContext, pipeline: Pipeline
) -> PlannedRun | None:
    """The run as one through the cache, ``None`` when it was not asked for or cannot be.

    Raises:
        ConfigurationError: Something in ``eeipu.yml`` is wrong.
    """
    settings = load_settings(context)
    if not settings.cache.runs:
        return None
    if run_params.get("only_missing_outputs"):
        logger.info("Not cached: --only-missing-outputs decides which nodes run.")
        return None
    pinned = pipeline.all_outputs() & set(run_params.get("load_versions") or ())
    if pinned:
        logger.info("Not cached: --load-versions pins %s, which the run makes.", sorted(pinned))
        return None
    path = Path(context.project_path)
    return PlannedRun(
        run_id,
        Planner(open_store(context, settings), settings.cache, path),
        RunDirectory(ensure_home(path) / "runs" / run_id, hide=Redactor.of(context).text),
        write_through=True,
        meta={"run": run_id},
    )
