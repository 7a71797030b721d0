"""The eigensolvers against NumPy's, on matrices that are easy to get wrong."""

import numpy as np
import pytest

from lmcma.kernels import eigen
from lmcma.kernels.linalg import eigh_workspace


def decomposed(C):
    """w, B of C by the kernel, which sees the lower triangle only, and scratch that is full of NaN."""
    n = len(C)
    a = np.where(np.tri(n, dtype=bool), C, np.nan)
    w = np.full(n, np.nan)
    work, ints = eigh_workspace(n)
    assert eigen.eigh(a, w, np.full(work, np.nan), np.zeros(ints, dtype=np.int32)) == 0
    return w, a.T


def turned(spectrum, rng):
    Q, _ = np.linalg.qr(rng.standard_normal((len(spectrum),) * 2))
    C = (Q * spectrum) @ Q.T
    return (C + C.T) / 2


def cases(n, rng):
    G = rng.standard_normal((n, n))
    return {
        "random": G @ G.T,
        "diagonal": np.diag(rng.random(n)),
        "identity": np.eye(n),
        "zero": np.zeros((n, n)),
        "indefinite": G + G.T,
        "condition 1e14": turned(10 ** (-14 * np.arange(n) / max(1, n - 1)), rng),
        "two values": turned(np.where(np.arange(n) < n // 2, 1.0, 3.0), rng),
        "rank one": np.outer(G[0], G[0]),
        "low rank": G[: max(1, n // 3)].T @ G[: max(1, n // 3)],  # many sweeps for its zeros
        "condition 1e30": turned(10 ** (-30 * np.arange(n) / max(1, n - 1)), rng),
        "tridiagonal": np.eye(n) + np.diag(np.ones(n - 1), 1) + np.diag(np.ones(n - 1), -1),
    }


@pytest.mark.parametrize("n", [1, 2, 3, 5, 10, 33, eigen.QL_UP_TO, eigen.QL_UP_TO + 1])
def test_agrees_with_numpy(n):
    rng = np.random.default_rng(n)
    for name, C in cases(n, rng).items():
        w, B = decomposed(C)
        norm = np.abs(C).max() + 1e-300
        assert (np.diff(w) >= 0).all(), name
        # backward stable: errors are some units of rounding, of the whole matrix, times a small power of n
        np.testing.assert_allclose(w, np.linalg.eigvalsh(C), atol=1e-15 * n * norm, rtol=0, err_msg=name)
        np.testing.assert_allclose((B * w) @ B.T, C, atol=4e-15 * max(n, 4) * norm, rtol=0, err_msg=name)
        np.testing.assert_allclose(B.T @ B, np.eye(n), atol=1e-14 * max(1, n / 10), rtol=0, err_msg=name)


@pytest.mark.parametrize("scale", [1e-290, 1e-120, 1e120, 1e290])
def test_any_scale(scale):
    C = turned(np.array([1.0, 2.0, 5.0, 7.0]), np.random.default_rng(1))
    w, B = decomposed(C * scale)
    np.testing.assert_allclose(w / scale, [1, 2, 5, 7], rtol=1e-13)
    np.testing.assert_allclose((B * (w / scale)) @ B.T, C, atol=1e-13)
