"""The map between the space that a strategy searches and the user's: scaled coordinates, folded into bounds.

Per coordinate, v = origin + scale u is unbounded. Within margins a of the bounds the user's variable is y = v; at a
bound a parabola takes over, e = v - (low - a) from the edge on::

    y = low + e^2 / (4 a)      for 0 <= e <= 2 a

and correspondingly at `high`; beyond the edges low - a and high + a everything is mirrored, so that y has the period
2 (high - low + a_low + a_high) where both bounds are finite. It is continuous, and so is its slope. Bounds and margins
that are not there are infinite and 0.

Everything about n coordinates is in one table, (6, n): the rows origin, scale, low, high, a_low, a_high.
"""

from __future__ import annotations

import math

import numpy as np

from lmcma.kernels.compile import kernel
from lmcma.typing import FloatArray

ORIGIN, SCALE, LOW, HIGH, A_LOW, A_HIGH = range(6)
_LARGEST = float(np.finfo(np.float64).max)
_BLOCK = 256  # columns that are done for all rows before the next ones: their part of the table stays in cache


@kernel
def _seen_at(d: float, span: float) -> tuple[float, float]:
    """Mirror a distance from an edge into [0, span]: where it is seen, and 1, or -1 on the back of a mirror."""
    d = min(max(d, -_LARGEST), _LARGEST)
    if abs(d) > span:
        d = np.fmod(d, 2 * span)
    side = 1.0 if d >= 0 else -1.0
    d = abs(d)
    return (d, side) if d <= span else (span - (d - span), -side)


@kernel
def fold(v: float, low: float, high: float, a_low: float, a_high: float) -> float:
    """The feasible number that `v` stands for."""
    if v - low >= a_low and high - v >= a_high:
        return v
    flip = high - v < v - low  # distances are taken from the nearer bound
    if flip:
        v, low, high, a_low, a_high = -v, -high, -low, a_high, a_low
    span = (high - low) + a_low + a_high
    e, _ = _seen_at((v - low) + a_low, span)
    if e < 2 * a_low:
        y = low + e * (e / (4 * a_low))
    elif span - e < 2 * a_high:
        y = high - (span - e) * ((span - e) / (4 * a_high))
    else:
        y = low + (e - a_low)
    y = min(max(y, low), min(high, _LARGEST))
    return -y if flip else y


@kernel
def unfold(y: float, near: float, low: float, high: float, a_low: float, a_high: float) -> float:
    """Of the numbers that `fold` takes to the feasible `y`, the one nearest to `near`: `near` itself if it is one."""
    if fold(near, low, high, a_low, a_high) == y:
        return near
    if y - low < a_low:
        v = low + (2 * math.sqrt(a_low) * math.sqrt(y - low) - a_low)
    elif high - y < a_high:
        v = high - (2 * math.sqrt(a_high) * math.sqrt(high - y) - a_high)
    else:
        v = y
    if near - low < -a_low or high - near < -a_high:  # behind an edge: the same step from where `near` is seen
        flip = low == -math.inf
        if flip:
            v, near, low, high, a_low, a_high = -v, -near, -high, -low, a_high, a_low
        seen, side = _seen_at((near - low) + a_low, (high - low) + a_low + a_high)
        v = near + side * ((v - low) + a_low - seen)
        if flip:
            v = -v
    return min(max(v, -_LARGEST), _LARGEST)


@kernel
def to_user(x: FloatArray, table: FloatArray) -> None:
    """Take points of the strategy to the user's space, in place.

    x : (k, n); table : (6, n).
    """
    k, n = x.shape
    for start in range(0, n, _BLOCK):
        end = min(n, start + _BLOCK)
        origin, scale = table[ORIGIN, start:end], table[SCALE, start:end]
        low, high = table[LOW, start:end], table[HIGH, start:end]
        a_low, a_high = table[A_LOW, start:end], table[A_HIGH, start:end]
        for row in range(k):
            v = x[row, start:end]
            inside = 0
            for j in range(end - start):  # without a branch, so that it is vectorised: all there is to do most often
                v[j] = origin[j] + scale[j] * v[j]
                inside += (v[j] - low[j] >= a_low[j]) & (high[j] - v[j] >= a_high[j])
            if inside < end - start:
                for j in range(end - start):
                    if not (v[j] - low[j] >= a_low[j] and high[j] - v[j] >= a_high[j]):
                        v[j] = fold(min(max(v[j], -_LARGEST), _LARGEST), low[j], high[j], a_low[j], a_high[j])


@kernel
def to_strategy(x: FloatArray, u: FloatArray, table: FloatArray) -> None:
    """Take feasible points of the user to the strategy's space: of all that map onto them, those nearest to `u`.

    x, u : (k, n); table : (6, n). Overwrites `u`, except where it maps onto `x` already. What is not finite stays so.
    """
    k, n = x.shape
    for row in range(k):
        for j in range(n):
            y = x[row, j]
            if not math.isfinite(y):
                u[row, j] = y
                continue
            near = table[ORIGIN, j] + table[SCALE, j] * u[row, j]
            near = min(max(near, -_LARGEST), _LARGEST)
            v = unfold(y, near, table[LOW, j], table[HIGH, j], table[A_LOW, j], table[A_HIGH, j])
            if v != near:
                u[row, j] = (v - table[ORIGIN, j]) / table[SCALE, j]
