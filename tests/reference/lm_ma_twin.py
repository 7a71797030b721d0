"""LM-MA-ES in plain NumPy, as the paper writes it."""

from __future__ import annotations

import numpy as np


def factor_times(z, M, c_d):
    """The step of base vector z; every dot product takes the running d."""
    d = np.array(z, dtype=float)
    for row, c in zip(M, c_d, strict=True):
        d = (1 - c) * d + c * (row @ d) * row
    return d


def factor_times_original(z, M, c_d):
    """The mutant: dot products take the original z.  Must differ."""
    d = np.array(z, dtype=float)
    for row, c in zip(M, c_d, strict=True):
        d = (1 - c) * d + c * (row @ z) * row
    return d


def factor(M, c_d, n):
    return np.array([factor_times(e, M, c_d) for e in np.eye(n)]).T


class LMMA:
    def __init__(self, x0, sigma0, popsize, params):
        self.y, self.sigma, self.p, self.t = np.array(x0, dtype=float), sigma0, params, 0
        n, m = len(x0), params.memory
        self.M, self.p_sigma, self.popsize, self.n = np.zeros((m, n)), np.zeros(n), popsize, n

    def ask(self, Z):
        k = min(self.t, self.p.memory)
        self.Z, self.D = Z, np.array([factor_times(z, self.M[:k], self.p.c_d[:k]) for z in Z])
        return self.y + self.sigma * self.D

    def tell(self, f):
        best = np.argsort(f, kind="stable")[: self.p.mu]
        w, mueff = self.p.weights[: self.p.mu], self.p.mueff
        z = w @ self.Z[best]
        self.y = self.y + self.sigma * (w @ self.D[best])
        c = self.p.c_sigma
        self.p_sigma = (1 - c) * self.p_sigma + np.sqrt(mueff * c * (2 - c)) * z
        for i, rate in enumerate(self.p.c_c):
            self.M[i] = (1 - rate) * self.M[i] + np.sqrt(mueff * rate * (2 - rate)) * z
        self.sigma *= np.exp(c / 2 * (self.p_sigma @ self.p_sigma / self.n - 1))
        self.t += 1
