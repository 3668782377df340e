import datetime as dt
from typing import Any

from adminlog.jobs import Report
from billing.subscriptions import expire_subscriptions
from core.batches import BatchCommand, as_problems


class Command(BatchCommand):
    help = (
        "End the subscriptions whose time is up: what was paid for goes to grace for GRACE_DAYS, then, like everything "
        "else at once, it expires. Safe at any rhythm, and any number of runs at once."
    )
    summary = "{grace} subscriptions went to grace, {expired} expired"

    def run(self, *, now: dt.datetime, **options: Any) -> Report:
        run = expire_subscriptions(now=now, batch_size=options["batch_size"])
        return Report(
            {"grace": run.grace, "expired": run.expired},
            problems=as_problems(run.refused),
        )
