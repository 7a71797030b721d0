"""Does selection find the best distribution of ten points? Published optima, fixed seeds."""

import numpy as np
import pytest

from lmcma.multiobjective import MOCMAES, hypervolume, nondominated
from tests.multiobjective.problems import BEST, PROBLEMS, REFERENCE, dtlz2


def final(name, evaluations, **options):
    """The hypervolume that the final population of ten misses."""
    es = MOCMAES([0.5] * 5, 1.0, popsize=10, bounds=(0, 1), x0_box=(0, 1), maxfev=evaluations, **options)
    fun = PROBLEMS[name]
    while not es.stop():
        es.tell(None, fun(es.ask()))
    population = es.population
    f = fun(np.clip(population.x[population.front], 0, 1))
    return BEST[name] - hypervolume(f, REFERENCE)


# Tolerance of the best and of all of three seeds. An independent program got within 6e-4 in 7 of 7 seeds (steady
# state), 4e-3 in 5 of 5 (generational), 1e-2 where the extremes, which stay without a reference, may waste a place. The
# tests of the Shark library allow 5e-3.
VARIANTS = [
    pytest.param({"reference": REFERENCE}, (6e-4, 6e-4), id="steady-state"),
    pytest.param({"reference": REFERENCE, "variant": "generational"}, (4e-3, 5e-3), id="generational"),
    pytest.param({}, (1e-2, 1e-2), id="no-reference"),
]
EXACT = {"zdt1", "zdt2", "dtlz2"}  # the other two are the best that was found, and ours are better by some 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("name", BEST)
@pytest.mark.parametrize(("options", "tolerance"), VARIANTS)
def test_ten_points(name, options, tolerance):
    missing = [final(name, 10_000, rng=seed, **options) for seed in (1, 2, 3)]
    assert min(missing) < tolerance[0]
    assert max(missing) < tolerance[1]
    assert name not in EXACT or min(missing) > -1e-6


@pytest.mark.parametrize(("options", "tolerance"), VARIANTS)
def test_ten_points_small(options, tolerance):
    assert final("zdt2", 5000, rng=1, **options) < tolerance[1]


def sphere_of_three(evaluations):
    es = MOCMAES(
        [0.5] * 7,
        0.3,
        n_obj=3,
        popsize=20,
        bounds=(0, 1),
        x0_box=(0, 1),
        reference=(3, 3, 3),
        maxfev=evaluations,
        rng=1,
    )
    while not es.stop():
        es.tell(None, dtlz2(es.ask(), 3))
    f = dtlz2(np.clip(es.population.x[es.population.members], 0, 1), 3)
    assert nondominated(f).all()
    return abs(np.linalg.norm(f, axis=1) - 1).max(), hypervolume(f, (3, 3, 3))


@pytest.mark.slow
def test_three_objectives():
    distance, value = sphere_of_three(20_000)
    assert distance < 1e-4
    assert value >= 26.34


def test_three_objectives_small():
    distance, value = sphere_of_three(4000)
    assert distance < 1e-2
    assert value >= 26.2
