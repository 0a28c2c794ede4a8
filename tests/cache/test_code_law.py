"""The law of code identity: it changes if, and only if, something that is reached was edited."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from code_edits import Loader
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kedro_eeipu.cache.identity.code import code_identity

_MODULES = ("nodes", "alpha", "beta")
_STYLES = ("attribute", "local", "local alias", "method", "comprehension")


@dataclass(frozen=True)
class Definition:
    """A function or a constant of a random project.

    Attributes:
        place: module and name; names of constants are in capitals.
        uses: for each use, the place of what is used and how it is written.
        number: what the edits change.
        note: a comment and a docstring.
    """

    place: tuple[str, str]
    uses: tuple[tuple[tuple[str, str], str], ...] = ()
    number: int = 0
    note: str = "first"

    @property
    def is_constant(self) -> bool:
        return self.place[1].isupper()

    def source(self) -> str:
        name = self.place[1]
        if self.is_constant:
            return f"{name} = {self.number}  # {self.note}\n"
        body = [f'    """{self.note}"""', f"    x = x + {self.number}"]
        for (module, used), style in self.uses:
            call = "" if used.isupper() else "(x)"
            body += {
                "attribute": [f"    x += {module}.{used}{call}"],
                "local": [f"    from {module} import {used}", f"    x += {used}{call}"],
                "local alias": [
                    f"    import {module} as a_{module}",
                    f"    x += a_{module}.{used}{call}",
                ],
                "method": [f"    x += Box.{module}_{used}(x)"],
                "comprehension": [f"    x += sum([{module}.{used}{call} for x in (x, 1)])"],
            }[style]
        return f"def {name}(x):  # {self.note}\n" + "\n".join(body) + "\n    return x\n"


def _sources(project: dict[tuple[str, str], Definition]) -> dict[str, str]:
    imports = "".join(f"import {module}\n" for module in _MODULES)
    texts = dict.fromkeys((f"{module}.py" for module in _MODULES), imports)
    for place, definition in project.items():
        texts[f"{place[0]}.py"] += definition.source()
    for module in _MODULES:
        methods = [
            f"    @staticmethod\n    def {m}_{name}(x):\n"
            f"        return {m}.{name}{'' if name.isupper() else '(x)'}\n"
            for m, name in _used_as_methods(project, module)
        ]
        texts[f"{module}.py"] += "class Box:\n    pass\n" + "".join(methods)
    return texts


def _used_as_methods(
    project: dict[tuple[str, str], Definition], module: str
) -> Iterator[tuple[str, str]]:
    """What is used through the class ``Box`` of a module; who uses one method reaches all."""
    found = {
        used
        for place, definition in project.items()
        for used, style in definition.uses
        if place[0] == module and style == "method"
    }
    yield from sorted(found)


def _reached(
    project: dict[tuple[str, str], Definition], start: tuple[str, str]
) -> set[tuple[str, str]]:
    seen, waiting = set(), [start]
    while waiting:
        place = waiting.pop()
        if place in seen:
            continue
        seen.add(place)
        for used, style in project[place].uses:
            waiting.append(used)
            if style == "method":
                waiting += _used_as_methods(project, place[0])
    return seen


@st.composite
def _projects(draw: st.DrawFn) -> dict[tuple[str, str], Definition]:
    functions = [("nodes", "node")]
    functions += [(m, f"f{i}") for m in _MODULES for i in range(draw(st.integers(0, 3)))]
    constants = [(m, f"K{i}") for m in _MODULES for i in range(draw(st.integers(0, 2)))]
    uses = st.lists(
        st.tuples(st.sampled_from(functions + constants), st.sampled_from(_STYLES)), max_size=3
    )
    project = {place: Definition(place, number=draw(st.integers(0, 9))) for place in constants}
    for place in functions:
        project[place] = Definition(place, tuple(draw(uses)), draw(st.integers(0, 9)))
    return project


def _parts(load: Loader, definitions: dict[tuple[str, str], Definition]) -> dict[str, str]:
    with load(_sources(definitions)) as nodes:
        return {"digest": (identity := code_identity(nodes.node)).digest, **identity.parts}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(definitions=_projects(), data=st.data())
def test_law(
    project: Loader, definitions: dict[tuple[str, str], Definition], data: st.DataObject
) -> None:
    place = data.draw(st.sampled_from(sorted(definitions)))
    edited = definitions[place]
    cosmetic = data.draw(st.booleans())
    edited = (
        replace(edited, note="second") if cosmetic else replace(edited, number=edited.number + 1)
    )
    before = _parts(project, definitions)
    after = _parts(project, {**definitions, place: edited})
    changed = {name for name in before | after if before.get(name) != after.get(name)}
    if cosmetic or place not in _reached(definitions, ("nodes", "node")):
        assert changed == set()
    else:
        assert changed == {"digest", ":".join(place)}
