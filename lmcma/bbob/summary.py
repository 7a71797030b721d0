"""The one-line-a-method view of results: what tables of the report and of the terminal show."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

from lmcma.bbob.compare import Ratio, compare
from lmcma.bbob.reference import Reference
from lmcma.bbob.score import Results


@dataclasses.dataclass(frozen=True)
class Row:
    """A method in a dimension.

    Parameters
    ----------
    dim : int
        The dimension.
    method : str
        Its label.
    solved : float
        Final height of its ECDF.
    area : float
        Mean height of its ECDF on the logarithmic axis up to the budget of the dimension.
    to_reference : Ratio or None
        ERT in units of the reference's; None without a reference.
    to_first : Ratio or None
        ERT in units of the first method's; None for that method itself.
    evaluations, trials : int
        Of all its trials in this dimension.
    """

    dim: int
    method: str
    solved: float
    area: float
    to_reference: Ratio | None
    to_first: Ratio | None
    evaluations: int
    trials: int


def dims(results: Mapping[str, Results]) -> list[int]:
    """All dimensions that some method has data of."""
    return sorted({d for r in results.values() for d in r.dims()})


def functions(results: Mapping[str, Results], dim: int) -> list[int]:
    """All functions that some method has data of in `dim`."""
    return sorted({f for r in results.values() for f in r.functions(dim)})


def budget(results: Mapping[str, Results], dim: int) -> float:
    """The longest trial of any method, in evaluations per dimension: the end of axes and areas."""
    return max(
        (float(t.lengths.max()) / dim for r in results.values() for (_, d), t in r.trials.items() if d == dim),
        default=math.nan,
    )


def groups(all_groups: Sequence[tuple[str, tuple[int, ...]]], there: Sequence[int]) -> list[tuple[str, list[int]]]:
    """All functions first, then the groups that have any; a single group is not repeated."""
    parts = [(f"{title} ({ranges(ids, 'f')})", [f for f in ids if f in there]) for title, ids in all_groups]
    parts = [p for p in parts if p[1]]
    if len(parts) == 1:
        return parts
    return [(f"all functions ({len(there)})", list(there)), *parts]


def ranges(numbers: Sequence[int], mark: str = "") -> str:
    """Shown as a person would write it, each number behind a mark: 1-3,71 or f1-f3,f71."""
    parts: list[list[int]] = []
    for n in numbers:
        if parts and n == parts[-1][1] + 1:
            parts[-1][1] = n
        else:
            parts.append([n, n])
    return ",".join(f"{mark}{a}" if a == b else f"{mark}{a}-{mark}{b}" for a, b in parts)


def rows(results: Mapping[str, Results], reference: Reference | None, *, bootstrap: int = 1000) -> list[Row]:
    """One `Row` per dimension and method; `bootstrap` samples for the intervals of `to_first`."""
    found = []
    names = list(results)
    for dim in dims(results):
        end = budget(results, dim)
        for name in names:
            method = results[name]
            if dim not in method.dims():
                continue
            first = results[names[0]]
            found.append(
                Row(
                    dim,
                    name,
                    method.solved(dim),
                    method.area(dim, end),
                    None if reference is None else compare(method, reference, dims=[dim], bootstrap=0),
                    None
                    if name == names[0] or dim not in first.dims()
                    else compare(method, first, dims=[dim], bootstrap=bootstrap),
                    method.evaluations(dim),
                    sum(len(t.lengths) for (_, d), t in method.trials.items() if d == dim),
                )
            )
    return found
