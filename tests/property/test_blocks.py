"""`ask_blocks`: the same points as `ask`, to the bit, without the whole matrix."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import lmcma
from lmcma.errors import ArgumentError, ProtocolError
from lmcma.kernels import noise
from lmcma.restarts import Scheme
from lmcma.testfunctions import ellipsoid
from tests.strategies import STRATEGIES, assert_same_state

LIMITED = ["lm-cma", "lm-cma-es", "lm-ma", "rm-es"]
BOUNDS = {"bounds": (-2.5, 3), "stds": 0.5}  # the ellipsoid's optimum is inside, most first candidates are not
RUNS = {"x0_box": (-2, 2), "final_mean": True, "stop": {"profile": "none", "maxiter": 3}}  # short runs, then their mean


def _wrapped(method, n, options, chain):
    def make():
        name, more = (f"{chain}-{method}", RUNS) if chain else (method, {"stop": "none"})
        more = {**more, **options, **({"stds": np.linspace(0.5, 2, n)} if "stds" in options else {})}
        return lmcma.make(name, np.linspace(-1, 2, n), 1.0, rng=1, **more)

    return make


WRAPPED = [
    pytest.param(_wrapped(method, n, options, chain), id=f"{method}{'-bounded' if options else ''}-{chain or 'single'}")
    for method, n in [*((m, 64) for m in LIMITED), *((m, 6) for m in ("cma", "sep-cma", "ma", "self-cma"))]
    for options, chain in [(BOUNDS, ""), ({}, "independent"), (BOUNDS, "independent")]
]
every = pytest.mark.parametrize("make", [*STRATEGIES, *WRAPPED])


def values(x):
    """Row by row: a product of matrices depends on their shape in the last bits."""
    return np.array([ellipsoid(row) for row in x])


@every
@pytest.mark.parametrize("rows", [1, 3, 100])
def test_blocks_are_the_batch(make, rows):
    whole, parts = make(), make()
    for g in range(12):
        if g == 5:
            parts.inject(np.zeros((2, parts.dim)))
            whole.inject(np.zeros((2, parts.dim)))
        x = whole.ask()
        seen = []
        for ids, block in parts.ask_blocks(rows):
            assert len(ids) == len(block) <= rows
            np.testing.assert_array_equal(block, x[ids])
            seen += ids.tolist()
            parts.tell(None, values(block), ids=ids)
        assert seen == list(range(len(x)))
        whole.tell(None, values(x))
        np.testing.assert_array_equal(whole.result().mean, parts.result().mean)
        assert whole.best_f == parts.best_f
        assert ellipsoid(parts.result().x) == parts.best_f
    assert_same_state(whole, parts)
    assert whole.result().runs == parts.result().runs


@every
def test_blocks_told_in_parts_and_in_any_order(make):
    whole, parts = make(), make()
    for _ in range(8):
        x = whole.ask()
        f = values(x)
        whole.tell(x, f)
        for ids, block in parts.ask_blocks(3):
            if 0 in ids:
                continue  # the first rows come last
            parts.tell(None, values(block[::-1]), ids=ids[::-1])
        parts = lmcma.from_state(parts.state_dict())
        # complained at its end that the batch was complete, where the last rows had been told before
        for ids, _ in parts.ask_blocks(3):
            for k in ids.tolist():
                parts.tell(None, f[[k]], ids=[k])
    assert_same_state(whole, parts)


@every
def test_a_batch_in_blocks_may_be_told_and_saved_like_any_other(make):
    one, two = make(), make()
    for es in (one, two):
        es.tell(None, ellipsoid(es.ask()))
    x = one.ask()
    blocks = [(ids, block.copy()) for ids, block in two.ask_blocks(2)]
    again = lmcma.from_state(two.state_dict())
    np.testing.assert_array_equal(np.concatenate([b for _, b in blocks]), x)
    np.testing.assert_array_equal(two.ask(), x)
    f = ellipsoid(x)
    edited = x.copy()
    edited[0] = one.result().mean
    for es in (one, two, again):
        es.tell(edited, f)  # the edited row is noticed although nobody kept the batch
    assert_same_state(one, two)
    assert_same_state(one, again)


@pytest.mark.filterwarnings("ignore::lmcma.errors.PopulationWarning")
@pytest.mark.parametrize("method", [*LIMITED, "sep-cma", "vkd-cma"])
@pytest.mark.parametrize("n", [63, 64, 65, 100, 1000])
def test_a_row_does_not_depend_on_the_others_made_with_it(method, n):
    es = lmcma.make(method, np.ones(n), 1.0, rng=1, stop="none")
    for _ in range(25):
        x = es.ask()
        for rows in (1, 2, 5):
            for ids, block in es.ask_blocks(rows):
                np.testing.assert_array_equal(block, x[ids])
        es.tell(None, values(x))
        assert values(es.result().x[None, :])[0] == es.best_f


def test_what_is_told_does_not_come_again():
    es = lmcma.LMCMA(np.ones(20), 1.0, rng=1)
    x = es.ask()
    es.tell(None, values(x[[0, 1, 3]]), ids=[0, 1, 3])
    again = lmcma.from_state(es.state_dict())
    seen = [(ids.tolist(), block.copy()) for ids, block in again.ask_blocks(2)]
    assert [ids for ids, _ in seen][:2] == [[2], [4, 5]]
    np.testing.assert_array_equal(seen[0][1], x[[2]])
    for ids, block in again.ask_blocks(3):
        again.tell(None, values(block), ids=ids)
    assert again.nit == 1


def peak_of_a_batch(es):
    """Most bytes held at a time beyond those held before, while a batch is asked and told two rows at a time."""
    tracemalloc.start()
    for ids, x in es.ask_blocks(2):
        es.tell(None, (x**2).sum(axis=1), ids=ids)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("method", [*LIMITED, "vkd-cma"])
def test_memory_of_blocks(method):
    n = 200_000
    few = {"k_max": 1} if method == "vkd-cma" else {"memory": 3}
    es = lmcma.make(method, np.zeros(n), 1.0, rng=1, **few)
    peak_of_a_batch(es)  # compiles
    assert peak_of_a_batch(es) < 10 * 8 * n  # the batch has 40 rows
    tracemalloc.start()
    for _ in es.ask_blocks(4):
        pass
    es.tell(None, np.arange(40.0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * 8 * n
    assert es.nit == 3


@pytest.mark.parametrize("chain", ["", "independent-"])
def test_memory_of_blocks_under_bounds(chain):
    # bounds kept a part of every batch, and a loaded run made all of it
    n = 20_000
    more = {"popsize": 60, "memory": 3, "stop": "none", **({"x0_box": (-0.5, 0.5)} if chain else {})}
    es = lmcma.make(f"{chain}lm-cma", np.zeros(n), 1.0, rng=1, bounds=(-1, 1), **more)
    vector, batch = 8 * n, 60 * 8 * n
    peak_of_a_batch(es)  # compiles
    assert peak_of_a_batch(es) < 10 * vector
    ids, x = next(es.ask_blocks(2))
    es.tell(None, (x**2).sum(axis=1), ids=ids)
    state = es.state_dict()
    tracemalloc.start()
    es = lmcma.from_state(state)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < batch
    assert peak_of_a_batch(es) < 10 * vector
    assert es.nit == 3


def test_memory_of_blocks_whose_numbers_are_not_kept(monkeypatch):
    monkeypatch.setattr(noise, "_KEPT", 0)
    for n in (20, 200_000):  # the first compiles
        es = lmcma.make("sep-cma", np.zeros(n), 1.0, rng=1)
        tracemalloc.start()
        for ids, x in es.ask_blocks(2):
            es.tell(None, (x**2).sum(axis=1), ids=ids)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert es.nit == 1
    assert peak < 10 * 8 * n  # the batch has 40 rows


@pytest.mark.parametrize("options", [{}, {"bounds": (-3, 3)}], ids=["", "bounded"])
@pytest.mark.parametrize("chain", ["", "independent-"])
def test_what_cannot_be(chain, options):
    es = lmcma.make(f"{chain}lm-cma", np.ones(20), 1.0, rng=1, **options)
    with pytest.raises(ArgumentError, match="`rows` must be >= 1"):
        next(es.ask_blocks(0))
    blocks = es.ask_blocks(2)
    next(blocks)
    es.tell(None, np.arange(es.popsize))
    es.ask()
    with pytest.raises(ProtocolError, match="goes through one batch"):
        next(blocks)


def test_the_end_of_a_run_is_the_end_of_its_blocks():
    es = lmcma.make("independent-lm-cma", np.ones(20), 1.0, rng=1, x0_box=(-2, 2), stop={"maxiter": 1}, maxfev=36)
    blocks = es.ask_blocks(2)
    next(blocks)
    es.tell(None, np.arange(es.popsize))
    x = es.ask()  # of the next run
    with pytest.raises(ProtocolError, match="goes through one batch"):
        next(blocks)
    np.testing.assert_array_equal(next(es.ask_blocks(100))[1], x)
    over = lmcma.Restarts([1.0, 1.0], 1.0, scheme=Scheme("once", max_large=0), stop={"maxiter": 1}, rng=1)
    for ids, x in over.ask_blocks():
        over.tell(None, values(x), ids=ids)
    with pytest.raises(ProtocolError, match="nothing to offer any more"):
        next(over.ask_blocks())
