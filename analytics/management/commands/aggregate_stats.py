import datetime as dt
from typing import Any

from adminlog.jobs import JobCommand, Report
from analytics.statistics import recount_channels, snapshot_views


class Command(JobCommand):
    help = "Write today's running totals of views, then bring every channel's statistics up to date."
    summary = "{snapshots} daily views and {channels} channel statistics written"

    def run(self, *, now: dt.datetime, **options: Any) -> Report:
        return Report({"snapshots": snapshot_views(now=now), "channels": recount_channels(now=now)})
