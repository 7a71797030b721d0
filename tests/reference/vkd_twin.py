"""VkD-CMA in plain NumPy, with dense matrices, from the equations."""

from __future__ import annotations

import numpy as np


def covariance(D, V, S):
    """C = D (I + V^T diag(S) V) D."""
    return np.outer(D, D) * (np.eye(len(D)) + V.T @ (S[:, None] * V))


def project(D, E, k, alpha2):
    """The restricted form of D E D: k largest eigenpairs of E, the others alike, the diagonal that of D E D.

    E is alpha2 I and something on top; V (k, n), S (k,), and D of a matrix with determinant 1.
    """
    n = len(D)
    values, vectors = np.linalg.eigh(E)
    values, V = values[::-1], vectors.T[::-1][:k]
    rest = values[k:].mean()
    S = values[:k] / rest - 1
    D = D * np.sqrt(np.diag(E) / (1 + S @ V**2))
    scale = np.exp(np.linalg.slogdet(covariance(D, V, S))[1] / (2 * n))
    return D / scale, V, S, scale


class VkD:
    """The strategy with k directions from beginning to end; `tell` takes values without ties."""

    def __init__(self, x0, sigma0, popsize, k):
        n = len(x0)
        self.n, self.k, self.popsize, self.mu = n, k, popsize, popsize // 2
        w = np.log(self.mu + 0.5) - np.log(np.arange(1, self.mu + 1))
        self.w = w / w.sum()
        self.mueff = 1 / (self.w**2).sum()
        self.c_1 = 2 / (n * (k + 1) + n + 2 * (k + 2) + self.mueff)
        self.c_mu = min(1 - self.c_1, 2 * (self.mueff - 2 + 1 / self.mueff) / (n * (k + 1) + 4 * (k + 2) + self.mueff))
        self.c_c = np.sqrt(self.c_1)
        self.mean, self.sigma, self.s, self.p_c = np.array(x0, dtype=float), sigma0, 0.0, np.zeros(n)
        self.D, self.V, self.S = np.ones(n), np.zeros((0, n)), np.zeros(0)
        self.step = None

    def ask(self, Z):
        root = np.eye(self.n) + self.V.T @ ((np.sqrt(1 + self.S) - 1)[:, None] * self.V)
        self.Y = Z @ root * self.D
        if self.step is not None:
            length = np.sqrt(self.step @ np.linalg.solve(covariance(self.D, self.V, self.S), self.step))
            self.Y[-2] = np.linalg.norm(Z[-2]) / length * self.step
            self.Y[-1] = -self.Y[-2]
        return self.mean + self.sigma * self.Y

    def tell(self, f):
        ranks = np.argsort(np.argsort(f))
        best = self.Y[np.argsort(f)[: self.mu]]
        first, self.step = self.step is None, self.w @ best
        self.mean = self.mean + self.sigma * self.step
        if not first:
            self.s += 0.3 * ((ranks[-1] - ranks[-2]) / (self.popsize - 1) - self.s)
            self.sigma *= np.exp(self.s / (4 - 3 / self.n))
        h = self.s < 0.5
        c = self.c_c
        self.p_c = (1 - c) * self.p_c + h * np.sqrt(c * (2 - c) * self.mueff) * self.step
        # the full update of C, in units of D
        u, p = best / self.D, self.p_c / self.D
        alpha2 = 1 - self.c_1 - self.c_mu + self.c_1 * (1 - h) * c * (2 - c)
        E = alpha2 * covariance(np.ones(self.n), self.V, self.S)
        E += self.c_mu * (self.w * u.T) @ u + self.c_1 * np.outer(p, p)
        # nothing on top of alpha2 I beyond this rank: directions not found yet
        found = min(self.k, len(self.S) + self.mu + 1)
        self.D, self.V, self.S, scale = project(self.D, E, found, alpha2)
        self.p_c = self.p_c / scale
