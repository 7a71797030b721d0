"""A campaign as independent jobs: where each writes, how it is executed, what shows that it is done."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lmcma
from lmcma.bbob import score, trial
from lmcma.bbob.campaign import Campaign, MethodSpec
from lmcma.bbob.suites import check_problem, cocoex, open_problems, suite
from lmcma.errors import CampaignError

MANIFEST = "campaign.json"
MARKER = "job.json"
FORMAT = 1
# Results depend on these; a folder holds results of one value of each.
_FIXED = ("suite", "instances", "budget", "seed", "x0_box", "sigma0")
_GROWING = ("dims", "functions")


@dataclasses.dataclass(frozen=True)
class Job:
    """All instances of one function in one dimension, with one method."""

    spec: MethodSpec
    dim: int
    function: int

    @property
    def name(self) -> str:
        """The folder below the method's."""
        return f"d{self.dim:02d}_f{self.function:02d}"

    def __str__(self) -> str:
        return f"{self.spec.name} f{self.function} in {self.dim}-D"

    def folder(self, output: Path) -> Path:
        """Where its data go."""
        return output / "data" / self.spec.name / self.name

    def log(self, output: Path) -> Path:
        """Where the traceback goes when it fails."""
        return output / "logs" / f"{self.spec.name}_{self.name}.log"

    def cost(self, campaign: Campaign) -> int:
        """Evaluations it takes at most."""
        return campaign.max_evaluations(self.dim) * len(campaign.instances)


def plan(campaign: Campaign) -> list[Job]:
    """All jobs of a campaign, the longest first."""
    jobs = [
        Job(m, d, f) for d in sorted(campaign.dims, reverse=True) for m in campaign.methods for f in campaign.functions
    ]
    return sorted(jobs, key=lambda j: -j.cost(campaign))  # stable: by dimension, then as listed


def summary(job: Job, output: Path) -> Mapping[str, Any] | None:
    """What a finished job left, None while it is not finished."""
    try:
        marker = json.loads((job.folder(output) / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return marker if isinstance(marker, dict) and marker.get("format") == FORMAT else None


def execute(campaign: Campaign, job: Job) -> dict[str, Any]:
    """Run all trials of a job from scratch and leave its marker.

    Returns
    -------
    dict
        The contents of the marker: evaluations, seconds, trials, hits of the final target, ends.
    """
    folder = job.folder(campaign.output).absolute()
    shutil.rmtree(folder, ignore_errors=True)  # COCO would write to a folder of another name beside it
    if folder.exists():
        raise CampaignError(f"the unfinished job folder {str(folder)!r} cannot be removed. Remove it by hand.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    outcomes = _trials(campaign, job, folder)
    found = score.load(folder)
    trials = found[job.spec.name].trials.get((job.function, job.dim)) if job.spec.name in found else None
    if trials is None or trials.instances.tolist() != list(campaign.instances):
        got = [] if trials is None else trials.instances.tolist()
        raise CampaignError(
            f"COCO recorded trials of the instances {got} instead of {list(campaign.instances)} in {folder}."
        )
    marker = {
        "format": FORMAT,
        "lmcma": lmcma.__version__,
        "method": job.spec.name,
        "function": job.function,
        "dim": job.dim,
        "trials": len(outcomes),
        "evaluations": int(trials.lengths.sum()),
        "calls": sum(o.calls for o in outcomes),
        "hits": sum(o.target for o in outcomes),
        "ends": dict(Counter(o.reason for o in outcomes)),
        "seconds": round(time.perf_counter() - started, 3),
    }
    write_atomically(folder / MARKER, json.dumps(marker, indent=1))
    return marker


def _trials(campaign: Campaign, job: Job, folder: Path) -> list[trial.Outcome]:
    """Run the trials; COCO's files are closed when this returns."""
    name, options = suite(campaign.suite).observer
    observer = cocoex().Observer(
        name,
        f'{options}outer_folder: "{folder.parent}" result_folder: {folder.name} algorithm_name: {job.spec.name} '
        f'algorithm_info: "{job.spec.method}, lmcma {lmcma.__version__}"',
    )
    if Path(observer.result_folder) != folder:
        raise CampaignError(
            f"COCO writes to {observer.result_folder!r} instead of {str(folder)!r}. Choose another `output`."
        )
    outcomes: list[trial.Outcome] = []
    seen: Counter[int] = Counter()
    for problem, instance in zip(
        open_problems(campaign.suite, job.function, job.dim, campaign.instances),
        campaign.instances,
        strict=True,
    ):
        check_problem(problem, job.function, job.dim, instance)
        problem.observe_with(observer)
        outcomes.append(trial.run(campaign, job.spec, problem, seen[instance]))
        seen[instance] += 1
    del problem, observer
    gc.collect()
    return outcomes


def prepare(campaign: Campaign) -> list[str]:
    """Make the output folder, and store in it what the campaign is, or compare with what is stored.

    Returns
    -------
    list of str
        Remarks for the user.

    Raises
    ------
    CampaignError
        The folder holds results of other settings; the message says which.
    """
    path = campaign.output / MANIFEST
    settings = json.loads(json.dumps(campaign.settings()))
    notes: list[str] = []
    created = time.strftime("%Y-%m-%dT%H:%M:%S")
    versions = [lmcma.__version__]
    try:
        campaign.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CampaignError(
            f"`output` {str(campaign.output)!r} cannot be made: {error.strerror}. Choose another one."
        ) from None
    if path.exists():
        stored = read_manifest(campaign.output)
        assert stored is not None
        _compare(campaign.output, stored["campaign"], settings)
        created = stored["created"]
        settings = _union(stored["campaign"], settings)
        versions = list(dict.fromkeys([*stored["lmcma"], *versions]))
        if len(versions) > 1:
            notes.append(f"{campaign.output} holds results of lmcma {', '.join(versions)}")
    elif (campaign.output / "data").exists():
        raise CampaignError(
            f"`output` {str(campaign.output)!r} has a folder 'data' but no {MANIFEST}. Choose another one."
        )
    manifest = {"format": FORMAT, "lmcma": versions, "created": created, "campaign": settings}
    write_atomically(path, json.dumps(manifest, indent=1))
    (campaign.output / "logs").mkdir(exist_ok=True)
    return notes


def read_manifest(output: Path) -> dict[str, Any] | None:
    """The stored description of a campaign, None if the folder has none."""
    path = output / MANIFEST
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise CampaignError(f"{path} cannot be read: {error}. Choose another `output`, or remove the folder.") from None
    if not isinstance(stored, dict) or stored.get("format") != FORMAT:
        raise CampaignError(
            f"{path} is not of format {FORMAT}; it was written by another version. Choose another `output`."
        )
    return stored


def _compare(output: Path, stored: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    different = [f"{k} is {_short(stored[k])} there, {_short(new[k])} here" for k in _FIXED if stored[k] != new[k]]
    for name, method in new["methods"].items():
        there = stored["methods"].get(name, method)
        if there != method:
            different.append(f"method {name!r} is {_short(there)} there, {_short(method)} here")
    if different:
        raise CampaignError(
            f"`output` {str(output)!r} holds results of other settings: {'; '.join(different)}. Methods, dims and "
            "functions may be added; for anything else choose another `output`."
        )


def _union(stored: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    grown = {k: sorted({*stored[k], *new[k]}) for k in _GROWING}
    return {**new, **grown, "methods": {**stored["methods"], **new["methods"]}}


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that at any time there is the old one or the new one, whole."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
