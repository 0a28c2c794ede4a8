"""Annotations that code reaches, written down for the digest of the code."""

from __future__ import annotations

import abc
import types
import typing
from typing import Any

from kedro_eeipu.cache.identity.bytecode import Use, code_facts
from kedro_eeipu.cache.identity.canonical import type_name
from kedro_eeipu.cache.identity.declarations import own_annotations
from kedro_eeipu.cache.identity.objects import ObjectWriter, Unit

__all__ = ["HintWriter"]


class HintWriter(ObjectWriter):
    """Writes annotations into units."""

    @abc.abstractmethod
    def global_name(self, use: Use, namespace: dict[str, Any], unit: Unit) -> None:
        """Add what a global name means in a namespace."""

    def resolved_hints(self, owner: Any, unit: Unit) -> None:
        """Add the annotations of a function, class or module, and the code of classes in them."""
        self.hints(owner, unit)
        if isinstance(owner, types.FunctionType):
            facts = code_facts(owner.__code__)
            unit.add("nested hints", facts.hints.hex())
            for use in facts.hint_uses:
                self.global_name(use, owner.__globals__, unit)
        try:
            hints = typing.get_type_hints(owner, include_extras=True)
        except Exception:  # a name that only a type checker has
            hints = own_annotations(owner)
        for hint in hints.values():
            self.annotation(hint, unit)

    def annotation(self, hint: Any, unit: Unit) -> None:
        """Add one annotation, and the code of classes in it."""
        self._hint(hint, unit, with_code=True)

    def hints(self, owner: Any, unit: Unit) -> None:
        """Add annotations as they stand, classes in them by their names."""
        for name, hint in own_annotations(owner).items():
            unit.add("hint", str(name))
            self._hint(hint, unit, with_code=False)

    def _hint(self, hint: Any, unit: Unit, with_code: bool) -> None:
        arguments = () if isinstance(hint, str) else typing.get_args(hint)
        if isinstance(hint, str):
            unit.add("text", hint)
        elif isinstance(hint, typing.ForwardRef):
            unit.add("text", hint.__forward_arg__)
        elif arguments or isinstance(hint, list):  # a list: the arguments of a Callable
            parts = hint if isinstance(hint, list) else (typing.get_origin(hint), *arguments)
            unit.add("generic", str(len(parts)))
            for part in parts:
                self._hint(part, unit, with_code)
        elif isinstance(hint, type) and not with_code:
            unit.add("class", type_name(hint))
        else:
            self.value(hint, unit)
