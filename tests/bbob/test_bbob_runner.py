from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmcma.bbob import campaign, jobs, runner, score
from lmcma.bbob.campaign import Campaign, MethodSpec
from lmcma.bbob.runner import Event, Kind
from lmcma.errors import CampaignError


def plan(output: Path, **changes: Any) -> Campaign:
    keys = {"methods": "random", "dims": "2", "functions": "1-4", "instances": "1,2", "budget": 50, "workers": 2}
    return campaign.build({**keys, "output": str(output), **changes})


def markers(output: Path) -> dict[Path, int]:
    return {p: p.stat().st_mtime_ns for p in output.rglob(jobs.MARKER)}


def same_scores(a: Path, b: Path) -> None:
    one, two = score.load(a), score.load(b)
    assert one.keys() == two.keys()
    for name, found in one.items():
        assert found.trials.keys() == two[name].trials.keys()
        for key, trials in found.trials.items():
            assert np.array_equal(trials.hits, two[name].trials[key].hits, equal_nan=True)
            assert np.array_equal(trials.lengths, two[name].trials[key].lengths)


def test_jobs_and_markers(small: Path) -> None:
    marker = json.loads((small / "data" / "cma" / "d02_f01" / jobs.MARKER).read_text())
    trials = score.load(small)["cma"].trials[1, 2]
    assert marker["hits"] == 3
    assert marker["ends"] == {"target": 3}
    assert marker["evaluations"] == marker["calls"] == trials.lengths.sum()
    assert marker["trials"] == 3
    c = campaign.build({"methods": "random,cma", "dims": "2,5", "functions": "1,2", "instances": "1", "output": "o"})
    order = [(j.dim, j.spec.name, j.function) for j in jobs.plan(c)]
    assert order[:3] == [(5, "random", 1), (5, "random", 2), (5, "cma", 1)]
    assert [o[0] for o in order] == [5] * 4 + [2] * 4


def test_second_run_finds_everything_finished(small: Path) -> None:
    before = markers(small)
    stored = jobs.read_manifest(small)
    assert stored is not None
    methods = [{"name": k, **v} for k, v in stored["campaign"]["methods"].items()]
    again = campaign.build({**stored["campaign"], "methods": methods, "output": str(small)})
    events: list[Event] = []
    summary = runner.run(again, events.append)
    assert (summary.finished, summary.skipped) == (0, 18)
    assert [e.kind for e in events] == [Kind.BEGIN]
    assert markers(small) == before


def test_starts_do_not_depend_on_method_or_workers(tmp_path: Path) -> None:
    runner.run(plan(tmp_path / "one", workers=1, methods="random,pycma-single"))
    runner.run(plan(tmp_path / "two", workers=2, methods="pycma-single,random"))
    same_scores(tmp_path / "one", tmp_path / "two")


def test_noise_does_not_depend_on_what_ran_before(tmp_path: Path) -> None:
    # COCO's noise is one stream, which starts anew with each suite opened: a job must open its own
    keys: dict[str, Any] = {"suite": "bbob-noisy", "methods": "pycma-single", "budget": 100}
    runner.run(plan(tmp_path / "one", workers=1, functions="101,107", **keys))
    runner.run(plan(tmp_path / "two", workers=1, functions="107", **keys))
    one, two = (score.load(tmp_path / k)["pycma-single"].trials[107, 2] for k in ("one", "two"))
    assert np.array_equal(one.hits, two.hits, equal_nan=True)
    assert np.isfinite(one.hits).any()


def test_trials_with_noise_end_at_the_optimum(tmp_path: Path) -> None:
    """COCO does not tell; ours end late enough not to miss the last target, and soon after it."""
    keys: dict[str, Any] = {"suite": "bbob-noisy", "methods": "bipop-cma", "budget": 3000}
    summary = runner.run(plan(tmp_path, functions="101-107,109,112,115", instances="1,15", **keys))
    assert (summary.finished, summary.failures) == (10, [])
    trials = score.load(tmp_path)["bipop-cma"].trials.values()
    hits, lengths = np.concatenate([t.hits[:, -1] for t in trials]), np.concatenate([t.lengths for t in trials])
    ended = lengths < 6000
    assert ended.sum() >= 16
    assert np.isfinite(hits[ended]).all()
    assert lengths[ended].sum() < 3 * hits[ended].sum()


def test_extension_and_other_settings(tmp_path: Path) -> None:
    runner.run(plan(tmp_path))
    before = markers(tmp_path)
    summary = runner.run(plan(tmp_path, methods="random,pycma-single", functions="4,5", dims="2,3"))
    assert (summary.skipped, summary.finished) == (1, 7)
    assert markers(tmp_path).items() >= before.items()
    stored = jobs.read_manifest(tmp_path)
    assert stored is not None
    assert stored["campaign"]["functions"] == [1, 2, 3, 4, 5]
    assert stored["campaign"]["dims"] == [2, 3]
    assert list(stored["campaign"]["methods"]) == ["random", "pycma-single"]
    for change, word in (
        ({"budget": 60}, r"budget is 50\.0 there, 60\.0 here"),
        ({"seed": 2}, "seed is 1 there, 2 here"),
        ({"instances": "1-3"}, "instances is"),
        ({"methods": [{"name": "random", "method": "pycma"}]}, "method 'random' is"),
    ):
        with pytest.raises(CampaignError, match=word):
            runner.run(plan(tmp_path, **change))


def test_unfinished_job_is_repeated(tmp_path: Path) -> None:
    runner.run(plan(tmp_path))
    (tmp_path / "data" / "random" / "d02_f02" / jobs.MARKER).unlink()
    (tmp_path / "data" / "random" / "d02_f03" / jobs.MARKER).write_text('{"form')
    summary = runner.run(plan(tmp_path))
    assert (summary.skipped, summary.finished) == (2, 2)
    # a folder that exists would make COCO write to d02_f02-0001
    assert sorted(p.name for p in (tmp_path / "data" / "random").iterdir()) == [f"d02_f0{k}" for k in range(1, 5)]


def test_foreign_or_broken_output(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(CampaignError, match="no campaign\\.json"):
        runner.run(plan(tmp_path))
    (tmp_path / jobs.MANIFEST).write_text("{")
    with pytest.raises(CampaignError, match="cannot be read"):
        runner.run(plan(tmp_path))
    (tmp_path / jobs.MANIFEST).write_text('{"format": 99}')
    with pytest.raises(CampaignError, match="format 1"):
        runner.run(plan(tmp_path))
    (tmp_path / "file").write_text("")
    with pytest.raises(CampaignError, match="cannot be made"):
        runner.run(plan(tmp_path / "file"))


def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    jobs.prepare(plan(tmp_path))
    with runner._lock(tmp_path), pytest.raises(CampaignError, match="in use"):
        runner.run(plan(tmp_path))


def with_method(c: Campaign, spec: MethodSpec) -> Campaign:
    """A campaign with a method that `build` would not have let through."""
    return Campaign(**{**{k: getattr(c, k) for k in c.__dataclass_fields__}, "methods": (*c.methods, spec)})


def test_failing_method_is_reported_and_the_others_go_on(tmp_path: Path) -> None:
    events: list[Event] = []
    summary = runner.run(with_method(plan(tmp_path, functions="1,2"), MethodSpec("bad", "no-such")), events.append)
    assert summary.finished == 2
    assert sorted((f.job.spec.name, f.job.function) for f in summary.failures) == [("bad", 1), ("bad", 2)]
    failure = summary.failures[0]
    assert "UnknownMethodError" in failure.reason
    assert "\n" not in failure.reason
    assert "Traceback" in failure.log.read_text()
    assert sum(e.kind is Kind.FAILED for e in events) == 2
    assert events[-1].cost == events[-1].total_cost
    assert not list(tmp_path.rglob("bad/*/" + jobs.MARKER))


class Bomb(str):
    """An option that kills the process that unpickles it."""

    def __reduce__(self) -> Any:
        return os._exit, (9,)


def test_job_that_kills_its_worker_fails_after_two_attempts(tmp_path: Path) -> None:
    bomb = MethodSpec("bomb", "random", {"x": Bomb("boom")})
    events: list[Event] = []
    c = with_method(plan(tmp_path, functions="1", methods="random"), bomb)
    summary = runner.run(c, events.append)
    (failure,) = summary.failures
    assert failure.job.spec.name == "bomb"
    assert "died 2 times" in failure.reason
    assert failure.log == tmp_path / "logs" / "workers.log"
    assert summary.finished == 1


def test_killed_worker_costs_a_retry(tmp_path: Path) -> None:
    killed: list[int] = []
    events: list[Event] = []

    def kill_once(event: Event) -> None:
        events.append(event)
        if event.kind is Kind.DONE and not killed:
            killed.append(max(p.pid or 0 for p in multiprocessing.active_children()))
            os.kill(killed[0], signal.SIGKILL)

    summary = runner.run(plan(tmp_path / "hit", functions="1-8", dims="5", budget=1000), kill_once)
    assert killed
    assert not summary.failures
    assert summary.finished == 8
    assert any(e.kind is Kind.RETRY for e in events)
    runner.run(plan(tmp_path / "calm", functions="1-8", dims="5", budget=1000))
    same_scores(tmp_path / "hit", tmp_path / "calm")


def command(output: Path) -> list[str]:
    options = [
        "--methods",
        "random",
        "--dims",
        "5",
        "--functions",
        "1-12",
        "--instances",
        "1-3",
        "--budget",
        "2500",
        "--workers",
        "2",
    ]
    code = "from lmcma.cli.bbob import app; app()"
    return [sys.executable, "-c", code, "run", *options, "--output", str(output), "--no-report"]


def start_and_wait(output: Path, count: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(command(output), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while len(markers(output)) < count:
        assert process.poll() is None, "ended before it could be interrupted"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return process


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The campaign of `command`, not interrupted."""
    output = tmp_path_factory.mktemp("calm") / "run"
    subprocess.run(command(output), capture_output=True, check=True, timeout=60)
    return output


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_interrupted_campaign_goes_on(tmp_path: Path, how: signal.Signals, calm: Path) -> None:
    output = tmp_path / "run"
    process = start_and_wait(output, 3)
    process.send_signal(how)
    _, errors = process.communicate(timeout=30)
    kept = markers(output)
    assert 3 <= len(kept) < 12
    if how is signal.SIGINT:
        assert process.returncode == 130
        assert errors.strip().splitlines()[-1].startswith("lmcma: interrupted")
        assert "Traceback" not in errors
    time.sleep(0.5)
    started = list(output.rglob("*.dat"))
    sizes = [p.stat().st_size for p in started]
    time.sleep(0.3)
    assert [p.stat().st_size for p in started] == sizes  # no worker has survived
    done = subprocess.run(command(output), capture_output=True, text=True, check=True, timeout=60)
    assert f"{len(kept)} were finished before" in done.stderr
    assert markers(output).items() >= kept.items()
    assert len(markers(output)) == 12
    same_scores(output, calm)


def test_interrupt_from_the_terminal_while_workers_start(tmp_path: Path) -> None:
    # Ctrl-C reaches every process of the group; workers that had not yet learnt to ignore it printed tracebacks
    process = subprocess.Popen(
        command(tmp_path / "run"), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    while not (tmp_path / "run" / ".lock").exists():
        assert process.poll() is None
        time.sleep(0.002)
    time.sleep(0.2)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert "interrupted" in errors
