"""aggregate_stats, after something changed in 5 % of the channels: with --full and without, one pass in plain SQL, and
channel by channel over Django's models."""

from typing import Any

from django.core.management import call_command
from django.db.models import Count, Q, Sum

from analytics.models import ChannelStats, ViewsDaily
from bench.databases import Kept, digest, silence
from bench.rounds import Timings, Way, race, sampled
from bench.sizes import NOW, Size, short
from bench.table import Line, faster, within
from core.models import Channel
from testbed.databases import plain, unhindered

ACROSS = True
SAMPLE = 50
CHANGED = "channel_id % 20 = 3"
STEPS = [
    # The readings that differ from the newest ones. Not INSERT … SELECT, which is never parallel.
    """
    CREATE TEMP TABLE differing ON COMMIT DROP AS
    SELECT publication.id, publication.views
    FROM core.publications AS publication
    LEFT JOIN (
        SELECT DISTINCT ON (publication_id) publication_id, collected_at, views FROM analytics.views_daily
        ORDER BY publication_id, collected_at DESC
    ) AS newest ON newest.publication_id = publication.id
    WHERE NOT deleted AND publication.views <> coalesce(newest.views, 0)
        AND (newest.collected_at IS NULL OR newest.collected_at < '{day}')
    """,
    """
    INSERT INTO analytics.views_daily (publication_id, collected_at, views)
    SELECT id, '{day}', views FROM differing ORDER BY id
    ON CONFLICT (publication_id, collected_at) DO UPDATE SET views = excluded.views
    """,
    """
    CREATE TEMP TABLE counted ON COMMIT DROP AS
    SELECT channel.id, coalesce(files, 0) AS files, coalesce(views, 0) AS views,
        coalesce(clients, 0) AS clients, coalesce(blocked, 0) AS blocked
    FROM core.channels AS channel
    LEFT JOIN (
        SELECT channel_id, count(*) AS files, sum(views) AS views
        FROM core.publications WHERE NOT deleted GROUP BY channel_id
    ) AS files ON files.channel_id = channel.id
    LEFT JOIN (
        SELECT channel_id, count(*) AS clients, count(*) FILTER (WHERE blocked) AS blocked
        FROM core.clients GROUP BY channel_id
    ) AS people ON people.channel_id = channel.id
    LEFT JOIN analytics.channel_stats AS stats ON stats.channel_id = channel.id
    WHERE (files_count, views_total, clients_total, blocked_total)
        IS DISTINCT FROM (coalesce(files, 0), coalesce(views, 0), coalesce(clients, 0), coalesce(blocked, 0))
    """,
    """
    INSERT INTO analytics.channel_stats AS stats
        (channel_id, files_count, views_total, clients_total, blocked_total, last_updated)
    SELECT counted.*, '{now}' FROM counted ORDER BY id
    ON CONFLICT (channel_id) DO UPDATE
    SET files_count = excluded.files_count, views_total = excluded.views_total, clients_total = excluded.clients_total,
        blocked_total = excluded.blocked_total, last_updated = excluded.last_updated
    """,
]


def by_command(*, full: bool) -> None:
    with silence() as nowhere:
        call_command("aggregate_stats", now=NOW, full=full, stdout=nowhere)


def by_hand(sql: Any) -> None:
    with sql.transaction():
        for step in STEPS:
            sql.execute(step.format(day=NOW.date(), now=NOW))


def row_by_row(channels: list[Channel]) -> None:
    day = NOW.date()
    for channel in channels:
        for publication in channel.publications.filter(deleted=False):
            newest = ViewsDaily.objects.filter(publication=publication, collected_at__lt=day).order_by("-collected_at")
            if publication.views != getattr(newest.first(), "views", 0):
                ViewsDaily.objects.update_or_create(
                    publication=publication, collected_at=day, defaults={"views": publication.views}
                )
        files = channel.publications.filter(deleted=False).aggregate(count=Count("pk"), views=Sum("views"))
        people = channel.clients.aggregate(count=Count("pk"), blocked=Count("pk", filter=Q(blocked=True)))
        ChannelStats.objects.update_or_create(
            channel=channel,
            defaults={
                "files_count": files["count"],
                "views_total": files["views"] or 0,
                "clients_total": people["count"],
                "blocked_total": people["blocked"],
                "last_updated": NOW,
            },
        )


def measure(size: Size) -> Timings:
    with unhindered() as desk, plain() as sql, plain() as bot:
        kept = Kept(desk, ["analytics.channel_stats"])
        desk.execute(f"CREATE TABLE bench.changed AS SELECT id, views FROM core.publications WHERE {CHANGED}")
        sample = list(Channel.objects.filter(pk__in=sampled(SAMPLE, size.channels)))

        def put_back() -> None:
            desk.execute("DELETE FROM analytics.views_daily WHERE collected_at >= %s", [NOW.date()])
            desk.execute("""
                UPDATE core.publications AS publication SET views = changed.views FROM bench.changed
                WHERE changed.id = publication.id AND changed.views <> publication.views
            """)
            kept.put_back()
            desk.execute("DELETE FROM analytics.dirty_channels")

        def change() -> None:
            put_back()
            # By one who does not know of it: the triggers log the channels.
            bot.execute(f"UPDATE core.publications SET views = views + 3 WHERE {CHANGED}")
            desk.execute("VACUUM core.publications, analytics.dirty_channels")
            desk.execute("CHECKPOINT")

        try:
            return race(
                f"aggregate_stats, {short(size.views)} rows of daily views",
                {
                    "--full": Way(lambda: by_command(full=True), size.channels),
                    "incremental": Way(lambda: by_command(full=False), size.channels),
                    "SQL": Way(lambda: by_hand(sql), size.channels),
                    "row by row": Way(lambda: row_by_row(sample), len(sample), sample=True, rounds=2),
                },
                rounds=size.rounds,
                before=change,
                state=lambda: [
                    digest(
                        desk,
                        "analytics.channel_stats",
                        "channel_id, files_count, views_total, clients_total, blocked_total, last_updated",
                    ),
                    digest(
                        desk,
                        "analytics.views_daily",
                        "publication_id, collected_at, views",
                        f"collected_at >= '{NOW.date()}'",
                    ),
                ],
                warm=size.is_small,
            )
        finally:
            put_back()
            desk.execute("VACUUM (ANALYZE) core.publications, analytics.views_daily")


def lines(sizes: list[Size], found: dict[str, Timings]) -> list[Line]:
    table = []
    for size in sizes:
        timings = found[size.name]
        job = f"aggregate_stats --full, {short(size.views)} rows of views"
        # A hundred is for a million rows: of ten million --full reads all, and row by row hardly more than of one.
        least = 100 if size.views <= 1_000_000 else 15
        changed = f"aggregate_stats, 5 % of channels changed, {short(size.views)}"
        table += [
            within(job, "one pass in SQL", timings, "--full", "SQL", 1.3, 1.5),
            faster(job, "channel by channel", timings, "--full", "row by row", least, least),
            within(changed, "--full", timings, "incremental", "--full", 0.35, 0.4),
        ]
    return table
