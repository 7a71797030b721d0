"""ERT of one run of `cma` over ERT of one run of pycma, from the campaign bbob_runs/single-run.toml.

    lmcma bbob run bbob_runs/single-run.toml
    python benchmarks/single_run_ratio.py runs/single-run        # or the committed bbob_runs/single-run.csv.gz

Geometric mean over the standard targets that both reached, per function and dimension and over all; the interval is
bootstrapped over trials. Required: between 0.8 and 1.2 over all.
"""

from __future__ import annotations

import sys

from lmcma.bbob.compare import compare
from lmcma.bbob.runs import load


def main() -> int:
    paths = sys.argv[1:] or ["bbob_runs/single-run.csv.gz"]
    results = load(paths[0]).results
    ours, theirs = results["cma"], results["pycma-single"]
    for dim in sorted({d for _, d in ours.trials}):
        for function in sorted(f for f, d in ours.trials if d == dim):
            r = compare(ours, theirs, dims=[dim], functions=[function])
            print(f"{dim:3}-D f{function:<3} {r.value:6.3f}  [{r.low:.3f}, {r.high:.3f}]  {r.targets} targets")
        r = compare(ours, theirs, dims=[dim])
        print(f"{dim:3}-D all  {r.value:6.3f}  [{r.low:.3f}, {r.high:.3f}]")
    r = compare(ours, theirs)
    print(f"all       {r.value:6.3f}  [{r.low:.3f}, {r.high:.3f}] over {r.problems} problems, {r.targets} targets")
    return 0 if 0.8 <= r.value <= 1.2 else 1


if __name__ == "__main__":
    sys.exit(main())
