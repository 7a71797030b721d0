"""The ranking SVM against known answers and its plain twin."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kendalltau

from lmcma.errors import ArgumentError, ArgumentTypeError, MemoryLimitError, ProtocolError, ShapeError
from lmcma.kernels import ranksvm as kernels
from lmcma.kernels.ascent import ascend, square
from lmcma.surrogate import RankSVM, ranksvm
from lmcma.surrogate.ranksvm import Settings, scratch, train
from lmcma.testfunctions import ellipsoid, rosenbrock
from tests.reference import ranksvm_twin as twin


def fitted(Z, *, tied=None, c_base=6.0, c_pow=3.0, c_sigma=1.0, sweeps=1000.0, dtype=np.float64):
    """2 s^2, K' and beta by the kernels, of rows Z, best first."""
    columns = np.ascontiguousarray(Z.T)
    N = len(Z)
    D2, K, beta = np.empty((N, N)), square(N, dtype), np.empty(N)
    kernels.squared_distances(columns, columns, D2)
    tied = np.zeros(N, dtype=bool) if tied is None else tied
    width = kernels.fit(D2, np.arange(N), tied, c_base, c_pow, c_sigma, sweeps, K, beta)
    return width, K[: N - 1, : N - 1], beta


def room_for(K, dtype=np.float64):
    """K in scratch that is full of rubbish otherwise."""
    scratch = square(len(K), dtype)
    scratch[:] = np.nan
    scratch[: len(K), : len(K)] = K
    return scratch


def at(Z, beta, width, x):
    out = np.empty(len(x))
    kernels.predict(np.ascontiguousarray(Z.T), beta, width, np.ascontiguousarray(x.T), out)
    return out


def points(N, n, seed=1, decades=0.0):
    rng = np.random.default_rng(seed)
    Z = rng.standard_normal((N, n)) * 10 ** (-decades * rng.random((N, 1)))
    return Z[np.argsort(ellipsoid(Z) if n > 1 else (Z**2).ravel())]


def test_known_answer():
    """Points 0, 1, 3, 6: K', and the optimum of the dual, whose active constraints have a margin of exactly 1."""
    Z = np.array([[0.0], [1.0], [3.0], [6.0]])
    width, K, _ = fitted(Z)
    assert width == pytest.approx(200 / 9, rel=1e-14)
    known = [[0.08800504, 0.12429088, -0.04153963], [0, 0.32945958, 0.17759455], [0, 0, 0.66604638]]
    np.testing.assert_allclose(np.triu(K), known, atol=1e-8)
    np.testing.assert_allclose(K, K.T, rtol=1e-13)
    for C, alpha, values in (
        ([1e9, 1e9, 0.0], [11.36298605, 0, 0], [-0.5, 0.5, 1.91231556, 1.4403013]),
        ([1e9, 1e9, 1e9], [12.43781545, 0, 2.27711212], [-1.61543865, -0.61543865, 1.33487112, 2.33487112]),
    ):
        a, C = np.zeros(3), np.array(C)
        ascend(room_for(K), a, C, 1.0, 10**6)
        np.testing.assert_allclose(a, alpha, rtol=1e-7, atol=1e-7)
        beta = np.append(a, 0) - np.append(0, a)
        np.testing.assert_allclose(at(Z, beta, width, Z), values, rtol=1e-7)


@pytest.mark.parametrize(("N", "n"), [(3, 1), (4, 2), (50, 3), (101, 5), (240, 10)])
def test_against_the_twin(N, n):
    Z, x = points(N, n), points(300, n, seed=2)
    # few sweeps for many points: a cyclic ascent in Python
    sweeps = 1000.0 if N < 100 else 60.0
    width, _, beta = fitted(Z, sweeps=sweeps)
    alpha = np.cumsum(beta)[:-1]
    want = twin.fit(Z, sweeps=sweeps)
    np.testing.assert_allclose(alpha * want.max() / alpha.max(), want, rtol=1e-6, atol=1e-9 * want.max())
    model = at(Z, beta, width, x)
    np.testing.assert_array_equal(np.argsort(model), np.argsort(twin.values(Z, want, x)))
    other = np.empty(300)
    D2 = np.empty((300, N))
    kernels.squared_distances(np.ascontiguousarray(x.T), np.ascontiguousarray(Z.T), D2)
    kernels.predict_from(D2, np.arange(N), beta, width, other)
    np.testing.assert_allclose(other, model, rtol=1e-9, atol=1e-12 * abs(model).max())


@pytest.mark.parametrize(("N", "n"), [(50, 3), (240, 10), (691, 20)])
def test_float32_leaves_the_order(N, n):
    """Of 300 points hardly one pair in ten thousand is in another order (0.2 to 1.1e-4 measured)."""
    Z, x = points(N, n), 0.5 * points(300, n, seed=2)
    models = []
    for dtype in (np.float64, np.float32):
        width, _, beta = fitted(Z, dtype=dtype)
        models.append(at(Z, beta, width, x))
    assert kernels.rank_error(*models) <= 3e-4


def test_falloff_has_all_digits():
    t = np.concatenate([np.logspace(-18, 2.8, 2000), [0.0, 1e-300, 800.0]])
    np.testing.assert_allclose([kernels.falloff(v) for v in t], -np.expm1(-t), rtol=5e-16)
    # NaN was a place outside of the table of powers of 2
    assert kernels.falloff(np.nan) == 1
    assert kernels.falloff(np.inf) == 1


def test_the_ascent_ascends_within_the_box():
    Z = points(80, 4)
    _, K, _ = fitted(Z)
    C = (np.arange(len(K))[::-1] / (len(K) - 1)) ** 3
    epsilon, last = 1e-9, -np.inf
    for sweeps in (1, 2, 5, 20, 100, 300):
        alpha = 0.975 * C
        ascend(room_for(K), alpha, C, epsilon, sweeps * len(K))
        assert ((alpha >= 0) & (alpha <= C)).all()
        dual = epsilon * alpha.sum() - 0.5 * alpha @ K @ alpha
        assert dual >= last
        last = dual


def test_affine_maps_of_points_and_frame_change_nothing():
    rng = np.random.default_rng(3)
    x, A = rng.standard_normal((100, 5)), rng.standard_normal((5, 5))
    f = ellipsoid(x)
    C = np.cov(x.T)
    probe = rng.standard_normal((500, 5))
    models = []
    for matrix in (np.eye(5), A):
        W = np.linalg.inv(np.linalg.cholesky(matrix @ C @ matrix.T))
        model = train(W @ matrix @ x.T, f, Settings(100))
        models.append(model.values(W @ matrix @ probe.T))
    np.testing.assert_array_equal(*np.argsort(models, axis=1))


def test_only_the_order_of_values_enters():
    rng = np.random.default_rng(4)
    x = rng.standard_normal((70, 3))
    f = ellipsoid(x)
    betas = [train(x.T, g, Settings(70)).beta for g in (f, f**3, np.log(f), np.argsort(np.argsort(f)).astype(float))]
    for beta in betas[1:]:
        np.testing.assert_array_equal(beta, betas[0])
    order = rng.permutation(70)
    np.testing.assert_array_equal(train(x[order].T, f[order], Settings(70)).beta, betas[0])


def hundred(x):
    """A quadratic function of condition 100."""
    return (x**2 * np.logspace(0, 2, 10)).sum(axis=1)


@pytest.mark.parametrize(("f", "most"), [(hundred, 0.02), (rosenbrock, 0.12)])
def test_a_model_knows_what_it_has_not_seen(f, most):
    rng = np.random.default_rng(5)
    x, new = 0.5 + 0.2 * rng.standard_normal((240, 10)), 0.5 + 0.1 * rng.standard_normal((300, 10))
    model = train(x.T, f(x), Settings(240))
    assert kernels.rank_error(f(new), model.values(new.T)) < most
    shuffled = train(x.T, rng.permutation(f(x)), Settings(240))
    assert kernels.rank_error(f(new), shuffled.values(new.T)) == pytest.approx(0.5, abs=0.15)
    best, worst = x[np.argsort(f(x))[[0, -1]]]
    assert model.values(best[:, None]) < model.values(worst[:, None])


def test_rank_error():
    f = np.array([1.0, 2.0, 2.0, 3.0, 5.0])
    assert kernels.rank_error(f, f) == 0
    assert kernels.rank_error(f, -f) == 1
    assert kernels.rank_error(f, np.zeros(5)) == 0.5
    assert np.isnan(kernels.rank_error(np.ones(5), f))
    rng = np.random.default_rng(6)
    for k in (2, 7, 30):
        f, model = rng.integers(0, 6, (2, k)).astype(float)
        np.testing.assert_equal(kernels.rank_error(f, model), twin.rank_error(f, model))


@pytest.mark.parametrize("k", [64, 65, 66, 100, 257])
@pytest.mark.parametrize("different", [2, 30, 10**6])
def test_rank_error_of_many_counts_inversions(k, different):
    """Above 64 values a merge sort counts: the same to the bit as pair by pair."""
    rng = np.random.default_rng(k)
    f, model = rng.integers(0, different, (2, k)).astype(float)
    for values, ranked in ((f, model), (f, f), (f, -f), (f, np.zeros(k)), (np.where(f > 0, f, -np.inf), model)):
        assert kernels.rank_error(values, ranked) == twin.rank_error(values, ranked)
    assert np.isnan(kernels.rank_error(np.ones(k), model))
    f[3] = np.nan
    assert kernels.rank_error(f, model) == twin.rank_error(f, model)


def test_rank_error_of_thousands_follows_from_kendalls_tau():
    """e = (1 - tau) / 2 where no values are equal."""
    f, model = np.random.default_rng(1).random((2, 30_000))
    error = kernels.rank_error(f, f + model)
    assert error == pytest.approx((1 - kendalltau(f, f + model).statistic) / 2, rel=1e-12)


DEGENERATE = {
    "two points": (np.eye(2), [1.0, 2.0]),
    "one place": (np.ones((9, 2)), np.arange(9.0)),
    "equal values": (np.random.default_rng(0).standard_normal((9, 2)), np.ones(9)),
    "infinities": (np.random.default_rng(0).standard_normal((9, 2)), [np.inf] * 7 + [1.0, 2.0]),
}


@pytest.mark.parametrize("case", list(DEGENERATE))
def test_nothing_to_learn(case):
    x, f = DEGENERATE[case]
    assert train(x.T, np.asarray(f), Settings(len(f))) is None


def test_ties_duplicates_and_infinities_leave_a_model():
    rng = np.random.default_rng(7)
    x = rng.standard_normal((60, 3))
    f = ellipsoid(x)
    f[np.argsort(f)[30:]] = np.inf
    x[5] = x[6]
    f[7] = f[8]
    model = train(x.T, f, Settings(60))
    assert np.isfinite(model.beta).all()
    finite = np.isfinite(f)
    assert kernels.rank_error(f[finite], model.values(x[finite].T)) < 0.2
    flat = x.copy()
    flat[:, 1] = 3.0  # a coordinate that never changes
    assert np.isfinite(train(flat.T, f, Settings(60)).beta).all()
    assert train(x[:, :1].T, f, Settings(60)) is not None


def test_public_class():
    x = np.random.default_rng(8).standard_normal((80, 3))
    f = (x**2).sum(axis=1)
    model = RankSVM().fit(x, f)
    with_nan = RankSVM().fit(np.vstack([x, np.ones(3)]), np.append(f, np.nan))
    new = np.random.default_rng(9).standard_normal((50, 3))
    np.testing.assert_array_equal(with_nan.predict(new), model.predict(new))
    assert kernels.rank_error((new**2).sum(axis=1), model.predict(new)) < 0.1
    assert model.predict(new[:0]).shape == (0,)
    with pytest.raises(ProtocolError, match="`predict` needs a model"):
        RankSVM().predict(new)
    with pytest.raises(ArgumentError, match="different finite values"):
        RankSVM().fit(x, np.ones(80))
    with pytest.raises(ShapeError):
        RankSVM().fit(x, f[:7])
    with pytest.raises(ShapeError):
        model.predict(np.ones((3, 2)))
    assert model.predict(new[0]).shape == (1,)
    # errors of NumPy came through, and values for points that are none
    for wrong, error in (
        ("text", ArgumentTypeError),
        ([[1.0, 2.0, 3.0], [1.0]], ArgumentTypeError),
        (new * 1j, ArgumentTypeError),
        (np.full((2, 3), np.nan), ArgumentError),
        (1.0, ShapeError),
        (np.ones((2, 2, 3)), ShapeError),
    ):
        with pytest.raises(error):
            model.predict(wrong)
        with pytest.raises(error):
            RankSVM().fit(wrong, f[:2])
    with pytest.raises(ArgumentTypeError):
        RankSVM().fit(x, ["a"] * 80)
    with pytest.raises(ArgumentError, match="`c_sigma` must be > 0"):
        RankSVM(c_sigma=0)
    with pytest.raises(ArgumentError, match="`c_pow` must be >= 0"):
        RankSVM(c_pow=-1)
    with pytest.raises(ArgumentError, match="`sweeps` must be <= 1e"):
        RankSVM(sweeps=1e18)
    assert kernels.rank_error((new**2).sum(axis=1), RankSVM(c_pow=0).fit(x, f).predict(new)) < 0.1
    for scale, c_sigma in ((1e160, 1.0), (1e-170, 1.0), (1.0, 1e200)):
        with pytest.raises(ArgumentError, match="`x` must have different points, whose distances"):
            RankSVM(c_sigma=c_sigma).fit(scale * x, f)


def test_a_fit_that_fails_leaves_the_model_before(monkeypatch):
    x = np.random.default_rng(1).standard_normal((30, 2))
    f = (x**2).sum(axis=1)
    model = RankSVM().fit(x, f)
    before = model.predict(x)
    with pytest.raises(ArgumentError):
        model.fit(x, np.ones(30))
    np.testing.assert_array_equal(model.predict(x), before)
    monkeypatch.setattr(ranksvm, "memory_limit", lambda most: 30.0**2 * 15)
    with pytest.raises(MemoryLimitError, match=r"`x` has 30 points.*Give fewer"):
        model.fit(x, f)
    np.testing.assert_array_equal(model.predict(x), before)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("m", [1, 2, 7, 8, 9, 15, 16, 17, 33, 64, 101])
def test_each_step_is_that_of_the_twin(kind, m):
    """Cycles that end anywhere, coordinates at either end of the box, and some that may not move."""
    rng = np.random.default_rng(m)
    A = rng.standard_normal((m, m + 3))
    K = (A @ A.T / m).astype(kind).astype(np.float64)
    bound = rng.random(m).astype(kind).astype(np.float64)
    bound[rng.random(m) < 0.2] = 0.0
    for updates in (1, m, 2 * m + m // 3, 60 * m + 5):
        alpha = 0.5 * bound
        ascend(room_for(K, kind), alpha, bound, 0.1, updates)
        want = twin.ascend(K, bound, 0.1, updates, start=0.5)
        np.testing.assert_allclose(alpha, want, rtol=0, atol=200 * np.finfo(kind).eps)
    assert m < 64 or (((alpha == 0) & (bound > 0)).any() and (alpha == bound).any())


def test_what_was_in_the_scratch_does_not_matter():
    rng = np.random.default_rng(1)
    Z = np.ascontiguousarray(rng.standard_normal((3, 150)))
    D2 = np.empty((150, 150))
    kernels.squared_distances(Z, Z, D2)
    found = []
    for filled in (0.0, np.nan, 1e-310):
        K, beta = scratch(150), np.empty(150)
        K[:] = filled
        width = kernels.fit(D2, np.arange(150), np.zeros(150, dtype=np.bool_), 6.0, 3.0, 1.0, 100.0, K, beta)
        found.append((width, beta))
    for width, beta in found[1:]:
        assert width == found[0][0]
        np.testing.assert_array_equal(beta, found[0][1])
