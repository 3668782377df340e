"""Derived numbers, some statements a run, whatever the number of channels.

analytics.dirty_channels is a log of what the bot changed: triggers append to it in the transaction of the change, and
a run consumes it with DELETE … RETURNING. Nothing is lost between the two. Rows that the DELETE saw were committed, and
the changes with them, so the statements after it, each with a younger snapshot, count those; rows of whoever commits
later stay for the next run, which counts them again if this one happened to see the change already; and a run that
fails rolls its DELETE back. A watermark of ids or times would pass over what commits late.
"""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from adminlog.days import day_of
from analytics.partitions import VIEWS_DAILY
from smetabot.postgres.partitions import shifted
from smetabot.postgres.retry import retry_transient

# The new ones and those whose row somebody deleted are told by the row that is missing.
TAKE_LOG = """
    WITH taken AS (DELETE FROM analytics.dirty_channels RETURNING channel_id)
    INSERT INTO looked_at (channel_id)
    SELECT channel.id FROM core.channels AS channel JOIN taken ON taken.channel_id = channel.id
    UNION
    SELECT channel.id FROM core.channels AS channel
    WHERE NOT EXISTS (SELECT FROM analytics.channel_stats AS stats WHERE stats.channel_id = channel.id)
"""
LOOKED_AT_PUBLICATIONS = """
    CREATE TEMP TABLE looked_at_publications AS
    SELECT id, channel_id, views, deleted FROM core.publications
    WHERE channel_id IN (SELECT channel_id FROM looked_at)
"""
OF_ALL = {"publications": "core.publications", "channels": "IS NOT NULL"}
OF_LOOKED_AT = {"publications": "looked_at_publications", "channels": "IN (SELECT channel_id FROM looked_at)"}
# Channels, or a fifth of all. For more it costs less to look at all of them.
FEW = 1000

# What differs goes to a temporary table first: reading can then be parallel, which it cannot be in a statement that
# writes or locks, and is planned before the first row is written.
CHANGED_VIEWS = """
    CREATE TEMP TABLE changed_views AS
    SELECT publication.id, publication.channel_id, publication.views, newest.collected_at AS newest
    FROM {publications} AS publication
    LEFT JOIN {newest} AS newest ON {joined}
    WHERE NOT publication.deleted AND publication.views <> coalesce(newest.views, 0)
"""
IN_ONE_PASS = {
    "newest": """(
        SELECT DISTINCT ON (publication_id) publication_id, collected_at, views FROM analytics.views_daily
        ORDER BY publication_id, collected_at DESC
    )""",
    "joined": "newest.publication_id = publication.id",
}
BY_PROBES = {
    "newest": """LATERAL (
        SELECT collected_at, views FROM analytics.views_daily
        WHERE publication_id = publication.id {within}
        ORDER BY collected_at DESC LIMIT 1
    )""",
    "joined": "true",
}

# A row only where the total differs from the newest row before the day, and never before a publication's newest row.
# What may not be written today goes back into the log: on a later day it may, and nobody else would say so. KEY SHARE,
# here and below, keeps what the bot deletes meanwhile from failing all of it at a foreign key.
WRITE_VIEWS = """
    WITH written AS (
        INSERT INTO analytics.views_daily (publication_id, collected_at, views)
        SELECT publication.id, %(day)s::date, changed.views
        FROM changed_views AS changed JOIN core.publications AS publication ON publication.id = changed.id
        WHERE changed.newest IS NULL OR changed.newest < %(day)s::date
            OR changed.newest = %(day)s::date AND changed.views <> coalesce((
                SELECT views FROM analytics.views_daily
                WHERE publication_id = changed.id AND collected_at < %(day)s::date
                ORDER BY collected_at DESC LIMIT 1
            ), 0)
        ORDER BY publication.id
        FOR KEY SHARE OF publication
        ON CONFLICT (publication_id, collected_at) DO UPDATE SET views = excluded.views
        RETURNING publication_id
    ), waiting AS (
        INSERT INTO analytics.dirty_channels (channel_id)
        SELECT DISTINCT channel_id FROM changed_views AS changed
        WHERE NOT EXISTS (SELECT FROM written WHERE written.publication_id = changed.id)
    )
    SELECT count(*) FROM written
"""

CHANGED_CHANNELS = """
    CREATE TEMP TABLE changed_channels AS
    SELECT channel.id, counted.files, counted.views, counted.clients, counted.blocked
    FROM core.channels AS channel
    LEFT JOIN (
        SELECT channel_id, count(*) AS files, sum(views) AS views
        FROM {publications} WHERE NOT deleted GROUP BY channel_id
    ) AS files ON files.channel_id = channel.id
    LEFT JOIN (
        SELECT channel_id, count(*) AS clients, count(*) FILTER (WHERE blocked) AS blocked
        FROM core.clients WHERE channel_id {channels} GROUP BY channel_id
    ) AS people ON people.channel_id = channel.id
    CROSS JOIN LATERAL (
        SELECT coalesce(files.files, 0) AS files, coalesce(files.views, 0) AS views,
            coalesce(people.clients, 0) AS clients, coalesce(people.blocked, 0) AS blocked
    ) AS counted
    LEFT JOIN analytics.channel_stats AS stats ON stats.channel_id = channel.id
    WHERE channel.id {channels}
        AND (stats.files_count, stats.views_total, stats.clients_total, stats.blocked_total)
            IS DISTINCT FROM (counted.files, counted.views, counted.clients, counted.blocked)
"""

WRITE_CHANNELS = """
    INSERT INTO analytics.channel_stats
        (channel_id, files_count, views_total, clients_total, blocked_total, last_updated)
    SELECT channel.id, changed.files, changed.views, changed.clients, changed.blocked, %(now)s::timestamptz
    FROM changed_channels AS changed JOIN core.channels AS channel ON channel.id = changed.id
    ORDER BY channel.id
    FOR KEY SHARE OF channel
    ON CONFLICT (channel_id) DO UPDATE
    SET files_count = excluded.files_count, views_total = excluded.views_total,
        clients_total = excluded.clients_total, blocked_total = excluded.blocked_total,
        last_updated = excluded.last_updated
"""


class Aggregated(NamedTuple):
    looked_at: int
    snapshots: int
    channels: int


@retry_transient
def aggregate_stats(*, now: dt.datetime, full: bool = False) -> Aggregated:
    """Bring views_daily and channel_stats up to date with what changed, or with everything. Returns how many channels
    were looked at, and the rows written."""
    with _alone() as cursor:
        cursor.execute("SELECT count(*) FROM core.channels")
        everything = cursor.fetchone()[0]
        if full:
            cursor.execute("DELETE FROM analytics.dirty_channels")
        else:
            with _temporary(cursor, "looked_at", "CREATE TEMP TABLE looked_at (channel_id bigint NOT NULL)"):
                cursor.execute(TAKE_LOG)
                looked_at = cursor.rowcount
                cursor.execute("ANALYZE looked_at")
                if looked_at <= max(FEW, everything // 5):
                    with _temporary(cursor, "looked_at_publications", LOOKED_AT_PUBLICATIONS):
                        return Aggregated(
                            looked_at,
                            _snapshot(cursor, now, **OF_LOOKED_AT, **_by_probes(cursor)),
                            _recount(cursor, now, **OF_LOOKED_AT),
                        )
        return Aggregated(everything, _snapshot(cursor, now), _recount(cursor, now))


@retry_transient
def snapshot_views(*, now: dt.datetime) -> int:
    """Write the day's running totals of all to views_daily, the day being DAY_ZONE's. Returns the rows written."""
    with _alone() as cursor:
        return _snapshot(cursor, now)


@retry_transient
def recount_channels(*, now: dt.datetime) -> int:
    """Bring all of channel_stats up to its sources. Returns the rows written, which are those where a number
    differed."""
    with _alone() as cursor:
        return _recount(cursor, now)


@contextmanager
def _alone() -> Iterator[CursorWrapper]:
    with transaction.atomic(), connection.cursor() as cursor:
        # Of two runs at once the second counts after the first: with an older snapshot it would bring old numbers back.
        cursor.execute("SELECT pg_advisory_xact_lock('analytics.channel_stats'::regclass::oid::bigint)")
        yield cursor


@contextmanager
def _temporary(cursor: CursorWrapper, name: str, sql: str) -> Iterator[None]:
    """A failed run rolls it back. Nothing else counts the rows of a temporary table, and joins are planned by them."""
    cursor.execute(sql)
    cursor.execute(f"ANALYZE {name}")
    yield
    cursor.execute(f"DROP TABLE {name}")


def _snapshot(cursor: CursorWrapper, now: dt.datetime, **of: str) -> int:
    with _temporary(cursor, "changed_views", CHANGED_VIEWS.format(**OF_ALL | IN_ONE_PASS | of)):
        cursor.execute(WRITE_VIEWS, {"day": day_of(now)})
        return cursor.fetchone()[0]


def _by_probes(cursor: CursorWrapper) -> dict[str, str]:
    """A probe begins at the newest month and ends at its first row, unless there is a default partition to look
    through: its rows may be of any time, so every month is asked."""
    within = ""
    if months := VIEWS_DAILY.months():
        first, end = months[0], shifted(months[-1], 1)
        cursor.execute(
            "SELECT EXISTS (SELECT FROM analytics.views_daily"
            " WHERE collected_at < %s::date OR collected_at >= %s::date)",
            [first, end],
        )
        if not cursor.fetchone()[0]:
            within = f"AND collected_at >= '{first}' AND collected_at < '{end}'"
    return BY_PROBES | {"newest": BY_PROBES["newest"].format(within=within)}


def _recount(cursor: CursorWrapper, now: dt.datetime, **of: str) -> int:
    with _temporary(cursor, "changed_channels", CHANGED_CHANNELS.format(**OF_ALL | of)):
        cursor.execute(WRITE_CHANNELS, {"now": now})
        return cursor.rowcount
