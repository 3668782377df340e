"""What the business does to gifts: a contractor's oldest one starts once nothing paid for is live."""

import datetime as dt
from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.db import connection
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext as _

from adminlog.formats import day
from billing.models import Gift, Plan, Subscription
from core.batches import Batches
from core.contractors import refuse_erased
from core.models import Contractor
from core.operations import Change, lock, staff_operation, write
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


@dataclass(frozen=True)
class GiftRun:
    """`waiting` and `blocked` count contractors after the run, `applied` what it did itself."""

    applied: int
    waiting: int
    blocked: int
    refused: list[Refusal]


def apply_gifts(*, now: dt.datetime, batch_size: int = 1000) -> GiftRun:
    """Start the oldest pending gift of every contractor who is not blocked and has no live paid subscription.

    A run handles each contractor once; a gift of FREE makes nothing paid live, so the next run starts the one after it.
    """

    def apply_oldest(contractors: list[int]) -> dict[str, int]:
        with connection.cursor() as cursor:
            cursor.execute(APPLY_OLDEST, {"contractors": contractors, "now": now, "paid": list(Plan.PAID)})
            return {"applied": cursor.rowcount}

    batches = Batches(apply_oldest, among=Contractor.objects.exclude(status=Contractor.Status.BLOCKED))
    batches.run(_due(now=now), size=batch_size)
    waiting, blocked = _left(now=now)
    return GiftRun(batches.counts["applied"], waiting, blocked, _refusals(batches.refused))


@staff_operation()
def queue_gift(*, contractor: int, plan: Plan, days: int, now: dt.datetime) -> Gift:
    """ValidationError when it is of no paid plan, or of fewer days than one or more than ten years."""
    if plan.code not in Plan.PAID:
        raise ValidationError(_("Give days on PRO or BUSINESS: everybody has FREE."), code="free")
    refuse_erased(*lock(contractor))
    gift = Gift(contractor_id=contractor, plan=plan, days=days, reason=Gift.Reason.ADMIN_GRANT, queued_at=now)
    # Both are there: the one is held, the other was read.
    gift.full_clean(exclude=["contractor", "plan"])
    gift.save()
    return gift


@staff_operation()
def withdraw_gift(*, gift: int, now: dt.datetime) -> Change[Gift]:
    """ValidationError when it is not pending any more."""
    # A run that is starting the gift holds its contractor.
    lock(*Gift.objects.filter(pk=gift).values_list("contractor", flat=True))
    found = Gift.objects.select_for_update(no_key=True).filter(pk=gift).first()
    if found is None:
        raise ValidationError(_("There is no gift %(gift)s."), code="not_found", params={"gift": gift})
    if found.applied_at:
        raise ValidationError(
            _("This gift started on %(date)s. Shorten the subscription instead."),
            code="applied",
            params={"date": day(found.applied_at)},
        )
    if found.withdrawn_at:
        raise ValidationError(_("This gift was withdrawn already."), code="withdrawn")
    return write(found, withdrawn_at=now)


def _refusals(refused: dict[int, str]) -> list[Refusal]:
    oldest = Gift.objects.pending().filter(contractor__pk__any=refused).order_by("contractor", "queued_at", "pk")
    gifts = oldest.distinct("contractor").values_list("contractor", "pk")
    return [Refusal(contractor, gift, refused[contractor]) for contractor, gift in gifts]


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
