"""The starter that `kedro new --starter eeipu` makes a project from."""

from __future__ import annotations

from pathlib import Path

from kedro.framework.cli.starters import KedroStarterSpec

__all__ = ["starters"]

starters = [KedroStarterSpec("eeipu", str(Path(__file__).with_name("template")))]
