"""The one kind of error that is shown to users as a message, never as a traceback."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from kedro_eeipu.wording import did_you_mean

__all__ = [
    "ConfigurationError",
    "EEIPUError",
    "ObjectiveError",
    "StudyStopped",
    "error_text",
    "refuse_unknown_keys",
]

_LONGEST_TEXT = 20_000
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")  # all but tabs and ends of lines


class EEIPUError(Exception):
    """Something a user can fix; its text says what is wrong, where, and what to do."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows in the place of a traceback."""
        return [f"{type(self).__name__}: {self}"]


class ConfigurationError(EEIPUError):
    """Wrong usage or configuration (exit code 2).

    Args:
        problem: What is wrong, in one sentence.
        where: The file and key that hold it, e.g. ``conf/base/parameters.yml: eeipu.space``.
        remedy: What to write or run instead.
    """

    def __init__(self, problem: str, *, where: str = "", remedy: str = "") -> None:
        self.problem, self.where, self.remedy = problem, where, remedy
        super().__init__(
            "\n".join(filter(None, (f"{where}: {problem}" if where else problem, remedy)))
        )


class ObjectiveError(ConfigurationError):
    """The nodes have run, but the value of the trial cannot be read from what they returned."""


class StudyStopped(EEIPUError):
    """It makes no sense to continue the study (exit code 1); everything recorded so far is kept."""


def error_text(error: BaseException) -> str:
    """What anybody's code has raised, as text that can be stored and printed.

    An exception may hold bytes that are no text (a lone surrogate), a megabyte, or raise itself
    when it is asked for its text.
    """
    name = type(error).__name__
    try:
        text = f"{name}: {error}"
    except Exception as second:
        text = f"{name} (its text cannot be shown: {type(second).__name__})"
    if len(text) > _LONGEST_TEXT:
        half = _LONGEST_TEXT // 2
        text = f"{text[:half]} [...] {text[-half:]}"
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def refuse_unknown_keys(keys: Iterable[object], allowed: Collection[str], where: str) -> None:
    """Refuse a key that a mapping in the configuration cannot have.

    Args:
        keys: The keys that it has.
        allowed: Those that it may have.
        where: The file and key that hold it.

    Raises:
        ConfigurationError: One of them is unknown.
    """
    for key in keys:
        if key not in allowed:
            raise ConfigurationError(
                f"unknown key '{key}'",
                where=where,
                remedy=did_you_mean(str(key), allowed) or f"Known: {', '.join(sorted(allowed))}.",
            )
