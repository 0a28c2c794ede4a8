"""Edits of a small project, and whether what it computes may be reused afterwards.

Every case is a project of a few modules whose ``nodes.node(x)`` is the node. After a ``miss`` edit
the node returns something else for ``x = 3.0`` (which the tests check), so whoever reuses the old
result is wrong. After a ``hit`` edit nothing that matters has changed.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

# Writes the files of a project, by path; within its context they are imported, and it is `nodes`.
Loader = Callable[[dict[str, str]], AbstractContextManager[Any]]


@dataclass(frozen=True)
class Edit:
    """One edit: files of the project before and after it, by path."""

    name: str
    before: dict[str, str]
    after: dict[str, str]
    is_hit: bool


EDITS: list[Edit] = []


def _edit(name: str, old: str, new: str, is_hit: bool = False, **files: str) -> None:
    before = {_path(module): text for module, text in files.items()}
    after = {path: text.replace(old, new) for path, text in before.items()}
    assert before != after, name
    EDITS.append(Edit(name, before, after, is_hit))


def _path(module: str) -> str:
    """``a__b`` is a/b.py, ``a__package`` is a/__init__.py."""
    return (
        "/".join("__init__" if part == "package" else part for part in module.split("__")) + ".py"
    )


def _hit(name: str, old: str, new: str, **files: str) -> None:
    _edit(name, old, new, True, **files)


# --- helpers --------------------------------------------------------------------------------------
_edit("own body", "x + 1", "x + 2", nodes="def node(x):\n    return x + 1\n")
_edit(
    "helper in the same module",
    "x * 2",
    "x * 3",
    nodes="def helper(x):\n    return x * 2\ndef node(x):\n    return helper(x)\n",
)
_edit(
    "helper in another module, imported by name",
    "x * 2",
    "x * 3",
    helpers="def helper(x):\n    return x * 2\n",
    nodes="from helpers import helper\ndef node(x):\n    return helper(x)\n",
)
_edit(
    "helper in another module, as an attribute",
    "x * 2",
    "x * 3",
    helpers="def helper(x):\n    return x * 2\n",
    nodes="import helpers\ndef node(x):\n    return helpers.helper(x)\n",
)
_edit(
    "helper three levels deep",
    "x * 2",
    "x * 3",
    c="def deep(x):\n    return x * 2\n",
    b="import c\ndef middle(x):\n    return c.deep(x)\n",
    a="from b import middle\ndef top(x):\n    return middle(x)\n",
    nodes="import a\ndef node(x):\n    return a.top(x)\n",
)
_edit(
    "helper in a package, by a chain of attributes",
    "x * 2",
    "x * 3",
    pack__package="from . import sub\n",
    pack__sub__package="from . import mod\n",
    pack__sub__mod="def f(x):\n    return x * 2\n",
    nodes="import pack.sub.mod\ndef node(x):\n    return pack.sub.mod.f(x)\n",
)
_edit(
    "helper re-exported by its package",
    "x * 2",
    "x * 3",
    pack__package="from .mod import f as public\n",
    pack__mod="def f(x):\n    return x * 2\n",
    nodes="import pack\ndef node(x):\n    return pack.public(x)\n",
)
_edit(
    "module under another name",
    "x * 2",
    "x * 3",
    helpers="def helper(x):\n    return x * 2\n",
    nodes="import helpers as h\ndef node(x):\n    return h.helper(x)\n",
)
_edit(
    "import inside the function",
    "x * 2",
    "x * 3",
    helpers="def helper(x):\n    return x * 2\n",
    nodes="def node(x):\n    from helpers import helper\n    return helper(x)\n",
)
_edit(
    "module imported inside the function",
    "x * 2",
    "x * 3",
    pack__package="",
    pack__mod="def f(x):\n    return x * 2\n",
    nodes="def node(x):\n    import pack.mod as m\n    return m.f(x)\n",
)
_edit(
    "dotted import inside the function",
    "x * 2",
    "x * 3",
    pack__package="",
    pack__mod="def f(x):\n    return x * 2\n",
    nodes="def node(x):\n    import pack.mod\n    return pack.mod.f(x)\n",
)
_edit(
    "local import used in a nested function",
    "x * 2",
    "x * 3",
    helpers="def helper(x):\n    return x * 2\n",
    nodes=(
        "def node(x):\n    import helpers\n"
        "    def inner(y):\n        return helpers.helper(y)\n    return inner(x)\n"
    ),
)
_edit(
    "helper called in a comprehension",
    "x * 2",
    "x * 3",
    helpers="def helper(x):\n    return x * 2\n",
    nodes="import helpers\ndef node(x):\n    return [helpers.helper(y) for y in (x, x)]\n",
)
_edit(
    "helper passed as a value",
    "x * 2",
    "x * 3",
    nodes="def helper(x):\n    return x * 2\ndef node(x):\n    return list(map(helper, [x]))\n",
)
_edit(
    "module passed as a value",
    "x * 2",
    "x * 3",
    helpers="def helper(x):\n    return x * 2\n",
    nodes=(
        "import helpers\ndef call(mod, x):\n    return mod.helper(x)\n"
        "def node(x):\n    return call(helpers, x)\n"
    ),
)
_edit(
    "mutually recursive helper",
    "x * 2",
    "x * 3",
    nodes=(
        "def even(n, x):\n    return x if n == 0 else odd(n - 1, x)\n"
        "def odd(n, x):\n    return x * 2 if n == 0 else even(n - 1, x)\n"
        "def node(x):\n    return odd(2, x)\n"
    ),
)
_edit(
    "generator helper",
    "x * 2",
    "x * 3",
    nodes="def helper(x):\n    yield x * 2\ndef node(x):\n    return sum(helper(x))\n",
)
_edit(
    "helper replaced by another import",
    "from one import f",
    "from two import f",
    one="def f(x):\n    return x + 1\n",
    two="def f(x):\n    return x + 2\n",
    nodes="from one import f\ndef node(x):\n    return f(x)\n",
)
_edit(
    "library function replaced",
    "from math import sin as f",
    "from math import cos as f",
    nodes="from math import sin as f\ndef node(x):\n    return f(x)\n",
)
_edit(
    "lambda in a global",
    "x * 2",
    "x * 3",
    nodes="helper = lambda x: x * 2\ndef node(x):\n    return helper(x)\n",
)

# --- global values --------------------------------------------------------------------------------
_edit(
    "global constant",
    "FACTOR = 2",
    "FACTOR = 3",
    nodes="FACTOR = 2\ndef node(x):\n    return x * FACTOR\n",
)
_edit(
    "global constant of another module",
    "FACTOR = 2",
    "FACTOR = 3",
    conf="FACTOR = 2\n",
    nodes="import conf\ndef node(x):\n    return x * conf.FACTOR\n",
)
_edit(
    "global constant used by a helper",
    "FACTOR = 2",
    "FACTOR = 3",
    helpers="FACTOR = 2\ndef helper(x):\n    return x * FACTOR\n",
    nodes="from helpers import helper\ndef node(x):\n    return helper(x)\n",
)
_edit(
    "global from integer to float",
    "FACTOR = 2",
    "FACTOR = 2.0",
    nodes="FACTOR = 2\ndef node(x):\n    return repr(FACTOR)\n",
)
_edit(
    "global dictionary",
    "'a': 2",
    "'a': 3",
    nodes="TABLE = {'a': 2}\ndef node(x):\n    return x * TABLE['a']\n",
)
_edit(
    "set of functions",
    "x + 1",
    "x + 2",
    nodes=(
        "def one(x):\n    return x + 1\nALL = {one, len}\n"
        "def node(x):\n    return [f(x) for f in ALL if f is not len]\n"
    ),
)
_edit(
    "default dictionary",
    "'a': 2",
    "'a': 3",
    nodes=(
        "import collections\nT = collections.defaultdict(int, {'a': 2})\n"
        "def node(x):\n    return x * T['a']\n"
    ),
)
_edit(
    "dispatch table entry",
    "'f': one",
    "'f': two",
    nodes=(
        "def one(x):\n    return x + 1\ndef two(x):\n    return x + 2\n"
        "TABLE = {'f': one}\ndef node(x):\n    return TABLE['f'](x)\n"
    ),
)
_edit(
    "function in a dispatch table",
    "x + 1",
    "x + 2",
    nodes=(
        "def one(x):\n    return x + 1\nTABLE = {'f': one}\n"
        "def node(x):\n    return TABLE['f'](x)\n"
    ),
)
_edit(
    "registry filled by a decorator",
    "x + 1",
    "x + 2",
    nodes=(
        "TABLE = {}\ndef register(f):\n    TABLE[f.__name__] = f\n    return f\n"
        "@register\ndef one(x):\n    return x + 1\ndef node(x):\n    return TABLE['one'](x)\n"
    ),
)
_edit(
    "enum member",
    "A = 2",
    "A = 3",
    nodes="import enum\nclass E(enum.Enum):\n    A = 2\ndef node(x):\n    return x * E.A.value\n",
)
_edit(
    "compiled regex",
    "'a+'",
    "'b+'",
    nodes="import re\nR = re.compile('a+')\ndef node(x):\n    return R.findall('aabb')\n",
)
_edit(
    "numpy array in a global",
    "[1, 2]",
    "[1, 3]",
    nodes=(
        "import numpy as np\nW = np.array([1, 2])\ndef node(x):\n    return float((x * W).sum())\n"
    ),
)
_edit(
    "instance in a global",
    "Scale(2)",
    "Scale(3)",
    nodes=(
        "class Scale:\n    def __init__(self, k):\n        self.k = k\n"
        "    def __call__(self, x):\n        return x * self.k\n"
        "scale = Scale(2)\ndef node(x):\n    return scale(x)\n"
    ),
)
_edit(
    "library object in a global",
    "Fraction(1, 2)",
    "Fraction(1, 3)",
    nodes=(
        "from fractions import Fraction\nK = Fraction(1, 2)\n"
        "def node(x):\n    return float(x * K)\n"
    ),
)

# --- functions as objects -------------------------------------------------------------------------
_edit("default", "k=2", "k=3", nodes="def node(x, k=2):\n    return x * k\n")
_edit(
    "default of a helper",
    "k=2",
    "k=3",
    nodes="def helper(x, k=2):\n    return x * k\ndef node(x):\n    return helper(x)\n",
)
_edit("keyword-only default", "k=2", "k=3", nodes="def node(x, *, k=2):\n    return x * k\n")
_edit("constant", "'a'", "'b'", nodes="def node(x):\n    return 'a' + str(x)\n")
_edit(
    "constant in a lambda",
    "y * 2",
    "y * 3",
    nodes="def node(x):\n    return (lambda y: y * 2)(x)\n",
)
_edit("operator", "x - 1", "x + 1", nodes="def node(x):\n    return x - 1\n")
_edit("comparison", "x < 1", "x > 1", nodes="def node(x):\n    return x < 1\n")
_edit(
    "order of two arguments",
    "f(a, b)",
    "f(b, a)",
    nodes="def f(a, b):\n    return a - 2 * b\ndef node(x):\n    return f(x, 1.0)\n",
)
_edit(
    "exception that is caught",
    "except ZeroDivisionError",
    "except ArithmeticError",
    nodes=(
        "def node(x):\n    try:\n        try:\n            return 10.0 ** 400 * x\n"
        "        except ZeroDivisionError:\n            return 1\n"
        "    except OverflowError:\n        return 2\n"
    ),
)
_edit(
    "closure value",
    "make(2)",
    "make(3)",
    nodes=(
        "def make(k):\n    def inner(x):\n        return x * k\n    return inner\nnode = make(2)\n"
    ),
)
_edit(
    "second value of a closure",
    "make(1, 2)",
    "make(1, 3)",
    nodes=(
        "def make(a, b):\n    def inner(x):\n        return a + b * x\n    return inner\n"
        "node = make(1, 2)\n"
    ),
)
_edit(
    "module in a closure",
    "x * 2",
    "x * 3",
    helpers="def f(x):\n    return x * 2\n",
    nodes=(
        "import helpers\ndef make(mod):\n    def inner(x):\n        return mod.f(x)\n"
        "    return inner\nnode = make(helpers)\n"
    ),
)
_edit(
    "function in a closure",
    "x + 1",
    "x + 2",
    nodes=(
        "def one(x):\n    return x + 1\n"
        "def make(f):\n    def inner(x):\n        return f(x)\n    return inner\nnode = make(one)\n"
    ),
)
_edit(
    "partial argument",
    "k=2",
    "k=3",
    nodes=(
        "import functools\ndef scale(x, k):\n    return x * k\n"
        "node = functools.partial(scale, k=2)\n"
    ),
)
_edit(
    "function under partial",
    "x * k",
    "x + k",
    nodes=(
        "import functools\ndef scale(x, k):\n    return x * k\n"
        "node = functools.partial(scale, k=2)\n"
    ),
)
_edit(
    "attribute of a function",
    "node.k = 2",
    "node.k = 3",
    nodes="def node(x):\n    return x * node.k\nnode.k = 2\n",
)

# --- decorators -----------------------------------------------------------------------------------
_WRAP = (
    "import functools\n"
    "def deco(f):\n    @functools.wraps(f)\n    def inner(x):\n        return f(x) + 1\n"
    "    return inner\n@deco\ndef node(x):\n    return x * 2\n"
)
_edit("decorator body", "f(x) + 1", "f(x) + 2", nodes=_WRAP)
_edit("function under a decorator", "x * 2", "x * 3", nodes=_WRAP)
_edit(
    "argument of a decorator",
    "@deco(1)",
    "@deco(2)",
    nodes=(
        "def deco(k):\n    def outer(f):\n        def inner(x):\n            return f(x) + k\n"
        "        return inner\n    return outer\n@deco(1)\ndef node(x):\n    return x\n"
    ),
)
_edit(
    "helper under lru_cache",
    "x * 2",
    "x * 3",
    nodes=(
        "import functools\n@functools.lru_cache(None)\ndef helper(x):\n    return x * 2\n"
        "def node(x):\n    return helper(x)\n"
    ),
)
_edit(
    "partial under lru_cache",
    "f, 2",
    "f, 3",
    nodes=(
        "import functools\ndef f(k, x):\n    return x * k\n"
        "helper = functools.lru_cache(functools.partial(f, 2))\n"
        "def node(x):\n    return helper(x)\n"
    ),
)
_edit(
    "decorator around a library function",
    "'1'",
    "'2'",
    nodes=(
        "import functools, json\ndef deco(f):\n    @functools.wraps(f)\n"
        "    def inner(x):\n        return f(x) + '1'\n    return inner\n"
        "dumps = deco(json.dumps)\ndef node(x):\n    return dumps(x)\n"
    ),
)
_edit(
    "function under a decorator of a library",
    "x * 2",
    "x * 3",
    nodes=(
        "import contextlib\nclass C(contextlib.ContextDecorator):\n"
        "    def __enter__(self):\n        pass\n    def __exit__(self, *e):\n        pass\n"
        "@C()\ndef helper(x):\n    return x * 2\ndef node(x):\n    return helper(x)\n"
    ),
)
_edit(
    "implementation under singledispatch",
    "x * 2",
    "x * 3",
    nodes=(
        "import functools\n@functools.singledispatch\ndef f(x):\n    return x\n"
        "@f.register\ndef _(x: float):\n    return x * 2\n"
        "def node(x):\n    return f(x)\n"
    ),
)
_edit(
    "context manager helper",
    "yield 2",
    "yield 3",
    nodes=(
        "import contextlib\n@contextlib.contextmanager\ndef scope():\n    yield 2\n"
        "def node(x):\n    with scope() as k:\n        return x * k\n"
    ),
)

# --- classes --------------------------------------------------------------------------------------
_edit(
    "method",
    "x * 2",
    "x * 3",
    nodes=(
        "class M:\n    def run(self, x):\n        return x * 2\n"
        "def node(x):\n    return M().run(x)\n"
    ),
)
_edit(
    "method of a base class in another module",
    "x * 2",
    "x * 3",
    base="class Base:\n    def run(self, x):\n        return x * 2\n",
    nodes=(
        "from base import Base\nclass M(Base):\n    pass\ndef node(x):\n    return M().run(x)\n"
    ),
)
_edit(
    "helper of a method",
    "x * 2",
    "x * 3",
    nodes=(
        "def helper(x):\n    return x * 2\nclass M:\n    def run(self, x):\n"
        "        return helper(x)\ndef node(x):\n    return M().run(x)\n"
    ),
)
_edit(
    "class attribute",
    "K = 2",
    "K = 3",
    nodes="class M:\n    K = 2\ndef node(x):\n    return x * M.K\n",
)
_edit(
    "property",
    "return 2",
    "return 3",
    nodes=(
        "class M:\n    @property\n    def k(self):\n        return 2\n"
        "def node(x):\n    return x * M().k\n"
    ),
)
_edit(
    "descriptor derived from property",
    "+ 1",
    "+ 2",
    nodes=(
        "class P(property):\n    def __get__(self, o, t=None):\n        return self.fget(o) + 1\n"
        "class M:\n    @P\n    def k(self):\n        return 2\n"
        "def node(x):\n    return x * M().k\n"
    ),
)
_edit(
    "static method",
    "x * 2",
    "x * 3",
    nodes=(
        "class M:\n    @staticmethod\n    def run(x):\n        return x * 2\n"
        "def node(x):\n    return M.run(x)\n"
    ),
)
_edit(
    "class method",
    "x * 2",
    "x * 3",
    nodes=(
        "class M:\n    @classmethod\n    def run(cls, x):\n        return x * 2\n"
        "def node(x):\n    return M.run(x)\n"
    ),
)
_edit(
    "default of a dataclass field",
    "k: int = 2",
    "k: int = 3",
    nodes=(
        "import dataclasses\n@dataclasses.dataclass\nclass C:\n    k: int = 2\n"
        "def node(x):\n    return x * C().k\n"
    ),
)
_edit(
    "state of a bound method",
    "M(2)",
    "M(3)",
    nodes=(
        "class M:\n    def __init__(self, k):\n        self.k = k\n"
        "    def run(self, x):\n        return x * self.k\nnode = M(2).run\n"
    ),
)
_edit(
    "state of a callable object",
    "M(2)",
    "M(3)",
    nodes=(
        "class M:\n    def __init__(self, k):\n        self.k = k\n"
        "    def __call__(self, x):\n        return x * self.k\nnode = M(2)\n"
    ),
)
_edit(
    "state in slots",
    "M(2)",
    "M(3)",
    nodes=(
        "class M:\n    __slots__ = ('k',)\n    def __init__(self, k):\n        self.k = k\n"
        "    def __call__(self, x):\n        return x * self.k\nnode = M(2)\n"
    ),
)
_edit(
    "metaclass",
    "return 2",
    "return 3",
    nodes=(
        "class Meta(type):\n    @property\n    def k(cls):\n        return 2\n"
        "class M(metaclass=Meta):\n    pass\ndef node(x):\n    return x * M.k\n"
    ),
)
_edit(
    "class defined inside the function",
    "k = 2",
    "k = 3",
    nodes="def node(x):\n    class M:\n        k = 2\n    return x * M.k\n",
)

# --- edits that change nothing --------------------------------------------------------------------
_BASE = 'def node(x):\n    """Double."""\n    y = x * 2\n    return y\n'
_hit("comment", "    y =", "    # twice\n    y =", nodes=_BASE)
_hit("docstring", "Double.", "Twice as much.", nodes=_BASE)
_hit("docstring removed", '    """Double."""\n', "", nodes=_BASE)
_hit("blank lines above", "def node", "\n\n\ndef node", nodes=_BASE)
_hit("local variable renamed", "y", "doubled", nodes=_BASE)
_hit("type hints", "def node(x)", "def node(x: float) -> float", nodes=_BASE)
_hit("hint of a local variable", "y = x", "y: float = x", nodes=_BASE)
_hit("unrelated function added", "def node", "def other():\n    return 1\ndef node", nodes=_BASE)
_hit(
    "unrelated function edited",
    "return 1",
    "return 2",
    nodes="def other():\n    return 1\n" + _BASE,
)
_hit("unrelated constant edited", "A = 1", "A = 2", nodes="A = 1\n" + _BASE)
_hit("unrelated import added", "def node", "import json\ndef node", nodes=_BASE)
_hit(
    "unrelated function in a helper module",
    "return 1",
    "return 2",
    helpers="def helper(x):\n    return x * 2\ndef other():\n    return 1\n",
    nodes="import helpers\ndef node(x):\n    return helpers.helper(x)\n",
)
_hit(
    "docstring of a helper",
    "Help.",
    "Assist.",
    helpers='def helper(x):\n    """Help."""\n    return x * 2\n',
    nodes="import helpers\ndef node(x):\n    return helpers.helper(x)\n",
)
_hit(
    "docstring of a class",
    "Model.",
    "A model.",
    nodes=(
        'class M:\n    """Model."""\n    def run(self, x):\n        """Run."""\n'
        "        return x * 2\ndef node(x):\n    return M().run(x)\n"
    ),
)
_hit(
    "methods reordered",
    "    def a(self):\n        return 1\n    def b(self):\n        return 2\n",
    "    def b(self):\n        return 2\n    def a(self):\n        return 1\n",
    nodes=(
        "class M:\n    def a(self):\n        return 1\n    def b(self):\n        return 2\n"
        "def node(x):\n    return M().a() + x\n"
    ),
)
_hit(
    "call broken into lines",
    "f(x, x)",
    "f(\n        x,\n        x,\n    )",
    nodes="def f(a, b):\n    return a + b\ndef node(x):\n    return f(x, x)\n",
)
_hit(
    "nested function moved down",
    "    def inner",
    "\n    # deeper\n    def inner",
    nodes="def node(x):\n    def inner(y):\n        return y + x\n    return inner(1)\n",
)
_hit(
    "captured variable renamed",
    "k",
    "factor",
    nodes="def node(x):\n    k = x * 2\n    return [y * k for y in (1, 2)] + [(lambda: k)()]\n",
)
_hit(
    "docstring of a class inside the function",
    "Model.",
    "A model.",
    nodes='def node(x):\n    class M:\n        """Model."""\n        k = 2\n    return x * M.k\n',
)
_hit(
    "hints of a nested function",
    "inner(y)",
    "inner(y: float) -> float",
    nodes="def node(x):\n    def inner(y):\n        return y + x\n    return inner(1)\n",
)

# --- what is only found when the code runs --------------------------------------------------------
_REGISTRY = (
    "R = {}\ndef register(f):\n    R[f.__name__] = f\n    return f\n"
    "def node(x):\n    %s\n    return R['f'](x)\n"
)
_REGISTERED = "from nodes import register\n@register\ndef f(x):\n    return x + 1\n"
_edit(
    "registry that is filled by an import inside the function",
    "x + 1",
    "x + 2",
    models=_REGISTERED,
    nodes=_REGISTRY % "import models",
)
_edit(
    "registry that is filled by a package's import of its modules",
    "x + 1",
    "x + 2",
    pack__package="from . import models\n",
    pack__models=_REGISTERED,
    nodes=_REGISTRY % "import pack",
)
_edit(
    "module that is imported inside the function for what it does",
    "k = 1",
    "k = 2",
    settings="k = 1\n",
    effect="import nodes\nimport settings\nnodes.STATE['k'] = settings.k\n",
    nodes="STATE = {}\ndef node(x):\n    import effect\n    return STATE['k'] * x\n",
)
_edit(
    "global in a query that is a constant",
    "LIMIT = 2",
    "LIMIT = 5",
    nodes=(
        "import pandas\nLIMIT = 2\nQUERY = 'x > @LIMIT'\n"
        "def node(x):\n    return len(pandas.DataFrame({'x': [1, x]}).query(QUERY))\n"
    ),
)
_edit(
    "global in a query from a table",
    "LIMIT = 2",
    "LIMIT = 5",
    nodes=(
        "import pandas\nLIMIT = 2\nQUERIES = {'a': 'x > @LIMIT'}\n"
        "def node(x):\n    return len(pandas.DataFrame({'x': [1, x]}).query(expr=QUERIES['a']))\n"
    ),
)
_hit(
    "something else in a module with a query",
    "return 5",
    "return 6",
    nodes=(
        "import pandas\ndef unrelated():\n    return 5\n"
        "def node(x):\n    return len(pandas.DataFrame({'x': [1, x]}).query('x > 2'))\n"
    ),
)
_hit(
    "something else in a module with a method called eval",
    "return 5",
    "return 6",
    nodes=(
        "class M:\n    def eval(self):\n        return 1\ndef unrelated():\n    return 5\n"
        "def node(x):\n    m = M()\n    m.eval()\n    return m.eval() + x\n"
    ),
)
_hit(
    "something else in a module that evaluates a model",
    "return 5",
    "return 6",
    nodes=(
        "class M:\n    def evaluate(self, x):\n        return x\ndef unrelated():\n    return 5\n"
        "def node(x):\n    return M().evaluate(x)\n"
    ),
)
_edit(
    "function in a model formula",
    "x * 2",
    "x * 3",
    formulas=(
        "import sys\ndef fit(formula, x):\n"
        "    return eval(formula.partition('~')[2], sys._getframe(1).f_globals, {'x': x})\n"
    ),
    nodes=(
        "from formulas import fit\ndef tr(x):\n    return x * 2\n"
        "def node(x):\n    return fit('y ~ tr(x)', x)\n"
    ),
)
for _look in (
    "sys.modules[__name__].K",
    "node.__globals__['K']",
    "sys._getframe().f_globals['K']",
    "inspect.getmodule(node).K",
):
    _edit(
        f"global found by {_look}",
        "K = 1",
        "K = 2",
        nodes=f"import inspect\nimport sys\nK = 1\ndef node(x):\n    return x + {_look}\n",
    )
_edit(
    "classes that are found as subclasses",
    "k = 1",
    "k = 2",
    nodes=(
        "class Base:\n    pass\nclass A(Base):\n    k = 1\n"
        "def node(x):\n    return [c.k for c in Base.__subclasses__()]\n"
    ),
)
_edit(
    "annotations of a plain class that are read",
    "a: int",
    "b: int",
    nodes="class Schema:\n    a: int\ndef node(x):\n    return list(Schema.__annotations__)\n",
)
_edit(
    "default of a context variable",
    "default=1",
    "default=2",
    nodes=(
        "import contextvars\nV = contextvars.ContextVar('V', default=1)\n"
        "def node(x):\n    return V.get() + x\n"
    ),
)
_edit(
    "name of a nested function",
    "first",
    "second",
    nodes="def node(x):\n    def first(y):\n        return y\n    return [first][0].__name__\n",
)
_edit(
    "tensor in a global",
    "[1.0, 2.0]",
    "[1.0, 3.0]",
    nodes=(
        "import torch\nLOSS = torch.nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0]))\n"
        "def node(x):\n    return float(LOSS.weight.sum()) * x\n"
    ),
)
_hit(
    "something else in a module with a tensor in a global",
    "return 5",
    "return 6",
    nodes=(
        "import torch\nWEIGHT = torch.tensor([1.0, 2.0])\ndef unrelated():\n    return 5\n"
        "def node(x):\n    return float(WEIGHT.sum()) * x\n"
    ),
)

# --- callables of libraries around functions of the project ---------------------------------------
_edit(
    "curried node",
    "x * 2",
    "x * 3",
    nodes="from toolz import curry\n@curry\ndef node(x):\n    return x * 2\n",
)
_edit(
    "curried helper",
    "x * k",
    "x * k + 1",
    nodes=(
        "from toolz import curry\n@curry\ndef times(k, x):\n    return x * k\n"
        "def node(x):\n    return times(2)(x)\n"
    ),
)
_WRAPT = (
    "import wrapt\n"
    "@wrapt.decorator\n"
    "def twice(wrapped, instance, args, kwargs):\n    return wrapped(*args, **kwargs) * 2\n"
    "@twice\ndef node(x):\n    return x + 1\n"
)
_edit("function under a wrapt decorator", "x + 1", "x + 2", nodes=_WRAPT)
_edit("wrapt decorator of a node", "* 2", "* 3", nodes=_WRAPT)
_edit(
    "argument of a wrapt decorator",
    "times(2)",
    "times(3)",
    nodes=(
        "import wrapt\ndef times(n):\n    @wrapt.decorator\n"
        "    def wrapper(wrapped, instance, args, kwargs):\n"
        "        return wrapped(*args, **kwargs) * n\n    return wrapper\n"
        "@times(2)\ndef helper(x):\n    return x + 1\ndef node(x):\n    return helper(x)\n"
    ),
)
_edit(
    "class of a wrapt wrapper",
    "* 2",
    "* 3",
    nodes=(
        "import wrapt\nclass Twice(wrapt.ObjectProxy):\n"
        "    def __call__(self, x):\n        return self.__wrapped__(x) * 2\n"
        "@Twice\ndef helper(x):\n    return x + 1\ndef node(x):\n    return helper(x)\n"
    ),
)

# --- modules and classes that are found at run time -----------------------------------------------
_edit(
    "submodule of a package that is used as an object",
    "x * 2",
    "x * 3",
    pack__package="from . import linear\n",
    pack__linear="def f(x):\n    return x * 2\n",
    nodes="import pack\nkind = 'linear'\ndef node(x):\n    return getattr(pack, kind).f(x)\n",
)
_edit(
    "imported module that is found among the globals",
    "x * 2",
    "x * 3",
    linear="def f(x):\n    return x * 2\n",
    nodes="import linear\nkind = 'linear'\ndef node(x):\n    return globals()[kind].f(x)\n",
)
_edit(
    "class in the annotation of a structured configuration, which is a string",
    "depth: int = 2",
    "depth: int = 3",
    nodes=(
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\nfrom omegaconf import OmegaConf\n"
        "@dataclass\nclass Model:\n    depth: int = 2\n"
        "@dataclass\nclass Config:\n    model: Model\n"
        "def node(x):\n"
        "    return x * OmegaConf.merge(OmegaConf.structured(Config), {'model': {}}).model.depth\n"
    ),
)
_edit(
    "class that a generic base is given",
    "k = 2",
    "k = 3",
    nodes=(
        "from typing import Generic, TypeVar, get_args\nT = TypeVar('T')\n"
        "class Linear:\n    k = 2\nclass Trainer(Generic[T]):\n"
        "    def run(self, x):\n        (kind,) = get_args(type(self).__orig_bases__[0])\n"
        "        return x * kind.k\n"
        "class Mine(Trainer[Linear]):\n    pass\n"
        "def node(x):\n    return Mine().run(x)\n"
    ),
)
