"""The estimate of memory that a limit is compared with, against what is allocated."""

from __future__ import annotations

import gc
import tracemalloc

import numpy as np
import pytest

import lmcma
from lmcma.errors import MemoryLimitError
from lmcma.kernels import noise
from lmcma.strategies.base import default_popsize

LARGE, MODERATE = 200_000, 1500
CASES = [
    pytest.param("lm-cma", LARGE, {}, id="lm-cma"),
    pytest.param("lm-cma", LARGE, {"memory": 5, "popsize": 30}, id="lm-cma-few-paths"),
    pytest.param("lm-cma", LARGE, {"popsize": 6}, id="lm-cma-few-points"),
    pytest.param("lm-cma", 9000, {}, id="lm-cma-compared-wholly"),
    pytest.param("lm-cma-es", LARGE, {}, id="lm-cma-es"),
    pytest.param("lm-cma-es", LARGE, {"memory": 5, "popsize": 30}, id="lm-cma-es-few-paths"),
    pytest.param("lm-ma", LARGE, {}, id="lm-ma"),
    pytest.param("lm-ma", LARGE, {"memory": 5, "popsize": 30}, id="lm-ma-few-directions"),
    pytest.param("lm-ma", 9000, {}, id="lm-ma-compared-wholly"),
    pytest.param("rm-es", LARGE, {}, id="rm-es"),
    pytest.param("rm-es", LARGE, {"memory": 9, "popsize": 6}, id="rm-es-more-paths"),
    pytest.param("rm-es", 9000, {}, id="rm-es-compared-wholly"),
    pytest.param("vkd-cma", LARGE, {}, id="vkd-cma"),
    pytest.param("vkd-cma", LARGE, {"k": 5, "popsize": 30}, id="vkd-cma-few-directions"),
    pytest.param("vkd-cma", 9000, {"k": 10}, id="vkd-cma-compared-wholly"),
    pytest.param("vkd-cma", 300, {"k": 15, "popsize": 1500}, id="vkd-cma-many-points"),
    pytest.param("sep-cma", LARGE, {}, id="sep-cma"),
    pytest.param("sep-cma", LARGE, {"popsize": 4}, id="sep-cma-few-points"),
    pytest.param("sep-cma", 9000, {}, id="sep-cma-compared-wholly"),
    pytest.param("cma", MODERATE, {}, id="cma"),
    pytest.param("cma", 300, {"popsize": 1500}, id="cma-many-points"),
    pytest.param("ma", MODERATE, {}, id="ma"),
    pytest.param("ma", 300, {"popsize": 1500}, id="ma-many-points"),
    # its time for a generation grows with 20 n^3 / 3: 1500 variables take half a minute
    pytest.param("self-cma", 300, {"popsize": 50}, id="self-cma"),
    pytest.param("self-cma", 150, {}, id="self-cma-many-points"),
]


def two_iterations(method, x0, **options):
    """The strategy after two iterations with one array for all batches."""
    es = lmcma.make(method, x0, 0.5, rng=1, max_memory=np.inf, **options)
    out = np.empty((es.popsize, es.dim))
    f = np.arange(es.popsize, 0.0, -1.0)
    for _ in range(2):
        f = f - 1  # there is a new best in each
        es.tell(es.ask(out=out), f)
    return es


def peak(method, n, options):
    """The strategy and the most bytes that NumPy held at a time; what kernels allocate is tiles, and not seen."""
    two_iterations(method, np.ones(200), **options)  # compiles
    x0 = np.ones(n)
    gc.collect()
    tracemalloc.start()
    try:
        es = two_iterations(method, x0, **options)
        return es, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("method", "n", "options"), CASES)
def test_estimate_is_what_is_allocated(method, n, options):
    es, measured = peak(method, n, options)
    parts = es.memory_parts(n, es.popsize, options.get("memory", options.get("k")))
    # too low lets a run die of want of memory; a little too high only asks for a larger limit
    assert 0.9 * measured <= sum(parts.values()) <= 1.35 * measured


@pytest.mark.parametrize(("method", "n", "options"), CASES)
def test_limit_is_compared_with_the_sum_of_the_parts(method, n, options):
    kind = lmcma.methods()[method].load()
    popsize = options.get("popsize", kind.default_popsize(n))
    need = sum(kind.memory_parts(n, popsize, options.get("memory", options.get("k"))).values())
    with pytest.raises(MemoryLimitError):
        lmcma.make(method, np.ones(n), 0.5, max_memory=0.999 * need, **options)
    if not options:
        assert kind.fits(n, 1.001 * need)
        assert not kind.fits(n, 0.999 * need)
    assert kind.memory(n, popsize) == pytest.approx(sum(kind.memory_parts(n, popsize).values()))


@pytest.mark.parametrize("method", ["sep-cma", "lm-ma"])
def test_normal_numbers_are_kept_only_while_they_fit(method, monkeypatch):
    kind = lmcma.methods()[method].load()
    numbers = "normal numbers of the population"
    assert kind.memory_parts(10**6, 45)[numbers] == 8 * 45 * 10**6
    assert kind.memory_parts(10**7, 52)[numbers] == 0
    monkeypatch.setattr(noise, "_KEPT", 10**6)
    es, measured = peak(method, LARGE, {})
    parts = es.memory_parts(LARGE, es.popsize)
    assert parts[numbers] == 0
    assert 0.9 * measured <= sum(parts.values()) <= 1.35 * measured


@pytest.mark.parametrize("method", ["lm-cma", "lm-cma-es", "lm-ma", "rm-es"])
def test_default_number_of_stored_vectors(method):
    kind = lmcma.methods()[method].load()
    default = 2 if method == "rm-es" else default_popsize(1000)
    assert kind.default_memory(1000) == default
    assert kind.memory_parts(1000, 20) == kind.memory_parts(1000, 20, default)
    assert lmcma.make(method, np.ones(1000), 0.5).params.memory == default


def test_a_limit_that_is_enough_is_enough():
    # the companions of LM-CMA-ES, which it does not store, were counted where the user gave `memory`
    for method in ("lm-cma", "lm-cma-es", "lm-ma", "rm-es"):
        kind = lmcma.methods()[method].load()
        need = sum(kind.memory_parts(5000, 10, 40).values())
        assert lmcma.make(method, np.ones(5000), 0.5, popsize=10, memory=40, max_memory=need).popsize == 10


@pytest.mark.parametrize("method", ["lm-cma", "lm-ma", "rm-es"])
def test_minimize_holds_one_population_at_a_time(method):
    n = 200_000
    plan = lmcma.make(method, np.zeros(n), 1.0, memory=3).memory(n, 40, 3)
    tracemalloc.start()
    try:
        lmcma.minimize(lambda x: float(x @ x), np.zeros(n), 1.0, method=method, options={"memory": 3}, maxiter=4)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.2 * plan
