"""The map between the space of the user and that of the strategy."""

from __future__ import annotations

import dataclasses
import math
from typing import Self

import numpy as np

from lmcma.arguments import check_inside
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
    >>> from lmcma.arguments import as_bounds
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
        check_inside(name, x, self.low, self.high)


def _margin(bound: FloatArray, other: FloatArray) -> FloatArray:
    """Half the width of the parabola at `bound`; 0 where there is no bound."""
    with np.errstate(over="ignore", invalid="ignore"):
        width = abs(other - bound)
        share = np.where(width < math.inf, 0.05 * width, abs(0.05 * other - 0.05 * bound))
        alone = np.maximum(1.0, abs(bound)) / 20
    return np.where(np.isinf(bound), 0.0, np.where(np.isinf(other), alone, share))
