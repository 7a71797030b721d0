"""The map between the two spaces, and the forms in which bounds and scales are given."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from lmcma.arguments import as_point
from lmcma.errors import ArgumentError, ShapeError
from lmcma.kernels import bounds as kernels
from lmcma.typing import FloatArray


@dataclasses.dataclass(frozen=True, eq=False)
class Coordinates:
    """A map of each coordinate: v = origin + scale u, then y = v folded into [low, high].

    y = v except near a bound and beyond it: from a margin a inside a bound to a outside, the edge, a parabola runs
    from slope 1 to slope 0; behind the edge all is mirrored. The margins are 0.05 (high - low) where both bounds are
    finite, max(1, abs(bound)) / 20 otherwise. The bound itself is reached, at the edge, where f has slope 0 for the
    strategy, as at any minimum.

    Parameters
    ----------
    origin, scale : (n,) array
        The linear part; ``scale > 0``.
    low, high : (n,) array
        The bounds, low < high; infinite where there is none.

    Examples
    --------
    >>> import numpy as np
    >>> c = Coordinates.around(np.array([0.5, 0.5]), *as_bounds((0, 1), 2))
    >>> c.to_user(np.array([[0.5, 0.05], [-0.05, 1.05]]))
    array([[0.5 , 0.05],
           [0.  , 1.  ]])
    """

    origin: FloatArray
    scale: FloatArray
    low: FloatArray
    high: FloatArray
    table: FloatArray = dataclasses.field(init=False, repr=False)  # of the kernels: all this, and the margins

    def __post_init__(self) -> None:
        margins = (_margin(self.low, self.high), _margin(self.high, self.low))
        table = np.array([self.origin, self.scale, self.low, self.high, *margins], dtype=np.float64)
        object.__setattr__(self, "table", table)

    @classmethod
    def around(cls, x0: FloatArray, low: FloatArray, high: FloatArray, stds: FloatArray | None = None) -> Self:
        """The map of a search that starts at `x0`; with `stds`, the strategy starts at 0."""
        plain = cls(np.zeros(len(x0)), np.ones(len(x0)), low, high)
        return plain if stds is None else cls(plain.to_strategy(x0), stds, low, high)

    def to_user(self, x: FloatArray) -> FloatArray:
        """Points of the strategy, (n,) or (k, n), in the user's space: `x`, overwritten."""
        kernels.to_user(np.atleast_2d(x), self.table)
        return x

    def to_strategy(self, x: FloatArray, near: FloatArray | None = None) -> FloatArray:
        """Feasible points of the user, (n,) or (k, n), in the space of the strategy.

        Of all that map onto `x`, those nearest to `near`, which has the shape of `x` and is overwritten; by default
        those that no mirror is needed for.
        """
        u = (x - self.origin) / self.scale if near is None else near
        kernels.to_strategy(np.atleast_2d(x), np.atleast_2d(u), self.table)
        return u

    def check(self, name: str, x: FloatArray) -> None:
        """Raise an `ArgumentError` unless all points, (n,) or (k, n), are within the bounds; what is not finite is."""
        outside = ((x < self.low) | (x > self.high)) & np.isfinite(x)
        if outside.any():
            at = tuple(int(i[0]) for i in np.nonzero(outside))
            j, value = at[-1], float(x[at])
            low, high = float(self.low[j]), float(self.high[j])
            side = f"below low[{j}] = {low}" if value < low else f"above high[{j}] = {high}"
            raise ArgumentError(
                f"`{name}` must lie within `bounds`; {name}[{', '.join(map(str, at))}] = {value} is {side}. "
                "Move it inside or onto the bound, or give wider bounds."
            )


def _margin(bound: FloatArray, other: FloatArray) -> FloatArray:
    """Half the width of the parabola at `bound`; 0 where there is no bound."""
    with np.errstate(over="ignore", invalid="ignore"):
        width = abs(other - bound)
        share = np.where(width < math.inf, 0.05 * width, abs(0.05 * other - 0.05 * bound))
        alone = np.maximum(1.0, abs(bound)) / 20
    return np.where(np.isinf(bound), 0.0, np.where(np.isinf(other), alone, share))


def as_bounds(bounds: Any, n: int) -> tuple[FloatArray, FloatArray]:
    """Bounds in any of their forms as two (n,) arrays, low < high, infinite where there is no bound.

    The forms: None; (low, high), each a number, None or an (n,) array; n pairs (low, high), one a coordinate; an object
    with `lb` and `ub`, such as `scipy.optimize.Bounds`. Two rows of two numbers are two pairs.

    >>> as_bounds([(0, None), (None, None), (-1, 1)], 3)
    (array([  0., -inf,  -1.]), array([inf, inf,  1.]))
    """
    if bounds is None:
        bounds = (None, None)
    try:
        if hasattr(bounds, "lb") and hasattr(bounds, "ub"):
            low, high = bounds.lb, bounds.ub
        else:
            given = list(bounds)
            if len(given) == n and all(np.shape(pair) == (2,) for pair in given):
                low, high = zip(*given, strict=True)
            else:
                low, high = given
        low, high = _side(low, -math.inf, n), _side(high, math.inf, n)
    except (TypeError, ValueError):
        raise ShapeError(
            f"`bounds` must be (low, high), two numbers or arrays of shape ({n},), or {n} pairs (low, high), "
            f"one a coordinate; got {bounds!r:.80}."
        ) from None
    bad = np.flatnonzero(~(low < high))
    if len(bad):
        j = bad[0]
        fixed = " Leave out of `x0` what is fixed, and put it into the function." if low[j] == high[j] else ""
        pairs = " Two rows of two numbers are the pairs of two coordinates." if n == 2 else ""
        raise ArgumentError(
            "`bounds` must have low < high in every coordinate; "
            f"got low[{j}] = {low[j]:g}, high[{j}] = {high[j]:g}.{fixed}{pairs}"
        )
    return low, high


def _side(values: Any, none: float, n: int) -> FloatArray:
    """One side of the bounds as an (n,) array; None counts as `none`."""
    array = np.asarray(values)
    if array.dtype == object:
        array = np.reshape([none if v is None else v for v in array.ravel()], array.shape)
    if array.dtype.kind not in "fiub":
        raise TypeError
    return np.broadcast_to(array, (n,)).astype(np.float64)


def as_stds(stds: ArrayLike, n: int) -> FloatArray:
    """The scales of n coordinates as an (n,) array of finite numbers > 0."""
    scale = as_point("stds", stds)
    if scale.shape != (n,):
        raise ShapeError(f"`stds` must have shape ({n},), one number per coordinate of `x0`; got {scale.shape}.")
    bad = np.flatnonzero(scale <= 0)
    if len(bad):
        raise ArgumentError(
            f"`stds` must be > 0; got stds[{bad[0]}] = {scale[bad[0]]:g}. Leave a variable that is fixed out of `x0`."
        )
    return scale
