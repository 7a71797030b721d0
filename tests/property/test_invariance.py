"""What must not matter: the scale of f, where, how turned and how large the problem is."""

import numpy as np
import pytest

import lmcma
from lmcma.kernels.noise import block
from lmcma.testfunctions import ellipsoid, random_rotation, sphere
from lmcma.transforms import Mapped
from tests.strategies import STRATEGIES, assert_same_state, distribution

every = pytest.mark.parametrize("make", STRATEGIES)


TRANSFORMS = {
    "cube": lambda f: f**3,  # neighbouring numbers stay apart
    "cube of the logarithm": lambda f: np.log(f) ** 3,
}


@every
@pytest.mark.parametrize("transform", list(TRANSFORMS))
def test_only_ranks_matter(make, transform):
    """f and an increasing transform of it: the same trajectory, to the bit (stopping rules on values are masked)."""
    a, b = make(), make()
    if transform != "cube" and a.dim == 1:
        pytest.skip("the logarithm merges some of the neighbouring numbers that one dimension leads to")
    for _ in range(200):
        x = a.ask()
        np.testing.assert_array_equal(x, b.ask())
        f = ellipsoid(x)
        if f.min() < 1e-100:  # whose cube is zero, or has few digits
            break
        g = TRANSFORMS[transform](f)
        np.testing.assert_array_equal(np.argsort(f, kind="stable"), np.argsort(g, kind="stable"))
        a.tell(x, f)
        b.tell(x, g)
    learned = distribution(b)
    for key, leaf in distribution(a).items():
        np.testing.assert_array_equal(leaf, learned[key], err_msg=key)
    assert a.best_f < 5e-2 * ellipsoid(make().ask()).min()  # something was learned


@every
def test_scale_of_the_space_to_the_bit(make):
    """Start, step size and function scaled by a power of two: everything scales exactly."""
    scale = 2.0**7
    a = make()
    more = {}
    if isinstance(a, Mapped):
        more = {"bounds": (a.coordinates.low * scale, a.coordinates.high * scale)}
    elif getattr(a, "std_limits", None) is not None:
        more = {"std_limits": (0.01 * scale, 3.0 * scale)}
    b = make(x0=a.x0 * scale, sigma0=scale, **more)
    for _ in range(60):
        x, y = a.ask(), b.ask()
        np.testing.assert_array_equal(x * scale, y)
        f = ellipsoid(x)
        a.tell(x, f)
        b.tell(y, f)
    assert b.sigma == a.sigma * scale


@every
def test_translation_to_rounding(make):
    a = make(x0=None)
    more = {"bounds": (a.coordinates.low + 3.0, a.coordinates.high + 3.0)} if isinstance(a, Mapped) else {}
    b = make(x0=a.x0 + 3.0, **more)
    for _ in range(20):
        x, y = a.ask(), b.ask()
        np.testing.assert_allclose(x + 3.0, y, rtol=1e-9)
        f = sphere(x)
        a.tell(x, f)
        b.tell(y, f)


@pytest.mark.parametrize("factor", [1.0, 3.0])
@pytest.mark.parametrize("active", ["weights", "2010", False])
@pytest.mark.parametrize("n", [6, 20])
def test_affine_invariance_of_cma(n, active, factor):
    """The steps of one run, turned and scaled, fed to another: it learns the turned and scaled distribution.

    (For a general linear map the step size differs, since p_sigma lives in the symmetric root of C.)
    """
    A = factor * random_rotation(n, 3)
    a = lmcma.CMAES(np.linspace(-1, 2, n), 1.0, active=active, rng=1, stop="none")
    b = lmcma.CMAES(A @ a.x0, factor, active=active, rng=2, stop="none")
    for _ in range(60):
        x = a.ask()
        b.ask()
        steps = (a._y * a.sigma) @ A.T / b.sigma
        b._y[:], b._z[:] = steps, (steps @ b.B) / b.D
        f = ellipsoid(x)
        a.tell(None, f)
        b.tell(None, f)
    np.testing.assert_allclose(b.mean, A @ a.mean, atol=1e-12 * factor * abs(a.mean).max())
    assert b.sigma == pytest.approx(factor * a.sigma, rel=1e-12)
    R = A / factor
    np.testing.assert_allclose(b.C, R @ a.C @ R.T, atol=2e-12 * abs(a.C).max())


def test_rotation_of_lm_cma():
    """The same normal base vectors, turned: the same candidates, turned, over 400 generations."""
    n = 40
    R = random_rotation(n, 1)
    a = lmcma.LMCMA(np.linspace(-1, 2, n), 1.0, noise="gaussian", rng=1, stop="none")
    b = lmcma.LMCMA(R @ a.x0, 1.0, noise="gaussian", rng=1, stop="none")
    for _ in range(400):
        x = a.ask()
        b.ask()
        base = np.empty((len(a._used), n))
        for row, z in enumerate(base):
            block(a._noise(), n, row, 0, z)
        b._gauss = base @ R.T
        b._prepare_rows()
        y = b.ask()
        np.testing.assert_allclose(y, x @ R.T, atol=1e-12 * abs(x).max() + 1e-13)
        f = ellipsoid(x)
        a.tell(None, f)
        b.tell(None, f)
    assert a.sigma < 0.5


def test_signs_are_invariant_to_rotation_only_roughly():
    """Evaluations on the ellipsoid, plain and turned: medians within 20 %, far from equal paths."""
    n, budget = 16, 400_000
    R = random_rotation(n, 5)
    medians = []
    for turned in (False, True):
        spent = []
        for seed in range(5):
            es = lmcma.LMCMA(np.full(n, 2.0), 1.0, rng=seed, ftarget=1e-4, maxfev=budget, stop="none")
            while not es.stop():
                x = es.ask()
                es.tell(x, ellipsoid(x @ R.T if turned else x))
            spent.append(es.nfev)
        assert max(spent) < budget
        medians.append(np.median(spent))
    assert 1 / 1.2 < medians[0] / medians[1] < 1.2


def candidates(es):
    """All points of some generations under a function that prefers none."""
    rows = []
    for _ in range(12):
        rows.append(es.ask())
        es.tell(None, np.zeros(len(rows[-1])))
    return np.concatenate(rows)


@every
def test_seeds(make):
    """The same seed gives the same run, another one another; a shared Generator gives each its own stream."""
    assert (candidates(make(rng=5)) == candidates(make(rng=5))).all()
    assert (candidates(make(rng=5)) != candidates(make(rng=6))).any()
    assert (candidates(make(rng=0)) == candidates(make(rng=0))).all()
    for shared in (np.random.default_rng(1), np.random.SeedSequence(3)):
        assert (candidates(make(rng=shared)) != candidates(make(rng=shared))).any()
    assert_same_state(make(rng=np.random.default_rng(4)), make(rng=np.random.default_rng(4)))
