"""Daily figures, a day at a time: of each channel, and of all together.

A day stays open until ROLLUP_OPEN_DAYS after its end. While it is, each run makes it anew of what rows there are. From
then on, what it came from may go (deleted publications, old events), so nothing is replaced by what fewer rows say,
views and events each for themselves; the first run then counts it once more, and later ones only when asked to.
"""

import datetime as dt
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Min
from django.db.models.functions import Coalesce

from adminlog.days import day_in, day_of, days, start_of
from adminlog.models import JobRun
from analytics.models import DailyTotals, Event, ViewsDaily
from smetabot.postgres.retry import retry_transient

DAY = dt.timedelta(days=1)
# Telegram has had channels since that year; what is dated earlier is a mistake, and would be centuries of days.
EARLIEST = dt.date(2015, 1, 1)
# A `now` further ahead of the database's clock is a mistake as well.
FURTHEST = dt.timedelta(days=366)

# It holds the day's row to the end of the transaction: of two runs at once the second counts after the first. A time
# that has not come yet is that of a run whose clock was ahead, and gives way.
CLAIM_DAY = """
    INSERT INTO analytics.daily_totals AS totals (day, collected, rolled_up_at)
    VALUES (%(day)s, %(collected)s, %(now)s)
    ON CONFLICT (day) DO UPDATE
    SET collected = excluded.collected, rolled_up_at = greatest(
        excluded.rolled_up_at, CASE WHEN totals.rolled_up_at <= clock_timestamp() THEN totals.rolled_up_at END
    )
"""

# All is added up in differences: what the rows say now, less what stood there. Channel 0 is what the totals have beyond
# the channels: events without one, and channels deleted since.
# A gain came after a gap if neither a row of the publication nor a run told on the day before how it stood, and it was
# there by then. The newest row before is looked for in this month and the last one, and only then in all that there
# are: they would be opened for each publication. The day's rows are added up and not joined: of a new day the planner
# knows nothing, and would go through all rows for each row.
# KEY SHARE keeps a channel that the bot deletes meanwhile from failing all of it at the foreign key; only rows that
# change are written, and only their channels are held.
ROLL_UP = """
    WITH figures (
        sign, channel_id, views_gained, views_after_gap, view_rows, files, joins, leaves, event_rows
    ) AS (
        SELECT 1, publication.channel_id, sum(daily.views - coalesce((before.row).views, 0)),
            coalesce(sum(daily.views - coalesce((before.row).views, 0)) FILTER (
                WHERE publication.posted_at < %(start)s
                AND coalesce(greatest((before.row).collected_at, %(collected_before)s::date) < %(day_before)s, true)
            ), 0), count(*), 0, 0, 0, 0
        FROM analytics.views_daily AS daily
        JOIN core.publications AS publication ON publication.id = daily.publication_id
        CROSS JOIN LATERAL (
            SELECT coalesce(
                (
                    SELECT near FROM analytics.views_daily AS near
                    WHERE publication_id = daily.publication_id
                        AND collected_at >= %(month_before)s AND collected_at < %(day)s
                    ORDER BY collected_at DESC LIMIT 1
                ), (
                    SELECT far FROM analytics.views_daily AS far
                    WHERE publication_id = daily.publication_id AND collected_at < %(month_before)s
                    ORDER BY collected_at DESC LIMIT 1
                )
            ) AS row
            OFFSET 0
        ) AS before
        WHERE daily.collected_at = %(day)s
        GROUP BY publication.channel_id
        UNION ALL
        SELECT 1, coalesce(channel_id, 0), 0, 0, 0, count(*) FILTER (WHERE event_type = 'file_posted'),
            count(*) FILTER (WHERE event_type = 'client_join'), count(*) FILTER (WHERE event_type = 'client_leave'),
            count(*)
        FROM analytics.events
        WHERE created_at >= %(start)s AND created_at < %(end)s
            AND event_type IN ('file_posted', 'client_join', 'client_leave')
        GROUP BY channel_id
        UNION ALL
        SELECT owner.sign, owner.channel_id, views_gained, views_after_gap, view_rows, files, joins, leaves, event_rows
        FROM analytics.channel_daily AS daily,
            LATERAL (VALUES (-1, daily.channel_id), (1, 0)) AS owner (sign, channel_id)
        WHERE day = %(day)s
        UNION ALL
        SELECT -1, 0, views_gained, views_after_gap, view_rows, files, joins, leaves, event_rows
        FROM analytics.daily_totals WHERE day = %(day)s
    ), differences AS (
        SELECT channel_id, max(sign) < 0 AS is_gone, sum(sign * views_gained) AS views_gained,
            sum(sign * views_after_gap) AS views_after_gap, sum(sign * view_rows) AS view_rows,
            sum(sign * files) AS files, sum(sign * joins) AS joins, sum(sign * leaves) AS leaves,
            sum(sign * event_rows) AS event_rows
        FROM figures
        GROUP BY channel_id
    ), changes AS MATERIALIZED (
        SELECT channel_id, is_gone, NOT (views.taken AND events.taken) AS is_kept,
            CASE WHEN views.taken THEN views_gained ELSE 0 END AS views_gained,
            CASE WHEN views.taken THEN views_after_gap ELSE 0 END AS views_after_gap,
            CASE WHEN views.taken THEN view_rows ELSE 0 END AS view_rows,
            CASE WHEN events.taken THEN files ELSE 0 END AS files,
            CASE WHEN events.taken THEN joins ELSE 0 END AS joins,
            CASE WHEN events.taken THEN leaves ELSE 0 END AS leaves,
            CASE WHEN events.taken THEN event_rows ELSE 0 END AS event_rows
        FROM differences, LATERAL (SELECT %(anew)s OR view_rows >= 0 AS taken) AS views,
            LATERAL (SELECT %(anew)s OR event_rows >= 0 AS taken) AS events
    ), written AS (
        INSERT INTO analytics.channel_daily AS kept
            (day, channel_id, views_gained, views_after_gap, files, joins, leaves, view_rows, event_rows)
        SELECT %(day)s, channel.id, views_gained, views_after_gap, files, joins, leaves, view_rows, event_rows
        FROM changes JOIN core.channels AS channel ON channel.id = changes.channel_id
        WHERE NOT is_gone
            AND (views_gained, views_after_gap, files, joins, leaves, view_rows, event_rows) <> (0, 0, 0, 0, 0, 0, 0)
        ORDER BY channel.id + 0
        FOR KEY SHARE OF channel
        ON CONFLICT (channel_id, day) DO UPDATE
        SET views_gained = kept.views_gained + excluded.views_gained,
            views_after_gap = kept.views_after_gap + excluded.views_after_gap, files = kept.files + excluded.files,
            joins = kept.joins + excluded.joins, leaves = kept.leaves + excluded.leaves,
            view_rows = kept.view_rows + excluded.view_rows, event_rows = kept.event_rows + excluded.event_rows
        RETURNING 1
    ), removed AS (
        DELETE FROM analytics.channel_daily
        WHERE %(anew)s AND day = %(day)s AND channel_id = ANY (ARRAY(SELECT channel_id FROM changes WHERE is_gone))
        RETURNING 1
    ), totalled AS (
        UPDATE analytics.daily_totals AS kept
        SET views_gained = kept.views_gained + more.views_gained,
            views_after_gap = kept.views_after_gap + more.views_after_gap, files = kept.files + more.files,
            joins = kept.joins + more.joins, leaves = kept.leaves + more.leaves,
            view_rows = kept.view_rows + more.view_rows, event_rows = kept.event_rows + more.event_rows
        FROM (
            SELECT sum(views_gained) AS views_gained, sum(views_after_gap) AS views_after_gap, sum(files) AS files,
                sum(joins) AS joins, sum(leaves) AS leaves, sum(view_rows) AS view_rows, sum(event_rows) AS event_rows
            FROM changes
        ) AS more
        WHERE day = %(day)s
    )
    SELECT (SELECT count(*) FROM written), (SELECT count(*) FROM removed),
        (SELECT count(*) FROM changes WHERE is_kept AND channel_id <> 0)
"""


def roll_up_days(*, now: dt.datetime, since: dt.date | None = None) -> Counter[str]:
    """Bring the days up to `now` up to their rows, the oldest first, each in a transaction of its own: those that never
    were, those that are open or were when they were last, and, from `since` on, closed ones too. Returns how many days
    there were, the rows of channels written and removed, and those kept though fewer rows would be left of them."""
    counts = Counter(days=0, written=0, removed=0, kept=0)
    clock = _clock()
    today = day_of(min(now, clock + FURTHEST))
    # What was counted at a time that has not come yet, was so by a clock that was ahead: it may lack half of its rows.
    counted = DailyTotals.objects.filter(rolled_up_at__lte=max(now, clock))
    rolled_up = dict(counted.values_list("day", "rolled_up_at"))
    collected = collected_days(last=today)
    for day in days(_first_day(rolled_up, today=today), today + DAY):
        closes, last_time = closing_of(day), rolled_up.get(day)
        was_closed = last_time is not None and last_time >= closes
        if was_closed and now >= closes and not (since and day >= since):
            continue
        counts["days"] += 1
        counts.update(_roll_up(day, collected, anew=now < closes and not was_closed, now=now))
    return counts


def _clock() -> dt.datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        return cursor.fetchone()[0]


def closing_of(day: dt.date) -> dt.datetime:
    return start_of(day + (1 + settings.ROLLUP_OPEN_DAYS) * DAY)


def collected_days(*, last: dt.date) -> list[dt.date]:
    """On which the totals of views were written down, that is, aggregate_stats did its work; up to and with `last`."""
    runs = JobRun.objects.filter(command="aggregate_stats", outcome=JobRun.Outcome.DONE)
    on = runs.annotate(at=Coalesce("now", "started_at")).filter(at__lt=start_of(last + DAY), at__gte=start_of(EARLIEST))
    return list(on.values_list(day_in("at"), flat=True).distinct().order_by(day_in("at")))


def _first_day(rolled_up: Mapping[dt.date, dt.datetime], *, today: dt.date) -> dt.date:
    """Before what was rolled up there is next to nothing to look through."""
    known = min(rolled_up, default=today + DAY)
    views = ViewsDaily.objects.filter(collected_at__gte=EARLIEST, collected_at__lt=known)
    events = Event.objects.filter(created_at__gte=start_of(EARLIEST), created_at__lt=start_of(known))
    viewed, happened = views.aggregate(at=Min("collected_at"))["at"], events.aggregate(at=Min("created_at"))["at"]
    return min(known, viewed or known, day_of(happened) if happened else known)


@retry_transient
def _roll_up(day: dt.date, collected: Sequence[dt.date], *, anew: bool, now: dt.datetime) -> dict[str, int]:
    before = bisect_left(collected, day)
    params: dict[str, Any] = {
        "day": day,
        "day_before": day - DAY,
        "month_before": (day.replace(day=1) - DAY).replace(day=1),
        "start": start_of(day),
        "end": start_of(day + DAY),
        "collected": collected[before : before + 1] == [day],
        "collected_before": collected[before - 1] if before else None,
        "anew": anew,
        "now": now,
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(CLAIM_DAY, params)
        cursor.execute(ROLL_UP, params)
        return dict(zip(("written", "removed", "kept"), cursor.fetchone(), strict=True))
