"""History: which iterations are kept, and what a row says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import lmcma
from lmcma.record import History
from lmcma.termination import Stop, StopReason
from lmcma.testfunctions import sphere


class Walk:
    """Stands in for a strategy: iteration t has sigma 1/t, and it stops by itself after `last` iterations."""

    def __init__(self, last: float = np.inf, n: int = 3) -> None:
        self.nit = self.nfev = 0
        self.last, self.n = last, n

    def tell(self) -> np.ndarray:
        self.nit += 1
        self.nfev += 4
        return np.array([1.0, 2.0, 3.0, np.nan]) / self.nit

    def stop(self) -> Stop | None:
        return Stop(StopReason.MAXITER) if self.nit >= self.last else None

    def snapshot(self) -> Mapping[str, Any]:
        return {
            "nit": self.nit,
            "best_f": 1 / self.nit,
            "sigma": 1 / self.nit,
            "axis_ratio": 2.0,
            "stds": np.arange(1.0, self.n + 1) / self.nit,
            "mean": np.full(self.n, float(self.nit)),
        }


def record(iterations: int, max_rows: int, *, stops: bool = True) -> History:
    walk, history = Walk(iterations if stops else np.inf), History(max_rows=max_rows)
    for _ in range(iterations):
        history.record(walk, walk.tell())
    return history


@pytest.mark.parametrize("iterations", [1, 2, 7, 8, 9, 10, 16, 17, 31, 33, 100, 1000, 1023])
def test_thinning_keeps_first_and_last_and_is_even(iterations):
    history = record(iterations, max_rows=8)
    nit = history["nit"]
    assert len(history) <= 8
    assert len(history) >= min(iterations, 4)
    assert nit[0] == 1
    assert nit[-1] == iterations
    steps = np.diff(nit)
    assert (steps > 0).all()
    assert len(set(steps[:-1])) <= 1, "all steps but the last are equal"
    assert len(steps) < 2 or steps[-1] <= steps[0]


def test_every_iteration_is_there_while_there_is_room():
    assert record(8, max_rows=8)["nit"].tolist() == list(range(1, 9))


def test_last_iteration_of_a_run_ended_from_outside():
    history = record(90, max_rows=8, stops=False)
    assert history["nit"][-1] < 91
    walk = Walk()
    walk.nit, walk.nfev = 90, 360
    history.record(walk, walk.tell(), last=True)
    assert history["nit"][-1] == 91


def test_a_last_row_gives_way_when_the_run_goes_on():
    walk, history = Walk(), History(max_rows=8)
    for t in range(40):
        history.record(walk, walk.tell(), last=t == 30)
    steps = np.diff(history["nit"])
    assert len(set(steps[:-1])) <= 1


def test_a_batch_cut_short_ends_in_the_iteration_before_it():
    walk, history = Walk(), History()
    f = walk.tell()
    history.record(walk, f)
    walk.nfev += 2  # two evaluations that complete no iteration
    history.record(walk, f[:2])
    assert history["nfev"].tolist() == [6]


def test_columns_of_one_row():
    history = record(1, max_rows=8)
    assert history.columns[:3] == ("nfev", "nit", "best_f")
    assert history["nfev"].dtype == history["nit"].dtype == np.int64
    row = {name: history[name][0] for name in history.columns}
    assert (row["iteration_f"], row["median_f"]) == (1.0, 2.0), "NaN is left out"
    assert (row["min_std"], row["max_std"]) == (1.0, 3.0)
    assert history["mean"].shape == history["stds"].shape == (1, 3)


def test_no_finite_value_gives_nan():
    walk, history = Walk(), History()
    walk.tell()
    history.record(walk, np.array([np.inf, np.nan]))
    assert np.isnan(history["median_f"][0])


def test_coordinates_are_limited_and_extremes_are_not():
    walk, history = Walk(n=10), History(max_coordinates=4)
    history.record(walk, walk.tell())
    assert history["mean"].shape == (1, 4)
    assert history["max_std"][0] == 10.0


def test_rows_do_not_change_with_the_strategy():
    mean = np.zeros(2)
    walk, history = Walk(n=2), History()
    walk.snapshot = lambda: {  # type: ignore[method-assign]
        **Walk.snapshot(walk),
        "mean": mean,
    }
    history.record(walk, walk.tell())
    mean += 1
    assert history["mean"].tolist() == [[0.0, 0.0]]


def test_empty_history_and_unknown_column():
    history = History()
    assert len(history) == 0
    assert history["mean"].shape == (0, 0)
    assert history["sigma"].shape == (0,)
    with pytest.raises(KeyError, match="no column 'sigmas'; there are nfev, nit"):
        history["sigmas"]
    assert "0 rows" in repr(history)


def test_history_of_a_run_agrees_with_its_result():
    res = lmcma.minimize(lambda x: float(x @ x), [1.0, 2.0, 3.0], 0.5, maxfev=150, rng=1)
    h = res.history
    assert h["nfev"][-1] == res.nfev == 150
    assert h["nit"][-1] == res.nit
    assert h["best_f"][-1] == res.fun
    assert h["sigma"][-1] == res.sigma
    np.testing.assert_array_equal(h["mean"][-1], res.mean)
    assert (np.diff(h["best_f"]) <= 0).all()
    assert (h["iteration_f"] <= h["median_f"]).all()


def test_recording_does_not_change_the_run():
    runs = [lmcma.minimize(lambda x: float(x @ x), [1.0, 2.0], 0.5, rng=1, record=r) for r in (True, False)]
    assert runs[0].nfev == runs[1].nfev
    np.testing.assert_array_equal(runs[0].x, runs[1].x)
    assert runs[1].history is None


def test_columns_that_only_some_methods_have():
    res = lmcma.minimize(sphere, np.ones(3), 0.5, method="saacm", maxfev=120, rng=1, vectorized=True)
    assert {"model_error", "life_length", "model_nfev", "model_points"} <= set(res.history.columns)
    assert res.history["model_error"][-1] != 0.5
    again = History()
    again.restore(res.history.state_dict())
    assert again.columns == res.history.columns
    for column in again.columns:
        np.testing.assert_array_equal(again[column], res.history[column])
    plain = lmcma.minimize(sphere, np.ones(3), 0.5, maxfev=30, rng=1, vectorized=True)
    assert "model_error" not in plain.history.columns
