"""Values that code reaches, written down for the digest of the code.

`ObjectWriter.value` asks in this order, and the order is the meaning:

1. plain values and containers are written in place, whatever else they are;
2. a module is a unit if it is the project's, else the name and version of its library;
3. code, closure cells, bound methods, partial calls and properties are their parts;
4. what can be imported from a library by its name is that name and the library's version: not
   before 3, since a bound method has the name of its function;
5. special objects are what counts of them: locks nothing, weak containers their content, arrays
   their bytes and layout;
6. everything else is a separate unit, described by its class and its state: attributes, slots,
   or what pickle would need to build it again.
"""

from __future__ import annotations

import abc
import contextvars
import copyreg
import functools
import io
import logging
import os
import sys
import threading
import types
import typing
import weakref
from collections.abc import Iterable
from typing import Any

from kedro_eeipu.cache.identity.bytecode import code_facts
from kedro_eeipu.cache.identity.canonical import MovesOn, Unidentifiable, canonical_digest
from kedro_eeipu.cache.identity.instances import label, own_state, slots
from kedro_eeipu.cache.identity.origin import is_compiled, library_module_of, origin_of
from kedro_eeipu.cache.identity.pickles import find, globals_inside
from kedro_eeipu.cache.tensors import storage_bytes

__all__ = ["PLAIN", "ObjectWriter", "Unit"]

_MAX_ITEMS = 200_000
PLAIN = (type(None), type(Ellipsis), type(NotImplemented), bool, int, float, complex, str, bytes)
_CONTAINERS = (list, tuple, dict, types.MappingProxyType, set, frozenset)
_STATELESS = (
    type(threading.Lock()),
    type(threading.RLock()),
    threading.Condition,
    threading.Event,
    threading.Semaphore,
    type(os.environ),
)
_WEAK_DICTIONARIES = (weakref.WeakKeyDictionary, weakref.WeakValueDictionary)
_SLOT_TYPES = (
    types.MemberDescriptorType,
    types.GetSetDescriptorType,
    types.WrapperDescriptorType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
)
_BUILTIN_TYPES = (types.BuiltinFunctionType, types.MethodWrapperType)
_TYPE_VARIABLES = (typing.TypeVar, typing.ParamSpec)
# Objects that are their parts. One of a subclass is also its class and its attributes.
_PARTS: dict[type, tuple[str, ...]] = {
    types.MethodType: ("__self__", "__func__"),
    functools.partial: ("func", "args", "keywords", "__dict__"),
    property: ("fget", "fset", "fdel"),
    classmethod: ("__func__",),
    staticmethod: ("__func__",),
    functools.cached_property: ("func",),
}
# Compiled, wrapt's classes say that they are of a module that there is not.
_WRAPT = ("_wrappers", "wrapt._wrappers", "wrapt.wrappers", "wrapt.proxies", "wrapt.decorators")
_PROXIES = frozenset((module, "ObjectProxy") for module in _WRAPT)
# What makes an object of a library a partial call.
_PARTIAL = ("func", "args", "keywords")
_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: made by a class statement


class Unit:
    """A function, class, module or value that others refer to by number."""

    def __init__(self, label: str, obj: Any) -> None:
        self.label = label
        self.obj = obj  # kept alive: units are known by id
        self.form: list[bytes | int] = []

    def add(self, tag: str, content: str = "") -> None:
        data = content.encode("utf-8", "surrogatepass")
        self.form.append(b"%s %d:" % (tag.encode(), len(data)) + data)


class ObjectWriter(abc.ABC):
    """Writes values into units and collects the units that they refer to.

    Attributes:
        units: in the order in which they were first met.
        libraries: versions by top-level name.
        orders: by unit, the order in which its attributes were set.
        dunders: strings like ``"__doc__"``, with which code may look something up.
    """

    def __init__(self) -> None:
        self.units: list[Unit] = []
        self.libraries: dict[str, str] = {}
        self.orders: list[str] = []
        self.dunders: set[str] = set()
        self._numbers: dict[tuple[int, str], int] = {}
        self._left = _MAX_ITEMS

    @abc.abstractmethod
    def cell(self, cell: types.CellType, unit: Unit, chain: tuple[str, ...] = ()) -> None:
        """Add the content of a closure variable."""

    @abc.abstractmethod
    def identity_of(self, obj: Any) -> str:
        """Digest of an object that is described by itself, with all that it reaches."""

    @abc.abstractmethod
    def type_digest(self, kind: type) -> bytes:
        """Digest of a type with its code."""

    def refer(self, obj: Any, label: str, unit: Unit, as_unit: Any = None) -> None:
        """Add a reference to the unit of ``obj`` (described as ``as_unit``) to ``unit``."""
        key = (id(obj), "" if as_unit is None else label)
        if key not in self._numbers:
            self._numbers[key] = len(self.units)
            self.units.append(Unit(label, obj if as_unit is None else as_unit))
        unit.form.append(self._numbers[key])

    def library(self, module: Any, unit: Unit) -> None:
        """Add the version of the library (or of Python) that a module belongs to."""
        name = module if isinstance(module, str) else "builtins"
        origin = origin_of(name)
        self.libraries[origin.name] = origin.version
        unit.add("library", name)

    def named_values(self, values: Any, unit: Unit) -> None:
        """Add attributes, whose order does not matter."""
        self.orders.append(f"{unit.label} {list(map(str, values))}")
        names = sorted((name for name in values if name != "__doc__"), key=str)
        unit.add("attributes", str(len(names)))
        for name in names:
            unit.add("attribute", str(name))
            self.value(values[name], unit)

    def value(self, obj: Any, unit: Unit, above: tuple[int, ...] = ()) -> None:
        """Add any value; ``above`` are the ids of the containers around it.

        Raises:
            Unidentifiable: its state cannot be established, or there is too much of it.
        """
        self._count(1, unit)
        kind = type(obj)
        if kind in PLAIN:
            unit.add(kind.__name__, "" if obj is NotImplemented else canonical_digest(obj))
            if kind is bytes:
                self._code_inside(obj, unit)
            elif kind is str and obj.startswith("__"):
                self.dunders.add(obj)
        elif id(obj) in above:
            unit.add("above", str(len(above) - above.index(id(obj))))
        elif kind in _CONTAINERS:
            self._container(obj, unit, (*above, id(obj)))
        elif isinstance(obj, types.ModuleType):
            if origin_of(obj.__name__).is_project:
                self.refer(obj, f"{obj.__name__}:", unit)
            else:
                self.library(obj.__name__, unit)
        elif isinstance(obj, types.CodeType):
            unit.add("code", code_facts(obj).digest.hex())
        elif isinstance(obj, types.CellType):
            self.cell(obj, unit)
        elif kind in _PARTS:
            unit.add(kind.__name__)
            self._parts_of(obj, kind, unit)
        elif not self._is_from_library(obj, unit) and not self._is_special(obj, unit):
            self.refer(obj, label(obj), unit)

    def _code_inside(self, data: bytes, unit: Unit) -> None:
        """Add the project code that pickles inside of bytes name."""
        for name in sorted(globals_inside(data)):
            self.value(find(name), unit)

    def _parts_of(self, obj: Any, kind: type, unit: Unit) -> None:
        for part in _PARTS[kind]:
            self.value(getattr(obj, part), unit)

    def _count(self, items: int, unit: Unit) -> None:
        self._left -= items
        if self._left < 0:
            raise Unidentifiable(f"{unit.label} is too large")

    def _container(self, obj: Any, unit: Unit, above: tuple[int, ...]) -> None:
        unit.add(type(obj).__name__, str(len(obj)))
        if isinstance(obj, list | tuple):
            for item in obj:
                self.value(item, unit, above)
        elif isinstance(obj, set | frozenset):
            self._count(len(obj), unit)
            self._members(obj, obj, unit)
        else:
            for name, item in obj.items():
                self.value(name, unit, above)
                self.value(item, unit, above)

    def _members(self, container: Any, members: Iterable[Any], unit: Unit) -> None:
        """Add what a set holds; members may lead back to it, as those of a class's registry do."""
        around = _around.containers
        if id(container) in around:
            unit.add("around", str(len(around) - around.index(id(container))))
            return
        around.append(id(container))
        try:
            for digest in sorted(map(self._digest_alone, members)):
                unit.add("item", digest)
        finally:
            around.pop()

    def _digest_alone(self, obj: Any) -> str:
        """Digest of a member of a set, which has no place among the others."""
        plain = type(obj) in PLAIN and obj is not NotImplemented
        if plain and not (type(obj) is bytes and globals_inside(obj)):
            return canonical_digest(obj)
        return self.identity_of(obj)

    def _is_from_library(self, obj: Any, unit: Unit) -> bool:
        """Whether ``obj`` can be imported from a library by its name, and so is known by it."""
        module, name = getattr(obj, "__module__", None), getattr(obj, "__qualname__", None)
        if not isinstance(module, str) or not isinstance(name, str):
            return False
        if origin_of(module).is_project:
            if not isinstance(obj, types.FunctionType | type) and is_compiled(module):
                raise Unidentifiable(f"{module}:{name} is compiled and has no version")
            return False
        importable: Any = sys.modules.get(module)
        for part in name.split("."):
            importable = getattr(importable, part, None)
        if importable is not obj:
            return False
        self.library(module, unit)
        unit.add("import", f"{module}:{name}")
        return True

    def _is_special(self, obj: Any, unit: Unit) -> bool:
        """Describe objects that need no separate unit, or whose state does not count."""
        kind = type(obj)
        if isinstance(obj, _BUILTIN_TYPES):
            unit.add("builtin", obj.__name__)
            self.value(obj.__self__, unit)
        elif isinstance(obj, _SLOT_TYPES):
            unit.add("slot", obj.__name__)
        elif isinstance(obj, _TYPE_VARIABLES):
            unit.add("type variable", obj.__name__)
        elif kind is logging.Logger:
            unit.add("logger", obj.name)
        elif isinstance(obj, weakref.ReferenceType):
            unit.add("reference")
            self.value(obj(), unit)
        elif isinstance(obj, contextvars.ContextVar):
            unit.add("context variable", obj.name)
            self.value(_in_context(obj), unit)
        elif kind is threading.local:
            unit.add("local to this thread")
            self.named_values(vars(obj), unit)
        elif kind in _WEAK_DICTIONARIES:
            unit.add(kind.__name__)
            self.value(list(obj.items()), unit)
        elif kind is weakref.WeakSet:
            members = set(obj)
            unit.add(kind.__name__)
            unit.add("set", str(len(members)))
            self._count(len(members) + 1, unit)
            self._members(obj, members, unit)
        elif kind in _STATELESS:
            unit.add("stateless", kind.__name__)
        elif _is_numpy(obj):
            self._numpy(obj, unit)
        elif (stored := storage_bytes(obj)) is not None:
            unit.add("storage", f"{obj.dtype} {canonical_digest(stored)}")
        else:
            return False
        return True

    def _numpy(self, obj: Any, unit: Unit) -> None:
        """Describe an array or scalar: code can see its layout, and cells hold any object."""
        if not obj.shape:
            unit.add("numpy", canonical_digest(obj, self.type_digest))
            return
        unit.add("array", f"{obj.dtype.descr} {obj.shape} {obj.strides} {obj.flags.writeable}")
        if obj.dtype.kind == "O":
            self._container(obj.ravel().tolist(), unit, ())
            return
        unit.add("numpy", canonical_digest(obj, self.type_digest))
        if obj.dtype.kind in "SV" or obj.dtype == "u1":
            self._code_inside(obj.tobytes(), unit)

    # --- instances --------------------------------------------------------------------------------

    def instance(self, obj: Any, unit: Unit) -> None:
        """Describe an object by its class and its state."""
        kind = type(obj)
        if any((c.__module__, c.__name__) in _PROXIES for c in kind.__mro__):
            self._proxy(obj, unit)
            return
        self.value(kind, unit)
        if origin_of(str(kind.__module__)).is_project:
            self.named_values(own_state(obj), unit)
            self.named_values(slots(obj), unit)
            if all(c.__flags__ & _HEAP_TYPE or c is object for c in kind.__mro__):
                return
        base = next((base for base in _PARTS if isinstance(obj, base)), None)
        if base is not None:
            self._parts_of(obj, base, unit)
            return
        wrapped = getattr(obj, "__wrapped__", None)
        if wrapped is not None and kind is functools._lru_cache_wrapper:
            self.value(wrapped, unit)
            self.value(obj.cache_parameters(), unit)
            return
        if callable(obj) and all(hasattr(obj, name) for name in _PARTIAL):
            # Such as toolz.curry, which pickle knows by the name of its function alone.
            for name in _PARTIAL:
                self.value(getattr(obj, name), unit)
            return
        self._reduced(obj, unit)

    def _proxy(self, obj: Any, unit: Unit) -> None:
        """Describe a proxy of wrapt, which answers for what it wraps, by its own attributes.

        Raises:
            Unidentifiable: its class may have given it state that cannot be read.
        """
        kind = type(obj)
        self.library("wrapt", unit)
        unit.add("proxy", kind.__qualname__)
        own = {name: getattr(obj, name) for name in dir(kind) if name.startswith("_self_")}
        if kind.__module__ not in _WRAPT:
            self.value(kind, unit)
            if not hasattr(obj, "__self_dict__"):
                raise Unidentifiable(f"{unit.label} has no state that can be established")
            state = obj.__self_dict__
            own.update({name: state[name] for name in state if name.startswith("_self_")})
        self.value(obj.__wrapped__, unit)
        self.named_values(own, unit)

    def _reduced(self, obj: Any, unit: Unit) -> None:
        """Describe an object by what pickle would need to build it again."""
        try:
            reduce = copyreg.dispatch_table.get(type(obj))
            reduced = reduce(obj) if reduce else obj.__reduce_ex__(4)
        except Exception as error:
            if isinstance(obj, types.GeneratorType | io.IOBase):
                raise MovesOn(
                    f"{unit.label} continues in a trial where the last one left it"
                ) from error
            raise Unidentifiable(f"{unit.label} has no state that can be established") from error
        if isinstance(reduced, str):
            module = library_module_of(reduced, obj)
            if module is None:
                raise Unidentifiable(f"{unit.label} has no state that can be established")
            self.library(module, unit)
            unit.add("import", reduced)
            return
        build, arguments, state, items, pairs = (*reduced, None, None, None)[:5]
        self.value(build, unit)
        self.value(arguments, unit)
        if isinstance(state, dict):
            self.named_values(state, unit)
        else:
            self.value(state, unit)
        self.value(None if items is None else list(items), unit)
        self.value(None if pairs is None else list(pairs), unit)


class _Around(threading.local):
    """The sets whose members are being described, from the outside in."""

    def __init__(self) -> None:
        self.containers: list[int] = []


_around = _Around()


def _in_context(variable: contextvars.ContextVar[Any]) -> Any:
    try:
        return variable.get()
    except LookupError:
        return None


def _is_numpy(obj: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and (
        type(obj) is numpy.ndarray
        or (isinstance(obj, numpy.generic) and not isinstance(obj, numpy.void))
    )
