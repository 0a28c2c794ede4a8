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

__all__ = ["SIGNS", "CodeFacts", "Use", "assignments", "code_facts"]

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
# Of names in code, or in its strings, which it may look up.
_SEES_DOCS = frozenset(
    {
        *("__doc__", "getdoc", "pydoc", "render_doc", "help"),
        *("model_json_schema", "schema_json", "json_schema", "TypeAdapter"),  # pydantic's
    }
)
_SEES_HINTS = frozenset(
    {
        *("__annotations__", "__annotate__", "get_type_hints", "get_annotations", "signature"),
        *("getfullargspec", "fields", "__dataclass_fields__", "get_args", "get_origin"),
    }
)
_SEES_SOURCE = frozenset({"getsource", "getsourcelines", "findsource", "getcomments"})
_SEES_ORDER = frozenset({"__dict__", "vars", "globals"})
SIGNS = {
    "docs": _SEES_DOCS,
    "hints": _SEES_HINTS,
    "source": _SEES_SOURCE,
    "order": _SEES_ORDER,
    "subclasses": frozenset({"__subclasses__"}),
}
_MEANINGFUL_FLAGS = (
    inspect.CO_VARARGS
    | inspect.CO_VARKEYWORDS
    | inspect.CO_GENERATOR
    | inspect.CO_COROUTINE
    | inspect.CO_ITERABLE_COROUTINE
    | inspect.CO_ASYNC_GENERATOR
)
# What MAKE_FUNCTION and SET_FUNCTION_ATTRIBUTE attach: annotations (from 3.14 on a function that
# makes them) and closure.
_HINT_BITS = 4 | 16
_CLOSURE_BIT = 8
_CHANGES = frozenset({"STORE_ATTR", "DELETE_ATTR", "STORE_SUBSCR", "DELETE_SUBSCR"})
_WORD = re.compile(r"[^\W\d]\w*")


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
    """What is known of a code object.

    Attributes:
        digest: of everything the code does by itself.
        hints: digest of the annotations of functions defined inside it.
        uses: in order of first appearance, each once.
        hint_uses: what the annotations of functions defined inside it look up.
        sees: what else it may look at: ``"docs"`` (docstrings), ``"hints"`` (annotations),
            ``"source"`` (its own text), ``"order"`` (in which attributes were set),
            ``"subclasses"`` (of a class).
    """

    digest: bytes
    hints: bytes
    uses: tuple[Use, ...]
    hint_uses: tuple[Use, ...]
    sees: frozenset[str]


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
    for inner in _tree(code):
        ops = [op for op in _operations(inner) if op.name not in _PADDING]
        for index, op in enumerate(ops):
            if op.name == "STORE_ATTR":
                base = _expression_start(ops, index)
                chain = (*_chain(ops, base), str(op.value))
            elif op.kind == "name" and op.value == "setattr" and index + 1 < len(ops):
                base = index + 2 if ops[index + 1].name == "PUSH_NULL" else index + 1
                chain = _chain(ops, base)
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
    tree = {inner: list(_operations(inner)) for inner in _tree(code)}
    names = {name for inner in tree for name in inner.co_names}
    constants = [op.value for ops in tree.values() for op in ops if op.kind == "const"]
    texts = list(_strings(constants))
    words = {word for text in texts for word in _WORD.findall(text)}
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
    )


def _tree(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _tree(constant)


def _strings(constants: Iterable[Any]) -> Iterator[str]:
    for constant in constants:
        if isinstance(constant, str):
            yield constant
        elif isinstance(constant, tuple | frozenset):
            yield from _strings(constant)


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

    def __init__(
        self, tree: dict[CodeType, list[_Op]], words: set[str], names_matter: bool
    ) -> None:
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
        ops = [op for op in self._tree[code] if op.name not in _PADDING]
        ops = _without_cosmetic_assignments(ops)
        ops, hints = _without_hints(ops)
        self._note_uses(ops, scope)
        offsets = [op.offset for op in ops]
        self.hints += [self._line(op, offsets, scope) for op in hints]
        self.hint_uses += [
            Use("global", op.value, _chain(hints, index))
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

    def _line(self, op: _Op, offsets: list[int], scope: _Scope) -> str:
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

    def _note_uses(self, ops: list[_Op], scope: _Scope) -> None:
        for index, op in enumerate(ops):
            if op.name == "IMPORT_NAME":
                self._note_import(ops, index, scope)
            elif op.kind in ("local", "free") and not op.name.startswith(("STORE", "DELETE")):
                scope.load(op.value, _chain(ops, index))
            elif op.name == "STORE_DEREF":
                scope.store(op.value)
            elif op.name in ("STORE_GLOBAL", "DELETE_GLOBAL"):
                scope.uses += [Use("assigned", op.value), Use("global", op.value)]
            elif op.name in _CHANGES:
                scope.uses += _changed(ops, index)
            elif op.kind == "name" and ("GLOBAL" in op.name or op.name == "LOAD_NAME"):
                scope.uses.append(Use("global", op.value, _chain(ops, index)))
            if op.kind == "name" and op.value in _SEES_GLOBALS and _evaluates_any(ops, index):
                scope.uses.append(Use("namespace", ""))

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
            self._bind(target, Use("module" if renamed else "package", module), scope)
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


def _operations(code: CodeType) -> Iterator[_Op]:
    for instruction in dis.get_instructions(code):
        name, arg = instruction.opname, instruction.arg
        if name in _SUPERINSTRUCTIONS:
            for part, variable in zip(_SUPERINSTRUCTIONS[name], instruction.argval, strict=True):
                yield _Op(instruction.offset, part, None, variable, "local")
            continue
        kind, value = _kind(instruction.opcode), instruction.argval
        if kind == "const" and arg is not None:
            value = code.co_consts[arg]
        yield _Op(instruction.offset, name, arg, value, kind)


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


def _without_hints(ops: list[_Op]) -> tuple[list[_Op], list[_Op]]:
    """Split off the instructions that build annotations of nested functions.

    The compiler pushes defaults, annotations and closure, as far as there are any, and then the
    code (before 3.11 also the name). MAKE_FUNCTION has a bit for each of them; from 3.13 on
    SET_FUNCTION_ATTRIBUTE attaches them one by one.
    """
    hints: set[int] = set()
    kept = list(ops)
    for index, op in enumerate(ops):
        if op.name != "MAKE_FUNCTION":
            continue
        attached = range(index + 1, index + 1 + _attributes_set(ops, index + 1))
        bits = (op.arg or 0) | sum(ops[i].arg or 0 for i in attached)
        if not bits & _HINT_BITS:
            continue
        end = index - 1 if isinstance(ops[index - 1].value, CodeType) else index - 2
        if bits & _CLOSURE_BIT:
            end = _expression_start(ops, end)
        hints.update(range(_expression_start(ops, end), end))
        hints.update(i for i in attached if (ops[i].arg or 0) & _HINT_BITS)
        if not attached:
            kept[index] = op._replace(arg=bits & ~_HINT_BITS)
    return (
        [op for index, op in enumerate(kept) if index not in hints],
        [op for index, op in enumerate(ops) if index in hints],
    )


def _attributes_set(ops: list[_Op], index: int) -> int:
    count = 0
    while index + count < len(ops) and ops[index + count].name == "SET_FUNCTION_ATTRIBUTE":
        count += 1
    return count


def _expression_start(ops: list[_Op], end: int) -> int:
    """Index of the first of the instructions that together push one value and end at ``end``."""
    pushed = 0
    for index in range(end - 1, -1, -1):
        opcode = dis.opmap[ops[index].name]
        pushed += dis.stack_effect(opcode, ops[index].arg if opcode >= dis.HAVE_ARGUMENT else None)
        if pushed == 1:
            return index
    return end


def _changed(ops: list[_Op], index: int) -> list[Use]:
    """The global variable into which an attribute or item is written, if it is one."""
    base = _expression_start(ops, index)
    if ops[index].name.endswith("SUBSCR"):
        base = _expression_start(ops, base)
    if ops[base].name != "LOAD_GLOBAL":
        return []
    chain = _chain(ops, base)
    if ops[index].name.endswith("ATTR"):
        chain = (*chain, str(ops[index].value))
    return [Use("assigned", ops[base].value, chain)]


def _evaluates_any(ops: list[_Op], index: int) -> bool:
    """Whether what a function like ``query`` is given is not a string that stands in the code."""
    op, before = ops[index], ops[index - 1]
    if op.value == "evaluate" and "GLOBAL" not in op.name and before.value not in _NUMEXPR:
        return False  # of a model, say
    following = next((op for op in ops[index + 1 :] if op.name != "PUSH_NULL"), None)
    if following is None or following.kind == "const":
        return False
    # Without arguments it is another kind of method, such as that of a torch module.
    return not following.name.startswith(("CALL", "PRECALL", "STORE", "DELETE", "POP"))


def _chain(ops: list[_Op], index: int) -> tuple[str, ...]:
    names = []
    for op in ops[index + 1 :]:
        if op.name == "PUSH_NULL":
            continue
        if op.name not in ("LOAD_ATTR", "LOAD_METHOD"):
            break
        names.append(str(op.value))
    return tuple(names)
