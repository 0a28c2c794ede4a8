"""What the report and the page of a comparison share: one HTML page with everything in it."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from plotly.offline import get_plotlyjs

from kedro_eeipu.reporting.drawing import Figure

__all__ = ["figure_html", "page_html"]

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates", encoding="utf-8"),
    autoescape=True,
    keep_trailing_newline=True,
)


def page_html(title: str, content: str, live: str = "") -> str:
    """A page for light and dark screens from 400 pixels on, which loads nothing from elsewhere.

    Args:
        title: Its title.
        content: What it shows, as HTML; user text in it is escaped.
        live: As for `kedro_eeipu.reporting.report_html`.
    """
    page = _TEMPLATES.get_template("page.html")
    return page.render(title=title, content=content, plotly=get_plotlyjs(), live=live)


def figure_html(title: str, figure: Figure, kind: str = "") -> str:
    """A figure, its data beside the place where the page's script draws it.

    Args:
        title: Its caption.
        figure: As plotly.js reads it.
        kind: Classes of the style sheet.
    """
    # `<` would let a value end the script element that holds it.
    data = json.dumps(figure, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    height = figure["layout"]["height"]
    return (
        f'<figure class="{kind}"><figcaption>{_breakable(title)}</figcaption><div class="box">'
        f'<div class="plot" role="img" aria-label="{escape(title)}" style="height:{height}px">'
        f'</div><script type="application/json">{data}</script></div></figure>'
    )


def _breakable(text: str) -> str:
    """A dotted path that may be broken between its words."""
    return escape(text).replace(".", ".<wbr>").replace("_", "_<wbr>")
