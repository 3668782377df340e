"""roll_up_days of one day: the command, and the same in plain SQL."""

import datetime as dt
from typing import Any

from django.conf import settings
from django.core.management import call_command

from bench.databases import Kept, digest, silence
from bench.rounds import Timings, Way, race
from bench.sizes import LAST, Size
from bench.table import Line, within
from testbed.databases import plain, unhindered

ACROSS = False
DAY = LAST - dt.timedelta(days=1)
# In the evening of the day. It is the only one that is open then, as all before it were closed at their ends.
EVENING = dt.datetime(DAY.year, DAY.month, DAY.day, 23, tzinfo=dt.UTC)
# Most have a row since then, and the months before are not looked into for them.
NEAR = (DAY.replace(day=1) - dt.timedelta(days=1)).replace(day=1)
ROLLED_UP = "views_gained, views_after_gap, files, joins, leaves, view_rows, event_rows"
STEPS = [
    """
    INSERT INTO analytics.daily_totals (day, collected, rolled_up_at)
    SELECT '{day}', EXISTS (
        SELECT FROM admin.job_runs
        WHERE command = 'aggregate_stats' AND outcome = 'done'
            AND coalesce("now", started_at) >= '{day}Z'
            AND coalesce("now", started_at) < '{day}Z'::timestamptz + interval '1 day'
    ), '{now}'
    """,
    """
    CREATE TEMP TABLE counted ON COMMIT DROP AS
    SELECT channel_id, coalesce(views_gained, 0) AS views_gained, coalesce(views_after_gap, 0) AS views_after_gap,
        coalesce(files, 0) AS files, coalesce(joins, 0) AS joins, coalesce(leaves, 0) AS leaves,
        coalesce(view_rows, 0) AS view_rows, coalesce(event_rows, 0) AS event_rows
    FROM (
        SELECT channel_id, sum(daily.views - coalesce(before.views, 0)) AS views_gained, count(*) AS view_rows,
            sum(daily.views - coalesce(before.views, 0)) FILTER (
                WHERE posted_at < '{day}Z' AND NOT EXISTS (
                    SELECT FROM admin.job_runs
                    WHERE command = 'aggregate_stats' AND outcome = 'done'
                        AND coalesce("now", started_at) >= '{day}Z'::timestamptz - interval '1 day'
                        AND coalesce("now", started_at) < '{day}Z'
                ) AND coalesce(before.collected_at < '{day}'::date - 1, true)
            ) AS views_after_gap
        FROM analytics.views_daily AS daily
        JOIN core.publications AS publication ON publication.id = publication_id
        LEFT JOIN LATERAL (
            SELECT views, collected_at FROM analytics.views_daily
            WHERE publication_id = daily.publication_id AND collected_at < '{day}' AND collected_at >= '{near}'
            ORDER BY collected_at DESC LIMIT 1
        ) AS near ON true
        LEFT JOIN LATERAL (
            SELECT views, collected_at FROM analytics.views_daily
            WHERE near.views IS NULL AND publication_id = daily.publication_id AND collected_at < '{near}'
            ORDER BY collected_at DESC LIMIT 1
        ) AS far ON true
        CROSS JOIN LATERAL (
            SELECT coalesce(near.views, far.views) AS views,
                coalesce(near.collected_at, far.collected_at) AS collected_at
        ) AS before
        WHERE daily.collected_at = '{day}'
        GROUP BY channel_id
    ) AS viewed
    FULL JOIN (
        SELECT channel_id, count(*) FILTER (WHERE event_type = 'file_posted') AS files,
            count(*) FILTER (WHERE event_type = 'client_join') AS joins,
            count(*) FILTER (WHERE event_type = 'client_leave') AS leaves, count(*) AS event_rows
        FROM analytics.events
        WHERE created_at >= '{day}Z' AND created_at < '{day}Z'::timestamptz + interval '1 day'
            AND event_type IN ('file_posted', 'client_join', 'client_leave')
        GROUP BY channel_id
    ) AS happened USING (channel_id)
    """,
    f"""
    INSERT INTO analytics.channel_daily (day, channel_id, {ROLLED_UP})
    SELECT '{{day}}', channel_id, {ROLLED_UP}
    FROM counted WHERE channel_id IS NOT NULL
    ORDER BY channel_id
    ON CONFLICT (channel_id, day) DO NOTHING
    """,
    f"""
    UPDATE analytics.daily_totals SET ({ROLLED_UP}) = (
        SELECT {", ".join(f"coalesce(sum({column}), 0)" for column in ROLLED_UP.split(", "))} FROM counted
    ) WHERE day = '{{day}}'
    """,
]


def by_command() -> None:
    with silence() as nowhere:
        call_command("roll_up_days", now=EVENING, stdout=nowhere)


def by_hand(sql: Any) -> None:
    with sql.transaction():
        for step in STEPS:
            sql.execute(step.format(day=DAY, near=NEAR, now=EVENING))


def measure(size: Size) -> Timings:
    open_days, settings.ROLLUP_OPEN_DAYS = settings.ROLLUP_OPEN_DAYS, 0
    with unhindered() as desk, plain() as sql:
        kept = Kept(desk, ["analytics.daily_totals"])
        desk.execute(f"CREATE TABLE bench.of_day AS SELECT * FROM analytics.channel_daily WHERE day >= '{DAY}'")

        def put_back() -> None:
            kept.put_back()
            desk.execute("DELETE FROM analytics.channel_daily WHERE day >= %s", [DAY])
            desk.execute("INSERT INTO analytics.channel_daily SELECT * FROM bench.of_day")

        def open_day() -> None:
            put_back()
            desk.execute("DELETE FROM analytics.channel_daily WHERE day >= %s", [DAY])
            desk.execute("DELETE FROM analytics.daily_totals WHERE day >= %s", [DAY])
            desk.execute("UPDATE analytics.daily_totals SET rolled_up_at = %s", [EVENING])
            desk.execute("VACUUM (ANALYZE) analytics.channel_daily, analytics.daily_totals")
            desk.execute("CHECKPOINT")

        try:
            return race(
                "roll_up_days, a day",
                {"command": Way(by_command), "SQL": Way(lambda: by_hand(sql))},
                rounds=size.more_rounds,
                before=open_day,
                state=lambda: [
                    digest(desk, "analytics.channel_daily", f"channel_id, {ROLLED_UP}", f"day = '{DAY}'"),
                    digest(desk, "analytics.daily_totals", f"day, collected, {ROLLED_UP}"),
                ],
            )
        finally:
            put_back()
            settings.ROLLUP_OPEN_DAYS = open_days


def lines(sizes: list[Size], found: dict[str, Timings]) -> list[Line]:
    return [within("roll_up_days, a day", "the same in SQL", found[sizes[-1].name], "command", "SQL", 1.5, 2)]
