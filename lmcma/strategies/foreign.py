"""Points of the caller's own in a population: repaired, injected, or from another run.

References
----------
N. Hansen. Injecting external solutions into CMA-ES. arXiv:1110.4181, 2011.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmcma.typing import BoolArray, FloatArray

_FARTHEST = 1e100  # sigma; squares of steps have to be numbers


def steps(x: FloatArray, mean: FloatArray, sigma: float) -> FloatArray:
    """Steps from the mean to the points x, (k, n), in units of sigma; every entry at most 1e100."""
    with np.errstate(over="ignore"):
        return np.clip((x - mean) / sigma, -_FARTHEST, _FARTHEST)


def clipping(z: FloatArray) -> FloatArray:
    """Factors (k, 1) <= 1 that bring steps z, (k, n), to the length c_y = sqrt(n) + 2n / (n + 2) at most.

    z are steps in the isotropic frame, since foreign points may lie anywhere.

    Examples
    --------
    >>> import numpy as np
    >>> clipping(np.array([[1.0, 0.0], [1e6, 0.0]])).ravel().round(8).tolist()
    [1.0, 2.41e-06]
    """
    return shortening(np.linalg.norm(z, axis=1), z.shape[1])[:, None]


def shortening(length: Any, n: int) -> Any:
    """Factors <= 1 that bring steps of the given length, a number or (k,), in n dimensions to c_y at most.

    >>> shortening(1e6, 2).item()
    2.414213562373095e-06
    """
    limit = math.sqrt(n) + 2 * n / (n + 2)
    return np.minimum(1.0, limit / np.maximum(length, 1e-300))


def admit(
    f: FloatArray, own: BoolArray, foreign_f: FloatArray, *rows: tuple[NDArray[Any], NDArray[Any]]
) -> tuple[FloatArray, BoolArray]:
    """Put foreign rows into a population: in place of the rows that are not `own`, further ones in place of the worst.

    Parameters
    ----------
    f, own : (popsize,) array
        Values of the population, and which rows are as asked.
    foreign_f : (k,) array
        Values of the foreign rows: those that replace rows of the population first, in order of row.
    *rows : ((popsize, ...) array, (k, ...) array)
        What the population consists of, overwritten, and the same of the foreign rows.

    Returns
    -------
    (popsize,) array, (popsize,) array
        The new `f` and `own`.
    """
    edited = np.flatnonzero(~own)
    k, popsize = len(edited), len(f)
    for mine, theirs in rows:
        mine[edited] = theirs[:k]
    if k == len(foreign_f):
        return f, own
    values = np.concatenate([f, foreign_f[k:]])
    ranked = np.lexsort((np.arange(len(values)), values))  # NaN last, ties by row
    kept = np.sort(ranked[:popsize])
    place = np.setdiff1d(np.arange(popsize), kept)  # the worst make room ...
    enter = kept[kept >= popsize] - popsize  # ... for these
    f, own = f.copy(), own.copy()
    f[place], own[place] = foreign_f[k:][enter], False
    for mine, theirs in rows:
        mine[place] = theirs[k:][enter]
    return f, own
