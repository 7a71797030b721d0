"""Injected points in the compiled iterations, against the NumPy twins and against the sum they stand for."""

import numpy as np
import pytest

from lmcma import CMAES, LMCMA, MAES, SepCMAES
from lmcma.strategies.cma import parameters
from lmcma.testfunctions import ellipsoid
from tests.reference import cma_twin, limited_memory_twin, matrix_adaptation_twin, separable_twin


def points(rng, es, k):
    """Points of all kinds: between mean and optimum, near the mean, and far away (seldom and mostly useless)."""
    kinds = [
        lambda: rng.random() * es.mean,
        lambda: es.mean + es.sigma * rng.standard_normal(es.dim),
        lambda: es.mean + es.sigma * 10 ** rng.uniform(0, 6) * rng.standard_normal(es.dim),
    ]
    return np.array([kinds[rng.integers(3)]() for _ in range(k)])


def follow(es, twin, iterations, frame=lambda: None):
    """Both go the same way, with up to three injected points a generation."""
    rng = np.random.default_rng([es.dim, es.popsize])
    for _ in range(iterations):
        k = min(int(rng.integers(4)), es.popsize - 1)
        es.inject(points(rng, es, k))
        x = es.ask()
        x_twin = twin.ask(es._z.copy())
        for row in range(k):
            twin.put(row, x[row])
        # so many iterations amplify the last bits of the summation order
        np.testing.assert_allclose(x[k:], x_twin[k:], rtol=1e-9, atol=1e-10 * abs(x).max())
        f = ellipsoid(x)
        es.tell(None, f)
        twin.tell(f)
        frame()
    np.testing.assert_allclose(es.sigma, twin.sigma, rtol=1e-9)


def assert_close(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-10 * abs(theirs).max())


@pytest.mark.parametrize("active", ["weights", "2010", False])
@pytest.mark.parametrize(("n", "popsize"), [(1, 4), (2, 2), (5, 3), (10, 10), (10, 40), (17, 13), (40, 15)])
def test_cma(n, popsize, active):
    x0 = np.random.default_rng(n).uniform(-4, 4, n)
    es = CMAES(x0, 2.0, popsize=popsize, active=active, lazy="reference", stop="none", rng=3)
    twin = cma_twin.Twin(x0, 2.0, parameters(n, popsize, active=active), active=active)

    def frame():  # one eigenvector's sign is free
        np.testing.assert_allclose((es.B * es.D**2) @ es.B.T, twin.C, atol=1e-9 * abs(twin.C).max())
        twin.B, twin.D = es.B.copy(), es.D.copy()

    follow(es, twin, 40, frame)
    for name in ("mean", "C", "p_c", "p_sigma"):
        assert_close(getattr(es, name), getattr(twin, name))


@pytest.mark.parametrize("variant", ["active", "passive", "2008"])
@pytest.mark.parametrize(("n", "popsize"), [(1, 4), (2, 2), (10, 10), (40, 15)])
def test_separable(n, popsize, variant):
    x0 = np.random.default_rng(n).uniform(-4, 4, n)
    es = SepCMAES(x0, 2.0, popsize=popsize, variant=variant, stop="none", rng=3)
    twin = separable_twin.Twin(x0, 2.0, es.params, variant)
    follow(es, twin, 40)
    for name in ("mean", "c", "p_c", "p_sigma"):
        assert_close(getattr(es, name), getattr(twin, name))


@pytest.mark.parametrize(("n", "popsize"), [(1, 4), (2, 2), (10, 10), (40, 15)])
def test_matrix_adaptation(n, popsize):
    x0 = np.random.default_rng(n).uniform(-4, 4, n)
    es = MAES(x0, 2.0, popsize=popsize, stop="none", rng=3)
    twin = matrix_adaptation_twin.Twin(x0, 2.0, es.params)
    follow(es, twin, 40)
    for ours, theirs in ((es.mean, twin.mean), (es.path, twin.s), (es.M, twin.M)):
        assert_close(ours, theirs)


@pytest.mark.parametrize("mirrored", [True, False])
@pytest.mark.parametrize(("n", "popsize"), [(12, 6), (12, 7), (40, 15)])
def test_limited_memory(n, popsize, mirrored):
    """The mean moves by the weighted steps; the mirror image of a drawn row that an injected one replaced stays."""
    es = LMCMA(np.ones(n), 1.0, popsize=popsize, mirrored=mirrored, stop="none", rng=3)
    rng = np.random.default_rng(popsize)
    for _ in range(60):
        k = int(rng.integers(4))
        drawn = LMCMA.from_state(es.state_dict()).ask()
        es.inject(points(rng, es, k))
        x = es.ask()
        assert (x[k:] == drawn[k:]).all()
        steps = (x - es.mean) / es.sigma
        for row in range(k):
            z = limited_memory_twin.inverse_times(steps[row], es._V, es._d, es.params.c_1, es._stored)
            steps[row] *= min(1, (np.sqrt(n) + 2 * n / (n + 2)) / np.linalg.norm(z))
        f = ellipsoid(x)
        expected = es.mean + es.sigma * es.params.weights @ steps[np.argsort(f)]
        es.tell(None, f)
        np.testing.assert_allclose(es.mean, expected, rtol=1e-10, atol=1e-12)
