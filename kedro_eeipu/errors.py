"""The one kind of error that is shown to users as a message, never as a traceback."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from kedro_eeipu.wording import did_you_mean

__all__ = [
    "ConfigurationError",
    "EEIPUError",
    "ObjectiveError",
    "StudyStopped",
    "refuse_unknown_keys",
]


class EEIPUError(Exception):
    """Something a user can fix; its text says what is wrong, where, and what to do."""


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
    """The study cannot usefully go on (exit code 1); everything recorded so far is kept."""


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
