"""The compiled iteration against its NumPy twin, with the same random numbers."""

import types

import numba
import numpy as np
import pytest

from lmcma import CMAES
from lmcma.kernels import covariance
from lmcma.strategies.cma import decomposition_gap, parameters
from lmcma.testfunctions import ellipsoid, random_rotation, rotated
from tests.reference.cma_twin import Twin

CASES = [
    # n, popsize, active, constants; n <= 16 takes the loops, beyond BLAS
    (1, 4, "weights", "tutorial"),
    (2, 2, "weights", "tutorial"),
    (2, 6, "2010", "bbob"),
    (5, 3, "2010", "bbob"),
    (10, 10, "weights", "tutorial"),
    (10, 10, False, "bbob"),
    (10, 11, "2010", "bbob"),
    (10, 80, "weights", "bbob"),
    (16, 12, "weights", "tutorial"),
    (17, 13, "weights", "tutorial"),
    (17, 13, "2010", "bbob"),
    (40, 15, "weights", "tutorial"),
    (40, 15, "2010", "bbob"),
    (40, 200, False, "tutorial"),
]


@pytest.mark.parametrize(("n", "popsize", "active", "constants"), CASES)
@pytest.mark.parametrize("lazy", ["reference", "fast"])
def test_fifty_iterations_as_the_twin(n, popsize, active, constants, lazy):
    params = parameters(n, popsize, constants=constants, active=active)
    gap = decomposition_gap(n, params, lazy)
    rng = np.random.default_rng([n, popsize])
    x0 = rng.uniform(-4, 4, n)
    f = rotated(ellipsoid, random_rotation(n, 1))
    es = CMAES(x0, 2.0, popsize=popsize, active=active, constants=constants, lazy=lazy, stop="none", rng=3)
    twin = Twin(x0, 2.0, params, active=active, gap=gap)
    for _ in range(50):
        x = es.ask()
        x_twin = twin.ask(es._z.copy())
        np.testing.assert_allclose(x, x_twin, rtol=1e-9, atol=1e-10 * abs(x_twin).max())
        values = f(x)
        es.tell(x, values)
        twin.tell(values)
        # one eigenvector's sign is free, so B D z would differ: take over the frame, it is checked below
        if twin.t % gap == 0:
            np.testing.assert_allclose(es.D, twin.D, rtol=1e-9)
            np.testing.assert_allclose((es.B * es.D**2) @ es.B.T, es.C, atol=1e-12 * abs(es.C).max())
            twin.B, twin.D = es.B.copy(), es.D.copy()
    # fifty iterations amplify the last bits of the summation order
    np.testing.assert_allclose(es.mean, twin.mean, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(es.sigma, twin.sigma, rtol=1e-10)
    np.testing.assert_allclose(es.C, twin.C, rtol=1e-10, atol=1e-10 * abs(twin.C).max())
    np.testing.assert_allclose(es.p_c, twin.p_c, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(es.p_sigma, twin.p_sigma, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(("n", "active"), [(6, "weights"), (10, "2010"), (20, False)])
def test_diagonal_first(n, active):
    """Twenty iterations with a diagonal C and the rates of sep-CMA-ES, then thirty with the full matrix."""
    params, diagonal = (
        parameters(n, 12, active=a, rate=r) for a, r in ((active, 1), (active == "weights" and active, (n + 2) / 3))
    )
    gap = decomposition_gap(n, params, "fast")
    x0 = np.linspace(-3, 4, n)
    f = rotated(ellipsoid, random_rotation(n, 1))
    es = CMAES(x0, 2.0, popsize=12, active=active, diagonal_first=20, stop="none", rng=3)
    twin = Twin(x0, 2.0, params, active=active, gap=gap, diagonal=diagonal, iterations=20)
    for t in range(1, 51):
        x = es.ask()
        np.testing.assert_allclose(x, twin.ask(es._z.copy()), rtol=1e-9, atol=1e-9 * abs(x).max())
        es.tell(x, f(x))
        twin.tell(f(x))
        if t <= 20:
            np.testing.assert_array_equal(es.C, np.diag(np.diag(es.C)))
        if t <= 20 or (t - 20) % gap == 0:
            np.testing.assert_allclose(es.D, twin.D, rtol=1e-9)
            twin.B, twin.D = es.B.copy(), es.D.copy()
    np.testing.assert_allclose(es.C, twin.C, rtol=1e-9, atol=1e-9 * abs(twin.C).max())
    assert np.count_nonzero(es.C) == n * n


def test_length_of_the_diagonal_phase():
    assert CMAES([0.0] * 10, 1.0, diagonal_first=True).diagonal_first == int(100 * 10 / np.sqrt(10))
    assert CMAES([0.0] * 10, 1.0).diagonal_first == 0
    with pytest.raises(ValueError, match="`diagonal_first` must be >= 0; got -1"):
        CMAES([0.0] * 10, 1.0, diagonal_first=-1)


def compiled_with(loops_up_to):
    """The kernels of an iteration with another dimension up to which they take loops."""
    kernels = {}
    for name in ("_add_rows", "sample", "update", "tell"):
        source = getattr(covariance, name).py_func
        names = {**source.__globals__, "LOOPS_UP_TO": loops_up_to, **kernels}
        kernels[name] = numba.njit(error_model="numpy")(types.FunctionType(source.__code__, names))
    return kernels


@pytest.fixture(scope="module")
def blas_only():
    return compiled_with(0)


@pytest.mark.parametrize("active", ["weights", "2010", False])
@pytest.mark.parametrize(("n", "popsize"), [(1, 4), (2, 2), (5, 8), (10, 10), (16, 40)])
def test_loops_and_blas_agree(n, popsize, active, blas_only, monkeypatch):
    """The same random numbers through both, in the dimensions that take loops otherwise."""
    x0 = np.random.default_rng(n).uniform(-4, 4, n)
    loops, blas = (CMAES(x0, 2.0, popsize=popsize, active=active, stop="none", rng=3) for _ in range(2))
    f = rotated(ellipsoid, random_rotation(n, 1))
    for _ in range(50):
        x = loops.ask()
        values = f(x)
        loops.tell(None, values)
        with monkeypatch.context() as patched:
            for name, kernel in blas_only.items():
                patched.setattr(covariance, name, kernel)
            np.testing.assert_allclose(blas.ask(), x, rtol=1e-9, atol=1e-10)
            blas.tell(None, values)
        C, C_blas = ((es.B * es.D**2) @ es.B.T for es in (loops, blas))
        np.testing.assert_allclose(C_blas, C, atol=1e-10 * abs(C).max())
        blas.B[:] = loops.B  # one eigenvector's sign is free
    for name in ("mean", "sigma", "C", "p_c", "p_sigma"):
        ours, theirs = np.asarray(getattr(blas, name)), np.asarray(getattr(loops, name))
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10 * max(1, abs(theirs).max()), err_msg=name)


def test_modes_agree_where_both_decompose_every_time():
    assert {decomposition_gap(5, parameters(5, 8), lazy) for lazy in ("reference", "fast")} == {1}
    runs = [CMAES([1.0] * 5, 1.0, lazy=lazy, rng=1) for lazy in ("reference", "fast")]
    for _ in range(30):
        for es in runs:
            x = es.ask()
            es.tell(x, ellipsoid(x))
    assert (runs[0].C == runs[1].C).all()


def test_gaps_of_the_fast_mode():
    gaps = {n: decomposition_gap(n, parameters(n, 4 + int(3 * np.log(n))), "fast") for n in (5, 10, 20, 40, 100)}
    assert gaps == {5: 1, 10: 2, 20: 3, 40: 4, 100: 10}
