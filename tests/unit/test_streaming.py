"""`minimize` in large dimensions: the same run as ever, and no population in memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import lmcma
from lmcma import driver
from lmcma.errors import ObjectiveError
from lmcma.testfunctions import ellipsoid
from tests.strategies import assert_same_state

N = 64
CHAIN = {"restarts": "ipop", "x0_box": (-2, 2), "stop": {"profile": "none", "maxiter": 3}}
KINDS = [
    pytest.param(method, options, id="-".join([method, *(name for name in ("bounds", "restarts") if name in options)]))
    for method in ("lm-cma", "lm-cma-es", "sep-cma", "cma")
    for options in ({}, {"bounds": (-2.5, 3)}, CHAIN, {"bounds": (-2.5, 3), **CHAIN})
]


@pytest.fixture
def both(monkeypatch):
    """Call a function twice: as it is for so few variables, and as if they were many."""

    def call(run):
        found = []
        for first in (2**18, 1):
            monkeypatch.setattr(driver, "_STREAMED_FROM", first)
            found.append(run())
        return found

    return call


def run(fun=ellipsoid, method="lm-cma", maxfev=301, **options):
    return lmcma.minimize(fun, np.linspace(-1, 2, N), 1.0, method=method, maxfev=maxfev, rng=1, **options)


def same(a, b):
    assert (a.nfev, a.nit, a.nfail, a.fun, a.message) == (b.nfev, b.nit, b.nfail, b.fun, b.message)
    np.testing.assert_array_equal(a.x, b.x)
    np.testing.assert_array_equal(a.mean, b.mean)
    assert a.runs == b.runs
    for column in a.history.columns:
        np.testing.assert_array_equal(a.history[column], b.history[column])


@pytest.mark.parametrize(("method", "options"), KINDS)
def test_the_run_is_the_same(both, method, options):
    calls = []
    whole, streamed = both(lambda: run(method=method, callback=lambda r: calls.append(r.fun), **options))
    same(whole, streamed)
    assert calls[: len(calls) // 2] == calls[len(calls) // 2 :]


def test_the_objective_may_keep_its_argument_and_change_it(both):
    kept = []

    def rude(x):
        f = float(ellipsoid(x))
        kept.append(x)
        x[0] = 100.0
        return f

    same(*both(lambda: run(rude)))
    half = len(kept) // 2
    np.testing.assert_array_equal(kept[:half], kept[half:])


def failing(at):
    """An objective that fails at some calls."""
    calls = iter(range(10**6))

    def fun(x):
        k = next(calls)
        if k in at:
            raise ZeroDivisionError(f"call {k}")
        return float(ellipsoid(x))

    return fun


def test_failures(both):
    same(*both(lambda: run(failing({3, 20, 21, *range(40, 70)}))))


@pytest.mark.parametrize(
    ("at", "options", "message"),
    [
        ({0}, {}, "at its first evaluation.*call 0"),
        ({20}, {"on_error": "raise"}, "at evaluation 21,.*call 20"),
    ],
)
def test_fatal_failures(both, at, options, message):
    def error():
        with pytest.raises(ObjectiveError, match=message) as caught:
            run(failing(at), **options)
        return caught.value

    whole, streamed = both(error)
    assert str(whole) == str(streamed)
    np.testing.assert_array_equal(whole.x, streamed.x)


def test_an_end_in_the_middle_of_a_batch_leaves_the_same_file(both, tmp_path):
    files = iter(("whole", "streamed"))

    def interrupted():
        file = tmp_path / next(files)
        calls = iter(range(10**6))

        def fun(x):
            if next(calls) == 100:
                raise KeyboardInterrupt
            return float(ellipsoid(x))

        with pytest.raises(KeyboardInterrupt):
            run(fun, checkpoint=file)
        return lmcma.load(file), run(checkpoint=file, resume=True)

    (a, whole), (b, streamed) = both(interrupted)
    assert 0 < a.nfev == b.nfev <= 100
    assert_same_state(a, b)
    same(whole, streamed)
    same(whole, run())


@pytest.mark.parametrize("options", [{}, {"bounds": (-3, 3)}], ids=["", "bounded"])
def test_no_population_in_memory(options):
    n = 2**18
    lmcma.minimize(lambda x: float(x @ x), np.ones(n), 1.0, method="lm-cma", maxiter=1, **options)  # compiles
    plan = lmcma.make("lm-cma", np.ones(n), 1.0, memory=3).memory_parts(n, 41, 3)
    tracemalloc.start()
    try:
        lmcma.minimize(
            *(lambda x: float(x @ x), np.ones(n), 1.0), method="lm-cma", maxiter=3, options={"memory": 3}, **options
        )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    population = plan["population given to the objective"]
    assert population == 41 * 8 * n
    coordinates = 10 * 8 * n * bool(options)  # the map of bounds, and points on their way through it
    assert peak < sum(plan.values()) - population + 12 * 8 * n + coordinates


def test_a_recorder_sees_bounds_in_many_dimensions():
    # stds of the first 4096 coordinates met scales of all of them
    res = lmcma.minimize(lambda x: float(x @ x), np.ones(5000), 1.0, method="lm-cma", bounds=(-2, 2), maxiter=2, rng=1)
    assert len(res.history) == 2
