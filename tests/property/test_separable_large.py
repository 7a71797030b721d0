"""Separable CMA-ES where rows are cut into chunks and normal numbers may be drawn again: the same run to the bit."""

from __future__ import annotations

import numpy as np
import pytest

import lmcma
from lmcma.kernels import noise
from lmcma.kernels.chunks import CHUNK
from lmcma.strategies import sep_cma
from tests.reference.separable_twin import Twin
from tests.strategies import assert_same_state

LONG = CHUNK + 1500
SIZES = [1, 40, 3000, LONG]
variants = pytest.mark.parametrize("variant", sep_cma.VARIANTS)


def make(n, variant="active", **options):
    return lmcma.SepCMAES(np.ones(n), 1.0, popsize=9, variant=variant, rng=1, stop="none", **options)


def values(x):
    return np.array([float(np.sum(row[::7] ** 2) - row[0]) for row in x])


def advance(es, iterations=8):
    """A run with edited, injected and further points of the caller's own, told in all ways."""
    for g in range(iterations):
        if g == 3:
            es.inject(np.zeros((2, es.dim)))
        x = es.ask()
        if g == 1:
            x[4] *= 0.9
        if g == 4:
            es.tell([es.mean, es.mean + 100 * es.sigma], [-1.0, -2.0], ids=[-1, -1])
        if g == 5:
            es = lmcma.from_state(es.state_dict())  # whose rows were never asked
        if g % 3 == 2:
            es.tell(None, values(x))
        else:
            es.tell(x, values(x))
    return es


@pytest.fixture
def nothing_kept(monkeypatch):
    def switch():
        monkeypatch.setattr(noise, "_KEPT", 0)

    return switch


@variants
@pytest.mark.parametrize("n", SIZES)
def test_a_run_does_not_depend_on_what_is_kept(n, variant, nothing_kept):
    kept = advance(make(n, variant))
    nothing_kept()
    drawn = advance(make(n, variant, threads=2))
    assert kept._z.shape == (9, n)
    assert drawn._z.shape == (9, 0)
    kept.threads = 2
    assert_same_state(kept, drawn)
    np.testing.assert_array_equal(kept.ask(), drawn.ask())


@variants
@pytest.mark.parametrize("n", [1, 40, 3000])
def test_small_populations_have_a_way_of_their_own(n, variant, monkeypatch):
    small = advance(make(n, variant))
    monkeypatch.setattr(sep_cma, "_SMALL", 0)
    assert_same_state(small, advance(make(n, variant)))


@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.parametrize("n", [40, LONG])
def test_blocks_with_points_of_the_callers_own(n, keeps, nothing_kept):
    if not keeps:
        nothing_kept()
    whole, parts = make(n), make(n)
    for g in range(6):
        if g == 2:
            for es in (whole, parts):
                es.inject(np.full((2, n), 0.5))
        x = whole.ask()
        f = values(x)
        blocks = [(ids, block.copy()) for ids, block in parts.ask_blocks(4)]
        np.testing.assert_array_equal(np.concatenate([block for _, block in blocks]), x)
        ids = np.arange(9)
        if g == 3:  # a point in place of a row, the others as asked
            x[6], ids[6] = 0.25, -1
            f[6] = -1.0
        whole.tell(x, f, ids=ids)
        if g == 3:
            parts.tell(x, f, ids=ids)
        else:
            for rows, block in blocks:
                parts.tell(block, f[rows], ids=rows)
    assert_same_state(whole, parts)


@variants
@pytest.mark.parametrize("keeps", [True, False])
def test_one_update_in_chunks_as_the_twin(variant, keeps, nothing_kept):
    z = make(LONG, variant)
    z.ask()
    if not keeps:
        nothing_kept()
    es = make(LONG, variant)
    twin = Twin(np.ones(LONG), 1.0, es.params, variant)
    x = es.ask()
    np.testing.assert_allclose(x, twin.ask(z._z.copy()), rtol=1e-13, atol=1e-13)
    es.tell(None, values(x))
    twin.tell(values(x))
    np.testing.assert_allclose(es.sigma, twin.sigma, rtol=1e-12)
    for name in ("mean", "c", "p_c", "p_sigma"):
        ours, theirs = getattr(es, name), getattr(twin, name)
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-13 * abs(theirs).max(), err_msg=name)
