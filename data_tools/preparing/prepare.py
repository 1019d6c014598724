"""Doing all jobs of a preparation: side by side, once each, with a report at the end."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from actiondet.video.names import without_suffix
from data_tools.disk import remove
from data_tools.output_folder import alone_in, check_writable, clear_unfinished
from data_tools.preparing.jobs import Job, Outcome, do
from data_tools.preparing.journal import Journal
from data_tools.preparing.sources import is_same
from data_tools.workers import Crash, side_by_side
from evaluation.errors import InputError
from evaluation.progress import ProgressBar

_SHOWN = 10


@dataclass(frozen=True)
class Summary:
    """What became of all jobs.

    Attributes:
        folder: of the data set.
        report: the file that lists every output.
        outcomes: one a job, in the order of the jobs; jobs that a stop left undone have none.
        jobs: how many there were.
    """

    folder: Path
    report: Path
    outcomes: tuple[Outcome, ...]
    jobs: int

    @property
    def ready(self) -> frozenset[str]:
        """Names of the outputs that are there."""
        return frozenset(outcome.name for outcome in self.outcomes if outcome.ready)

    @property
    def missing(self) -> bool:
        """A source was not found."""
        return any(outcome.state == "missing" for outcome in self.outcomes)

    @property
    def stopped(self) -> str | None:
        """Why the run ended early; None if it did not."""
        return next((outcome.reason for outcome in self.outcomes if outcome.state == "stopped"), None)

    def exit_code(self, *, allow_missing: bool = False) -> int:
        """1 if an output is not there; with `allow_missing` those without a source do not count."""
        pardoned = ("made", "kept", "missing") if allow_missing else ("made", "kept")
        return int(any(outcome.state not in pardoned for outcome in self.outcomes))

    def __str__(self) -> str:
        counts = Counter(outcome.state for outcome in self.outcomes)
        text = f"{self.folder}: {len(self.ready)} of {self.jobs} are ready ({counts['made']} made now"
        text += f", {counts['kept']} before)" if counts["kept"] else ")"
        text += "".join(f", {counts[state]} {state}" for state in ("failed", "missing") if counts[state])
        lines = [f"{text}; {self.report} lists each"]
        for state in ("failed", "missing"):
            shown = [outcome for outcome in self.outcomes if outcome.state == state]
            lines += [f"  {state}: {outcome.name}: {outcome.reason}" for outcome in shown[:_SHOWN]]
            lines += [f"  {state}: and {len(shown) - _SHOWN} more"] if len(shown) > _SHOWN else []
        if self.stopped is not None:
            lines.append(f"stopped: {self.stopped}; make room and run the same command again, it goes on from here")
        return "\n".join(lines)


def prepare(folder: Path, jobs: Sequence[Job], *, processes: int, title: str) -> Summary:
    """Do the jobs that earlier runs have not done.

    An output has its final name only if it is whole. What an earlier run made is kept if prepared.csv notes it with
    the same order and it still opens with as many frames.

    Args:
        folder: of the data set; made if missing.
        jobs: with different names.
        processes: how many work at once.
        title: of the progress bar.

    Raises:
        InputError: the folder cannot be written to, or another run is writing to it.
    """
    names = Counter(job.name for job in jobs)
    if (twice := next((name for name, count in names.items() if count > 1), None)) is not None:
        raise InputError(f"{twice} would be made twice; expected every clip once in the annotations")
    check_writable(folder)
    folders = list(dict.fromkeys([folder, *((folder / job.name).parent for job in jobs)]))
    with alone_in(folder):
        journal = Journal(folder)
        done = journal.done
        clear_unfinished(folders)
        journal.begin()
        outcomes: dict[int, Outcome] = {}
        tasks = [(job, done.get(job.name)) for job in jobs]
        earlier = {without_suffix(name): name for name in done}
        work = side_by_side(partial(do, folder), tasks, min(processes, max(1, len(tasks))))
        try:
            with ProgressBar(title, len(jobs), stream=sys.stderr) as progress:
                failed = 0
                for place, result in work:
                    outcome = _of_crash(jobs[place], result) if isinstance(result, Crash) else result
                    outcomes[place] = outcome = _noted(journal, outcome)
                    if outcome.state == "made" and (other := earlier.get(without_suffix(outcome.name))):
                        _replace_other_form(folder, other, jobs[place], journal)
                    failed += not outcome.ready
                    progress.advance(f"{failed} not done" if failed else "")
                    if outcome.state == "stopped":
                        break
        finally:
            work.close()
            journal.close()
            clear_unfinished(folders)
        summary = Summary(folder, journal.path, tuple(outcomes[place] for place in sorted(outcomes)), len(jobs))
        if summary.stopped is None:
            journal.finish()
    return summary


def _replace_other_form(folder: Path, other: str, job: Job, journal: Journal) -> None:
    """Remove what an earlier run made of the same video with another suffix: data sets know it by its name without.

    The source itself is left alone, if it lies there.
    """
    path = folder / other
    if other != job.name and (path.is_symlink() or job.source is None or not is_same(Path(job.source), path)):
        remove(path)
        journal.forget(other)


def _noted(journal: Journal, outcome: Outcome) -> Outcome:
    """The outcome, or a stop where it could not even be noted: without room for a line."""
    # Paths that are not text come along in escapes: else they could be neither noted nor printed.
    outcome = replace(outcome, reason=outcome.reason.encode("utf-8", "backslashreplace").decode())
    try:
        if outcome.state != "stopped":
            journal.add(outcome)
    except OSError as fault:
        return replace(outcome, state="stopped", reason=f"{journal.path}: {fault.strerror}")
    return outcome


def _of_crash(job: Job, crash: Crash) -> Outcome:
    reason = f"{job.source}: the process that worked on it died ({crash.how}); damaged, or too large for the memory?"
    return Outcome(job.name, "failed", job.order, reason=reason)
