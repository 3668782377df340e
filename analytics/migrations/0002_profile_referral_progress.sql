SELECT
    contractor.id AS contractor_id,
    referred.referred_total,
    referred.qualified_total,
    coalesce(cycle.cycle_no, 1) AS current_cycle_no,
    coalesce(cycle.qualified_refs_done, 0) AS current_cycle_done,
    coalesce(cycle.qualified_refs_required, 3) AS current_cycle_required,
    coalesce(cycle.state, 'in_progress') AS current_cycle_state,
    gifts.gifts_queued
FROM core.contractors AS contractor
CROSS JOIN LATERAL (
    SELECT count(*) AS referred_total, count(*) FILTER (WHERE qualified) AS qualified_total
    FROM referrals.referral_progress WHERE referrer_id = contractor.id
) AS referred
LEFT JOIN LATERAL (
    SELECT cycle_no, qualified_refs_done, qualified_refs_required, state
    FROM referrals.referral_cycles WHERE referrer_id = contractor.id
    ORDER BY cycle_no DESC LIMIT 1
) AS cycle ON true
CROSS JOIN LATERAL (
    SELECT count(*) AS gifts_queued FROM billing.gifts_queue
    WHERE contractor_id = contractor.id AND reason = 'referral_reward'
        AND applied_at IS NULL AND withdrawn_at IS NULL
) AS gifts
