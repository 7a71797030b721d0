"""The compiled iteration of separable CMA-ES against its NumPy twin, with the same random numbers."""

import numpy as np
import pytest

from lmcma import SepCMAES
from lmcma.strategies.sep_cma import parameters
from lmcma.testfunctions import ellipsoid
from tests.reference.separable_twin import Twin


@pytest.mark.parametrize("variant", ["active", "passive", "2008"])
@pytest.mark.parametrize(("n", "popsize"), [(1, 4), (2, 2), (5, 3), (10, 10), (10, 80), (40, 15), (5000, 7)])
def test_fifty_iterations_as_the_twin(n, popsize, variant):
    rng = np.random.default_rng([n, popsize])
    x0 = rng.uniform(-4, 4, n)
    es = SepCMAES(x0, 2.0, popsize=popsize, variant=variant, stop="none", rng=3)
    twin = Twin(x0, 2.0, parameters(n, popsize, variant), variant)
    stalled = 0
    for k in range(50):
        x = es.ask()
        np.testing.assert_allclose(x, twin.ask(es._z.copy()), rtol=1e-9, atol=1e-10 * abs(x).max())
        # a slope at first, so that p_sigma gets too long and p_c waits
        values = x.sum(axis=1) if k < 20 else ellipsoid(x)
        before = es.p_c.copy()
        es.tell(None, values)
        twin.tell(values)
        stalled += bool((es.p_c == (1 - es.params.c_c) * before).all())
    np.testing.assert_allclose(es.sigma, twin.sigma, rtol=1e-10)
    for name in ("mean", "c", "p_c", "p_sigma"):
        ours, theirs = getattr(es, name), getattr(twin, name)
        # fifty iterations amplify the last bits of the summation order
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-10 * abs(theirs).max(), err_msg=name)
    if n == 10:
        assert stalled


def test_constants():
    p = parameters(100, 17)
    # the table of CMA-ES times (n + 2)/3
    np.testing.assert_allclose([p.c_1, p.c_mu], [0.000194803 * 34, 0.000680638 * 34], rtol=6e-6)
    # c_cov of 2008: for n = 100 the second minimum is not 1
    p = parameters(100, 17, "2008")
    mueff = p.mueff
    c_cov = 34 * (2 / (mueff * (100 + 2**0.5) ** 2) + (1 - 1 / mueff) * (2 * mueff - 1) / (102**2 + mueff))
    np.testing.assert_allclose([p.c_1 + p.c_mu, p.c_1, p.c_c], [c_cov, c_cov / mueff, 4 / 104], rtol=1e-14)
    assert p.c_sigma == pytest.approx((mueff + 2) / (100 + mueff + 3))
    assert (p.weights[8:] == 0).all()


@pytest.mark.parametrize(("n", "popsize"), [(1, 2), (2, 2), (3, 500), (10, 1000), (100, 5), (1000, 3000)])
@pytest.mark.parametrize("variant", ["active", "passive", "2008"])
def test_variances_stay_positive(n, popsize, variant):
    """No update takes more from a variance than there is, whatever is ranked how."""
    p = parameters(n, popsize, variant)
    assert 0 < p.c_1 <= 1
    assert 0 <= p.c_mu <= 1 - p.c_1 + 1e-15
    least = 1 - p.c_1 - p.c_mu * p.weights.sum() - p.c_mu * n * p.alpha
    assert least >= -1e-15


@pytest.mark.parametrize("variant", ["active", "passive", "2008"])
def test_one_update_under_random_ranking(variant):
    """Nothing is learned from noise: the expected variances, mean and log sigma after an update are those before.

    A path drawn from its stationary law; h is 1 but for outliers, without which the variant of 2008 has no bias.
    """
    n, replicates = 5, 8000
    rng = np.random.default_rng(2)
    es = SepCMAES(np.zeros(n), 1.0, popsize=8, variant=variant, rng=1, stop="none")
    es.c[:] = c = rng.uniform(0.3, 2, n)
    es._vectors[4] = np.sqrt(c)
    vectors, scalars, count = es._vectors.copy(), es._scalars.copy(), es._stop.count.copy()
    count[0] = 10**6
    ratios, means = np.empty((replicates, n)), np.empty((replicates, n))
    for r in range(replicates):
        es._vectors[:], es._scalars[:], es._stop.count[:] = vectors, scalars, count
        es.p_c[:] = np.sqrt(c) * rng.standard_normal(n)
        es.p_sigma[:] = rng.standard_normal(n)
        es.ask()
        es.tell(None, rng.random(8))
        ratios[r], means[r] = es.c / c, es.mean
    for sample, expected in ((ratios, 1.0), (means, 0.0)):
        error = sample.std(axis=0) / np.sqrt(replicates)
        bias = abs(sample.mean(axis=0) - expected)
        assert (bias < 4 * error).all() if variant != "2008" else (bias < 4 * error + 0.01).all()
