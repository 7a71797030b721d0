"""Functions to try optimisers on: each takes one point (n,) or a batch (k, n) and works along the last axis.

All have their minimum 0; at the origin, for `rosenbrock` at (1, ..., 1).

References
----------
N. Hansen, A. Ostermeier. Completely derandomized self-adaptation in evolution strategies. Evolutionary Computation
9(2), 2001.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from lmcma.errors import ArgumentError
from lmcma.typing import FloatArray

Function: TypeAlias = Callable[[Any], Any]


def _exponents(n: int) -> FloatArray:
    """0 to 1 in n equal steps; 0 for n = 1."""
    return np.arange(n) / max(1, n - 1)


def sphere(x: ArrayLike) -> Any:
    """Sum of squares.

    >>> float(sphere([3.0, 4.0]))
    25.0
    """
    return np.square(x).sum(axis=-1)


def ellipsoid(x: ArrayLike) -> Any:
    """Axes from 1 to 1000, evenly spread on the log scale: condition number 1e6."""
    x = np.asarray(x)
    return np.square(x) @ 10 ** (6 * _exponents(x.shape[-1]))


def cigar(x: ArrayLike) -> Any:
    """One long axis: x_1^2 + 1e6 sum of the other squares."""
    squares = np.square(x)
    return squares[..., 0] + 1e6 * squares[..., 1:].sum(axis=-1)


def discus(x: ArrayLike) -> Any:
    """One short axis: 1e6 x_1^2 + sum of the other squares."""
    squares = np.square(x)
    return 1e6 * squares[..., 0] + squares[..., 1:].sum(axis=-1)


def different_powers(x: ArrayLike) -> Any:
    """Sum of abs(x_i)^(2 + 4 (i - 1)/(n - 1)): axes get ever more different towards the minimum."""
    x = np.asarray(x)
    return (np.abs(x) ** (2 + 4 * _exponents(x.shape[-1]))).sum(axis=-1)


def rosenbrock(x: ArrayLike) -> Any:
    """A bent valley: sum of 100 (x_i^2 - x_{i+1})^2 + (x_i - 1)^2; a second minimum near f = 4 for n >= 4."""
    x = np.asarray(x)
    return (100 * (x[..., :-1] ** 2 - x[..., 1:]) ** 2 + (x[..., :-1] - 1) ** 2).sum(axis=-1)


def rastrigin(x: ArrayLike) -> Any:
    """Sum of 10 (1 - cos(2 pi x_i)) + x_i^2: very many local minima on a lattice."""
    x = np.asarray(x)
    return (10 * (1 - np.cos(2 * np.pi * x)) + x**2).sum(axis=-1)


def compiled(function: Function) -> Callable[[FloatArray], float]:
    """One of the functions above for one point (n,), compiled; `minimize` then runs whole without Python.

    Sums are in another order, so that values may differ in the last bits.

    >>> import numpy as np
    >>> float(compiled(rosenbrock)(np.zeros(3)))
    2.0
    """
    from lmcma.kernels import objectives

    name = getattr(function, "__name__", "")
    if name not in _NAMES or globals()[name] is not function:
        raise ArgumentError(
            f"`function` must be one of {', '.join(_NAMES)} of lmcma.testfunctions; got {function!r:.80}. "
            "Compile functions of your own with numba.njit."
        )
    found: Callable[[FloatArray], float] = getattr(objectives, name)
    return found


_NAMES = ("sphere", "ellipsoid", "cigar", "discus", "different_powers", "rosenbrock", "rastrigin")


def rotated(function: Function, rotation: FloatArray) -> Function:
    """The function of R x; `random_rotation` makes an R."""

    def turned(x: ArrayLike) -> Any:
        return function(np.asarray(x) @ rotation.T)

    turned.__name__ = f"rotated_{getattr(function, '__name__', 'function')}"
    return turned


def random_rotation(n: int, rng: np.random.Generator | int | None = None) -> FloatArray:
    """A random orthogonal (n, n) matrix, uniformly distributed."""
    gauss = np.random.default_rng(rng).standard_normal((n, n))
    q, r = np.linalg.qr(gauss)
    turned: FloatArray = q * np.sign(np.diag(r))
    return turned
