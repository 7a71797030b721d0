"""Run the jobs of a campaign in worker processes: resumable, and unimpressed by jobs that raise or die."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import os
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import IO, Any, TypeAlias

from lmcma.bbob import jobs
from lmcma.bbob.campaign import Campaign
from lmcma.bbob.jobs import Job
from lmcma.errors import CampaignError
from lmcma.evaluate.processes import Processes

ATTEMPTS = 2
_Outcome: TypeAlias = tuple[dict[str, Any] | None, str]  # the marker, or the last line of a traceback


class Kind(enum.StrEnum):
    """What an `Event` reports."""

    NOTE = "note"
    BEGIN = "begin"
    DONE = "done"
    RETRY = "retry"
    FAILED = "failed"


@dataclasses.dataclass(frozen=True)
class Event:
    """Something to show to whoever waits.

    Parameters
    ----------
    kind : Kind
        What happened.
    text : str
        For people; empty for `DONE`.
    job : Job or None
        Which job it is about.
    cost, total_cost : float
        Expected evaluations, at most, of the jobs finished so far and of all jobs to be run now.
    finished, total : int
        The same, counted in jobs.
    """

    kind: Kind
    text: str = ""
    job: Job | None = None
    cost: float = 0.0
    total_cost: float = 0.0
    finished: int = 0
    total: int = 0


@dataclasses.dataclass(frozen=True)
class Failure:
    """A job that could not be finished: why, and where the whole story is."""

    job: Job
    reason: str
    log: Path


@dataclasses.dataclass(frozen=True)
class Summary:
    """What a run of a campaign came to.

    Parameters
    ----------
    skipped, finished : int
        Jobs found finished, jobs finished now.
    failures : list of Failure
        Jobs without results.
    """

    skipped: int
    finished: int
    failures: list[Failure]


Progress: TypeAlias = Callable[[Event], None]


def run(campaign: Campaign, progress: Progress = lambda event: None) -> Summary:
    """Run what is not finished yet.

    Worker processes are spawned: a script that calls this needs ``if __name__ == "__main__":``.

    Parameters
    ----------
    campaign : Campaign
        What to run.
    progress : callable
        Called with an `Event` whenever something happens, in this process.

    Returns
    -------
    Summary

    Raises
    ------
    CampaignError
        The output folder belongs to another campaign, or is in use.
    KeyboardInterrupt
        The user's; workers are gone then, and a further `run` goes on with the jobs not finished.
    """
    notes = jobs.prepare(campaign)
    with _lock(campaign.output):
        every = jobs.plan(campaign)
        todo = [j for j in every if jobs.summary(j, campaign.output) is None]
        for note in notes:
            progress(Event(Kind.NOTE, note))
        return _Run(campaign, todo, progress, skipped=len(every) - len(todo)).go()


class _Run:
    """The state of a run in the parent process."""

    def __init__(self, campaign: Campaign, todo: list[Job], progress: Progress, skipped: int) -> None:
        self.campaign = campaign
        self.progress = progress
        self.skipped = skipped
        self.waiting = deque(todo)
        self.suspects: deque[Job] = (
            deque()
        )  # were running when a worker died; run again alone, so that blame is certain
        self.attempts: dict[Job, int] = {}
        self.failures: list[Failure] = []
        self.finished = 0
        self.cost = 0.0
        self.log = campaign.output / "logs" / "workers.log"
        self.total = len(todo)
        self.total_cost = float(sum(j.cost(campaign) for j in todo))

    def go(self) -> Summary:
        self.report(Kind.BEGIN, f"{self.total} jobs to run, {self.skipped} finished before")
        while self.waiting or self.suspects:
            self.with_one_pool()
        return Summary(self.skipped, self.finished, self.failures)

    def report(self, kind: Kind, text: str = "", job: Job | None = None) -> None:
        done = self.finished + len(self.failures)
        self.progress(Event(kind, text, job, self.cost, self.total_cost, done, self.total))

    def with_one_pool(self) -> None:
        """Run jobs until none is left or a worker dies, which spoils the pool."""
        alone = bool(self.suspects)
        queue = self.suspects if alone else self.waiting
        count = 1 if alone else min(self.campaign.workers or os.cpu_count() or 1, len(queue))
        running: dict[Future[_Outcome], Job] = {}
        broken = False
        with Processes(count, _begin_worker, str(self.log.absolute()), threads=1) as pool:
            # Never more jobs in the pool than workers: what is in the pool is running.
            while running or (queue and not broken):
                while queue and len(running) < count and not broken:
                    job = queue.popleft()
                    own = dataclasses.replace(self.campaign, methods=(job.spec,))
                    try:
                        running[pool.submit(_work, own, job)] = job
                    except BrokenProcessPool:
                        queue.appendleft(job)
                        broken = True
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    job = running.pop(future)
                    try:
                        marker, reason = future.result()
                    except BrokenProcessPool:
                        broken = True
                        self.died(job, blamed=alone)
                    else:
                        self.ended(job, marker, reason)

    def ended(self, job: Job, marker: dict[str, Any] | None, reason: str) -> None:
        self.cost += job.cost(self.campaign)
        if marker is not None:
            self.finished += 1
            self.report(Kind.DONE, job=job)
        else:
            self.fail(job, reason, job.log(self.campaign.output))

    def died(self, job: Job, blamed: bool) -> None:
        """A worker process ended while `job` was running, here or in another process of the pool."""
        if jobs.summary(job, self.campaign.output) is not None:
            self.ended(job, {}, "")
            return
        self.attempts[job] = self.attempts.get(job, 0) + 1
        if blamed and self.attempts[job] >= ATTEMPTS:
            self.cost += job.cost(self.campaign)
            reason = f"its worker process died {self.attempts[job]} times (killed, out of memory, or a crash)"
            self.fail(job, reason, self.log)
        else:
            self.suspects.append(job)
            self.report(Kind.RETRY, f"a worker process died; {job} is run again", job)

    def fail(self, job: Job, reason: str, log: Path) -> None:
        self.failures.append(Failure(job, reason, log))
        self.report(Kind.FAILED, f"{job} failed: {reason}; see {log}", job)


# ---------------------------------------------------------------- in the worker


def _begin_worker(log: str) -> None:
    """Have what a worker prints, and why it crashes, written to a file."""
    import faulthandler

    sink = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (1, 2):
        os.dup2(sink, stream)
    os.close(sink)
    faulthandler.enable(file=2)
    import scipy.linalg  # noqa: F401 - so that its BLAS is there to be limited


def _work(campaign: Campaign, job: Job) -> _Outcome:
    """Run a job; an exception becomes a log file and its last line."""
    try:
        marker = jobs.execute(campaign, job)
    except Exception as error:
        text = "".join(traceback.format_exception(error))
        jobs.write_atomically(job.log(campaign.output), text)
        return None, traceback.format_exception_only(error)[0].strip().splitlines()[0]
    job.log(campaign.output).unlink(missing_ok=True)
    return marker, ""


# ---------------------------------------------------------------- one run at a time


@contextlib.contextmanager
def _lock(output: Path) -> Iterator[None]:
    """Keep a second run out of the folder; the lock goes with this process, however it ends."""
    with (output / ".lock").open("a") as file:
        _acquire(file, output)
        yield


def _acquire(file: IO[str], output: Path) -> None:
    if sys.platform == "win32":  # no such lock there
        return
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise CampaignError(
            f"`output` {str(output)!r} is in use by another running campaign. Wait for it, or choose another."
        ) from None
