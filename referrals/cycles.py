"""What referrals earn: qualified ones fill the referrer's cycles, and each full cycle queues one gift."""

import datetime as dt
from dataclasses import dataclass

from django.conf import settings
from django.db import connection
from django.db.models import F, Q

from core.batches import Batches
from referrals.models import Referral, ReferralCycle
from smetabot.postgres.retry import retry_transient

# For a set of referrers whose contractors are locked, the steps below in this order, each on what the ones before it
# left. The bot takes no lock of ours, so the rows are held as well: what a step reads, the next one finds unchanged.

QUALIFY = """
    UPDATE referrals.referrals AS referral
    SET qualified_at = %(now)s
    FROM referrals.referral_progress AS progress
    WHERE progress.referral_id = referral.id AND progress.qualified
        AND referral.referrer_id = ANY(%(referrers)s) AND referral.qualified_at IS NULL
"""

# Of a referral that plain SQL deletes in the middle, either all steps know or none: it would leave a gap in a cycle.
HOLD_REFERRALS = """
    SELECT FROM referrals.referrals
    WHERE referrer_id = ANY(%(referrers)s) AND qualified_at IS NOT NULL AND cycle_id IS NULL
    ORDER BY id FOR NO KEY UPDATE
"""

HOLD_CYCLES = """
    SELECT FROM referrals.referral_cycles
    WHERE referrer_id = ANY(%(referrers)s) AND state <> 'reward_queued'
    ORDER BY id FOR NO KEY UPDATE
"""

# As many as the referrals without a place need. Who inserts the same number meanwhile has made a cycle; what finds no
# place there is for the next run.
MAKE_CYCLES = """
    WITH waiting AS (
        SELECT referrer_id, count(*) AS referrals
        FROM referrals.referrals
        WHERE referrer_id = ANY(%(referrers)s) AND qualified_at IS NOT NULL AND cycle_id IS NULL
        GROUP BY referrer_id
    ), made AS (
        SELECT referrer_id, max(cycle_no) AS last_no,
            sum(qualified_refs_required - qualified_refs_done) FILTER (WHERE state = 'in_progress') AS places
        FROM referrals.referral_cycles
        WHERE referrer_id = ANY(%(referrers)s)
        GROUP BY referrer_id
    ), missing AS (
        SELECT referrer_id, coalesce(last_no, 0) AS last_no, referrals - coalesce(places, 0) AS places
        FROM waiting LEFT JOIN made USING (referrer_id)
    )
    INSERT INTO referrals.referral_cycles (referrer_id, cycle_no, qualified_refs_required, created_at)
    SELECT referrer_id, last_no + nth, %(required)s, %(now)s
    FROM missing CROSS JOIN generate_series(1, ceil(places::numeric / %(required)s)::int) AS nth
    ORDER BY referrer_id, nth
    ON CONFLICT (referrer_id, cycle_no) DO NOTHING
"""

# The nth referral takes the nth place. Paired by GROUP BY, because a join could compare each with each: how many rows
# there are depends on the steps before, which no statistics know. A cycle may require any number, so no more places are
# numbered than there are referrals.
COUNT_REFERRALS = """
    WITH waiting AS (
        SELECT id, referrer_id, row_number() OVER (PARTITION BY referrer_id ORDER BY created_at, id) AS nth
        FROM referrals.referrals
        WHERE referrer_id = ANY(%(referrers)s) AND qualified_at IS NOT NULL AND cycle_id IS NULL
    ), places AS (
        SELECT cycle.id AS cycle_id, referrer_id,
            row_number() OVER (PARTITION BY referrer_id ORDER BY cycle.cycle_no, place) AS nth
        FROM referrals.referral_cycles AS cycle
        JOIN (SELECT referrer_id, count(*) AS referrals FROM waiting GROUP BY referrer_id) AS demand USING (referrer_id)
        CROSS JOIN generate_series(1, least(qualified_refs_required - qualified_refs_done, referrals)) AS place
        WHERE referrer_id = ANY(%(referrers)s) AND cycle.state = 'in_progress'
    ), pairs AS (
        SELECT max(referral_id) AS referral_id, max(cycle_id) AS cycle_id
        FROM (
            SELECT referrer_id, nth, id AS referral_id, NULL::bigint AS cycle_id FROM waiting
            UNION ALL
            SELECT referrer_id, nth, NULL, cycle_id FROM places
        ) AS referrals_and_places
        GROUP BY referrer_id, nth
    ), counted AS (
        UPDATE referrals.referrals AS referral
        SET cycle_id = pairs.cycle_id
        FROM pairs
        WHERE referral.id = pairs.referral_id AND referral.cycle_id IS NULL AND pairs.cycle_id IS NOT NULL
        RETURNING referral.cycle_id
    )
    UPDATE referrals.referral_cycles AS cycle
    SET qualified_refs_done = cycle.qualified_refs_done + sums.referrals
    FROM (SELECT cycle_id, count(*) AS referrals FROM counted GROUP BY cycle_id) AS sums
    WHERE cycle.id = sums.cycle_id
"""

COMPLETE = """
    UPDATE referrals.referral_cycles
    SET state = 'completed', completed_at = %(now)s
    WHERE referrer_id = ANY(%(referrers)s) AND state = 'in_progress' AND qualified_refs_done >= qualified_refs_required
"""

# A cycle that plain SQL made after the others were held is held here. Without the plan this fails, and is reported.
QUEUE_GIFTS = """
    WITH completed AS (
        SELECT id, referrer_id
        FROM referrals.referral_cycles
        WHERE referrer_id = ANY(%(referrers)s) AND state = 'completed' AND gift_id IS NULL
        ORDER BY referrer_id, cycle_no
        FOR NO KEY UPDATE
    ), gifts AS (
        SELECT nextval(pg_get_serial_sequence('billing.gifts_queue', 'id')) AS id, id AS cycle_id, referrer_id
        FROM completed
    ), queued AS (
        INSERT INTO billing.gifts_queue (id, contractor_id, plan_id, days, reason, queued_at)
        SELECT id, referrer_id, (SELECT id FROM billing.plans WHERE code = %(plan)s), %(days)s, 'referral_reward',
            %(now)s
        FROM gifts
    )
    UPDATE referrals.referral_cycles AS cycle
    SET gift_id = gifts.id
    FROM gifts
    WHERE cycle.id = gifts.cycle_id
"""

# Also where the gift was there already, whoever put the cycle back. Rows of an older program may lack completed_at.
CLOSE = """
    UPDATE referrals.referral_cycles
    SET state = 'reward_queued', completed_at = coalesce(completed_at, %(now)s)
    WHERE referrer_id = ANY(%(referrers)s) AND state = 'completed' AND gift_id IS NOT NULL
"""


@dataclass(frozen=True)
class CycleRun:
    """What a run did itself. `refused`: why the database took nothing of a referrer; the next run tries again."""

    qualified: int
    cycles_completed: int
    rewards_queued: int
    refused: dict[int, str]


def advance_referrals(*, now: dt.datetime, batch_size: int = 1000) -> CycleRun:
    """Count each qualified referral once, oldest first, and queue one gift for each cycle that is full.

    A blocked referrer earns as well; apply_gifts keeps the gift waiting.
    """

    def advance(referrers: list[int]) -> dict[str, int]:
        params = {
            "referrers": referrers,
            "now": now,
            "required": ReferralCycle.REQUIRED,
            "plan": settings.REFERRAL_REWARD_PLAN,
            "days": settings.REFERRAL_REWARD_DAYS,
        }
        with connection.cursor() as cursor:

            def execute(sql: str) -> int:
                cursor.execute(sql, params)
                return cursor.rowcount

            qualified = execute(QUALIFY)
            execute(HOLD_REFERRALS)
            execute(HOLD_CYCLES)
            execute(MAKE_CYCLES)
            execute(COUNT_REFERRALS)
            cycles_completed = execute(COMPLETE)
            rewards_queued = execute(QUEUE_GIFTS)
            execute(CLOSE)
        return {"qualified": qualified, "cycles_completed": cycles_completed, "rewards_queued": rewards_queued}

    batches = Batches(advance)
    batches.run(_due(), size=batch_size)
    counts = batches.counts
    return CycleRun(counts["qualified"], counts["cycles_completed"], counts["rewards_queued"], batches.refused)


@retry_transient
def _due() -> list[int]:
    """Referrers with a qualified referral that no cycle counted, or a full cycle whose reward is not queued."""
    State = ReferralCycle.State
    full = Q(state=State.IN_PROGRESS, qualified_refs_done__gte=F("qualified_refs_required"))
    unrewarded = ReferralCycle.objects.filter(full | Q(state=State.COMPLETED))
    uncounted = Referral.objects.filter(cycle=None, progress__qualified=True)
    return sorted(uncounted.values_list("referrer", flat=True).union(unrewarded.values_list("referrer", flat=True)))
