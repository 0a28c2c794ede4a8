"""Identity of loaded code: of a function and of all it reaches.

The walk starts at a function or class and follows global names, attribute chains through modules,
closures, defaults, decorators and the values found there, as far as they are project code. Code
of installed libraries is known by the library's version. Everything reached becomes a *unit*: the
units, numbered in the order in which they are first met and referring to one another by number,
are hashed. So recursion ends, and the digest depends on nothing but the code.
"""

from __future__ import annotations

import builtins
import hashlib
import importlib
import importlib.util
import inspect
import sys
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kedro_eeipu.cache.identity.bytecode import CodeFacts, Use, code_facts, is_capital
from kedro_eeipu.cache.identity.canonical import (
    Unidentifiable,
    canonical_digest,
    tagged,
    type_name,
)
from kedro_eeipu.cache.identity.classes import ClassWriter
from kedro_eeipu.cache.identity.declarations import own_doc, source
from kedro_eeipu.cache.identity.kept_results import is_mutable, keepers, kept_values, place_of
from kedro_eeipu.cache.identity.objects import Unit
from kedro_eeipu.cache.identity.origin import PYTHON, is_compiled, origin_of
from kedro_eeipu.cache.identity.reflection import READERS, SIGNS
from kedro_eeipu.cache.identity.replaced import replaced_in_libraries
from kedro_eeipu.cache.identity.requirements import required, with_requirements

__all__ = ["CodeIdentity", "code_identity", "type_digest"]

# Variables and attributes of library functions that are computed from others, call by call.
_COMPUTED = frozenset(
    ("functools", name) for name in ("dispatch_cache", "cache_token", "_clear_cache")
)


@dataclass(frozen=True)
class CodeIdentity:
    """Identity of a function or class and of the code it reaches.

    Attributes:
        digest: sha256 in hex.
        parts: short digests by ``"module:qualname"``, versions by ``"library NAME"``,
            ``"required NAME"`` (by a library) and ``"python"``, and ``"callable"`` for the node's
            callable itself (partial arguments, the object of a bound method); comparing two of them
            says what changed.
        lazy: ``"module:name"`` of the global variables that are empty yet and to which only
            functions without arguments write, which make them of nothing that differs.
        caches: digests by ``"module:qualname"`` of what functions under ``lru_cache`` and objects
            with a ``cached_property`` keep, as far as that can be changed; no part of `digest`,
            since it is computed from the rest, but one node may change what another one uses.
        variables: names of environment variables that it may read; no part of `digest`, for the
            same reason.
        keepers: where the functions and properties are of which something keeps results now, by
            `place_of`; no part of `digest`. Their next call may only return what is kept.
    """

    digest: str
    parts: dict[str, str]
    lazy: frozenset[str] = frozenset()
    caches: Mapping[str, str] = field(default_factory=dict)
    variables: frozenset[str] = frozenset()
    keepers: frozenset[tuple[str, int]] = frozenset()


def code_identity(func: Callable[..., Any] | type, *, with_caches: bool = False) -> CodeIdentity:
    """Return the identity of a loaded function, method, callable object or class.

    Args:
        func: The function.
        with_caches: Whether to look at what functions and objects keep of their results, too.

    Raises:
        Unidentifiable: it reaches a value whose state cannot be established.
    """
    try:
        while True:
            walk = _Walk()
            walk.start(func)
            if not walk.has_imported:
                break
            # What was imported on the way may have filled tables that were looked at before.
    except Unidentifiable:
        raise
    except RecursionError as error:
        raise Unidentifiable("it reaches values nested too deeply") from error
    except Exception as error:
        reason = f"it reaches a value that cannot be read ({type(error).__name__})"
        raise Unidentifiable(reason) from error
    return walk.identity(with_caches)


def type_digest(kind: type) -> bytes:
    """Digest of the name of a type together with the code of its methods and bases.

    Raises:
        Unidentifiable: it reaches a value whose state cannot be established.
    """
    return tagged("type", type_name(kind).encode(), code_identity(kind).digest.encode())


class _Walk(ClassWriter):
    """Describes functions, modules and global variables; its bases, classes and values.

    Attributes:
        has_imported: whether project modules were imported that had not been.
    """

    def __init__(self) -> None:
        super().__init__()
        self.has_imported = False
        self._lazy: dict[str, bool] = {}  # by variable that is written to
        self._sees: set[str] = set()
        self._words: set[str] = set()

    def start(self, obj: Any) -> None:
        root = Unit("callable", obj)
        self.units.append(root)
        self.value(obj, root)
        for replaced in replaced_in_libraries():
            root.add("replaced", replaced.name)
            self._global(replaced.value, replaced.name, "", root)
        described, with_subclasses, with_hints = 1, 0, 0
        while True:
            while described < len(self.units):
                self._describe(self.units[described])
                described += 1
            # All that was reached is described; what it may look at besides can lead further.
            if self._reads("subclasses"):
                for kind in self.classes[with_subclasses:]:
                    self.value(type.__subclasses__(kind), root)
                with_subclasses = len(self.classes)
            if self._reads("hints"):
                for owner in self.owners[with_hints:]:
                    self.resolved_hints(owner, root)
                with_hints = len(self.owners)
            if described == len(self.units):
                break
        if self._reads("docs"):
            root.add("docs", canonical_digest([own_doc(owner) for owner in self.owners]))
        if self._reads("source"):
            root.add("source", canonical_digest([source(owner) for owner in self.owners]))
        if self._reads("order"):
            root.add("orders", canonical_digest(self.orders))

    def _reads(self, what: str) -> bool:
        """Whether the code, or a library that it uses, looks at docstrings, hints and the like."""
        return (
            what in self._sees
            or not SIGNS[what].isdisjoint(self.dunders)
            or not READERS.get(what, frozenset()).isdisjoint(self.libraries)
        )

    def identity(self, with_caches: bool) -> CodeIdentity:
        state = hashlib.sha256(PYTHON.encode())
        for name, version in sorted(with_requirements(self.libraries).items()):
            state.update(f"\n{name}={version}".encode())
        for number, unit in enumerate(self.units):
            state.update(b"\nunit %d " % number)
            for item in unit.form:
                state.update(b"#%d" % item if isinstance(item, int) else item)
        lazy = frozenset(variable for variable, lazy in self._lazy.items() if lazy)
        caches = self._caches() if with_caches else {}
        variables = frozenset(self._words if self._reads("environment") else ())
        kept = self._keepers() if with_caches else frozenset()
        return CodeIdentity(state.hexdigest(), self._parts(), lazy, caches, variables, kept)

    def _keepers(self) -> frozenset[tuple[str, int]]:
        return frozenset(place_of(code) for unit in self.units for code in keepers(unit.obj))

    def _caches(self) -> dict[str, str]:
        caches: dict[str, list[Any]] = {}
        for unit in list(self.units):
            kept = kept_values(unit.obj)
            if any(map(is_mutable, kept)):
                caches.setdefault(unit.label, []).extend(kept)
        digests = {}
        for label, kept in caches.items():
            try:
                digests[label] = self.identity_of(kept)
            except Unidentifiable:
                digests[label] = f"{len(kept)} values"
        return digests

    def identity_of(self, obj: Any) -> str:
        return code_identity(obj).digest

    def type_digest(self, kind: type) -> bytes:
        return type_digest(kind)

    def _parts(self) -> dict[str, str]:
        parts = {f"library {name}": version for name, version in self.libraries.items()}
        parts["python"] = PYTHON
        parts.pop("library python", None)
        parts |= required(self.libraries)
        for unit in self.units:
            label, count = unit.label, 1
            while label in parts:
                count += 1
                label = f"{unit.label} ({count})"
            content = b"".join(
                self.units[item].label.encode() if isinstance(item, int) else item
                for item in unit.form
            )
            parts[label] = hashlib.sha256(content).hexdigest()[:12]
        return parts

    def _describe(self, unit: Unit) -> None:
        obj = unit.obj
        if type(obj) is types.FunctionType:  # not what poses as one
            self._function(obj, unit)
        elif isinstance(obj, type):
            self.describe_class(obj, unit)
        elif isinstance(obj, types.ModuleType):
            self._module(obj, unit)
        elif isinstance(obj, _Global):
            if isinstance(obj.value, str) and is_capital(obj.value):
                self._words.add(obj.value)
            self.value(obj.value, unit)
        else:
            self.instance(obj, unit)

    # --- functions and what they use --------------------------------------------------------------

    def _function(self, function: types.FunctionType, unit: Unit) -> None:
        """Describe a function; where its code is a library's, what the library wrapped into it."""
        unit.add("function", unit.label)
        home = str(function.__globals__.get("__name__"))  # wraps() changes __module__
        self.value(function.__defaults__, unit)
        self.value(function.__kwdefaults__, unit)
        own = {n: v for n, v in function.__dict__.items() if (home, n) not in _COMPUTED}
        self.named_values(own, unit)
        if origin_of(home).is_project:
            self.owners.append(function)
            facts = code_facts(function.__code__)
            self._sees |= facts.sees
            self._words |= facts.words
            unit.add("code", facts.digest.hex())
            self._uses(function, facts, unit)
            return
        self.library(home, unit)
        unit.add("code", f"{home}:{function.__code__.co_name}")
        wrapped = getattr(function, "__wrapped__", None)
        if wrapped is not None and origin_of(home).name != "python":
            self.hints(wrapped, unit)  # the library may act on them
        names = function.__code__.co_freevars
        for name, cell in zip(names, function.__closure__ or (), strict=True):
            if (home, name) not in _COMPUTED:
                self.cell(cell, unit)

    def _uses(self, function: types.FunctionType, facts: CodeFacts, unit: Unit) -> None:
        cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
        namespace = function.__globals__
        for use in facts.uses:
            unit.add(use.kind)
            if use.kind == "free":
                self._free(cells[use.name], use, function, unit)
            elif use.kind in ("global", "word"):
                self.global_name(use, namespace, unit)
            elif use.kind == "namespace":
                module = sys.modules.get(str(namespace.get("__name__")))
                if module is not None:
                    self.value(module, unit)
            elif use.kind == "assigned":
                variable, value = _variable(use, namespace)
                lazy = _is_unset(value) and _takes_nothing(function)
                self._lazy[variable] = lazy and self._lazy.get(variable, True)
            else:
                self._import(use, namespace, unit)

    def _free(
        self, cell: types.CellType, use: Use, function: types.FunctionType, unit: Unit
    ) -> None:
        """Add a closure variable; a value is a unit, which all functions that share it name."""
        try:
            value = cell.cell_contents
        except ValueError:
            value = None
        if value is None or callable(value) or isinstance(value, types.ModuleType):
            self.cell(cell, unit, use.chain)
            return
        scope = function.__qualname__.rpartition(".")[0]
        label = f"{function.__globals__.get('__name__')}:{scope}.{use.name}"
        self.refer(cell, label, unit, as_unit=_Global(value))

    def cell(self, cell: types.CellType, unit: Unit, chain: tuple[str, ...] = ()) -> None:
        try:
            value = cell.cell_contents
        except ValueError:
            unit.add("empty")
            return
        if chain and isinstance(value, types.ModuleType):
            self._follow(value, chain, value.__name__, "", unit)
        else:
            self.value(value, unit)

    def global_name(self, use: Use, namespace: dict[str, Any], unit: Unit) -> None:
        unit.add("name", use.name)
        if use.name in namespace:
            module = str(namespace.get("__name__", "?"))
            self._follow(namespace[use.name], use.chain, module, use.name, unit)
        else:
            unit.add("builtin" if hasattr(builtins, use.name) else "absent")
            self.value(getattr(builtins, use.name, None), unit)  # it may have been replaced

    def _import(self, use: Use, namespace: dict[str, Any], unit: Unit) -> None:
        name = use.name
        if name.startswith("."):
            package = namespace.get("__package__") or namespace.get("__name__", "")
            name = importlib.util.resolve_name(name, str(package))
        unit.add("import", name)
        if not origin_of(name).is_project:
            self.library(name, unit)
            return
        before = len(sys.modules)
        try:
            module = importlib.import_module(name)
            if use.kind in ("member", "effect"):
                for member in use.chain[:1]:
                    if not hasattr(module, member):
                        importlib.import_module(f"{name}.{member}")
        except ImportError:
            unit.add("absent")
            return
        finally:
            self.has_imported |= len(sys.modules) > before
        if use.kind == "effect":
            target = getattr(module, use.chain[0]) if use.chain else module
            self._effect(target if isinstance(target, types.ModuleType) else module, unit)
            return
        if use.kind == "package":
            module = sys.modules[name.partition(".")[0]]
        self._follow(module, use.chain, module.__name__, "", unit)

    def _effect(self, module: types.ModuleType, unit: Unit) -> None:
        """A project module that is imported for what that does: all it has, and how it came to it.

        What it imports in its turn counts where that left something behind in what is reached.
        """
        self.value(module, unit)
        loader: Any = getattr(module.__spec__, "loader", None)
        code = loader.get_code(module.__name__) if hasattr(loader, "get_code") else None
        if code is not None:
            unit.add("code", code_facts(code).digest.hex())

    def _follow(self, obj: Any, chain: tuple[str, ...], module: str, name: str, unit: Unit) -> None:
        """Follow ``chain`` from ``obj`` as long as it leads through project modules."""
        for attribute in chain:
            if not isinstance(obj, types.ModuleType) or not origin_of(obj.__name__).is_project:
                break
            unit.add("attribute", attribute)
            if not hasattr(obj, attribute):
                unit.add("absent")
                return
            module, name, obj = obj.__name__, attribute, getattr(obj, attribute)
        self._global(obj, module, name, unit)

    def _global(self, obj: Any, module: str, name: str, unit: Unit) -> None:
        """Add the value of a global variable; plain values become units with its name."""
        if callable(obj) or isinstance(obj, types.ModuleType):
            self.value(obj, unit)
        else:
            self.refer(obj, f"{module}:{name}", unit, as_unit=_Global(obj))

    def _module(self, module: types.ModuleType, unit: Unit) -> None:
        """A project module that is used as an object: anything in it may be looked up.

        That includes the project modules that it imports, its submodules among them. Versions of
        libraries count where what it defines uses them.
        """
        if is_compiled(module.__name__):
            raise Unidentifiable(f"{module.__name__} is compiled and has no version")
        unit.add("module", module.__name__)
        self.owners.append(module)
        self.orders.append(f"{module.__name__} {list(vars(module))}")
        for name, value in sorted(vars(module).items()):
            is_dunder = name.startswith("__") and name != "__getattr__"
            if not is_dunder and not _is_library_module(value):
                unit.add("name", name)
                self._global(value, module.__name__, name, unit)


def _variable(use: Use, namespace: dict[str, Any]) -> tuple[str, Any]:
    """The global variable that is written to, of this module or another one, and its value."""
    module, name = str(namespace.get("__name__", "?")), use.name
    value = namespace.get(name)
    for attribute in use.chain:
        if not isinstance(value, types.ModuleType):
            break
        module, name, value = value.__name__, attribute, getattr(value, attribute, None)
    return f"{module}:{name}", value


def _is_unset(value: Any) -> bool:
    return value is None or (isinstance(value, dict | list | set) and not value)


def _is_library_module(value: Any) -> bool:
    return isinstance(value, types.ModuleType) and not origin_of(value.__name__).is_project


def _takes_nothing(function: types.FunctionType) -> bool:
    code = function.__code__  # what `self` and `cls` hold is taken, too
    return not (
        code.co_argcount
        or code.co_kwonlyargcount
        or code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS)
    )


class _Global:
    """The value of a global variable, so that the variable is a unit whatever the value is."""

    def __init__(self, value: Any) -> None:
        self.value = value
