"""`lmcma bbob`: run campaigns on COCO's suites, report them."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from lmcma.bbob.reference import Reference
    from lmcma.bbob.runner import Event
    from lmcma.bbob.runs import Run

app = typer.Typer(no_args_is_help=True, help="Compare methods on the BBOB suites of COCO.")

_PLAIN_EVERY = 15.0  # seconds between lines where there is no terminal


@app.command()
def run(
    campaign: Annotated[
        Path | None,
        typer.Argument(help="Campaign file (TOML); the options below replace its keys.", show_default=False),
    ] = None,
    suite: Annotated[str | None, typer.Option(help="bbob, bbob-noisy, bbob-largescale or bbob-biobj.")] = None,
    methods: Annotated[str | None, typer.Option(help="Methods and baselines, such as cma,lm-cma,pycma,random.")] = None,
    dims: Annotated[str | None, typer.Option(help="Dimensions, such as 2,5.")] = None,
    functions: Annotated[str | None, typer.Option(help="Functions, such as 1-5,8; all by default.")] = None,
    instances: Annotated[str | None, typer.Option(help="Instances, such as 1-3,71-75; one trial each.")] = None,
    budget: Annotated[float | None, typer.Option(help="Evaluations per trial, times the dimension.")] = None,
    output: Annotated[Path | None, typer.Option(help="Folder of the results; an interrupted run goes on.")] = None,
    seed: Annotated[int | None, typer.Option(help="Starts and random numbers derive from it.")] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes; one per core by default.")] = None,
    report: Annotated[bool, typer.Option(help="Write report.html to the output folder at the end.")] = True,
) -> None:
    """Run a campaign, or what is missing of it; then print a table and write the report."""
    from rich.console import Console

    from lmcma.bbob import campaign as campaigns
    from lmcma.bbob import runner

    given = {
        "suite": suite,
        "methods": methods,
        "dims": dims,
        "functions": functions,
        "instances": instances,
        "budget": budget,
        "output": output,
        "seed": seed,
        "workers": workers,
    }
    given = {k: v for k, v in given.items() if v is not None}
    plan = campaigns.read(campaign, **given) if campaign is not None else campaigns.build(given)
    console = Console(stderr=True)
    display: _Bar | _Lines = _Bar(console) if console.is_terminal else _Lines(console)
    started = time.monotonic()
    try:
        with display:
            summary = runner.run(plan, display.show)
    except KeyboardInterrupt:
        command = shlex.join(["lmcma", *sys.argv[1:]])
        typer.echo(f"lmcma: interrupted; finished jobs are kept. To go on: {command}", err=True)
        raise typer.Exit(130) from None
    spent = _duration(time.monotonic() - started)
    failed = f", {len(summary.failures)} failed" if summary.failures else ""
    typer.echo(f"{summary.finished} jobs run in {spent}, {summary.skipped} were finished before{failed}", err=True)
    for failure in summary.failures:
        typer.echo(f"failed: {failure.job}: {failure.reason}; see {failure.log}", err=True)
    if summary.finished or summary.skipped:
        _show([plan.output], plan.output / "report.html" if report else None)
    if summary.failures:
        raise typer.Exit(1)


@app.command("report")
def report_(
    runs: Annotated[
        list[Path], typer.Argument(help="Output folders of campaigns, folders with COCO's data, compact files.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(help="The page; RUN/report.html for one folder, bbob-report.html otherwise.", show_default=False),
    ] = None,
    compact: Annotated[
        Path | None,
        typer.Option(help="Also save the results of one run as a compact file, .csv or .csv.gz.", show_default=False),
    ] = None,
    cocopp: Annotated[bool, typer.Option(help="Also run COCO's own post-processing; takes minutes.")] = False,
) -> None:
    """Print the table of one or several runs and write the page that compares them."""
    from lmcma.bbob import report
    from lmcma.bbob import runs as results
    from lmcma.errors import CampaignError

    if compact is not None and len(runs) != 1:
        raise CampaignError(f"--compact takes one RUN; got {len(runs)}. Save each by itself.")
    if output is None:
        output = runs[0] / "report.html" if len(runs) == 1 and runs[0].is_dir() else Path("bbob-report.html")
    loaded = _show(runs, output)
    if compact is not None:
        results.save_compact(compact, loaded[0])
        typer.echo(f"compact results: {compact}")
    if cocopp:
        folder = output.parent / f"{output.stem}-cocopp"
        typer.echo(f"cocopp is at work, this takes minutes; its output goes to {folder / 'cocopp.log'}", err=True)
        report.cocopp(loaded, folder)
        typer.echo(f"cocopp: {folder / 'index.html'}")


def _show(paths: list[Path], page: Path | None) -> list[Run]:
    """Print the table and write the page of some runs."""
    from lmcma.bbob import report, runs

    loaded = [runs.load(p) for p in paths]
    reference = _reference(loaded)
    _print_table(loaded, reference)
    if page is not None:
        report.write(page, loaded, reference)
        typer.echo(f"report: {page}")
    return loaded


def _reference(loaded: list[Run]) -> Reference | None:
    from lmcma.bbob import reference
    from lmcma.bbob.suites import SUITES
    from lmcma.errors import MissingDependencyError

    suite = next(iter(loaded[0].results.values())).suite
    if suite not in SUITES:
        return None
    try:
        return reference.load(suite)
    except MissingDependencyError as error:
        typer.echo(f"lmcma: without ratios: {error}", err=True)
        return None


def _print_table(loaded: list[Run], reference: Reference | None) -> None:
    from rich.console import Console
    from rich.table import Table

    from lmcma.bbob import runs, summary

    results = runs.merge(loaded)
    label = f"ERT / {reference.label}" if reference is not None else "ERT ratio"
    table = Table(box=None, pad_edge=False, title=f"{next(iter(results.values())).suite}", title_justify="left")
    table.add_column("D", justify="right")
    table.add_column("method")
    for name in ("solved", "area", label, "targets", "evaluations"):
        table.add_column(name, justify="right")
    rows = summary.rows(results, reference, bootstrap=0)
    for dim in summary.dims(results):
        here = [r for r in rows if r.dim == dim]
        best = max(r.area for r in here)
        for row in here:
            ratio = row.to_reference
            reached = ratio is not None and ratio.targets > 0
            table.add_row(
                str(dim) if row is here[0] else "",
                row.method,
                f"{row.solved:.3f}",
                f"{row.area:.3f}",
                f"{ratio.value:.2f}" if ratio is not None and reached else "-",
                str(ratio.targets) if ratio is not None else "-",
                f"{row.evaluations}",
                style="bold" if row.area == best and len(here) > 1 else None,
                end_section=row is here[-1],
            )
    console = Console()
    console.print(table)
    console.print(
        "solved: fraction of (function, target, trial) triples hit; area: of their ECDF over log evaluations; "
        "ERT ratio: geometric mean over the targets both reached",
        style="dim",
    )


# ---------------------------------------------------------------- progress


class _Lines:
    """Progress where there is no terminal: few lines, none without need."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._next = 0.0
        self._started = time.monotonic()

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def show(self, event: Event) -> None:
        now = time.monotonic()
        if event.kind != "done":
            self._line(event.text)
        elif now >= self._next or event.finished == event.total:
            self._next = now + _PLAIN_EVERY
            share = event.cost / event.total_cost
            left = (now - self._started) * (1 - share) / share
            rest = f", about {_duration(left)} left" if event.finished < event.total else ""
            self._line(f"{event.finished} of {event.total} jobs, {share:.0%} of the evaluations{rest}")

    def _line(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)


class _Bar:
    """A progress bar whose unit is evaluations; messages scroll above it."""

    def __init__(self, console: Console) -> None:
        from rich.progress import (
            BarColumn,
            Progress,
            TaskProgressColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[jobs]} jobs"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            speed_estimate_period=600,
        )
        self._task: Any = None

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def show(self, event: Event) -> None:
        if event.text:
            self._progress.console.print(event.text, highlight=False, markup=False, soft_wrap=True)
        jobs = f"{event.finished}/{event.total}"
        if self._task is None and event.total:
            self._task = self._progress.add_task("bbob", total=event.total_cost, jobs=jobs)
        if self._task is not None:
            self._progress.update(self._task, completed=event.cost, jobs=jobs)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
