"""advance_referrals: the command, and sets of a thousand in plain SQL."""

from typing import Any

from django.conf import settings
from django.core.management import call_command

from bench.databases import Kept, digest, silence
from bench.rounds import Timings, Way, race
from bench.sizes import NOW, Size
from bench.table import Line, within
from testbed.databases import plain, unhindered

ACROSS = False
SET = 1000
DUE = """
    SELECT referral.referrer_id
    FROM referrals.referrals AS referral JOIN core.contractors AS referred ON referred.id = referred_contractor_id
    WHERE cycle_id IS NULL AND (
        qualified_at IS NOT NULL
        OR status <> 'blocked' AND (SELECT count(*) FROM core.channels WHERE contractor_id = referred.id) >= 2
    )
    UNION
    SELECT referrer_id FROM referrals.referral_cycles
    WHERE state = 'completed' OR state = 'in_progress' AND qualified_refs_done >= qualified_refs_required
    ORDER BY 1
"""
STEPS = [
    "SELECT id FROM core.contractors WHERE id = ANY(%(referrers)s) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED",
    """
    UPDATE referrals.referrals AS referral SET qualified_at = %(now)s
    FROM core.contractors AS referred
    WHERE referral.referrer_id = ANY(%(referrers)s) AND referral.qualified_at IS NULL
        AND referred.id = referred_contractor_id AND referred.status <> 'blocked'
        AND (SELECT count(*) FROM core.channels WHERE contractor_id = referred.id) >= 2
    """,
    """
    SELECT FROM referrals.referrals
    WHERE referrer_id = ANY(%(referrers)s) AND qualified_at IS NOT NULL AND cycle_id IS NULL
    ORDER BY id FOR NO KEY UPDATE
    """,
    """
    SELECT FROM referrals.referral_cycles WHERE referrer_id = ANY(%(referrers)s) AND state <> 'reward_queued'
    ORDER BY id FOR NO KEY UPDATE
    """,
    """
    INSERT INTO referrals.referral_cycles (referrer_id, cycle_no, qualified_refs_required, created_at)
    SELECT referrer_id, last_no + nth, 3, %(now)s
    FROM (
        SELECT referrer_id, count(*) AS referrals FROM referrals.referrals
        WHERE referrer_id = ANY(%(referrers)s) AND qualified_at IS NOT NULL AND cycle_id IS NULL GROUP BY referrer_id
    ) AS waiting
    JOIN (
        SELECT referrer_id, max(cycle_no) AS last_no, coalesce(
            sum(qualified_refs_required - qualified_refs_done) FILTER (WHERE state = 'in_progress'), 0) AS places
        FROM referrals.referral_cycles WHERE referrer_id = ANY(%(referrers)s) GROUP BY referrer_id
    ) AS made USING (referrer_id)
    CROSS JOIN generate_series(1, ((referrals - places + 2) / 3)::int) AS nth
    ON CONFLICT (referrer_id, cycle_no) DO NOTHING
    """,
    """
    WITH waiting AS (
        SELECT id, referrer_id, row_number() OVER (PARTITION BY referrer_id ORDER BY created_at, id) AS nth
        FROM referrals.referrals
        WHERE referrer_id = ANY(%(referrers)s) AND qualified_at IS NOT NULL AND cycle_id IS NULL
    ), places AS (
        SELECT id AS cycle_id, referrer_id,
            sum(qualified_refs_required - qualified_refs_done)
                OVER (PARTITION BY referrer_id ORDER BY cycle_no) AS upto,
            qualified_refs_required - qualified_refs_done AS free
        FROM referrals.referral_cycles WHERE referrer_id = ANY(%(referrers)s) AND state = 'in_progress'
    ), counted AS (
        UPDATE referrals.referrals AS referral SET cycle_id = places.cycle_id
        FROM waiting JOIN places
            ON places.referrer_id = waiting.referrer_id AND nth > upto - free AND nth <= upto
        WHERE referral.id = waiting.id
        RETURNING referral.cycle_id
    )
    UPDATE referrals.referral_cycles AS cycle SET qualified_refs_done = qualified_refs_done + sums.referrals
    FROM (SELECT cycle_id, count(*) AS referrals FROM counted GROUP BY cycle_id) AS sums
    WHERE cycle.id = sums.cycle_id
    """,
    """
    WITH completed AS (
        UPDATE referrals.referral_cycles
        SET state = 'reward_queued', completed_at = %(now)s,
            gift_id = nextval(pg_get_serial_sequence('billing.gifts_queue', 'id'))
        WHERE referrer_id = ANY(%(referrers)s) AND gift_id IS NULL AND (
            state = 'in_progress' AND qualified_refs_done >= qualified_refs_required OR state = 'completed'
        )
        RETURNING gift_id, referrer_id
    )
    INSERT INTO billing.gifts_queue (id, contractor_id, plan_id, days, reason, queued_at)
    SELECT gift_id, referrer_id, (SELECT id FROM billing.plans WHERE code = %(plan)s), %(days)s, 'referral_reward',
        %(now)s
    FROM completed
    """,
]


def by_command() -> None:
    with silence() as nowhere:
        call_command("advance_referrals", now=NOW, stdout=nowhere)


def by_hand(sql: Any) -> None:
    due = [row[0] for row in sql.execute(DUE)]
    params = {"now": NOW, "plan": settings.REFERRAL_REWARD_PLAN, "days": settings.REFERRAL_REWARD_DAYS}
    for start in range(0, len(due), SET):
        with sql.transaction():
            for step in STEPS:
                sql.execute(step, params | {"referrers": due[start : start + SET]})


def measure(size: Size) -> Timings:
    with unhindered() as desk, plain() as sql:
        kept = Kept(desk, ["referrals.referrals", "referrals.referral_cycles", "billing.gifts_queue"])

        def put_back() -> None:
            kept.put_back()
            desk.execute("CHECKPOINT")

        try:
            return race(
                f"advance_referrals, {len(sql.execute(DUE).fetchall())} referrers",
                {"command": Way(by_command), "SQL": Way(lambda: by_hand(sql))},
                rounds=size.more_rounds,
                before=put_back,
                state=lambda: [
                    digest(
                        desk,
                        "referrals.referrals AS referral LEFT JOIN referrals.referral_cycles AS cycle"
                        " ON cycle.id = cycle_id",
                        "referral.id, qualified_at, cycle_no",
                    ),
                    digest(desk, "referrals.referral_cycles", "referrer_id, cycle_no, qualified_refs_done, state"),
                    digest(desk, "billing.gifts_queue", "contractor_id, plan_id, days, reason, queued_at"),
                ],
            )
        finally:
            put_back()


def lines(sizes: list[Size], found: dict[str, Timings]) -> list[Line]:
    return [within("advance_referrals", "the same in SQL", found[sizes[-1].name], "command", "SQL", 1.5, 2)]
