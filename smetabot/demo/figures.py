"""What follows from the rows, in one statement each: what happened in the channels, and who looked at what when."""

# A deleted file went part of the way between its posting and now; whoever is blocked left half-way.
EVENTS = """
    INSERT INTO analytics.events (channel_id, client_id, event_type, details, created_at)
    SELECT channel_id, client_id, event_type, details, created_at
    FROM (
        SELECT channel_id, NULL::bigint AS client_id, 'file_posted' AS event_type,
            jsonb_build_object('message_id', message_id, 'file_name', file_name) AS details, posted_at AS created_at
        FROM core.publications
        UNION ALL
        SELECT channel_id, NULL, 'file_deleted', jsonb_build_object('message_id', message_id, 'file_name', file_name),
            posted_at + (%(now)s - posted_at) * (message_id %% 9 + 1) / 10
        FROM core.publications WHERE deleted
        UNION ALL
        SELECT client.channel_id, client.id, 'invite_used', jsonb_build_object('token', invite.token), joined_at
        FROM core.clients AS client JOIN core.invites AS invite ON invite.id = client.invite_id
        UNION ALL
        SELECT channel_id, id, 'client_join', NULL, joined_at FROM core.clients
        UNION ALL
        SELECT channel_id, id, 'client_leave', NULL, joined_at + (%(now)s - joined_at) / 2
        FROM core.clients WHERE blocked
        UNION ALL
        SELECT id, NULL, 'sync_run', NULL, last_synced_at FROM core.channels WHERE last_synced_at IS NOT NULL
    ) AS happened
    ORDER BY created_at, channel_id, client_id, event_type DESC
"""

# A total rises fast at first, then ever more slowly, to reach `views` today or on the day of the deletion. Today's row
# is left to snapshot_views, which passes over what is deleted. Nobody looks at drawings at the weekend, but on the
# day of their deletion: days without a row. power() of numeric instead of float8 takes several times as long.
VIEWS_DAILY = """
    WITH shown AS (
        SELECT publication.id, views, deleted, 0.3::float8 + message_id %% 4 * 0.1::float8 AS haste,
            (posted_at AT TIME ZONE %(zone)s)::date AS first_day,
            (coalesce(deletion.created_at, %(now)s) AT TIME ZONE %(zone)s)::date AS last_day,
            (%(now)s AT TIME ZONE %(zone)s)::date AS today
        FROM core.publications AS publication
        LEFT JOIN analytics.events AS deletion
            ON publication.deleted AND deletion.event_type = 'file_deleted'
            AND deletion.channel_id = publication.channel_id
            AND (deletion.details ->> 'message_id')::bigint = publication.message_id
    )
    INSERT INTO analytics.views_daily (publication_id, collected_at, views)
    SELECT id, collected_at, total
    FROM shown
    CROSS JOIN LATERAL (
        SELECT collected_at, total, lag(total, 1, 0) OVER (ORDER BY collected_at) AS total_before
        FROM (
            SELECT first_day + age AS collected_at,
                round(views * power((age + 1)::float8 / (last_day - first_day + 1), haste))::integer AS total
            FROM generate_series(
                greatest(0, today - first_day - %(days)s + 1), last_day - first_day - (NOT deleted)::integer
            ) AS age
        ) AS day
        WHERE extract(isodow FROM collected_at) < 6 OR collected_at = last_day
    ) AS daily
    WHERE total > total_before
"""
