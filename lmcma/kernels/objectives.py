"""The functions of `lmcma.testfunctions` for one point, compiled; their twins there are the definition."""

from __future__ import annotations

import math

from lmcma.kernels.compile import kernel
from lmcma.typing import FloatArray


@kernel
def sphere(x: FloatArray) -> float:
    """Sum of squares."""
    total = 0.0
    for v in x:
        total += v * v
    return total


@kernel
def ellipsoid(x: FloatArray) -> float:
    """Axes from 1 to 1000."""
    total, n = 0.0, len(x)
    ratio = 10.0 ** (6.0 / max(1, n - 1))
    scale = 1.0
    for v in x:
        total += scale * v * v
        scale *= ratio
    return total


@kernel
def cigar(x: FloatArray) -> float:
    """One long axis."""
    return x[0] * x[0] + 1e6 * sphere(x[1:])


@kernel
def discus(x: FloatArray) -> float:
    """One short axis."""
    return 1e6 * x[0] * x[0] + sphere(x[1:])


@kernel
def different_powers(x: FloatArray) -> float:
    """Powers from 2 to 6."""
    total, n = 0.0, len(x)
    for j in range(n):
        total += abs(x[j]) ** (2.0 + 4.0 * j / max(1, n - 1))
    return total


@kernel
def rosenbrock(x: FloatArray) -> float:
    """A bent valley."""
    total = 0.0
    for j in range(len(x) - 1):
        a, b = x[j] * x[j] - x[j + 1], x[j] - 1.0
        total += 100.0 * a * a + b * b
    return total


@kernel
def rastrigin(x: FloatArray) -> float:
    """Local minima on a lattice."""
    total = 0.0
    for v in x:
        total += 10.0 * (1.0 - math.cos(2.0 * math.pi * v)) + v * v
    return total
