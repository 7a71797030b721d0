"""MA-ES in plain NumPy, as the paper writes it: M is multiplied from the right."""

from __future__ import annotations

import numpy as np

from lmcma.strategies.ma import MAParameters


class Twin:
    def __init__(self, x0, sigma0, params: MAParameters):
        n = len(x0)
        self.n, self.p = n, params
        self.mean, self.sigma = np.array(x0, dtype=float), float(sigma0)
        self.M, self.s = np.eye(n), np.zeros(n)

    def ask(self, z):
        self.z = z
        self.d = np.array([self.M @ row for row in z])
        return self.mean + self.sigma * self.d

    def put(self, row, x):
        """A point of somebody else's in place of a row (Hansen 2011): its step is clipped in the metric of M M^T."""
        d = (x - self.mean) / self.sigma
        z = np.linalg.inv(self.M) @ d
        clip = min(1, (np.sqrt(self.n) + 2 * self.n / (self.n + 2)) / np.linalg.norm(z))
        self.z[row], self.d[row] = clip * z, clip * d

    def tell(self, f):
        p, eye = self.p, np.eye(self.n)
        order = np.argsort(f, kind="stable")[: p.mu]
        z, d, w = self.z[order], self.d[order], p.weights[: p.mu]
        self.mean = self.mean + self.sigma * w @ d
        self.s = (1 - p.c_sigma) * self.s + np.sqrt(p.mueff * p.c_sigma * (2 - p.c_sigma)) * w @ z
        rank_one = np.outer(self.s, self.s)
        rank_mu = sum(w_i * np.outer(z_i, z_i) for w_i, z_i in zip(w, z, strict=True))
        self.M = self.M @ (eye + p.c_1 / 2 * (rank_one - eye) + p.c_mu / 2 * (rank_mu - eye))
        self.sigma *= np.exp(p.c_sigma / p.d_sigma * (np.linalg.norm(self.s) / p.chi_n - 1))
