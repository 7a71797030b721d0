"""Convergence plots: what is drawn, and what happens with awkward runs."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import lmcma
from lmcma.errors import ArgumentError, ArgumentTypeError, MissingDependencyError
from lmcma.plotting import convergence
from lmcma.plotting.convergence import _spread

pytest.importorskip("matplotlib")


def sphere(x):
    return float(x @ x)


def run(fun=sphere, n=3, **options):
    return lmcma.minimize(fun, np.arange(1.0, n + 1), 0.5, **{"maxfev": 300, "rng": 1, **options})


def curves(ax):
    """The drawn values by label, gaps left out."""
    return {line.get_label(): np.asarray(line.get_ydata())[np.isfinite(line.get_ydata())] for line in ax.get_lines()}


def rendered(figure, tmp_path):
    """Draw for real: layout and log scales complain only then, and warnings are errors here."""
    path = tmp_path / "figure.png"
    figure.savefig(path, dpi=50)
    return path.stat().st_size


def test_one_run(tmp_path):
    res = run()
    figure = convergence(res)
    values, mean, stds, shape = figure.axes
    drawn = curves(values)
    np.testing.assert_array_equal(drawn["f, best so far"], res.history["best_f"])
    np.testing.assert_array_equal(drawn["step size σ"], res.history["sigma"])
    assert len(mean.get_lines()) == len(stds.get_lines()) == 3
    assert values.get_yscale() == stds.get_yscale() == shape.get_yscale() == "log"
    assert mean.get_yscale() == "linear"
    title = figure.get_suptitle()
    for part in ("cma", "n = 3", "300 evaluations", "stopped by maxfev"):
        assert part in title
    assert figure.axes[2].get_xlabel() == "evaluations"
    assert rendered(figure, tmp_path) > 5000


def test_a_history_is_enough(tmp_path):
    figure = convergence(run().history)
    assert figure.get_suptitle() == ""
    assert rendered(figure, tmp_path)


@pytest.mark.parametrize("shift", [-7.0, 7.0])
def test_values_without_zero_in_reach_are_shown_as_differences_to_the_best(shift, tmp_path):
    res = run(lambda x: sphere(x) + shift, maxfev=None)
    figure = convergence(res)
    best = curves(figure.axes[0])["f − min f, best so far"]
    assert best.min() > 0
    assert best[0] == pytest.approx(res.history["best_f"][0] - res.fun)
    assert rendered(figure, tmp_path)


def test_f_opt_is_subtracted():
    res = run(lambda x: sphere(x) - 7)
    best = curves(convergence(res, f_opt=-7.0).axes[0])["f − f_opt, best so far"]
    np.testing.assert_allclose(best, res.history["best_f"] + 7)
    with pytest.raises(ArgumentError, match="`f_opt` must be a finite number; got nan"):
        convergence(res, f_opt=float("nan"))


@pytest.mark.parametrize(
    ("n", "fun", "options"),
    [
        (1, sphere, {}),
        (2, sphere, {"maxiter": 1}),
        (1, sphere, {"maxiter": 1}),
        (70, sphere, {}),
        (2, lambda x: 3.0, {}),
        (2, lambda x: -3.0, {}),
        (2, lambda x: float("nan"), {}),
        (2, lambda x: float("inf"), {}),
        (3, lambda x: sphere(x) if x[0] < 1 else float("nan"), {}),
        (3, lambda x: float("inf") if x[1] > 2 else sphere(x), {}),
        (2, lambda x: -np.exp(700.0 - sphere(x)), {}),
    ],
)
def test_awkward_runs_are_drawn(n, fun, options, tmp_path):
    figure = convergence(run(fun, n, **options))
    assert len(figure.axes) == 4
    assert rendered(figure, tmp_path)


def test_many_coordinates_say_that_they_are_not_all(tmp_path):
    figure = convergence(run(n=70))
    assert figure.axes[1].get_title() == "Mean of the first 64 of 70 coordinates"
    assert len(figure.axes[1].get_lines()) == 64


def test_several_runs(tmp_path):
    runs = {f"seed {seed}": run(rng=seed) for seed in range(9)}
    figure = convergence(runs)
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == list(runs)
    styles = {(line.get_color(), line.get_linestyle()) for line in figure.axes[0].get_lines()}
    assert len(styles) == len(runs), "every run has a look of its own"
    assert rendered(figure, tmp_path)


def test_several_runs_share_what_is_subtracted():
    runs = {"low": run(lambda x: sphere(x) - 5), "high": run(lambda x: sphere(x) - 2)}
    drawn = curves(convergence(runs).axes[0])
    assert drawn["high"].min() >= 3


def test_into_axes_and_figures_of_the_caller(tmp_path):
    from matplotlib.figure import Figure

    res = run()
    own = Figure()
    left, right = own.subplots(1, 2)
    assert convergence(res, ax=left) is own
    assert left.get_lines()
    assert not right.get_lines()

    own = Figure(layout="constrained")
    top, _ = own.subfigures(2, 1)
    assert convergence(res, figure=top, title="") is own
    assert len(top.axes) == 4
    assert rendered(own, tmp_path)
    with pytest.raises(ArgumentError, match="`ax` and `figure` exclude each other"):
        convergence(res, ax=left, figure=own)


def test_what_cannot_be_drawn():
    with pytest.raises(ArgumentError, match=r"`res` has no history: .* record=True"):
        convergence(run(record=False))
    with pytest.raises(ArgumentError, match=r"`res\['b'\]` has no history"):
        convergence({"a": run(), "b": run(record=False)})
    with pytest.raises(ArgumentError, match="empty history"):
        convergence(lmcma.History())
    with pytest.raises(ArgumentError, match="at least one run"):
        convergence({})
    with pytest.raises(ArgumentTypeError, match=r"must be a Result, a History, or a mapping .* got list"):
        convergence([run()])  # type: ignore[arg-type]
    with pytest.raises(ArgumentTypeError, match=r"`res.'a'.` must be a Result or a History; got int"):
        convergence({"a": 1})  # type: ignore[dict-item]


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch):
    res = run()
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'lmcma\[plot\]'"):
        convergence(res)


def test_pyplot_stays_out_of_it():
    code = """
import sys, lmcma.plotting
assert "matplotlib" not in sys.modules
res = lmcma.minimize(lambda x: float(x @ x), [1.0], 0.5, maxfev=40, rng=1)
lmcma.plotting.convergence(res).savefig("/dev/null", format="png")
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_labels_keep_their_distance():
    rng = np.random.default_rng(1)
    for size in (1, 2, 5, 16, 60):
        places = np.sort(rng.normal(0.5, 0.4, size))
        out = _spread(places, 0.045)
        assert (out >= -1e-12).all()
        assert (out <= 1 + 1e-12).all()
        if size > 1:
            assert np.diff(out).min() >= min(0.045, 1 / (size - 1)) - 1e-12


def test_models_of_one_run_and_of_several():
    f = lmcma.testfunctions.ellipsoid
    runs = {
        str(popsize): lmcma.minimize(
            f, [1.0] * 3, 0.5, method="saacm", options={"hyper_popsize": popsize}, maxfev=150, vectorized=True, rng=1
        )
        for popsize in (0, 4)
    }
    figure = lmcma.plotting.models(runs["4"])
    values, error, life, parameters = figure.axes
    assert [len(ax.get_lines()) for ax in figure.axes] == [1, 2, 1, 5]
    np.testing.assert_array_equal(error.get_lines()[0].get_ydata(), runs["4"].history["model_error"])
    np.testing.assert_array_equal(life.get_lines()[0].get_ydata(), runs["4"].history["life_length"])
    for line in parameters.get_lines():
        assert ((line.get_ydata() >= 0) & (line.get_ydata() <= 1)).all()
    assert parameters.get_legend().get_texts()[0].get_text() == "training points"
    assert values.get_yscale() == "log"
    several = lmcma.plotting.models({**runs, "chain": _chain()}, title="three runs")
    assert [len(ax.get_lines()) for ax in several.axes] == [3, 4, 3, 3]
    assert [text.get_text() for text in several.axes[0].get_legend().get_texts()] == ["0", "4", "chain"]


def _chain():
    options = {"hyper_popsize": 0, "x0_box": (-2, 2)}
    f = lmcma.testfunctions.sphere
    return lmcma.minimize(f, [1.0] * 2, 0.5, method="ipop-saacm", options=options, maxfev=900, vectorized=True, rng=1)


def test_parameters_of_models_have_the_range_of_their_dimension():
    """A history has the means of 64 coordinates only."""
    options = {"hyper_popsize": 0, "popsize": 5}
    res = lmcma.minimize(lmcma.testfunctions.sphere, [1.0] * 70, 0.5, method="saacm", options=options, maxfev=10, rng=1)
    drawn = [lmcma.plotting.models(run).axes[3].get_lines()[0].get_ydata() for run in (res, res.history)]
    np.testing.assert_array_equal(*drawn)


def test_models_need_models():
    plain = lmcma.minimize(lmcma.testfunctions.sphere, [1.0] * 2, 0.5, maxfev=60, rng=1)
    with pytest.raises(ArgumentError, match=r"`res` must be a run of .saacm.*`convergence`"):
        lmcma.plotting.models(plain)
    with pytest.raises(ArgumentError, match=r"`res` \('b'\) must be"):
        lmcma.plotting.models({"b": plain})
    quadratic = lmcma.minimize(lmcma.testfunctions.sphere, [1.0] * 2, 0.5, method="quad-cma", maxfev=30, rng=1)
    with pytest.raises(ArgumentError, match="must be a run of 'saacm'"):
        lmcma.plotting.models(quadratic)
    with pytest.raises(ArgumentTypeError, match="must be a Result"):
        lmcma.plotting.models(3)
