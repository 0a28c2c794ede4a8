"""The hook that puts a trial into the catalog that ``kedro viz run --include-hooks`` makes.

Every run of a project imports this module, so it imports nothing that it may not need.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.framework.hooks import hook_impl

if TYPE_CHECKING:
    from kedro.framework.context import KedroContext
    from kedro.io import CatalogProtocol

__all__ = ["TRIAL_VARIABLE", "hooks"]

# The environment variable that names the file in which the trial is described.
TRIAL_VARIABLE = "KEDRO_EEIPU_TRIAL"


class TrialCatalogHooks:
    """Kedro hooks that show a trial where `kedro eeipu viz` has asked for it, and else nothing."""

    def __init__(self) -> None:
        self._context: KedroContext | None = None

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        if TRIAL_VARIABLE in os.environ:
            self._context = context

    @hook_impl
    def after_catalog_created(self, catalog: CatalogProtocol[Any, Any]) -> None:
        if TRIAL_VARIABLE in os.environ and self._context is not None:
            from kedro_eeipu.viz.fallback_catalog import put_trial

            put_trial(catalog, self._context, Path(os.environ[TRIAL_VARIABLE]))


hooks = TrialCatalogHooks()
