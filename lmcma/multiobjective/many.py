"""Three objectives and more: ranks, hypervolume and contributions, by moocore."""

from __future__ import annotations

from types import ModuleType

import numpy as np

from lmcma.errors import MissingDependencyError
from lmcma.typing import BoolArray, FloatArray, IntArray


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
    """Volume dominated by `f`, (k, m), and not by the reference, (m,)."""
    return float(library().hypervolume(f, ref=reference)) if len(f) else 0.0


def contributions(f: FloatArray, reference: FloatArray | None) -> FloatArray:
    """What each point of a front adds to the hypervolume, (k,); f : (k, m).

    Without a reference it is the largest value of each objective, and the extremes are infinite: the points with the
    least value of one objective, of those the ones with the least next values. Equal points contribute nothing.
    """
    r = f.max(axis=0) if reference is None else reference
    alone: FloatArray = np.array(library().hv_contributions(f, ref=r), dtype=np.float64)
    if reference is None:
        m = f.shape[1]
        for j in range(m):
            first = f[np.lexsort(np.roll(f, -j, axis=1).T[::-1])[0]]
            same = (f == first).all(axis=1)
            if np.count_nonzero(same) == 1:
                alone[same] = np.inf
    return alone
