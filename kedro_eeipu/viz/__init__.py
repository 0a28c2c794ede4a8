"""Kedro-Viz with the trials of a study in it."""

from kedro_eeipu.viz.app import create_app
from kedro_eeipu.viz.site import save_site

__all__ = ["create_app", "save_site"]
