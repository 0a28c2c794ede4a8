"""Numbers in words, and the words of messages and docs."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import kedro_eeipu
from kedro_eeipu.wording import counted, duration, in_bytes


def test_quantities_in_words() -> None:
    assert [in_bytes(n) for n in (0, 999, 1500, 20e9)] == ["0 B", "999 B", "1.5 KB", "20 GB"]
    said = [duration(s) for s in (0, 0.01234, 90, 5400, 172800, 864000)]
    assert said == ["0 s", "0.012 s", "90.0 s", "90.0 min", "48.0 h", "10.0 d"]
    said = [counted(n, "trial") for n in (0, 1, 1.0, 2.5, 2_000_000)]
    assert said == ["0 trials", "1 trial", "1 trial", "2.5 trials", "2000000 trials"]


PACKAGE = Path(kedro_eeipu.__file__).parent
ROOT = Path(__file__).parents[1]
PLAIN = {
    r"(command|call) goes on": "resumes",
    r"in hand\b": "running",
    r"\bmend(s|ed)?\b": "fix",
    r"stands? there": "is there",
    r"\bunasked\b": "without asking",
    r"is no (duration|number|mapping|text|share|size|amount)\b": "is not a …",
    r"\bforetold?\b|\bforetells\b": "predict",
    r"is paid once": "runs once",
    r"\bcannot be told\b": "cannot be identified",
    r"any more:|count no more": "no longer",
    r"comes? out otherwise": "gives another result",
    r"served wrongly": "reused a wrong record",
    r"no longer to be seen": "no longer in …",
    r"\bat the price of\b": "as if",
    r"\banew\b": "again",
    r"\b(are|is) for \S+ to say\b": "decides",
}
"""What nobody says, and what to write instead."""


def messages() -> Iterator[tuple[str, str]]:
    """The texts in the package, docstrings left out, by file and line."""
    for file in sorted(PACKAGE.rglob("*.py")):
        if "template" in file.parts:
            continue
        tree = ast.parse(file.read_text(encoding="utf-8"))
        documented = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        for node in ast.walk(tree):
            if not isinstance(node, ast.Constant) or id(node) in documented:
                continue
            if isinstance(node.value, str):
                yield f"{file.relative_to(PACKAGE)}:{node.lineno}", node.value


def pages() -> Iterator[tuple[str, str]]:
    """The lines of the docs, by file and line."""
    for file in [*ROOT.glob("*.md"), *sorted(ROOT.glob("docs/pages/**/*.md"))]:
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            yield f"{file.relative_to(ROOT)}:{number}", line


def test_messages_and_docs_are_in_plain_english() -> None:
    odd = [
        f"{where}: {text.strip()[:80]} (say: {plain})"
        for where, text in [*messages(), *pages()]
        for pattern, plain in PLAIN.items()
        if re.search(pattern, text)
    ]
    assert not odd, "\n".join(odd)
