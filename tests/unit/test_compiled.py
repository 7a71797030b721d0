"""Objectives compiled by numba: the same run as through Python, to the bit, and the same rules for failures."""

import logging
import types
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import pytest

import lmcma
from lmcma import driver, testfunctions
from lmcma.errors import ArgumentError, ObjectiveError
from lmcma.evaluate import Compiled, Serial, evaluator
from lmcma.testfunctions import compiled, rastrigin, rosenbrock, sphere

NAMES = ("sphere", "ellipsoid", "cigar", "discus", "different_powers", "rosenbrock", "rastrigin")


@pytest.mark.parametrize("name", NAMES)
def test_twins_of_the_test_functions(name):
    function = getattr(testfunctions, name)
    for n in (1, 2, 7):
        x = np.random.default_rng(n).uniform(-3, 3, (5, n))
        values = [compiled(function)(row) for row in x]
        np.testing.assert_allclose(values, function(x), rtol=1e-12, atol=1e-12)


def test_only_the_test_functions_have_twins():
    with pytest.raises(ArgumentError, match=r"must be one of sphere, .*numba.njit"):
        compiled(lambda x: 0.0)


def both(fun, method="cma", n=6, **options):
    """Two results: with the compiled function, and with Python calling it."""
    return [lmcma.minimize(f, np.full(n, 2.0), 1.5, method=method, rng=3, **options) for f in (fun, lambda x: fun(x))]


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("cma", {"ftarget": 1e-9}),
        ("cma", {"maxfev": 1003}),
        ("cma", {"maxiter": 57}),
        ("cma", {"options": {"active": "2010", "constants": "bbob", "diagonal_first": 30}}),
        ("cma", {"popsize": 40, "stop": {"tolx": 1e-3}}),
        ("bipop-cma", {"maxfev": 15_000, "x0_box": (-4, 4)}),
        ("ipop-acma", {"maxfev": 15_000, "x0_box": (-4, 4), "ftarget": 1e-8}),
        ("self-cma", {"maxiter": 30}),
        ("sep-cma", {"maxiter": 30}),
        ("cma", {"bounds": (-1, 3), "maxiter": 100}),
    ],
)
def test_same_run_to_the_bit(method, options):
    a, b = both(compiled(rastrigin), method, **options)
    assert (a.nfev, a.nit, a.fun, a.message) == (b.nfev, b.nit, b.fun, b.message)
    np.testing.assert_array_equal(a.x, b.x)
    np.testing.assert_array_equal(a.mean, b.mean)
    assert len(a.runs) == len(b.runs)
    assert a.history["nfev"][-1] == a.nfev
    assert set(a.history["nit"]) <= set(b.history["nit"])  # every eighth is kept where all would be


def test_no_python_between_iterations(monkeypatch):
    """What `advance` is for: between the first iteration and the last few, ask and tell are not called."""
    calls = []
    ask = lmcma.CMAES.ask
    monkeypatch.setattr(lmcma.CMAES, "ask", lambda es, out=None: calls.append(es.nit) or ask(es, out))
    res = lmcma.minimize(compiled(sphere), [1.0] * 4, 1.0, rng=1)
    assert res.success
    assert res.nit > 100
    assert calls == [0]


@numba.njit
def whole_numbers(x):
    return int(np.abs(x).sum() * 100)


@numba.njit
def truth(x):
    return x.max() > 1.5


@numba.njit
def often_nan(x):
    return np.nan if x[0] > 1.9 else np.sum(x * x)


@numba.njit
def raises_later(x):
    if x[0] < 0.5:
        raise ValueError("too small")
    return np.sum(x * x)


@numba.njit
def raises_at_once(x):
    raise ValueError("never")


@numba.njit
def for_batches(x):
    return x[0, 0]


@pytest.mark.parametrize("fun", [whole_numbers, truth])
def test_any_number_is_a_value(fun):
    assert isinstance(evaluator(fun), Compiled)
    a, b = both(fun)
    assert a.fun == b.fun
    assert a.nfev == b.nfev


def test_nan_is_counted():
    a, b = both(often_nan, maxiter=40)
    assert a.nfail == b.nfail > 0
    np.testing.assert_array_equal(a.mean, b.mean)


def test_a_failure_counts_as_nan(caplog):
    with caplog.at_level(logging.WARNING, "lmcma"):
        a, b = both(raises_later, maxiter=60)
    assert a.nfail == b.nfail > 0
    assert "too small" in caplog.text
    np.testing.assert_array_equal(a.x, b.x)
    assert a.nfev == b.nfev


def test_a_failure_is_raised_with_its_point():
    for fun in (raises_later, lambda x: raises_later(x)):
        with pytest.raises(ObjectiveError, match=r"at evaluation .*ValueError: too small") as caught:
            lmcma.minimize(fun, np.full(6, 2.0), 0.5, rng=3, on_error="raise")
        assert caught.value.x[0] < 0.5


def test_the_first_evaluation_must_succeed():
    with pytest.raises(ObjectiveError, match=r"at its first evaluation.*never"):
        lmcma.minimize(raises_at_once, [1.0] * 3, 1.0)


def test_what_does_not_compile_for_a_point_is_called_by_python(caplog):
    with caplog.at_level(logging.WARNING, "lmcma"):
        assert isinstance(evaluator(for_batches), Serial)
    assert "does not compile" in caplog.text


def test_vectorized_is_the_users_word():
    assert not isinstance(evaluator(for_batches, vectorized=True), Compiled)
    batches = numba.njit(lambda x: np.sum(x * x, axis=1))
    res = lmcma.minimize(batches, [1.0] * 3, 1.0, vectorized=True, ftarget=1e-6, rng=1)
    assert res.success


def test_callback_after_every_iteration():
    seen = []
    res = lmcma.minimize(compiled(rosenbrock), [0.0] * 4, 0.5, maxiter=50, rng=1, callback=lambda r: seen.append(r.nit))
    assert seen == list(range(1, res.nit + 1))


def test_injected_points_are_not_skipped():
    es = lmcma.make("cma", [2.0] * 4, 0.5, rng=1)
    es.ask()
    es.tell(None, np.arange(float(es.popsize)))
    es.inject(np.zeros(4))
    objective = evaluator(compiled(sphere)).objective
    assert es.advance(objective, 10) is None
    es.tell(None, sphere(es.ask()))
    assert es.best_f == 0
    assert es.advance(objective, 10) is not None
    assert es.nit == 12


def test_threads_run_side_by_side():
    """Independent runs in threads: the same results as one after the other."""

    def run(seed):
        return lmcma.minimize(compiled(rastrigin), np.full(5, 2.0), 2.0, rng=seed, record=False)

    alone = [run(seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(run, range(8)))
    for a, b in zip(alone, together, strict=True):
        assert (a.nfev, a.fun) == (b.nfev, b.fun)
        np.testing.assert_array_equal(a.x, b.x)


@pytest.mark.parametrize("options", [{}, {"active": "2010", "constants": "bbob"}, {"active": False}])
@pytest.mark.parametrize("n", [3, 10, 30])
def test_iterations_allocate_nothing(n, options):
    """Memory of the compiled loop is taken once per call, however many iterations it does."""
    from numba.core.runtime import _nrt_python as nrt

    es = lmcma.make("cma", np.full(n, 2.0), 1.0, rng=1, stop={"profile": "bbob", "tolhistfun": None}, **options)
    es.tell(None, sphere(es.ask()))
    objective = evaluator(compiled(sphere)).objective

    def allocated(iterations):
        nrt.memsys_enable_stats()
        before = nrt.memsys_get_stats_mi_alloc()
        es.advance(objective, iterations)
        after = nrt.memsys_get_stats_mi_alloc()
        nrt.memsys_disable_stats()
        return after - before

    allocated(2)
    few, nit = allocated(2), es.nit
    assert allocated(60) == few  # three times the rule that looks at long histories among them
    assert es.nit == nit + 60


@numba.njit
def writes_into_its_argument(x):
    x -= 0.5
    if x[1] > 2.2:
        raise ValueError("too large")
    return np.sum(x * x)


def test_what_the_objective_does_to_its_argument_does_not_matter():
    a, b = both(writes_into_its_argument, maxiter=60)
    assert a.nfail == b.nfail > 0
    assert (a.fun, a.nfev) == (b.fun, b.nfev)
    np.testing.assert_array_equal(a.x, b.x)


def test_history_of_batches_in_which_the_objective_raised():
    """The values of a population that was cut short by an exception once stood in the row of the one before."""
    a, b = both(raises_later, maxiter=200)
    kept = np.isin(b.history["nit"], a.history["nit"])
    assert 10 < kept.sum() == len(a.history)
    for column in ("nfev", "best_f", "iteration_f", "median_f"):
        np.testing.assert_array_equal(a.history[column], b.history[column][kept], err_msg=column)


def test_failure_says_which_evaluation_it_was():
    numbers = []
    for fun in (raises_later, lambda x: raises_later(x)):
        with pytest.raises(ObjectiveError) as caught:
            lmcma.minimize(fun, np.full(6, 2.0), 0.2, rng=3, on_error="raise")
        numbers.append(str(caught.value).split("at evaluation ")[1].split(",")[0])
    assert numbers[0] == numbers[1]
    assert int(numbers[0]) > 20


def test_a_function_without_a_module():
    """Numba itself failed for such functions once lmcma's kernels were loaded."""
    names = {"np": np}
    exec("def f(x):\n    return np.sum(x * x)", names)
    names["f"].__module__ = None
    assert lmcma.minimize(numba.njit(names["f"]), [1.0] * 3, 1.0, rng=1, ftarget=1e-6).success


@pytest.mark.parametrize(("seconds", "most"), [(0.2, 10), (0.01, 210)])
def test_max_time_is_looked_at_in_between(monkeypatch, seconds, most):
    """By a clock that goes with the iterations: compiled code runs for about a tenth of a second, or an iteration."""
    es = lmcma.make("cma", np.ones(5), 1.0, rng=1, stop="none")
    clock = types.SimpleNamespace(monotonic=lambda: seconds * es.nit, perf_counter=lambda: seconds * es.nit)
    monkeypatch.setattr(driver, "time", clock)
    res = driver.run(es, evaluator(compiled(sphere)), max_time=2.0)
    assert res.stop.reason == "max_time"
    assert round(2.0 / seconds) <= res.nit <= most


def test_rows_of_a_long_history_are_even():
    es = lmcma.make("cma", np.full(4, 2.0), 1.0, rng=1, maxiter=20_000, stop="none")
    history = lmcma.History(max_rows=64)
    driver.run(es, evaluator(compiled(sphere)), recorder=history)
    steps = np.diff(history["nit"])
    assert len(history) > 32
    assert len(set(steps[1:-1])) == 1  # iterations count from 1, and the last one is kept anyway


def test_large_matrices_in_threads():
    """BLAS is held to one thread while any run needs it: two runs side by side are those alone."""

    def run(seed):
        start = np.full(250, 2.0)
        options = {"lazy": "reference"}
        return lmcma.minimize(compiled(rosenbrock), start, 2.0, rng=seed, maxiter=6, options=options, record=False)

    alone = [run(seed).x for seed in range(4)]
    for threads in (1, 2):
        with ThreadPoolExecutor(threads) as pool:
            for a, b in zip(alone, pool.map(run, range(4)), strict=True):
                np.testing.assert_array_equal(a, b.x)
