from __future__ import annotations

import math

import pytest
import torch

from kedro_eeipu.optimizer.unit_cube import Dimension, Space


def points(*rows: list[float]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def test_snap_gives_exactly_the_levels() -> None:
    space = Space([Dimension(levels=7), Dimension(), Dimension(levels=1)])
    snapped = space.snap(points([0.34, 0.34, 0.9], [0.99, -1.0, 0.0]))
    assert snapped.tolist() == [[2 / 6, 0.34, 0.0], [1.0, 0.0, 0.0]]


def test_conditions_chain() -> None:
    space = Space(
        [
            Dimension(active_when=(1, frozenset({2}))),
            Dimension(levels=3, ordered=False, active_when=(2, frozenset({0}))),
            Dimension(levels=2, ordered=False),
        ]
    )
    active = space.active(points([0.5, 1.0, 0.0], [0.5, 0.5, 0.0], [0.5, 1.0, 1.0]))
    assert active.tolist() == [[True, True, True], [False, True, True], [False, False, True]]
    hidden = space.hide(points([0.5, 1.0, 1.0]))[0].tolist()
    assert math.isnan(hidden[0])
    assert math.isnan(hidden[1])
    assert space.controllers(frozenset({0})) == {0, 1, 2}


def test_distances_of_categories_are_zero_or_one() -> None:
    space = Space([Dimension(levels=4, ordered=False), Dimension()])
    z = points([0, 0.2], [1 / 3, 0.2], [1, 0.2], [1, 0.9])
    features = space.features(z, space.active(z))
    assert torch.cdist(features, features)[0, :3].tolist() == pytest.approx([0, 1, 1])
    assert torch.dist(features[2], features[3]) == pytest.approx(0.7)


def test_inactive_values_do_not_separate_points() -> None:
    space = Space([Dimension(levels=2, ordered=False), Dimension(active_when=(0, frozenset({1})))])
    z = points([0, 0.1], [0, 0.9], [1, 0.1], [1, 0.9])
    features = space.features(z, space.active(z))
    assert features[0].tolist() == features[1].tolist()
    assert features[2].tolist() != features[3].tolist()


@pytest.mark.parametrize(
    "dimensions",
    [
        [Dimension(ordered=False)],
        [Dimension(levels=-1)],
        [Dimension(active_when=(1, frozenset({0})))],
        [Dimension(), Dimension(active_when=(0, frozenset({0})))],
        [Dimension(levels=2, active_when=(0, frozenset({0})))],
    ],
)
def test_contradictions_are_refused(dimensions: list[Dimension]) -> None:
    with pytest.raises(ValueError, match="column"):
        Space(dimensions)


def test_size_counts_levels() -> None:
    assert Space([Dimension(levels=3), Dimension(levels=4)]).size == 12
    assert Space([Dimension(levels=3), Dimension()]).size == 0


def test_features_of_categories_alone_are_in_double_precision() -> None:
    space = Space([Dimension(levels=2, ordered=False), Dimension(levels=3, ordered=False)])
    z = points([0, 0.5], [1, 1])
    assert space.features(z, space.active(z)).dtype == torch.float64


def test_levels_at_places_of_their_own() -> None:
    places = (0.0, 0.5, 0.8, 1.0)  # 1, 2, 3, 4 on a logarithmic scale, roughly
    space = Space([Dimension(levels=4, places=places), Dimension(levels=3)])
    z = points([0.2, 0.2], [0.26, 0.3], [0.64, 0.8], [0.66, 1.0])
    assert space.level(z)[:, 0].tolist() == [0, 1, 1, 2]
    assert space.snap(z)[:, 0].tolist() == [0.0, 0.5, 0.5, 0.8]
    assert space.snap(space.snap(z)).tolist() == space.snap(z).tolist()
    with pytest.raises(ValueError, match="places"):
        Space([Dimension(levels=3, places=(0.0, 1.0))])


def test_continuous_proposals_lie_on_a_fine_grid() -> None:
    space = Space([Dimension()])
    (snapped,) = space.snap(points([1 / 3])).tolist()
    assert snapped[0] == round(1e12 / 3) / 1e12


@pytest.mark.parametrize(
    ("dimensions", "said"),
    [
        ([], "nothing to tune"),
        ([Dimension(levels=3, places=(0.0, 1.0))], "2 places for 3 levels"),
        ([Dimension(levels=2, places=(1.0, 0.0))], "places must ascend"),
        ([Dimension(levels=2, places=(0.0, 1.5))], "places must ascend"),
        ([Dimension(levels=2, ordered=False, places=(0.0, 1.0))], "have no places"),
        (
            [Dimension(levels=2), Dimension(active_when=(0, frozenset({2})))],
            "column 0 has not all of these levels",
        ),
    ],
)
def test_spaces_that_cannot_be_are_named(dimensions: list[Dimension], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Space(dimensions)
