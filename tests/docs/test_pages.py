"""The pages of the documentation: their links lead somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob(".github/*.md"), *ROOT.glob("docs/pages/**/*.md")])
REPOSITORY = "kedro-eeipu/kedro-eeipu/"
OURS = (f"https://github.com/{REPOSITORY}", f"https://raw.githubusercontent.com/{REPOSITORY}")
SITE = "https://kedro-eeipu.github.io/kedro-eeipu/"
_FENCE = re.compile(r"^( *)(```+).*?^\1\2 *$", re.M | re.S)


def prose(page: Path) -> str:
    """The text of a page without its code."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """The anchors of the headings of a page, as GitHub and MkDocs make them."""
    names: set[str] = set()
    for heading in re.findall(r"^#+ +(.*)$", prose(page), re.M):
        text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-")
        names.add(name)
    return names


def links(page: Path) -> Iterator[str]:
    yield from re.findall(r"\]\(([^)\s]+)\)", prose(page))


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in links(page):
        file, _, anchor = link.partition("#")
        target = (page.parent / file) if file else page
        if file.startswith(SITE):
            name = file.removeprefix(SITE).strip("/")
            target = ROOT / "docs" / "pages" / f"{name}.md"
            target = target if target.exists() else target.with_suffix("") / "index.md"
        elif file.startswith(OURS):
            target = ROOT / re.sub(r"^(blob/)?main/", "", re.sub("|".join(OURS), "", file))
        elif re.match(r"[a-z]+:", link):
            continue
        if not target.exists() or (
            anchor and target.suffix == ".md" and anchor not in anchors(target)
        ):
            broken.append(link)
    assert not broken


def test_readme_links_are_absolute() -> None:
    """PyPI shows the README, and knows no other file of the repository."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'Repository = "https://github.com/{REPOSITORY.rstrip("/")}"' in project
    assert [link for link in links(ROOT / "README.md") if not link.startswith("https://")] == []
