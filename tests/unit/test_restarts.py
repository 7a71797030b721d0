"""Restart schemes as pure functions, and the chain that follows them."""

import dataclasses
import math

import numpy as np
import pytest
from scipy.stats import kstest

import lmcma
from lmcma.errors import ArgumentError, ArgumentTypeError, ProtocolError, RestartWarning, ShapeError
from lmcma.optimize import strategy_of
from lmcma.restarts.schemes import SCHEMES, Kind, Plan, Tally, book, next_run, small_share
from lmcma.testfunctions import rastrigin, sphere


def chain(name, cost, best=lambda k, plan: 1.0, rng=None):
    """All plans of a scheme, for runs that cost and find what the functions say."""
    rng = rng or np.random.default_rng(1)
    scheme, tally, plans = SCHEMES[name], Tally(), []
    while (plan := next_run(scheme, tally, 10, *rng.random(2))) is not None and len(plans) < 20_000:
        before = tally
        tally = book(tally, plan.kind, cost(plan), best(len(plans), plan))
        plans.append((plan, before, tally))
    return plans


def per_candidate(plan):
    return 100 * plan.popsize


@pytest.mark.parametrize("name", ["ipop", "nipop"])
def test_growing_populations(name):
    plans = [p for p, _, _ in chain(name, per_candidate)]
    assert [p.popsize for p in plans] == [10 * 2**i for i in range(10)]
    assert [p.kind for p in plans] == [Kind.FIRST] + [Kind.LARGE] * 9
    decay = 1.0 if name == "ipop" else 1.6
    np.testing.assert_allclose([2 * p.sigma_factor for p in plans], 2 / decay ** np.arange(10))
    assert all(p.maxiter == math.inf for p in plans)
    if name == "nipop":
        np.testing.assert_allclose([2 * p.sigma_factor for p in plans[:3]], [2, 1.25, 0.78125])


@pytest.mark.parametrize("name", ["bipop", "nbipop"])
def test_two_regimes(name):
    scheme = SCHEMES[name]
    plans = chain(name, per_candidate)
    kinds = [p.kind for p, _, _ in plans]
    assert kinds[:2] == [Kind.FIRST, Kind.LARGE]  # the second run is always large
    assert [p.popsize for p, _, _ in plans if p.kind is Kind.LARGE] == [10 * 2**i for i in range(1, 10)]
    for plan, before, _ in plans[2:]:
        share = small_share(scheme, before)
        assert (plan.kind is Kind.SMALL) == (before.cost_small < share * before.cost_large)
        if plan.kind is Kind.SMALL:
            assert 10 <= plan.popsize <= 10 * 2**before.large
            assert 0.01 <= plan.sigma_factor <= 1
            assert plan.maxiter == before.cost_large / (2 * plan.popsize)
            if name == "nbipop":
                assert plan.popsize == 10
    # the end: nine large restarts, and no small run due
    last = plans[-1][2]
    assert last.large == 9
    assert last.cost_small >= small_share(scheme, last) * last.cost_large
    assert last.cost_small + last.cost_large == sum(per_candidate(p) for p, _, _ in plans)  # booked once each


def test_laws_of_small_runs():
    rng, tally = np.random.default_rng(3), Tally(2, 5, 0, 10**6)
    plans = [next_run(SCHEMES["bipop"], tally, 10, *rng.random(2)) for _ in range(4000)]
    logs = -np.log10([p.sigma_factor for p in plans]) / 2
    assert kstest(logs, "uniform").pvalue > 1e-3  # log-uniform over two decades
    sizes = np.array([p.popsize for p in plans])
    assert sizes.min() == 10
    assert sizes.max() <= 320
    # popsize <= s where u^2 <= log(s / 10) / log(32), up to rounding down
    for s in (20, 50, 100):
        expected = math.sqrt(math.log((s + 1) / 10) / math.log(32))
        assert abs((sizes <= s).mean() - expected) < 4 * 0.5 / math.sqrt(4000)
    assert next_run(SCHEMES["bipop"], tally, 10, 0.5, 1.0).popsize == 320


def test_budget_of_nbipop_follows_the_better_regime():
    scheme = SCHEMES["nbipop"]
    assert small_share(scheme, Tally()) == 1
    start = book(Tally(), Kind.FIRST, 100, 5.0)
    start = book(start, Kind.LARGE, 100, 3.0)
    assert (start.best_small, start.best_large) == (3.0, 3.0)  # runs 1 and 2 enter both
    assert small_share(scheme, start) == 2  # a tie favours small runs
    large = book(start, Kind.LARGE, 100, 1.0)
    assert small_share(scheme, large) == 0.5
    small = book(large, Kind.SMALL, 100, 0.5)
    assert small_share(scheme, small) == 2
    assert small_share(SCHEMES["bipop"], large) == 1
    assert book(start, Kind.SMALL, 10, math.nan).best_small == 3.0


def box(n):
    return {"x0_box": (-4.0, 4.0), "x0": np.random.default_rng(n).uniform(-4, 4, n)}


def start(name, n=3, **options):
    given = {**box(n), "rng": 1, **options}
    return lmcma.make(name, given.pop("x0"), 2.0, **given)


def drive(es, f=rastrigin, limit=10**6):
    while not es.stop() and es.nfev < limit:
        x = es.ask()
        es.tell(x, f(x))
    return es.result()


def test_history_of_runs():
    seen = []

    def f(x):
        seen.append(x[0].copy())
        return rastrigin(x)

    es = start("bipop-acma", maxfev=30_000)
    starts = []
    while not es.stop():
        n_runs = len(es.result().runs)
        x = es.ask()
        if len(es.result().runs) > n_runs or not starts:
            starts.append(es._inner.mean.copy())
        es.tell(x, f(x))
    res = es.result()
    assert res.nfev == sum(r.nfev for r in res.runs) == 30_000
    assert res.nit == sum(r.nit for r in res.runs)
    assert res.fun == min(r.fun for r in res.runs)
    assert [r.kind for r in res.runs[:2]] == ["first", "large"]
    assert all(r.stop is not None for r in res.runs)
    assert res.runs[0].stop.reason in ("tolfun", "tolhistfun", "equalfunvals")
    assert res.stop.reason == "maxfev"
    starts = np.array(starts)
    assert len(np.unique(starts, axis=0)) == len(starts)  # every run starts elsewhere
    assert (abs(starts) <= 4).all()


def test_final_means_are_evaluated():
    es = start("ipop-acma", maxfev=10**6)
    sizes = []
    while len(es.result().runs) < 3:
        x = es.ask()
        assert len(x) == es.popsize
        sizes.append(len(x))
        if len(x) == 1:
            np.testing.assert_array_equal(x[0], es.result().mean)
            assert (es.ask() == x).all()
        es.tell(x, rastrigin(x))
    assert sizes.count(1) == 2
    plain = start("ipop-cma")
    assert 1 not in [len(plain.ask()) for _ in range(300) if plain.tell(plain.ask(), rastrigin(plain.ask())) is None]


def test_a_better_final_mean_is_the_result():
    es = start("ipop-acma")
    while es.popsize != 1:
        x = es.ask()
        es.tell(x, sphere(x) + 1)
    with pytest.raises(ProtocolError, match="Call `ask"):
        es.tell(None, [0.0])
    mean = es.ask()[0]
    es.tell(None, [-1.0])
    assert es.result().fun == -1
    assert (es.result().x == mean).all()
    assert es.result().runs[0].fun == -1


def test_limits_hold_for_the_chain():
    res = drive(start("bipop-cma", maxfev=5003))
    assert res.nfev == 5003
    res = drive(start("ipop-cma", ftarget=1e-8))
    assert res.success
    res = drive(start("ipop-cma", maxiter=200))
    assert (res.nit, res.stop.reason) == (200, "maxiter")


def test_small_runs_stay_within_half_the_budget_of_the_large_ones():
    res = drive(start("bipop-cma", stop="none", maxfev=40_000, popsize=6, final_mean=True), lambda x: rastrigin(x) + 1)
    large = 0
    for run in res.runs[:-1]:
        if run.kind == "small":
            assert run.nfev <= large / 2 + run.popsize + 1
        large += run.nfev * (run.kind == "large")


def test_the_chain_ends():
    es = lmcma.Restarts(
        [1.0, 1.0], 1.0, scheme=dataclasses.replace(SCHEMES["ipop"], max_large=2), x0_box=(-1, 1), rng=1
    )
    res = drive(es, lambda x: sphere(x) + 1)
    assert res.stop.reason == "maxrestarts"
    assert [r.popsize for r in res.runs] == [6, 12, 24]
    with pytest.raises(ProtocolError, match="nothing to offer any more"):
        es.ask()


def test_without_a_box_there_is_a_warning_once():
    with pytest.warns(RestartWarning, match="Give a box") as caught:
        res = lmcma.minimize(lambda x: float(rastrigin(x)), [2.0, 2.0], 0.1, restarts="ipop", maxfev=6000, rng=1)
    assert len(res.runs) > 2
    assert len(caught) == 1


@pytest.mark.parametrize("name", ["ipop-cma", "bipop-acma", "nbipop-cma", "bipop-lm-cma"])
def test_save_and_load_at_every_point(name):
    a, b = start(name, maxfev=20_000), start(name, maxfev=20_000)
    rng = np.random.default_rng(0)
    while not a.stop():
        if rng.random() < 0.1:
            b = lmcma.from_state(b.state_dict())
        x, y = a.ask(), b.ask()
        np.testing.assert_array_equal(x, y)
        if rng.random() < 0.1:
            b = lmcma.from_state(b.state_dict())
        f = rastrigin(x)
        a.tell(x, f)
        b.tell(None, f)
    assert len(a.result().runs) > 3
    assert a.result().runs == b.result().runs
    assert a.stop() == b.stop()
    assert (a.result().x == b.result().x).all()


def test_minimize_with_restarts():
    named = lmcma.minimize(rastrigin, [2.0] * 3, 2.0, method="bipop-cma", x0_box=(-4, 4), maxfev=3000, rng=1)
    said = lmcma.minimize(rastrigin, [2.0] * 3, 2.0, restarts="bipop", x0_box=(-4, 4), maxfev=3000, rng=1)
    scheme = lmcma.minimize(rastrigin, [2.0] * 3, 2.0, restarts=SCHEMES["bipop"], x0_box=(-4, 4), maxfev=3000, rng=1)
    assert named.fun == said.fun == scheme.fun
    assert named.runs == said.runs == scheme.runs
    assert named.method == "bipop-cma"
    assert len(named.history) > 10
    assert lmcma.minimize(sphere, [1.0] * 3, 0.5, method="ipop-acma", x0_box=(0, 1), maxfev=400).method == "ipop-acma"


def test_options_of_the_method_reach_every_run():
    es = start("ipop-cma", active=False, popsize=7)
    assert es.popsize == 7
    assert es._inner.active is False
    with pytest.raises(ArgumentTypeError, match="method 'ipop-cma' has no option 'activ'; did you mean 'active'"):
        start("ipop-cma", activ=False)
    with pytest.raises(ArgumentError, match="there is no 'bpop'; did you mean 'bipop'"):
        lmcma.Restarts([1.0], 1.0, scheme="bpop")
    assert start("ipop-acma").rules.tolfun == 1e-12
    assert start("bipop-acma", stop={"tolfun": None}).rules.tolhistfun == 1e-12


def test_plan_of_the_first_run():
    assert next_run(SCHEMES["bipop"], Tally(), 8, 0.5, 0.5) == Plan(Kind.FIRST, 8, 1.0)


def test_outcome_on_rastrigin():
    """IPOP on the 5-D Rastrigin function, 31 seeds: all solved within 1e5, the median where others have it."""
    spent = []
    for seed in range(31):
        x0 = np.random.default_rng([seed, 5]).uniform(-4, 4, 5)
        es = lmcma.make("ipop-cma", x0, 2.0, x0_box=(-4, 4), ftarget=1e-8, maxfev=100_000, rng=seed)
        res = drive(es)
        assert res.success
        spent.append(res.nfev)
    assert 12_500 <= np.median(spent) <= 26_000


def test_nipop_solves_fewer_on_rastrigin():
    """From sigma0 below 0.5 on, a run stays in one basin."""
    solved = {}
    for name in ("ipop-cma", "nipop-cma"):
        solved[name] = 0
        for seed in range(11):
            x0 = np.random.default_rng([seed, 5]).uniform(-4, 4, 5)
            es = lmcma.make(name, x0, 2.0, x0_box=(-4, 4), ftarget=1e-8, maxfev=200_000, rng=seed)
            solved[name] += drive(es).success
    assert solved["ipop-cma"] == 11
    assert solved["nipop-cma"] < 9


def at_final_mean(**options):
    """A chain that has asked for its first final mean."""
    es = start("ipop-acma", **options)
    while es.popsize > 1:
        es.tell(None, rastrigin(es.ask()))
    return es, es.ask()


def test_an_edited_final_mean_is_what_was_evaluated():
    es, mean = at_final_mean()
    edited = np.round(mean, 1)
    es.tell(edited, [-5.0])
    assert es.best_f == -5
    np.testing.assert_array_equal(es.result().x, edited[0])


def test_late_points_while_the_final_mean_is_out():
    es, _ = at_final_mean()
    nfev = es.nfev
    late = np.ones((1, es.dim))
    es.tell(late, [-7.0], ids=[-1])
    assert (es.best_f, es.nfev, es.popsize) == (-7.0, nfev + 1, 1)
    np.testing.assert_array_equal(es.result().x, late[0])
    es.tell(None, [3.0])
    assert es.nfev == nfev + 2
    es.tell(late, [-8.0], ids=[-1])  # between two runs
    assert es.best_f == -8
    with pytest.raises(ArgumentError, match="`ids` must be 0 for the final mean, -1 for points of your own"):
        es.tell(late, [1.0], ids=[17])
    with pytest.raises(ProtocolError, match="none is out"):
        es.tell(None, [1.0])


def test_out_for_the_final_mean_is_checked():
    es, mean = at_final_mean()
    out = np.empty((3, es.dim))
    np.testing.assert_array_equal(es.ask(out), mean)
    with pytest.raises(ShapeError, match="`out` must be"):
        es.ask(np.empty((1, es.dim), dtype=np.float32))


def test_rows_of_the_next_batch_between_two_runs():
    es = start("ipop-cma", maxfev=1002)
    while not es.stop():
        rows = es.popsize
        x = es.ask()
        assert len(x) == rows
        es.tell(x, rastrigin(x))
    assert es.nfev == 1002


def test_independent_runs_are_all_alike():
    tally = Tally()
    for _ in range(30):
        plan = next_run(SCHEMES["independent"], tally, 12, 0.5, 0.5)
        assert plan is not None
        assert (plan.popsize, plan.sigma_factor) == (12, 1.0)
        tally = book(tally, plan.kind, 1000, 1.0)


def test_restarts_of_large_scale_methods_have_no_limit_of_iterations():
    assert lmcma.make("independent-lm-cma", [1.0] * 5, 1.0).rules.maxiter is None
    assert lmcma.make("ipop-lm-ma", [1.0] * 64, 1.0, stop={"tolx": 1e-9}).rules.tolx == 1e-9
    assert lmcma.make("ipop-cma", [1.0] * 5, 1.0).rules.maxiter == "bbob"


@pytest.mark.parametrize("stop", [None, {"tolx": 1e-9}])
def test_a_method_keeps_its_profile_however_it_is_asked_for(stop):
    """`minimize` and the command line say ``stop=None``, which once switched the profile of a method off."""
    options = {"x0_box": (-1, 1), "stop": stop}
    for name in ("lm-cma", "lm-ma"):
        chains = [lmcma.make(f"ipop-{name}", np.ones(100), 1.0, **options)]
        chains += [strategy_of(name, np.ones(100), 1.0, scheme, options) for scheme in ("ipop", SCHEMES["ipop"])]
        assert [es.rules.maxiter for es in chains] == [None] * 3
    acma = lmcma.make("ipop-acma", np.ones(3), 1.0, **options).rules
    assert (acma.tolfun, acma.equalfunvals) == (1e-12, "matlab")
    assert acma.tolx == (1e-9 if stop else 1e-11)
    assert lmcma.make("ipop-acma", np.ones(3), 1.0, x0_box=(-1, 1), stop="none").rules.tolx is None


def test_populations_do_not_shrink():
    with pytest.raises(ArgumentError, match="`growth` must be >= 1; got"):
        lmcma.Scheme("x", growth=0.5)
