"""Order and weights of a population: all that selection uses of the values."""

from __future__ import annotations

import numpy as np

from lmcma.kernels.compile import kernel
from lmcma.typing import BoolArray, FloatArray, IntArray


@kernel
def _before(f: FloatArray, a: int, b: int) -> bool:
    """Whether row a ranks before row b: smaller value, NaN last, ties by row."""
    fa, fb = f[a], f[b]
    if fa < fb:
        return True
    if fb < fa:
        return False
    nan_a, nan_b = fa != fa, fb != fb
    if nan_a != nan_b:
        return nan_b
    return a < b


@kernel
def rank(f: FloatArray, order: IntArray, work: IntArray) -> None:
    """Write into `order` the rows of `f` from best to worst.

    f : (k,); order, work : (k,).  A merge sort over runs that insertion sort has put in order.
    """
    k = len(f)
    run = 16
    for start in range(0, k, run):
        for i in range(start, min(start + run, k)):
            j = i
            while j > start and _before(f, i, order[j - 1]):
                order[j] = order[j - 1]
                j -= 1
            order[j] = i
    width = run
    while width < k:
        for start in range(0, k, 2 * width):
            mid, end = min(start + width, k), min(start + 2 * width, k)
            a, b = start, mid
            for i in range(start, end):
                if b >= end or (a < mid and not _before(f, order[b], order[a])):
                    work[i] = order[a]
                    a += 1
                else:
                    work[i] = order[b]
                    b += 1
        for i in range(k):
            order[i] = work[i]
        width *= 2


@kernel
def _select(values: FloatArray, k: int) -> float:
    """The k-th smallest value, k from 0, none being NaN; afterwards what stands before it is not larger."""
    low, high = 0, len(values) - 1
    while low < high:
        pivot = values[(low + high) // 2]
        i, j = low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while pivot < values[j]:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if k <= j:
            high = j
        elif k >= i:
            low = i
        else:
            break
    return values[k]


@kernel
def median(values: FloatArray) -> float:
    """The median of `values`, (k,), k >= 1, none of them NaN; their order is lost."""
    k = len(values)
    upper = _select(values, k // 2)
    if k % 2 == 1:
        return upper
    lower = values[0]
    for i in range(k // 2):
        lower = max(lower, values[i])
    return lower if lower == upper else 0.5 * (lower + upper)


@kernel
def count_finite(f: FloatArray) -> int:
    """The number of values that may be selected: all but NaN and +inf."""
    count = 0
    for v in f:
        if v < np.inf:
            count += 1
    return count


@kernel
def assign_weights(
    order: IntArray, weights: FloatArray, mu: int, n_finite: int, own: BoolArray, omega: FloatArray
) -> None:
    """Write into `omega` the weight of each row: `weights` by rank, corrected for values that are no numbers.

    order : (k,) rows from best to worst, the last k - `n_finite` of them infinite or NaN; weights : (k,), the first
    `mu` positive; own : (k,), False for points of the caller's own; omega : (k,).

    Rows without a finite value share the mean of their weights.  With fewer than `mu` finite values the positive
    weights are scaled to sum to one over those, and no other row has any.  A negative weight of a point of the
    caller's own becomes zero.
    """
    k = len(order)
    for r in range(k):
        omega[order[r]] = weights[r]
    if n_finite < mu:
        total = 0.0
        for r in range(n_finite):
            total += weights[r]
        for r in range(k):
            omega[order[r]] = weights[r] / total if r < n_finite else 0.0
    elif n_finite < k:
        shared = 0.0
        for r in range(n_finite, k):
            shared += weights[r]
        shared /= k - n_finite
        for r in range(n_finite, k):
            omega[order[r]] = shared
    for i in range(k):
        if omega[i] < 0 and not own[i]:
            omega[i] = 0.0
