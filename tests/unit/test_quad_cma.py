"""quad-cma: the protocol with batches of a row or two, hostile values, and how few evaluations it takes."""

import copy
import pickle

import numpy as np
import pytest

import lmcma
from lmcma import QuadCMAES
from lmcma.errors import ArgumentError, MemoryLimitError, ProtocolError, UnknownMethodError
from lmcma.testfunctions import ellipsoid, random_rotation, rosenbrock, rotated, sphere
from tests.strategies import assert_same_state

N = 5
POPSIZE = 8
AGAIN = [lambda es: pickle.loads(pickle.dumps(es)), copy.deepcopy, lambda es: lmcma.from_state(es.state_dict())]


def make(**options):
    return QuadCMAES(np.linspace(-1, 2, N), 1.0, **{"rng": 1, "stop": "none", **options})


def run(es, batches, fun=ellipsoid):
    for _ in range(batches):
        x = es.ask()
        es.tell(x, fun(x))
    return es


def test_whole_populations_at_first_then_a_row_or_two():
    es = make()
    sizes, iterations = [], []
    for _ in range(200):
        x = es.ask()
        assert x.shape == (es.popsize, N)
        np.testing.assert_array_equal(es.ask(), x)
        assert es.missing.tolist() == list(range(len(x)))
        sizes.append(len(x))
        es.tell(x, ellipsoid(x))
        iterations.append(es.nit)
        assert es.nfev == sum(sizes)
    assert sizes[:2] == [POPSIZE, 3]  # until there are 2 n + 1 points
    assert np.mean(sizes[5:]) < 1.5
    assert iterations == sorted(iterations)
    assert 150 < es.nit <= 200
    assert es.model_fits > 200
    assert es.result().model_seconds > 0
    assert 0 <= es.snapshot()["model_error"] <= 0.075


def test_more_are_evaluated_where_the_function_is_wrong():
    """Random values: the order of the newest points is never found, and whole populations are evaluated."""
    rng = np.random.default_rng(1)
    es = make()
    while es.nfev < 1000:
        x = es.ask()
        es.tell(x, rng.random(len(x)))
    assert es.nfev / es.nit > 0.7 * POPSIZE  # there are 21 coefficients for 15 points to be in order


@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize("again", AGAIN)
def test_going_on_after_saving(asked, again):
    a = make(std_limits=(1e-3, 10.0), points=30)
    for k in (1, 1, 2, 3, 17, 30):
        run(a, k, rosenbrock)
        a.inject(np.full((2, N), 0.1))
        if asked:
            x = a.ask()
        b = again(a)
        if asked:
            np.testing.assert_array_equal(b.ask(), x)
        assert_same_state(a, b)
        assert_same_state(run(a, 9, rosenbrock), run(b, 9, rosenbrock))


def test_ways_of_telling_are_the_same():
    whole, bare, parts, blocks = (make() for _ in range(4))
    for _ in range(60):
        x = whole.ask()
        f = rosenbrock(x)
        whole.tell(x, f)
        bare.ask()
        bare.tell(None, f.tolist())
        parts.ask()
        for k in np.random.default_rng(len(x)).permutation(len(x)):
            parts.tell(x[[k]], f[[k]], ids=[k])
        for ids, block in blocks.ask_blocks(2):
            np.testing.assert_array_equal(block, x[ids])
            blocks.tell(None, f[ids], ids=ids)
    for es in (bare, parts, blocks):
        assert_same_state(whole, es)


def test_points_of_ones_own():
    edited, injected, late = make(), make(), make()
    for es in (edited, injected, late):
        run(es, 20)
    point = edited.mean + 0.1 * edited.sigma
    x = edited.ask()
    x[0] = point
    edited.tell(x, ellipsoid(x))
    injected.inject(point)
    np.testing.assert_array_equal(injected.ask(), x)
    injected.tell(None, ellipsoid(x))
    assert_same_state(edited, injected)
    late.tell([point], [-1.0], ids=[-1])
    assert (late.best_f, late.nfev) == (-1.0, edited.nfev)
    run(late, 1)
    assert (point == late._X).all(axis=1).any()
    for es in (edited, injected, late):
        run(es, 30)
    with pytest.raises(ProtocolError, match="Call `ask"):
        edited.tell(None, [1.0])


def test_a_better_point_from_elsewhere_draws_the_search_there():
    es = make()
    run(es, 30, lambda x: sphere(x - 3))
    start = np.linalg.norm(es.mean - 3)
    es.tell([[3.0] * N], [0.0], ids=[-1])
    run(es, 3, lambda x: sphere(x - 3))
    assert np.linalg.norm(es.mean - 3) < 1.05 * start
    assert es.best_f == 0


@pytest.mark.parametrize("left", [1, 2, 11])
def test_the_budget_is_kept_to_the_evaluation(left):
    es = make(maxfev=POPSIZE + left)
    while not es.stop():
        run(es, 1)
    assert es.nfev == POPSIZE + left
    assert es.stop().reason == "maxfev"
    es.limit(maxfev=100)
    run(es, 20)
    assert np.isfinite(es.mean).all()


def hostile(kind, rng):
    def f(x):
        values = ellipsoid(x)
        k = len(values)
        return {
            "nan": np.full(k, np.nan),
            "inf": np.full(k, np.inf),
            "constant": np.ones(k),
            "two values": np.round(rng.random(k)),
            "some nan": np.where(rng.random(k) < 0.4, np.nan, values),
            "some inf": np.where(rng.random(k) < 0.4, np.inf, values),
            "minus inf": np.where(rng.random(k) < 0.1, -np.inf, values),
            "huge": 1e300 * values,
            "tiny": 1e-300 * values,
            "offset": 1e15 + values,
        }[kind]

    return f


@pytest.mark.parametrize(
    "kind", ["nan", "inf", "constant", "two values", "some nan", "some inf", "minus inf", "huge", "tiny", "offset"]
)
def test_hostile_values(kind):
    """The run goes on, finite, and ends where it should."""
    f = hostile(kind, np.random.default_rng(2))
    es = make()
    with np.errstate(all="raise", under="ignore", over="ignore", invalid="ignore"):
        run(es, 120, f)
    assert np.isfinite(es.mean).all()
    assert 0 < es.sigma < 1e6
    stopped = make(stop=None, maxfev=2000)
    while not stopped.stop():
        run(stopped, 1, f)
    reasons = {"nan": "all_nan", "inf": "all_nan", "constant": "equalfunvals"}
    if kind in reasons:
        assert stopped.stop().reason in (reasons[kind], "tolhistfun")
        assert stopped.nfev < 2000
    elif kind.startswith("some") or kind == "huge":
        values = ellipsoid(stopped.result().x[None])
        assert values[0] < 1e-6 * ellipsoid(np.linspace(-1, 2, N)[None])[0]


def test_arguments():
    with pytest.raises(ArgumentError, match="`points` must be >= 8"):
        make(points=7)
    with pytest.raises(MemoryLimitError, match="quad-cma"):
        lmcma.make("quad-cma", np.zeros(300), 1.0)
    with pytest.raises(UnknownMethodError, match="quad-cma"):
        lmcma.make("bipop-quad-cma", np.zeros(3), 1.0)
    assert make().points == 21
    assert make(popsize=20).points == 40


@pytest.mark.parametrize("n", [1, 2])
def test_one_variable_and_two(n):
    es = QuadCMAES(np.ones(n), 1.0, rng=1, ftarget=1e-12)
    while not es.stop():
        run(es, 1, sphere)
    assert es.stop().reason == "ftarget"
    assert es.nfev < 40


def test_bounds_scales_and_restarts():
    res = lmcma.minimize(
        sphere,
        [0.5] * 4,
        0.3,
        method="ipop-quad-cma",
        bounds=(0.25, 2),
        stds=[1, 2, 0.5, 1],
        maxfev=600,
        vectorized=True,
        rng=1,
        x0_box=(0.25, 2),
    )
    assert res.nfev == 600
    assert len(res.runs) > 1
    assert res.runs[1].popsize == 16
    np.testing.assert_allclose(res.x, 0.25, atol=1e-6)
    assert res.model_fits > 100


def test_rules_of_restarts_are_those_of_the_method():
    es = lmcma.make("ipop-quad-cma", np.ones(3), 1.0)
    assert es.rules == make(stop=None).rules
    assert es.rules.stagnation is None


def test_it_is_the_same_run_in_another_unit():
    """Space and values scaled by powers of two: all is scaled, to the bit."""
    a, b = make(), QuadCMAES(np.linspace(-1, 2, N) * 4, 4.0, rng=1, stop="none")
    for _ in range(80):
        x, y = a.ask(), b.ask()
        np.testing.assert_array_equal(4 * x, y)
        f = ellipsoid(x)
        a.tell(x, f)
        b.tell(y, 2.0**40 * f)


@pytest.mark.parametrize(
    ("f", "most"), [(rotated(ellipsoid, random_rotation(10, 10)), 700), (sphere, 200)], ids=["ellipsoid", "sphere"]
)
def test_evaluations(f, most):
    """Medians of five seeds, ten variables, to 1e-10: measured 532 (459 - 666) over fifteen seeds, CMA-ES 4800."""
    spent = []
    for seed in range(1, 6):
        es = QuadCMAES(np.random.default_rng(seed).uniform(-4, 4, 10), 2.0, rng=seed, ftarget=1e-10)
        while not es.stop():
            run(es, 1, f)
        assert es.best_f <= 1e-10
        spent.append(es.nfev)
    assert np.median(spent) < most
