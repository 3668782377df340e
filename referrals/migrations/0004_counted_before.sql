-- Before these columns, a cycle's number of done referrals was all there was to say which they were: the oldest. Without
-- this they would be counted again. Where nobody wrote cycles, as the bot alone never does, nothing is changed.
WITH places AS (
    SELECT cycle.id AS cycle_id, referrer_id,
        row_number() OVER (PARTITION BY referrer_id ORDER BY cycle_no, place) AS nth
    FROM referrals.referral_cycles AS cycle CROSS JOIN generate_series(1, cycle.qualified_refs_done) AS place
), qualified AS (
    SELECT referral.id, referral.referrer_id,
        row_number() OVER (PARTITION BY referral.referrer_id ORDER BY referral.created_at, referral.id) AS nth
    FROM referrals.referrals AS referral
    JOIN referrals.referral_progress AS progress ON progress.referral_id = referral.id AND progress.qualified
)
UPDATE referrals.referrals AS referral
SET cycle_id = places.cycle_id, qualified_at = coalesce(referral.qualified_at, now())
FROM qualified JOIN places USING (referrer_id, nth)
WHERE referral.id = qualified.id AND referral.cycle_id IS NULL;

WITH cycles AS (
    SELECT id, referrer_id, row_number() OVER (PARTITION BY referrer_id ORDER BY cycle_no) AS nth
    FROM referrals.referral_cycles WHERE state = 'reward_queued'
), gifts AS (
    SELECT id, contractor_id, row_number() OVER (PARTITION BY contractor_id ORDER BY queued_at, id) AS nth
    FROM billing.gifts_queue WHERE reason = 'referral_reward'
)
UPDATE referrals.referral_cycles AS cycle
SET gift_id = gifts.id
FROM cycles JOIN gifts ON (gifts.contractor_id, gifts.nth) = (cycles.referrer_id, cycles.nth)
WHERE cycle.id = cycles.id AND cycle.gift_id IS NULL
