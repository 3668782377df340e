from adminlog.checks import Check

# A referral goes together with its referred contractor and stays counted, so above is no fault.
CYCLE_COUNT = Check(
    "cycle_count",
    "referrals.referral_cycles",
    """
    SELECT cycle.id, counted.referrals, cycle.qualified_refs_done
    FROM referrals.referral_cycles AS cycle
    JOIN (
        SELECT cycle_id, count(*) AS referrals FROM referrals.referrals WHERE cycle_id IS NOT NULL GROUP BY cycle_id
    ) AS counted ON counted.cycle_id = cycle.id
    WHERE cycle.qualified_refs_done < counted.referrals
    """,
)

CYCLE_REQUIREMENT = Check(
    "cycle_requirement",
    "referrals.referral_cycles",
    """
    SELECT cycle.id, cycle.qualified_refs_required, greatest(cycle.qualified_refs_done, counted.referrals)
    FROM referrals.referral_cycles AS cycle
    LEFT JOIN (
        SELECT cycle_id, count(*) AS referrals FROM referrals.referrals WHERE cycle_id IS NOT NULL GROUP BY cycle_id
    ) AS counted ON counted.cycle_id = cycle.id
    WHERE greatest(cycle.qualified_refs_done, counted.referrals) > cycle.qualified_refs_required
    """,
)

# Being completed, giving the gift and being reward_queued are one transaction. A full cycle in progress is only due.
CYCLE_GIFT = Check(
    "cycle_gift",
    "referrals.referral_cycles",
    """
    SELECT cycle.id,
        jsonb_build_object(
            'state', 'reward_queued', 'done', cycle.qualified_refs_required,
            'gift_of', cycle.referrer_id, 'reason', 'referral_reward'
        ),
        jsonb_build_object(
            'state', cycle.state, 'done', cycle.qualified_refs_done,
            'gift_of', gift.contractor_id, 'reason', gift.reason
        )
    FROM referrals.referral_cycles AS cycle
    LEFT JOIN billing.gifts_queue AS gift ON gift.id = cycle.gift_id
    WHERE (cycle.state <> 'in_progress' OR cycle.gift_id IS NOT NULL)
        AND (cycle.state, cycle.qualified_refs_done, gift.contractor_id, gift.reason)
            IS DISTINCT FROM ('reward_queued', cycle.qualified_refs_required, cycle.referrer_id, 'referral_reward')
    """,
)

GIFT_CYCLE = Check(
    "gift_cycle",
    "billing.gifts_queue",
    """
    SELECT gift.id, jsonb_build_object('cycle_of', gift.contractor_id), NULL
    FROM billing.gifts_queue AS gift
    WHERE gift.reason = 'referral_reward'
        AND NOT EXISTS (SELECT FROM referrals.referral_cycles WHERE gift_id = gift.id)
    """,
)

CHECKS = [CYCLE_COUNT, CYCLE_REQUIREMENT, CYCLE_GIFT, GIFT_CYCLE]
