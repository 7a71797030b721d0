"""The objective of self-CMA-ES's auxiliary strategy in plain NumPy."""

from __future__ import annotations

import numpy as np


def replayed(theta, C, M, p_c, y_w, h, mueff):
    """The covariance matrix that one update with the rates (c_1, c_mu, c_c) makes of C, without active weights."""
    c_1, c_mu, c_c = theta
    p = (1 - c_c) * p_c + h * np.sqrt(c_c * (2 - c_c) * mueff) * y_w
    return (1 - c_1 - c_mu + c_1 * (1 - h) * c_c * (2 - c_c)) * C + c_1 * np.outer(p, p) + c_mu * M


def mean_rank(C, y, f, weights):
    """Weighted mean over the best points by f of their ranks by likelihood under N(0, C), 1 for the most likely."""
    distance = np.einsum("ki,ij,kj->k", y, np.linalg.inv(C), y)
    ranks = np.argsort(np.argsort(distance)) + 1
    mu = np.count_nonzero(weights > 0)
    return weights[:mu] @ ranks[np.argsort(f)[:mu]]
