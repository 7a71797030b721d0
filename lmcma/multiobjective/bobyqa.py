"""The warm start of the paper: BOBYQA on weighted sums of the objectives, one weight after the other.

The solver is NLopt's. It calls the objective; here it has to be asked. For few variables every new point is found by
running the solver again from the start of its run on the values known so far (`_Replay`), which needs no thread and has
nothing to save; for many variables the solver waits in a thread of its own (`_Worker`). Both give the same points.

References
----------
M. J. D. Powell. The BOBYQA algorithm for bound constrained optimization without derivatives. DAMTP 2009/NA06.
I. Loshchilov, T. Glasmachers. Anytime bi-objective optimization with a hybrid multi-objective CMA-ES (HMO-CMA-ES).
GECCO 2016 workshop, arXiv:1605.02720.
"""

from __future__ import annotations

import dataclasses
import queue
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lmcma.arguments import one_of
from lmcma.errors import MissingDependencyError
from lmcma.multiobjective.warm_start import WarmStart
from lmcma.typing import FloatArray, State

_LATER_RADIUS = 0.5  # of the runs after the first, in units of the first radius
_XTOL = 1e-3 / 0.2  # where a run ends: a thousandth of the width, in units of the first radius
_REPLAYED_UP_TO = 40  # variables; the cost is quadratic in the evaluations of a run
_DRIVERS = ("replay", "thread")


class Bobyqa(WarmStart):
    """Runs of BOBYQA from the start and then from the best known point, one a weight, until the budget is used.

    A batch is the 2n + 1 points that a run interpolates first, then single points. The scale of the objectives comes
    from the first of these batches.

    Parameters
    ----------
    x0, radius, low, high, normalise, budget
        See `WarmStart`. A start so near to a bound that the solver moves it is evaluated all the same, first.
    driver : {"replay", "thread"}, optional
        How the solver is asked; "replay" up to 40 variables. The points are the same.

    Raises
    ------
    MissingDependencyError
        The package nlopt is not installed.
    """

    name = "bobyqa"

    def __init__(
        self,
        x0: ArrayLike,
        radius: ArrayLike,
        low: ArrayLike,
        high: ArrayLike,
        *,
        normalise: str = "range",
        budget: int | None = None,
        driver: str | None = None,
    ) -> None:
        if driver is None:
            driver = "replay" if np.size(x0) <= _REPLAYED_UP_TO else "thread"
        self.driver = one_of("driver", driver, _DRIVERS)
        _nlopt()
        self._solver: _Replay | _Worker | None = None
        super().__init__(x0, radius, low, high, normalise=normalise, budget=budget)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_solver": None}  # begun anew from the values known

    def close(self) -> None:
        """End the thread of a run in progress; to go on is to begin it anew with the values known."""
        if self._solver is not None:
            self._solver.close()
            self._solver = None

    # ---------------------------------------------------------------- runs

    def _first(self) -> FloatArray:
        self._run = 0
        self._start = self.x0
        self._cap = min(self._most(), self.budget)
        self._known: list[float] = []  # what the solver was answered in this run
        self._answered = 0  # points that it was told of, or need not be
        points = self._interpolated()
        if not np.array_equal(points[0], self.x0):
            self._answered = 1
            points = np.concatenate([self.x0[None], points])
        return points

    def _next(self) -> FloatArray:
        sums = self._sums(self.weights[self._run])
        finite = sums[np.isfinite(sums)]
        failed = finite.max() + np.ptp(finite) if len(finite) else 0.0
        self._known += np.where(np.isfinite(sums), sums, failed)[self._answered :].tolist()
        self._answered = len(self.x)
        if self._solver is None:
            self._solver = _Replay(self._problem()) if self.driver == "replay" else _Worker(self._problem())
        u = self._solver.next(self._known)
        return self._begin() if u is None else self._point(u)[None]

    def _begin(self) -> FloatArray:
        """The first batch of the next run; no points at the end."""
        self.close()
        self._run += 1
        room = self.budget - len(self.x)
        n = len(self.x0)
        if self._run == len(self.weights) or room < 2 * n + 1:  # not enough for a step after the points interpolated
            return np.empty((0, n))
        w = self.weights[self._run]
        best = self._best(w)
        self._start = self.x[best]
        points = self._interpolated()
        self._known = []
        if np.array_equal(points[0], self._start) and np.isfinite(self._sums(w)[best]):
            self._known, points = [float(self._sums(w)[best])], points[1:]
        self._cap = min(self._most(), room + len(self._known))
        return points

    def _most(self) -> int:
        """Evaluations of a run at most: 3n, but two steps after the points interpolated."""
        n = len(self.x0)
        return max(3 * n, 2 * n + 3)

    # ---------------------------------------------------------------- the solver's view: the start is 0, the radius 1

    def _unit(self) -> FloatArray:
        return self.radius if self._run == 0 else _LATER_RADIUS * self.radius

    def _point(self, u: FloatArray) -> FloatArray:
        return np.clip(self._start + self._unit() * u, self.low, self.high)

    def _problem(self) -> _Problem:
        low, high = (self.low - self._start) / self._unit(), (self.high - self._start) / self._unit()
        return _Problem(low, high, _XTOL if self._run == 0 else _XTOL / _LATER_RADIUS, self._cap)

    def _interpolated(self) -> FloatArray:
        """The points that the solver interpolates first, (2n + 1, n); they do not depend on values."""
        units: list[FloatArray] = []
        last = 2 * len(self.x0)

        def note(u: FloatArray) -> float | None:
            units.append(u)
            return 0.0 if len(units) <= last else None

        _minimise(self._problem(), note)
        return np.array([self._point(u) for u in units])

    # ---------------------------------------------------------------- save and restore

    def _state(self) -> State:
        return {
            "driver": self.driver,
            "run": self._run,
            "start": self._start.copy(),
            "cap": self._cap,
            "known": np.array(self._known),
            "answered": self._answered,
        }

    def _set_state(self, state: State) -> None:
        self.driver = str(state["driver"])
        self._run, self._cap, self._answered = int(state["run"]), int(state["cap"]), int(state["answered"])
        self._start = np.array(state["start"], dtype=np.float64)
        self._known = [float(v) for v in state["known"]]


@dataclasses.dataclass(frozen=True)
class _Problem:
    """What a run of the solver depends on, besides values: bounds, tolerance, evaluations at most."""

    low: FloatArray
    high: FloatArray
    xtol: float
    cap: int


def _nlopt() -> Any:
    """The package, if it is there."""
    try:
        import nlopt
    except ImportError:
        raise MissingDependencyError(
            "`warm_start='bobyqa'` needs the package nlopt; pip install 'lmcma[mo]', or use warm_start='star'."
        ) from None
    return nlopt


def _minimise(problem: _Problem, answer: Callable[[FloatArray], float | None]) -> None:
    """Run the solver from 0; `answer` gives the value at a point, or None to end the run."""
    nlopt = _nlopt()
    n = len(problem.low)
    opt = nlopt.opt(nlopt.LN_BOBYQA, n)
    over = False

    def objective(u: FloatArray, grad: FloatArray) -> float:
        nonlocal over
        value = None if over else answer(u.copy())
        if value is None:
            over = True
            opt.force_stop()  # raising from here is not reliable
            return 0.0
        return value

    opt.set_lower_bounds(problem.low)
    opt.set_upper_bounds(problem.high)
    opt.set_initial_step(np.ones(n))
    opt.set_xtol_abs(problem.xtol)
    opt.set_maxeval(problem.cap)
    opt.set_min_objective(objective)
    try:
        opt.optimize(np.zeros(n))
    except (nlopt.ForcedStop, nlopt.RoundoffLimited, RuntimeError):  # asked to, or it cannot go on
        pass
    finally:
        opt = None  # which refers to `objective`, which refers to it


class _Replay:
    """The solver run from its start every time, with the values known so far, up to the first point without one."""

    def __init__(self, problem: _Problem) -> None:
        self._problem = problem

    def next(self, known: list[float]) -> FloatArray | None:
        """The first point whose value is not known; None where the run ends before."""
        values = iter(known)
        unknown: FloatArray | None = None

        def answer(u: FloatArray) -> float | None:
            nonlocal unknown
            value = next(values, None)
            if value is None:
                unknown = u
            return value

        _minimise(self._problem, answer)
        return unknown

    def close(self) -> None:
        """Nothing to release."""


class _Worker:
    """The solver in a thread of its own, which waits while a point is out."""

    def __init__(self, problem: _Problem) -> None:
        self._points: queue.SimpleQueue[FloatArray | BaseException | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[float | None] = queue.SimpleQueue()
        self._point: FloatArray | None = None
        self._sent = -1  # values; before the first one the thread offers a point by itself
        thread = threading.Thread(
            target=_work, args=(problem, self._points, self._answers), name="lmcma-bobyqa", daemon=True
        )
        # a thread left inside the solver would bring down the interpreter at its exit
        self._release = weakref.finalize(self, _release, thread, self._answers)
        thread.start()

    def next(self, known: list[float]) -> FloatArray | None:
        """The first point whose value is not known; None where the run ends before."""
        while self._sent < len(known) and (self._sent < 0 or self._point is not None):
            if self._sent >= 0:
                self._answers.put(known[self._sent])
            offered = self._points.get()
            if isinstance(offered, BaseException):
                raise offered
            self._point = offered
            self._sent += 1
        return self._point

    def close(self) -> None:
        """End the thread, and wait until it has ended."""
        self._release()


def _work(
    problem: _Problem,
    points: queue.SimpleQueue[FloatArray | BaseException | None],
    answers: queue.SimpleQueue[float | None],
) -> None:
    """The thread: hand over every point, wait for its value; None at the end, or what was raised."""

    def answer(u: FloatArray) -> float | None:
        points.put(u)
        return answers.get()

    try:
        _minimise(problem, answer)
    except BaseException as error:  # to be raised where somebody waits for a point
        points.put(error)
    else:
        points.put(None)


def _release(thread: threading.Thread, answers: queue.SimpleQueue[float | None]) -> None:
    answers.put(None)
    thread.join()
