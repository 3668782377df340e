from adminlog.checks import Check
from analytics.statistics import recount_channels

# Counted apart from CHANGED_CHANNELS, whose own mistake this is to find, and from the log of what changed.
CHANNEL_STATS = Check(
    "channel_stats",
    "analytics.channel_stats",
    """
    SELECT channel.id,
        jsonb_build_object(
            'files_count', coalesce(files.count, 0), 'views_total', coalesce(files.views, 0),
            'clients_total', coalesce(people.count, 0), 'blocked_total', coalesce(people.blocked, 0)
        ),
        CASE WHEN stats.channel_id IS NOT NULL THEN jsonb_build_object(
            'files_count', stats.files_count, 'views_total', stats.views_total,
            'clients_total', stats.clients_total, 'blocked_total', stats.blocked_total
        ) END
    FROM core.channels AS channel
    LEFT JOIN (
        SELECT channel_id, count(*), sum(views) AS views FROM core.publications WHERE NOT deleted GROUP BY channel_id
    ) AS files ON files.channel_id = channel.id
    LEFT JOIN (
        SELECT channel_id, count(*), count(*) FILTER (WHERE blocked) AS blocked FROM core.clients GROUP BY channel_id
    ) AS people ON people.channel_id = channel.id
    LEFT JOIN analytics.channel_stats AS stats ON stats.channel_id = channel.id
    WHERE (
        coalesce(stats.files_count, 0), coalesce(stats.views_total, 0),
        coalesce(stats.clients_total, 0), coalesce(stats.blocked_total, 0)
    ) <> (
        coalesce(files.count, 0), coalesce(files.views, 0), coalesce(people.count, 0), coalesce(people.blocked, 0)
    )
    """,
)

# Expected is the most that there can be: a publication's views only grow.
NEWEST_DAILY_VIEWS = Check(
    "newest_daily_views",
    "analytics.views_daily",
    """
    SELECT jsonb_build_array(publication.id, newest.collected_at), publication.views, newest.views
    FROM core.publications AS publication
    CROSS JOIN LATERAL (
        SELECT collected_at, views FROM analytics.views_daily
        WHERE publication_id = publication.id
        ORDER BY collected_at DESC LIMIT 1
    ) AS newest
    WHERE newest.views > publication.views
    """,
)

# Expected is the least that there can be: the total of the row before.
FALLING_DAILY_VIEWS = Check(
    "falling_daily_views",
    "analytics.views_daily",
    """
    SELECT jsonb_build_array(publication_id, collected_at), earlier, views
    FROM (
        SELECT publication_id, collected_at, views,
            lag(views) OVER (PARTITION BY publication_id ORDER BY collected_at) AS earlier
        FROM analytics.views_daily
    ) AS daily
    WHERE views < earlier
    """,
)

CHECKS = [CHANNEL_STATS, NEWEST_DAILY_VIEWS, FALLING_DAILY_VIEWS]
# What is purely derived; each takes `now` and returns the rows it wrote.
REBUILDS = [recount_channels]
