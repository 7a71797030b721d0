"""Evaluators: all of them give the same run, whatever fails is counted, and workers may die."""

import functools
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

import lmcma
from lmcma.errors import ArgumentError, ArgumentTypeError, ObjectiveError
from lmcma.evaluate import Pooled, Serial, Vectorized, evaluator
from lmcma.evaluate.processes import processors
from tests import objectives
from tests.objectives import bowl, bowls

X0 = np.linspace(-1, 1, 5)
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))


def run(fun=bowl, **options):
    return lmcma.minimize(fun, X0, 0.5, **{"rng": 3, "maxfev": 200, **options})


def assert_same_run(a, b):
    np.testing.assert_array_equal(a.x, b.x)
    np.testing.assert_array_equal(a.mean, b.mean)
    assert (a.fun, a.nfev, a.nit, a.nfail, a.sigma) == (b.fun, b.nfev, b.nit, b.nfail, b.sigma)
    for column in a.history.columns:
        np.testing.assert_array_equal(a.history[column], b.history[column])


# -------------------------------------------------------------------- the same run


def test_all_ways_to_evaluate_give_the_same_run():
    plain = run()
    assert_same_run(plain, run(bowls, vectorized=True))
    assert_same_run(plain, run(workers=2))
    assert_same_run(plain, run(bowls, vectorized=True, workers=2))
    assert_same_run(plain, run(workers=map))
    assert_same_run(plain, run(bowls, workers=map, vectorized=True))
    for threads in (1, 3):
        with ThreadPoolExecutor(threads) as executor:
            assert_same_run(plain, run(workers=executor))
            assert_same_run(plain, run(bowls, workers=executor, vectorized=True))
            assert executor.submit(bowl, X0).result() > 0, "the caller's executor is left open"
            assert_same_run(plain, run(workers=executor.map))


def test_the_same_in_executors_and_pools_of_processes():
    context = multiprocessing.get_context("spawn")
    plain = run()
    with ProcessPoolExecutor(2, context) as executor:
        assert_same_run(plain, run(workers=executor))
    with context.Pool(2) as pool:
        assert_same_run(plain, run(workers=pool.map))


def test_the_same_with_many_rows_a_task_and_with_restarts():
    options = {"restarts": "ipop", "x0_box": (-2, 2), "popsize": 60, "maxfev": 2000, "stop": {"maxiter": 9}}
    with ThreadPoolExecutor(2) as executor:
        several = evaluator(bowl, workers=executor)
        assert [t.stop - t.start for t in several._tasks(60)] == [3] * 20
        assert [t.stop - t.start for t in several._tasks(5)] == [1] * 5
        assert_same_run(run(**options), run(workers=executor, **options))


def test_an_objective_cannot_change_the_batch():
    plain = run()
    for options in ({}, {"workers": 2}, {"workers": map}):
        assert_same_run(plain, run(objectives.spoils_its_argument, **options))
    with ThreadPoolExecutor(2) as executor:
        assert_same_run(plain, run(objectives.spoils_its_argument, workers=executor))


def test_evaluations_go_on_at_the_same_time(tmp_path):
    fun = functools.partial(objectives.process, folder=tmp_path)
    run(fun, workers=2, maxfev=24)
    names = [path.name for path in tmp_path.iterdir()]
    assert len(names) == 2
    assert f"{os.getpid()}-" not in "".join(names)


def test_workers_share_the_processors():
    with evaluator(objectives.threads, workers=processors()) as evaluate:
        assert (evaluate(np.zeros((4, 2))) == 1).all()


# -------------------------------------------------------------------- what fails


def test_failures_are_counted_alike(caplog):
    plain = run(objectives.sometimes_fails, rng=7)
    assert 10 < plain.nfail < 150
    assert plain.nfev == 200
    with ThreadPoolExecutor(2) as executor:
        for options in ({"workers": 2}, {"workers": map}, {"workers": executor}):
            caplog.clear()
            assert_same_run(plain, run(objectives.sometimes_fails, rng=7, **options))
            assert [r.getMessage().split(":")[0] for r in caplog.records] == [
                "objective failed, counted as NaN (said once; `nfail` counts)"
            ]


@pytest.mark.parametrize("workers", [1, 2, map])
def test_an_error_in_a_worker_is_raised_with_its_traceback(workers):
    x = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    expected = pytest.raises(ObjectiveError, match=r"at evaluation 2, x = .*RuntimeError: the mesh is tangled")
    with expected as caught, evaluator(objectives.deep, "raise", workers=workers) as evaluate:
        evaluate(x)
    assert caught.value.x.tolist() == [3, 4]
    assert isinstance(caught.value.__cause__, RuntimeError)
    if workers == 2:
        assert "in innermost" in "".join(caught.value.__cause__.__notes__)


@pytest.mark.parametrize("workers", [1, 2])
def test_the_first_evaluation_must_succeed(workers):
    with pytest.raises(ObjectiveError, match=r"at its first evaluation, x = .*: Stubborn: stubborn because it can"):
        run(objectives.stubborn, workers=workers)
    with pytest.raises(ObjectiveError, match=r"number for each row of its argument; .* first .* 8 tangled"):
        run(objectives.bowls_in_vain, vectorized=True, workers=workers, popsize=8 * workers)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, r"shape \(\) instead of \(2,\)"),
        (np.ones((2, 1)), r"shape \(2, 1\) instead of \(2,\)"),
        (np.ones(3), r"shape \(3,\) instead of \(2,\)"),
        ([1.0, None], "instead of 2 numbers"),
        ([1.0, "2"], "instead of 2 numbers"),
        ([1.0, 2j], "instead of 2 numbers"),
        ([1.0, [2.0]], "instead of 2 numbers"),
        (None, "returned None .NoneType. instead of 2 numbers"),
    ],
)
def test_values_of_a_batch(value, text):
    x = np.zeros((2, 3))
    assert Vectorized(lambda x: [1, True])(x).tolist() == [1, 1]
    with pytest.raises(ObjectiveError, match=text):
        Vectorized(lambda x: value)(x)
    answers = iter([np.zeros(2), value, value, np.zeros(2)])
    evaluate = Vectorized(lambda x: next(answers))
    assert [np.isnan(evaluate(x)).sum() for _ in range(4)] == [0, 2, 2, 0]
    assert evaluate.nfail == 4


def test_nan_of_a_batch_is_a_value():
    res = run(lambda x: np.where(x[:, 0] < 0, np.nan, bowls(x)), vectorized=True)
    assert 0 < res.nfail < res.nfev
    assert res.x[0] >= 0


# -------------------------------------------------------------------- workers that die


def test_a_dead_worker_is_replaced(tmp_path, caplog):
    marker = tmp_path / "died"
    res = run(functools.partial(objectives.dies_once, marker=marker), workers=2)
    assert marker.exists()
    assert_same_run(run(), res)
    assert [r.getMessage() for r in caplog.records] == [
        "a worker process died; another one takes over, and what was lost is evaluated again"
    ]


def test_a_point_that_kills_its_worker_fails_alone(caplog):
    x = np.array([[0.0, 0.0], [1.0, 2.0], [-2.0, 0.0], [3.0, 4.0], [5.0, 6.0]])
    with evaluator(objectives.dies_there, workers=2) as evaluate:
        f = evaluate(x)
        assert np.isnan(f).tolist() == [False, False, True, False, False]
        assert f[[0, 1, 3, 4]].tolist() == [bowl(row) for row in x[[0, 1, 3, 4]]]
        assert evaluate.nfail == 1
    deaths = [r for r in caplog.records if "a worker process died" in r.getMessage()]
    assert len(deaths) == 3
    assert "ChildProcessError: its worker process died 3 times" in caplog.text
    expected = pytest.raises(ObjectiveError, match=r"at evaluation 3, .* died 3 times \(killed, out of memory")
    with expected, evaluator(objectives.dies_there, "raise", workers=2) as evaluate:
        evaluate(x)


def test_a_block_that_kills_its_worker_fails_as_a_whole():
    expected = pytest.raises(ObjectiveError, match=r"at its first evaluation, .* died 3 times")
    with expected, evaluator(objectives.dies, workers=2, vectorized=True) as evaluate:
        evaluate(np.zeros((4, 2)))


def test_a_broken_executor_is_named():
    expected = pytest.raises(ObjectiveError, match=r"the executor failed: BrokenProcessPool.*With `workers` as a num")
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as executor, expected:
        run(objectives.dies, workers=executor)
    with ThreadPoolExecutor(1) as executor:
        pass
    with pytest.raises(ObjectiveError, match=r"the executor failed: RuntimeError: cannot schedule new futures"):
        run(workers=executor)


def test_an_interrupt_comes_through():
    for workers in (2, map):
        with pytest.raises(KeyboardInterrupt):
            run(objectives.interrupted, workers=workers)
    with ThreadPoolExecutor(2) as executor, pytest.raises(KeyboardInterrupt):
        run(objectives.interrupted, workers=executor)


# -------------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    ("workers", "error", "text"),
    [
        (0, ArgumentError, "must be >= 1, or -1 for all processors; got 0"),
        (-2, ArgumentError, "got -2"),
        (True, ArgumentTypeError, "a number of processes, a concurrent.futures.Executor or"),
        (2.0, ArgumentTypeError, "got 2.0"),
        ("2", ArgumentTypeError, "got '2'"),
        (None, ArgumentTypeError, "`workers`"),
        (ThreadPoolExecutor, ArgumentTypeError, "`workers`"),
        ([2], ArgumentTypeError, "pool.map"),
    ],
)
def test_what_workers_may_be(workers, error, text):
    with pytest.raises(error, match=text):
        run(workers=workers)


def test_numbers_of_workers():
    assert isinstance(evaluator(bowl), Serial)
    assert isinstance(evaluator(bowl, workers=np.int64(1)), Serial)
    assert isinstance(evaluator(bowls, vectorized=True), Vectorized)
    every = evaluator(bowl, workers=-1)
    assert isinstance(every, Pooled if processors() > 1 else Serial)
    assert getattr(every, "_count", 1) == processors()


@pytest.mark.parametrize("fun", [lambda x: 0.0, functools.partial(bowl, open(os.devnull))])  # noqa: SIM115
def test_what_cannot_be_sent_is_refused_at_once(fun):
    with pytest.raises(ArgumentError, match=r"`fun` cannot be sent to worker .* top level of a module.*Thread"):
        run(fun, workers=2)
    with ProcessPoolExecutor(1) as executor, pytest.raises(ArgumentError, match=r"`fun` cannot be sent"):
        run(fun, workers=executor)


def test_maps_that_are_none():
    with pytest.raises(ObjectiveError, match=r"one result for each of 8 arguments, not 1"):
        run(workers=lambda function, rows: [function(rows[0])])
    with pytest.raises(ObjectiveError, match=r"the map failed: ZeroDivisionError"):
        run(workers=lambda function, rows: 1 / 0)


def test_executors_that_lose_what_they_should_send():
    class Lossy(ThreadPoolExecutor):
        def submit(self, *arguments):
            future = Future()
            future.set_exception(TypeError("cannot pickle '_thread.lock' object"))
            return future

    with pytest.raises(ObjectiveError, match=r"TypeError: cannot pickle .* If `fun` cannot be sent .* define it with"):
        run(workers=Lossy(1))


# -------------------------------------------------------------------- scripts


def script(tmp_path, text):
    path = tmp_path / "script.py"
    path.write_text(textwrap.dedent(text))
    return [sys.executable, "-W", "error", str(path)]


def environment():
    return {**os.environ, "PYTHONPATH": ROOT}


def test_a_script_needs_its_guard(tmp_path):
    done = subprocess.run(
        script(
            tmp_path,
            """
            import lmcma
            def f(x):
                return float(x @ x)
            lmcma.minimize(f, [1.0, 2.0], 0.5, workers=2, maxfev=20)
            """,
        ),
        capture_output=True,
        text=True,
        timeout=120,
        env=environment(),
    )
    assert done.returncode == 1
    assert "ObjectiveError: `workers`: the worker processes end as soon as they start" in done.stderr
    assert "must be below `if __name__ == '__main__':`" in done.stderr


def test_functions_of_a_script_and_of_an_interactive_session(tmp_path):
    text = """
        import lmcma
        class Odd(Exception):
            pass
        def f(x):
            if x[0] < 0:
                raise Odd("left")
            return float(x @ x)
        if __name__ == "__main__":
            res = lmcma.minimize(f, [1.0, 2.0], 0.5, workers=2, maxfev=200, rng=1)
            print(res.nfail > 0, res.fun == lmcma.minimize(f, [1.0, 2.0], 0.5, maxfev=200, rng=1).fun)
        """
    done = subprocess.run(script(tmp_path, text), capture_output=True, text=True, timeout=120, env=environment())
    assert (done.returncode, done.stdout) == (0, "True True\n"), done.stderr
    command = [sys.executable, "-c", textwrap.dedent(text)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment())
    assert "`fun` cannot be sent to worker processes: it is defined in an interactive session" in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_workers_never_outlive_the_run(tmp_path, how):
    """Interrupted or killed in the middle of long evaluations, the program ends at once, and all its processes do."""
    text = f"""
        import os, time
        from pathlib import Path
        import lmcma
        def f(x):
            Path({str(tmp_path)!r}, f"worker-{{os.getpid()}}").touch()
            time.sleep(60)
            return 0.0
        if __name__ == "__main__":
            lmcma.minimize(f, [1.0, 2.0], 0.5, workers=2)
        """
    # stdout is inherited by the workers: it ends when the last of them does
    program = subprocess.Popen(
        script(tmp_path, text),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("worker-*"))) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    if how == signal.SIGINT:
        os.killpg(program.pid, how)  # as a terminal does
    else:
        program.send_signal(how)
    started = time.monotonic()
    _, errors = program.communicate(timeout=30)
    assert time.monotonic() - started < 20
    if how == signal.SIGINT:
        assert errors.strip().endswith("KeyboardInterrupt")
        assert errors.count("Traceback") == 1, errors
