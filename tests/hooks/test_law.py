"""The law of reuse on random pipelines: what an uncached run gives, and no needless execution."""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
import types
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline, node
from kedro.runner import SequentialRunner
from kedro_datasets.json import JSONDataset

from kedro_eeipu.cache.store.store import Blob, Store
from kedro_eeipu.config.settings import CacheSettings
from kedro_eeipu.hooks.key import NO_CACHE_TAG
from kedro_eeipu.hooks.plan import Planner
from kedro_eeipu.hooks.run import PlannedRun
from kedro_eeipu.hooks.run_directory import RunDirectory

WALKS = int(os.environ.get("EEIPU_WALKS", "42"))
MODULE = "law_project"
PARAMETERS = ("a", "b", "c")
RAW = ("raw_memory", "raw_file")


@dataclass(frozen=True)
class Function:
    """A function of the project; its numbers are what an edit of the code changes."""

    index: int
    inputs: int
    outputs: int
    shape: str
    numbers: tuple[int, int, int, int]
    modulus: int
    mutates: bool
    cosmetic: int = 0

    @property
    def source(self) -> str:
        literal, constant, default, helped = self.numbers
        i = self.index
        arguments = ", ".join(f"a{k}" for k in range(self.inputs))
        values = {
            "single": "made[0]",
            "list": "made",
            "dict": "{" + ", ".join(f"'k{k}': made[{k}]" for k in range(self.outputs)) + "}",
        }[self.shape]
        return f"""
# {"cosmetic " * self.cosmetic}
CONSTANT_{i} = {constant}

def helper_{i}(x):
    return flat(x) + {helped}

def function_{i}({arguments}, default={default}):
    logging.getLogger("law").info("function_{i}")
    local_{self.cosmetic} = helper_{i}([{arguments}]) + {literal} + CONSTANT_{i} + default
    h = local_{self.cosmetic} % {self.modulus}
    {"mutate(a0)" if self.mutates else "pass"}
    made = [[h, (h + k, {i})] for k in range({self.outputs})]
    return {values}
"""


@dataclass(frozen=True)
class Step:
    """A node of the pipeline."""

    function: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    never: bool
    named: bool


@dataclass(frozen=True)
class World:
    """All that a run depends on."""

    functions: tuple[Function, ...]
    steps: tuple[Step, ...]
    parameters: dict[str, int]
    raw: dict[str, list[int]]
    declared: frozenset[str]

    def pipeline(self) -> Pipeline:
        module = types.ModuleType(MODULE)
        source = "\n".join(f.source for f in self.functions)
        exec(HELPERS + source, module.__dict__)
        sys.modules[MODULE] = module
        return Pipeline([self._node(k, step, module) for k, step in enumerate(self.steps)])

    def _node(self, number: int, step: Step, module: types.ModuleType) -> Any:
        function = self.functions[step.function]
        inputs: Any = list(step.inputs)
        if step.named:
            inputs = {f"a{k}": name for k, name in enumerate(step.inputs)}
        outputs: Any = {
            "single": step.outputs[0],
            "list": list(step.outputs),
            "dict": {f"k{k}": name for k, name in enumerate(step.outputs)},
        }[function.shape]
        return node(
            getattr(module, f"function_{step.function}"),
            inputs,
            outputs,
            name=f"node_{number}",
            tags=[NO_CACHE_TAG] if step.never else None,
        )

    def catalog(self, folder: Path) -> DataCatalog:
        folder.mkdir(exist_ok=True)
        raw_file = folder / "raw.json"
        raw_file.write_text(json.dumps(self.raw["raw_file"]))
        return DataCatalog(
            {
                "raw_memory": MemoryDataset(list(self.raw["raw_memory"])),
                "raw_file": JSONDataset(filepath=str(raw_file)),
                "parameters": MemoryDataset(dict(self.parameters)),
                **{f"params:{k}": MemoryDataset(v) for k, v in self.parameters.items()},
                **{
                    name: JSONDataset(filepath=str(folder / f"{name}.json"))
                    for name in self.declared
                },
            }
        )


HELPERS = """
import logging

def flat(x):
    if isinstance(x, dict):
        return sum(flat(x[k]) for k in sorted(x))
    if isinstance(x, (list, tuple)):
        return sum(flat(y) for y in x) + 3 * isinstance(x, tuple)
    return x

def mutate(x):
    if isinstance(x, list):
        x.append(1000)
    elif isinstance(x, dict):
        x.clear()
"""


@st.composite
def worlds(draw: Any) -> World:
    size = draw(st.integers(2, 20))
    functions: list[Function] = []
    steps: list[Step] = []
    produced: list[str] = []
    number = st.integers(0, 3)
    for k in range(size):
        reused = functions and draw(st.integers(0, 5)) == 0
        if reused:
            function = draw(st.sampled_from(functions))
        else:
            outputs = draw(st.integers(1, 3))
            function = Function(
                index=len(functions),
                inputs=draw(st.integers(1, 3)),
                outputs=outputs,
                shape=draw(st.sampled_from(["list", "dict"] + ["single"] * (outputs == 1))),
                numbers=draw(st.tuples(number, number, number, number)),
                modulus=draw(st.sampled_from([2, 7, 1009])),
                mutates=draw(st.booleans()),
            )
            functions.append(function)
        known = [*produced[-6:]] * 2 + [*RAW, "parameters", *(f"params:{p}" for p in PARAMETERS)]
        steps.append(
            Step(
                function=function.index,
                inputs=tuple(draw(st.sampled_from(known)) for _ in range(function.inputs)),
                outputs=tuple(f"data_{k}_{j}" for j in range(function.outputs)),
                never=draw(st.integers(0, 11)) == 0,
                named=draw(st.booleans()),
            )
        )
        produced += steps[-1].outputs
    declared = frozenset(name for name in produced if draw(st.integers(0, 5)) == 0)
    return World(
        tuple(functions),
        tuple(steps),
        {p: draw(number) for p in PARAMETERS},
        {r: [draw(number)] for r in RAW},
        declared,
    )


@st.composite
def edited(draw: Any, world: World) -> World:
    for _ in range(draw(st.integers(0, 2))):
        kind = draw(st.sampled_from(["code", "cosmetic", "parameter", "input"]))
        if kind in ("code", "cosmetic"):
            k = draw(st.integers(0, len(world.functions) - 1))
            function = world.functions[k]
            if kind == "code":
                numbers = list(function.numbers)
                numbers[draw(st.integers(0, 3))] = draw(st.integers(0, 3))
                function = replace(function, numbers=tuple(numbers))
            else:
                function = replace(function, cosmetic=function.cosmetic + 1)
            world = replace(
                world, functions=(*world.functions[:k], function, *world.functions[k + 1 :])
            )
        elif kind == "parameter":
            name = draw(st.sampled_from(PARAMETERS))
            world = replace(world, parameters={**world.parameters, name: draw(st.integers(0, 3))})
        else:
            name = draw(st.sampled_from(RAW))
            world = replace(world, raw={**world.raw, name: [draw(st.integers(0, 3))]})
    return world


@contextmanager
def executions() -> Iterator[Counter[str]]:
    """Counts the calls of the project's functions."""
    counted: Counter[str] = Counter()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            counted[record.getMessage()] += 1

    logger, handler = logging.getLogger("law"), Handler()
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(handler)
    try:
        yield counted
    finally:
        logger.removeHandler(handler)


def uncached(world: World, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Every dataset as a consumer sees it after a plain run, and the declared files."""
    pipeline, catalog = world.pipeline(), world.catalog(folder)
    for name in pipeline.all_outputs() - world.declared:
        catalog[name] = MemoryDataset()
    runner = SequentialRunner()
    runner._release_datasets = lambda *a, **k: None  # type: ignore[method-assign]
    runner.run(pipeline, catalog)
    names = pipeline.all_outputs() | pipeline.inputs()
    return {n: catalog.load(n) for n in names}, files(world, folder)


def through_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


def files(world: World, folder: Path) -> dict[str, Any]:
    paths = {n: folder / f"{n}.json" for n in world.declared}
    return {n: json.loads(p.read_text()) for n, p in paths.items() if p.exists()}


@dataclass
class Law:
    """The state of one walk: the store, and what has been computed through it."""

    folder: Path
    write_through: bool
    seen: set[Any] = field(default_factory=set)
    outputs: dict[Any, list[Blob]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store = Store(str(self.folder / "cache"))
        self.runs = 0

    def signature(self, world: World, step: Step, values: dict[str, Any]) -> Any:
        function = replace(world.functions[step.function], cosmetic=0)
        return function, step.named, repr([values[name] for name in step.inputs])

    def lost(self, signature: Any) -> bool:
        return not all(self.intact(blob) for blob in self.outputs.get(signature, []))

    def intact(self, blob: Blob) -> bool:
        path = self.path(blob)
        return path.exists() and not path.read_bytes().endswith(b"damage")

    def path(self, blob: Blob) -> Path:
        return next((self.folder / "cache" / "cas").rglob(blob.digest), Path("/nowhere"))

    def evict(self, draw: Any) -> None:
        """Drop or damage some of the blobs."""
        blobs = [p for p in sorted((self.folder / "cache" / "cas").rglob("*")) if p.is_file()]
        if not blobs or draw(st.booleans()):
            return
        for path in draw(st.lists(st.sampled_from(blobs), max_size=4, unique=True)):
            if draw(st.booleans()):
                path.unlink()
            else:
                path.chmod(0o600)
                path.write_bytes(path.read_bytes()[:-6] + b"damage")

    def run(self, world: World) -> None:
        self.runs += 1
        folder = self.folder / f"plain-{self.runs}"
        values, written = uncached(world, folder)
        signatures = [self.signature(world, step, values) for step in world.steps]
        allowed = self.allowed(world, signatures)
        pipeline, catalog = world.pipeline(), world.catalog(self.folder / "cached")
        own = self.folder / "cached"
        for name in world.declared:
            (own / f"{name}.json").unlink(missing_ok=True)
        run = PlannedRun(
            "law",
            Planner(self.store, CacheSettings(), self.folder),
            RunDirectory(self.folder / f"run-{self.runs}"),
            write_through=self.write_through,
        )
        plan = run.begin(pipeline, catalog)
        try:
            with executions() as executed:
                SequentialRunner().run(pipeline, catalog)
            assert executed <= allowed, f"needless: {executed - allowed}"
        finally:
            run.end()
        unread = world.declared - {name for step in world.steps for name in step.inputs}
        for name, dataset in plan.datasets.items():
            # What nobody reads back does not make the trip through its file.
            asked = through_json if name in unread and not self.write_through else lambda x: x
            assert asked(dataset.load()) == values[name], name
        assert files(world, own) == (written if self.write_through else {})
        for step, signature, action in zip(
            world.steps, signatures, map(plan.actions.get, names(world)), strict=True
        ):
            assert action is not None
            if not step.never:
                self.seen.add(signature)
                found = [action.outputs[o].output for o in step.outputs]
                self.outputs[signature] = [o.blob for o in found if o is not None]

    def allowed(self, world: World, signatures: list[Any]) -> Counter[str]:
        """How often each function may be called: for changed, lost and never-cached nodes."""
        needed = {
            k
            for k, step in enumerate(world.steps)
            if step.never or signatures[k] not in self.seen or self.lost(signatures[k])
        }
        if all(signatures[k] in self.seen and not world.steps[k].never for k in needed):
            # All keys are known before the run: what is lost and not asked for stays lost.
            needed = {k for k in needed if self.demanded(world, k, needed)}
        return Counter(f"function_{world.steps[k].function}" for k in needed)

    def demanded(self, world: World, k: int, needed: set[int]) -> bool:
        """Whether a lost node's outputs are asked for: by the user, or by a node that runs."""
        outputs = set(world.steps[k].outputs)
        if self.write_through and outputs & world.declared:
            return True
        children = [c for c, s in enumerate(world.steps) if outputs & set(s.inputs)]
        return not children or any(
            c in needed and self.demanded(world, c, needed) for c in children
        )


def names(world: World) -> list[str]:
    return [f"node_{k}" for k in range(len(world.steps))]


@pytest.fixture(scope="module", autouse=True)
def _silence() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("kedro", "kedro_eeipu")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def walk(data: Any) -> None:
    world = data.draw(worlds())
    # In memory where there is such a place: thousands of small files are made and removed.
    quick = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(dir=quick) as folder:
        law = Law(Path(folder), write_through=data.draw(st.booleans()))
        law.run(world)
        for _ in range(data.draw(st.integers(1, 3))):
            world = data.draw(edited(world))
            law.evict(data.draw)
            law.run(world)


@settings(
    max_examples=WALKS,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
@given(st.data())
def test_a_cached_run_is_an_uncached_run_that_executes_less(data: Any) -> None:
    walk(data)


pytestmark = pytest.mark.filterwarnings("ignore")
