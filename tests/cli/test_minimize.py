"""`lmcma minimize` and `lmcma methods`, as a user meets them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

PROBLEM = """
import time
import numpy as np

number = 3

def cost(x):
    return float(np.sum((np.arange(len(x)) + 1) * x**2))

def slow(x):
    time.sleep(0.02)
    with open("calls", "a") as log:
        log.write(".")
    return cost(x)

class Model:
    def loss(self, x):
        return cost(x)

model = Model()
"""
COMMAND = [sys.executable, "-c", "from lmcma.cli import main; main()"]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "problem.py").write_text(PROBLEM)
    (tmp_path / "broken.py").write_text("1 / 0\n")
    (tmp_path / "needy.py").write_text("import a_package_that_is_not_there\n")
    return tmp_path


@pytest.fixture
def lmcma_in(folder, monkeypatch, capsys):
    """Run the command in this process, as `lmcma ARGUMENTS` would; gives (exit status, stdout, stderr)."""
    from lmcma.cli import main

    def call(*arguments):
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", ["lmcma", *arguments])
        monkeypatch.setattr(sys, "path", [p for p in sys.path if p != str(folder)])
        for name in ("problem", "broken", "needy"):
            sys.modules.pop(name, None)
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        return end.value.code or 0, out, err

    return call


def minimize(lmcma_in, *arguments):
    return lmcma_in("minimize", "problem:cost", "--sigma0", "0.5", "--seed", "1", *arguments)


def test_prints_what_was_found_and_why_it_ended(lmcma_in):
    code, out, err = minimize(lmcma_in, "--x0", "1,2,3", "--ftarget", "1e-9")
    assert code == 0
    assert err == "", "no progress line where stderr is no terminal"
    for part in ("best f", "at x", "stopped by", "ftarget", "evaluations", "cma, n = 3, seed 1"):
        assert part in out


def test_no_result_is_an_error_and_a_limit_is_none(lmcma_in):
    assert minimize(lmcma_in, "--x0", "1,2,3", "--maxfev", "20")[0] == 0
    assert minimize(lmcma_in, "--x0", "1,2,3", "--max-time", "1e-9")[0] == 0


@pytest.mark.parametrize(
    ("x0", "expected"),
    [
        (["--x0", "1,2"], [1, 2]),
        (["--x0=-1,2"], [-1, 2]),
        (["--x0", "-1,2"], [-1, 2]),
        (["--x0", "-1e-3"], [-1e-3]),
        (["--x0", "1 2\n3"], [1, 2, 3]),
        (["--x0", "0.5", "--dim", "4"], [0.5] * 4),
        (["--x0", "1,2", "--dim", "2"], [1, 2]),
        (["--x0", "start.txt"], [4, 5, 6]),
        (["--x0", "start.npy"], [7, 8]),
        (["--x0", "earlier.json"], [9, -9]),
    ],
)
def test_starts(lmcma_in, folder, x0, expected):
    (folder / "start.txt").write_text("4, 5\n6\n")
    np.save(folder / "start.npy", np.array([7.0, 8.0]))
    (folder / "earlier.json").write_text('{"x": [9, -9], "fun": 1.0}')
    code, _, err = minimize(lmcma_in, *x0, "--maxfev", "20", "--output", "result.json")
    assert (code, err) == (0, "")
    assert json.loads((folder / "result.json").read_text())["x0"] == expected


def test_output_is_the_result_that_minimize_returns(lmcma_in, folder):
    import lmcma

    code, _, _ = minimize(lmcma_in, "--x0", "1,2,3", "--method", "cma", "--popsize", "9", "--output", "result.json")
    assert code == 0
    found = json.loads((folder / "result.json").read_text())
    res = lmcma.minimize(
        lambda x: float(np.sum((np.arange(3) + 1) * x**2)), [1, 2, 3], 0.5, method="cma", popsize=9, rng=1
    )
    for key in ("fun", "nfev", "nit", "success", "status", "message", "sigma", "popsize"):
        assert found[key] == res[key]
    assert found["x"] == res.x.tolist()
    assert found["stop"]["reason"] == res.stop.reason
    assert found["function"] == "problem:cost"
    assert sorted(p.name for p in folder.iterdir() if p.name != "__pycache__") == [
        *("broken.py", "needy.py", "problem.py", "result.json")
    ], "no temporary file stays behind"


def test_json_knows_no_nan(lmcma_in, folder):
    (folder / "problem.py").write_text("def cost(x): return float('nan')\n")
    code, _, _ = minimize(lmcma_in, "--x0", "1,2", "--output", "result.json")
    assert code == 0
    text = (folder / "result.json").read_text()
    assert json.loads(text)["fun"] is None
    assert "NaN" not in text


def test_plot(lmcma_in, folder):
    pytest.importorskip("matplotlib")
    assert minimize(lmcma_in, "--x0", "1,2", "--maxfev", "60", "--plot", "run.png")[0] == 0
    assert (folder / "run.png").read_bytes()[:4] == b"\x89PNG"
    assert minimize(lmcma_in, "--x0", "1,2", "--maxfev", "60", "--plot", "run.svg")[0] == 0


def test_workers(lmcma_in, folder):
    results = []
    for workers in ("1", "2"):
        minimize(lmcma_in, "--x0", "1,2", "--maxfev", "60", "--workers", workers, "--output", "result.json")
        results.append({**json.loads((folder / "result.json").read_text()), "seconds": 0})
    assert results[0] == results[1]


def test_resume(lmcma_in, folder):
    def run(*arguments, seed="1", x0="1,2"):
        fixed = ("--sigma0", "0.5", "--x0", x0, "--seed", seed, "--output", "result.json", *arguments)
        code, out, err = lmcma_in("minimize", "problem:cost", *fixed)
        found = json.loads((folder / "result.json").read_text()) if code == 0 else {}
        return code, out, err, {**found, "seconds": 0}

    plain = run("--maxfev", "180")[3]
    code, out, _, first = run("--maxfev", "60", "--checkpoint", "run.npz", "--resume")
    assert (code, first["nfev"]) == (0, 60)
    assert "run.npz, to go on with --resume" in out
    code, _, err, _ = run("--maxfev", "180", "--checkpoint", "run.npz")
    assert (code, "already" in err) == (2, True)
    code, _, err, _ = run("--maxfev", "180", "--checkpoint", "run.npz", "--resume", x0="1,3")
    assert (code, "`x0[1]` must be that of the run in 'run.npz', 2.0; got 3.0" in err) == (2, True)
    code, out, _, last = run("--maxfev", "180", "--checkpoint", "run.npz", "--resume", seed="7")
    assert last == plain, "the seed that counts is that of the beginning"
    assert "seed 1" in out


def test_options_and_stopping_rules_reach_the_method(lmcma_in):
    _, out, _ = minimize(lmcma_in, "--x0", "1,2", "--option", "active=False", "--stop", "none", "--stop", "tolx=1e-3")
    assert "tolx" in out
    _, out, _ = minimize(lmcma_in, "--x0", "1,2", "--stop", "none", "--option", "maxiter=7")
    assert "maxiter: 7 iterations" in out


@pytest.mark.parametrize(
    ("bounds", "x0", "best"),
    [("0.5,inf", "1,2", [0.5, 0.5]), ("-3, -1", "-2,-2", [-1, -1]), ("box.txt", "1,2", [0.5, 1])],
)
def test_bounds(lmcma_in, folder, bounds, x0, best):
    (folder / "box.txt").write_text("0.5, 3\n1 4\n\n")
    code, _, err = minimize(lmcma_in, "--x0", x0, "--bounds", bounds, "--method", "cma", "--output", "result.json")
    assert (code, err) == (0, "")
    np.testing.assert_allclose(json.loads((folder / "result.json").read_text())["x"], best, atol=1e-8)


def test_scales_and_restarts(lmcma_in, folder):
    import lmcma

    def cost(x):
        return float(np.sum((np.arange(2) + 1) * x**2))

    (folder / "scales.txt").write_text("1\n2\n")
    (folder / "box.txt").write_text("-1 1\n-2 3\n")
    for stds, box in (("1,2", "-2,2"), ("scales.txt", "box.txt")):
        arguments = ("--stds", stds, "--restarts", "bipop", f"--x0-box={box}", "--method", "cma", "--maxfev", "3000")
        code, out, err = minimize(lmcma_in, "--x0", "1,2", *arguments, "--output", "result.json")
        assert (code, err) == (0, "")
        assert "bipop-cma, n = 2" in out
        found = json.loads((folder / "result.json").read_text())
        x0_box = (-2, 2) if box == "-2,2" else ([-1, -2], [1, 3])
        given = {"stds": [1, 2], "restarts": "bipop", "x0_box": x0_box, "maxfev": 3000}
        res = lmcma.minimize(cost, [1, 2], 0.5, method="cma", rng=1, **given)
        assert len(res.runs) > 1
        assert (found["fun"], found["x"]) == (res.fun, res.x.tolist())


def test_restarts_are_resumed(lmcma_in, folder):
    def run(maxfev, *arguments):
        fixed = ("--x0", "1,2", "--restarts", "ipop", "--x0-box=-2,2", "--stds", "1,2", "--output", "result.json")
        code, _, err = minimize(lmcma_in, *fixed, "--maxfev", maxfev, *arguments)
        assert (code, err) == (0, "")
        return {**json.loads((folder / "result.json").read_text()), "seconds": 0}

    run("300", "--checkpoint", "run.npz")
    assert run("2000", "--checkpoint", "run.npz", "--resume") == run("2000")
    code, _, err = minimize(lmcma_in, "--x0", "1,2", "--stds", "1,2", "--checkpoint", "run.npz", "--resume")
    assert (code, "must be that of the run in 'run.npz'" in err) == (2, True)


def test_on_error(lmcma_in, folder):
    (folder / "problem.py").write_text(
        "calls = 0\ndef cost(x):\n    global calls\n    calls += 1\n    return 1 / (calls - 9)\n"
    )
    assert minimize(lmcma_in, "--x0", "1,2", "--maxfev", "20")[0] == 0
    code, _, err = minimize(lmcma_in, "--x0", "1,2", "--maxfev", "20", "--on-error", "raise")
    assert (code, err.count("\n")) == (2, 1)
    assert "it failed at evaluation 9" in err


def test_attributes_are_followed(lmcma_in):
    code, _, err = lmcma_in("minimize", "problem:model.loss", "--x0", "1,2", "--sigma0", "1", "--maxfev", "9")
    assert (code, err) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["problem", "--x0", "1"], "must be given as MODULE:FUNCTION; got 'problem'"),
        (["problem.py:cost", "--x0", "1"], "write problem:cost"),
        (["problen:cost", "--x0", "1"], "there is no module 'problen' .* did you mean 'problem'"),
        (["problem.sub:cost", "--x0", "1"], "no module 'problem.sub'|importing 'problem.sub' failed"),
        (["broken:cost", "--x0", "1"], "importing 'broken' failed: ZeroDivisionError"),
        (["needy:cost", "--x0", "1"], "importing 'needy' failed: No module named 'a_package_that_is_not_there'"),
        (["problem:cots", "--x0", "1"], "'problem' has no function 'cots'; did you mean 'cost'"),
        (["problem:number", "--x0", "1"], "'problem:number' must be callable.* type int"),
        (["problem:cost", "--x0", "1,a"], "`--x0` must be numbers .* 'a' is not a number and '1,a' no file"),
        (["problem:cost", "--x0", ""], "`--x0` must be numbers"),
        (["problem:cost", "--x0", "problem.py"], "'problem.py' must hold numbers"),
        (["problem:cost", "--x0", "1,nan"], "`x0` must be finite"),
        (["problem:cost", "--x0", "1,2", "--dim", "3"], "`--x0` has 2 numbers and `--dim` is 3"),
        (["problem:cost", "--x0", "1", "--dim", "0"], "`--dim` must be >= 1; got 0"),
        (["problem:cost", "--x0", "1", "--method", "cmaa"], "no 'cmaa'; did you mean 'cma'"),
        (["problem:cost", "--x0", "1", "--option", "activ=1"], "no option 'activ'; did you mean 'active'"),
        (["problem:cost", "--x0", "1", "--option", "active"], "`--option` must be KEY=VALUE; got 'active'"),
        (["problem:cost", "--x0", "1", "--option", "a=1", "--option", "a=2"], "names 'a' twice"),
        (["problem:cost", "--x0", "1", "--option", "rng=1"], "repeats what --seed says"),
        (["problem:cost", "--x0", "1", "--stop", "tolxx=1"], "no rule 'tolxx'; did you mean 'tolx'"),
        (["problem:cost", "--x0", "1", "--stop", "bob"], "no profile 'bob'; did you mean 'bbob'"),
        (["problem:cost", "--x0", "1", "--stop", "bbob", "--stop", "none"], "more than one profile"),
        (
            ["problem:cost", "--x0", "1", "--bounds", "1"],
            "`--bounds` must be two numbers such as 0,1, or a file .* got '1'",
        ),
        (
            ["problem:cost", "--x0", "1", "--bounds", "problem.py"],
            "`--bounds` must be .* got 'problem.py': could not conv",
        ),
        (["problem:cost", "--x0", "1", "--bounds", "2,3"], "x0.0. = 1.0 is below low.0. = 2"),
        (["problem:cost", "--x0", "1", "--bounds", "0,3", "--option", "bounds=1"], "repeats what --bounds says"),
        (["problem:cost", "--x0", "1", "--stds", "1,2"], r"`stds` must have shape \(1,\)"),
        (["problem:cost", "--x0", "1", "--stds", "1,a"], "`--stds` must be numbers .* 'a' is not a number"),
        (["problem:cost", "--x0", "1", "--stds", "1", "--option", "stds=1"], "repeats what --stds says"),
        (["problem:cost", "--x0", "1", "--restarts", "bpop"], "no scheme 'bpop'; did you mean 'bipop'"),
        (["problem:cost", "--x0", "1", "--restarts", "ipop", "--method", "ipop-cma"], "'ipop-cma' restarts by itself"),
        (["problem:cost", "--x0", "1", "--x0-box", "1"], "`--x0-box` must be two numbers such as 0,1, or a file"),
        (["problem:cost", "--x0", "1", "--x0-box", "0,1"], "has no option 'x0_box'"),
        (["problem:cost", "--x0", "1", "--x0-box", "0,1", "--option", "x0-box=1"], "repeats what --x0-box says"),
        (["problem:cost", "--x0", "1", "--on-error", "stop"], "`on_error` must be 'worst' or 'raise'"),
        (["problem:cost", "--x0", "1", "--max-time", "0"], "`--max-time` must be"),
        (["problem:cost", "--x0", "1", "--seed", "-1"], "`rng` must be"),
        (
            ["problem:cost", "--x0", "1", "--output", "no/folder.json"],
            "`--output` must name a file in a folder that exists",
        ),
        (["problem:cost", "--x0", "1", "--plot", "no/folder.png"], "`--plot` must name a file"),
        (["problem:cost", "--x0", "1", "--plot", "run.xyz"], "`--plot` must end in one of"),
        (["problem:cost", "--x0", "1", "--workers", "0"], "`workers` must be >= 1, or -1"),
        (["problem:cost", "--x0", "1", "--resume"], "`--resume` needs the name of a file, --checkpoint FILE"),
        (["problem:cost", "--x0", "1", "--checkpoint", "no/run.npz"], "'no/run.npz' cannot be written: No such file"),
        (["problem:cost", "--x0", "1", "--checkpoint", "problem.py"], r"a file 'problem.py' already. .* \(`resume`\)"),
        (["problem:cost", "--x0", "1", "--checkpoint", "problem.py", "--resume"], "'problem.py' must be a checkpoint"),
        (["problem:Model", "--x0", "1"], "`fun` must return one number; it failed at its first evaluation"),
    ],
)
def test_errors_are_one_line_and_status_2(lmcma_in, arguments, message):
    import re

    code, out, err = lmcma_in("minimize", "--sigma0", "0.5", *arguments)
    assert code == 2
    assert out == ""
    assert err.startswith("lmcma: ")
    assert err.count("\n") == 1
    assert re.search(message, err), err


def test_sigma0_must_be_positive(lmcma_in):
    code, _, err = lmcma_in("minimize", "problem:cost", "--x0", "1", "--sigma0", "-1")
    assert code == 2
    assert "`sigma0` must be > 0" in err


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
@pytest.mark.parametrize("workers", [False, True])
def test_ctrl_c_prints_the_best_so_far_and_exits_130(folder, workers):
    run = subprocess.Popen(
        [
            *(*COMMAND, "minimize", "problem:slow", "--x0", "3,3", "--sigma0", "1", "--output", "best.json"),
            *("--checkpoint", "run.npz", *(["--workers", "2"] if workers else [])),
        ],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    calls = folder / "calls"
    wait_for(lambda: calls.exists() and calls.stat().st_size > 15)
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=60)
    assert run.returncode == 130, err
    assert "interrupted from the keyboard" in out
    assert "Traceback" not in err
    found = json.loads((folder / "best.json").read_text())
    assert found["nfev"] >= 6
    import lmcma

    assert lmcma.load(folder / "run.npz").nfev == found["nfev"]
    assert found["fun"] is not None
    assert found["success"] is False


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize("quiet", [False, True])
def test_progress_in_a_terminal_and_result_on_stdout(folder, quiet):
    pty = pytest.importorskip("pty")
    master, slave = pty.openpty()
    run = subprocess.Popen(
        [
            *(*COMMAND, "minimize", "problem:slow", "--x0", "3,3", "--sigma0", "1", "--maxfev", "60"),
            *(["--quiet"] if quiet else []),
        ],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=slave,
        text=True,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(slave)
    shown = b""
    while True:
        try:
            block = os.read(master, 4096)
        except OSError:  # Linux says EIO where others say end of file
            break
        if not block:
            break
        shown += block
    os.close(master)
    out, _ = run.communicate(timeout=60)
    assert run.returncode == 0
    assert "best f" in out
    assert "\x1b" not in out
    assert (b"evaluations   best f" in shown) is not quiet


def test_help(lmcma_in):
    code, out, _ = lmcma_in("minimize", "--help")
    assert code == 0
    assert "--sigma0" in out
    assert "lmcma methods" in out


def test_methods_lists_the_registry(lmcma_in):
    import lmcma

    code, out, _ = lmcma_in("methods")
    assert code == 0
    for method in lmcma.methods().rows():
        assert f" {method.name.split(',')[0]}" in out
