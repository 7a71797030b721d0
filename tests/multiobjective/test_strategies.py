"""What every strategy for several objectives promises: ask, tell, stop, save, bounds, constraints."""

import copy
import pickle

import numpy as np
import pytest

import lmcma
from lmcma.errors import ArgumentError, ArgumentTypeError, ObjectiveError, ProtocolError, ShapeError, StateError
from lmcma.multiobjective import HMOCMAES, MOCMAES, UPMOCMAES, hypervolume, many, nondominated
from lmcma.strategies.protocol import Strategy
from tests.multiobjective.problems import spheres, zdt1
from tests.strategies import assert_same_state

N = 3


def _maker(kind, **options):
    def make(rng=1, x0=None, sigma0=0.3, **more):
        start = np.full(N, 0.3) if x0 is None else x0
        return kind(start, sigma0, rng=rng, **{"popsize": 7, **options, **more})

    return make


_TURNS = {"t_explore": 20, "t_single": 30, "turn": 25}  # all components within some hundred evaluations
STRATEGIES = [
    pytest.param(_maker(MOCMAES), id="steady-state"),
    pytest.param(_maker(MOCMAES, batch=4, success="individual", parents="all"), id="steady-state-batch"),
    pytest.param(_maker(MOCMAES, variant="generational"), id="generational"),
    pytest.param(_maker(MOCMAES, variant="generational", success="individual"), id="generational-individual"),
    pytest.param(_maker(MOCMAES, bounds=(-0.5, 0.7), archive="log", batch=2), id="bounded"),
    pytest.param(_maker(UPMOCMAES, batch=3), id="unbounded"),
    pytest.param(_maker(UPMOCMAES, max_popsize=9, stds=[1, 2, 3], bounds=(-3, 0.7), x0_box=(0, 0.5)), id="unbounded-9"),
    pytest.param(_maker(HMOCMAES), id="hmo"),
    pytest.param(_maker(HMOCMAES, warm_start="bobyqa", bounds=(-3, 1.5), **_TURNS), id="hmo-bobyqa-turns"),
]
every = pytest.mark.parametrize("make", STRATEGIES)


def go(es, evaluations=100, fun=spheres):
    end = es.nfev + evaluations
    while es.nfev < end:
        es.tell(None, fun(es.ask()))
    return es


def roots(x):
    """The first is best at 0.01, which no model finds exactly."""
    return np.stack([np.sqrt(np.abs(x - 0.01)).sum(axis=1), ((x - 1) ** 2).sum(axis=1)], axis=1)


@every
def test_protocol(make):
    es = make()
    assert isinstance(es, Strategy)
    assert (es.dim, es.n_obj, es.popsize, es.nfev, es.nit) == (N, 2, 7, 0, 0)
    x = es.ask()
    assert x.shape == (7, N)
    np.testing.assert_array_equal(x[0], 0.3)
    x[:] = 5  # the caller's
    again = es.ask()
    assert (again != 5).all()
    out = np.empty((9, N))
    assert es.ask(out).base is out
    np.testing.assert_array_equal(out[:7], again)
    blocks = list(es.ask_blocks(3))
    np.testing.assert_array_equal(np.concatenate([b for _, b in blocks]), again)
    f = spheres(again)
    told = f.copy()
    es.tell(again, f)
    np.testing.assert_array_equal(f, told)
    assert (es.nfev, es.nit, len(es.missing)) == (7, 1, 0)
    assert es.stop() is None
    assert len(es.ask(k=2)) in (1, 2)  # BOBYQA goes on with one point


@every
def test_same_seed_same_points_and_continuation_at_any_time(make):
    a, b = make(rng=5), make(rng=5)
    for k in range(60):
        x, y = a.ask(), b.ask()
        np.testing.assert_array_equal(x, y)
        f = spheres(x)
        half = len(x) // 2
        a.tell(None, f)
        b.tell(None, f[:half], ids=np.arange(half))
        if k % 3 == 0:
            b = [lambda s: pickle.loads(pickle.dumps(s)), copy.deepcopy, lambda s: lmcma.from_state(s.state_dict())][
                k // 3 % 3
            ](b)
        b.tell(y[half:], f[half:], ids=np.arange(half, len(x)))
        assert_same_state(a, b)
    assert (go(make(rng=6)).ask() != go(make(rng=5)).ask()).any()


@every
def test_population_ignores_the_order_of_rows(make):
    a, b = make(), make()
    for k in range(30):
        x = a.ask()
        b.ask()
        p = np.random.default_rng(k).permutation(len(x))
        f = spheres(x)
        a.tell(None, f)
        b.tell(x[p], f[p], ids=p)
    np.testing.assert_array_equal(a.ask(), b.ask())
    np.testing.assert_array_equal(a.result().F, b.result().F)


@every
@pytest.mark.parametrize("reference", [None, np.array([4.0, 5.0])])
def test_scale_of_objectives(make, reference):
    """Exact powers of two change nothing but the numbers."""
    a = make(reference=reference)
    b = make(reference=None if reference is None else reference * [2, 0.25])
    for _ in range(100):
        x = a.ask()
        np.testing.assert_array_equal(x, b.ask())
        f = spheres(x)
        a.tell(None, f)
        b.tell(None, f * [2, 0.25])


def test_swapped_objectives_mirror_the_front():
    """Selection does not prefer an objective: hypervolumes agree over seeds."""

    def swapped(x):
        return spheres(x)[:, ::-1]

    def final(fun, seed):
        return hypervolume(go(MOCMAES([0.5] * N, 0.3, popsize=10, rng=seed), 400, fun).result().F, (4, 4))

    a, b = (np.array([final(fun, seed) for seed in range(20)]) for fun in (spheres, swapped))
    # fronts of 400 evaluations differ by some hundredths from seed to seed
    assert abs(a.mean() - b.mean()) < 3 * np.sqrt((a.var() + b.var()) / 20)


@every
def test_budget_and_limits(make):
    es = go(make(maxfev=40), 40)
    assert es.nfev == 40
    assert es.stop().reason == "maxfev"
    es.limit(maxfev=43)
    assert es.stop() is None
    es = make(maxiter=3)
    while not es.stop():
        es.tell(None, spheres(es.ask()))
    assert es.nit == 3
    assert make(maxfev=4).popsize == 4
    es = make(reference=(4, 4), hv_target=8.0)
    while not es.stop():
        es.tell(None, spheres(es.ask()))
    assert es.stop().reason == "hypervolume"
    assert es.result().success
    assert es.result().hypervolume >= 8
    with pytest.raises(ArgumentError, match="reference"):
        make(hv_target=1.0, reference=None)
    with pytest.raises(ArgumentError, match="hv_target"):
        es.limit(ftarget=1.0)


def test_target_of_three_objectives(monkeypatch):
    """The hypervolume was measured at every `stop()`, whether points had come in or not."""
    measured = []
    measure = many.hypervolume
    monkeypatch.setattr(many, "hypervolume", lambda f, r: measured.append(len(f)) or measure(f, r))
    es = MOCMAES([0.5] * 3, 0.3, n_obj=3, popsize=5, reference=(9, 9, 9), hv_target=705, rng=1)
    while not es.stop():
        x = es.ask()
        es.tell(None, np.array([((x - e) ** 2).sum(axis=1) for e in np.eye(3)]).T)
        es.stop()
    assert len(measured) <= es.archive.entered < es.nfev
    assert es.stop().reason == "hypervolume"
    assert es.result().hypervolume == measure(es.archive.F, np.full(3, 9.0)) >= 705


@every
def test_result(make):
    es = make(reference=(4, 5))
    empty = es.result()
    assert empty.X.shape == (0, N)
    assert np.isnan(empty.ideal).all()
    assert empty.hypervolume == 0
    points, values = [], []
    for _ in range(40):
        x = es.ask()
        f = spheres(x)
        points.append(x)
        values.append(f)
        es.tell(None, f)
    points, values = np.concatenate(points), np.concatenate(values)
    r = es.result()
    best = nondominated(values)
    np.testing.assert_array_equal(r.F[:, 0], np.unique(values[best, 0]))
    np.testing.assert_array_equal(points[r.eval_index - 1], r.X)
    np.testing.assert_array_equal(values[r.eval_index - 1], r.F)
    np.testing.assert_array_equal(r.ideal, values.min(axis=0))
    np.testing.assert_array_equal(r.nadir, r.F.max(axis=0))
    np.testing.assert_array_equal(np.diag(r.best_f), r.ideal)
    np.testing.assert_array_equal(spheres(r.best_x), r.best_f)
    assert r.hypervolume == pytest.approx(hypervolume(values, (4, 5)), rel=1e-12)
    for nfev, value in r.hv_history:
        assert value == pytest.approx(hypervolume(values[: int(nfev)], (4, 5)), rel=1e-12)
    assert (r.nfev, r.nfail, r.method, r.status) == (len(points), 0, es.method, -1)
    snapshot = es.snapshot()
    assert snapshot["archive"] == len(r.F)
    assert snapshot["stds"].shape == snapshot["mean"].shape == (N,)
    assert make().result().hypervolume is None


@every
def test_foreign_and_edited_points(make):
    a, b = make(), make()
    go(a, fun=roots), go(b, fun=roots)
    x = a.ask()
    good = np.full((1, N), 0.01)  # the best in the first objective
    a.tell(good, roots(good), ids=[-1])
    assert (a.result().X[0] == 0.01).all()  # at once
    if len(x) > 1:  # else it has taken the place of the only row
        a.tell(None, roots(x))
    assert (a.population.x[a.population.front] == 0.01).all(axis=1).any()
    a.ask()
    y = b.ask()
    y[0] = 0.01
    nfev = b.nfev
    b.tell(y, roots(y))
    assert b.nfev == nfev + len(y)
    assert (b.population.x[b.population.front] == 0.01).all(axis=1).any()
    late = go(make(), fun=roots)  # without a batch out
    late.tell(good, roots(good), ids=[-1])
    assert (late.result().X[0] == 0.01).all()
    go(late, 1, roots)
    assert (late.population.x[late.population.front] == 0.01).all(axis=1).any()


@every
def test_injected_points_are_the_first_rows(make):
    es = go(make(), fun=roots)
    points = np.array([[0.5] * N, [0.25] * N, [0.01] * N])
    es.inject(points)
    asked = []
    while len(es.waiting):
        x = es.ask()
        asked.append(x)
        es.tell(None, roots(x))
    held = np.concatenate([x[: max(1, len(x) - 1)] for x in asked])
    for point in points:
        assert (held == point).all(axis=1).any()
    assert (es.population.x[es.population.front] == 0.01).all(axis=1).any()


@every
def test_failed_evaluations(make):
    es = make()
    rng = np.random.default_rng(0)
    for _ in range(60):
        x = es.ask()
        f = spheres(x)
        f[rng.random(len(f)) < 0.4] = [[np.nan, 0.0], [np.inf, 1.0], [-np.inf, 2.0]][int(rng.integers(3))]
        es.tell(None, f)
    r = es.result()
    assert r.nfail > 20
    assert np.isfinite(r.F).all()
    assert np.isfinite(es.population.f[es.population.members]).all()
    assert r.F.min() < 1


@every
def test_nothing_but_failures(make):
    es = make()
    with pytest.raises(ObjectiveError, match="finite"):
        go(es, 100, lambda x: np.full((len(x), 2), np.nan))
    assert 10 * N <= es.nfev <= 10 * N + 7


@every
def test_bounds(make):
    es = make(bounds=(0.1, 0.6), x0_box=(0.2, 0.5))
    for _ in range(300):
        x = es.ask()
        assert ((x >= 0.1) & (x <= 0.6)).all()
        es.tell(x, spheres(x))
    X = es.result().X
    assert abs(X - 0.1).max(axis=1).min() < 1e-6  # both corners end the front
    assert abs(X - 0.6).max(axis=1).min() < 1e-6
    with pytest.raises(ArgumentError, match="bounds"):
        es.tell(np.full((1, N), 2.0), [[1.0, 1.0]], ids=[-1])
    with pytest.raises(ArgumentError, match="bounds"):
        es.inject(np.zeros(N))


@every
def test_constraints(make):
    """Feasible only where the first coordinate is at least 0.4: it cuts the front."""
    es = make(sigma0=0.1)
    while es.nfev < 1000:
        x = es.ask()
        es.tell(None, spheres(x), np.array([1e3 * (0.4 - x[:, 0]), x[:, 1] - 5]).T)
    X = es.result().X
    assert (X[:, 0] >= 0.4).all()
    assert X[:, 0].min() < 0.41
    assert (es.population.x[es.population.front, 0] >= 0.4).all()
    with pytest.raises(ShapeError, match="`g`"):
        es.tell(None, spheres(es.ask()), np.zeros((1, 3)))


@every
def test_errors(make):
    es = make()
    with pytest.raises(ProtocolError, match="ask"):
        es.tell(None, [[1.0, 2.0]])
    x = es.ask()
    f = spheres(x)
    before = es.state_dict()
    for error, arguments, options in (
        (ShapeError, (None, f[:, :1]), {}),
        (ShapeError, (None, f[:, 0]), {}),
        (ArgumentTypeError, (None, "values"), {}),
        (ShapeError, (None, np.ones((8, 2))), {}),
        (ShapeError, (x[:2], f), {}),
        (ShapeError, (None, f), {"ids": [0, 1]}),
        (ArgumentError, (None, f[:1]), {"ids": [9]}),
        (ArgumentError, (None, f[:1]), {"ids": [-1]}),
        (ProtocolError, (None, f[:2]), {"ids": [0, 0]}),
        (ArgumentError, (np.full((1, N), np.nan), f[:1]), {"ids": [-1]}),
    ):
        with pytest.raises(error):
            es.tell(*arguments, **options)
    assert_same_state(es, type(es).from_state(before))
    es.tell(None, f[:2])
    with pytest.raises(ProtocolError, match="told before"):
        es.tell(None, f[:2])
    state = es.state_dict()
    with pytest.raises(StateError, match="method"):
        type(es).from_state({**state, "method": "cma"})
    with pytest.raises(StateError, match="format"):
        type(es).from_state({**state, "format": 99})
    del state["violation"]
    with pytest.raises(StateError, match="violation"):
        type(es).from_state(state)


def test_arguments():
    for error, match, options in (
        (ArgumentError, "variant", {"variant": "steady"}),
        (ArgumentError, "success", {"success": "parents"}),
        (ArgumentError, "archive", {"archive": "all"}),
        (ArgumentError, "n_obj", {"n_obj": 1}),
        (ShapeError, "reference", {"reference": (1, 2, 3)}),
        (ArgumentError, "x0", {"bounds": (0.5, 1)}),
        (ShapeError, "stds", {"stds": [1.0]}),
    ):
        with pytest.raises(error, match=match):
            MOCMAES([0.3] * N, 0.3, **options)
    with pytest.raises(ArgumentError, match="mo-cma"):
        UPMOCMAES([0.3] * N, 0.3, n_obj=3)
    with pytest.raises(lmcma.errors.MemoryLimitError, match="popsize"):
        MOCMAES([0.3] * 10_000, 0.3, popsize=10**6)
    for starts in ([[1.0, 2.0], [3.0]], [], np.zeros((2, 2, 2))):
        with pytest.raises(ShapeError, match="one start a row"):
            MOCMAES(starts, 0.3)
    starts = np.arange(2.0 * N).reshape(2, N)
    np.testing.assert_array_equal(MOCMAES(starts, 0.3, rng=1).ask()[:2], starts)


def test_three_objectives():
    es = MOCMAES([0.5] * 4, 0.3, n_obj=3, popsize=8, reference=(4, 4, 4), rng=1)

    def fun(x):
        return np.array([((x - c) ** 2).sum(axis=1) for c in (0, 0.5, 1)]).T

    go(es, 200, fun)
    again = lmcma.from_state(es.state_dict())
    np.testing.assert_array_equal(go(es, 50, fun).ask(), go(again, 50, fun).ask())
    r = es.result()
    assert r.hypervolume == pytest.approx(hypervolume(r.F, (4, 4, 4)), rel=1e-12)
    assert nondominated(r.F).all()
    assert r.hv_history[-1].tolist() == [250, r.hypervolume]
    assert len(es.population.front) == np.count_nonzero(nondominated(es.population.f[es.population.members]))


def test_converged_runs_end():
    """One point is best for both objectives: step sizes shrink until there is nothing left to learn."""
    es = MOCMAES([0.3] * N, 0.3, popsize=2, rng=1, maxfev=50_000)
    go_on = lambda x: np.repeat((x**2).sum(axis=1)[:, None], 2, axis=1)  # noqa: E731
    while not es.stop():
        es.tell(None, go_on(es.ask()))
    assert es.stop().reason == "tolx"
    assert es.result().success


def test_zdt1_runs_in_parts_of_any_size():
    es = MOCMAES([0.5] * 5, 1.0, popsize=10, bounds=(0, 1), x0_box=(0, 1), reference=(11, 11), rng=2)
    for k in np.random.default_rng(0).integers(1, 9, 300).tolist():
        x = es.ask(k=k)
        es.tell(x, zdt1(x))
    assert es.result().hypervolume > 120
