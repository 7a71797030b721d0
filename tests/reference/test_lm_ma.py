"""LM-MA-ES, solved for the whole population at once, against the paper's recursion."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import lmcma
from lmcma.errors import PopulationWarning
from lmcma.kernels import lm_ma as kernels
from lmcma.kernels.low_rank import NO_SCALES, emit, project
from lmcma.kernels.noise import NO_SIGNS, block
from lmcma.strategies.lm_ma import parameters
from lmcma.testfunctions import ellipsoid
from tests.reference import lm_ma_twin as twin

M2 = np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 1.0]])
Z3 = np.array([1.0, -1.0, 2.0])
RATES = np.array([0.3, 0.2])


def steps(Z, M, rates, k):
    """Steps of base vectors by the kernels."""
    noise = (NO_SIGNS, np.ascontiguousarray(Z), 0, 0)
    m, n = M.shape
    G, U, Q, out = np.empty((m, m)), np.empty((len(Z), m)), np.empty((len(Z), m)), np.empty((len(Z), n))
    kernels.gram(M, G)
    U[:] = project(noise, len(Z), M, np.empty((len(Z), 0)), 0, n)
    alpha = kernels.solve(U, G, rates, k, Q)
    emit(noise, np.zeros(n), 1.0, alpha, Q[:, :k], M[:k], NO_SCALES, 1, 0, out, 0, n)
    return out, Q / alpha


def test_known_answer():
    d, r = steps(Z3[None, :], M2, RATES, 2)
    np.testing.assert_allclose(d[0], [0.32, -1.02, 1.14], rtol=1e-14)
    np.testing.assert_allclose(r[0], [-0.4285714285714286, 0.0357142857142857], rtol=1e-13)
    np.testing.assert_allclose(twin.factor_times(Z3, M2, RATES), d[0], rtol=1e-14)
    assert abs(twin.factor_times_original(Z3, M2, RATES) - d[0]).max() > 0.01


@pytest.mark.parametrize(("n", "m", "k"), [(1, 1, 1), (3, 5, 2), (40, 15, 0), (40, 15, 15), (3000, 9, 7)])
def test_steps_as_the_recursion(n, m, k):
    rng = np.random.default_rng([n, m])
    M, Z = rng.standard_normal((m, n)), rng.standard_normal((4, n))
    rates = np.minimum(0.5, 1.5 ** -np.arange(m) / n)
    d, _ = steps(Z, M, rates, k)
    for row, z in zip(d, Z, strict=True):
        want = twin.factor_times(z, M[:k], rates[:k])
        np.testing.assert_allclose(row, want, rtol=1e-12, atol=1e-12 * abs(want).max())


@pytest.mark.filterwarnings("ignore::lmcma.errors.PopulationWarning")
@pytest.mark.parametrize(("n", "options"), [(12, {}), (40, {}), (40, {"memory": 4, "popsize": 9}), (2500, {})])
def test_generations_as_the_paper(n, options):
    es = lmcma.LMMAES(np.linspace(-1, 2, n), 1.0, rng=3, stop="none", **options)
    other = twin.LMMA(es.x0, 1.0, es.popsize, es.params)
    Z = np.empty((es.popsize, n))
    for _ in range(60):
        x = es.ask()
        for row, z in enumerate(Z):
            block(es._noise(), n, row, 0, z)
        np.testing.assert_allclose(x, other.ask(Z), rtol=1e-9, atol=1e-10 * abs(x).max())
        f = ellipsoid(x)
        es.tell(x, f)
        other.tell(f)
    np.testing.assert_allclose(es.directions, other.M, rtol=1e-8, atol=1e-9 * abs(other.M).max())
    assert es.sigma == pytest.approx(other.sigma, rel=1e-8)


@pytest.mark.filterwarnings("ignore::lmcma.errors.PopulationWarning")
def test_scalar_products_do_not_drift():
    es = lmcma.LMMAES(np.ones(30), 1.0, rng=1, stop="none")
    for _ in range(999):
        x = es.ask()
        es.tell(x, ellipsoid(x))
    G = es._M @ es._M.T
    np.testing.assert_allclose(es._G, G, atol=1e-11 * abs(G).max())
    x = es.ask()
    es.tell(x, ellipsoid(x))  # the thousandth, which computes them anew
    np.testing.assert_allclose(es._G, es._M @ es._M.T, rtol=1e-13, atol=1e-14 * abs(G).max())


@pytest.mark.filterwarnings("ignore::lmcma.errors.PopulationWarning")
def test_spread_of_the_snapshot():
    es = lmcma.LMMAES(np.ones(20), 1.0, rng=1, stop="none")
    for _ in range(200):
        x = es.ask()
        es.tell(x, ellipsoid(x))
    A = twin.factor(es._M[: es._used()], es.params.c_d[: es._used()], 20)
    C = A @ A.T
    shot = es.snapshot()
    np.testing.assert_allclose(shot["stds"], es.sigma * np.sqrt(np.diag(C)), rtol=1e-9)
    assert shot["axis_ratio"] == pytest.approx(np.linalg.cond(A), rel=1e-6)


@pytest.mark.filterwarnings("ignore::lmcma.errors.PopulationWarning")
def test_inverse():
    es = lmcma.LMMAES(np.ones(20), 1.0, rng=2, stop="none")
    for _ in range(30):
        x = es.ask()
        es.tell(x, ellipsoid(x))
    A = twin.factor(es._M[: es._used()], es.params.c_d[: es._used()], 20)
    z = 0.3 * np.random.default_rng(1).standard_normal((1, 20))
    back = es._foreign_steps(z @ A.T, np.ones(1))
    np.testing.assert_allclose(back[0], z[0], rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(back[1], A @ z[0], rtol=1e-12)


def test_constants():
    p = parameters(512, 22)
    assert p.c_sigma == 0.0859375
    assert p.memory == 22
    np.testing.assert_allclose(p.c_d[:3] * 512, [1, 2 / 3, 4 / 9])
    np.testing.assert_allclose(p.c_c[:3] * 512 / 22, [1, 1 / 4, 1 / 16])
    assert parameters(10, 10).c_sigma == 1  # rates never exceed 1
    assert parameters(1, 4).c_d.max() == 0.5


@pytest.mark.parametrize(("n", "options"), [(63, {}), (100, {"popsize": 26}), (1, {})])
def test_a_population_too_large_is_warned_of(n, options):
    with pytest.warns(PopulationWarning, match=f"popsize > n/4, which is {n / 4:g} here; use method 'ma'") as caught:
        es = lmcma.LMMAES(np.ones(n), 1.0, **options)
    assert [w.filename for w in caught] == [__file__]
    lmcma.from_state(es.state_dict())  # not again


def test_populations_that_are_not_too_large_are_not_warned_of():
    lmcma.LMMAES(np.ones(64), 1.0)  # warnings are errors here
    lmcma.LMMAES(np.ones(100), 1.0, popsize=25)
    for n in (2, 40, 600):
        lmcma.make("auto", np.ones(n), 1.0)


def test_a_chain_of_growing_populations_warns_once():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        es = lmcma.make("ipop-lm-ma", np.ones(64), 1.0, x0_box=(-1, 1), stop={"maxiter": 2}, maxfev=1000, rng=1)
        while not es.stop():
            es.tell(None, ellipsoid(es.ask()))
    assert len(es.result().runs) > 3
    assert [w.category for w in caught] == [PopulationWarning]
