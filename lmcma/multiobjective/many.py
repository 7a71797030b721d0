"""Three objectives and more: ranks, hypervolume and contributions, by moocore."""

from __future__ import annotations

import math
from types import ModuleType

import numpy as np
from numpy.typing import ArrayLike

from lmcma.errors import MissingDependencyError
from lmcma.typing import BoolArray, FloatArray, IntArray

_LARGEST = np.finfo(np.float64).max
_POWERS = 1000  # of two, that a volume may have on the way


def library() -> ModuleType:
    """The module moocore.

    Raises
    ------
    MissingDependencyError
        It is not installed.
    """
    try:
        import moocore
    except ImportError as error:
        raise MissingDependencyError(
            "three objectives and more need the package moocore; it is not installed: pip install 'lmcma[mo]'."
        ) from error
    return moocore


def ranks(f: FloatArray) -> IntArray:
    """Non-domination ranks from 1, (k,).  f : (k, m), finite."""
    found = np.ones(len(f), dtype=np.int64)
    if len(f):
        found += library().pareto_rank(f)
    return found


def nondominated(f: FloatArray) -> BoolArray:
    """Which points no other dominates; of equal ones the first.  f : (k, m), finite."""
    if not len(f):
        return np.empty(0, dtype=np.bool_)
    found: BoolArray = library().is_nondominated(f, keep_weakly=False)
    return found


def hypervolume(f: FloatArray, reference: FloatArray) -> float:
    """Volume dominated by `f`, (k, m), and not by the reference, (m,); infinite only beyond the largest number."""
    if not len(f):
        return 0.0
    volume = float(library().hypervolume(f, ref=reference))
    if volume < math.inf:
        return volume
    small, exponent = _shrunk(f, reference)
    return float(_grown(library().hypervolume(small, ref=np.zeros_like(reference)), exponent))


def contributions(f: FloatArray, reference: FloatArray | None) -> FloatArray:
    """What each point of a front adds to the hypervolume, (k,); f : (k, m).

    Without a reference it is the largest value of each objective, and the extremes are infinite: the points with the
    least value of one objective, of those the ones with the least next values. Equal points contribute nothing.
    """
    r = f.max(axis=0) if reference is None else reference
    alone: FloatArray = np.array(library().hv_contributions(f, ref=r), dtype=np.float64)
    if not np.isfinite(alone).all():
        small, exponent = _shrunk(f, r)
        again = _grown(library().hv_contributions(small, ref=np.zeros_like(r)), exponent)
        alone = np.where(np.isfinite(alone), alone, np.minimum(again, _LARGEST))
    if reference is None:
        m = f.shape[1]
        for j in range(m):
            first = f[np.lexsort(np.roll(f, -j, axis=1).T[::-1])[0]]
            same = (f == first).all(axis=1)
            if np.count_nonzero(same) == 1:
                alone[same] = np.inf
    return alone


def _shrunk(f: FloatArray, reference: FloatArray) -> tuple[FloatArray, int]:
    """`f` minus the reference, in units in which no volume overflows, and their product as a power of two.

    Points that are not better than the reference are at 0.
    """
    with np.errstate(over="ignore"):
        unit = np.where(np.isinf(f - reference).any(axis=0), 0.5, 1.0)
    less = unit * f - unit * reference
    less[(f >= reference).any(axis=1)] = 0.0
    power = np.frexp(less.min(axis=0))[1] - _POWERS // len(reference)
    return np.ldexp(less, -power), int((power + (unit < 1)).sum())


def _grown(volume: ArrayLike, exponent: int) -> FloatArray:
    """Volumes in units of a power of two."""
    with np.errstate(over="ignore"):
        grown: FloatArray = np.ldexp(volume, exponent)
    return grown
