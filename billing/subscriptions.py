"""What becomes of subscriptions: time ends them; staff activate, extend, change and cancel them.

A staff operation is one transaction that holds the contractor, then the subscription, and writes one history row. It
finds the row as a timely expire_subscriptions would have left it. It refuses with a ValidationError in words for staff.
"""

import datetime as dt
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any, ParamSpec, TypeVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.utils.translation import gettext as _

from adminlog.formats import day
from billing.gifts import queue_gift
from billing.models import Gift, Plan, Subscription, SubscriptionHistory
from billing.terms import ends_at
from billing.waiting import is_due_for_grace
from core.batches import Batches
from core.contractors import refuse_erased
from core.operations import Change, lock, staff_operation
from smetabot.postgres.retry import retry_transient

P = ParamSpec("P")
R = TypeVar("R")

MOST_DAYS = 3650
MOMENT = dt.timedelta(seconds=1)

# The bot takes no lock, so who has come to an end is asked of the row that is overwritten, a renewal of a moment ago
# included. What timely runs would have done in two steps, through grace, is one step here.
END = """
    WITH ended AS (
        UPDATE billing.subscriptions AS subscription
        SET (status, expires_at, paid_until) = (
            SELECT CASE WHEN ends.at > %(now)s THEN 'grace' ELSE 'expired' END,
                ends.at,
                CASE WHEN grace.due THEN subscription.expires_at ELSE subscription.paid_until END
            FROM (
                SELECT %(grace_days)s > 0 AND subscription.status = 'active' AND subscription.source = 'paid'
                    AND subscription.plan_id IN (SELECT id FROM billing.plans WHERE code = ANY(%(paid)s)) AS due
            ) AS grace
            CROSS JOIN LATERAL (
                SELECT subscription.expires_at
                    + make_interval(days => CASE WHEN grace.due THEN %(grace_days)s ELSE 0 END) AS at
            ) AS ends
        )
        WHERE contractor_id = ANY(%(contractors)s)
            AND status IN ('active', 'trial', 'grace') AND expires_at <= %(now)s
        RETURNING contractor_id, plan_id, status, source, starts_at, expires_at, paid_until
    ), recorded AS (
        INSERT INTO billing.subscription_history
            (contractor_id, plan_id, status, source, starts_at, expires_at, paid_until, created_at)
        SELECT contractor_id, plan_id, status, source, starts_at, expires_at, paid_until, %(now)s FROM ended
        WHERE %(record)s
    )
    SELECT count(*) FILTER (WHERE status = 'grace'), count(*) FILTER (WHERE status = 'expired') FROM ended
"""


# In SQL, so that a date which Python cannot hold is copied as it is.
RECORD = """
    INSERT INTO billing.subscription_history
        (contractor_id, plan_id, status, source, starts_at, expires_at, paid_until, created_at, payment_reference)
    SELECT contractor_id, plan_id, status, source, starts_at, expires_at, paid_until, %(now)s, %(payment_reference)s
    FROM billing.subscriptions WHERE contractor_id = %(contractor)s
    RETURNING id
"""


@dataclass(frozen=True)
class ExpiryRun:
    """`refused`: by contractor, why the database would not take it; the next run tries again."""

    grace: int
    expired: int
    refused: dict[int, str]


def expire_subscriptions(*, now: dt.datetime, batch_size: int = 1000) -> ExpiryRun:
    """End what has come to its end: a paid plan goes to grace for GRACE_DAYS, what is past that or has none expires."""
    batches = Batches(lambda contractors: _end(contractors, now=now))
    batches.run(_due(now=now), size=batch_size)
    return ExpiryRun(batches.counts["grace"], batches.counts["expired"], batches.refused)


@retry_transient
def _due(*, now: dt.datetime) -> list[int]:
    ended = Subscription.objects.ended(at=now)
    return list(ended.order_by("contractor").values_list("contractor", flat=True))


def _end(contractors: list[int], *, now: dt.datetime, record: bool = True) -> dict[str, int]:
    params: dict[str, Any] = {"contractors": contractors, "now": now, "record": record}
    with connection.cursor() as cursor:
        cursor.execute(END, params | {"paid": list(Plan.PAID), "grace_days": settings.GRACE_DAYS})
        grace, expired = cursor.fetchone()
    return {"grace": grace, "expired": expired}


@dataclass(frozen=True)
class Recorded(Change[Subscription]):
    # The id of the history row that it left.
    history: int


def preview(operation: Callable[P, R], *args: P.args, **arguments: P.kwargs) -> R:
    """What the operation would return or refuse, by doing it and taking it back: `preview(extend, contractor=…, …)`."""
    with transaction.atomic():
        outcome = operation(*args, **arguments)
        transaction.set_rollback(True)
    return outcome


def activate(
    *, contractor: int, plan: Plan, days: int, now: dt.datetime, payment_reference: str | None = None
) -> Recorded:
    """Put a contractor on PRO or BUSINESS for so many days, as paid with a payment reference, else as a grant.

    What is live is renewed: the days come on top of its end, in grace of the end of what was paid for. Days left on the
    other plan are brought over first, as change_plan does.
    """
    payment_reference = (payment_reference or "").strip() or None
    if payment_reference and not (payment_reference.isprintable() and len(payment_reference) <= 200):
        raise ValidationError(_("A payment reference is one line of at most 200 characters."), code="payment_reference")
    _require_days(days)
    _require_paid(plan)

    def become(subscription: Subscription, is_live: bool) -> None:
        if is_live and subscription.plan.code in Plan.PAID:
            if ends_at(subscription) is None:
                raise ValidationError(
                    _("This contractor has %(plan)s without an end. Cancel that first."),
                    code="endless",
                    params={"plan": subscription.plan},
                )
            end = _end_on(plan, subscription, now=now)
            subscription.expires_at = _after_now(_later(end, days=days), now=now, paid_until=end)
        else:
            subscription.starts_at, subscription.expires_at = now, _later(now, days=days)
        subscription.plan = plan
        subscription.status = Subscription.Status.ACTIVE
        subscription.source = Subscription.Source.PAID if payment_reference else Subscription.Source.ADMIN_GRANT
        subscription.paid_until = None

    return _change(contractor, become, now=now, payment_reference=payment_reference)


def extend(*, contractor: int, days: int, now: dt.datetime) -> Recorded:
    """Move the end, back with negative days, yet never further back than a moment after now. In grace the days count
    from the end of what was paid for."""
    _require_days(abs(days))

    def become(subscription: Subscription, is_live: bool) -> None:
        if not is_live or subscription.status == Subscription.Status.CANCELLED:
            raise ValidationError(
                _("This subscription is %(status)s. Activate a plan instead."),
                code="ended",
                params={"status": subscription.get_status_display().lower()},
            )
        if (end := ends_at(subscription)) is None:
            raise ValidationError(
                _("%(plan)s has no end here: there is nothing to extend."),
                code="endless",
                params={"plan": subscription.plan},
            )
        if days < 0:
            earliest = max(now, subscription.starts_at) + MOMENT
            subscription.expires_at = min(end, max(earliest, end + dt.timedelta(days=days)))
        else:
            end = subscription.paid_until or end
            subscription.expires_at = _after_now(_later(end, days=days), now=now, paid_until=end)
            subscription.paid_until = None
            if subscription.status == Subscription.Status.GRACE:
                subscription.status = Subscription.Status.ACTIVE

    return _change(contractor, become, now=now)


@staff_operation()
def give_days(*, contractor: int, plan: Plan, days: int, now: dt.datetime) -> Recorded | Gift:
    """To whoever it may be, as after an outage: a paid plan that runs is extended, since a gift would wait for as long
    as it is renewed. Who has none gets a gift of this plan."""
    _require_days(days)
    lock(contractor)
    held = Subscription.objects.select_related("plan").filter(contractor=contractor)
    running = held.live_paid(at=now).exclude(status=Subscription.Status.CANCELLED)
    # What is about to go to grace is extended as what is there already.
    if running.exists() or any(is_due_for_grace(each, at=now) for each in held):
        return extend(contractor=contractor, days=days, now=now)
    return queue_gift(contractor=contractor, plan=plan, days=days, now=now)


def change_plan(*, contractor: int, plan: Plan, now: dt.datetime) -> Recorded:
    """Bring the days left over to the other plan: converted by price where they were paid for, else as many.

    left × old price ÷ new price, rounded up to the whole second, in the contractor's favour.
    """
    _require_paid(plan)

    def become(subscription: Subscription, is_live: bool) -> None:
        if not is_live or subscription.plan.code not in Plan.PAID:
            raise ValidationError(_("There is no plan to change from. Activate one instead."), code="ended")
        if subscription.plan == plan:
            raise ValidationError(_("This contractor has %(plan)s already."), code="same", params={"plan": plan})
        if subscription.paid_until:
            raise ValidationError(
                _(
                    "What was paid for ended on %(date)s, so no days are left. Activate %(plan)s with the payment"
                    " instead."
                ),
                code="grace",
                params={"date": day(subscription.paid_until), "plan": plan},
            )
        if ends_at(subscription):
            subscription.expires_at = _end_on(plan, subscription, now=now)
        subscription.plan = plan

    return _change(contractor, become, now=now)


def cancel(*, contractor: int, now: dt.datetime) -> Recorded:
    """Let what has an end last to it; what has none ends at once."""

    def become(subscription: Subscription, is_live: bool) -> None:
        if not is_live or subscription.plan.code not in Plan.PAID:
            raise ValidationError(_("There is no plan to cancel."), code="ended")
        if subscription.status == Subscription.Status.CANCELLED:
            raise ValidationError(_("This subscription is cancelled already."), code="cancelled")
        subscription.status = Subscription.Status.CANCELLED

    return _change(contractor, become, now=now)


@staff_operation()
def _change(
    contractor: int,
    become: Callable[[Subscription, bool], None],
    *,
    now: dt.datetime,
    payment_reference: str | None = None,
) -> Recorded:
    refuse_erased(*lock(contractor))
    # Without a row one is on FREE. It is made, because only a row that is there can be held against the bot.
    free = Subscription(
        contractor_id=contractor,
        plan=Plan.objects.get(code=Plan.Code.FREE),
        status=Subscription.Status.ACTIVE,
        starts_at=now,
    )
    Subscription.objects.bulk_create([free], ignore_conflicts=True)
    # The one history row is that of the operation, which a late run must not precede with another one.
    _end([contractor], now=now, record=False)
    held = Subscription.objects.select_related("plan").select_for_update(no_key=True, of=("self",))
    after = held.get(contractor=contractor)
    before = copy(after)
    become(after, Subscription.objects.live(at=now).filter(pk=after.pk).exists())
    # Dates that Python cannot hold were read as near ones: what did not change is not written.
    names = [field.attname for field in Subscription._meta.concrete_fields]
    after.save(update_fields=[name for name in names if getattr(after, name) != getattr(before, name)])
    return Recorded(before, after, _record(contractor, now=now, payment_reference=payment_reference))


def _record(contractor: int, *, now: dt.datetime, payment_reference: str | None) -> int:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(RECORD, {"contractor": contractor, "now": now, "payment_reference": payment_reference})
            return cursor.fetchone()[0]
    except IntegrityError:
        used = SubscriptionHistory.objects.filter(payment_reference=payment_reference).first()
        if payment_reference is None or used is None:
            raise
        raise ValidationError(
            _("The payment %(payment)s was used on %(date)s already: %(plan)s for %(contractor)s."),
            code="payment_used",
            params={
                "payment": payment_reference,
                "date": day(used.created_at),
                "plan": used.plan,
                "contractor": used.contractor,
            },
        ) from None


def _end_on(plan: Plan, subscription: Subscription, *, now: dt.datetime) -> dt.datetime:
    """Where what a subscription gives ends once it is brought over to this plan."""
    end = subscription.paid_until or subscription.expires_at
    assert end
    since = max(now, subscription.starts_at)
    if subscription.plan == plan or subscription.source != Subscription.Source.PAID or end <= since:
        return end
    old, new = (_price(each) for each in (subscription.plan, plan))
    left = Decimal((end - since) // dt.timedelta(microseconds=1)) / 1_000_000
    return _later(since, seconds=int((left * old / new).to_integral_value(ROUND_CEILING)))


def _price(plan: Plan) -> Decimal:
    price = plan.price_month
    if price is None or price.is_nan() or price <= 0:
        raise ValidationError(
            _("%(plan)s has no price by which to convert the days that were paid for. Set one on its page first."),
            code="no_price",
            params={"plan": plan},
        )
    return price


def _later(moment: dt.datetime, **by: int) -> dt.datetime:
    try:
        return moment + dt.timedelta(**by)
    except OverflowError:
        raise ValidationError(_("No calendar goes that far. Give fewer days."), code="too_far") from None


def _after_now(end: dt.datetime, *, now: dt.datetime, paid_until: dt.datetime) -> dt.datetime:
    if end <= now:
        raise ValidationError(
            _(
                "The days count from %(date)s, when what was paid for ended, and would be over by now. Give at least"
                " %(days)s."
            ),
            code="too_few_days",
            params={"date": day(paid_until), "days": (now - paid_until).days + 1},
        )
    return end


def _require_days(days: int) -> None:
    if type(days) is not int or not 1 <= days <= MOST_DAYS:
        raise ValidationError(_("Give from 1 to %(most)s days."), code="days", params={"most": MOST_DAYS})


def _require_paid(plan: Plan) -> None:
    if plan.code not in Plan.PAID:
        raise ValidationError(
            _("%(plan)s is what a contractor has without a subscription: cancel the one there is instead."),
            code="free",
            params={"plan": plan},
        )
