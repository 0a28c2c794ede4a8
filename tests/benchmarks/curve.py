"""Draw curves of the best value against time as an SVG, as `three_ways.py` needs it."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

Curve = Sequence[tuple[float, float]]
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 720, 420, 74, 24, 104, 56


def mean_curve(curves: Sequence[Curve], end: float, start: float = 0.0) -> Curve:
    """The mean of the best values of several runs, each given as values by time."""
    times = sorted({at for curve in curves for at, _ in curve if start <= at <= end})
    return [
        (at, statistics.fmean(min(v for t, v in curve if t <= at) for curve in curves))
        for at in [*times, end]
    ]


def drawn(
    curves: Mapping[str, Curve], ways: Mapping[str, tuple[str, str]], title: str, unit: str
) -> str:
    """Step curves as an SVG: lower is better, time goes to the right."""
    values = [value for curve in curves.values() for _, value in curve]
    low, high = min(values), max(values)
    end = max(at for curve in curves.values() for at, _ in curve)

    def x(at: float) -> float:
        return _LEFT + at / end * (_WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        share = (value - low) / ((high - low) or 1)
        return _HEIGHT - _BOTTOM - 12 - share * (_HEIGHT - _BOTTOM - _TOP - 24)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'font-family="Helvetica, Arial, sans-serif" font-size="14" fill="#1f2328">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" rx="8" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="26" font-weight="bold">{title}</text>',
    ]
    for i in range(5):
        value = low + (high - low) * i / 4
        parts.append(
            f'<path d="M{_LEFT} {y(value):.1f}H{_WIDTH - _RIGHT}" stroke="#d8dee4"/>'
            f'<text x="{_LEFT - 8}" y="{y(value) + 5:.1f}" text-anchor="end">{value:.4f}</text>'
        )
    tick = float(f"{end / 4:.0e}")
    parts += [
        f'<text x="{x(i * tick):.1f}" y="{_HEIGHT - _BOTTOM + 20}" '
        f'text-anchor="middle">{i * tick:.3g}</text>'
        for i in range(int(end / tick) + 1)
    ]
    parts.append(
        f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 12}" '
        f'text-anchor="middle">{unit}</text>'
    )
    for i, (way, curve) in enumerate(curves.items()):
        name, colour = ways[way]
        steps = "".join(f"H{x(at):.1f}V{y(value):.1f}" for at, value in curve)
        start = f"M{x(curve[0][0]):.1f} {y(curve[0][1]):.1f}"
        legend = 50 + 20 * i
        parts.append(
            f'<path d="{start}{steps}" fill="none" stroke="{colour}" stroke-width="2.5"/>'
            f'<path d="M{_LEFT} {legend - 5}h26" stroke="{colour}" stroke-width="3"/>'
            f'<text x="{_LEFT + 36}" y="{legend}">{name}</text>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"
