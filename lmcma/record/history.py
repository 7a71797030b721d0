"""The course of a run in columns, thinned so that any run fits in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lmcma.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from lmcma.strategies.protocol import Strategy

_SCALARS = ("nfev", "nit", "best_f", "iteration_f", "median_f", "sigma", "axis_ratio", "min_std", "max_std")


class History:
    """Columns over the iterations of a run.

    At most `max_rows` rows are kept: when they are full, every second one is dropped and from then on every
    second (fourth, eighth, ...) iteration is recorded. First and last iteration are always there.

    Parameters
    ----------
    max_rows : int
        Rows kept, at least half of it in a long run.
    max_coordinates : int
        Means and standard deviations are kept for the first so many coordinates.

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
        self._stride = 1
        self._last: tuple[Any, ...] | None = None

    def record(self, strategy: Strategy, f: FloatArray) -> None:
        """Note the iteration whose values `f` were just told to `strategy`."""
        snap = strategy.snapshot()
        nit = snap["nit"]
        if nit % self._stride and not self._due(strategy):
            return
        finite = f[np.isfinite(f)]
        low, middle = (finite.min(), np.median(finite)) if len(finite) else (np.nan, np.nan)
        k = self.max_coordinates
        stds, mean = snap["stds"], snap["mean"]
        row = (
            *(strategy.nfev, nit, snap["best_f"], low, middle, snap["sigma"], snap["axis_ratio"]),
            *(stds.min(), stds.max(), mean[:k].copy(), stds[:k].copy()),
        )
        if self._rows and self._rows[-1][1] == nit:
            self._rows[-1] = row
            return
        self._rows.append(row)
        if len(self._rows) >= self.max_rows:
            self._rows = self._rows[::2]
            self._stride *= 2

    def _due(self, strategy: Strategy) -> bool:
        return strategy.stop() is not None

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return (*_SCALARS, "mean", "stds")

    def __getitem__(self, column: str) -> FloatArray | IntArray:
        """A column: (rows,), or (rows, coordinates) for ``"mean"`` and ``"stds"``."""
        index = self.columns.index(column) if column in self.columns else -1
        if index < 0:
            raise KeyError(f"no column {column!r}; there are {', '.join(self.columns)}")
        kind = np.int64 if column in ("nfev", "nit") else np.float64
        if column in ("mean", "stds") and not self._rows:
            return np.empty((0, 0))
        return np.array([row[index] for row in self._rows], dtype=kind)

    def __repr__(self) -> str:
        return f"History({len(self)} rows: {', '.join(self.columns)})"
