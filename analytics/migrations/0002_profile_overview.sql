SELECT
    contractor.id AS contractor_id,
    contractor.tg_user_id,
    plan.code AS plan_code,
    plan.name AS plan_name,
    subscription.status AS sub_status,
    subscription.starts_at AS sub_starts_at,
    subscription.expires_at AS sub_expires_at,
    channels.channels_cnt,
    files.files_cnt,
    files.views_total,
    clients.clients_total,
    clients.blocked_total,
    invites.invites_active,
    greatest(
        effective.channels_limit_one_off::bigint
            + coalesce(contractor.bonus_channels, 0) - coalesce(usage.channels_created_total, 0),
        CASE WHEN effective.channels_limit_one_off IS NOT NULL THEN 0 END
    ) AS free_channels_left,
    gifts.gifts_queued
FROM core.contractors AS contractor
LEFT JOIN billing.subscriptions AS subscription ON subscription.contractor_id = contractor.id
LEFT JOIN billing.plans AS plan ON plan.id = subscription.plan_id
LEFT JOIN billing.plans AS effective ON effective.code = CASE
    WHEN billing.is_live(subscription.status, subscription.expires_at, now()) THEN plan.code ELSE 'FREE' END
LEFT JOIN billing.usage_counters AS usage ON usage.contractor_id = contractor.id
-- LATERAL: the bot and the contractor's page ask for one contractor, and then nobody else's rows are read.
CROSS JOIN LATERAL (
    SELECT count(*) AS channels_cnt FROM core.channels WHERE contractor_id = contractor.id
) AS channels
CROSS JOIN LATERAL (
    SELECT count(*) AS files_cnt, coalesce(sum(publication.views), 0) AS views_total
    FROM core.channels AS channel JOIN core.publications AS publication ON publication.channel_id = channel.id
    WHERE channel.contractor_id = contractor.id AND NOT publication.deleted
) AS files
CROSS JOIN LATERAL (
    SELECT count(*) AS clients_total, count(*) FILTER (WHERE client.blocked) AS blocked_total
    FROM core.channels AS channel JOIN core.clients AS client ON client.channel_id = channel.id
    WHERE channel.contractor_id = contractor.id
) AS clients
CROSS JOIN LATERAL (
    SELECT count(*) AS invites_active
    FROM core.channels AS channel JOIN core.invites AS invite ON invite.channel_id = channel.id
    WHERE channel.contractor_id = contractor.id
        AND (invite.expires_at IS NULL OR invite.expires_at > now())
        AND (invite.max_uses IS NULL OR invite.used_count < invite.max_uses)
) AS invites
CROSS JOIN LATERAL (
    SELECT count(*) AS gifts_queued FROM billing.gifts_queue
    WHERE contractor_id = contractor.id AND applied_at IS NULL AND withdrawn_at IS NULL
) AS gifts
