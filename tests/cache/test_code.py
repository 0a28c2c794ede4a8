"""Identity of loaded code."""

from __future__ import annotations

import pytest
from code_edits import EDITS, Edit

from kedro_eeipu.cache.code import code_identity


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.name)
def test_cases_01_to_07_edit(edit: Edit, project) -> None:
    with project(edit.before) as nodes:
        before, value = code_identity(nodes.node), nodes.node(3.0)
        assert code_identity(nodes.node) == before
    with project(edit.after) as nodes:
        after, edited_value = code_identity(nodes.node), nodes.node(3.0)
    assert (after.digest == before.digest) == edit.is_hit
    assert (edited_value == value) == edit.is_hit
    assert (after.parts == before.parts) == edit.is_hit
