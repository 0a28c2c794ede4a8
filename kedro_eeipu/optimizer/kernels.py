"""The surrogates' kernel, as a GPyTorch kernel.

    k(x, x') = sum_c o_c m(r_c(x, x')) + sum_s e_s [same execution of stage s] + sum_f v_f m_f m_f',
    m(r) = (1 + t + t^2 / 3) exp(-t),  t = sqrt(5) r

m_f is what the f-th related objective lets expect at x: the last F features.

GPyTorch's Matern kernels in a sum would each have their own lengthscales. Here all components
share them, and all features of a category share one. Notation as in `surrogates.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from botorch.utils.constraints import LogTransformedInterval
from gpytorch.kernels import Kernel
from gpytorch.priors import GammaPrior
from torch import Tensor

from kedro_eeipu.optimizer.hyperparameters import (
    BOUNDS,
    EXECUTION_SCALE_PRIOR,
    FURTHER_OUTPUTSCALE_PRIOR,
    LENGTHSCALE_PRIOR,
    OUTPUTSCALE_PRIOR,
    SLOPE_PRIOR,
    SQRT5,
    Gamma,
    Hyperparameters,
    column_shares,
)

__all__ = ["StageKernel", "between", "gamma", "set_parameter"]


class _Matern52(torch.autograd.Function):
    """Matern-5/2 correlation of the squared distance, with a derivative that is finite at 0."""

    @staticmethod
    def forward(ctx, r2: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        t = SQRT5 * r2.clamp(min=0).sqrt()
        decay = torch.exp(-t)
        ctx.save_for_backward(t, decay)
        return (1 + t + t * t / 3) * decay

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        t, decay = ctx.saved_tensors
        return grad * (-5 / 6) * (1 + t) * decay


class StageKernel(Kernel):  # type: ignore[misc]
    """Matern-5/2 components over groups of columns, and random effects of executions.

    Lengthscales, outputscales and execution scales are GPyTorch parameters with priors and bounds,
    so `fit_gpytorch_mll` can fit them. `lengthscale` is of the columns that some group has.

    Args:
        groups: the columns of x that each of the C components sees.
        feature_column: `D`, the column of x that each feature belongs to.
        executions: the columns that reach each of the S stages whose executions have an effect.
        hyperparameters: values to begin with. As many of the last features as it has slope scales
            are what related objectives let expect.
    """

    has_lengthscale = True

    def __init__(
        self,
        groups: Sequence[frozenset[int]],
        feature_column: Tensor,
        executions: Sequence[frozenset[int]],
        hyperparameters: Hyperparameters,
    ) -> None:
        shares = column_shares(groups, len(hyperparameters.lengthscale))
        used = shares.sum(0).nonzero()[:, 0]
        super().__init__(
            ard_num_dims=len(used),
            lengthscale_prior=gamma(LENGTHSCALE_PRIOR),
            lengthscale_constraint=between("lengthscale"),
        )
        self.ard_num_dims = None  # GPyTorch compares it with the number of features
        self.register_buffer("_root", shares[:, used].sqrt())
        self.register_buffer("_column_of", (used[:, None] == feature_column).to(torch.float64))
        self._executions = [
            torch.isin(feature_column, torch.tensor(sorted(columns))) for columns in executions
        ]
        self._related = len(hyperparameters.slope_scale)
        kinds = [
            ("outputscale", len(groups), "outputscale"),
            ("execution_scale", len(executions), "noise"),
        ]
        if self._related:
            kinds.append(("slope_scale", self._related, "outputscale"))
        for name, count, bounds in kinds:
            parameter = torch.nn.Parameter(torch.zeros(count, dtype=torch.float64))
            self.register_parameter(f"raw_{name}", parameter)
            self.register_constraint(f"raw_{name}", between(bounds))
        self.register_prior("first_prior", gamma(OUTPUTSCALE_PRIOR), _first_outputscale)
        self.register_prior(
            "further_prior", gamma(FURTHER_OUTPUTSCALE_PRIOR), _further_outputscales
        )
        self.register_prior("execution_prior", gamma(EXECUTION_SCALE_PRIOR), _execution_scales)
        if self._related:
            self.register_prior("slope_prior", gamma(SLOPE_PRIOR), _slope_scales)
        self.double()
        set_parameter(self, "raw_lengthscale", hyperparameters.lengthscale[used])
        set_parameter(self, "raw_outputscale", hyperparameters.outputscale)
        set_parameter(self, "raw_execution_scale", hyperparameters.execution_scale)
        if self._related:
            set_parameter(self, "raw_slope_scale", hyperparameters.slope_scale)

    @property
    def outputscale(self) -> Tensor:
        """Variance of each component, `C`."""
        return self.raw_outputscale_constraint.transform(self.raw_outputscale)

    @property
    def execution_scale(self) -> Tensor:
        """Variance of the random effect of an execution of each stage, `S`."""
        return self.raw_execution_scale_constraint.transform(self.raw_execution_scale)

    @property
    def slope_scale(self) -> Tensor:
        """Variance of the slope on what each related objective lets expect, `F`."""
        return self.raw_slope_scale_constraint.transform(self.raw_slope_scale)

    def forward(  # type: ignore[no-untyped-def]
        self, x1: Tensor, x2: Tensor, diag: bool = False, **_
    ) -> Tensor:
        """Covariance of features, `... x n x D` and `... x n' x D`: `... x n x n'`.

        With `diag` that of each point with itself, `... x n`.
        """
        if diag:
            variance = self.outputscale.sum() + self.execution_scale.sum()
            if self._related:
                expected = x1[..., -self._related :]
                return variance + expected.square() @ self.slope_scale
            return variance.expand(x1.shape[:-1])
        weight = (self._root / self.lengthscale) @ self._column_of  # C x D
        r2 = _squared_distances(x1, x2, weight)
        matern = _Matern52.apply(r2)  # type: ignore[no-untyped-call]
        covariance = (self.outputscale[:, None, None] * matern).sum(-3)
        for at, scale in zip(self._executions, self.execution_scale, strict=True):
            same = (x1[..., :, None, at] == x2[..., None, :, at]).all(-1)
            covariance = covariance + scale * same
        if self._related:
            first, second = (x[..., -self._related :] for x in (x1, x2))
            covariance = covariance + (first * self.slope_scale) @ second.mT
        return covariance


def _squared_distances(x1: Tensor, x2: Tensor, weight: Tensor) -> Tensor:
    """Of weighted features, `... x C x n x n'`."""
    if x1.shape[-2] == 1:  # of one point, whose training points GPyTorch repeats for each of many
        return ((x1 - x2).square() @ weight.square().T).mT[..., None, :]
    first, second = (x.unsqueeze(-3) * weight[:, None, :] for x in (x1, x2))
    r2 = first.square().sum(-1)[..., :, None] + second.square().sum(-1)[..., None, :]
    return r2 - 2 * first @ second.mT


def _first_outputscale(kernel: StageKernel) -> Tensor:
    return kernel.outputscale[:1]


def _further_outputscales(kernel: StageKernel) -> Tensor:
    return kernel.outputscale[1:]


def _execution_scales(kernel: StageKernel) -> Tensor:
    return kernel.execution_scale


def _slope_scales(kernel: StageKernel) -> Tensor:
    return kernel.slope_scale


def set_parameter(module: torch.nn.Module, name: str, value: Tensor) -> None:
    """Set a parameter that is fitted by its logarithm.

    GPyTorch's `initialize` refuses a value that is a rounding error beyond its bound.
    """
    with torch.no_grad():
        module.get_parameter(name).copy_(value.log())


def gamma(prior: Gamma) -> GammaPrior:
    """A prior as GPyTorch has it."""
    return GammaPrior(prior.concentration, prior.rate)


def between(kind: str) -> LogTransformedInterval:
    """Bounds of a kind of hyperparameter, which is fitted by its logarithm."""
    low, high = (math.exp(bound) for bound in BOUNDS[kind])
    return LogTransformedInterval(low, high)
