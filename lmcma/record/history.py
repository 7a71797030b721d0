"""The course of a run in columns, thinned so that any run fits in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lmcma.typing import FloatArray, State

if TYPE_CHECKING:
    from lmcma.strategies.protocol import Strategy

_SCALARS = ("nfev", "nit", "best_f", "iteration_f", "median_f", "sigma", "axis_ratio", "min_std", "max_std")
_COLUMNS = (*_SCALARS, "mean", "stds")
_OF_ALL = frozenset({"nit", "best_f", "sigma", "axis_ratio", "mean", "stds"})  # in every snapshot


class History:
    """Columns over the iterations of a run.

    At most `max_rows` rows are kept: when there are more, every second one is dropped, and from then on every
    second (fourth, eighth, ...) iteration is recorded. The first and the last iteration are always there.

    Parameters
    ----------
    max_rows : int
        Rows kept at most, and at least half of it in a long run; 4 or more.
    max_coordinates : int
        Means and standard deviations are kept for the first so many coordinates.

    Attributes
    ----------
    dim : int
        Variables of the run; 0 before the first iteration.

    Notes
    -----
    Whatever else the first snapshot has, such as the error of a model, has a column of that name.

    Examples
    --------
    >>> import lmcma
    >>> res = lmcma.minimize(lambda x: sum(x**2), [1.0, 1.0], 0.5, maxfev=60, rng=1)
    >>> res.history["nfev"][-1]
    np.int64(60)
    """

    def __init__(self, max_rows: int = 1024, max_coordinates: int = 64) -> None:
        self.max_rows = max(4, int(max_rows))
        self.max_coordinates = int(max_coordinates)
        self._rows: list[tuple[Any, ...]] = []
        self.dim = 0
        self._more: tuple[str, ...] = ()  # columns that only some methods have
        self._calls = 0
        self._stride = 1  # calls from one row to the next
        self._tail = False  # the last row is there only because it is the last

    def every(self, step: int) -> None:
        """Record every `step`-th iteration at most, from the beginning on; later it is too late for that."""
        if not self._rows:
            self._stride = max(self._stride, step)

    @property
    def due(self) -> int:
        """Which of the next iterations will be kept: 1 for the very next."""
        return -self._calls % self._stride + 1

    def record(self, strategy: Strategy, f: FloatArray, *, last: bool = False, iterations: int = 1) -> None:
        """Note the iteration whose values `f` were just told to `strategy`.

        Parameters
        ----------
        strategy : Strategy
            Asked for its `snapshot`, and whether it stopped.
        f : (k,) array
            The values of the batch.
        last : bool
            Keep the iteration even if it is not due; an iteration after which the strategy stops is always kept.
        iterations : int
            How many there were since the last call.
        """
        before, self._calls = self._calls, self._calls + iterations
        due = -(-before // self._stride) < -(-self._calls // self._stride)  # a multiple of the stride is among them
        if not (due or last or strategy.stop() is not None):
            return
        row = self._row(strategy, f)
        if self._rows and self._rows[-1][1] == row[1]:  # a batch cut short belongs to the iteration before it
            self._rows[-1] = row
        elif self._tail:
            self._rows[-1], self._tail = row, not due
        else:
            self._rows.append(row)
            self._tail = not due
        if len(self._rows) > self.max_rows:
            self._thin()

    def _row(self, strategy: Strategy, f: FloatArray) -> tuple[Any, ...]:
        snap = strategy.snapshot()
        if not self._rows:
            self.dim = len(snap["mean"])
            self._more = tuple(sorted(set(snap) - _OF_ALL))
        finite = np.sort(f[np.isfinite(f)])
        low = middle = np.nan
        if half := len(finite) // 2:
            low, middle = finite[0], finite[half] if len(finite) % 2 else 0.5 * (finite[half - 1] + finite[half])
        elif len(finite):
            low = middle = finite[0]
        k = self.max_coordinates
        stds, mean = snap["stds"], snap["mean"]
        return (
            *(strategy.nfev, snap["nit"], snap["best_f"], low, middle, snap["sigma"], snap["axis_ratio"]),
            *(stds.min(), stds.max(), mean[:k].copy(), stds[:k].copy()),
            *(snap.get(name, np.nan) for name in self._more),
        )

    def _thin(self) -> None:
        """Keep every second regular row, and the last row in any case."""
        last = self._rows[-1]
        self._rows = self._rows[: len(self._rows) - self._tail : 2]
        self._stride *= 2
        self._tail = self._rows[-1] is not last
        if self._tail:
            self._rows.append(last)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return (*_COLUMNS, *self._more)

    def __getitem__(self, column: str) -> NDArray[Any]:
        """A column: (rows,), or (rows, coordinates) for ``"mean"`` and ``"stds"``."""
        index = self.columns.index(column) if column in self.columns else -1
        if index < 0:
            raise KeyError(f"no column {column!r}; there are {', '.join(self.columns)}")
        kind = np.int64 if column in ("nfev", "nit") else np.float64
        if column in ("mean", "stds") and not self._rows:
            return np.empty((0, 0))
        return np.array([row[index] for row in self._rows], dtype=kind)

    def state_dict(self) -> State:
        """Everything recorded, and which iteration is due next."""
        return {
            "max_rows": self.max_rows,
            "max_coordinates": self.max_coordinates,
            "dim": self.dim,
            "calls": self._calls,
            "stride": self._stride,
            "tail": self._tail,
            "columns": {column: self[column] for column in self.columns},
        }

    def restore(self, state: State) -> None:
        """Go on from what `state_dict` gave, in place of what was recorded here."""
        self.max_rows, self.max_coordinates = int(state["max_rows"]), int(state["max_coordinates"])
        self.dim = int(state["dim"])
        self._calls, self._stride, self._tail = int(state["calls"]), int(state["stride"]), bool(state["tail"])
        self._more = tuple(sorted(set(state["columns"]) - set(_COLUMNS)))
        columns = [state["columns"][column] for column in self.columns]
        scalars = [column.tolist() for column in columns]
        scalars[len(_SCALARS) : len(_COLUMNS)] = columns[len(_SCALARS) : len(_COLUMNS)]  # these have rows
        self._rows = list(zip(*scalars, strict=True))

    def __repr__(self) -> str:
        return f"History({len(self)} rows: {', '.join(self.columns)})"
