"""Stopped, killed and gone on with: the same run to the bit, for every strategy and every chain of restarts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

import lmcma
from lmcma.testfunctions import ellipsoid, rastrigin
from tests.strategies import STRATEGIES, assert_same_state

ROOT = Path(__file__).resolve().parents[2]
CHAINS = [
    *("ipop-cma", "bipop-cma", "nipop-cma", "nbipop-cma", "bipop-sep-cma", "bipop-lm-cma"),
    *("bipop-acma", "ipop-ma", "nbipop-self-cma"),
]


def generations(es, count, f):
    for _ in range(count):
        x = es.ask()
        es.tell(x, f(x))


@pytest.mark.parametrize("make", STRATEGIES)
@pytest.mark.parametrize("pending", [False, True])
def test_a_hundred_a_file_and_a_hundred_are_two_hundred(make, pending, tmp_path):
    whole, first = make(), make()
    generations(whole, 200, ellipsoid)
    generations(first, 100, ellipsoid)
    if pending:
        first.ask()
    lmcma.save(first, tmp_path / "run.npz")
    second = lmcma.load(tmp_path / "run.npz")
    assert_same_state(first, second)
    generations(second, 100, ellipsoid)
    assert_same_state(whole, second)


@pytest.mark.parametrize("method", CHAINS)
def test_the_same_for_chains_of_restarts(method, tmp_path):
    def make(**options):
        start = np.random.default_rng(1).uniform(-4, 4, 3)
        rules = {"maxiter": 25}  # short runs, many restarts
        return lmcma.make(method, start, 2.0, x0_box=(-4, 4), popsize=6, stop=rules, rng=1, **options)

    whole, saved = make(), make()
    for generation in range(200):
        generations(whole, 1, rastrigin)
        generations(saved, 1, rastrigin)
        if generation % 7 == 3:  # at any point of a run: begun, in the middle, with a final mean to come, ended
            lmcma.save(saved, tmp_path / "run.npz")
            saved = lmcma.load(tmp_path / "run.npz")
    assert len(whole.result().runs) > 5
    assert_same_state(whole, saved)
    bounded = make(bounds=(-4, 4), stds=[1, 2, 0.5])
    generations(bounded, 40, rastrigin)
    lmcma.save(bounded, tmp_path / "run.npz")
    again = lmcma.load(tmp_path / "run.npz")
    for es in (bounded, again):
        generations(es, 40, rastrigin)
    assert_same_state(bounded, again)


SCRIPT = """
    import functools, json, sys
    import numpy as np
    import lmcma
    from lmcma.record import Checkpoint
    from tests.objectives import logged

    Checkpoint._interval = Checkpoint._share = 0.0  # a file after every iteration

    if __name__ == "__main__":
        options, calls, seconds, checkpoint, out = sys.argv[1:]
        fun = functools.partial(logged, file=calls, seconds=float(seconds))
        kept = {"checkpoint": checkpoint, "resume": True} if checkpoint else {}
        res = lmcma.minimize(fun, [1.0] * 4, 0.5, rng=5, **kept, **json.loads(options))
        history = {f"history_{name}": res.history[name] for name in res.history.columns}
        runs = np.array([[r.popsize, r.sigma0, r.nfev, r.nit, r.fun] for r in res.runs])
        np.savez(out, x=res.x, fun=res.fun, nfev=res.nfev, nit=res.nit, mean=res.mean, runs=runs, **history)
    """
OPTIONS = {
    "serial": {"maxfev": 400},
    "workers": {"maxfev": 400, "workers": 2},
    "restarts": {"maxfev": 600, "restarts": "bipop", "x0_box": [-2, 2], "popsize": 10, "stop": {"maxiter": 9}},
}


@pytest.mark.skipif(os.name != "posix", reason="sends SIGKILL")
@pytest.mark.parametrize("case", [pytest.param(k, marks=[pytest.mark.slow] * (k != "serial")) for k in OPTIONS])
def test_killed_and_resumed(case, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    checkpoint, calls = tmp_path / "run.npz", tmp_path / "calls"

    def start(seconds, file=checkpoint, out="resumed.npz"):
        arguments = [json.dumps(OPTIONS[case]), str(calls), str(seconds), str(file), str(tmp_path / out)]
        return subprocess.Popen(
            [sys.executable, "-W", "error", str(script), *arguments],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(program):
        _, errors = program.communicate(timeout=120)
        assert program.returncode == 0, errors

    finish(start(0, "", "uninterrupted.npz"))
    calls.unlink()
    for more in (30, 100):
        deadline = time.monotonic() + 120
        before = calls.stat().st_size if calls.exists() else 0
        program = start(0.003)
        while not (checkpoint.exists() and calls.stat().st_size > before + more):
            assert program.poll() is None, program.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        program.send_signal(signal.SIGKILL)
        program.communicate(timeout=60)  # of all processes that hold its output, workers included
    assert 0 < lmcma.load(checkpoint).nfev < OPTIONS[case]["maxfev"]
    finish(start(0))
    with np.load(tmp_path / "uninterrupted.npz") as whole, np.load(tmp_path / "resumed.npz") as resumed:
        assert whole.files == resumed.files
        for name in whole.files:
            np.testing.assert_array_equal(whole[name], resumed[name], err_msg=name)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["calls", "resumed.npz", "run.npz", "script.py", "uninterrupted.npz"]
