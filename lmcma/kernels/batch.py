"""Small things done to every batch."""

from __future__ import annotations

from lmcma.kernels.compile import kernel
from lmcma.typing import BoolArray, FloatArray


@kernel
def unchanged_rows(x: FloatArray, kept: FloatArray, stride: int, own: BoolArray) -> bool:
    """Mark in `own` the rows of `x` that equal `kept`; True when all do.

    x : (k, n); kept : (>= k, ceil(n / stride)), every `stride`-th column; own : (>= k,), overwritten up to k.
    NaN equals nothing, so a row with NaN is never own.
    """
    same = True
    for row in range(x.shape[0]):
        own[row] = True
        for j in range(kept.shape[1]):
            if x[row, j * stride] != kept[row, j]:
                own[row] = False
                same = False
                break
    return same


EDITED = -2


@kernel
def take_whole(x: FloatArray, kept: FloatArray, stride: int, f: FloatArray, best_f: float) -> tuple[int, int, float]:
    """How many values `f` of a whole batch are NaN, the row of a new best or -1, and the best value.

    x : (k, n), or (0, n) for "as asked"; kept : (k, ceil(n / stride)), every `stride`-th column; f : (k,).  The row is
    `EDITED` where `x` is not as kept.
    """
    for row in range(x.shape[0]):
        for j in range(kept.shape[1]):
            if x[row, j * stride] != kept[row, j]:
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
