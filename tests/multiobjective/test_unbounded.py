"""UP-MO-CMA-ES: matrices as the paper has them, parents as often as they should be, the front as by brute force."""

import numpy as np
import pytest

from lmcma.kernels import unbounded as kernels
from lmcma.multiobjective import UPMOCMAES
from lmcma.multiobjective.up_mo_cma import UnboundedPopulation
from tests.multiobjective.problems import spheres
from tests.reference.pareto_twin import nondominated

N = 4


def grown(evaluations=150, seed=1, **options):
    rng = np.random.default_rng(seed)
    population = UnboundedPopulation(N, **{"least_sigma": 0.0, "mu": np.inf, **options})
    population.add(x := rng.random((5, N)), spheres(x), 0.3)
    for _ in range(evaluations):
        slots = population.offspring(1, rng)
        population.receive(slots, spheres(population.x[slots]))
    return population, rng


def neighbours(population, slot):
    """The next ones on both sides; at an extreme the two next ones."""
    front = population.front.tolist()
    at, last = front.index(slot), len(front) - 1
    near = {0: [1, 2], last: [last - 1, last - 2]}.get(at, [at - 1, at + 1])
    return [front[k] for k in near]


def test_matrices_and_step_sizes():
    """One offspring after the other against dense matrices; c_cov = 2/(n^2.1 + 3), half of it for the neighbours."""
    population, rng = grown()
    c_cov = 2 / (N**2.1 + 3)
    c_r = c_cov / 2
    seen = set()
    for _ in range(200):
        slots = population.offspring(1, rng)
        [slot] = slots
        parent = int(population._census.parent[slot])
        C, sigma, p = population.covariance(parent), population.sigma[parent], population.p[parent]
        sampled = (1 - c_r) * C
        for other in neighbours(population, parent):
            u = (population.x[other] - population.x[parent]) / sigma
            sampled += c_r / 2 * np.outer(u, u)
        y = population.y[slot].copy()
        np.testing.assert_allclose(population.covariance(slot), sampled, rtol=1e-9, atol=1e-9 * sampled.max())
        np.testing.assert_allclose(population.x[slot], population.x[parent] + sigma * y, rtol=1e-12)
        f = spheres(population.x[slots])
        population.receive(slots, f)
        success = bool((population.f[population.front] == f[0]).all(axis=1).any())
        seen.add(success)
        alive = population._census.place[parent] >= 0
        expected_p = 11 / 12 * p + success / 12
        growth = np.exp((expected_p - 2 / 11) / ((1 + N / 2) * 9 / 11))
        for who, before, known in ((slot, sampled, success), (parent, C, alive)):
            if known:
                assert population.p[who] == pytest.approx(expected_p, rel=1e-12)
                assert population.sigma[who] == pytest.approx(sigma * growth, rel=1e-12)
                after = (1 - c_cov) * before + c_cov * np.outer(y, y) if success else before
                np.testing.assert_allclose(population.covariance(who), after, rtol=1e-9, atol=1e-9 * after.max())
    assert seen == {True, False}


def test_the_population_is_the_front():
    es = UPMOCMAES([0.3] * N, 0.3, rng=2)
    told = []
    for _ in range(300):
        x = es.ask()
        told.append(spheres(x))
        es.tell(None, told[-1])
    expected = nondominated(np.concatenate(told))
    np.testing.assert_array_equal(es.population.f[es.population.front], expected)
    np.testing.assert_array_equal(es.result().F, expected)
    assert len(es.population) == len(es.population.front)


def test_parents():
    population, rng = grown()
    front = population.front
    k = 40_000
    parents = np.empty(k, dtype=np.int64)

    def draw():
        kernels.choose(
            *(population._census, population._front, population._who, population._total),
            *(0.2, population.least_sigma, rng.random((k, 3)), parents),
        )
        return np.array([np.count_nonzero(parents == slot) for slot in front]) / k

    f = population.f[front]
    weight = ((f[2:, 0] - f[1:-1, 0]) * (f[:-2, 1] - f[1:-1, 1])) ** 3
    expected = np.concatenate([[0.1], 0.8 * weight / weight.sum(), [0.1]])
    assert abs(draw() - expected).max() < 5 * np.sqrt(0.25 / k)  # five standard deviations at the most
    population.least_sigma = float(population.sigma[front[0]]) * 1.0001  # the first one is worn out
    population.sigma[front[-1]] = 1.0
    assert draw()[0] == 0
    assert draw()[-1] == pytest.approx(0.1, abs=0.01)


def test_limit_of_the_population():
    population, _ = grown(mu=12)
    assert len(population) == len(population.front) == 12
    tree = population._total.copy()
    population._weigh_all()
    np.testing.assert_allclose(population._total, tree, rtol=1e-12)


@pytest.mark.parametrize("n", [1, 2])
def test_few_variables(n):
    es = UPMOCMAES([0.3] * n, 0.3, rng=2, reference=(4, 4), maxfev=500)
    while not es.stop():
        es.tell(None, spheres(es.ask()))
    best = 16 - n**2 / 6  # the front is sqrt(f_1) + sqrt(f_2) = sqrt(n)
    assert best - 0.05 < es.result().hypervolume < best
