from __future__ import annotations

import math
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from lmcma.bbob import reference, score
from lmcma.bbob.compare import compare
from lmcma.bbob.score import Results, Trials
from lmcma.bbob.suites import cocoex, open_problems
from lmcma.bbob.targets import PRECISIONS
from lmcma.errors import ArgumentError, CampaignError


def trials(lengths: list[int], **hits: list[float]) -> Trials:
    """Trials that hit the targets of the given grid positions, ``t5=[...]``, and nothing else."""
    table = np.full((len(lengths), len(GRID)), np.nan)
    for name, values in hits.items():
        table[:, int(name[1:])] = values
    return Trials(np.arange(1, len(lengths) + 1), np.array(lengths), table)


def results(name: str, **problems: Trials) -> Results:
    """Results by keys such as ``f1_d2``."""
    keys = {tuple(int(part[1:]) for part in key.split("_")): t for key, t in problems.items()}
    return Results(name, "bbob", keys)  # type: ignore[arg-type]


nan = math.nan
GRID = PRECISIONS.grid


def test_grid() -> None:
    assert len(GRID) == 51
    assert GRID[0] == pytest.approx(1e2)
    assert GRID[-1] == pytest.approx(1e-8)
    assert PRECISIONS.index(PRECISIONS.standard).tolist() == [5, 10, 15, 20, 25, 35, 45, 50]
    for bad in (3.0, 1e3, 1e-9, 0.0, -1.0):
        with pytest.raises(ArgumentError, match="1e2 to 1e-8"):
            PRECISIONS.index([bad])


def test_ert_by_hand() -> None:
    # hits after 10 and 30, one miss of 100 evaluations: (10 + 30 + 100) / 2
    r = results("x", f1_d2=trials([40, 50, 100], t5=[10, 30, nan], t10=[nan, 45, nan]))
    assert r.ert(1, 2, [1e1, 1e0, 1e-8]).tolist() == [70.0, 40 + 45 + 100, math.inf]
    assert r.successes(1, 2, [1e1, 1e0, 1e-8]).tolist() == [2, 1, 0]


def test_ecdf_solved_and_area_by_hand() -> None:
    a = Trials(np.array([1]), np.array([200]), np.full((1, 51), 20.0))  # everything after 20 evaluations, 10 D
    b = Trials(np.array([1, 2]), np.array([200, 200]), np.full((2, 51), nan))
    r = results("x", f1_d2=a, f3_d2=b)
    assert r.ecdf(2, np.array([9.99, 10.0, 1e6])).tolist() == [0.0, 0.5, 0.5]  # each function has the same weight
    assert r.ecdf(2, np.array([10.0]), [1]).tolist() == [1.0]
    assert r.solved(2) == 0.5
    assert r.area(2, 100.0) == pytest.approx(0.25)  # f1 is solved over half of the axis from 1 to 100
    assert math.isnan(r.solved(5))
    assert r.evaluations(2) == 600
    with pytest.raises(ArgumentError, match="no trials of 'x' on f2"):
        r.ert(2, 2)


def test_compare_by_hand() -> None:
    a = results("a", f1_d2=trials([10, 10], t5=[4, 4], t10=[8, 8]), f2_d2=trials([10], t5=[9], t15=[9]))
    b = results("b", f1_d2=trials([10, 10], t5=[2, 2], t10=[2, 2]), f2_d2=trials([10], t5=[9], t10=[10], t20=[10]))
    ratio = compare(a, b)
    # f1: ratios 2 and 4; f2: ratio 1; mean of logarithms within, then over functions
    assert ratio.value == pytest.approx(math.sqrt(math.sqrt(8)))
    assert (ratio.targets, ratio.problems, ratio.only_a, ratio.only_b) == (3, 2, 1, 2)
    assert ratio.low == pytest.approx(ratio.value)  # all trials of a problem are alike
    assert compare(b, a).value == pytest.approx(1 / ratio.value)
    assert compare(a, b, functions=[2]).value == pytest.approx(1.0)
    assert math.isnan(compare(a, b, dims=[5]).value)
    rng = np.random.default_rng(0)
    wide = results("w", f1_d2=trials([99] * 15, t5=rng.uniform(1, 9, 15).tolist()))
    spread = compare(wide, b, targets=[1e1])
    assert spread.low < spread.value < spread.high
    assert spread == compare(wide, b, targets=[1e1])


def test_hits_agree_with_our_own_record_of_the_calls(tmp_path: Path) -> None:
    calls: list[list[float]] = []
    observer = cocoex().Observer("bbob", f'outer_folder: "{tmp_path}" result_folder: x algorithm_name: walk')
    for problem in open_problems("bbob", 8, 2, [1, 2, 1]):
        problem.observe_with(observer)
        rng = np.random.default_rng(len(calls))
        x, step, values = rng.uniform(-4, 4, 2), 1.0, []
        best = math.inf
        for _ in range(400):  # a (1+1)-ES, so that targets are hit all along
            y = x + step * rng.standard_normal(2)
            values.append(problem(y))
            x, step, best = (y, step * 1.5, values[-1]) if values[-1] < best else (x, step * 0.9, best)
        calls.append(values)
    del problem, observer
    found = score.load(tmp_path)["walk"].trials[8, 2]
    assert found.instances.tolist() == [1, 2, 1]
    assert found.lengths.tolist() == [400] * 3
    text = next(tmp_path.rglob("*.dat")).read_text()
    optima = [float(v) for v in re.findall(r"Fopt \(([^)]*)\)", text)]
    for values, f_opt, hits in zip(calls, optima, found.hits, strict=True):
        precision = np.minimum.accumulate(values) - f_opt
        expected = [next((k + 1.0 for k, p in enumerate(precision) if p <= t), nan) for t in GRID]
        assert np.array_equal(hits, expected, equal_nan=True)
        assert np.isfinite(hits).sum() > 10


def test_interrupted_data_are_skipped(small: Path, tmp_path: Path) -> None:
    whole = score.load(small)["cma"].trials[8, 2]
    folder = tmp_path / "d02_f08"
    shutil.copytree(small / "data" / "cma" / "d02_f08", folder)
    dat, info = next(folder.rglob("*.dat")), next(folder.rglob("*.info"))
    original = info.read_text()
    # killed in the third trial: its lines are there, the last one cut, but .info does not name it
    dat.write_text(dat.read_text()[:-40])
    info.write_text(original[: original.rindex(",")])
    cut = score.load(folder)["cma"].trials[8, 2]
    assert cut.instances.tolist() == [1, 2]
    assert np.array_equal(cut.hits, whole.hits[:2], equal_nan=True)
    # killed while the entry was written
    info.write_text(original[: original.rindex("|")])
    assert score.load(folder)["cma"].trials[8, 2].instances.tolist() == [1, 2]
    info.write_text("")
    with pytest.raises(CampaignError, match="no finished trials"):
        score.load(folder)
    with pytest.raises(CampaignError, match="not a folder"):
        score.load(tmp_path / "nothing")


def test_one_name_in_two_suites_is_refused(small: Path, tmp_path: Path) -> None:
    for k, suite in enumerate(("bbob", "bbob-noisy")):
        shutil.copytree(small / "data" / "cma" / "d02_f08", tmp_path / str(k))
        info = next((tmp_path / str(k)).rglob("*.info"))
        info.write_text(info.read_text().replace("'bbob'", f"'{suite}'", 1))
    with pytest.raises(CampaignError, match="bbob-noisy"):
        score.load(tmp_path)


@pytest.mark.parametrize(
    ("suite", "function", "dim", "targets", "expected"),
    [
        # published values, as cocopp's tables show them
        ("bbob", 1, 2, [1e1, 1e0, 1e-8], [2, 6, 6]),
        ("bbob", 2, 2, [1e1, 1e0, 1e-1, 1e-3], [16, 19, 25, 26]),
        ("bbob", 24, 40, [1e-8], [300477931]),
        ("bbob-noisy", 101, 2, [1e1], [2]),
        ("bbob-largescale", 1, 20, [1e-8], [65]),
    ],
)
def test_reference(suite: str, function: int, dim: int, targets: list[float], expected: list[float]) -> None:
    assert reference.load(suite).ert(function, dim, targets).tolist() == expected


def test_reference_of_other_problems() -> None:
    best = reference.load("bbob")
    assert np.isnan(best.ert(1, 7, [1e1])).all()
    assert len(best.erts) == 24 * 6
    assert all((np.diff(e[np.isfinite(e)]) >= 0).all() for e in best.erts.values())
    mine = results("a", f1_d2=trials([10], t5=[4]))
    ratio = compare(mine, best, bootstrap=10)
    assert (ratio.value, ratio.targets) == (2.0, 1)
