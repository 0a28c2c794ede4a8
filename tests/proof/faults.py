"""Faults planted in the identity itself: keys that leave a part out, nodes that pass something on."""

# ruff: noqa: E501 - each is read as the small program that it is
from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from projects import project

NODES = """
from kedro.pipeline import Pipeline, node
from mini.base import total
from mini.helper import helped
N = 2
def a(p, raw):
    return [p * N + helped(x) for x in raw]
def b(x, q, k=1):
    return tuple(y * q + k for y in x)
def c(x, y):
    return sum(x) * 10 + sum(y) * 3 + isinstance(y, tuple)
def make_pipeline():
    return Pipeline([
        node(a, ["params:p", "raw"], "x", name="a"),
        node(b, ["x", "params:q"], "y", name="b"),
        node(c, ["x", "y"], "z", name="c"),
        node(total, "z", "metrics", name="d"),
    ])
"""
HELPER = "def helped(x):\n    return x + 1\n"
CATALOG = "raw: {type: json.JSONDataset, filepath: data/raw.json}\n"
HOOKS = """
class Hooks:
    @hook_impl
    def before_dataset_saved(self, dataset_name, data):
        if dataset_name == "x":
            data.append(5)
"""


@dataclass(frozen=True)
class Fault:
    """A fault, and what shows it.

    Attributes:
        name: What is wrong.
        plant: Plants it in this process, before the project is imported.
        nodes: Text of the nodes.
        catalog: Text of the catalog.
        more: Other arguments of the project.
        old, new: What is edited between two sittings, in any file of the project.
        guilty: The nodes one of which is to be named.
    """

    name: str
    plant: Callable[[], None] = lambda: None
    nodes: str = NODES
    catalog: str = CATALOG
    more: Mapping[str, Any] = field(default_factory=dict)
    old: str = ""
    new: str = ""
    guilty: tuple[str, ...] = ()

    def files(self, edited: bool = False) -> dict[str, str | bytes]:
        options: dict[str, Any] = {"helper": HELPER, **self.more}
        files = project(
            self.nodes,
            catalog=self.catalog,
            params="p: 1\nq: 1\n",
            space="p: {low: 1, high: 9}\nq: {low: 1, high: 9}",
            **{**options, "files": {"data/raw.json": "[1, 2]", **options.get("files", {})}},
        )
        if not edited or not self.old:
            return files
        changed = {
            name: text.replace(self.old, self.new) if isinstance(text, str) else text
            for name, text in files.items()
            if not name.endswith("base.py")
        }
        if changed == {name: files[name] for name in changed}:
            raise ValueError(f"nothing holds {self.old!r}")
        return {**files, **changed}


# --- parts that a key leaves out ------------------------------------------------------------------


def _code_known_by(token: Callable[[Any], Any]) -> Callable[[], None]:
    """Let the code of a node be known by something else."""

    def plant() -> None:
        from kedro_eeipu.cache.identity.code import code_identity
        from kedro_eeipu.hooks import key

        identity_of = code_identity

        def identity(func: Any, **options: Any) -> Any:
            digest = hashlib.sha256(repr(token(func)).encode()).hexdigest()
            return dataclasses.replace(identity_of(func, **options), digest=digest)

        key.code_identity = identity  # type: ignore[attr-defined]

    return plant


def _replaced(
    module: str, name: str, by: Callable[[Callable[..., Any]], Any]
) -> Callable[[], None]:
    """Put something else in the place of a function of the package, wherever it is used."""

    def plant() -> None:
        import importlib
        import sys

        own = importlib.import_module(f"kedro_eeipu.{module}")
        actual = getattr(own, name)
        other = by(actual)
        for loaded in [m for n, m in sys.modules.items() if n.startswith("kedro_eeipu")]:
            if getattr(loaded, name, None) is actual:
                setattr(loaded, name, other)

    return plant


def _without(part: str) -> Callable[[], None]:
    """Leave a field of the identity of a node out."""

    def by(actual: Any) -> Any:
        return lambda *a, **k: dataclasses.replace(actual(*a, **k), **{part: ""})

    return _replaced("hooks.key", "identify", by)


def _tokens(change: Callable[[Mapping[str, str], Any], Mapping[str, str]]) -> Callable[[], None]:
    """Change the tokens of parameters and files."""

    def by(actual: Any) -> Any:
        def identify(node: Any, *a: Any, **k: Any) -> Any:
            identity = actual(node, *a, **k)
            return dataclasses.replace(identity, tokens=change(identity.tokens, node))

        return identify

    return _replaced("hooks.key", "identify", by)


def _blank(*names: str) -> Callable[[], None]:
    return _tokens(lambda tokens, _: {n: "" if n in names else t for n, t in tokens.items()})


def _sorted_inputs() -> None:
    _replaced(
        "hooks.key",
        "in_input_structure",
        lambda _: lambda names, tokens: sorted(tokens.values()),
    )()


def _produced(change: Callable[[Any, Any], Any]) -> Callable[[], None]:
    return _replaced("hooks.key", "_produced_token", lambda actual: lambda d: change(actual, d))


def _no_sharing() -> None:
    """Let nobody look for what nodes leave in variables."""
    from kedro_eeipu.hooks import action, key

    for name in (
        "bypass_what_shares_state",
        "bypass_what_was_changed",
        "bypass_what_shares_inputs",
    ):
        setattr(action, name, lambda *_: None)
    key.refuse_touched = lambda code: None  # type: ignore[attr-defined]
    _code_known_by(_own)()


def _no_settings() -> None:
    from kedro_eeipu.hooks import process_state

    process_state._changed = lambda before, after: {}
    process_state.put_back = lambda state: None


def _passing(first: str, second: str, start: str = "") -> str:
    """Nodes of which the first leaves something behind for the second."""
    text = NODES.replace("def a(p, raw):\n", f"{start}def a(p, raw):\n    {first}\n")
    return text.replace("for y in x)", f"for y in x) + ({second},)")


def _own(func: Any) -> Any:
    return _of_code(func.__code__), func.__defaults__


def _of_code(code: Any) -> Any:
    inner = [_of_code(c) if hasattr(c, "co_code") else c for c in code.co_consts]
    return code.co_code, inner, code.co_names


FAULTS = [
    Fault("code of a node", _code_known_by(lambda f: f.__qualname__), old="p * N +", new="p * N -", guilty=("a",)),
    Fault("functions that a node calls", _code_known_by(_own), old="x + 1", new="x + 2", guilty=("a",)),
    Fault("global values", _code_known_by(_own), old="N = 2", new="N = 3", guilty=("a",)),
    Fault("default arguments", _code_known_by(lambda f: f.__code__.co_code), old="k=1", new="k=4", guilty=("b",)),
    Fault("constants", _code_known_by(lambda f: f.__code__.co_code), old="* 10 +", new="* 11 +", guilty=("c",)),
    Fault("content of a file", _replaced("cache.identity.contents", "content_token", lambda _: lambda fs, path: ""), old="[1, 2]", new="[1, 3]", guilty=("a",)),
    Fault(
        "how a file is read",
        _replaced("hooks.inputs", "dataset_identity", lambda _: lambda d: ""),
        nodes=NODES.replace("for x in raw]", "for x in map(len, raw)]"),
        catalog="raw: {type: text.TextDataset, filepath: data/raw.json, fs_args: {open_args_load: {encoding: utf-8}}}\n",
        more={"files": {"data/raw.json": "\u00e4b"}},
        old="{encoding: utf-8}", new="{encoding: latin-1}", guilty=("a",),
    ),
    Fault(
        "how an intermediate is kept",
        _produced(lambda actual, d: d.output and d.output.blob.digest),
        catalog=CATALOG + "y: {type: pickle.PickleDataset, filepath: data/y.bin}\n",
        old="y: {type: pickle.PickleDataset", new="y: {type: json.JSONDataset", guilty=("c",),
    ),
    Fault("hooks", _without("hooks"), more={"hooks": HOOKS}, old="append(5)", new="append(6)", guilty=("a", "b", "c")),
    Fault(
        "files that eeipu.yml names",
        _without("extra"),
        nodes=NODES.replace("* N +", "* int(open('data/n').read()) +"),
        more={"files": {"data/n": "22"}, "eeipu": "cache: {nodes: {a: {depends_on: data/n}}}\n"},
        old="22", new="23", guilty=("a",),
    ),
    Fault(
        "code that is found at run time",
        nodes=NODES.replace("return [p", "import importlib\n    more = importlib.import_module('.'.join(['mini', 'la' + 'ter'])).more\n    return [more() + p"),
        more={"later": "def more():\n    return 3\n"},
        old="return 3", new="return 4", guilty=("a",),
    ),
    Fault("order of inputs", _sorted_inputs, old='["x", "y"]', new='["y", "x"]', guilty=("c",)),
    Fault("parameters", _blank("params:q"), guilty=("b",)),
    Fault(
        "digits of parameters",
        _replaced("hooks.key", "fingerprint", lambda actual: lambda v: actual(v // 2 if isinstance(v, int) else v)),
        guilty=("a", "b"),
    ),
    Fault("content of intermediates", _produced(lambda actual, d: d.output and "known"), guilty=("b", "c", "d")),
    Fault(
        "all inputs but the first",
        _replaced("hooks.key", "in_input_structure", lambda actual: lambda names, tokens: actual(names, tokens)[:1]),
        guilty=("a", "b", "c"),
    ),
    Fault("a variable is passed on", _no_sharing, nodes=_passing("W['p'] = p", "W['p']", "W = {'p': 0}\n"), guilty=("b",)),
    Fault(
        "something in a library is passed on",
        nodes=_passing("vars(__import__('colorsys'))['left'] = p", "vars(__import__('colorsys')).get('left', 0)"),
        guilty=("b",),
    ),
    Fault(
        "settings of the process are passed on", _no_settings,
        nodes=_passing("import sys; sys.setrecursionlimit(2000 + p)", "__import__('sys').getrecursionlimit()"),
        guilty=("b",),
    ),
    Fault(
        "a random generator is passed on", _no_settings,
        nodes=_passing("import random; random.seed(p)", "__import__('random').randrange(99)"),
        guilty=("b",),
    ),
]  # fmt: skip
assert len({fault.name for fault in FAULTS}) == len(FAULTS) == 20
