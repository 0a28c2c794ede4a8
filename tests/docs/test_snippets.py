"""The snippets of the documentation are accepted, and run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
import optuna
import pytest
import yaml

from kedro_eeipu.cli import eeipu
from kedro_eeipu.config.settings import Settings
from kedro_eeipu.curves import Listener, Thresholds, listening
from kedro_eeipu.search.block import is_block, parse_space
from kedro_eeipu.study.limits import Limits

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs" / "pages").rglob("*.md"))]
BLOCK_KEYS = {"objective", "space", "budget", "trials", "report", "also", "confirm", "holdout"}
SETTINGS = {"cache", "study", "cluster", "nodes", "mlflow"}
OBJECTIVE = {"dataset": "any_metrics", "direction": "maximize"}


def snippets(language: str) -> Iterator[Any]:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", text, re.M | re.S)
        for number, (indent, code) in enumerate(found):
            lines = [line.removeprefix(indent) for line in code.splitlines()]
            name = f"{page.relative_to(ROOT).as_posix()}-{number}"
            yield pytest.param("\n".join(lines), id=name)


def files(text: str) -> Iterator[tuple[str, Any]]:
    """The files of a snippet, by the comment that names each, empty where none does."""
    parts = re.split(r"^# (\S+\.yml)$", text, flags=re.M)
    for name, content in zip(["", *parts[1::2]], parts[::2], strict=True):
        if content.strip():
            yield name, yaml.safe_load(content)


def default_of(spec: Any) -> Any:
    """A value that a range may be meant for."""
    choices = spec.get("choices") if isinstance(spec, Mapping) else spec
    return spec["low"] if choices is None else choices[0]


def parameters(content: Mapping[str, Any], block: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a snippet; those that it tunes and does not show are made up."""
    values: dict[str, Any] = {k: v for k, v in content.items() if not is_block(k)}
    for path, spec in block["space"].items():
        section, *keys = path.split(".")
        inner = values
        for key in (section, *keys)[:-1]:
            inner = inner.setdefault(key, {})
        inner.setdefault((section, *keys)[-1], default_of(spec))
    return values


@pytest.mark.parametrize("text", snippets("yaml"))
def test_configuration_is_accepted(text: str) -> None:
    for name, content in files(text):
        if not isinstance(content, Mapping):
            continue
        if BLOCK_KEYS.intersection(content):
            content = {"eeipu": content}
        for key in filter(is_block, content):
            block = {"objective": OBJECTIVE, "space": {"model.depth": [1, 2]}, **content[key]}
            values = {**parameters(content, block), key: block}
            assert parse_space(values, key=key).ranges
        if name.endswith("eeipu.yml") or SETTINGS.issuperset(content):
            Settings.parse(content)


def python_of(page: str, word: str) -> str:
    """The first Python snippet of a page that has this word."""
    text = (ROOT / "docs" / "pages" / page).read_text(encoding="utf-8")
    return next(c for c in re.findall(r"```python\n(.*?)```", text, re.S) if word in c)


def test_snippets_on_studies_run(
    project: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project.tuner(limits=Limits(trials=2)).run()
    monkeypatch.chdir(project.path)
    names: dict[str, Any] = {}
    exec(python_of("how-to/notebooks.md", "load_study"), names)
    assert len(names["study"].trials) == 2
    assert names["study"].best.value == names["study"].trials["value"].min()
    own = python_of("how-to/notebooks.md", "own=")
    own = own.replace("trials=30", "trials=4").replace("model.depth", "right.power")
    exec(own.replace("5}", "1}").replace("7}", "3}"), names)
    assert [*names["study"].trials["right.power"][2:]] == [1, 3]
    assert "Stopped: " in capsys.readouterr().out


def test_snippet_on_the_optimizer_runs() -> None:
    def run(x: Any) -> tuple[float, dict[int, float]]:
        return -float((x[0] - 0.3) ** 2), {0: 10.0, 1: 1.0}

    names: dict[str, Any] = {"run": run}
    exec(python_of("optimizer.md", "optimizer.ask").replace("range(40)", "range(12)"), names)
    assert len(names["proposal"].x) == 3


def test_snippet_on_botorch_runs() -> None:
    names: dict[str, Any] = {}
    exec(python_of("optimizer.md", "StageCost").replace("raw_samples=64", "raw_samples=8"), names)
    assert names["x"].shape == (1, 2)
    assert float(names["acqf"](names["x"])) == pytest.approx(float(names["value"]))


def test_snippet_on_the_cache_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def train(data: Any, C: float) -> float:
        return data * C

    names: dict[str, Any] = {"train": train, "data": 3.0, "digest": "d" * 64}
    for _ in range(2):
        exec(python_of("cache.md", "Store("), names)
        assert names["model"] == 3.0
        names["data"] = None  # a second call of `train` would fail


def test_snippet_on_stopping_early_runs() -> None:
    names: dict[str, Any] = {}
    exec(python_of("how-to/stop-early.md", "SGDClassifier"), names)
    data = np.arange(20.0)[:, None] - 9.5, np.arange(20) > 9
    names["train_model"](data, data, {"alpha": 0.1, "epochs": 2})
    hopeless = Listener(Thresholds({0: 0.0, 1: 1.5}, maximize=True))
    with listening(hopeless), pytest.raises(optuna.TrialPruned):
        names["train_model"](data, data, {"alpha": 0.1, "epochs": 3})
    assert [step for step, _ in hopeless.curve()] == [0, 1]


@pytest.mark.parametrize("code", snippets("python"))
def test_python_compiles(code: str) -> None:
    lines = [line for line in code.splitlines() if not line.startswith(("%", "best = %"))]
    compile("\n".join(lines), "snippet", "exec")


def commands() -> Iterator[str]:
    """The commands of ours that the pages show, without comments and what a shell does to them."""
    for page in PAGES:
        fences = re.findall(r"^ *```.*?^ *```", page.read_text(encoding="utf-8"), re.M | re.S)
        for line in "\n".join(fences).splitlines():
            found = re.search(r"(?:^|[ `])kedro eeipu ([a-z][^#|>`]*)", line)
            if found and "OPTIONS" not in line:
                yield found[1].strip()


def test_commands_and_their_options_exist() -> None:
    shown = list(commands())
    assert len(shown) > 30
    wrong = []
    for line in shown:
        command: click.Command = eeipu
        rest = shlex.split(line)
        while isinstance(command, click.Group) and rest:
            name = rest.pop(0)
            if name not in command.commands:
                break
            command = command.commands[name]
        try:
            assert not isinstance(command, click.Group), "no such command"
            command.make_parser(click.Context(command)).parse_args(rest)
        except (AssertionError, click.ClickException) as error:
            wrong.append(f"kedro eeipu {line}: {error}")
    assert not wrong
