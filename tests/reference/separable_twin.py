"""CMA-ES with a diagonal covariance matrix in plain NumPy, as the papers write it."""

from __future__ import annotations

import numpy as np

from lmcma.strategies.cma import CMAParameters


class Twin:
    def __init__(self, x0, sigma0, params: CMAParameters, variant):
        n = len(x0)
        self.n, self.p, self.published = n, params, variant == "2008"
        self.mean, self.sigma = np.array(x0, dtype=float), float(sigma0)
        self.c, self.p_sigma, self.p_c = np.ones(n), np.zeros(n), np.zeros(n)
        self.t = 0

    def ask(self, z):
        self.z, self.own = z, np.ones(len(z), dtype=bool)
        return self.mean + self.sigma * np.sqrt(self.c) * z

    def put(self, row, x):
        """A point of somebody else's in place of a row (Hansen 2011): its step is clipped in the metric of C."""
        z = (x - self.mean) / self.sigma / np.sqrt(self.c)
        clip = min(1, (np.sqrt(self.n) + 2 * self.n / (self.n + 2)) / np.linalg.norm(z))
        self.z[row], self.own[row] = clip * z, False

    def tell(self, f):
        p, n = self.p, self.n
        order = np.argsort(f, kind="stable")
        z, w = self.z[order], np.where(self.own[order], p.weights, np.maximum(p.weights, 0))
        y = z * np.sqrt(self.c)
        y_w, z_w = w[: p.mu] @ y[: p.mu], w[: p.mu] @ z[: p.mu]
        self.mean = self.mean + self.sigma * y_w
        self.t += 1
        self.p_sigma = (1 - p.c_sigma) * self.p_sigma + np.sqrt(p.c_sigma * (2 - p.c_sigma) * p.mueff) * z_w
        length = np.linalg.norm(self.p_sigma)
        h = length < (1.4 + 2 / (n + 1)) * p.chi_n * np.sqrt(1 - (1 - p.c_sigma) ** (2 * self.t))
        self.p_c = (1 - p.c_c) * self.p_c + h * np.sqrt(p.c_c * (2 - p.c_c) * p.mueff) * y_w
        if self.published:  # with c_cov and mu_cov = mueff
            c_cov = p.c_1 * p.mueff
            rank_mu = self.c * (w @ z**2)
            self.c = (1 - c_cov) * self.c + c_cov / p.mueff * self.p_c**2 + c_cov * (1 - 1 / p.mueff) * rank_mu
        else:
            scaled = np.where(w < 0, w * n / (z**2).sum(axis=1), w)
            decay = 1 + p.c_1 * (1 - h) * p.c_c * (2 - p.c_c) - p.c_1 - p.c_mu * w.sum()
            self.c = decay * self.c + p.c_1 * self.p_c**2 + p.c_mu * scaled @ y**2
        self.sigma *= np.exp(np.clip(p.c_sigma / p.d_sigma * (length / p.chi_n - 1), -1, 1))
