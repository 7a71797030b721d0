"""All points that no other dominates, of all that were ever evaluated."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike

from lmcma.arguments import as_count, as_point
from lmcma.errors import ArgumentError, ArgumentTypeError, ProtocolError, ShapeError, StateError
from lmcma.kernels import archive as kernels
from lmcma.kernels import pareto
from lmcma.kernels.archive import ALIVE, ENTERED, FREE, N_COUNT, Store
from lmcma.kernels.pareto import END, Front
from lmcma.multiobjective import many
from lmcma.typing import BoolArray, FloatArray, IntArray, State

_START = 16  # slots
_KEPT = 0.9  # of `max_rows`, when there are more
_PER_DECADE = 50  # entries of a history


class Log(NamedTuple):
    """Every point that was not dominated when it came, in order of evaluation."""

    X: FloatArray  # (k, n)
    F: FloatArray  # (k, n_obj)
    birth: IntArray  # (k,), the evaluation, counted from 1
    death: IntArray  # (k,), the evaluation that found what dominates it; -1 where none has


class Archive:
    """Non-dominated points, with their hypervolume at any time.

    Parameters
    ----------
    n, n_obj : int
        Variables and objectives.
    reference : (n_obj,) array_like, optional
        Reference point of the hypervolume. Points that are not better in every objective are kept, but add nothing.
    log : bool
        Keep points that are dominated later, too: `hypervolume_history` is exact then for any reference.
    max_rows : int
        Points kept at most. When there are more, those that contribute least go, a tenth of them; of a log first all
        that are dominated. `thinned` counts what was lost.

    Notes
    -----
    Two objectives: O(log K) for a point, the hypervolume included. More: O(K), and the hypervolume takes moocore.

    Examples
    --------
    >>> from lmcma.multiobjective import Archive
    >>> archive = Archive(1, reference=(4, 4))
    >>> archive.add([[0.0], [1.0], [2.0]], [[1, 3], [3, 1], [2, 2]]).tolist()
    [True, True, True]
    >>> archive.F.tolist(), archive.hypervolume()
    ([[1.0, 3.0], [2.0, 2.0], [3.0, 1.0]], 6.0)
    """

    def __init__(
        self,
        n: int,
        n_obj: int = 2,
        *,
        reference: ArrayLike | None = None,
        log: bool = False,
        max_rows: int = 1_000_000,
    ) -> None:
        self.n, self.n_obj = as_count("n", n, 1), as_count("n_obj", n_obj, 2)
        self.reference = None if reference is None else as_reference(reference, self.n_obj)
        self.log_kept = bool(log)
        self.max_rows = as_count("max_rows", max_rows, 10)
        self.thinned = 0
        self._limits = np.full(self.n_obj, np.inf) if self.reference is None else self.reference
        self._told = 0  # evaluations
        self._history: list[tuple[int, float]] = []
        # three objectives and more
        self._measured = 0  # entries when the hypervolume was noted last
        self._volume = ((0, 0), 0.0)  # (entries, points thinned) when it was measured last, and what it was
        self._clear(_START)

    def _clear(self, capacity: int) -> None:
        n, m = self.n, self.n_obj
        self._store = Store(
            x=np.empty((capacity, n)),
            f=np.empty((capacity, m)),
            birth=np.zeros(capacity, dtype=np.int64),
            death=np.zeros(capacity, dtype=np.int64),
            free=np.arange(capacity)[::-1].copy(),
            alive=np.zeros(capacity if m > 2 else 0, dtype=np.int64),
            counts=np.zeros(N_COUNT, dtype=np.int64),
            area=np.zeros(2),
        )
        self._store.counts[FREE] = capacity
        self._front = Front(self._store.f, np.full((capacity + 1, 2), END), np.full((capacity + 1, 2), END))

    # ---------------------------------------------------------------- what comes

    def add(self, x: ArrayLike, f: ArrayLike, eval_index: ArrayLike | None = None) -> BoolArray:
        """Take in the points that no other weakly dominates, and let go of those that they dominate.

        Parameters
        ----------
        x, f : (k, n), (k, n_obj) array_like
            Points and their objectives, finite, one after the other.
        eval_index : (k,) array_like of int, optional
            Number of the evaluation, from 1 and never smaller than the one before; by default on from the last.

        Returns
        -------
        (k,) array of bool
            Which of them came in.

        Raises
        ------
        ShapeError, ArgumentError, ArgumentTypeError
            Arrays do not fit, `f` is not finite, or `eval_index` is not as said.
        """
        x = np.ascontiguousarray(x, dtype=np.float64)
        f = np.ascontiguousarray(f, dtype=np.float64)
        k = len(f)
        if x.shape != (k, self.n) or f.shape != (k, self.n_obj):
            raise ShapeError(
                f"`x` and `f` must have shapes (k, {self.n}) and (k, {self.n_obj}); got {x.shape} and {f.shape}."
            )
        if not np.isfinite(f).all():
            raise ArgumentError("`f` must be finite. Leave out the rows of failed evaluations.")
        birth: IntArray
        if eval_index is None:
            birth = np.arange(self._told + 1, self._told + k + 1)
        else:
            birth = _as_births(eval_index, k, self._told)
        return self.enter(x, f, birth) if k else np.empty(0, dtype=np.bool_)

    def enter(self, x: FloatArray, f: FloatArray, birth: IntArray) -> BoolArray:
        """As `add` with an `eval_index`, for arrays of which it is known that they fit; at least one row."""
        k = len(f)
        entered = np.empty(k, dtype=np.bool_)
        self._told = int(birth[-1])
        self._make_room(k)
        if self.n_obj == 2:
            area = np.empty(k)
            kernels.enter(self._front, self._store, self._limits, self.log_kept, x, f, birth, entered, area)
            if self.reference is not None:
                self._note_all(birth, area)
        else:
            kernels.enter_many(self._store, self.log_kept, x, f, birth, entered)
            self._note_many()
        if self._rows > self.max_rows:
            self._thin()
        return entered

    def _note(self, nfev: int, value: float) -> None:
        """Keep the hypervolume, the last value in every fiftieth of a decade."""
        history = self._history
        if value > (history[-1][1] if history else 0.0):
            if history and _decade(history[-1][0]) == _decade(nfev):
                history.pop()
            history.append((nfev, value))

    def _note_all(self, birth: IntArray, area: FloatArray) -> None:
        """Keep those of several values, one a row, that `_note` would keep in the end."""
        if len(birth) > 1:
            rows = np.flatnonzero(np.append(True, area[1:] > area[:-1]))  # it grew; those may be last of their part
            decades = np.floor(_PER_DECADE * np.log10(birth[rows]))
            for row in rows[np.append(decades[1:] != decades[:-1], True)].tolist():
                self._note(int(birth[row]), float(area[row]))
        else:
            self._note(int(birth[0]), float(area[0]))

    def _note_many(self) -> None:
        """The same where measuring takes long: once in every fiftieth of a decade."""
        due = not self._history or _decade(self._history[-1][0]) < _decade(self._told)
        if self.reference is not None and due and self._measured < self._store.counts[ENTERED]:
            self._measured = int(self._store.counts[ENTERED])
            self._note(self._told, self.hypervolume())

    @property
    def _rows(self) -> int:
        return len(self._store.birth) - int(self._store.counts[FREE])

    def _make_room(self, k: int) -> None:
        while self._store.counts[FREE] < k:
            store, front, old = self._store, self._front, len(self._store.birth)
            self._clear(2 * old)
            for mine, theirs in zip(self._store, store, strict=True):
                mine[: len(theirs)] = theirs
            for mine, theirs in ((self._front.child, front.child), (self._front.link, front.link)):
                mine[:old], mine[END] = theirs[:old], theirs[END]
            more = np.arange(old, 2 * old)[::-1]
            size = int(store.counts[FREE])
            self._store.free[: old + size] = np.concatenate([more, store.free[:size]])
            self._store.counts[FREE] += old

    def _thin(self) -> None:
        before = self._rows
        if self.log_kept:  # forget the dead
            self._restore(self._all(alive=True))
        keep = int(_KEPT * self.max_rows)
        if self._rows > self.max_rows:
            if self.n_obj == 2:
                kernels.thin(self._front, self._store, keep, self._told, False)
            else:
                rows = self._all(alive=True)
                least = np.argsort(many.contributions(rows.F, None), kind="stable")[: len(rows.F) - keep]
                kept = np.setdiff1d(np.arange(len(rows.F)), least)
                self._restore(Log(rows.X[kept], rows.F[kept], rows.birth[kept], rows.death[kept]))
            self._sum_up()
        self.thinned += before - self._rows

    def _sum_up(self) -> None:
        if self.reference is not None and self.n_obj == 2:
            self._store.area[:] = kernels.measure(self._front, self.reference)

    # ---------------------------------------------------------------- what is there

    def __len__(self) -> int:
        return int(self._store.counts[ALIVE])

    @property
    def entered(self) -> int:
        """Points that came in so far, whether they are still here or not."""
        return int(self._store.counts[ENTERED])

    @property
    def _slots(self) -> IntArray:
        """In order of f_1, then of the other objectives."""
        slots = np.empty(len(self), dtype=np.int64)
        if self.n_obj == 2:
            pareto.walk(self._front, slots)
            return slots
        alive = self._store.alive[: len(self)]
        return alive[np.lexsort(self._store.f[alive].T[::-1])]

    @property
    def X(self) -> FloatArray:
        """Points in order of their first objective, (K, n); a copy."""
        return self._store.x[self._slots]

    @property
    def F(self) -> FloatArray:
        """Their objectives, (K, n_obj); a copy."""
        return self._store.f[self._slots]

    @property
    def eval_index(self) -> IntArray:
        """The evaluations that found them, counted from 1, (K,); a copy."""
        return self._store.birth[self._slots]

    @property
    def log(self) -> Log:
        """Every point that was not dominated when it came.

        Raises
        ------
        ArgumentError
            No log is kept.
        """
        if not self.log_kept:
            raise ArgumentError("the log needs `log=True` (of a strategy: `archive='log'`) from the beginning.")
        return self._all()

    def hypervolume(self, reference: ArrayLike | None = None) -> float:
        """The volume that the points dominate and the reference does not, by default the one of the archive.

        Infinite only where it is beyond the largest number.

        Raises
        ------
        ArgumentError
            There is none.
        """
        if reference is None:
            if self.reference is None:
                raise ArgumentError("`reference` must be given, here or to the archive; got None.")
            if self.n_obj == 2:
                return float(self._store.area.sum())
            now = (self.entered, self.thinned)
            if self._volume[0] != now:  # it takes long, and `hv_target` asks for it often
                self._volume = (now, many.hypervolume(self.F, self.reference))
            return self._volume[1]
        r = as_reference(reference, self.n_obj)
        return float(pareto.hypervolume(self.F, r)) if self.n_obj == 2 else many.hypervolume(self.F, r)

    def estimated_reference(self) -> FloatArray:
        """A reference point from the front as it is, (n_obj,): its worst values, and a tenth of its ranges more.

        Of an objective that has but one value on the front a tenth of that value, or 0.1 where it is 0. The point moves
        with the front: measure all of a comparison against one, such as that of the union of their fronts.

        Raises
        ------
        ProtocolError
            The archive is empty.

        Examples
        --------
        >>> from lmcma import Archive
        >>> archive = Archive(1, log=True)
        >>> _ = archive.add([[0.0], [1.0]], [[1.0, 4.0], [3.0, 2.0]])
        >>> archive.hypervolume_history(archive.estimated_reference()).round(2).tolist()
        [[1.0, 0.44], [2.0, 0.84]]
        """
        if not len(self):
            raise ProtocolError("`estimated_reference` needs points; the archive has none. Add some first.")
        ideal, nadir = self.F.min(axis=0), self.F.max(axis=0)
        tenth = np.where(nadir > ideal, 0.1 * nadir - 0.1 * ideal, 0.1 * np.where(nadir == 0, 1.0, np.abs(nadir)))
        largest = np.finfo(np.float64).max
        with np.errstate(over="ignore"):
            return np.clip(nadir + tenth, -largest, largest)

    def hypervolume_history(self, reference: ArrayLike | None = None) -> FloatArray:
        """How the hypervolume grew: rows (evaluations, value), (r, 2).

        The last value in every fiftieth of a decade of evaluations in which it grew. Three objectives and more: the
        value after the first points of each, and the value now.

        Parameters
        ----------
        reference : (n_obj,) array_like, optional
            By default that of the archive; any other takes a log.

        Raises
        ------
        ArgumentError
            There is no reference, or it is another one and no log is kept.
        """
        r = self.reference if reference is None else as_reference(reference, self.n_obj)
        if r is None:
            raise ArgumentError("`reference` must be given, here or to the archive; got None.")
        if np.array_equal(r, self._limits):
            history = list(self._history)
            if self._measured < self._store.counts[ENTERED] and self.n_obj > 2:
                history.append((self._told, self.hypervolume()))
            return np.array(history, dtype=np.float64).reshape(-1, 2)
        rows = self.log
        other = Archive(self.n, self.n_obj, reference=r, max_rows=max(len(rows.F), 10))
        if self.n_obj == 2:
            other.add(rows.X, rows.F, rows.birth)
        else:
            for k in range(len(rows.F)):
                other.add(rows.X[k : k + 1], rows.F[k : k + 1], rows.birth[k : k + 1])
        return other.hypervolume_history()

    # ---------------------------------------------------------------- save and restore

    def _all(self, *, alive: bool = False) -> Log:
        """Rows kept, in order of evaluation; `alive`: only those that no other dominates."""
        store = self._store
        free = np.zeros(len(store.birth), dtype=np.bool_)
        free[store.free[: store.counts[FREE]]] = True
        slots = np.flatnonzero(~free & ((store.death == END) | (not alive)))
        slots = slots[np.argsort(store.birth[slots], kind="stable")]
        return Log(store.x[slots], store.f[slots], store.birth[slots], store.death[slots])

    def _restore(self, rows: Log) -> None:
        """Hold these rows, in place of all others."""
        area, entered = self._store.area.copy(), self._store.counts[ENTERED]
        self._clear(max(_START, 1 << (2 * len(rows.F)).bit_length()))
        size = len(rows.F)
        store = self._store
        store.x[:size], store.f[:size], store.birth[:size], store.death[:size] = rows
        store.counts[FREE] -= size
        for slot in np.flatnonzero(rows.death == END).tolist():
            if self.n_obj == 2:
                pareto.insert(self._front, slot, pareto.locate(self._front, store.f[slot, 0]), False)
            else:
                store.alive[store.counts[ALIVE]] = slot
            store.counts[ALIVE] += 1
        store.area[:], store.counts[ENTERED] = area, entered

    def state_dict(self) -> State:
        """Everything needed to go on to the bit."""
        return {
            "n": self.n,
            "n_obj": self.n_obj,
            "reference": None if self.reference is None else self.reference.copy(),
            "log": self.log_kept,
            "max_rows": self.max_rows,
            "thinned": self.thinned,
            "told": self._told,
            "measured": self._measured,
            "entered": int(self._store.counts[ENTERED]),
            "area": self._store.area.copy(),
            "history": np.array(self._history, dtype=np.float64).reshape(-1, 2),
            "rows": self._all()._asdict(),
        }

    @classmethod
    def from_state(cls, state: State) -> Self:
        """The archive whose `state_dict` this is."""
        options: dict[str, Any] = {name: state[name] for name in ("reference", "log", "max_rows")}
        archive = cls(state["n"], state["n_obj"], **options)
        rows = Log(**{name: np.array(column) for name, column in state["rows"].items()})
        if rows.X.shape != (len(rows.birth), archive.n) or rows.F.shape != (len(rows.birth), archive.n_obj):
            raise StateError(
                f"`state['rows']` has arrays of shapes {rows.X.shape} and {rows.F.shape}, which do not fit."
            )
        archive._restore(rows)
        archive.thinned, archive._told, archive._measured = (int(state[k]) for k in ("thinned", "told", "measured"))
        archive._store.area[:], archive._store.counts[ENTERED] = state["area"], state["entered"]
        archive._history = [(int(nfev), value) for nfev, value in np.asarray(state["history"]).tolist()]
        return archive

    def __repr__(self) -> str:
        return f"Archive({len(self)} points, {self.n} variables, {self.n_obj} objectives)"


def as_reference(reference: ArrayLike, n_obj: int) -> FloatArray:
    """A reference point as an (n_obj,) array of finite numbers."""
    point = as_point("reference", reference)
    if point.shape != (n_obj,):
        raise ShapeError(f"`reference` must have shape ({n_obj},), one number per objective; got {point.shape}.")
    return point


def _as_births(eval_index: ArrayLike, k: int, told: int) -> IntArray:
    """`eval_index` as k numbers of evaluations, none smaller than the one before or the last one `told`."""
    try:
        given = np.asarray(eval_index)
    except ValueError:  # rows of several lengths
        given = np.asarray(None)
    if (given.dtype.kind not in "iu" and given.size) or (given > np.iinfo(np.int64).max).any():
        raise ArgumentTypeError(
            f"`eval_index` must be {k} integers below 2^63, one per row of `f`; got {eval_index!r:.80}. Count "
            "evaluations from 1."
        )
    if given.shape != (k,):
        raise ShapeError(f"`eval_index` must have shape ({k},), one number per row of `f`; got {given.shape}.")
    birth = given.astype(np.int64)
    if k and birth.min() < 1:
        raise ArgumentError(f"`eval_index` must be >= 1; got {birth.min()}. Count evaluations from 1.")
    before = np.append(told, birth)[:-1]
    bad = np.flatnonzero(birth < before)
    if len(bad):
        raise ArgumentError(
            f"`eval_index` must not decrease; got {birth[bad[0]]} at index {bad[0]} after {before[bad[0]]}. "
            "Add points in the order of their evaluation."
        )
    return birth


def _decade(nfev: int) -> int:
    """The fiftieth of a decade in which an evaluation lies."""
    return math.floor(_PER_DECADE * math.log10(nfev))
