import datetime as dt
from typing import Any

from adminlog.jobs import Report
from core.batches import BatchCommand, as_problems
from referrals.cycles import advance_referrals


class Command(BatchCommand):
    help = (
        "Qualify referrals, count them in their referrers' cycles and queue a gift for each full cycle. "
        "Safe at any rhythm, and any number of runs at once."
    )
    summary = "{qualified} referrals qualified, {cycles_completed} cycles completed, {rewards_queued} rewards queued"

    def run(self, *, now: dt.datetime, **options: Any) -> Report:
        run = advance_referrals(now=now, batch_size=options["batch_size"])
        return Report(
            {
                "qualified": run.qualified,
                "cycles_completed": run.cycles_completed,
                "rewards_queued": run.rewards_queued,
            },
            problems=as_problems(run.refused),
        )
