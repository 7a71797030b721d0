"""The ranking SVM of saACM-ES in plain NumPy, from the equations: no scaling, no blocks, K instead of 1 - K."""

import numpy as np


def kernel_matrix(Z, width, other=None):
    """exp(-||z - z'||^2 / width) of rows."""
    other = Z if other is None else other
    d2 = ((Z[:, None, :] - other[None, :, :]) ** 2).sum(axis=2)
    return np.exp(-d2 / width)


def width(Z, c_sigma=1.0):
    """2 s^2, s = c_sigma times the mean distance over all pairs."""
    i, j = np.triu_indices(len(Z), 1)
    return 2 * (c_sigma * np.linalg.norm(Z[i] - Z[j], axis=1).mean()) ** 2


def dual_matrix(K):
    """K'_ij = K_ij - K_i,j+1 - K_i+1,j + K_i+1,j+1."""
    return K[:-1, :-1] - K[:-1, 1:] - K[1:, :-1] + K[1:, 1:]


def constraint_weights(N, c_base, c_pow):
    """C_i = 10^c_base (N - 1 - i)^c_pow, i = 1, ..., N - 1."""
    return 10.0**c_base * (N - 1.0 - np.arange(1, N)) ** c_pow


def ascend(K, C, epsilon, updates, start=0.975):
    """Cyclic coordinate ascent of the dual from `start` C."""
    alpha = start * C
    g = epsilon - K @ alpha
    for step in range(updates):
        i = step % len(C)
        if C[i] == 0:
            continue
        a = np.clip(alpha[i] + g[i] / K[i, i], 0, C[i])
        g -= (a - alpha[i]) * K[:, i]
        alpha[i] = a
    return alpha


def fit(Z, c_base=6.0, c_pow=3.0, c_sigma=1.0, sweeps=1000.0):
    """alpha of points Z, (N, n), best first."""
    N = len(Z)
    K = dual_matrix(kernel_matrix(Z, width(Z, c_sigma)))
    return ascend(K, constraint_weights(N, c_base, c_pow), 1.0, int(sweeps * N))


def values(Z, alpha, x, c_sigma=1.0):
    """-F(x) = -sum_i alpha_i (K(z_i, x) - K(z_i+1, x)) at rows x."""
    K = kernel_matrix(Z, width(Z, c_sigma), x)
    return -(alpha @ (K[:-1] - K[1:]))


def rank_error(f, model):
    """Pairs in the wrong order over pairs with different values; ties of the model count half."""
    wrong = pairs = 0.0
    for i in range(len(f)):
        for j in range(len(f)):
            if f[i] < f[j]:
                pairs += 1
                wrong += 1.0 if model[i] > model[j] else 0.5 if model[i] == model[j] else 0.0
    return wrong / pairs if pairs else np.nan
