"""The package as a whole: what an import costs, prints, compiles and writes."""

import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import lmcma

ROOT = Path(lmcma.__file__).parent


def python(code, cwd=None, **env):
    command = [sys.executable, "-W", "error", "-c", code]
    env = {**os.environ, **env}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=env, check=False)


def test_import_is_light_and_silent():
    done = python(
        "import lmcma, sys; print(sorted({'numba','scipy','matplotlib','cocoex','numpy','typer'} & set(sys.modules)))"
    )
    assert done.stderr == ""
    assert done.stdout.strip() == "[]"


def test_public_names():
    assert set(lmcma.__all__) <= set(dir(lmcma))
    for name in lmcma.__all__:
        assert getattr(lmcma, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'minimise'"):
        lmcma.minimise  # noqa: B018
    # the function, whichever module was imported first
    assert callable(lmcma.minimize)
    assert python("import lmcma.optimize, lmcma; lmcma.minimize(lambda x: 0.0, [1.0], 1.0, maxfev=5)").returncode == 0


def test_runs_are_silent():
    done = python("import lmcma; lmcma.minimize(lambda x: float((x**2).sum()), [1.0]*3, 1.0, maxfev=50, rng=1)")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.skipif(os.name != "posix", reason="needs permissions as POSIX has them")
def test_kernels_compile_where_nothing_can_be_written(tmp_path):
    """No place for a cache: kernels are compiled in memory, which is logged once. (Root may write anywhere.)"""
    copy = tmp_path / "read_only" / "lmcma"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns("__pycache__", "bbob", "cli", "plotting"))
    code = (
        "import logging, sys; logging.basicConfig(level=logging.INFO, stream=sys.stdout)\n"
        "import numba.core.caching as c\n"
        "c.CacheImpl._locator_classes = []\n"  # what a process without any writable folder finds
        "import lmcma.kernels.batch as k, numpy as np\n"
        "print(k.__file__, k.unchanged_rows(np.ones((1, 2)), np.ones((1, 2)), 1, np.ones(1, dtype=bool)))"
    )
    done = python(code, cwd=tmp_path, PYTHONPATH=str(copy.parent), PYTHONDONTWRITEBYTECODE="1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("INFO:lmcma:compiling kernels") == 1
    assert "read_only" in done.stdout
    assert done.stdout.strip().endswith("True")
    assert not list(copy.rglob("*.nbi"))


def test_compilation_is_not_announced_when_cached():
    code = (
        "import logging, sys; logging.basicConfig(level=logging.INFO, stream=sys.stdout)\n"
        "import lmcma; lmcma.minimize(lambda x: float((x**2).sum()), [1.0]*3, 1.0, maxfev=50, rng=1)"
    )
    python(code)  # may compile
    assert python(code).stdout == ""


def test_logger_has_no_handlers_of_its_own():
    assert logging.getLogger("lmcma").handlers == []
