"""The protocol: what ask, tell, stop, result promise, for every strategy."""

import numpy as np
import pytest

import lmcma
from lmcma.errors import ArgumentError, ArgumentTypeError, ProtocolError, ShapeError
from lmcma.strategies.protocol import Strategy
from lmcma.testfunctions import ellipsoid, sphere
from lmcma.transforms import Mapped
from tests.strategies import STRATEGIES, assert_same_state

every = pytest.mark.parametrize("make", STRATEGIES)


def run(es, iterations, f=ellipsoid):
    for _ in range(iterations):
        x = es.ask()
        es.tell(x, f(x))
    return es


@every
def test_is_a_strategy(make):
    es = make()
    assert isinstance(es, Strategy)
    assert es.ask().shape == (es.popsize, es.dim)
    assert (es.n_obj, es.nfev) == (1, 0)
    assert es.stop() is None


@every
def test_asking_again_gives_the_same_and_changes_nothing(make):
    a, b = run(make(), 3), run(make(), 3)
    x = a.ask()
    assert x.flags.c_contiguous
    assert x.dtype == np.float64
    out = np.full((a.popsize + 2, a.dim), 7.0)
    view = a.ask(out=out)
    assert view.base is out
    assert (view == x).all()
    assert (out[a.popsize :] == 7).all()
    assert (b.ask() == x).all()
    assert_same_state(a, b)
    kept = x.copy()
    run(a, 1)
    assert (x == kept).all()  # what was handed out is not touched again


@every
def test_out_must_fit(make):
    es = make(popsize=8)
    for shape in ((7, es.dim), (8, es.dim + 1), (8 * es.dim,)):
        with pytest.raises(ShapeError, match="`out` must be"):
            es.ask(out=np.empty(shape))
    with pytest.raises(ShapeError, match="`out` must be"):
        es.ask(out=np.empty((8, es.dim), dtype=np.float32))
    with pytest.raises(ShapeError, match="`out` must be"):
        es.ask(out=[[0.0] * es.dim] * 8)


@every
def test_ways_of_telling_are_the_same(make):
    """In one piece, without x, in another order, in parts: the same state, to the bit."""
    whole, bare, turned, parts = (make() for _ in range(4))
    rng = np.random.default_rng(0)
    for _ in range(12):
        x = whole.ask()
        f = ellipsoid(x)
        whole.tell(x, f)
        bare.ask()
        bare.tell(None, f.tolist())
        p = rng.permutation(len(f))
        turned.ask()
        turned.tell(x[p], f[p], ids=p)
        parts.ask()
        half = len(f) // 2
        parts.tell(None, f[half:], ids=range(half, len(f)))
        assert parts.nfev == whole.nfev - half
        parts.tell(x[:half], f[:half], ids=np.arange(half))
    for other in (bare, turned, parts):
        assert_same_state(whole, other)


@every
def test_rows_that_are_missing(make):
    es = make()
    assert len(es.missing) == 0
    k = len(es.ask())
    assert es.missing.tolist() == list(range(k))
    es.tell(None, [1.0], ids=[1])
    assert es.missing.tolist() == [0, *range(2, k)]
    es.tell(np.zeros((1, es.dim)), [1.0], ids=[-1])
    assert len(es.missing) == k - 1
    es.tell(None, np.ones(k - 1), ids=es.missing)
    assert len(es.missing) == 0


@every
def test_arguments_are_left_alone(make):
    es = make()
    x = es.ask()
    f = np.full(len(x), np.nan)
    f[0] = 1
    x_kept, f_kept = x.copy(), f.copy()
    es.tell(x, f)
    np.testing.assert_array_equal(f, f_kept)
    np.testing.assert_array_equal(x, x_kept)
    assert es.result().nfail == len(f) - 1


@every
def test_best_is_the_best_of_all_told(make):
    es = make()
    best = np.inf
    for _ in range(10):
        x = es.ask()
        f = sphere(x)
        if f.min() < best:
            best, where = f.min(), x[f.argmin()].copy()
        es.tell(None, f)
        res = es.result()
        assert res.fun == best
        np.testing.assert_array_equal(res.x, where)
    assert res.nfev == 10 * es.popsize
    assert res.nit == 10


@every
def test_points_of_the_callers_own(make):
    es = make()
    x = es.ask()
    own = np.zeros((2, es.dim))
    es.tell(own, sphere(own), ids=[-1, -1])
    assert es.nfev == 2
    assert es.result().fun == 0
    assert (es.result().x == 0).all()
    before = es.mean.copy()
    es.tell(x, sphere(x))
    assert es.nfev == 2 + len(x)
    assert (es.mean != before).any()
    assert np.isfinite(es.mean).all()
    run(es, 5)


@every
def test_foreign_points_pull_no_more_than_their_weight(make):
    """A point a million standard deviations away is clipped to c_y = sqrt(n) + 2n/(n + 2) of them."""
    es = make(std_limits=None) if make().method == "cma" else make()
    x = es.ask()
    far = np.full((1, es.dim), min(1e6, es.coordinates.high[0]) if isinstance(es, Mapped) else 1e6)
    es.tell(far, [-1.0], ids=[-1])
    es.tell(None, sphere(x))
    n = es.dim
    longest = max(np.sqrt(n) + 2 * n / (n + 2), np.linalg.norm(x - es.x0, axis=1).max())
    moved = np.linalg.norm(es.mean - es.x0)
    assert 0 < moved <= 1.000001 * longest
    run(es, 5)
    assert np.isfinite(es.mean).all()


@every
def test_points_of_ones_own_in_place_of_rows(make):
    """A whole batch in which an id is -1: that point stands for the row that is missing, as when it is told edited."""
    a, b = make(), make()
    x, _ = a.ask(), b.ask()
    x[1] = 0.25
    f = sphere(x)
    ids = np.arange(len(f))
    ids[1] = -1
    a.tell(x, f, ids=ids)
    b.tell(x, f)
    assert a.nit == b.nit == 1
    assert_same_state(a, b)


@every
def test_a_refused_tell_leaves_no_trace(make):
    a, b = make(), make()
    x, _ = a.ask(), b.ask()
    f = sphere(x)
    for es in (a, b):
        es.tell(x[:1], f[:1], ids=[0])
    with pytest.raises(ProtocolError):
        a.tell(x + 1, f)  # row 0 was told before
    assert_same_state(a, b)


@every
def test_edited_rows_of_a_batch_cut_short_are_forgotten(make):
    es = make(maxfev=make().popsize + 1)
    run(es, 1)
    x = es.ask()
    es.tell(x + 0.5, sphere(x + 0.5))
    assert es.nfev == es.popsize + 1
    run(es, 3)  # who goes on in spite of the limit
    assert np.isfinite(es.mean).all()
    assert es.nit == 4


@every
def test_late_points_join_the_next_update(make):
    a, b = make(), make()
    for es in (a, b):
        run(es, 1)
    late = np.full((1, a.dim), 0.125)
    a.tell(late, [-2.0], ids=[-1])  # between two batches
    assert a.result().fun == -2
    x = a.ask()
    b.ask()
    b.tell(late, [-2.0], ids=[-1])
    for es in (a, b):
        es.tell(None, sphere(x))
    assert_same_state(a, b)


@every
def test_edited_rows_are_the_callers_own(make):
    """A repaired batch, told without ids: the edited row counts with the point that was evaluated."""
    es = make()
    x = es.ask()
    x[1] = 0.25
    f = sphere(x)
    f[1] = -1
    es.tell(x, f)
    assert es.nfev == len(f)
    assert es.result().fun == -1
    assert (es.result().x == 0.25).all()
    asked = make()
    asked.ask()
    asked.tell(None, f)  # the same values for the rows as asked: another update
    assert (asked.mean != es.mean).any()


@every
def test_budget_cuts_the_last_batch(make):
    es = make(maxfev=make().popsize * 2 + 1)
    run(es, 2)
    assert es.popsize == 1
    mean = es.mean.copy()
    x = es.ask()
    assert x.shape == (1, es.dim)
    es.tell(x, [-5.0])
    assert (es.mean == mean).all()  # one row teaches nothing
    assert es.result().fun == -5
    assert es.stop().reason == "maxfev"
    assert es.result().status == 1
    assert not es.result().success
    assert es.ask().shape[0] > 1  # who goes on in spite of the limit gets whole batches


@every
def test_target(make):
    es = make(ftarget=1e-3, x0=None)
    while not es.stop():
        x = es.ask()
        es.tell(x, sphere(x))
    res = es.result()
    assert res.success
    assert res.status == 0
    assert res.fun <= 1e-3
    assert res.stop.reason == "ftarget"


def test_result_before_anything_was_told():
    res = lmcma.make("cma", [1.0, 2.0], 0.5).result()
    assert np.isnan(res.fun)
    assert res.x.tolist() == [1, 2]
    assert (res.nfev, res.status, res.message) == (0, -1, "running")


@every
def test_telling_out_of_turn(make):
    es = make()
    with pytest.raises(ProtocolError, match="Call `ask\\(\\)` first"):
        es.tell(np.zeros((1, es.dim)), [1.0])
    x = es.ask()
    es.tell(x[:1], [1.0], ids=[0])
    with pytest.raises(ProtocolError, match="told"):
        es.tell(x[:1], [1.0], ids=[0])
    with pytest.raises(ProtocolError, match="row 0 was told before"):
        es.tell(x, sphere(x))
    with pytest.raises(ProtocolError, match=r"each once; got \[1, 1\], missing are \[1, 2"):
        es.tell(None, [1.0, 2.0], ids=[1, 1])
    with pytest.raises(ArgumentError, match="`ids` must be rows of the batch"):
        es.tell(None, [1.0], ids=[es.popsize])
    with pytest.raises(ArgumentError, match="Pass the points"):
        es.tell(None, [1.0], ids=[-1])
    assert es.nfev == 1  # nothing of what was refused was counted
    k = es.popsize
    es.tell(None, np.ones(k - 1), ids=np.arange(1, k))
    with pytest.raises(ProtocolError, match="none is out"):
        es.tell(None, [1.0])


@pytest.mark.parametrize(
    ("x", "f", "ids", "error", "text"),
    [
        (None, [1.0] * 9, None, ShapeError, "at most 6 values"),
        (None, [[1.0] * 6], None, ShapeError, "one value per row"),
        (None, 1.0, None, ShapeError, "one value per row"),
        (None, ["a"] * 6, None, ArgumentTypeError, "`f` must be numbers"),
        (None, [1j] * 6, None, ArgumentTypeError, "`f` must be numbers"),
        (None, [None] * 6, None, ArgumentTypeError, "`f` must be numbers"),
        (np.zeros((5, 2)), [1.0] * 6, None, ShapeError, "`x` must have shape \\(6, 2\\)"),
        ("points", [1.0] * 6, None, ArgumentTypeError, "`x` must be an array of numbers"),
        (None, [1.0] * 6, [0.5] * 6, ShapeError, "`ids` must be 6 integers"),
        (None, [1.0] * 6, [0], ShapeError, "`ids` must be 6 integers"),
        (None, [1.0], [-2], ArgumentError, "`ids` must be rows"),
    ],
)
def test_bad_tells(x, f, ids, error, text):
    es = lmcma.make("cma", [1.0, 2.0], 0.5, rng=1)
    es.ask()
    with pytest.raises(error, match=text):
        es.tell(x, f, ids=ids)
    assert es.nfev == 0


def test_other_kinds_of_numbers_are_values():
    es = lmcma.make("cma", [1.0, 2.0], 0.5, rng=1)
    es.ask()
    from decimal import Decimal
    from fractions import Fraction

    es.tell(None, [Decimal("0.5"), Fraction(1, 4), 3, True, np.float32(2), 1.0])
    assert es.result().fun == 0.25
