"""Threads inside of the large-scale methods: they change the time and nothing else."""

from __future__ import annotations

import copy
import pickle
import threading

import numpy as np
import pytest

import lmcma
from lmcma.errors import ArgumentError
from lmcma.kernels.chunks import CHUNK, Chunks
from lmcma.kernels.noise import block
from tests.reference import limited_memory_twin, lm_ma_twin, rm_es_twin
from tests.strategies import assert_same_state

N = 2 * CHUNK + 1000
METHODS = ["lm-cma", "lm-cma-es", "lm-ma", "rm-es", "vkd-cma"]
STORED = [(method, {}) for method in METHODS] + [(method, {"storage": "float64"}) for method in METHODS[:2]]


def advanced(method, threads, iterations=13, **options):
    if method != "sep-cma":
        options |= {"k": 4} if method == "vkd-cma" else {"memory": 4}
    es = lmcma.make(method, np.ones(N), 1.0, rng=1, popsize=6, threads=threads, stop="none", **options)
    for _ in range(iterations):
        x = es.ask()
        es.tell(x, (x[:, ::1000] ** 2).sum(axis=1))
    return es


@pytest.mark.parametrize(("method", "options"), [*STORED, ("sep-cma", {})])
def test_the_run_does_not_depend_on_threads(method, options):
    one, two = advanced(method, 1, **options), advanced(method, 2, **options)
    one.threads = two.threads
    assert_same_state(one, two)
    np.testing.assert_array_equal(one.ask(), two.ask())


@pytest.mark.parametrize(("method", "options"), STORED)
def test_chunks_make_the_candidates_of_the_recursion(method, options):
    es = advanced(method, 2, **options)
    # float32 is the default of two for so many variables
    digits = 1e-6 if method in METHODS[:2] and not options else 1e-12
    x = es.ask()
    z = np.empty(N)
    for row in (0, 4):
        if method == "lm-ma":
            block(es._noise(), N, row, 0, z)
            step = lm_ma_twin.factor_times(z, es.directions, es.params.c_d)
        elif method == "rm-es":
            block(es._noise(), N, row, 0, z)
            step = rm_es_twin.step(z, es._r[row], es.paths, es.params.c_1)
        elif method == "vkd-cma":
            block(es._noise(), N, row, 0, z)
            step = es.D * (z + ((np.sqrt(1 + es.S) - 1) * (es.V @ z)) @ es.V)
            if row == 4:  # ahead on the line of the last step
                step = np.linalg.norm(z) / es._length * es._step
        else:
            block(es._noise(), N, row // es._twins, 0, z)
            V, b, _ = limited_memory_twin.companions(es.paths.astype(float), es.params.c_1)
            used = int(es._used[row // es._twins])
            step = limited_memory_twin.factor_times(z, es.paths.astype(float), V, b, es.params.c_1, used)
        np.testing.assert_allclose(x[row], es.mean + es.sigma * step, rtol=10 * digits, atol=digits * abs(step).max())


def test_chunks_come_in_order_and_errors_come_through():
    chunks = Chunks(N, 2)
    assert chunks.map(lambda a, b: (a, b)) == [(0, CHUNK), (CHUNK, 2 * CHUNK), (2 * CHUNK, N)]
    seen = set()
    chunks.map(lambda a, b: seen.add(threading.get_ident()))
    assert threading.get_ident() not in seen
    with pytest.raises(ZeroDivisionError):
        chunks.map(lambda a, b: 1 // a)


def test_short_rows_need_no_threads():
    before = threading.active_count()
    es = lmcma.LMCMA(np.ones(1000), 1.0, rng=1, threads=2)
    es.tell(None, np.arange(len(es.ask())))
    assert threading.active_count() <= before


def test_a_copy_has_threads_of_its_own():
    es = advanced("lm-cma", 2, iterations=2)
    for copy_ in (copy.deepcopy(es), pickle.loads(pickle.dumps(es))):
        np.testing.assert_array_equal(copy_.ask(), es.ask())


def test_number_of_threads():
    with pytest.raises(ArgumentError, match="`threads` must be >= 1"):
        lmcma.LMMAES(np.ones(5), 1.0, threads=0)
    for method in (*METHODS, "sep-cma"):
        es = lmcma.make(method, np.ones(200), 1.0, threads=3)
        assert lmcma.from_state(es.state_dict()).threads == 3
