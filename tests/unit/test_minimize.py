"""`minimize`, `make`, `methods` and the driver: the front doors."""

import numpy as np
import pytest
from scipy.optimize import OptimizeResult

import lmcma
from lmcma import driver
from lmcma.errors import ShapeError, UnknownMethodError
from lmcma.evaluate import Serial
from lmcma.record import History
from lmcma.testfunctions import ellipsoid, rosenbrock, sphere


@pytest.mark.parametrize("method", ["auto", "cma", "lm-cma"])
def test_result(method):
    res = lmcma.minimize(sphere, np.full(6, 0.5), 0.3, method=method, ftarget=1e-8, rng=1)
    assert isinstance(res, OptimizeResult)
    assert isinstance(res, lmcma.Result)
    assert res.success
    assert res.status == 0
    assert res.fun == sphere(res.x) <= 1e-8
    assert res.nfev >= res.nit * res.popsize
    assert res.message.startswith("ftarget: the best value")
    assert res.stop.reason == "ftarget"
    assert res.mean.shape == (6,)
    assert 0 < res.sigma < 0.3
    assert res.nfail == 0
    assert res.runs == []
    assert res.method == ("cma" if method == "auto" else method)
    assert "nfev" in str(res)


def test_same_seed_same_run():
    runs = [lmcma.minimize(rosenbrock, [0.0] * 5, 0.3, maxfev=2000, rng=s) for s in (7, 7, 8)]
    assert (runs[0].x == runs[1].x).all()
    assert (runs[0].x != runs[2].x).any()
    np.testing.assert_array_equal(runs[0].history["sigma"], runs[1].history["sigma"])


def test_global_random_state_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    lmcma.minimize(sphere, [1.0, 1.0], 0.3, maxfev=200)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


def test_ends_by_itself():
    res = lmcma.minimize(ellipsoid, [1.0] * 4, 0.5, rng=1)
    assert res.success
    assert res.fun < 1e-10
    res = lmcma.minimize(lambda x: 1.0, [1.0] * 4, 0.5, rng=1)
    assert res.stop.reason in ("equalfunvals", "tolhistfun")
    res = lmcma.minimize(sphere, [1.0] * 4, 0.5, rng=1, ftarget=-1.0)
    assert not res.success  # converged, but not to the target
    assert res.status == 2


def test_minus_infinity_without_a_target_is_no_target():
    res = lmcma.minimize(lambda x: -np.inf, [1.0, 1.0], 0.5, rng=1, maxfev=60)
    assert "ftarget" not in [res.stop.reason, *(s.reason for s in res.stop.also)]


def test_budgets_are_kept_exactly():
    calls = []
    res = lmcma.minimize(lambda x: calls.append(x) or sphere(x), [1.0] * 4, 0.5, maxfev=103, rng=1)
    assert res.nfev == len(calls) == 103
    assert res.stop.reason == "maxfev"
    assert (res.status, res.success) == (1, False)
    res = lmcma.minimize(sphere, [1.0] * 4, 0.5, maxiter=7, rng=1)
    assert (res.nit, res.nfev) == (7, 7 * res.popsize)
    assert res.stop.reason == "maxiter"


def test_objective_may_keep_and_change_its_argument():
    kept = []

    def f(x):
        kept.append(x)
        value = float(sphere(x))
        x[:] = 99.0
        return value

    res = lmcma.minimize(f, [1.0] * 4, 0.5, maxfev=200, rng=1)
    plain = lmcma.minimize(sphere, [1.0] * 4, 0.5, maxfev=200, rng=1)
    assert res.fun == plain.fun
    np.testing.assert_array_equal(res.x, plain.x)
    assert all((x == 99).all() for x in kept)


def test_time_limit():
    import time

    res = lmcma.minimize(lambda x: time.sleep(0.002) or sphere(x), [1.0] * 4, 0.5, max_time=0.1, rng=1)
    assert res.stop.reason == "max_time"
    assert res.stop.value >= res.stop.threshold == 0.1
    assert (res.status, res.success) == (1, False)
    assert "seconds used" in res.message


@pytest.mark.parametrize("how", ["return", "raise"])
def test_callback(how):
    seen = []

    def callback(result):
        seen.append(result.nfev)
        if len(seen) == 3 and how == "raise":
            raise StopIteration
        return len(seen) == 3

    res = lmcma.minimize(sphere, [1.0] * 4, 0.5, callback=callback, rng=1)
    assert seen == [8, 16, 24]
    assert res.nfev == 24
    assert res.stop.reason == "callback"
    assert res.message == "callback: the callback asked to stop"


def test_interrupt_comes_through():
    def f(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lmcma.minimize(f, [1.0] * 4, 0.5)


def test_options_reach_the_method():
    es = lmcma.make("cma", [1.0] * 4, 0.5, popsize=20, active=False)
    assert (es.popsize, es.active) == (20, False)
    res = lmcma.minimize(sphere, [1.0] * 4, 0.5, popsize=9, options={"lazy": "reference"}, maxiter=2)
    assert res.nfev == 18
    assert lmcma.minimize(sphere, [1.0] * 4, 0.5, maxiter=2, record=False).history is None


def test_table_of_methods():
    table = lmcma.methods()
    assert {"auto", "cma", "lm-cma", "bipop-cma", "nbipop-acma"} <= set(table)
    assert table["cma"].load() is lmcma.CMAES
    assert "stop profile bbob without maxiter" in table["cma"].settings
    assert "Loshchilov" in str(table)
    # the one row for all restarts said nothing of the profiles of these
    row = table.rows()[-1].settings
    for name in ("ipop-saacm", "bipop-kl-acm", "independent-saacm-k"):
        assert table[name].options["stop"] in row
        assert "final means evaluated" in table[name].settings
        assert name.split("-", 1)[1] in row
    assert "<td><code>lm-cma</code></td>" in table._repr_html_()
    with pytest.raises(UnknownMethodError):
        table["nothing"]


def test_driver_checks_the_evaluator():
    es = lmcma.make("cma", [1.0] * 4, 0.5)
    with pytest.raises(ShapeError, match=r"must return 8 values, one per row; got shape \(3,\)"):
        driver.run(es, lambda x: np.zeros(3))


def test_driver_goes_on_with_a_strategy_that_has_begun():
    es, history = lmcma.make("cma", [1.0] * 4, 0.5, rng=1, maxfev=100), History()
    x = es.ask()
    es.tell(x, sphere(x))
    res = driver.run(es, Serial(sphere), recorder=history)
    assert res.nfev == 100
    assert res.history is history
    assert history["nfev"][0] == 16


def test_a_million_variables():
    """LM-CMA in n = 1e6: two generations, in a few seconds, with less than 2 GB."""
    n = 1_000_000
    es = lmcma.make("auto", np.ones(n), 0.1, rng=1, max_memory=2**31)
    assert es.method == "lm-cma"
    out = np.empty((es.popsize, n))
    for _ in range(2):
        x = es.ask(out=out)
        es.tell(None, np.einsum("kn,kn->k", x, x))
    assert es.nfev == 2 * 45
    assert es.stop() is None
    assert (es.mean != 1).any()
