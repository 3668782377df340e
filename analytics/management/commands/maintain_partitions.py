import datetime as dt
from typing import Any

from django.core.management.base import CommandParser

from adminlog.jobs import JobCommand, Report
from analytics.archive import retire_months
from analytics.partitions import analyze, make_months


class Command(JobCommand):
    help = (
        "Make the partitions of the coming months, move rows out of the default one, and archive months of events that "
        "are older than EVENTS_RETENTION_MONTHS. A dry run holds its locks to its end."
    )
    summary = (
        "{months_made} months made, {rows_moved} rows moved there, {rows_left} rows of no such month left; "
        "{months_detached} months archived and detached, {tables_dropped} dropped"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--drop", action="store_true", help="drop months detached before that the archive holds")

    def handle(self, *, dry_run: bool, **options: Any) -> None:
        super().handle(dry_run=dry_run, rehearsed=dry_run, **options)

    def run(self, *, now: dt.datetime, **options: Any) -> Report:
        kept = make_months(now=now)
        retired = retire_months(now=now, drop=options["drop"], rehearsed=options["rehearsed"])
        analyze()
        counts = {
            "months_made": kept.months_made,
            "rows_moved": kept.rows_moved,
            "rows_left": kept.rows_left,
            "months_detached": retired.months_detached,
            "tables_dropped": retired.tables_dropped,
        }
        return Report(counts, problems=[*kept.problems, *retired.problems])
