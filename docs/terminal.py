"""Make terminal.svg: `kedro eeipu tune` of the demo as a terminal shows it.

    pip install pyte
    python docs/terminal.py

The command runs in a copy of the demo without a cache, under a pseudo-terminal; the picture is
what stands on its screen while a later trial runs.
"""

from __future__ import annotations

import io
import os
import pty
import re
import shutil
import struct
import sys
import tempfile
from collections.abc import Iterator
from fcntl import ioctl
from itertools import groupby
from pathlib import Path
from termios import TIOCSWINSZ

import pyte
from rich.color import ANSI_COLOR_NAMES
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import TerminalTheme
from rich.text import Text

HERE = Path(__file__).parent
COLUMNS, ROWS = 96, 40
COMMAND = ["kedro", "eeipu", "tune", "--trials", "25"]
TRIALS_SHOWN = 14
NAMES = {"brown": "yellow"}  # what pyte calls the third colour
THEME = TerminalTheme(
    (13, 17, 23),
    (201, 209, 217),
    [
        (72, 79, 88),
        (255, 123, 114),
        (63, 185, 80),
        (210, 153, 34),
        (88, 166, 255),
        (188, 140, 255),
        (57, 197, 207),
        (177, 186, 196),
    ],
)


def main() -> None:
    """Run the command and write the picture."""
    with tempfile.TemporaryDirectory() as folder:
        demo = Path(folder) / "demo_project"
        shutil.copytree(HERE.parent / "demo_project", demo, ignore=shutil.ignore_patterns(".eeipu"))
        seen = watch(demo)
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), highlight=False)
    console.print(Text.assemble(("$ ", "green"), " ".join(COMMAND)))
    for line in seen:
        console.print(line, no_wrap=True, crop=True)
    picture = console.export_svg(title=" ".join(COMMAND[:3]), theme=THEME)
    # Pages that show a picture let it fetch no fonts.
    picture = re.sub(r"@font-face \{.*?\}", "", picture, flags=re.DOTALL)
    (HERE / "pages" / "images" / "terminal.svg").write_text(
        "\n".join(line.rstrip() for line in picture.splitlines() if line.strip()) + "\n"
    )


def watch(project: Path) -> list[Text]:
    """The command's screen while the trial after the last one shown runs, or a trial before it."""
    screen = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.ByteStream(screen)
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(project)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # Kedro's log
        os.environ.update(TERM="xterm-256color", DO_NOT_TRACK="1")
        os.execv(sys.executable, [sys.executable, "-m", *COMMAND])
    ioctl(terminal, TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    seen, trials = [], 0
    for output in outputs(terminal):
        stream.feed(output)
        if "▶ 1 running" in "\n".join(screen.display):
            shown = sum(line[:5].strip().isdigit() for line in screen.display)
            if shown > trials:
                seen, trials = lines(screen), shown
            if shown == TRIALS_SHOWN:
                os.kill(pid, 15)
    os.waitpid(pid, 0)
    return seen


def outputs(terminal: int) -> Iterator[bytes]:
    """What is written to a terminal until its last program has ended."""
    while True:
        try:
            yield os.read(terminal, 65536)
        except OSError:
            return


def lines(screen: pyte.Screen) -> list[Text]:
    """What stands on a screen, with its colours."""
    found = []
    for y in range(ROWS):
        cells = [screen.buffer[y][x] for x in range(COLUMNS)]
        line = Text()
        # A word at a time, each with a place of its own in the picture, so that whatever font is
        # there the columns stay straight.
        for (foreground, bold, _), run in groupby(cells, lambda c: (c.fg, c.bold, c.data == " ")):
            line.append("".join(c.data for c in run), Style(color=colour(foreground), bold=bold))
        found.append(line)
    while not found[-1].plain.strip():
        found.pop()
    return found


def colour(name: str) -> str | None:
    """A colour of pyte's, a name or six hexadecimal digits, as rich knows it."""
    if name == "default":
        return None
    return NAMES.get(name) or (name if name in ANSI_COLOR_NAMES else f"#{name}")


if __name__ == "__main__":
    main()
