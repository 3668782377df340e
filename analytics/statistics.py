"""Derived numbers, one statement a step, whatever the number of channels."""

import datetime as dt
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from smetabot.postgres.retry import retry_transient

# In both statements KEY SHARE keeps what the bot deletes meanwhile from failing all of it at a foreign key. The order
# is one that no index has, so everything is read before the first row is written: planned on an empty table, look-ups
# in it are scans, and over the rows being written they would take hours.

# A row only where the total differs from the newest row before the day, and never before a publication's newest row.
SNAPSHOT_VIEWS = """
    INSERT INTO analytics.views_daily (publication_id, collected_at, views)
    SELECT publication.id, %(day)s, publication.views
    FROM core.publications AS publication
    LEFT JOIN LATERAL (
        SELECT collected_at, views FROM analytics.views_daily
        WHERE publication_id = publication.id
        ORDER BY collected_at DESC LIMIT 1
    ) AS newest ON true
    WHERE NOT publication.deleted
        AND coalesce(newest.collected_at <= %(day)s, true)
        AND (newest.collected_at, newest.views) IS DISTINCT FROM (%(day)s, publication.views)
        AND publication.views IS DISTINCT FROM coalesce(
            CASE WHEN newest.collected_at = %(day)s THEN (
                SELECT views FROM analytics.views_daily
                WHERE publication_id = publication.id AND collected_at < %(day)s
                ORDER BY collected_at DESC LIMIT 1
            ) ELSE newest.views END, 0)
    ORDER BY publication.id + 0
    FOR KEY SHARE OF publication
    ON CONFLICT (publication_id, collected_at) DO UPDATE SET views = excluded.views
"""

RECOUNT_CHANNELS = """
    INSERT INTO analytics.channel_stats
        (channel_id, files_count, views_total, clients_total, blocked_total, last_updated)
    SELECT channel.id, counted.files, counted.views, counted.clients, counted.blocked, %(now)s
    FROM core.channels AS channel
    LEFT JOIN (
        SELECT channel_id, count(*) AS files, sum(views) AS views
        FROM core.publications WHERE NOT deleted GROUP BY channel_id
    ) AS files ON files.channel_id = channel.id
    LEFT JOIN (
        SELECT channel_id, count(*) AS clients, count(*) FILTER (WHERE blocked) AS blocked
        FROM core.clients GROUP BY channel_id
    ) AS people ON people.channel_id = channel.id
    CROSS JOIN LATERAL (
        SELECT coalesce(files.files, 0) AS files, coalesce(files.views, 0) AS views,
            coalesce(people.clients, 0) AS clients, coalesce(people.blocked, 0) AS blocked
    ) AS counted
    LEFT JOIN analytics.channel_stats AS stats ON stats.channel_id = channel.id
    WHERE (stats.files_count, stats.views_total, stats.clients_total, stats.blocked_total)
        IS DISTINCT FROM (counted.files, counted.views, counted.clients, counted.blocked)
    ORDER BY channel.id + 0
    FOR KEY SHARE OF channel
    ON CONFLICT (channel_id) DO UPDATE
    SET files_count = excluded.files_count, views_total = excluded.views_total,
        clients_total = excluded.clients_total, blocked_total = excluded.blocked_total,
        last_updated = excluded.last_updated
"""


def snapshot_views(*, now: dt.datetime) -> int:
    """Write the day's running totals to views_daily, the day being DAY_ZONE's. Returns the rows written."""
    return _execute(SNAPSHOT_VIEWS, {"day": now.astimezone(settings.DAY_ZONE).date()})


def recount_channels(*, now: dt.datetime) -> int:
    """Bring channel_stats up to its sources. Returns the rows written, which are those where a number differed."""
    return _execute(RECOUNT_CHANNELS, {"now": now})


@retry_transient
def _execute(sql: str, params: dict[str, Any]) -> int:
    with transaction.atomic(), connection.cursor() as cursor:
        # Of two runs at once the second counts after the first: with an older snapshot it would bring old numbers back.
        cursor.execute("SELECT pg_advisory_xact_lock('analytics.channel_stats'::regclass::oid::bigint)")
        cursor.execute(sql, params)
        return cursor.rowcount
