"""Keeping secrets out of what is shown: credentials, and parameters that are named like secrets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kedro.config import MissingConfigException
from kedro.framework.context import KedroContext

__all__ = ["HIDDEN", "Redactor", "is_secret"]

HIDDEN = "•••"
_NAMES = re.compile(
    r"(^|[_.-])(password|passwd|passphrase|secrets?|token|credentials?|"
    r"(api|access|private|secret)[_-]?key)($|[_.-])",
    re.IGNORECASE,
)
# Shorter strings, a user name for example, are too likely to be words of something else.
_SHORTEST = 6


class Redactor:
    """Hides secrets in text and in values.

    Args:
        secrets: Strings that are never to be shown. Those of less than six characters are left
            alone, as they would turn up everywhere.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        found = sorted({s for s in secrets if len(s) >= _SHORTEST}, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, found))) if found else None

    @classmethod
    def of(cls, context: KedroContext) -> Redactor:
        """Of a project: its credentials, and its globals that are named like secrets."""
        loader: Any = context.config_loader
        secrets = list(_strings(_config(loader, "credentials")))
        secrets += _strings(_only_secret(_config(loader, "globals")))
        return cls(secrets)

    def text(self, text: str) -> str:
        """The text, every secret in it hidden."""
        return text if self._pattern is None else self._pattern.sub(HIDDEN, text)

    def value(self, value: Any) -> Any:
        """A value made of mappings, sequences and scalars, the secrets in its strings hidden."""
        if self._pattern is None:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.value(k): self.value(v) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.value(v) for v in value]
        return value

    def parameters(self, value: Any, path: str = "", shown: Iterable[str] = ()) -> Any:
        """Values of parameters; those that are named like secrets are hidden as a whole.

        Args:
            value: A parameter, or a mapping of them.
            path: Its dotted path.
            shown: Paths that are no secrets, whatever they are called.
        """
        if isinstance(value, Mapping):
            return {
                k: self.parameters(v, f"{path}.{k}" if path else str(k), shown)
                for k, v in value.items()
            }
        if is_secret(path) and path not in shown and not isinstance(value, (bool, type(None))):
            return HIDDEN
        return self.value(value)


def is_secret(path: str) -> bool:
    """Whether a parameter or a part of its path is named like a secret."""
    return _NAMES.search(path) is not None


def _only_secret(value: Any, path: str = "") -> Any:
    if isinstance(value, Mapping):
        return [_only_secret(v, f"{path}.{k}") for k, v in value.items()]
    return value if is_secret(path) else None


def _config(loader: Any, name: str) -> Any:
    try:
        return loader[name]
    except (MissingConfigException, KeyError):
        return {}


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _strings(inner)
