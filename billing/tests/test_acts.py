"""What staff do to subscriptions and gifts, as they do it: on the page of each act."""

import datetime as dt
from decimal import Decimal

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from adminlog.columns import page_of
from adminlog.formats import day
from adminlog.models import AdminAction
from adminlog.tests.form import do, do_in_bulk, look_ahead
from billing.factories import GiftFactory, SubscriptionFactory
from billing.models import Gift, Plan, Subscription, SubscriptionHistory
from billing.subscriptions import expire_subscriptions, give_days
from core.factories import ContractorFactory
from core.models import Contractor

pytestmark = pytest.mark.django_db

DAY = dt.timedelta(days=1)
CONTRACTORS = reverse("admin:core_contractor_changelist")


def address(row: Contractor | Subscription | Gift, act: str) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{act}", args=[row.pk])


def plan(code: str) -> Plan:
    return Plan.objects.get(code=code)


def given(days: int | None = 10, **known: object) -> Contractor:
    return SubscriptionFactory(**{"code": "PRO", "days": days} | known).contractor


def told(response: HttpResponse) -> str:
    """The message after the act."""
    return " ".join(str(message) for message in response.wsgi_request._messages)  # type: ignore[attr-defined]


def text(response: HttpResponse) -> str:
    return response.content.decode()


def look(browser: Client, row: Contractor, act: str, **values: object) -> str:
    return text(browser.post(address(row, act), values | {"step": "preview"}))


def assert_journaled(action: str, contractor: Contractor, *, reason: str = "asked for it") -> AdminAction:
    act = AdminAction.objects.get()
    assert (act.action, act.admin.username, act.contractors) == (action, "anna", [contractor.pk])
    assert act.details.personal["reason"] == reason
    assert act.token
    return act


def test_who_paid_is_activated_and_the_answer_says_from_what_to_what(anna):
    contractor = given(None, code="FREE")

    response = do(
        anna, address(contractor, "activate"), plan=plan("PRO").pk, days=30, payment_reference=" inv-1 ", reason="paid"
    )

    subscription = Subscription.objects.get(contractor=contractor)
    assert (subscription.plan.code, subscription.source) == ("PRO", "paid")
    assert SubscriptionHistory.objects.get().payment_reference == "inv-1"
    assert told(response) == f"FREE → PRO until {day(subscription.expires_at)}. Paid, payment inv-1."
    act = assert_journaled("subscription.activated", contractor, reason="paid")
    assert (act.target_type, act.target_id) == ("billing.subscription", subscription.pk)
    assert act.payload["after"]["plan_id"] == subscription.plan_id
    assert act.payload["days"] == 30
    assert act.details.personal["payment_reference"] == "inv-1"


def test_a_payment_that_was_used_is_refused_and_shown_with_links_to_whose_it_was_and_who_used_it(anna):
    ivan, other = given(None, code="FREE", contractor__full_name="<Ivan>"), given(None, code="FREE")
    paid = {"plan": plan("PRO").pk, "days": 30, "payment_reference": "inv-1"}
    do(anna, address(ivan, "activate"), **paid)

    shown = look(anna, other, "activate", **paid)

    assert f"The payment inv-1 was used on {day(timezone.now())} already:" in shown
    assert f'<a href="{page_of(ivan)}" class="text-link">&lt;Ivan&gt;</a>' in shown
    act = f'<a href="{page_of(AdminAction.objects.get())}"'
    assert f"anna activated it, because: asked for it. In the journal: {act}" in shown
    do(anna, address(other, "activate"), **paid)
    assert Subscription.objects.get(contractor=other).plan.code == "FREE"
    assert AdminAction.objects.count() == 1


def test_an_extension_is_journaled_with_the_ends_before_and_after(anna):
    contractor = given(10)
    before = Subscription.objects.get().expires_at

    response = do(anna, address(contractor, "extend"), days=7)

    after = Subscription.objects.get().expires_at
    assert after == before + 7 * DAY
    assert told(response) == f"PRO until {day(before)} → PRO until {day(after)}."
    act = assert_journaled("subscription.extended", contractor)
    assert [set(act.payload[moment]) for moment in ("before", "after")] == [{"expires_at"}] * 2


def test_the_proration_is_shown_in_figures_before_the_plan_is_changed(anna):
    contractor = given(149)
    Plan.objects.filter(code="PRO").update(price_month=Decimal(100))
    Plan.objects.filter(code="BUSINESS").update(price_month=Decimal(1000))

    shown = text(anna.get(address(contractor, "change_plan")))

    end = day(timezone.now() + 14.9 * DAY)
    assert f"→ BUSINESS until {end}." in shown
    assert "149.0 days of PRO at 100.00 a month are left, which make 14.9 days of BUSINESS at 1,000.00." in shown
    assert Subscription.objects.get().plan.code == "PRO"
    do(anna, address(contractor, "change_plan"))
    assert Subscription.objects.get().plan.code == "BUSINESS"
    assert_journaled("subscription.plan_changed", contractor)


def test_days_that_were_not_paid_for_are_said_to_stay_as_many(anna):
    shown = text(anna.get(address(given(10, gift=True), "change_plan")))
    assert "Days left: 10.0. They were not paid for, so their number stays the same." in shown


def test_in_grace_it_is_said_from_when_the_days_count(anna):
    ended = timezone.now() - DAY
    contractor = given(None, status="grace", starts_at=ended - 30 * DAY, paid_until=ended, expires_at=ended + 3 * DAY)
    assert f"The days count from {day(ended)}, when what was paid for ended." in look(
        anna, contractor, "extend", days=7
    )


def test_who_is_cancelled_keeps_what_was_paid_for(anna):
    contractor = given(10)
    do(anna, address(contractor, "cancel"))
    assert Subscription.objects.get().status == "cancelled"
    assert_journaled("subscription.cancelled", contractor)


def test_the_page_of_a_subscription_offers_the_same_acts(anna):
    contractor = given(10)
    subscription = contractor.subscription
    assert address(subscription, "extend") in text(anna.get(page_of(subscription)))
    do(anna, address(subscription, "extend"), days=7)
    assert_journaled("subscription.extended", contractor)


def test_what_makes_no_sense_is_not_offered(anna):
    offered = text(anna.get(page_of(given(None, code="FREE"))))
    assert "/activate/" in offered and "/queue_gift/" in offered
    assert not [act for act in ("extend", "change_plan", "cancel", "give_days") if f"/{act}/" in offered]


def test_a_queued_gift_says_why_it_waits(anna):
    contractor = given(10)

    response = do(anna, address(contractor, "queue_gift"), plan=plan("BUSINESS").pk, days=7)

    gift = Gift.objects.pending().get()
    assert (gift.contractor, gift.plan.code, gift.days, gift.reason) == (contractor, "BUSINESS", 7, "admin_grant")
    assert told(response).startswith("A gift of 7 days of Business. PRO paid until ")
    act = assert_journaled("gift.queued", contractor)
    assert (act.target_id, act.payload["after"]["days"]) == (gift.pk, 7)


def test_gifts_are_withdrawn_from_their_list_and_one_that_started_is_skipped(anna):
    gifts = [GiftFactory(), GiftFactory(applied_at=timezone.now())]

    response = do_in_bulk(anna, reverse("admin:billing_gift_changelist"), gifts, "withdraw")

    assert list(Gift.objects.exclude(withdrawn_at=None)) == gifts[:1]
    assert f"This gift started on {day(timezone.now())}. Shorten the subscription instead." in text(response)
    [head, part] = AdminAction.objects.order_by("pk")
    assert (head.payload, part.target_id) == ({"rows": 1, "skipped": 1}, gifts[0].pk)
    assert set(part.payload["before"]) == {"withdrawn_at"}


def test_a_week_for_everybody_extends_who_has_a_plan_and_queues_a_gift_for_all_others(anna):
    pro, free, cancelled, endless = given(10), ContractorFactory(), given(10, status="cancelled"), given(None)
    before = Subscription.objects.get(contractor=pro).expires_at

    week = {"plan": plan("PRO").pk, "days": 7}
    response = do_in_bulk(anna, CONTRACTORS, [pro, free, cancelled, endless], "give_days", reason="outage", **week)

    assert Subscription.objects.get(contractor=pro).expires_at == before + 7 * DAY
    assert {gift.contractor for gift in Gift.objects.pending()} == {free, cancelled}
    assert "has no end here: there is nothing to extend." in text(response)
    [head, *parts] = AdminAction.objects.order_by("pk")
    assert (head.action, head.payload, bool(head.token)) == ("days.given", {"rows": 3, "skipped": 1}, True)
    assert [(act.action, act.contractors, act.token) for act in parts] == [
        ("subscription.extended", [pro.pk], None),
        ("gift.queued", [free.pk], None),
        ("gift.queued", [cancelled.pk], None),
    ]
    assert {act.details.personal["reason"] for act in [head, *parts]} == {"outage"}


@pytest.mark.parametrize("seen_by_the_job", [False, True])
def test_days_for_a_plan_that_has_just_ended_do_not_hang_on_which_job_was_first(seen_by_the_job):
    now = timezone.now()
    ivan = given(30, starts_at=now - 30 * DAY - dt.timedelta(hours=1))
    if seen_by_the_job:
        expire_subscriptions(now=now)
    give_days(contractor=ivan.pk, plan=plan("PRO"), days=7, now=now)
    assert not Gift.objects.exists()
    assert Subscription.objects.get(contractor=ivan).expires_at > now + 6 * DAY


@pytest.mark.parametrize(
    ("act", "values"),
    [
        ("activate", {"plan": "FREE", "days": 30}),
        ("activate", {"plan": "PRO", "days": 0}),
        ("activate", {"plan": "PRO", "days": 3651}),
        ("activate", {"plan": "PRO", "days": 30, "payment_reference": "x" * 201}),
        ("extend", {"days": 0}),
        ("extend", {"days": ""}),
        ("extend", {"days": -3651}),
        ("queue_gift", {"plan": "FREE", "days": 30}),
        ("queue_gift", {"plan": "PRO", "days": 10**12}),
        ("give_days", {"plan": "PRO", "days": -1}),
    ],
)
def test_what_nobody_means_cannot_be_confirmed(anna, act, values):
    contractor = given(10)
    if "plan" in values:
        values = values | {"plan": plan(values["plan"]).pk}
    assert look_ahead(anna, address(contractor, act), **values)["confirmation"] == ""
    do(anna, address(contractor, act), **values)
    assert not AdminAction.objects.exists()
    assert not Gift.objects.exists() and not SubscriptionHistory.objects.exists()
