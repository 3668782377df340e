"""What happened on each day of a span, to all contractors or in one contractor's channels. Every day is there."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import connection
from django.db.models import Count, Exists, OuterRef

from adminlog.days import day_in, days, within
from analytics.models import ViewsDaily
from core.models import Contractor

Figures = dict[dt.date, int]

# From the collected day before the span on: what came after a gap is spread over it.
ROLLED_UP = """
    SELECT day, collected, rolled_up_at, coalesce(views_gained, 0), coalesce(views_after_gap, 0), coalesce(joins, 0),
        coalesce(leaves, 0)
    FROM {figures}
    WHERE day < %(last)s AND day >= coalesce(
        (SELECT max(day) FROM analytics.daily_totals WHERE collected AND day < %(first)s), %(first)s)
    ORDER BY day
"""
OF_ALL = "analytics.daily_totals"
OF_ONE = """(SELECT day, collected, rolled_up_at FROM analytics.daily_totals) AS totals LEFT JOIN (
    SELECT day, sum(views_gained) AS views_gained, sum(views_after_gap) AS views_after_gap, sum(joins) AS joins,
        sum(leaves) AS leaves
    FROM core.channels AS channel JOIN analytics.channel_daily AS daily ON daily.channel_id = channel.id
    WHERE channel.contractor_id = %(contractor)s AND day >= %(first)s AND day < %(last)s
    GROUP BY day
) AS theirs USING (day)"""


@dataclass(frozen=True)
class Daily:
    """What roll_up_days counted."""

    # Of days whose gain is known.
    views: Figures
    # What came on days that were not collected, spread evenly over them and the one after.
    views_averaged: Figures
    # What was there before the first collected day, so that no day can be told.
    views_before: int
    joins: Figures
    leaves: Figures
    # When it was last counted; none if it never was.
    counted_at: dt.datetime | None


def rolled_up(*, first: dt.date, last: dt.date, contractor: int | None = None) -> Daily:
    with connection.cursor() as cursor:
        cursor.execute(
            ROLLED_UP.format(figures=OF_ALL if contractor is None else OF_ONE),
            {"first": first, "last": last, "contractor": contractor},
        )
        rows = cursor.fetchall()
    views, averaged, joins, leaves = (dict.fromkeys(days(first, last), 0) for _ in range(4))
    views_before, collected_before = 0, None
    for day, collected, _, gained, after_gap, joined, left in rows:
        if day >= first:
            views[day], joins[day], leaves[day] = int(gained - after_gap), int(joined), int(left)
            if collected_before is None:
                views_before += int(after_gap)
            else:
                gap = days(collected_before, day + dt.timedelta(days=1))[1:]
                for each, share in zip(gap, evenly(int(after_gap), len(gap)), strict=True):
                    if each >= first:
                        averaged[each] += share
        if collected:
            collected_before = day
    return Daily(views, averaged, views_before, joins, leaves, max((row[2] for row in rows), default=None))


def evenly(total: int, parts: int) -> Sequence[int]:
    """In whole numbers that are the total together."""
    return [total * (number + 1) // parts - total * number // parts for number in range(parts)]


def viewed(*, first: dt.date, last: dt.date) -> Exists:
    """For a queryset of publications: those that gained. A row is written only where the total differs."""
    return Exists(ViewsDaily.objects.filter(publication=OuterRef("pk"), collected_at__gte=first, collected_at__lt=last))


def new_contractors(*, first: dt.date, last: dt.date) -> Figures:
    joined = Contractor.objects.filter(within("created_at", first, last))
    counted = joined.values_list(day_in("created_at")).annotate(Count("pk")).order_by()
    return _every_day(counted, first=first, last=last)


def _every_day(figures: Iterable[tuple[dt.date, int]], *, first: dt.date, last: dt.date) -> Figures:
    return dict.fromkeys(days(first, last), 0) | {day: int(figure) for day, figure in figures}
