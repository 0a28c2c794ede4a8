"""Classes that code reaches, written down for the digest of the code."""

from __future__ import annotations

import abc
from typing import Any

from kedro_eeipu.cache.identity.canonical import Unidentifiable, canonical_digest
from kedro_eeipu.cache.identity.declarations import registered
from kedro_eeipu.cache.identity.hints import HintWriter
from kedro_eeipu.cache.identity.objects import Unit
from kedro_eeipu.cache.identity.origin import is_compiled, origin_of

__all__ = ["ClassWriter"]

# Without effect on what the class does, or computed from what has one.
_COSMETIC_CLASS_ENTRIES = frozenset(
    {
        *("__doc__", "__module__", "__qualname__", "__dict__", "__weakref__", "__signature__"),
        *("__annotations__", "__annotate__", "__annotate_func__", "__annotations_cache__"),
        *("__firstlineno__", "__static_attributes__", "_abc_impl", "__abstractmethods__"),
        *("__parameters__", "__orig_bases__", "__type_params__", "__class_vars__"),
        *("model_fields", "model_computed_fields", "_member_map_", "_value2member_map_"),
        # written into the class when it is first pickled or checked against
        *("__slotnames__", "__protocol_attrs__", "__non_callable_proto_members__"),
    }
)
# Of classes that are built from their annotations.
_HINTS_ARE_MEANT = (
    *("__dataclass_fields__", "__pydantic_fields__", "__attrs_attrs__", "_fields"),
    "__struct_fields__",
)
# What msgspec keeps of a class outside of it.
_STRUCT = ("__struct_encode_fields__", "__struct_defaults__")


class ClassWriter(HintWriter):
    """Describes classes.

    Attributes:
        classes: that were described.
        owners: functions, classes and modules of the project that were described.
    """

    def __init__(self) -> None:
        super().__init__()
        self.classes: list[type] = []
        self.owners: list[Any] = []

    def describe_class(self, kind: type, unit: Unit) -> None:
        """Describe a class by its bases and by its contents."""
        unit.add("class", unit.label)
        self.classes.append(kind)
        self.owners.append(kind)
        if is_compiled(kind.__module__):
            raise Unidentifiable(f"{unit.label} is compiled and has no version")
        if not origin_of(str(kind.__module__)).is_project:
            self.library(kind.__module__, unit)
        self.value(kind.__bases__, unit)
        self.value(None if type(kind) is type else type(kind), unit)
        members = vars(kind).get("_member_map_", {})
        for name, member in members.items():
            unit.add("member", name)
            state = {k: v for k, v in vars(member).items() if k != "__objclass__"}
            self.named_values(state, unit)
        entries = {
            name: value
            for name, value in vars(kind).items()
            if name not in _COSMETIC_CLASS_ENTRIES
            and name not in members
            and not name.startswith("__pydantic_")
        }
        self.named_values(entries, unit)
        if any(hasattr(kind, name) for name in _HINTS_ARE_MEANT):
            self.resolved_hints(kind, unit)  # as it is with annotations that are no strings
        for base in vars(kind).get("__orig_bases__", ()):  # Trainer[Linear] names a class
            self.annotation(base, unit)
        self.value([getattr(kind, name, None) for name in _STRUCT], unit)
        if isinstance(kind, abc.ABCMeta):
            unit.add("registered", canonical_digest(registered(kind)))
        self._pydantic(kind, unit)

    def _pydantic(self, kind: type, unit: Unit) -> None:
        """Add what a pydantic model keeps in compiled form: fields and validators."""
        fields = vars(kind).get("__pydantic_fields__")
        if isinstance(fields, dict):
            self.named_values(fields, unit)
        decorators = vars(kind).get("__pydantic_decorators__")
        for group in sorted(getattr(decorators, "__dataclass_fields__", ())):
            members = getattr(decorators, group)
            for name in sorted(members if isinstance(members, dict) else ()):
                unit.add(group, name)
                self.value(members[name].info, unit)
                self.value(members[name].func, unit)
