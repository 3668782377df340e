"""What happened on each day of a span, to all contractors or in one contractor's channels. Every day is there."""

import datetime as dt
from collections.abc import Iterable

from django.db import connection
from django.db.models import Count, Exists, OuterRef

from adminlog.days import day_in, days, within
from analytics.models import Event, ViewsDaily
from core.models import Contractor

Figures = dict[dt.date, int]

# A day's total less the newest one before it. That is looked up only for a publication's first row of the span: within
# it the rows lie side by side.
VIEWS = """
    SELECT collected_at, sum(views - views_before)
    FROM (
        SELECT collected_at, views, coalesce(
            lag(views) OVER (PARTITION BY publication_id ORDER BY collected_at),
            (
                SELECT views FROM analytics.views_daily
                WHERE publication_id = daily.publication_id AND collected_at < daily.collected_at
                ORDER BY collected_at DESC LIMIT 1
            ),
            0
        ) AS views_before
        FROM {rows}
        WHERE collected_at >= %(first)s AND collected_at < %(last)s
    ) AS gained
    GROUP BY collected_at
"""
OF_ALL = "analytics.views_daily AS daily"
OF_ONE = """(
    SELECT publication.id AS publication_id
    FROM core.channels AS channel JOIN core.publications AS publication ON publication.channel_id = channel.id
    WHERE channel.contractor_id = %(contractor)s
) AS theirs JOIN analytics.views_daily AS daily USING (publication_id)"""


def views_gained(*, first: dt.date, last: dt.date, contractor: int | None = None) -> Figures:
    """Deleted publications count for as long as they have rows."""
    sql = VIEWS.format(rows=OF_ALL if contractor is None else OF_ONE)
    with connection.cursor() as cursor:
        cursor.execute(sql, {"first": first, "last": last, "contractor": contractor})
        return _every_day(cursor.fetchall(), first=first, last=last)


def viewed(*, first: dt.date, last: dt.date) -> Exists:
    """For a queryset of publications: those that gained. A row is written only where the total differs."""
    return Exists(ViewsDaily.objects.filter(publication=OuterRef("pk"), collected_at__gte=first, collected_at__lt=last))


def joins_and_leaves(*, first: dt.date, last: dt.date, contractor: int | None = None) -> tuple[Figures, Figures]:
    joins, leaves = Event.Type.CLIENT_JOIN, Event.Type.CLIENT_LEAVE
    events = Event.objects.filter(within("created_at", first, last), event_type__in=[joins, leaves])
    if contractor is not None:
        events = events.filter(channel__contractor=contractor)
    counted = events.values_list("event_type", day_in("created_at")).annotate(Count("pk")).order_by()
    by_type: dict[str, list[tuple[dt.date, int]]] = {joins: [], leaves: []}
    for event_type, day, count in counted:
        by_type[event_type].append((day, count))
    return _every_day(by_type[joins], first=first, last=last), _every_day(by_type[leaves], first=first, last=last)


def new_contractors(*, first: dt.date, last: dt.date) -> Figures:
    joined = Contractor.objects.filter(within("created_at", first, last))
    counted = joined.values_list(day_in("created_at")).annotate(Count("pk")).order_by()
    return _every_day(counted, first=first, last=last)


def _every_day(figures: Iterable[tuple[dt.date, int]], *, first: dt.date, last: dt.date) -> Figures:
    return dict.fromkeys(days(first, last), 0) | {day: int(figure) for day, figure in figures}
