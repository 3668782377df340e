"""What staff do to subscriptions and gifts, by the pages of adminlog.acts. The rules are elsewhere."""

import datetime as dt
import hashlib
from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Count, Max
from django.utils.formats import number_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from adminlog import journal, story
from adminlog.acts import Done
from adminlog.formats import amount, day
from adminlog.models import AdminAction, AdminUser
from billing.gifts import queue_gift, withdraw_gift
from billing.models import Gift, Plan, Subscription, SubscriptionHistory
from billing.subscriptions import MOST_DAYS, Recorded, activate, cancel, change_plan, extend, give_days
from billing.terms import ends_at, in_words
from billing.waiting import why_it_waits, with_wait
from core.acts import ContractorOperation
from core.models import Contractor

Status, Source = Subscription.Status, Subscription.Source


class PlanField(forms.ModelChoiceField):
    """Of the plans that one pays for."""

    def __init__(self) -> None:
        super().__init__(
            Plan.objects.filter(code__in=Plan.PAID).order_by("pk"), label=_("Plan"), widget=UnfoldAdminSelectWidget
        )


class DaysField(forms.IntegerField):
    def __init__(self, *, least: int = 1, **kwargs: Any) -> None:
        super().__init__(
            label=_("Days"),
            min_value=least,
            max_value=MOST_DAYS,
            widget=UnfoldAdminIntegerFieldWidget({"class": "max-w-2xl"}),
            **kwargs,
        )


class PlanForm(forms.Form):
    plan = PlanField()


class GiftForm(PlanForm):
    days = DaysField()


class ActivationForm(GiftForm):
    payment_reference = forms.CharField(
        required=False,
        max_length=200,
        label=_("Payment reference"),
        help_text=_("Without one it is a grant. Each payment counts once."),
        widget=UnfoldAdminTextInputWidget,
    )


class ExtensionForm(forms.Form):
    days = DaysField(least=-MOST_DAYS, help_text=_("A negative number shortens it, at most until now."))


class BillingOperation(ContractorOperation):
    """On contractors, or on rows that are theirs."""

    def subject(self, row: Any) -> Contractor:
        return row if isinstance(row, Contractor) else row.contractor

    def is_offered(self, row: Any, *, by: AdminUser) -> bool:
        return not self.subject(row).is_erased

    def hold(self, contractors: Sequence[int]) -> None:
        super().hold(contractors)
        # The bot locks no contractor before it writes a payment.
        subscriptions = Subscription.objects.filter(contractor__in=contractors).order_by("contractor")
        list(subscriptions.select_for_update(no_key=True).values_list("pk"))

    def seen(self, rows: Sequence[Any], contractors: Sequence[int]) -> str:
        history = SubscriptionHistory.objects.filter(contractor__in=contractors)
        # The count as well: a lower id may be committed later.
        newest = history.aggregate(last=Max("pk"), count=Count("pk"))
        # The bot's history row may come after its subscription; and a price decides how many days are left.
        held = Subscription.objects.filter(contractor__in=contractors).order_by("contractor")
        terms = [
            *held.values_list("plan", "status", "expires_at"),
            *Plan.objects.order_by("pk").values_list("price_month"),
        ]
        digest = hashlib.sha256(repr(terms).encode()).hexdigest()
        return f"{super().seen(rows, contractors)} {newest['last']} {newest['count']} {digest}"


class SubscriptionOperation(BillingOperation):
    permission = "billing.change_subscription"
    group = _("Subscription")

    def is_offered(self, row: Any, *, by: AdminUser) -> bool:
        subscription = row if isinstance(row, Subscription) else getattr(row, "subscription", None)
        return super().is_offered(row, by=by) and subscription is not None and self.fits(subscription)

    def fits(self, subscription: Subscription) -> bool:
        return subscription.plan.code in Plan.PAID and subscription.status != Status.EXPIRED


class Activate(BillingOperation):
    name = "activate"
    title = _("Activate a plan")
    icon = "play_circle"
    permission = "billing.change_subscription"
    form_class = ActivationForm
    in_bulk = False
    group = _("Subscription")

    def initial(self, rows: Sequence[Any]) -> dict[str, Any]:
        return {"days": 30}

    def do(
        self, row: Any, *, by: AdminUser, now: dt.datetime, plan: Plan, days: int, payment_reference: str, **data: Any
    ) -> Done:
        contractor = self.subject(row).pk
        try:
            change = activate(contractor=contractor, plan=plan, days=days, payment_reference=payment_reference, now=now)
        except ValidationError as refusal:
            if refusal.code == "payment_used" and refusal.params:
                act_on_it = who_used(payment_reference, of=refusal.params["contractor"])
                raise ValidationError([refusal, *act_on_it]) from None
            raise
        paid = {"payment_reference": payment_reference} if payment_reference else {}
        source = gettext("Paid, payment %(payment_reference)s.") % paid if paid else gettext("A grant, not a payment.")
        act = act_of("subscription.activated", change, personal=paid, days=days)
        return Done(act, f"{told(change, now=now, days=days)} {source}")


def who_used(payment_reference: str, *, of: Contractor) -> list[ValidationError]:
    """The act of the journal, in words; nothing after an erasure, or if it was none of staff."""
    acts = AdminAction.objects.filter(
        action="subscription.activated",
        contractors__contains=[of.pk],
        details__personal__payment_reference=payment_reference,
    )
    return [
        ValidationError(
            _("%(person)s activated it, because: %(reason)s. In the journal: %(act)s."),
            params={"person": act.admin_name, "reason": story.reason(act), "act": act},
        )
        for act in acts.order_by("-pk")[:1]
    ]


class Extend(SubscriptionOperation):
    name = "extend"
    title = _("Extend or shorten")
    icon = "update"
    form_class = ExtensionForm

    def fits(self, subscription: Subscription) -> bool:
        has_end = ends_at(subscription) is not None
        return super().fits(subscription) and has_end and subscription.status != Status.CANCELLED

    def initial(self, rows: Sequence[Any]) -> dict[str, Any]:
        return {"days": 7}

    def do(self, row: Any, *, by: AdminUser, now: dt.datetime, days: int, **data: Any) -> Done:
        return extended(extend(contractor=self.subject(row).pk, days=days, now=now), now=now, days=days)


class ChangePlan(SubscriptionOperation):
    name = "change_plan"
    title = _("Change plan")
    icon = "swap_horiz"
    form_class = PlanForm
    in_bulk = False

    def fits(self, subscription: Subscription) -> bool:
        return super().fits(subscription) and not subscription.paid_until

    def initial(self, rows: Sequence[Any]) -> dict[str, Any]:
        had = Subscription.objects.filter(contractor=self.subject(rows[0]))
        return {"plan": Plan.objects.filter(code__in=Plan.PAID).exclude(pk__in=had.values("plan")).first()}

    def do(self, row: Any, *, by: AdminUser, now: dt.datetime, plan: Plan, **data: Any) -> Done:
        change = change_plan(contractor=self.subject(row).pk, plan=plan, now=now)
        return Done(act_of("subscription.plan_changed", change), told(change, now=now))


class Cancel(SubscriptionOperation):
    name = "cancel"
    title = _("Cancel subscription")
    icon = "cancel"
    warning = _("A subscription with an end lasts until then and is not renewed; one without an end is over at once.")
    is_grave = True

    def fits(self, subscription: Subscription) -> bool:
        return super().fits(subscription) and subscription.status != Status.CANCELLED

    def do(self, row: Any, *, by: AdminUser, now: dt.datetime, **data: Any) -> Done:
        change = cancel(contractor=self.subject(row).pk, now=now)
        return Done(act_of("subscription.cancelled", change), told(change, now=now))


class QueueGift(BillingOperation):
    name = "queue_gift"
    title = _("Queue a gift")
    icon = "redeem"
    permission = "billing.add_gift"
    form_class = GiftForm
    group = _("Gifts")

    def initial(self, rows: Sequence[Any]) -> dict[str, Any]:
        return {"plan": Plan.objects.get(code=Plan.Code.PRO), "days": 30}

    def do(self, row: Any, *, by: AdminUser, now: dt.datetime, plan: Plan, days: int, **data: Any) -> Done:
        return queued(queue_gift(contractor=self.subject(row).pk, plan=plan, days=days, now=now), now=now)


class GiveDays(QueueGift):
    """For many at once, who have this and that. Of one, whoever looks sees what to do."""

    name = "give_days"
    title = _("Give days")
    icon = "volunteer_activism"
    head_action = "days.given"
    warning = _(
        "Those whose paid plan runs get the days on top of its end. Everybody else gets a gift of this plan, which"
        " starts at the next run, or once what they have is over."
    )

    def is_offered(self, row: Any, *, by: AdminUser) -> bool:
        return False

    def initial(self, rows: Sequence[Any]) -> dict[str, Any]:
        return super().initial(rows) | {"days": 7}

    def do(self, row: Any, *, by: AdminUser, now: dt.datetime, plan: Plan, days: int, **data: Any) -> Done:
        given = give_days(contractor=self.subject(row).pk, plan=plan, days=days, now=now)
        return queued(given, now=now) if isinstance(given, Gift) else extended(given, now=now, days=days)


class WithdrawGift(BillingOperation):
    name = "withdraw"
    title = _("Withdraw")
    icon = "undo"
    permission = "billing.delete_gift"
    is_grave = True

    def is_offered(self, row: Gift, *, by: AdminUser) -> bool:
        return not (row.applied_at or row.withdrawn_at)

    def do(self, row: Gift, *, by: AdminUser, now: dt.datetime, **data: Any) -> Done:
        change = withdraw_gift(gift=row.pk, now=now)
        gift, values = change.after, journal.difference(change.before, change.after)
        act = journal.Act("gift.withdrawn", gift, **values, contractors=[gift.contractor_id])
        words = gettext("%(gift)s (%(reason)s): waiting → withdrawn.")
        return Done(act, words % {"gift": gift, "reason": gift.get_reason_display().lower()})


def act_of(action: str, change: Recorded, *, personal: journal.Values | None = None, **facts: Any) -> journal.Act:
    contractors = [change.after.contractor_id]
    values = journal.difference(change.before, change.after)
    facts["history"] = change.history
    return journal.Act(action, change.after, **values, facts=facts, personal=personal or {}, contractors=contractors)


def extended(change: Recorded, *, now: dt.datetime, days: int) -> Done:
    return Done(act_of("subscription.extended", change, days=days), told(change, now=now, days=days))


def queued(gift: Gift, *, now: dt.datetime) -> Done:
    act = journal.Act("gift.queued", gift, after=journal.values(gift), contractors=[gift.contractor_id])
    waits = why_it_waits(with_wait(Gift.objects.filter(pk=gift.pk), at=now).get(), at=now)
    return Done(act, gettext("A gift of %(gift)s. %(why)s.") % {"gift": gift, "why": waits})


def told(change: Recorded, *, now: dt.datetime, days: int = 0) -> str:
    """PRO until 3 Feb 2027 → BUSINESS until 14 Jan 2027, and how that comes about."""
    before, after = (in_words(terms, at=now) for terms in (change.before, change.after))
    words = gettext("%(before)s → %(after)s.") % {"before": before, "after": after}
    return " ".join(filter(None, [words, brought_over(change, now=now, days=days)]))


def brought_over(change: Recorded, *, now: dt.datetime, days: int) -> str:
    """What became of the days that were left, where they are not simply kept."""
    before, after = change.before, change.after
    if after.starts_at != before.starts_at or (end := ends_at(before)) is None or after.expires_at is None:
        return ""
    if before.paid_until and days > 0:
        return gettext("The days count from %(date)s, when what was paid for ended.") % {"date": day(before.paid_until)}
    if before.plan == after.plan:
        return ""
    since = max(now, before.starts_at)
    figures = {
        "left": in_days(end - since),
        "kept": in_days(after.expires_at - dt.timedelta(days=days) - since),
        "old": before.plan.code,
        "new": after.plan.code,
    }
    if before.source != Source.PAID:
        return gettext("Days left: %(left)s. They were not paid for, so their number stays the same.") % figures
    prices = {"price": price(before.plan), "new_price": price(after.plan)}
    words = gettext(
        "%(left)s days of %(old)s at %(price)s a month are left, which make %(kept)s days of %(new)s at %(new_price)s."
    )
    return words % (figures | prices)


def price(plan: Plan) -> str:
    return amount(plan.price_month or 0)


def in_days(span: dt.timedelta) -> str:
    return number_format(round(span / dt.timedelta(days=1), 1), decimal_pos=1, force_grouping=True)
