from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lmcma.bbob import campaign
from lmcma.bbob.suites import check_problem, open_problems
from lmcma.errors import ArgumentTypeError, CampaignError, LmcmaError

GOOD: dict[str, Any] = {"methods": "random", "output": "runs/x", "dims": "2", "instances": "1"}


def test_ranges_and_defaults() -> None:
    c = campaign.build({**GOOD, "instances": "1-3,71-73,1", "dims": [5, 2], "functions": 7})
    assert c.instances == (1, 2, 3, 71, 72, 73, 1)
    assert c.dims == (2, 5)
    assert c.functions == (7,)
    assert campaign.build(GOOD).functions == tuple(range(1, 25))
    assert campaign.build({**GOOD, "suite": "bbob-noisy"}).functions == tuple(range(101, 131))
    assert c.x0_box == (-4.0, 4.0)
    assert c.sigma0 == 2.0


def test_methods_with_names_and_options(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text(
        'output = "o"\ndims = 2\ninstances = 1\nbudget = 10\n'
        'methods = ["random", {name = "small", method = "pycma-single", options = {popsize = 4}}]\n'
    )
    c = campaign.read(file)
    assert [m.name for m in c.methods] == ["random", "small"]
    assert c.methods[1].options == {"popsize": 4}
    assert campaign.read(file, budget=20.0, seed=None).budget == 20.0


def test_budget_is_a_multiple_of_the_dimension() -> None:
    c = campaign.build({**GOOD, "budget": 0.3})
    assert c.max_evaluations(5) == 2
    assert c.max_evaluations(1) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"suite": "bbob-nosy"}, ["`suite`", "'bbob-nosy'", "did you mean 'bbob-noisy'"]),
        ({"methods": "cmaa"}, ["`methods`", "'cmaa'", "did you mean 'cma'"]),
        ({"methods": "randm"}, ["did you mean 'random'"]),
        ({"methods": []}, ["`methods`", "at least one"]),
        ({"methods": ["random", "random"]}, ["twice", "`name`"]),
        ({"methods": [{"method": "random", "nme": "x"}]}, ["'nme'", "did you mean 'name'"]),
        ({"methods": [{"method": "random", "name": "a/b"}]}, ["'a/b'", "folder"]),
        ({"methods": [{"method": "cma", "options": {"sigma0": 1}}]}, ["'sigma0'", "harness"]),
        ({"methods": [{"method": "random", "options": {"popsize": 1}}]}, ["random", "no options"]),
        ({"methods": [{"method": "pycma", "options": {"popsiz": 1}}]}, ["'popsiz'", "did you mean 'popsize'"]),
        ({"methods": [{"method": "pycma", "options": {"seed": 1}}]}, ["'seed'", "set by the harness"]),
        ({"methods": [3]}, ["`methods`", "got 3"]),
        ({"dims": "4"}, ["`dims`", "2,3,5,10,20,40", "got 4"]),
        ({"dims": "2;5"}, ["`dims`", "'2;5'"]),
        ({"dims": []}, ["`dims`", "at least one"]),
        ({"functions": "20-25"}, ["`functions`", "1-24", "got 25"]),
        ({"suite": "bbob-noisy", "functions": "1"}, ["`functions`", "101-130"]),
        ({"instances": "0"}, ["`instances`", "'0'"]),
        ({"instances": "5-3"}, ["`instances`", "'5-3'"]),
        ({"instances": 2.5}, ["`instances`", "2.5"]),
        ({"instances": True}, ["`instances`", "True"]),
        ({"budget": 0}, ["`budget`", "> 0", "got 0"]),
        ({"budget": float("nan")}, ["`budget`", "finite"]),
        ({"budget": "many"}, ["`budget`", "'many'"]),
        ({"seed": -1}, ["`seed`", ">= 0"]),
        ({"workers": 0}, ["`workers`", ">= 1"]),
        ({"x0_box": [1]}, ["`x0_box`", "[-4, 4]"]),
        ({"x0_box": [2, 1]}, ["`x0_box`", "low <= high"]),
        ({"output": ""}, ["`output`", "folder"]),
        ({"output": 'a"b'}, ["`output`", "quotes"]),
        ({"instanses": "1"}, ["'instanses'", "did you mean 'instances'"]),
    ],
)
def test_bad_input_is_named(change: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(CampaignError) as error:
        campaign.build({**GOOD, **change})
    for word in words:
        assert word in str(error.value)


def test_unknown_option_of_a_method_is_found_before_anything_runs() -> None:
    with pytest.raises(ArgumentTypeError, match=r"'popsiz'.*did you mean 'popsize'"):
        campaign.build({**GOOD, "methods": [{"method": "cma", "options": {"popsiz": 10}}]})


@pytest.mark.parametrize(("text", "word"), [("dims = [", "not valid TOML"), ("dim = 2", "no key 'dim'")])
def test_bad_file(tmp_path: Path, text: str, word: str) -> None:
    file = tmp_path / "c.toml"
    file.write_text(text)
    with pytest.raises(LmcmaError, match=word):
        campaign.read(file)
    with pytest.raises(CampaignError, match="does not exist"):
        campaign.read(tmp_path / "none.toml")


def test_coco_opens_what_was_asked() -> None:
    problems = open_problems("bbob-noisy", 103, 2, [2, 1, 2])
    assert [p.id_triple for p in problems] == [(103, 2, 2), (103, 2, 1), (103, 2, 2)]
    # COCO takes an instance 0 as no instances at all and opens its default set
    with pytest.raises(CampaignError, match="COCO opened 15 problems"):
        open_problems("bbob", 1, 2, [0])
    for problem in open_problems("bbob", 1, 2, [1]):
        with pytest.raises(CampaignError, match="was asked for"):
            check_problem(problem, 2, 2, 1)
