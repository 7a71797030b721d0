"""Objectives that worker processes can import: some return, some raise, some take their process along."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_info


def bowl(x):
    """A sphere that is the same to the bit for a row alone and for a row of a batch."""
    total = 0.0
    for value in x.tolist():
        total += (value - 0.25) ** 2
    return total


def bowls(x):
    assert x.ndim == 2
    return np.array([bowl(row) for row in x])


def bowls_in_vain(x):
    raise ValueError(f"{len(x)} tangled meshes")


def spoils_its_argument(x):
    value = bowl(x)
    x[:] = 99.0
    return value


def sometimes_fails(x):
    """A failure that depends on x alone."""
    value = bowl(x)
    kind = int(value * 1e6) % 11
    if kind == 0:
        raise OSError(28, "no space left for the mesh")
    if kind == 1:
        raise Stubborn(value, because="it can")
    if kind == 2:
        return "a string"
    return float("nan") if kind == 3 else value


class Stubborn(Exception):  # noqa: N818
    """Cannot be rebuilt from its arguments, and so not be pickled."""

    def __init__(self, value, *, because):
        super().__init__(f"stubborn because {because}")


def stubborn(x):
    raise Stubborn(1, because="it can")


def deep(x):
    if x[0] != 1.0:
        innermost(x)
    return bowl(x)


def innermost(x):
    raise RuntimeError("the mesh is tangled")


def dies_once(x, marker):
    """Kills its process at the first evaluation with x[0] < 0, of all processes."""
    if x[0] < 0:
        try:
            Path(marker).touch(exist_ok=False)
        except FileExistsError:
            return bowl(x)
        os._exit(3)
    return bowl(x)


def dies_there(x):
    if x[0] < -1:
        os.kill(os.getpid(), signal.SIGKILL)
    return bowl(x)


def dies(x):
    os._exit(1)


def interrupted(x):
    raise KeyboardInterrupt


def threads(x):
    return max([library["num_threads"] for library in threadpool_info()], default=1)


def process(x, folder):
    (Path(folder) / f"{os.getpid()}-{threading.get_ident()}").touch()
    time.sleep(0.05)
    return bowl(x)


def logged(x, file, seconds=0.0):
    """Notes every call as it ends."""
    time.sleep(seconds)
    with open(file, "a") as log:
        log.write(".")
    return bowl(x)
