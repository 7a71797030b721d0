"""Under random ranking nothing is learned: the expected state after one update is the state before.

These catch a wrong decay, a missing scaling of negative weights, a swapped sign, a wrong normalisation of a path.
"""

import math

import numpy as np
import pytest
from scipy.special import gammaln

from lmcma import CMAES
from lmcma.kernels import covariance, stopping


def chi_exact(n):
    """Expected length of a standard normal vector."""
    return math.sqrt(2) * math.exp(gammaln((n + 1) / 2) - gammaln(n / 2))


def stationary(n, popsize, active, rng, p_c_zero=False):
    """A strategy in a late, random state, and a function that puts it back there with new random paths."""
    constants = "bbob" if active == "2010" else "tutorial"
    es = CMAES(
        *(np.zeros(n), 1.0), popsize=popsize, active=active, constants=constants, rng=rng.integers(2**32), stop="none"
    )
    A = rng.standard_normal((n, n))
    C = A @ A.T / n + 0.3 * np.eye(n)
    d2, B = np.linalg.eigh(C)
    root = B * np.sqrt(d2)
    es._field(covariance.C_)[:] = C.ravel()
    es._field(covariance.BT)[:] = B.T.ravel()
    es.D[:] = np.sqrt(d2)
    start, count = es._s.copy(), es._count.copy()
    count[stopping.T] = 10**6

    def again():
        es._s[:], es._count[:] = start, count
        es.p_c[:] = 0.0 if p_c_zero else root @ rng.standard_normal(n)
        es.p_sigma[:] = rng.standard_normal(n)

    return es, root, again


@pytest.mark.parametrize("popsize", [8, 40])
@pytest.mark.parametrize("active", ["weights", "2010", False])
def test_one_update(active, popsize):
    n, replicates = 5, 8000
    rng = np.random.default_rng([popsize, n, 7])
    es, root, again = stationary(n, popsize, active, rng)
    inverse = np.linalg.inv(root)
    matrices, means, logs = np.empty((replicates, n, n)), np.empty((replicates, n)), np.empty(replicates)
    for r in range(replicates):
        again()
        es.ask()
        es.tell(None, rng.random(popsize))
        matrices[r] = inverse @ es.C @ inverse.T  # in the metric of C: the identity in expectation
        means[r], logs[r] = es.mean, math.log(es.sigma)
    for sample, expected in (
        (matrices.reshape(replicates, -1), np.eye(n).ravel()),
        (means, np.zeros(n)),
        (logs[:, None], es.params.c_sigma / es.params.d_sigma * (chi_exact(n) / es.params.chi_n - 1)),
    ):
        error = sample.std(axis=0) / math.sqrt(replicates)
        assert (abs(sample.mean(axis=0) - expected) / error).max() < 4


def test_decay_without_a_path():
    """E trace(C0^-1 C+)/n = 1 - c_1 (1 - c_c)^2 where p_c was zero."""
    n, replicates = 5, 20_000
    rng = np.random.default_rng(11)
    es, root, again = stationary(n, 8, "weights", rng, p_c_zero=True)
    inverse = np.linalg.inv(root)
    traces = np.empty(replicates)
    for r in range(replicates):
        again()
        es.ask()
        es.tell(None, rng.random(8))
        traces[r] = np.trace(inverse @ es.C @ inverse.T) / n
    expected = 1 - es.params.c_1 * (1 - es.params.c_c) ** 2
    assert expected == pytest.approx(0.98570, abs=5e-6)
    assert abs(traces.mean() - expected) < 4 * traces.std() / math.sqrt(replicates)


@pytest.mark.parametrize(("n", "iterations", "predicted"), [(5, 60, -0.105), (10, 100, -0.132)])
def test_drift_of_sigma_from_the_start(n, iterations, predicted):
    """p_sigma starts at zero, so it is too short at first, and sigma falls a little."""
    rng = np.random.default_rng([n, 3])
    es = CMAES(np.zeros(n), 1.0, rng=4, stop="none")
    p = es.params
    t = np.arange(1, iterations + 1)
    formula = p.c_sigma / p.d_sigma * (chi_exact(n) / p.chi_n * np.sqrt(1 - (1 - p.c_sigma) ** (2 * t)) - 1).sum()
    assert formula == pytest.approx(predicted, abs=5e-4)
    start, count = es._s.copy(), es._count.copy()
    logs = np.empty(1500)
    for r in range(len(logs)):
        es._s[:], es._count[:] = start, count
        for _ in range(iterations):
            es.ask()
            es.tell(None, rng.random(es.popsize))
        logs[r] = math.log(es.sigma)
    error = logs.std() / math.sqrt(len(logs))
    assert abs(logs.mean() - formula) < 4 * error
    assert error < 0.4 * abs(predicted)  # the test can tell the drift from none
