"""From spelling to phonemes: a T5 teacher, and a smaller student distilled from it in stages."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from .nodes import (
    continue_student,
    encode_corpus,
    evaluate_speller,
    read_pronunciations,
    start_student,
    tune_teacher,
)


def create_pipeline(**_: object) -> Pipeline:
    """Read, encode, fine-tune the teacher, distil the student in three stages, evaluate."""
    return Pipeline(
        [
            Node(
                read_pronunciations,
                inputs=["cmudict", "params:language.split"],
                outputs="pronunciations",
                name="read_pronunciations",
            ),
            Node(
                encode_corpus,
                inputs=["pronunciations", "params:language.corpus"],
                outputs="encoded_words",
                name="encode_corpus",
            ),
            Node(
                tune_teacher,
                inputs=["encoded_words", "params:language.teacher", "params:language.device"],
                outputs="teacher",
                name="tune_teacher",
            ),
            Node(
                evaluate_speller,
                inputs=["teacher", "encoded_words", "params:language.device"],
                outputs="teacher_metrics",
                name="evaluate_teacher",
            ),
            Node(
                start_student,
                inputs=[
                    "encoded_words",
                    "teacher",
                    "params:language.student",
                    "params:language.distil_1",
                    "params:language.device",
                ],
                outputs="student_1",
                name="distil_student_1",
            ),
            *(
                Node(
                    continue_student,
                    inputs=[
                        "encoded_words",
                        "teacher",
                        f"student_{stage - 1}",
                        f"params:language.distil_{stage}",
                        "params:language.device",
                    ],
                    outputs=f"student_{stage}",
                    name=f"distil_student_{stage}",
                )
                for stage in (2, 3)
            ),
            Node(
                evaluate_speller,
                inputs=["student_3", "encoded_words", "params:language.device"],
                outputs="student_metrics",
                name="evaluate_student",
            ),
        ]
    )
