"""Kernels of several objectives against their twins and against other libraries."""

import math

import moocore
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lmcma.errors import ArgumentError, ArgumentTypeError, ProtocolError, ShapeError
from lmcma.kernels import archive as archive_kernels
from lmcma.kernels import pareto
from lmcma.kernels.cholesky import rank_one, transform
from lmcma.kernels.elitist import Individuals, begin, constants, covariance_step, success_step
from lmcma.multiobjective import Archive, contributions, hypervolume, many, nondominated, ranks
from tests.reference import pareto_twin as twin

# few values: ties and duplicates in plenty
SETS = arrays.arrays(np.float64, st.tuples(st.integers(0, 25), st.just(2)), elements=st.integers(0, 7).map(float))
REFERENCE = np.array([6.0, 5.0])  # with points outside
LARGE = st.sampled_from([s * v for v in (1e308, 1.7e308, 1e160, 1e154, 3.0, 1e-5) for s in (1, -1)] + [0.0])


# -------------------------------------------------------------------- factors and individuals


@pytest.mark.parametrize("n", [1, 2, 5, 20])
@pytest.mark.parametrize("beta", [0.3, -0.02, 0.0])
def test_rank_one_update(n, beta):
    rng = np.random.default_rng(n)
    A = rng.standard_normal((n, n))
    L, v = np.linalg.cholesky(A @ A.T + np.eye(n)), rng.standard_normal(n)
    out = np.zeros((n, n))
    C = 0.9 * L @ L.T + beta * np.outer(v, v)
    assert np.linalg.eigvalsh(C)[0] > 0
    Lt = np.array(L.T, order="C")
    assert rank_one(Lt, 0.9, beta, v, np.empty(n), out)
    assert abs(out.T @ out - C).max() < 1e-12 * abs(C).max()
    assert (np.tril(out, -1) == 0).all()
    if beta > 0:
        assert rank_one(Lt, 0.9, beta, v, np.empty(n), Lt)  # in place
        np.testing.assert_array_equal(Lt, out)


@pytest.mark.parametrize("n", [1, 2, 5, 20])
def test_downdate_without_a_factor_fails_and_changes_nothing(n):
    Lt = np.eye(n)
    v = np.full(n, 2.0)
    assert not rank_one(Lt, 1.0, -1.0, v, np.empty(n), np.empty((n, n)))
    np.testing.assert_array_equal(Lt, np.eye(n))
    assert not rank_one(Lt, 1.0, 1.0, np.full(n, np.nan), np.empty(n), np.empty((n, n)))
    assert not rank_one(Lt, 1.0, 1.0, np.full(n, 1e200), np.empty(n), np.empty((n, n)))


def test_transform():
    rng = np.random.default_rng(1)
    Lt, z, y = np.triu(rng.standard_normal((7, 7))), rng.standard_normal(7), np.empty(7)
    transform(Lt, z, y)
    np.testing.assert_allclose(y, Lt.T @ z, rtol=1e-12)


def test_constants():
    c = constants(10)
    assert c.p_target == pytest.approx(0.181818, abs=5e-7)
    assert c.c_p == pytest.approx(0.083333, abs=5e-7)
    assert c.d == 6
    assert c.c_c == pytest.approx(0.166667, abs=5e-7)
    assert c.c_cov == pytest.approx(0.0188679, abs=5e-8)
    assert c.c_minus == pytest.approx(0.4 / 40.8107, rel=1e-6)


def individual(n):
    who = Individuals(
        *(np.zeros((1, n)), np.zeros((1, n)), np.ones(1), np.full(1, constants(n).p_target)),
        *(np.zeros((1, n, n)), np.zeros((1, n))),
    )
    begin(who, 0, np.ones(n))
    return who


@pytest.mark.parametrize("n", [1, 2, 9])
def test_individual_as_the_twin(n):
    rng = np.random.default_rng(n)
    who, c, other = individual(n), constants(n), twin.Individual(n)
    seen = set()
    for _ in range(200):
        s = rng.random() < 0.6
        who.y[0] = other.y = rng.standard_normal(n)
        success_step(who, 0, s, c)
        other.success(s)
        covariance_step(who, 0, c, np.ones(n), np.empty(n))
        other.learn()
        seen.add(bool(who.p[0] < c.p_thresh))
        np.testing.assert_allclose(who.Lt[0].T @ who.Lt[0], other.C, rtol=1e-9, atol=1e-12)
    assert seen == {True, False}  # both branches
    np.testing.assert_allclose([who.sigma[0], who.p[0]], [other.sigma, other.p], rtol=1e-12)
    np.testing.assert_allclose(who.p_c[0], other.p_c, rtol=1e-12)


def test_matrix_where_success_is_frequent():
    """A published program scales by 1 - c_cov + c_c (2 - c_c)."""
    n = 6
    who, c = individual(n), constants(n)
    who.p[0] = 0.5
    covariance_step(who, 0, c, np.ones(n), np.empty(n))
    factor = 1 - c.c_cov + c.c_cov * c.c_c * (2 - c.c_c)
    np.testing.assert_allclose(who.Lt[0] ** 2, factor * np.eye(n), rtol=1e-15)


def test_step_size_after_failure_and_successes():
    n = 4
    who, c = individual(n), constants(n)
    success_step(who, 0, False, c)
    assert who.p[0] == pytest.approx(11 / 12 * c.p_target, rel=1e-15)
    assert who.sigma[0] < 1
    p, sigma = who.p[0], who.sigma[0]
    for _ in range(100):
        p = 11 / 12 * p + 1 / 12
        sigma *= math.exp((p - c.p_target) / (c.d * (1 - c.p_target)))
        success_step(who, 0, True, c)
    assert who.p[0] > 0.999
    assert who.p[0] == pytest.approx(p, rel=1e-13)
    assert who.sigma[0] == pytest.approx(sigma, rel=1e-12)
    for _ in range(10_000):
        success_step(who, 0, False, c)
    assert who.sigma[0] == 1e-300


# -------------------------------------------------------------------- sets


@given(SETS)
def test_indicators_as_the_twin_and_moocore(f):
    assert hypervolume(f, REFERENCE) == pytest.approx(twin.hypervolume(f, REFERENCE), abs=1e-12)
    np.testing.assert_array_equal(ranks(f), twin.ranks(f))
    np.testing.assert_allclose(contributions(f, REFERENCE), twin.contributions(f, REFERENCE), atol=1e-12)
    if len(f):
        np.testing.assert_array_equal(ranks(f), 1 + moocore.pareto_rank(f))
        assert hypervolume(f, REFERENCE) == pytest.approx(moocore.hypervolume(f, ref=REFERENCE), abs=1e-12)
        np.testing.assert_allclose(contributions(f, REFERENCE), moocore.hv_contributions(f, ref=REFERENCE), atol=1e-12)


@given(arrays.arrays(np.float64, (12, 3), elements=st.integers(0, 4).map(float)))
def test_indicators_of_three_objectives(f):
    assert hypervolume(f, [4, 4, 4]) == pytest.approx(moocore.hypervolume(f, ref=[4, 4, 4]), abs=1e-12)
    np.testing.assert_array_equal(ranks(f), twin.ranks(f))
    np.testing.assert_allclose(contributions(f, [4, 4, 4]), moocore.hv_contributions(f, ref=[4, 4, 4]), atol=1e-12)


@pytest.mark.parametrize("n_obj", [2, 3])
def test_domination_depends_on_the_order_of_values_only(n_obj):
    """Any strictly increasing transform of an objective leaves ranks and archive as they are."""
    rng = np.random.default_rng(n_obj)
    f, x = rng.integers(1, 30, (300, n_obj)).astype(float), rng.standard_normal((300, 4))
    other = np.column_stack([np.exp(f[:, 0]), -1 / f[:, 1], *f[:, 2:].T ** 3])
    np.testing.assert_array_equal(ranks(other), ranks(f))
    np.testing.assert_array_equal(nondominated(other), nondominated(f))
    a, b = Archive(4, n_obj), Archive(4, n_obj)
    np.testing.assert_array_equal(a.add(x, f), b.add(x, other))
    np.testing.assert_array_equal(a.X, b.X)
    np.testing.assert_array_equal(a.eval_index, b.eval_index)
    assert 1 < len(a) < 300


def test_rows_that_are_not_finite():
    f = [[1, 3], [np.nan, 0], [2, 2], [0, -np.inf], [np.inf, 0]]
    assert ranks(f).tolist() == [1, 2, 1, 2, 2]
    assert nondominated(f).tolist() == [True, False, True, False, False]
    assert hypervolume(f, [4, 4]) == hypervolume([[1, 3], [2, 2]], [4, 4]) == 5
    assert contributions(f, [4, 4]).tolist() == [1, 0, 2, 0, 0]


def test_sets_of_none_one_and_two():
    for f, expected in (([], 0), ([[1, 1]], 9), ([[1, 2], [2, 1]], 8)):
        points = np.array(f, dtype=float).reshape(-1, 2)
        assert hypervolume(points, [4, 4]) == expected
        assert ranks(points).tolist() == [1] * len(f)
    assert pareto.contributions(np.array([[0.0, 1.0], [1.0, 0.0]]), np.full(2, np.inf)).tolist() == [np.inf, np.inf]
    assert pareto.contributions(np.zeros((2, 2)), np.full(2, np.inf)).tolist() == [0, 0]


@given(
    st.integers(2, 4).flatmap(
        lambda m: st.tuples(arrays.arrays(float, (4, m), elements=LARGE), st.tuples(*[LARGE] * m))
    )
)
@example((np.array([[0, 1], [-1e308, 2]]), (4.0, 4.0)))
@example((np.array([[-1e308, 3.999], [-1.5e308, 3.9995]]), (1e308, 4.0)))
def test_numbers_whose_differences_overflow(given):
    """The hypervolume became NaN: infinity minus itself, or times 0."""
    f, reference = given
    archive = Archive(1, len(reference), reference=reference)
    for k in range(len(f)):
        archive.add([[k]], f[k : k + 1])
        expected = pytest.approx(twin.exact_hypervolume(f[: k + 1], reference), rel=1e-12)
        assert archive.hypervolume() == expected
        assert hypervolume(f[: k + 1], reference) == expected
    archive = Archive(1, len(reference), reference=reference)
    archive.add(np.zeros((len(f), 1)), f)  # all at once
    assert archive.hypervolume() == expected
    history = archive.hypervolume_history()[:, 1]
    assert (history[1:] > history[:-1]).all()
    assert np.isfinite(contributions(f, reference)).all()


# -------------------------------------------------------------------- fronts that grow


def check_order(archive):
    """List and tree of a front agree."""
    front, size = archive._front, len(archive)
    slots = archive._slots
    assert (np.diff(front.f[slots, 0]) > 0).all()
    assert (np.diff(front.f[slots, 1]) < 0).all()
    back, slot = [], int(front.link[-1, 0])
    while slot != -1:
        back.append(slot)
        slot = int(front.link[slot, 0])
    assert back[::-1] == slots.tolist()

    def in_order(node):
        return [] if node == -1 else [*in_order(front.child[node, 0]), int(node), *in_order(front.child[node, 1])]

    assert in_order(int(front.child[-1, 0])) == slots.tolist()
    assert size == len(slots)


@given(SETS, st.booleans())
def test_archive_after_every_point(f, log):
    archive = Archive(1, reference=REFERENCE, log=log)
    for k in range(len(f)):
        before = archive.state_dict()
        gain = archive.hypervolume()
        entered = archive.add([[k]], f[k : k + 1])[0]
        expected = twin.nondominated(f[: k + 1])
        np.testing.assert_array_equal(archive.F, expected)
        assert archive.hypervolume() == pytest.approx(twin.hypervolume(f[: k + 1], REFERENCE), abs=1e-12)
        assert archive.hypervolume() >= gain
        check_order(archive)
        assert entered == (not any((other <= f[k]).all() for other in f[:k]))
        if not entered:
            np.testing.assert_equal(archive.state_dict() | {"told": k}, before | {"told": k})
    np.testing.assert_array_equal(f[archive.X[:, 0].astype(int)], archive.F)
    np.testing.assert_array_equal(archive.eval_index, archive.X[:, 0] + 1)


@pytest.mark.parametrize("shape", ["concave", "uniform"])
def test_many_insertions(shape):
    rng = np.random.default_rng(3)
    k = 100_000
    t = rng.random(k)
    f = np.array([t, 1 - t**2]).T + 0.001 * rng.random((k, 1)) if shape == "concave" else rng.random((k, 2))
    archive = Archive(1, reference=(1.1, 1.1))
    archive.add(np.arange(k)[:, None], f)
    found = moocore.filter_dominated(f)
    np.testing.assert_array_equal(archive.F, found[np.argsort(found[:, 0])])
    assert archive.hypervolume() == pytest.approx(moocore.hypervolume(f, ref=[1.1, 1.1]), rel=1e-12)
    assert archive.hypervolume() == pytest.approx(
        archive_kernels.measure(archive._front, archive.reference)[0], rel=1e-12
    )
    check_order(archive)
    history = archive.hypervolume_history()
    assert history[-1, 1] == archive.hypervolume()
    assert len(history) <= 1 + 50 * 5
    assert (np.diff(history, axis=0) > 0).all()


def test_as_moarchiving():
    moarchiving = pytest.importorskip("moarchiving")
    rng = np.random.default_rng(5)
    f = rng.random((500, 2))
    archive, other = (
        Archive(1, reference=(0.9, 1.2)),
        moarchiving.BiobjectiveNondominatedSortedList(reference_point=[0.9, 1.2]),
    )
    for row in f:
        archive.add([[0.0]], row[None])
        other.add(row.tolist())
        assert archive.hypervolume() == pytest.approx(float(other.hypervolume), rel=1e-12)
    inside = (archive.F < [0.9, 1.2]).all(axis=1)
    np.testing.assert_array_equal(archive.F[inside], np.array(list(other)))


def test_estimated_reference():
    archive = Archive(1, log=True)
    with pytest.raises(ProtocolError, match="the archive has none"):
        archive.estimated_reference()
    archive.add(np.zeros((1, 1)), [[1.0, 2.0]])
    np.testing.assert_allclose(archive.estimated_reference(), [1.1, 2.2])  # one point has no range
    assert archive.hypervolume_history(archive.estimated_reference())[-1, 1] > 0
    archive.add(np.zeros((3, 1)), [[0.0, 5.0], [9.0, 9.0], [3.0, 0.0]])
    np.testing.assert_allclose(archive.estimated_reference(), [3.3, 5.5])  # of the front only
    assert archive.hypervolume_history(archive.estimated_reference())[-1, 1] == pytest.approx(
        hypervolume(archive.F, (3.3, 5.5))
    )
    flat = Archive(1, 3)
    flat.add(np.zeros((2, 1)), [[0.0, 2.0, 3.0], [0.0, 1.0, 5.0]])
    np.testing.assert_allclose(flat.estimated_reference(), [0.1, 2.1, 5.2])
    huge = Archive(1)
    huge.add(np.zeros((2, 1)), [[1e308, -1.7e308], [-1.7e308, 1.7e308]])
    assert np.isfinite(huge.estimated_reference()).all()


def test_history_for_any_reference():
    rng = np.random.default_rng(7)
    f = rng.random((3000, 2))
    archive = Archive(2, log=True)
    archive.add(rng.random((3000, 2)), f)
    history = archive.hypervolume_history((0.8, 0.9))
    for nfev, value in history[:: len(history) // 7]:
        assert value == pytest.approx(twin.hypervolume(f[: int(nfev)], np.array([0.8, 0.9])), abs=1e-12)
    log = archive.log
    for k in (0, len(log.F) // 2, len(log.F) - 1):
        death = log.death[k]
        killers = [i + 1 for i in range(len(f)) if twin.dominates(f[i], log.F[k])]
        assert death == (min(killers) if killers else -1)
        assert death == -1 or death > log.birth[k]


@pytest.mark.parametrize(
    ("eval_index", "error", "message"),
    [
        ([3], ShapeError, r"shape \(2,\), one number per row of `f`; got \(1,\)"),
        (3, ShapeError, r"got \(\)"),
        ([], ShapeError, r"got \(0,\)"),
        ([[3, 4]], ShapeError, r"got \(1, 2\)"),
        ([3, 4.5], ArgumentTypeError, r"must be 2 integers.*got \[3, 4.5\]"),
        ([3, np.nan], ArgumentTypeError, "integers"),
        (["3", "4"], ArgumentTypeError, "integers"),
        ([True, True], ArgumentTypeError, "integers"),
        ([[3], [4, 5]], ArgumentTypeError, "integers"),
        ([3, 2**63], ArgumentTypeError, "integers below 2\\^63"),
        ([0, 4], ArgumentError, "must be >= 1; got 0"),
        ([3, -4], ArgumentError, "must be >= 1; got -4"),
        ([4, 3], ArgumentError, "must not decrease; got 3 at index 1 after 4.*order of their evaluation"),
        ([1, 3], ArgumentError, "must not decrease; got 1 at index 0 after 2"),
    ],
)
def test_numbers_of_evaluations_that_cannot_be(eval_index, error, message):
    """They were taken as they came: numbers were cut to integers, and kernels read beyond a list too short."""
    archive = Archive(1, reference=(4, 4))
    archive.add([[0.0], [1.0]], [[1, 3], [3, 1]])
    before = archive.state_dict()
    with pytest.raises(error, match=f"`eval_index` .*{message}"):
        archive.add([[2.0], [3.0]], [[2, 2], [0, 3.5]], eval_index)
    np.testing.assert_equal(archive.state_dict(), before)


def test_numbers_of_evaluations():
    archive = Archive(1, reference=(4, 4))
    archive.add([[0.0], [1.0]], [[1, 3], [3, 1]], [5, 5])  # one evaluation may have had several points
    assert archive.add(np.empty((0, 1)), np.empty((0, 2)), []).tolist() == []
    archive.add([[2.0]], [[2, 2]], np.array([7], dtype=np.uint8))
    archive.add([[3.0]], [[0, 3.5]])
    assert archive.eval_index.tolist() == [8, 5, 7, 5]


def test_hypervolume_of_three_objectives_is_measured_once(monkeypatch):
    """Strategies with an `hv_target` measured it anew at every `stop()`."""
    measured = []
    measure = many.hypervolume
    monkeypatch.setattr(many, "hypervolume", lambda f, r: measured.append(len(f)) or measure(f, r))
    rng = np.random.default_rng(4)
    f = 1 - rng.dirichlet(np.ones(3), 12)  # none dominates another
    archive = Archive(1, 3, reference=(1, 1, 1), max_rows=10)
    for k in range(12):
        archive.add([[k]], f[k : k + 1])
        volumes = {archive.hypervolume() for _ in range(3)}
        archive.add([[k]], f[k : k + 1])  # does not come in
        volumes.add(archive.hypervolume())
        assert volumes == {measure(archive.F, np.ones(3))}
    assert archive.thinned
    assert len(measured) <= 12 + 1  # and for the history, before points went
    count = len(measured)
    other = Archive.from_state(archive.state_dict())
    assert other.hypervolume() == other.hypervolume() == archive.hypervolume()
    assert len(measured) == count + 1
    assert archive.hypervolume((2, 2, 2)) > 1  # another reference
    assert archive.hypervolume() == measure(archive.F, np.ones(3))


@pytest.mark.parametrize("n_obj", [2, 3])
def test_archive_of_more_rows_than_it_may_have(n_obj):
    rng = np.random.default_rng(2)
    f = rng.random((400, n_obj))
    f = f / np.linalg.norm(f, axis=1, keepdims=True)  # none dominates another
    f = 1 - f
    archive = Archive(1, n_obj, reference=np.ones(n_obj), max_rows=100)
    for k in range(0, 400, 10):
        archive.add(np.zeros((10, 1)), f[k : k + 10])
    assert len(archive) <= 100
    assert archive.thinned == 400 - len(archive)
    assert archive.hypervolume() == pytest.approx(moocore.hypervolume(archive.F, ref=np.ones(n_obj)), rel=1e-12)
    full = moocore.hypervolume(f, ref=np.ones(n_obj))
    assert archive.hypervolume() > 0.95 * full  # those that mattered are there
    np.testing.assert_array_equal(archive.F.min(axis=0), f.min(axis=0))


def test_the_least_and_draws():
    rng = np.random.default_rng(0)
    key, birth = rng.integers(0, 5, 8).astype(float), rng.permutation(8)
    winner, total = np.full(16, -1), np.zeros(16)
    present = np.zeros(8, dtype=bool)
    for _ in range(300):
        slot = int(rng.integers(8))
        present[slot] = rng.random() < 0.7
        key[slot] = rng.integers(0, 5)
        pareto.compete(winner, slot, present[slot], key, birth)
        pareto.set_weight(total, slot, key[slot] * present[slot])
        inside = np.flatnonzero(present)
        expected = inside[np.lexsort((-birth[inside], key[inside]))][0] if len(inside) else -1
        assert winner[1] == expected
        weights = key * present
        assert total[1] == weights.sum()
        if total[1] > 0:
            u = rng.random()
            assert pareto.draw(total, u) == np.searchsorted(np.cumsum(weights), u * total[1], side="right")
