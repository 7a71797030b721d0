"""Runtime ECDFs as SVG that takes its ink from the page, so that it reads on light and on dark."""

from __future__ import annotations

import dataclasses
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lmcma.bbob.reference import Reference
from lmcma.bbob.score import Results
from lmcma.errors import MissingDependencyError
from lmcma.typing import FloatArray

# Okabe and Ito's colours without yellow and black, in an order whose neighbours differ most.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")
_LINES: tuple[Any, ...] = ("-", (0, (6, 2)), (0, (3, 1.5)), (0, (6, 1.5, 1, 1.5)))
_POINTS = 400


@dataclasses.dataclass(frozen=True)
class Look:
    """Colour, marker and line of a method, the same everywhere on the page."""

    colour: str
    marker: str
    line: Any


@dataclasses.dataclass(frozen=True)
class Colours:
    """Of text, grid and ground."""

    ink: str
    faint: str
    paper: str


PRINT = Colours("#24292f", "#d8dee4", "#ffffff")
# Stand-ins that become colours of the page.
_PAGE_COLOURS = Colours("#010203", "#040506", "#070809")
_PAGE = {"#010203": "var(--ink)", "#040506": "var(--rule)", "#070809": "var(--paper)"}


def looks(names: Sequence[str]) -> dict[str, Look]:
    """A look for every method; the first six differ in colour, later ones in line and marker too."""
    return {
        name: Look(
            _COLOURS[k % len(_COLOURS)],
            _MARKERS[k % len(_MARKERS)],
            _LINES[(k // len(_COLOURS)) % len(_LINES)],
        )
        for k, name in enumerate(names)
    }


def ecdf_figure(
    results: Mapping[str, Results],
    reference: Reference | None,
    dim: int,
    groups: Sequence[tuple[str, Sequence[int]]],
    budget: float,
    colours: Colours = PRINT,
) -> Any:
    """A matplotlib Figure with a panel for each function group.

    Parameters
    ----------
    results : mapping
        `Results` by label.
    reference : Reference or None
        Drawn as one run whose hit evaluations are its ERT.
    dim : int
        The dimension.
    groups : sequence of (title, functions)
        One panel each.
    budget : float
        Right end of the axis, in evaluations per dimension.
    colours : Colours
        Of text, grid and ground.
    """
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError(
            "the report needs the package matplotlib, which is not installed; pip install 'lmcma[plot]'"
        ) from error

    style = looks(list(results))
    columns = min(3, len(groups))
    rows = -(-len(groups) // columns)
    settings = {
        "font.family": "sans-serif",
        "font.size": 9.0,
        "text.color": colours.ink,
        "axes.labelcolor": colours.ink,
        "axes.edgecolor": colours.ink,
        "xtick.color": colours.ink,
        "ytick.color": colours.ink,
    }
    with mpl.rc_context(settings):
        figure = Figure(figsize=(4.3 * columns, 3.35 * rows), layout="constrained")
        axes = np.atleast_1d(np.asarray(figure.subplots(rows, columns, sharex=True, sharey=True))).ravel()
        for axis, (title, functions) in zip(axes, groups, strict=False):
            _panel(axis, results, reference, dim, title, functions, budget, style, colours)
        for axis in axes[len(groups) - columns : len(groups)]:  # the lowest ones, where the last row is not full
            axis.tick_params(labelbottom=True)
        for axis in axes[len(groups) :]:
            axis.set_visible(False)
        figure.supxlabel("log10(evaluations / dimension)", fontsize=9.5)
        figure.supylabel("fraction of (function, target, trial) triples hit", fontsize=9.5)
    return figure


def ecdf_svg(
    results: Mapping[str, Results],
    reference: Reference | None,
    dim: int,
    groups: Sequence[tuple[str, Sequence[int]]],
    budget: float,
) -> str:
    """`ecdf_figure` as an ``<svg>`` element coloured by the page that it stands in."""
    figure = ecdf_figure(results, reference, dim, groups, budget, _PAGE_COLOURS)
    import matplotlib as mpl

    figure.patch.set_alpha(0.0)
    text = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": f"ecdf-{dim}"}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    return _inline(text.getvalue(), f"Runtime ECDFs in dimension {dim}")


def _panel(
    axis: Any,
    results: Mapping[str, Results],
    reference: Reference | None,
    dim: int,
    title: str,
    functions: Sequence[int],
    budget: float,
    style: Mapping[str, Look],
    colours: Colours,
) -> None:
    end = float(np.log10(max(budget, 1.5)))
    x = np.linspace(0.0, end * 1.02, _POINTS)
    drawn: list[tuple[float, Any]] = []
    if reference is not None:
        y = _reference_ecdf(reference, dim, functions, 10**x)
        if y is not None:
            (line,) = axis.plot(
                x, y, color=colours.ink, lw=1.4, ls=(0, (1, 1.1)), drawstyle="steps-post", label=reference.label
            )
            drawn.append((float(y[-1]), line))
    for k, (name, found) in enumerate(results.items()):
        y = found.ecdf(dim, 10**x, functions)
        if not np.isfinite(y).any():
            continue
        look = style[name]
        (line,) = axis.plot(
            x,
            y,
            color=look.colour,
            lw=1.7,
            ls=look.line,
            drawstyle="steps-post",
            marker=look.marker,
            markersize=4.5,
            markeredgewidth=0,
            markevery=(12 * k, _POINTS // 6),
            label=name,
        )
        drawn.append((float(y[-1]), line))
        lengths = np.concatenate([found.trials[f, dim].lengths for f in functions if (f, dim) in found.trials])
        cross = float(np.log10(max(np.median(lengths) / dim, 1.0)))
        height = found.ecdf(dim, np.array([10**cross]), functions)
        axis.plot([cross], height, marker="x", ms=8, mew=1.8, color=look.colour, ls="none", zorder=5)
    axis.set_title(title, fontsize=10, loc="left", fontweight="bold")
    axis.set_xlim(0, end * 1.02)
    axis.set_xticks(np.arange(0.0, end * 1.02, 0.5 if end <= 4 else 1.0))
    axis.set_ylim(0, 1.005)
    axis.grid(True, color=colours.faint, lw=0.6)
    axis.set_axisbelow(True)
    axis.patch.set_alpha(0.0)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    if drawn:
        order = [line for _, line in sorted(drawn, key=lambda d: -d[0])]
        axis.legend(
            handles=order,
            fontsize=8,
            loc="upper left",
            frameon=True,
            facecolor=colours.paper,
            edgecolor="none",
            framealpha=0.8,
            handlelength=2.8,
            borderaxespad=0.2,
        )


def _reference_ecdf(reference: Reference, dim: int, functions: Sequence[int], at: FloatArray) -> FloatArray | None:
    erts = [reference.erts[f, dim] for f in functions if (f, dim) in reference.erts]
    if not erts:
        return None
    return np.array([(np.array(erts) / dim <= a * (1 + 1e-12)).sum() for a in at]) / np.size(erts)


def _inline(svg: str, title: str) -> str:
    """Only the element, with short numbers, without links and duplicate ids, coloured by the page."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r' xmlns(:\w+)?="[^"]*"', "", body)
    body = re.sub(r'<g id="[^"]*">', "<g>", body)
    body = re.sub(r'^<svg [^>]*?viewBox="([^"]*)"[^>]*>', rf'<svg viewBox="\1" role="img"><title>{title}</title>', body)
    body = re.sub(r"(\d\.\d\d)\d+", r"\1", body)
    body = re.sub(r"font: ([^;\"]*?)'[^;\"]*", r"font: \1sans-serif", body)
    for colour, variable in _PAGE.items():
        body = body.replace(colour, variable)
    return body
