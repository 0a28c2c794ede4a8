"""From the raw tables to one table of flights."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from .nodes import assign_days, clean_flights, describe_planes, join_tables, summarise_weather


def create_pipeline(**_: object) -> Pipeline:
    """Clean the three tables, join them, assign days to training, validation and test."""
    return Pipeline(
        [
            Node(clean_flights, inputs="flights_raw", outputs="flights", name="clean_flights"),
            Node(
                assign_days,
                inputs=["flights", "params:split"],
                outputs="outcomes",
                name="assign_days",
            ),
            Node(
                summarise_weather,
                inputs=["weather_raw", "params:weather"],
                outputs="weather_summary",
                name="summarise_weather",
            ),
            Node(
                describe_planes,
                inputs="planes_raw",
                outputs="plane_features",
                name="describe_planes",
            ),
            Node(
                join_tables,
                inputs=["flights", "weather_summary", "plane_features"],
                outputs="joined_flights",
                name="join_tables",
            ),
        ]
    )
