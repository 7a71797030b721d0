"""What all single-objective strategies share: the batch that is out for evaluation, counts, limits, the best.

A strategy on this base supplies five things: `_draw` (random numbers for one batch), `_write` (the batch itself),
`_update` (learn from its values), `_stops` (its own stopping rules) and the arrays of its state.
"""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from lmcma import random
from lmcma.arguments import (
    as_batch,
    as_count,
    as_ids,
    as_limits,
    as_out,
    as_point,
    as_points,
    as_positive,
    as_real,
    as_values,
    check_finite,
)
from lmcma.errors import ArgumentError, MemoryLimitError, ProtocolError, ShapeError
from lmcma.kernels.batch import EDITED, enter_values, probed, take_whole, unchanged_rows
from lmcma.result import Result, outcome
from lmcma.strategies.checks import check_foreign, check_head, not_missing, reading_state, told_before
from lmcma.termination import Stop, StopReason, StopRules, first_of
from lmcma.typing import BoolArray, FloatArray, IntArray, State

FORMAT = 1
NO_LIMIT = {"ftarget": -math.inf, "maxfev": math.inf, "maxiter": math.inf}
_FLOAT64 = np.dtype(np.float64)
_COMPARED_WHOLLY = 10_000  # up to so many columns, a told batch is compared with the asked one in all
_PROBED_COLUMNS = 1000  # in so many where there are more, since each costs an access to distant memory


def default_popsize(n: int) -> int:
    """4 + floor(3 ln n) offspring.

    >>> default_popsize(10)
    10
    """
    return 4 + int(3 * math.log(n))


def probe_stride(n: int) -> int:
    """A told batch is compared with the asked one in every so many-th cluster of columns."""
    return 1 if n <= _COMPARED_WHOLLY else -(-n // _PROBED_COLUMNS)


def shared_parts(n: int, popsize: int, vectors: int, *, remembered: bool = True) -> dict[str, float]:
    """Bytes of what all strategies have: a batch, the numbers to compare it with, vectors.

    Parameters
    ----------
    n, popsize : int
        Dimension and population size.
    vectors : int
        Vectors of length n, `x0` and the best point included; the histories of the stopping rules, of n and
        30 n / popsize numbers, are added to them.
    remembered : bool
        Whether the strategy keeps a part of the batch to notice edited rows.
    """
    batch = 8.0 * popsize * n
    return {
        "population given to the objective": batch,
        "what is remembered of it": batch / probe_stride(n) if remembered else 0.0,
        "vectors of length n": 8.0 * n * (vectors + 1 + 30 / popsize),
    }


def memory_limit(max_memory: float | None) -> float:
    """Bytes a strategy may take: `max_memory`, or four fifths of the machine's memory."""
    if max_memory is not None:
        limit = as_real("max_memory", max_memory)
        if not limit > 0:
            raise ArgumentError(f"`max_memory` must be a number of bytes > 0; got {max_memory!r}.")
        return limit
    try:
        return 0.8 * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not a POSIX system: nobody to ask
        return math.inf


_ATTRIBUTES: dict[type, frozenset[str]] = {}  # that a class gives its strategies


class PopulationStrategy(ABC):
    """Base of the strategies that update once per population.

    Parameters
    ----------
    x0, sigma0, popsize, ftarget, maxfev, maxiter, max_memory, rng
        As the strategies document them.
    stored : int, optional
        Vectors kept, where the user has a choice; for the estimate of memory.
    rules : StopRules
        The stopping rules, `stop` already applied.
    """

    method: ClassVar[str]
    n_obj: ClassVar[int] = 1
    adds_up: ClassVar[tuple[str, ...]] = ()  # further numbers in `result` that are summed over the runs of a chain

    def __init__(
        self,
        x0: ArrayLike,
        sigma0: float,
        *,
        popsize: int | None,
        rules: StopRules,
        ftarget: float | None,
        maxfev: int | None,
        maxiter: int | None,
        max_memory: float | None,
        rng: random.Seed,
        stored: int | None = None,
    ) -> None:
        self.x0 = as_point("x0", x0)
        self.sigma0 = as_positive("sigma0", sigma0)
        self._n = n = len(self.x0)
        reach = float(np.abs(self.x0).max()) + 40 * self.sigma0 * math.sqrt(n)
        if not reach < 1e308:
            raise ArgumentError(
                f"`x0` and `sigma0` must leave room for candidates; they reach to {reach:g}. Scale the variables."
            )
        self._popsize = self.default_popsize(n) if popsize is None else as_count("popsize", popsize, 2)
        self._check_memory(self.memory(n, self._popsize, stored), max_memory)
        self.rules = rules
        self.limit(ftarget=ftarget, maxfev=maxfev, maxiter=maxiter)
        self._rng = random.generator(rng)
        self._key = int(self._rng.integers(2**63))  # of the stream of normal numbers
        self._batch = -1  # number of the batch drawn last
        self._ready = -1  # and of that whose rows can be written again: an older one where `ask` was interrupted

        self._nfev = 0
        self._nit = 0
        self._nfail = 0
        self._best_x = self.x0.copy()
        self._best_f = math.nan
        # the batch out for evaluation
        self._mask = 0  # what `_fired` said after the last update
        self._asked = 0  # its rows; 0: none is out
        self._missing = 0
        self._f = np.zeros(self._popsize)
        self._received = np.zeros(self._popsize, dtype=np.bool_)
        self._own = np.ones(self._popsize, dtype=np.bool_)  # row as asked, not edited by the caller
        self._stride = probe_stride(n)
        self._nothing = np.empty((0, n))
        self._probe = np.empty((0, 0))  # what `ask` returned, see `_remember`
        self._injected = np.empty((0, self._n))  # its first rows, where the caller has injected points
        self._waiting = np.empty((0, self._n))  # injected points for later batches
        self._foreign: list[
            tuple[FloatArray, float, int]
        ] = []  # (point, value, row replaced or -1), for the next update

    # ---------------------------------------------------------------- what a strategy supplies

    @classmethod
    @abstractmethod
    def memory_parts(cls, n: int, popsize: int, stored: int | None = None) -> dict[str, float]:
        """Bytes needed in dimension `n` by what takes them, an estimate.

        The most that is in use at a time while batches are asked with the same `out` and told whole. `stored` is the
        option `memory` of the strategies that have it.
        """

    @classmethod
    def memory(cls, n: int, popsize: int, stored: int | None = None) -> float:
        """Bytes needed in dimension `n`: the sum of `memory_parts`."""
        return sum(cls.memory_parts(n, popsize, stored).values())

    @staticmethod
    def default_popsize(n: int) -> int:
        """The population size in dimension `n` unless the user says otherwise: 4 + floor(3 ln n)."""
        return default_popsize(n)

    @classmethod
    def first_rows(cls, n: int, popsize: int, waiting: int = 0) -> int:
        """Rows of the first `ask`, where so many injected points are waiting."""
        return popsize

    @staticmethod
    def default_memory(n: int) -> int:
        """The option `memory` of the strategies that have it, unless the user says otherwise: 4 + floor(3 ln n)."""
        return default_popsize(n)

    @property
    @abstractmethod
    def mean(self) -> FloatArray:
        """The mean of the search distribution, (n,)."""

    @property
    @abstractmethod
    def sigma(self) -> float:
        """The step size."""

    def _draw(self) -> None:
        """Go on to the random numbers of the next batch, all of it."""
        self._batch += 1

    @abstractmethod
    def _write(self, out: FloatArray) -> None:
        """Write the first rows of the batch drawn last into `out`; may be called again."""

    @abstractmethod
    def _update(
        self, f: FloatArray, own: BoolArray, foreign_x: FloatArray | None, foreign_f: FloatArray | None
    ) -> None:
        """Learn from the values `f` of a complete batch.

        Rows that are not `own` were replaced by the caller: their points are in `foreign_x`, which lists the
        replaced rows first, in order of row, then further points of the caller's own.
        """

    @abstractmethod
    def _fired(self) -> int:
        """The strategy's own rules that hold, a bit each."""

    @abstractmethod
    def _stops(self) -> list[Stop]:
        """The strategy's own rules that hold now."""

    @abstractmethod
    def _state(self) -> State:
        """Options and arrays of the strategy."""

    @abstractmethod
    def _set_state(self, state: State) -> None:
        """Take over what `_state` gave."""

    @abstractmethod
    def snapshot(self) -> Mapping[str, Any]:
        """The search distribution in numbers, for a recorder."""

    @classmethod
    def fits(cls, n: int, max_memory: float | None, popsize: int | None = None) -> bool:
        """Whether the strategy fits in memory in dimension `n`."""
        rows = cls.default_popsize(n) if popsize is None else as_count("popsize", popsize, 2)
        return cls.memory(n, rows) <= memory_limit(max_memory)

    # ---------------------------------------------------------------- the protocol

    @property
    def dim(self) -> int:
        """The number of variables, n."""
        return self._n

    @property
    def popsize(self) -> int:
        """Rows of the next `ask`: the population size, less where the budget ends before."""
        if self._asked:
            return self._asked
        left = self.maxfev - self._nfev
        return self._popsize if left >= self._popsize or left <= 0 else int(left)

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
        """The best value told so far; NaN before the first."""
        return self._best_f

    @property
    def missing(self) -> IntArray:
        """Rows of the batch out for evaluation whose values are not told yet, (k,); none where no batch is out."""
        return np.flatnonzero(~self._received[: self._asked])

    @property
    def waiting(self) -> FloatArray:
        """Injected points that no batch has held yet, (k, n); a copy."""
        return self._waiting.copy()

    def inject(self, x: ArrayLike) -> None:
        """Have points of your own evaluated with the next batch that is drawn.

        They are its first rows, exactly as given, and told like all rows. The strategy learns from them as from any
        point that it did not draw: a step beyond the usual length is shortened, a bad value pushes nothing away. The
        random numbers of the batch are drawn all the same, so that its other rows do not depend on what is injected.

        Parameters
        ----------
        x : (n,) or (k, n) array_like
            A point, or one a row, or none. At least one row of a batch is drawn, unless it has but one: what does
            not fit, and all while a batch is out, waits for the next; see `waiting`.

        Raises
        ------
        ArgumentTypeError, ShapeError, ArgumentError
            `x` is not numbers, not of that shape, not finite.

        Examples
        --------
        >>> import lmcma
        >>> es = lmcma.CMAES([1.0] * 3, 0.5, rng=1)
        >>> es.inject([0.0, 0.25, 0.0])
        >>> x = es.ask()
        >>> x[0].tolist()
        [0.0, 0.25, 0.0]
        >>> es.tell(x, (x**2).sum(axis=1))
        >>> es.result().x.tolist()
        [0.0, 0.25, 0.0]

        References
        ----------
        N. Hansen. Injecting external solutions into CMA-ES. arXiv:1110.4181, 2011.
        """
        self._waiting = np.concatenate([self._waiting, as_points("x", x, self._n)])

    def ask(self, out: FloatArray | None = None) -> FloatArray:
        """Points to evaluate, one a row.

        Asking again before telling gives the same points and changes nothing.

        Parameters
        ----------
        out : (rows, n) array of float64, optional
            Where to write; more than `popsize` rows give a view of the first ones. Without it the array is new.

        Returns
        -------
        (popsize, n) array
            The batch. Yours to keep; the strategy remembers it by itself.

        Raises
        ------
        ShapeError
            `out` is too small, or of another shape, type or memory order.
        ProtocolError
            The run broke down (`stop` says ``"numeric"`` or ``"eigen_failure"``): there is nothing to sample from.
        """
        rows = self._asked or self.popsize
        x = np.empty((rows, self._n)) if out is None else as_out(out, rows, self._n)
        if not self._asked:
            self._begin(rows)
        self._write_batch(x)
        return x

    def ask_blocks(self, rows: int = 8) -> Iterator[tuple[IntArray, FloatArray]]:
        """The points of `ask` not told yet, some rows at a time, for where there is no room for all of them.

        The large-scale methods make the rows of a block when it is its turn; the others make all at once.

        Parameters
        ----------
        rows : int
            Rows of a block.

        Yields
        ------
        (k,) array of int, (k, n) array
            Ids of the rows, for `tell(None, f, ids=ids)`, and the rows: the next block overwrites them.

        Raises
        ------
        ArgumentError, ProtocolError
            `rows` is not >= 1; as `ask`.

        Examples
        --------
        >>> import lmcma
        >>> es = lmcma.LMCMA([1.0] * 100, 0.5, rng=1)
        >>> for ids, x in es.ask_blocks(4):
        ...     es.tell(None, (x**2).sum(axis=1), ids=ids)
        >>> es.nit
        1
        """
        rows = as_count("rows", rows, 1)
        asked = self._asked or self.popsize
        if not self._asked:
            self._begin(asked)
            self._probe = np.empty((0, 0))
        if self._ready != self._batch:
            self._prepare_rows()
            self._ready = self._batch
        x = np.empty((min(rows, asked), self._n))
        batch, last = self._batch, self.missing[-1]
        for first in range(0, last + 1, rows):
            if self._batch != batch or not self._asked:
                raise ProtocolError("`ask_blocks` goes through one batch, which was told completely meanwhile.")
            ids = np.arange(first, min(first + rows, asked))
            due = ~self._received[ids]
            if not due.any():
                continue
            block = x[: len(ids)]
            self._write_rows(first, block)
            own = self._injected[first : first + len(ids)]
            block[: len(own)] = own
            yield (ids, block) if due.all() else (ids[due], block[due])

    def _begin(self, rows: int) -> None:
        """Draw a batch of so many rows."""
        if self._mask and (broken := self._broken()) is not None:
            raise ProtocolError(
                f"`ask` has no distribution to sample from: {broken.message}. "
                "End the run when `stop()` is not None, or start again from `result().x`."
            )
        self._draw()
        self._asked = self._missing = rows
        if len(self._waiting):
            k = max(1, rows - 1)
            self._injected, self._waiting = self._waiting[:k], self._waiting[k:]

    def tell(self, x: ArrayLike | None, f: ArrayLike, *, ids: Sequence[int] | ArrayLike | None = None) -> None:
        """Take the values of points.

        Parameters
        ----------
        x : (k, n) array_like or None
            The points. None stands for "as asked". With `ids` left out, rows that differ from what was asked
            (repaired ones, say) are taken as the caller's own points in place of the asked ones; they are compared
            in all columns, for n > 10000 in some 1000 of them.
        f : (k,) array_like
            Their values; NaN for a failed evaluation, which ranks last.
        ids : (k,) sequence of int, optional
            Row of the asked batch that each entry answers, as asked; -1 marks a point of the caller's own, also a
            late one: it joins the next update. By default 0, 1, ..., k - 1. The rows of a batch may come in any
            order and in parts; the strategy moves on when the last one has come. Told a whole batch at once in
            which some ids are -1, it takes those points in place of the rows that are missing.

        Raises
        ------
        ProtocolError
            Nothing was asked, or a row is told twice.
        ShapeError
            `x`, `f`, `ids` do not fit each other or the batch.
        """
        if ids is None and self._take_whole(x, f):
            return
        if not self._asked:
            check_foreign(x, ids)
        values = as_values(f)
        points = None if x is None else as_batch(x, len(values), self._n)
        if ids is None:
            self._take_in_order(points, values)
        else:
            self._take_by_id(points, values, ids)
        if self._asked and not self._missing:
            self._finish_batch()

    def stop(self) -> Stop | None:
        """Why the run is over; None while it is not. Truthy, with reason, value, threshold and `also`."""
        if (
            not self._mask
            and self._nfev < self.maxfev
            and self._nit < self._iteration_limit
            and not self._best_f <= self.ftarget
        ):
            return None  # the usual case
        fired = []
        if -math.inf < self.ftarget and self._best_f <= self.ftarget:
            fired.append(Stop(StopReason.FTARGET, self._best_f, self.ftarget))
        if self._nfev >= self.maxfev:
            fired.append(Stop(StopReason.MAXFEV, self._nfev, self.maxfev))
        if self._nit >= self._iteration_limit:
            fired.append(Stop(StopReason.MAXITER, self._nit, self._iteration_limit))
        fired += self._stops()
        return first_of(fired)

    def limit(self, *, ftarget: float | None = None, maxfev: int | None = None, maxiter: int | None = None) -> None:
        """New limits in place of all those given before, such as to go on with a run that one of them has ended.

        Parameters
        ----------
        ftarget, maxfev, maxiter
            As when the strategy is made; None for none.
        """
        self.ftarget, self.maxfev, self.maxiter = as_limits(ftarget, maxfev, maxiter)
        self._iteration_limit = min(self.maxiter, self.rules.iteration_limit(self._n, self._popsize))

    def result(self) -> Result:
        """The best so far, and how it went; `lmcma.Result` lists the fields."""
        return Result(
            x=self._best_x.copy(),
            fun=self._best_f,
            nfev=self._nfev,
            nit=self._nit,
            nfail=self._nfail,
            **outcome(self.stop(), self._best_f, self.ftarget),
            mean=self.mean.copy(),
            sigma=self.sigma,
            popsize=self._popsize,
            method=self.method,
            runs=[],
        )

    def state_dict(self) -> State:
        """Everything needed to go on to the bit, between any two calls: arrays, numbers, strings, None."""
        return {
            "method": self.method,
            "format": FORMAT,
            "x0": self.x0.copy(),
            "sigma0": self.sigma0,
            "ftarget": self.ftarget,
            "maxfev": self.maxfev,
            "maxiter": self.maxiter,
            "popsize": self._popsize,
            "nfev": self._nfev,
            "nit": self._nit,
            "nfail": self._nfail,
            "best_x": self._best_x.copy(),
            "best_f": self._best_f,
            "rng": random.generator_state(self._rng),
            "key": self._key,
            "batch": self._batch,
            "asked": self._asked,
            "f": np.where(self._received, self._f, 0.0),
            "received": self._received.copy(),
            "own": self._own.copy(),
            "injected": self._injected.copy(),
            "waiting": self._waiting.copy(),
            "foreign_x": np.array([p for p, _, _ in self._foreign]).reshape(-1, self._n),
            "foreign_f": np.array([v for _, v, _ in self._foreign]),
            "foreign_row": np.array([r for _, _, r in self._foreign], dtype=np.int64),
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
            es = cls._blank(state)
            es._set_base_state(state)
            es._set_state(state)
            es._mask = es._fired()
        if es._asked:
            es._prepare_rows()
            es._ready = es._batch
        return es

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles are made of the state: fields are views of one array, which would come apart."""
        kind, state = type(self), self.state_dict()
        if kind not in _ATTRIBUTES:
            _ATTRIBUTES[kind] = frozenset(vars(kind.from_state(state)))
        others = {name: value for name, value in vars(self).items() if name not in _ATTRIBUTES[kind]}
        return kind.from_state, (state,), others or None

    def __setstate__(self, others: dict[str, Any]) -> None:
        """What a user has hung on the strategy goes with it."""
        for name, value in others.items():
            vars(self).setdefault(name, value)

    # ---------------------------------------------------------------- telling

    def _take_whole(self, x: Any, f: Any) -> bool:
        """The usual case, done at once: all rows as asked, in arrays as they should be. False in any other case."""
        rows = self._asked
        if (
            rows != self._popsize
            or rows != self._missing
            or self._foreign
            or len(self._injected)
            or type(f) is not np.ndarray
            or f.dtype is not _FLOAT64
            or f.shape != (rows,)
            or not f.flags.carray  # what kernels are compiled for: contiguous, and writeable
        ):
            return False
        if x is None:
            x = self._nothing
        elif type(x) is not np.ndarray or x.dtype is not _FLOAT64 or x.shape != (rows, self._n) or not x.flags.carray:
            return False
        n_nan, best, self._best_f = self._learn_whole(x, f)
        if best == EDITED:
            return False
        self._nfev += rows
        self._nfail += n_nan
        self._asked = self._missing = 0
        self._nit += 1
        return True

    def _learn_whole(self, x: FloatArray, f: FloatArray) -> tuple[int, int, float]:
        """Compare rows `x`, if there are any, with those asked; then the best, which goes to `_best_x`, and the update.

        How many values are NaN, the row of a new best or -1, the best value; `EDITED` for the row, and nothing else
        done, where the rows are not as asked.
        """
        kept = self._remembered() if len(x) else self._nothing
        n_nan, best, best_f = take_whole(x, kept, self._stride, f, self._best_f)
        if best != EDITED:
            if best >= 0:
                self._best_x = x[best].copy() if len(x) else self._row(best)
            self._update(f, self._own, None, None)
            self._mask = self._fired()
        return n_nan, best, best_f

    def _take_in_order(self, points: FloatArray | None, values: FloatArray) -> None:
        k = len(values)
        if k > self._asked:
            raise ShapeError(
                f"`f` must have at most {self._asked} values, one per row asked; got {k}. "
                "Mark points of your own with -1 in `ids`."
            )
        if self._missing < self._asked and self._received[:k].any():
            raise told_before(self._received[:k], self.missing)
        edited: list[int] = []
        if points is not None and not unchanged_rows(points, self._remembered(), self._stride, self._own):
            edited = np.flatnonzero(~self._own[:k]).tolist()
            try:
                check_finite(points, edited)
            except ArgumentError:
                self._own[:] = True
                raise
        n_nan, best = enter_values(values, self._f, self._received, self._best_f)
        self._missing -= k
        self._nfev += k
        self._nfail += n_nan
        for row in edited:
            assert points is not None
            self._foreign.append((points[row].copy(), float(values[row]), row))
        if best >= 0:
            self._best_f = float(values[best])
            self._best_x = self._asked_row(best) if points is None else points[best].copy()

    def _take_by_id(self, points: FloatArray | None, values: FloatArray, ids: Any) -> None:
        rows = as_ids(ids, len(values), self._asked)
        own = rows >= 0
        if points is None and not own.all():
            raise ArgumentError("`x` must hold the points told with id -1; got None. Pass the points.")
        mine = rows[own]
        if len(np.unique(mine)) != len(mine) or self._received[mine].any():
            raise not_missing(rows, self.missing)
        replaced = np.full(len(rows), -1)  # the row that a point of the caller's own stands for
        if points is not None and not own.all():
            check_finite(points, np.flatnonzero(~own).tolist())
            if len(rows) == self._asked and np.count_nonzero(~own) == self._missing - len(mine):
                self._received[mine] = True
                replaced[~own] = np.flatnonzero(~self._received[: self._asked])
                self._own[replaced[~own]] = False
                mine, own_values = np.concatenate([mine, replaced[~own]]), np.concatenate([values[own], values[~own]])
            else:
                own_values = values[own]
        else:
            own_values = values
        self._f[mine] = own_values
        self._received[mine] = True
        self._missing -= len(mine)
        self._nfev += len(values)
        self._nfail += int(np.isnan(values).sum())
        for k, value in enumerate(values.tolist()):
            if rows[k] < 0 and points is not None:
                self._foreign.append((points[k].copy(), value, int(replaced[k])))
            if value < self._best_f or (math.isnan(self._best_f) and not math.isnan(value)):
                self._best_f = value
                self._best_x = self._asked_row(int(rows[k])) if points is None or own[k] else points[k].copy()

    def _finish_batch(self) -> None:
        f = self._f[: self._asked]
        complete = self._is_complete()
        injected, self._injected = self._injected, self._injected[:0]
        self._asked = 0
        self._received[:] = False
        if complete:
            self._nit += 1
            if len(injected):
                as_asked = np.flatnonzero(self._own[: len(injected)])  # the others are in `_foreign` as edited
                self._foreign += [(injected[row], float(f[row]), row) for row in as_asked.tolist()]
                self._own[as_asked] = False
            try:
                self._update(f, self._own, *self._take_foreign())
            finally:
                self._own[:] = True
                self._mask = self._fired()
        else:
            self._learn_part(f, injected)
            self._foreign = [e for e in self._foreign if e[2] < 0]
            self._own[:] = True

    def _is_complete(self) -> bool:
        """Whether the batch that is out can be learnt from: one cut short by the budget teaches nothing."""
        return self._asked == self._popsize

    def _learn_part(self, f: FloatArray, injected: FloatArray) -> None:  # noqa: B027
        """Whatever is to be learnt from a batch that was cut short, whose first rows were `injected`: nothing."""

    def _take_foreign(self) -> tuple[FloatArray | None, FloatArray | None]:
        """Points and values of the caller's own, those that replace rows first; none are left."""
        if not self._foreign:
            return None, None
        entries = sorted((e for e in self._foreign if e[2] >= 0), key=lambda e: e[2])
        entries += [e for e in self._foreign if e[2] < 0]
        self._foreign.clear()
        return np.array([e[0] for e in entries]), np.array([e[1] for e in entries])

    def _write_batch(self, out: FloatArray) -> None:
        """Write the batch that is out, injected points included, and note what it is."""
        if self._ready == self._batch:
            self._write_again(out)
        else:
            self._write(out)
            self._ready = self._batch
        if len(self._injected):
            out[: len(self._injected)] = self._injected
        self._remember(out)

    def _write_again(self, out: FloatArray) -> None:
        """Write the rows that `_write` wrote, to the bit."""
        self._write(out)

    def _prepare_rows(self) -> None:
        """Whatever `_write_rows` and `_write_again` need of a batch that was drawn."""
        self._write(np.empty((self._asked, self._n)))

    def _write_rows(self, first: int, out: FloatArray) -> None:
        """Write rows `first`, `first` + 1, ... of the batch that is out, as drawn, into `out`."""
        for row, x in enumerate(out, start=first):
            x[:] = self._row(row)

    def _remember(self, out: FloatArray) -> None:
        """Keep what `_remembered` needs of the batch that goes out."""
        self._probe = probed(out, self._stride, self._probe)

    def _remembered(self) -> FloatArray:
        """The batch that is out, in every `_stride`-th cluster of columns, to notice edited rows."""
        if len(self._probe) < self._asked:  # the batch never was in one piece
            x = np.empty((self._asked, self._n))
            self._write_batch(x)
        return self._probe

    def _asked_row(self, row: int) -> FloatArray:
        """One row of the batch that is out, (n,), new."""
        return self._injected[row].copy() if row < len(self._injected) else self._row(row)

    @abstractmethod
    def _row(self, row: int) -> FloatArray:
        """One row as drawn of the batch that is out, (n,), new."""

    def _broken(self) -> Stop | None:
        for stop in self._stops():
            if stop.reason in (StopReason.NUMERIC, StopReason.EIGEN_FAILURE):
                return stop
        return None

    # ---------------------------------------------------------------- checks and plumbing

    def _check_memory(self, need: float, max_memory: float | None) -> None:
        limit = memory_limit(max_memory)
        if need > limit:
            gib = 2.0**30
            # whether memory grows much faster than n
            quadratic = self.memory(1000 * self._n, self._popsize) > 5000 * self.memory(self._n, self._popsize)
            remedies = [*self._remedies(), *(["use method='lm-cma'"] if quadratic else []), "raise `max_memory`"]
            raise MemoryLimitError(
                f"method={self.method!r} needs {need / gib:.3g} GiB for n={self._n}, popsize={self._popsize}; "
                f"the limit is {limit / gib:.3g} GiB. Please {' or '.join(remedies)}."
            )

    def _remedies(self) -> list[str]:
        """Options of the strategy that save memory."""
        return []

    @classmethod
    @abstractmethod
    def _blank(cls, state: State) -> Self:
        """A new strategy with the options of `state`."""

    @staticmethod
    def _limits_of(state: State) -> dict[str, Any]:
        """The constructor's arguments that all strategies share, apart from start and rules."""
        limits = {k: None if state[k] == off else state[k] for k, off in NO_LIMIT.items()}
        return {"popsize": state["popsize"], "max_memory": math.inf, "rng": 0, **limits}

    def _set_base_state(self, state: State) -> None:
        self._nfev, self._nit, self._nfail = int(state["nfev"]), int(state["nit"]), int(state["nfail"])
        self._best_x = np.array(state["best_x"], dtype=np.float64)
        self._best_f = float(state["best_f"])
        self._rng = random.generator_from_state(state["rng"])
        self._key, self._batch = int(state["key"]), int(state["batch"])
        self._asked = int(state["asked"])
        self._f = np.array(state["f"], dtype=np.float64)
        self._received = np.array(state["received"], dtype=np.bool_)
        self._own = np.array(state["own"], dtype=np.bool_)
        self._injected = as_points("injected", state["injected"], self._n)
        self._waiting = as_points("waiting", state["waiting"], self._n)
        self._missing = self._asked - int(self._received[: self._asked].sum())
        self._foreign = [
            (np.array(p, dtype=np.float64), float(v), int(r))
            for p, v, r in zip(state["foreign_x"], state["foreign_f"], state["foreign_row"], strict=True)
        ]
