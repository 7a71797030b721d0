from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmcma.bbob import campaign, trial
from lmcma.bbob.baselines import BASELINES
from lmcma.bbob.suites import open_problems


class Recorder:
    """A problem that notes what it is asked."""

    def __init__(self, dim: int = 3, value: float = 1.0, hit_at: int = 10**9) -> None:
        self.id_triple = (1, dim, 1)
        self.x: list[np.ndarray[Any, Any]] = []
        self.value = value
        self.hit_at = hit_at

    def __call__(self, x: Any) -> float:
        self.x.append(np.array(x))
        return float(np.sum(self.x[-1] ** 2)) if self.value > 0 else self.value

    @property
    def final_target_hit(self) -> bool:
        return len(self.x) >= self.hit_at


def plan(method: str, **changes: Any) -> campaign.Campaign:
    return campaign.build({"methods": method, "output": "o", "dims": "3", "budget": 100, **changes})


def run(method: str, problem: Any, **changes: Any) -> trial.Outcome:
    c = plan(method, **changes)
    return trial.run(c, c.methods[0], problem)


def test_start_is_the_same_for_all_methods_and_machines() -> None:
    a = trial.start(plan("cma"), 1, 3, 7, 0)
    assert np.array_equal(a, trial.start(plan("pycma,random"), 1, 3, 7, 0))
    # a value of the day this was written: starts must not change between versions
    assert a == pytest.approx([-1.1073279444621, -3.2974122179203, 3.2632247544067], abs=1e-12)
    others = [trial.start(plan("cma"), *key) for key in ((2, 3, 7, 0), (1, 3, 8, 0), (1, 3, 7, 1))]
    others.append(trial.start(plan("cma", seed=2), 1, 3, 7, 0))
    assert all(not np.array_equal(a, b) for b in others)
    many = np.array([trial.start(plan("cma"), 1, 3, i, 0) for i in range(300)])
    assert many.min() > -4
    assert many.max() < 4
    assert abs(many.mean()) < 0.25  # 900 draws of standard deviation 2.3: three of its standard errors


@pytest.mark.parametrize("method", ["cma", "random", "pycma", "pycma-single"])
def test_budget_is_exact_and_runs_repeat(method: str) -> None:
    a, b = Recorder(), Recorder()
    outcome = run(method, a, budget=17)
    run(method, b, budget=17)
    assert outcome == trial.Outcome(calls=51, target=False, reason="budget")
    assert np.array_equal(a.x, b.x)
    c = Recorder()
    run(method, c, budget=17, seed=2)
    assert not np.array_equal(a.x, c.x)


@pytest.mark.parametrize("method", ["cma", "random", "pycma"])
def test_no_evaluation_after_the_final_target(method: str) -> None:
    problem = Recorder(hit_at=20)
    assert run(method, problem) == trial.Outcome(calls=20, target=True, reason="target")
    assert len(problem.x) == 20


@pytest.mark.parametrize("method", ["cma", "random", "pycma-single"])
def test_values_that_are_no_numbers_do_not_run_for_ever(method: str) -> None:
    # COCO does not count evaluations of points with NaN; the harness counts calls
    outcome = run(method, Recorder(value=float("-nan")), budget=20)
    assert outcome.calls <= 60


def test_single_runs_start_at_the_common_start() -> None:
    for method in ("pycma-single", "pycma"):
        problem = Recorder()
        run(method, problem, sigma0=1e-9)
        assert problem.x[0] == pytest.approx(trial.start(plan(method), 1, 3, 1, 0), abs=1e-6)


def test_pycma_restarts_at_new_points(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    starts: list[np.ndarray[Any, Any]] = []
    import cma

    made = cma.CMAEvolutionStrategy.__init__

    def noted(self: Any, *args: Any, **kwargs: Any) -> None:
        made(self, *args, **kwargs)
        starts.append(self.x0)

    monkeypatch.setattr(cma.CMAEvolutionStrategy, "__init__", noted)
    for problem in open_problems("bbob", 24, 2, [1]):
        run("pycma", problem, dims="2", budget=3000)
    assert len(starts) >= 3
    assert len({tuple(s) for s in starts}) == len(starts)
    assert np.abs(starts).max() <= 4
    assert list(tmp_path.iterdir()) == []  # pycma writes outcmaes/ unless told not to


def test_random_search_covers_the_region_of_interest() -> None:
    problem = Recorder(dim=2)
    run("random", problem, dims="2", budget=1000)
    x = np.array(problem.x)
    assert np.abs(x).max() <= 5
    assert np.abs(x).max() > 4.9
    assert "random" in BASELINES
