SELECT
    referral.id AS referral_id,
    referral.referrer_id,
    referral.referred_contractor_id,
    channels.channels_created,
    referral.qualified_at IS NOT NULL
        OR (channels.channels_created >= 2 AND contractor.status <> 'blocked') AS qualified
FROM referrals.referrals AS referral
JOIN core.contractors AS contractor ON contractor.id = referral.referred_contractor_id
CROSS JOIN LATERAL (
    SELECT count(*) AS channels_created FROM core.channels WHERE contractor_id = contractor.id
) AS channels
