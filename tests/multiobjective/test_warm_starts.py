"""The two warm starts of HMO-CMA-ES: which points they ask for, bounds, failures, parts, states, threads."""

import subprocess
import sys
import textwrap
import threading

import nlopt
import numpy as np
import pytest

from lmcma.errors import ArgumentError, MissingDependencyError, StateError
from lmcma.multiobjective.bobyqa import Bobyqa
from lmcma.multiobjective.star import Star
from lmcma.multiobjective.warm_start import weights

KINDS = [pytest.param(Star, {}, id="star")] + [
    pytest.param(Bobyqa, {"driver": driver}, id=f"bobyqa-{driver}") for driver in ("replay", "thread")
]


def two_valleys(x):
    """Two functions that are neither separable nor quadratic."""
    a = ((x - 1) ** 2).sum(axis=1) + 0.3 * x.sum(axis=1) ** 2
    b = (np.arange(1, x.shape[1] + 1) * (x + 0.5) ** 4).sum(axis=1) + 0.1 * np.cos(3 * x).sum(axis=1)
    return np.stack([a, b], axis=1)


def build(kind, n, x0=None, width=10.0, **options):
    x0 = np.zeros(n) if x0 is None else x0
    return kind(x0, np.full(n, 0.2 * width), np.full(n, -width / 2), np.full(n, width / 2), **options)


def run(start, fun=two_valleys, batches=10_000):
    """Tell whole batches; all points in their order."""
    seen = []
    for _ in range(batches):
        if start.done:
            break
        x = start.pending()
        seen.append(x)
        start.receive(np.arange(len(x)), fun(x))
    return np.concatenate(seen)


@pytest.mark.parametrize("n", [1, 2, 5, 12])
@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_begins_at_x0_and_keeps_to_budget_and_bounds(kind, options, n):
    x0 = np.linspace(-3, 4, n)
    start = build(kind, n, x0, **options)
    x = run(start)
    assert np.array_equal(x[0], x0)
    assert 2 * n + 1 < len(x) <= 15 * n
    assert np.abs(x).max() <= 5
    assert start.nfev == len(x)
    assert np.array_equal(start.x, x)
    assert np.array_equal(start.f, two_valleys(x))
    assert not len(start.pending())


@pytest.mark.parametrize("where", [5.0, -5.0, 4.9, -4.2, 3.5])
@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_start_on_and_near_a_bound(kind, options, where):
    x0 = np.array([0.0, where, 1.0, -where])
    x = run(build(kind, 4, x0, **options))
    assert np.array_equal(x[0], x0)
    assert np.abs(x).max() <= 5
    assert len(np.unique(x[:9], axis=0)) == 9


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_narrow_bounds(kind, options):
    """A radius larger than the bounds allow is made to fit."""
    start = kind([0.1, 0.0], [2.0, 2.0], [0.0, -5.0], [0.3, 5.0], **options)
    x = run(start)
    assert (x[:, 0] >= 0).all()
    assert (x[:, 0] <= 0.3).all()
    np.testing.assert_allclose(start.radius, [0.06, 2.0])


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_one_side_without_bound(kind, options):
    start = kind([0.5, 0.0], [1.0, 1.0], [0.0, -np.inf], [np.inf, np.inf], **options)
    x = run(start, lambda x: two_valleys(x + 9))
    assert x[:, 0].min() == 0
    assert x[:, 1].min() < -4


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_parts_in_any_order_and_states_in_between(kind, options):
    """Told row by row in any order, rebuilt from its state before each: the same points to the bit."""
    rng = np.random.default_rng(1)
    expected = run(build(kind, 4, **options))
    start, seen = build(kind, 4, **options), []
    while not start.done:
        x = start.pending()
        seen.append(x)
        for row in rng.permutation(len(x)):
            assert np.array_equal(start.pending(), x)
            state = start.state_dict()
            start.close()
            start = kind.from_state(state)
            start.receive(np.array([row]), two_valleys(x[[row]]))
    assert np.array_equal(np.concatenate(seen), expected)


@pytest.mark.parametrize("normalise", ["range", "f0"])
@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_points_do_not_depend_on_scale_and_shift(kind, options, normalise):
    x = run(build(kind, 5, normalise=normalise, **options))
    scaled = run(build(kind, 5, normalise=normalise, **options), lambda x: two_valleys(x) * [2.0, 0.25])
    assert np.array_equal(x, scaled)


def test_range_does_not_depend_on_a_constant():
    def coarse(x):
        return np.round(two_valleys(x) * 64) / 64

    shifted = run(build(Star, 5), lambda x: coarse(x) + np.array([1024.0, -64.0]))
    assert np.array_equal(run(build(Star, 5), coarse), shifted)
    assert not np.array_equal(run(build(Star, 5, normalise="f0"), coarse)[:12], shifted[:12])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_failures(kind, options, value):
    """Points without a value are as bad as the worst with one; the others lead to the optimum."""

    def fails(x):
        f = two_valleys(x)
        f[x[:, 0] < 0, 1] = value
        return f

    start = build(kind, 3, **options)
    x = run(start, fails)
    assert np.isfinite(x).all()
    assert len(x) > 12
    assert start.x[start._best(1.0), 0] > 0.2
    nothing = run(build(kind, 3, **options), lambda x: np.full((len(x), 2), value))
    assert np.isfinite(nothing).all()
    assert len(nothing) <= 45


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_huge_values(kind, options):
    x = run(build(kind, 3, **options), lambda x: 1e306 * (two_valleys(x) - 40))
    assert np.isfinite(x).all()


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_constant_objective(kind, options):
    x = run(build(kind, 3, **options), lambda x: np.stack([(x**2).sum(axis=1), np.zeros(len(x))], axis=1))
    assert np.isfinite(x).all()


@pytest.mark.parametrize("n", [2, 6])
def test_star_solves_separable_quadratics_in_one_round(n):
    rng = np.random.default_rng(1)
    a, b = rng.uniform(0.1, 10, (2, n))
    p, q = rng.uniform(-3.9, 3.9, (2, n))
    star = build(Star, n)
    x = run(star, lambda x: np.stack([(x - p) ** 2 @ a, (x - q) ** 2 @ b], axis=1), batches=2)
    assert len(x) == 2 * n + 6
    for w, y in zip([0.5, 1.0, 0.0, 0.25, 0.75], x[-5:], strict=True):
        u, v = w * a / star.scale[0], (1 - w) * b / star.scale[1]
        np.testing.assert_allclose(y, (u * p + v * q) / (u + v), rtol=0, atol=1e-8)


def test_star_moves_and_shrinks():
    """An optimum far away: the centre goes there at the first radius; around it, the radius shrinks."""
    star = build(Star, 3, width=100.0)
    run(star, lambda x: np.stack([np.abs(x - 45).sum(axis=1)] * 2, axis=1), batches=2)
    assert star._shrunk == 1.0
    assert star.x[star._centre].tolist() == [40] * 3
    near = build(Star, 3)
    run(near, lambda x: np.stack([(x**2).sum(axis=1) + 1e-3 * np.abs(x).sum(axis=1)] * 2, axis=1))
    assert near._shrunk <= 1 / 4


def test_star_does_not_ask_again():
    x = run(build(Star, 4), lambda x: np.stack([((x - 1) ** 2).sum(axis=1)] * 2, axis=1))
    assert len(np.unique(x, axis=0)) == len(x)


def test_more_weights_from_ten_variables_on():
    assert weights(9).tolist() == [1 / 2, 1, 0, 1 / 4, 3 / 4]
    assert weights(10).tolist() == [1 / 2, 1, 0, 1 / 4, 3 / 4, 1 / 8, 3 / 8, 5 / 8, 7 / 8]


def library_run(sum_, start, radius, low, high, xtol, cap):
    """What NLopt evaluates when it is called in the usual way."""
    n, seen = len(start), []

    def objective(u, grad):
        seen.append(np.clip(start + radius * u, low, high))
        return float(sum_(two_valleys(seen[-1][None]))[0])

    opt = nlopt.opt(nlopt.LN_BOBYQA, n)
    opt.set_lower_bounds((low - start) / radius)
    opt.set_upper_bounds((high - start) / radius)
    opt.set_initial_step(1.0)
    opt.set_xtol_abs(xtol)
    opt.set_maxeval(cap)
    opt.set_min_objective(objective)
    opt.optimize(np.zeros(n))
    return np.array(seen)


@pytest.mark.parametrize("driver", ["replay", "thread"])
@pytest.mark.parametrize("n", [1, 2, 6])
def test_same_points_as_the_library(n, driver):
    start = build(Bobyqa, n, driver=driver)
    x = run(start)
    five = np.full(n, 5.0)
    first = library_run(
        lambda f: (0.5 * f[:, 0] / start.scale[0] + 0.5 * f[:, 1] / start.scale[1]),
        np.zeros(n), np.full(n, 2.0), -five, five, 5e-3, max(3 * n, 2 * n + 3),
    )  # fmt: skip
    assert np.array_equal(x[: len(first)], first)
    best = np.argmin(two_valleys(first)[:, 0])
    second = library_run(
        lambda f: f[:, 0] / start.scale[0], first[best], np.full(n, 1.0), -five, five, 1e-2, max(3 * n, 2 * n + 3)
    )
    if np.array_equal(second[0], first[best]):  # a start near a bound is moved
        second = second[1:]
    assert np.array_equal(x[len(first) :][: len(second)], second[: len(x) - len(first)])


def workers():
    return [t for t in threading.enumerate() if t.name == "lmcma-bobyqa"]


def test_threads_end():
    started = [build(Bobyqa, 4, driver="thread") for _ in range(20)]
    for start in started:
        run(start, batches=3)
    assert len(workers()) == 20
    started[0].close()
    assert len(workers()) == 19
    assert np.array_equal(started[0].pending(), started[1].pending())
    run(started[0])  # goes on from the values it knows
    run(started[1])
    assert np.array_equal(started[0].x, started[1].x)
    del start, started[2:]
    assert not workers()


@pytest.mark.parametrize("end", ["", "raise SystemExit(0)", "raise KeyError('lost')"])
def test_interpreter_ends_with_open_runs(end):
    program = textwrap.dedent("""
        import numpy as np
        from lmcma.multiobjective.bobyqa import Bobyqa
        started = [Bobyqa(np.zeros(3), np.ones(3), -np.ones(3) * 5, np.ones(3) * 5, driver="thread") for _ in range(20)]
        for start in started:
            for _ in range(3):
                x = start.pending()
                start.receive(np.arange(len(x)), np.stack([(x**2).sum(axis=1), ((x - 1) ** 4).sum(axis=1)], axis=1))
    """)
    done = subprocess.run([sys.executable, "-c", program + end], capture_output=True, text=True, timeout=60)
    assert done.returncode == ("Key" in end)
    assert ("KeyError" in done.stderr) if "Key" in end else not done.stderr


def test_missing_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "nlopt", None)
    with pytest.raises(MissingDependencyError, match=r"lmcma\[mo\]"):
        build(Bobyqa, 2)


def test_unusable_arguments():
    with pytest.raises(ArgumentError, match=r"normalise.*'range'"):
        build(Star, 2, normalise="rang")
    with pytest.raises(ArgumentError, match="driver"):
        build(Bobyqa, 2, driver="fork")
    with pytest.raises(StateError, match="'bobyqa'"):
        Bobyqa.from_state(build(Star, 2).state_dict())
