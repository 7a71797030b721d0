r"""ERT of our campaigns over published ERT, as a geometric mean with a bootstrapped interval, and areas under ECDFs.

    python benchmarks/published_ratio.py [--targets 1e-7] FOLDER METHOD ALGORITHM RESULTS:BUDGET[:FUNCTIONS] ...
    python benchmarks/published_ratio.py reference bipop-acma BIPOPaCMA \
        bbob_runs/acma-2012-small.csv.gz:1e5 bbob_runs/acma-2012-large.csv.gz:2e4

FOLDER holds `published.csv`, with the columns suite, algorithm, function, dimension and 1e1 ... 1e-8 (ERT at the
standard targets, empty where it was not reached), and `published-area.csv`, with suite, algorithm, dimension, budget
(evaluations per dimension), area and solved. They can be made from the reports in the public COCO archive of
post-processed data, and are not part of this project.

FUNCTIONS, such as 1-5,8, are those of RESULTS that count, by default all. Several RESULTS of the same problems, such as
from campaigns with different seeds, count as one. Of the standard targets all count, or those of `--targets`.
METHOD may be several names, a,b: of each of the RESULTS the first one counts that is there.

Only targets whose published ERT is at most half the BUDGET (evaluations per dimension) count; "missed" are those among
them that our trials never hit. The interval is over our trials, for the
published ERT is one number. It is just as uncertain, however: a single function is flagged where log ratio / (sqrt(2)
standard deviation of ours) > 2.33, p < 0.01 of one side; so many tests flag some by chance, and how many are expected
is printed. Areas are compared at the largest power of ten within the budget, where RESULTS have all functions.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import math
import sys
from pathlib import Path

import numpy as np

from lmcma.bbob.compare import compare
from lmcma.bbob.reference import Reference
from lmcma.bbob.runs import load
from lmcma.bbob.score import Results, Trials
from lmcma.bbob.targets import PRECISIONS

LEVEL = 2.33
N_FUNCTIONS = {"bbob": 24, "bbob-noisy": 30, "bbob-largescale": 24}


def rows(path: Path, suite: str, algorithm: str) -> list[dict[str, str]]:
    """The lines of one algorithm."""
    with path.open(encoding="utf-8") as file:
        table = list(csv.DictReader(line for line in file if not line.startswith("#")))
    found = [r for r in table if r["suite"] == suite and r["algorithm"].lower().startswith(algorithm.lower())]
    if not found:
        sys.exit(f"{path} has no rows of {algorithm!r} on {suite}")
    return found


def published(
    folder: Path, suite: str, algorithm: str, budgets: dict[int, float], targets: tuple[float, ...]
) -> Reference:
    """ERT of one algorithm at some of the standard targets, where it is at most half the budget of the dimension."""
    counted = np.isin(PRECISIONS.standard, targets)
    erts = {}
    for row in rows(folder / "published.csv", suite, algorithm):
        dim = int(row["dimension"])
        values = np.array([float(row[f"1e{round(np.log10(t))}"] or "inf") for t in PRECISIONS.standard])
        ert = np.full(len(PRECISIONS.grid), np.inf)
        ert[PRECISIONS.index(PRECISIONS.standard)] = np.where(
            counted & (values <= 0.5 * budgets.get(dim, 0) * dim), values, np.inf
        )
        erts[int(row["function"]), dim] = ert
    return Reference(algorithm, erts)


def numbers(text: str) -> set[int]:
    """Those of a text such as 1-5,8."""
    ends = [[int(number) for number in part.split("-")] for part in text.split(",")]
    return {number for part in ends for number in range(part[0], part[-1] + 1)}


def joined(a: Trials, b: Trials) -> Trials:
    """The trials of two campaigns on the same problem, such as with different seeds."""
    return Trials(*(np.concatenate([getattr(a, f.name), getattr(b, f.name)]) for f in dataclasses.fields(Trials)))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], epilog=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--targets", default=",".join(map(str, PRECISIONS.standard)))
    parser.add_argument("folder", type=Path)
    parser.add_argument("method")
    parser.add_argument("algorithm")
    parser.add_argument("results", nargs="+", help="RESULTS:BUDGET[:FUNCTIONS]")
    options = parser.parse_args()
    folder, method, algorithm = options.folder, options.method, options.algorithm
    targets = tuple(float(target) for target in options.targets.split(","))
    if unknown := set(targets) - set(PRECISIONS.standard):
        parser.error(f"--targets must be among {PRECISIONS.standard}; got {unknown}")
    trials, budgets = {}, {}
    for argument in options.results:
        path, budget, functions = (*argument.split(":"), "1-200")[:3]
        found_methods = load(path).results
        part = next(found_methods[name] for name in method.split(",") if name in found_methods)
        wanted = [problem for problem in part.trials if problem[0] in numbers(functions)]
        for problem in wanted:
            found = part.trials[problem]
            trials[problem] = joined(trials[problem], found) if problem in trials else found
        budgets |= dict.fromkeys(part.dims(), float(budget))
    ours = Results(method, part.suite, trials)
    theirs = published(folder, ours.suite, algorithm, budgets, targets)
    areas = {
        (int(r["dimension"]), float(r["budget"])): float(r["area"])
        for r in rows(folder / "published-area.csv", ours.suite, algorithm)
    }
    print(f"{method} over {algorithm} (published)")
    for dims in [[d] for d in ours.dims()] + [ours.dims()]:
        r = compare(ours, theirs, dims=dims)
        line = (
            f"{r.value:.3f} [{r.low:.3f}, {r.high:.3f}] over {r.targets} targets of {r.problems} functions, "
            f"{r.only_b} missed"
        )
        if len(dims) == 1 and len(ours.functions(dims[0])) == N_FUNCTIONS[ours.suite]:
            budget = 10.0 ** math.floor(math.log10(budgets[dims[0]]) + 1e-9)
            area = ours.area(dims[0], budget)
            line += f"; area to {budget:g} D: {area:.4f} - {areas[dims[0], budget]:.4f}"
            line += f" = {area - areas[dims[0], budget]:+.4f}"
        print(f"{f'{dims[0]}-D' if len(dims) == 1 else 'all':>5}: {line}")
    flagged, tests = [], 0
    for function, dim in sorted(ours.trials):
        r = compare(ours, theirs, dims=[dim], functions=[function], bootstrap=2000)
        if not r.problems:
            continue
        tests += 1
        deviation = math.log(r.high / r.low) / (2 * 1.96)
        if math.log(r.value) > LEVEL * math.sqrt(2) * max(deviation, 1e-3):
            flagged.append(f"f{function} in {dim}-D {r.value:.2f} [{r.low:.2f}, {r.high:.2f}]")
    print(f"slower at p < 0.01, {0.01 * tests:.1f} expected by chance: {'; '.join(flagged) or 'none'}")


if __name__ == "__main__":
    main()
