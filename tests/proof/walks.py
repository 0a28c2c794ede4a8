"""Random projects that are edited and tuned by turns, each trial against a plain run.

Projects have hooks that change data, datasets of their own, nodes that change their inputs in
place, and nodes that leave something behind for others. A walk is its number: it draws everything
from it.
"""

from __future__ import annotations

import contextlib
import functools
import random
import sys
from dataclasses import dataclass, field
from typing import Any

from projects import project
from sittings import Place, Sitting
from verdicts import same, verdict

SHAPES = {
    "number": "v",
    "list": "[v, [v + 1, {i}]]",
    "dict": "{{'a': v, 'l': [v, {i}]}}",
    "tuple": "(v, [v])",
    "frame": "pd.DataFrame({{'n': [v, {i}], 'c': [[v], [1]]}})",
}

# Of walks with lazy values: what cannot be pickled, and what is saved part by part.
LAZY_SHAPES = {
    "lazy": "Lazy(lambda: [v(), [{i}]])",
    "parts": "{{str(k): lambda k=k: v() + k for k in range(3)}}",
    "stream": "",
}

# How one node may leave a number behind: what a module holds, how it is written and read.
STATES = {
    "global": ("W = {'w': 0}", "W['w'] = v", "W['w']"),
    "class": ("class C:\n    w = 0", "C.w = v", "C.w"),
    "cached object": (
        "class M:\n    w = 0\n@functools.lru_cache\ndef model():\n    return M()",
        "model().w = v",
        "model().w",
    ),
    "closure": (
        "def make():\n    w = 0\n    def put(v):\n        nonlocal w\n        w = v\n"
        "    def get():\n        return w\n    return put, get\nput, get = make()",
        "put(v)",
        "get()",
    ),
    "default argument": (
        "def box(v=None, w=[0]):\n    if v is not None:\n        w[0] = v\n    return w[0]",
        "box(v)",
        "box()",
    ),
    "library setting": (
        "import decimal",
        "decimal.getcontext().prec = 3 + v % 5",
        "len(str(decimal.Decimal(1) / 3))",
    ),
    "random generator": (
        "import random\nrandom.seed(3)",
        "random.seed(v)",
        "int(random.random() * 50)",
    ),
    "drawn by both": (
        "import random\nrandom.seed(7)",
        "[random.random() for _ in range(v % 5)]",
        "int(random.random() * 50)",
    ),
}

TOOLS = """
import pandas as pd


class Lazy:
    def __init__(self, make):
        self.make = make


def flat(x):
    if isinstance(x, Lazy):
        x = x.make()
    if callable(x):
        x = x()
    if isinstance(x, pd.DataFrame):
        x = x.to_numpy().tolist()
    if isinstance(x, dict):
        return sum((i + 1) * flat(y) for i, y in enumerate(x.values()))
    if isinstance(x, (list, tuple)):
        return sum((i + 1) * flat(y) for i, y in enumerate(x)) + isinstance(x, tuple)
    return int(x)


def touch(x, n):
    if isinstance(x, pd.DataFrame):
        x["c"].iloc[0].append(n)
        x["n"] += n
    elif isinstance(x, list):
        x.append(n)
        if len(x) > 1 and isinstance(x[1], list):
            x[1].append(n)
    elif isinstance(x, dict) and "l" in x:
        x["l"].append(n)
    elif isinstance(x, tuple):
        x[1].append(n)
"""

DATASETS = """
import pickle

from kedro.io import AbstractDataset
from kedro_datasets.json import JSONDataset

from mini.tools import Lazy, flat, touch


class Own(AbstractDataset):
    def __init__(self, filepath, metadata=None):
        self._filepath, self.metadata = filepath, metadata or {{}}

    def _load(self):
        with open(self._filepath, "rb") as f:
            x = pickle.load(f)
        touch(x, {load} + self.metadata.get("n", 0))
        return x

    def _save(self, x):
        with open(self._filepath, "wb") as f:
            pickle.dump(x, f)

    def _describe(self):
        return {{}}


class LazyOwn(Own):
    def _load(self):
        path = self._filepath
        def make():
            with open(path, "rb") as f:
                return pickle.load(f) + {load} + self.metadata.get("n", 0)
        return Lazy(make)

    def _save(self, x):
        super()._save(flat(x))


class LazyJSON(JSONDataset):
    def load(self):
        load = super().load
        return Lazy(lambda: load())
"""

ENTRIES = {
    "pickle": "{{type: pickle.PickleDataset, filepath: data/{name}.pkl}}",
    "json": "{{type: json.JSONDataset, filepath: data/{name}.json}}",
    "own": "{{type: mini.datasets.Own, filepath: data/{name}.bin, metadata: {{n: {meta}}}}}",
    "lazyown": "{{type: mini.datasets.LazyOwn, filepath: data/{name}, metadata: {{n: {meta}}}}}",
    "parts": "{{type: partitions.PartitionedDataset, dataset: json.JSONDataset, path: "
    "data/{name}}}",
    "copy": "{{type: MemoryDataset, copy_mode: copy}}",
    "assign": "{{type: MemoryDataset, copy_mode: assign}}",
}

# Arguments of each hook, and what it does.
HOOKS = {
    "after_dataset_loaded": (
        "dataset_name, data",
        "if dataset_name == '{name}': touch(data, {n})",
    ),
    "before_dataset_saved": (
        "dataset_name, data",
        "if dataset_name == '{name}': touch(data, {n})",
    ),
    "after_node_run": ("outputs", "if '{name}' in outputs: touch(outputs['{name}'], {n})"),
    "before_node_run": ("node", "nodes.HOOKED[0] = {n}"),
    "before_pipeline_run": ("run_params", "nodes.HOOKED[0] = {n}"),
}


@dataclass
class Function:
    """A function of a project, and the node that calls it."""

    index: int
    inputs: list[str]
    shape: str
    numbers: list[int]
    modulus: int
    entry: str = ""
    mutates: bool = False
    writes: bool = False
    reads: bool = False
    hooked: bool = False
    cosmetic: int = 0

    @property
    def output(self) -> str:
        return f"d{self.index}"

    def source(self, state: str) -> str:
        """Its text; the numbers are what an edit changes."""
        i, (literal, constant, helped, default) = self.index, self.numbers
        names = [f"a{k}" for k in range(len(self.inputs))]
        _, write, read = STATES.get(state, ("", "pass", "0"))
        if self.shape in LAZY_SHAPES:
            return self._lazy_source(names, read if self.reads and state else "0")
        lines = [
            f"# {'cosmetic ' * self.cosmetic}",
            f"CONSTANT_{i} = {constant}",
            f"def helper_{i}(x, more={default}):",
            f"    return flat(x) + {helped} + more",
            f"def function_{i}({', '.join(names)}):",
            f"    v = helper_{i}([{', '.join(names)}]) * {literal + 1} + CONSTANT_{i}",
            f"    v += {read} * 7" if self.reads and state else "    pass",
            "    v += HOOKED[0] * 11" if self.hooked else "    pass",
            f"    v %= {self.modulus}",
            f"    {write}" if self.writes and state else "    pass",
            f"    touch(a0, {literal + 100})" if self.mutates else "    pass",
            f"    return {SHAPES[self.shape].format(i=i)}",
        ]
        return "\n".join(lines)

    def _lazy_source(self, names: list[str], read: str) -> str:
        """The text of a function that does all its work when what it returns is evaluated."""
        i, (literal, constant, helped, default) = self.index, self.numbers
        given = ", ".join(names)
        lines = [
            f"# {'cosmetic ' * self.cosmetic}",
            f"CONSTANT_{i} = {constant}",
            f"def helper_{i}(x, more={default}):",
            f"    return flat(x) + {helped} + more",
            f"def value_{i}({given}):",
            f"    v = helper_{i}([{given}]) * {literal + 1} + CONSTANT_{i} + {read} * 7",
            f"    return (v + {'HOOKED[0] * 11' if self.hooked else '0'}) % {self.modulus}",
            f"def function_{i}({given}):",
            f"    v = lambda: value_{i}({given})",
        ]
        if self.shape == "stream":
            lines += ["    for k in range(2):", "        yield {str(k): v() + k}"]
        else:
            lines.append(f"    return {LAZY_SHAPES[self.shape].format(i=i)}")
        return "\n".join(lines)


@dataclass
class World:
    """All that a project depends on."""

    functions: list[Function]
    state: str
    hooks: dict[str, list[Any]]  # name of the dataset and number of each hook
    raw: list[int] = field(default_factory=lambda: [1, 2])
    load: int = 1
    meta: int = 1
    raw_kind: str = "json.JSONDataset"

    def files(self) -> dict[str, str | bytes]:
        read = {name for f in self.functions for name in f.inputs}
        leaves = [f.output for f in self.functions if f.output not in read]
        steps = [
            f"        node(function_{f.index}, {f.inputs}, {f.output!r}, name='n{f.index}'),"
            for f in self.functions
        ]
        steps.append(f"        node(score, {leaves}, 'metrics', name='score'),")
        nodes = [
            "import functools\nimport pandas as pd\nfrom kedro.pipeline import Pipeline, node",
            "from mini.tools import Lazy, flat, touch\nHOOKED = [0]",
            STATES[self.state][0] if self.state else "",
            *(f.source(self.state) for f in self.functions),
            "def score(*values):\n    return {'loss': flat(list(values))}",
            "def make_pipeline():\n    return Pipeline([",
            *steps,
            "    ])",
        ]
        catalog = [
            f"{f.output}: " + ENTRIES[f.entry].format(name=f.output, meta=self.meta)
            for f in self.functions
            if f.entry
        ]
        hooks = "from mini import nodes\nfrom mini.tools import touch\nclass Hooks:\n" + "".join(
            f"    @hook_impl\n    def {name}(self, {HOOKS[name][0]}):\n"
            f"        {HOOKS[name][1].format(name=on, n=n)}\n"
            for name, (on, n) in self.hooks.items()
        )
        return project(
            "\n".join(nodes) + "\n",
            catalog="\n".join(
                [f"raw: {{type: {self.raw_kind}, filepath: data/raw.json}}", *catalog]
            ),
            params="p: 1\nq: 1\n",
            space="p: {low: 1, high: 9}\nq: {low: 1, high: 9}",
            hooks=hooks if self.hooks else "",
            tools=TOOLS,
            datasets=DATASETS.format(load=self.load),
            files={"data/raw.json": str(self.raw)},
        )


def drawn(rng: random.Random, lazy: bool = False) -> World:
    """A project, with lazy values or without."""
    functions: list[Function] = []
    outputs: list[str] = []
    for i in range(rng.randint(2, 7)):
        known = [*outputs[-4:] * 2, "raw", "params:p", "params:q"]
        shape = rng.choice([*SHAPES, *list(LAZY_SHAPES) * 2] if lazy else list(SHAPES))
        entries = ["", "", "", "pickle", "own", "assign"]
        entries += ["copy"] if shape in ("list", "dict", "frame") else []
        entries += ["json"] if shape in ("list", "number") else []
        entries += ["lazyown"] * 2 if lazy else []
        entries = lazy_entries(shape) if shape in LAZY_SHAPES else entries
        functions.append(
            Function(
                index=i,
                inputs=[rng.choice(known) for _ in range(rng.randint(1, 3))],
                shape=shape,
                numbers=[rng.randint(0, 3) for _ in range(4)],
                modulus=rng.choice([2, 7, 1009, 1009]),
                entry=rng.choice(entries),
                mutates=rng.random() < (0.1 if lazy else 0.3),
            )
        )
        outputs.append(f"d{i}")
    # A block names two parameters, and each must reach a node.
    functions[0].inputs[0] = "params:p"
    functions[-1].inputs.append("params:q")
    state = rng.choice(["", "", *STATES, *([""] * 14 if lazy else [])])
    if state:
        writer, reader = rng.sample(functions, 2)
        writer.writes = reader.reads = True
        if state == "drawn by both":
            writer.reads = rng.random() < 0.5
    hooks: dict[str, list[Any]] = {}
    for name in HOOKS:
        if rng.random() < (0.05 if lazy else 0.2):
            hooks[name] = [rng.choice(["raw", *outputs]), rng.randint(1, 3)]
            if "pipeline" in name or name == "before_node_run":
                rng.choice(functions).hooked = True
    world = World(functions, state, hooks, [rng.randint(0, 3) for _ in range(2)])
    if lazy:
        world.raw_kind = rng.choice(["json.JSONDataset", "mini.datasets.LazyJSON"])
    return world


def lazy_entries(shape: str) -> list[str]:
    """How a catalog may declare what cannot be pickled."""
    return ["", "", "lazyown", "lazyown"] if shape == "lazy" else ["", "parts", "parts"]


def edit(rng: random.Random, world: World) -> str:
    """Edit a project somewhere; says what was edited."""
    kinds = ["code", "code", "cosmetic", "raw", "nothing"]
    kinds += ["hook"] * 2 if world.hooks else []
    own = any(f.entry in ("own", "lazyown") for f in world.functions)
    kinds += ["dataset", "metadata"] if own else []
    lazy = [f for f in world.functions if f.shape in LAZY_SHAPES]
    kinds += ["declared"] if lazy else []
    kind = rng.choice(kinds)
    if kind == "code":
        rng.choice(world.functions).numbers[rng.randint(0, 3)] = rng.randint(0, 3)
    elif kind == "cosmetic":
        rng.choice(world.functions).cosmetic += 1
    elif kind == "raw":
        world.raw[rng.randint(0, 1)] = rng.randint(0, 3)
    elif kind == "declared":
        function = rng.choice(lazy)
        function.entry = rng.choice(lazy_entries(function.shape))
    elif kind == "hook":
        world.hooks[rng.choice(list(world.hooks))][1] = rng.randint(1, 4)
    elif kind == "dataset":
        world.load = rng.randint(0, 3)
    elif kind == "metadata":
        world.meta = rng.randint(0, 3)
    return kind


@functools.cache
def warm_up() -> None:
    """Ask once where the imported libraries come from, which no walk changes."""
    with contextlib.suppress(ImportError):
        from kedro_eeipu.cache.identity.origin import origin_of

        for module in list(sys.modules):
            origin_of(module)


def judge_lazy_walk(number: int, fresh: bool = False) -> dict[str, Any]:
    """A walk through a project with lazy values; see `judge_walk`."""
    return judge_walk(number, fresh, lazy=True)


def judge_walk(number: int, fresh: bool = False, lazy: bool = False) -> dict[str, Any]:
    """Three sittings of three trials with edits between them, each trial against a plain run."""
    warm_up()
    rng = random.Random(number)
    world = drawn(rng, lazy)
    kind = "lazy walk" if lazy else "walk"
    got: list[Any] = []
    right: list[Any] = []
    told: list[str] = []
    edits: list[str] = []
    statuses: list[str] = []
    silent = varied = False
    with Place(world.files(), fresh) as place:
        for step in range(3):
            trials = [{"p": rng.randint(1, 3), "q": rng.randint(1, 3)} for _ in range(3)]
            tuned = place.tune(f"s{step}", trials)
            with Place(world.files(), fresh) as plain:
                expected = plain.runs(trials).values
            values = tuned.values or [tuned.value] * len(trials)
            wrong = [not same(*pair) for pair in zip(values, expected, strict=True)]
            if any(wrong):
                # Of what draws without a seed, no value is right.
                with Place(world.files(), fresh) as plain:
                    again = plain.runs(trials).values
                chance = [not same(*pair) for pair in zip(expected, again, strict=True)]
                wrong = [w and not by_chance for w, by_chance in zip(wrong, chance, strict=True)]
                expected = [
                    v if by_chance else e
                    for v, e, by_chance in zip(values, expected, chance, strict=True)
                ]
                varied = varied or any(chance)
            if any(wrong):
                words = [*tuned.warnings, *place.plan().why_not.values()]
                told += words
                silent = silent or not tuned.warnings
            got += values
            right += expected
            statuses += status(tuned)
            edits.append(edit(rng, world))
            place.write(world.files())
    worst: tuple[Any, Any] = next(
        (pair for pair in zip(got, right, strict=True) if not same(*pair)), (0.0, 0.0)
    )
    fault = next((str(v) for v in right if not isinstance(v, (int, float))), "")
    words = [] if silent else told
    return {
        "id": f"{kind} / {number}",
        "kind": f"{kind}: {world.state or 'no state'}{', hooks' if world.hooks else ''}",
        "mode": "walk",
        "verdict": "fault" if fault else verdict(*worst, words),
        "fault": fault,
        "got": got,
        "right": right,
        "told": told,
        "edits": edits[:-1],
        "plain_runs_differ": varied,
        "reused": statuses.count("reused"),
        "never_reused": "reused" not in statuses,
    }


def status(sitting: Sitting) -> list[str]:
    """Status of each node of each trial."""
    return [s for trial in sitting.nodes for s in trial.values()]
