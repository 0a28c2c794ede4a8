"""Encode spellings and phonemes, fine-tune a teacher, distil a student, evaluate both.

What needs PyTorch and transformers is in `t5`, imported by the nodes that use it, so that the other
pipelines of this project start without them.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from flights.threads import use_one_thread

# https://en.wikipedia.org/wiki/ARPABET, without stress.
PHONEMES = ["AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G"]
PHONEMES += ["HH", "IH", "IY", "JH", "K", "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T"]
PHONEMES += ["TH", "UH", "UW", "V", "W", "Y", "Z", "ZH"]
# One letter a phoneme, so that the models write one byte for each.
LETTERS = dict(zip(PHONEMES, string.ascii_letters, strict=False))
PARTS = ("train", "validation", "test")

Corpus = dict[str, Any]
Model = dict[str, Any]


def read_pronunciations(cmudict: str, split: dict[str, Any]) -> pd.DataFrame:
    """Read a pronouncing dictionary and assign its words to training, validation or test.

    Args:
        cmudict: One word a line and its phonemes in ARPABET, as in CMUdict.
        split: `validation` and `test`, numbers of words of at most `max_letters` letters;
            `random_state`.

    Returns:
        One row per word: `word`, `phonemes` (one letter each) and `part`.

    Raises:
        ValueError: If a line is no such entry, a word is there twice, or there are too few words.
    """
    entries = [_entry(n, line) for n, line in enumerate(cmudict.splitlines(), start=1)]
    words = pd.DataFrame(entries, columns=["word", "phonemes"])
    if words["word"].duplicated().any():
        twice = words.loc[words["word"].duplicated(), "word"].iloc[0]
        raise ValueError(f"cmudict: '{twice}' is there twice")
    short = words.index[words["word"].str.len() <= split["max_letters"]]
    held_out = split["validation"] + split["test"]
    if len(short) <= held_out:
        raise ValueError(f"cmudict: {len(short)} short words, too few to hold out {held_out}")
    chosen = np.random.default_rng(split["random_state"]).permutation(short)[:held_out]
    part = pd.Series("train", index=words.index)
    part[chosen[: split["validation"]]] = "validation"
    part[chosen[split["validation"] :]] = "test"
    return words.assign(part=part)


def _entry(number: int, line: str) -> tuple[str, str]:
    word, *phonemes = line.split()
    bare = [re.sub(r"\d$", "", phoneme) for phoneme in phonemes]
    if not re.fullmatch("[a-z]+", word) or not bare or not set(bare) <= LETTERS.keys():
        raise ValueError(f"cmudict, line {number}: '{line}' is no word with its phonemes")
    return word, "".join(LETTERS[phoneme] for phoneme in bare)


def encode_corpus(pronunciations: pd.DataFrame, corpus: dict[str, Any]) -> Corpus:
    """Encode the words as ByT5 does, byte by byte.

    Args:
        pronunciations: `word`, `phonemes` and `part`.
        corpus: `words` to train on at most, of at most `max_letters` letters; `random_state`.

    Returns:
        `<part>_input` and `<part>_target`, token ids (n x length), and `<part>_phonemes`.
    """
    from flights.pipelines.language import t5

    train = pronunciations["part"] == "train"
    short = pronunciations["word"].str.len() <= corpus["max_letters"]
    usable = pronunciations[train & short]
    chosen = usable.sample(
        min(corpus["words"], len(usable)), random_state=corpus["random_state"]
    ).index
    encoded: Corpus = {}
    for part in PARTS:
        rows = pronunciations[pronunciations["part"] == part]
        rows = rows.loc[chosen] if part == "train" else rows
        encoded[f"{part}_input"] = t5.encode(list(rows["word"]))
        encoded[f"{part}_target"] = t5.encode(list(rows["phonemes"]))
        encoded[f"{part}_phonemes"] = list(rows["phonemes"])
    return encoded


def tune_teacher(encoded: Corpus, teacher: dict[str, Any], device: str) -> Model:
    """Fine-tune the teacher on the training words.

    Args:
        encoded: The encoded words.
        teacher: `d_model` and `layers`; `steps` of Adafactor with `batch_size` words and
            `learning_rate`; `dropout`; `random_state`.
        device: `cpu` or `cuda`.

    Returns:
        Its `sizes` and `weights`.
    """
    from flights.pipelines.language import t5

    use_one_thread()
    return t5.train(encoded, {k: teacher[k] for k in ("d_model", "layers")}, teacher, device)


def start_student(
    encoded: Corpus, teacher: Model, student: dict[str, Any], distil: dict[str, Any], device: str
) -> Model:
    """Train the first checkpoint of the student, from random weights.

    Args:
        encoded: The encoded words.
        teacher: The teacher.
        student: `d_model` and `layers` of the student.
        distil: As `teacher` of `tune_teacher`, and `temperature` and `soft_weight`, the share of
            the teacher's answers in the loss.
        device: `cpu` or `cuda`.

    Returns:
        The checkpoint's `sizes` and `weights`.
    """
    from flights.pipelines.language import t5

    use_one_thread()
    return t5.train(encoded, student, distil, device, teacher=teacher)


def continue_student(
    encoded: Corpus, teacher: Model, checkpoint: Model, distil: dict[str, Any], device: str
) -> Model:
    """Train the next checkpoint of the student.

    Args:
        encoded: The encoded words.
        teacher: The teacher.
        checkpoint: Where the student stands.
        distil: As for `start_student`.
        device: `cpu` or `cuda`.

    Returns:
        The checkpoint's `sizes` and `weights`.
    """
    from flights.pipelines.language import t5

    use_one_thread()
    sizes = checkpoint["sizes"]
    return t5.train(encoded, sizes, distil, device, checkpoint=checkpoint, teacher=teacher)


def evaluate_speller(model: Model, encoded: Corpus, device: str) -> dict[str, float]:
    """Evaluate the phonemes that a model writes for words that it has not seen.

    Args:
        model: The teacher or the student.
        encoded: The encoded words.
        device: `cpu` or `cuda`.

    Returns:
        `per`, the phoneme error rate (edits per phoneme) on the validation words, which tuning may
        look at, and `test_per` on the test words, which it may not.
    """
    from flights.pipelines.language import t5

    use_one_thread()
    metrics = {}
    for part, prefix in (("validation", ""), ("test", "test_")):
        true = encoded[f"{part}_phonemes"]
        longest = max(map(len, true)) + 2
        written = t5.decode(model, encoded[f"{part}_input"], longest, device)
        edits = sum(edit_distance(a, b) for a, b in zip(written, true, strict=True))
        metrics[f"{prefix}per"] = edits / sum(map(len, true))
    return metrics


def edit_distance(a: Sequence[str], b: Sequence[str]) -> int:
    """The least number of insertions, deletions and substitutions that turn `a` into `b`."""
    distances = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        diagonal, distances[0] = distances[0], i
        for j, y in enumerate(b, start=1):
            diagonal, distances[j] = (
                distances[j],
                min(distances[j] + 1, distances[j - 1] + 1, diagonal + (x != y)),
            )
    return distances[-1]
