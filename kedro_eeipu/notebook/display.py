"""What a notebook shows: a page inline, and the best trial of a study."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro_eeipu.wording import scalar

if TYPE_CHECKING:
    from kedro_eeipu.search import SearchSpace
    from kedro_eeipu.study.gain import Gain
    from kedro_eeipu.study.records import TrialRecord

__all__ = ["Best", "Page", "html_table"]

_STYLE = "text-align:right;padding:2px 12px 2px 0;font-variant-numeric:tabular-nums"


@dataclass(frozen=True)
class Page:
    """An HTML page, which a notebook shows in a frame.

    Attributes:
        html: The page, with all that it needs inside.
        height: Of the frame, in pixels.
    """

    html: str
    height: int = 900

    def save(self, path: str | Path) -> Path:
        """Write the page to a file; returns its path."""
        target = Path(path)
        target.write_text(self.html, encoding="utf-8")
        return target

    def __repr__(self) -> str:
        return f"<page of {len(self.html) / 1e6:.1f} MB: .save(path) writes it>"

    def _repr_html_(self) -> str:
        return (
            f'<iframe srcdoc="{escape(self.html)}" width="100%" height="{self.height}" '
            'style="border:0"></iframe>'
        )


@dataclass(frozen=True, repr=False)
class Best:
    """The best trial of a study beside the project's own values.

    Attributes:
        gain: Both, and the difference.
        space: What is searched.
        verdict: Whether the trial is confirmed, in a sentence.
    """

    gain: Gain
    space: SearchSpace
    verdict: str = ""

    @property
    def trial(self) -> TrialRecord:
        """The trial."""
        return self.gain.best

    @property
    def number(self) -> int:
        """Its number."""
        return self.trial.number

    @property
    def value(self) -> float | None:
        """Its objective."""
        return self.trial.value

    @property
    def params(self) -> dict[str, Any]:
        """Its values, by dotted path."""
        return dict(self.trial.params)

    def _rows(self) -> list[tuple[str, str, str, str]]:
        params: Mapping[str, Any] = self.trial.params
        return [
            (
                r.path,
                scalar(params[r.path]) if r.path in params else "-",
                scalar(r.default),
                r.describe(),
            )
            for r in self.space
        ]

    def _sentences(self) -> list[str]:
        return [*self.gain.in_words(), *filter(None, [self.verdict])]

    def __repr__(self) -> str:
        rows = [("parameter", "best", "default", "range"), *self._rows()]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        table = (
            "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows
        )
        return "\n".join([*self._sentences(), *table])

    def _repr_html_(self) -> str:
        first, *others = self._sentences()
        notes = "".join(f"<div>{escape(text)}</div>" for text in others)
        return (
            f"<div><strong>{escape(first)}</strong>{notes}"
            f"{html_table(['parameter', 'best', 'default', 'range'], self._rows())}</div>"
        )


def html_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A plain table; the first column is at the left."""

    def line(tag: str, cells: Sequence[str]) -> str:
        styles = [_STYLE.replace("right", "left", 1), *[_STYLE] * (len(cells) - 1)]
        return "".join(
            f'<{tag} style="{style}">{escape(cell)}</{tag}>'
            for cell, style in zip(cells, styles, strict=True)
        )

    body = "".join(f"<tr>{line('td', row)}</tr>" for row in rows)
    return f"<table><thead><tr>{line('th', head)}</tr></thead><tbody>{body}</tbody></table>"
