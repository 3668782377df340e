import datetime as dt
from typing import Any

from django.core.management.base import CommandParser

from adminlog.jobs import JobCommand, Report, calendar_day
from analytics.rollup import roll_up_days


class Command(JobCommand):
    help = (
        "Count what each day brought each channel: views, files, joins and leaves. A day is counted anew until "
        "ROLLUP_OPEN_DAYS after its end."
    )
    summary = "{days} days counted, {written} rows written, {removed} removed, {kept} kept that fewer rows are left for"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--since", type=calendar_day, help="closed days from this one on too, such as 2026-01-31")

    def run(self, *, now: dt.datetime, **options: Any) -> Report:
        return Report(roll_up_days(now=now, since=options["since"]))
