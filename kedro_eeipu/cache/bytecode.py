"""What a code object does, whatever its layout: a digest, and the names it reaches for.

The digest covers the instructions of the code and of the code nested in it, with names and
constants in place of indices and with jumps to instructions in place of offsets. Docstrings,
positions, padding and, unless some string in the code mentions them, the names of local variables
are left out.
"""

from __future__ import annotations

import bisect
import dis
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import CodeType
from typing import Any, NamedTuple

from kedro_eeipu.cache.fingerprint import fingerprint

__all__ = ["CodeFacts", "Use", "code_facts"]

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
# Code that looks names up in strings sees more than its instructions say.
_SEES_LOCALS = frozenset({"locals", "vars", "dir", "eval", "exec", "currentframe", "_getframe"})
_SEES_GLOBALS = frozenset({"eval", "exec", "query", "evaluate", "sql", "globals"})
_SEES_DOCS = frozenset({"__doc__", "getdoc"})
_SEES_HINTS = frozenset(
    {"__annotations__", "get_type_hints", "get_annotations", "signature", "getfullargspec"}
)
_WORD = re.compile(r"[^\W\d]\w*")


class Use(NamedTuple):
    """A name that code looks up outside itself.

    Attributes:
        kind: ``"global"``, ``"word"`` (a global only mentioned in a string), ``"free"`` (a closure
            variable), ``"module"`` (an import inside the function) or ``"member"`` (a
            ``from ... import``).
        name: of the variable, or of the module with leading dots where the import is relative.
        chain: attributes looked up on it at once, as in ``name.a.b``; for ``"member"`` the
            imported name comes first.
    """

    kind: str
    name: str
    chain: tuple[str, ...] = ()


@dataclass(frozen=True)
class CodeFacts:
    """What is known of a code object.

    Attributes:
        digest: of everything the code does by itself.
        uses: in order of first appearance, each once.
        sees_docs, sees_hints: whether it may look at docstrings or annotations of functions.
    """

    digest: bytes
    uses: tuple[Use, ...]
    sees_docs: bool
    sees_hints: bool


_known: dict[int, tuple[CodeType, CodeFacts]] = {}
_lock = threading.Lock()


def code_facts(code: CodeType) -> CodeFacts:
    """Return the facts of ``code``; they are computed once, since code cannot change."""
    known = _known.get(id(code))
    if known is None:
        known = (code, _facts(code))  # the reference keeps the id from being used again
        with _lock:
            _known[id(code)] = known
    return known[1]


def _facts(code: CodeType) -> CodeFacts:
    names = set(_all_names(code))
    words = {word for text in _all_strings(code) for word in _WORD.findall(text)}
    reader = _Reader(words, bool(names & _SEES_LOCALS))
    scope = _Scope(reader, None)
    digest = reader.read(code, scope)
    uses = dict.fromkeys(scope.uses)
    if names & _SEES_GLOBALS:
        uses.update(dict.fromkeys(Use("word", word) for word in sorted(words)))
    return CodeFacts(digest, tuple(uses), bool(names & _SEES_DOCS), bool(names & _SEES_HINTS))


def _all_names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _all_names(constant)


def _all_strings(code: CodeType) -> Iterator[str]:
    for instruction in dis.get_instructions(code):
        if instruction.opcode in dis.hasconst:
            yield from _strings_in(instruction.argval)


def _strings_in(constant: Any) -> Iterator[str]:
    if isinstance(constant, CodeType):
        yield from _all_strings(constant)
    elif isinstance(constant, str):
        yield constant
    elif isinstance(constant, tuple | frozenset):
        for item in constant:
            yield from _strings_in(item)


class _Op(NamedTuple):
    offset: int
    name: str
    arg: int | None
    value: Any  # name, constant or jump target, where the argument stands for one
    kind: str  # "const", "name", "local", "free", "jump" or "" (the argument is what it is)


@dataclass
class _Scope:
    """The variables of one code object: what they are called in the digest, and their uses."""

    reader: _Reader
    outer: _Scope | None
    labels: dict[str, str] = field(default_factory=dict)
    imports: dict[str, list[Use]] = field(default_factory=dict)
    uses: list[Use] = field(default_factory=list)
    free: frozenset[str] = frozenset()

    def label(self, name: str) -> str:
        if name in self.free and self.outer is not None:
            return self.outer.label(name)
        if name not in self.labels:
            self.labels[name] = self.reader.new_label(name)
        return self.labels[name]

    def load(self, name: str, chain: tuple[str, ...]) -> None:
        """Note that a local or closure variable is used."""
        for target in self.imports.get(name, ()):
            self.uses.append(target._replace(chain=target.chain + chain))
        if name in self.free:
            if self.outer is None:
                self.uses.append(Use("free", name, chain))
            else:
                self.outer.load(name, chain)


class _Reader:
    """Reads one tree of nested code objects."""

    def __init__(self, words: set[str], names_matter: bool) -> None:
        self._words, self._names_matter = words, names_matter
        self._count = 0

    def new_label(self, name: str) -> str:
        if self._names_matter or name in self._words:
            return name
        self._count += 1
        return f"#{self._count}"

    def read(self, code: CodeType, scope: _Scope) -> bytes:
        scope.free = frozenset(code.co_freevars)
        arguments = _arguments(code)
        scope.labels.update((name, name) for name in arguments)
        flags = code.co_flags & ~0x4000000  # without CO_HAS_DOCSTRING
        signature = [arguments, code.co_posonlyargcount, code.co_kwonlyargcount, flags]
        ops = [op for op in _operations(code) if op.name not in _PADDING]
        ops = _without_cosmetic_assignments(ops)
        self._note_uses(ops, scope)
        offsets = [op.offset for op in ops]
        body = [self._form(op, offsets, scope) for op in ops]
        handlers = [
            [
                *(bisect.bisect_left(offsets, end) for end in (entry.start, entry.end)),
                bisect.bisect_left(offsets, entry.target),
                entry.depth,
                entry.lasti,
            ]
            for entry in getattr(dis.Bytecode(code), "exception_entries", ())
        ]
        form = fingerprint([signature, body, handlers])
        return bytes.fromhex(form)

    def _form(self, op: _Op, offsets: list[int], scope: _Scope) -> list[Any]:
        if op.kind == "const":
            return [op.name, self._constant(op.value, scope)]
        if op.kind == "name":
            return [op.name, op.value]
        if op.kind in ("local", "free"):
            return [op.name, scope.label(op.value)]
        if op.kind == "jump":
            return [op.name, bisect.bisect_left(offsets, op.value)]
        return [op.name, op.arg]

    def _constant(self, constant: Any, scope: _Scope) -> Any:
        if isinstance(constant, CodeType):
            inner = _Scope(self, scope)
            digest = self.read(constant, inner)
            scope.uses += inner.uses
            return ["code", digest]
        if isinstance(constant, slice):
            return ["slice", constant.start, constant.stop, constant.step]
        return ["value", constant]

    def _note_uses(self, ops: list[_Op], scope: _Scope) -> None:
        for index, op in enumerate(ops):
            if op.name == "IMPORT_NAME":
                self._note_import(ops, index, scope)
            elif op.kind in ("local", "free") and not op.name.startswith(("STORE", "DELETE")):
                scope.load(op.value, _chain(ops, index))
            elif op.kind == "name" and ("GLOBAL" in op.name or op.name == "LOAD_NAME"):
                scope.uses.append(Use("global", op.value, _chain(ops, index)))

    def _note_import(self, ops: list[_Op], index: int, scope: _Scope) -> None:
        """Note what ``import`` statements bind to local names.

        ``import a.b`` binds ``a``; ``import a.b as m`` loads ``b`` from ``a`` before it binds.
        """
        level, members = ops[index - 2].value, ops[index - 1].value
        if ops[index - 2].kind != "const":
            level = ops[index - 2].arg
        module = "." * (level or 0) + str(ops[index].value)
        following = ops[index + 1 :]
        if members is None:
            renamed = following[0].name == "IMPORT_FROM"
            target = next(op for op in following if op.name.startswith("STORE"))
            bound = module if renamed else module.partition(".")[0]
            self._bind(target, Use("module", bound), scope)
            return
        for position, op in enumerate(following):
            if op.name == "IMPORT_FROM":
                use = Use("member", module, (str(op.value),))
                self._bind(following[position + 1], use, scope)
            elif not op.name.startswith("STORE"):
                break

    def _bind(self, store: _Op, use: Use, scope: _Scope) -> None:
        if store.kind == "local" or (store.kind == "free" and store.value not in scope.free):
            scope.imports.setdefault(store.value, []).append(use)
        else:
            scope.uses.append(use)


def _arguments(code: CodeType) -> list[str]:
    count = code.co_argcount + code.co_kwonlyargcount
    count += bool(code.co_flags & 0x04) + bool(code.co_flags & 0x08)  # *args, **kwargs
    return list(code.co_varnames[:count])


def _operations(code: CodeType) -> Iterator[_Op]:
    for instruction in dis.get_instructions(code):
        name, arg = instruction.opname, instruction.arg
        if name in _SUPERINSTRUCTIONS and arg is not None:
            for part, slot in zip(_SUPERINSTRUCTIONS[name], (arg >> 4, arg & 15), strict=True):
                yield _Op(instruction.offset, part, slot, code.co_varnames[slot], "local")
        else:
            yield _Op(instruction.offset, name, arg, instruction.argval, _kind(instruction.opcode))


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


def _without_cosmetic_assignments(ops: list[_Op]) -> list[_Op]:
    dropped = set()
    for index, op in enumerate(ops):
        if op.name == "STORE_NAME" and op.value in _COSMETIC_NAMES and index:
            dropped |= {index - 1, index}
    return [op for index, op in enumerate(ops) if index not in dropped]


def _chain(ops: list[_Op], index: int) -> tuple[str, ...]:
    names = []
    for op in ops[index + 1 :]:
        if op.name == "PUSH_NULL":
            continue
        if op.name not in ("LOAD_ATTR", "LOAD_METHOD"):
            break
        names.append(str(op.value))
    return tuple(names)
