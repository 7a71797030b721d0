"""What the warm starts share: batches told in parts, everything evaluated so far, scales, weighted sums.

A warm start spends the first evaluations on few points that matter most. It offers a batch (`pending`), takes its rows
in any order and in parts (`receive`), and has the next one when the last row has come; it is `done` when there is none.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from lmcma.arguments import one_of
from lmcma.errors import StateError
from lmcma.typing import BoolArray, FloatArray, IntArray, State

BUDGET = 15  # evaluations per variable (reconstruction: the published data show the end between 10 n and 16 n)
RADIUS = 0.2  # first radius, in widths of the box (from the published data: sigma 2 in a box of width 10)
NORMALISE = ("range", "f0")
_FEW_WEIGHTS = (0.5, 1.0, 0.0, 0.25, 0.75)  # of f_1; the first is 1/2 in the published data, the others a choice
_MORE_WEIGHTS = (0.125, 0.375, 0.625, 0.875)
_MORE_FROM = 10  # variables


def weights(n: int) -> FloatArray:
    """Weights of the first objective in the sums that are minimised, in their order.

    >>> weights(2).tolist()
    [0.5, 1.0, 0.0, 0.25, 0.75]
    """
    return np.array(_FEW_WEIGHTS + (_MORE_WEIGHTS if n >= _MORE_FROM else ()))


def scales(f: FloatArray, normalise: str) -> FloatArray:
    """What the objectives are divided by before they are added, (2,): 1 where there is nothing to go by.

    Parameters
    ----------
    f : (k, 2) array
        Values of the first points, that of the start in the first row.
    normalise : {"range", "f0"}
        The largest minus the smallest value, or the absolute value at the start.

    Examples
    --------
    >>> import numpy as np
    >>> f = np.array([[-4.0, 1.0], [2.0, 1.0], [np.nan, np.inf]])
    >>> scales(f, "range").tolist(), scales(f, "f0").tolist()
    ([6.0, 1.0], [4.0, 1.0])
    """
    if normalise == "f0":
        size = np.abs(f[0])
    else:
        finite = np.where(np.isfinite(f), f, np.nan)
        with np.errstate(over="ignore"):
            size = np.array([np.ptp(c[~np.isnan(c)]) if not np.isnan(c).all() else 0.0 for c in finite.T])
    return np.where((size > 0) & np.isfinite(size), size, 1.0)


class WarmStart(ABC):
    """Base of the warm starts.

    Parameters
    ----------
    x0 : (n,) array_like
        The start, between `low` and `high`; the very first point.
    radius : (n,) array_like
        How far the first steps go along each variable; at most a fifth of high - low.
    low, high : (n,) array_like
        No point is outside; infinite for no bound.
    normalise : {"range", "f0"}
        What the objectives are divided by in weighted sums, see `scales`.
    budget : int, optional
        Evaluations at most, 15 n by default.

    Attributes
    ----------
    x, f : (k, n), (k, 2) array
        Points of all batches that are complete, and their values as told.
    """

    name: ClassVar[str]

    def __init__(
        self,
        x0: ArrayLike,
        radius: ArrayLike,
        low: ArrayLike,
        high: ArrayLike,
        *,
        normalise: str = "range",
        budget: int | None = None,
    ) -> None:
        self.normalise = one_of("normalise", normalise, NORMALISE)
        self.x0 = np.array(x0, dtype=np.float64)
        n = len(self.x0)
        self.low, self.high = (np.broadcast_to(v, n).astype(np.float64) for v in (low, high))
        self.radius = np.minimum(np.broadcast_to(radius, n), RADIUS * (self.high - self.low))
        self.budget = BUDGET * n if budget is None else budget
        self.weights = weights(n)
        self.x, self.f = np.empty((0, n)), np.empty((0, 2))
        self.scale = np.ones(2)
        self._points = np.empty((0, n))  # the batch that is out
        self._values = np.empty((0, 2))
        self._told: BoolArray = np.empty(0, dtype=np.bool_)
        self._send(self._first())

    # ---------------------------------------------------------------- what a warm start supplies

    @abstractmethod
    def _first(self) -> FloatArray:
        """The first batch, (k, n), `x0` in its first row."""

    @abstractmethod
    def _next(self) -> FloatArray:
        """The batch after the one that has just been added to `x` and `f`; no rows at the end."""

    @abstractmethod
    def _state(self) -> State:
        """What is needed besides points and values."""

    @abstractmethod
    def _set_state(self, state: State) -> None:
        """Take over what `_state` gave."""

    def close(self) -> None:  # noqa: B027
        """Release what a run in progress holds: nothing, but for runs in threads."""

    # ---------------------------------------------------------------- ask and tell

    @property
    def done(self) -> bool:
        """Whether there is nothing more to evaluate."""
        return not len(self._points)

    @property
    def nfev(self) -> int:
        """Evaluations received so far."""
        return len(self.x) + int(self._told.sum())

    @property
    def missing(self) -> IntArray:
        """Rows of the batch that were not received yet."""
        return np.flatnonzero(~self._told)

    def pending(self) -> FloatArray:
        """The points that may be evaluated now, (k, n); the same until all of them were received."""
        return self._points.copy()

    def receive(self, rows: IntArray, f: FloatArray) -> None:
        """Values, (k, 2), of these rows of the batch, each received once; NaN and infinities for failures."""
        self._values[rows] = f
        self._told[rows] = True
        if self._told.all():
            first = not len(self.x)
            self.x, self.f = np.concatenate([self.x, self._points]), np.concatenate([self.f, self._values])
            if first:
                self.scale = scales(self.f, self.normalise)
            self._send(self._next())
            if self.done:
                self.close()

    def _send(self, points: FloatArray) -> None:
        self._points = points
        self._values = np.zeros((len(points), 2))
        self._told = np.zeros(len(points), dtype=np.bool_)

    # ---------------------------------------------------------------- values

    def _sums(self, w: float) -> FloatArray:
        """Weighted sums of the objectives in units of their scales at all points, (k,); infinite at failures."""
        ok = np.isfinite(self.f).all(axis=1)
        f = np.where(np.isfinite(self.f), self.f, 0.0) / self.scale
        return np.where(ok, w * f[:, 0] + (1 - w) * f[:, 1], np.inf)

    def _best(self, w: float) -> int:
        """The number of the point with the least weighted sum; 0, the start, where none is finite."""
        return int(np.argmin(self._sums(w)))

    # ---------------------------------------------------------------- save and restore

    def state_dict(self) -> State:
        """Everything needed to go on to the bit."""
        return {
            "warm_start": self.name,
            "x0": self.x0.copy(),
            "radius": self.radius.copy(),
            "low": self.low.copy(),
            "high": self.high.copy(),
            "normalise": self.normalise,
            "budget": self.budget,
            "x": self.x.copy(),
            "f": self.f.copy(),
            "scale": self.scale.copy(),
            "points": self._points.copy(),
            "values": self._values.copy(),
            "told": self._told.copy(),
            **self._state(),
        }

    @classmethod
    def from_state(cls, state: State) -> Self:
        """The warm start whose `state_dict` this is."""
        if state.get("warm_start") != cls.name:
            raise StateError(
                f"`state['warm_start']` must be {cls.name!r}; got {state.get('warm_start')!r}. "
                "The state is that of another warm start."
            )
        options = {key: state[key] for key in ("normalise", "budget")}
        new = cls(state["x0"], state["radius"], state["low"], state["high"], **options)
        new.x, new.f, new.scale = (np.array(state[key], dtype=np.float64) for key in ("x", "f", "scale"))
        new._send(np.array(state["points"], dtype=np.float64))
        new._values[:], new._told[:] = state["values"], state["told"]
        new._set_state(state)
        return new
