import datetime as dt
from typing import Any

from adminlog.jobs import Report
from billing.gifts import apply_gifts
from core.batches import BatchCommand


class Command(BatchCommand):
    help = (
        "Start the oldest pending gift of every contractor who is not blocked and has no live paid subscription. "
        "Safe at any rhythm, and any number of runs at once."
    )
    summary = (
        "{applied} gifts applied, {waiting} contractors waiting behind a paid plan, {blocked} blocked, {failed} failed"
    )

    def run(self, *, now: dt.datetime, **options: Any) -> Report:
        run = apply_gifts(now=now, batch_size=options["batch_size"])
        return Report(
            {"applied": run.applied, "waiting": run.waiting, "blocked": run.blocked, "failed": len(run.refused)},
            problems=[str(refusal) for refusal in run.refused],
        )
