"""Checkpoints: what goes into a file comes out of it, whatever happens to the file or the disk."""

import errno
import json
import logging
import math
import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

import lmcma
from lmcma.errors import ArgumentError, ArgumentTypeError, CheckpointError, ObjectiveError, StateError
from lmcma.record import Checkpoint, History
from lmcma.record import checkpoint as module
from tests.objectives import bowl
from tests.strategies import assert_same_state

X0 = np.linspace(-1, 1, 4)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "run.npz"


def run(file, fun=bowl, **options):
    return lmcma.minimize(fun, X0, 0.5, **{"rng": 3, "maxfev": 200, "checkpoint": file, **options})


def assert_same_run(a, b):
    np.testing.assert_array_equal(a.x, b.x)
    np.testing.assert_array_equal(a.mean, b.mean)
    assert (a.fun, a.nfev, a.nit, a.nfail, a.sigma, a.message) == (b.fun, b.nfev, b.nit, b.nfail, b.sigma, b.message)
    assert a.runs == b.runs
    for column in a.history.columns:
        np.testing.assert_array_equal(a.history[column], b.history[column])


def assert_identical(a, b):
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            assert_identical(a[key], b[key])
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for left, right in zip(a, b, strict=True):
            assert_identical(left, right)
    elif isinstance(a, (np.ndarray, np.generic)):
        assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    elif isinstance(a, float):
        assert math.isnan(a) == math.isnan(b)
        assert math.isnan(a) or (a, math.copysign(1, a)) == (b, math.copysign(1, b))
    else:
        assert a == b


# -------------------------------------------------------------------- what is kept


def test_every_kind_of_value_survives(file):
    rng = np.random.default_rng(1)
    content = {
        "floats": {str(k): v for k, v in enumerate([0.0, -0.0, math.nan, math.inf, -math.inf, 5e-324, 0.1, 1e308])},
        "more": {str(k): v for k, v in enumerate(np.frombuffer(rng.bytes(8000)).tolist())},
        "integers": {"0": 0, "-": -7, "64": 2**64 - 1, "128": 2**128 - 1, "huge": -(10**300)},
        "others": {"none": None, "yes": True, "no": False, "text": 'e"\\ü\n\0', "empty": "", "": 1},
        "nested": [(), [], {}, (1, 2.0, [None, ("x",)]), [{"a": (math.nan,)}], [1, [2, [3]]], ["float", "nan"]],
        "arrays": {
            dtype: np.frombuffer(rng.bytes(96), dtype=dtype)
            for dtype in ("f8", "f4", "i8", "i4", "i2", "u8", "u4", "u1", "c16", ">f8")
        },
        "bools": np.array([[True, False]]),
        "texts": np.array(["a", "bcd"]),
        "shapes": [np.zeros((0, 3)), np.array(2.5), np.arange(24.0).reshape(2, 3, 4), np.asfortranarray(np.eye(2, 3))],
        "scalars": (np.float64(0.1), np.float32(0.1), np.int64(-3), np.uint8(3), np.bool_(True), np.str_("x")),
        "a/b": np.zeros(1),
        "a": {"b": np.ones(1)},
        "generators": {
            kind.__name__: np.random.Generator(kind(7)).bit_generator.state
            for kind in (np.random.PCG64, np.random.PCG64DXSM, np.random.MT19937, np.random.Philox, np.random.SFC64)
        },
    }
    module.write(file, content)
    assert_identical(module.read(file), content)


@pytest.mark.parametrize("value", [object(), {1: 2}, b"bytes", {1, 2}, np.array([None]), 1j, len, np.ones])
def test_what_is_no_data_is_refused(file, value):
    with pytest.raises(StateError, match=r"'a/b' must be numbers, text or arrays"):
        module.write(file, {"a": {"b": value}})
    assert list(file.parent.iterdir()) == []


def test_the_file_is_data_only_and_says_what_it_is(file):
    lmcma.save(lmcma.make("cma", X0, 0.5, rng=1), file)
    with np.load(file, allow_pickle=False) as arrays:
        header = json.loads(bytes(arrays["header"]))
        assert {"strategy/mean", "strategy/C"} <= set(arrays.files)
        assert all(not arrays[name].dtype.hasobject for name in arrays.files)
    assert (header["lmcma checkpoint"], header["lmcma"], header["method"]) == (1, lmcma.__version__, "cma")
    assert "NaN" not in json.dumps(header)


def test_a_strategy_survives(file):
    es = lmcma.make("bipop-cma", X0, 0.5, rng=np.random.SeedSequence([1, 2**70]), x0_box=(-2, 2))
    for step in range(3):
        es.tell(None, [bowl(row) for row in es.ask()])
        if step == 1:
            es.ask()
        lmcma.save(es, str(file))
        again = lmcma.load(str(file))
        assert_same_state(es, again)
        np.testing.assert_array_equal(es.ask(), again.ask())
    assert [p.name for p in file.parent.iterdir()] == ["run.npz"]


def test_options_of_a_restarted_method_survive(file):
    options = {"std_limits": (np.array([0.0, 0.1, 0, 0]), 3), "active": False, "lazy": "reference"}
    es = lmcma.make("ipop-cma", X0, 0.5, rng=1, x0_box=(-2, 2), stop={"maxiter": 3}, **options)
    lmcma.save(es, file)
    again = lmcma.load(file)
    assert_identical(again.options, options)
    for _ in range(20):
        for each in (es, again):
            each.tell(None, [bowl(row) for row in each.ask()])
    assert len(es.result().runs) > 2
    assert_identical(es.state_dict(), again.state_dict())
    es = lmcma.make("ipop-cma", X0, 0.5, rng=1, std_limits=None, robust=np.bool_(True))
    lmcma.save(es, file)
    assert_identical(lmcma.load(file).options, {"std_limits": None, "robust": np.bool_(True)})


# -------------------------------------------------------------------- files that are none


def test_damage_is_found(file, tmp_path):
    lmcma.save(lmcma.make("cma", X0, 0.5, rng=1), file)
    data = file.read_bytes()
    expected = lmcma.load(file)
    broken = tmp_path / "broken.npz"
    for length in [0, 1, 4, 30, *range(100, len(data), 997), len(data) - 1]:
        broken.write_bytes(data[:length])
        with pytest.raises(StateError, match=r"broken.npz' must be a checkpoint of lmcma; .* damaged .*begin anew"):
            lmcma.load(broken)
    rng = np.random.default_rng(1)
    found = 0
    for _ in range(300):
        damaged = bytearray(data)
        damaged[rng.integers(len(data))] ^= 1 << rng.integers(8)
        broken.write_bytes(damaged)
        try:
            assert_same_state(lmcma.load(broken), expected)  # what is not used may be anything
        except StateError:
            found += 1
    assert found > 200


def test_other_files(file):
    np.save(file.with_suffix(".npy"), np.ones(3))
    np.savez(file, a=np.ones(3))
    text = file.with_suffix(".txt")
    text.write_text("hello")
    pickled = file.with_name("objects.npz")
    np.savez(pickled, header=np.array([object()]))
    for path in (file.with_suffix(".npy"), file, text, pickled):
        with pytest.raises(StateError, match=r"must be a checkpoint of lmcma"):
            lmcma.load(path)
    with pytest.raises(CheckpointError, match=r"cannot be read: No such file"):
        lmcma.load(file.with_name("nothing"))
    with pytest.raises(CheckpointError, match=r"cannot be read: Is a directory"):
        lmcma.load(file.parent)
    module.write(file, {"strategy": {"method": "cma", "format": 1}})
    with pytest.raises(StateError, match=r"cannot be used: `state` must have the entry"):
        lmcma.load(file)
    module.write(file, {})
    with pytest.raises(StateError, match=r"holds no usable strategy: KeyError: 'strategy'"):
        lmcma.load(file)


def test_newer_formats(file, monkeypatch):
    monkeypatch.setattr(module, "FORMAT", 2)
    lmcma.save(lmcma.make("cma", X0, 0.5, rng=1), file)
    monkeypatch.undo()
    with pytest.raises(StateError, match=r"has format 2, written by lmcma .* reads format 1\. Update lmcma"):
        lmcma.load(file)


# -------------------------------------------------------------------- disks that are none


def no_space(*arguments, **named):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("call", ["numpy.savez", "os.fsync", "pathlib.Path.replace", "pathlib.Path.open"])
def test_a_failure_leaves_the_old_file_and_nothing_else(file, monkeypatch, call):
    es = lmcma.make("cma", X0, 0.5, rng=1)
    lmcma.save(es, file)
    before = file.read_bytes()
    es.tell(None, [bowl(row) for row in es.ask()])
    monkeypatch.setattr(call, no_space)
    with pytest.raises(CheckpointError, match=r"run.npz' cannot be written: No space left on device.*Make room"):
        lmcma.save(es, file)
    monkeypatch.undo()
    assert file.read_bytes() == before
    assert [p.name for p in file.parent.iterdir()] == ["run.npz"]


def test_a_full_disk_does_not_end_a_run(file, monkeypatch, caplog):
    plain = run(None, checkpoint=None)
    monkeypatch.setattr(Checkpoint, "_interval", 0.0)
    monkeypatch.setattr(Checkpoint, "_share", 0.0)
    calls = []

    def fun(x):
        calls.append(1)
        if len(calls) == 50:
            monkeypatch.setattr(os, "fsync", no_space)
        return bowl(x)

    assert_same_run(plain, run(file, fun))
    assert [r.levelno for r in caplog.records] == [logging.WARNING]
    assert "cannot be written: No space left on device" in caplog.text
    assert 0 < lmcma.load(file).nfev <= 50, "the last one that was written"
    assert [p.name for p in file.parent.iterdir()] == ["run.npz"]


@pytest.mark.skipif(os.name != "posix", reason="needs limits as POSIX has them")
def test_a_file_that_may_not_grow(file):
    """The operating system refuses to write more than 8 kB: half a file, without any tricks of ours."""
    code = """
        import logging, resource, signal, sys
        import lmcma
        from lmcma.record import Checkpoint
        logging.basicConfig(level=logging.WARNING, stream=sys.stdout)
        Checkpoint._interval = Checkpoint._share = 0.0
        file = sys.argv[1]
        es = lmcma.make("cma", [1.0] * 4, 0.5, rng=1)
        lmcma.save(es, file)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
        try:
            lmcma.save(lmcma.make("cma", [1.0] * 40, 0.5, rng=1), file)
        except lmcma.errors.CheckpointError as error:
            print(error)
        assert lmcma.load(file).ask().tolist() == es.ask().tolist()
        res = lmcma.minimize(lambda x: float(x @ x), [1.0] * 40, 0.5, rng=1, maxfev=150, checkpoint=file + "2")
        print(res.nfev)
        """
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(code), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    first, logged, last = done.stdout.splitlines()
    assert "run.npz' cannot be written: File too large" in first
    assert logged.startswith("WARNING:lmcma:the checkpoint")
    assert logged.endswith("The run goes on (said once).")
    assert last == "150"
    assert [p.name for p in file.parent.iterdir()] == ["run.npz"]


def test_where_nothing_can_be_written_is_said_at_once(tmp_path):
    calls = []
    for path in (tmp_path / "no" / "folder.npz", tmp_path):
        with pytest.raises(CheckpointError, match=r"cannot be written: .*name a file in a folder that exists"):
            run(path, calls.append)
    with pytest.raises(ArgumentTypeError, match=r"`checkpoint` must be the name of a file; got 3"):
        run(3, calls.append)
    with pytest.raises(StateError, match=r"'arguments/std_limits/0' must be numbers, text or arrays"):
        run(tmp_path / "run.npz", calls.append, options={"std_limits": (range(4), range(1, 5))})
    assert calls == []
    assert list(tmp_path.iterdir()) == []


def test_a_link_stays_one(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    link, target = tmp_path / "run.npz", tmp_path / "elsewhere" / "real.npz"
    link.symlink_to(target)
    run(link)
    assert link.is_symlink()
    assert lmcma.load(target).nfev == 200


# -------------------------------------------------------------------- runs


def test_a_run_leaves_its_end_and_is_not_overwritten(file):
    res = run(file)
    assert lmcma.load(file).nfev == 200
    before = file.read_bytes()
    with pytest.raises(ArgumentError, match=r"there is a file .*run.npz' already. Go on with its run \(`resume`\)"):
        run(file)
    assert file.read_bytes() == before
    assert_same_run(res, run(file, resume=True))
    with pytest.raises(ArgumentError, match=r"`resume` needs the name of a file, `checkpoint`"):
        run(None, resume=True)


def test_resume_begins_where_there_is_no_file(file):
    assert_same_run(run(None), run(file, resume=True))


@pytest.mark.parametrize("restarts", [None, "bipop", lmcma.Scheme("slow", max_large=3)])
@pytest.mark.parametrize("end", ["maxfev", "maxiter", "ftarget", "callback", "max_time", "error", "interrupt"])
def test_after_any_end_a_run_goes_on_to_the_bit(file, end, restarts):
    options = {"popsize": 10, "restarts": restarts}
    if restarts is not None:
        options |= {"x0_box": (-2, 2), "stop": {"maxiter": 6}}
    plain = run(None, maxfev=1200, **options)

    def fun(x):
        fun.calls += 1
        if fun.calls == 347 and end in ("error", "interrupt"):
            raise KeyboardInterrupt if end == "interrupt" else ValueError("no")
        return bowl(x)

    fun.calls = 0
    best, last_rows = plain.history["best_f"], np.cumsum([r.nit for r in plain.runs]) - 1
    improved = np.setdiff1d(1 + np.flatnonzero(np.diff(best) < 0), last_rows)  # not where a run ends by `maxiter`, too
    first = {
        "maxfev": {"maxfev": int(plain.history["nfev"][14])},  # a batch cut short would be another run
        "maxiter": {"maxiter": 15},
        "ftarget": {"ftarget": best[improved[plain.history["nfev"][improved] < 400][-1]]},
        "callback": {"callback": lambda result: result.nfev >= 350},
        "max_time": {"max_time": 1e-9},
        "error": {"on_error": "raise"},
        "interrupt": {},
    }[end]
    if end in ("error", "interrupt"):
        with pytest.raises((ObjectiveError, KeyboardInterrupt)):
            run(file, fun, **{"maxfev": 1200, **options, **first})
    else:
        res = run(file, fun, **{"maxfev": 1200, **options, **first})
        assert res.stop.reason == end
        assert 0 < res.nfev < 500
    assert_same_run(plain, run(file, rng=99, maxfev=1200, resume=True, **options))


def test_new_limits_count(file):
    run(file, maxiter=5)
    res = run(file, maxfev=None, maxiter=9, resume=True)
    assert (res.stop.reason, res.nit) == ("maxiter", 9)
    res = run(file, maxfev=100, resume=True)
    assert (res.stop.reason, res.nfev) == ("maxfev", 100), "a batch was cut short"
    res = run(file, maxfev=None, ftarget=res.fun / 10, resume=True)
    assert res.stop.reason == "ftarget"
    started = time.monotonic()
    res = run(file, maxfev=None, max_time=0.2, resume=True, stop=None)
    assert res.success or time.monotonic() - started >= 0.2


def test_a_chain_goes_on_with_the_run_that_its_budget_cut_short(file):
    options = {"restarts": "bipop", "x0_box": (-2, 2), "popsize": 10}
    cut = run(file, maxfev=250, **options)
    assert [r.stop.reason for r in cut.runs] == ["maxfev"]
    assert len(run(file, maxfev=1000, resume=True, **options).runs) == len(run(None, maxfev=1000, **options).runs)
    lower = run(file, maxfev=500, resume=True, **options)
    assert lower.nfev == 1000
    assert lower.stop.reason == "maxfev"


def test_the_history_of_an_interrupted_run_is_that_of_the_whole(file, monkeypatch):
    from lmcma import optimize

    monkeypatch.setattr(optimize, "History", lambda: History(max_rows=8))
    options = {"maxfev": 3000, "stop": "none"}
    plain = run(None, **options)
    for nit in (3, 17, 18, 41, 97, 200):
        run(file, resume=True, callback=lambda result, nit=nit: result.nit >= nit, **options)
    assert_same_run(plain, run(file, resume=True, **options))


def test_what_is_recorded_may_change(file):
    run(file, maxfev=96)
    assert run(file, record=False, resume=True).history is None
    res = run(file, maxfev=296, resume=True)
    assert res.history["nfev"][0] == 208


def test_failures_are_counted_over_all_sessions(file, caplog):
    def fun(x):
        if x[0] < -1:
            raise ValueError("left")
        return bowl(x)

    def start(x):  # the first evaluation of all must succeed, that of a later session need not
        return 1.0 if not start.begun and not setattr(start, "begun", True) else fun(x)

    start.begun = False
    plain = run(None, start, rng=9)
    start.begun = False
    run(file, start, rng=9, maxiter=2)
    calls = len(caplog.records)
    assert_same_run(plain, run(file, lambda x: fun(x), rng=9, resume=True))
    assert len(caplog.records) == calls == 2


def test_a_function_that_never_worked_leaves_no_file(file):
    with pytest.raises(ObjectiveError):
        run(file, lambda x: "text")
    assert list(file.parent.iterdir()) == []


def test_an_interrupted_strategy_is_not_kept(file, monkeypatch):
    """Ctrl-C in the middle of an update: the state is half old, half new; the file keeps the last whole one."""
    monkeypatch.setattr(Checkpoint, "_interval", 0.0)
    monkeypatch.setattr(Checkpoint, "_share", 0.0)
    plain = run(None)
    update = lmcma.CMAES._tell

    def interrupted(self, *arguments):
        if self.nit == 8:
            self.mean[:] = np.nan
            raise KeyboardInterrupt
        return update(self, *arguments)

    monkeypatch.setattr(lmcma.CMAES, "_tell", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(file)
    monkeypatch.setattr(lmcma.CMAES, "_tell", update)
    assert lmcma.load(file).nit == 8
    assert_same_run(plain, run(file, resume=True))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"x0": [0.0, 2.0]}, r"`x0\[1\]` must be that of the run in .*run.npz', 0.0; got 2.0. Only limits"),
        ({"x0": [0.0, 0.0, 0.0]}, r"`x0` must be .* \[0.0, 0.0\]; got \[0.0, 0.0, 0.0\]"),
        ({"sigma0": 0.25}, r"`sigma0` must be .*, 0.5; got 0.25"),
        ({"popsize": 9}, "`popsize` must be .*, 8; got 9"),
        ({"popsize": None}, "`popsize` must be .*, 8; got None"),
        ({"method": "lm-cma"}, "`method` must be .*, 'cma'; got 'lm-cma'"),
        ({"restarts": "ipop"}, "`restarts` must be .*, None; got 'ipop'"),
        ({"options": {"active": False}}, "`active` must be .*, None; got False"),
        ({"stop": {"tolx": 1e-3}}, r"`stop\['tolx'\]` must be .*, 1e-09; got 0.001"),
        ({"stop": {"tolfun": 1e-9}}, r"`stop` must be .*, {'tolx': 1e-09}; got {'tolfun': 1e-09}"),
        ({"stop": lmcma.StopRules()}, r"`stop` must be .*, {'tolx': 1e-09}; got {'maxiter': None, .*\.\.\.\. Only"),
        ({"bounds": (-1, 2)}, r"`bounds\[0\]\[0\]` must be .*, -2.0; got -1.0"),
        ({"bounds": None}, r"`bounds` must be .*; got None"),
        ({"stds": [1, 2]}, r"`stds` must be .*, None; got \[1, 2\]"),
    ],
)
def test_another_problem_is_refused(file, change, text):
    given = {"x0": [0.0, 0.0], "sigma0": 0.5, "popsize": 8, "stop": {"tolx": 1e-9}, "bounds": (-2, 2), "maxfev": 80}
    lmcma.minimize(bowl, **given, checkpoint=file)
    before = file.read_bytes()
    with pytest.raises(ArgumentError, match=text):
        lmcma.minimize(bowl, **{**given, **change}, checkpoint=file, resume=True)
    assert file.read_bytes() == before
    same = {**given, "x0": np.zeros(2), "sigma0": np.array(0.5), "bounds": [-2.0, np.int64(2)], "method": "auto"}
    assert lmcma.minimize(bowl, **same, checkpoint=file, resume=True).nfev == 80


def test_files_of_save_are_for_load(file):
    lmcma.save(lmcma.make("cma", X0, 0.5), file)
    with pytest.raises(StateError, match=r"by `save`, not by a run with checkpoints. `load` gives its strategy"):
        run(file, resume=True)


def test_writing_takes_a_small_part_of_the_time(file):
    es = lmcma.make("cma", X0, 0.5, rng=1)
    keeper = Checkpoint(file, {}, {})
    clock = [100.0]
    writes = []

    def slow_write(path, content):
        writes.append(clock[0])
        clock[0] += 3.0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module.time, "monotonic", lambda: clock[0])
        keeper.begin(lambda: es, {}, resume=False)
        patch.setattr(module, "write", slow_write)
        while clock[0] < 200:
            keeper.note(es)
            clock[0] += 1.0
    assert writes == [110.0, 173.0], "ten seconds after the start, then 20 x 3 s after the end of the one before"


def test_limits_of_a_strategy():
    es = lmcma.make("cma", X0, 0.5, rng=1, stop={"profile": "none", "maxiter": 50}, maxiter=3, maxfev=100, ftarget=1.0)
    es.limit(maxiter=70)
    assert (es.maxfev, es.ftarget) == (math.inf, -math.inf)
    while not es.stop():
        es.tell(None, np.ones(len(es.ask())) / (es.nit + 1))
    assert (es.nit, es.stop().threshold) == (50, 50), "the rule of the profile is still there"
    with pytest.raises(ArgumentError, match=r"`maxfev` must be >= 1"):
        es.limit(maxfev=0)


def test_ctrl_c_in_the_middle_of_an_update_waits_for_its_end(file, monkeypatch):
    """It once left the checkpoint unwritten, and a best value that did not belong to its point."""
    plain = run(None)
    tell = lmcma.CMAES.tell

    def pressed(self, *arguments, **more):
        if self.nit == 8:
            signal.raise_signal(signal.SIGINT)
        tell(self, *arguments, **more)

    monkeypatch.setattr(lmcma.CMAES, "tell", pressed)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run(file)
    assert signal.getsignal(signal.SIGINT) is handler
    monkeypatch.setattr(lmcma.CMAES, "tell", tell)
    assert lmcma.load(file).nit == 9
    assert_same_run(plain, run(file, resume=True))


def test_a_later_session_in_which_nothing_works_leaves_the_run_as_it_was(file):
    """A resumed run whose objective was broken for the time being once ended by all_nan, for ever."""
    plain = run(None)
    run(file, maxiter=5)

    def broken(x):
        raise FileNotFoundError("data.csv")

    with pytest.raises(ObjectiveError, match=r"data\.csv"):
        run(file, broken, resume=True)
    assert lmcma.load(file).nit == 5
    assert_same_run(plain, run(file, resume=True))


def test_the_same_bounds_in_another_form(file):
    plain = run(None, bounds=(-3, None))
    run(file, bounds=(-3, None), maxiter=5)
    again = run(file, bounds=[(-3, np.inf)] * len(X0), resume=True)
    assert_same_run(plain, again)
