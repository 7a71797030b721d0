"""CMA-ES on a quadratic function through the newest points: about one evaluation in each iteration.

The loop is that of lq-CMA-ES; the function is another one, see `lmcma.surrogate.quadratic`.

References
----------
N. Hansen. A Global Surrogate Assisted CMA-ES. GECCO 2019 (lq-CMA-ES).
N. Hansen. Injecting external solutions into CMA-ES. arXiv:1110.4181, 2011.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from lmcma import random
from lmcma.arguments import as_count
from lmcma.kernels.ranksvm import rank_error
from lmcma.result import Result
from lmcma.strategies.base import PopulationStrategy
from lmcma.strategies.cma import CMAES
from lmcma.surrogate.quadratic import Quadratic, coefficients, fitted, interpolated, spare
from lmcma.surrogate.ranksvm import NEAR, Frame, near
from lmcma.termination import PROFILES, Stop, StopOption, StopRules, stop_rules
from lmcma.typing import BoolArray, FloatArray, State

TRUSTED = 0.075  # rank error up to which a model gives the values of a population: Kendall's tau 0.85
_REACH = 0.5  # of the minimum that is injected, from the mean, in units of sqrt(n) sigma
_SHARE = 0.02  # of the population, evaluated at first
_TESTED = (15, 1.2, 0.75)  # newest points that a model is tested on: at least, per evaluation, most per popsize


class QuadCMAES(PopulationStrategy):
    r"""CMA-ES in which a quadratic function gives the values of most candidates.

    The candidates of an iteration are ranked by a quadratic function through the newest points, and the best of them
    is evaluated. As long as the function, fitted again, does not have the order of the newest points (Kendall's tau of
    at least 0.85), half as many more are evaluated; then CMA-ES takes the population with the values of the function.
    One of the candidates is the minimum of the function within sqrt(n) sigma / 2 of the mean. An objective that is a
    quadratic function itself is noticed as soon as there are a few more points than coefficients; then the next point
    is its minimum.

    For objectives that cost more than some milliseconds, of 2 to about 40 variables, with few or no local minima: of
    all methods here the one that needs the fewest evaluations there. Unlike the others it uses the values themselves,
    not only their order. One or two points are evaluated at a time, which leaves nothing to parallel workers.

    Parameters
    ----------
    x0 : (n,) array_like
        Mean of the first search distribution.
    sigma0 : float
        Its standard deviation, in the units of `x0`; about 0.2 to 0.3 of the range where the optimum is expected.
    popsize : int, optional
        Candidates per iteration, at least 2; 4 + floor(3 ln n) by default.
    points : int, optional
        Newest points that the function is fitted to, at least `popsize`; as many as it has coefficients,
        (n + 1)(n + 2)/2, but at least 2 popsize, by default.
    stop : str, StopRules or mapping, optional
        Stopping rules; by default the profile "quad-cma": "bbob" without its limit of iterations and without
        stagnation, tolhistfun 1e-13. Rules on values see the best candidate of each iteration, evaluated or not.
    std_limits : (low, high), optional
        Limits of the standard deviations of the coordinates, as for `CMAES`.
    ftarget, maxfev, maxiter
        Stop at a value <= `ftarget`, after so many evaluations, iterations of CMA-ES.
    max_memory : float, optional
        Bytes; four fifths of the machine's memory by default.
    rng : None, int, SeedSequence or Generator
        Source of randomness.

    Raises
    ------
    ArgumentError, ArgumentTypeError, ShapeError
        An argument cannot be used.
    MemoryLimitError
        The matrices do not fit: two of n^2/2 x n^2/2 numbers, mainly.

    Notes
    -----
    Loop, weights of the points and threshold are those of lq-CMA-ES (Hansen 2019). There, a linear, diagonal or full
    quadratic function is fitted by least squares, depending on the number of points, of which it needs more than the
    full function has coefficients. Here it is always full, in the coordinates of the search distribution, with a small
    penalty on all but the isotropic terms: C says what the points leave open. Therefore it needs about half of the
    points, and is true to where the search is now. In place of its stationary point, its minimum near the mean is
    injected. Least squares with max(3, floor(n/2)) more points than coefficients are tried once in n evaluations, and
    taken where they leave nothing over; the minimum may then be 10 sqrt(n) sigma from the mean. They have the points
    that they need however few `points` are.

    Mostly one row is out: a point told with the id -1 then takes its place.

    `result` has `model_fits` and `model_seconds`. An evaluation takes O(n^6) time in two fits; see the page on
    surrogates for times.

    Examples
    --------
    >>> import lmcma
    >>> es = lmcma.QuadCMAES([1.0] * 5, 0.5, rng=1, ftarget=1e-9)
    >>> while not es.stop():
    ...     x = es.ask()
    ...     es.tell(x, lmcma.testfunctions.ellipsoid(x))
    >>> es.result().nfev < 300
    True

    References
    ----------
    N. Hansen. A Global Surrogate Assisted CMA-ES. GECCO 2019.
    """

    method: ClassVar[str] = "quad-cma"
    adds_up: ClassVar[tuple[str, ...]] = ("model_fits", "model_seconds")

    def __init__(
        self,
        x0: ArrayLike,
        sigma0: float,
        *,
        popsize: int | None = None,
        points: int | None = None,
        stop: StopOption = None,
        std_limits: tuple[ArrayLike, ArrayLike] | None = None,
        ftarget: float | None = None,
        maxfev: int | None = None,
        maxiter: int | None = None,
        max_memory: float | None = None,
        rng: random.Seed = None,
    ) -> None:
        rules = stop_rules(stop, default=PROFILES["quad-cma"])
        super().__init__(
            x0,
            sigma0,
            popsize=popsize,
            stored=None if points is None else as_count("points", points, 1),
            rules=rules,
            ftarget=ftarget,
            maxfev=maxfev,
            maxiter=maxiter,
            max_memory=max_memory,
            rng=rng,
        )
        n, popsize = self._n, self._popsize
        most = max(coefficients(n), 2 * popsize)
        self.points = most if points is None else as_count("points", points, popsize)
        without = dataclasses.replace(rules, maxiter=None)  # limits are those of this strategy
        self._cma = CMAES(
            x0, sigma0, popsize=popsize, std_limits=std_limits, stop=without, max_memory=math.inf, rng=self._key
        )
        self._X, self._F = np.empty((0, n)), np.empty(0)  # the newest points, in order of evaluation
        self._try_again = 0  # evaluations from which on least squares are tried
        self._drawn = False  # whether an iteration has begun
        self._candidates = np.zeros((popsize, n))
        self._values = np.full(popsize, np.nan)
        self._evaluated = np.zeros(popsize, dtype=np.bool_)
        self._rows = np.zeros(0, dtype=np.int64)  # of the candidates, in the batch that is out
        self._due = self._first()
        room = 2 * popsize  # candidates and injected points
        self._f, self._received, self._own = np.zeros(room), np.zeros(room, np.bool_), np.ones(room, np.bool_)
        self._error = 0.5
        self.model_fits, self.model_seconds = 0, 0.0

    @classmethod
    def memory_parts(cls, n: int, popsize: int, stored: int | None = None) -> dict[str, float]:
        """Bytes needed, by what takes them; for the function a matrix of its terms, twice, and two of coefficients."""
        q = coefficients(n)
        points = max(q, 2 * popsize) if stored is None else stored
        fit = {"fit of the quadratic function": 8.0 * 2 * q * (q + points)}
        return {**CMAES.memory_parts(n, popsize), **fit}

    # ---------------------------------------------------------------- what can be read

    @property
    def mean(self) -> FloatArray:
        """Mean of the search distribution, (n,); a view."""
        return self._cma.mean

    @property
    def sigma(self) -> float:
        """Step size."""
        return self._cma.sigma

    @property
    def C(self) -> FloatArray:
        """Covariance matrix without the factor sigma^2, (n, n); a copy."""
        return self._cma.C

    @property
    def popsize(self) -> int:
        """Rows of the next `ask`: mostly one, and the injected points."""
        if self._asked:
            return self._asked
        left = self.maxfev - self._nfev
        rows = self._due + min(len(self._waiting), self._popsize)
        return rows if left >= rows or left <= 0 else int(left)

    @property
    def model_error(self) -> float:
        """Rank error of the function on the newest points, when it was tested last: 0 for a perfect one."""
        return self._error

    def snapshot(self) -> Mapping[str, Any]:
        """The search distribution in numbers, for a recorder, with the error of the function."""
        return {**self._cma.snapshot(), "nit": self._nit, "best_f": self._best_f, "model_error": self._error}

    def result(self) -> Result:
        """As of `CMAES`, with the number of fits and the seconds that they took."""
        result = super().result()
        for name in self.adds_up:
            result[name] = getattr(self, name)
        return result

    # ---------------------------------------------------------------- one batch

    def _first(self) -> int:
        """Candidates that are evaluated before the function is asked for the others."""
        return _first_candidates(self._n, self._popsize, len(self._F))

    @classmethod
    def first_rows(cls, n: int, popsize: int, waiting: int = 0) -> int:
        """Rows of the first `ask`: candidates, and injected points beside them."""
        return _first_candidates(n, popsize, 0) + min(waiting, popsize)

    def _draw(self) -> None:
        super()._draw()
        rows = self.popsize
        k = min(len(self._waiting), max(1, rows - 1))  # injected points, which come first
        model = self._fit()
        if not self._drawn:
            candidates = self._cma.ask()
            if model is not None:
                reach = NEAR if model.exact else _REACH
                best = model.minimum(reach * math.sqrt(self._n) * self.sigma)
                if np.isfinite(best).all():
                    candidates[0] = best
            self._candidates = candidates
            self._values[:], self._evaluated[:] = np.nan, False
            self._drawn = True
        left = np.flatnonzero(~self._evaluated)
        if model is not None:
            left = left[np.argsort(model.values(self._candidates[left]), kind="stable")]
        self._rows = np.concatenate([np.full(k, -1), left[: rows - k]])

    def _write(self, out: FloatArray) -> None:
        out[:] = self._candidates[self._rows[: len(out)]]  # injected points are put in place of rows -1

    def _row(self, row: int) -> FloatArray:
        return self._candidates[self._rows[row]].copy()

    def _take_whole(self, x: Any, f: Any) -> bool:
        return False  # one or two rows: nothing to be gained

    def _is_complete(self) -> bool:
        return True  # there may be any number of values

    def _update(
        self, f: FloatArray, own: BoolArray, foreign_x: FloatArray | None, foreign_f: FloatArray | None
    ) -> None:
        rows = self._rows[: len(f)]
        self._nit = self._cma.nit
        if foreign_x is not None and foreign_f is not None:
            edited = rows[~own[: len(f)]]
            theirs = np.concatenate([edited, np.full(len(foreign_x) - len(edited), -1)])
            self._candidates[theirs[theirs >= 0]] = foreign_x[theirs >= 0]
            self._take_over(foreign_x[theirs < 0], foreign_f[theirs < 0])
        mine = rows >= 0
        rows, f, own = rows[mine], f[mine], own[: len(f)][mine]
        kept = own | near(self._frame(), self.sigma, self._candidates[rows])
        self._archive(self._candidates[rows[kept]], f[kept])
        self._values[rows], self._evaluated[rows] = f, True
        if not len(rows):  # injected points only: the candidates still are due
            return
        done = int(self._evaluated.sum())
        self._due = min(-(-done // 2), self._popsize - done)
        values = self._values.copy() if done == self._popsize else self._surrogate()
        if values is None:
            return
        candidates, self._drawn, self._due = self._candidates, False, self._first()
        self._cma.tell(candidates, values)
        self._nit = self._cma.nit

    def _take_over(self, x: FloatArray, f: FloatArray) -> None:
        """Points of the caller's own: for the next update of CMA-ES, and for the function those that are near."""
        if not len(x):
            return
        for point, value in zip(x, f, strict=True):  # one by one: popsize points at once would stand for a population
            self._cma.tell(point[None], value[None], ids=[-1])
        kept = near(self._frame(), self.sigma, x)
        self._archive(x[kept], f[kept])

    def _archive(self, x: FloatArray, f: FloatArray) -> None:
        finite = np.isfinite(f)
        X, F = np.concatenate([self._X, x[finite]]), np.concatenate([self._F, f[finite]])
        kept = max(self.points, coefficients(self._n)) + spare(self._n)
        self._X, self._F = X[-kept:], F[-kept:]

    # ---------------------------------------------------------------- the function

    def _frame(self) -> Frame:
        return self._cma.mean.copy(), np.ascontiguousarray((self._cma.B / self._cma.D).T)

    def _fit(self) -> Quadratic | None:
        started = time.perf_counter()
        frame, n = self._frame(), self._n
        model = None
        if len(self._F) >= coefficients(n) + spare(n) and self._nfev >= self._try_again:
            model = interpolated(frame, self._X, self._F)
            if model is None:
                self._try_again = self._nfev + n
        if model is None:
            model = fitted(frame, self._X[-self.points :], self._F[-self.points :])
        self.model_fits += model is not None
        self.model_seconds += time.perf_counter() - started
        return model

    def _surrogate(self) -> FloatArray | None:
        """Values of all candidates, of which some are evaluated; None where the function is not to be trusted."""
        model = self._fit()
        if model is None:
            return None
        least, per_evaluation, per_candidate = _TESTED
        most = max(least, min(per_evaluation * self._evaluated.sum(), per_candidate * self._popsize))
        k = min(int(most), len(self._F))
        self._error = float(rank_error(self._F[-k:], model.values(self._X[-k:])))
        if not self._error <= TRUSTED:  # NaN, too, where all are equal
            return None
        values = model.values(self._candidates)
        if not np.isfinite(values).all():
            return None
        finite = self._evaluated & np.isfinite(self._values)
        if finite.any():
            values = values - values.min() + self._values[finite].min()  # differences first: they may be small
        lost = self._evaluated & ~finite
        values[lost] = self._values[lost]
        return values

    # ---------------------------------------------------------------- the end, save and restore

    def _fired(self) -> int:
        return int(self._cma.stop() is not None)

    def _stops(self) -> list[Stop]:
        stop = self._cma.stop()
        return [] if stop is None else [stop, *stop.also]

    def _state(self) -> State:
        return {
            "rules": dataclasses.asdict(self.rules),
            "points": self.points,
            "cma": self._cma.state_dict(),
            "archive_x": self._X.copy(),
            "archive_f": self._F.copy(),
            "try_again": self._try_again,
            "drawn": self._drawn,
            "candidates": self._candidates.copy(),
            "values": self._values.copy(),
            "evaluated": self._evaluated.copy(),
            "rows": self._rows.copy(),
            "due": self._due,
            "error": self._error,
            "model_counts": self.model_fits,
            "model_seconds": self.model_seconds,
        }

    @classmethod
    def _blank(cls, state: State) -> Self:
        limits = state["cma"]["std_limits"]
        own = {
            "points": state["points"],
            "stop": StopRules(**state["rules"]),
            "std_limits": None if limits is None else (limits[0], limits[1]),
        }
        return cls(state["x0"], state["sigma0"], **own, **cls._limits_of(state))

    def _set_state(self, state: State) -> None:
        self._cma = CMAES.from_state(state["cma"])
        self._X, self._F = np.array(state["archive_x"]).reshape(-1, self._n), np.array(state["archive_f"])
        self._try_again = int(state["try_again"])
        self._drawn, self._due = bool(state["drawn"]), int(state["due"])
        self._candidates, self._values = np.array(state["candidates"]), np.array(state["values"])
        self._evaluated, self._rows = np.array(state["evaluated"]), np.array(state["rows"])
        self._error = float(state["error"])
        self.model_fits, self.model_seconds = int(state["model_counts"]), float(state["model_seconds"])


def _first_candidates(n: int, popsize: int, known: int) -> int:
    """Candidates evaluated before others get their values from the function: one, or what there is to 2n + 1."""
    return min(popsize, 1 + int(max(_SHARE * popsize, 2 * n - known)))


__all__ = ["QuadCMAES"]
