"""CMA-ES in plain NumPy, written from Hansen's tutorial and the two papers on active updates; the kernel's twin."""

from __future__ import annotations

import numpy as np

from lmcma.strategies.cma import CMAParameters


class Twin:
    def __init__(self, x0, sigma0, params: CMAParameters, *, active="weights", gap=1, diagonal=None, iterations=0):
        n = len(x0)
        self.n, self.p, self.active, self.gap = n, params, active, gap
        self.mean, self.sigma = np.array(x0, dtype=float), float(sigma0)
        self.C, self.B, self.D = np.eye(n), np.eye(n), np.ones(n)
        self.p_sigma, self.p_c = np.zeros(n), np.zeros(n)
        self.t = 0
        self.diagonal, self.iterations = diagonal, iterations  # parameters of the first iterations

    def ask(self, z):
        self.z = z
        self.y = (z * self.D) @ self.B.T
        self.own = np.ones(len(z), dtype=bool)
        return self.mean + self.sigma * self.y

    def put(self, row, x):
        """A point of somebody else's in place of a row (Hansen 2011): its step is clipped in the metric of C."""
        y = (x - self.mean) / self.sigma
        z = self.B.T @ y / self.D
        clip = min(1, (np.sqrt(self.n) + 2 * self.n / (self.n + 2)) / np.linalg.norm(z))
        self.y[row], self.z[row], self.own[row] = clip * y, clip * z, False

    def tell(self, f):
        first = self.t < self.iterations
        p, n = self.diagonal if first else self.p, self.n
        order = np.argsort(f, kind="stable")
        z, y = self.z[order], self.y[order]
        own = self.own[order]
        w = np.where(own, p.weights, np.maximum(p.weights, 0))  # nobody else's point has a negative weight
        y_w, z_w = w[: p.mu] @ y[: p.mu], w[: p.mu] @ z[: p.mu]
        self.mean = self.mean + p.c_m * self.sigma * y_w
        self.t += 1
        self.p_sigma = (1 - p.c_sigma) * self.p_sigma + np.sqrt(p.c_sigma * (2 - p.c_sigma) * p.mueff) * self.B @ z_w
        length = np.linalg.norm(self.p_sigma)
        h = length < (1.4 + 2 / (n + 1)) * p.chi_n * np.sqrt(1 - (1 - p.c_sigma) ** (2 * self.t))
        self.p_c = (1 - p.c_c) * self.p_c + h * np.sqrt(p.c_c * (2 - p.c_c) * p.mueff) * y_w
        stall = p.c_1 * (1 - h) * p.c_c * (2 - p.c_c)
        rank_one = p.c_1 * np.outer(self.p_c, self.p_c)
        if self.active == "2010" and not first:
            c_minus, negative = self._negative_2010(z, y, own)
            positive = (y[: p.mu].T * w[: p.mu]) @ y[: p.mu]
            decay = 1 - p.c_1 - p.c_mu + 0.5 * c_minus + stall
            self.C = decay * self.C + rank_one + (p.c_mu + 0.5 * c_minus) * positive - c_minus * negative
        else:
            scaled = np.where(w < 0, w * n / (z**2).sum(axis=1), w)
            decay = 1 + stall - p.c_1 - p.c_mu * w.sum()
            self.C = decay * self.C + rank_one + p.c_mu * (y.T * scaled) @ y
        self.sigma *= np.exp(np.clip(p.c_sigma / p.d_sigma * (length / p.chi_n - 1), -1, 1))
        if first:
            self.C = np.diag(np.diag(self.C))
        if first or (self.t - self.iterations) % self.gap == 0:
            d2, self.B = np.linalg.eigh(self.C)
            self.D = np.sqrt(d2)

    def _negative_2010(self, z, y, own):
        p = self.p
        worst = z[::-1][: p.mu]  # the worst first
        a = np.linalg.norm(worst, axis=1)
        by_length = np.argsort(a)
        reversed_lengths = np.empty(p.mu)
        reversed_lengths[by_length] = a[by_length[::-1]]
        factor = reversed_lengths / a
        z_new, y_new = worst * factor[:, None], y[::-1][: p.mu] * factor[:, None]
        w = p.weights[: p.mu] * own[::-1][: p.mu]
        c_minus = p.c_minus
        if 1 - c_minus * (w * reversed_lengths**2).sum() < 0.66:
            largest = np.linalg.eigvalsh((z_new.T * w) @ z_new)[-1]
            c_minus = min(c_minus, (1 - p.c_mu) * (1 - 0.66) / largest)
        return c_minus, (y_new.T * w) @ y_new
