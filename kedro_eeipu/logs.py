"""Where the log of a command, or of a worker that runs its trials, goes."""

from __future__ import annotations

import logging
import warnings

__all__ = ["logs_to_stderr"]


def logs_to_stderr() -> None:
    """Keep stdout for what the command prints: Kedro's log goes there by default."""
    from rich.console import Console
    from rich.logging import RichHandler

    for handler in logging.getLogger().handlers:
        if isinstance(handler, RichHandler):
            handler.console = Console(stderr=True)
    logging.getLogger("kedro").setLevel(logging.WARNING)
    # Kedro calls it for every context, so once a trial.
    warnings.filterwarnings("ignore", message=r"\s*register_new_resolver")
