"""What the business does to gifts: a contractor's oldest one starts once nothing paid for is live."""

import datetime as dt
from dataclasses import dataclass, field

from django.db import DatabaseError, connection, transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from billing.models import Gift, Plan, Subscription
from core.models import Contractor
from smetabot.postgres.retry import retry_transient

# Each contractor's oldest pending gift, in one statement. The bot takes no lock: a paid webhook may write the
# subscription after our snapshot. So whether it is live is asked again of the row being overwritten, and only a gift
# whose subscription came back is marked and recorded. The gift's own lock is against plain SQL that withdraws it
# meanwhile. Unnested, so that the planner knows how many contractors there are, however stale its statistics.
APPLY_OLDEST = """
    WITH oldest AS (
        SELECT gift.id, gift.contractor_id, gift.plan_id, gift.days
        FROM unnest(%(contractors)s::bigint[]) AS contractor (id)
        CROSS JOIN LATERAL (
            SELECT id, contractor_id, plan_id, days
            FROM billing.gifts_queue
            WHERE contractor_id = contractor.id AND applied_at IS NULL AND withdrawn_at IS NULL
            ORDER BY queued_at, id
            LIMIT 1
            FOR NO KEY UPDATE
        ) AS gift
    ), started AS (
        INSERT INTO billing.subscriptions AS current (contractor_id, plan_id, status, source, starts_at, expires_at)
        SELECT contractor_id, plan_id, 'active', 'gift', %(now)s, %(now)s + make_interval(days => days)
        FROM oldest
        ORDER BY contractor_id
        ON CONFLICT (contractor_id) DO UPDATE
        SET plan_id = excluded.plan_id, status = excluded.status, source = excluded.source,
            starts_at = excluded.starts_at, expires_at = excluded.expires_at
        WHERE NOT (
            billing.is_live(current.status, current.expires_at, %(now)s)
            AND current.plan_id IN (SELECT id FROM billing.plans WHERE code = ANY(%(paid)s))
        )
        RETURNING contractor_id, plan_id, status, source, starts_at, expires_at
    ), applied AS (
        UPDATE billing.gifts_queue AS gift
        SET applied_at = %(now)s
        FROM oldest JOIN started USING (contractor_id)
        WHERE gift.id = oldest.id
        RETURNING gift.id, gift.contractor_id
    )
    INSERT INTO billing.subscription_history
        (contractor_id, plan_id, status, source, starts_at, expires_at, created_at, gift_id)
    SELECT contractor_id, plan_id, status, source, starts_at, expires_at, %(now)s, applied.id
    FROM started JOIN applied USING (contractor_id)
"""


@dataclass(frozen=True)
class Refusal:
    """A gift that the database would not take. Nothing of it was written; the next run tries it again."""

    contractor_id: int
    gift_id: int
    reason: str

    def __str__(self) -> str:
        return f"contractor {self.contractor_id}, gift {self.gift_id}: {self.reason}"


@dataclass
class GiftRun:
    """`waiting` and `blocked` count contractors after the run, `applied` what it did itself."""

    applied: int = 0
    waiting: int = 0
    blocked: int = 0
    refused: list[Refusal] = field(default_factory=list)


def apply_gifts(*, now: dt.datetime, batch_size: int = 1000) -> GiftRun:
    """Start the oldest pending gift of every contractor who is not blocked and has no live paid subscription.

    A run handles each contractor once; a gift of FREE makes nothing paid live, so the next run starts the one after it.
    Runs share the work: one passes over what another holds, then, at its end, waits for it, so that whichever run ends
    has left nothing that was due.
    """
    run = GiftRun()
    due = _due(now=now)
    held: list[int] = []
    for start in range(0, len(due), batch_size):
        held += _apply(due[start : start + batch_size], now=now, run=run)
    for start in range(0, len(held), batch_size):
        _apply(held[start : start + batch_size], now=now, run=run, wait=True)
    run.waiting, run.blocked = _left(now=now)
    return run


def _apply(contractors: list[int], *, now: dt.datetime, run: GiftRun, wait: bool = False) -> list[int]:
    """As one set; when the database refuses it, one by one, setting apart who is at fault. Returns who is held."""
    try:
        applied, held = _apply_set_patiently(contractors, now=now, wait=wait)
        run.applied += applied
        return held
    except DatabaseError:
        if not connection.is_usable():
            raise
    held = []
    for contractor in contractors:
        try:
            # One transaction that hangs may hold all of them: nobody alone is waited for any longer.
            applied, held_alone = _apply_set([contractor], now=now, wait=wait, patience="100ms")
            run.applied += applied
            held += held_alone
        except DatabaseError as error:
            if not connection.is_usable():
                raise
            run.refused += _refusals(contractor, reason=str(error).partition("\n")[0])
    return held


def _apply_set(contractors: list[int], *, now: dt.datetime, wait: bool, patience: str = "1s") -> tuple[int, list[int]]:
    """In one transaction. Returns how many gifts were applied, and the contractors passed over as held by others."""
    with transaction.atomic(), connection.cursor() as cursor:
        # A webhook or a colleague holds a row for milliseconds; one that hangs must not hang the run.
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [patience])
        wanted = Contractor.objects.filter(pk__in=contractors).exclude(status=Contractor.Status.BLOCKED).order_by("pk")
        # What runs contend for is the contractor. Locking gifts instead lets a second run take the next gift.
        locked = list(wanted.select_for_update(no_key=True, skip_locked=not wait).values_list("pk", flat=True))
        # A statement of its own: its snapshot is younger than the locks.
        cursor.execute(APPLY_OLDEST, {"contractors": locked, "now": now, "paid": list(Plan.PAID)})
        applied = cursor.rowcount
        # A deferred constraint speaks here, where it can still be pinned on a contractor, and not at the commit.
        connection.check_constraints()
        held = set(wanted.values_list("pk", flat=True)).difference(locked) if len(locked) < len(contractors) else ()
    return applied, sorted(held)


_apply_set_patiently = retry_transient(_apply_set)


def _refusals(contractor: int, *, reason: str) -> list[Refusal]:
    oldest = Gift.objects.pending().filter(contractor=contractor).order_by("queued_at", "pk")[:1]
    return [Refusal(contractor, gift, reason) for gift in oldest.values_list("pk", flat=True)]


@retry_transient
def _due(*, now: dt.datetime) -> list[int]:
    due = _with_pending_gift().exclude(status=Contractor.Status.BLOCKED).exclude(_has_live_paid(now=now))
    return list(due.order_by("pk").values_list("pk", flat=True))


@retry_transient
def _left(*, now: dt.datetime) -> tuple[int, int]:
    """Contractors with a pending gift: those who wait behind a live paid subscription, and those who are blocked."""
    left = _with_pending_gift().aggregate(
        waiting=Count("pk", filter=_has_live_paid(now=now)),
        blocked=Count("pk", filter=Q(status=Contractor.Status.BLOCKED)),
    )
    return left["waiting"], left["blocked"]


def _with_pending_gift() -> QuerySet[Contractor]:
    return Contractor.objects.filter(Exists(Gift.objects.pending().filter(contractor=OuterRef("pk"))))


def _has_live_paid(*, now: dt.datetime) -> Exists:
    return Exists(Subscription.objects.live_paid(at=now).filter(contractor=OuterRef("pk")))
