"""Why a gift waits, and that it starts when its reason says so."""

import datetime as dt

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from adminlog.columns import page_of
from adminlog.factories import JobRunFactory
from adminlog.models import JobRun
from billing.factories import GiftFactory, SubscriptionFactory
from billing.gifts import apply_gifts
from billing.models import Gift, Subscription
from billing.subscriptions import expire_subscriptions
from billing.waiting import why_it_waits, with_wait
from core.factories import ContractorFactory

pytestmark = pytest.mark.django_db

NOW = dt.datetime(2027, 1, 20, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
END = dt.datetime(2027, 2, 3, 9, tzinfo=dt.UTC)
NEXT_RUN = "Starts at the next run, at 12:15"
Status, Source = Subscription.Status, Subscription.Source


@pytest.fixture(autouse=True)
def last_run(db) -> JobRun:
    began = NOW - dt.timedelta(minutes=45)
    return JobRunFactory(command="apply_gifts", started_at=began, finished_at=began, outcome="done")


def reasons(*, at: dt.datetime = NOW) -> list[str]:
    return [why_it_waits(gift, at=at) for gift in with_wait(Gift.objects.order_by("queued_at", "pk"), at=at)]


def holder(**terms):
    """Whoever has a gift queued beside such a subscription."""
    held = {"code": "PRO", "starts_at": NOW - 30 * DAY, "expires_at": END} | terms
    contractor = SubscriptionFactory(**held).contractor
    GiftFactory(contractor=contractor, queued_at=NOW - DAY)
    return contractor


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({}, "PRO paid until 3\xa0Feb\xa02027; starts at the next run after, at the latest after 3 days of grace"),
        ({"source": Source.GIFT}, "PRO as a gift until 3\xa0Feb\xa02027; starts at the next run after"),
        ({"source": Source.ADMIN_GRANT}, "PRO granted until 3\xa0Feb\xa02027; starts at the next run after"),
        ({"status": Status.TRIAL}, "PRO on trial until 3\xa0Feb\xa02027; starts at the next run after"),
        ({"status": Status.GRACE}, "PRO is in grace until 3\xa0Feb\xa02027; starts at the next run after"),
        (
            {"status": Status.CANCELLED, "code": "BUSINESS"},
            "BUSINESS is cancelled but paid until 3\xa0Feb\xa02027; starts at the next run after",
        ),
        ({"expires_at": None}, "PRO has no end; it starts only after that is cancelled"),
    ],
)
def test_what_is_live_and_paid_for_is_named_with_its_end(terms, reason):
    holder(**terms)
    assert reasons() == [reason]
    assert apply_gifts(now=NOW).applied == 0


def test_without_grace_a_gift_starts_right_after_what_was_paid_for(settings):
    settings.GRACE_DAYS = 0
    holder()
    assert reasons() == ["PRO paid until 3\xa0Feb\xa02027; starts at the next run after"]


@pytest.mark.parametrize(
    "terms",
    [
        {"code": "FREE", "expires_at": None},
        {"expires_at": NOW, "source": Source.GIFT},
        {"expires_at": NOW - 3 * DAY},
        {"expires_at": NOW, "status": Status.CANCELLED},
        {"expires_at": None, "status": Status.CANCELLED},
        {"status": Status.EXPIRED},
    ],
)
def test_what_nothing_holds_starts_at_the_next_run(terms):
    holder(**terms)
    assert reasons() == [NEXT_RUN]
    assert apply_gifts(now=NOW).applied == 1


def test_grace_that_is_due_may_come_before_the_gift():
    holder(expires_at=NOW)
    assert reasons() == ["Starts at the next run, unless grace begins before it: what was paid for has just ended"]
    expire_subscriptions(now=NOW)
    assert reasons() == ["PRO is in grace until 23\xa0Jan\xa02027; starts at the next run after"]


def test_only_the_oldest_starts_and_the_others_are_behind_it():
    contractor = ContractorFactory()
    for code in ("FREE", "PRO", "BUSINESS"):
        GiftFactory(contractor=contractor, code=code, queued_at=NOW - DAY)
    GiftFactory(contractor=contractor, queued_at=NOW - 2 * DAY, withdrawn=True)

    assert reasons() == ["", NEXT_RUN, "Behind an older gift", "Behind 2 older gifts"]

    # A gift of FREE is live without being paid for.
    apply_gifts(now=NOW)
    assert reasons() == ["", "", NEXT_RUN, "Behind an older gift"]
    apply_gifts(now=NOW)
    assert reasons()[2:] == ["", "PRO as a gift until 19\xa0Feb\xa02027; starts at the next run after"]


def test_who_is_blocked_gets_none():
    GiftFactory.create_batch(2, contractor=ContractorFactory(blocked=True))
    assert reasons() == ["The contractor is blocked; it waits until they are unblocked"] * 2
    assert apply_gifts(now=NOW).applied == 0


def test_where_cron_runs_it_at_other_times_none_is_promised(settings):
    settings.CRONJOBS = [("15 */6 * * *", "django.core.management.call_command", ["apply_gifts"])]
    GiftFactory()
    assert reasons() == ["Starts at the next run"]


@pytest.mark.parametrize("changes", [{"started_at": NOW - DAY}, {"finished_at": None, "outcome": None}])
def test_while_the_job_is_late_no_time_is_promised(last_run, changes):
    JobRun.objects.filter(pk=last_run.pk).update(**changes)
    GiftFactory()
    assert reasons() == ["Starts at the next run; apply_gifts is late"]


def test_list_and_page_say_why_in_as_many_queries_for_many_as_for_one(anna):
    address = reverse("admin:billing_gift_changelist")
    holder(expires_at=None)
    anna.get(address)
    with CaptureQueriesContext(connection) as one:
        assert "PRO has no end" in anna.get(address).content.decode()
    for _ in range(5):
        holder()
    with CaptureQueriesContext(connection) as six:
        anna.get(address)
    assert len(six) == len(one)
    assert "PRO has no end" in anna.get(page_of(Gift.objects.order_by("pk")[0])).content.decode()
