"""Order and weights of a population."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmcma.kernels.ranking import assign_weights, count_finite, median, rank


def ranked(f):
    order, work = np.empty(len(f), dtype=np.int64), np.empty(len(f), dtype=np.int64)
    rank(np.asarray(f, dtype=float), order, work)
    return order


values = st.one_of(st.integers(-3, 3).map(float), st.sampled_from([np.nan, np.inf, -np.inf, -0.0]))


@given(st.lists(values, min_size=1, max_size=150))
def test_rank_is_a_stable_sort_with_nan_last(f):
    np.testing.assert_array_equal(ranked(f), np.argsort(np.array(f), kind="stable"))


def weights_of(f, weights, mu, own=None):
    f = np.asarray(f, dtype=float)
    omega = np.empty(len(f))
    own = np.ones(len(f), dtype=bool) if own is None else np.array(own)
    assign_weights(ranked(f), np.array(weights), mu, count_finite(f), own, omega)
    return omega


W = [0.7, 0.3, -0.2, -0.8]


def test_weights_by_rank():
    np.testing.assert_array_equal(weights_of([3, 1, 4, 2], W, 2), [-0.2, 0.7, -0.8, 0.3])


def test_values_that_are_no_numbers_share_their_weights():
    np.testing.assert_allclose(weights_of([np.nan, 1, np.inf, 2], W, 2), [-0.5, 0.7, -0.5, 0.3])
    np.testing.assert_allclose(weights_of([-np.inf, 1, 3, np.nan], W, 2), W)  # -inf is a value


def test_fewer_values_than_parents():
    np.testing.assert_allclose(weights_of([np.nan, 1, np.inf, np.nan], W, 2), [0, 1, 0, 0])
    np.testing.assert_allclose(
        weights_of([5, 1, np.nan, np.nan, np.nan, 7], [0.5, 0.3, 0.15, 0.05, -0.4, -0.6], 4),
        np.array([0.3, 0.5, 0, 0, 0, 0.15]) / 0.95,
    )


def test_no_negative_weight_for_foreign_points():
    np.testing.assert_allclose(weights_of([4, 3, 2, 1], W, 2, own=[False, True, False, True]), [0, -0.2, 0.3, 0.7])


@pytest.mark.parametrize("k", [1, 2, 16, 17, 33, 1000])
def test_sizes_around_the_runs_of_the_sort(k):
    f = np.random.default_rng(k).integers(0, 9, k).astype(float)
    np.testing.assert_array_equal(ranked(f), np.argsort(f, kind="stable"))


@pytest.mark.parametrize("k", [1, 2, 3, 8, 9, 100, 301])
def test_median(k):
    rng = np.random.default_rng(k)
    for values in (
        rng.standard_normal(k),
        rng.integers(0, 4, k).astype(float),  # many ties
        np.arange(float(k)),
        np.arange(float(k))[::-1].copy(),
        np.full(k, np.inf),
        np.where(rng.random(k) < 0.3, np.inf, rng.random(k)),
    ):
        expected = np.median(values) if np.isfinite(values).all() else np.sort(values)[[(k - 1) // 2, k // 2]].mean()
        assert median(values.copy()) == pytest.approx(expected, rel=1e-15)
