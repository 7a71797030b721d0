"""What runs with several objectives have found, and how it grew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from lmcma.errors import ArgumentError, ArgumentTypeError
from lmcma.plotting.panels import CYCLE, new_figure
from lmcma.result import MultiResult
from lmcma.typing import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

_MARKERS = "osD^v<>"


def fronts(
    res: MultiResult | Mapping[str, MultiResult],
    *,
    ax: Axes | None = None,
    figure: Figure | SubFigure | None = None,
    objectives: tuple[int, int] = (0, 1),
    title: str | None = None,
) -> Figure:
    """Draw what was found, and how it grew.

    Three panels: the points that no other dominates; how many of them had been found after so many evaluations; the
    hypervolume, where the run had a reference point.

    Parameters
    ----------
    res : MultiResult, or mapping of label to one
        What `lmcma.minimize_multi` returned, or `result()` of a strategy. A mapping compares its runs.
    ax : matplotlib Axes, optional
        Draw the first panel only, into these axes.
    figure : matplotlib Figure or SubFigure, optional
        Draw the panels here instead of into a new figure.
    objectives : (int, int)
        Which objectives the first panel shows, counted from 0.
    title : str, optional
        Instead of method, dimension and evaluations; ``""`` for none.

    Returns
    -------
    matplotlib.figure.Figure
        Independent of pyplot; ``figure.savefig("fronts.png")`` writes it.

    Raises
    ------
    MissingDependencyError
        matplotlib is not installed.
    ArgumentError, ArgumentTypeError
        `res` or `objectives` is none of the above.

    Examples
    --------
    >>> import lmcma
    >>> def distances(x):
    ...     return sum(x**2), sum((x - 1) ** 2)
    >>> res = lmcma.minimize_multi(distances, [0.5, 0.5], 0.3, popsize=10, maxfev=300, reference=(3, 3), rng=1)
    >>> figure = lmcma.plotting.fronts(res)
    >>> [axes.get_title() for axes in figure.axes]
    ['Points that no other dominates', 'Found so far', 'Hypervolume']
    """
    runs = _runs(res)
    shown = _pair(objectives, min(run.F.shape[1] for run in runs.values()))
    if ax is not None and figure is not None:
        raise ArgumentError(
            "`ax` and `figure` exclude each other: give the axes of the first panel, or the whole figure."
        )
    if ax is not None:
        _points(ax, runs, shown)
        if title:
            ax.set_title(title)
        root = ax.get_figure(root=True)
        assert root is not None
        return root
    measured = any(run.hv_history is not None for run in runs.values())
    if figure is None:
        figure = new_figure()
        figure.set_size_inches(13 if measured else 9, 4.5)
    axes = figure.subplots(1, 3 if measured else 2)
    _points(axes[0], runs, shown)
    axes[0].set_title("Points that no other dominates")
    _growth(axes[1], runs)
    if measured:
        _hypervolumes(axes[2], runs)
    text = _title(runs) if title is None else title
    if text:
        figure.suptitle(text, fontsize=11)
    return figure.figure


def _runs(res: object) -> dict[str, MultiResult]:
    runs = {"": res} if isinstance(res, MultiResult) else dict(res) if isinstance(res, Mapping) else {}
    if not runs or not all(isinstance(run, MultiResult) for run in runs.values()):
        raise ArgumentTypeError(
            f"`res` must be what minimize_multi returned, or a mapping of labels to such results; got {res!r:.80}."
        )
    return runs


def _pair(objectives: tuple[int, int], n_obj: int) -> tuple[int, int]:
    if len(objectives) != 2 or not all(0 <= j < n_obj for j in objectives):
        raise ArgumentError(f"`objectives` must be two of 0 to {n_obj - 1}; got {objectives!r}.")
    return objectives


def _title(runs: Mapping[str, MultiResult]) -> str:
    if len(runs) > 1:
        return ""
    run = next(iter(runs.values()))
    return f"{run.method}, n = {run.X.shape[1]}, {run.nfev} evaluations"


def _points(ax: Axes, runs: Mapping[str, MultiResult], shown: tuple[int, int]) -> None:
    for k, (label, run) in enumerate(runs.items()):
        f = run.F[:, list(shown)]
        ax.plot(
            *(f[:, 0], f[:, 1]),
            linestyle="none",
            marker=_MARKERS[k % len(_MARKERS)],
            markersize=3 if len(f) < 1000 else 1.5,
            color=CYCLE[k % len(CYCLE)],
            label=label or None,
        )
    ax.set_xlabel(f"objective {shown[0] + 1}")
    ax.set_ylabel(f"objective {shown[1] + 1}")
    _finish(ax, runs)


def _growth(ax: Axes, runs: Mapping[str, MultiResult]) -> None:
    for k, (label, run) in enumerate(runs.items()):
        found = np.sort(run.eval_index)
        _steps(ax, found, np.arange(1.0, len(found) + 1), run.nfev, k, label)
    ax.set_yscale("log")
    ax.set_title("Found so far")
    ax.set_xlabel("evaluations")
    ax.set_ylabel("points of the final front")
    _finish(ax, runs)


def _hypervolumes(ax: Axes, runs: Mapping[str, MultiResult]) -> None:
    for k, (label, run) in enumerate(runs.items()):
        if run.hv_history is not None and len(run.hv_history):
            _steps(ax, run.hv_history[:, 0], run.hv_history[:, 1], run.nfev, k, label)
    ax.set_title("Hypervolume")
    ax.set_xlabel("evaluations")
    _finish(ax, runs)


def _steps(ax: Axes, nfev: FloatArray, values: FloatArray, end: int, k: int, label: str) -> None:
    """A curve that stays as it is until the next entry, and to the end of the run."""
    if len(nfev):
        x, y = np.append(nfev, end), np.append(values, values[-1])
        ax.plot(x, y, drawstyle="steps-post", color=CYCLE[k % len(CYCLE)], label=label or None)
    ax.set_xscale("log")


def _finish(ax: Axes, runs: Mapping[str, MultiResult]) -> None:
    ax.grid(alpha=0.3)
    if len(runs) > 1 and ax.get_legend_handles_labels()[0]:
        ax.legend(fontsize=8)
