"""The targets at which runtimes are read off COCO's data, for one objective and for two.

With one objective a target is a precision f - f_opt. With two it is a precision of the hypervolume indicator:
COCO's best known hypervolume minus that of all points evaluated so far, in units in which ideal and nadir point
are (0, 0) and (1, 1); while no point dominates the nadir, its distance to the region that does takes the place of
the hypervolume. The best known is not the best possible, so a precision may be negative.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable

import numpy as np

from lmcma.errors import ArgumentError
from lmcma.typing import FloatArray, IntArray


@dataclasses.dataclass(frozen=True, eq=False)
class Targets:
    """Precisions whose first hits COCO notes, so that hit evaluations are exact.

    Parameters
    ----------
    grid : (k,) array
        All of them, easy ones first: what ECDFs are made of.
    standard : tuple of float
        Those of ERT tables and ratios.
    meaning : str
        What a precision is.
    listing : str
        The grid in words.
    """

    grid: FloatArray
    standard: tuple[float, ...]
    meaning: str
    listing: str

    def index(self, targets: Iterable[float]) -> IntArray:
        """Positions of `targets` in the grid.

        >>> PRECISIONS.index([1e2, 1e1, 1e-8]).tolist()
        [0, 5, 50]
        """
        found = []
        for target in targets:
            k = int(np.argmin(np.abs(self.grid - target)))
            if not math.isclose(self.grid[k], target, rel_tol=1e-6):
                raise ArgumentError(
                    f"`targets` must be among the {self.listing}, whose exact evaluation COCO notes; got {target!r}."
                )
            found.append(k)
        return np.array(found, dtype=np.int64)

    def first(self, values: FloatArray) -> IntArray:
        """Position of the first of the falling `values` that hits each target; `len(values)` where none does.

        Values are printed with some digits, so positive targets may be missed by rounding.
        """
        limits = np.where(self.grid > 0, self.grid * (1 + 1e-9), self.grid)
        return np.searchsorted(-values, -limits, side="left")


PRECISIONS = Targets(
    10.0 ** (np.arange(10, -41, -1) / 5),
    (1e1, 1e0, 1e-1, 1e-2, 1e-3, 1e-5, 1e-7, 1e-8),
    "f - f_opt",
    "51 targets, five per decade from 1e2 to 1e-8",
)
INDICATORS = Targets(
    np.concatenate([10.0 ** (-np.arange(51) / 10), [0.0], -(10.0 ** (np.arange(-25, -19) / 5))]),
    (1e0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5),
    "best known minus reached hypervolume",
    "58 targets, ten per decade from 1 to 1e-5, then 0 and five per decade from -1e-5 to -1e-4",
)


def targets_of(suite: str) -> Targets:
    """The targets of a suite of COCO."""
    return INDICATORS if suite.startswith("bbob-biobj") else PRECISIONS
