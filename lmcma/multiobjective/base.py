"""What all strategies for several objectives share: the batch that is out, bounds, counts, limits, the archive.

A strategy on this base supplies: `_rows` and `_draw` (the next batch), `_update` (learn from its values), `_welcome`
(points of the caller's own), `_sizes` (for a recorder) and the entries of its state.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from lmcma import random
from lmcma.arguments import (
    as_batch,
    as_bounds,
    as_box,
    as_count,
    as_ids,
    as_limits,
    as_objectives,
    as_out,
    as_points,
    as_positive,
    as_real,
    as_starts,
    as_stds,
    check_finite,
    check_inside,
    one_of,
)
from lmcma.errors import ArgumentError, MemoryLimitError, ObjectiveError, ShapeError
from lmcma.multiobjective.archive import Archive
from lmcma.result import MultiResult, outcome
from lmcma.strategies.base import memory_limit
from lmcma.strategies.checks import check_foreign, check_head, not_missing, reading_state, told_before
from lmcma.termination import Stop, StopReason, first_of
from lmcma.typing import BoolArray, FloatArray, IntArray, State

FORMAT = 1
PENALTY = 1e-6  # of a step of one width beyond a bound, in units of the range of an objective
_FIRST = 5  # finite rows, at least, whose objectives give the unit of the penalty
_BARREN = 10  # evaluations per variable without one finite row, from the first on, after which something must be wrong
_REACH = 10  # width of the region of interest in units of sigma0, where no bounds say more
FOREIGN = 0.3  # step size of the caller's own points, in units of sigma0: 0.03 of that width


class MultiObjectiveStrategy(ABC):
    """Base of the strategies for several objectives.

    Parameters
    ----------
    x0, sigma0, n_obj, bounds, stds, x0_box, reference, archive, hv_target, maxfev, maxiter, rng
        As the strategies document them.
    """

    method: ClassVar[str]

    def __init__(
        self,
        x0: ArrayLike,
        sigma0: float,
        *,
        n_obj: int,
        bounds: Any,
        stds: ArrayLike | None,
        x0_box: tuple[ArrayLike, ArrayLike] | None,
        reference: ArrayLike | None,
        archive: str,
        hv_target: float | None,
        maxfev: int | None,
        maxiter: int | None,
        rng: random.Seed,
    ) -> None:
        self.starts = as_starts(x0)
        self.sigma0 = as_positive("sigma0", sigma0)
        self._n = n = self.starts.shape[1]
        self._n_obj = as_count("n_obj", n_obj, 2)
        self.low, self.high = as_bounds(bounds, n)
        self.scale = np.ones(n) if stds is None else as_stds(stds, n)
        check_inside("x0", self.starts, self.low, self.high)
        self.box = None if x0_box is None else as_box("x0_box", x0_box, n)
        for corner in self.box or ():
            check_inside("x0_box", corner, self.low, self.high)
        with np.errstate(over="ignore"):
            width = self.high - self.low
        self._width = np.where(np.isfinite(width), width, _REACH * self.sigma0 * self.scale)
        self._bounded = bool(np.isfinite(self.low).any() or np.isfinite(self.high).any())
        log = one_of("archive", archive, ("front", "log")) == "log"
        self.archive = Archive(n, self._n_obj, reference=reference, log=log)
        self.limit(maxfev=maxfev, maxiter=maxiter, hv_target=hv_target)
        self._rng = random.generator(rng)

        self._nfev = 0
        self._nit = 0
        self._nfail = 0
        self._barren = 0  # evaluations since the last finite row
        self._extremes = np.full((2, self._n_obj), np.nan)  # least and largest objectives among the first finite rows
        self._n_extremes = 0  # those rows
        self._unit = np.ones(self._n_obj)  # of the penalty: the ranges of those rows
        self._constraint_scale = np.empty(0)
        # the batch out for evaluation
        self._x = np.empty((0, n))  # its points; none: no batch is out
        self._excess = np.empty(0)  # squared distance to the points as drawn, in units of the width
        self._f = np.empty((0, self._n_obj))
        self._violation = np.empty(0)
        self._received = np.empty(0, dtype=np.bool_)
        self._own = np.empty(0, dtype=np.bool_)  # row as asked, not edited by the caller
        self._n_injected = 0  # its first rows, points that the caller has injected
        self._waiting = np.empty((0, n))
        self._foreign: list[tuple[FloatArray, FloatArray, float]] = []  # (point, objectives, violation)

    # ---------------------------------------------------------------- what a strategy supplies

    @abstractmethod
    def _rows(self) -> int:
        """Rows of the next batch, but for the budget."""

    @abstractmethod
    def _draw(self, rows: int) -> FloatArray:
        """New points, (rows, n); they are moved into the bounds."""

    @abstractmethod
    def _update(self, f: FloatArray, violation: FloatArray, own: BoolArray) -> None:
        """Learn from the rows drawn last.

        f : (rows, n_obj), penalised where the point was moved into the bounds, not finite where the evaluation failed;
        violation : (rows,), of constraints; own : (rows,), False where the caller has evaluated another point instead.
        """

    @abstractmethod
    def _welcome(self, x: FloatArray, f: FloatArray, violation: FloatArray) -> None:
        """Points of the caller's own, (k, n), with their values; not finite where the evaluation failed."""

    @abstractmethod
    def _spread(self) -> tuple[float, float, FloatArray, FloatArray]:
        """Step size, axis ratio, mean (n,), standard deviations (n,): those in the middle, where there are many."""

    def _stops(self) -> list[Stop]:
        """The strategy's own rules that hold now."""
        return []

    @abstractmethod
    def _state(self) -> State:
        """Options and arrays of the strategy."""

    @classmethod
    @abstractmethod
    def _blank(cls, options: dict[str, Any], state: State) -> Self:
        """A new strategy; `options` are the arguments that all strategies share."""

    @abstractmethod
    def _set_state(self, state: State) -> None:
        """Take over what `_state` gave."""

    # ---------------------------------------------------------------- the protocol

    @property
    def dim(self) -> int:
        """The number of variables, n."""
        return self._n

    @property
    def n_obj(self) -> int:
        """The number of objectives."""
        return self._n_obj

    @property
    def popsize(self) -> int:
        """Rows of the next `ask`, less where the budget ends before."""
        return len(self._x) or self._within_budget(self._rows())

    @property
    def nfev(self) -> int:
        """Evaluations told so far."""
        return self._nfev

    @property
    def nit(self) -> int:
        """Iterations done: batches told completely."""
        return self._nit

    @property
    def best_f(self) -> float:
        """NaN: of several objectives there is no best value; see `archive`."""
        return math.nan

    @property
    def reference(self) -> FloatArray | None:
        """The reference point of the hypervolume, (n_obj,)."""
        return self.archive.reference

    @property
    def missing(self) -> IntArray:
        """Rows of the batch out for evaluation whose values are not told yet, (k,); none where no batch is out."""
        return np.flatnonzero(~self._received)

    @property
    def waiting(self) -> FloatArray:
        """Injected points that no batch has held yet, (k, n); a copy."""
        return self._waiting.copy()

    def inject(self, x: ArrayLike) -> None:
        """Have points of your own, (n,) or (k, n), evaluated with the next batch that is drawn, as its first rows.

        They must lie within the bounds. One row of a batch at least is drawn, unless it has but one.
        """
        points = as_points("x", x, self._n)
        check_inside("x", points, self.low, self.high)
        self._waiting = np.concatenate([self._waiting, points])

    def ask(self, out: FloatArray | None = None, *, k: int | None = None) -> FloatArray:
        """Points to evaluate, one a row, within the bounds.

        Asking again before telling gives the same points and changes nothing.

        Parameters
        ----------
        out : (rows, n) array of float64, optional
            Where to write; more rows than there are points give a view of the first ones.
        k : int, optional
            Points of a new batch; by default `popsize`, in any case no more than the budget allows.

        Returns
        -------
        (popsize, n) array
            The batch. Yours to keep.

        Raises
        ------
        ShapeError
            `out` is too small, or of another shape, type or memory order.
        """
        if not len(self._x):
            rows = self._rows() if k is None else as_count("k", k, 1)
            if out is not None:
                as_out(out, self._within_budget(rows), self._n)
            self._begin(self._within_budget(rows))
        if out is None:
            return self._x.copy()
        x = as_out(out, len(self._x), self._n)
        x[:] = self._x
        return x

    def ask_blocks(self, rows: int = 8) -> Iterator[tuple[IntArray, FloatArray]]:
        """The points of `ask` not told yet, `rows` at a time, with their ids for `tell`."""
        rows = as_count("rows", rows, 1)
        x = self.ask()
        due = self.missing
        for first in range(0, len(due), rows):
            ids = due[first : first + rows]
            yield ids, x[ids]

    def tell(
        self,
        x: ArrayLike | None,
        f: ArrayLike,
        g: ArrayLike | None = None,
        *,
        ids: Sequence[int] | ArrayLike | None = None,
    ) -> None:
        """Take the objectives of points.

        Parameters
        ----------
        x : (k, n) array_like or None
            The points. None stands for "as asked". With `ids` left out, rows that differ from what was asked are taken
            as the caller's own points in place of the asked ones.
        f : (k, n_obj) array_like
            Their objectives. A row that is not finite is a failed evaluation: the worst there is.
        g : (k, q) array_like, optional
            Values of constraints: a point is feasible where none is positive. Infeasible points are compared by the
            sum of their positive values, each in units of the first one that was seen, and never enter the archive.
            Once told, `g` is told with every point.
        ids : (k,) sequence of int, optional
            Row of the asked batch that each entry answers, as asked; -1 marks a point of the caller's own, also a
            late one. By default 0, 1, ..., k - 1. The rows of a batch may come in any order and in parts. The archive
            has them at once; the population moves on when the last one has come, and takes them in order of row.

        Raises
        ------
        ProtocolError
            Nothing was asked, or a row is told twice.
        ShapeError
            `x`, `f`, `g`, `ids` do not fit each other or the batch.
        ArgumentError
            A point of the caller's own is not within the bounds; `g` was told before, and is left out.
        ObjectiveError
            No row was finite for 10 n evaluations.
        """
        values = as_objectives(f, self._n_obj)
        k = len(values)
        if ids is None and g is None and not len(self._constraint_scale) and self._is_whole(x, k):
            self._f = values
            self._enter(self._x, values, None)
            self._finish()
            self._check_barren()
            return
        if not len(self._x):
            check_foreign(x, ids)
        points = None if x is None else as_batch(x, k, self._n)
        rows, stands_for = (
            self._in_order(points, k) if ids is None else self._by_id(points, as_ids(ids, k, len(self._x)))
        )
        violation, scale = self._violations(g, k)
        at = np.where(rows[:, None] >= 0, self._x[rows] if len(self._x) else 0.0, 0.0 if points is None else points)
        self._constraint_scale = scale
        values[np.isnan(violation)] = np.nan
        self._enter(at, values, violation)
        own = rows >= 0
        self._f[rows[own]], self._violation[rows[own]] = values[own], violation[own]
        self._received[rows[own]] = True
        self._received[stands_for], self._own[stands_for] = True, False
        for row in np.flatnonzero(~own).tolist():
            self._foreign.append((at[row], values[row], float(violation[row])))
        if len(self._x) and self._received.all():
            self._finish()
        self._check_barren()

    def _check_barren(self) -> None:
        if self._barren == self._nfev >= _BARREN * self._n:  # later they may be rare: exploration goes anywhere
            raise ObjectiveError(
                f"`f` must have finite rows; there was none in the first {self._barren} evaluations. "
                "Start where the objectives can be computed."
            )

    def stop(self) -> Stop | None:
        """Why the run is over; None while it is not. Truthy, with reason, value, threshold and `also`."""
        fired = []
        if self.hv_target < math.inf and (reached := self.archive.hypervolume()) >= self.hv_target:
            fired.append(Stop(StopReason.HYPERVOLUME, reached, self.hv_target))
        if self._nfev >= self.maxfev:
            fired.append(Stop(StopReason.MAXFEV, self._nfev, self.maxfev))
        if self._nit >= self.maxiter:
            fired.append(Stop(StopReason.MAXITER, self._nit, self.maxiter))
        return first_of(fired + self._stops())

    def limit(
        self,
        *,
        ftarget: float | None = None,
        maxfev: int | None = None,
        maxiter: int | None = None,
        hv_target: float | None = None,
    ) -> None:
        """New limits in place of all those given before; None for none.

        Parameters
        ----------
        ftarget : None
            There is no such limit for several objectives.
        maxfev, maxiter : int, optional
            Evaluations, iterations.
        hv_target : float, optional
            A hypervolume; needs a reference.
        """
        if ftarget is not None:
            raise ArgumentError("`ftarget` is for one objective; several have `hv_target`, a hypervolume.")
        if hv_target is not None and self.archive.reference is None:
            raise ArgumentError("`hv_target` needs the `reference` point of the hypervolume; got None.")
        _, self.maxfev, self.maxiter = as_limits(None, maxfev, maxiter)
        self.hv_target = math.inf if hv_target is None else as_real("hv_target", hv_target)

    def result(self) -> MultiResult:
        """What was found, and how it went; `lmcma.MultiResult` lists the fields."""
        archive, measured = self.archive, self.archive.reference is not None
        X, F = archive.X, archive.F
        least = F.argmin(axis=0) if len(F) else np.empty(0, dtype=np.int64)
        nothing = np.full(self._n_obj, np.nan)
        stop = self.stop()
        value = archive.hypervolume() if measured else None
        end = outcome(stop, math.nan if value is None else -value, -self.hv_target)
        return MultiResult(
            X=X,
            F=F,
            eval_index=archive.eval_index,
            ideal=F.min(axis=0) if len(F) else nothing,
            nadir=F.max(axis=0) if len(F) else nothing,
            best_x=X[least],
            best_f=F[least],
            hypervolume=value,
            hv_history=archive.hypervolume_history() if measured else None,
            nfev=self._nfev,
            nit=self._nit,
            nfail=self._nfail,
            **end,
            thinned=archive.thinned,
            method=self.method,
            n_obj=self._n_obj,
            popsize=self._individuals(),
        )

    @abstractmethod
    def _individuals(self) -> int:
        """The size of the population."""

    def hypervolume_history(self, reference: ArrayLike | None = None) -> FloatArray:
        """How the hypervolume grew: rows (evaluations, value), (r, 2); see `Archive.hypervolume_history`."""
        return self.archive.hypervolume_history(reference)

    def snapshot(self) -> Mapping[str, Any]:
        """The search distributions in numbers, for a recorder; `sigma`, `stds` and `axis_ratio` are medians."""
        sigma, axis_ratio, mean, stds = self._spread()
        measured = self.archive.reference is not None
        return {
            "nit": self._nit,
            "best_f": math.nan,
            "sigma": sigma,
            "axis_ratio": axis_ratio,
            "mean": mean,
            "stds": stds,
            "individuals": self._individuals(),
            "archive": len(self.archive),
            "hypervolume": self.archive.hypervolume() if measured else math.nan,
        }

    # ---------------------------------------------------------------- asking

    def _within_budget(self, rows: int) -> int:
        left = self.maxfev - self._nfev
        return rows if left >= rows or left <= 0 else int(left)

    def _begin(self, rows: int) -> None:
        """Draw a batch of so many rows."""
        k = min(len(self._waiting), max(1, rows - 1))
        drawn = self._draw(rows - k) if rows > k else np.empty((0, self._n))
        self._x, self._excess = drawn, np.zeros(len(drawn))
        if self._bounded:
            self._x = np.minimum(np.maximum(drawn, self.low), self.high)
            with np.errstate(over="ignore"):
                self._excess = (((drawn - self._x) / self._width) ** 2).sum(axis=1)
        if k:
            self._x = np.concatenate([self._waiting[:k], self._x])
            self._waiting = self._waiting[k:]
        self._n_injected = k
        self._f = np.full((rows, self._n_obj), np.nan)
        self._violation = np.zeros(rows)
        self._received = np.zeros(rows, dtype=np.bool_)
        self._own = np.ones(rows, dtype=np.bool_)

    # ---------------------------------------------------------------- telling

    def _is_whole(self, x: ArrayLike | None, k: int) -> bool:
        """Whether k values, told for `x`, are those of a whole batch as asked."""
        if not k or k != len(self._x) or self._received.any():
            return False
        return x is None or (isinstance(x, np.ndarray) and np.array_equal(x, self._x))

    def _in_order(self, points: FloatArray | None, k: int) -> tuple[IntArray, IntArray]:
        """Rows of the batch that k told points answer, -1 for edited ones; the rows that these stand for."""
        if k > len(self._x):
            raise ShapeError(
                f"`f` must have at most {len(self._x)} rows, one per row asked; got {k}. "
                "Mark points of your own with -1 in `ids`."
            )
        if self._received[:k].any():
            raise told_before(self._received[:k], self.missing)
        rows = np.arange(k)
        edited = np.zeros(k, dtype=np.bool_) if points is None else (points != self._x[:k]).any(axis=1)
        if points is not None:
            self._check(points, edited)
        return np.where(edited, -1, rows), rows[edited]

    def _by_id(self, points: FloatArray | None, rows: IntArray) -> tuple[IntArray, IntArray]:
        own = rows >= 0
        mine = rows[own]
        if len(np.unique(mine)) != len(mine) or self._received[mine].any():
            raise not_missing(rows, self.missing)
        if points is None and not own.all():
            raise ArgumentError("`x` must hold the points told with id -1; got None. Pass the points.")
        if points is not None:
            self._check(points, ~own)
        others = np.setdiff1d(self.missing, mine)
        replaced = len(rows) == len(self._x) and 0 < len(others) == np.count_nonzero(~own)
        return rows, others if replaced else others[:0]

    def _check(self, points: FloatArray, foreign: BoolArray) -> None:
        """Points of the caller's own must be points within the bounds."""
        check_finite(points, np.flatnonzero(foreign).tolist())
        check_inside("x", np.where(foreign[:, None], points, np.nan), self.low, self.high)

    def _violations(self, g: ArrayLike | None, k: int) -> tuple[FloatArray, FloatArray]:
        """How much each of k points violates the constraints, NaN where that failed; and the scale of each of them."""
        if g is None:
            if len(self._constraint_scale) and k:
                raise ArgumentError(
                    f"`g` must be told with every point once it was told; got None, for {k} points. "
                    "Tell numpy.nan where it is unknown: those points count as failed."
                )
            return np.zeros(k), self._constraint_scale
        values = np.array(g, dtype=np.float64, ndmin=2)
        q = len(self._constraint_scale) or values.shape[-1]
        if values.shape != (k, q):
            raise ShapeError(
                f"`g` must have shape ({k}, {q}), one row of constraints per row of `f`; got {values.shape}."
            )
        positive = np.where(values > 0, values, 0.0)
        scale = self._constraint_scale.copy() if len(self._constraint_scale) else np.full(q, np.nan)
        for j in range(q):
            seen = positive[:, j][(positive[:, j] > 0) & np.isfinite(positive[:, j])]
            if math.isnan(scale[j]) and len(seen):
                scale[j] = seen[0]
        violation = (positive / np.where(np.isnan(scale), 1.0, scale)).sum(axis=1)
        violation[~np.isfinite(values).all(axis=1)] = np.nan
        return violation, scale

    def _enter(self, x: FloatArray, f: FloatArray, violation: FloatArray | None) -> None:
        """Count evaluations, and give those that succeeded to the archive; no `violation`: all are feasible."""
        index = np.arange(self._nfev + 1, self._nfev + 1 + len(f))
        self._nfev += len(f)
        valid = np.isfinite(f)
        if violation is None and valid.all():
            self.archive.enter(x, f, index)
            self._barren = 0
            return
        finite = valid.all(axis=1)
        good = finite if violation is None else finite & (violation == 0)
        if good.any():
            self.archive.enter(x[good], f[good], index[good])
        self._nfail += int(np.count_nonzero(~finite))
        last = np.flatnonzero(finite)
        self._barren = len(f) - 1 - int(last[-1]) if len(last) else self._barren + len(f)

    def _finish(self) -> None:
        """Have the strategy learn from a batch that was told completely."""
        k, x, f, violation, own = self._n_injected, self._x, self._f, self._violation, self._own
        foreign = [(x[row], f[row], violation[row]) for row in range(k) if own[row]]  # what was injected
        foreign, self._foreign = foreign + self._foreign, []
        if self._bounded:
            if self._n_extremes < _FIRST:
                self._extremes = _extremes(np.concatenate([self._extremes, f]))
                self._n_extremes += int(np.isfinite(f).all(axis=1).sum())
                self._unit = _ranges(self._extremes)
            f[k:] += PENALTY * self._excess[:, None] * self._unit
        self._x = self._x[:0]
        self._received = self._received[:0]
        if k == 0:
            self._update(f, violation, own)
        elif len(f) > k:
            self._update(f[k:], violation[k:], own[k:])
        if foreign:
            self._welcome(*(np.array(column) for column in zip(*foreign, strict=True)))
        self._nit += 1

    # ---------------------------------------------------------------- save and restore

    def state_dict(self) -> State:
        """Everything needed to go on to the bit, between any two calls: arrays, numbers, strings, None."""
        return {
            "method": self.method,
            "format": FORMAT,
            "x0": self.starts.copy(),
            "sigma0": self.sigma0,
            "n_obj": self._n_obj,
            "low": self.low.copy(),
            "high": self.high.copy(),
            "scale": self.scale.copy(),
            "box": None if self.box is None else np.array(self.box),
            "hv_target": self.hv_target,
            "maxfev": self.maxfev,
            "maxiter": self.maxiter,
            "rng": random.generator_state(self._rng),
            "nfev": self._nfev,
            "nit": self._nit,
            "nfail": self._nfail,
            "barren": self._barren,
            "extremes": self._extremes.copy(),
            "n_extremes": self._n_extremes,
            "constraint_scale": self._constraint_scale.copy(),
            "x": self._x.copy(),
            "excess": self._excess.copy(),
            "f": self._f.copy(),
            "violation": self._violation.copy(),
            "received": self._received.copy(),
            "own": self._own.copy(),
            "injected": self._n_injected,
            "waiting": self._waiting.copy(),
            "foreign_x": np.array([x for x, _, _ in self._foreign]).reshape(-1, self._n),
            "foreign_f": np.array([f for _, f, _ in self._foreign]).reshape(-1, self._n_obj),
            "foreign_violation": np.array([v for _, _, v in self._foreign]),
            "archive": self.archive.state_dict(),
            **self._state(),
        }

    @classmethod
    def from_state(cls, state: State) -> Self:
        """The strategy whose `state_dict` this is.

        Raises
        ------
        StateError
            The state is of another method or a later format, or incomplete.
        """
        check_head(state, cls.method, FORMAT)
        with reading_state():
            options = {
                "x0": state["x0"],
                "sigma0": state["sigma0"],
                "n_obj": state["n_obj"],
                "bounds": np.column_stack([state["low"], state["high"]]),  # as pairs, which two rows would be for n = 2
                "stds": state["scale"],
                "x0_box": None if state["box"] is None else tuple(state["box"]),
                "reference": state["archive"]["reference"],
                "archive": "log" if state["archive"]["log"] else "front",
                "hv_target": None if state["hv_target"] == math.inf else state["hv_target"],
                "maxfev": None if state["maxfev"] == math.inf else state["maxfev"],
                "maxiter": None if state["maxiter"] == math.inf else state["maxiter"],
                "rng": 0,
            }
            es = cls._blank(options, state)
            es._set_base_state(state)
            es._set_state(state)
        return es

    def _set_base_state(self, state: State) -> None:
        self._rng = random.generator_from_state(state["rng"])
        self._nfev, self._nit, self._nfail = int(state["nfev"]), int(state["nit"]), int(state["nfail"])
        self._barren, self._n_injected = int(state["barren"]), int(state["injected"])
        self._n_extremes = int(state["n_extremes"])
        for name in ("extremes", "constraint_scale", "x", "excess", "f", "violation", "waiting"):
            setattr(self, f"_{name}", np.array(state[name], dtype=np.float64))
        self._unit = _ranges(self._extremes)
        for name in ("received", "own"):
            setattr(self, f"_{name}", np.array(state[name], dtype=np.bool_))
        columns = (state["foreign_x"], state["foreign_f"], state["foreign_violation"])
        self._foreign = [(np.array(x), np.array(f), float(v)) for x, f, v in zip(*columns, strict=True)]
        self.archive = Archive.from_state(state["archive"])


def _extremes(f: FloatArray) -> FloatArray:
    """The least and the largest of each objective among the finite rows, (2, n_obj); NaN without any."""
    good = f[np.isfinite(f).all(axis=1)]
    return np.array([good.min(axis=0), good.max(axis=0)]) if len(good) else np.full((2, f.shape[1]), np.nan)


def _ranges(extremes: FloatArray) -> FloatArray:
    """From the least to the largest of each objective, 1 where that is no number > 0."""
    found: FloatArray = extremes[1] - extremes[0]
    return np.where((found > 0) & np.isfinite(found), found, 1.0)


def check_memory(method: str, need: float, n: int, popsize: int) -> None:
    """Raise a `MemoryLimitError` where a population takes more than the machine has."""
    limit, gib = memory_limit(None), 2.0**30
    if need > limit:
        raise MemoryLimitError(
            f"method={method!r} needs {need / gib:.3g} GiB for n={n}, popsize={popsize}; the limit is "
            f"{limit / gib:.3g} GiB. Use a smaller `popsize`."
        )
