from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kedro_eeipu.optimizer.warping import warpings

values = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30)


@given(values)
def test_order_is_kept(values: list[float]) -> None:
    y = torch.tensor(values, dtype=torch.float64)
    for warped in warpings(y):
        assert torch.isfinite(warped.y).all()
        assert (warped.y[y.argsort()].diff() >= -1e-9).all()


def test_unchanged_by_affine_maps_up_to_the_scale_of_the_density() -> None:
    y = torch.randn(20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    plain, mapped = warpings(y), warpings(1e4 * y - 7)
    differences = [
        float((b.log_slope - a.log_slope).sum()) for a, b in zip(plain, mapped, strict=True)
    ]
    for a, b in zip(plain, mapped, strict=True):
        assert torch.allclose(a.y, b.y, atol=1e-9)
    assert differences == pytest.approx([differences[0]] * len(differences))


def test_log_slope_is_that_of_the_map() -> None:
    y = torch.randn(20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    order = y.argsort()
    for warped in warpings(y):
        # The map is seen at the told values only: slopes of chords against slopes at points.
        chords = (warped.y[order].diff() / y[order].diff()).log().mean()
        assert chords.item() == pytest.approx(warped.log_slope.mean().item(), abs=0.1)


def test_one_terrible_point_does_not_flatten_the_others() -> None:
    y = torch.tensor([0.1, 0.5, 0.7, 0.9, 1.0, -1e6], dtype=torch.float64)
    plain, *warped = (candidate.y for candidate in warpings(y))
    assert plain[4] - plain[0] < 1e-5
    assert all(candidate[4] - candidate[0] > 0.05 for candidate in warped)


def test_ties_do_not_fail() -> None:
    constant = torch.zeros(4, dtype=torch.float64)
    assert [warped.y.tolist() for warped in warpings(constant)] == [[0.0] * 4]
    for warped in warpings(torch.tensor([1.0, 1.0, 1.0, 0.0], dtype=torch.float64)):
        assert warped.y[0] > warped.y[3]
