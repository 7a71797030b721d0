"""What a report is made from: output folders of campaigns, COCO folders, and compact files, all alike.

A compact file is text (gzipped if its name ends in ``.gz``): a JSON header behind ``#``, then one row a trial
with ``method,function,dim,instance,evaluations,hits``, where `hits` are the increments between the
evaluations at which successive targets of the grid were hit; missed targets, always the last, are left out.
"""

from __future__ import annotations

import csv
import dataclasses
import gzip
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lmcma.bbob import jobs, score
from lmcma.bbob.score import Results, Trials
from lmcma.bbob.targets import targets_of
from lmcma.errors import CampaignError

FORMAT = 1
_COLUMNS = ["method", "function", "dim", "instance", "evaluations", "hits"]


@dataclasses.dataclass(frozen=True)
class Run:
    """The results of a campaign, with what is known of it.

    Parameters
    ----------
    name : str
        Of the folder or file.
    results : mapping
        `Results` by method label.
    about : mapping
        The stored description (``lmcma``, ``created``, ``campaign``); empty for folders of other programs.
    folders : mapping
        The folder of COCO's data by method label; empty for compact files.
    """

    name: str
    results: Mapping[str, Results]
    about: Mapping[str, Any]
    folders: Mapping[str, Path]


def load(path: str | Path) -> Run:
    """Read an output folder of a campaign, another folder with COCO's data, or a compact file."""
    path = Path(path)
    if path.is_file():
        return load_compact(path)
    if not path.is_dir():
        raise CampaignError(f"there is no {str(path)!r}. Give the output folder of a campaign, or a compact file.")
    about = jobs.read_manifest(path) or {}
    results = score.load(path / "data" if about else path)
    # In a campaign's folder the order of the methods is the one they were asked for.
    asked = [m for m in about.get("campaign", {}).get("methods", {}) if m in results]
    ordered = {m: results[m] for m in [*asked, *(m for m in results if m not in asked)]}
    folders = {m: path / "data" / m for m in ordered} if about else dict.fromkeys(ordered, path)
    return Run(path.resolve().name, ordered, about, folders)


def merge(runs: Sequence[Run]) -> dict[str, Results]:
    """The methods of several runs side by side; equal names get the name of their run behind an @."""
    suites = sorted({r.suite for run in runs for r in run.results.values()})
    if len(suites) != 1:
        raise CampaignError(f"the runs are of several suites, {', '.join(suites)}. Report each suite by itself.")
    count: dict[str, int] = {}
    for run in runs:
        for name in run.results:
            count[name] = count.get(name, 0) + 1
    merged: dict[str, Results] = {}
    for number, run in enumerate(runs, start=1):
        for name, results in run.results.items():
            label = name if count[name] == 1 else f"{name} @ {run.name}"
            if label in merged:
                label = f"{label} ({number})"
            merged[label] = dataclasses.replace(results, name=label)
    return merged


def save_compact(path: str | Path, run: Run) -> None:
    """Write the hit evaluations and lengths of all trials to one small file, ``.csv`` or ``.csv.gz``.

    >>> import tempfile, pathlib
    >>> trials = Trials(np.array([1]), np.array([300]), np.full((1, 51), np.nan))
    >>> run = Run("x", {"a": Results("a", "bbob", {(1, 2): trials})}, {}, {})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_compact(pathlib.Path(folder) / "x.csv", run)
    ...     load_compact(pathlib.Path(folder) / "x.csv").results["a"].solved(2)
    0.0
    """
    path = Path(path)
    if not path.name.endswith((".csv", ".csv.gz")):
        raise CampaignError(f"a compact file must be named .csv or .csv.gz; got {path.name!r}.")
    suites = {r.suite for r in run.results.values()}
    head = {"format": FORMAT, "suite": suites.pop(), "name": run.name, "about": dict(run.about)}
    if suites:
        raise CampaignError("a compact file holds one suite; the run has several. Save each by itself.")
    text = io.StringIO()
    text.write(f"# {json.dumps(head)}\n")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for name, results in run.results.items():
        for (function, dim), trials in sorted(results.trials.items()):
            for instance, length, hits in zip(trials.instances, trials.lengths, trials.hits, strict=True):
                steps = np.diff(hits[np.isfinite(hits)], prepend=0.0).astype(np.int64)
                writer.writerow([name, function, dim, instance, length, " ".join(map(str, steps))])
    data = text.getvalue().encode()
    if path.name.endswith(".gz"):
        data = gzip.compress(data, mtime=0)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(data)
    temporary.replace(path)


def load_compact(path: str | Path) -> Run:
    """Read a file of `save_compact`."""
    path = Path(path)
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode()
        first, _, rest = text.partition("\n")
        head = json.loads(first.removeprefix("#"))
        if head["format"] != FORMAT:
            raise CampaignError(f"{path} is a compact file of format {head['format']}, this version reads {FORMAT}.")
        reader = csv.reader(io.StringIO(rest))
        if next(reader) != _COLUMNS:
            raise ValueError("other columns")
        rows: dict[str, dict[tuple[int, int], list[tuple[int, int, str]]]] = {}
        for name, function, dim, instance, length, hits in reader:
            problems = rows.setdefault(name, {})
            problems.setdefault((int(function), int(dim)), []).append((int(instance), int(length), hits))
        width = len(targets_of(head["suite"]).grid)
        results = {
            name: Results(name, head["suite"], {key: _trials(found, width) for key, found in problems.items()})
            for name, problems in rows.items()
        }
        return Run(head["name"], results, head["about"], {})
    except OSError as error:
        raise CampaignError(f"{path} cannot be read: {error.strerror}.") from None
    except CampaignError:
        raise
    except (ValueError, KeyError, TypeError, EOFError, StopIteration, AttributeError) as error:
        raise CampaignError(
            f"{path} is not a compact results file ({type(error).__name__}: {error}). Give one, or a folder."
        ) from None


def _trials(rows: list[tuple[int, int, str]], width: int) -> Trials:
    hits = np.full((len(rows), width), np.nan)
    for row, (_, _, text) in zip(hits, rows, strict=True):
        steps = np.cumsum([int(s) for s in text.split()])
        row[: len(steps)] = steps
    return Trials(
        np.array([i for i, _, _ in rows], dtype=np.int64),
        np.array([n for _, n, _ in rows], dtype=np.int64),
        hits,
    )
