"""Which restart scheme for which functions: our campaigns of the four schemes, by groups of BBOB functions.

    python benchmarks/scheme_comparison.py [FOLDER]

FOLDER (bbob_runs by default) has the compact results `acma-2012-*` and `ipop-acma-2010-*`. Printed are the geometric
means of ERT over that of `ipop-acma`, with bootstrapped 95 % intervals, and the fractions of (function, target, trial)
solved.
`ipop-acma` ran on other instances than the rest, those of its paper.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from lmcma.bbob.compare import compare
from lmcma.bbob.runs import load
from lmcma.bbob.score import Results, Trials

FILES = ("acma-2012-small", "acma-2012-large", "ipop-acma-2010-small", "ipop-acma-2010-large")
METHODS = ("ipop-acma", "nipop-acma", "bipop-acma", "nbipop-acma")
GROUPS = {"f1-f14": range(1, 15), "f15-f19": range(15, 20), "f20-f24": range(20, 25)}
DIMS = {"2-D to 5-D": [2, 3, 5], "10-D, 20-D": [10, 20]}


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "bbob_runs")
    trials: dict[str, dict[tuple[int, int], Trials]] = {}
    for name in FILES:
        for method, part in load(folder / f"{name}.csv.gz").results.items():
            trials.setdefault(method, {}).update(part.trials)
    results = {method: Results(method, "bbob", trials[method]) for method in METHODS}
    for group, functions in GROUPS.items():
        for label, dims in DIMS.items():
            cells = []
            for method, own in results.items():
                solved = np.mean([own.solved(dim, list(functions)) for dim in dims])
                cell = f"{method} solved {solved:.3f}"
                if method != "ipop-acma":
                    r = compare(own, results["ipop-acma"], dims=dims, functions=list(functions))
                    cell += f", ERT {r.value:.2f} [{r.low:.2f}, {r.high:.2f}]"
                cells.append(cell)
            print(f"{group}, {label}: {'; '.join(cells)}")


if __name__ == "__main__":
    main()
