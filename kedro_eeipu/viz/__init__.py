"""Kedro-Viz with the trials of a study in it.

Imports nothing: every run of a project imports `kedro_eeipu.viz.plugin`.
"""
