"""Edits of code: what a node's function reaches, by every way that Python has."""

# ruff: noqa: E501 - each is read as the small program that it is
from __future__ import annotations

from edits import code

ALL = ("near", "deep", "second")

# --- functions ------------------------------------------------------------------------------------
code(
    "function body",
    "the function itself",
    "def f(k):\n    return k * 2\n",
    "* 2",
    "* 3",
    places=ALL,
)
code(
    "function body",
    "branch",
    "def f(k):\n    if k > 4:\n        return 1\n    return 2\n",
    "k > 4",
    "k > 6",
)
code("function body", "order of operands", "def f(k):\n    return k - 3\n", "k - 3", "3 - k")
code("function body", "operator only", "def f(k):\n    return k + 3\n", "k + 3", "k | 3")
code(
    "function body",
    "swapped arguments of a helper",
    "def h(a, b):\n    return a - b\ndef f(k):\n    return h(k, 2)\n",
    "h(k, 2)",
    "h(2, k)",
)
code(
    "function body",
    "keyword of a helper",
    "def h(a, b=1, c=2):\n    return a * b - c\ndef f(k):\n    return h(k, b=7)\n",
    "b=7",
    "c=7",
)
code(
    "helper deep",
    "two levels",
    "def h2(k):\n    return k + 1\ndef h1(k):\n    return h2(k) * 2\ndef f(k):\n    return h1(k)\n",
    "k + 1",
    "k + 2",
    places=ALL,
)
code(
    "helper deep",
    "mutual recursion",
    "def even(k):\n    return 1 if k == 0 else odd(k - 1)\ndef odd(k):\n    return 2 if k == 0 else even(k - 1)\ndef f(k):\n    return even(k)\n",
    "return 2 if",
    "return 3 if",
)
code(
    "helper deep",
    "nested def",
    "def f(k):\n    def inner(v):\n        def innermost(w):\n            return w * 2\n        return innermost(v)\n    return inner(k)\n",
    "w * 2",
    "w * 5",
)
code(
    "helper deep",
    "as default callback",
    "def up(k):\n    return k * 2\ndef apply(k, how=up):\n    return how(k)\ndef f(k):\n    return apply(k)\n",
    "k * 2",
    "k * 9",
)
code(
    "helper deep",
    "via map and functools.reduce",
    "import functools\ndef add(a, b):\n    return a + b + 1\ndef f(k):\n    return functools.reduce(add, range(k))\n",
    "b + 1",
    "b + 2",
)
code(
    "helper deep",
    "operator.methodcaller",
    "import operator\nclass T:\n    def go(self, v):\n        return v * 2\ndef f(k):\n    return operator.methodcaller('go', k)(T())\n",
    "v * 2",
    "v * 4",
)
code(
    "helper deep",
    "getattr on an object with a constant name",
    "class T:\n    def go(self, v):\n        return v * 2\ndef f(k):\n    return getattr(T(), 'go')(k)\n",
    "v * 2",
    "v * 4",
)
code(
    "helper deep",
    "name put together at run time",
    "class T:\n    def go_fast(self, v):\n        return v * 2\ndef f(k):\n    return getattr(T(), 'go_' + 'fa' + 'st'[0:2])(k)\n",
    "v * 2",
    "v * 4",
)

# --- constants ------------------------------------------------------------------------------------
code("constant", "global int", "N = 2\ndef f(k):\n    return k * N\n", "N = 2", "N = 3", places=ALL)
code(
    "constant",
    "int becomes float",
    "N = 2\ndef f(k):\n    return repr(k * N)\n",
    "N = 2",
    "N = 2.0",
)
code("constant", "True for 1", "N = 1\ndef f(k):\n    return repr(N)\n", "N = 1", "N = True")
code(
    "constant",
    "negative zero",
    "import math\nN = 0.0\ndef f(k):\n    return math.copysign(k, N)\n",
    "N = 0.0",
    "N = -0.0",
)
code(
    "constant",
    "nested tuple",
    "N = (1, (2, 3))\ndef f(k):\n    return k * N[1][1]\n",
    "(2, 3)",
    "(2, 4)",
)
code(
    "constant",
    "frozenset",
    "N = frozenset({1, 5})\ndef f(k):\n    return 10 if k in N else 20\n",
    "{1, 5}",
    "{1, 6}",
)
code("constant", "bytes", "N = b'ab'\ndef f(k):\n    return N[k % 2]\n", "b'ab'", "b'ac'")
code(
    "constant",
    "fraction and decimal",
    "from fractions import Fraction\nfrom decimal import Decimal\nN, M = Fraction(1, 3), Decimal('0.1')\ndef f(k):\n    return float(N) * k + float(M)\n",
    "Fraction(1, 3)",
    "Fraction(1, 4)",
)
code(
    "constant",
    "complex and slice",
    "N = (slice(0, 2), 1j)\ndef f(k):\n    return sum([1, 2, 3, k][N[0]])\n",
    "slice(0, 2)",
    "slice(1, 4)",
)
code(
    "constant",
    "date",
    "import datetime\nN = datetime.date(2024, 1, 1)\ndef f(k):\n    return N.toordinal() + k\n",
    "2024, 1, 1",
    "2024, 1, 2",
)
code(
    "constant",
    "timezone",
    "import datetime\nN = datetime.timezone(datetime.timedelta(hours=1))\ndef f(k):\n    return N.utcoffset(None).total_seconds() + k\n",
    "hours=1",
    "hours=2",
)
code(
    "constant",
    "path",
    "from pathlib import PurePosixPath\nN = PurePosixPath('/a/b')\ndef f(k):\n    return len(N.parts) + k\n",
    "/a/b",
    "/a/b/c",
)
code(
    "constant",
    "key order of a dict",
    "N = {'a': 1, 'b': 2}\ndef f(k):\n    return list(N.values())[0] + k\n",
    "{'a': 1, 'b': 2}",
    "{'b': 2, 'a': 1}",
)
code(
    "constant",
    "defaultdict and its factory",
    "from collections import defaultdict\nN = defaultdict(lambda: 2)\ndef f(k):\n    return N[k] * k\n",
    "lambda: 2",
    "lambda: 3",
    places=("near",),
)
code(
    "constant",
    "deque with maxlen",
    "from collections import deque\nN = deque([1, 2, 3], maxlen=3)\ndef f(k):\n    d = deque(N, N.maxlen)\n    d.append(k)\n    return len(d) * 100 + sum(d)\n",
    "maxlen=3",
    "maxlen=4",
)
code(
    "constant",
    "ChainMap and Counter",
    "from collections import ChainMap, Counter\nN = ChainMap({'a': 1}, {'b': 2})\nM = Counter('aab')\ndef f(k):\n    return N['b'] + M['a'] + k\n",
    "'aab'",
    "'aaab'",
)
code(
    "constant",
    "MappingProxyType",
    "from types import MappingProxyType\nN = MappingProxyType({'a': 2})\ndef f(k):\n    return N['a'] * k\n",
    "{'a': 2}",
    "{'a': 3}",
)
code(
    "constant",
    "SimpleNamespace",
    "from types import SimpleNamespace\nN = SimpleNamespace(a=2, b=SimpleNamespace(c=1))\ndef f(k):\n    return N.a * k + N.b.c\n",
    "c=1",
    "c=4",
)
code(
    "constant",
    "range and bytearray",
    "N = range(2, 9, 2)\nM = bytearray(b'xyz')\ndef f(k):\n    return sum(N) + M[0] + k\n",
    "range(2, 9, 2)",
    "range(2, 9, 3)",
)
code("constant", "f-string format", "def f(k):\n    return f'{k:.2f}'\n", ":.2f", ":05.1f")
code(
    "constant",
    "attribute of a class",
    "class Config:\n    RATE = 2\ndef f(k):\n    return k * Config.RATE\n",
    "RATE = 2",
    "RATE = 3",
)
code(
    "constant",
    "computed at import",
    "import math\nTABLE = [math.sqrt(i) for i in range(10)]\ndef f(k):\n    return TABLE[k]\n",
    "math.sqrt(i)",
    "math.sqrt(i + 1)",
)
code(
    "constant",
    "conditional on another",
    "FAST = False\nSTEP = 1 if FAST else 10\ndef f(k):\n    return k * STEP\n",
    "FAST = False",
    "FAST = True",
)
code(
    "regex",
    "pattern",
    "import re\nP = re.compile(r'\\d+')\ndef f(k):\n    return len(P.findall('a1b22c333')[0]) * 10 + len(P.findall('a1b22c333'))\n",
    r"\\d+".replace("\\\\", "\\"),
    r"\d{2,}",
)
code(
    "regex",
    "flags",
    "import re\nP = re.compile('ab', re.I)\ndef f(k):\n    return len(P.findall('abABaB'))\n",
    ", re.I",
    "",
)
code(
    "regex",
    "replacement function",
    "import re\ndef sub(m):\n    return m.group() * 2\ndef f(k):\n    return re.sub('b', sub, 'abc')\n",
    "* 2",
    "* 3",
)
code(
    "regex",
    "string.Template and Formatter",
    "import string\nT = string.Template('$a-$b')\ndef f(k):\n    return T.substitute(a=k, b=1)\n",
    "$a-$b",
    "$b-$a",
)
code(
    "enum",
    "value",
    "import enum\nclass E(enum.Enum):\n    A = 2\n    B = 5\ndef f(k):\n    return k * E.A.value\n",
    "A = 2",
    "A = 3",
)
code(
    "enum",
    "by name",
    "import enum\nclass E(enum.Enum):\n    A = 2\n    B = 5\ndef f(k):\n    return k * E['B'].value\n",
    "B = 5",
    "B = 6",
)
code(
    "enum",
    "order in iteration",
    "import enum\nclass E(enum.Enum):\n    A = 'a'\n    B = 'b'\ndef f(k):\n    return ''.join(e.value for e in E)\n",
    "    A = 'a'\n    B = 'b'",
    "    B = 'b'\n    A = 'a'",
)
code(
    "enum",
    "flag",
    "import enum\nclass E(enum.IntFlag):\n    A = enum.auto()\n    B = enum.auto()\ndef f(k):\n    return k * int(E.B)\n",
    "    A = enum.auto()\n",
    "    A = enum.auto()\n    Z = enum.auto()\n",
)
code(
    "enum",
    "method and _missing_",
    "import enum\nclass E(enum.Enum):\n    A = 2\n    @classmethod\n    def _missing_(cls, v):\n        return cls.A\n    def times(self, k):\n        return self.value * k\ndef f(k):\n    return E(99).times(k)\n",
    "self.value * k",
    "self.value + k",
)

# --- defaults, closures, partials, decorators -----------------------------------------------------
code(
    "defaults",
    "positional",
    "def h(k, n=2):\n    return k * n\ndef f(k):\n    return h(k)\n",
    "n=2",
    "n=3",
    places=ALL,
)
code(
    "defaults",
    "keyword-only",
    "def h(k, *, n=2):\n    return k * n\ndef f(k):\n    return h(k)\n",
    "n=2",
    "n=3",
)
code(
    "defaults",
    "of a lambda",
    "h = lambda k, n=2: k * n\ndef f(k):\n    return h(k)\n",
    "n=2",
    "n=3",
)
code(
    "defaults",
    "a mutable one",
    "def h(k, n=[1, 2]):\n    return k * sum(n)\ndef f(k):\n    return h(k)\n",
    "[1, 2]",
    "[1, 3]",
)
code(
    "defaults",
    "evaluated from a global at import",
    "BASE = 2\ndef h(k, n=BASE * 2):\n    return k * n\ndef f(k):\n    return h(k)\n",
    "BASE * 2",
    "BASE * 4",
)
code(
    "closure",
    "value",
    "def make(n):\n    def inner(k):\n        return k * n\n    return inner\nh = make(2)\ndef f(k):\n    return h(k)\n",
    "make(2)",
    "make(3)",
    places=ALL,
)
code(
    "closure",
    "list of closures in a loop",
    "HS = []\nfor n in (1, 2, 3):\n    HS.append(lambda k, n=n: k * n)\ndef f(k):\n    return sum(h(k) for h in HS)\n",
    "(1, 2, 3)",
    "(1, 2, 4)",
)
code(
    "closure",
    "over an object",
    "class S:\n    def __init__(self, n):\n        self.n = n\ndef make(s):\n    return lambda k: k * s.n\nh = make(S(2))\ndef f(k):\n    return h(k)\n",
    "S(2)",
    "S(3)",
)
code(
    "closure",
    "class defined in a function",
    "def make(n):\n    class Inner:\n        def go(self, k):\n            return k * n\n    return Inner\nInner = make(2)\ndef f(k):\n    return Inner().go(k)\n",
    "make(2)",
    "make(3)",
)
code(
    "partial",
    "argument",
    "from functools import partial\ndef h(n, k):\n    return n * k\ng_ = partial(h, 2)\ndef f(k):\n    return g_(k)\n",
    "partial(h, 2)",
    "partial(h, 3)",
    places=ALL,
)
code(
    "partial",
    "of a partial",
    "from functools import partial\ndef h(n, m, k):\n    return n * k + m\ng_ = partial(partial(h, 2), 1)\ndef f(k):\n    return g_(k)\n",
    "h, 2), 1",
    "h, 2), 7",
)
code(
    "partial",
    "partialmethod",
    "from functools import partialmethod\nclass T:\n    def go(self, n, k):\n        return n * k\n    go2 = partialmethod(go, 2)\ndef f(k):\n    return T().go2(k)\n",
    "go, 2",
    "go, 3",
)
code(
    "partial",
    "operator.itemgetter",
    "import operator\nG = operator.itemgetter(1)\ndef f(k):\n    return G([k, k * 2, k * 3])\n",
    "itemgetter(1)",
    "itemgetter(2)",
)
code(
    "decorator",
    "body of a wrapper",
    "import functools\ndef deco(fn):\n    @functools.wraps(fn)\n    def w(*a):\n        return fn(*a) + 1\n    return w\n@deco\ndef h(k):\n    return k * 2\ndef f(k):\n    return h(k)\n",
    "+ 1",
    "+ 5",
    places=ALL,
)
code(
    "decorator",
    "argument",
    "def deco(n):\n    def outer(fn):\n        return lambda k: fn(k) * n\n    return outer\n@deco(2)\ndef h(k):\n    return k\ndef f(k):\n    return h(k)\n",
    "deco(2)",
    "deco(3)",
)
code(
    "decorator",
    "class as decorator",
    "class Deco:\n    def __init__(self, fn):\n        self.fn = fn\n    def __call__(self, k):\n        return self.fn(k) + 1\n@Deco\ndef h(k):\n    return k * 2\ndef f(k):\n    return h(k)\n",
    "+ 1",
    "+ 6",
)
code(
    "decorator",
    "taken off",
    "def deco(fn):\n    return lambda k: fn(k) + 1\n@deco\ndef h(k):\n    return k * 2\ndef f(k):\n    return h(k)\n",
    "@deco\n",
    "",
)
code(
    "decorator",
    "order of two",
    "def add(fn):\n    return lambda k: fn(k) + 1\ndef mul(fn):\n    return lambda k: fn(k) * 3\n@add\n@mul\ndef h(k):\n    return k\ndef f(k):\n    return h(k)\n",
    "@add\n@mul",
    "@mul\n@add",
)
code(
    "decorator",
    "contextmanager",
    "from contextlib import contextmanager\n@contextmanager\ndef cm(k):\n    yield k * 2\ndef f(k):\n    with cm(k) as v:\n        return v\n",
    "k * 2",
    "k * 3",
)
code(
    "decorator",
    "of a class",
    "def tag(cls):\n    cls.extra = 2\n    return cls\n@tag\nclass T:\n    pass\ndef f(k):\n    return k * T.extra\n",
    "extra = 2",
    "extra = 3",
)
code(
    "decorator",
    "attribute of a function",
    "def h(k):\n    return k * h.factor\nh.factor = 2\ndef f(k):\n    return h(k)\n",
    "factor = 2",
    "factor = 3",
)
code(
    "caches",
    "body under lru_cache",
    "import functools\n@functools.lru_cache\ndef h(k):\n    return k * 2\ndef f(k):\n    return h(k)\n",
    "* 2",
    "* 3",
    places=ALL,
)
code(
    "caches",
    "cached_property",
    "import functools\nclass T:\n    @functools.cached_property\n    def v(self):\n        return 2\nT_ = T()\ndef f(k):\n    return k * T_.v\n",
    "return 2",
    "return 3",
)
code(
    "caches",
    "helper under functools.cache",
    "import functools\ndef low(k):\n    return k + 1\n@functools.cache\ndef h(k):\n    return low(k)\ndef f(k):\n    return h(k)\n",
    "k + 1",
    "k + 3",
)
code(
    "caches",
    "memo of one's own",
    "MEMO = {}\ndef h(k):\n    if k not in MEMO:\n        MEMO[k] = k * 2\n    return MEMO[k]\ndef f(k):\n    return h(k)\n",
    "k * 2",
    "k * 3",
)

# --- classes --------------------------------------------------------------------------------------
code(
    "class",
    "method",
    "class T:\n    def go(self, k):\n        return k * 2\ndef f(k):\n    return T().go(k)\n",
    "k * 2",
    "k * 3",
    places=ALL,
)
code(
    "class",
    "base class",
    "class Base:\n    def go(self, k):\n        return k * 2\nclass T(Base):\n    pass\ndef f(k):\n    return T().go(k)\n",
    "k * 2",
    "k * 3",
)
code(
    "class",
    "order of bases",
    "class A:\n    n = 1\nclass B:\n    n = 2\nclass T(A, B):\n    pass\ndef f(k):\n    return k * T.n\n",
    "T(A, B)",
    "T(B, A)",
)
code(
    "class",
    "super call chain",
    "class A:\n    def go(self, k):\n        return k\nclass B(A):\n    def go(self, k):\n        return super().go(k) * 2\nclass C(B):\n    def go(self, k):\n        return super().go(k) + 1\ndef f(k):\n    return C().go(k)\n",
    "super().go(k) * 2",
    "super().go(k) * 3",
)
code(
    "class",
    "property",
    "class T:\n    @property\n    def n(self):\n        return 2\ndef f(k):\n    return k * T().n\n",
    "return 2",
    "return 3",
)
code(
    "class",
    "classmethod and staticmethod",
    "class T:\n    @staticmethod\n    def s(k):\n        return k * 2\n    @classmethod\n    def c(cls, k):\n        return cls.s(k) + 1\ndef f(k):\n    return T.c(k)\n",
    "k * 2",
    "k * 3",
)
code(
    "class",
    "operator methods",
    "class V:\n    def __init__(self, v):\n        self.v = v\n    def __add__(self, o):\n        return V(self.v + o.v)\n    def __float__(self):\n        return float(self.v)\ndef f(k):\n    return float(V(k) + V(2))\n",
    "self.v + o.v",
    "self.v - o.v",
)
code(
    "class",
    "__getattr__ of a class",
    "class T:\n    def __getattr__(self, name):\n        return len(name)\ndef f(k):\n    return k * T().abcd\n",
    "len(name)",
    "len(name) + 1",
)
code(
    "class",
    "__new__ and __call__",
    "class T:\n    def __new__(cls, k):\n        self = super().__new__(cls)\n        self.k = k + 1\n        return self\n    def __call__(self):\n        return self.k\ndef f(k):\n    return T(k)()\n",
    "k + 1",
    "k + 2",
)
code(
    "class",
    "slots with defaults in a base",
    "class B:\n    n = 2\nclass T(B):\n    __slots__ = ('k',)\ndef f(k):\n    t = T()\n    t.k = k\n    return t.k * t.n\n",
    "n = 2",
    "n = 3",
)
code(
    "class",
    "instance as global",
    "class T:\n    def __init__(self, n):\n        self.n = n\n    def go(self, k):\n        return k * self.n\nT_ = T(2)\ndef f(k):\n    return T_.go(k)\n",
    "T(2)",
    "T(3)",
)
code(
    "class",
    "bound method as global",
    "class T:\n    def __init__(self, n):\n        self.n = n\n    def go(self, k):\n        return k * self.n\ngo = T(2).go\ndef f(k):\n    return go(k)\n",
    "T(2)",
    "T(3)",
)
code(
    "class",
    "abstract base with register",
    "import abc\nclass P(abc.ABC):\n    pass\nclass T:\n    pass\nclass U:\n    pass\nP.register(T)\ndef f(k):\n    return 1 if isinstance(T(), P) else 2\n",
    "P.register(T)",
    "P.register(U)",
    places=("near",),
)
code(
    "class",
    "name and qualname used",
    "class Alpha:\n    pass\nKEEP = Alpha\ndef f(k):\n    return len(KEEP.__name__) + k\n",
    "class Alpha:\n    pass\nKEEP = Alpha",
    "class Omicron:\n    pass\nKEEP = Omicron",
)
code(
    "class",
    "__set_name__",
    "class D:\n    def __set_name__(self, owner, name):\n        self.n = len(name)\nclass T:\n    ab = D()\ndef f(k):\n    return k * T.__dict__['ab'].n\n",
    "len(name)",
    "len(name) + 1",
)
code(
    "class",
    "__class_getitem__ and __len__",
    "class T:\n    def __class_getitem__(cls, item):\n        return item * 2\ndef f(k):\n    return T[k]\n",
    "item * 2",
    "item * 3",
)
code(
    "class",
    "__init_subclass__ registry",
    "REG = {}\nclass Base:\n    def __init_subclass__(cls, **kw):\n        REG[cls.__name__] = cls\nclass One(Base):\n    def go(self, k):\n        return k * 2\ndef f(k):\n    return REG['One']().go(k)\n",
    "k * 2",
    "k * 3",
)
code(
    "class",
    "__subclasses__",
    "class Base:\n    pass\nclass One(Base):\n    n = 2\ndef f(k):\n    return k * sum(c.n for c in Base.__subclasses__())\n",
    "n = 2",
    "n = 3",
)
code(
    "class",
    "a further subclass",
    "class Base:\n    n = 1\nclass One(Base):\n    n = 2\ndef f(k):\n    return k * sum(c.n for c in Base.__subclasses__())\n",
    "class One(Base):\n    n = 2\n",
    "class One(Base):\n    n = 2\nclass Two(Base):\n    n = 7\n",
)
code(
    "class",
    "order of attributes that code iterates",
    "class T:\n    a = 1\n    b = 2\ndef f(k):\n    return ''.join(n for n in vars(T) if not n.startswith('_'))\n",
    "    a = 1\n    b = 2",
    "    b = 2\n    a = 1",
)
code(
    "class",
    "order of methods that code iterates",
    "import inspect\nclass T:\n    def a(self):\n        return 1\n    def b(self):\n        return 2\ndef f(k):\n    return [m for m in T.__dict__ if not m.startswith('_')][0]\n",
    "    def a(self):\n        return 1\n    def b(self):\n        return 2\n",
    "    def b(self):\n        return 2\n    def a(self):\n        return 1\n",
)
code(
    "class",
    "dir() of an instance",
    "class T:\n    def a(self):\n        return 1\ndef f(k):\n    return len([m for m in dir(T()) if not m.startswith('_')]) * k\n",
    "        return 1\n",
    "        return 1\n    def c(self):\n        return 2\n",
)
code(
    "metaclass",
    "method",
    "class M(type):\n    def go(cls, k):\n        return k * 2\nclass T(metaclass=M):\n    pass\ndef f(k):\n    return T.go(k)\n",
    "k * 2",
    "k * 3",
    places=ALL,
)
code(
    "metaclass",
    "__call__",
    "class M(type):\n    def __call__(cls, k):\n        return k * 2\nclass T(metaclass=M):\n    pass\ndef f(k):\n    return T(k)\n",
    "k * 2",
    "k * 3",
)
code(
    "metaclass",
    "__new__ that adds an attribute",
    "class M(type):\n    def __new__(m, name, bases, ns):\n        ns['n'] = 2\n        return super().__new__(m, name, bases, ns)\nclass T(metaclass=M):\n    pass\ndef f(k):\n    return k * T.n\n",
    "ns['n'] = 2",
    "ns['n'] = 3",
)
code(
    "metaclass",
    "__prepare__ and __iter__",
    "class M(type):\n    def __iter__(cls):\n        return iter([1, 2])\nclass T(metaclass=M):\n    pass\ndef f(k):\n    return k * sum(T)\n",
    "[1, 2]",
    "[1, 3]",
)
code(
    "metaclass",
    "__instancecheck__",
    "class M(type):\n    def __instancecheck__(cls, o):\n        return o == 5\nclass T(metaclass=M):\n    pass\ndef f(k):\n    return 1 if isinstance(k, T) else 2\n",
    "o == 5",
    "o == 6",
)
code(
    "descriptor",
    "__get__",
    "class D:\n    def __get__(self, o, t=None):\n        return 2\nclass T:\n    n = D()\ndef f(k):\n    return k * T().n\n",
    "return 2",
    "return 3",
    places=ALL,
)
code(
    "descriptor",
    "state",
    "class D:\n    def __init__(self, n):\n        self.n = n\n    def __get__(self, o, t=None):\n        return self.n\nclass T:\n    n = D(2)\ndef f(k):\n    return k * T().n\n",
    "D(2)",
    "D(3)",
)
code(
    "descriptor",
    "__set__ that validates",
    "class D:\n    def __set__(self, o, v):\n        o.__dict__['n'] = v * 2\n    def __get__(self, o, t=None):\n        return o.__dict__['n']\nclass T:\n    n = D()\ndef f(k):\n    t = T()\n    t.n = k\n    return t.n\n",
    "v * 2",
    "v * 3",
)

# --- models ---------------------------------------------------------------------------------------
code(
    "dataclass",
    "default",
    "from dataclasses import dataclass\n@dataclass\nclass T:\n    n: int = 2\ndef f(k):\n    return k * T().n\n",
    "int = 2",
    "int = 3",
    places=ALL,
)
code(
    "dataclass",
    "default_factory",
    "from dataclasses import dataclass, field\n@dataclass\nclass T:\n    n: list = field(default_factory=lambda: [2])\ndef f(k):\n    return k * T().n[0]\n",
    "[2]",
    "[3]",
)
code(
    "dataclass",
    "order of fields",
    "from dataclasses import dataclass, astuple\n@dataclass\nclass T:\n    a: int = 1\n    b: int = 2\ndef f(k):\n    return astuple(T())[0] * k\n",
    "    a: int = 1\n    b: int = 2",
    "    b: int = 2\n    a: int = 1",
)
code(
    "dataclass",
    "metadata of a field",
    "from dataclasses import dataclass, field, fields\n@dataclass\nclass T:\n    n: int = field(default=1, metadata={'scale': 2})\ndef f(k):\n    return k * fields(T)[0].metadata['scale']\n",
    "'scale': 2",
    "'scale': 3",
)
code(
    "dataclass",
    "compare=False",
    "from dataclasses import dataclass, field\n@dataclass\nclass T:\n    a: int\n    b: int = field(default=1, compare=True)\ndef f(k):\n    return 1 if T(1, 1) == T(1, 2) else 2\n",
    "compare=True",
    "compare=False",
)
code(
    "dataclass",
    "__post_init__",
    "from dataclasses import dataclass\n@dataclass\nclass T:\n    n: int\n    def __post_init__(self):\n        self.n *= 2\ndef f(k):\n    return T(k).n\n",
    "*= 2",
    "*= 3",
)
code(
    "dataclass",
    "from-dict helper that reads the types",
    "from dataclasses import dataclass, fields\n@dataclass\nclass T:\n    n: int\ndef build(cls, d):\n    return cls(**{x.name: x.type(d[x.name]) for x in fields(cls)})\ndef f(k):\n    return repr(build(T, {'n': k}).n)\n",
    "n: int",
    "n: float",
)
code(
    "dataclass",
    "from-dict helper with get_type_hints",
    "from __future__ import annotations\nfrom dataclasses import dataclass\nfrom typing import get_type_hints\n@dataclass\nclass Inner:\n    v: int\n    def go(self):\n        return self.v * 2\n@dataclass\nclass T:\n    inner: Inner\ndef build(cls, d):\n    return cls(**{n: t(**d[n]) for n, t in get_type_hints(cls).items()})\ndef f(k):\n    return build(T, {'inner': {'v': k}}).inner.go()\n",
    "self.v * 2",
    "self.v * 3",
    places=ALL,
)
code(
    "dataclass",
    "nested class only in the annotation",
    "from dataclasses import dataclass, fields, is_dataclass\n@dataclass\nclass Inner:\n    v: int\n    def go(self):\n        return self.v * 2\n@dataclass\nclass T:\n    inner: Inner\ndef build(cls, d):\n    return cls(**{x.name: x.type(**d[x.name]) if is_dataclass(x.type) else d[x.name] for x in fields(cls)})\ndef f(k):\n    return build(T, {'inner': {'v': k}}).inner.go()\n",
    "self.v * 2",
    "self.v * 3",
)
code(
    "dataclass",
    "optional and list of an annotated class",
    "from __future__ import annotations\nimport typing\nfrom dataclasses import dataclass\n@dataclass\nclass Inner:\n    v: int\n    w: int = 2\n@dataclass\nclass T:\n    items: list[Inner]\ndef build(cls, d):\n    hint = typing.get_type_hints(cls)['items']\n    item = typing.get_args(hint)[0]\n    return cls([item(**x) for x in d])\ndef f(k):\n    return build(T, [{'v': k}]).items[0].w * k\n",
    "w: int = 2",
    "w: int = 3",
)
code(
    "pydantic",
    "default",
    "from pydantic import BaseModel\nclass T(BaseModel):\n    n: int = 2\ndef f(k):\n    return k * T().n\n",
    "int = 2",
    "int = 3",
    places=ALL,
)
code(
    "pydantic",
    "type coerces",
    "from pydantic import BaseModel\nclass T(BaseModel):\n    n: int\ndef f(k):\n    return repr(T(n=float(k)).n)\n",
    "n: int",
    "n: float",
)
code(
    "pydantic",
    "validator",
    "from pydantic import BaseModel, field_validator\nclass T(BaseModel):\n    n: int\n    @field_validator('n')\n    @classmethod\n    def v(cls, n):\n        return n * 2\ndef f(k):\n    return T(n=k).n\n",
    "n * 2",
    "n * 3",
)
code(
    "pydantic",
    "model_config",
    "from pydantic import BaseModel, ConfigDict\nclass T(BaseModel):\n    model_config = ConfigDict(str_to_upper=False)\n    s: str\ndef f(k):\n    return T(s='abc').s\n",
    "str_to_upper=False",
    "str_to_upper=True",
)
code(
    "pydantic",
    "nested model through its annotation",
    "from __future__ import annotations\nfrom pydantic import BaseModel\nclass Inner(BaseModel):\n    v: int\n    w: int = 2\nclass T(BaseModel):\n    inner: Inner\ndef f(k):\n    return T(**{'inner': {'v': k}}).inner.w * k\n",
    "w: int = 2",
    "w: int = 3",
)
code(
    "pydantic",
    "Annotated with a validator of one's own",
    "from typing import Annotated\nfrom pydantic import BaseModel, AfterValidator\ndef double(v):\n    return v * 2\nclass T(BaseModel):\n    n: Annotated[int, AfterValidator(double)]\ndef f(k):\n    return T(n=k).n\n",
    "v * 2",
    "v * 3",
)
code(
    "pydantic",
    "computed_field and serializer",
    "from pydantic import BaseModel, computed_field, field_serializer\nclass T(BaseModel):\n    n: int\n    @computed_field\n    @property\n    def m(self) -> int:\n        return self.n * 2\ndef f(k):\n    return T(n=k).model_dump()['m']\n",
    "self.n * 2",
    "self.n * 3",
)
code(
    "pydantic",
    "json schema with descriptions",
    "from pydantic import BaseModel, Field\nclass T(BaseModel):\n    n: int = Field(1, description='two')\ndef f(k):\n    return len(T.model_json_schema()['properties']['n']['description']) + k\n",
    "description='two'",
    "description='three'",
)
code(
    "pydantic",
    "TypeAdapter",
    "from pydantic import TypeAdapter\nA = TypeAdapter(list[int])\ndef f(k):\n    return repr(A.validate_python([str(k)]))\n",
    "list[int]",
    "list[str]",
    places=("near",),
)
code(
    "pydantic",
    "discriminated union",
    "from typing import Literal, Union\nfrom pydantic import BaseModel, Field\nclass A(BaseModel):\n    t: Literal['a'] = 'a'\n    n: int = 2\nclass B(BaseModel):\n    t: Literal['b'] = 'b'\n    n: int = 7\nclass T(BaseModel):\n    x: Union[A, B] = Field(discriminator='t')\ndef f(k):\n    return k * T(x={'t': 'b'}).x.n\n",
    "int = 7",
    "int = 8",
)
code(
    "pydantic",
    "validate_call",
    "from pydantic import validate_call\n@validate_call\ndef h(n: int):\n    return repr(n)\ndef f(k):\n    return h(str(k))\n",
    "n: int",
    "n: float",
)
code(
    "attrs",
    "default",
    "import attrs\n@attrs.define\nclass T:\n    n: int = 2\ndef f(k):\n    return k * T().n\n",
    "int = 2",
    "int = 3",
    places=ALL,
)
code(
    "attrs",
    "converter",
    "import attrs\ndef double(v):\n    return v * 2\n@attrs.define\nclass T:\n    n: int = attrs.field(converter=double)\ndef f(k):\n    return T(k).n\n",
    "v * 2",
    "v * 3",
)
code(
    "attrs",
    "factory and validator",
    "import attrs\n@attrs.define\nclass T:\n    n: list = attrs.field(factory=lambda: [2])\ndef f(k):\n    return k * T().n[0]\n",
    "[2]",
    "[3]",
)
code(
    "attrs",
    "metadata",
    "import attrs\n@attrs.define\nclass T:\n    n: int = attrs.field(default=1, metadata={'s': 2})\ndef f(k):\n    return k * attrs.fields(T).n.metadata['s']\n",
    "'s': 2",
    "'s': 3",
)
code(
    "named tuples",
    "default",
    "from typing import NamedTuple\nclass T(NamedTuple):\n    n: int = 2\ndef f(k):\n    return k * T().n\n",
    "int = 2",
    "int = 3",
)
code(
    "named tuples",
    "order of fields",
    "from collections import namedtuple\nT = namedtuple('T', 'a b')\ndef f(k):\n    return T(1, k).a\n",
    "'a b'",
    "'b a'",
)
code(
    "named tuples",
    "TypedDict keys",
    "from typing import TypedDict\nclass T(TypedDict):\n    a: int\n    b: int\ndef f(k):\n    return k * len(T.__annotations__)\n",
    "    b: int\n",
    "    b: int\n    c: int\n",
)

# --- annotations ----------------------------------------------------------------------------------
code(
    "annotations",
    "get_type_hints in a decorator",
    "from typing import get_type_hints\nimport functools\ndef cast(fn):\n    hints = get_type_hints(fn)\n    @functools.wraps(fn)\n    def w(k):\n        return fn(hints['k'](k))\n    return w\n@cast\ndef h(k: int):\n    return repr(k)\ndef f(k):\n    return h(k)\n",
    "k: int",
    "k: float",
    places=ALL,
)
code(
    "annotations",
    "class in an annotation, hints at call time",
    "import functools\nfrom typing import get_type_hints\nclass Unit:\n    def __init__(self, v):\n        self.v = v * 2\ndef cast(fn):\n    @functools.wraps(fn)\n    def w(k):\n        return fn(get_type_hints(fn)['k'](k))\n    return w\n@cast\ndef h(k: Unit):\n    return k.v\ndef f(k):\n    return h(k)\n",
    "v * 2",
    "v * 3",
    places=ALL,
)
code(
    "annotations",
    "the same under future annotations",
    "from __future__ import annotations\nimport functools\nfrom typing import get_type_hints\nclass Unit:\n    def __init__(self, v):\n        self.v = v * 2\ndef cast(fn):\n    @functools.wraps(fn)\n    def w(k):\n        return fn(get_type_hints(fn)['k'](k))\n    return w\n@cast\ndef h(k: Unit):\n    return k.v\ndef f(k):\n    return h(k)\n",
    "v * 2",
    "v * 3",
    places=ALL,
)
code(
    "annotations",
    "inspect.signature",
    "import inspect\ndef h(k: int = 2):\n    pass\ndef f(k):\n    return k * inspect.signature(h).parameters['k'].default\n",
    "= 2",
    "= 3",
)
code(
    "annotations",
    "names of parameters by inspect",
    "import inspect\ndef h(one, two):\n    pass\ndef f(k):\n    return list(inspect.signature(h).parameters)[0]\n",
    "one, two",
    "first, two",
)
code(
    "annotations",
    "Annotated metadata",
    "from typing import Annotated, get_type_hints\nclass S:\n    def __init__(self, n):\n        self.n = n\ndef h(k: Annotated[float, S(2)]):\n    return k\ndef f(k):\n    return k * get_type_hints(h, include_extras=True)['k'].__metadata__[0].n\n",
    "S(2)",
    "S(3)",
)
code(
    "annotations",
    "of a module variable",
    "import sys\nN: int = 3\ndef f(k):\n    return repr(sys.modules[__name__].__annotations__['N'](k))\n",
    "N: int",
    "N: float",
)
code(
    "annotations",
    "TYPE_CHECKING import",
    "from __future__ import annotations\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from decimal import Decimal\ndef f(k: Decimal):\n    return k * 2\n",
    "k * 2",
    "k * 3",
)
code(
    "annotations",
    "singledispatch on an annotation",
    "from functools import singledispatch\n@singledispatch\ndef h(k):\n    return 0\n@h.register\ndef _(k: int):\n    return k * 2\n@h.register\ndef _(k: str):\n    return 7\ndef f(k):\n    return h(k)\n",
    "k * 2",
    "k * 3",
    places=ALL,
)
code(
    "annotations",
    "singledispatch type changed",
    "from functools import singledispatch\n@singledispatch\ndef h(k):\n    return 0\n@h.register\ndef _(k: int):\n    return k * 2\ndef f(k):\n    return h(k)\n",
    "k: int",
    "k: str",
)
code(
    "annotations",
    "singledispatchmethod",
    "from functools import singledispatchmethod\nclass T:\n    @singledispatchmethod\n    def h(self, k):\n        return 0\n    @h.register\n    def _(self, k: int):\n        return k * 2\ndef f(k):\n    return T().h(k)\n",
    "k * 2",
    "k * 3",
)
code(
    "annotations",
    "Protocol that is runtime checkable",
    "from typing import Protocol, runtime_checkable\n@runtime_checkable\nclass P(Protocol):\n    def go(self): ...\nclass T:\n    def go(self):\n        return 1\ndef f(k):\n    return 1 if isinstance(T(), P) else 2\n",
    "    def go(self): ...\n",
    "    def went(self): ...\n",
)
code(
    "annotations",
    "Generic alias of a project class",
    "from typing import Generic, TypeVar, get_args\nX = TypeVar('X')\nclass Box(Generic[X]):\n    pass\nclass Unit:\n    n = 2\nB = Box[Unit]\ndef f(k):\n    return k * get_args(B)[0].n\n",
    "n = 2",
    "n = 3",
)
code(
    "annotations",
    "Literal arguments",
    "from typing import Literal, get_args\nL = Literal['a', 'b']\ndef f(k):\n    return k * len(get_args(L))\n",
    "'a', 'b'",
    "'a', 'b', 'c'",
)

# --- docstrings -----------------------------------------------------------------------------------
DOC = "def h(k):\n    'two'\n    return k\n"
code(
    "docstrings",
    "__doc__ of a function",
    DOC + "def f(k):\n    return len(h.__doc__) + k\n",
    "'two'",
    "'three'",
    places=ALL,
)
code(
    "docstrings",
    "inspect.getdoc",
    "import inspect\n" + DOC + "def f(k):\n    return len(inspect.getdoc(h)) + k\n",
    "'two'",
    "'three'",
)
code(
    "docstrings",
    "__doc__ of a class",
    "class P:\n    'two'\ndef f(k):\n    return len(P.__doc__) + k\n",
    "'two'",
    "'three'",
    places=ALL,
)
code(
    "docstrings",
    "of a base class by inspect.getdoc",
    "import inspect\nclass B:\n    def go(self):\n        'two'\nclass P(B):\n    def go(self):\n        return 1\ndef f(k):\n    return len(inspect.getdoc(P.go)) + k\n",
    "'two'",
    "'three'",
)
code(
    "docstrings",
    "pydantic schema",
    "from pydantic import BaseModel\nclass P(BaseModel):\n    'two'\n    n: int = 1\ndef f(k):\n    return len(P.model_json_schema()['description']) + k\n",
    "'two'",
    "'three'",
)
code(
    "docstrings",
    "pydantic nested schema",
    "from pydantic import BaseModel\nclass I(BaseModel):\n    'two'\n    n: int = 1\nclass P(BaseModel):\n    i: I\ndef f(k):\n    return len(P.model_json_schema()['$defs']['I']['description']) + k\n",
    "'two'",
    "'three'",
)
code(
    "docstrings",
    "pydoc",
    "import pydoc\nclass P:\n    'two'\ndef f(k):\n    return len(pydoc.plain(pydoc.render_doc(P))) + k\n",
    "'two'",
    "'three'",
)
code(
    "docstrings",
    "of a module",
    "'two'\nimport sys\ndef f(k):\n    return len(sys.modules[__name__].__doc__) + k\n",
    "'two'",
    "'three'",
)
code(
    "docstrings",
    "module's __doc__ as a global",
    "'two'\ndef f(k):\n    return len(__doc__) + k\n",
    "'two'",
    "'three'",
)
code(
    "docstrings",
    "of a property",
    "class P:\n    @property\n    def n(self):\n        'two'\n        return 1\ndef f(k):\n    return len(P.n.__doc__) + k\n",
    "'two'",
    "'three'",
)
code(
    "docstrings",
    "of a dict of functions",
    "def h1(k):\n    'two'\ndef h2(k):\n    'x'\nTOOLS = {'h1': h1, 'h2': h2}\ndef f(k):\n    return sum(len(t.__doc__) for t in TOOLS.values())\n",
    "'two'",
    "'three'",
)
code(
    "docstrings",
    "via getattr with a computed name",
    "class P:\n    'two'\nNAME = '__do' + 'c__'\ndef f(k):\n    return len(getattr(P, NAME)) + k\n",
    "'two'",
    "'three'",
)
code(
    "docstrings",
    "vars() and inspect.getsource",
    "import inspect\ndef h(k):\n    return k  # two\ndef f(k):\n    return len(inspect.getsource(h))\n",
    "# two",
    "# three hundred",
)
code(
    "docstrings",
    "of an enum member's class",
    "import enum\nclass E(enum.Enum):\n    'two'\n    A = 1\ndef f(k):\n    return len(type(E.A).__doc__) + k\n",
    "'two'",
    "'three'",
)
code(
    "docstrings",
    "dataclass doc by a decorator of the project",
    "from dataclasses import dataclass\nPROMPTS = {}\ndef prompt(cls):\n    PROMPTS[cls.__name__] = cls.__doc__\n    return cls\n@prompt\n@dataclass\nclass T:\n    'two'\n    n: int = 1\ndef f(k):\n    return len(PROMPTS['T']) + k\n",
    "'two'",
    "'three'",
)

# --- containers and registries --------------------------------------------------------------------
WEAK = "import weakref\nR = weakref.{kind}()\ndef reg(fn):\n    {add}\n    return fn\n@reg\ndef h(v):\n    return v * 2\ndef f(k):\n    return {use}\n"
code(
    "weak containers",
    "WeakValueDictionary",
    WEAK.format(kind="WeakValueDictionary", add="R['h'] = fn", use="R['h'](k)"),
    "v * 2",
    "v * 3",
    places=ALL,
)
code(
    "weak containers",
    "WeakSet",
    WEAK.format(kind="WeakSet", add="R.add(fn)", use="next(iter(R))(k)"),
    "v * 2",
    "v * 3",
    places=ALL,
)
code(
    "weak containers",
    "WeakKeyDictionary",
    WEAK.format(kind="WeakKeyDictionary", add="R[fn] = 1", use="next(iter(R))(k)"),
    "v * 2",
    "v * 3",
    places=ALL,
)
code(
    "weak containers",
    "weakref.ref",
    "import weakref\ndef h(v):\n    return v * 2\nR = [weakref.ref(h)]\ndef f(k):\n    return R[0]()(k)\n",
    "v * 2",
    "v * 3",
)
code(
    "weak containers",
    "weakref.proxy",
    "import weakref\nclass T:\n    def go(self, v):\n        return v * 2\nT_ = T()\nP = weakref.proxy(T_)\ndef f(k):\n    return P.go(k)\n",
    "v * 2",
    "v * 3",
)
code(
    "weak containers",
    "WeakMethod",
    "import weakref\nclass T:\n    def go(self, v):\n        return v * 2\nT_ = T()\nP = weakref.WeakMethod(T_.go)\ndef f(k):\n    return P()(k)\n",
    "v * 2",
    "v * 3",
)
code(
    "weak containers",
    "value of a WeakKeyDictionary",
    "import weakref\nclass T:\n    pass\nT_ = T()\nR = weakref.WeakKeyDictionary({T_: 2})\ndef f(k):\n    return R[T_] * k\n",
    "T_: 2",
    "T_: 3",
)
code(
    "registry",
    "decorator into a dict",
    "R = {}\ndef reg(fn):\n    R[fn.__name__] = fn\n    return fn\n@reg\ndef h(v):\n    return v * 2\ndef f(k):\n    return R['h'](k)\n",
    "v * 2",
    "v * 3",
    places=ALL,
)
code(
    "registry",
    "filled by another module",
    "from mini import registry, plugins\ndef f(k):\n    return registry.R['h'](k)\n",
    "v * 2",
    "v * 3",
    registry="R = {}\ndef reg(fn):\n    R[fn.__name__] = fn\n    return fn\n",
    plugins="from mini.registry import reg\n@reg\ndef h(v):\n    return v * 2\n",
)
code(
    "registry",
    "modules found by pkgutil",
    "import importlib, pkgutil\nfrom mini import plug\nFOUND = {m.name: importlib.import_module('mini.plug.' + m.name) for m in pkgutil.iter_modules(plug.__path__)}\ndef f(k):\n    return sum(m.go(k) for m in FOUND.values())\n",
    "k * 2",
    "k * 3",
    plug__one="def go(k):\n    return k * 2\n",
)
code(
    "registry",
    "dispatch table of strings",
    "TABLE = {'mean': 'h1', 'max': 'h2'}\ndef h1(k):\n    return k * 2\ndef h2(k):\n    return k * 5\ndef f(k):\n    return globals()[TABLE['mean']](k)\n",
    "'mean': 'h1'",
    "'mean': 'h2'",
)
code(
    "registry",
    "globals() lookup",
    "def h_mean(k):\n    return k * 2\ndef f(k):\n    return globals()['h_' + 'mean'](k)\n",
    "k * 2",
    "k * 3",
)
code(
    "registry",
    "list of classes",
    "class A:\n    w = 1\nclass B:\n    w = 2\nSTEPS = [A, B]\ndef f(k):\n    return sum((i + 1) * s.w for i, s in enumerate(STEPS))\n",
    "[A, B]",
    "[B, A]",
)
code(
    "registry",
    "function in an object array",
    "import numpy as np\ndef h(v):\n    return v * 2\nFS = np.array([h, abs], dtype=object)\ndef f(k):\n    return FS[0](k)\n",
    "v * 2",
    "v * 3",
)
code(
    "registry",
    "function in a pandas Series",
    "import pandas as pd\ndef h(v):\n    return v * 2\nFS = pd.Series({'h': h})\ndef f(k):\n    return FS['h'](k)\n",
    "v * 2",
    "v * 3",
)
code(
    "registry",
    "methods in a queue, heap or chain of iterators",
    "import heapq\ndef h(v):\n    return v * 2\nQ = []\nheapq.heappush(Q, (1, h))\ndef f(k):\n    return Q[0][1](k)\n",
    "v * 2",
    "v * 3",
)
code(
    "arrays",
    "content of a global array",
    "import numpy as np\nW = np.arange(6.0).reshape(2, 3)\ndef f(k):\n    return float(W.sum()) * k\n",
    "np.arange(6.0)",
    "np.arange(1.0, 7.0)",
    places=ALL,
)
code(
    "arrays",
    "memory order",
    "import numpy as np\nW = np.array([[1, 2, 3], [4, 5, 6]], order='C')\ndef f(k):\n    return int(W.ravel('K')[1]) * k\n",
    "order='C'",
    "order='F'",
    places=ALL,
)
code(
    "arrays",
    "dtype",
    "import numpy as np\nW = np.array([250, 10], dtype='int64')\ndef f(k):\n    return int((W * 2)[0]) + k\n",
    "'int64'",
    "'uint8'",
)
code(
    "arrays",
    "byte order seen by view",
    "import numpy as np\nW = np.array([1], dtype='<i4')\ndef f(k):\n    return int(W.view('u1')[0]) + k\n",
    "'<i4'",
    "'>i4'",
)
code(
    "arrays",
    "structured names",
    "import numpy as np\nW = np.zeros(1, dtype=[('a', 'i4'), ('b', 'i4')])\ndef f(k):\n    return len(W.dtype.names[0]) + k\n",
    "('a', 'i4')",
    "('abc', 'i4')",
)
code(
    "arrays",
    "writeable flag",
    "import numpy as np\nW = np.zeros(2)\nW.flags.writeable = True\ndef f(k):\n    return 1 if W.flags.writeable else 2\n",
    "writeable = True",
    "writeable = False",
)
code(
    "arrays",
    "masked array",
    "import numpy as np\nW = np.ma.array([1, 2, 3], mask=[0, 0, 1])\ndef f(k):\n    return int(W.sum()) * k\n",
    "mask=[0, 0, 1]",
    "mask=[1, 0, 0]",
)
code(
    "arrays",
    "fill value of a masked array",
    "import numpy as np\nW = np.ma.array([1, 2, 3], mask=[0, 0, 1], fill_value=7)\ndef f(k):\n    return int(W.filled().sum()) * k\n",
    "fill_value=7",
    "fill_value=8",
)
code(
    "arrays",
    "array subclass with an attribute",
    "import numpy as np\nclass A(np.ndarray):\n    pass\nW = np.zeros(2).view(A)\nW.unit = 2\ndef f(k):\n    return W.unit * k\n",
    "unit = 2",
    "unit = 3",
)
code(
    "frames",
    "content",
    "import pandas as pd\nD = pd.DataFrame({'a': [1, 2]})\ndef f(k):\n    return int(D.a.sum()) * k\n",
    "[1, 2]",
    "[1, 3]",
    places=("near",),
)
code(
    "frames",
    "order of columns",
    "import pandas as pd\nD = pd.DataFrame({'a': [1], 'b': [2]})\ndef f(k):\n    return int(D.iloc[0, 0]) * k\n",
    "{'a': [1], 'b': [2]}",
    "{'b': [2], 'a': [1]}",
)
code(
    "frames",
    "attrs",
    "import pandas as pd\nD = pd.DataFrame({'a': [1]})\nD.attrs['n'] = 2\ndef f(k):\n    return D.attrs['n'] * k\n",
    "['n'] = 2",
    "['n'] = 3",
)
code(
    "frames",
    "name of the index",
    "import pandas as pd\nD = pd.DataFrame({'a': [1]}, index=pd.Index([0], name='two'))\ndef f(k):\n    return len(D.index.name) * k\n",
    "'two'",
    "'three'",
)
code(
    "frames",
    "categories and their order",
    "import pandas as pd\nD = pd.Categorical(['a', 'b'], categories=['a', 'b'])\ndef f(k):\n    return int(D.codes[0]) + k\n",
    "categories=['a', 'b']",
    "categories=['b', 'a']",
)
code(
    "frames",
    "freq of a DatetimeIndex",
    "import pandas as pd\nD = pd.date_range('2024-01-01', periods=3, freq='D')\ndef f(k):\n    return (D + D.freq)[0].day + k\n",
    "freq='D'",
    "freq='2D'",
)

# --- what the project replaces --------------------------------------------------------------------
code(
    "replaced",
    "a name of builtins",
    "import builtins\nbuiltins.scale_up = lambda k: k * 2\ndef f(k):\n    return scale_up(k)\n",
    "k * 2",
    "k * 3",
    places=ALL,
)
code(
    "replaced",
    "len of builtins by another module",
    "import mini.patch\ndef f(k):\n    return sum([k])\n",
    "+ 100",
    "+ 200",
    patch="import builtins\n_sum = builtins.sum\nbuiltins.sum = lambda x, *a: _sum(x, *a) + 100 if x == [5] else _sum(x, *a)\n",
)
code(
    "replaced",
    "function of a library",
    "import statistics\ndef mean(xs):\n    return sum(xs) * 2\nstatistics.mean = mean\ndef f(k):\n    return statistics.mean([k, 1])\n",
    "sum(xs) * 2",
    "sum(xs) * 3",
    places=ALL,
)
code(
    "replaced",
    "library function by another module",
    "import colorsys\nimport mini.patch\ndef f(k):\n    return colorsys.rgb_to_hsv(k, 1, 1)[0]\n",
    "r * 2",
    "r * 3",
    patch="import colorsys\ncolorsys.rgb_to_hsv = lambda r, g, b: (r * 2, g, b)\n",
)
code(
    "replaced",
    "method of a library class",
    "import fractions\ndef halved(self):\n    return float(self.numerator) * 2\nfractions.Fraction.halved = halved\ndef f(k):\n    return fractions.Fraction(k, 1).halved()\n",
    "* 2",
    "* 3",
)
code(
    "replaced",
    "attribute of a library",
    "import string\nstring.digits = '0123'\ndef f(k):\n    return len(string.digits) + k\n",
    "'0123'",
    "'01234'",
)
code(
    "replaced",
    "by a hook-like call at import",
    "import json\nfrom mini import patch\npatch.install()\ndef f(k):\n    return json.loads('[1]')[0] + k\n",
    "+ 10]",
    "+ 20]",
    patch="import json\n_loads = json.loads\ndef loads(s, **kw):\n    got = _loads(s, **kw)\n    return [got[0] + 10] if got == [1] else got\ndef install():\n    json.loads = loads\n",
)
code(
    "replaced",
    "numpy function",
    "import numpy as np\nfrom mini import patch\ndef f(k):\n    return float(np.sinc(k))\n",
    "x * 2",
    "x * 3",
    patch="import numpy as np\nnp.sinc = lambda x: x * 2\n",
)
code(
    "replaced",
    "pandas accessor",
    "import pandas as pd\n@pd.api.extensions.register_series_accessor('mini')\nclass A:\n    def __init__(self, s):\n        self.s = s\n    def go(self):\n        return self.s.sum() * 2\ndef f(k):\n    return float(pd.Series([k]).mini.go())\n",
    "* 2",
    "* 3",
    documented="accessors that project code registers with a library",
)
code(
    "replaced",
    "json default encoder class",
    "import json\nclass E(json.JSONEncoder):\n    def default(self, o):\n        return 'two'\ndef f(k):\n    return len(json.dumps(object(), cls=E)) + k\n",
    "'two'",
    "'three'",
)
code(
    "replaced",
    "copyreg and __reduce__",
    "import copy\nclass T:\n    n = 1\n    def __deepcopy__(self, memo):\n        t = T()\n        t.n = 2\n        return t\ndef f(k):\n    return copy.deepcopy(T()).n * k\n",
    "t.n = 2",
    "t.n = 3",
)
code(
    "replaced",
    "warnings.showwarning",
    "import warnings\nSEEN = []\ndef f(k):\n    def show(*a, **kw):\n        SEEN.append(2)\n    with warnings.catch_warnings():\n        warnings.simplefilter('always')\n        warnings.showwarning = show\n        warnings.warn('x')\n    return SEEN[-1] * k\n",
    "append(2)",
    "append(3)",
    places=("near",),
)
code(
    "library settings",
    "set at import: decimal context",
    "import decimal\ndecimal.getcontext().prec = 5\ndef f(k):\n    return float(decimal.Decimal(1) / decimal.Decimal(3))\n",
    "prec = 5",
    "prec = 6",
)
code(
    "library settings",
    "set at import: pandas option",
    "import pandas as pd\npd.set_option('display.max_rows', 20)\ndef f(k):\n    return pd.get_option('display.max_rows') + k\n",
    "20)",
    "30)",
)
code(
    "library settings",
    "set at import: environment",
    "import os\nos.environ['MINI_N'] = '2'\ndef f(k):\n    return int(os.environ['MINI_N']) * k\n",
    "'2'",
    "'3'",
)
code(
    "library settings",
    "set at import: recursion limit",
    "import sys\nsys.setrecursionlimit(2000)\ndef f(k):\n    return sys.getrecursionlimit() + k\n",
    "2000",
    "3000",
    documented="settings of Python that project code makes when it is imported",
)

# --- modules --------------------------------------------------------------------------------------
code(
    "modules",
    "star import",
    "from mini.lib2 import *\ndef f(k):\n    return h(k)\n",
    "k * 2",
    "k * 3",
    lib2="__all__ = ['h']\ndef h(k):\n    return k * 2\n",
)
code(
    "modules",
    "what __all__ exports",
    "from mini.lib1 import *\nfrom mini.lib2 import *\ndef f(k):\n    return N * k\n",
    "__all__ = ['M']",
    "__all__ = ['M', 'N']",
    lib1="N = 1\n",
    lib2="__all__ = ['M']\nM = 1\nN = 7\n",
)
code(
    "modules",
    "re-export through three modules",
    "from mini.r1 import h\ndef f(k):\n    return h(k)\n",
    "k * 2",
    "k * 3",
    r1="from mini.r2 import h\n",
    r2="from mini.r3 import h as h\n",
    r3="def h(k):\n    return k * 2\n",
)
code(
    "modules",
    "re-export re-pointed",
    "from mini.r1 import h\ndef f(k):\n    return h(k)\n",
    "import h1 as h",
    "import h2 as h",
    r1="from mini.r2 import h1 as h\n",
    r2="def h1(k):\n    return k * 2\ndef h2(k):\n    return k * 3\n",
)
code(
    "modules",
    "conditional import",
    "try:\n    from mini.fast import h\nexcept ImportError:\n    from mini.slow import h\ndef f(k):\n    return h(k)\n",
    "raise ImportError",
    "pass",
    fast="raise ImportError\ndef h(k):\n    return k * 2\n",
    slow="def h(k):\n    return k * 3\n",
)
code(
    "modules",
    "lazily inside the function",
    "def f(k):\n    from mini.late import h\n    return h(k)\n",
    "k * 2",
    "k * 3",
    places=ALL,
    late="def h(k):\n    return k * 2\n",
)
code(
    "modules",
    "importlib with a constant name",
    "import importlib\ndef f(k):\n    return importlib.import_module('mini.late').h(k)\n",
    "k * 2",
    "k * 3",
    late="def h(k):\n    return k * 2\n",
    documented="importlib.import_module(name)",
)
code(
    "modules",
    "__import__ at module level",
    "late = __import__('mini.late', fromlist=['h'])\ndef f(k):\n    return late.h(k)\n",
    "k * 2",
    "k * 3",
    late="def h(k):\n    return k * 2\n",
)
code(
    "modules",
    "__getattr__ of a module",
    "from mini import lazy\ndef f(k):\n    return lazy.anything * k\n",
    "return 2",
    "return 3",
    lazy="def __getattr__(name):\n    if name == 'anything':\n        return 2\n    raise AttributeError(name)\n",
)
code(
    "modules",
    "__getattr__ that imports",
    "from mini import lazy\ndef f(k):\n    return lazy.late.h(k)\n",
    "k * 2",
    "k * 3",
    lazy="import importlib\ndef __getattr__(name):\n    if name == 'late':\n        return importlib.import_module('mini.late')\n    raise AttributeError(name)\n",
    late="def h(k):\n    return k * 2\n",
)
code(
    "modules",
    "class in sys.modules",
    "import mini.magic\ndef f(k):\n    return mini.magic.value * k\n",
    "return 2",
    "return 3",
    magic="import sys, types\nclass M(types.ModuleType):\n    @property\n    def value(self):\n        return 2\nsys.modules[__name__].__class__ = M\n",
)
code(
    "modules",
    "module replaced in sys.modules",
    "import mini.magic as magic\ndef f(k):\n    return magic.go(k)\n",
    "k * 2",
    "k * 3",
    magic="import sys\nclass M:\n    def go(self, k):\n        return k * 2\nsys.modules[__name__] = M()\n",
)
code(
    "modules",
    "types.ModuleType made by hand",
    "import types\nM = types.ModuleType('M')\nM.n = 2\ndef f(k):\n    return M.n * k\n",
    "M.n = 2",
    "M.n = 3",
)
code(
    "modules",
    "exec of a string",
    "SOURCE = 'def h(k):\\n    return k * 2\\n'\nexec(SOURCE)\ndef f(k):\n    return h(k)\n",
    "k * 2",
    "k * 3",
    places=ALL,
)
code(
    "modules",
    "eval of an expression",
    "EXPR = 'k * 2'\ndef f(k):\n    return eval(EXPR)\n",
    "k * 2",
    "k * 3",
)
code(
    "modules",
    "compiled code object",
    "CODE = compile('k * 2', 'x', 'eval')\ndef f(k):\n    return eval(CODE, {'k': k})\n",
    "k * 2",
    "k * 3",
)
code(
    "modules",
    "import for its effect on another module",
    "import mini.effects\nfrom mini import state\ndef f(k):\n    return state.N * k\n",
    "N = 7",
    "N = 8",
    state="N = 1\n",
    effects="from mini import state\nstate.N = 7\n",
)
code(
    "modules",
    "constant of the package's __init__",
    "import mini.sub\ndef f(k):\n    return mini.sub.N * k\n",
    "N = M * 2",
    "N = M * 3",
    sub__const="M = 1\n",
    sub__package="from mini.sub.const import M\nN = M * 2\n",
)
code(
    "package data",
    "importlib.resources",
    "from importlib.resources import files\ndef f(k):\n    return len(files('mini').joinpath('base.py').read_text()) * 0 + len(files('mini.data').joinpath('p.py').read_text()) + k\n",
    "XX",
    "XXXX",
    data__p="# XX\n",
)
code(
    "package data",
    "__file__",
    "import pathlib\ndef f(k):\n    return len((pathlib.Path(__file__).parents[len(__name__.split('.')) - 2] / 'data' / 'p.py').read_text()) + k\n",
    "XX",
    "XXXX",
    data__p="# XX\n",
)
code(
    "package data",
    "read at import into a global",
    "import pathlib, mini\nTEXT = (pathlib.Path(mini.__file__).parent / 'data' / 'p.py').read_text()\ndef f(k):\n    return len(TEXT) + k\n",
    "XX",
    "XXXX",
    data__p="# XX\n",
)
code(
    "package data",
    "linecache and tokenize of one's own source",
    "import linecache, mini.other\ndef f(k):\n    return len(linecache.getline(mini.other.__file__, 1)) + k\n",
    "# XX",
    "# XXXX",
    other="# XX\n",
    documented="files that a function opens by itself",
)

# --- syntax ---------------------------------------------------------------------------------------
code(
    "syntax",
    "match",
    "def f(k):\n    match k:\n        case 5:\n            return 2\n        case _:\n            return 3\n",
    "case 5",
    "case 6",
    places=ALL,
)
code(
    "syntax",
    "match on a class with __match_args__",
    "class P:\n    __match_args__ = ('a', 'b')\n    def __init__(self):\n        self.a, self.b = 1, 2\ndef f(k):\n    match P():\n        case P(x, _):\n            return x * k\n",
    "('a', 'b')",
    "('b', 'a')",
)
code("syntax", "walrus", "def f(k):\n    return (n := k + 2) * n\n", "k + 2", "k + 3")
code(
    "syntax",
    "generator expression",
    "def f(k):\n    return sum(i * 2 for i in range(k))\n",
    "i * 2",
    "i * 3",
)
code(
    "syntax",
    "comprehension with a condition",
    "def f(k):\n    return sum([i for i in range(10) if i % 2])\n",
    "i % 2",
    "i % 3",
)
code(
    "syntax",
    "dict comprehension over a global",
    "KEYS = ['a', 'bb']\ndef f(k):\n    return sum({x: len(x) for x in KEYS}.values()) * k\n",
    "'bb'",
    "'bbb'",
)
code(
    "syntax",
    "generator function",
    "def gen(n):\n    for i in range(n):\n        yield i * 2\ndef f(k):\n    return sum(gen(k))\n",
    "i * 2",
    "i * 3",
    places=ALL,
)
code(
    "syntax",
    "yield from",
    "def low(n):\n    yield from range(n)\ndef gen(n):\n    yield from low(n + 1)\ndef f(k):\n    return sum(gen(k))\n",
    "n + 1",
    "n + 2",
)
code(
    "syntax",
    "async helper",
    "import asyncio\nasync def h(k):\n    await asyncio.sleep(0)\n    return k * 2\ndef f(k):\n    return asyncio.run(h(k))\n",
    "k * 2",
    "k * 3",
    places=ALL,
)
code(
    "syntax",
    "async generator",
    "import asyncio\nasync def gen(k):\n    for i in range(k):\n        yield i * 2\nasync def h(k):\n    return sum([i async for i in gen(k)])\ndef f(k):\n    return asyncio.run(h(k))\n",
    "i * 2",
    "i * 3",
)
code(
    "syntax",
    "exception group and except*",
    "def f(k):\n    try:\n        raise ExceptionGroup('g', [ValueError(2), TypeError(3)])\n    except* ValueError as g:\n        n = g.exceptions[0].args[0]\n    except* TypeError:\n        pass\n    return n * k\n",
    "ValueError(2)",
    "ValueError(4)",
)
code(
    "syntax",
    "exception class of the project",
    "class Stop(Exception):\n    code = 2\ndef h(k):\n    raise Stop\ndef f(k):\n    try:\n        h(k)\n    except Stop as e:\n        return e.code * k\n",
    "code = 2",
    "code = 3",
)
code(
    "syntax",
    "nonlocal counter",
    "def f(k):\n    n = 0\n    def inc():\n        nonlocal n\n        n += 2\n    for _ in range(k):\n        inc()\n    return n\n",
    "n += 2",
    "n += 3",
)
code(
    "syntax",
    "unpacking order",
    "def f(k):\n    a, *b = [k, 1, 2]\n    return a * 10 + sum(b)\n",
    "a, *b",
    "*b, a",
)
code(
    "syntax",
    "chained comparison",
    "def f(k):\n    return 1 if 2 < k < 6 else 2\n",
    "2 < k < 6",
    "2 < k < 5",
)
code(
    "syntax",
    "try, else, finally",
    "def f(k):\n    n = 1\n    try:\n        n *= k\n    except ValueError:\n        n = 0\n    else:\n        n += 2\n    finally:\n        n += 1\n    return n\n",
    "n += 2",
    "n += 3",
)
code(
    "syntax",
    "assert with effect",
    "def f(k):\n    seen = []\n    assert seen.append(2) is None\n    return seen[0] * k\n",
    "append(2)",
    "append(3)",
)
code(
    "syntax",
    "star arguments and kwargs",
    "def h(*a, **kw):\n    return sum(a) + kw.get('n', 0)\ndef f(k):\n    return h(k, **{'n': 2})\n",
    "{'n': 2}",
    "{'m': 2}",
)
code(
    "syntax",
    "lambda in a sort key",
    "def f(k):\n    return sorted([3, -4, k], key=lambda v: v)[0]\n",
    "lambda v: v",
    "lambda v: -v",
)
code(
    "syntax",
    "string join of a conditional import name",
    "import math as m\ndef f(k):\n    return m.sqrt(k)\n",
    "m.sqrt",
    "m.exp",
)
code(
    "syntax",
    "alias of an import",
    "from math import sqrt as fn\ndef f(k):\n    return fn(k)\n",
    "import sqrt as fn",
    "import exp as fn",
    places=ALL,
)
code(
    "syntax",
    "type alias and NewType",
    "from typing import NewType\nN = NewType('N', int)\ndef f(k):\n    return len(N.__name__) * k + N(2)\n",
    "N(2)",
    "N(3)",
)
code(
    "state",
    "contextvar default",
    "import contextvars\nV = contextvars.ContextVar('V', default=2)\ndef f(k):\n    return V.get() * k\n",
    "default=2",
    "default=3",
)
code(
    "state",
    "contextvar set at import",
    "import contextvars\nV = contextvars.ContextVar('V')\nV.set(2)\ndef f(k):\n    return V.get(9) * k\n",
    "set(2)",
    "set(3)",
)
code(
    "state",
    "thread-local set at import",
    "import threading\nL = threading.local()\nL.n = 2\ndef f(k):\n    return L.n * k\n",
    "n = 2",
    "n = 3",
)
code(
    "state",
    "thread-local subclass",
    "import threading\nclass L(threading.local):\n    def __init__(self):\n        self.n = 2\nL_ = L()\ndef f(k):\n    return L_.n * k\n",
    "self.n = 2",
    "self.n = 3",
)
code(
    "state",
    "itertools.count start",
    "import itertools\nC = itertools.count(2)\ndef f(k):\n    return k * 2 + int(repr(C)[6:-1])\n",
    "count(2)",
    "count(3)",
)
code(
    "state",
    "itertools.cycle",
    "import itertools, copy\nC = itertools.cycle([2, 3])\ndef f(k):\n    return next(C) * k\n",
    "[2, 3]",
    "[4, 3]",
)
code(
    "state",
    "iterator at module level",
    "I = iter([2, 3])\ndef f(k):\n    return next(I) * k\n",
    "[2, 3]",
    "[4, 3]",
)
code(
    "state",
    "generator at module level",
    "def gen():\n    yield 2\n    yield 3\nI = gen()\ndef f(k):\n    return next(I) * k\n",
    "yield 2",
    "yield 4",
)
code(
    "state",
    "seeded generator of numpy",
    "import numpy as np\nR = np.random.default_rng(1)\ndef f(k):\n    return float(R.random()) * k\n",
    "default_rng(1)",
    "default_rng(2)",
)
code(
    "state",
    "seeded random.Random",
    "import random\nR = random.Random(1)\ndef f(k):\n    return R.random() * k\n",
    "Random(1)",
    "Random(2)",
)
code(
    "state",
    "global seed set at import",
    "import random\nrandom.seed(1)\ndef f(k):\n    return random.random() * k\n",
    "seed(1)",
    "seed(2)",
    documented="random numbers without a seed in the node",
)
code(
    "state",
    "StringIO at module level",
    "import io\nS = io.StringIO('ab')\ndef f(k):\n    return len(S.getvalue()) * k\n",
    "'ab'",
    "'abc'",
)
code(
    "state",
    "ctypes structure",
    "import ctypes\nclass S(ctypes.Structure):\n    _fields_ = [('a', ctypes.c_int), ('b', ctypes.c_int)]\nS_ = S(2, 3)\ndef f(k):\n    return S_.a * k\n",
    "S(2, 3)",
    "S(4, 3)",
)
code(
    "state",
    "memoryview and array.array",
    "import array\nA = array.array('i', [2, 3])\nM = memoryview(A)\ndef f(k):\n    return M[0] * k\n",
    "[2, 3]",
    "[4, 3]",
)
code(
    "state",
    "logger level of the project",
    "import logging\nL = logging.getLogger('mini.x')\nL.setLevel(10)\ndef f(k):\n    return L.level * k\n",
    "setLevel(10)",
    "setLevel(20)",
    documented="levels and handlers of loggers",
)
code(
    "state",
    "configparser and string IO",
    "import configparser\nC = configparser.ConfigParser()\nC.read_string('[a]\\nn = 2\\n')\ndef f(k):\n    return C.getint('a', 'n') * k\n",
    "n = 2",
    "n = 3",
)
code(
    "state",
    "operator overloads of a library object",
    "import numpy as np\nP = np.poly1d([2, 1])\ndef f(k):\n    return float(P(k))\n",
    "[2, 1]",
    "[3, 1]",
)
code(
    "state",
    "ufunc of a project function",
    "import numpy as np\ndef h(v):\n    return v * 2\nU = np.vectorize(h)\ndef f(k):\n    return float(U(np.array([k]))[0])\n",
    "v * 2",
    "v * 3",
)
code(
    "state",
    "frompyfunc",
    "import numpy as np\ndef h(v):\n    return v * 2\nU = np.frompyfunc(h, 1, 1)\ndef f(k):\n    return float(U(k))\n",
    "v * 2",
    "v * 3",
)
code(
    "libraries",
    "sklearn FunctionTransformer",
    "from sklearn.preprocessing import FunctionTransformer\ndef h(v):\n    return [[v[0][0] * 2]]\nT = FunctionTransformer(h)\ndef f(k):\n    return float(T.transform([[k]])[0][0])\n",
    "* 2",
    "* 3",
)
code(
    "libraries",
    "estimator of the project's own class",
    "from sklearn.base import BaseEstimator\nclass E(BaseEstimator):\n    def __init__(self, n=2):\n        self.n = n\n    def predict(self, k):\n        return k * self.n\nE_ = E()\ndef f(k):\n    return E_.predict(k)\n",
    "n=2",
    "n=3",
)
code(
    "libraries",
    "sklearn pipeline of steps",
    "from sklearn.pipeline import Pipeline as P\nfrom sklearn.preprocessing import FunctionTransformer, StandardScaler\nimport numpy as np\nT = P([('s', StandardScaler(with_mean=True)), ('i', FunctionTransformer())])\ndef f(k):\n    return float(T.fit_transform(np.array([[1.0], [k]]))[1, 0]) * k\n",
    "with_mean=True",
    "with_mean=False",
)
code(
    "libraries",
    "tlz curry and compose",
    "from toolz import curry, compose\n@curry\ndef h(n, v):\n    return n * v\nG = compose(h(2), abs)\ndef f(k):\n    return G(k)\n",
    "h(2)",
    "h(3)",
)
code(
    "libraries",
    "functools.cmp_to_key",
    "import functools\ndef cmp(a, b):\n    return a - b\nK = functools.cmp_to_key(cmp)\ndef f(k):\n    return sorted([3, k, 1], key=K)[0]\n",
    "a - b",
    "b - a",
)
code(
    "libraries",
    "df.query with a module constant",
    "import pandas as pd\nLIMIT = 2\ndef f(k):\n    d = pd.DataFrame({'a': range(k)})\n    return len(d.query('a > @LIMIT'))\n",
    "LIMIT = 2",
    "LIMIT = 3",
)
code(
    "libraries",
    "jinja2 template string",
    "import jinja2\nT = jinja2.Template('{{ k }}-{{ k * 2 }}')\ndef f(k):\n    return T.render(k=k)\n",
    "k * 2",
    "k * 3",
)
code(
    "libraries",
    "jinja2 filter of the project",
    "import jinja2\ndef twice(v):\n    return v * 2\nENV = jinja2.Environment()\nENV.filters['twice'] = twice\ndef f(k):\n    return ENV.from_string('{{ k | twice }}').render(k=k)\n",
    "v * 2",
    "v * 3",
)
code(
    "libraries",
    "scipy optimize of a project function",
    "from scipy.optimize import brentq\ndef h(x):\n    return x - 2\ndef f(k):\n    return round(brentq(h, -10, 10), 6) * k\n",
    "x - 2",
    "x - 3",
    places=("near",),
)
code(
    "libraries",
    "dask delayed",
    "import dask\n@dask.delayed\ndef h(v):\n    return v * 2\ndef f(k):\n    return h(k).compute(scheduler='sync')\n",
    "v * 2",
    "v * 3",
    places=("near",),
)
code(
    "libraries",
    "joblib delayed in Parallel",
    "from joblib import Parallel, delayed\ndef h(v):\n    return v * 2\ndef f(k):\n    return sum(Parallel(n_jobs=1)(delayed(h)(i) for i in range(k)))\n",
    "v * 2",
    "v * 3",
    places=("near",),
)
code(
    "libraries",
    "concurrent threads",
    "from concurrent.futures import ThreadPoolExecutor\ndef h(v):\n    return v * 2\ndef f(k):\n    with ThreadPoolExecutor(2) as e:\n        return sum(e.map(h, range(k)))\n",
    "v * 2",
    "v * 3",
    places=("near",),
)

# --- pickled functions in values of the module -----------------------------------------------------
PICKLED = "import pickle\nfrom mini.funcs import h\n{make}\ndef f(k):\n    return pickle.loads({use})(k)\n"
FUNCS = "def h(v):\n    return v * 2\n"
code(
    "pickled functions",
    "bytes as global",
    PICKLED.format(make="P = pickle.dumps(h)", use="P"),
    "v * 2",
    "v * 3",
    funcs=FUNCS,
)
code(
    "pickled functions",
    "bytes in a dataclass",
    PICKLED.format(
        make="from dataclasses import dataclass\n@dataclass\nclass T:\n    p: bytes\nP = T(pickle.dumps(h))",
        use="P.p",
    ),
    "v * 2",
    "v * 3",
    funcs=FUNCS,
)
code(
    "pickled functions",
    "bytes in a set",
    PICKLED.format(make="P = {pickle.dumps(h)}", use="next(iter(P))"),
    "v * 2",
    "v * 3",
    funcs=FUNCS,
)
code(
    "pickled functions",
    "uint8 array",
    PICKLED.format(
        make="import numpy as np\nP = np.frombuffer(pickle.dumps(h), dtype='u1')", use="P.tobytes()"
    ),
    "v * 2",
    "v * 3",
    funcs=FUNCS,
)
code(
    "pickled functions",
    "cell of a DataFrame",
    PICKLED.format(
        make="import pandas as pd\nP = pd.DataFrame({'p': [pickle.dumps(h)]})", use="P.p[0]"
    ),
    "v * 2",
    "v * 3",
    funcs=FUNCS,
)
code(
    "pickled functions",
    "base64 text",
    PICKLED.format(
        make="import base64\nP = base64.b64encode(pickle.dumps(h)).decode()",
        use="base64.b64decode(P)",
    ),
    "v * 2",
    "v * 3",
    funcs=FUNCS,
    documented="pickles inside of text or of compressed bytes",
)
code(
    "pickled functions",
    "compressed",
    PICKLED.format(
        make="import zlib\nP = zlib.compress(pickle.dumps(h))", use="zlib.decompress(P)"
    ),
    "v * 2",
    "v * 3",
    funcs=FUNCS,
    documented="pickles inside of text or of compressed bytes",
)

# --- edits that change nothing ---------------------------------------------------------------------
PLAIN = "import math\nN = 2\ndef helper(value):\n    'Double it.'\n    local = value * N\n    return local\ndef unused(z):\n    return z\nclass Unused:\n    def go(self):\n        return 1\ndef f(k: int) -> int:\n    return helper(k)\n"
for name, old, new in [
    ("comment", "    local = value * N\n", "    # twice\n    local = value * N\n"),
    ("docstring", "'Double it.'", "'Multiply it.'"),
    ("docstring removed", "    'Double it.'\n", ""),
    ("renamed local", "local", "product"),
    ("blank lines", "def unused", "\n\n\ndef unused"),
    ("formatting", "value * N", "(value *\n        N)"),
    ("annotation of an argument", "k: int", "k: float"),
    ("annotation taken off", "(k: int) -> int", "(k)"),
    ("unrelated function", "return z", "return z + 1"),
    ("unrelated class", "return 1", "return 2"),
    ("new function", "def unused", "def another():\n    return 3\ndef unused"),
    ("new import", "import math\n", "import math\nimport json\n"),
    (
        "order of definitions",
        "def unused(z):\n    return z\nclass Unused:\n    def go(self):\n        return 1\n",
        "class Unused:\n    def go(self):\n        return 1\ndef unused(z):\n    return z\n",
    ),
    ("unused constant", "N = 2\n", "N = 2\nM = 7\n"),
    ("constant written otherwise", "N = 2\n", "N = 1 + 1\n"),
    ("quotes", "'Double it.'", '"Double it."'),
]:
    code("changes nothing", name, PLAIN, old, new, changes=False)
code(
    "changes nothing",
    "comment in a class with fields",
    "from dataclasses import dataclass\n@dataclass\nclass T:\n    n: int = 2\ndef f(k):\n    return T().n * k\n",
    "@dataclass\nclass",
    "# A comment.\n@dataclass\nclass",
    changes=False,
)
code(
    "changes nothing",
    "unrelated member of a registry module",
    "from mini import lib3\ndef f(k):\n    return lib3.h(k)\n",
    "v + 1",
    "v + 2",
    changes=False,
    lib3="def h(v):\n    return v * 2\ndef other(v):\n    return v + 1\n",
)
