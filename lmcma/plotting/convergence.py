"""The course of one run in four panels, or of several runs side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lmcma.errors import ArgumentError
from lmcma.plotting.panels import (
    BLUE,
    CYCLE,
    GREEN,
    LEGEND,
    PURPLE,
    SKY,
    STYLES,
    VERMILLION,
    Curve,
    Run,
    draw,
    drawable,
    headline,
    new_figure,
    runs_of,
)
from lmcma.record.history import History
from lmcma.result import Result
from lmcma.typing import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

_NAMED_COORDINATES = 16  # more curves are not labelled one by one
_LOST_DIGITS = 1e-3  # a fall below this fraction of the first value shows that the optimum is near 0


def convergence(
    res: Run | Mapping[str, Run],
    *,
    ax: Axes | None = None,
    figure: Figure | SubFigure | None = None,
    f_opt: float | None = None,
    title: str | None = None,
) -> Figure:
    """Draw how a run went.

    One run gives four panels over the number of evaluations: values, step size and axis ratio; the mean; the
    standard deviation of every coordinate; the shape of the search distribution. Several runs are compared in
    their best values, step sizes, axis ratios and extreme standard deviations.

    Parameters
    ----------
    res : Result, History, or mapping of label to one of these
        What was recorded. A mapping compares its runs.
    ax : matplotlib Axes, optional
        Draw the first panel only, into these axes.
    figure : matplotlib Figure or SubFigure, optional
        Draw the four panels here instead of into a new figure.
    f_opt : float, optional
        Subtracted from the values, which are on a logarithmic scale: the optimal value where it is known. By default
        0 where all values are positive and fell to less than a thousandth of the first, else the best
        value found (by any of the runs). Points at or below `f_opt` are not drawn.
    title : str, optional
        Instead of method, dimension, evaluations and reason of the end; ``""`` for none.

    Returns
    -------
    matplotlib.figure.Figure
        Independent of pyplot; ``figure.savefig("run.png")`` writes it.

    Raises
    ------
    MissingDependencyError
        matplotlib is not installed.
    ArgumentError, ArgumentTypeError
        `res` was not recorded (``record=False``), or is none of the above.

    Examples
    --------
    >>> import lmcma
    >>> res = lmcma.minimize(lambda x: sum(x**2), [1.0, 2.0], 0.5, ftarget=1e-9, rng=1)
    >>> figure = lmcma.plotting.convergence(res)
    >>> [axes.get_title() for axes in figure.axes]
    ['Values, step size, axis ratio', 'Mean', 'Standard deviations', 'Shape of the distribution']
    """
    runs = runs_of(res)
    if ax is not None and figure is not None:
        raise ArgumentError(
            "`ax` and `figure` exclude each other: give the axes of the first panel, or the whole figure."
        )
    compare = isinstance(res, Mapping) and not isinstance(res, Result)
    offset, label = _offset([history for _, history in runs.values()], f_opt)
    panels = _Comparison(runs, offset, label) if compare else _Single(*next(iter(runs.values())), offset, label)
    if ax is not None:
        panels.values(ax)
        ax.set_xlabel("evaluations")
        if title:
            ax.set_title(title)
        root = ax.get_figure(root=True)
        assert root is not None
        return root
    if figure is None:
        figure = new_figure()
    axes = figure.subplots(2, 2, sharex=True)
    for panel, one in zip((panels.values, panels.second, panels.third, panels.fourth), axes.flat, strict=True):
        panel(one)
    for one in axes[1]:
        one.set_xlabel("evaluations")
    text = panels.title if title is None else title
    if text:
        figure.suptitle(text, fontsize=11)
    return figure.figure


# -------------------------------------------------------------------- what is drawn


class _Single:
    """The four panels of one run."""

    def __init__(self, result: Result | None, history: History, offset: float, label: str) -> None:
        self.history, self.offset, self.label = history, offset, label
        self.nfev = history["nfev"]
        self.n = len(result.x) if result is not None else history["mean"].shape[1]
        self.title = "" if result is None else headline(result)

    def values(self, ax: Axes) -> None:
        h = self.history
        curves = [
            Curve(h["best_f"] - self.offset, f"{self.label}, best so far", BLUE, width=2.0, zorder=3),
            Curve(h["median_f"] - self.offset, f"{self.label}, median of the iteration", SKY, width=0.9),
            Curve(h["sigma"], "step size σ", GREEN, "--"),
            Curve(h["axis_ratio"], "axis ratio", VERMILLION, "-."),
        ]
        draw(ax, "Values, step size, axis ratio", self.nfev, curves, log=True)

    def second(self, ax: Axes) -> None:
        self._coordinates(ax, "Mean", self.history["mean"], log=False)

    def third(self, ax: Axes) -> None:
        self._coordinates(ax, "Standard deviations", self.history["stds"], log=True)

    def fourth(self, ax: Axes) -> None:
        h = self.history
        curves = [
            Curve(h["axis_ratio"], "axis ratio", VERMILLION, "-."),
            Curve(h["max_std"], "largest standard deviation", PURPLE, width=3.0),
            Curve(h["min_std"], "smallest standard deviation", "#000000", ":"),
            Curve(h["sigma"], "step size σ", GREEN, "--"),
        ]
        draw(ax, "Shape of the distribution", self.nfev, curves, log=True)

    def _coordinates(self, ax: Axes, title: str, columns: Any, *, log: bool) -> None:
        """One line a coordinate, dark to light; few of them are numbered where they end."""
        from matplotlib import colormaps

        k = columns.shape[1]
        colours = colormaps["viridis"](np.linspace(0, 0.85, k))
        curves = [Curve(columns[:, i], "", colours[i], width=1.2 if k <= _NAMED_COORDINATES else 0.7) for i in range(k)]
        of = f" of the first {k} of {self.n} coordinates" if k < self.n else ""
        draw(ax, title + of, self.nfev, curves, log=log)
        if 1 < k <= _NAMED_COORDINATES:
            _number_ends(ax, columns, colours, log=log)


class _Comparison:
    """The four panels of several runs: a colour and a line style each."""

    title = ""

    def __init__(self, runs: Mapping[str, tuple[Result | None, History]], offset: float, label: str) -> None:
        self.runs, self.offset, self.label = runs, offset, label

    def values(self, ax: Axes) -> None:
        self._column(ax, f"Best {self.label}", "best_f", self.offset)
        if ax.get_lines():
            ax.legend(**{**LEGEND, "loc": "upper right"})

    def second(self, ax: Axes) -> None:
        self._column(ax, "Step size σ", "sigma")

    def third(self, ax: Axes) -> None:
        self._column(ax, "Axis ratio", "axis_ratio")

    def fourth(self, ax: Axes) -> None:
        self._column(ax, "Smallest and largest standard deviation", "min_std")
        self._column(ax, "Smallest and largest standard deviation", "max_std")

    def _column(self, ax: Axes, title: str, column: str, offset: float = 0.0) -> None:
        for i, (name, (_, history)) in enumerate(self.runs.items()):
            style = STYLES[i % len(STYLES)]  # 7 colours, 4 styles: 28 looks
            curve = Curve(history[column] - offset, name, CYCLE[i % len(CYCLE)], style, 1.6)
            draw(ax, title, history["nfev"], [curve], log=True, legend=False)


def _number_ends(ax: Axes, columns: FloatArray, colours: FloatArray, *, log: bool) -> None:
    """Write the index of each coordinate beside the end of its curve, spread so that none hides another."""
    last = columns[-1]
    ok = drawable(last, log)
    if not ok.any():
        return
    index = np.flatnonzero(ok)
    index = index[np.argsort(last[index], kind="stable")]
    ax.autoscale_view()
    to_axes = ax.transData + ax.transAxes.inverted()
    ends = to_axes.transform(np.column_stack([np.zeros(len(index)), last[index]]))[:, 1]
    places = _spread(ends, 0.045)
    for i, y in zip(index, places, strict=True):
        ax.annotate(
            f"x[{i}]",
            xy=(1.0, y),
            xycoords="axes fraction",
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
            color=colours[i],
            annotation_clip=False,
        )


def _spread(places: FloatArray, gap: float) -> FloatArray:
    """Ascending `places`, moved as little as possible (in squares) to be `gap` apart and within [0, 1].

    >>> _spread(np.array([0.0, 0.5, 0.5, 2.0]), 0.1).round(2).tolist()
    [0.0, 0.45, 0.55, 1.0]
    """
    from scipy.optimize import isotonic_regression

    gap = min(gap, 1 / max(1, len(places) - 1))
    steps = gap * np.arange(len(places))
    free: FloatArray = isotonic_regression(places - steps).x
    return np.clip(free, 0, 1 - steps[-1]) + steps


# -------------------------------------------------------------------- what is given


def _offset(histories: Sequence[History], f_opt: float | None) -> tuple[float, str]:
    """What is subtracted from f on the log scale, and the name of the difference."""
    if f_opt is not None:
        if not np.isfinite(f_opt):
            raise ArgumentError(f"`f_opt` must be a finite number; got {f_opt!r}. Leave it out where it is not known.")
        return float(f_opt), "f − f_opt" if f_opt else "f"
    best = np.concatenate([h["best_f"] for h in histories])
    best = best[np.isfinite(best)]
    if not len(best):
        return 0.0, "f"
    low = float(best.min())
    if 0 < low <= _LOST_DIGITS * float(best.max()) or 0 < low == float(best.max()):
        return 0.0, "f"
    return low, "f − min f"
