"""What a code object does, whatever its layout: a digest, and the names it reaches for.

The digest covers the instructions of the code and of the code nested in it, with names and
constants in place of indices and with jumps to instructions in place of offsets. Docstrings,
positions, padding and, unless some string in the code mentions them, the names of local variables
are left out.
"""

from __future__ import annotations

import bisect
import dis
import hashlib
import inspect
import re
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from types import CodeType
from typing import Any, NamedTuple

from kedro_eeipu.cache.identity.canonical import canonical_digest
from kedro_eeipu.cache.identity.instructions import (
    Op,
    chain_after,
    code_tree,
    expression_start,
    operations,
    without_cosmetic_assignments,
)
from kedro_eeipu.cache.identity.nested_hints import without_hints
from kedro_eeipu.cache.identity.reflection import SIGNS

__all__ = ["CodeFacts", "Use", "assignments", "code_facts", "is_capital"]

# Code that looks names up in strings sees more than its instructions say.
_SEES_LOCALS = frozenset({"locals", "vars", "dir", "eval", "exec", "currentframe", "_getframe"})
_SEES_GLOBALS = frozenset(
    {
        *("eval", "exec", "query", "evaluate", "sql"),
        *("dmatrix", "dmatrices", "from_formula", "model_matrix"),
    }
)
_NUMEXPR = ("ne", "numexpr")
# What makes a string a model formula, whose functions are looked up where it was written.
_FORMULA = "~"
_SEES_EVERYTHING = frozenset({"eval", "exec", "globals"})
_SEES_MODULE = frozenset({"f_globals", "__globals__", "getmodule", "getmembers"})
_MEANINGFUL_FLAGS = (
    inspect.CO_VARARGS
    | inspect.CO_VARKEYWORDS
    | inspect.CO_GENERATOR
    | inspect.CO_COROUTINE
    | inspect.CO_ITERABLE_COROUTINE
    | inspect.CO_ASYNC_GENERATOR
)
_CHANGES = frozenset({"STORE_ATTR", "DELETE_ATTR", "STORE_SUBSCR", "DELETE_SUBSCR"})
_WORD = re.compile(r"[^\W\d]\w*")
_CAPITAL = re.compile("[A-Z][A-Z0-9_]*")


class Use(NamedTuple):
    """A name that code looks up outside itself.

    Attributes:
        kind: ``"global"``, ``"word"`` (a global only mentioned in a string), ``"namespace"`` (any
            global at all), ``"assigned"`` (a global that is written, or something in it),
            ``"free"`` (a closure variable), or an import inside the function: ``"package"``
            (``import a.b``, which gives ``a``), ``"module"`` (``import a.b as m``), ``"member"``
            (``from a import b``) or ``"effect"`` (of which nothing is used afterwards).
        name: of the variable, or of the module with leading dots where the import is relative.
        chain: attributes looked up on it at once, as in ``name.a.b``; for ``"member"`` the
            imported name comes first.
    """

    kind: str
    name: str
    chain: tuple[str, ...] = ()


@dataclass(frozen=True)
class CodeFacts:
    """What is known about a code object.

    Attributes:
        digest: of everything the code does by itself.
        hints: digest of the annotations of functions defined inside it.
        uses: in order of first appearance, each once.
        hint_uses: what the annotations of functions defined inside it look up.
        sees: what else it may look at: ``"docs"`` (docstrings), ``"hints"`` (annotations),
            ``"source"`` (its own text), ``"order"`` (in which attributes were set),
            ``"subclasses"`` (of a class), ``"environment"`` (variables of the process).
        words: capital words in its strings, which may name such variables.
    """

    digest: bytes
    hints: bytes
    uses: tuple[Use, ...]
    hint_uses: tuple[Use, ...]
    sees: frozenset[str]
    words: frozenset[str]


_facts_by_id: dict[int, tuple[CodeType, CodeFacts]] = {}
_lock = threading.Lock()


def code_facts(code: CodeType) -> CodeFacts:
    """Return the facts of ``code``; they are computed once, since code cannot change."""
    entry = _facts_by_id.get(id(code))
    if entry is None:
        entry = (code, _facts(code))  # the reference keeps the id from being used again
        with _lock:
            _facts_by_id[id(code)] = entry
    return entry[1]


def assignments(code: CodeType) -> set[tuple[str, ...]]:
    """Attributes of global variables to which code assigns, as chains of names.

    ``json.loads = f`` and ``setattr(json, "loads", f)`` both give ``("json", "loads")``.
    """
    targets: set[tuple[str, ...]] = set()
    for inner in code_tree(code):
        ops = list(operations(inner))
        for index, op in enumerate(ops):
            if op.name == "STORE_ATTR":
                base = expression_start(ops, index)
                chain = (*chain_after(ops, base), str(op.value))
            elif op.kind == "name" and op.value == "setattr" and index + 1 < len(ops):
                base = index + 2 if ops[index + 1].name == "PUSH_NULL" else index + 1
                chain = chain_after(ops, base)
                name = ops[base + 1 + len(chain)] if base + 1 + len(chain) < len(ops) else op
                if name.kind != "const" or not isinstance(name.value, str):
                    continue
                chain = (*chain, name.value)
            else:
                continue
            if ops[base].name in ("LOAD_NAME", "LOAD_GLOBAL"):
                targets.add((str(ops[base].value), *chain))
    return targets


def _facts(code: CodeType) -> CodeFacts:
    tree = {inner: list(operations(inner)) for inner in code_tree(code)}
    names = {name for inner in tree for name in inner.co_names}
    constants = [op.value for ops in tree.values() for op in ops if op.kind == "const"]
    texts = list(_strings(constants))
    words = {word for text in texts for word in _WORD.findall(text)}
    capitals = frozenset(filter(is_capital, words))
    mentioned = names | {word for word in words if word.startswith("__")}
    reader = _Reader(tree, words, bool(names & _SEES_LOCALS))
    scope = _Scope(reader, None)
    digest = reader.read(code, scope)
    uses = dict.fromkeys(scope.uses)
    if not names & _SEES_GLOBALS:
        words = {w for text in texts if _FORMULA in text for w in _WORD.findall(text)}
    uses.update(dict.fromkeys(Use("word", word) for word in sorted(words)))
    looks_around = any(
        use.kind == "global"
        and (use.name in _SEES_EVERYTHING or (use.name, *use.chain[:1]) == ("sys", "modules"))
        for use in uses
    )
    if looks_around or names & _SEES_MODULE:
        uses[Use("namespace", "")] = None
    return CodeFacts(
        digest=digest,
        hints=_digest(reader.hints),
        uses=tuple(uses),
        hint_uses=tuple(dict.fromkeys(reader.hint_uses)),
        sees=frozenset(what for what, signs in SIGNS.items() if not signs.isdisjoint(mentioned)),
        words=capitals,
    )


def is_capital(word: str) -> bool:
    """Whether a word is spelled as environment variables are."""
    return _CAPITAL.fullmatch(word) is not None


def _strings(constants: Iterable[Any]) -> Iterator[str]:
    for constant in constants:
        if isinstance(constant, str):
            yield constant
        elif isinstance(constant, tuple | frozenset):
            yield from _strings(constant)


@dataclass
class _Scope:
    """The variables of one code object: what they are called in the digest, and their uses."""

    reader: _Reader
    outer: _Scope | None
    labels: dict[str, str] = field(default_factory=dict)
    imports: dict[str, list[Use]] = field(default_factory=dict)
    unused: dict[str, list[Use]] = field(default_factory=dict)
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
        self.unused.pop(name, None)
        for target in self.imports.get(name, ()):
            self.uses.append(target._replace(chain=target.chain + chain))
        if name in self.free:
            if self.outer is None:
                self.uses.append(Use("free", name, chain))
            else:
                self.outer.load(name, chain)

    def store(self, name: str) -> None:
        """Note that a variable of a function around this code is written to."""
        if name in self.free:
            if self.outer is None:
                self.uses.append(Use("free", name))
            else:
                self.outer.store(name)


class _Reader:
    """Reads one tree of nested code objects.

    Attributes:
        hints: the instructions, as text, that build annotations of nested functions.
        hint_uses: what these look up.
    """

    def __init__(self, tree: dict[CodeType, list[Op]], words: set[str], names_matter: bool) -> None:
        self._tree = tree
        self._words, self._names_matter = words, names_matter
        self._count = 0
        self.hints: list[str] = []
        self.hint_uses: list[Use] = []

    def new_label(self, name: str) -> str:
        if self._names_matter or name in self._words:
            return name
        self._count += 1
        return f"#{self._count}"

    def read(self, code: CodeType, scope: _Scope) -> bytes:
        scope.free = frozenset(code.co_freevars)
        arguments = _arguments(code)
        scope.labels.update((name, name) for name in arguments)
        flags = code.co_flags & _MEANINGFUL_FLAGS
        ops = without_cosmetic_assignments(self._tree[code])
        ops, hints = without_hints(ops)
        self._note_uses(ops, scope)
        offsets = [op.offset for op in ops]
        self.hints += [self._line(op, offsets, scope) for op in hints]
        self.hint_uses += [
            Use("global", op.value, chain_after(hints, index))
            for index, op in enumerate(hints)
            if op.name in ("LOAD_GLOBAL", "LOAD_NAME")
        ]
        lines = [
            ",".join(arguments),
            f"{code.co_posonlyargcount} {code.co_kwonlyargcount} {flags}",
            *(self._line(op, offsets, scope) for op in ops),
            *_handlers(code, offsets),
        ]
        for bound in scope.unused.values():
            scope.uses += [Use("effect", use.name, use.chain) for use in bound]
        return _digest(lines)

    def _line(self, op: Op, offsets: list[int], scope: _Scope) -> str:
        """One instruction as text, without line breaks."""
        if op.kind == "const":
            return f"{op.name} const {self._constant(op.value, scope)}"
        if op.kind == "name":
            return f"{op.name} name {op.value}"
        if op.kind in ("local", "free"):
            return f"{op.name} variable {scope.label(op.value)}"
        if op.kind == "jump":
            return f"{op.name} to {bisect.bisect_left(offsets, op.value)}"
        return f"{op.name} {op.arg}"

    def _constant(self, constant: Any, scope: _Scope) -> str:
        if isinstance(constant, CodeType):
            inner = _Scope(self, scope)
            digest = self.read(constant, inner)
            scope.uses += inner.uses
            return f"code {constant.co_name} {digest.hex()}"
        if isinstance(constant, slice):
            return "slice " + canonical_digest([constant.start, constant.stop, constant.step])
        return "value " + canonical_digest(constant)

    def _note_uses(self, ops: list[Op], scope: _Scope) -> None:
        for index, op in enumerate(ops):
            if op.name == "IMPORT_NAME":
                self._note_import(ops, index, scope)
            elif op.kind in ("local", "free") and not op.name.startswith(("STORE", "DELETE")):
                scope.load(op.value, chain_after(ops, index))
            elif op.name == "STORE_DEREF":
                scope.store(op.value)
            elif op.name in ("STORE_GLOBAL", "DELETE_GLOBAL"):
                scope.uses += [Use("assigned", op.value), Use("global", op.value)]
            elif op.name in _CHANGES:
                scope.uses += _changed(ops, index)
            elif op.kind == "name" and ("GLOBAL" in op.name or op.name == "LOAD_NAME"):
                scope.uses.append(Use("global", op.value, chain_after(ops, index)))
            if op.kind == "name" and op.value in _SEES_GLOBALS and _evaluates_any(ops, index):
                scope.uses.append(Use("namespace", ""))

    def _note_import(self, ops: list[Op], index: int, scope: _Scope) -> None:
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
            self._bind(target, Use("module" if renamed else "package", module), scope)
            return
        for position, op in enumerate(following):
            if op.name == "IMPORT_FROM":
                use = Use("member", module, (str(op.value),))
                self._bind(following[position + 1], use, scope)
            elif not op.name.startswith("STORE"):
                break

    def _bind(self, store: Op, use: Use, scope: _Scope) -> None:
        if store.kind == "local" or (store.kind == "free" and store.value not in scope.free):
            scope.imports.setdefault(store.value, []).append(use)
            scope.unused.setdefault(store.value, []).append(use)
        else:
            scope.uses.append(use)


def _digest(lines: list[str]) -> bytes:
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogatepass")).digest()


def _handlers(code: CodeType, offsets: list[int]) -> Iterator[str]:
    """The exception table, which exists from 3.11 on; before, handlers are instructions."""
    for entry in getattr(dis.Bytecode(code), "exception_entries", ()):
        places = [bisect.bisect_left(offsets, p) for p in (entry.start, entry.end, entry.target)]
        yield f"handler {places} {entry.depth} {entry.lasti}"


def _arguments(code: CodeType) -> list[str]:
    count = code.co_argcount + code.co_kwonlyargcount
    count += bool(code.co_flags & inspect.CO_VARARGS) + bool(code.co_flags & inspect.CO_VARKEYWORDS)
    return list(code.co_varnames[:count])


def _changed(ops: list[Op], index: int) -> list[Use]:
    """The global variable into which an attribute or item is written, if it is one."""
    base = expression_start(ops, index)
    if ops[index].name.endswith("SUBSCR"):
        base = expression_start(ops, base)
    if ops[base].name != "LOAD_GLOBAL":
        return []
    chain = chain_after(ops, base)
    if ops[index].name.endswith("ATTR"):
        chain = (*chain, str(ops[index].value))
    return [Use("assigned", ops[base].value, chain)]


def _evaluates_any(ops: list[Op], index: int) -> bool:
    """Whether what a function like ``query`` is given is not a string in the code."""
    op, before = ops[index], ops[index - 1]
    if op.value == "evaluate" and "GLOBAL" not in op.name and before.value not in _NUMEXPR:
        return False  # of a model, say
    following = next((op for op in ops[index + 1 :] if op.name != "PUSH_NULL"), None)
    if following is None or following.kind == "const":
        return False
    # Without arguments it is another kind of method, such as that of a torch module.
    return not following.name.startswith(("CALL", "PRECALL", "STORE", "DELETE", "POP"))
