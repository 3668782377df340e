import datetime as dt
from typing import Any

from django.core.management.base import CommandParser

from adminlog.jobs import JobCommand, Report
from analytics.statistics import aggregate_stats


class Command(JobCommand):
    help = (
        "Write today's running totals of views, then bring channel statistics up to date: of the channels in which"
        " something changed since the last run."
    )
    summary = "{snapshots} daily views and {channels} channel statistics written, {looked_at} channels looked at"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--full", action="store_true", help="look at all channels, which also mends what was changed by hand"
        )

    def run(self, *, now: dt.datetime, **options: Any) -> Report:
        return Report(aggregate_stats(now=now, full=options["full"])._asdict())
