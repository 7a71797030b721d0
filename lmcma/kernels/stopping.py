"""The stopping rules, tested once an iteration in O(popsize + n).

Thresholds stand in one array `tol`, measured values go into `value` and a bit a rule into the returned mask; a NaN
threshold is never passed, which is how a rule is switched off.  `lmcma.termination` says what the rules mean.
"""

from __future__ import annotations

import math

import numpy as np

from lmcma.kernels.compile import kernel
from lmcma.kernels.ranking import median
from lmcma.termination import Stop, StopReason, StopRules
from lmcma.typing import FloatArray, IntArray

# places in `tol`, `value`; 1 << place is the rule's bit
TOLFUN, TOLHISTFUN, EQUALFUNVALS, STAGNATION, TOLX, TOLFACUPX, TOLUPSIGMA = range(7)
CONDITIONCOV, NOEFFECTAXIS, NOEFFECTCOOR, NUMERIC, EIGEN_FAILURE, ALL_NAN = range(7, 13)
REASONS = tuple(
    StopReason(name)
    for name in (
        *(
            "tolfun",
            "tolhistfun",
            "equalfunvals",
            "stagnation",
            "tolx",
            "tolfacupx",
            "tolupsigma",
            "conditioncov",
        ),
        *("noeffectaxis", "noeffectcoor", "numeric", "eigen_failure", "all_nan"),
    )
)
# then the windows of the history rules
HISTORY_LENGTH, EQUAL_RANK, EQUAL_WINDOW, STAGNATION_WINDOW, STAGNATION_PART, STAGNATION_FROM = range(13, 19)
N_TOL = 19
MAX_WINDOW = 20_000  # of the stagnation rule
STAGNATION_EVERY = 20  # iterations

# places in `count`
T, RING, FLAGS, LONG = range(4)
N_COUNT = 4


def thresholds(rules: StopRules, n: int, popsize: int) -> FloatArray:
    """The array `tol` for `rules`: (N_TOL,)."""
    tol = np.full(N_TOL, np.nan)
    for place, limit in (
        (TOLFUN, rules.tolfun),
        (TOLHISTFUN, rules.tolhistfun),
        (TOLX, rules.tolx),
        (TOLFACUPX, rules.tolfacupx),
        (TOLUPSIGMA, rules.tolupsigma),
        (CONDITIONCOV, rules.conditioncov),
        (ALL_NAN, rules.all_nan),
    ):
        if limit is not None:
            tol[place] = limit
    if rules.noeffectaxis:
        tol[NOEFFECTAXIS] = 0.0
    if rules.noeffectcoor:
        tol[NOEFFECTCOOR] = 0.0
    tol[NUMERIC] = 1e308
    tol[HISTORY_LENGTH] = 10 + math.ceil(30 * n / popsize)
    tol[EQUAL_RANK] = min(popsize, 1 + math.ceil(0.1 + popsize / 4))
    tol[EQUAL_WINDOW] = n
    if rules.equalfunvals == "bbob":  # hits needed
        tol[EQUALFUNVALS] = n // 3 + 1
    elif rules.equalfunvals == "matlab":
        tol[EQUALFUNVALS], tol[EQUAL_WINDOW] = 10 + n, 3 * (10 + n)
    tol[STAGNATION_WINDOW] = math.ceil(120 + 30 * n / popsize)
    if rules.stagnation == "bbob":
        tol[STAGNATION], tol[STAGNATION_PART] = 0.0, 0.3
        tol[STAGNATION_FROM] = min(MAX_WINDOW, tol[STAGNATION_WINDOW])
    elif rules.stagnation == "matlab":
        tol[STAGNATION], tol[STAGNATION_PART] = 0.0, 1 / 3
        tol[STAGNATION_FROM] = max(tol[STAGNATION_WINDOW], math.floor(n * (5 + 100 / popsize)) + 1)
    return tol


@kernel
def window(tol: FloatArray, t: int) -> int:
    """Iterations that the stagnation rule looks back at: a fifth of them, within limits."""
    return int(min(MAX_WINDOW, max(tol[STAGNATION_WINDOW], 0.2 * t)))


def long_history(values: FloatArray | None = None) -> FloatArray:
    """An array for the long histories, (3, capacity), that begins with `values`, (2, k); its last row is scratch."""
    k = 0 if values is None else values.shape[1]
    long = np.zeros((3, 256 * 2 ** max(0, math.ceil(math.log2((k + 1) / 256)))))
    if values is not None:
        long[:2, :k] = values
    return long


def make_room(long: FloatArray, count: IntArray, tol: FloatArray) -> FloatArray:
    """The long histories with room for more: without what no rule looks back at, or twice as long."""
    capacity = long.shape[1]
    needed = window(tol, int(count[T]) + capacity)
    if 2 * needed > capacity:
        return np.concatenate([long, np.zeros_like(long)], axis=1)
    kept = long[:, count[LONG] - needed : count[LONG]]
    count[LONG] = needed
    return np.concatenate([kept, np.zeros((3, capacity - needed))], axis=1)


def fired(mask: int, value: FloatArray, tol: FloatArray) -> list[Stop]:
    """The rules in `mask` as data."""
    if not mask:
        return []
    return [Stop(reason, float(value[k]), float(tol[k])) for k, reason in enumerate(REASONS) if mask >> k & 1]


@kernel
def _gain(values: FloatArray, part: int, scratch: FloatArray) -> float:
    """By how much the median of the oldest `part` of some values is above that of the newest."""
    older, newer = scratch[:part], scratch[part : 2 * part]
    older[:] = values[:part]
    newer[:] = values[len(values) - part :]
    return median(older) - median(newer)


@kernel
def value_rules(
    f: FloatArray,
    order: IntArray,
    tol: FloatArray,
    value: FloatArray,
    count: IntArray,
    ring: FloatArray,
    flags: FloatArray,
    long: FloatArray,
) -> int:
    """Enter the values of an iteration into the histories; the mask of rules on values that hold.

    f, order : (popsize,), values and their ranking; count : (N_COUNT,), iterations so far and the histories' state;
    ring : (L,), last best values; flags : (w,), last hits of the equal-values rule; long : (3, capacity), best and
    median values, count[LONG] of them, with room for one more, and scratch.
    """
    mask = 0
    k = len(f)
    count[T] += 1
    t = count[T]
    best, worst = f[order[0]], f[order[k - 1]]
    if worst != worst:
        worst = np.inf
    a, b = f[order[(k - 1) // 2]], f[order[k // 2]]
    middle = 0.5 * (a + b) if np.isfinite(a + b) else b
    if middle != middle:
        middle = np.inf

    # best values of the last L iterations
    length = len(ring)
    ring[count[RING] % length] = best
    count[RING] += 1
    filled = min(count[RING], length)
    low, high = best, best
    for i in range(filled):
        low, high = min(low, ring[i]), max(high, ring[i])
    value[TOLHISTFUN] = high - low
    if t >= length and value[TOLHISTFUN] <= tol[TOLHISTFUN]:
        mask |= 1 << TOLHISTFUN
    value[TOLFUN] = max(high, worst) - low
    if t > 2 and value[TOLFUN] <= tol[TOLFUN]:
        mask |= 1 << TOLFUN

    # equal best values
    place = count[FLAGS] % len(flags)
    flags[place] = 1.0 if best == f[order[int(tol[EQUAL_RANK]) - 1]] else 0.0
    count[FLAGS] += 1
    value[EQUALFUNVALS] = flags.sum()
    if value[EQUALFUNVALS] >= tol[EQUALFUNVALS]:
        mask |= 1 << EQUALFUNVALS

    # long histories
    n_long = count[LONG]
    long[0, n_long], long[1, n_long] = best, middle
    count[LONG] = n_long = n_long + 1
    if tol[STAGNATION] == 0.0 and t >= tol[STAGNATION_FROM] and t % STAGNATION_EVERY == 0:
        w = window(tol, t)
        part = max(1, int(tol[STAGNATION_PART] * w))
        gain_best = _gain(long[0, n_long - w : n_long], part, long[2])
        gain_median = _gain(long[1, n_long - w : n_long], part, long[2])
        value[STAGNATION] = -max(gain_best, gain_median)
        if value[STAGNATION] >= 0:
            mask |= 1 << STAGNATION
    return mask


@kernel
def size_rules(
    mean: FloatArray,
    sigma: float,
    sigma0: float,
    drift: float,
    p_c: FloatArray,
    diagonal: FloatArray,
    shortest: float,
    longest: float,
    tol: FloatArray,
    value: FloatArray,
) -> int:
    """The mask of rules on the size of the search distribution that hold.

    mean, p_c : (n,); diagonal : (n,), of C; shortest, longest : roots of its extreme eigenvalues, NaN for `shortest`
    where it is not known; drift : factor that was moved from sigma into C, see `covariance.decompose`.
    """
    mask = 0
    n = len(mean)
    largest, widest, reach = 0.0, 0.0, 0.0
    no_effect = -1
    for j in range(n):
        std = sigma * math.sqrt(max(diagonal[j], 0.0))
        largest = max(largest, max(sigma * abs(p_c[j]), std))
        widest = max(widest, std)
        reach = max(reach, abs(mean[j]))
        if no_effect < 0 and mean[j] + 0.2 * std == mean[j]:
            no_effect = j
    value[TOLX] = largest / sigma0
    if value[TOLX] < tol[TOLX]:
        mask |= 1 << TOLX
    value[TOLFACUPX] = widest / sigma0
    if value[TOLFACUPX] > tol[TOLFACUPX]:
        mask |= 1 << TOLFACUPX
    value[NOEFFECTCOOR] = no_effect
    if value[NOEFFECTCOOR] >= tol[NOEFFECTCOOR]:
        mask |= 1 << NOEFFECTCOOR

    value[TOLUPSIGMA] = sigma * drift / sigma0 / (longest / drift)
    if value[TOLUPSIGMA] > tol[TOLUPSIGMA]:
        mask |= 1 << TOLUPSIGMA
    value[CONDITIONCOV] = (longest / shortest) ** 2
    if value[CONDITIONCOV] > tol[CONDITIONCOV]:
        mask |= 1 << CONDITIONCOV

    # forty standard deviations in all directions: no candidate gets beyond
    value[NUMERIC] = reach + 40.0 * sigma * longest * math.sqrt(n)
    if not value[NUMERIC] < tol[NUMERIC]:
        mask |= 1 << NUMERIC
    return mask


@kernel
def distribution_rules(
    t: int,
    mean: FloatArray,
    sigma: float,
    sigma0: float,
    drift: float,
    p_c: FloatArray,
    diagonal: FloatArray,
    D: FloatArray,
    Bt: FloatArray,
    tol: FloatArray,
    value: FloatArray,
) -> int:
    """The mask of rules on the search distribution that hold.

    t : iterations done; D : (n,), roots of the eigenvalues of C, ascending; Bt : (n, n), eigenvectors in rows;
    the others as in `size_rules`.
    """
    n = len(mean)
    mask = size_rules(mean, sigma, sigma0, drift, p_c, diagonal, D[0], D[n - 1], tol, value)
    axis = t % n
    value[NOEFFECTAXIS] = axis
    step = 0.1 * sigma * D[axis]
    moved = False
    for j in range(n):
        if mean[j] + step * Bt[axis, j] != mean[j]:
            moved = True
            break
    if not moved and tol[NOEFFECTAXIS] == 0.0:
        mask |= 1 << NOEFFECTAXIS
    return mask


@kernel
def diagonal_rules(
    t: int,
    mean: FloatArray,
    sigma: float,
    sigma0: float,
    p_c: FloatArray,
    diagonal: FloatArray,
    shortest: float,
    longest: float,
    tol: FloatArray,
    value: FloatArray,
) -> int:
    """`distribution_rules` where C is diagonal: its axes are the coordinates."""
    mask = size_rules(mean, sigma, sigma0, 1.0, p_c, diagonal, shortest, longest, tol, value)
    axis = t % len(mean)
    value[NOEFFECTAXIS] = axis
    if mean[axis] + 0.1 * sigma * math.sqrt(diagonal[axis]) == mean[axis] and tol[NOEFFECTAXIS] == 0.0:
        mask |= 1 << NOEFFECTAXIS
    return mask
