"""The instructions of a code object, without what the layout of its source leaves in them."""

from __future__ import annotations

import dis
from collections.abc import Iterator
from types import CodeType
from typing import Any, NamedTuple

__all__ = [
    "Op",
    "chain_after",
    "code_tree",
    "expression_start",
    "operations",
    "without_cosmetic_assignments",
]

_PADDING = frozenset({"CACHE", "EXTENDED_ARG", "NOP", "RESUME", "MAKE_CELL", "NOT_TAKEN"})
# One instruction or two, depending on line breaks.
_SUPERINSTRUCTIONS = {
    "LOAD_FAST_LOAD_FAST": ("LOAD_FAST", "LOAD_FAST"),
    "LOAD_FAST_BORROW_LOAD_FAST_BORROW": ("LOAD_FAST_BORROW", "LOAD_FAST_BORROW"),
    "STORE_FAST_LOAD_FAST": ("STORE_FAST", "LOAD_FAST"),
    "STORE_FAST_STORE_FAST": ("STORE_FAST", "STORE_FAST"),
}
# Assigned in class bodies, without effect on what the class does.
_COSMETIC_NAMES = frozenset({"__doc__", "__firstlineno__", "__static_attributes__"})


class Op(NamedTuple):
    """An instruction.

    Attributes:
        offset: where it stands, to which jumps refer.
        name: as ``dis`` calls it.
        arg: its argument, a number.
        value: the name, constant or jump target for which the argument stands.
        kind: of the value: ``"const"``, ``"name"``, ``"local"``, ``"free"``, ``"jump"`` or, where
            the argument is what it is, ``""``.
    """

    offset: int
    name: str
    arg: int | None
    value: Any
    kind: str


def operations(code: CodeType) -> Iterator[Op]:
    """The instructions of a code object, except padding."""
    for instruction in dis.get_instructions(code):
        name, arg = instruction.opname, instruction.arg
        if name in _PADDING:
            continue
        if name in _SUPERINSTRUCTIONS:
            for part, variable in zip(_SUPERINSTRUCTIONS[name], instruction.argval, strict=True):
                yield Op(instruction.offset, part, None, variable, "local")
            continue
        kind, value = _kind(instruction.opcode), instruction.argval
        if kind == "const" and arg is not None:
            value = code.co_consts[arg]
        yield Op(instruction.offset, name, arg, value, kind)


def _kind(opcode: int) -> str:
    if opcode in dis.hasconst:
        return "const"
    if opcode in dis.hasname:
        return "name"
    if opcode in dis.haslocal:
        return "local"
    if opcode in dis.hasfree:
        return "free"
    return "jump" if opcode in dis.hasjrel or opcode in dis.hasjabs else ""


def without_cosmetic_assignments(ops: list[Op]) -> list[Op]:
    """Leave out what only describes a class: its docstring and the like."""
    dropped = set()
    for index, op in enumerate(ops):
        if op.name == "STORE_NAME" and op.value in _COSMETIC_NAMES and index:
            dropped |= {index - 1, index}
    return [op for index, op in enumerate(ops) if index not in dropped]


def expression_start(ops: list[Op], end: int) -> int:
    """Index of the first of the instructions that together push one value and end at ``end``."""
    pushed = 0
    for index in range(end - 1, -1, -1):
        opcode = dis.opmap[ops[index].name]
        pushed += dis.stack_effect(opcode, ops[index].arg if opcode >= dis.HAVE_ARGUMENT else None)
        if pushed == 1:
            return index
    return end


def chain_after(ops: list[Op], index: int) -> tuple[str, ...]:
    """Names of the attributes that are looked up, one on the other, on what ``index`` loads."""
    names = []
    for op in ops[index + 1 :]:
        if op.name == "PUSH_NULL":
            continue
        if op.name not in ("LOAD_ATTR", "LOAD_METHOD"):
            break
        names.append(str(op.value))
    return tuple(names)


def code_tree(code: CodeType) -> Iterator[CodeType]:
    """A code object and all that are nested in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from code_tree(constant)
