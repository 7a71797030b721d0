"""The picture of the README: ECDFs of the quickstart comparison, from the committed compact results.

python benchmarks/readme_picture.py      # reads bbob_runs/quickstart.csv.gz, writes docs/_static/ecdf.png
"""

from __future__ import annotations

from pathlib import Path

from lmcma.bbob.figures import ecdf_figure
from lmcma.bbob.reference import load as load_reference
from lmcma.bbob.runs import load

GROUPS = (
    ("all 24 functions", range(1, 25)),
    ("moderate, f6-f9", range(6, 10)),
    ("ill-conditioned, f10-f14", range(10, 15)),
)


def main() -> None:
    root = Path(__file__).parents[1]
    run = load(root / "bbob_runs" / "quickstart.csv.gz")
    figure = ecdf_figure(run.results, load_reference("bbob"), 5, GROUPS, 300)
    figure.suptitle("BBOB in 5-D, budget 300 D: targets hit over evaluations", fontsize=11)
    target = root / "docs" / "_static" / "ecdf.png"
    target.parent.mkdir(exist_ok=True)
    figure.savefig(target, dpi=110)
    print(target.relative_to(root))


if __name__ == "__main__":
    main()
