"""What separable CMA-ES, MA-ES and self-CMA-ES do that the product tests do not ask for."""

import numpy as np
import pytest

import lmcma
from lmcma.errors import ArgumentError, ProtocolError
from lmcma.strategies.foreign import admit
from lmcma.testfunctions import ellipsoid, sphere

METHODS = ["sep-cma", "ma", "self-cma"]


@pytest.mark.parametrize("method", METHODS)
def test_foreign_points_are_clipped(method):
    """A point far away, however good, moves the mean by c_y in the metric of the distribution, times its weight."""
    n = 6
    es = lmcma.make(method, np.zeros(n), 1.0, rng=1, stop="none")
    far = np.zeros((1, n))
    far[0, 0] = 1e6
    f = sphere(es.ask())
    es.tell(far, [-1.0], ids=[-1])
    es.tell(None, f)
    limit = np.sqrt(n) + 2 * n / (n + 2)
    assert 0.5 * limit * es.params.weights[0] < es.mean[0] < limit * es.params.weights[0] + np.sqrt(n)


@pytest.mark.parametrize("method", METHODS)
def test_a_repaired_row_counts_where_it_was_evaluated(method):
    """The best row moved a little: as if that point had been asked for, up to rounding."""
    a, b = (lmcma.make(method, np.linspace(-1, 2, 5), 1.0, rng=1, stop="none") for _ in range(2))
    for _ in range(6):
        for es in (a, b):
            es.tell(None, ellipsoid(es.ask()))
    x = a.ask()
    b.ask()
    f = ellipsoid(x)
    edited = x.copy()
    edited[f.argmin()] += 1e-9 * np.abs(x[f.argmin()])
    a.tell(x, f)
    b.tell(edited, f)
    np.testing.assert_allclose(b.mean, a.mean, rtol=1e-6, atol=1e-8)
    assert (b.mean != a.mean).any()


def test_points_of_the_callers_own_push_out_the_worst():
    f, own = np.array([3.0, 1.0, np.nan, 2.0]), np.array([True, False, True, True])
    mine = np.arange(8.0).reshape(4, 2)
    theirs = np.array([[10.0, 11.0], [12.0, 13.0], [14.0, 15.0], [16.0, 17.0]])
    g, still_own = admit(f, own, np.array([1.0, 0.5, 9.0, 2.5]), (mine, theirs))
    # row 1 was replaced; 0.5 and 2.5 come in for NaN and 3
    assert g.tolist() == [0.5, 1.0, 2.5, 2.0]
    assert still_own.tolist() == [False, False, False, True]
    assert mine.tolist() == [[12, 13], [10, 11], [16, 17], [6, 7]]
    assert np.isnan(f[2])  # the caller's arrays are left alone
    assert own.tolist() == [True, False, True, True]


@pytest.mark.parametrize("method", METHODS)
def test_an_unbounded_function_ends_before_overflow(method):
    es = lmcma.make(method, np.ones(8), 1e290, rng=1, stop="none")
    while not es.stop():
        x = es.ask()
        assert np.isfinite(x).all()
        es.tell(x, -np.abs(x).max(axis=1))
    assert es.stop().reason == "numeric"
    with pytest.raises(ProtocolError, match="numeric"):
        es.ask()


@pytest.mark.parametrize("variant", ["active", "passive", "2008"])
def test_separable_under_hostile_rankings(variant):
    rng = np.random.default_rng(1)
    for objective in (
        lambda z: rng.random(len(z)),
        lambda z: np.zeros(len(z)),
        lambda z: -(z**2).sum(axis=1),
        lambda z: -(z[:, 0] ** 2),
        lambda z: z[:, 0] ** 2,
    ):
        es = lmcma.SepCMAES(np.zeros(4), 1.0, variant=variant, rng=1, stop="none")
        while es.nit < 3000 and not es.stop():
            es.ask()
            es.tell(None, objective(es._z))
            es._scalars[0] = 1.0
            assert (es.c > 0).all()
        # whoever prefers long steps gets variances without bound, which has an end
        assert es.stop() is None or es.stop().reason == "numeric"


def test_rules_on_axes_of_a_diagonal_matrix():
    for rule in ("noeffectaxis", "noeffectcoor"):
        es = lmcma.SepCMAES([1.0, 1e16, 1.0], 1.0, rng=1, stop={"profile": "none", rule: True})
        reasons = []
        for _ in range(3):
            es.tell(None, sphere(es.ask() - es.x0))
            reasons.append(es.stop() and str(es.stop().reason))
        # the axis looked at is t mod n, of coordinates any counts
        assert reasons == ([rule, None, None] if rule == "noeffectaxis" else [rule] * 3)
    es = lmcma.SepCMAES(np.ones(3), 1.0, rng=1, stop={"profile": "none", "conditioncov": 1e14})
    es.c[0] = 2e14
    es._vectors[4, 0] = np.sqrt(es.c[0])
    es.tell(None, sphere(es.ask() / np.sqrt(es.c)))
    assert es.stop().reason == "conditioncov"
    assert es.stop().value == pytest.approx(es.c.max() / es.c.min())


@pytest.mark.parametrize("method", METHODS)
def test_default_rules_end_a_run(method):
    es = lmcma.make(method, np.ones(5), 1.0, rng=2)
    while not es.stop():
        x = es.ask()
        es.tell(x, ellipsoid(x))
    assert es.stop().converged
    assert es.result().fun < 1e-10
    snapshot = es.snapshot()
    assert 100 < snapshot["axis_ratio"] < 1e5
    assert snapshot["stds"].shape == (5,)


def test_a_million_variables():
    n = 1_000_000
    es = lmcma.SepCMAES(np.ones(n), 1.0, rng=1, popsize=4)
    for _ in range(2):
        x = es.ask()
        es.tell(None, np.square(x).sum(axis=1))
    assert es.stop() is None
    assert lmcma.SepCMAES.memory(n, 45) < 1e9
    assert len(es.snapshot()["stds"]) == n


@pytest.mark.parametrize(
    ("method", "options", "text"),
    [
        ("sep-cma", {"variant": "2007"}, "`variant` must be one of 'active', 'passive', '2008'; got '2007'"),
        ("self-cma", {"rates0": "random"}, "`rates0` must be one of 'uniform', 'default'"),
        ("self-cma", {"constants": "old"}, "`constants` must be one of"),
    ],
)
def test_bad_options(method, options, text):
    with pytest.raises(ArgumentError, match=text):
        lmcma.make(method, [1.0, 2.0], 1.0, **options)


def test_self_cma_needs_many_points():
    assert lmcma.SelfCMAES(np.ones(10), 1.0).popsize == 100
    assert lmcma.SelfCMAES([1.0], 1.0).popsize == 10
