"""A quadratic function through points: by ridge regression, which needs fewer points than it has coefficients.

Where there are a few more points than coefficients, least squares tell whether the objective is such a function.

References
----------
S. Kern, N. Hansen, P. Koumoutsakos. Local Meta-Models for Optimization Using Evolution Strategies. PPSN 2006.
N. Hansen. A Global Surrogate Assisted CMA-ES. GECCO 2019 (the weights by rank).
A. E. Hoerl, R. W. Kennard. Ridge Regression: Biased Estimation for Nonorthogonal Problems. Technometrics 12(1), 1970.
J. J. More, D. C. Sorensen. Computing a Trust Region Step. SIAM Journal on Scientific and Statistical Computing 4, 1983.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
from scipy import linalg, optimize

from lmcma.surrogate.ranksvm import Frame, framed
from lmcma.typing import FloatArray, IntArray

RIDGE = 1e-5  # penalty of the squared coefficients of products z_i z_j, i <= j
FREEDOM = 1e-3  # that of constant, linear and isotropic terms, in units of it
BEST = 0.75  # part of the points, the best ones, that are used
LIGHTEST = 0.05  # weight of the worst of these, in units of that of the best
EXACT = 1e-3  # part of the values that least squares may leave over where the objective is a quadratic function
_SINGULAR = 1e-13  # least eigenvalue, of matrices of size 1


def coefficients(n: int) -> int:
    """How many a quadratic function of `n` variables has: (n + 1)(n + 2) / 2.

    >>> [coefficients(n) for n in (2, 5, 10, 20)]
    [6, 21, 66, 231]
    """
    return (n + 1) * (n + 2) // 2


def spare(n: int) -> int:
    """Points beyond the number of coefficients that are to be on the function found by least squares.

    >>> [spare(n) for n in (2, 10, 20)]
    [3, 5, 10]
    """
    return max(3, n // 2)


@dataclasses.dataclass(frozen=True)
class Quadratic:
    """(c + g^T z + z^T H z / 2) scale, in a frame around the search distribution: z = W (x - mean) / unit.

    Values are differences to that of the best point used.

    Parameters
    ----------
    frame : (mean, W)
        W^T W = C^(-1) of the search distribution.
    unit : float
        Root mean square of the whitened coordinates of the points.
    scale : float
        Mean difference of the values to the best one.
    c, g, H : float, (n,), (n, n) array
        The coefficients.
    exact : bool
        Whether more points than there are coefficients lie on it.
    """

    frame: Frame
    unit: float
    scale: float
    c: float
    g: FloatArray
    H: FloatArray
    exact: bool = False

    def values(self, x: FloatArray) -> FloatArray:
        """Values at points x, (k, n); smaller is better."""
        with np.errstate(over="ignore", invalid="ignore"):
            Z = framed(self.frame, x) / self.unit
            found: FloatArray = self.c + self.g @ Z + 0.5 * (Z * (self.H @ Z)).sum(axis=0)
            return self.scale * found

    def minimum(self, radius: float) -> FloatArray:
        """The best point whose whitened distance from the mean is at most `radius`, (n,)."""
        mean, W = self.frame
        z = trust_region_step(self.g, self.H, max(radius / self.unit, 1e-300))
        x: FloatArray = mean + np.linalg.solve(W, z * self.unit)
        return x


def fitted(frame: Frame, x: FloatArray, f: FloatArray) -> Quadratic | None:
    r"""The quadratic function for points x, (k, n), with values f, (k,); None where they tell nothing.

    Of the finite values the best three quarters y_1 <= y_2 <= ... are used, with weights w_i that fall linearly with
    the rank by a factor of 20, of mean 1. Minimised is

    .. math:: \sum_i w_i^2 (q(z_i) - y_i)^2 + \rho \Big(\sum_{j \leq l} (1 + [j < l]) h_{jl}^2
              + \varphi (b^2 + |a|^2 + h_0^2) \Big), \quad
              q(z) = b + a^T z + \sum_{j \leq l} h_{jl} z_j z_l + h_0 |z|^2

    so that what the points leave open becomes a multiple of the squared distance in the frame, that is, C^(-1).
    """
    finite = np.flatnonzero(np.isfinite(f))
    order = finite[np.argsort(f[finite], kind="stable")][: max(3, int(BEST * (len(finite) + 1)))]
    if len(order) < 3 or f[order[0]] == f[order[-1]]:
        return None
    with_scales = _scaled(frame, x[order], f[order])
    if with_scales is None:
        return None
    Z, unit, y, scale = with_scales
    w = np.linspace(1.0, LIGHTEST, len(order))
    w /= w.mean()
    A = terms(Z) * w[:, None]
    gram = A.T @ A
    gram.flat[:: len(gram) + 1] += RIDGE * _penalties(len(Z))
    try:
        factor = linalg.cho_factor(gram, lower=True, overwrite_a=True, check_finite=False)
    except linalg.LinAlgError:
        return None
    found = linalg.cho_solve(factor, A.T @ (w * y), check_finite=False)
    if not np.isfinite(found).all():
        return None
    return Quadratic(frame, unit, scale, *_parts(found, len(Z)))


def interpolated(frame: Frame, x: FloatArray, f: FloatArray) -> Quadratic | None:
    r"""The quadratic function on which points x, (k, n), with values f, (k,), lie; None where there is none.

    It is that of least squares, :math:`\sum_i w_i^2 (q(z_i) - y_i)^2` with weights w_i = 1 / (y_i + median of y), where
    y are differences to the best value. At least `spare` more points than coefficients are needed. The sum left over,
    divided by the number of points beyond that of coefficients, has to be at most 10^-6 of the variance of the w_i y_i.
    """
    finite = np.isfinite(f)
    x, f = x[finite], f[finite]
    n = x.shape[1]
    q = coefficients(n)
    with_scales = _scaled(frame, x, f) if len(f) >= q + spare(n) else None
    if with_scales is None:
        return None
    Z, unit, y, scale = with_scales
    middle = float(np.median(y))
    if not middle > 0:  # half of the values are one
        return None
    w = 1.0 / (y + middle)
    A, wanted = terms(Z)[:, :q] * w[:, None], w * y
    if not np.isfinite(A).all():
        return None
    found, _, rank, _ = linalg.lstsq(A, wanted, cond=_SINGULAR, lapack_driver="gelsy", check_finite=False)
    left = np.linalg.norm(A @ found - wanted) / np.sqrt(len(f) - q)
    if rank < q or not left <= EXACT * wanted.std():
        return None
    return Quadratic(frame, unit, scale, *_parts(np.append(found, 0.0), n), exact=True)


def _scaled(frame: Frame, x: FloatArray, f: FloatArray) -> tuple[FloatArray, float, FloatArray, float] | None:
    """Points in the frame, (n, k), their unit; differences to the best value, in units of their mean, and that."""
    with np.errstate(all="ignore"):
        y = f - f.min()
        scale = float(y.mean())
        y /= scale
        Z = framed(frame, x)
        unit = float(np.sqrt((Z * Z).mean()))
        Z /= unit
    usable = np.isfinite(y).all() and 0 < unit < np.inf and np.isfinite(Z).all()
    return (Z, unit, y, scale) if usable else None


def _parts(found: FloatArray, n: int) -> tuple[float, FloatArray, FloatArray]:
    """c, g, H from the coefficients of `terms`."""
    H = np.zeros((n, n))
    H[_pairs(n)] = found[n + 1 : -1]
    return float(found[0]), found[1 : n + 1], H + H.T + 2 * found[-1] * np.eye(n)


def terms(Z: FloatArray) -> FloatArray:
    """1, z_j, z_j z_l with j <= l, |z|^2 of points in columns, (n, k): a row a point."""
    j, k = _pairs(len(Z))
    return np.concatenate([np.ones((1, Z.shape[1])), Z, Z[j] * Z[k], (Z * Z).sum(axis=0)[None]]).T


@functools.cache
def _pairs(n: int) -> tuple[IntArray, IntArray]:
    return np.triu_indices(n)


@functools.cache
def _penalties(n: int) -> FloatArray:
    j, k = _pairs(n)
    return np.concatenate([np.full(n + 1, FREEDOM), np.where(j < k, 2.0, 1.0), [FREEDOM]])


def trust_region_step(g: FloatArray, H: FloatArray, radius: float) -> FloatArray:
    """The minimum of g^T s + s^T H s / 2 for |s| <= radius, (n,).

    With the eigenvalues e of H it is -(H + l I)^(-1) g, where l >= max(0, -min e) is 0 or makes it as long as `radius`.

    >>> trust_region_step(np.array([-4.0, 0.0]), np.diag([2.0, 1.0]), 5.0).tolist()
    [2.0, 0.0]
    >>> trust_region_step(np.array([-4.0, 0.0]), np.diag([-2.0, 1.0]), 5.0).round(9).tolist()
    [5.0, 0.0]
    """
    e, Q = np.linalg.eigh(H)
    b = Q.T @ g
    with np.errstate(all="ignore"):
        size = float(np.abs(e).max() + np.linalg.norm(b) / radius)
    if not 0 < size < np.inf:
        return np.zeros_like(g)
    e, b = e / size, b / size

    def step(shift: float) -> FloatArray:
        return -b / (e + shift)

    def excess(shift: float) -> float:
        return float(np.linalg.norm(step(shift))) - radius

    least = max(0.0, -float(e[0]))
    if e[0] <= _SINGULAR:  # or indefinite: the step has to be kept finite
        least += _SINGULAR
    if excess(least) > 0:
        least = optimize.brentq(excess, least, least + 2, xtol=1e-15)
    s: FloatArray = Q @ step(least)
    return s * min(1.0, radius / max(float(np.linalg.norm(s)), 1e-300))


__all__ = ["Quadratic", "coefficients", "fitted", "interpolated", "spare", "terms", "trust_region_step"]
