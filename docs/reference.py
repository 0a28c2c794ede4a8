"""Write what is made from the code: pages and figures of the documentation, JSON schemas.

    python docs/reference.py

`docs/pages/options.md` comes from the commands themselves, `docs/pages/images/rooms.svg` from the
imports that `tests/test_rooms.py` allows, `kedro_eeipu/schemas/*.json` from the modules beside
them. A test says when one of them is out of date.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Set
from html import escape
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs" / "pages"
SCHEMAS = ROOT / "kedro_eeipu" / "schemas"

_HEAD = """\
# All options

What `--help` says of each command. [Commands](commands.md) explains them.
"""
_WIDTH, _ROW, _BOX, _HEIGHT = 760, 74, 104, 34
# Where a row's own order would let boxes overlap or lines cross boxes: the place in the width.
_PLACES = {
    "notebook": 0.42,
    "cli": 0.5,
    "comparison": 0.42,
    "tuning": 0.24,
    "viz": 0.73,
    "project": 0.42,
    "hooks": 0.32,
    "config": 0.24,
    "cache.store": 0.167,
    "cache.identity": 0.167,
    "reporting": 0.73,
    "study": 0.665,
    "cache.files": 0.085,
    "cache.tensors": 0.25,
    "schemas": 0.415,
    "search": 0.58,
    "optimizer": 0.745,
    "starter": 0.91,
}
_STYLE = """\
<style>
.page { fill: #ffffff } .room { fill: #eef1fb; stroke: #3f51b5 } .name { fill: #1b2440 }
.line { fill: none; stroke: #9aa4b8; stroke-width: 1.3 } .ground { fill: #f3f3f3; stroke: #8a8a8a }
@media (prefers-color-scheme: dark) {
.page { fill: #0d1117 } .room { fill: #1c2440; stroke: #8c9eff } .name { fill: #e6edf3 }
.line { stroke: #6b7690 } .ground { fill: #21262d; stroke: #8a8a8a }
}
</style>"""


def options_page(group: click.Group) -> str:
    """A section for each command, with its arguments and options."""
    return "\n".join([_HEAD, *_commands(group, "kedro eeipu")])


def _commands(group: click.Group, path: str) -> Iterator[str]:
    for name, command in group.commands.items():
        called = f"{path} {name}"
        if isinstance(command, click.Group):
            yield from _commands(command, called)
            continue
        context = click.Context(command, info_name=called)
        described = command.to_info_dict(context)
        usage = " ".join(command.collect_usage_pieces(context))
        yield f"## `{called}`\n"
        yield f"{' '.join(str(described['help'] or '').split())}\n"
        yield f"```\n{called} {usage}\n```\n"
        rows = [_row(param, context) for param in command.params if isinstance(param, click.Option)]
        if rows:
            yield "| option | | default |\n|---|---|---|\n" + "\n".join(rows) + "\n"


def _row(option: click.Option, context: click.Context) -> str:
    names = ", ".join(f"`{name}`" for name in option.opts)
    kind = "" if option.is_flag else f" `{option.make_metavar(context).strip('[]')}`"
    default = option.to_info_dict()["default"]
    shown = "" if option.is_flag or default in (None, "", ()) else f"`{default}`"
    # GitHub and MkDocs do not agree on a `|` in code in a table.
    return f"| {names}{kind.replace('|', '`, `')} | {option.help or ''} | {shown} |"


def rooms_figure(may_import: Mapping[str, Set[str]], ground: Set[str]) -> str:
    """The rooms as boxes, each above all that it may import."""
    edges = {room: set(others) for room, others in may_import.items()}
    edges["cli"] = set(may_import) - {"notebook"}
    rows: dict[int, list[str]] = {}
    for room in edges:
        rows.setdefault(_depth(room, edges), []).append(room)
    places = {
        room: (_WIDTH * _PLACES.get(room, (i + 0.5) / len(row)), _ROW * (max(rows) - depth) + 40)
        for depth, row in rows.items()
        for i, room in enumerate(sorted(row))
    }
    height = _ROW * (max(rows) + 1) + 76
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        'font-family="sans-serif" font-size="13">',
        _STYLE,
        f'<rect class="page" width="{_WIDTH}" height="{height}" rx="8"/>',
    ]
    for room, others in edges.items():
        through = {deeper for other in others for deeper in _below(other, edges)}
        for other in sorted(others - through):
            (x1, y1), (x2, y2) = places[room], places[other]
            y1, y2 = y1 + _HEIGHT / 2, y2 - _HEIGHT / 2
            parts.append(
                f'<path class="line" d="M{x1:.0f} {y1:.0f} C{x1:.0f} {y1 + 26:.0f} '
                f'{x2:.0f} {y2 - 26:.0f} {x2:.0f} {y2:.0f}"/>'
            )
    for room, (x, y) in places.items():
        parts.append(
            f'<rect class="room" x="{x - _BOX / 2:.0f}" y="{y - _HEIGHT / 2:.0f}" width="{_BOX}" '
            f'height="{_HEIGHT}" rx="6"/>'
            f'<text class="name" x="{x:.0f}" y="{y + 4.5:.0f}" text-anchor="middle">'
            f"{escape(room)}</text>"
        )
    floor = height - 30
    parts.append(
        f'<rect class="ground" x="20" y="{floor - 17}" width="{_WIDTH - 40}" height="34" rx="6"/>'
        f'<text class="name" x="{_WIDTH / 2:.0f}" y="{floor + 4.5}" text-anchor="middle">'
        f"{escape('the ground: ' + ', '.join(sorted(ground - {''})))}</text>"
    )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _below(room: str, edges: Mapping[str, Set[str]]) -> set[str]:
    """All rooms that a room may import, directly or through others."""
    direct = edges.get(room, set())
    return set(direct).union(*(_below(other, edges) for other in direct))


def _depth(room: str, edges: Mapping[str, Set[str]]) -> int:
    return max((1 + _depth(other, edges) for other in edges.get(room, ())), default=0)


def made() -> dict[Path, str]:
    """All that is made from the code, by file."""
    from kedro_eeipu.cli import eeipu
    from kedro_eeipu.schemas import parameters_schema, settings_schema

    sys.path.insert(0, str(ROOT / "tests"))
    rooms: Any = __import__("test_rooms")
    return {
        PAGES / "options.md": options_page(eeipu),
        PAGES / "images" / "rooms.svg": rooms_figure(rooms.MAY_IMPORT, rooms.GROUND),
        SCHEMAS / "parameters.schema.json": json.dumps(parameters_schema(), indent=2) + "\n",
        SCHEMAS / "eeipu.schema.json": json.dumps(settings_schema(), indent=2) + "\n",
    }


if __name__ == "__main__":
    for file, text in made().items():
        file.write_text(text, encoding="utf-8")
        print(file.relative_to(ROOT))
