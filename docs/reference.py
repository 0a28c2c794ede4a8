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
# Where a row's own order would let lines cross boxes: the place in the width.
_PLACES = {
    "cache.files": 0.14,
    "cache.tensors": 0.36,
    "search": 0.6,
    "optimizer": 0.86,
    "hooks": 0.4,
    "config": 0.3,
    "study": 0.72,
    "reporting": 0.88,
    "viz": 0.76,
    "tuning": 0.3,
}


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


def rooms_figure(may_import: Mapping[str, Set[str]]) -> str:
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
        f'<rect width="{_WIDTH}" height="{height}" rx="8" fill="#ffffff"/>',
    ]
    for room, others in edges.items():
        through = {deeper for other in others for deeper in _below(other, edges)}
        for other in sorted(others - through):
            (x1, y1), (x2, y2) = places[room], places[other]
            y1, y2 = y1 + _HEIGHT / 2, y2 - _HEIGHT / 2
            parts.append(
                f'<path d="M{x1:.0f} {y1:.0f} C{x1:.0f} {y1 + 26:.0f} {x2:.0f} {y2 - 26:.0f} '
                f'{x2:.0f} {y2:.0f}" fill="none" stroke="#9aa4b8" stroke-width="1.3"/>'
            )
    for room, (x, y) in places.items():
        parts.append(
            f'<rect x="{x - _BOX / 2:.0f}" y="{y - _HEIGHT / 2:.0f}" width="{_BOX}" '
            f'height="{_HEIGHT}" rx="6" fill="#eef1fb" stroke="#3f51b5"/>'
            f'<text x="{x:.0f}" y="{y + 4.5:.0f}" text-anchor="middle" fill="#1b2440">'
            f"{escape(room)}</text>"
        )
    ground = height - 30
    parts.append(
        f'<rect x="20" y="{ground - 17}" width="{_WIDTH - 40}" height="34" rx="6" fill="#f3f3f3" '
        f'stroke="#8a8a8a"/><text x="{_WIDTH / 2:.0f}" y="{ground + 4.5}" text-anchor="middle" '
        'fill="#333333">the ground: errors, logs, wording, processes, states, _kedro</text>'
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
        PAGES / "images" / "rooms.svg": rooms_figure(rooms.MAY_IMPORT),
        SCHEMAS / "parameters.schema.json": json.dumps(parameters_schema(), indent=2) + "\n",
        SCHEMAS / "eeipu.schema.json": json.dumps(settings_schema(), indent=2) + "\n",
    }


if __name__ == "__main__":
    for file, text in made().items():
        file.write_text(text, encoding="utf-8")
        print(file.relative_to(ROOT))
