"""(1+1)-CMA-ES: what the tests of populations, which need two rows at least, cannot say of it."""

import pickle

import numpy as np
import pytest

import lmcma
from lmcma import ElitistCMA
from lmcma.errors import ArgumentError
from lmcma.testfunctions import ellipsoid, random_rotation, sphere
from tests.strategies import assert_same_state

N = 6
AGAIN = [lambda es: pickle.loads(pickle.dumps(es)), lambda es: lmcma.from_state(es.state_dict())]


def make(**options):
    return ElitistCMA(np.linspace(-1, 2, N), 1.0, **{"rng": 1, "stop": "none", **options})


def run(es, evaluations, fun=ellipsoid):
    for _ in range(evaluations):
        es.tell(None, fun(es.ask()))
    return es


def test_the_start_is_evaluated_first_and_the_parent_never_gets_worse():
    es = make()
    np.testing.assert_array_equal(es.ask()[0], es.x0)
    best = np.inf
    for _ in range(300):
        x = es.ask()
        np.testing.assert_array_equal(es.ask(), x)
        f = ellipsoid(x)
        es.tell(x, f)
        best = min(best, f[0])
        assert es.best_f == best == ellipsoid(es.mean[None])[0]
    assert es.nfev == es.nit == 300


@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize(
    "again", [lambda es: pickle.loads(pickle.dumps(es)), lambda es: lmcma.from_state(es.state_dict())]
)
def test_going_on_after_saving(asked, again):
    a = make()
    for k in range(0, 200, 37):
        run(a, k)
        if asked:
            a.ask()
        b = again(a)
        assert_same_state(run(a, 40), run(b, 40))


@pytest.mark.parametrize("transform", [lambda f: f**3, lambda f: np.log(f), lambda f: -1 / f])
def test_only_ranks_matter(transform):
    a, b = make(), make()
    for _ in range(400):
        x = a.ask()
        np.testing.assert_array_equal(x, b.ask())
        f = ellipsoid(x) + 1
        a.tell(None, f)
        b.tell(None, transform(f))


def test_shift_and_scale():
    a, b = make(), ElitistCMA(4 * np.linspace(-1, 2, N), 4.0, rng=1, stop="none")
    for _ in range(300):
        x = a.ask()
        np.testing.assert_array_equal(4 * x, b.ask())
        a.tell(None, sphere(x))
        b.tell(None, sphere(x))


def test_does_not_depend_on_the_coordinates():
    """A rotated problem takes as long."""
    R = random_rotation(N, 1)
    counts = []
    for turn in (np.eye(N), R):
        ends = [run_to(turn, seed) for seed in range(9)]
        counts.append(np.median(ends))
    assert abs(counts[0] / counts[1] - 1) < 0.2  # two medians of nine


def run_to(turn, seed):
    es = make(rng=seed, ftarget=1e-8, maxfev=20_000)
    while not es.stop():
        es.tell(None, ellipsoid(es.ask() @ turn.T))
    return es.nfev


def test_failures_rank_last():
    es = run(make(), 50)
    before = es.mean.copy()
    for value in (np.nan, np.inf):
        es.ask()
        es.tell(None, [value])
    np.testing.assert_array_equal(es.mean, before)
    assert es.result().nfail == 1
    lost = make(stop=None)
    while not lost.stop():
        lost.ask()
        lost.tell(None, [np.nan])
    assert lost.stop().reason == "all_nan"
    assert lost.nfev == 5 * (4 + int(3 * np.log(N)))  # iterations of a population
    es = make()
    es.ask()
    es.tell(None, [np.nan])  # even the start may fail
    assert run(es, 300).best_f < 1000


def test_points_of_the_callers_own():
    for how in ("edited", "foreign", "injected"):
        es = run(make(), 30)
        point = np.full(N, 1e-3)
        if how == "injected":
            es.inject(point)
            np.testing.assert_array_equal(es.ask()[0], point)
            es.tell(None, sphere(es.ask()))
        else:
            es.ask()
            es.tell(point[None], sphere(point[None]), ids=[-1] if how == "foreign" else None)
        np.testing.assert_array_equal(es.mean, point)
        assert np.linalg.cond(es.C) < 1e4
        worse = es.mean + 1
        es.ask()
        es.tell(worse[None], sphere(worse[None]))
        np.testing.assert_array_equal(es.mean, point)


def test_ends_by_itself():
    es = make(stop=None)
    while not es.stop():
        es.tell(None, ellipsoid(es.ask()))
    assert es.stop().reason in ("tolhistfun", "tolx")
    assert es.best_f < 1e-10
    with pytest.raises(ArgumentError, match="must be 1"):
        make(popsize=10)


def test_restarts():
    res = lmcma.minimize(
        lambda x: float(sphere(x[None])[0]), [1.0] * 3, 0.5, restarts="independent", method="elitist-cma",
        x0_box=(-1, 1), maxfev=3000, rng=1,
    )  # fmt: skip
    assert len(res.runs) > 1
    assert res.fun < 1e-10
