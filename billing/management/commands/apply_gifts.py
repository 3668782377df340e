import datetime as dt
from typing import Any

from django.core.management.base import CommandParser

from adminlog.jobs import JobCommand, Report, positive
from billing.gifts import apply_gifts


class Command(JobCommand):
    help = (
        "Start the oldest pending gift of every contractor who is not blocked and has no live paid subscription. "
        "Safe at any rhythm, and any number of runs at once."
    )
    summary = (
        "{applied} gifts applied, {waiting} contractors waiting behind a paid plan, {blocked} blocked, {failed} failed"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--batch-size", type=positive, default=1000, help="contractors a transaction (default 1000)"
        )

    def run(self, *, now: dt.datetime, **options: Any) -> Report:
        run = apply_gifts(now=now, batch_size=options["batch_size"])
        return Report(
            {"applied": run.applied, "waiting": run.waiting, "blocked": run.blocked, "failed": len(run.refused)},
            problems=[str(refusal) for refusal in run.refused],
        )
