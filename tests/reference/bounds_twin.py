"""The map into bounds in plain NumPy, as the formulas stand: identity, two parabolas, mirrors, period."""

from __future__ import annotations

import numpy as np


def margins(low, high):
    """(a_low, a_high): 0.05 of the width where there are two bounds, max(1, |bound|)/20 where there is one."""
    with np.errstate(invalid="ignore"):
        two = 0.05 * (high - low)
    both = np.isfinite(low) & np.isfinite(high)
    return tuple(np.where(both, two, np.maximum(1, abs(bound)) / 20) for bound in (low, high))


def to_user(u, origin, scale, low, high):
    x = origin + scale * u
    a, b = margins(low, high)
    with np.errstate(invalid="ignore", over="ignore"):
        edge, other = low - a, high + b
        width = other - edge
        distance = np.mod(x - edge, 2 * width)
        periodic = edge + np.where(distance > width, 2 * width - distance, distance)
        x = np.where(np.isfinite(width), periodic, x)
        x = np.where((x < edge) & np.isinf(high), 2 * edge - x, x)
        x = np.where((x > other) & np.isinf(low), 2 * other - x, x)
        y = np.where(x < low + a, low + (x - low + a) ** 2 / (4 * a), x)
        return np.where(x > high - b, high - (x - high - b) ** 2 / (4 * b), y)


def to_strategy(y, origin, scale, low, high):
    """The point between the edges."""
    a, b = margins(low, high)
    with np.errstate(invalid="ignore", over="ignore"):
        x = np.where(y < low + a, low - a + 2 * np.sqrt(a * (y - low)), y)
        x = np.where(y > high - b, high + b - 2 * np.sqrt(b * (high - y)), x)
    return (x - origin) / scale
