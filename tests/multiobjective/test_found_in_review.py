"""Faults that a review found, each with what went wrong."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import lmcma
from lmcma.errors import ArgumentError, ArgumentTypeError
from lmcma.multiobjective import bobyqa


def two(x):
    return np.array([(x**2).sum(axis=1), ((x - 1) ** 2).sum(axis=1)]).T


@pytest.mark.parametrize("variant", ["steady-state", "generational"])
def test_a_run_without_a_feasible_point_has_not_converged(variant):
    """The front was empty, and its largest standard deviation 0: the run ended by tolx."""
    es = lmcma.MOCMAES([50.0] * 10, 0.01, popsize=10, variant=variant, rng=1)
    for _ in range(300 if variant == "steady-state" else 30):
        x = es.ask()
        es.tell(x, two(x), g=(np.abs(x) - 1e-3).max(axis=1, keepdims=True))
    assert es.stop() is None
    assert not len(es.archive.X)


def test_exploration_of_a_domain_that_fails_mostly_does_not_end_the_run():
    """Ten evaluations per variable without a finite row, late in a run, were an error."""

    def mostly_fails(x):
        f = two(x)
        f[(np.abs(x) > 1.2).any(axis=1)] = np.nan
        return f

    es = lmcma.HMOCMAES([0.0, 0.0], 0.5, bounds=(-5, 5), t_explore=100, turn=500, maxfev=3000, rng=1)
    while not es.stop():
        x = es.ask()
        es.tell(x, mostly_fails(x))
    assert es.nfev == 3000


@pytest.mark.parametrize(("kind", "options"), [(lmcma.MOCMAES, {"popsize": 10}), (lmcma.UPMOCMAES, {})])
def test_all_starts_are_evaluated(kind, options):
    """Those beyond `popsize` were left out."""
    starts = np.random.default_rng(1).uniform(-1, 1, (50, 3))
    es = kind(starts, 0.3, rng=1, **options)
    seen = []
    while es.nfev < 50:
        x = es.ask()
        seen.append(x.copy())
        es.tell(x, two(x))
    np.testing.assert_array_equal(np.concatenate(seen)[:50], starts)


def test_an_error_of_the_solver_reaches_the_caller():
    """The thread died, and who waited for its next point waited for ever."""
    pytest.importorskip("nlopt")

    class Broken:
        def __getattr__(self, name):
            raise ZeroDivisionError(name)

    with pytest.raises(ZeroDivisionError):
        bobyqa._Worker(Broken()).next([])


def test_a_strategy_inside_of_bobyqa_can_be_copied():
    """The queues of the solver's thread could not be pickled."""
    pytest.importorskip("nlopt")
    n = 41
    es = lmcma.HMOCMAES(np.zeros(n), 0.5, warm_start="bobyqa", rng=1)
    for _ in range(4):
        x = es.ask()
        es.tell(x, two(x))
    for other in (copy.deepcopy(es), pickle.loads(pickle.dumps(es))):
        np.testing.assert_array_equal(other.ask(), es.ask())
    es.tell(es.ask(), two(es.ask()))


def test_arguments():
    with pytest.raises(ArgumentError, match="`explore_mu` must be at least one number"):
        lmcma.HMOCMAES([0.0, 0.0], 0.5, explore_mu=[])


def test_a_start_that_is_text(tmp_path):
    """With a checkpoint, NumPy's own error came through."""
    with pytest.raises(ArgumentTypeError, match="`x0`"):
        lmcma.minimize_multi(two, "abc", 0.5, maxfev=10, checkpoint=tmp_path / "run.npz")


def test_the_unit_of_the_penalty_comes_from_several_points():
    """One row alone has no range: 1 was taken, for objectives of any size."""
    es = lmcma.MOCMAES([0.5, 0.5], 0.3, popsize=4, bounds=(0, 1), rng=1)
    seen = []
    while es.nfev < 5:
        x = es.ask(k=1)
        seen.append(1e9 * two(x)[0])
        es.tell(x, seen[-1:])
    np.testing.assert_array_equal(es.state_dict()["extremes"], [np.min(seen, axis=0), np.max(seen, axis=0)])
    before = es.state_dict()["extremes"]
    x = es.ask()
    es.tell(x, [[-1e12, -1e12]])
    np.testing.assert_array_equal(es.state_dict()["extremes"], before)


def test_a_short_generation_has_any_parents():
    """Those of the first slots were taken, whatever the generation."""
    es = lmcma.MOCMAES([0.5] * 3, 0.3, popsize=20, variant="generational", rng=1)
    x = es.ask()
    es.tell(x, two(x))
    rng, parents = np.random.default_rng(1), set()
    for _ in range(30):
        population = type(es.population).from_state(es.population.state_dict())
        slots = population.offspring(3, rng, parents="each")
        parents |= set(population._census.parent[slots].tolist())
    assert len(parents) == 20


def test_constraints_once_told_are_told_always():
    """Left out later, they counted as kept."""
    es = lmcma.MOCMAES([0.5] * 3, 0.3, popsize=4, rng=1)
    x = es.ask()
    es.tell(x, two(x), x[:, :1] - 0.5)
    x = es.ask()
    with pytest.raises(ArgumentError, match="`g` must be told with every point"):
        es.tell(x, two(x))
    es.tell(x, two(x), x[:, :1] - 0.5)
    assert es.nfev == 5
