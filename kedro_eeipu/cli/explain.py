"""``kedro eeipu explain``: why each node of a trial ran or was reused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kedro_eeipu.cli.common import make_console, print_json, study_query
from kedro_eeipu.errors import ConfigurationError

if TYPE_CHECKING:
    from kedro_eeipu.project.selection import Selection

__all__ = ["explain"]


@click.command()
@click.argument("trial", type=int, required=False)
@click.option("--trial", "number", type=int, default=None, help="The same as TRIAL.")
@click.option("--node", default=None, help="Explain this node only.")
@study_query
def explain(
    selection: Selection, trial: int | None, number: int | None, node: str | None, form: str
) -> None:
    """Say why each node of a trial ran or was reused.

    Against the nearest earlier trial: which parameter, input, function or library differed.
    """
    from kedro_eeipu.config.opening import open_store, study_storage
    from kedro_eeipu.config.redaction import Redactor
    from kedro_eeipu.study.explain import explanation
    from kedro_eeipu.study.opening import open_study

    asked = {n for n in (trial, number) if n is not None}
    if len(asked) != 1:
        raise ConfigurationError(
            "two trials are named" if asked else "no trial is named",
            remedy="Write for example `kedro eeipu explain 8`.",
        )
    (chosen,) = asked
    context, settings = selection.open_settings()
    store = open_store(context, settings)
    opened = open_study(study_storage(context, settings), selection.study_name)

    def code_of(key: str) -> dict[str, str]:
        record = store.get(key)
        return {} if record is None else dict(record.meta.get("code", {}))

    # What was recorded by an earlier version may hold secrets.
    nodes = Redactor.of(context).value(explanation(opened, chosen, code_of))
    if node is not None:
        nodes = [n for n in nodes if n["name"] == node]
        if not nodes:
            raise ConfigurationError(f"trial {chosen} has no node '{node}'", where="--node")
    if form == "json":
        print_json(nodes)
        return
    from kedro_eeipu.cli.tables import explanation_table

    make_console().print(explanation_table(chosen, nodes))
