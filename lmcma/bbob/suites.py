"""The COCO suites that campaigns can run, and the one way in which they are opened."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from lmcma.errors import CampaignError, MissingDependencyError, near_miss


@dataclasses.dataclass(frozen=True)
class Suite:
    """What COCO offers under a name.

    Parameters
    ----------
    name : str
        COCO's name.
    functions, dims : tuple of int
        What exists.
    first : int
        Id of the first function; COCO's options count positions, ids start here.
    groups : tuple of (title, functions)
        The function groups of the suite's definition.
    reference : str
        File name of the best-of reference shipped with cocopp, without ``.tar.gz``.
    label : str
        How the reference is called in tables.
    n_obj : int
        Objectives. With two, a trial begins at the middle of the box.
    instances : tuple of int or None
        Those whose results mean something; None for all. With two objectives COCO must know the best hypervolume.
    x0_box : (float, float)
        Where starts are drawn by default.
    sigma0 : float
        Initial standard deviation by default.
    observer : str
        COCO's name of the recorder, and options of it.
    """

    name: str
    functions: tuple[int, ...]
    dims: tuple[int, ...]
    first: int
    groups: tuple[tuple[str, tuple[int, ...]], ...]
    reference: str
    label: str
    n_obj: int = 1
    instances: tuple[int, ...] | None = None
    x0_box: tuple[float, float] = (-4.0, 4.0)
    sigma0: float = 2.0
    observer: tuple[str, str] = ("bbob", "")


def _ids(lo: int, hi: int) -> tuple[int, ...]:
    return tuple(range(lo, hi + 1))


_NOISELESS = (
    ("separable", _ids(1, 5)),
    ("moderate", _ids(6, 9)),
    ("ill-conditioned", _ids(10, 14)),
    ("multi-modal", _ids(15, 19)),
    ("weakly structured", _ids(20, 24)),
)
_NOISY = (
    ("moderate noise", _ids(101, 106)),
    ("severe noise", _ids(107, 121)),
    ("severe noise, multi-modal", _ids(122, 130)),
)
_SMALL = (2, 3, 5, 10, 20, 40)
# With two objectives every unordered pair of these functions of bbob, in this order, two of each of its groups.
_PAIRED = (1, 2, 6, 8, 13, 14, 15, 17, 20, 21)


def _pairs_of_groups() -> tuple[tuple[str, tuple[int, ...]], ...]:
    """The functions of bbob-biobj by the groups that their two objectives are from."""
    group = {f: title for title, functions in _NOISELESS for f in functions}
    found: dict[str, list[int]] = {}
    for number, (a, b) in enumerate(itertools.combinations_with_replacement(_PAIRED, 2), start=1):
        found.setdefault(f"{group[a]} / {group[b]}", []).append(number)
    return tuple((title, tuple(functions)) for title, functions in found.items())


SUITES: Mapping[str, Suite] = {
    s.name: s
    for s in (
        Suite("bbob", _ids(1, 24), _SMALL, 1, _NOISELESS, "best2009-bbob", "best 2009"),
        Suite("bbob-noisy", _ids(101, 130), _SMALL, 101, _NOISY, "best2009-bbob-noisy", "best 2009"),
        Suite(
            "bbob-largescale",
            _ids(1, 24),
            (20, 40, 80, 160, 320, 640),
            1,
            _NOISELESS,
            "best2019-bbob-largescale",
            "best 2019",
        ),
        Suite(
            "bbob-biobj",
            _ids(1, 55),
            _SMALL,
            1,
            _pairs_of_groups(),
            "best2016-bbob-biobj",
            "best 2016",
            n_obj=2,
            instances=_ids(1, 10),
            x0_box=(-5.0, 5.0),
            sigma0=1.0,
            observer=("bbob-biobj", "log_nondominated: none "),  # or every non-dominated point goes to a file
        ),
    )
}


def suite(name: str) -> Suite:
    """The suite of this name; an unknown one is a `CampaignError` with the nearest name."""
    try:
        return SUITES[name]
    except (KeyError, TypeError):
        raise CampaignError(
            f"`suite` must be one of the suites below; got {name!r}: {near_miss(str(name), SUITES)}"
        ) from None


def cocoex() -> Any:
    """The module `cocoex`, silent below warnings."""
    try:
        import cocoex as module
    except ImportError as error:
        raise MissingDependencyError(
            "the BBOB suites need the package coco-experiment, which is not installed; pip install 'lmcma[bbob]'"
        ) from error
    module.log_level("warning")
    return module


def open_problems(name: str, function: int, dim: int, instances: Sequence[int]) -> Any:
    """COCO's suite cut down to one function in one dimension, in the order of `instances`.

    Raises
    ------
    CampaignError
        COCO ignores options that it does not understand; what it opened is compared with what was asked for.
    """
    found = suite(name)
    options = f"dimensions: {dim} function_indices: {function - found.first + 1}"
    problems = cocoex().Suite(name, "instances: " + ",".join(map(str, instances)), options)
    if len(problems) != len(instances):
        raise CampaignError(
            f"`instances`: COCO opened {len(problems)} problems of {name} f{function} in dimension {dim} for "
            f"the {len(instances)} instances {_shown(instances)}. Ask for instances that the suite has."
        )
    return problems


def check_problem(problem: Any, function: int, dim: int, instance: int) -> None:
    """Compare an opened problem with the one asked for."""
    if tuple(problem.id_triple) != (function, dim, instance):
        raise CampaignError(
            f"COCO opened problem (function, dimension, instance) = {tuple(problem.id_triple)} where "
            f"{(function, dim, instance)} was asked for. Ask for instances that the suite has."
        )


def _shown(numbers: Sequence[int]) -> str:
    return ",".join(map(str, numbers)) if len(numbers) <= 20 else f"{numbers[0]},...,{numbers[-1]}"
