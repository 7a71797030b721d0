"""A ranking support vector machine on points in their order.

References
----------
T. Joachims. A Support Vector Method for Multivariate Performance Measures. ICML 2005.
I. Loshchilov, M. Schoenauer, M. Sebag. Self-adaptive surrogate-assisted CMA-ES. GECCO 2012.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from lmcma.arguments import as_points, as_positive, as_real, as_values, shape_of
from lmcma.errors import ArgumentError, MemoryLimitError, ProtocolError, ShapeError
from lmcma.kernels import ranksvm as kernels
from lmcma.kernels.ascent import square
from lmcma.strategies.base import memory_limit
from lmcma.typing import BoolArray, FloatArray, IntArray

_MOST_SWEEPS = 1e9
NEAR = 10.0  # sqrt(n) sigma: what is farther away says nothing about where the search is
_FLOAT32_FROM = 128  # points
Frame: TypeAlias = tuple[FloatArray, FloatArray]  # mean and W, W^T W = C^(-1), of the distribution around a model


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a model is trained: the hyper-parameters theta.

    Parameters
    ----------
    points : int
        Of the most recent points, so many are trained on: N.
    c_base, c_pow : float
        The constraint between ranks i and i + 1 weighs 10^c_base (N - 1 - i)^c_pow.
    c_sigma : float
        Width of the kernel in units of the mean distance of the points.
    sweeps : float
        Steps of coordinate ascent, per point.
    """

    points: int
    c_base: float = 6.0
    c_pow: float = 3.0
    c_sigma: float = 1.0
    sweeps: float = 1000.0


@dataclasses.dataclass(frozen=True)
class Fitted:
    """A model that is trained.

    Parameters
    ----------
    Z : (n, N) array
        The points in the frame of the model, in columns.
    beta : (N,) array
        Their weights.
    width : float
        2 s^2 of the kernel.
    """

    Z: FloatArray
    beta: FloatArray
    width: float

    def values(self, Z: FloatArray) -> FloatArray:
        """Values at points in columns, (n, k), of the same frame; smaller is better."""
        out = np.empty(Z.shape[1])
        kernels.predict(self.Z, self.beta, self.width, Z, out)
        return out


def framed(frame: Frame, x: FloatArray) -> FloatArray:
    """Points, (k, n), in the frame of a model, in columns: W (x - mean)."""
    mean, W = frame
    with np.errstate(over="ignore", invalid="ignore"):  # what is too far away has no finite place there
        return np.ascontiguousarray(W @ (x - mean).T)


def near(frame: Frame, sigma: float, x: FloatArray) -> BoolArray:
    """Which of points x, (k, n), are within 10 sigma sqrt(n) of the mean, so that a model may learn from them, (k,)."""
    with np.errstate(over="ignore", invalid="ignore"):
        distances = np.linalg.norm(framed(frame, x), axis=0)
    return np.asarray(distances <= NEAR * np.sqrt(x.shape[1]) * sigma)


def in_order(f: FloatArray) -> tuple[IntArray, BoolArray]:
    """The order of values, best first, earlier ones first on ties, and whether each is equal to its successor."""
    order = np.argsort(f, kind="stable")
    ranked = f[order]
    return order, np.append(ranked[:-1] == ranked[1:], False)


def enough(f: FloatArray, n: int) -> bool:
    """Whether values order the points well enough for a model: max(3, n + 1) different ones, infinities aside."""
    return len(np.unique(f[np.isfinite(f)])) >= max(3, n + 1)


def scratch(N: int) -> FloatArray:
    """Scratch for the training on up to N points: of float32 where that is faster, which leaves the order the same."""
    return square(N, np.float64 if scratch_item(N) == 8 else np.float32)


def scratch_item(N: int) -> int:
    """Bytes of a number in `scratch`."""
    return 8 if N < _FLOAT32_FROM else 4


def train(Z: FloatArray, f: FloatArray, settings: Settings) -> Fitted | None:
    """The model of points in columns, (n, N), with values (N,); None where they tell nothing."""
    n, N = Z.shape
    if not enough(f, n):
        return None
    order, tied = in_order(f)
    Z = np.ascontiguousarray(Z[:, order])
    D2, K, beta = np.empty((N, N)), scratch(N), np.empty(N)
    kernels.squared_distances(Z, Z, D2)
    width = kernels.fit(D2, np.arange(N), tied, *_numbers(settings), K, beta)
    return Fitted(Z, beta, width) if width > 0 else None


def _numbers(settings: Settings) -> tuple[float, float, float, float]:
    return settings.c_base, settings.c_pow, settings.c_sigma, settings.sweeps


class RankSVM:
    """Ranking support vector machine: learns an order of points, and predicts that of others.

    Only the order of the values enters. The model is the one that saACM-ES searches on; its training ends early, which
    is part of it.

    Parameters
    ----------
    c_pow : float
        How much more constraints among the best points weigh: the one between ranks i and i + 1 of N points weighs
        (N - 1 - i)^c_pow; at least 0.
    c_sigma : float
        Width of the kernel in units of the mean distance of the points.
    sweeps : float
        Steps of coordinate ascent, per point; at most 1e9.

    Examples
    --------
    >>> import numpy as np
    >>> from lmcma.surrogate import RankSVM
    >>> x = np.random.default_rng(1).standard_normal((60, 2))
    >>> model = RankSVM().fit(x, (x**2).sum(axis=1))
    >>> low, high = model.predict([[0.1, 0.1], [2.0, 1.0]])
    >>> bool(low < high)
    True

    References
    ----------
    I. Loshchilov, M. Schoenauer, M. Sebag. Self-adaptive surrogate-assisted CMA-ES. GECCO 2012.
    """

    def __init__(self, *, c_pow: float = 3.0, c_sigma: float = 1.0, sweeps: float = 1000.0) -> None:
        self.c_sigma, self.sweeps = as_positive("c_sigma", c_sigma), as_positive("sweeps", sweeps)
        self.c_pow = as_real("c_pow", c_pow)
        if not 0 <= self.c_pow < math.inf:
            raise ArgumentError(f"`c_pow` must be >= 0 and finite; got {c_pow!r}.")
        if self.sweeps > _MOST_SWEEPS:
            raise ArgumentError(f"`sweeps` must be <= {_MOST_SWEEPS:g}; got {sweeps!r}. Some thousands are many.")
        self._model: Fitted | None = None

    def fit(self, x: ArrayLike, f: ArrayLike) -> Self:
        """Train on points with values.

        Parameters
        ----------
        x : (k, n) array_like
            Points, one a row, all finite.
        f : (k,) array_like
            Their values, or anything in the same order: smaller is better. NaN is not used.

        Raises
        ------
        ArgumentError
            Fewer than max(3, n + 1) different finite values, all points the same or too far apart for a square of their
            distance, or one of them not finite. The model before stays.
        MemoryLimitError
            Too many points: they take 12 to 16 bytes for each pair.
        ShapeError, ArgumentTypeError
            `x` and `f` do not fit each other, or are not numbers.
        """
        values = as_values(f)
        shape = shape_of(x)
        points = as_points("x", x, shape[-1] if shape else 1)
        if len(shape) != 2 or len(points) != len(values):
            raise ShapeError(f"`x` must have a row for each of the {len(values)} values; got shape {shape}.")
        used = ~np.isnan(values)
        points, values = points[used], values[used]
        if not enough(values, shape[1]):
            raise ArgumentError(
                f"`f` must have at least max(3, n + 1) different finite values; got {len(points)} that have fewer. "
                "Give more points."
            )
        N = len(values)
        need, limit = float(N) ** 2 * (8 + scratch_item(N)), memory_limit(None)
        if need > limit:
            raise MemoryLimitError(
                f"`x` has {N} points, whose distances and kernel take {need / 2**30:.3g} GiB; the limit is "
                f"{limit / 2**30:.3g} GiB. Give fewer points."
            )
        with np.errstate(over="ignore", invalid="ignore"):
            model = train(points.T, values, Settings(N, 6.0, self.c_pow, self.c_sigma, self.sweeps))
        if model is None:
            raise ArgumentError(
                "`x` must have different points, whose distances times `c_sigma` have a square in double precision; "
                f"got points between {points.min():g} and {points.max():g}, with c_sigma={self.c_sigma:g}. "
                "Scale the points."
            )
        self._model = model
        return self

    def predict(self, x: ArrayLike) -> FloatArray:
        """Values of points x, (k, n) or (n,), as an array (k,): only their order means anything, smaller is better.

        Raises
        ------
        ArgumentError, ArgumentTypeError, ShapeError
            `x` is not finite, not numbers, or of other dimension than the points of `fit`.
        ProtocolError
            There is no model yet.
        """
        if self._model is None:
            raise ProtocolError("`predict` needs a model; there is none. Call `fit` first.")
        points = as_points("x", x, len(self._model.Z))
        return self._model.values(np.ascontiguousarray(points.T))
