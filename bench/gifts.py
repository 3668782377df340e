"""apply_gifts: the command, sets of a thousand in plain SQL, and a locked loop over Django's models."""

import datetime as dt
from typing import Any

from django.core.management import call_command
from django.db import transaction

from bench.databases import Kept, digest, scalar, silence
from bench.rounds import Timings, Way, race
from bench.sizes import NOW, Size
from bench.table import Line, faster, within
from billing.models import Gift, Subscription, SubscriptionHistory
from core.models import Contractor
from testbed.databases import plain, unhindered

ACROSS = True
SET = 1000
SAMPLE = 200
LIVE_PAID = """
    EXISTS (
        SELECT FROM billing.subscriptions AS subscription JOIN billing.plans AS plan ON plan.id = plan_id
        WHERE subscription.contractor_id = contractor.id AND plan.code <> 'FREE'
            AND (
                status IN ('active', 'trial', 'grace') AND (expires_at IS NULL OR expires_at > %(now)s)
                OR status = 'cancelled' AND expires_at > %(now)s
            )
    )
"""
DUE = f"""
    SELECT contractor.id FROM core.contractors AS contractor
    WHERE status <> 'blocked' AND NOT {LIVE_PAID}
        AND EXISTS (
            SELECT FROM billing.gifts_queue
            WHERE contractor_id = contractor.id AND applied_at IS NULL AND withdrawn_at IS NULL
        )
    ORDER BY contractor.id
"""
LOCK = """
    SELECT id FROM core.contractors WHERE id = ANY(%(contractors)s) AND status <> 'blocked'
    ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
"""
APPLY = """
    WITH oldest AS (
        SELECT DISTINCT ON (contractor_id) id, contractor_id, plan_id, days
        FROM billing.gifts_queue
        WHERE contractor_id = ANY(%(contractors)s) AND applied_at IS NULL AND withdrawn_at IS NULL
        ORDER BY contractor_id, queued_at, id
    ), started AS (
        INSERT INTO billing.subscriptions AS held (contractor_id, plan_id, status, source, starts_at, expires_at)
        SELECT contractor_id, plan_id, 'active', 'gift', %(now)s, %(now)s + days * interval '1 day' FROM oldest
        ON CONFLICT (contractor_id) DO UPDATE
        SET plan_id = excluded.plan_id, status = excluded.status, source = excluded.source,
            starts_at = excluded.starts_at, expires_at = excluded.expires_at
        WHERE NOT (
            held.plan_id <> (SELECT id FROM billing.plans WHERE code = 'FREE')
            AND (
                held.status IN ('active', 'trial', 'grace') AND (held.expires_at IS NULL OR held.expires_at > %(now)s)
                OR held.status = 'cancelled' AND held.expires_at > %(now)s
            )
        )
        RETURNING contractor_id, plan_id, status, source, starts_at, expires_at
    ), applied AS (
        UPDATE billing.gifts_queue AS gift SET applied_at = %(now)s
        FROM oldest JOIN started USING (contractor_id)
        WHERE gift.id = oldest.id AND gift.applied_at IS NULL
        RETURNING gift.id, gift.contractor_id
    )
    INSERT INTO billing.subscription_history
        (contractor_id, plan_id, status, source, starts_at, expires_at, created_at, gift_id)
    SELECT started.*, %(now)s, applied.id FROM started JOIN applied USING (contractor_id)
"""
# What the command tells at its end.
LEFT = f"""
    SELECT count(*) FILTER (WHERE {LIVE_PAID}), count(*) FILTER (WHERE status = 'blocked')
    FROM core.contractors AS contractor
    WHERE EXISTS (
        SELECT FROM billing.gifts_queue
        WHERE contractor_id = contractor.id AND applied_at IS NULL AND withdrawn_at IS NULL
    )
"""


def by_command() -> None:
    with silence() as nowhere:
        call_command("apply_gifts", now=NOW, stdout=nowhere)


def by_hand(sql: Any) -> None:
    due = [row[0] for row in sql.execute(DUE, {"now": NOW})]
    for start in range(0, len(due), SET):
        with sql.transaction():
            locked = [row[0] for row in sql.execute(LOCK, {"contractors": due[start : start + SET]})]
            sql.execute(APPLY, {"contractors": locked, "now": NOW})
    sql.execute(LEFT, {"now": NOW}).fetchone()


def row_by_row() -> None:
    waiting = Gift.objects.pending().order_by("queued_at", "pk").values_list("contractor", flat=True)
    due = (
        Contractor.objects.filter(pk__in=waiting)
        .exclude(status=Contractor.Status.BLOCKED)
        .exclude(subscription__in=Subscription.objects.live_paid(at=NOW))
    )
    for pk in list(due.order_by("pk").values_list("pk", flat=True)[:SAMPLE]):
        with transaction.atomic():
            contractor = Contractor.objects.select_for_update().get(pk=pk)
            if Subscription.objects.live_paid(at=NOW).filter(contractor=contractor).exists():
                continue
            gift = contractor.gifts.filter(applied_at=None, withdrawn_at=None).order_by("queued_at", "pk").first()
            if gift is None:
                continue
            expires_at = NOW + dt.timedelta(days=gift.days)
            subscription, _ = Subscription.objects.get_or_create(contractor=contractor, defaults={"plan": gift.plan})
            subscription.plan, subscription.status, subscription.source = gift.plan, "active", "gift"
            subscription.starts_at, subscription.expires_at = NOW, expires_at
            subscription.save()
            gift.applied_at = NOW
            gift.save()
            SubscriptionHistory.objects.create(
                contractor=contractor,
                plan=gift.plan,
                status="active",
                source="gift",
                starts_at=NOW,
                expires_at=expires_at,
                gift=gift,
            )


def measure(size: Size) -> Timings:
    with unhindered() as desk, plain() as sql:
        kept = Kept(desk, ["billing.subscriptions", "billing.gifts_queue"])
        newest = scalar(desk, "SELECT max(id) FROM billing.subscription_history")
        gifts = len(sql.execute(DUE, {"now": NOW}).fetchall())

        def put_back() -> None:
            kept.put_back()
            desk.execute("DELETE FROM billing.subscription_history WHERE id > %s", [newest])
            desk.execute("VACUUM (ANALYZE) billing.subscription_history")
            desk.execute("CHECKPOINT")

        terms = "contractor_id, plan_id, status, source, starts_at, expires_at"
        try:
            return race(
                f"apply_gifts, {gifts} gifts",
                {
                    "command": Way(by_command, gifts),
                    "SQL": Way(lambda: by_hand(sql), gifts),
                    "locked loop": Way(row_by_row, min(SAMPLE, gifts), sample=True, rounds=2),
                },
                rounds=size.more_rounds,
                before=put_back,
                state=lambda: [
                    digest(desk, "billing.subscriptions", terms),
                    digest(desk, "billing.gifts_queue", "id, applied_at"),
                    digest(desk, "billing.subscription_history", f"{terms}, created_at, gift_id"),
                ],
            )
        finally:
            put_back()


def lines(sizes: list[Size], found: dict[str, Timings]) -> list[Line]:
    table = []
    for size in sizes:
        timings = found[size.name]
        job = f"apply_gifts, per gift, {size.contractors:,} contractors"
        table += [
            within(job, "sets of 1,000 in SQL", timings, "command", "SQL", 1.5, 2),
            faster(job, "a locked loop over models", timings, "command", "locked loop", 60, 60),
        ]
    first, last = sizes[0], sizes[-1]
    if first is not last:
        more = found[last.name]["command"] / found[first.name]["command"]
        job = f"apply_gifts, per gift, {last.contractors:,} contractors"
        table.append(Line(job, f"itself at {first.contractors:,}", more, 1.2, 1.3))
    return table
