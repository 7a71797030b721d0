"""The quadratic function of quad-cma against its definition, and the step to its minimum against the conditions."""

import numpy as np
import pytest

from lmcma.kernels.ranksvm import rank_error
from lmcma.surrogate.quadratic import FREEDOM, RIDGE, coefficients, fitted, interpolated, spare, trust_region_step
from lmcma.testfunctions import random_rotation


def frame_of(n, seed=0):
    """A mean, and W with W^T W = C^(-1) of a C with condition 100."""
    return np.linspace(-1, 1, n), random_rotation(n, seed) / np.logspace(0, 1, n)[:, None]


def definition(frame, x, f, at):
    """Values at points of the minimiser of the penalised sum of squares, term by term, by least squares."""
    mean, W = frame
    n = len(mean)
    order = [k for k in np.argsort(f, kind="stable") if np.isfinite(f[k])]
    order = order[: max(3, int(0.75 * (len(order) + 1)))]
    Z = [W @ (x[k] - mean) for k in order]
    unit = np.sqrt(np.mean(np.square(Z)))
    w = np.linspace(20, 1, len(order))
    w = w / w.mean()

    def row(z):
        z = z / unit
        products = [z[j] * z[k] for j in range(n) for k in range(j, n)]
        return np.array([1, *z, *products, z @ z])

    penalties = [FREEDOM] * (n + 1) + [1 + (j < k) for j in range(n) for k in range(j, n)] + [FREEDOM]
    A = np.array([weight * row(z) for weight, z in zip(w, Z, strict=True)])
    A = np.vstack([A, np.diag(np.sqrt(RIDGE * np.array(penalties)))])
    y = np.concatenate([w * (f[order] - f[order[0]]), np.zeros(len(penalties))])
    found = np.linalg.lstsq(A, y, rcond=None)[0]
    return np.array([row(W @ (p - mean)) @ found for p in at])


@pytest.mark.parametrize(("n", "k"), [(1, 3), (2, 5), (4, 9), (4, 40), (7, 36)])
def test_it_is_the_minimiser_of_its_definition(n, k):
    rng = np.random.default_rng(k)
    frame = frame_of(n)
    x, at = rng.standard_normal((k, n)), rng.standard_normal((20, n))
    f = (x**4).sum(axis=1) + np.sin(3 * x[:, 0])
    model = fitted(frame, x, f)
    expected = definition(frame, x, f, at)
    np.testing.assert_allclose(model.values(at), expected, rtol=1e-6, atol=1e-6 * abs(expected).max())


def test_a_quadratic_function_is_found_from_as_many_points_as_coefficients():
    n = 6
    rng = np.random.default_rng(1)
    frame = frame_of(n)
    B = rng.standard_normal((n, n))
    best = rng.standard_normal(n)
    x = frame[0] + 3 * rng.standard_normal((coefficients(n), n))

    def f(x):
        return 5 + (((x - best) @ B) ** 2).sum(axis=1)

    model = fitted(frame, np.vstack([x, x[:10] / 2]), f(np.vstack([x, x[:10] / 2])))
    at = frame[0] + 3 * rng.standard_normal((200, n))
    assert rank_error(f(at), model.values(at)) < 0.03  # a quarter of the points is left out
    assert rank_error(f(at), -model.values(at)) > 0.97


def quadratic_values(x, seed=1):
    """A quadratic function with condition 10^6 and a minimum of 7 at ones."""
    n = x.shape[1]
    B = random_rotation(n, seed) * np.logspace(0, 3, n)[:, None] if n > 1 else np.eye(1)
    return 7 + (((x - 1) @ B.T) ** 2).sum(axis=1)


@pytest.mark.parametrize("n", [1, 2, 5, 10])
def test_points_on_a_quadratic_function_are_noticed(n):
    """Points and values over many orders of magnitude, a few that are no numbers; the minimum is found far away."""
    rng = np.random.default_rng(n)
    k = coefficients(n) + spare(n)
    frame = frame_of(n)
    x = frame[0] + rng.standard_normal((k, n)) * np.logspace(0, -2, k)[:, None]
    f = quadratic_values(x)
    model = interpolated(frame, np.vstack([x, x[:2]]), np.r_[f, np.nan, np.inf])
    assert model.exact
    at = frame[0] + rng.standard_normal((50, n))
    np.testing.assert_allclose(model.values(at) + f.min(), quadratic_values(at), rtol=1e-8)
    np.testing.assert_allclose(model.minimum(1e3), np.ones(n), atol=1e-6)
    assert interpolated(frame, x[1:], f[1:]) is None  # one too few
    assert not fitted(frame, x, f).exact


@pytest.mark.parametrize("noise", [3e-5, 1e-2])
def test_the_fit_is_that_of_its_definition_where_little_is_left_over(noise):
    n, rng = 4, np.random.default_rng(7)
    frame = mean, W = frame_of(n)
    k = coefficients(n) + 2 * spare(n)
    x = mean + rng.standard_normal((k, n))
    f = quadratic_values(x) * (1 + noise * rng.standard_normal(k))
    y = f - f.min()
    w = 1 / (y + np.median(y))
    rows = [[1, *z, *(z[i] * z[j] for i in range(n) for j in range(i, n))] for z in (x - mean) @ W.T]
    A = w[:, None] * np.array(rows)
    found = np.linalg.lstsq(A, w * y, rcond=None)[0]
    left = np.sum((A @ found - w * y) ** 2) / (k - coefficients(n))
    model = interpolated(frame, x, f)
    assert (model is None) == (left > 1e-6 * np.var(w * y)) == (noise == 1e-2)
    if model is not None:
        np.testing.assert_allclose(model.values(x), rows @ found, rtol=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        lambda x, f: (x, f + 1e-2 * np.abs(f - 7) ** 1.5),
        lambda x, f: (x, np.where(f > np.median(f), f, 8)),
        lambda x, f: (np.repeat(x[::2], 2, axis=0), np.repeat(f[::2], 2)),
        lambda x, f: (x, np.full(len(f), np.nan)),
        lambda x, f: (x, np.ones(len(f))),
        lambda x, f: (1e200 * x, f),
        lambda x, f: (0 * x, f),
    ],
    ids=["another function", "equal values", "few places", "nan", "constant", "far", "one place"],
)
def test_other_points_lie_on_no_quadratic_function(change):
    n, rng = 4, np.random.default_rng(8)
    x = rng.standard_normal((coefficients(n) + spare(n), n))
    frame = frame_of(n)
    assert interpolated(frame, x, quadratic_values(x)) is not None
    with np.errstate(over="ignore"):
        assert interpolated(frame, *change(x, quadratic_values(x))) is None


def test_what_few_points_leave_open_is_the_squared_distance_in_the_frame():
    """Eight values of |W (x - mean)|^2 in ten dimensions: the function is that, in all directions."""
    n = 10
    rng = np.random.default_rng(2)
    frame = frame_of(n)
    mean, W = frame
    x = mean + rng.standard_normal((8, n))
    model = fitted(frame, x, (((x - mean) @ W.T) ** 2).sum(axis=1))
    e = np.linalg.eigvalsh(model.H)
    assert e[0] > 0.95 * e[-1] > 0


def test_scale_and_offset_of_the_values():
    rng = np.random.default_rng(3)
    frame = frame_of(4)
    x, at = rng.standard_normal((30, 4)), rng.standard_normal((9, 4))
    f = np.round((x**4).sum(axis=1) * 2**20)  # so that sums are exact
    plain = fitted(frame, x, f).values(at)
    np.testing.assert_array_equal(fitted(frame, x, 2.0**30 * f).values(at), 2.0**30 * plain)
    np.testing.assert_array_equal(fitted(frame, x, f + 2**30).values(at), plain)


def test_values_that_are_no_numbers_take_no_part():
    rng = np.random.default_rng(4)
    frame = frame_of(3)
    x = rng.standard_normal((20, 3))
    f = (x**2).sum(axis=1)
    bad = np.array([np.nan, np.inf, -np.inf])
    both = fitted(frame, np.vstack([x, x[:3] + 1]), np.r_[f, bad])
    np.testing.assert_array_equal(both.H, fitted(frame, x, f).H)


RANDOM = np.random.default_rng(0).standard_normal((9, 2))


@pytest.mark.parametrize(
    ("x", "f"),
    [
        (np.zeros((0, 2)), []),
        (np.eye(2), [1, 2]),
        (np.tile([-1.0, 1.0], (5, 1)), [1, 2, 3, 4, 5]),  # all at the mean
        (RANDOM, [7] * 9),
        (RANDOM, [np.nan] * 9),
        (RANDOM, [-1e308, *[1e308] * 8]),  # differences are no numbers
        (1e200 * RANDOM, range(9)),
    ],
)
def test_nothing_to_learn_from(x, f):
    assert fitted(frame_of(2), x, np.array(f, dtype=float)) is None


def test_points_at_one_place_with_different_values():
    model = fitted(frame_of(2), np.ones((5, 2)), np.arange(5.0))
    assert np.isfinite(model.values(RANDOM)).all()
    assert np.isfinite(model.minimum(1.0)).all()


@pytest.mark.parametrize("radius", [0.1, 1.0, 30.0])
@pytest.mark.parametrize("kind", ["convex", "indefinite", "singular", "concave"])
def test_the_step_to_the_minimum_within_a_ball(kind, radius):
    """(H + l I) s = -g with l >= 0, H + l I without negative eigenvalues, and l = 0 or |s| = radius."""
    rng = np.random.default_rng(5)
    for n in (1, 2, 7):
        Q = random_rotation(n, 3) if n > 1 else np.eye(1)
        e = np.sort(rng.standard_normal(n))
        e = {
            "convex": abs(e) + 0.1,
            "indefinite": e,
            "singular": np.maximum(e, 0) * (np.arange(n) > 0),
            "concave": -abs(e),
        }[kind]
        H, g = (Q * e) @ Q.T, rng.standard_normal(n)
        s = trust_region_step(g, H, radius)
        length = np.linalg.norm(s)
        assert length <= radius * (1 + 1e-9)
        shift = -(s @ (H @ s + g)) / (s @ s)
        assert shift > -1e-9
        np.testing.assert_allclose(H @ s + shift * s, -g, atol=1e-7 * np.linalg.norm(g))
        assert shift + e.min() > -1e-9
        assert shift < 1e-7 or length == pytest.approx(radius, rel=1e-7)


def test_steps_without_a_slope():
    assert (trust_region_step(np.zeros(3), np.zeros((3, 3)), 1.0) == 0).all()
    assert (trust_region_step(np.zeros(3), np.eye(3), 1.0) == 0).all()
    s = trust_region_step(np.array([0.0, 1.0]), np.diag([-1.0, 1.0]), 2.0)  # no slope along the way down
    assert np.isfinite(s).all()
    assert np.linalg.norm(s) <= 2.0
