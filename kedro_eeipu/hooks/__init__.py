"""Kedro's side of the cache: a hook that plans runs, serves what is kept and records the rest."""

from kedro_eeipu.hooks.plugin import hooks

__all__ = ["hooks"]
