from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from kedro_eeipu.optimizer.warping import warp_objective

values = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30)


@given(values)
def test_order_is_kept(values: list[float]) -> None:
    y = torch.tensor(values, dtype=torch.float64)
    warped = warp_objective(y)
    assert torch.isfinite(warped).all()
    assert (warped[y.argsort()].diff() >= -1e-9).all()


def test_unchanged_by_affine_maps() -> None:
    y = torch.randn(20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.allclose(warp_objective(y), warp_objective(1e4 * y - 7), atol=1e-9)


def test_one_terrible_point_does_not_flatten_the_others() -> None:
    y = torch.tensor([0.1, 0.5, 0.7, 0.9, 1.0, -1e6], dtype=torch.float64)
    warped = warp_objective(y)
    assert warped[4] - warped[2] > 0.15


def test_ties_do_not_fail() -> None:
    assert warp_objective(torch.zeros(4).double()).tolist() == [0.0] * 4
    tied = warp_objective(torch.tensor([1.0, 1.0, 1.0, 0.0]).double())
    assert tied[0] > tied[3]
