"""Parts the annotations of nested functions from what the code around them does.

Annotations are evaluated where a function is defined, so those of a nested function are
instructions of the outer one. A worked example, as Python 3.11 compiles it::

    def outer(x):
        def inner(a: int = 0) -> str:
            return x

                                           pushed by these is
     0  LOAD_CONST     (0,)                the defaults
     1  LOAD_CONST     'a'                 --+
     2  LOAD_GLOBAL    int                   |
     3  LOAD_CONST     'return'              | the annotations
     4  LOAD_GLOBAL    str                   |
     5  BUILD_TUPLE    4                   --+
     6  LOAD_CLOSURE   x                   --+ the closure
     7  BUILD_TUPLE    1                   --+
     8  LOAD_CONST     <code of inner>     the code
     9  MAKE_FUNCTION  1 | 4 | 8           takes defaults, annotations, closure and code

The order is always this one, and each of the first three may be missing, so they are looked for
from the end: before the code (8) ends the closure, if the function has one; it begins at 6, the
nearest place from which exactly one value is pushed. There the annotations end; they begin at 1,
by the same rule. So 1 to 5 are split off, and 9 becomes ``MAKE_FUNCTION 1 | 8``, as if `inner` had
no annotations.

Versions differ in two points. Before 3.11 the name of the function is pushed after the code. From
3.13 on MAKE_FUNCTION takes the code only, and instructions after it attach the rest one by one::

     9  MAKE_FUNCTION
    10  SET_FUNCTION_ATTRIBUTE  8          the closure
    11  SET_FUNCTION_ATTRIBUTE  4          the annotations: split off with 1 to 5
    12  SET_FUNCTION_ATTRIBUTE  1          the defaults
"""

from __future__ import annotations

from types import CodeType

from kedro_eeipu.cache.identity.instructions import Op, expression_start

__all__ = ["without_hints"]

# Of the argument of MAKE_FUNCTION and SET_FUNCTION_ATTRIBUTE: what they attach. Annotations are a
# tuple (4), and from 3.14 on a function that computes them (16).
_HINT_BITS = 4 | 16
_CLOSURE_BIT = 8


def without_hints(ops: list[Op]) -> tuple[list[Op], list[Op]]:
    """Split the instructions into those that do something and those that build annotations."""
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
            end = expression_start(ops, end)
        hints.update(range(expression_start(ops, end), end))
        hints.update(i for i in attached if (ops[i].arg or 0) & _HINT_BITS)
        if not attached:
            kept[index] = op._replace(arg=bits & ~_HINT_BITS)
    return (
        [op for index, op in enumerate(kept) if index not in hints],
        [op for index, op in enumerate(ops) if index in hints],
    )


def _attributes_set(ops: list[Op], index: int) -> int:
    """How many SET_FUNCTION_ATTRIBUTE are at ``index`` and after it."""
    count = 0
    while index + count < len(ops) and ops[index + count].name == "SET_FUNCTION_ATTRIBUTE":
        count += 1
    return count
