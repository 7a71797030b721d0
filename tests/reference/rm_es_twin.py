"""Rm-ES in plain NumPy, from the equations of the paper; R1-ES for m = 1."""

from __future__ import annotations

import numpy as np


def stored(t_hat, t, gap):
    """The times of the paths after that of iteration t is stored, the oldest first; and the place that was given up."""
    m = len(t_hat)
    gaps = [t_hat[i + 1] - t_hat[i] for i in range(m - 1)]
    if t < m or not gaps or min(gaps) > gap:
        place = 0
    else:
        place = gaps.index(min(gaps)) + 1
    return [*t_hat[:place], *t_hat[place + 1 :], t], place


def step(z, r, P, c_cov):
    """Of a candidate, from a base vector and a scalar for every path, the oldest first."""
    a, m = np.sqrt(1 - c_cov), len(P)
    along = sum(a ** (m - i) * r[i - 1] * P[i - 1] for i in range(1, m + 1))
    return a**m * z + np.sqrt(c_cov) * along


def success(f, f_previous, weights):
    """q: all parents of two generations are ranked together, the present one first on ties."""
    mu = len(f)
    ranks = np.empty(2 * mu)
    ranks[np.argsort(np.concatenate([f, f_previous]), kind="stable")] = np.arange(1, 2 * mu + 1)
    return weights @ (ranks[mu:] - ranks[:mu]) / mu


def covariance(P, c_cov):
    """Of the steps: m rank-one updates of the identity, the oldest path first."""
    C = np.eye(P.shape[1])
    for p in P:
        C = (1 - c_cov) * C + c_cov * np.outer(p, p)
    return C


class Rm:
    def __init__(self, x0, sigma0, popsize, m):
        n = len(x0)
        self.x, self.sigma, self.t = np.array(x0, dtype=float), sigma0, 0
        self.mu = popsize // 2
        i = np.arange(1, self.mu + 1)
        self.w = (np.log(self.mu + 1) - np.log(i)) / (self.mu * np.log(self.mu + 1) - np.log(i).sum())
        self.mueff = 1 / (self.w**2).sum()
        self.c_cov, self.c, self.gap = 1 / (3 * np.sqrt(n) + 5), 2 / (n + 7), n
        self.p, self.s, self.f_previous = np.zeros(n), 0.0, None
        self.P, self.t_hat = [np.zeros(n)] * m, [0] * m

    def ask(self, Z, r):
        steps = [step(z, scalars, self.P, self.c_cov) for z, scalars in zip(Z, r, strict=True)]
        self.X = self.x + self.sigma * np.array(steps)
        return self.X

    def tell(self, f):
        order = np.argsort(f, kind="stable")[: self.mu]
        x = self.w @ self.X[order]
        self.p = (1 - self.c) * self.p + np.sqrt(self.c * (2 - self.c) * self.mueff) * (x - self.x) / self.sigma
        self.x = x
        self.t_hat, place = stored(self.t_hat, self.t, self.gap)
        self.P = [*self.P[:place], *self.P[place + 1 :], self.p]
        if self.f_previous is not None:
            q = success(f[order], self.f_previous, self.w)
            self.s = 0.7 * self.s + 0.3 * (q - 0.3)
            self.sigma *= np.exp(self.s)
        self.f_previous = f[order]
        self.t += 1
