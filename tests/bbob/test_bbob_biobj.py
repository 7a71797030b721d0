"""Two objectives: COCO's indicator and our reading of it, trials, campaigns and reports on bbob-biobj."""

from __future__ import annotations

import dataclasses
import gc
import json
import math
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from lmcma.bbob import campaign, figures, reference, report, runner, runs, score, suites, trial
from lmcma.bbob.compare import compare
from lmcma.bbob.suites import cocoex, open_problems
from lmcma.bbob.targets import INDICATORS, PRECISIONS, targets_of
from lmcma.cli.bbob import app
from lmcma.errors import ArgumentError, CampaignError, LmcmaError, MissingDependencyError
from lmcma.result import Result
from lmcma.termination import Stop, StopReason

SUITE = "bbob-biobj"
GOOD: dict[str, Any] = {"suite": SUITE, "methods": "random", "output": "o", "dims": "2", "instances": "1", "budget": 50}
nan = math.nan


class Problem:
    """Two spheres that note what they are asked, and offer nothing else: no ideal point, no nadir, no bounds."""

    def __init__(self, dim: int = 3) -> None:
        self.id_triple = (1, dim, 1)
        self.final_target_hit = False
        self.x: list[np.ndarray[Any, Any]] = []

    def __call__(self, x: Any) -> Any:
        self.x.append(np.array(x))
        return np.array([np.sum(self.x[-1] ** 2), np.sum((self.x[-1] - 1) ** 2)])


class Walk:
    """A strategy that steps away from points of its front: the least that the driver needs."""

    popsize = 4

    def __init__(self, x0: Any, sigma0: float, *, rng: Any, maxfev: int, n_obj: int = 2, x0_box: Any = None) -> None:
        self.n_obj, self.box = n_obj, x0_box
        self.rng, self.sigma, self.maxfev = np.random.default_rng(rng), sigma0, maxfev
        self.front = [(np.array(x0), np.full(2, math.inf))]
        self.dim, self.nfev, self.nit = len(x0), 0, 0

    def ask(self) -> Any:
        parents = [self.front[k][0] for k in self.rng.integers(0, len(self.front), self.popsize)]
        self.x = np.array(parents) + self.sigma * 0.99**self.nit * self.rng.standard_normal((self.popsize, self.dim))
        return self.x

    def tell(self, x: Any, f: Any) -> None:
        assert f.shape == (self.popsize, 2)
        for point, values in zip(self.x, f, strict=True):
            if not any((other <= values).all() for _, other in self.front):
                self.front = [(p, v) for p, v in self.front if not (values <= v).all()] + [(point, values)]
        self.nfev += self.popsize
        self.nit += 1

    def stop(self) -> Stop | None:
        return Stop(StopReason.MAXFEV, self.nfev, self.maxfev) if self.nfev >= self.maxfev else None

    def result(self) -> Result:
        return Result(stop=self.stop())


# ---------------------------------------------------------------- the indicator


def hypervolume(u: np.ndarray[Any, Any]) -> float:
    """Area that points of the unit square dominate there, by sorting."""
    u = u[(u < 1).all(axis=1)]
    area, ceiling = 0.0, 1.0
    for a, b in u[np.lexsort((u[:, 1], u[:, 0]))]:
        if b < ceiling:
            area += (1 - a) * (ceiling - b)
            ceiling = b
    return area


def indicator(f: np.ndarray[Any, Any], ideal: Any, nadir: Any, best: float) -> float:
    """The best known hypervolume minus that of the points `f`, or plus their distance to the nadir's box."""
    u = (f - ideal) / (nadir - ideal)
    if (u < 1).all(axis=1).any():
        return best - hypervolume(u)
    return best + float(np.linalg.norm(np.maximum(u - 1, 0), axis=1).min())


@pytest.fixture(scope="module", params=[(1, 2), (11, 5), (28, 2), (46, 3)], ids=lambda p: f"f{p[0]}-{p[1]}D")
def walked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """COCO's folder of walks on two instances with its archive on, and what the test knows itself."""
    function, dim = request.param
    folder = tmp_path_factory.mktemp("walked")
    observer = cocoex().Observer(SUITE, f'log_nondominated: all outer_folder: "{folder}" result_folder: x')
    known = []
    for problem, instance in zip(open_problems(SUITE, function, dim, [1, 3]), (1, 3), strict=True):
        parts = re.findall(r"bbob_f(\d+)_i(\d+)_d", problem.name)
        ideal = np.array([cocoex().BareProblem("bbob", int(f), dim, int(i)).best_value() for f, i in parts])
        nadir = np.array(problem.largest_fvalues_of_interest)
        problem.observe_with(observer)
        walk, told = Walk(np.zeros(dim), 2.0, rng=instance, maxfev=800), []
        for x in np.random.default_rng(1).uniform(-5, 5, (20, dim)):  # some of them outside of the nadir's box
            told.append(problem(x))
        while walk.stop() is None:
            f = np.array([problem(x) for x in walk.ask()])
            walk.tell(None, f)
            told += list(f)
        known.append((ideal, nadir, np.array(told)))
    del problem, observer
    gc.collect()
    return SimpleNamespace(folder=folder / "x", function=function, dim=dim, known=known)


def logged(folder: Path) -> tuple[list[float], list[np.ndarray[Any, Any]]]:
    """Best hypervolumes and rows of all trials, from the text of the ``.dat`` file."""
    text = next(folder.rglob("*_hyp.dat")).read_text()
    best = [float(v) for v in re.findall(r"reference value = (\S+)", text)]
    parts = re.split(r"(?:^%.*\n)+", text, flags=re.MULTILINE)[1:]
    return best, [np.array([[float(v) for v in line.split()] for line in part.splitlines()]) for part in parts]


def test_indicator_from_our_record_equals_the_logged_one(walked: Any) -> None:
    best, rows = logged(walked.folder)
    assert len(rows) == len(walked.known) == 2
    for (ideal, nadir, f), hypervolume_known, table in zip(walked.known, best, rows, strict=True):
        assert 0 < hypervolume_known < 1
        assert table[0, 1] > table[-1, 1]
        for evaluations, value, _ in table:
            assert indicator(f[: int(evaluations)], ideal, nadir, hypervolume_known) == pytest.approx(value, abs=1e-12)


def test_indicator_from_the_archive_equals_the_logged_one(walked: Any) -> None:
    best, rows = logged(walked.folder)
    files = sorted(walked.folder.rglob("*.adat"))
    assert len(files) == 2
    for file, (ideal, nadir, _), hypervolume_known, table in zip(files, walked.known, best, rows, strict=True):
        lines = [line.split() for line in file.read_text().splitlines() if not line.startswith("%")]
        when = np.array([int(line[0]) for line in lines])
        f = np.array([[float(v) for v in line[1:3]] for line in lines])
        for evaluations, value, _ in table:
            found = indicator(f[when <= evaluations], ideal, nadir, hypervolume_known)
            assert found == pytest.approx(value, abs=1e-12)


def test_hits_agree_with_the_indicator_after_every_evaluation(walked: Any) -> None:
    best, _ = logged(walked.folder)
    (results,) = score.load(walked.folder).values()
    assert results.suite == SUITE
    trials = results.trials[walked.function, walked.dim]
    assert trials.instances.tolist() == [1, 3]
    assert trials.lengths.tolist() == [820, 820]
    for (ideal, nadir, f), hypervolume_known, hits in zip(walked.known, best, trials.hits, strict=True):
        values = np.array([indicator(f[: k + 1], ideal, nadir, hypervolume_known) for k in range(len(f))])
        expected = [next((k + 1.0 for k, v in enumerate(values) if v <= t), nan) for t in INDICATORS.grid]
        assert np.array_equal(hits, expected, equal_nan=True)
        assert np.isfinite(hits).sum() > 5


# ---------------------------------------------------------------- targets and scores


def test_grid() -> None:
    grid = INDICATORS.grid
    assert len(grid) == 58
    assert (np.diff(grid) < 0).all()
    assert grid[:51] == pytest.approx([10 ** (-k / 10) for k in range(51)], rel=1e-12)
    assert grid[51:] == pytest.approx([0, *(-(10 ** (-k / 5)) for k in range(25, 19, -1))], rel=1e-12)
    assert INDICATORS.index(INDICATORS.standard).tolist() == [0, 10, 20, 30, 40, 50]
    assert INDICATORS.index([0.0, -1e-5, -1e-4]).tolist() == [51, 52, 57]
    for bad in (2.0, 3e-3, 1e-6, -1e-3, nan):
        with pytest.raises(ArgumentError, match="58 targets"):
            INDICATORS.index([bad])
    assert targets_of(SUITE) is INDICATORS
    assert targets_of("bbob-noisy") is PRECISIONS


def test_first_hits_of_printed_values() -> None:
    # printed values round up; a hypervolume above the best known makes negative ones
    values = np.array([0.95, 0.1 * (1 + 1e-10), 1.01e-5, 0.0, -1e-5, -2e-5])
    first = INDICATORS.first(values)
    at = dict(zip(INDICATORS.grid.round(7).tolist(), first.tolist(), strict=True))
    assert (at[1.0], at[0.1], at[1e-5], at[0.0], at[-1e-5], at[-1.58e-5], at[-2.51e-5], at[-1e-4]) == (
        *(0, 1, 3, 3, 4, 5),
        *(6, 6),
    )


def test_area_is_the_mean_over_triples() -> None:
    hits = np.full((2, 58), nan)
    hits[0, :3], hits[1, 0] = [1, 20, 200], 2000
    found = score.Results("x", SUITE, {(1, 2): score.Trials(np.array([1, 2]), np.array([2000, 2000]), hits)})
    assert found.area(2, 100.0) == pytest.approx((1 + 0.5 + 0 + 0) / 116)  # 1 - log10(t / D) / log10(100), cut
    assert found.solved(2) == 4 / 116
    assert found.ert(1, 2, [1.0, 0.1]).tolist() == [(1 + 2000) / 2, math.inf]
    assert len(found.ert(1, 2)) == 6


def test_reference() -> None:
    best = reference.load(SUITE)
    assert best.label == "best 2016"
    assert len(best.erts) == 55 * 6
    # published values; the data have five targets per decade, one in between counts as the next harder one
    assert best.ert(1, 2, [1e0, 10**-0.1, 10**-0.2, 1e-1]).tolist() == [1, 2, 2, 32]
    hits = np.full((1, 58), nan)
    hits[0, :11] = 64
    mine = score.Results("x", SUITE, {(1, 2): score.Trials(np.array([1]), np.array([99]), hits)})
    ratio = compare(mine, best, bootstrap=10)
    assert (ratio.value, ratio.targets) == (pytest.approx(math.sqrt(64 * 2)), 2)  # 1 and 0.1


# ---------------------------------------------------------------- the suite


def test_functions_are_the_pairs_that_coco_has() -> None:
    found = suites.suite(SUITE)
    assert sorted(f for _, ids in found.groups for f in ids) == list(range(1, 56))
    assert len(found.groups) == 15
    of = {f: title for title, ids in suites.suite("bbob").groups for f in ids}
    for title, ids in found.groups:
        for function in ids:
            for problem in open_problems(SUITE, function, 2, [1]):
                pair = [int(f) for f in re.findall(r"bbob_f(\d+)_", problem.name)]
                assert title == " / ".join(of[f] for f in pair)


def test_defaults() -> None:
    c = campaign.build({k: v for k, v in GOOD.items() if k not in ("dims", "instances")})
    assert c.functions == tuple(range(1, 56))
    assert c.dims == (2, 3, 5, 10, 20)
    assert c.instances == tuple(range(1, 11))
    assert (c.x0_box, c.sigma0) == ((-5.0, 5.0), 1.0)
    assert trial.start(c, 1, 3, 1, 0).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"instances": "1-11"}, ["`instances`", "best hypervolume", "1,2,3", "got 11"]),
        ({"functions": "56"}, ["`functions`", "1-55", "got 56"]),
        ({"methods": "cma"}, ["'cma'", "2 objectives", SUITE]),
        ({"methods": "auto"}, ["'auto'", "2 objectives"]),
        ({"methods": "pycma"}, ["'pycma'", "2 objectives"]),
        ({"methods": "nsga2", "suite": "bbob"}, ["'nsga2'", "1 objective,", "bbob"]),
        ({"methods": [{"method": "nsga2", "options": {"popsize": 9}}]}, ["'popsize'", "did you mean 'pop_size'"]),
        ({"methods": [{"method": "como-cma", "options": {"seed": 9}}]}, ["'seed'", "Known: 'kernels'"]),
        ({"methods": [{"method": "random", "options": {"n_obj": 2}}]}, ["'n_obj'", "harness sets itself"]),
    ],
)
def test_bad_input_is_named(change: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(CampaignError) as error:
        campaign.build({**GOOD, **change})
    for word in words:
        assert word in str(error.value)


# ---------------------------------------------------------------- trials


def baselines() -> list[Any]:
    packages = {"random": "numpy", "nsga2": "pymoo", "sms-emoa": "pymoo", "como-cma": "comocma"}
    missing = {p: pytest.mark.skipif(not _there(p), reason=f"needs {p}") for p in packages.values()}
    return [pytest.param(name, marks=missing[package], id=name) for name, package in packages.items()]


def _there(package: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(package) is not None


def run(method: Any, problem: Any, **changes: Any) -> trial.Outcome:
    c = campaign.build({**GOOD, "dims": "3", "methods": [method], **changes})
    return trial.run(c, c.methods[0], problem)


@pytest.mark.parametrize("method", baselines())
def test_budget_is_exact_and_runs_repeat(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    a, b, c = Problem(), Problem(), Problem()
    assert run(method, a, budget=101) == trial.Outcome(calls=303, target=False, reason="budget")
    run(method, b, budget=101)
    assert np.array_equal(a.x, b.x)
    run(method, c, budget=101, seed=2)
    assert not np.array_equal(a.x, c.x)
    if method != "random":
        assert a.x[0].tolist() == [0, 0, 0]
    assert len({tuple(x) for x in a.x}) > 290
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("method", "package"), [("nsga2", "pymoo"), ("sms-emoa", "pymoo"), ("como-cma", "comocma")])
def test_missing_packages_are_named(method: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [m for m in sys.modules if m.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependencyError, match=rf"{method}.*{package}.*lmcma\[bench\]"):
        run(method, Problem())


@pytest.mark.skipif(not _there("pymoo"), reason="needs pymoo")
@pytest.mark.parametrize("method", ["nsga2", "sms-emoa"])
def test_options_of_pymoo(method: str) -> None:
    small, large = Problem(), Problem()
    run({"method": method, "options": {"pop_size": 5, "n_offsprings": 1}}, small)
    run(method, large)
    assert np.abs(large.x).max() <= 5
    spread = [np.linalg.norm(np.array(p.x)[-30:] - 0.5, axis=1).mean() for p in (small, large)]
    assert spread[0] < spread[1]  # five parents converge sooner than a hundred


def test_strategies_are_built_for_two_objectives(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Walk] = []
    monkeypatch.setattr(campaign.registry, "resolve", lambda method, dim: SimpleNamespace(load=lambda: Walk))
    monkeypatch.setattr(
        campaign.registry, "make", lambda method, *args, **kw: made.append(Walk(*args, **kw)) or made[0]
    )
    assert run("cma", Problem()) == trial.Outcome(calls=150, target=False, reason="budget")
    assert (made[0].dim, made[0].sigma, made[0].n_obj, made[0].box) == (3, 1.0, 2, (-5.0, 5.0))
    with pytest.raises(CampaignError, match="does not take 1 objective"):
        run("cma", Problem(), suite="bbob")


# ---------------------------------------------------------------- campaigns


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished campaign: two random searches on f1 and f12, three trials each."""
    output = tmp_path_factory.mktemp("biobj") / "log_nondominated: all"  # COCO would take this for its option
    again = {"name": "again", "method": "random"}
    plan = campaign.build(
        {**GOOD, "methods": ["random", again], "functions": "1,12", "instances": "1,10,1", "output": str(output)}
    )
    assert not runner.run(plan).failures
    return output


def test_campaign(two: Path, tmp_path: Path) -> None:
    results = score.load(two)
    assert sorted(results) == ["again", "random"]
    for found in results.values():
        assert sorted(found.trials) == [(1, 2), (12, 2)]
        for trials in found.trials.values():
            assert trials.instances.tolist() == [1, 10, 1]
            assert trials.lengths.tolist() == [100] * 3
            assert np.isfinite(trials.hits).sum() > 10
    marker = json.loads((two / "data" / "random" / "d02_f12" / "job.json").read_text())
    assert marker["ends"] == {"budget": 3}
    assert marker["evaluations"] == marker["calls"] == 300
    assert not list(two.rglob("*.adat"))  # grows with the budget, and no score needs it
    # resumed after a job was lost: the same results
    shutil.copytree(two, tmp_path / "two")
    (tmp_path / "two" / "data" / "random" / "d02_f12" / "job.json").unlink()
    stored = json.loads((two / "campaign.json").read_text())["campaign"]
    methods = [{"name": name, **method} for name, method in stored.pop("methods").items()]
    summary = runner.run(campaign.build({**stored, "methods": methods, "output": str(tmp_path / "two"), "workers": 1}))
    assert (summary.finished, summary.skipped) == (1, 3)
    for name, found in score.load(tmp_path / "two").items():
        for key, trials in found.trials.items():
            assert np.array_equal(trials.hits, results[name].trials[key].hits, equal_nan=True)


@pytest.mark.skipif(not _there("pymoo"), reason="needs pymoo")
def test_a_method_that_raises_ends_its_jobs_only(tmp_path: Path) -> None:
    broken = {"method": "nsga2", "options": {"pop_size": -1}}
    plan = campaign.build({**GOOD, "methods": [broken, "random"], "functions": 1, "output": str(tmp_path / "o")})
    summary = runner.run(dataclasses.replace(plan, workers=1))
    assert summary.finished == 1
    assert [f.job.spec.name for f in summary.failures] == ["nsga2"]
    assert "Traceback" in summary.failures[0].log.read_text()


def edited(folder: Path, change: Callable[[str], str]) -> dict[str, score.Results]:
    for info in folder.rglob("*.info"):
        info.write_text(change(info.read_text()))
    return score.load(folder)


def test_interrupted_data_and_other_instances_are_skipped(two: Path, tmp_path: Path) -> None:
    folder = tmp_path / "d02_f12"
    shutil.copytree(two / "data" / "random" / "d02_f12", folder)
    whole = score.load(folder)["random"].trials[12, 2]
    text = next(folder.rglob("*.info")).read_text()
    # COCO does not know the best hypervolume of instance 11 of every problem, and cocopp skips it too
    other = edited(folder, lambda t: t.replace("10:", "11:"))["random"].trials[12, 2]
    assert other.instances.tolist() == [1, 1]
    assert np.array_equal(other.hits, whole.hits[[0, 2]], equal_nan=True)
    # killed in the third trial, or while its entry was written
    for end in (text.rindex(","), text.rindex(":"), text.rindex("|")):
        cut = edited(folder, lambda _, end=end: text[:end])["random"].trials[12, 2]
        assert cut.instances.tolist() == [1, 10]
        assert np.array_equal(cut.hits, whole.hits[:2], equal_nan=True)
    for end in (text.index("dim"), text.index("function = "), text.index("bbob-biobj_f")):
        with pytest.raises(CampaignError, match="no finished trials"):
            edited(folder, lambda _, end=end: text[:end])


def test_report_and_compact_file(two: Path, tmp_path: Path) -> None:
    run = runs.load(two)
    page = report.page([run], reference.load(SUITE))
    for word in ("best 2016", "58 targets", "start at 0", "[-5, 5]^D", "hypervolume", "hit 1e-5", "(f3-f4,f12-f13)"):
        assert word in page
    for word in ("f - f_opt", "51 targets", "hit 1e-8", "start uniform"):
        assert word not in page
    runs.save_compact(tmp_path / "two.csv.gz", run)
    again = runs.load(tmp_path / "two.csv.gz")
    for name, found in run.results.items():
        for key, trials in found.trials.items():
            assert np.array_equal(trials.hits, again.results[name].trials[key].hits, equal_nan=True)
    assert report.page([again], None).count("<svg") == 1


def test_panels_with_nothing_below_have_numbers_at_their_axis(two: Path) -> None:
    # where the last row of panels is not full, those above its gap had none
    results = runs.load(two).results
    figure = figures.ecdf_figure(results, None, 2, [(str(f), [f]) for f in (1, 12, 1, 12)], 50.0)
    shown = [axis.xaxis.get_tick_params()["labelbottom"] for axis in figure.axes if axis.get_visible()]
    assert shown == [False, True, True, True]


def test_command_line(tmp_path: Path) -> None:
    flags = ["--suite", SUITE, "--methods=random", "--dims=2", "--functions=1", "--instances=1-2", "--budget=20"]
    result = CliRunner().invoke(app, ["run", *flags, "--workers=1", "--output", str(tmp_path / "o")])
    assert result.exit_code == 0, result.output
    assert "best 2016" in result.stdout
    assert (tmp_path / "o" / "report.html").exists()
    bad = CliRunner().invoke(app, ["run", *flags, "--instances=11", "--output", str(tmp_path / "p")])
    assert isinstance(bad.exception, LmcmaError)
