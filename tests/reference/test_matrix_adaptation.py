"""The compiled iteration of MA-ES against its NumPy twin, and against CMA-ES."""

import numpy as np
import pytest

from lmcma import MAES
from lmcma.kernels import matrix_adaptation as kernels
from lmcma.strategies.ma import parameters
from lmcma.testfunctions import ellipsoid, random_rotation
from tests.reference.matrix_adaptation_twin import Twin


@pytest.mark.parametrize(("n", "popsize"), [(1, 4), (1, 2), (2, 2), (5, 3), (10, 10), (10, 80), (40, 15), (120, 18)])
def test_fifty_iterations_as_the_twin(n, popsize):
    rng = np.random.default_rng([n, popsize])
    x0 = rng.uniform(-4, 4, n)
    es = MAES(x0, 2.0, popsize=popsize, stop="none", rng=3)
    twin = Twin(x0, 2.0, parameters(n, popsize))
    for _ in range(50):
        x = es.ask()
        # fifty iterations amplify the last bits of the summation order
        np.testing.assert_allclose(x, twin.ask(es._z.copy()), rtol=1e-9, atol=1e-10 * abs(x).max())
        values = ellipsoid(x)
        es.tell(None, values)
        twin.tell(values)
    np.testing.assert_allclose(es.sigma, twin.sigma, rtol=1e-10)
    for ours, theirs in ((es.mean, twin.mean), (es.path, twin.s), (es.M, twin.M)):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-10 * abs(theirs).max())
    np.testing.assert_allclose(es._vectors[kernels.DIAGONAL], (es.M**2).sum(axis=1), rtol=1e-12)


def test_constants():
    p = parameters(20, 12)
    np.testing.assert_allclose(p.mueff, 3.72946, rtol=2e-6)
    np.testing.assert_allclose([p.c_1, p.c_sigma], [0.00437235, 0.199428], rtol=6e-6)
    assert p.c_mu == pytest.approx(2 * (p.mueff - 2 + 1 / p.mueff) / (22**2 + p.mueff), rel=1e-14)
    large = parameters(3, 2000)
    assert large.c_1 + large.c_mu == pytest.approx(1, abs=1e-15)
    assert parameters(1, 2).c_mu == 0


def test_agrees_with_the_covariance_update_to_first_order():
    """M M^T after an update is that of CMA-ES, up to the squares of the learning rates."""
    n = 8
    errors = []
    for rate in (1.0, 0.1):
        es = MAES(np.ones(n), 1.0, rng=2, stop="none")
        es._Mt += 0.3 * np.random.default_rng(2).standard_normal((n, n))
        es._scalars[kernels.C_1] *= rate
        es._scalars[kernels.C_MU] *= rate
        c_1, c_mu = es._scalars[kernels.C_1], es._scalars[kernels.C_MU]
        es.path[:] = np.random.default_rng(3).standard_normal(n)
        M = es.M.copy()
        f = ellipsoid(es.ask())
        d = es._d[np.argsort(f)]
        es.tell(None, f)
        moved = M @ es.path
        rank_mu = (d.T * es.params.weights) @ d
        C = (1 - c_1 - c_mu) * M @ M.T + c_1 * np.outer(moved, moved) + c_mu * rank_mu
        errors.append(abs(es.M @ es.M.T - C).max() / abs(C).max())
        assert abs(C - M @ M.T).max() > 0.003 * rate * abs(C).max()  # something was learned
    assert errors[1] == pytest.approx(0.01 * errors[0], rel=0.3)
    assert errors[0] < 0.01


def test_rotation():
    """The same normal numbers, turned: the same candidates, turned, over 400 generations."""
    n = 40
    R = random_rotation(n, 1)
    a = MAES(np.linspace(-1, 2, n), 1.0, rng=1, stop="none")
    b = MAES(R @ a.x0, 1.0, rng=1, stop="none")
    for _ in range(400):
        x = a.ask()
        b.ask()
        b._z[:] = a._z @ R.T
        y = b.ask()
        np.testing.assert_allclose(y, x @ R.T, atol=1e-12 * abs(x).max() + 1e-13)
        f = ellipsoid(x)
        a.tell(None, f)
        b.tell(None, f)
    assert a.sigma < 1
