"""How self-CMA-ES judges learning rates: kernel against twin, and against the strategy's own covariance matrix."""

import numpy as np
import pytest

from lmcma import CMAES, SelfCMAES
from lmcma.strategies.self_cma import LARGEST, feasible
from lmcma.testfunctions import ellipsoid, random_rotation, rosenbrock, rotated
from tests.reference import self_adaptation_twin as twin


def after(iterations, n=10, **options):
    """A strategy with a population that is about to be told, and its values."""
    f = rotated(ellipsoid, random_rotation(n, 2))
    es = SelfCMAES(np.linspace(-1, 2, n), 1.0, rng=1, stop="none", **options)
    for _ in range(iterations):
        es.tell(None, f(es.ask()))
    return es, f(es.ask())


@pytest.mark.parametrize(("n", "popsize"), [(1, 4), (2, 2), (2, 20), (10, 100), (25, 60)])
def test_scores_as_the_twin(n, popsize):
    es, f = after(12, n, popsize=popsize)
    rng = np.random.default_rng(n)
    u = np.array([feasible(row) for row in rng.random((30, 3))])
    C = np.tril(es._last_C) + np.tril(es._last_C, -1).T
    M = np.tril(es._last_M) + np.tril(es._last_M, -1).T
    for h in (0.0, 1.0):  # whether the path took the step
        es._h = h
        matrices = [twin.replayed(LARGEST * row, C, M, es._last_p_c, es._last_y_w, h, es.params.mueff) for row in u]
        expected = [twin.mean_rank(A, es._y, f, es.params.weights) for A in matrices]
        np.testing.assert_allclose(es._scores(u, f), expected, rtol=1e-12)


def test_the_rates_in_use_score_as_the_real_matrix():
    es, f = after(25)
    for _ in range(10):
        # the rates of the last update, replayed, give the matrix that the strategy has now
        used = np.array([[es.rates["c_1"], es.rates["c_mu"], es.rates["c_c"]]]) / LARGEST
        real = twin.mean_rank(es.C, es._y, f, es.params.weights)
        np.testing.assert_allclose(es._scores(used, f), [real], rtol=1e-12)
        es.tell(None, f)
        f = ellipsoid(es.ask())


def test_infeasible_rates_score_worse_than_any_other_by_their_violation():
    es, f = after(5)
    u = np.array([[0.1, 0.1, 0.5], [0.6, 0.6, 0.5], [0.1, -0.3, 0.5], [0.1, 0.1, 1.5]])
    scores = es._scores(u, f)
    assert scores[0] <= es.popsize
    np.testing.assert_allclose(scores[1:], 10 * es.popsize * np.array([1.2, 1.3, 1.5]))


def test_a_matrix_that_is_not_positive_definite_scores_worse_than_any_that_is():
    es, f = after(5)
    es._last_C[:] = -np.eye(10)
    assert es._scores(np.array([[0.1, 0.1, 0.5]]), f) == [10 * es.popsize]


def test_rates_are_always_feasible():
    for objective in (rosenbrock, lambda x: np.zeros(len(x)), lambda x: -np.abs(x).sum(axis=1)):
        es = SelfCMAES(np.zeros(4), 0.5, rng=3, stop="none")
        for _ in range(150):
            es.tell(None, objective(es.ask()))
            r = es.rates
            assert min(r.values()) >= 0
            assert max(r.values()) <= LARGEST
            assert r["c_1"] + r["c_mu"] <= LARGEST + 1e-15


def test_the_first_two_updates_are_those_of_cma():
    a = SelfCMAES(np.ones(5), 1.0, rng=1, stop="none")
    b = CMAES(np.ones(5), 1.0, rng=1, stop="none", active=False, popsize=a.popsize, lazy="reference")
    for iteration in range(4):
        x = a.ask()
        assert (x == b.ask()).all() == (iteration < 3)
        for es in (a, b):
            es.tell(None, ellipsoid(x))
