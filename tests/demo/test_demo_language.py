"""The language pipeline: its data, its nodes, and the same results wherever it runs."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from flights.pipelines import language
from flights.pipelines.language.nodes import (
    LETTERS,
    continue_student,
    edit_distance,
    encode_corpus,
    evaluate_speller,
    read_pronunciations,
    start_student,
    tune_teacher,
)

SPLIT = {"validation": 20, "test": 20, "max_letters": 5, "random_state": 0}


@pytest.fixture(scope="module")
def cmudict(demo: Path) -> str:
    """The dictionary as it is in the project."""
    return (demo / "data" / "01_raw" / "cmudict.dict").read_text()


@pytest.fixture(scope="module")
def settings(demo: Path) -> dict[str, Any]:
    """The pipeline's parameters, with models that train in a moment."""
    text = (demo / "conf" / "base" / "parameters_language.yml").read_text()
    settings = yaml.safe_load(text)["language"]
    settings["split"].update({"validation": 20, "test": 20})
    settings["corpus"]["words"] = 200
    settings["teacher"].update({"d_model": 16, "steps": 4})
    settings["student"]["d_model"] = 8
    for stage in (1, 2, 3):
        settings[f"distil_{stage}"]["steps"] = 2
    return settings


@pytest.fixture(scope="module")
def encoded(cmudict: str, settings: dict[str, Any]) -> dict[str, Any]:
    pronunciations = read_pronunciations(cmudict, settings["split"])
    return encode_corpus(pronunciations, settings["corpus"])


def test_dictionary_is_whole_small_and_comes_with_its_licence(demo: Path, cmudict: str) -> None:
    raw = demo / "data" / "01_raw"
    words = read_pronunciations(cmudict, SPLIT)
    assert len(words) == 24_000
    assert len(cmudict) < 700_000
    assert f"| `cmudict.dict` | {len(words):,} |" in (raw / "README.md").read_text()
    assert "Carnegie Mellon University" in (raw / "cmudict-LICENSE.txt").read_text()


def test_held_out_words_are_short_and_never_trained_on(cmudict: str) -> None:
    words = read_pronunciations(cmudict, SPLIT)
    held_out = words[words["part"] != "train"]
    assert held_out["part"].value_counts().to_dict() == {"validation": 20, "test": 20}
    assert held_out["word"].str.len().max() <= 5
    again = read_pronunciations(cmudict, SPLIT)
    pd.testing.assert_frame_equal(words, again)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("cat K AE1 T\ndog", "line 2: 'dog'"),
        ("cat K XX T", "line 1"),
        ("cat K AE1 T\ncat K AA1 T", "'cat' is there twice"),
        ("cat K AE1 T", "too few"),
    ],
)
def test_wrong_dictionary_is_refused(text: str, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        read_pronunciations(text, SPLIT)


def test_words_are_encoded_as_bytes_and_read_back(encoded: dict[str, Any]) -> None:
    from transformers import ByT5Tokenizer

    written = ByT5Tokenizer().batch_decode(encoded["validation_target"], skip_special_tokens=True)
    assert written == encoded["validation_phonemes"]
    assert set("".join(written)) <= set(LETTERS.values())
    assert len(encoded["train_input"]) == 200
    assert encoded["train_input"].shape[1] <= 5 + 1


def stages(encoded: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """The teacher and the student's checkpoints."""
    made = {"teacher": tune_teacher(encoded, settings["teacher"], "cpu")}
    made["student_1"] = start_student(
        encoded, made["teacher"], settings["student"], settings["distil_1"], "cpu"
    )
    for stage in (2, 3):
        made[f"student_{stage}"] = continue_student(
            encoded,
            made["teacher"],
            made[f"student_{stage - 1}"],
            settings[f"distil_{stage}"],
            "cpu",
        )
    return made


def test_same_parameters_give_the_same_bits_and_stages_go_on(
    encoded: dict[str, Any], settings: dict[str, Any]
) -> None:
    once, twice = stages(encoded, settings), stages(encoded, settings)
    for name, model in once.items():
        for key, array in model["weights"].items():
            np.testing.assert_array_equal(array, twice[name]["weights"][key])
    shared = "shared.weight"
    weights = [once[f"student_{i}"]["weights"][shared] for i in (1, 2, 3)]
    assert not np.allclose(weights[0], weights[1])
    assert not np.allclose(weights[1], weights[2])
    resting = copy.deepcopy(settings["distil_2"]) | {"learning_rate": 0.0}
    kept = continue_student(encoded, once["teacher"], once["student_1"], resting, "cpu")
    np.testing.assert_array_equal(kept["weights"][shared], weights[0])
    metrics = evaluate_speller(once["student_3"], encoded, "cpu")
    assert set(metrics) == {"per", "test_per"}


def test_teacher_learns_and_student_listens_to_it(cmudict: str, settings: dict[str, Any]) -> None:
    settings = copy.deepcopy(settings)
    settings["corpus"]["words"] = 2000
    settings["teacher"].update({"d_model": 32, "steps": 80})
    words = read_pronunciations(cmudict, settings["split"])
    encoded = encode_corpus(words, settings["corpus"])
    teacher = tune_teacher(encoded, settings["teacher"], "cpu")
    assert evaluate_speller(teacher, encoded, "cpu")["per"] < 0.85
    students = [
        start_student(
            encoded, teacher, settings["student"], settings["distil_1"] | {"soft_weight": w}, "cpu"
        )["weights"]["shared.weight"]
        for w in (0.0, 1.0)
    ]
    assert not np.allclose(*students)


@pytest.mark.parametrize(
    ("a", "b", "edits"),
    [("", "", 0), ("abc", "abc", 0), ("abc", "", 3), ("kitten", "sitting", 3), ("ab", "ba", 2)],
)
def test_edit_distance(a: str, b: str, edits: int) -> None:
    assert edit_distance(a, b) == edit_distance(b, a) == edits


def test_five_stages_with_readable_names() -> None:
    pipeline = language.create_pipeline()
    names = [node.name for node in pipeline.nodes]
    assert len(names) == 8
    for name in ("encode_corpus", "tune_teacher", *(f"distil_student_{i}" for i in (1, 2, 3))):
        assert name in names
    assert all(node.func.__doc__ for node in pipeline.nodes)
