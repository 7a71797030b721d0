"""One page of HTML that holds everything a comparison has to say: no script, no link, no file beside it."""

from __future__ import annotations

import html
import importlib.util
import math
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import numpy as np

import lmcma
from lmcma.bbob import figures, jobs, summary
from lmcma.bbob.compare import Ratio
from lmcma.bbob.reference import Reference
from lmcma.bbob.runs import Run, merge
from lmcma.bbob.score import Results
from lmcma.bbob.suites import SUITES, Suite
from lmcma.bbob.targets import targets_of
from lmcma.errors import CampaignError, MissingDependencyError

_ABOUT_ERT = (
    "ERT / dimension<sub>trials that hit the target, if not all</sub> <small>ratio to the reference</small>. ERT "
    "is all evaluations made until the target was hit, over all trials (a miss counts whole), divided by the "
    "number of hits. The least of a column is bold; a dash: no trial hit the target. Last column: trials "
    "that hit the hardest target."
)
_ABOUT_ECDF = (
    "Fraction of all (function, target, trial) triples hit within a number of evaluations; {}. A cross marks the "
    "median length of the method's trials; no restarts are simulated. Legends are sorted by the height at the right "
    "end."
)
_ABOUT_ONE = (
    "a target is a precision f - f_opt, and the evaluation at which it was first reached is read from COCO's own "
    "records. A trial of lmcma's harness ends at the final target 1e-8, at its budget, or where the method stops by "
    "itself; methods are not restarted unless they restart themselves."
)
_ABOUT_TWO = (
    "a target is a precision of the hypervolume indicator: the best hypervolume that COCO knows minus that of all "
    "points evaluated so far, in units in which ideal and nadir point are (0, 0) and (1, 1); while no point dominates "
    "the nadir, the distance to the region that does takes the place of the hypervolume. The evaluation at which a "
    "target was first reached is read from COCO's own records. A negative target is a hypervolume above the best "
    "known. A trial ends at its budget, or where the method stops by itself."
)
_PACKAGES = ("numpy", "scipy", "numba", "coco-experiment", "cma")


def page(runs: Sequence[Run], reference: Reference | None) -> str:
    """The report as HTML.

    Parameters
    ----------
    runs : sequence of Run
        All of one suite.
    reference : Reference or None
        The best-of reference of the suite; None where cocopp is not installed.
    """
    results = merge(runs)
    suite = SUITES.get(next(iter(results.values())).suite)
    if suite is None:
        raise CampaignError(
            f"`runs` are of the suite {next(iter(results.values())).suite!r}, which has no report. "
            f"Suites with one: {', '.join(SUITES)}."
        )
    dims = summary.dims(results)
    title = f"{suite.name}: {', '.join(results)}"
    css = resources.files("lmcma.bbob").joinpath("report.css").read_text(encoding="utf-8")
    links = "".join(f'<a href="#d{d}">{d}-D</a>' for d in dims)
    parts = [
        "<!DOCTYPE html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{_text(title)}</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<style>{css}</style></head><body>",
        f"<h1>Runtimes on {_text(suite.name)}</h1>",
        f'<p class="lead">{_text(", ".join(results))} in {_text(_and([f"{d}-D" for d in dims]))}</p>',
        f'<nav><a href="#summary">Summary</a>{links}<a href="#about">About the numbers</a></nav>',
        _facts(runs, results),
        _summary(results, reference),
    ]
    for dim in dims:
        parts.append(_dimension(results, reference, suite, dim))
    parts += [_about(reference, suite), "</body></html>"]
    return "\n".join(parts) + "\n"


def write(path: Path, runs: Sequence[Run], reference: Reference | None) -> None:
    """Write the report to a file, whole or not at all."""
    text = page(runs, reference)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        jobs.write_atomically(path, text)
    except OSError as error:
        raise CampaignError(
            f"`output` {str(path)!r} cannot be written: {error.strerror}. Choose another file."
        ) from None


def cocopp(runs: Sequence[Run], output: Path) -> None:
    """Let COCO's own post-processing write its pages to the folder `output`; takes minutes.

    Raises
    ------
    CampaignError
        There are no raw data (compact files have none), or cocopp failed; the message has its last line.
    """
    if importlib.util.find_spec("cocopp") is None:
        raise MissingDependencyError("the package cocopp is not installed; pip install 'lmcma[bbob]'")
    folders = list(dict.fromkeys(str(f.resolve()) for run in runs for f in run.folders.values()))
    if not folders:
        raise CampaignError("cocopp needs COCO's data; compact files do not contain them. Give the campaign's folder.")
    output.mkdir(parents=True, exist_ok=True)
    log = output / "cocopp.log"
    command = [sys.executable, "-m", "cocopp", "-o", str(output.resolve()), *folders]
    with log.open("w", encoding="utf-8") as sink:
        code = subprocess.run(command, stdout=sink, stderr=subprocess.STDOUT, check=False, cwd=output).returncode
    if code != 0:
        last = (log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["no output"])[-1]
        raise CampaignError(f"cocopp failed with status {code}: {last}. Its output is in {log}.")


# ---------------------------------------------------------------- parts of the page


def _facts(runs: Sequence[Run], results: Mapping[str, Results]) -> str:
    facts: list[tuple[str, str]] = []
    for run in runs:
        campaign: Mapping[str, Any] = run.about.get("campaign", {})
        if not campaign:
            facts.append((run.name, f"data of COCO: {', '.join(run.results)}"))
            continue
        text = (
            f"budget {campaign['budget']:g} D evaluations per trial; "
            f"instances {summary.ranges(campaign['instances'])}; "
            f"functions {summary.ranges(campaign['functions'])}; seed {campaign['seed']}; {_start(campaign)}; "
            f"sigma0 = {campaign['sigma0']:g}; lmcma {', '.join(run.about['lmcma'])}; "
            f"begun {run.about['created'].replace('T', ' ')}"
        )
        facts.append((run.name, text))
        for label, method in campaign["methods"].items():
            if method["options"]:
                options = ", ".join(f"{k} = {v}" for k, v in method["options"].items())
                facts.append((label, f"{method['method']} with {options}"))
    trials = sum(len(t.lengths) for r in results.values() for t in r.trials.values())
    evaluations = sum(r.evaluations(d) for r in results.values() for d in r.dims())
    facts.append(("Data", f"{trials:,} trials, {evaluations:,} evaluations".replace(",", "\u202f")))
    facts.append(("Written", f"{time.strftime('%Y-%m-%d %H:%M')} by lmcma {lmcma.__version__}; {_versions()}"))
    rows = "".join(f"<dt>{_text(k)}</dt><dd>{_text(v)}</dd>" for k, v in facts)
    return f'<dl class="facts">{rows}</dl>'


def _start(campaign: Mapping[str, Any]) -> str:
    box = f"[{campaign['x0_box'][0]:g}, {campaign['x0_box'][1]:g}]^D"
    if SUITES[campaign["suite"]].n_obj > 1:
        return f"start at 0, further starts from {box}"
    return f"start uniform in {box}, the same for all methods"


def _versions() -> str:
    found = []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return ", ".join(found)


def _summary(results: Mapping[str, Results], reference: Reference | None) -> str:
    style = figures.looks(list(results))
    rows = summary.rows(results, reference)
    first = next(iter(results))
    several = len(results) > 1
    label = reference.label if reference is not None else "reference"
    head = ["", "solved", "area", f"ERT / {label}", *([f"ERT / {first}", "95 % interval"] if several else [])]
    head += ["trials", "evaluations"]
    body = []
    for dim in summary.dims(results):
        here = [r for r in rows if r.dim == dim]
        end = summary.budget(results, dim)
        body.append(
            f'<tbody class="group"><tr><th colspan="{len(head)}"><a href="#d{dim}">{dim}-D</a>, '
            f"area up to {_number(end)} evaluations / D</th></tr></tbody><tbody>"
        )
        best_solved, best_area = max(r.solved for r in here), max(r.area for r in here)
        for row in here:
            cells = [
                f'<td class="l">{_swatch(style[row.method])}{_text(row.method)}</td>',
                _cell(f"{row.solved:.3f}", row.solved == best_solved),
                _cell(f"{row.area:.3f}", row.area == best_area),
                _ratio_cell(row.to_reference),
            ]
            if several:
                cells.append(_ratio_cell(row.to_first))
                interval = row.to_first is not None and math.isfinite(row.to_first.low)
                cells.append(
                    f"<td>{_ratio(row.to_first.low)} .. {_ratio(row.to_first.high)}</td>"
                    if interval and row.to_first is not None
                    else "<td></td>"
                )
            cells += [f"<td>{row.trials}</td>", f"<td>{row.evaluations:,}</td>".replace(",", "\u202f")]
            body.append(f"<tr>{''.join(cells)}</tr>")
        body.append("</tbody>")
    heads = "".join(f'<th class="{"l" if not h else ""}">{_text(h)}</th>' for h in head)
    note = (
        "<p class='note'>Solved: final height of the ECDF over all functions. Area: its mean height on the "
        "logarithmic axis. ERT ratios: geometric mean over those of the standard targets below that both reached, "
        "first within each function, then over functions, and <small>the number of targets</small>. Below 1 is "
        "faster."
    )
    if several:
        note += " The interval is a bootstrap over trials; with few trials it is too narrow."
    return (
        '<h2 class="first" id="summary">Summary</h2><div class="scroll"><table>'
        f"<thead><tr>{heads}</tr></thead>{''.join(body)}</table></div>{note}</p>"
    )


def _dimension(results: Mapping[str, Results], reference: Reference | None, suite: Suite, dim: int) -> str:
    there = summary.functions(results, dim)
    groups = summary.groups(suite.groups, there)
    svg = figures.ecdf_svg(results, reference, dim, groups, summary.budget(results, dim))
    return (
        f'<h2 id="d{dim}">Dimension {dim}</h2>'
        f"<figure>{svg}<figcaption>{_ABOUT_ECDF.format(targets_of(suite.name).listing)}</figcaption></figure>"
        f"<h3>Expected running times in dimension {dim}</h3>" + _ert_table(results, reference, suite, dim, there)
    )


def _ert_table(
    results: Mapping[str, Results], reference: Reference | None, suite: Suite, dim: int, there: Sequence[int]
) -> str:
    style = figures.looks(list(results))
    standard = targets_of(suite.name).standard
    head = "".join(f"<th>{_power(t)}<small></small></th>" for t in standard)
    body = []
    for title, ids in suite.groups:
        inside = [f for f in ids if f in there]
        if inside:
            body.append(f'<tbody class="group"><tr><th colspan="{len(standard) + 3}">{_text(title)}</th></tr></tbody>')
        for function in inside:
            body.append(_function_rows(results, reference, style, function, dim))
    return (
        f'<div class="scroll"><table><caption>{_ABOUT_ERT}</caption><thead><tr><th></th><th></th>'
        f'{head}<th class="gap">hit {_power(standard[-1])}</th></tr></thead>{"".join(body)}</table></div>'
    )


def _function_rows(
    results: Mapping[str, Results],
    reference: Reference | None,
    style: Mapping[str, figures.Look],
    function: int,
    dim: int,
) -> str:
    standard = next(iter(results.values())).targets.standard
    base = np.full(len(standard), np.nan)
    lines = []
    if reference is not None:
        base = reference.ert(function, dim, standard)
        cells = "".join(_miss() if not np.isfinite(b) else f"<td>{_number(b / dim)}<small></small></td>" for b in base)
        lines.append(f'<td class="l">{_text(reference.label)}</td>{cells}<td class="gap"></td>')
    with_data = {name: r for name, r in results.items() if (function, dim) in r.trials}
    erts = {name: r.ert(function, dim) for name, r in with_data.items()}
    best = np.min(list(erts.values()), axis=0)
    for name, found in with_data.items():
        cells = ""
        hits = found.successes(function, dim)
        count = len(found.trials[function, dim].lengths)
        for ert, least, ref, hit in zip(erts[name], best, base, hits, strict=True):
            if not np.isfinite(ert):
                cells += _miss()
                continue
            number = _number(ert / dim)
            shown = f"<b>{number}</b>" if ert == least and len(erts) > 1 else number
            some = f"<sub>{hit}</sub>" if hit < count else ""
            ratio = _ratio(ert / ref) if np.isfinite(ref) else ""
            cells += f"<td>{shown}{some}<small>{ratio}</small></td>"
        label = f"{_swatch(style[name])}{_text(name)}"
        lines.append(f'<td class="l">{label}</td>{cells}<td class="gap">{hits[-1]}/{count}</td>')
    first = f'<th class="l" rowspan="{len(lines)}">f{function}</th>'
    rows = "".join(
        f"<tr{' class=ref' if k == 0 and reference is not None else ''}>{first if k == 0 else ''}{line}</tr>"
        for k, line in enumerate(lines)
    )
    return f'<tbody class="fun">{rows}</tbody>'


def _about(reference: Reference | None, suite: Suite) -> str:
    what = (
        f"“{_text(reference.label)}” is the composite reference that COCO ships: for every target the lowest ERT "
        "among all algorithms of its year. In the ECDFs it stands for one run that hits every target at its ERT."
        if reference is not None
        else "The best-of reference is part of the package cocopp, which is not installed here."
    )
    return (
        '<h2 id="about">About the numbers</h2>'
        f"<p>Problems and measurements are COCO's (BBOB): {_ABOUT_ONE if suite.n_obj == 1 else _ABOUT_TWO}</p>"
        f"<p>{what}</p>"
        f"<footer>lmcma {lmcma.__version__}. One file, nothing is loaded from elsewhere.</footer>"
    )


# ---------------------------------------------------------------- cells and numbers


def _text(value: str) -> str:
    return html.escape(value)


def _swatch(look: figures.Look) -> str:
    return f'<span class="swatch" style="background:{look.colour}"></span>'


def _cell(text: str, best: bool) -> str:
    return f"<td>{f'<b>{text}</b>' if best else text}</td>"


def _ratio_cell(ratio: Ratio | None) -> str:
    if ratio is None:
        return "<td></td>"
    return _miss() if not ratio.targets else f"<td>{_ratio(ratio.value)}<small>{ratio.targets}</small></td>"


def _miss() -> str:
    return '<td class="miss">–<small></small></td>'


def _number(value: float) -> str:
    """Three digits, powers of ten beyond 1e5."""
    if value >= 99999.5:
        return f"{value:.1e}".replace("e+0", "e").replace("e+", "e")
    return f"{value:.0f}" if value >= 99.95 else f"{value:.3g}"


def _power(target: float) -> str:
    """A power of ten: 1e1, 1e-8."""
    return f"{target:.0e}".replace("e+0", "e").replace("e-0", "e-")


def _ratio(value: float) -> str:
    if value >= 9999.5:
        return f"{value:.0e}".replace("e+0", "e").replace("e+", "e")
    return f"{value:.0f}" if value >= 99.5 else f"{value:.1f}" if value >= 9.95 else f"{value:.2f}"


def _and(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
