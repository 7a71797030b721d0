"""Kernels of LM-CMA against known answers and against the papers' recursions."""

import numpy as np
import pytest

from lmcma import LMCMA, LMCMAES
from lmcma.kernels import limited_memory as kernels
from lmcma.kernels.low_rank import NO_SCALES, emit, project
from lmcma.kernels.noise import NO_GAUSS, NO_SIGNS, block
from lmcma.strategies.lm_cma import parameters
from tests.reference import limited_memory_twin as twin

P2 = np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 1.0]])
Z3 = np.array([1.0, -1.0, 2.0])


def refreshed(P, c_1):
    k, n = P.shape
    V, b, d = np.empty((k, n)), np.empty(k), np.empty(k)
    W, H, loss = np.empty((k, k)), np.empty((k, k)), np.empty(k)
    kernels.companions(scalar_products(P), k, c_1, W, H, b, d, loss)
    if loss.max() > kernels.LARGEST_LOSS:
        kernels.recur(P, k, c_1, V, b, d)
    else:
        kernels.write_companions(P, W, 0, k, V, 0, n)
    return V, b, d


def candidates(noise, mean, sigma, P, V, b, used, c_1, twins, out):
    """All candidates of given base vectors, by the kernels."""
    k = len(P)
    used = np.array(used)
    Q, alpha = np.empty((len(used), max(k, 1))), np.empty(len(used))
    n = len(mean)
    kernels.weigh_newest(kernels.project_newest(noise, V, k, used, 0, n), b, k, used, c_1, Q, alpha)
    kernels.write_candidates(noise, mean, sigma, alpha, Q, P, k, used, twins, 0, out, np.empty(n), 0, n)
    return out


def step(z, P, V, b, used, c_1):
    """The step of one base vector by the kernel."""
    noise = (NO_SIGNS, z[None, :].copy(), 0, 0)
    return candidates(noise, np.zeros(len(z)), 1.0, P, V, b, [used], c_1, 1, np.empty((1, len(z))))[0]


def test_known_answer():
    V, b, d = refreshed(P2, 0.2)
    np.testing.assert_allclose(b, [0.08944271909999159, 0.1007663783587676], rtol=1e-14)
    np.testing.assert_allclose(d, [0.074535599249993, 0.10332371724494417], rtol=1e-14)
    np.testing.assert_allclose(V[0], P2[0])
    np.testing.assert_allclose(V[1], [-0.149071198499986, 0.8198915917499229, 1.118033988749895], rtol=1e-14)
    az = step(Z3, P2, V, b, 2, 0.2)
    np.testing.assert_allclose(az, [0.72, -0.8323183992812215, 1.7276816007187785], rtol=1e-14)
    newest = step(Z3, P2, V, b, 1, 0.2)
    np.testing.assert_allclose(newest, [0.8944271909999159, -0.7667455902811373, 1.9165359827186104], rtol=1e-14)
    kernels.inverse_times(az, V, d, 2, 0.2)
    np.testing.assert_allclose(az, Z3, rtol=1e-14)


def test_the_known_answer_tells_the_wrong_recursion():
    V, b, _ = twin.companions(P2, 0.2)
    right, wrong = (g(Z3, P2, V, b, 0.2) for g in (twin.factor_times, twin.factor_times_running))
    np.testing.assert_allclose(right, [0.72, -0.8323183992812215, 1.7276816007187785], rtol=1e-14)
    assert abs(wrong - right).max() > 0.01


@pytest.mark.parametrize(("n", "k"), [(1, 1), (2, 5), (10, 6), (65, 12), (3000, 7)])
def test_kernels_as_the_recursions(n, k):
    rng = np.random.default_rng([n, k])
    P, z, c_1 = rng.standard_normal((k, n)), rng.standard_normal(n), 0.07
    V, b, d = refreshed(P, c_1)
    for got, want in zip((V, b, d), twin.companions(P, c_1), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-12)  # the twin's b and d cancel for small nu
    for used in {0, 1, k // 2, k}:
        want = twin.factor_times(z, P, V, b, c_1, used)
        np.testing.assert_allclose(step(z, P, V, b, used, c_1), want, rtol=1e-12, atol=1e-12)
    x = z.copy()
    kernels.inverse_times(x, V, d, k, c_1)
    np.testing.assert_allclose(x, twin.inverse_times(z, V, d, c_1, k), rtol=1e-12, atol=1e-12)
    diagonal = np.empty(n)
    kernels.factor_diagonal(P, k, c_1, diagonal)
    if n <= 65:
        np.testing.assert_allclose(diagonal, np.diag(twin.covariance(P, c_1)), rtol=1e-12)


def test_factor_of_the_covariance():
    P, c_1 = np.random.default_rng(1).standard_normal((6, 10)), 0.1
    V, b, d = refreshed(P, c_1)
    A = np.array([step(e, P, V, b, 6, c_1) for e in np.eye(10)]).T
    C = twin.covariance(P, c_1)
    np.testing.assert_allclose(A @ A.T, C, atol=1e-14 * abs(C).max())
    for e in np.eye(10):
        x = A @ e
        kernels.inverse_times(x, V, d, 6, c_1)
        np.testing.assert_allclose(x, e, atol=1e-13)


def test_factor_of_the_covariance_after_replacements():
    """Companions that are not recomputed after a replacement make the factor inconsistent."""
    es = LMCMA(np.ones(10), 1.0, memory=6, rng=1, stop="none")
    axes = np.arange(1.0, 11)
    for _ in range(120):
        x = es.ask()
        es.tell(x, (axes * x**2).sum(axis=1))
    assert es._ages[5] > 6 * es.params.period  # 6 places, more than 50 insertions
    c_1, k = es.params.c_1, es._stored
    A = np.array([step(e, es._P, es._V, es._b, k, c_1) for e in np.eye(10)]).T
    C = twin.covariance(es.paths, c_1)
    np.testing.assert_allclose(A @ A.T, C, atol=1e-13 * abs(C).max())


@pytest.mark.parametrize(
    ("m", "target", "period", "expected"),
    [
        (
            *(4, 4, 1),
            {
                4: [0, 2, 3, 4],
                5: [0, 2, 4, 5],
                6: [0, 2, 4, 6],
                7: [0, 4, 6, 7],
                8: [0, 4, 6, 8],
                12: [0, 4, 8, 12],
                14: [4, 8, 12, 14],
                16: [4, 8, 12, 16],
                22: [12, 16, 20, 22],
            },
        ),
        (
            *(5, 12, 3),
            {
                15: [0, 6, 9, 12, 15],
                24: [0, 6, 12, 18, 24],
                36: [0, 12, 24, 30, 36],
                48: [0, 12, 24, 36, 48],
                51: [12, 24, 36, 48, 51],
                90: [48, 60, 72, 84, 90],
            },
        ),
    ],
)
def test_replacement(m, target, period, expected):
    P, V, G = np.zeros((m, 1)), np.zeros((m, 1)), np.zeros((m, m))
    ages, k = np.zeros(m, dtype=np.int64), 0
    for g in range(0, 91, period):
        if k == m:
            kernels.drop_row(P, V, G, ages, kernels.replaced(ages, k, target), k)
            k -= 1
        ages[k] = P[k, 0] = g
        k += 1
        assert (P[:k, 0] == ages[:k]).all()
        if g in expected:
            assert ages[:k].tolist() == expected[g], g


def test_replacement_spreads_over_a_long_run():
    ages, k = np.zeros(20, dtype=np.int64), 0
    work = np.zeros((20, 1)), np.zeros((20, 1)), np.zeros((20, 20))
    for g in range(0, 9001, 5):
        if k == 20:
            kernels.drop_row(*work, ages, kernels.replaced(ages, k, 256), k)
            k -= 1
        ages[k] = g
        k += 1
        if g == 2000:
            assert sorted(np.diff(ages)) == [80] * 13 + [160] * 6
    assert sorted(np.diff(ages)) == [120] + [260] * 12 + [320] * 6


def scalar_products(P):
    k, n = P.shape
    return np.array([kernels.products(P, k, row, 0, n) for row in range(k)])


STATES = {
    "independent": lambda rng, k, n: rng.standard_normal((k, n)),
    "correlated": lambda rng, k, n: np.cumsum(rng.standard_normal((k, n)), axis=0),
    "scaled": lambda rng, k, n: rng.standard_normal((k, n)) * np.logspace(0, -3, n),
    "a zero path": lambda rng, k, n: rng.standard_normal((k, n)) * (np.arange(k) != 1)[:, None],
}


@pytest.mark.parametrize("state", list(STATES))
@pytest.mark.parametrize(("n", "k"), [(1, 1), (10, 6), (2500, 12), (10_000, 30)])
def test_companions_from_scalar_products(state, n, k):
    """Fast forms against the recursion, to 1e-12 relative (a matrix of paths with n < k has no more digits)."""
    P, c_1 = STATES[state](np.random.default_rng([n, k]), k, n), 1 / (10 * np.log(n + 1))
    W, H, b, d, loss = np.empty((k, k)), np.empty((k, k)), np.empty(k), np.empty(k), np.empty(k)
    kernels.companions(scalar_products(P), k, c_1, W, H, b, d, loss)
    V = np.empty_like(P)
    for t in range(k):
        V[t] = twin.inverse_times(P[t], V, d, c_1, t)
        s = np.sqrt(1 + c_1 * (V[t] @ V[t]) / (1 - c_1))
        assert b[t] == pytest.approx(c_1 / (np.sqrt(1 - c_1) * (1 + s)), rel=1e-12)
        assert d[t] == pytest.approx(c_1 / (np.sqrt(1 - c_1) ** 3 * s * (1 + s)), rel=1e-12)
    assert abs(W @ P - V).max() <= 1e-12 * abs(V).max()
    np.testing.assert_allclose(H, V @ V.T, atol=1e-12 * abs(V @ V.T).max())
    assert loss.max() < kernels.LARGEST_LOSS
    z = np.random.default_rng(5).standard_normal((2, n))
    Q, alpha = np.empty((2, k)), np.empty(2)
    U = project((NO_SIGNS, z, 0, 0), 2, P, np.empty((2, 0)), 0, n)
    kernels.weigh(U @ W.T, b, c_1, Q, alpha)
    out = np.empty((4, n))
    emit((NO_SIGNS, z, 0, 0), np.zeros(n), 1.0, alpha[0], Q, P, NO_SCALES, 2, 0, out, 0, n)
    for row in range(2):
        want = twin.factor_times(z[row], P, V, b, c_1)
        assert abs(out[2 * row] - want).max() <= 1e-12 * abs(want).max()
        assert (out[2 * row + 1] == -out[2 * row]).all()


def test_paths_that_hardly_differ_are_companions_by_the_recursion():
    rng = np.random.default_rng(1)
    P = rng.standard_normal(50) + 1e-6 * rng.standard_normal((9, 50))
    P[4:] += 1e6 * rng.standard_normal(50)
    c_1 = 0.05
    loss = np.empty(9)
    kernels.companions(scalar_products(P), 9, c_1, *np.empty((2, 9, 9)), *np.empty((2, 9)), loss)
    assert loss.max() > kernels.LARGEST_LOSS
    V, b, _ = refreshed(P, c_1)
    z = rng.standard_normal(50)
    want = twin.factor_times(z, P, *twin.companions(P, c_1)[:2], c_1)
    assert abs(step(z, P, V, b, 9, c_1) - want).max() <= 1e-6 * abs(want).max()
    es = LMCMAES(np.ones(50), 1.0, memory=9, rng=1)
    es._P[:], es._stored, es._G[:] = P, 9, scalar_products(P)
    es._refresh(0)
    assert es._V.shape == (9, 50)  # kept while they are needed
    es._P[:] = rng.standard_normal((9, 50))
    es._G[:] = scalar_products(es._P)
    es._refresh(0)
    assert es._V.shape == (9, 0)


@pytest.mark.parametrize("method", [LMCMA, LMCMAES])
@pytest.mark.parametrize("n", [3, 30])
def test_a_linear_function_is_followed_until_a_rule_ends_it(method, n):
    """Its paths become nearly parallel, and longer and longer: where scalar products lose digits, the recursion has to
    take over in time. State and run agree to the bit all the way."""
    es = method(np.ones(n), 1.0, rng=1, stop={"profile": "none", "tolupsigma": 1e20})
    turned = 0
    while not es.stop() and es.nit < 2000:
        x = es.ask()
        assert np.isfinite(x).all()
        if es.nit % 40 == 39:
            np.testing.assert_array_equal(method.from_state(es.state_dict()).ask(), x)
        turned += es._by_recursion if method is LMCMA else es._V.shape[1] > 0
        es.tell(x, x[:, 0])
    assert es.sigma > 1e9
    if n == 30:
        assert turned > 0


def test_inverse_without_companions():
    es = LMCMAES(np.ones(30), 1.0, rng=1, stop="none")
    for _ in range(100):
        x = es.ask()
        es.tell(x, (np.arange(1.0, 31) * x**2).sum(axis=1))
    V, b, _ = twin.companions(es.paths, es.params.c_1)
    z = np.random.default_rng(1).standard_normal(30)
    x = twin.factor_times(z, es.paths, V, b, es.params.c_1)
    es._invert(x)
    np.testing.assert_allclose(x, z, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(("method", "options"), [(LMCMA, {}), (LMCMA, {"noise": "gaussian"}), (LMCMAES, {})])
def test_candidates_of_a_run(method, options):
    """Candidates of a run that learns, against the recursion from its stored paths; scalar products stay exact."""
    n = 300
    es = method(np.ones(n), 1.0, memory=12, rng=1, stop="none", **options)
    axes = np.logspace(0, 3, n)
    for g in range(1000):
        x = es.ask()
        if g % 99 == 0 and g:
            V, b, _ = twin.companions(es.paths, es.params.c_1)
            for row in (0, 1, es.popsize - 1):
                z = np.empty(n)
                block(es._noise(), n, row // es._twins, 0, z)
                d = twin.factor_times(z, es.paths, V, b, es.params.c_1, int(es._used[row // es._twins]))
                want = es.mean + es.sigma * (-d if es._twins == 2 and row % 2 else d)
                np.testing.assert_allclose(x[row], want, rtol=1e-11, atol=1e-11 * es.sigma * abs(d).max())
        es.tell(x, (axes * x**2).sum(axis=1))
    G = es.paths @ es.paths.T
    np.testing.assert_allclose(es._G[: len(G), : len(G)], G, atol=1e-13 * abs(G).max())


def test_population_success():
    low, high = np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0])
    assert kernels.population_success(low, high) == 1
    assert kernels.population_success(high, low) == -1
    # ranks 1, 4, 5 against 2, 3, 6, counted from 1
    assert kernels.population_success(np.array([1.0, 4.0, 5.0]), np.array([2.0, 3.0, 6.0])) == pytest.approx(1 / 9)
    assert kernels.population_success(np.zeros(3), np.zeros(3)) == 1  # the current generation comes first on ties
    rng = np.random.default_rng(0)
    for k in (2, 7, 40):
        f, g = rng.integers(0, 9, (2, k)).astype(float)
        assert kernels.population_success(f, g) == pytest.approx(twin.success(f, g), abs=1e-14)
    f[3] = np.nan
    assert np.isfinite(kernels.population_success(f, g))


def test_table_of_constants():
    table = {
        128: (18, 18, 9, 5.3913, 0.020577, 4.419e-2, 4),
        512: (22, 22, 11, 6.4837, 0.016025, 2.210e-2, 6),
        1000: (24, 24, 12, 7.0264, 0.014474, 1.581e-2, 6),
        10**4: (31, 31, 15, 8.6431, 0.010857, 5.000e-3, 9),
        10**5: (38, 38, 19, 10.7785, 0.008686, 1.581e-3, 11),
        10**6: (45, 45, 22, 12.3687, 0.007238, 5.000e-4, 13),
    }
    for n, (popsize, m, mu, mueff, c_1, c_c, period) in table.items():
        p = parameters(n, popsize)
        assert (p.memory, p.mu, p.period, p.target_gap) == (m, mu, period, n)
        assert p.mueff == pytest.approx(mueff, abs=5e-5)
        assert p.c_1 == pytest.approx(c_1, abs=5e-7)
        assert p.c_c == pytest.approx(c_c, rel=5e-4)
        assert (p.c_sigma, p.d_sigma, p.z_star, p.m_sigma) == (0.3, 1.0, 0.3, 4.0)


@pytest.mark.parametrize("noise", ["gaussian", "rademacher"])
def test_moments_of_the_steps(noise):
    """Covariance of steps with all paths in use is that of the recursion; twins mirror each other."""
    n, c_1 = 10, 0.1
    rng = np.random.default_rng(5)
    P = 3 * rng.standard_normal((6, n))
    V, b, _ = refreshed(P, c_1)
    bases = 100_000
    signs = rng.integers(0, 2**64, (bases, 1), dtype=np.uint64)
    base = (signs, NO_GAUSS, 0, 0) if noise == "rademacher" else (NO_SIGNS, NO_GAUSS, 11, 0)
    mean = np.arange(n) * 1.0
    x = candidates(base, mean, 0.5, P, V, b, [6] * bases, c_1, 2, np.empty((2 * bases, n)))
    assert abs(x[0::2] + x[1::2] - 2 * mean).max() <= 2 * np.spacing(abs(x).max())
    steps = (x[0::2] - mean) / 0.5
    C = twin.covariance(P, c_1)
    estimate = steps.T @ steps / bases
    # the standard error of a product of two normal numbers; less for signs
    error = np.sqrt((np.outer(np.diag(C), np.diag(C)) + C**2) / bases)
    assert (abs(estimate - C) / error).max() < 5


def test_signs():
    rng = np.random.default_rng(2)
    signs = rng.integers(0, 2**64, (40, 3), dtype=np.uint64)
    z = np.empty(150)
    rows = []
    for row in range(40):
        block((signs, NO_GAUSS, 0, 0), 150, row, 0, z)
        bits = np.unpackbits(signs[row].view(np.uint8), bitorder="little")[:150]
        assert (z == 1.0 - 2.0 * bits).all()
        block((signs, NO_GAUSS, 0, 0), 150, row, 64, z[64:])
        assert (z == 1.0 - 2.0 * bits).all()
        rows.append(z.copy())
    assert len(np.unique(rows, axis=0)) == 40
    assert abs(np.mean(rows)) < 5 / np.sqrt(6000)
