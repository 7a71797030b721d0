"""ERT of our campaigns over published ERT, as a geometric mean with a bootstrapped interval.

    python benchmarks/published_ratio.py TABLE RESULTS METHOD ALGORITHM BUDGET
    python benchmarks/published_ratio.py published.csv bbob_runs/acma-2012-small.csv.gz bipop-acma BIPOPaCMA 1e5

TABLE is a CSV file with the columns suite, algorithm, function, dimension and 1e1 ... 1e-8 (ERT at the standard
targets, empty where it was not reached), as it can be taken from the reports in the public COCO archive of
post-processed data; it is not part of this project. Only targets whose published ERT is at most half the BUDGET
(evaluations per dimension) count; "missed" are those among them that our trials never hit, "beyond" the targets that
only ours hit.
"""

from __future__ import annotations

import csv
import sys

import numpy as np

from lmcma.bbob.compare import compare
from lmcma.bbob.reference import Reference
from lmcma.bbob.runs import load
from lmcma.bbob.score import GRID, STANDARD, grid_index


def published(path: str, suite: str, algorithm: str, budget: float) -> Reference:
    """The table's rows of one algorithm, without targets whose ERT is above half the budget."""
    erts = {}
    with open(path, encoding="utf-8") as file:
        for row in csv.DictReader(line for line in file if not line.startswith("#")):
            if row["suite"] == suite and row["algorithm"].lower().startswith(algorithm.lower()):
                dim = int(row["dimension"])
                values = np.array([float(row[f"1e{round(np.log10(t))}"] or "inf") for t in STANDARD])
                ert = np.full(len(GRID), np.inf)
                ert[grid_index(STANDARD)] = np.where(values <= 0.5 * budget * dim, values, np.inf)
                erts[int(row["function"]), dim] = ert
    if not erts:
        sys.exit(f"{path} has no rows of {algorithm!r} on {suite}")
    return Reference(algorithm, erts)


def main() -> None:
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    table, results, method, algorithm, budget = sys.argv[1:]
    ours = load(results).results[method]
    theirs = published(table, ours.suite, algorithm, float(budget))
    print(f"{method} over {algorithm} (published), budget {float(budget):g} D")
    for dims in [[d] for d in ours.dims()] + [ours.dims()]:
        r = compare(ours, theirs, dims=dims)
        label = f"{dims[0]}-D" if len(dims) == 1 else "all"
        print(
            f"{label:>5}: {r.value:.3f} [{r.low:.3f}, {r.high:.3f}] over {r.targets} targets of {r.problems} functions"
            f", {r.only_b} missed, {r.only_a} beyond"
        )
    flagged = []
    for function, dim in sorted(ours.trials):
        r = compare(ours, theirs, dims=[dim], functions=[function], bootstrap=2000)
        if r.problems and r.low > 1:
            flagged.append(f"f{function} in {dim}-D {r.value:.2f} [{r.low:.2f}, {r.high:.2f}]")
    print("slower, by the interval alone:", "; ".join(flagged) or "none")


if __name__ == "__main__":
    main()
