"""The course of one run in four panels, or of several runs side by side."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from lmcma.errors import ArgumentError, ArgumentTypeError, MissingDependencyError
from lmcma.record.history import History
from lmcma.result import Result
from lmcma.typing import BoolArray, FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

Run: TypeAlias = "Result | History"

# Okabe and Ito's colours, told apart by colour-blind readers too; the line styles tell them apart in grey.
_BLUE, _VERMILLION, _GREEN, _PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
_SKY, _ORANGE = "#56B4E9", "#E69F00"
_CYCLE = (_BLUE, _VERMILLION, _GREEN, _PURPLE, _ORANGE, _SKY, "#000000")
_STYLES = ("-", "--", "-.", ":")
_LARGEST = 1e280
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
    runs = _runs(res)
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
        figure = _new_figure()
    axes = figure.subplots(2, 2, sharex=True)
    for draw, one in zip((panels.values, panels.second, panels.third, panels.fourth), axes.flat, strict=True):
        draw(one)
    for one in axes[1]:
        one.set_xlabel("evaluations")
    text = panels.title if title is None else title
    if text:
        figure.suptitle(text, fontsize=11)
    return figure.figure


def _new_figure() -> Figure:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError(
            "`lmcma.plotting` needs matplotlib, which is not installed: pip install 'lmcma[plot]'"
        ) from error
    return Figure(figsize=(10, 7), layout="constrained")


# -------------------------------------------------------------------- what is drawn


class _Single:
    """The four panels of one run."""

    def __init__(self, result: Result | None, history: History, offset: float, label: str) -> None:
        self.history, self.offset, self.label = history, offset, label
        self.nfev = history["nfev"]
        self.n = len(result.x) if result is not None else history["mean"].shape[1]
        self.title = "" if result is None else _headline(result)

    def values(self, ax: Axes) -> None:
        h = self.history
        curves = [
            _Curve(h["best_f"] - self.offset, f"{self.label}, best so far", _BLUE, width=2.0, zorder=3),
            _Curve(h["median_f"] - self.offset, f"{self.label}, median of the iteration", _SKY, width=0.9),
            _Curve(h["sigma"], "step size σ", _GREEN, "--"),
            _Curve(h["axis_ratio"], "axis ratio", _VERMILLION, "-."),
        ]
        _draw(ax, "Values, step size, axis ratio", self.nfev, curves, log=True)

    def second(self, ax: Axes) -> None:
        self._coordinates(ax, "Mean", self.history["mean"], log=False)

    def third(self, ax: Axes) -> None:
        self._coordinates(ax, "Standard deviations", self.history["stds"], log=True)

    def fourth(self, ax: Axes) -> None:
        h = self.history
        curves = [
            _Curve(h["axis_ratio"], "axis ratio", _VERMILLION, "-."),
            _Curve(h["max_std"], "largest standard deviation", _PURPLE, width=3.0),
            _Curve(h["min_std"], "smallest standard deviation", "#000000", ":"),
            _Curve(h["sigma"], "step size σ", _GREEN, "--"),
        ]
        _draw(ax, "Shape of the distribution", self.nfev, curves, log=True)

    def _coordinates(self, ax: Axes, title: str, columns: Any, *, log: bool) -> None:
        """One line a coordinate, dark to light; few of them are numbered where they end."""
        from matplotlib import colormaps

        k = columns.shape[1]
        colours = colormaps["viridis"](np.linspace(0, 0.85, k))
        curves = [
            _Curve(columns[:, i], "", colours[i], width=1.2 if k <= _NAMED_COORDINATES else 0.7) for i in range(k)
        ]
        of = f" of the first {k} of {self.n} coordinates" if k < self.n else ""
        _draw(ax, title + of, self.nfev, curves, log=log)
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
            ax.legend(**{**_LEGEND, "loc": "upper right"})

    def second(self, ax: Axes) -> None:
        self._column(ax, "Step size σ", "sigma")

    def third(self, ax: Axes) -> None:
        self._column(ax, "Axis ratio", "axis_ratio")

    def fourth(self, ax: Axes) -> None:
        self._column(ax, "Smallest and largest standard deviation", "min_std")
        self._column(ax, "Smallest and largest standard deviation", "max_std")

    def _column(self, ax: Axes, title: str, column: str, offset: float = 0.0) -> None:
        for i, (name, (_, history)) in enumerate(self.runs.items()):
            style = _STYLES[i % len(_STYLES)]  # 7 colours, 4 styles: 28 looks
            curve = _Curve(history[column] - offset, name, _CYCLE[i % len(_CYCLE)], style, 1.6)
            _draw(ax, title, history["nfev"], [curve], log=True, legend=False)


@dataclasses.dataclass(frozen=True)
class _Curve:
    y: FloatArray
    label: str
    colour: Any
    style: str = "-"
    width: float = 1.4
    zorder: float = 2.0


_LEGEND: Mapping[str, Any] = {"fontsize": 8, "framealpha": 0.7, "edgecolor": "none", "loc": "lower left"}


def _drawable(y: FloatArray, log: bool) -> BoolArray:
    """What fits on an axis; at the ends of the floating point numbers matplotlib's own margins overflow."""
    ok: BoolArray = np.abs(y) < _LARGEST
    return ok & (y > 1 / _LARGEST) if log else ok


def _draw(ax: Axes, title: str, nfev: Any, curves: Sequence[_Curve], *, log: bool, legend: bool = True) -> None:
    """Draw what can be drawn: infinities, NaN and, on a log scale, values <= 0 leave gaps."""
    shown = 0
    for curve in curves:
        ok = _drawable(curve.y, log)
        if not ok.any():
            continue
        shown += 1
        # a point between two gaps has no line to show it
        beside = np.concatenate([[False], ok, [False]])
        lonely = ok & ~beside[:-2] & ~beside[2:]
        ax.plot(
            nfev,
            np.where(ok, curve.y, np.nan),
            color=curve.colour,
            linestyle=curve.style,
            linewidth=curve.width,
            marker="o" if lonely.any() else "",
            markersize=3,
            markevery=lonely if lonely.any() else None,
            label=curve.label or "_nolegend_",
            zorder=curve.zorder,
        )
    ax.set_title(title, fontsize=10)
    ax.grid(visible=True, color="#DDDDDD", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=8)
    if shown and log:
        ax.set_yscale("log")
    elif not ax.get_lines():
        ax.text(0.5, 0.5, "no finite values", transform=ax.transAxes, ha="center", va="center", color="#666666")
    if shown and legend and any(curve.label for curve in curves):
        ax.legend(**_LEGEND)


def _number_ends(ax: Axes, columns: FloatArray, colours: FloatArray, *, log: bool) -> None:
    """Write the index of each coordinate beside the end of its curve, spread so that none hides another."""
    last = columns[-1]
    ok = _drawable(last, log)
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


def _runs(res: Any) -> dict[str, tuple[Result | None, History]]:
    if isinstance(res, (Result, History)):
        return {"": _run("res", res)}
    if isinstance(res, Mapping):
        if not res:
            raise ArgumentError("`res` must name at least one run; the mapping is empty.")
        return {str(label): _run(f"res[{label!r}]", run) for label, run in res.items()}
    raise ArgumentTypeError(
        f"`res` must be a Result, a History, or a mapping of label to one of these; got {type(res).__name__}."
    )


def _run(name: str, run: Any) -> tuple[Result | None, History]:
    if not isinstance(run, (Result, History)):
        raise ArgumentTypeError(f"`{name}` must be a Result or a History; got {type(run).__name__}.")
    result = run if isinstance(run, Result) else None
    history = run if isinstance(run, History) else run.get("history")
    if history is None:
        raise ArgumentError(
            f"`{name}` has no history: the run was not recorded. "
            "Run `minimize` with record=True (the default), or pass a History to the driver."
        )
    if not len(history):
        raise ArgumentError(f"`{name}` has an empty history: the run ended before its first iteration was complete.")
    return result, history


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


def _headline(result: Result) -> str:
    stop = result.get("stop")
    method = result.get("method", "")
    parts = [
        str(method) if method else "",
        f"n = {len(result.x)}",
        f"{result.nfev} evaluations",
        f"f = {result.fun:.6g}",
        f"stopped by {stop.reason}" if stop is not None else "running",
    ]
    return ",  ".join(part for part in parts if part)
