"""What a run on models says about them: their error, how long they were used, their parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lmcma.errors import ArgumentError
from lmcma.plotting.panels import CYCLE, STYLES, Curve, Run, draw, headline, new_figure, runs_of
from lmcma.record.history import History
from lmcma.result import Result
from lmcma.surrogate.hyper import SEARCHED, HyperSearch
from lmcma.surrogate.saacm import SaACMParameters

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

_LABELS = {
    "points": "training points",
    "c_base": "C_base",
    "c_pow": "C_pow",
    "c_sigma": "width of the kernel",
    "sweeps": "sweeps of the training",
}


def models(
    res: Run | Mapping[str, Run], *, figure: Figure | SubFigure | None = None, title: str | None = None
) -> Figure:
    """Draw how the models of saACM-ES did.

    Four panels over the number of evaluations: the best value; the smoothed rank error of the models, with the limit
    beyond which they are not used; generations on them; their parameters in units of the range that is searched. For
    several runs the last panel has the training points only.

    Parameters
    ----------
    res : Result, History, or mapping of label to one of these
        Recorded runs of `saacm`, `saacm-k` or `kl-acm`, with restarts or without.
    figure : matplotlib Figure or SubFigure, optional
        Draw here instead of into a new figure.
    title : str, optional
        Instead of method, dimension, evaluations and reason of the end; ``""`` for none.

    Returns
    -------
    matplotlib.figure.Figure
        Independent of pyplot; ``figure.savefig("models.png")`` writes it.

    Raises
    ------
    MissingDependencyError
        matplotlib is not installed.
    ArgumentError, ArgumentTypeError
        `res` is none of the above, or a run without models.

    Examples
    --------
    >>> import lmcma
    >>> from lmcma.testfunctions import ellipsoid
    >>> res = lmcma.minimize(ellipsoid, [1.0] * 3, 0.5, method="saacm", options={"hyper_popsize": 0}, maxfev=200, rng=1)
    >>> figure = lmcma.plotting.models(res)
    >>> [axes.get_title() for axes in figure.axes]
    ['Best value', 'Error of the models', 'Generations on a model', 'Parameters of the models']
    """
    runs = runs_of(res)
    for label, (_, history) in runs.items():
        if "life_length" not in history.columns:
            raise ArgumentError(
                f"`res`{f' ({label!r})' if label else ''} must be a run of 'saacm', 'saacm-k' or 'kl-acm', with "
                "restarts or without; this is another method's. Draw it with `convergence`."
            )
    if figure is None:
        figure = new_figure()
    axes = figure.subplots(2, 2, sharex=True)
    panels = (
        (axes[0, 0], "Best value", "best_f", True),
        (axes[0, 1], "Error of the models", "model_error", False),
        (axes[1, 0], "Generations on a model", "life_length", False),
    )
    for ax, name, column, log in panels:
        for k, (label, (_, history)) in enumerate(runs.items()):
            curve = Curve(history[column], label, CYCLE[k % len(CYCLE)], STYLES[k % len(STYLES)])
            draw(ax, name, history["nfev"], [curve], log=log, legend=column == "best_f")
    limit = SaACMParameters().threshold
    axes[0, 1].axhline(limit, color="0.6", linewidth=1, linestyle=":")
    _parameters(axes[1, 1], runs)
    for ax in axes[1]:
        ax.set_xlabel("evaluations")
    first = next(iter(runs.values()))[0]
    text = title if title is not None else headline(first) if len(runs) == 1 and first is not None else ""
    if text:
        figure.suptitle(text, fontsize=11)
    return figure.figure


def _parameters(ax: Axes, runs: Mapping[str, tuple[Result | None, History]]) -> None:
    """The parameters of the models in units of their range."""
    for k, (label, (result, history)) in enumerate(runs.items()):
        n = history.dim if result is None else len(result.x)
        low, high = HyperSearch(n, 0).box
        names = SEARCHED if len(runs) == 1 else SEARCHED[:1]
        curves = [
            Curve(
                (history[f"model_{name}"] - low[j]) / (high[j] - low[j]),
                _LABELS[name] if len(runs) == 1 else label,
                CYCLE[(j + k) % len(CYCLE)],
                STYLES[(j + k) % len(STYLES)],
            )
            for j, name in enumerate(names)
        ]
        title = "Parameters of the models" if len(runs) == 1 else "Training points"
        draw(ax, title, history["nfev"], curves, log=False, legend=False)
    ax.set_ylabel("in units of their range", fontsize=8)
    ax.set_yticks([0, 0.5, 1])
    if len(runs) == 1:
        ax.set_ylim(-0.03, 1.4)  # room for the legend
        ax.legend(fontsize=8, framealpha=0, ncols=2, loc="upper left")
    else:
        ax.set_ylim(-0.03, 1.03)
