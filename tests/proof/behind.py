"""Ways in which one node leaves something behind for another, besides its output."""

# ruff: noqa: E501 - each is read as the small program that it is
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from projects import project

# Parameters of a(p) and of b(m, q), tried one after the other in one process: either of the two
# changes alone, and values come back after others have been tried.
TRIALS = [
    (1, 1), (2, 1), (1, 2), (2, 2), (3, 3), (1, 3), (3, 1), (2, 3), (3, 2), (1, 4), (4, 1), (2, 4),
]  # fmt: skip
# In another process afterwards: whatever ``a`` makes is known, and ``b`` has to run.
LATER = [(p, q + 10) for p, q in TRIALS]


@dataclass(frozen=True)
class Way:
    """A project whose nodes ``a(p)`` and ``b(m, q)`` share something.

    Attributes:
        kind: What they share.
        name: Which way of that kind.
        files: The project.
        documented: The sentence of the docs that names it.
    """

    kind: str
    name: str
    files: Mapping[str, str | bytes]
    documented: str = ""

    @property
    def id(self) -> str:
        return f"{self.kind} / {self.name} / behind"


WAYS: list[Way] = []

CONSTANT = "    return 0\ndef b("

PIPE = """
from kedro.pipeline import Pipeline, node
from mini.base import total
def make_pipeline():
    return Pipeline([
        node(a, "params:p", "m", name="a"),
        node(b, ["m", "params:q"], "v", name="b"),
        node(total, "v", "metrics", name="c"),
    ])
"""


def way(
    kind: str, name: str, nodes: str, *, documented: str = "", pipe: str = PIPE, **options: Any
) -> None:
    """A way; where ``a`` hands on nothing but 0, also with p, so that ``b`` gets another input."""
    variants = {name: nodes}
    if CONSTANT in nodes:
        variants[f"{name}, p handed on"] = nodes.replace(CONSTANT, "    return p\ndef b(", 1)
    for called, text in variants.items():
        files = project(
            text + pipe,
            params="p: 1\nq: 1\n",
            space="p: {low: 1, high: 9}\nq: {low: 1, high: 30}",
            **options,
        )
        WAYS.append(Way(kind, called, files, documented))


OWN_FILES = "files, databases and services that a function opens by itself"

# --- objects behind a cache -------------------------------------------------------------------------
MODEL = "class Model:\n    def __init__(self):\n        self.w = 0\n    def fit(self, p):\n        self.w = p\n"
way(
    "cached objects",
    "lru_cache object that one node fits",
    "import functools\n"
    + MODEL
    + "@functools.lru_cache\ndef model():\n    return Model()\ndef a(p):\n    model().fit(p)\n    return 0\ndef b(m, q):\n    return model().w * 10 + q\n",
)
way(
    "cached objects",
    "functools.cache dict",
    "import functools\n@functools.cache\ndef box():\n    return {}\ndef a(p):\n    box()['w'] = p\n    return 0\ndef b(m, q):\n    return box().get('w', 0) * 10 + q\n",
)
way(
    "cached objects",
    "cached_property of a global",
    "import functools\n"
    + MODEL
    + "class Holder:\n    @functools.cached_property\n    def model(self):\n        return Model()\nH = Holder()\ndef a(p):\n    H.model.fit(p)\n    return 0\ndef b(m, q):\n    return H.model.w * 10 + q\n",
)
way(
    "cached objects",
    "lru_cache in another module",
    "from mini.shared import model\ndef a(p):\n    model().fit(p)\n    return 0\ndef b(m, q):\n    return model().w * 10 + q\n",
    shared="import functools\n"
    + MODEL
    + "@functools.lru_cache\ndef model():\n    return Model()\n",
)
way(
    "cached objects",
    "lru_cache with the first value kept",
    "import functools\nNOW = [0]\n@functools.lru_cache\ndef first(n):\n    return NOW[0]\ndef a(p):\n    NOW[0] = p\n    return 0\ndef b(m, q):\n    return first(0) * 10 + q\n",
)
way(
    "cached objects",
    "lru_cache of a method",
    "import functools\n"
    + MODEL
    + "class Factory:\n    @functools.lru_cache\n    def get(self):\n        return Model()\nF = Factory()\ndef a(p):\n    F.get().fit(p)\n    return 0\ndef b(m, q):\n    return F.get().w * 10 + q\n",
)
way(
    "cached objects",
    "memo filled lazily, then changed",
    MODEL
    + "_MODEL = None\ndef model():\n    global _MODEL\n    if _MODEL is None:\n        _MODEL = Model()\n    return _MODEL\ndef a(p):\n    model().fit(p)\n    return 0\ndef b(m, q):\n    return model().w * 10 + q\n",
)
way(
    "cached objects",
    "memo whose key forgets the parameter",
    "_MEMO = {}\ndef a(p):\n    _MEMO.setdefault('w', p)\n    return 0\ndef b(m, q):\n    return _MEMO['w'] * 10 + q\n",
)
way(
    "cached objects",
    "joblib-like memo by identity",
    "_MEMO = {}\nBOX = [0]\ndef a(p):\n    BOX[0] = p\n    return 0\ndef b(m, q):\n    if id(BOX) not in _MEMO:\n        _MEMO[id(BOX)] = BOX[0]\n    return _MEMO[id(BOX)] * 10 + q\n",
)

# --- globals ----------------------------------------------------------------------------------------
way(
    "globals",
    "global statement",
    "W = 0\ndef a(p):\n    global W\n    W = p\n    return 0\ndef b(m, q):\n    return W * 10 + q\n",
)
way(
    "globals",
    "item of a dict",
    "W = {'w': 0}\ndef a(p):\n    W['w'] = p\n    return 0\ndef b(m, q):\n    return W['w'] * 10 + q\n",
)
way(
    "globals",
    "attribute of another module",
    "from mini import shared\ndef a(p):\n    shared.W = p\n    return 0\ndef b(m, q):\n    return shared.W * 10 + q\n",
    shared="W = 0\n",
)
way(
    "globals",
    "setattr with a computed name",
    "from mini import shared\ndef a(p):\n    setattr(shared, 'W' + 'X', p)\n    return 0\ndef b(m, q):\n    return getattr(shared, 'W' + 'X') * 10 + q\n",
    shared="WX = 0\n",
)
way(
    "globals",
    "globals()",
    "W = 0\ndef a(p):\n    globals()['W'] = p\n    return 0\ndef b(m, q):\n    return W * 10 + q\n",
)
way(
    "globals",
    "method that reads self.p",
    "W = {}\nclass Step:\n    def __init__(self, p):\n        self.p = p\n    def fill(self):\n        W['w'] = self.p\ndef a(p):\n    Step(p).fill()\n    return 0\ndef b(m, q):\n    return W.get('w', 0) * 10 + q\n",
)
way(
    "globals",
    "lazy global filled by a method of self.p",
    "W = None\nclass Step:\n    def __init__(self, p):\n        self.p = p\n    def fill(self):\n        global W\n        W = self.p\ndef a(p):\n    Step(p).fill()\n    return 0\ndef b(m, q):\n    return (W or 0) * 10 + q\n",
)
way(
    "globals",
    "list that grows",
    "W = []\ndef a(p):\n    W.append(p)\n    return 0\ndef b(m, q):\n    return W[-1] * 10 + q if W else q\n",
)
way(
    "globals",
    "numpy array in place",
    "import numpy as np\nW = np.zeros(3)\ndef a(p):\n    W[:] = p\n    return 0\ndef b(m, q):\n    return float(W.sum()) * 10 + q\n",
)
way(
    "globals",
    "DataFrame in place",
    "import pandas as pd\nW = pd.DataFrame({'w': [0]})\ndef a(p):\n    W.loc[0, 'w'] = p\n    return 0\ndef b(m, q):\n    return float(W.w[0]) * 10 + q\n",
)
way(
    "globals",
    "defaultdict that reading fills",
    "from collections import defaultdict\nW = defaultdict(int)\ndef a(p):\n    W[p]\n    return 0\ndef b(m, q):\n    return max(W, default=0) * 10 + q\n",
)
way(
    "globals",
    "deque of the last values",
    "from collections import deque\nW = deque(maxlen=1)\ndef a(p):\n    W.append(p)\n    return 0\ndef b(m, q):\n    return (W[0] if W else 0) * 10 + q\n",
)
way(
    "globals",
    "set of seen values",
    "W = set()\ndef a(p):\n    W.clear()\n    W.add(p)\n    return 0\ndef b(m, q):\n    return sum(W) * 10 + q\n",
)
way(
    "globals",
    "alias of a global inside a helper",
    "W = {'w': 0}\ndef helper():\n    return W\ndef a(p):\n    w = helper()\n    w.update(w=p)\n    return 0\ndef b(m, q):\n    return helper()['w'] * 10 + q\n",
)
way(
    "globals",
    "SimpleNamespace and nested object",
    "from types import SimpleNamespace\nW = SimpleNamespace(deep=SimpleNamespace(w=0))\ndef a(p):\n    W.deep.w = p\n    return 0\ndef b(m, q):\n    return W.deep.w * 10 + q\n",
)
way(
    "globals",
    "read only through eval",
    "W = 0\ndef a(p):\n    global W\n    W = p\n    return 0\ndef b(m, q):\n    return eval('W') * 10 + q\n",
)
way(
    "globals",
    "exec writes it",
    "W = 0\ndef a(p):\n    exec(f'W = {p}', globals())\n    return 0\ndef b(m, q):\n    return W * 10 + q\n",
)

# --- functions --------------------------------------------------------------------------------------
way(
    "functions",
    "nonlocal of a closure",
    "def make():\n    w = 0\n    def put(p):\n        nonlocal w\n        w = p\n    def get():\n        return w\n    return put, get\nput, get = make()\ndef a(p):\n    put(p)\n    return 0\ndef b(m, q):\n    return get() * 10 + q\n",
)
way(
    "functions",
    "cell that holds a list",
    "def make():\n    w = [0]\n    def put(p):\n        w[0] = p\n    def get():\n        return w[0]\n    return put, get\nput, get = make()\ndef a(p):\n    put(p)\n    return 0\ndef b(m, q):\n    return get() * 10 + q\n",
)
way(
    "functions",
    "mutable default argument",
    "def store(p=None, w=[0]):\n    if p is not None:\n        w[0] = p\n    return w[0]\ndef a(p):\n    store(p)\n    return 0\ndef b(m, q):\n    return store() * 10 + q\n",
)
way(
    "functions",
    "attribute of a function",
    "def helper():\n    return helper.w\nhelper.w = 0\ndef a(p):\n    helper.w = p\n    return 0\ndef b(m, q):\n    return helper() * 10 + q\n",
)
way(
    "functions",
    "__defaults__ replaced",
    "def helper(w=0):\n    return w\ndef a(p):\n    helper.__defaults__ = (p,)\n    return 0\ndef b(m, q):\n    return helper() * 10 + q\n",
)
way(
    "functions",
    "__code__ replaced",
    "def helper():\n    return 1\ndef one():\n    return 10\ndef two():\n    return 20\ndef a(p):\n    helper.__code__ = (one if p % 2 else two).__code__\n    return 0\ndef b(m, q):\n    return helper() * 10 + q\n",
)
way(
    "functions",
    "partial that is changed",
    "import functools\ndef base(w, q):\n    return w * 10 + q\nG = functools.partial(base, {'w': 0})\ndef a(p):\n    G.args[0]['w'] = p\n    return 0\ndef b(m, q):\n    return G.args[0]['w'] * 10 + q\n",
)
way(
    "functions",
    "partial's __setstate__",
    "import functools\ndef base(w, q):\n    return w * 10 + q\nG = functools.partial(base, 0)\ndef a(p):\n    G.__setstate__((base, (p,), {}, {}))\n    return 0\ndef b(m, q):\n    return G(q)\n",
)
way(
    "functions",
    "monkeypatched function of the project",
    "from mini import shared\ndef a(p):\n    shared.scale = lambda v: v * p\n    return 0\ndef b(m, q):\n    return shared.scale(10) + q\n",
    shared="def scale(v):\n    return 0\n",
)
way(
    "functions",
    "monkeypatched function of a library",
    "import statistics\ndef a(p):\n    statistics.mean = lambda xs: p\n    return 0\ndef b(m, q):\n    return statistics.mean([1]) * 10 + q\n",
)
way(
    "functions",
    "name of builtins",
    "import builtins\nbuiltins.WW = 0\ndef a(p):\n    builtins.WW = p\n    return 0\ndef b(m, q):\n    return WW * 10 + q\n",
)
way(
    "functions",
    "singledispatch registration in a node",
    "from functools import singledispatch\n@singledispatch\ndef h(v):\n    return 0\ndef a(p):\n    h.register(int, lambda v: p)\n    return 0\ndef b(m, q):\n    return h(1) * 10 + q\n",
)
way(
    "functions",
    "callback registered with a bus",
    "class Bus:\n    def __init__(self):\n        self.subscribers = []\nBUS = Bus()\ndef a(p):\n    BUS.subscribers[:] = [lambda: p]\n    return 0\ndef b(m, q):\n    return sum(s() for s in BUS.subscribers) * 10 + q\n",
)

# --- classes ----------------------------------------------------------------------------------------
way(
    "classes",
    "class attribute",
    "class C:\n    w = 0\ndef a(p):\n    C.w = p\n    return 0\ndef b(m, q):\n    return C.w * 10 + q\n",
)
way(
    "classes",
    "classmethod sets it",
    "class C:\n    w = 0\n    @classmethod\n    def put(cls, p):\n        cls.w = p\ndef a(p):\n    C.put(p)\n    return 0\ndef b(m, q):\n    return C.w * 10 + q\n",
)
way(
    "classes",
    "attribute of a subclass shadows",
    "class Base:\n    w = 0\nclass C(Base):\n    pass\ndef a(p):\n    C.w = p\n    return 0\ndef b(m, q):\n    return C.w * 10 + q\n",
)
way(
    "classes",
    "singleton",
    "class S:\n    _one = None\n    def __new__(cls):\n        if cls._one is None:\n            cls._one = super().__new__(cls)\n            cls._one.w = 0\n        return cls._one\ndef a(p):\n    S().w = p\n    return 0\ndef b(m, q):\n    return S().w * 10 + q\n",
)
way(
    "classes",
    "Borg: shared __dict__",
    "class B:\n    _state = {}\n    def __init__(self):\n        self.__dict__ = self._state\ndef a(p):\n    B().w = p\n    return 0\ndef b(m, q):\n    return getattr(B(), 'w', 0) * 10 + q\n",
)
way(
    "classes",
    "metaclass keeps instances",
    "class M(type):\n    made = {}\n    def __call__(cls):\n        if cls not in M.made:\n            M.made[cls] = super().__call__()\n        return M.made[cls]\nclass S(metaclass=M):\n    w = 0\ndef a(p):\n    S().w = p\n    return 0\ndef b(m, q):\n    return S().w * 10 + q\n",
)
way(
    "classes",
    "enum member's attribute",
    "import enum\nclass E(enum.Enum):\n    A = 1\nE.A.w = 0\ndef a(p):\n    E.A.w = p\n    return 0\ndef b(m, q):\n    return E.A.w * 10 + q\n",
)
way(
    "classes",
    "dataclass default replaced",
    "from dataclasses import dataclass\n@dataclass\nclass D:\n    w: int = 0\ndef a(p):\n    D.__init__.__defaults__ = (p,)\n    return 0\ndef b(m, q):\n    return D().w * 10 + q\n",
)
way(
    "classes",
    "method replaced",
    "class C:\n    def get(self):\n        return 0\ndef a(p):\n    C.get = lambda self: p\n    return 0\ndef b(m, q):\n    return C().get() * 10 + q\n",
)
way(
    "classes",
    "instances in a WeakSet",
    "import weakref\nclass C:\n    live = weakref.WeakSet()\n    def __init__(self, w):\n        self.w = w\n        C.live.add(self)\nKEEP = []\ndef a(p):\n    KEEP[:] = [C(p)]\n    return 0\ndef b(m, q):\n    return sum(c.w for c in C.live) * 10 + q\n",
)
way(
    "classes",
    "property setter of a global object",
    "class C:\n    def __init__(self):\n        self._w = 0\n    @property\n    def w(self):\n        return self._w\n    @w.setter\n    def w(self, v):\n        self._w = v\nO = C()\ndef a(p):\n    O.w = p\n    return 0\ndef b(m, q):\n    return O.w * 10 + q\n",
)
way(
    "classes",
    "slots object",
    "class C:\n    __slots__ = ('w',)\nO = C()\nO.w = 0\ndef a(p):\n    O.w = p\n    return 0\ndef b(m, q):\n    return O.w * 10 + q\n",
)
way(
    "classes",
    "ABC.register in a node",
    "import abc\nclass P(abc.ABC):\n    pass\nclass One:\n    pass\ndef a(p):\n    if p > 1:\n        P.register(One)\n    return 0\ndef b(m, q):\n    return isinstance(One(), P) * 10 + q\n",
)
way(
    "classes",
    "subclass made in a node",
    "class Base:\n    pass\nKEEP = []\ndef a(p):\n    KEEP.append(type('Sub', (Base,), {'w': p}))\n    return 0\ndef b(m, q):\n    return Base.__subclasses__()[-1].w * 10 + q if Base.__subclasses__() else q\n",
)

# --- settings of libraries and of Python -------------------------------------------------------------
way(
    "library settings",
    "decimal context",
    "import decimal\ndef a(p):\n    decimal.getcontext().prec = p + 2\n    return 0\ndef b(m, q):\n    return float(decimal.Decimal(q) / 7)\n",
)
way(
    "library settings",
    "numpy errstate",
    "import numpy as np\ndef a(p):\n    np.seterr(divide='ignore' if p % 2 else 'raise')\n    return 0\ndef b(m, q):\n    try:\n        return 1.0 + q if np.isinf(np.float64(q) / np.float64(0)) else 0\n    except FloatingPointError:\n        return 100 + q\n",
)
way(
    "library settings",
    "numpy printoptions",
    "import numpy as np\ndef a(p):\n    np.set_printoptions(precision=p)\n    return 0\ndef b(m, q):\n    return len(str(np.array([q / 7]))) * 10 + q\n",
)
way(
    "library settings",
    "pandas option",
    "import pandas as pd\ndef a(p):\n    pd.set_option('display.precision', p)\n    return 0\ndef b(m, q):\n    return len(pd.Series([q / 7]).to_string()) * 10 + q\n",
)
way(
    "library settings",
    "sklearn config",
    "import sklearn\ndef a(p):\n    sklearn.set_config(working_memory=p)\n    return 0\ndef b(m, q):\n    return sklearn.get_config()['working_memory'] * 10 + q\n",
)
way(
    "library settings",
    "logging level",
    "import logging\ndef a(p):\n    logging.getLogger('mini').setLevel(p * 10)\n    return 0\ndef b(m, q):\n    return logging.getLogger('mini').level + q\n",
)
way(
    "library settings",
    "logging handler that counts",
    "import logging\nclass H(logging.Handler):\n    n = 0\n    def emit(self, r):\n        self.n = r.args[0]\nHANDLER = H()\nlogging.getLogger('mini').addHandler(HANDLER)\ndef a(p):\n    logging.getLogger('mini').error('%s', p)\n    return 0\ndef b(m, q):\n    return HANDLER.n * 10 + q\n",
)
way(
    "library settings",
    "warnings filter",
    "import warnings\ndef a(p):\n    warnings.filterwarnings('error' if p % 2 else 'ignore', message='mini')\n    return 0\ndef b(m, q):\n    try:\n        warnings.warn('mini')\n    except UserWarning:\n        return 100 + q\n    return q\n",
)
way(
    "library settings",
    "locale",
    "import locale\ndef a(p):\n    locale.setlocale(locale.LC_CTYPE, 'C' if p % 2 else 'C.UTF-8')\n    return 0\ndef b(m, q):\n    return len(locale.setlocale(locale.LC_CTYPE)) * 10 + q\n",
)
way(
    "library settings",
    "matplotlib rcParams",
    "import matplotlib\ndef a(p):\n    matplotlib.rcParams['lines.linewidth'] = p\n    return 0\ndef b(m, q):\n    return matplotlib.rcParams['lines.linewidth'] * 10 + q\n",
)
way(
    "library settings",
    "dask config",
    "import dask\ndef a(p):\n    dask.config.set({'mini.w': p})\n    return 0\ndef b(m, q):\n    return dask.config.get('mini.w', 0) * 10 + q\n",
)
way(
    "library settings",
    "torch default dtype",
    "import torch\ndef a(p):\n    torch.set_default_dtype(torch.float64 if p % 2 else torch.float32)\n    return 0\ndef b(m, q):\n    return float(torch.tensor(q / 7)) * 1e9\n",
)
way(
    "library settings",
    "json encoder default replaced",
    "import json\ndef a(p):\n    json.JSONEncoder.default = lambda self, o: 'x' * p\n    return 0\ndef b(m, q):\n    return len(json.dumps(object())) * 10 + q if json.JSONEncoder.default.__name__ == '<lambda>' else q\n",
)
way(
    "library settings",
    "socket default timeout",
    "import socket\ndef a(p):\n    socket.setdefaulttimeout(p)\n    return 0\ndef b(m, q):\n    return (socket.getdefaulttimeout() or 0) * 10 + q\n",
)
way(
    "library settings",
    "csv dialect",
    "import csv, io\ndef a(p):\n    csv.register_dialect('mini', delimiter=',;|:'[p - 1])\n    return 0\ndef b(m, q):\n    d = csv.get_dialect('mini').delimiter if 'mini' in csv.list_dialects() else 'x'\n    return ord(d) * 10 + q\n",
)
way(
    "library settings",
    "mimetypes table",
    "import mimetypes\ndef a(p):\n    mimetypes.add_type('x/' + 'y' * p, '.mini')\n    return 0\ndef b(m, q):\n    return len(mimetypes.guess_type('f.mini')[0] or '') * 10 + q\n",
)
way(
    "process",
    "os.environ",
    "import os\ndef a(p):\n    os.environ['MINI'] = str(p)\n    return 0\ndef b(m, q):\n    return int(os.environ.get('MINI', 0)) * 10 + q\n",
)
way(
    "process",
    "os.chdir",
    "import os\nfrom pathlib import Path\nHOME = Path(__file__).parent\ndef a(p):\n    os.chdir(HOME if p % 2 else '/')\n    return 0\ndef b(m, q):\n    return (os.getcwd() == '/') * 10 + q\n",
)
way(
    "process",
    "sys.path",
    "import sys\nfrom mini import base\ndef a(p):\n    sys.path[:] = [x for x in sys.path if not x.startswith('/mini')] + ['/mini' * p]\n    return 0\ndef b(m, q):\n    return max([len(x) for x in sys.path if x.startswith('/mini')], default=0) * 10 + q\n",
)
way(
    "process",
    "recursion limit",
    "import sys\ndef a(p):\n    sys.setrecursionlimit(2000 + p)\n    return 0\ndef b(m, q):\n    return sys.getrecursionlimit() * 10 + q\n",
)
way(
    "process",
    "gc thresholds",
    "import gc\ndef a(p):\n    gc.set_threshold(700 + p)\n    return 0\ndef b(m, q):\n    return gc.get_threshold()[0] * 10 + q\n",
)
way(
    "process",
    "sys.modules entry",
    "import sys, types\ndef a(p):\n    sys.modules['mini_made'] = types.SimpleNamespace(w=p)\n    return 0\ndef b(m, q):\n    found = sys.modules.get('mini_made')\n    return (found.w if found else 0) * 10 + q\n",
)
way(
    "process",
    "module reloaded with other content",
    "import importlib, sys\nfrom mini import shared\ndef a(p):\n    importlib.reload(shared)\n    shared.W += p\n    return 0\ndef b(m, q):\n    return shared.W * 10 + q\n",
    shared="W = 0\n",
)
way(
    "process",
    "umask",
    "import os\ndef a(p):\n    os.umask(p)\n    return 0\ndef b(m, q):\n    now = os.umask(0)\n    os.umask(now)\n    return now * 10 + q\n",
)
way(
    "process",
    "signal handler",
    "import signal\ndef one(*a):\n    pass\ndef two(*a):\n    pass\ndef a(p):\n    signal.signal(signal.SIGUSR1, one if p % 2 else two)\n    return 0\ndef b(m, q):\n    return (signal.getsignal(signal.SIGUSR1) is two) * 10 + q\n",
)
way(
    "process",
    "time zone",
    "import os, time\ndef a(p):\n    os.environ['TZ'] = f'UTC-{p}'\n    time.tzset()\n    return 0\ndef b(m, q):\n    return time.localtime(0).tm_hour * 10 + q\n",
)
way(
    "process",
    "contextvar",
    "import contextvars\nV = contextvars.ContextVar('V', default=0)\ndef a(p):\n    V.set(p)\n    return 0\ndef b(m, q):\n    return V.get() * 10 + q\n",
)
way(
    "process",
    "thread-local",
    "import threading\nL = threading.local()\ndef a(p):\n    L.w = p\n    return 0\ndef b(m, q):\n    return getattr(L, 'w', 0) * 10 + q\n",
)
way(
    "process",
    "thread that goes on",
    "import threading, queue\nQ = queue.Queue()\ndef a(p):\n    Q.queue.clear()\n    Q.put(p)\n    return 0\ndef b(m, q):\n    return (Q.queue[0] if Q.queue else 0) * 10 + q\n",
)

# --- random generators --------------------------------------------------------------------------------
way(
    "random generators",
    "random seeded by the first, drawn by the second",
    "import random\ndef a(p):\n    random.seed(p)\n    return 0\ndef b(m, q):\n    return random.random() + q\n",
)
way(
    "random generators",
    "numpy seeded by the first, drawn by the second",
    "import numpy as np\ndef a(p):\n    np.random.seed(p)\n    return 0\ndef b(m, q):\n    return float(np.random.random()) + q\n",
)
way(
    "random generators",
    "torch seeded by the first, drawn by the second",
    "import torch\ndef a(p):\n    torch.manual_seed(p)\n    return 0\ndef b(m, q):\n    return float(torch.rand(1)) + q\n",
)
way(
    "random generators",
    "both draw from random, seeded at import",
    "import random\nrandom.seed(0)\ndef a(p):\n    return [random.random() for _ in range(p)][-1]\ndef b(m, q):\n    return m + random.random() * q\n",
)
way(
    "random generators",
    "both draw from numpy, seeded at import",
    "import numpy as np\nnp.random.seed(0)\ndef a(p):\n    return float(np.random.random(p)[-1])\ndef b(m, q):\n    return m + float(np.random.random()) * q\n",
)
way(
    "random generators",
    "a generator of the module",
    "import numpy as np\nR = np.random.default_rng(0)\ndef a(p):\n    return float(R.random(p)[-1])\ndef b(m, q):\n    return m + float(R.random()) * q\n",
)
way(
    "random generators",
    "random.Random of the module",
    "import random\nR = random.Random(0)\ndef a(p):\n    return [R.random() for _ in range(p)][-1]\ndef b(m, q):\n    return m + R.random() * q\n",
)
way(
    "random generators",
    "sklearn's shuffle on the global generator",
    "import numpy as np\nfrom sklearn.utils import shuffle\nnp.random.seed(0)\ndef a(p):\n    return int(shuffle(list(range(10 * p)))[0])\ndef b(m, q):\n    return m + int(shuffle(list(range(100)))[0]) * q\n",
)
way(
    "random generators",
    "only the second draws, seeded at import",
    "import random\nrandom.seed(0)\ndef a(p):\n    return p\ndef b(m, q):\n    return m + random.random() * q\n",
)

# --- iterators and files --------------------------------------------------------------------------------
way(
    "iterators",
    "itertools.count",
    "import itertools\nC = itertools.count()\ndef a(p):\n    for _ in range(p):\n        n = next(C)\n    return 0\ndef b(m, q):\n    return next(C) * 10 + q\n",
)
way(
    "iterators",
    "generator of the module",
    "def gen():\n    n = 0\n    while True:\n        yield n\n        n += 1\nG = gen()\ndef a(p):\n    for _ in range(p):\n        next(G)\n    return 0\ndef b(m, q):\n    return next(G) * 10 + q\n",
)
way(
    "iterators",
    "iterator of the module",
    "I = iter(range(10**6))\ndef a(p):\n    for _ in range(p):\n        next(I)\n    return 0\ndef b(m, q):\n    return next(I) * 10 + q\n",
)
way(
    "iterators",
    "position of an open file",
    "import io\nF = io.StringIO('0123456789' * 100)\ndef a(p):\n    F.seek(p)\n    return 0\ndef b(m, q):\n    return int(F.read(1) or 0) * 10 + q\n",
)
way(
    "iterators",
    "generator that is sent to",
    "def gen():\n    w = 0\n    while True:\n        got = yield w\n        w = w if got is None else got\nG = gen()\nnext(G)\ndef a(p):\n    G.send(p)\n    return 0\ndef b(m, q):\n    return next(G) * 10 + q\n",
)
way(
    "files",
    "file in the working directory",
    "from pathlib import Path\ndef a(p):\n    Path('left.txt').write_text(str(p))\n    return 0\ndef b(m, q):\n    return int(Path('left.txt').read_text()) * 10 + q\n",
)
way(
    "files",
    "temporary file under a fixed name",
    "import tempfile, os\nfrom pathlib import Path\nP = Path(tempfile.gettempdir()) / f'mini-{os.path.basename(os.getcwd())}'\ndef a(p):\n    P.write_text(str(p))\n    return 0\ndef b(m, q):\n    return int(P.read_text()) * 10 + q\n",
)
way(
    "files",
    "SQLite file",
    "import sqlite3\ndef a(p):\n    with sqlite3.connect('left.db') as c:\n        c.execute('create table if not exists t (w int)')\n        c.execute('delete from t')\n        c.execute('insert into t values (?)', (p,))\n    return 0\ndef b(m, q):\n    with sqlite3.connect('left.db') as c:\n        return c.execute('select w from t').fetchone()[0] * 10 + q\n",
)
way(
    "files",
    "SQLite in memory, connection of the module",
    "import sqlite3\nC = sqlite3.connect(':memory:', check_same_thread=False)\nC.execute('create table t (w int)')\ndef a(p):\n    C.execute('delete from t')\n    C.execute('insert into t values (?)', (p,))\n    return 0\ndef b(m, q):\n    got = C.execute('select w from t').fetchone()\n    return (got[0] if got else 0) * 10 + q\n",
)
way(
    "files",
    "TemporaryDirectory of the module",
    "import tempfile\nfrom pathlib import Path\nT = tempfile.TemporaryDirectory()\ndef a(p):\n    (Path(T.name) / 'w').write_text(str(p))\n    return 0\ndef b(m, q):\n    f = Path(T.name) / 'w'\n    return int(f.read_text()) * 10 + q if f.exists() else q\n",
)
way(
    "files",
    "file that another thread reads",
    "from pathlib import Path\nfrom concurrent.futures import ThreadPoolExecutor\ndef a(p):\n    Path('left.txt').write_text(str(p))\n    return 0\ndef b(m, q):\n    with ThreadPoolExecutor() as pool:\n        return int(pool.submit(Path('left.txt').read_text).result()) * 10 + q\n",
)
way(
    "files",
    "file that another program reads",
    "import subprocess\nfrom pathlib import Path\ndef a(p):\n    Path('left.txt').write_text(str(p))\n    return 0\ndef b(m, q):\n    return int(subprocess.check_output(['cat', 'left.txt'])) * 10 + q\n",
    documented=OWN_FILES,
)

# --- inputs changed in place ------------------------------------------------------------------------------
SIBLINGS = """
from kedro.pipeline import Pipeline, node
from mini.base import total
def make_pipeline():
    return Pipeline([
        node(make, "params:q", "m", name="make"),
        node(a, ["m", "params:p"], "u", name="a"),
        node(b, ["m", "u"], "v", name="b"),
        node(total, "v", "metrics", name="c"),
    ])
"""
way(
    "inputs changed in place",
    "list",
    "def make(q):\n    return [q]\ndef a(m, p):\n    m[0] += p * 100\n    return p\ndef b(m, u):\n    return m[0] + u\n",
    pipe=SIBLINGS,
)
way(
    "inputs changed in place",
    "nested list",
    "def make(q):\n    return {'l': [q]}\ndef a(m, p):\n    m['l'].append(p * 100)\n    return p\ndef b(m, u):\n    return sum(m['l']) + u\n",
    pipe=SIBLINGS,
)
way(
    "inputs changed in place",
    "DataFrame",
    "import pandas as pd\ndef make(q):\n    return pd.DataFrame({'a': [q]})\ndef a(m, p):\n    m['a'] += p * 100\n    return p\ndef b(m, u):\n    return float(m.a.sum()) + u\n",
    pipe=SIBLINGS,
)
way(
    "inputs changed in place",
    "lists in cells of a DataFrame",
    "import pandas as pd\ndef make(q):\n    return pd.DataFrame({'a': [[q]]})\ndef a(m, p):\n    m['a'][0].append(p * 100)\n    return p\ndef b(m, u):\n    return sum(m.a[0]) + u\n",
    pipe=SIBLINGS,
)
way(
    "inputs changed in place",
    "copy_mode copy of a nested list",
    "def make(q):\n    return [[q]]\ndef a(m, p):\n    m[0].append(p * 100)\n    return p\ndef b(m, u):\n    return sum(m[0]) + u\n",
    pipe=SIBLINGS,
    catalog="m: {type: MemoryDataset, copy_mode: copy}\n",
)
way(
    "inputs changed in place",
    "copy_mode assign",
    "def make(q):\n    return [q]\ndef a(m, p):\n    m.append(p * 100)\n    return p\ndef b(m, u):\n    return sum(m) + u\n",
    pipe=SIBLINGS,
    catalog="m: {type: MemoryDataset, copy_mode: assign}\n",
)
way(
    "inputs changed in place",
    "array of objects",
    "import numpy as np\ndef make(q):\n    x = np.empty(1, dtype=object)\n    x[0] = [q]\n    return x\ndef a(m, p):\n    m[0].append(p * 100)\n    return p\ndef b(m, u):\n    return sum(m[0]) + u\n",
    pipe=SIBLINGS,
)
way(
    "inputs changed in place",
    "Series of dicts",
    "import pandas as pd\ndef make(q):\n    return pd.Series([{'w': q}])\ndef a(m, p):\n    m[0]['w'] += p * 100\n    return p\ndef b(m, u):\n    return m[0]['w'] + u\n",
    pipe=SIBLINGS,
)
way(
    "inputs changed in place",
    "CachedDataset around pickle",
    "def make(q):\n    return [q]\ndef a(m, p):\n    m.append(p * 100)\n    return p\ndef b(m, u):\n    return sum(m) + u\n",
    pipe=SIBLINGS,
    catalog="m:\n    type: CachedDataset\n    dataset: {type: pickle.PickleDataset, filepath: data/m.pkl}\n",
)
way(
    "inputs changed in place",
    "an object with __deepcopy__ that shares",
    "class S:\n    def __init__(self, q):\n        self.l = [q]\n    def __deepcopy__(self, memo):\n        return self\ndef make(q):\n    return S(q)\ndef a(m, p):\n    m.l.append(p * 100)\n    return p\ndef b(m, u):\n    return sum(m.l) + u\n",
    pipe=SIBLINGS,
)
way(
    "inputs changed in place",
    "an output after it was returned",
    "LAST = []\ndef make(q):\n    out = [q]\n    LAST[:] = [out]\n    return out\ndef a(m, p):\n    if LAST:\n        LAST[0].append(p * 100)\n    return p\ndef b(m, u):\n    return sum(m) + u\n",
    pipe=SIBLINGS,
)
way(
    "hooks and state",
    "hook counts the nodes that ran",
    "COUNT = [0]\ndef a(p):\n    return p\ndef b(m, q):\n    return COUNT[0] * 100 + m * 10 + q\n",
    hooks="from mini import nodes\nclass Hooks:\n    @hook_impl\n    def before_pipeline_run(self):\n        nodes.COUNT[0] = 0\n    @hook_impl\n    def after_node_run(self, node):\n        nodes.COUNT[0] += 1\n",
)
way(
    "hooks and state",
    "hook keeps an output for another node",
    "KEPT = [0]\ndef a(p):\n    return p\ndef b(m, q):\n    return KEPT[0] * 10 + q\n",
    hooks="from mini import nodes\nclass Hooks:\n    @hook_impl\n    def after_node_run(self, node, inputs):\n        if node.name == 'a':\n            nodes.KEPT[0] = inputs['params:p']\n",
)
way(
    "hooks and state",
    "hook sets a global from a parameter when it is loaded",
    "KEPT = [0]\ndef a(p):\n    return 0\ndef b(m, q):\n    return KEPT[0] * 10 + q\n",
    hooks="from mini import nodes\nclass Hooks:\n    @hook_impl\n    def after_dataset_loaded(self, dataset_name, data):\n        if dataset_name == 'params:p':\n            nodes.KEPT[0] = data\n",
)
