"""`minimize_multi` and the figures of its results."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import lmcma
from lmcma.errors import ArgumentError, ArgumentTypeError, ObjectiveError
from lmcma.plotting import fronts

OPTIONS = {"popsize": 8, "maxfev": 200, "reference": (4, 4), "rng": 1}


def distances(x):
    return sum(x**2), sum((x - 1) ** 2)


def rows(x):
    return np.array([distances(p) for p in x])


def assert_same(a, b):
    np.testing.assert_array_equal(a.X, b.X)
    np.testing.assert_array_equal(a.F, b.F)
    assert a.hypervolume == b.hypervolume


@pytest.mark.parametrize("method", ["mo-cma", "up-mo-cma"])
def test_the_same_run_however_it_is_evaluated(method, tmp_path):
    plain = lmcma.minimize_multi(distances, [0.3] * 3, 0.3, method=method, **OPTIONS)
    assert (plain.nfev, plain.method, plain.n_obj) == (200, method, 2)
    assert plain.stop.reason == "maxfev"
    assert_same(plain, lmcma.minimize_multi(rows, [0.3] * 3, 0.3, method=method, vectorized=True, **OPTIONS))
    with ThreadPoolExecutor(2) as pool:
        assert_same(plain, lmcma.minimize_multi(distances, [0.3] * 3, 0.3, method=method, workers=pool, **OPTIONS))
    file = tmp_path / "run.npz"
    first = {**OPTIONS, "maxfev": 90, "method": method, "checkpoint": file}
    lmcma.minimize_multi(distances, [0.3] * 3, 0.3, **first)
    again = lmcma.minimize_multi(distances, [0.3] * 3, 0.3, **{**first, "maxfev": 200}, resume=True)
    assert_same(plain, again)
    with pytest.raises(ArgumentError, match="`reference"):
        lmcma.minimize_multi(distances, [0.3] * 3, 0.3, **{**first, "reference": (5, 5)}, resume=True)


def test_the_method_follows_from_the_number_of_objectives():
    assert lmcma.minimize_multi(distances, [0.3] * 3, 0.3, maxfev=20).method == "hmo-cma"
    three = lmcma.minimize_multi(lambda x: (*distances(x), x[0]), [0.3] * 3, 0.3, n_obj=3, maxfev=20)
    assert three.method == "mo-cma"


def test_options_bounds_and_ends():
    given = {"options": {"variant": "generational"}, "bounds": (0.1, 0.6), "stds": [1, 2, 1]}
    res = lmcma.minimize_multi(distances, [0.3] * 3, 0.3, method="mo-cma", **given, **OPTIONS)
    assert ((res.X >= 0.1) & (res.X <= 0.6)).all()
    es = lmcma.make("mo-cma", [0.3] * 3, 0.3, variant="generational", bounds=(0.1, 0.6), popsize=5)
    assert es.variant == "generational"
    hit = lmcma.minimize_multi(distances, [0.3] * 3, 0.3, hv_target=10, **OPTIONS)
    assert hit.success
    assert hit.nfev < 200
    seen = []
    four = {"callback": lambda r: seen.append(r.nfev) or len(seen) == 4}
    lmcma.minimize_multi(distances, [0.3] * 3, 0.3, method="mo-cma", **four, rng=1)
    assert seen == [100, 101, 102, 103]


def test_failures():
    calls = []

    def fails(x):
        calls.append(1)
        if len(calls) % 5 == 0:
            raise ValueError("no")
        return distances(x)

    res = lmcma.minimize_multi(fails, [0.3] * 3, 0.3, **OPTIONS)
    assert res.nfail == 40
    with pytest.raises(ObjectiveError, match="2 numbers"):
        lmcma.minimize_multi(lambda x: 1.0, [0.3] * 3, 0.3, **OPTIONS)
    with pytest.raises(ObjectiveError, match=r"shape \(3,\) instead of \(2,\)"):
        lmcma.minimize_multi(lambda x: x, [0.3] * 3, 0.3, **OPTIONS)


def test_errors():
    with pytest.raises(ArgumentError, match="for one objective"):
        lmcma.minimize_multi(distances, [0.3] * 3, 0.3, method="cma", maxfev=10)
    with pytest.raises(ArgumentError, match="minimize_multi"):
        lmcma.minimize(distances, [0.3] * 3, 0.3, method="mo-cma", maxfev=10)
    with pytest.raises(ArgumentError, match="must end the run"):
        lmcma.minimize_multi(distances, [0.3] * 3, 0.3)
    with pytest.raises(ArgumentTypeError, match="no option"):
        lmcma.minimize_multi(distances, [0.3] * 3, 0.3, options={"variants": 1}, maxfev=10)
    with pytest.raises(ArgumentError, match="repeats 'popsize'"):
        lmcma.minimize_multi(distances, [0.3] * 3, 0.3, options={"popsize": 1}, **OPTIONS)


def test_figures(tmp_path):
    pytest.importorskip("matplotlib")
    a = lmcma.minimize_multi(distances, [0.3] * 3, 0.3, **OPTIONS)
    figure = fronts(a)
    points, growth, volume = figure.axes
    np.testing.assert_array_equal(points.get_lines()[0].get_xydata(), a.F)
    assert growth.get_lines()[0].get_ydata()[-1] == len(a.F)
    assert volume.get_lines()[0].get_ydata()[-1] == a.hypervolume
    figure.savefig(tmp_path / "fronts.png", dpi=50)
    both = fronts({"one": a, "other": lmcma.MOCMAES([0.3] * 3, 0.3).result()})
    assert [text.get_text() for text in both.axes[0].get_legend().get_texts()] == ["one", "other"]
    both.savefig(tmp_path / "both.png", dpi=50)
    assert len(fronts(a, ax=figure.axes[0]).axes) == 3
    with pytest.raises(ArgumentTypeError, match="minimize_multi"):
        fronts([1])
    with pytest.raises(ArgumentError, match="objectives"):
        fronts(a, objectives=(0, 2))
