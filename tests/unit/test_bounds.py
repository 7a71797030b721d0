"""Bounds and scales: the map itself, and strategies that search through it."""

import functools
import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import Bounds, lsq_linear

import lmcma
from lmcma.arguments import as_bounds
from lmcma.errors import ArgumentError, ArgumentTypeError, ProtocolError, ShapeError, StateError
from lmcma.restarts import SCHEMES
from lmcma.testfunctions import ellipsoid, random_rotation, rastrigin, sphere
from lmcma.transforms import Coordinates, Mapped
from tests.strategies import assert_same_state

INF = math.inf
LARGEST = float(np.finfo(float).max)
# (low, high, margin at low, margin at high)
CASES = [
    pytest.param(0.0, 1.0, 0.05, 0.05, id="unit"),
    pytest.param(-3.0, 17.0, 1.0, 1.0, id="shifted"),
    pytest.param(1e8, 1e8 + 1, 0.05, 0.05, id="far away"),
    pytest.param(-200.0, INF, 10.0, 0.0, id="low only"),
    pytest.param(0.0, INF, 0.05, 0.0, id="low only, 0"),
    pytest.param(-INF, 3.0, 0.0, 0.15, id="high only"),
    pytest.param(0.0, 1e-300, 5e-302, 5e-302, id="tiny"),
    pytest.param(-1e300, 1e300, 1e299, 1e299, id="huge"),
]


def one(low, high):
    """The map of one coordinate, and its inverse, for arrays of numbers."""
    c = Coordinates(np.zeros(1), np.ones(1), np.array([low], dtype=float), np.array([high], dtype=float))

    def to_user(v):
        return c.to_user(np.array(v, dtype=float).reshape(-1, 1)).ravel()

    def to_strategy(y, near=None):
        y = np.array(y, dtype=float).reshape(-1, 1)
        return c.to_strategy(y, None if near is None else np.full_like(y, near)).ravel()

    return to_user, to_strategy


def edges(low, high, a, b):
    """The feasible set in the space of the strategy, cut where it has no end."""
    length = 10 * max(a, b)
    return (low - a if low > -INF else high - length), (high + b if high < INF else low + length)


# -------------------------------------------------------------------- the map


@pytest.mark.parametrize(("low", "high", "a", "b"), CASES)
def test_margins_and_identity_between_them(low, high, a, b):
    to_user, to_strategy = one(low, high)
    inner = np.linspace(low + a if low > -INF else high - b - 50, high - b if high < INF else low + a + 50, 101)[1:-1]
    for image in (to_user(inner), to_strategy(inner)):
        np.testing.assert_array_equal(image, inner)
    beyond = [low + 0.5 * a] * (low > -INF) + [high - 0.5 * b] * (high < INF)
    assert (to_user(beyond) != beyond).all()


@pytest.mark.parametrize(("low", "high", "a", "b"), CASES)
def test_bounds_are_reached_at_the_edges(low, high, a, b):
    to_user, to_strategy = one(low, high)
    for bound, edge in ((low, low - a), (high, high + b)):
        if abs(bound) < INF:
            assert to_user([edge])[0] == bound
            assert to_strategy([bound])[0] == edge


@pytest.mark.parametrize(("low", "high", "a", "b"), CASES)
def test_continuous_with_continuous_slope(low, high, a, b):
    """Around all knots, mirrored ones included, values differ by no more than the step, slopes by step / 2 a."""
    to_user, _ = one(low, high)
    knots = [low - 3 * a, low - a, low + a] * (low > -INF) + [high - b, high + b, high + 3 * b] * (high < INF)
    for knot in knots:
        step = 1e-4 * max(a, b)
        v = knot + step * np.arange(-3, 4)
        y = to_user(v)
        rounding = 4 * np.spacing(abs(v).max())
        assert (abs(np.diff(y)) <= step + rounding).all()
        change = abs(np.diff(y, 2)) / step  # of the slope; the parabola bends by 1 / (2 a)
        assert (change <= step / (2 * min(a or INF, b or INF)) * 1.001 + 4 * rounding / step).all()


@pytest.mark.parametrize(("low", "high", "a", "b"), CASES)
def test_inverse(low, high, a, b):
    """Identity on the feasible set from both sides; near a bound that is not 0, y itself is only known to rounding."""
    to_user, to_strategy = one(low, high)
    left, right = edges(low, high, a, b)
    v = np.linspace(left, right, 1001)
    y = to_user(v)
    unit = np.spacing(max(abs(x) for x in (low, high, a, b) if abs(x) < INF))
    np.testing.assert_allclose(
        to_strategy(y), v, rtol=1e-13, atol=4 * math.sqrt(unit) * math.sqrt(max(a, b)) + 8 * unit
    )
    np.testing.assert_allclose(to_user(to_strategy(y)), y, rtol=1e-14, atol=4 * unit)
    assert (np.diff(y) >= 0).all()


@pytest.mark.parametrize(("low", "high", "a", "b"), CASES)
def test_mirrors_and_period(low, high, a, b):
    to_user, _ = one(low, high)
    left, right = edges(low, high, a, b)
    v = np.linspace(left, right, 101)
    y, unit = to_user(v), 16 * np.spacing(max(abs(left), abs(right)))
    if low > -INF:
        np.testing.assert_allclose(to_user(2 * left - v), y, atol=unit)
    if high < INF:
        np.testing.assert_allclose(to_user(2 * right - v), y, atol=unit)
    if low > -INF and high < INF:
        period = 2 * (high - low + a + b)
        for k in (-3, -1, 1, 2, 1000):
            np.testing.assert_allclose(to_user(v + k * period), y, atol=(abs(k) + 1) * unit)


finite = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def intervals(draw):
    low, high = sorted((draw(finite), draw(finite)))
    if low == high:
        high = math.nextafter(high, INF)
    kind = draw(st.sampled_from(["both", "low", "high"]))
    return (-INF if kind == "high" else low), (INF if kind == "low" or high == INF else high)


@given(intervals(), st.floats(allow_nan=False), finite)
def test_whatever_comes_is_feasible(interval, v, near):
    low, high = interval
    to_user, to_strategy = one(low, high)
    y = to_user([v])
    assert low <= y[0] <= high
    assert np.isfinite(y).all()
    again = to_user(to_strategy(y, near))
    assert low <= again[0] <= high
    width = min(high, LARGEST) / 2 - max(low, -LARGEST) / 2
    assert abs(again[0] / 2 - y[0] / 2) <= 1e-12 * max(width, abs(near), abs(y[0]))


@given(st.floats(-50, 50), st.floats(-50, 50), st.sampled_from([(-1.0, 2.0), (-1.0, INF), (-INF, 2.0)]))
def test_the_nearest_preimage(u, near, interval):
    to_user, to_strategy = one(*interval)
    y = to_user([u])
    found = to_strategy(y, near)[0]
    assert to_user([found])[0] == pytest.approx(y[0], abs=1e-12)
    principal = to_strategy(y)[0]
    a = 0.15 if np.isfinite(interval).all() else 0.05 if interval[0] == -1 else 0.1
    left, right = interval[0] - a, interval[1] + a
    mirrored = 2 * (left if left > -INF else right) - principal
    images = [principal, mirrored]
    if np.isfinite(interval).all():
        images = [x + 2 * k * (right - left) for x, k in itertools.product(images, range(-10, 11))]
    # to rounding, which the square root at a bound amplifies
    assert abs(found - near) <= min(abs(x - near) for x in images) + 1e-6


def test_a_coordinate_that_is_there_already_stays_to_the_bit():
    rng = np.random.default_rng(1)
    c = Coordinates(rng.normal(size=5), rng.uniform(0.1, 2, 5), np.full(5, -1 / 3), np.full(5, np.pi))
    u = rng.normal(0, 5, (40, 5))
    x = c.to_user(u.copy())
    np.testing.assert_array_equal(c.to_strategy(x, u.copy()), u)


def test_ends_of_the_floating_point_numbers():
    for low, high in ((-LARGEST, LARGEST), (-1e308, 1e308), (1e308, 1.1e308), (LARGEST / 2, INF), (-5e-324, 5e-324)):
        to_user, to_strategy = one(low, high)
        v = np.array([-INF, -LARGEST, -1e308, -1.0, -5e-324, 0.0, 1e-300, 1.0, 1e308, LARGEST, INF])
        y = to_user(v)
        assert np.isfinite(y).all()
        assert ((low <= y) & (y <= high)).all()
        assert np.isfinite(to_strategy(y)).all()
    to_user, _ = one(-1e308, 1e308)
    np.testing.assert_allclose(to_user([1.1e308, 1.3e308, -1.3e308]), [1e308, 0.9e308 * 1, -0.9e308], rtol=0.03)


# -------------------------------------------------------------------- how bounds and scales are given


@pytest.mark.parametrize(
    ("bounds", "n", "low", "high"),
    [
        (None, 2, [-INF, -INF], [INF, INF]),
        ((0, 1), 3, [0, 0, 0], [1, 1, 1]),
        ((0, None), 2, [0, 0], [INF, INF]),
        ((None, [1, 2, 3]), 3, [-INF] * 3, [1, 2, 3]),
        (([0, 0, None], 5), 3, [0, 0, -INF], [5, 5, 5]),
        ((np.zeros(3), np.ones(3)), 3, [0, 0, 0], [1, 1, 1]),
        ([(0, 1), (None, 2), (3, None)], 3, [0, -INF, 3], [1, 2, INF]),
        ([(0, 1)], 1, [0], [1]),
        ((0, 1), 1, [0], [1]),
        (([0], [1]), 1, [0], [1]),
        ((0, 1), 2, [0, 0], [1, 1]),
        ([(0, 1), (2, 3)], 2, [0, 2], [1, 3]),
        (np.array([[0, 1], [2, 3]]), 2, [0, 2], [1, 3]),
        (Bounds([0, 1], [2, 3]), 2, [0, 1], [2, 3]),
        (Bounds(0, np.inf), 2, [0, 0], [INF, INF]),
        (zip([0, 1, 2], [1, 2, 3], strict=True), 3, [0, 1, 2], [1, 2, 3]),
    ],
)
def test_forms_of_bounds(bounds, n, low, high):
    found = as_bounds(bounds, n)
    np.testing.assert_array_equal(found, [low, high])
    assert all(side.dtype == float for side in found)


BAD = [
    ({"bounds": 3}, ShapeError, r"`bounds` must be \(low, high\), two numbers or arrays of shape \(3,\), or 3 pairs"),
    ({"bounds": (0, 1, 2)}, ShapeError, "got \\(0, 1, 2\\)"),
    ({"bounds": "ab"}, ShapeError, "got 'ab'"),
    ({"bounds": ([0, 0], [1, 1])}, ShapeError, "`bounds` must be"),
    ({"bounds": [(0, 1)] * 4}, ShapeError, "`bounds` must be"),
    ({"bounds": (0, 1j)}, ShapeError, "`bounds` must be"),
    (
        {"bounds": (0, [1, 1, 0])},
        ArgumentError,
        r"low < high in every coordinate; got low\[2\] = 0, high\[2\] = 0. Leave .* fixed",
    ),
    ({"bounds": (2, 1)}, ArgumentError, r"got low\[0\] = 2, high\[0\] = 1.$"),
    ({"bounds": (np.nan, 1)}, ArgumentError, r"low\[0\] = nan"),
    ({"bounds": (INF, INF)}, ArgumentError, r"low\[0\] = inf"),
    ({"x0": [0, 1], "bounds": ([0, 0], [5, 5])}, ArgumentError, "Two rows of two numbers are the pairs of two"),
    (
        {"bounds": (0, 0.3)},
        ArgumentError,
        r"`x0` must lie within `bounds`; x0\[1\] = 0.5 is above high\[1\] = 0.3. Move",
    ),
    ({"bounds": (0.3, None)}, ArgumentError, r"x0\[0\] = 0.25 is below low\[0\] = 0.3"),
    ({"stds": [1, 2]}, ShapeError, r"`stds` must have shape \(3,\), one number per coordinate of `x0`; got \(2,\)"),
    ({"stds": 2.0}, ShapeError, "`stds` must have shape"),
    ({"stds": [1, 0, 1]}, ArgumentError, r"`stds` must be > 0; got stds\[1\] = 0. Leave"),
    ({"stds": [1, np.inf, 1]}, ArgumentError, "`stds` must be finite"),
    ({"stds": "abc"}, ArgumentTypeError, "`stds` must be a sequence of numbers"),
    ({"x0": [np.nan], "bounds": (0, 1)}, ArgumentError, "`x0` must be finite"),
    ({"x0": 1.0, "bounds": (0, 1)}, ShapeError, "`x0` must have shape"),
    ({"bounds": (0, 1), "bound": 1}, ArgumentTypeError, "no option 'bound'; did you mean 'bounds'"),
    (
        {"method": "ipop-cma", "bounds": (0, 1), "x0_box": (-1, 1)},
        ArgumentError,
        r"x0_box\[0\] = -1\.0 is below low\[0\] = 0\.0",
    ),
    (
        {"method": "ipop-cma", "bounds": (0, 1), "x0_box": (0.5, 0.1)},
        ArgumentError,
        "`x0_box` must be finite with low < h",
    ),
]


@pytest.mark.parametrize(("change", "error", "text"), BAD)
def test_errors(change, error, text):
    arguments = {"method": "cma", "x0": [0.25, 0.5, 0.75], **change}
    with pytest.raises(error, match=text):
        lmcma.make(arguments.pop("method"), arguments.pop("x0"), 0.2, **arguments)


def test_bounds_given_twice():
    with pytest.raises(ArgumentError, match="`options` repeats 'bounds'"):
        lmcma.minimize(sphere, [0.5], 0.1, bounds=(0, 1), options={"bounds": (0, 1)})


def test_starts_on_the_bounds():
    es = lmcma.make("cma", [0.0, 1.0, 0.5], 0.1, bounds=(0, 1), rng=1, ftarget=1e-10)
    np.testing.assert_array_equal(es.mean, [0, 1, 0.5])
    np.testing.assert_array_equal(es.result().x, [0, 1, 0.5])
    while not es.stop():
        x = es.ask()
        es.tell(x, sphere(x - 0.3))
    assert es.result().success


# -------------------------------------------------------------------- searching

N = 10
BOX = [(-1.0, 2.0)] * 5 + [(0.0, None)] * 3 + [(-50.0, 1.0)] * 2
LOW, HIGH = as_bounds(BOX, N)
SLOPES = np.array([1.0, 5, -2, 0.1, -3, 1, 2, 1, -1, -4])
CENTRE = np.array([3.0, 0.5, -2, 1.9, -1, -0.7, 0.2, -5, 2, 0.4])


def slope(x):
    return ((x - np.where(SLOPES > 0, LOW, HIGH)) * SLOPES).sum(axis=-1)


def shifted(x):
    """Its minimum is outside in six coordinates, on a bound in one."""
    return sphere(x - CENTRE) - sphere(np.clip(CENTRE, LOW, HIGH) - CENTRE)


@pytest.mark.parametrize("method", ["cma", "sep-cma", "ma", "lm-cma"])
@pytest.mark.parametrize("f", [slope, shifted])
def test_an_optimum_on_the_bounds(method, f):
    """Reached to 1e-8, in not much more than the 1500 to 2500 evaluations that a sphere takes."""
    x0 = np.full(N, 0.5)
    es = lmcma.make(method, x0, 0.5, bounds=BOX, ftarget=1e-8, maxfev=6000, rng=3)
    while not es.stop():
        x = es.ask()
        assert ((x >= LOW) & (x <= HIGH)).all()
        es.tell(x, f(x))
    res = es.result()
    assert res.success
    assert f(res.x) == res.fun


def test_an_optimum_on_the_bounds_in_turned_coordinates():
    """A long valley into a face of the box: seven of ten coordinates on a bound, condition 1e4."""
    A = 100 ** np.linspace(0, 1, N)[:, None] * random_rotation(N, 3)
    centre = np.where(np.arange(N) % 2, 0.5, -0.5)
    best = lsq_linear(A, A @ centre, bounds=(0, 1), tol=1e-15, method="bvls", max_iter=1000).x
    target = sphere(A @ (best - centre)) + 1e-8
    es = lmcma.make("cma", np.full(N, 0.45), 0.25, bounds=(0, 1), ftarget=target, maxfev=4000, rng=1)
    while not es.stop():
        x = es.ask()
        es.tell(x, sphere((x - centre) @ A.T))
    assert es.result().success


@pytest.mark.parametrize("edited", [False, True])
def test_a_corner_is_found_from_edited_rows_too(edited):
    """Half of the rows at an optimum on a bound come from behind the mirror."""
    es = lmcma.make("cma", np.full(4, 0.5), 0.3, bounds=(1 / 3, 2), ftarget=1e-9, maxfev=4000, rng=1)
    rng = np.random.default_rng(5)
    while not es.stop():
        x = es.ask()
        if edited:
            x = np.minimum(x * (1 + 1e-12 * rng.random(x.shape)), 2)
        es.tell(x, (x - 1 / 3).sum(axis=1))
    assert es.result().success


def test_scales():
    """With its scales given, an ellipsoid is a sphere: the same run, to rounding, and tolx counts in these units."""
    n, stds = 8, 10.0 ** -np.arange(8.0)
    a = lmcma.make("cma", np.ones(n) * stds, 0.5, stds=stds, rng=1)
    b = lmcma.make("cma", np.zeros(n), 0.5, rng=1)
    for _ in range(100):
        x, y = a.ask(), b.ask()
        np.testing.assert_allclose(x, (1 + y) * stds, rtol=1e-9, atol=1e-12)
        f = sphere(1 + y)
        a.tell(x, f)
        b.tell(y, f)
    assert a.sigma == b.sigma
    snap = a.snapshot()
    np.testing.assert_array_equal(snap["stds"], b.snapshot()["stds"] * stds)
    np.testing.assert_allclose(snap["mean"], (1 + b.mean) * stds, rtol=1e-9)
    np.testing.assert_array_equal(a.mean, snap["mean"])
    np.testing.assert_array_equal(a.result().mean, snap["mean"])


@pytest.mark.parametrize("method", ["cma", "lm-cma", "sep-cma", "ma", "self-cma", "bipop-acma", "auto"])
def test_the_result_is_feasible_and_its_value_is_exact(method):
    def f(x):
        assert (x >= low).all()
        assert (x <= high).all()
        return float(ellipsoid(x - centre))

    n = 5
    rng = np.random.default_rng(7)
    low, high, centre = rng.uniform(-2, -1, n), rng.uniform(0.1, 2, n), rng.uniform(-3, 3, n)
    for stds in (None, rng.uniform(0.1, 3, n)):
        more = {"x0_box": (low, high)} if method == "bipop-acma" else {}
        res = lmcma.minimize(
            f, np.zeros(n), 0.3, method=method, bounds=(low, high), stds=stds, maxfev=1500, rng=2, options=more
        )
        assert f(res.x) == res.fun
        assert (low <= res.mean).all()
        assert (res.mean <= high).all()


# -------------------------------------------------------------------- points of the user's own


def bounded(n=4, x0=None, **options):
    start = np.full(n, 0.5) if x0 is None else x0
    return lmcma.make("cma", start, 0.3, **{"bounds": (-1 / 3, 2), "stop": "none", "rng": 1, **options})


def test_the_best_is_the_users_own_point_where_it_is():
    for stds in (None, [0.3, 0.7, 1.1, 1.3]):
        es = bounded(stds=stds)
        x = es.ask()
        x[1] = 1.7, 0.1, 0.2, 0.3
        es.tell(x, [5.0, -1.0, *np.ones(len(x) - 2)])
        assert (es.result().x == x[1]).all()
        own = np.array([[0.7, 0.6, 0.5, 1 / 3]])
        es.tell(own, [-2.0], ids=[-1])
        assert (es.result().x == own).all()
        x = es.ask()
        es.tell(None, np.arange(len(x)) - 2.0)  # no better
        assert (es.result().x == own).all()
        x = es.ask()
        es.tell(x, np.arange(len(x)) - 3.0)
        assert (es.result().x == x[0]).all()


def test_points_outside_are_refused_without_a_trace():
    a, b = bounded(), bounded()
    x, _ = a.ask(), b.ask()
    far = x.copy()
    far[2, 1] = 2.5
    f = sphere(x)
    with pytest.raises(ArgumentError, match=r"`x` must lie within `bounds`; x\[2, 1\] = 2.5 is above high\[1\] = 2"):
        a.tell(far, f)
    with pytest.raises(ArgumentError, match=r"x\[0, 0\] = -7\.0 is below low\[0\] = -0.333333"):
        a.tell(np.full((1, 4), -7.0), [1.0], ids=[-1])
    with pytest.raises(ArgumentError, match=r"x\[0, 2\] = 3\.0 is above"):
        a.inject([0, 0, 3.0, 0])
    assert_same_state(a, b)
    a.tell(far[:1], f[:1], ids=[0])  # the row as asked, whatever the other ones are
    b.tell(None, f[:1], ids=[0])
    assert_same_state(a, b)


def test_edited_rows_in_parts():
    """The first rows are told edited, the others later: they stand for the rows asked, and the batch is complete."""
    es = bounded()
    x = es.ask()
    x[:3] += 1e-3
    es.tell(x[:3], sphere(x[:3]))
    es.tell(x[3:], sphere(x[3:]), ids=range(3, len(x)))
    assert es.nit == 1
    with pytest.raises(ProtocolError):
        es.tell(x, sphere(x))


def test_points_of_ones_own_arrive_where_the_search_is():
    """A search that has gone behind a mirror, as about half do that start near a bound, takes a point from there."""
    es = bounded(n=8, x0=np.full(8, 0.01), bounds=(0, 1))
    while es.nit < 60:
        x = es.ask()
        es.tell(x, sphere(x - 0.5))
    inner = es.inner.mean
    assert 0 < (inner < -0.05).sum() < 8
    es.inject(es.mean)
    np.testing.assert_allclose(es.inner.waiting[0], inner, rtol=1e-12)
    es.ask()
    near = es.mean + 1e-3
    np.testing.assert_allclose(abs(es._by_id(near[None], [-1])[0] - inner), 1e-3, rtol=1e-9)


def test_injected_points():
    es = bounded(stds=[0.3, 0.7, 1.1, 1.3])
    points = np.array([[0.0, 1.9, -1 / 3, 2], [0.5, 0.5, 0.5, 0.5]])
    es.inject(points)
    np.testing.assert_allclose(es.waiting, points, atol=1e-15)
    x = es.ask()
    np.testing.assert_allclose(x[:2], points, atol=1e-15)
    assert es.waiting.shape == (0, 4)
    es.tell(x, sphere(x))
    assert np.isfinite(es.mean).all()


# -------------------------------------------------------------------- restarts, states, front doors


def chain(**options):
    given = {"bounds": (-5, 4), "x0_box": (-5, 4), "ftarget": 1e-9, "maxfev": 30_000, "rng": 1, **options}
    return lmcma.make("bipop-acma", np.full(3, 0.5), 2.0, **given)


def test_restarts_within_bounds():
    es = chain(stds=[1.0, 2.0, 0.5])
    spent = 0
    while not es.stop():
        x = es.ask()
        spent += len(x)
        assert ((x >= -5) & (x <= 4)).all()
        es.tell(x, rastrigin(x))
    res = es.result()
    assert res.success
    assert res.nfev == spent
    assert rastrigin(res.x) == res.fun
    assert len(res.runs) > 1
    assert res.method == es.method == "bipop-acma"


def test_starts_of_restarts_fill_the_box():
    """Corners of the box in the user's space are corners in that of the strategy."""
    es = chain(stds=[1.0, 2.0, 0.5])
    low, high = es.inner.x0_box
    for u, corner in ((low, -5), (high, 4)):
        np.testing.assert_allclose(es.coordinates.to_user(u.copy()), np.full(3, corner), atol=1e-12)


def test_a_chain_goes_on_after_loading():
    """Saved in all phases, final means and pauses between runs included."""
    a, b = chain(), chain()
    while not a.stop() and a.nfev < 6000:
        x = a.ask()
        assert len(a.missing) == len(x)
        a.tell(x, rastrigin(x) + 1)
        np.testing.assert_array_equal(b.ask(), x)
        if a.nit % 5 == 0:
            b = lmcma.from_state(b.state_dict())
        b.tell(x, rastrigin(x) + 1)
    assert len(a.result().runs) > 3
    assert_same_state(a, b)


def test_edited_rows_after_loading():
    a, b = bounded(), bounded()
    x, _ = a.ask(), b.ask()
    f = sphere(x)
    b = lmcma.from_state(b.state_dict())
    x[0] += 0.01
    for es in (a, b):
        es.tell(x, f)
    assert_same_state(a, b)
    for es in (a, b):
        es.ask()
        es.tell(None, f[:2], ids=[0, 1])
    b = lmcma.from_state(b.state_dict())
    for es in (a, b):
        es.tell(x[2:], f[2:], ids=range(2, len(f)))
    assert_same_state(a, b)


def test_states_that_do_not_fit():
    state = bounded().state_dict()
    assert isinstance(lmcma.from_state(state), Mapped)
    with pytest.raises(StateError, match="format"):
        lmcma.from_state({**state, "format": 99})
    with pytest.raises(StateError, match="entry 'x0'; it is missing"):
        lmcma.from_state({k: v for k, v in state.items() if k != "x0"})
    with pytest.raises(StateError, match="does not fit"):
        lmcma.from_state({**state, "coordinates": {**state["coordinates"], "low": np.zeros(7)}})


def test_minimize():
    run = functools.partial(lmcma.minimize, lambda x: float(slope(x)), np.full(N, 0.5), 0.5, maxfev=900, rng=1)
    said = run(bounds=BOX, method="cma")
    assert run(bounds=Bounds(LOW, HIGH), method="cma").fun == said.fun
    assert run(options={"bounds": (LOW, HIGH)}, method="cma").fun == said.fun
    assert said.method == "cma"
    assert ((said.history["mean"] >= LOW) & (said.history["mean"] <= HIGH)).all()
    named = run(bounds=BOX, stds=np.full(N, 0.5), restarts="ipop", x0_box=(0, 1))
    scheme = run(bounds=BOX, stds=np.full(N, 0.5), restarts=SCHEMES["ipop"], x0_box=(0, 1))
    assert named.fun == scheme.fun


def test_a_strategy_of_ones_own_behind_a_map():
    inner = lmcma.CMAES([0.0, 0.0], 0.3, rng=1)
    es = Mapped(inner, Coordinates(np.ones(2), np.array([1.0, 2.0]), np.zeros(2), np.full(2, INF)))
    assert es.x0.tolist() == [1, 1]
    assert (es.ask() >= 0).all()
    assert es.limit(maxfev=5) is None
    es.tell(None, np.ones(6))
    assert es.stop().reason == "maxfev"
