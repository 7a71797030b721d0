"""Paths stored in float32: half of the memory, the same search."""

from __future__ import annotations

import numpy as np
import pytest

import lmcma
from lmcma.errors import ArgumentError, MemoryLimitError, ShapeError
from lmcma.kernels import noise
from lmcma.kernels.noise import block
from lmcma.testfunctions import cigar, ellipsoid
from tests.reference import limited_memory_twin as twin
from tests.strategies import assert_same_state

METHODS = ["lm-cma", "lm-cma-es"]


def run(method, f, n, iterations, **options):
    es = lmcma.make(method, np.ones(n), 1.0, rng=1, stop="none", **options)
    for _ in range(iterations):
        x = es.ask()
        es.tell(x, f(x))
    return es


@pytest.mark.parametrize("method", METHODS)
def test_default_storage_follows_the_dimension(method):
    assert lmcma.make(method, np.ones(1000), 1.0).paths.dtype == np.float64
    assert lmcma.make(method, np.ones(70_000), 1.0).paths.dtype == np.float32
    assert lmcma.make(method, np.ones(70_000), 1.0, storage="float64").paths.dtype == np.float64
    with pytest.raises(ArgumentError, match="`storage` must be 'float64' or 'float32'; got 'half'"):
        lmcma.make(method, np.ones(3), 1.0, storage="half")


@pytest.mark.parametrize("method", METHODS)
def test_memory_that_is_asked_for(method):
    n = 70_000
    need = lmcma.make(method, np.ones(n), 1.0).memory(n, 37)
    lmcma.make(method, np.ones(n), 1.0, max_memory=1.01 * need)
    with pytest.raises(MemoryLimitError):
        lmcma.make(method, np.ones(n), 1.0, max_memory=1.01 * need, storage="float64")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("law", ["rademacher", "gaussian"])
def test_candidates_and_scalar_products(method, law):
    """Candidates are those of the recursion to the digits of what is stored; scalar products have all digits."""
    es = run(method, ellipsoid, 300, 400, storage="float32", noise=law, memory=12)
    P = es.paths.astype(float)
    assert es.paths.dtype == np.float32
    G = P @ P.T
    np.testing.assert_allclose(es._G[: len(G), : len(G)], G, atol=1e-13 * abs(G).max())
    x = es.ask()
    assert x.dtype == np.float64
    V, b, _ = twin.companions(P, es.params.c_1)
    z = np.empty(300)
    for row in (0, 3, es.popsize - 1):
        block(es._noise(), 300, row // es._twins, 0, z)
        step = twin.factor_times(z, P, V, b, es.params.c_1, int(es._used[row // es._twins]))
        want = es.mean + es.sigma * (-step if es._twins == 2 and row % 2 else step)
        np.testing.assert_allclose(x[row], want, rtol=0, atol=1e-5 * es.sigma * abs(step).max())


@pytest.mark.parametrize("method", METHODS)
def test_resume_to_the_bit(method):
    es = run(method, cigar, 200, 60, storage="float32")
    other = type(es).from_state(es.state_dict())
    assert other.storage == "float32"
    np.testing.assert_array_equal(other.ask(), es.ask())
    f = np.arange(es.popsize, dtype=float)
    es.tell(None, f)
    other.tell(None, f)
    assert_same_state(es, other)


@pytest.mark.parametrize("method", METHODS)
def test_an_injected_point_is_inverted(method):
    es = run(method, cigar, 200, 300, storage="float32")
    z = np.random.default_rng(3).standard_normal(200)
    V, b, _ = twin.companions(es.paths.astype(float), es.params.c_1)
    x = twin.factor_times(z, es.paths.astype(float), V, b, es.params.c_1)
    es._invert(x)
    np.testing.assert_allclose(x, z, atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_as_many_evaluations(method):
    """Median over five starts on the cigar function, to 1e-9: within 10 % of those of float64."""
    n, counts = 64, {"float64": [], "float32": []}
    for storage, found in counts.items():
        for seed in range(1, 6):
            x0 = np.random.default_rng(seed).uniform(-5, 5, n)
            es = lmcma.make(method, x0, 3.0, rng=seed, storage=storage, ftarget=1e-9, maxfev=10**5)
            while not es.stop():
                x = es.ask()
                es.tell(x, cigar(x))
            assert es.stop().reason == "ftarget"
            found.append(es.nfev)
    assert np.median(counts["float32"]) == pytest.approx(np.median(counts["float64"]), rel=0.1)


def test_the_start_is_looked_at_first():
    with pytest.raises(ShapeError):
        lmcma.LMCMA([], 0.5, storage="float32")


@pytest.mark.parametrize("method", METHODS)
def test_paths_that_grow_out_of_float32_end_the_run(method):
    """On a linear function, without any other rule; nothing is warned of."""
    es = lmcma.make(method, np.zeros(30), 1.0, rng=1, storage="float32", stop="none")
    while not es.stop():
        x = es.ask()
        assert np.isfinite(x).all()
        es.tell(x, -x[:, 0])
    assert es.stop().reason == "numeric"
    assert not np.isnan(es.stop().value)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("columns", [30_000, 50_000])
def test_normal_numbers_are_kept_where_the_estimate_says_so(mirrored, columns, monkeypatch):
    monkeypatch.setattr(noise, "_KEPT", 40_000 * 35)
    es = lmcma.LMCMAES(np.zeros(columns), 1.0, mirrored=mirrored)
    numbers = es.memory_parts(columns, es.popsize)["normal numbers of the population"]
    assert (es._kept.size > 0) == (numbers > 0)
    assert es._kept.nbytes <= numbers
