import datetime as dt
import json

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from adminlog.models import JobRun
from billing.factories import GiftFactory, SubscriptionFactory
from billing.gifts import apply_gifts
from billing.models import Gift, Subscription, SubscriptionHistory
from billing.subscriptions import expire_subscriptions
from core.factories import ContractorFactory
from smetabot.tests import bot

pytestmark = pytest.mark.django_db

NOW = dt.datetime(2026, 3, 31, 9, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
SECOND = dt.timedelta(seconds=1)


def ended(ago=SECOND, **terms):
    terms = {"code": "PRO", "starts_at": NOW - 300 * DAY} | terms
    return SubscriptionFactory(expires_at=NOW - ago, **terms)


def now_is(subscription):
    subscription.refresh_from_db()
    return subscription.status, subscription.expires_at, subscription.paid_until


@pytest.mark.parametrize("code", ["PRO", "BUSINESS"])
def test_a_paid_plan_goes_to_grace_and_remembers_what_was_paid_for(code):
    subscription = ended(code=code)
    run = expire_subscriptions(now=NOW)
    assert (run.grace, run.expired) == (1, 0)
    assert now_is(subscription) == ("grace", NOW - SECOND + 3 * DAY, NOW - SECOND)


def test_it_ends_at_its_end_and_not_a_moment_later():
    due, not_yet = ended(ago=0 * DAY), ended(ago=-SECOND)
    expire_subscriptions(now=NOW)
    assert [now_is(each)[0] for each in (due, not_yet)] == ["grace", "active"]


def test_grace_is_live_and_a_gift_waits_for_it():
    gift = GiftFactory(contractor=ended().contractor)
    expire_subscriptions(now=NOW)
    assert apply_gifts(now=NOW + 2 * DAY).waiting == 1
    assert list(Gift.objects.pending()) == [gift]


def test_past_grace_it_expires_and_the_dates_stay():
    subscription = ended()
    expire_subscriptions(now=NOW)
    run = expire_subscriptions(now=NOW + 3 * DAY)
    assert (run.grace, run.expired) == (0, 1)
    assert now_is(subscription) == ("expired", NOW - SECOND + 3 * DAY, NOW - SECOND)


@pytest.mark.parametrize("late_by", [3 * DAY, 90 * DAY])
def test_a_late_run_leaves_what_two_timely_ones_would_have(late_by):
    subscription = ended(ago=late_by)
    run = expire_subscriptions(now=NOW)
    assert (run.grace, run.expired) == (0, 1)
    assert now_is(subscription) == ("expired", NOW - late_by + 3 * DAY, NOW - late_by)
    assert [row.status for row in SubscriptionHistory.objects.all()] == ["expired"]


@pytest.mark.parametrize(
    "terms",
    [
        {"source": "gift"},
        {"source": "admin_grant"},
        {"source": "trial", "status": "trial"},
        {"status": "trial"},
        {"status": "grace"},
        {"code": "FREE"},
        {"code": "FREE", "status": "grace"},
    ],
    ids=str,
)
def test_everything_else_expires_at_once_where_it_ended(terms):
    subscription = ended(**terms)
    run = expire_subscriptions(now=NOW)
    assert (run.grace, run.expired) == (0, 1)
    assert now_is(subscription) == ("expired", NOW - SECOND, None)


@pytest.mark.parametrize(
    "terms",
    [
        {"status": "cancelled", "expires_at": NOW - DAY},
        {"status": "expired", "expires_at": NOW - DAY},
        {"status": "active", "expires_at": None},
        {"status": "grace", "expires_at": None},
        {"status": "active", "expires_at": NOW + SECOND},
    ],
    ids=str,
)
def test_these_stay_as_they_are(terms):
    subscription = SubscriptionFactory(code="PRO", starts_at=NOW - 60 * DAY, **terms)
    run = expire_subscriptions(now=NOW)
    assert (run.grace, run.expired) == (0, 0)
    assert now_is(subscription) == (terms["status"], terms["expires_at"], None)
    assert not SubscriptionHistory.objects.exists()


def test_without_grace_days_a_paid_plan_expires_at_once(settings):
    settings.GRACE_DAYS = 0
    subscription = ended()
    expire_subscriptions(now=NOW)
    assert now_is(subscription) == ("expired", NOW - SECOND, None)


def test_one_history_row_copies_the_subscription():
    ended()
    expire_subscriptions(now=NOW)
    terms = ("contractor", "plan", "status", "source", "starts_at", "expires_at", "paid_until")
    assert list(SubscriptionHistory.objects.values_list(*terms)) == list(Subscription.objects.values_list(*terms))
    assert SubscriptionHistory.objects.get().created_at == NOW


def test_a_second_run_finds_nothing_to_do():
    ended(), ended(source="gift")
    runs = [expire_subscriptions(now=NOW) for _ in range(2)]
    assert [(run.grace, run.expired) for run in runs] == [(1, 1), (0, 0)]


@pytest.mark.parametrize("batch_size", [1, 2, 1000])
def test_the_batch_size_does_not_change_the_result(batch_size):
    for _ in range(3):
        ended(), ended(source="gift")
    run = expire_subscriptions(now=NOW, batch_size=batch_size)
    assert (run.grace, run.expired) == (3, 3)


def test_a_blocked_contractors_subscription_ends_as_well():
    ended(contractor=ContractorFactory(blocked=True))
    assert expire_subscriptions(now=NOW).grace == 1


def test_the_bots_renewal_in_grace_leaves_no_paid_until_behind():
    subscription = ended()
    expire_subscriptions(now=NOW)
    bot.pay(subscription.contractor_id, "PRO", 30)
    assert now_is(subscription)[0::2] == ("active", None)


def test_a_gift_after_grace_leaves_no_paid_until_behind():
    subscription = ended(ago=10 * DAY)
    GiftFactory(contractor=subscription.contractor)
    expire_subscriptions(now=NOW)
    apply_gifts(now=NOW)
    assert now_is(subscription) == ("active", NOW + 30 * DAY, None)


def test_a_gift_run_that_comes_first_starts_the_gift():
    subscription = ended()
    GiftFactory(contractor=subscription.contractor)
    assert apply_gifts(now=NOW).applied == 1
    run = expire_subscriptions(now=NOW)
    assert (run.grace, run.expired) == (0, 0)
    assert now_is(subscription)[0] == "active"


def test_whom_the_database_refuses_is_named_and_holds_nobody_up(capsys):
    bad, good = ended(), ended()
    with connection.cursor() as cursor:
        cursor.execute(
            "ALTER TABLE billing.subscription_history ADD CONSTRAINT not_for_them "
            f"CHECK (contractor_id <> {bad.contractor_id})"
        )
    with pytest.raises(CommandError):
        call_command("expire_subscriptions", "--json", now=NOW)
    out, err = capsys.readouterr()
    assert json.loads(out) == {"grace": 1, "expired": 0}
    assert err.startswith(f"contractor {bad.contractor_id}: new row for relation")
    assert [now_is(each)[0] for each in (bad, good)] == ["active", "grace"]
    assert JobRun.objects.get().outcome == "failed"


def test_a_dry_run_counts_the_same_and_leaves_nothing(capsys):
    subscription = ended()
    call_command("expire_subscriptions", "--dry-run", "--json", now=NOW)
    assert json.loads(capsys.readouterr().out) == {"grace": 1, "expired": 0}
    assert now_is(subscription)[0] == "active"
    assert not SubscriptionHistory.objects.exists()
