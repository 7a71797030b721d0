"""`ask_blocks`: the same points as `ask`, to the bit, without the whole matrix."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import lmcma
from lmcma.errors import ArgumentError, ProtocolError
from lmcma.testfunctions import ellipsoid
from tests.strategies import STRATEGIES, assert_same_state

every = pytest.mark.parametrize("make", [p for p in STRATEGIES if "bounded" not in p.id and p.id != "scaled"])


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
        np.testing.assert_array_equal(whole.mean, parts.mean)
        assert whole.best_f == parts.best_f
        assert ellipsoid(parts.result().x) == parts.best_f
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
    edited[0] = one.mean
    for es in (one, two, again):
        es.tell(edited, f)  # the edited row is noticed although nobody kept the batch
    assert_same_state(one, two)
    assert_same_state(one, again)


@pytest.mark.parametrize("method", ["lm-cma", "lm-cma-es", "lm-ma", "vkd-cma"])
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


def test_memory_of_blocks():
    n = 200_000
    for method in ("lm-cma", "lm-cma-es", "lm-ma", "vkd-cma"):
        few = {"k_max": 1} if method == "vkd-cma" else {"memory": 3}
        for _ in range(2):  # loads the kernels
            es = lmcma.make(method, np.zeros(20), 1.0, rng=1, **few)
            es.tell(None, values(es.ask()))
        es = lmcma.make(method, np.zeros(n), 1.0, rng=1, **few)
        tracemalloc.start()
        for ids, x in es.ask_blocks(2):
            es.tell(None, (x**2).sum(axis=1), ids=ids)
        for _ in es.ask_blocks(4):
            pass
        es.tell(None, np.arange(40.0))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert es.nit == 2
        assert peak < 10 * 8 * n  # the batch has 40 rows


def test_what_cannot_be():
    es = lmcma.LMCMA(np.ones(20), 1.0, rng=1)
    with pytest.raises(ArgumentError, match="`rows` must be >= 1"):
        next(es.ask_blocks(0))
    blocks = es.ask_blocks(2)
    next(blocks)
    es.tell(None, np.arange(es.popsize))
    es.ask()
    with pytest.raises(ProtocolError, match="goes through one batch"):
        next(blocks)
