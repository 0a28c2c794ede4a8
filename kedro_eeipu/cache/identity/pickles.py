"""What code a pickle file needs, found without unpickling it.

A pickled object is its state in the file and its class in the project; when the class is edited,
the file is another input although its bytes are the same.
"""

from __future__ import annotations

import importlib
import io
import pickletools
import re
from typing import IO, Any

from kedro_eeipu.cache.identity.origin import origin_of

__all__ = ["find", "globals_inside", "project_globals"]

_MAX_OPERATIONS = 3_000_000
# How a pickle begins.
_PICKLES = re.compile(rb"\x80(?:[\x04\x05]\x95|[\x02\x03][c}\](X])")
# The same in MessagePack's list of small numbers, in which polars keeps functions of whole frames.
_PACKED = re.compile(rb"\xcc\x80[\x04\x05]\xcc\x95")
_PACKED_NUMBER = re.compile(rb"\xcc(.)", re.DOTALL)
_MOST_PACKED = 1 << 20
_STRINGS = frozenset({"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE"})
_PUTS = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_GETS = frozenset({"GET", "BINGET", "LONG_BINGET"})


def project_globals(file: IO[bytes]) -> frozenset[str]:
    """Return ``"module:qualname"`` of the project's classes and functions that a pickle names.

    The pickle begins where the file stands. A file that is not a pickle names none. Where a pickle
    is followed by other data, as joblib writes it, what comes before counts.

    Raises:
        OverflowError: the pickle is too long to be read operation by operation.
    """
    start = file.tell()
    head = file.read(2)
    file.seek(start)
    if len(head) < 2 or head[0] != 0x80 or not 2 <= head[1] <= 5:
        return frozenset()
    names = set()
    for module, name in _globals(file):
        if origin_of(module).is_project:
            names.add(f"{module}:{name}")
    return frozenset(names)


def globals_inside(data: bytes) -> frozenset[str]:
    """The project code that pickles somewhere inside of bytes name, as those of polars do.

    Raises:
        OverflowError: one of them is too long to be read operation by operation.
    """
    names: frozenset[str] = frozenset()
    file = io.BytesIO(data)
    for match in _PICKLES.finditer(data):
        file.seek(match.start())
        names |= project_globals(file)
    for match in _PACKED.finditer(data):
        packed = data[match.start() : match.start() + _MOST_PACKED]
        names |= project_globals(io.BytesIO(_PACKED_NUMBER.sub(rb"\1", packed)))
    return names


def find(name: str) -> Any:
    """What is called ``module:qualname``, None where there is no such thing.

    Of a method its function: what it is bound to is no part of the code.
    """
    module, _, path = name.partition(":")
    try:
        obj: Any = importlib.import_module(module)
        for part in path.split("."):
            obj = getattr(obj, part)
    except (ImportError, AttributeError):
        return None
    return getattr(obj, "__func__", obj)


def _globals(file: IO[bytes]) -> set[tuple[str, str]]:
    """Modules and names that a pickle looks up.

    A pickle is a program for a machine with a stack and a memo. Only strings matter here, so of
    the stack no more is kept than the last two of them.
    """
    names: set[tuple[str, str]] = set()
    strings = _Strings()
    operations = 0
    try:
        for opcode, argument, _ in pickletools.genops(file):
            operations += 1
            if operations > _MAX_OPERATIONS:
                break
            if opcode.name == "GLOBAL":  # up to protocol 3: both are in its argument
                module, _, qualname = str(argument).partition(" ")
                names.add((module, qualname))
            elif opcode.name == "STACK_GLOBAL" and len(strings.last_two) == 2:
                module, qualname = strings.last_two
                names.add((module, qualname))
            strings.follow(opcode.name, argument)
    except Exception:
        return names  # the pickle ended; whatever follows is data
    if operations > _MAX_OPERATIONS:
        raise OverflowError("the pickle is too long to be looked through")
    return names


class _Strings:
    """The strings that a pickle has on its stack, as far as STACK_GLOBAL needs them.

    It takes a module and a name from the stack. Both were put there right before, from the pickle
    itself or from the memo, so they are the last two strings that were pushed.

    Attributes:
        last_two: the last strings that were pushed, at most two.
    """

    def __init__(self) -> None:
        self.last_two: list[str] = []
        self._top: str | None = None  # of the stack, None if it is no string
        self._memo: dict[int, str | None] = {}

    def follow(self, opcode: str, argument: Any) -> None:
        """Do to the stack and the memo what an operation does to them."""
        if opcode in _STRINGS:  # pushes its argument
            self._push(argument)
        elif opcode in _GETS:  # pushes what the memo holds
            self._push(self._memo.get(int(argument)))
        elif opcode == "MEMOIZE":  # copies the top to the next place of the memo
            self._memo[len(self._memo)] = self._top
        elif opcode in _PUTS:  # copies the top to a given place
            self._memo[int(argument)] = self._top
        else:  # leaves something else on top
            self._top = None

    def _push(self, value: str | None) -> None:
        self._top = value
        if value is not None:
            self.last_two = [*self.last_two[-1:], value]
