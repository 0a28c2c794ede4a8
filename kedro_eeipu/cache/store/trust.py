"""Whether what a store holds may be unpickled, which runs code."""

from __future__ import annotations

from collections.abc import Callable

from kedro_eeipu.cache.files.base import Files
from kedro_eeipu.cache.store.errors import in_words
from kedro_eeipu.cache.store.warnings import Warnings

__all__ = ["distrust"]


def distrust(files: Callable[[], Files], root: str, warnings: Warnings) -> str | None:
    """Why nothing in a store without a secret may be unpickled, ``None`` if all is well.

    Args:
        files: Opens its files.
        root: Where they are.
        warnings: The reason is logged here.
    """
    try:
        reason = files().distrust()
    except ImportError as error:
        reason = f"the library for it is missing: {error}"
        warnings.once("library", f"the cache at {root} is not used, because {reason}")
        return reason
    except Exception as error:
        reason = f"it cannot be examined ({in_words(error)})"
    if reason is not None:
        warnings.once(
            "distrust",
            f"the cache at {root} is not used, because {reason} and loading from it could run "
            "other people's code; give it a secret to sign its records (cache.signing_key in "
            "eeipu.yml)",
        )
    return reason
