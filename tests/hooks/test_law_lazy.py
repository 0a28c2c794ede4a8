"""The law of reuse where some outputs are lazy: kept as bytes, in files, or made again."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import types
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline
from kedro.runner import SequentialRunner
from kedro_datasets.json import JSONDataset
from test_law import (
    HELPERS,
    MODULE,
    WALKS,
    Function,
    Law,
    World,
    edited,
    through_json,
    uncached,
    worlds,
)

from kedro_eeipu.config.settings import CacheSettings
from kedro_eeipu.hooks.plan import Planner
from kedro_eeipu.hooks.run import PlannedRun
from kedro_eeipu.hooks.run_directory import RunDirectory

LAZY = """

class Lazy:
    def __init__(self, value):
        self.value = lambda: value

eager_flat = flat

def flat(x):
    if isinstance(x, (list, tuple)):
        return sum(flat(y) for y in x) + 3 * isinstance(x, tuple)
    return eager_flat(x.value() if hasattr(x, "value") else x)
"""


class FileValue:
    """What lies in a file, read when it is needed."""

    def __init__(self, path: str) -> None:
        self.value = lambda: json.loads(Path(path).read_text())


class LazyJSONDataset(JSONDataset):  # type: ignore[misc]
    """Writes what a lazy value comes to, and loads it lazily."""

    def load(self) -> Any:
        return FileValue(str(self._filepath))

    def save(self, data: Any) -> None:
        super().save(evaluated(data))


def evaluated(value: Any) -> Any:
    return value.value() if hasattr(value, "value") else value


@dataclass(frozen=True)
class LazyFunction(Function):
    """A function some of whose outputs are lazy; or a generator, whose only chunk they are."""

    lazy: frozenset[int] = frozenset()
    streams: bool = False

    @property
    def source(self) -> str:
        head, returned, rest = super().source.rpartition("    return")
        lazy = set(self.lazy)
        wrapped = f"    made = [Lazy(m) if k in {lazy!r} else m for k, m in enumerate(made)]\n"
        returned = "    yield" if self.streams else returned
        return head + wrapped.replace("set()", "()") + returned + rest


class LazyWorld(World):
    """A world of such functions, whose declared datasets load lazily."""

    def pipeline(self) -> Pipeline:
        module = types.ModuleType(MODULE)
        exec(HELPERS + LAZY + "\n".join(f.source for f in self.functions), module.__dict__)
        sys.modules[MODULE] = module
        return Pipeline([self._node(k, step, module) for k, step in enumerate(self.steps)])

    def catalog(self, folder: Path) -> DataCatalog:
        catalog = super().catalog(folder)
        for name in self.declared:
            catalog[name] = LazyJSONDataset(filepath=str(folder / f"{name}.json"))
        return catalog


@st.composite
def lazy_worlds(draw: Any) -> LazyWorld:
    world = draw(worlds())
    # What a node makes lazily of nothing but parameters runs in every run, and all after it.
    eager = {s.function for s in world.steps if all(map(_is_parameter, s.inputs))}
    functions = tuple(
        LazyFunction(
            **{f.name: getattr(function, f.name) for f in fields(Function)},
            lazy=frozenset(
                k
                for k in range(function.outputs)
                if function.index not in eager and draw(st.booleans())
            ),
            streams=draw(st.integers(0, 3)) == 0,
        )
        for function in world.functions
    )
    never = draw(st.integers(0, 3)) == 0
    steps = tuple(step if never else replace(step, never=False) for step in world.steps)
    contents = {f.name: getattr(world, f.name) for f in fields(World)}
    return LazyWorld(**{**contents, "functions": functions, "steps": steps})


def _is_parameter(name: str) -> bool:
    return name.startswith("param")


class LazyLaw(Law):
    """The state of one walk."""

    def evict(self, draw: Any) -> None:
        super().evict(draw)
        for folder in sorted((self.folder / "cache").glob("files/*/*")):
            fate = draw(st.sampled_from(["stay", "stay", "go", "damage"]))
            if fate == "go":
                shutil.rmtree(folder)
            elif fate == "damage":
                next((folder / "content").iterdir()).write_text("[7")

    def run(self, world: World) -> None:
        self.runs += 1
        values, _ = uncached(world, self.folder / f"plain-{self.runs}")
        expected = {name: through_json(evaluated(value)) for name, value in values.items()}
        shutil.rmtree(self.folder / "cached", ignore_errors=True)
        pipeline, catalog = world.pipeline(), world.catalog(self.folder / "cached")
        run = PlannedRun(
            "law",
            Planner(self.store, CacheSettings(), self.folder),
            RunDirectory(self.folder / f"run-{self.runs}"),
            write_through=self.write_through,
        )
        plan = run.begin(pipeline, catalog)
        try:
            runner = SequentialRunner()
            if any(isinstance(f, LazyFunction) and f.streams for f in world.functions):
                # What an undeclared generator yields is gone once nobody needs it, and with it
                # what was made of that: only this test looks at it after the run.
                runner._release_datasets = lambda *a, **k: None  # type: ignore[method-assign]
            runner.run(pipeline, catalog)
            for name, dataset in plan.datasets.items():
                assert through_json(evaluated(dataset.load())) == expected[name], name
        finally:
            run.end()
        assert not any(folder.is_pinned for folder in self.store.folders.all())
        assert not any((self.folder / "cache" / "tmp").glob("*/content"))


@settings(
    max_examples=WALKS // 6,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
@given(st.data())
def test_a_cached_run_with_lazy_outputs_is_an_uncached_run(data: Any) -> None:
    world = data.draw(lazy_worlds())
    quick = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=quick) as folder:
        law = LazyLaw(Path(folder), write_through=data.draw(st.booleans()))
        law.run(world)
        for _ in range(data.draw(st.integers(1, 3))):
            world = data.draw(edited(world))
            law.evict(data.draw)
            law.run(world)


pytestmark = pytest.mark.filterwarnings("ignore")
