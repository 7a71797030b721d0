"""What the figures share: colours, curves, and the runs that are drawn."""

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
    from matplotlib.figure import Figure

Run: TypeAlias = "Result | History"

# Okabe and Ito's colours, told apart by colour-blind readers too; the line styles tell them apart in grey.
BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
SKY, ORANGE = "#56B4E9", "#E69F00"
CYCLE = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, "#000000")
STYLES = ("-", "--", "-.", ":")
LEGEND: Mapping[str, Any] = {"fontsize": 8, "framealpha": 0.7, "edgecolor": "none", "loc": "lower left"}
_LARGEST = 1e280


def new_figure() -> Figure:
    """An empty figure for four panels; matplotlib is asked for here."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError(
            "`lmcma.plotting` needs matplotlib, which is not installed: pip install 'lmcma[plot]'"
        ) from error
    return Figure(figsize=(10, 7), layout="constrained")


@dataclasses.dataclass(frozen=True)
class Curve:
    """What is drawn over the evaluations; without a label it is not in the legend.

    y : (k,), a value for each entry of the history.
    """

    y: FloatArray
    label: str
    colour: Any
    style: str = "-"
    width: float = 1.4
    zorder: float = 2.0


def drawable(y: FloatArray, log: bool) -> BoolArray:
    """What fits on an axis; at the ends of the floating point numbers matplotlib's own margins overflow."""
    ok: BoolArray = np.abs(y) < _LARGEST
    return ok & (y > 1 / _LARGEST) if log else ok


def draw(ax: Axes, title: str, nfev: Any, curves: Sequence[Curve], *, log: bool, legend: bool = True) -> None:
    """Draw what can be drawn: infinities, NaN and, on a log scale, values <= 0 leave gaps."""
    shown = 0
    for curve in curves:
        ok = drawable(curve.y, log)
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
        ax.legend(**LEGEND)


def runs_of(res: Any) -> dict[str, tuple[Result | None, History]]:
    """The runs by label, each with its history; the label of a single one is empty."""
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


def headline(result: Result) -> str:
    """Method, dimension, evaluations, value and reason of the end, in one line."""
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
