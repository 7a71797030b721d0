"""Rm-ES against the equations of the paper."""

from __future__ import annotations

import math

import numpy as np
import pytest

import lmcma
from lmcma.kernels.noise import block
from lmcma.strategies.rm_es import parameters, rank_success
from lmcma.testfunctions import cigar, ellipsoid, random_rotation
from tests.reference import rm_es_twin as twin


def base_vectors(es):
    """The normal numbers of the batch that is out, (popsize, n)."""
    Z = np.empty((es.popsize, es.dim))
    for row, z in enumerate(Z):
        block(es._noise(), es.dim, row, 0, z)
    return Z


def learned(n=12, iterations=60, **options):
    es = lmcma.RmES(np.linspace(-1, 2, n), 1.0, rng=1, stop="none", **options)
    for _ in range(iterations):
        es.tell(None, ellipsoid(es.ask()))
    return es


@pytest.mark.parametrize(
    ("n", "options"),
    [(1, {}), (2, {"popsize": 2}), (7, {"memory": 3}), (40, {}), (40, {"memory": 1, "popsize": 9}), (2500, {})],
)
def test_generations_as_the_paper(n, options):
    es = lmcma.RmES(np.linspace(-1, 2, n), 1.0, rng=3, stop="none", **options)
    other = twin.Rm(es.x0, 1.0, es.popsize, es.params.memory)
    for _ in range(30):
        x = es.ask()
        # the twin's mean step is a difference of candidates, which loses digits where sigma is small
        np.testing.assert_allclose(x, other.ask(base_vectors(es), es._r), rtol=1e-12, atol=1e-12 * abs(x).max())
        f = ellipsoid(x)
        es.tell(x, f)
        other.tell(f)
        assert es._ages.tolist() == other.t_hat
    size = abs(es.paths).max()
    np.testing.assert_allclose(es.paths, other.P, rtol=1e-12, atol=1e-12 * size)
    np.testing.assert_allclose(es.p_c, other.p, rtol=1e-12, atol=1e-12 * size)
    np.testing.assert_allclose(es.mean, other.x, rtol=1e-12, atol=1e-12 * abs(es.mean).max())
    assert es.sigma == pytest.approx(other.sigma, rel=1e-12)


@pytest.mark.parametrize(
    ("m", "gap", "expected"),
    [
        # one older path, which the newest replaces when it is more than 4 iterations older
        (2, 4, {0: [0, 0], 1: [0, 1], 2: [0, 2], 5: [0, 5], 6: [5, 6], 10: [5, 10], 11: [10, 11], 16: [15, 16]}),
        # the first of the closest pairs counts; a gap of 4 is not more than 4
        (
            *(3, 4),
            {2: [0, 1, 2], 3: [0, 2, 3], 4: [0, 2, 4], 5: [0, 4, 5], 8: [0, 4, 8], 9: [0, 8, 9], 13: [0, 8, 13]}
            | {14: [8, 13, 14], 18: [8, 13, 18], 19: [13, 18, 19]},
        ),
        (1, 4, {0: [0], 1: [1], 2: [2], 9: [9]}),
    ],
)
def test_which_paths_are_stored(m, gap, expected):
    t_hat, n = [0] * m, gap
    es = lmcma.RmES(np.ones(n), 1.0, rng=1, memory=m, stop="none")  # T = n
    for t in range(max(expected) + 1):
        t_hat, _ = twin.stored(t_hat, t, gap)
        es.tell(None, ellipsoid(es.ask()))
        assert es._ages.tolist() == t_hat, t
        if t in expected:
            assert t_hat == expected[t], t


def test_stored_paths_are_those_of_their_times():
    es = lmcma.RmES(np.linspace(-1, 2, 6), 1.0, rng=1, memory=3, stop="none")
    seen = []
    for _ in range(60):
        es.tell(None, ellipsoid(es.ask()))
        seen.append(es.p_c.copy())
        for path, t in zip(es.paths[-len(seen) :], es._ages[-len(seen) :], strict=True):
            np.testing.assert_array_equal(path, seen[t])
        assert not es.paths[: -len(seen)].any()
        np.testing.assert_allclose(es._G, es.paths @ es.paths.T, rtol=1e-13, atol=1e-14 * es._G.max())


def test_constants():
    p = parameters(100, 17)
    assert (p.mu, p.memory, p.target_gap, p.c_sigma, p.d_sigma, p.q_star) == (8, 2, 100, 0.3, 1.0, 0.3)
    assert p.c_1 == pytest.approx(1 / 35, rel=1e-15)
    assert p.c_c == pytest.approx(2 / 107, rel=1e-15)
    np.testing.assert_allclose(p.weights[:8], twin.Rm(np.ones(100), 1.0, 17, 2).w, rtol=1e-14)
    assert p.weights[:2] == pytest.approx(np.array([math.log(9), math.log(4.5)]) / math.log(9**8 / 40320), rel=1e-14)
    assert (p.weights[8:] == 0).all()
    assert parameters(1, 4).c_1 == 1 / 8
    assert lmcma.RmES(np.ones(1000), 1.0).params.memory == lmcma.RmES.default_memory(1000) == 2


def test_rank_success():
    w = np.array([0.5, 0.3, 0.2])
    low, high = np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0])
    assert rank_success(low, high, w) == pytest.approx(1)
    assert rank_success(high, low, w) == pytest.approx(-1)
    # ranks 1, 4, 5 against 2, 3, 6
    assert rank_success(np.array([1.0, 4.0, 5.0]), np.array([2.0, 3.0, 6.0]), w) == pytest.approx(0.4 / 3)
    assert rank_success(np.zeros(3), np.zeros(3), w) == pytest.approx(1)  # the present generation comes first on ties
    assert rank_success(np.array([1.0, np.nan, np.nan]), np.array([2.0, np.inf, np.nan]), w) == pytest.approx(0.4 / 3)
    rng = np.random.default_rng(0)
    for mu in (1, 2, 7, 40):
        w = rng.random(mu)
        f, g = np.sort(rng.integers(0, 9, (2, mu)).astype(float))
        assert rank_success(f, g, w / w.sum()) == pytest.approx(twin.success(f, g, w / w.sum()), abs=1e-14)


@pytest.mark.parametrize(("n", "m"), [(1, 2), (3, 5), (12, 1), (12, 2), (12, 6)])
def test_factor_of_the_covariance(n, m):
    """Unit vectors for z and the scalars give the columns of [a^m I, R^T], whose product with itself is C."""
    es = learned(n, memory=m, popsize=n + m if n + m > 3 else 4, iterations=40 + 3 * n)
    es.ask()
    unit = np.eye(es.popsize, n + m)
    es._gauss, es._r[:] = np.ascontiguousarray(unit[:, :n]), unit[:, n:]
    es._prepare_rows()
    es._mean[:], es._sigma = 0.0, 1.0
    A = es.ask()
    C = twin.covariance(es.paths, es.params.c_1)
    np.testing.assert_allclose(A.T @ A, C, rtol=1e-13, atol=1e-14 * abs(C).max())
    shot = es.snapshot()
    np.testing.assert_allclose(shot["stds"], np.sqrt(np.diag(C)), rtol=1e-13)
    assert shot["axis_ratio"] == pytest.approx(math.sqrt(np.linalg.cond(C)), rel=1e-9)
    for step in np.random.default_rng(1).standard_normal((3, n)):
        assert es._length(step) == pytest.approx(math.sqrt(step @ np.linalg.solve(C, step)), rel=1e-10)
        assert es._length(1e100 * step) == pytest.approx(1e100 * es._length(step), rel=1e-12)


def test_length_of_a_step_along_paths_that_hardly_differ():
    """Few digits are lost where C is very long in one direction, condition 1e13, and nothing is singular."""
    es = learned(12, memory=3)
    rng = np.random.default_rng(2)
    p = rng.standard_normal(12)
    es._P[:] = 1e6 * (p + 1e-12 * rng.standard_normal((3, 12)))
    es._G[:] = es._P @ es._P.T
    # in one direction C = a^2m + sum of squared scales |p|^2
    length = np.linalg.norm(p) / math.hypot(es._alpha, 1e6 * np.linalg.norm(es._scales) * np.linalg.norm(p))
    assert es._length(p) == pytest.approx(length, rel=1e-6)
    across = rng.standard_normal(12)
    across -= (across @ p) / (p @ p) * p
    assert es._length(across) == pytest.approx(np.linalg.norm(across) / es._alpha, rel=1e-6)


def test_moments_of_the_steps():
    """Covariance of what `ask` gives, within five standard errors."""
    n = 8
    es = learned(n, memory=2)
    C, mean, sigma = twin.covariance(es.paths, es.params.c_1), es.mean, es.sigma
    steps = []
    for _ in range(2000):
        es._draw()
        x = np.empty((es._popsize, n))
        es._write(x)
        steps.append((x - mean) / sigma)
    Y = np.concatenate(steps)
    assert (abs(Y.mean(axis=0)) < 5 * np.sqrt(np.diag(C) / len(Y))).all()
    error = np.sqrt((np.outer(np.diag(C), np.diag(C)) + C**2) / len(Y))
    assert (abs(Y.T @ Y / len(Y) - C) / error).max() < 5


def test_rotation():
    """The same normal numbers, turned: the same candidates, turned."""
    n = 40
    R = random_rotation(n, 1)
    a = lmcma.RmES(np.linspace(-1, 2, n), 1.0, rng=1, stop="none")
    b = lmcma.RmES(R @ a.x0, 1.0, rng=1, stop="none")
    for _ in range(400):
        x = a.ask()
        b.ask()
        b._gauss = base_vectors(a) @ R.T
        y = b.ask()
        np.testing.assert_allclose(y, x @ R.T, atol=1e-12 * abs(x).max() + 1e-13)
        f = ellipsoid(x)
        a.tell(None, f)
        b.tell(None, f)
    assert a.sigma < 0.5


@pytest.mark.parametrize("memory", [1, 3])
def test_a_linear_function_is_followed_until_a_rule_ends_it(memory):
    """Paths become ever longer and nearly parallel; far points are clipped all the same, and the state is complete."""
    es = lmcma.RmES(np.ones(5), 1.0, memory=memory, rng=1, stop="none")
    rng = np.random.default_rng(1)
    while not es.stop():
        if es.nit % 3 == 0 and es.sigma < 1e200:
            es.inject(es.mean + es.sigma * rng.standard_normal(5) * 10.0 ** rng.integers(-3, 60))
        x = es.ask()
        assert np.isfinite(x).all()
        if es.nit % 40 == 39:
            np.testing.assert_array_equal(lmcma.from_state(es.state_dict()).ask(), x)
        es.tell(None, x[:, 0])
    assert es.stop().reason == "numeric"
    assert es.sigma > 1e200
    assert np.isfinite(es.snapshot()["stds"]).all()


def test_a_run_of_repaired_rows_only():
    """They are the population: the step size adapts to their ranks, and the run converges as any other."""
    es = lmcma.RmES(np.ones(10), 1.0, rng=1, ftarget=1e-8, maxfev=5000, stop="none")
    while not es.stop():
        x = es.ask() + 1e-13
        es.tell(x, (x**2).sum(axis=1))
    assert es.stop().reason == "ftarget"


def test_the_first_generation_leaves_the_step_size():
    es = lmcma.RmES(np.ones(5), 0.5, rng=1, stop="none")
    es.tell(None, ellipsoid(es.ask()))
    assert es.sigma == 0.5
    es.tell(None, -np.ones(len(es.ask())))  # all are better
    assert es.sigma == pytest.approx(0.5 * math.exp(0.3 * (1 - 0.3)), rel=1e-14)


def test_a_generation_without_a_number_changes_nothing():
    es, other = learned(), learned()
    es.ask()
    es.tell(None, np.full(es.popsize, np.nan))
    assert (es.mean == other.mean).all()
    assert (es.paths == other.paths).all()
    assert es.sigma == other.sigma
    es.tell(None, ellipsoid(es.ask()))
    assert es._ages[-1] == other._ages[-1] + 1


@pytest.mark.parametrize(("memory", "anchor"), [(2, 2.5e4), (1, 3.2e4)])
def test_counts_on_the_cigar(memory, anchor):
    """Rm-ES and R1-ES as in the paper's experiments, n = 100; the anchors are of a prototype made from the paper.

    Measured: medians of seven seeds 2.58e4 and 3.10e4.
    """
    counts = []
    for seed in (1, 2, 3):
        x0 = np.random.default_rng([seed, 100]).uniform(-10, 10, 100)
        es = lmcma.RmES(x0, 20 / 3, memory=memory, rng=seed, ftarget=1e-8, maxfev=3 * int(anchor), stop="none")
        x = np.empty((es.popsize, 100))
        while not es.stop():
            es.tell(None, cigar(es.ask(out=x)))
        assert es.stop().reason == "ftarget"
        counts.append(es.nfev)
    assert np.median(counts) == pytest.approx(anchor, rel=0.25)
