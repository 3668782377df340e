"""Daily figures, a day at a time: of each channel, and of all together.

A day stays open until ROLLUP_OPEN_DAYS after its end. While it is, each run makes it anew of what rows there are; the
first run after that does so once more. From then on, what it came from may go (deleted publications, old events), so
nothing is ever replaced by what fewer rows say.
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

# It holds the day's row to the end of the transaction: of two runs at once the second counts after the first.
CLAIM_DAY = """
    INSERT INTO analytics.daily_totals AS totals (day, collected, rolled_up_at)
    VALUES (%(day)s, %(collected)s, %(now)s)
    ON CONFLICT (day) DO UPDATE
    SET collected = excluded.collected, rolled_up_at = greatest(totals.rolled_up_at, excluded.rolled_up_at)
"""

# A gain came after a gap if neither a row of the publication nor a run told on the day before how it stood, and it was
# there by then. The newest row before is looked for in this month and the last one, and only then in all that there
# are: they would be opened for each publication. It is a FULL JOIN that compares with the rows that are there, because
# that is never a nested loop: of a new day the planner knows nothing, and would go through all rows for each row.
# KEY SHARE keeps a channel that the bot deletes meanwhile from failing all of it at the foreign key; only rows that
# change are written, and only their channels are held.
ROLL_UP = """
    WITH viewed AS (
        SELECT publication.channel_id, sum(daily.views - coalesce((before.row).views, 0)) AS views_gained,
            sum(daily.views - coalesce((before.row).views, 0)) FILTER (
                WHERE publication.posted_at < %(start)s
                AND coalesce(greatest((before.row).collected_at, %(collected_before)s::date) < %(day_before)s, true)
            ) AS views_after_gap,
            count(*) AS view_rows
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
    ), happened AS (
        SELECT channel_id, count(*) FILTER (WHERE event_type = 'file_posted') AS files,
            count(*) FILTER (WHERE event_type = 'client_join') AS joins,
            count(*) FILTER (WHERE event_type = 'client_leave') AS leaves, count(*) AS event_rows
        FROM analytics.events
        WHERE created_at >= %(start)s AND created_at < %(end)s
            AND event_type IN ('file_posted', 'client_join', 'client_leave')
        GROUP BY channel_id
    ), counted AS MATERIALIZED (
        SELECT channel_id, coalesce(views_gained, 0) AS views_gained, coalesce(views_after_gap, 0) AS views_after_gap,
            coalesce(files, 0) AS files, coalesce(joins, 0) AS joins, coalesce(leaves, 0) AS leaves,
            coalesce(view_rows, 0) AS view_rows, coalesce(event_rows, 0) AS event_rows
        FROM viewed FULL JOIN happened USING (channel_id)
    ), compared AS MATERIALIZED (
        SELECT daily.channel_id AS known, counted.*,
            daily.view_rows > coalesce(counted.view_rows, 0) OR daily.event_rows > coalesce(counted.event_rows, 0)
                AS is_fewer
        FROM counted
        FULL JOIN (SELECT * FROM analytics.channel_daily WHERE day = %(day)s) AS daily
            ON daily.channel_id = counted.channel_id
        WHERE (daily.views_gained, daily.views_after_gap, daily.files, daily.joins, daily.leaves, daily.view_rows,
                daily.event_rows)
            IS DISTINCT FROM (counted.views_gained, counted.views_after_gap, counted.files, counted.joins,
                counted.leaves, counted.view_rows, counted.event_rows)
    ), written AS (
        INSERT INTO analytics.channel_daily AS kept
            (day, channel_id, views_gained, views_after_gap, files, joins, leaves, view_rows, event_rows)
        SELECT %(day)s, channel.id, views_gained, views_after_gap, files, joins, leaves, view_rows, event_rows
        FROM compared JOIN core.channels AS channel ON channel.id = compared.channel_id
        ORDER BY channel.id + 0
        FOR KEY SHARE OF channel
        ON CONFLICT (channel_id, day) DO UPDATE
        SET views_gained = excluded.views_gained, views_after_gap = excluded.views_after_gap, files = excluded.files,
            joins = excluded.joins, leaves = excluded.leaves, view_rows = excluded.view_rows,
            event_rows = excluded.event_rows
        WHERE %(anew)s OR excluded.view_rows >= kept.view_rows AND excluded.event_rows >= kept.event_rows
        RETURNING 1
    ), removed AS (
        DELETE FROM analytics.channel_daily
        WHERE %(anew)s AND day = %(day)s
            AND channel_id = ANY (ARRAY(SELECT known FROM compared WHERE compared.channel_id IS NULL))
        RETURNING 1
    ), together AS (
        SELECT coalesce(sum(views_gained), 0) AS views_gained, coalesce(sum(views_after_gap), 0) AS views_after_gap,
            coalesce(sum(files), 0) AS files, coalesce(sum(joins), 0) AS joins, coalesce(sum(leaves), 0) AS leaves,
            coalesce(sum(view_rows), 0) AS view_rows, coalesce(sum(event_rows), 0) AS event_rows
        FROM counted
    ), totalled AS (
        UPDATE analytics.daily_totals AS kept
        SET views_gained = together.views_gained, views_after_gap = together.views_after_gap, files = together.files,
            joins = together.joins, leaves = together.leaves, view_rows = together.view_rows,
            event_rows = together.event_rows
        FROM together
        WHERE day = %(day)s
            AND (%(anew)s OR together.view_rows >= kept.view_rows AND together.event_rows >= kept.event_rows)
    )
    SELECT (SELECT count(*) FROM written), (SELECT count(*) FROM removed),
        (SELECT count(*) FROM compared WHERE is_fewer AND NOT %(anew)s)
"""


def roll_up_days(*, now: dt.datetime, since: dt.date | None = None) -> Counter[str]:
    """Bring the days up to `now` up to their rows, the oldest first, each in a transaction of its own: those that never
    were, those that are open or were when they were last, and, from `since` on, closed ones too. Returns how many days
    there were, the rows of channels written and removed, and those kept though fewer rows would be left of them."""
    counts = Counter(days=0, written=0, removed=0, kept=0)
    today = day_of(now)
    rolled_up = dict(DailyTotals.objects.values_list("day", "rolled_up_at"))
    collected = collected_days(last=today)
    for day in days(_first_day(rolled_up, today=today), today + DAY):
        closes, last_time = closing_of(day), rolled_up.get(day)
        was_closed = last_time is not None and last_time >= closes
        if was_closed and now >= closes and not (since and day >= since):
            continue
        counts["days"] += 1
        counts.update(_roll_up(day, collected, anew=now < closes and not was_closed, now=now))
    return counts


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
