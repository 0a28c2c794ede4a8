"""What the documentation makes from the code is up to date."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def reference() -> Any:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "reference.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_is_made_from_the_code_is_up_to_date() -> None:
    stale = [
        file.relative_to(ROOT).as_posix()
        for file, text in reference().made().items()
        if not file.exists() or file.read_text(encoding="utf-8") != text
    ]
    assert not stale, "run `make reference`"


def test_the_page_on_the_architecture_names_every_room_and_module_of_the_ground() -> None:
    rooms: Any = __import__("test_rooms")
    page = (ROOT / "docs" / "pages" / "architecture.md").read_text(encoding="utf-8")
    ground = {f"{name}.py" for name in rooms.GROUND if name}
    assert [name for name in sorted({*rooms.MAY_IMPORT, *ground}) if f"`{name}`" not in page] == []


def test_boxes_of_the_figure_of_rooms_do_not_overlap() -> None:
    figure = (ROOT / "docs" / "pages" / "images" / "rooms.svg").read_text(encoding="utf-8")
    found = re.findall(r'class="room" x="(\d+)" y="(\d+)" width="(\d+)" height="(\d+)"', figure)
    boxes = [tuple(map(int, box)) for box in found]
    assert len(boxes) > 15
    for i, (x, y, width, height) in enumerate(boxes):
        for other, level, _, _ in boxes[:i]:
            assert abs(x - other) > width or abs(y - level) > height
