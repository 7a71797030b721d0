"""Small things done to every batch."""

from __future__ import annotations

import numpy as np

from lmcma.kernels.compile import kernel
from lmcma.typing import BoolArray, FloatArray

_CLUSTER = 8  # neighbouring columns in a probe: as many as are fetched from memory together


@kernel
def n_probed(n: int, stride: int) -> int:
    """How many of n columns are in a probe."""
    whole, rest = n // (_CLUSTER * stride), n % (_CLUSTER * stride)
    return whole * _CLUSTER + min(rest, _CLUSTER)


@kernel
def probe(x: FloatArray, stride: int, kept: FloatArray) -> None:
    """Copy every `stride`-th cluster of columns of `x`, (k, n), into `kept`, (k, n_probed(n, stride))."""
    for row in range(x.shape[0]):
        to = 0
        for start in range(0, x.shape[1], _CLUSTER * stride):
            width = min(_CLUSTER, x.shape[1] - start)
            for j in range(width):
                kept[row, to + j] = x[row, start + j]
            to += width


def probed(x: FloatArray, stride: int, kept: FloatArray) -> FloatArray:
    """A probe of `x`, in `kept` where that is of the right shape."""
    shape = x.shape[0], n_probed(x.shape[1], stride)
    if kept.shape != shape:
        kept = np.empty(shape)
    if stride == 1:
        np.copyto(kept, x)
    else:
        probe(x, stride, kept)
    return kept


@kernel
def _changed(x: FloatArray, kept: FloatArray, stride: int) -> bool:
    """Whether a row x, (n,), differs from what a probe kept of it; NaN equals nothing."""
    n_different = 0
    if stride == 1:
        for j in range(len(x)):
            n_different += x[j] != kept[j]
        return n_different > 0
    to = 0
    for start in range(0, len(x), _CLUSTER * stride):
        width = min(_CLUSTER, len(x) - start)
        for j in range(width):
            n_different += x[start + j] != kept[to + j]
        to += width
    return n_different > 0


@kernel
def unchanged_rows(x: FloatArray, kept: FloatArray, stride: int, own: BoolArray) -> bool:
    """Mark in `own` the rows of `x` that equal what a probe kept of them; True when all do.

    x : (k, n); kept : (>= k, n_probed(n, stride)); own : (>= k,), overwritten up to k.  A row with NaN is never own.
    """
    same = True
    for row in range(x.shape[0]):
        own[row] = not _changed(x[row], kept[row], stride)
        same = same and own[row]
    return same


EDITED = -2


@kernel
def take_whole(x: FloatArray, kept: FloatArray, stride: int, f: FloatArray, best_f: float) -> tuple[int, int, float]:
    """How many values `f` of a whole batch are NaN, the row of a new best or -1, and the best value.

    x : (k, n), or (0, n) for "as asked"; kept : (k, n_probed(n, stride)); f : (k,).  The row is `EDITED` where `x` is
    not as kept.
    """
    for row in range(x.shape[0]):
        if _changed(x[row], kept[row], stride):
            return 0, EDITED, best_f
    return find_best(f, best_f)


@kernel
def find_best(f: FloatArray, best_f: float) -> tuple[int, int, float]:
    """How many of the values are NaN, the row of one better than `best_f` or -1, and the best value."""
    n_nan, best = 0, -1
    for row in range(len(f)):
        v = f[row]
        if v != v:
            n_nan += 1
        elif v < best_f or best_f != best_f:
            best_f = v
            best = row
    return n_nan, best, best_f


@kernel
def enter_values(values: FloatArray, f: FloatArray, received: BoolArray, best_f: float) -> tuple[int, int]:
    """Enter `values` as those of the first rows of a batch: how many are NaN, the row of a new best or -1.

    values : (k,); f, received : (>= k,).
    """
    n_nan, best = 0, -1
    for row in range(len(values)):
        v = values[row]
        f[row] = v
        received[row] = True
        if v != v:
            n_nan += 1
        elif v < best_f or best_f != best_f:
            best_f = v
            best = row
    return n_nan, best
