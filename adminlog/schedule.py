"""Whether cron's jobs run: settings.CRONJOBS says which there are and when, admin.job_runs what became of them."""

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice, pairwise, takewhile

from cronsim import CronSim
from django.conf import settings
from django.db.models import Count

from adminlog.days import within
from adminlog.models import JobRun

# A run may take so long before the next one is missed, and before it is taken for killed.
ALLOWANCE = dt.timedelta(hours=1)
RECENT = 24
# The job that looks after the others: when it runs first, they begin to be expected.
WATCH = "watch_jobs"

# Each command's latest runs, from the index, however many there are.
RECENT_RUNS = """
    SELECT run.*
    FROM unnest(%(commands)s::text[]) AS job (command)
    CROSS JOIN LATERAL (
        SELECT * FROM admin.job_runs WHERE command = job.command ORDER BY started_at DESC LIMIT %(most)s
    ) AS run
"""


@dataclass(frozen=True)
class Job:
    command: str
    cron: str

    def longest_gap(self, *, at: dt.datetime) -> dt.timedelta:
        """Between two of its times. Cron's own time zone is not known here; a gap is the same in every one."""
        return max(later - earlier for earlier, later in pairwise(islice(CronSim(self.cron, at), 10)))

    def is_late(self, finished: dt.datetime | None, *, at: dt.datetime) -> bool:
        """By when the last run that came to an end began."""
        return finished is None or at - finished > self.longest_gap(at=at) + ALLOWANCE


@dataclass(frozen=True)
class Health:
    job: Job
    # The newest first.
    runs: Sequence[JobRun]
    at: dt.datetime

    @property
    def last(self) -> JobRun | None:
        return self.runs[0] if self.runs else None

    @property
    def last_finished(self) -> JobRun | None:
        return next((run for run in self.runs if run.finished_at), None)

    @property
    def is_running(self) -> bool:
        """As far as can be told: a run without an end that began long ago was killed."""
        return self.last is not None and self.last.finished_at is None and self.at - self.last.started_at < ALLOWANCE

    @property
    def killed(self) -> JobRun | None:
        """The last run that was killed or hangs, unless a later one has come to an end."""
        without_end = takewhile(lambda run: run.finished_at is None, self.runs)
        return next((run for run in without_end if self.at - run.started_at >= ALLOWANCE), None)

    @property
    def failure(self) -> JobRun | None:
        """The last run that came to an end, if that was a bad one."""
        finished = self.last_finished
        return finished if finished and finished.outcome == JobRun.Outcome.FAILED else None

    @property
    def is_late(self) -> bool:
        """No run that was begun in time has come to an end; one that never ran is late, too."""
        finished = self.last_finished
        return self.job.is_late(finished.started_at if finished else None, at=self.at)


def jobs() -> list[Job]:
    return [Job(arguments[0], cron) for cron, _function, arguments in settings.CRONJOBS]


def health(*, at: dt.datetime) -> list[Health]:
    """Of each job, in one query."""
    known = jobs()
    runs = defaultdict(list)
    for run in JobRun.objects.raw(RECENT_RUNS, {"commands": [job.command for job in known], "most": RECENT}):
        runs[run.command].append(run)
    for of_one in runs.values():
        of_one.sort(key=lambda run: (run.started_at, run.pk), reverse=True)
    return [Health(job, runs[job.command], at) for job in known]


def failures(*, first: dt.date, last: dt.date) -> Counter[str]:
    """How many runs that began in these days failed, by command."""
    failed = JobRun.objects.filter(within("started_at", first, last), outcome=JobRun.Outcome.FAILED)
    return Counter(dict(failed.values_list("command").annotate(Count("pk")).order_by()))
