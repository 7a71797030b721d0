"""A strategy that searches in other coordinates than the user's."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self, cast

import numpy as np
from numpy.typing import ArrayLike

from lmcma import registry
from lmcma.arguments import as_batch, as_bounds, as_box, as_point, as_points, as_stds, as_values
from lmcma.kernels.batch import probed, unchanged_rows
from lmcma.result import Result
from lmcma.strategies.base import probe_stride
from lmcma.strategies.checks import check_format, reading_state
from lmcma.strategies.protocol import Strategy
from lmcma.termination import Stop
from lmcma.transforms.coordinates import Coordinates
from lmcma.typing import FloatArray, IntArray, State

FORMAT = 1


class Mapped:
    """A strategy seen through a map of its coordinates: everything the user meets is in the user's space.

    Made by ``lmcma.make(..., bounds=, stds=)`` and ``lmcma.minimize(..., bounds=, stds=)``, around any method, chains
    of restarts included. `sigma`, and stopping rules on steps such as `tolx`, are those of the strategy inside.

    A point of the user's own (an edited row, an id of -1, an injected one) goes to the strategy as the nearest of all
    the points that stand for it; nearest to the row that was asked, or to the mean. It must lie within the bounds.

    Parameters
    ----------
    inner : Strategy
        Searches without bounds, in its own coordinates.
    coordinates : Coordinates
        The map.
    x0 : (n,) array_like, optional
        The start in the user's space, exactly; by default where the start of `inner` maps to.

    Examples
    --------
    >>> import lmcma
    >>> es = lmcma.make("cma", [0.5, 0.5], 0.2, bounds=(0, 1), rng=1, ftarget=1e-12)
    >>> while not es.stop():
    ...     x = es.ask()                  # all within [0, 1]
    ...     es.tell(x, x.sum(axis=1))
    >>> es.result().x.round(6).tolist()
    [0.0, 0.0]
    """

    n_obj: ClassVar[int] = 1

    def __init__(self, inner: Strategy, coordinates: Coordinates, x0: ArrayLike | None = None) -> None:
        self.inner = inner
        self.coordinates = coordinates
        self.x0 = coordinates.to_user(inner.result().x.copy()) if x0 is None else as_point("x0", x0)
        self._own_best: FloatArray | None = self.x0.copy()  # the best, where it is not a row as asked
        self._probe = np.empty((0, 0))  # of the batch that is out, to notice edited rows; empty until it is needed

    # ---------------------------------------------------------------- what is the same in both spaces

    @property
    def method(self) -> str:
        """The name of the inner strategy in the registry."""
        return cast(Any, self.inner).method

    @property
    def dim(self) -> int:
        """The number of variables."""
        return self.inner.dim

    @property
    def popsize(self) -> int:
        """Rows of the next `ask`."""
        return self.inner.popsize

    @property
    def nfev(self) -> int:
        """Evaluations told so far."""
        return self.inner.nfev

    @property
    def nit(self) -> int:
        """Iterations done."""
        return self.inner.nit

    @property
    def best_f(self) -> float:
        """The best value told so far; NaN before the first."""
        return self.inner.best_f

    @property
    def missing(self) -> IntArray:
        """Rows of the batch out for evaluation whose values are not told yet."""
        return self.inner.missing

    @property
    def sigma(self) -> float:
        """The step size of the inner strategy."""
        return self.inner.result().sigma

    def stop(self) -> Stop | None:
        """Why the run is over; None while it is not."""
        return self.inner.stop()

    def limit(self, *, ftarget: float | None = None, maxfev: int | None = None, maxiter: int | None = None) -> None:
        """New limits in place of all those given before; None for none."""
        self.inner.limit(ftarget=ftarget, maxfev=maxfev, maxiter=maxiter)

    # ---------------------------------------------------------------- what is mapped

    @property
    def mean(self) -> FloatArray:
        """Where the mean of the search distribution maps to, (n,)."""
        return self.coordinates.to_user(np.array(self.inner.result().mean))

    @property
    def waiting(self) -> FloatArray:
        """Injected points that no batch has held yet, (k, n)."""
        return self.coordinates.to_user(np.array(self.inner.waiting))

    def inject(self, x: ArrayLike) -> None:
        """Have points of your own, (n,) or (k, n), evaluated with the next batch that is drawn.

        See `Strategy.inject`; through the map and back, they are as given to rounding. They must be within the bounds.
        """
        points = as_points("x", x, self.dim)
        self.coordinates.check("x", points)
        self.inner.inject(self._near_mean(points))

    def ask(self, out: FloatArray | None = None) -> FloatArray:
        """Points to evaluate, one a row, within the bounds; see `Strategy.ask`."""
        x = self.coordinates.to_user(self.inner.ask(out))
        self._probe = probed(x, probe_stride(self.dim), self._probe)
        return x

    def ask_blocks(self, rows: int = 8) -> Iterator[tuple[IntArray, FloatArray]]:
        """The points of `ask` not told yet, some rows at a time, with their ids; see `LMCMA.ask_blocks`."""
        if not len(self.missing):  # a new batch begins
            self._probe = np.empty((0, 0))
        for ids, x in self.inner.ask_blocks(rows):
            yield ids, self.coordinates.to_user(x)

    def tell(self, x: ArrayLike | None, f: ArrayLike, *, ids: Sequence[int] | ArrayLike | None = None) -> None:
        """Values of points, in the user's space; see `Strategy.tell`.

        Raises
        ------
        ArgumentError
            A point of the caller's own is outside the bounds.
        """
        values = as_values(f)
        points = None if x is None else as_batch(x, len(values), self.dim)
        u = None if points is None else self._in_order(points) if ids is None else self._by_id(points, ids)
        before = self.inner.best_f
        self.inner.tell(u, values, ids=ids)
        best = self.inner.best_f
        if best < before or (math.isnan(before) and not math.isnan(best)):
            told = np.flatnonzero(values == best)
            self._own_best = None if u is None or points is None or not len(told) else points[told[0]].copy()

    def result(self) -> Result:
        """The best so far, and how it went: `x` and `mean` in the user's space, all else of the inner strategy."""
        result = self.inner.result()
        best = self.coordinates.to_user(result.x.copy()) if self._own_best is None else self._own_best.copy()
        result.update(x=best, mean=self.coordinates.to_user(result.mean.copy()))
        return result

    def snapshot(self) -> Mapping[str, Any]:
        """The search distribution in numbers, for a recorder.

        `mean` is where the mean maps to; `stds` are in the user's units, before anything is folded into the bounds:
        near a bound the candidates spread less.
        """
        inner = self.inner.snapshot()
        stds = inner["stds"]  # of the first coordinates only, where there are many
        mean, stds = self.coordinates.to_user(np.array(inner["mean"])), stds * self.coordinates.scale[: len(stds)]
        return {**inner, "mean": mean, "stds": stds}

    # ---------------------------------------------------------------- points of the user's own

    def _in_order(self, points: FloatArray) -> FloatArray | None:
        """The first rows of the batch as the caller hands them back, for the strategy; None where they are as asked."""
        k = len(points)
        if not len(self.missing):  # which the strategy refuses
            return None
        if not len(self._probe):  # the batch never was in one piece
            self.ask()
        if k > len(self._probe):  # which it refuses, too
            return None
        if unchanged_rows(points, self._probe, probe_stride(self.dim), np.empty(k, dtype=np.bool_)):
            return None
        self.coordinates.check("x", points)
        return self.coordinates.to_strategy(points, self.inner.ask()[:k])  # coordinates as asked stay as they were

    def _by_id(self, points: FloatArray, ids: Any) -> FloatArray | None:
        """Told points for the strategy, of which it looks at those with id -1; None where there are none of these."""
        rows = np.asarray(ids)
        if rows.shape != (len(points),) or rows.dtype.kind not in "iu" or (rows >= 0).all():
            return None
        self.coordinates.check("x", np.where((rows < 0)[:, None], points, np.nan))
        return self._near_mean(points)

    def _near_mean(self, points: FloatArray) -> FloatArray:
        return self.coordinates.to_strategy(points, np.tile(self.inner.result().mean, (len(points), 1)))

    # ---------------------------------------------------------------- save and restore

    def state_dict(self) -> State:
        """Everything needed to go on to the bit: the map, and the state of the inner strategy."""
        c = self.coordinates
        return {
            "method": self.method,
            "format": FORMAT,
            "coordinates": {name: getattr(c, name).copy() for name in ("origin", "scale", "low", "high")},
            "x0": self.x0.copy(),
            "own_best": None if self._own_best is None else self._own_best.copy(),
            "inner": self.inner.state_dict(),
        }

    @classmethod
    def from_state(cls, state: State) -> Self:
        """The strategy whose `state_dict` this is."""
        check_format(state, FORMAT)
        with reading_state():
            arrays = {name: np.array(value, dtype=np.float64) for name, value in state["coordinates"].items()}
            es = cls(registry.from_state(state["inner"]), Coordinates(**arrays), state["x0"])
            own = state["own_best"]
            es._own_best = None if own is None else np.array(own, dtype=np.float64)
        return es


def make_mapped(
    build: Callable[..., Strategy],
    x0: ArrayLike,
    sigma0: float,
    *,
    bounds: Any = None,
    stds: ArrayLike | None = None,
    **options: Any,
) -> Strategy:
    """The strategy that ``build(x0, sigma0, **options)`` makes, with bounds and scales around it where they are given.

    Parameters
    ----------
    build : callable
        Makes a strategy without bounds.
    x0 : (n,) array_like
        The start, within the bounds or on them.
    sigma0 : float
        The first standard deviation; with `stds`, in units of these.
    bounds : (low, high), n pairs, or scipy.optimize.Bounds; optional
        See `lmcma.minimize`.
    stds : (n,) array_like, optional
        Scales of the coordinates.
    **options
        Of `build`; `x0_box` is in the user's space, within the bounds.
    """
    if bounds is None and stds is None:
        return build(x0, sigma0, **options)
    start = as_point("x0", x0)
    n = len(start)
    low, high = as_bounds(bounds, n)
    Coordinates(np.zeros(n), np.ones(n), low, high).check("x0", start)
    coordinates = Coordinates.around(start, low, high, None if stds is None else as_stds(stds, n))
    if options.get("x0_box") is not None:
        box = as_box("x0_box", options["x0_box"], n)
        for corner in box:
            coordinates.check("x0_box", corner)
        options["x0_box"] = tuple(coordinates.to_strategy(corner) for corner in box)
    return Mapped(build(coordinates.to_strategy(start), sigma0, **options), coordinates, start)
