"""The recursions of LM-CMA in plain NumPy, as the papers write them; twins of the kernels."""

from __future__ import annotations

import numpy as np


def factor_times(z, P, V, b, c_1, newest=None):
    """A z with the newest rows only (all by default); the dot product takes the original z."""
    a = np.sqrt(1 - c_1)
    x = np.array(z, dtype=float)
    for t in range(0 if newest is None else len(P) - newest, len(P)):
        x = a * x + b[t] * (V[t] @ z) * P[t]
    return x


def factor_times_running(z, P, V, b, c_1):
    """The mutant: the dot product takes the running x.  Must differ."""
    a = np.sqrt(1 - c_1)
    x = np.array(z, dtype=float)
    for t in range(len(P)):
        x = a * x + b[t] * (V[t] @ x) * P[t]
    return x


def inverse_times(x, V, d, c_1, k):
    a = np.sqrt(1 - c_1)
    x = np.array(x, dtype=float)
    for t in range(k):
        x = x / a - d[t] * (V[t] @ x) * V[t]
    return x


def companions(P, c_1):
    """v, b, d of the stored paths P, in the textbook form."""
    a = np.sqrt(1 - c_1)
    V, b, d = np.empty_like(P), np.empty(len(P)), np.empty(len(P))
    for t in range(len(P)):
        V[t] = inverse_times(P[t], V, d, c_1, t)
        nu = V[t] @ V[t]
        s = np.sqrt(1 + c_1 * nu / (1 - c_1))
        b[t] = a * (s - 1) / nu
        d[t] = (1 - 1 / s) / (a * nu)
    return V, b, d


def covariance(P, c_1):
    C = np.eye(P.shape[1])
    for p in P:
        C = (1 - c_1) * C + c_1 * np.outer(p, p)
    return C


def success(f, f_previous):
    """The population success rule: ranks of both generations together, the current one first on ties."""
    k = len(f)
    order = np.argsort(np.concatenate([f, f_previous]), kind="stable")
    ranks = np.argsort(order)
    return (ranks[k:].sum() - ranks[:k].sum()) / k**2
