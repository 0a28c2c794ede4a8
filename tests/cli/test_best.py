"""``kedro eeipu best``."""

from __future__ import annotations

from command_line import Shell


def test_best_is_a_trial(shell: Shell) -> None:
    shell("tune", "--trials", "4")
    best = shell.json("best")
    assert best["value"] == min(t["value"] for t in shell.json("trials"))
    shown = shell("best").stdout
    assert f"Trial {best['number']}: metrics[loss] {best['value']:.6g}" in shown
    assert "clean.scale" in shown
