"""Trials with their parameters: the table, its order, and the other forms."""

from __future__ import annotations

import csv
import io

import pytest
from command_line import Shell, refused
from rich.console import Console

from kedro_eeipu.cli.params_table import in_order, print_parameters
from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.study.records import TrialRecord

VALUES = (0.5, 0.9, None, 0.7)


def trials() -> list[TrialRecord]:
    """Four trials of twelve parameters; the third has failed, and has one parameter more."""
    return [
        TrialRecord(
            number,
            "failed" if value is None else "complete",
            {
                **{f"part{k}.setting_{k}": number * 1.5 + k for k in range(6)},
                **{f"model.depth_{k}": 9 - number for k in range(5)},
                "model.kernel": ["rbf", "linear"][number % 2],
                **({"svm.C": 2.0} if value is None else {}),
            },
            value,
        )
        for number, value in enumerate(VALUES)
    ]


@pytest.mark.parametrize("width", [80, 200])
def test_twelve_parameters_are_readable(width: int) -> None:
    console = Console(width=width, force_terminal=True, color_system=None, file=io.StringIO())
    print_parameters(console, trials(), best=1)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert max(map(len, lines)) <= width
    assert not any("…" in line for line in lines)
    words = " ".join(lines).split()
    for path in trials()[2].params:
        group, _, name = path.rpartition(".")
        assert words.count(name) == 1, "each parameter stands in one part"
        assert group in words
    parts = [line for line in lines if line.split()[:2] == ["trial", "value"]]
    assert len(parts) == {80: 3, 200: 1}[width]
    assert words.count("*1") == len(parts), "every part says which trial a line is"


@pytest.mark.parametrize(
    ("by", "numbers"),
    [
        ("value", [1, 3, 0, 2]),
        ("number", [0, 1, 2, 3]),
        ("model.depth_3", [3, 2, 1, 0]),
        ("depth_3", [3, 2, 1, 0]),
        ("kernel", [1, 3, 0, 2]),
        ("C", [2, 0, 1, 3]),
    ],
)
def test_order(by: str, numbers: list[int]) -> None:
    assert [t.number for t in in_order(trials(), by, maximize=True)] == numbers


def test_trials_from_before_an_edit_come_after_those_of_today() -> None:
    ordered = in_order(trials(), "value", maximize=True, former=lambda t: t.number == 1)
    assert [t.number for t in ordered] == [3, 0, 1, 2]


def test_unknown_name_is_one_error_that_lists_names() -> None:
    with pytest.raises(ConfigurationError, match="there is no 'depht_3'") as error:
        in_order(trials(), "depht_3", maximize=True)
    assert "value, cost, saved, number, part0.setting_0" in str(error.value)


def test_command(shell: Shell) -> None:
    shell("tune", "--trials", "3", "--sampler", "random")
    best = shell.json("best")
    shown = shell("trials", "--params", "--sort", "value").stdout.splitlines()
    assert shown[0].split() == ["clean", "left", "right"]
    assert shown[2].split()[0] == f"*{best['number']}"
    assert len(shell("trials", "--params", "--top", "1").stdout.splitlines()) == 4
    (top,) = shell.json("trials", "--top", "1")
    assert top["number"] == best["number"]
    rows = list(csv.DictReader(io.StringIO(shell("trials", "--format", "csv").stdout)))
    assert [row["number"] for row in rows] == ["0", "1", "2"]
    assert rows[0]["shift"] == "3.0"
    given = shell.json("trials", "--params", "clean.kind=fancy")
    assert all(t["changed_since"] for t in given), "with a value it means what it means elsewhere"
    refused(shell("trials", "--sort", "speed"), "--sort: there is no 'speed'", "clean.scale")
