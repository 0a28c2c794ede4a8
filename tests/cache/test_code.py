"""Identity of loaded code."""

from __future__ import annotations

import copy
import inspect
import json
import os
import pickle
import subprocess
import sys
import time
import typing
from pathlib import Path

import pytest
from code_edits import EDITS, Edit, Loader

from kedro_eeipu.cache.identity import code, origin
from kedro_eeipu.cache.identity.canonical import Unidentifiable
from kedro_eeipu.cache.identity.code import code_identity


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.name)
def test_cases_01_to_07_edit(edit: Edit, project: Loader) -> None:
    with project(edit.before) as nodes:
        before, value = code_identity(nodes.node), nodes.node(3.0)
        assert code_identity(nodes.node) == before
    with project(edit.after) as nodes:
        after, edited_value = code_identity(nodes.node), nodes.node(3.0)
    assert (after.digest == before.digest) == edit.is_hit
    assert (edited_value == value) == edit.is_hit
    assert (after.parts == before.parts) == edit.is_hit


def _changes(project: Loader, before: str, old: str, new: str) -> bool:
    """Whether an edit of the module ``nodes`` changes the identity of its ``node``."""
    after = before.replace(old, new)
    assert after != before
    with project({"nodes.py": before}) as nodes:
        first = code_identity(nodes.node)
    with project({"nodes.py": after}) as nodes:
        second = code_identity(nodes.node)
    return first.digest != second.digest


def test_case_01_helper_edited_two_levels_deep_is_named(project: Loader) -> None:
    files = {
        "deep.py": "def f(x):\n    return x * 2\n",
        "middle.py": "import deep\ndef g(x):\n    return deep.f(x)\n",
        "nodes.py": "import middle\ndef node(x):\n    return middle.g(x)\n",
    }
    with project(files) as nodes:
        before = code_identity(nodes.node).parts
    with project({**files, "deep.py": "def f(x):\n    return x * 3\n"}) as nodes:
        after = code_identity(nodes.node).parts
    changed = {name for name in before | after if before.get(name) != after.get(name)}
    assert changed == {"deep:f"}
    assert {"nodes:node", "middle:g", "deep:f", "python"} <= set(before)


def test_case_02_changed_global_is_named(project: Loader) -> None:
    with project({"nodes.py": "K = {'a': 1}\ndef node(x):\n    return K\n"}) as nodes:
        before = code_identity(nodes.node).parts
        nodes.K["a"] = 2
        after = code_identity(nodes.node).parts
    assert {name for name in before if before[name] != after[name]} == {"nodes:K"}


def test_case_06_hints_count_where_a_library_reads_them(project: Loader) -> None:
    pytest.importorskip("pydantic")
    text = "import pydantic\n@pydantic.validate_call\ndef node(x: float):\n    return x\n"
    assert _changes(project, text, "float", "int")


def test_case_07_hints_do_not_count_elsewhere(project: Loader) -> None:
    text = "def helper(x: float):\n    return x\ndef node(x):\n    return helper(x)\n"
    assert not _changes(project, text, "float", "int")


def test_case_07_tracing_does_not_count(project: Loader) -> None:
    with project({"nodes.py": "def node(x):\n    return [y for y in range(x)]\n"}) as nodes:
        before = code_identity(nodes.node)
        for _ in range(200):
            nodes.node(10)
        earlier = sys.gettrace()
        sys.settrace(lambda *_: None)
        try:
            nodes.node(10)
            assert code_identity(nodes.node) == before
        finally:
            sys.settrace(earlier)


def test_case_08_names_in_strings_are_followed_where_they_are_evaluated(project: Loader) -> None:
    text = "def f(x):\n    return x * 2\ndef node(x):\n    return eval('f(x)')\n"
    assert _changes(project, text, "x * 2", "x * 3")


def test_case_08_name_of_a_local_counts_if_a_string_mentions_it(project: Loader) -> None:
    text = "def node(df):\n    a = 1\n    b = 2\n    return df.query('k > @a') + a + b\n"
    assert _changes(project, text, "a = 1\n    b = 2", "b = 1\n    a = 2")


def test_case_08_name_computed_from_globals_means_the_whole_module(project: Loader) -> None:
    text = "def f(x):\n    return x * 2\ndef node(x):\n    return globals()['F'.lower()](x)\n"
    assert _changes(project, text, "x * 2", "x * 3")


def test_case_08_what_is_found_at_run_time_is_invisible(project: Loader) -> None:
    text = (
        "import importlib\ndef f(x):\n    return x * 2\n"
        "def node(x):\n    return vars(importlib.import_module('nodes'))['f'](x)\n"
    )
    assert not _changes(project, text, "x * 2", "x * 3")


def test_case_08_function_in_a_pickle_inside_of_bytes(project: Loader) -> None:
    """As polars keeps functions: as they are, or as a list of numbers of MessagePack."""
    packed = "b''.join(bytes([v]) if v < 128 else bytes([204, v]) for v in pickle.dumps(f, %d))"
    for protocol in (4, 5):
        for held in (f"pickle.dumps(f, {protocol})", packed % protocol):
            text = (
                "import pickle\ndef f(x):\n    return x * 2\n"
                f"HELD = {{'plan': {held}}}\ndef node(x):\n    return HELD\n"
            )
            assert _changes(project, text, "x * 2", "x * 3")


def test_case_09_loaded_code_counts_not_the_file(project: Loader) -> None:
    with project({"nodes.py": "def node(x):\n    return x + 1\n"}) as nodes:
        before = code_identity(nodes.node)
        Path(nodes.__file__).write_text("def node(x):\n    return x + 2\n")
        assert code_identity(nodes.node) == before
        nodes.node.__code__ = (lambda x: x + 2).__code__
        assert code_identity(nodes.node) != before


def test_case_10_state_of_bound_method_that_changes_in_place(project: Loader) -> None:
    text = "class M:\n    k = None\n    def run(self, x):\n        return x\nm = M()\n"
    with project({"nodes.py": text}) as nodes:
        before = code_identity(nodes.m.run)
        nodes.m.k = [1]
        between = code_identity(nodes.m.run)
        nodes.m.k.append(2)
        after = code_identity(nodes.m.run)
    assert len({before.digest, between.digest, after.digest}) == 3


_STABLE = {
    "helpers.py": (
        "import enum, dataclasses, re, functools, logging, math\n"
        "NAMES = {'a', 'b', 'c', 'd', 'e'}\n"
        "class Kind(enum.Enum):\n    A = 'a'\n    B = 'b'\n"
        "@dataclasses.dataclass(frozen=True)\nclass C:\n    k: int = 2\n    names: tuple = ()\n"
        "def even(n):\n    return n == 0 or odd(n - 1)\n"
        "def odd(n):\n    return n != 0 and even(n - 1)\n"
        "@functools.lru_cache\ndef cached(n):\n    return n in {'x', 'y', 'z'}\n"
        "log = logging.getLogger('x')\n"
        "ALL = frozenset([even, odd, C, Kind.A])\n"
    ),
    "nodes.py": (
        "import helpers\n"
        "def node(x):\n"
        "    helpers.log.info('x')\n"
        "    return helpers.even(x), helpers.NAMES, helpers.C(), helpers.Kind.A, helpers.ALL, "
        "helpers.cached(x), helpers.re.compile('a')\n"
    ),
}


def test_using_a_class_does_not_change_it(project: Loader) -> None:
    text = (
        "import abc, enum, dataclasses, typing\n"
        "class Kind(enum.Enum):\n    A = 1\n    B = 2\n"
        "class Base(abc.ABC):\n    @abc.abstractmethod\n    def f(self): ...\n"
        "@dataclasses.dataclass(order=True)\nclass M(Base):\n    k: int = 1\n"
        "    def f(self):\n        return super().__init__()\n"
        "@typing.runtime_checkable\nclass P(typing.Protocol):\n    k: int\n"
        "class S:\n    __slots__ = ('k',)\n    def __init__(self):\n        self.k = 1\n"
        "def node(x):\n    return Kind, M, P, S\n"
    )
    with project({"nodes.py": text}) as nodes:
        before = code_identity(nodes.node)
        model = nodes.M(3)
        model.f()
        copy.deepcopy([model, nodes.S()])
        pickle.loads(pickle.dumps([model, nodes.Kind.A, nodes.S()], 2))
        assert isinstance(model, nodes.P)
        assert not isinstance(1, nodes.Base)
        typing.get_type_hints(nodes.M)
        assert inspect.signature(nodes.M)
        assert nodes.M(1) < nodes.M(2)
        hash(nodes.Kind.A), list(nodes.Kind), repr(model)
        assert code_identity(nodes.node) == before


def test_case_11_mutual_recursion_terminates_whatever_comes_first(project: Loader) -> None:
    with project(_STABLE) as nodes:
        helpers = nodes.helpers
        first = [code_identity(f).digest for f in (helpers.even, helpers.odd, nodes.node)]
    with project(_STABLE) as nodes:
        helpers = nodes.helpers
        second = [code_identity(f).digest for f in (nodes.node, helpers.odd, helpers.even)]
    assert first == second[::-1]
    assert len(set(first)) == 3


def test_case_11_same_key_in_every_process(tmp_path: Path) -> None:
    for name, text in _STABLE.items():
        (tmp_path / name).write_text(text)
    script = (
        "import json, nodes, sys; from kedro_eeipu.cache.identity.code import code_identity;"
        "i = code_identity(nodes.node); json.dump([i.digest, i.parts], sys.stdout)"
    )
    found = []
    for seed in ("0", "1", "12345"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), *sys.path])
        run = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, check=True
        )
        found.append(json.loads(run.stdout))
    assert found[0] == found[1] == found[2]


def test_case_45_library_upgraded(monkeypatch: pytest.MonkeyPatch, project: Loader) -> None:
    text = "import fsspec\ndef node(x):\n    return fsspec.open(x)\n"
    with project({"nodes.py": text}) as nodes:
        before = code_identity(nodes.node)
        origin._origin.cache_clear()
        monkeypatch.setattr(origin, "_library_version", lambda top: f"{top} 999")
        after = code_identity(nodes.node)
        origin._origin.cache_clear()
    assert before.digest != after.digest
    assert {name for name in before.parts if before.parts[name] != after.parts[name]} == {
        "library fsspec"
    }


def test_case_45_python_upgraded(monkeypatch: pytest.MonkeyPatch, project: Loader) -> None:
    with project({"nodes.py": "def node(x):\n    return x\n"}) as nodes:
        before = code_identity(nodes.node)
        monkeypatch.setattr(code, "PYTHON", "9.99")
        assert code_identity(nodes.node).digest != before.digest


def test_case_45_library_that_is_imported_inside_the_function(project: Loader) -> None:
    text = "def node(x):\n    import fsspec\n    return fsspec.open(x)\n"
    with project({"nodes.py": text}) as nodes:
        assert "library fsspec" in code_identity(nodes.node).parts


_UNIDENTIFIABLE = {
    "open file": "H = open(__file__)\ndef node(x):\n    return H.read()\n",
    "generator": "H = (i for i in range(3))\ndef node(x):\n    return next(H)\n",
    "socket": "import socket\nH = socket.socket()\ndef node(x):\n    return H.recv(1)\n",
    "database": "import sqlite3\nH = sqlite3.connect(':memory:')\ndef node(x):\n    return H\n",
    "in a closure": (
        "def make(h):\n    def inner(x):\n        return h.read()\n    return inner\n"
        "node = make(open(__file__))\n"
    ),
    "in a dictionary": "H = {'a': [open(__file__)]}\ndef node(x):\n    return H\n",
    "in the state of an object": (
        "class M:\n    def __init__(self):\n        self.h = open(__file__)\n"
        "    def __call__(self, x):\n        return x\nnode = M()\n"
    ),
    "ufunc made of a function": (
        "import numpy as np\nH = np.frompyfunc(lambda x: x, 1, 1)\ndef node(x):\n    return H(x)\n"
    ),
    "huge": "H = list(range(1_000_000))\ndef node(x):\n    return H\n",
}


@pytest.mark.parametrize("text", _UNIDENTIFIABLE.values(), ids=_UNIDENTIFIABLE)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_what_cannot_be_identified_is_refused_with_a_reason(text: str, project: Loader) -> None:
    with project({"nodes.py": text}) as nodes, pytest.raises(Unidentifiable) as refusal:
        code_identity(nodes.node)
    assert len(refusal.value.reason) > 10


_STATELESS = {
    "logger": "import logging\nlog = logging.getLogger(__name__)\ndef node(x):\n    log.info(x)\n",
    "lock": "import threading\nlock = threading.Lock()\ndef node(x):\n    return lock\n",
    "environment": "from os import environ\ndef node(x):\n    return environ['HOME']\n",
    "data frame": "import pandas as pd\nD = pd.DataFrame({'a': [1]})\ndef node(x):\n    return D\n",
    "special ufunc": "from numpy import exp\ndef node(x):\n    return exp(x)\n",
    "ufunc": "import numpy as np\nF = np.add\ndef node(x):\n    return F(x, x)\n",
    "random generator": (
        "import numpy as np\nR = np.random.default_rng(0)\ndef node(x):\n    return R.normal()\n"
    ),
    "alias of a type": "import typing\nT = typing.Optional[int]\ndef node(x):\n    return T\n",
    "estimator": (
        "from sklearn.linear_model import Ridge\nM = Ridge(alpha=1)\ndef node(x):\n    return M\n"
    ),
    "abstract class": (
        "import abc\nclass A(abc.ABC):\n    @abc.abstractmethod\n    def f(self): ...\n"
        "def node(x):\n    return A\n"
    ),
    "protocol": (
        "from typing import Protocol, Generic, TypeVar\nT = TypeVar('T')\n"
        "class P(Protocol):\n    def f(self): ...\nclass G(Generic[T]):\n    x = 1\n"
        "def node(x):\n    return P, G\n"
    ),
    "named tuple": (
        "from typing import NamedTuple\nimport collections\n"
        "class P(NamedTuple):\n    a: int = 1\nQ = collections.namedtuple('Q', 'b c')\n"
        "def node(x):\n    return P(), Q(1, 2)\n"
    ),
    "recursive list": "L = [1]\nL.append(L)\ndef node(x):\n    return L\n",
    "missing global": "def node(x):\n    return nowhere\n",
    "missing module": (
        "def node(x):\n    try:\n        import nowhere\n"
        "    except ImportError:\n        return x\n"
    ),
    "local class with super": (
        "class A:\n    def f(self):\n        return 1\n"
        "class B(A):\n    def f(self):\n        return super().f()\n"
        "def node(x):\n    return B().f()\n"
    ),
}


@pytest.mark.parametrize("text", _STATELESS.values(), ids=_STATELESS)
def test_common_globals_are_identified_the_same_in_each_process(text: str, project: Loader) -> None:
    if "sklearn" in text:
        pytest.importorskip("sklearn")
    with project({"nodes.py": text}) as nodes:
        first = code_identity(nodes.node)
    with project({"nodes.py": text}) as nodes:
        assert code_identity(nodes.node) == first


_PYDANTIC = (
    "import pydantic\n"
    "class M(pydantic.BaseModel):\n    a: int = 1\n    b: float = pydantic.Field(2.0, ge=0)\n"
    "    @pydantic.field_validator('a', mode='before')\n    @classmethod\n"
    "    def check(cls, v):\n        return v\n"
    "    def total(self):\n        return self.a + self.b\n"
    "def node(x):\n    return M(a=x).total()\n"
)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a: int = 1", "a: int = 2"),
        ("a: int", "a: float"),
        ("ge=0", "ge=1"),
        ("mode='before'", "mode='after'"),
        ("return v", "return v + 1"),
        ("self.a + self.b", "self.a - self.b"),
    ],
)
def test_case_05_pydantic_model(old: str, new: str, project: Loader) -> None:
    pytest.importorskip("pydantic")
    assert _changes(project, _PYDANTIC, old, new)


def test_case_05_pydantic_model_is_stable(project: Loader) -> None:
    pytest.importorskip("pydantic")
    assert not _changes(project, _PYDANTIC, "import pydantic", "import pydantic\n# comment")


_ATTRS = (
    "import attrs\n@attrs.define\nclass M:\n    a: int = attrs.field(default=1, converter=int)\n"
    "    def total(self):\n        return self.a\n"
    "def node(x):\n    return M(x).total()\n"
)


@pytest.mark.parametrize(
    ("old", "new"), [("default=1", "default=2"), ("=int", "=float"), ("self.a", "-self.a")]
)
def test_case_05_attrs_class(old: str, new: str, project: Loader) -> None:
    pytest.importorskip("attrs")
    assert _changes(project, _ATTRS, old, new)
    assert not _changes(project, _ATTRS, "import attrs", "# comment\nimport attrs")


def test_warm_identity_is_fast(project: Loader) -> None:
    with project(_STABLE) as nodes:
        code_identity(nodes.node)
        times = []
        for _ in range(20):
            started = time.perf_counter()
            code_identity(nodes.node)
            times.append(time.perf_counter() - started)
    assert min(times) < 0.02
