"""The tables that only grow: a partition for each month, ready before it begins."""

import datetime as dt
from dataclasses import dataclass, field

from django.db import DatabaseError

from smetabot.postgres.locks import is_busy
from smetabot.postgres.partitions import MonthlyTable, run

EVENTS = MonthlyTable("analytics", "events", "created_at")
VIEWS_DAILY = MonthlyTable("analytics", "views_daily", "collected_at")


@dataclass
class Kept:
    months_made: int = 0
    rows_moved: int = 0
    # Of no month that anybody could mean.
    rows_left: int = 0
    problems: list[str] = field(default_factory=list)


def make_months(*, now: dt.datetime) -> Kept:
    """Those ahead first, so that nobody writes in the default partition any more, then those that rows there are of."""
    kept = Kept()
    for table in (EVENTS, VIEWS_DAILY):
        waiting, outside = table.waiting(now=now)
        kept.rows_left += outside
        for month in dict.fromkeys([*table.months_ahead(now=now), *waiting]):
            try:
                moved = table.make_month(month)
            except DatabaseError as error:
                if not is_busy(error):
                    raise
                kept.problems.append(
                    f"{table}: somebody holds a lock on it, so {month:%B %Y} and the months after it are not made yet"
                )
                break
            if moved is not None:
                kept.months_made += 1
                kept.rows_moved += moved
    return kept


def analyze() -> None:
    """Autovacuum knows only the partitions, and the planner asks for statistics of the whole, too."""
    run(f"ANALYZE {EVENTS.sql()}, {VIEWS_DAILY.sql()}")
