"""Start-up: `import lmcma`, and the first `minimize` of a new process with warm caches.

    python benchmarks/startup.py [--repeats 7]

Each figure is the median over new processes. Required: `import lmcma` under 0.3 s; the first `minimize` at most 0.5 s
above the import of numba and scipy.optimize, which is timed in the same processes.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

_IMPORT = """
import time
t = time.perf_counter()
import lmcma
print(time.perf_counter() - t)
"""
_FIRST = """
import time
t0 = time.perf_counter()
import numba, scipy.optimize
t1 = time.perf_counter()
import lmcma
lmcma.minimize(lambda x: float((x**2).sum()), [1.0] * 10, 0.5, maxfev=500, method="{method}", rng=1)
t2 = time.perf_counter()
lmcma.minimize(lambda x: float((x**2).sum()), [1.0] * 10, 0.5, maxfev=500, method="{method}", rng=1)
print(t1 - t0, t2 - t1, time.perf_counter() - t2)
"""


def seconds(code: str) -> list[float]:
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    return [float(v) for v in out.split()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    seconds(_IMPORT)
    times = [seconds(_IMPORT)[0] for _ in range(repeats)]
    print(f"import lmcma: {statistics.median(times):.3f} s [{min(times):.3f} - {max(times):.3f}]")
    for method in ("cma", "lm-cma"):
        code = _FIRST.format(method=method)
        seconds(code)  # fills the caches
        rows = [seconds(code) for _ in range(repeats)]
        imports, first, second = (statistics.median(column) for column in zip(*rows, strict=True))
        print(
            f"{method}: import of numba and scipy.optimize {imports:.3f} s; then import lmcma and the first minimize "
            f"{first:.3f} s; the same again {second:.3f} s"
        )


if __name__ == "__main__":
    main()
