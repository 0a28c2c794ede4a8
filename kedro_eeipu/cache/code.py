"""Identity of loaded code: of a function and of all it reaches.

The walk starts at a function or class and follows global names, attribute chains through modules,
closures, defaults, decorators and the values found there, as far as they are project code. Code
of installed libraries is known by the library's version. Everything reached becomes a *unit*: the
units, numbered in the order in which they are first met and referring to one another by number,
are hashed. So recursion ends, and the digest depends on nothing but the code.
"""

from __future__ import annotations

import builtins
import contextvars
import copyreg
import functools
import hashlib
import importlib
import importlib.util
import logging
import os
import sys
import threading
import types
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kedro_eeipu.cache.bytecode import CodeFacts, Use, code_facts
from kedro_eeipu.cache.fingerprint import Unidentifiable, fingerprint
from kedro_eeipu.cache.origin import PYTHON, is_project_object, origin_of

__all__ = ["CodeIdentity", "Unidentifiable", "code_identity", "is_project_object"]

_MAX_ITEMS = 200_000
_PLAIN = (type(None), type(Ellipsis), type(NotImplemented), bool, int, float, complex, str, bytes)
_STATELESS = (
    type(threading.Lock()),
    type(threading.RLock()),
    threading.Condition,
    threading.Event,
    threading.Semaphore,
    weakref.WeakKeyDictionary,
    weakref.WeakValueDictionary,
    weakref.WeakSet,
    type(os.environ),
)
# Libraries that act on the annotations of functions they are given.
_READ_HINTS = frozenset(
    {
        *("attr", "attrs", "beartype", "cattr", "cattrs", "fastapi", "injector", "jaxtyping"),
        *("msgspec", "pandera", "plum", "pydantic", "sqlmodel", "typeguard", "typer"),
    }
)
_SLOT_TYPES = (
    types.MemberDescriptorType,
    types.GetSetDescriptorType,
    types.WrapperDescriptorType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
)
_BUILTIN_TYPES = (types.BuiltinFunctionType, types.MethodWrapperType)
_COSMETIC_CLASS_ENTRIES = frozenset(
    {
        *("__doc__", "__module__", "__qualname__", "__dict__", "__weakref__", "__signature__"),
        *("__annotations__", "__annotate__", "__annotate_func__", "__annotations_cache__"),
        *("__firstlineno__", "__static_attributes__", "_abc_impl", "__abstractmethods__"),
        *("__parameters__", "__orig_bases__", "__type_params__", "__class_vars__"),
        *("model_fields", "model_computed_fields"),
    }
)
_HINTS_ARE_MEANT = ("__dataclass_fields__", "__pydantic_fields__", "__attrs_attrs__", "_fields")
_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: made by a class statement


@dataclass(frozen=True)
class CodeIdentity:
    """Identity of a function or class and of the code it reaches.

    Attributes:
        digest: sha256 in hex.
        parts: short digests by ``"module:qualname"``, versions by ``"library NAME"`` and
            ``"python"``; comparing two of them says what changed.
    """

    digest: str
    parts: dict[str, str]


def code_identity(func: Callable | type) -> CodeIdentity:
    """Return the identity of a loaded function, method, callable object or class.

    Raises:
        Unidentifiable: it reaches a value whose state cannot be established.
    """
    walk = _Walk()
    try:
        walk.start(func)
    except Unidentifiable:
        raise
    except RecursionError as error:
        raise Unidentifiable("it reaches values nested too deeply") from error
    except Exception as error:
        raise Unidentifiable(f"it reaches a value that cannot be read: {error!r}") from error
    return walk.identity()


class _Unit:
    """A function, class, module or value that is referred to by number."""

    def __init__(self, label: str, obj: Any) -> None:
        self.label = label
        self.obj = obj  # kept alive: units are known by id
        self.form: list[bytes | int] = []

    def add(self, tag: str, content: bytes = b"") -> None:
        self.form.append(b"%s %d:" % (tag.encode(), len(content)) + content)


class _Walk:
    def __init__(self) -> None:
        self._units: list[_Unit] = []
        self._numbers: dict[Any, int] = {}
        self._libraries: dict[str, str] = {"python": PYTHON}
        self._left = _MAX_ITEMS
        self._functions: list[types.FunctionType] = []
        self._sees_docs = self._sees_hints = False

    def start(self, obj: Any) -> None:
        root = _Unit("callable", obj)
        self._units.append(root)
        self._value(obj, root)
        done = 1
        while done < len(self._units):
            unit = self._units[done]
            self._describe(unit)
            done += 1
        sees_hints = self._sees_hints or not _READ_HINTS.isdisjoint(self._libraries)
        for function in self._functions:
            if self._sees_docs:
                root.add("doc", fingerprint(function.__doc__).encode())
            if sees_hints:
                root.add("hints", _hints(function))
                root.add("nested hints", code_facts(function.__code__).hints)

    def identity(self) -> CodeIdentity:
        state = hashlib.sha256()
        for name, version in sorted(self._libraries.items()):
            state.update(f"{name}={version}\n".encode())
        for number, unit in enumerate(self._units):
            state.update(b"\nunit %d " % number)
            for item in unit.form:
                state.update(b"#%d" % item if isinstance(item, int) else item)
        return CodeIdentity(state.hexdigest(), self._parts())

    def _parts(self) -> dict[str, str]:
        parts = {
            name if name == "python" else f"library {name}": version
            for name, version in self._libraries.items()
        }
        for unit in self._units:
            label, count = unit.label, 1
            while label in parts:
                count += 1
                label = f"{unit.label} ({count})"
            content = b"".join(
                self._units[item].label.encode() if isinstance(item, int) else item
                for item in unit.form
            )
            parts[label] = hashlib.sha256(content).hexdigest()[:12]
        return parts

    # --- units ------------------------------------------------------------------------------------

    def _refer(self, obj: Any, label: str, unit: _Unit, name: str = "") -> None:
        """Add a reference to ``obj`` (or to the global ``name`` that holds it) to ``unit``."""
        key = (id(obj), name)
        if key not in self._numbers:
            self._numbers[key] = len(self._units)
            self._units.append(_Unit(label, obj))
        unit.form.append(self._numbers[key])

    def _describe(self, unit: _Unit) -> None:
        obj = unit.obj
        if isinstance(obj, types.FunctionType):
            self._function(obj, unit)
        elif isinstance(obj, type):
            self._class(obj, unit)
        elif isinstance(obj, types.ModuleType):
            self._module(obj, unit)
        elif isinstance(obj, _Global):
            self._value(obj.value, unit)
        else:
            self._instance(obj, unit)

    def _function(self, function: types.FunctionType, unit: _Unit) -> None:
        unit.add("function", unit.label.encode())
        facts = None
        if is_project_object(function):
            self._functions.append(function)
            facts = code_facts(function.__code__)
            self._sees_docs |= facts.sees_docs
            self._sees_hints |= facts.sees_hints
            unit.add("code", facts.digest)
        else:
            self._library(function.__module__ or "", unit)
            wrapped = getattr(function, "__wrapped__", None)
            # A library may act on the annotations of what it wraps.
            if wrapped is not None and self._origin_name(function) != "python":
                unit.add("hints", _hints(wrapped))
        self._value(function.__defaults__, unit)
        self._value(function.__kwdefaults__, unit)
        self._named_values(function.__dict__, unit)
        if facts is None:
            for cell in function.__closure__ or ():
                self._cell(cell, (), unit)
        else:
            self._uses(function, facts, unit)

    def _origin_name(self, obj: Any) -> str:
        return origin_of(getattr(obj, "__module__", None) or "").name

    def _class(self, kind: type, unit: _Unit) -> None:
        unit.add("class", unit.label.encode())
        if not is_project_object(kind):
            self._library(kind.__module__, unit)
        for base in kind.__bases__:
            self._value(base, unit)
        if type(kind) is not type:
            self._value(type(kind), unit)
        members = getattr(kind, "_member_map_", {})
        if isinstance(members, dict):
            for name, member in members.items():
                unit.add("member", name.encode())
                state = {k: v for k, v in vars(member).items() if k != "__objclass__"}
                self._named_values(state, unit)
        entries = {
            name: value
            for name, value in vars(kind).items()
            if name not in _COSMETIC_CLASS_ENTRIES
            and not name.startswith("__pydantic_")
            and name not in ("_member_map_", "_value2member_map_", *members)
        }
        self._named_values(entries, unit)
        if any(hasattr(kind, name) for name in _HINTS_ARE_MEANT):
            unit.add("hints", _hints(kind))
        self._pydantic(kind, unit)

    def _pydantic(self, kind: type, unit: _Unit) -> None:
        """Add what a pydantic model keeps in compiled form: fields and validators."""
        fields = vars(kind).get("__pydantic_fields__")
        if isinstance(fields, dict):
            self._named_values(fields, unit)
        decorators = vars(kind).get("__pydantic_decorators__")
        for group in sorted(getattr(decorators, "__dataclass_fields__", ())):
            members = getattr(decorators, group)
            for name in sorted(members if isinstance(members, dict) else ()):
                unit.add(group, name.encode())
                self._value(members[name].info, unit)
                self._value(members[name].func, unit)

    def _module(self, module: types.ModuleType, unit: _Unit) -> None:
        """A project module that is used as an object: anything in it may be looked up."""
        unit.add("module", module.__name__.encode())
        entries = {
            name: _Global(value)
            for name, value in vars(module).items()
            if not isinstance(value, types.ModuleType)
            and (not name.startswith("__") or name == "__getattr__")
        }
        for name in sorted(entries):
            unit.add("name", name.encode())
            self._global(entries[name].value, module.__name__, name, unit)

    def _instance(self, obj: Any, unit: _Unit) -> None:
        kind = type(obj)
        self._value(kind, unit)
        if is_project_object(kind):
            self._named_values(getattr(obj, "__dict__", {}), unit)
            self._named_values(_slots(obj), unit)
            if all(base.__flags__ & _HEAP_TYPE or base is object for base in kind.__mro__):
                return
        wrapped = getattr(obj, "__wrapped__", None)
        if isinstance(wrapped, types.FunctionType):
            self._value(wrapped, unit)
            if isinstance(obj, functools._lru_cache_wrapper):
                self._value(obj.cache_parameters(), unit)
                return
        self._reduced(obj, unit)

    def _reduced(self, obj: Any, unit: _Unit) -> None:
        """Describe an object by what pickle would need to build it again."""
        try:
            reduce = copyreg.dispatch_table.get(type(obj))
            reduced = reduce(obj) if reduce else obj.__reduce_ex__(4)
        except Exception as error:
            raise Unidentifiable(f"{unit.label} has no state that can be established") from error
        if isinstance(reduced, str):
            unit.add("name", reduced.encode())
            return
        build, arguments, state, items, pairs = (*reduced, None, None, None)[:5]
        self._value(build, unit)
        self._value(arguments, unit)
        if isinstance(state, dict):
            self._named_values(state, unit)
        else:
            self._value(state, unit)
        self._value(None if items is None else list(items), unit)
        self._value(None if pairs is None else list(pairs), unit)

    # --- names ------------------------------------------------------------------------------------

    def _uses(self, function: types.FunctionType, facts: CodeFacts, unit: _Unit) -> None:
        cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
        namespace = function.__globals__
        for use in facts.uses:
            if use.kind == "free":
                self._cell(cells[use.name], use.chain, unit)
            elif use.kind in ("global", "word"):
                self._global_name(use, namespace, unit)
            else:
                self._import(use, namespace, unit)

    def _cell(self, cell: types.CellType, chain: tuple[str, ...], unit: _Unit) -> None:
        try:
            value = cell.cell_contents
        except ValueError:
            unit.add("empty")
            return
        self._follow(value, chain, "closure", "variable", unit)

    def _global_name(self, use: Use, namespace: dict[str, Any], unit: _Unit) -> None:
        module = str(namespace.get("__name__", "?"))
        if use.name in namespace:
            unit.add("name", use.name.encode())
            self._follow(namespace[use.name], use.chain, module, use.name, unit)
        elif use.kind == "global":
            known = hasattr(builtins, use.name)
            unit.add("builtin" if known else "absent", use.name.encode())

    def _import(self, use: Use, namespace: dict[str, Any], unit: _Unit) -> None:
        level = len(use.name) - len(use.name.lstrip("."))
        name = use.name
        if level:
            package = namespace.get("__package__") or namespace.get("__name__", "")
            name = importlib.util.resolve_name(use.name, str(package))
        unit.add("import", name.encode())
        if not origin_of(name).is_project:
            self._library(name, unit)
            return
        try:
            module = importlib.import_module(name)
            if use.kind == "member" and not hasattr(module, use.chain[0]):
                importlib.import_module(f"{name}.{use.chain[0]}")
        except ImportError:
            unit.add("absent", name.encode())
            return
        if use.kind == "package":
            module = sys.modules[name.partition(".")[0]]
        self._follow(module, use.chain, module.__name__, module.__name__, unit)

    def _follow(
        self, obj: Any, chain: tuple[str, ...], module: str, name: str, unit: _Unit
    ) -> None:
        """Follow ``chain`` from ``obj`` as long as it leads through project modules."""
        for attribute in chain:
            if not isinstance(obj, types.ModuleType) or not origin_of(obj.__name__).is_project:
                break
            unit.add("attribute", attribute.encode())
            if not hasattr(obj, attribute):
                unit.add("absent")
                return
            module, name, obj = obj.__name__, attribute, getattr(obj, attribute)
        self._global(obj, module, name, unit)

    def _global(self, obj: Any, module: str, name: str, unit: _Unit) -> None:
        """Add the value of a global variable; plain values become units with its name."""
        if callable(obj) or isinstance(obj, types.ModuleType):
            self._value(obj, unit)
            return
        key = f"{module}:{name}"
        if key not in self._numbers:
            self._numbers[key] = len(self._units)
            self._units.append(_Unit(key, _Global(obj)))
        unit.form.append(self._numbers[key])

    def _library(self, module: Any, unit: _Unit) -> None:
        module = module if isinstance(module, str) else "builtins"
        origin = origin_of(module)
        self._libraries[origin.name] = origin.version
        unit.add("library", module.encode())

    # --- values -----------------------------------------------------------------------------------

    def _named_values(self, values: Any, unit: _Unit) -> None:
        """Add attributes, whose order does not matter."""
        for name in sorted(values, key=str):
            if name not in ("__doc__", "__wrapped__"):
                unit.add("entry", str(name).encode())
                self._value(values[name], unit)
        if "__wrapped__" in values:
            self._value(values["__wrapped__"], unit)

    def _value(self, obj: Any, unit: _Unit, above: tuple[int, ...] = ()) -> None:
        self._left -= 1
        if self._left < 0:
            raise Unidentifiable(f"{unit.label} is too large")
        kind = type(obj)
        if kind in _PLAIN:
            content = b"" if obj is NotImplemented else fingerprint(obj).encode()
            unit.add(kind.__name__, content)
        elif id(obj) in above:
            unit.add("above", str(len(above) - above.index(id(obj))).encode())
        elif kind in (list, tuple, dict, types.MappingProxyType, set, frozenset):
            self._container(obj, unit, (*above, id(obj)))
        elif isinstance(obj, types.ModuleType):
            if origin_of(obj.__name__).is_project:
                self._refer(obj, f"{obj.__name__}:", unit)
            else:
                self._library(obj.__name__, unit)
        elif isinstance(obj, types.CodeType):
            unit.add("code", code_facts(obj).digest)
        elif isinstance(obj, types.CellType):
            self._cell(obj, (), unit)
        elif not self._is_from_library(obj, unit) and not self._is_special(obj, unit):
            self._refer(obj, _label(obj), unit)

    def _container(self, obj: Any, unit: _Unit, above: tuple[int, ...]) -> None:
        unit.add(type(obj).__name__, str(len(obj)).encode())
        if isinstance(obj, list | tuple):
            for item in obj:
                self._value(item, unit, above)
        elif isinstance(obj, set | frozenset):
            for digest in sorted(code_identity(item).digest for item in obj):
                unit.add("item", digest.encode())
        else:
            for name, item in obj.items():
                self._value(name, unit, above)
                self._value(item, unit, above)

    def _is_from_library(self, obj: Any, unit: _Unit) -> bool:
        """Whether ``obj`` can be imported from a library by its name, and so is known by it."""
        module, name = getattr(obj, "__module__", None), getattr(obj, "__qualname__", None)
        if not isinstance(module, str) or not isinstance(name, str):
            return False
        if origin_of(module).is_project:
            return False
        found: Any = sys.modules.get(module)
        for part in name.split("."):
            found = getattr(found, part, None)
        if found is not obj:
            return False
        self._library(module, unit)
        unit.add("import", f"{module}:{name}".encode())
        return True

    def _is_special(self, obj: Any, unit: _Unit) -> bool:
        """Describe objects that need no unit of their own, or whose state does not count."""
        if isinstance(obj, types.MethodType):
            unit.add("method")
            self._value(obj.__self__, unit)
            self._value(obj.__func__, unit)
        elif isinstance(obj, functools.partial):
            unit.add("partial", type(obj).__qualname__.encode())
            self._value((obj.func, obj.args, obj.keywords), unit)
            self._named_values(vars(obj), unit)
        elif isinstance(obj, _BUILTIN_TYPES):
            unit.add("builtin method", obj.__name__.encode())
            self._value(obj.__self__, unit)
        elif isinstance(obj, property):
            unit.add("property")
            self._value((obj.fget, obj.fset, obj.fdel), unit)
        elif isinstance(obj, classmethod | staticmethod):
            unit.add(type(obj).__name__)
            self._value(obj.__func__, unit)
        elif isinstance(obj, functools.cached_property):
            unit.add("cached_property")
            self._value(obj.func, unit)
        elif isinstance(obj, _SLOT_TYPES):
            unit.add("slot", obj.__name__.encode())
        elif isinstance(obj, logging.Logger):
            unit.add("logger", obj.name.encode())
        elif isinstance(obj, weakref.ReferenceType):
            unit.add("reference")
            self._value(obj(), unit)
        elif isinstance(obj, contextvars.ContextVar):
            unit.add("context variable", obj.name.encode())
            self._value(obj.get(None), unit)
        elif isinstance(obj, threading.local):
            unit.add("local to this thread")
            self._named_values(vars(obj), unit)
        elif isinstance(obj, _STATELESS):
            unit.add("stateless", type(obj).__name__.encode())
        else:
            return self._is_fingerprinted(obj, unit)
        return True

    def _is_fingerprinted(self, obj: Any, unit: _Unit) -> bool:
        numpy = sys.modules.get("numpy")
        if numpy is None or not isinstance(obj, numpy.ndarray | numpy.generic):
            return False
        unit.add("numpy", fingerprint(obj).encode())
        return True


class _Global:
    """The value of a global variable, so that the variable is a unit whatever the value is."""

    def __init__(self, value: Any) -> None:
        self.value = value


def _label(obj: Any) -> str:
    named = obj if hasattr(obj, "__qualname__") else type(obj)
    return f"{named.__module__}:{named.__qualname__}"


def _slots(obj: Any) -> dict[str, Any]:
    names = [
        name
        for kind in type(obj).__mro__
        for name, entry in vars(kind).items()
        if isinstance(entry, types.MemberDescriptorType)
    ]
    return {name: getattr(obj, name) for name in names if hasattr(obj, name)}


def _hints(obj: Any) -> bytes:
    """Annotations as text; only whether they changed matters."""
    annotate = getattr(obj, "__annotate__", None)
    if isinstance(annotate, types.FunctionType):
        return code_facts(annotate.__code__).digest
    hints = vars(obj).get("__annotations__") if isinstance(obj, type) else None
    if hints is None:
        hints = getattr(obj, "__annotations__", None) or {}
    return fingerprint(
        {str(k): v if isinstance(v, str) else repr(v) for k, v in hints.items()}
    ).encode()
