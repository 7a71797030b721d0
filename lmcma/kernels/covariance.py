"""The iteration of CMA-ES with a full covariance matrix, compiled as a whole.

The entire state is one array of float64, cut into fields by a table of offsets, and one of integers that begins with
that table, so that a call costs the same whatever it touches; `layout` makes the table, and strategies see the fields
as named views.  Loops below `LOOPS_UP_TO` variables, BLAS above: the results differ in the last bits only.
"""

from __future__ import annotations

import math

import numpy as np

from lmcma.kernels import normals, selection, stopping
from lmcma.kernels.batch import EDITED, find_best
from lmcma.kernels.compile import kernel
from lmcma.kernels.eigen import eigh
from lmcma.kernels.linalg import eigh_workspace, gemm, syrk
from lmcma.kernels.ranking import count_finite, rank
from lmcma.kernels.selection import path_goes_on, select
from lmcma.typing import BoolArray, FloatArray, IntArray

LOOPS_UP_TO = 16
FULL = -3

# fields of the state, in order
(SCALARS, MEAN, P_SIGMA, P_C, D_, DIAGONAL, C_, BT, WEIGHTS, OMEGA, NORM2, Y_W, Z_W, Z, Y) = range(15)
(ROWS, EIG, EIG_W, WORK, TOL, VALUE, RING, FLAGS, STD_MIN, STD_MAX, DIAGONAL_WEIGHTS) = range(15, 26)
N_FIELDS = 26

# numbers in SCALARS: state ...
SIGMA, DRIFT, SIGMA0 = range(3)
# ... and constants
C_SIGMA, D_SIGMA, CHI_N, MUEFF, C_C, C_1, C_MU, C_M, C_MINUS, MAX_CONDITION = range(3, 13)
DIAGONAL_C_1, DIAGONAL_C_MU = 13, 14  # while C is kept diagonal
BLAS_A, BLAS_B = 15, 16
N_SCALARS = 17

# places in `count`, after those of the stopping rules and of selection
MASK, NAN_IN_ROW, MU = selection.MASK, selection.NAN_IN_ROW, selection.MU
STALE, GAP, ACTIVE, ROBUST, DECOMPOSITIONS, REPAIRS, DIAGONAL_FIRST = range(selection.N_COUNT, selection.N_COUNT + 7)
N_COUNT = selection.N_COUNT + 7

# parts of the array of integers
_COUNT = N_FIELDS + 1
_ORDER = _COUNT + N_COUNT

ACTIVE_NONE, ACTIVE_WEIGHTS, ACTIVE_2010 = 0, 1, 2


def layout(n: int, popsize: int, ring: int, flags: int, bounded: bool, diagonal_first: bool) -> IntArray:
    """The array of integers: first the offsets of the fields, field k being ``state[at[k]:at[k + 1]]``."""
    work, ints = eigh_workspace(n)
    sizes = {
        SCALARS: N_SCALARS,
        **dict.fromkeys((MEAN, P_SIGMA, P_C, D_, DIAGONAL, Y_W, Z_W, EIG_W), n),
        **dict.fromkeys((C_, BT, EIG), n * n),
        **dict.fromkeys((WEIGHTS, OMEGA, NORM2), popsize),
        **dict.fromkeys((Z, Y), popsize * n),
        ROWS: (popsize + 1) * n,
        WORK: work,
        **dict.fromkeys((TOL, VALUE), stopping.N_TOL),
        RING: ring,
        FLAGS: flags,
        **dict.fromkeys((STD_MIN, STD_MAX), n if bounded else 0),
        DIAGONAL_WEIGHTS: popsize if diagonal_first else 0,
    }
    offsets = np.cumsum([0, *(sizes[k] for k in range(N_FIELDS))])
    return np.concatenate([offsets, np.zeros(N_COUNT + 2 * popsize + (ints + 1) // 2)]).astype(np.int64)


def offsets(table: IntArray) -> IntArray:
    """The offsets of the fields, a view."""
    return table[:_COUNT]


def counters(table: IntArray) -> IntArray:
    """`count`, (N_COUNT,), a view."""
    return table[_COUNT:_ORDER]


@kernel
def lapack_ints(table: IntArray, popsize: int) -> IntArray:
    """Scratch of `linalg`, a view."""
    return table[_ORDER + 2 * popsize :].view(np.int32)


@kernel
def field(state: FloatArray, at: IntArray, k: int) -> FloatArray:
    """Field `k` of the state, a view."""
    return state[at[k] : at[k + 1]]


@kernel
def sample(state: FloatArray, table: IntArray, key: int, batch: int, x: FloatArray) -> None:
    """Write the first rows of ``mean + sigma Y`` into `x`, Y = (Z * D) @ B.T; Z and Y stay in the state.

    Z is batch number `batch` of the normal numbers of the stream `key`.
    """
    at = table[:_COUNT]
    n = at[MEAN + 1] - at[MEAN]
    popsize = at[WEIGHTS + 1] - at[WEIGHTS]
    scalars, mean, D = field(state, at, SCALARS), field(state, at, MEAN), field(state, at, D_)
    Bt = field(state, at, BT).reshape((n, n))
    z = field(state, at, Z).reshape((popsize, n))
    y = field(state, at, Y).reshape((popsize, n))
    normals.fill(key, batch * z.size, field(state, at, Z))
    if n <= LOOPS_UP_TO:
        for k in range(popsize):
            y_k, z_k = y[k], z[k]
            y_k[:] = 0.0
            for i in range(n):
                a, axis = z_k[i] * D[i], Bt[i]
                for j in range(n):
                    y_k[j] += a * axis[j]
    else:
        rows = field(state, at, ROWS)[: popsize * n].reshape((popsize, n))
        for k in range(popsize):
            for j in range(n):
                rows[k, j] = z[k, j] * D[j]
        gemm(rows, Bt, y, scalars[BLAS_A:], lapack_ints(table, popsize))
    sigma = scalars[SIGMA]
    for k in range(x.shape[0]):
        for j in range(n):
            x[k, j] = mean[j] + sigma * y[k, j]


@kernel
def tell(
    state: FloatArray,
    table: IntArray,
    x: FloatArray,
    f: FloatArray,
    own: BoolArray,
    long: FloatArray,
    best_x: FloatArray,
    best_f: float,
) -> tuple[int, int, float, int]:
    """A whole batch at once: compare, find the best, update.

    x : (popsize, n), or (0, n) for "as asked"; best_x : (n,), follows `best_f`; the others see `update`.  Returns what
    `batch.take_whole` does, and the mask of rules that hold; the row is `FULL`, and nothing done, where `long` is.
    """
    if table[_COUNT + stopping.LONG] == long.shape[1]:
        return 0, FULL, best_f, 0
    at = table[:_COUNT]
    n = at[MEAN + 1] - at[MEAN]
    mean, sigma = field(state, at, MEAN), state[at[SCALARS] + SIGMA]
    y = field(state, at, Y).reshape((len(f), n))
    for row in range(x.shape[0]):
        for j in range(n):
            if x[row, j] != mean[j] + sigma * y[row, j]:  # as `sample` computes it
                return 0, EDITED, best_f, 0
    n_nan, best, best_f = find_best(f, best_f)
    if best >= 0:
        for j in range(n):
            best_x[j] = mean[j] + sigma * y[best, j]
    return n_nan, best, best_f, update(state, table, f, own, long)


@kernel
def update(state: FloatArray, table: IntArray, f: FloatArray, own: BoolArray, long: FloatArray) -> int:
    """One update of CMA-ES from the values `f` of the population in the state (Hansen 2023, Algorithm 1).

    state, table : see `layout`; f, own : (popsize,); long : (3, capacity), see `stopping.value_rules`.  Returns the
    mask of stopping rules that hold.
    """
    at, count = table[:_COUNT], table[_COUNT:_ORDER]
    n = at[MEAN + 1] - at[MEAN]
    popsize = at[WEIGHTS + 1] - at[WEIGHTS]
    order, ints = table[_ORDER : _ORDER + 2 * popsize], lapack_ints(table, popsize)
    s = field(state, at, SCALARS)
    mean, p_sigma, p_c = field(state, at, MEAN), field(state, at, P_SIGMA), field(state, at, P_C)
    Bt = field(state, at, BT).reshape((n, n))
    C = field(state, at, C_).reshape((n, n))
    z = field(state, at, Z).reshape((popsize, n))
    y = field(state, at, Y).reshape((popsize, n))
    omega, norm2 = field(state, at, OMEGA), field(state, at, NORM2)
    y_w, z_w = field(state, at, Y_W), field(state, at, Z_W)
    tol, value = field(state, at, TOL), field(state, at, VALUE)
    mu = count[MU]
    c_sigma, c_c, c_1, c_mu = s[C_SIGMA], s[C_C], s[C_1], s[C_MU]
    weights = field(state, at, WEIGHTS)
    diagonal_only = count[stopping.T] < count[DIAGONAL_FIRST]
    if diagonal_only:
        c_1, c_mu, weights = s[DIAGONAL_C_1], s[DIAGONAL_C_MU], field(state, at, DIAGONAL_WEIGHTS)

    # selection: ranks and nothing else
    if not select(f, own, weights, omega, order, count, tol, value):
        return count[MASK]
    ranking = order[:popsize]

    # recombination
    y_w[:] = 0.0
    z_w[:] = 0.0
    sum_omega = 0.0
    for k in range(popsize):
        w = omega[k]
        sum_omega += w
        if w > 0:
            y_k, z_k = y[k], z[k]
            for j in range(n):
                y_w[j] += w * y_k[j]
                z_w[j] += w * z_k[j]
    for j in range(n):
        mean[j] += s[C_M] * s[SIGMA] * y_w[j]
    t = count[stopping.T] + 1

    # evolution paths
    norm = math.sqrt(c_sigma * (2 - c_sigma) * s[MUEFF])
    for j in range(n):
        p_sigma[j] *= 1 - c_sigma
    for i in range(n):
        a, axis = norm * z_w[i], Bt[i]
        for j in range(n):
            p_sigma[j] += a * axis[j]  # B z_w = C^(-1/2) y_w
    length = 0.0
    for j in range(n):
        length += p_sigma[j] * p_sigma[j]
    length = math.sqrt(length)
    chi_n = s[CHI_N]
    h = path_goes_on(length, t, n, c_sigma, chi_n)
    norm = h * math.sqrt(c_c * (2 - c_c) * s[MUEFF])
    for j in range(n):
        p_c[j] = (1 - c_c) * p_c[j] + norm * y_w[j]

    # covariance matrix
    stall = c_1 * (1 - h) * c_c * (2 - c_c)  # variance that p_c misses while it is stalled
    if count[ACTIVE] == ACTIVE_2010 and not diagonal_only:
        c_minus = _active_2010(state, at, z, ranking, own, mu, count_finite(f), order[popsize:])
        decay = 1 - c_1 - c_mu + 0.5 * c_minus + stall
        rate_mu = c_mu + 0.5 * c_minus
    else:
        for k in range(popsize):
            norm2[k] = 0.0
            if omega[k] < 0:
                for j in range(n):
                    norm2[k] += z[k, j] * z[k, j]
                omega[k] *= n / (norm2[k] + 1e-18 * n)  # ||C^(-1/2) y|| scaled to sqrt(n)
        decay = 1 - c_1 - c_mu * sum_omega + stall
        rate_mu = c_mu
    if diagonal_only:
        _add_squares(state, at, decay, c_1, rate_mu)
    else:
        _add_rows(state, at, ints, decay, c_1, rate_mu)

    # step size
    s[SIGMA] *= math.exp(min(1.0, max(-1.0, c_sigma / s[D_SIGMA] * (length / chi_n - 1))))
    if count[ROBUST] and f[ranking[0]] == f[ranking[int(tol[stopping.EQUAL_RANK]) - 1]]:
        s[SIGMA] *= math.exp(0.2 + c_sigma / s[D_SIGMA])  # get off a plateau

    diagonal = field(state, at, DIAGONAL)
    for j in range(n):
        diagonal[j] = C[j, j]
    if at[STD_MIN + 1] > at[STD_MIN]:
        limit_deviations(state, at)

    # decomposition, lazily
    count[STALE] += 1
    failed = 0
    if diagonal_only:
        failed = _take_diagonal(state, at, count)
    elif count[STALE] >= count[GAP]:
        failed = decompose(state, at, count, ints)

    mask = stopping.value_rules(f, ranking, tol, value, count, field(state, at, RING), field(state, at, FLAGS), long)
    mask |= stopping.distribution_rules(
        t, mean, s[SIGMA], s[SIGMA0], s[DRIFT], p_c, diagonal, field(state, at, D_), Bt, tol, value
    )
    if failed & (1 << stopping.CONDITIONCOV):
        value[stopping.CONDITIONCOV] = np.inf
    count[MASK] = mask | failed
    return count[MASK]


@kernel
def _add_squares(state: FloatArray, at: IntArray, decay: float, c_1: float, c_mu: float) -> None:
    """`_add_rows` on the diagonal only, which is all of C."""
    n = at[MEAN + 1] - at[MEAN]
    popsize = at[WEIGHTS + 1] - at[WEIGHTS]
    C = field(state, at, C_).reshape((n, n))
    y = field(state, at, Y).reshape((popsize, n))
    p_c, omega = field(state, at, P_C), field(state, at, OMEGA)
    for j in range(n):
        C[j, j] = decay * C[j, j] + c_1 * p_c[j] * p_c[j]
    for k in range(popsize):
        a = c_mu * omega[k]
        for j in range(n):
            C[j, j] += a * y[k, j] * y[k, j]


@kernel
def _take_diagonal(state: FloatArray, at: IntArray, count: IntArray) -> int:
    """The decomposition of a diagonal C: its axes are the coordinates, in ascending order."""
    n = at[MEAN + 1] - at[MEAN]
    D, diagonal = field(state, at, D_), field(state, at, DIAGONAL)
    Bt = field(state, at, BT).reshape((n, n))
    count[STALE] = 0
    for j in range(n):
        if not (0.0 < diagonal[j] < np.inf):
            return 1 << stopping.EIGEN_FAILURE
    axes = np.empty(n, dtype=np.int64)
    rank(diagonal, axes, np.empty(n, dtype=np.int64))
    for i in range(n):
        for j in range(n):
            Bt[i, j] = 0.0
        Bt[i, axes[i]] = 1.0
        D[i] = math.sqrt(diagonal[axes[i]])
    return 0


@kernel
def _add_rows(state: FloatArray, at: IntArray, ints: IntArray, decay: float, c_1: float, c_mu: float) -> None:
    """``C <- decay C + c_1 p_c p_c^T + c_mu sum_k omega_k y_k y_k^T``, lower triangle."""
    n = at[MEAN + 1] - at[MEAN]
    popsize = at[WEIGHTS + 1] - at[WEIGHTS]
    C = field(state, at, C_).reshape((n, n))
    y = field(state, at, Y).reshape((popsize, n))
    p_c, omega = field(state, at, P_C), field(state, at, OMEGA)
    if n <= LOOPS_UP_TO:
        for i in range(n):
            c_i = C[i]
            a = c_1 * p_c[i]
            for j in range(i + 1):
                c_i[j] = decay * c_i[j] + a * p_c[j]
            for k in range(popsize):
                y_k = y[k]
                a = c_mu * omega[k] * y_k[i]
                if a != 0.0:
                    for j in range(i + 1):
                        c_i[j] += a * y_k[j]
        return
    scratch = field(state, at, SCALARS)[BLAS_A:]
    rows = field(state, at, ROWS).reshape((popsize + 1, n))
    root = math.sqrt(c_1)
    for j in range(n):
        rows[0, j] = root * p_c[j]
    top, bottom = 1, popsize  # positive rows from the top, negative ones from the bottom
    for k in range(popsize):
        if omega[k] == 0.0:
            continue
        root = math.sqrt(c_mu * abs(omega[k]))
        if omega[k] > 0:
            row = top
            top += 1
        else:
            row = bottom
            bottom -= 1
        for j in range(n):
            rows[row, j] = root * y[k, j]
    syrk(1.0, rows[:top], decay, C, scratch, ints)
    if bottom < popsize:
        syrk(-1.0, rows[bottom + 1 :], 1.0, C, scratch, ints)


@kernel
def _active_2010(
    state: FloatArray,
    at: IntArray,
    z: FloatArray,
    ranking: IntArray,
    own: BoolArray,
    mu: int,
    n_finite: int,
    scratch: IntArray,
) -> float:
    """Weights of the negative update of IPOP-aCMA-ES (Hansen & Ros 2010); its rate c_minus, 0 where there is none.

    Enters into `omega` the weights of the mu worst candidates, relative to c_mu + c_minus/2: lengths in the
    isotropic frame are reversed within the set (a factor on the weight does that), the worst candidate weighs most.
    scratch : (>= 2 mu,).
    """
    n = at[MEAN + 1] - at[MEAN]
    popsize = at[WEIGHTS + 1] - at[WEIGHTS]
    s = field(state, at, SCALARS)
    omega, weights, norm2 = field(state, at, OMEGA), field(state, at, WEIGHTS), field(state, at, NORM2)
    if n_finite < mu or s[C_MINUS] == 0.0:
        return 0.0
    # squared lengths of the mu worst, by rank from the worst (r = 0), and their order
    for r in range(mu):
        k = ranking[popsize - 1 - r]
        norm2[r] = 0.0
        for j in range(n):
            norm2[r] += z[k, j] * z[k, j]
    by_length = scratch[:mu]
    rank(norm2[:mu], by_length, scratch[mu:])
    shared, n_bad = 0.0, popsize - n_finite  # candidates without a number share the mean of their weights
    for r in range(min(n_bad, mu)):
        shared += weights[r] / min(n_bad, mu)
    target, w = field(state, at, ROWS)[:mu], field(state, at, ROWS)[mu : 2 * mu]
    trace = 0.0
    for i in range(mu):
        r = by_length[i]
        target[r] = norm2[by_length[mu - 1 - i]]
        w[r] = shared if r < n_bad else weights[r]
        if not own[ranking[popsize - 1 - r]]:
            w[r] = 0.0
        trace += w[r] * target[r]
    c_minus = s[C_MINUS]
    if 1 - c_minus * trace < 0.66:
        gram = np.empty((mu, mu))
        for a in range(mu):
            scale_a = math.sqrt(w[a] * target[a] / (norm2[a] + 1e-300))
            for b in range(a + 1):
                scale_b = math.sqrt(w[b] * target[b] / (norm2[b] + 1e-300))
                dot = np.dot(z[ranking[popsize - 1 - a]], z[ranking[popsize - 1 - b]])
                gram[a, b] = gram[b, a] = scale_a * scale_b * dot
        eigenvalues = np.empty(mu)
        work = np.empty(1 + 6 * mu + 2 * mu * mu)
        if eigh(gram, eigenvalues, work, np.empty(11 + 5 * mu, dtype=np.int32)) != 0:
            return 0.0
        c_minus = min(c_minus, (1 - s[C_MU]) * (1 - 0.66) / eigenvalues[mu - 1])
    for r in range(mu):
        k = ranking[popsize - 1 - r]
        omega[k] = -w[r] * c_minus / (s[C_MU] + 0.5 * c_minus) * target[r] / (norm2[r] + 1e-300)
    return c_minus


@kernel
def limit_deviations(state: FloatArray, at: IntArray) -> bool:
    """Scale rows and columns of C so that sigma sqrt(C_jj) keeps within its limits; whether any was scaled."""
    n = at[MEAN + 1] - at[MEAN]
    s, p_c, diagonal = field(state, at, SCALARS), field(state, at, P_C), field(state, at, DIAGONAL)
    C = field(state, at, C_).reshape((n, n))
    low, high = field(state, at, STD_MIN), field(state, at, STD_MAX)
    changed = False
    for j in range(n):
        std = s[SIGMA] * math.sqrt(diagonal[j])
        limit = min(max(std, low[j]), high[j])
        if limit == std or not std > 0.0:
            continue
        factor = limit / std
        changed = True
        for i in range(j + 1):
            C[j, i] *= factor
        for i in range(j, n):
            C[i, j] *= factor
        p_c[j] *= factor
        diagonal[j] = C[j, j]
    return changed


@kernel
def decompose(state: FloatArray, at: IntArray, count: IntArray, ints: IntArray) -> int:
    """``C = B diag(D^2) B^T``; the bit of a stopping rule where C is broken, else 0.

    A matrix that is not positive definite gets the smallest multiple of the identity that makes its condition
    number 1e14, which is counted.  C with a non-finite entry is rebuilt from the last B and D.
    """
    n = at[MEAN + 1] - at[MEAN]
    s, D, w = field(state, at, SCALARS), field(state, at, D_), field(state, at, EIG_W)
    p_c, diagonal = field(state, at, P_C), field(state, at, DIAGONAL)
    C = field(state, at, C_).reshape((n, n))
    Bt = field(state, at, BT).reshape((n, n))
    a = field(state, at, EIG).reshape((n, n))
    count[STALE] = 0
    count[DECOMPOSITIONS] += 1
    finite = True
    for i in range(n):
        for j in range(i + 1):
            a[i, j] = C[i, j]
            finite = finite and np.isfinite(C[i, j])
    if not finite or eigh(a, w, field(state, at, WORK), ints) != 0 or not np.isfinite(w.sum()):
        for i in range(n):
            for j in range(i + 1):
                C[i, j] = 0.0
                for k in range(n):
                    C[i, j] += Bt[k, i] * Bt[k, j] * D[k] * D[k]
            diagonal[i] = C[i, i]
        return 1 << stopping.EIGEN_FAILURE

    mask = 0
    limit = s[MAX_CONDITION]
    smallest, largest = w[0], w[n - 1]
    if not (smallest > 0 and largest <= limit * smallest):
        if not largest > 0:  # nothing is left of the distribution
            return 1 << stopping.EIGEN_FAILURE
        if not smallest > 0 and not count[ROBUST] and np.isfinite(field(state, at, TOL)[stopping.CONDITIONCOV]):
            mask = 1 << stopping.CONDITIONCOV
        if count[ROBUST] or not smallest > 0:
            count[REPAIRS] += 1
            shift = (largest - limit * smallest) / (limit - 1)
            for j in range(n):
                C[j, j] += shift
                w[j] += shift
                diagonal[j] = C[j, j]
            w[0] = max(w[0], w[n - 1] / limit)
    for j in range(n):
        D[j] = math.sqrt(max(w[j], w[n - 1] / limit)) if w[j] <= 0 else math.sqrt(w[j])
        for i in range(n):
            Bt[j, i] = a[j, i]

    # sigma and C may drift apart without changing the distribution: bring them together (by the root of their ratio;
    # the ratio itself, which the programs of Hansen take, would only swap them)
    ratio = 1.0
    if s[SIGMA] > 1e10 * D[n - 1]:
        ratio = math.sqrt(s[SIGMA] / D[n - 1])
    elif s[SIGMA] < 1e-10 * D[0]:
        ratio = math.sqrt(s[SIGMA] / D[0])
    if ratio != 1.0 and 0.0 < ratio * ratio < np.inf:
        s[SIGMA] /= ratio
        s[DRIFT] *= ratio
        for i in range(n):
            D[i] *= ratio
            p_c[i] *= ratio
            for j in range(i + 1):
                C[i, j] *= ratio * ratio
            diagonal[i] = C[i, i]
    return mask
