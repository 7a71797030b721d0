"""How good a set of points is, for any set: ranks, fronts and their hypervolume."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from lmcma.errors import ArgumentTypeError, ShapeError
from lmcma.kernels import pareto
from lmcma.multiobjective import many
from lmcma.multiobjective.archive import as_reference
from lmcma.typing import BoolArray, FloatArray, IntArray


def hypervolume(F: ArrayLike, reference: ArrayLike) -> float:
    """The volume that points dominate and the reference does not.

    Parameters
    ----------
    F : (k, m) array_like
        Objectives, one point a row. Rows that are not finite count nothing, nor do those not better than `reference`.
    reference : (m,) array_like
        A point worse than all that matter.

    Examples
    --------
    >>> from lmcma.multiobjective import hypervolume
    >>> hypervolume([[1, 3], [2, 2], [3, 1], [3, 3]], [4, 4])
    6.0
    """
    f = _as_objectives(F)
    r = as_reference(reference, f.shape[1])
    f = f[np.isfinite(f).all(axis=1)]
    return float(pareto.hypervolume(f, r)) if f.shape[1] == 2 else many.hypervolume(f, r)


def contributions(F: ArrayLike, reference: ArrayLike) -> FloatArray:
    """What each point adds to the hypervolume of the points that no other dominates, (k,).

    Dominated points and points that are there twice add nothing.

    >>> contributions([[1, 3], [2, 2], [3, 1], [3, 3]], [4, 4]).tolist()
    [1.0, 1.0, 1.0, 0.0]
    """
    f = _as_objectives(F)
    r = as_reference(reference, f.shape[1])
    alone = np.zeros(len(f))
    first = np.flatnonzero(ranks(f) == 1)
    if f.shape[1] == 2:
        first = first[pareto.order(f[first])]
        alone[first] = pareto.contributions(f[first], r)
    elif len(first):
        alone[first] = many.contributions(f[first], r)
    return alone


def ranks(F: ArrayLike) -> IntArray:
    """Non-domination ranks, (k,): 1 where no other point dominates, 2 where only those of rank 1 do, and so on.

    Rows that are not finite rank last, all alike.

    >>> ranks([[1, 3], [2, 2], [3, 1], [3, 3], [float("nan"), 0]]).tolist()
    [1, 1, 1, 2, 3]
    """
    f = _as_objectives(F)
    finite = np.isfinite(f).all(axis=1)
    found = np.zeros(len(f), dtype=np.int64)
    found[finite] = pareto.ranks(f[finite]) if f.shape[1] == 2 else many.ranks(f[finite])
    found[~finite] = found.max(initial=0) + 1
    return found


def nondominated(F: ArrayLike) -> BoolArray:
    """Which points no other dominates, (k,); rows that are not finite are not among them.

    >>> nondominated([[1, 3], [2, 2], [3, 1], [3, 3]]).tolist()
    [True, True, True, False]
    """
    f = _as_objectives(F)
    return np.isfinite(f).all(axis=1) & (ranks(f) == 1)


def _as_objectives(F: ArrayLike) -> FloatArray:
    try:
        f = np.ascontiguousarray(F, dtype=np.float64)
    except (TypeError, ValueError):
        raise ArgumentTypeError(f"`F` must be an array of numbers of shape (k, m); got {F!r:.80}.") from None
    if f.ndim != 2 or f.shape[1] < 2:
        raise ShapeError(f"`F` must have shape (k, m), m >= 2 objectives a row; got {f.shape}.")
    return f
