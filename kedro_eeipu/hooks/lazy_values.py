"""What hooks of other plugins get of a node that is reused: its values, loaded when looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from kedro_eeipu.errors import EEIPUError

__all__ = ["LazyValues", "ValueGoneError"]

_NOT_LOADED: Any = object()


class ValueGoneError(EEIPUError):
    """A hook looks at a value of a reused node that cannot be loaded any more."""


class LazyValues(dict[str, Any]):
    """A dict whose values are loaded one by one, each when somebody looks at it.

    Names, their number and whether one is there are known without loading. All that shows values
    loads them: `dict()`, `**`, `|`, `==`, `repr`, `json`, `pickle` and copies too. CPython copies a
    dict past its methods unless its class has its own `__iter__`.

    Args:
        names: The keys.
        load: Loads the value of a key.
    """

    def __init__(self, names: Iterable[str], load: Callable[[str], Any]) -> None:
        super().__init__(dict.fromkeys(names, _NOT_LOADED))
        self._load = load

    def __iter__(self) -> Iterator[str]:
        return super().__iter__()

    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(name)
        if value is _NOT_LOADED:
            value = self._load(name)
            self[name] = value
        return value

    def get(self, name: str, default: Any = None) -> Any:
        return self[name] if name in self else default  # noqa: SIM401

    def setdefault(self, name: str, default: Any = None) -> Any:
        return self[name] if name in self else super().setdefault(name, default)

    def pop(self, name: str, *default: Any) -> Any:
        if name in self:
            self[name]
        return super().pop(name, *default)

    def popitem(self) -> tuple[str, Any]:
        return next(reversed(self)), self.pop(next(reversed(self)))

    def values(self) -> Any:
        return self._loaded().values()

    def items(self) -> Any:
        return self._loaded().items()

    def copy(self) -> dict[str, Any]:
        return dict(self._loaded())

    def __or__(self, other: Any) -> Any:
        return self._loaded() | other

    def __ror__(self, other: Any) -> Any:
        return other | self._loaded()

    def __eq__(self, other: object) -> bool:
        return self._loaded() == other

    def __ne__(self, other: object) -> bool:
        return self._loaded() != other

    __hash__ = None

    def __repr__(self) -> str:
        return repr(self._loaded())

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (self._loaded(),)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return self.__reduce__()

    def __copy__(self) -> dict[str, Any]:
        return self.copy()

    def _loaded(self) -> dict[str, Any]:
        """All values, in a dict as any other."""
        return {name: self[name] for name in self}
