"""Areas under the runtime ECDFs of our campaigns beside published ones, and their heights along the way.

    python benchmarks/published_area.py FOLDER RESULTS ALGORITHM,...
    python benchmarks/published_area.py reference bbob_runs/biobj-quick.csv.gz RANDOMSEARCH-5,NSGA-II-MATLAB,HMO-CMA-ES

FOLDER holds `published-ecdf.csv`: the columns suite, algorithm, function, dimension, and, headed by x, the fraction of
(target, trial) pairs hit within 10^x evaluations per dimension. It can be made from the reports in the public COCO
archive of post-processed data, and is not part of this project. RESULTS is a compact file or a folder of a
campaign, of any suite; an ALGORITHM is named by how it begins.

Only functions that RESULTS and the algorithm both have count, and how many is printed where some are missing. The area
is the mean height over log10(evaluations / dimension) from 0 to log10(budget), published curves being linear between
their points. Published heights behind the end of the trials they were made from rest on simulated restarts, ours
do not: compare within the published budgets. With two objectives published runs are on the instances 1-10 or some of
them.
"""

from __future__ import annotations

import csv
import math
import sys
from pathlib import Path

import numpy as np

from lmcma.bbob.runs import load
from lmcma.bbob.score import Results

Curves = dict[tuple[int, int], np.ndarray]  # by function and dimension


def published(path: Path, suite: str) -> tuple[np.ndarray, dict[str, Curves]]:
    """The x of the points of all curves, and the curves by algorithm."""
    with path.open(encoding="utf-8") as file:
        rows = csv.reader(line for line in file if not line.startswith("#"))
        x = np.array(next(rows)[4:], dtype=float)
        curves: dict[str, Curves] = {}
        for where, algorithm, function, dim, *heights in rows:
            if where == suite:
                curves.setdefault(algorithm, {})[int(function), int(dim)] = np.array(heights, dtype=float)
    return x, curves


def chosen(name: str, curves: dict[str, Curves]) -> str:
    """The algorithm of which the name begins so."""
    found = [algorithm for algorithm in curves if algorithm.lower().startswith(name.lower())]
    if len(found) != 1:
        sys.exit(f"{name!r} must be how one of the published algorithms begins: {', '.join(curves)}")
    return found[0]


def area(x: np.ndarray, y: np.ndarray, budget: float) -> float:
    """Mean height of a curve up to a budget, linear between its points."""
    end = math.log10(budget)
    at = np.append(x[x < end - 1e-9], end)
    return float(np.trapezoid(np.interp(at, x, y), at) / end)


def report(ours: dict[str, Results], x: np.ndarray, theirs: dict[str, Curves], dim: int) -> None:
    """The table of one dimension."""
    functions = sorted({f for r in ours.values() for f in r.functions(dim)})
    longest = max(int(t.lengths.max()) for r in ours.values() for (_, d), t in r.trials.items() if d == dim) / dim
    budgets = [10.0**k for k in range(1, math.floor(math.log10(longest) + 1e-9) + 1)]
    at = np.arange(0.0, math.log10(longest) + 1e-9, 0.5)
    if not budgets or longest > budgets[-1] * 1.01:
        budgets.append(longest)
        at = np.append(at, math.log10(longest))
    head = "".join(f"{b:>9.4g}" for b in budgets) + "  |" + "".join(f"{10**v:>9.3g}" for v in at)
    print(f"\n{dim}-D, {len(functions)} functions; area up to | height at ... evaluations / D\n{'':24}{head}")
    for name, results in ours.items():
        line(name, [results.area(dim, b) for b in budgets], results.ecdf(dim, 10**at), "")
    for name, curves in theirs.items():
        there = [curves[f, dim] for f in functions if (f, dim) in curves]
        if there:
            mean = np.mean(there, axis=0)
            missing = f"  {len(there)} functions" if len(there) < len(functions) else ""
            line(name, [area(x, mean, b) for b in budgets], np.interp(at, x, mean), missing)


def line(name: str, areas: list[float], heights: np.ndarray, note: str) -> None:
    numbers = "".join(f"{v:9.4f}" for v in areas) + "  |" + "".join(f"{v:9.3f}" for v in heights)
    print(f"{name[:23]:24}{numbers}{note}")


def main() -> None:
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    ours = dict(load(sys.argv[2]).results)
    suite = next(iter(ours.values())).suite
    x, curves = published(Path(sys.argv[1]) / "published-ecdf.csv", suite)
    theirs = {name: curves[name] for name in (chosen(n, curves) for n in sys.argv[3].split(","))}
    print(f"{suite}: ours above, published below")
    for dim in sorted({d for r in ours.values() for d in r.dims()}):
        report(ours, x, theirs, dim)


if __name__ == "__main__":
    main()
