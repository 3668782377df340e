import datetime as dt
from typing import Any

from adminlog import leftovers
from adminlog.jobs import JobCommand, Report


class Command(JobCommand[Report]):
    help = "Remove sessions that have ended, failed logins that count no more, and old runs of watch_jobs."
    summary = "{sessions} sessions, {attempts} failed logins, {runs} job runs removed"

    def run(self, *, now: dt.datetime, **options: Any) -> Report:
        return Report(leftovers.clear(now=now))
