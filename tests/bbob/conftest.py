"""One small campaign on real COCO problems that most tests of the harness look at."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

if importlib.util.find_spec("cocoex") is None:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Output folder of a finished campaign: random, pycma-single, cma on f1, f8 and f15 in 2-D and 3-D."""
    from lmcma.bbob import campaign, runner

    output = tmp_path_factory.mktemp("bbob") / "small run"
    plan = campaign.build(
        {
            "methods": ["random", "pycma-single", "cma"],
            "dims": [2, 3],
            "functions": "1,8,15",
            "instances": "1-3",
            "budget": 250,
            "workers": 2,
            "output": str(output),
        }
    )
    summary = runner.run(plan)
    assert not summary.failures
    assert summary.finished == 18
    return output
