"""Trials in Kedro-Viz as a folder of files, for any web server."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.viz.answers import PIPELINE
from kedro_eeipu.viz.app import STATIC, Pages, about, encoded, kedro_viz_html, view_page
from kedro_eeipu.viz.live_report import report_of

if TYPE_CHECKING:
    from kedro_eeipu.project.project import Project
    from kedro_eeipu.study.storage import TrialStudy

__all__ = ["save_site"]

BEST = 10


def save_site(
    project: Project, study: TrialStudy, numbers: Sequence[int], target: Path
) -> list[int]:
    """Write some trials and the best ones of a study; returns the numbers of those written.

    Args:
        project: The project.
        study: The study.
        numbers: Trials that are wanted beside the ten best.
        target: A folder; what an earlier call wrote there is replaced.

    Raises:
        ConfigurationError: The folder holds something else, or cannot be written.
    """
    if target.exists() and (not target.is_dir() or _foreign(target)):
        raise ConfigurationError(
            f"{target} is there and is not such a site",
            where="--save",
            remedy="Name a new folder.",
        )
    pages = Pages(project, study)
    listing = pages.trials()
    best = [t["number"] for t in listing["trials"] if t["value"] is not None][:BEST]
    kept = {*numbers, *best}
    listing["trials"] = [t for t in listing["trials"] if t["number"] in kept]
    try:
        _write(pages, {**listing, "saved": True}, target)
    except OSError as error:
        raise ConfigurationError(f"cannot write the site ({error})", where="--save") from None
    return sorted(kept)


def _write(pages: Pages, listing: dict[str, Any], target: Path) -> None:
    html = kedro_viz_html()
    shutil.rmtree(target / "trials", ignore_errors=True)
    shutil.copytree(html / "assets", target / "view" / "assets", dirs_exist_ok=True)
    shutil.copytree(STATIC, target / "static", dirs_exist_ok=True)
    shutil.copy(STATIC / "shell.html", target / "index.html")
    shutil.copy(html / "favicon.ico", target / "favicon.ico")
    (target / "view" / "index.html").write_text(view_page(html), encoding="utf-8")
    page = report_of(pages.project, pages.study)
    (target / "report.html").write_text(page, encoding="utf-8")
    documents: dict[str, Any] = {f"view/api/{name}": answer for name, answer in about().items()}
    documents["trials.json"] = listing
    for path, document in documents.items():
        _put(target / path, document)
    paths = ["facts", "api/main", "api/run-status", f"api/pipelines/{PIPELINE}"]
    paths += [f"api/nodes/{i}" for i in pages.answers.ids]
    for trial in listing["trials"]:
        for path in paths:
            number = trial["number"]
            _put(target / "trials" / str(number) / path, pages.trial(number, path))


def _put(file: Path, document: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(encoded(document))


def _foreign(folder: Path) -> bool:
    return any(folder.iterdir()) and not (folder / "trials.json").exists()
