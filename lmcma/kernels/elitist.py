"""The (1+1)-CMA individual: constants, mutation, step size, covariance matrix.

References
----------
C. Igel, T. Suttorp, N. Hansen. A Computational Efficient Covariance Matrix Update and a (1+1)-CMA for Evolution
Strategies. GECCO 2006.
C. Igel, N. Hansen, S. Roth. Covariance Matrix Adaptation for Multi-objective Optimization. Evolutionary Computation
15(1), 2007.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from lmcma.kernels.cholesky import rank_one
from lmcma.kernels.compile import kernel
from lmcma.typing import FloatArray

SMALLEST, LARGEST = 1e-300, 1e300  # step sizes


class Constants(NamedTuple):
    """Constants of the (1+1)-CMA individual as functions of the dimension."""

    d: float  # damping of the step size
    p_target: float  # success rate at which the step size stays
    c_p: float  # of the smoothed success rate
    c_c: float  # of the evolution path
    c_cov: float  # of the covariance matrix
    p_thresh: float  # success rate from which on the step size is too small for the path to mean anything
    c_minus: float  # of the active update, single-objective only


def constants(n: int) -> Constants:
    """Constants in dimension n for one offspring per parent.

    >>> c = constants(10)
    >>> round(c.p_target, 6), round(c.c_p, 6), c.d, round(c.c_c, 6), round(c.c_cov, 7), round(c.c_minus, 7)
    (0.181818, 0.083333, 6.0, 0.166667, 0.0188679, 0.0098013)
    """
    p_target = 1 / (5 + 1 / 2)
    return Constants(
        d=1 + n / 2,
        p_target=p_target,
        c_p=p_target / (2 + p_target),
        c_c=2 / (n + 2),
        c_cov=2 / (n**2 + 6),
        p_thresh=0.44,
        c_minus=0.4 / (n**1.6 + 1),
    )


class Individuals(NamedTuple):
    """Individuals in slots: what they are, and the step that made them."""

    x: FloatArray  # (capacity, n)
    y: FloatArray  # (capacity, n), step from the parent in units of its step size
    sigma: FloatArray  # (capacity,)
    p: FloatArray  # (capacity,), smoothed success rate
    Lt: FloatArray  # (capacity, n, n), factor of the covariance matrix, transposed
    p_c: FloatArray  # (capacity, n), evolution path


@kernel
def success_step(who: Individuals, slot: int, success: float, c: Constants) -> None:
    """Move success rate and step size after a success (1) or a failure (0)."""
    p = (1 - c.c_p) * who.p[slot] + c.c_p * success
    who.p[slot] = p
    sigma = who.sigma[slot] * math.exp((p - c.p_target) / (c.d * (1 - c.p_target)))
    who.sigma[slot] = min(max(sigma, SMALLEST), LARGEST)


@kernel
def covariance_step(who: Individuals, slot: int, c: Constants, scale: FloatArray, w: FloatArray) -> None:
    """Learn from the step that made the individual.  scale : (n,), initial standard deviations; w : (n,), scratch."""
    n = len(w)
    p_c, y = who.p_c[slot], who.y[slot]
    keep = 1 - c.c_c
    missing = c.c_c * (2 - c.c_c)
    if who.p[slot] < c.p_thresh:
        drive = math.sqrt(missing)
        for i in range(n):
            p_c[i] = keep * p_c[i] + drive * y[i]
        alpha = 1 - c.c_cov
    else:
        for i in range(n):
            p_c[i] *= keep
        alpha = 1 - c.c_cov + c.c_cov * missing
    if not rank_one(who.Lt[slot], alpha, c.c_cov, p_c, w, who.Lt[slot]):
        begin(who, slot, scale)


@kernel
def begin(who: Individuals, slot: int, scale: FloatArray) -> None:
    """Set covariance matrix and path of an individual to those of a start.  scale : (n,), standard deviations."""
    n = len(scale)
    for i in range(n):
        for j in range(n):
            who.Lt[slot, i, j] = 0.0
        who.Lt[slot, i, i] = scale[i]
        who.p_c[slot, i] = 0.0


# -------------------------------------------------------------------- one parent, one offspring, one objective

PARENT, OFFSPRING, SPARE = range(3)  # slots


@kernel
def select(
    who: Individuals,
    f: float,
    recent: FloatArray,
    zz: float,
    active: bool,
    c: Constants,
    scale: FloatArray,
    w: FloatArray,
) -> bool:
    """Compare the offspring with its parent, and learn; whether it takes the parent's place.

    f : its value, infinite for a failed evaluation; recent : (5,), values of the last parents, the present one last;
    zz : squared length of its normal numbers; w : (n,), scratch.
    """
    success = f <= recent[-1] and f < math.inf
    success_step(who, PARENT, success, c)
    if success:
        who.x[PARENT], who.y[PARENT] = who.x[OFFSPRING], who.y[OFFSPRING]
        recent[:-1] = recent[1:].copy()
        recent[-1] = f
        covariance_step(who, PARENT, c, scale, w)
    elif active and f > recent[0]:
        if who.p[PARENT] >= c.p_thresh:
            covariance_step(who, PARENT, c, scale, w)
        else:
            rate = c.c_minus
            if rate * (2 * zz - 1) > 1:  # which would leave hardly anything of the matrix along the step
                rate = 1 / (2 * zz - 1)
            if rank_one(who.Lt[PARENT], 1 + rate, -rate, who.y[OFFSPRING], w, who.Lt[SPARE]):
                who.Lt[PARENT] = who.Lt[SPARE]
    return success
