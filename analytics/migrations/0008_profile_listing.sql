-- The rows of analytics.profile_overview, all of them at once: each table is read through and counted by its groups.
-- Of one contractor or a page it would count everybody's rows.
SELECT
    contractor.id AS contractor_id,
    contractor.tg_user_id,
    plan.code AS plan_code,
    plan.name AS plan_name,
    subscription.status AS sub_status,
    subscription.starts_at AS sub_starts_at,
    subscription.expires_at AS sub_expires_at,
    coalesce(channels.channels_cnt, 0) AS channels_cnt,
    coalesce(channels.files_cnt, 0) AS files_cnt,
    coalesce(channels.views_total, 0) AS views_total,
    coalesce(channels.clients_total, 0) AS clients_total,
    coalesce(channels.blocked_total, 0) AS blocked_total,
    coalesce(channels.invites_active, 0) AS invites_active,
    greatest(
        effective.channels_limit_one_off::bigint
            + coalesce(contractor.bonus_channels, 0) - coalesce(usage.channels_created_total, 0),
        CASE WHEN effective.channels_limit_one_off IS NOT NULL THEN 0 END
    ) AS free_channels_left,
    coalesce(gifts.gifts_queued, 0) AS gifts_queued
FROM core.contractors AS contractor
LEFT JOIN billing.subscriptions AS subscription ON subscription.contractor_id = contractor.id
LEFT JOIN billing.plans AS plan ON plan.id = subscription.plan_id
LEFT JOIN billing.plans AS effective ON effective.code = CASE
    WHEN billing.is_live(subscription.status, subscription.expires_at, now()) THEN plan.code ELSE 'FREE' END
LEFT JOIN billing.usage_counters AS usage ON usage.contractor_id = contractor.id
LEFT JOIN (
    -- First by channel, so that no publication or client is joined.
    SELECT
        channel.contractor_id,
        count(*) AS channels_cnt,
        sum(files.files_cnt)::bigint AS files_cnt,
        sum(files.views_total)::bigint AS views_total,
        sum(clients.clients_total)::bigint AS clients_total,
        sum(clients.blocked_total)::bigint AS blocked_total,
        sum(invites.invites_active)::bigint AS invites_active
    FROM core.channels AS channel
    LEFT JOIN (
        SELECT channel_id, count(*) AS files_cnt, sum(views) AS views_total
        FROM core.publications WHERE NOT deleted GROUP BY channel_id
    ) AS files ON files.channel_id = channel.id
    LEFT JOIN (
        SELECT channel_id, count(*) AS clients_total, count(*) FILTER (WHERE blocked) AS blocked_total
        FROM core.clients GROUP BY channel_id
    ) AS clients ON clients.channel_id = channel.id
    LEFT JOIN (
        SELECT channel_id, count(*) AS invites_active
        FROM core.invites
        WHERE (expires_at IS NULL OR expires_at > now()) AND (max_uses IS NULL OR used_count < max_uses)
        GROUP BY channel_id
    ) AS invites ON invites.channel_id = channel.id
    GROUP BY channel.contractor_id
) AS channels ON channels.contractor_id = contractor.id
LEFT JOIN (
    SELECT contractor_id, count(*) AS gifts_queued
    FROM billing.gifts_queue WHERE applied_at IS NULL AND withdrawn_at IS NULL GROUP BY contractor_id
) AS gifts ON gifts.contractor_id = contractor.id
