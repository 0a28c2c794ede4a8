"""Keeping secrets out of what is shown: credentials, and parameters that are named like secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from kedro.config import MissingConfigException
from kedro.framework.context import KedroContext

from kedro_eeipu.config.loading import UNREADABLE

__all__ = ["HIDDEN", "Redactor", "is_secret", "without_hidden"]

HIDDEN = "•••"
_NAMES = re.compile(
    r"(^|[_.-])(password|passwd|passphrase|secrets?|token|credentials?|"
    r"(api|access|private|secret)[_-]?key)($|[_.-])",
    re.IGNORECASE,
)
# The user and the password of a URL; what is assigned to a name of a secret, there or elsewhere.
_IN_URL = re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^\s/@'\"]+@", re.IGNORECASE)
_ASSIGNED = re.compile(
    r"(?<![a-z0-9])((?:[\w.-]*[_.-])?(?:password|passwd|pwd|passphrase|secret|token|credential|"
    r"signature|sig|(?:api|access|private|secret)[_-]?key)=)(?!=)[^\s&,;'\"]+",
    re.IGNORECASE,
)
_SHORTEST_LINE = 16
# Shorter strings, a user name for example, are too likely to be words of something else.
_SHORTEST = 6


class Redactor:
    """Hides secrets in text and in values.

    Args:
        secrets: Strings that are never to be shown. Those of less than six characters are left
            alone, as they would turn up everywhere.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        spellings = {s for secret in secrets for s in _spellings(secret)}
        hidden = sorted({s for s in spellings if len(s) >= _SHORTEST}, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, hidden))) if hidden else None

    @classmethod
    def of(cls, context: KedroContext) -> Redactor:
        """Of a project: its credentials, and globals and parameters that are named like secrets.

        What a search tunes is no secret, whatever it is called.
        """
        loader: Any = context.config_loader
        secrets = list(_strings(_config(loader, "credentials")))
        secrets += _strings(_only_secret(_config(loader, "globals")))
        parameters = dict(_config(loader, "parameters"))
        searches = [parameters.pop(key) for key in list(parameters) if _is_search(key)]
        tuned = {str(path) for search in searches for path in _ranges(search)}
        for given in (parameters, loader.runtime_params):
            secrets += _strings(_only_secret(given, shown=frozenset(tuned)))
        return cls(secrets)

    def text(self, text: str) -> str:
        """The text, every secret in it hidden, and what URLs and ``password=…`` hold of secrets."""
        if self._pattern is not None:
            text = self._pattern.sub(HIDDEN, text)
        text = _IN_URL.sub(rf"\1{HIDDEN}@", text)
        return _ASSIGNED.sub(rf"\1{HIDDEN}", text)

    def value(self, value: Any) -> Any:
        """A value made of mappings, sequences and scalars, the secrets in its strings hidden."""
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


def without_hidden(parameters: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Parameters as they were stored, without the sections that hold something hidden.

    Returns:
        The other sections, and the dotted paths of what is hidden.
    """
    kept, hidden = {}, []
    for section, value in parameters.items():
        paths = list(_hidden_paths(value, str(section)))
        hidden += paths
        if not paths:
            kept[section] = value
    return kept, hidden


def _hidden_paths(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _hidden_paths(inner, f"{path}.{key}")
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _hidden_paths(inner, path)
    elif isinstance(value, str) and HIDDEN in value:
        yield path


def is_secret(path: str) -> bool:
    """Whether a parameter or a part of its path is named like a secret."""
    return _NAMES.search(path) is not None


def _only_secret(value: Any, path: str = "", shown: frozenset[str] = frozenset()) -> Any:
    if isinstance(value, Mapping):
        return [_only_secret(v, f"{path}.{k}" if path else str(k), shown) for k, v in value.items()]
    return value if is_secret(path) and path not in shown else None


def _is_search(section: object) -> bool:
    return section == "eeipu" or str(section).startswith("eeipu_")


def _ranges(search: Any) -> Iterable[object]:
    space = search.get("space") if isinstance(search, Mapping) else None
    return space if isinstance(space, Mapping) else ()


def _spellings(secret: str) -> Iterator[str]:
    """A secret as it may occur in a text: in a URL, in quotes, a line of a key."""
    yield secret
    yield quote(secret, safe="")
    yield quote_plus(secret)
    yield repr(secret)[1:-1]
    yield json.dumps(secret)[1:-1]
    lines = secret.splitlines()
    if len(lines) > 1:
        yield from (line for line in lines if len(line) >= _SHORTEST_LINE)


def _config(loader: Any, name: str) -> Any:
    try:
        return loader[name]
    except (MissingConfigException, KeyError):
        return {}
    except UNREADABLE:  # what cannot be read is refused where it is needed
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
