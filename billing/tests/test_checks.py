import datetime as dt

import pytest
from django.utils import timezone

from adminlog.checks import Finding
from billing.checks import CHECKS, NOTICES
from billing.factories import GiftFactory, SubscriptionFactory, SubscriptionHistoryFactory, UsageCounterFactory
from billing.gifts import apply_gifts
from billing.models import Plan, Subscription, SubscriptionHistory, UsageCounter
from core.factories import ChannelFactory, ContractorFactory, TeamMemberFactory
from core.models import Channel

pytestmark = pytest.mark.django_db

NOW = dt.datetime(2026, 1, 31, 9, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


def findings():
    return [finding for check in CHECKS for finding in check.find()]


def notices(now=NOW):
    return [notice for look in NOTICES for notice in look(now=now)]


# Usage counters


def counted(*, made, standing):
    contractor = ContractorFactory()
    UsageCounterFactory(contractor=contractor, channels_created_total=made)
    ChannelFactory.create_batch(standing, contractor=contractor)
    return contractor


@pytest.mark.parametrize("made", [2, 7])
def test_a_counter_of_the_standing_channels_or_more_agrees(made):
    counted(made=made, standing=2)
    assert findings() == []


def test_a_counter_below_the_standing_channels_is_named():
    contractor = counted(made=1, standing=2)
    counted(made=2, standing=2)
    assert findings() == [Finding("channels_created", "billing.usage_counters", contractor.pk, 2, 1)]


def test_a_missing_counter_is_0():
    contractor = ChannelFactory().contractor
    assert findings() == [Finding("channels_created", "billing.usage_counters", contractor.pk, 1, 0)]


def test_without_channels_a_counter_may_be_missing():
    ContractorFactory()
    assert findings() == []


def test_a_channel_that_the_bot_did_not_make_is_not_counted():
    ChannelFactory(created_by_bot=False)
    assert findings() == []


def test_a_channel_that_staff_moved_is_not_counted():
    counted(made=1, standing=1)
    contractor = counted(made=0, standing=0)
    Channel.objects.update(contractor=contractor, moved_at=NOW)
    assert findings() == []


def test_a_moved_channel_does_not_excuse_the_others():
    contractor = counted(made=0, standing=1)
    ChannelFactory(contractor=contractor, moved_at=NOW)
    assert [(finding.id, finding.expected) for finding in findings()] == [(contractor.pk, 1)]


def test_a_deleted_contractor_leaves_nothing_to_find():
    counted(made=0, standing=2).delete()
    assert not UsageCounter.objects.exists()
    assert findings() == []


# Subscriptions and their history

TERMS = {"code": "PRO", "status": "active", "starts_at": NOW, "expires_at": NOW + 30 * DAY}


def subscribed(now_has=None, history_says=None):
    subscription = SubscriptionFactory(**TERMS | (now_has or {}))
    SubscriptionHistoryFactory(contractor=subscription.contractor, **TERMS | (history_says or {}))
    return subscription


@pytest.mark.parametrize("status", Subscription.Status)
@pytest.mark.parametrize("expires_at", [NOW + 30 * DAY, None])
def test_a_subscription_as_its_newest_history_row_agrees_whatever_its_status(status, expires_at):
    terms = {"status": status, "expires_at": expires_at}
    subscribed(terms, terms)
    assert findings() == []


@pytest.mark.parametrize("other", [{"source": "trial"}, {"starts_at": NOW - DAY}, {"starts_at": None}])
def test_source_and_start_may_differ(other):
    subscribed(history_says=other)
    assert findings() == []


@pytest.mark.parametrize(
    ("now_has", "found"),
    [
        ({"code": "BUSINESS"}, {"plan": "BUSINESS"}),
        ({"status": "cancelled"}, {"status": "cancelled"}),
        ({"expires_at": NOW + 31 * DAY}, {"expires_at": "2026-03-03T09:00:00+00:00"}),
        ({"expires_at": None}, {"expires_at": None}),
    ],
)
def test_a_subscription_unlike_its_newest_history_row_is_named_beside_it(now_has, found):
    subscription = subscribed(now_has)
    subscribed()
    told = {"plan": "PRO", "status": "active", "expires_at": "2026-03-02T09:00:00+00:00"}
    assert findings() == [Finding("subscription_history", "billing.subscriptions", subscription.pk, told, told | found)]


def test_an_endless_history_row_of_a_subscription_that_ends_is_a_finding():
    subscribed(history_says={"expires_at": None})
    assert [finding.expected["expires_at"] for finding in findings()] == [None]


def test_the_newest_history_row_is_the_one_of_the_highest_id():
    subscription = subscribed({"status": "expired"}, {"status": "active", "created_at": NOW + DAY})
    SubscriptionHistoryFactory(
        contractor=subscription.contractor, **TERMS | {"status": "expired", "created_at": NOW - DAY}
    )
    assert findings() == []


def test_another_contractors_newer_history_row_says_nothing():
    subscribed()
    SubscriptionHistoryFactory(**TERMS | {"status": "expired"})
    assert findings() == []


def test_a_subscription_without_any_history_expects_nothing():
    subscription = SubscriptionFactory()
    found = {"plan": "FREE", "status": "active", "expires_at": None}
    assert findings() == [Finding("subscription_history", "billing.subscriptions", subscription.pk, None, found)]


def test_history_without_a_subscription_agrees():
    SubscriptionHistoryFactory()
    assert findings() == []


# Gifts and history


def test_an_applied_gift_agrees_with_its_history_row():
    GiftFactory()
    assert apply_gifts(now=NOW).applied == 1
    assert findings() == []


@pytest.mark.parametrize("state", [{}, {"withdrawn": True}])
def test_a_gift_that_was_not_applied_needs_no_history(state):
    GiftFactory(**state)
    assert findings() == []


def test_an_applied_gift_without_a_history_row_is_named():
    gift = GiftFactory(applied_at=NOW)
    SubscriptionHistoryFactory(contractor=gift.contractor, source="gift")
    expected = {"applied": True, "history_of": gift.contractor_id}
    assert findings() == [
        Finding("gift_history", "billing.gifts_queue", gift.pk, expected, {"applied": True, "history_of": None})
    ]


def test_a_gift_in_the_history_that_is_not_marked_applied_is_named():
    gift = GiftFactory()
    SubscriptionHistoryFactory(contractor=gift.contractor, gift=gift)
    expected = {"applied": True, "history_of": gift.contractor_id}
    assert findings() == [
        Finding("gift_history", "billing.gifts_queue", gift.pk, expected, expected | {"applied": False})
    ]


def test_a_gift_in_another_contractors_history_is_named():
    gift = GiftFactory(applied_at=NOW)
    other = SubscriptionHistoryFactory(gift=gift).contractor
    expected = {"applied": True, "history_of": gift.contractor_id}
    assert findings() == [
        Finding("gift_history", "billing.gifts_queue", gift.pk, expected, expected | {"history_of": other.pk})
    ]


def test_no_check_judges_a_date_against_the_clock():
    terms = {"status": "active", "expires_at": dt.datetime(2001, 1, 1, tzinfo=dt.UTC)}
    terms["starts_at"] = terms["expires_at"] - DAY
    subscribed(terms, terms)
    gift = GiftFactory(applied_at=timezone.now() + 365 * DAY, queued_at=timezone.now() + 400 * DAY)
    SubscriptionHistoryFactory(contractor=gift.contractor, gift=gift, created_at=timezone.now() + 500 * DAY)
    assert findings() == []


# Teams


def team(*, people, **terms):
    """Of so many, the owner among them; the owner's subscription on these terms, or none."""
    owner = ContractorFactory()
    if terms:
        SubscriptionFactory(contractor=owner, **TERMS | terms)
    TeamMemberFactory.create_batch(people - 1, owner_contractor=owner)
    return owner


@pytest.mark.parametrize("code", Plan.Code)
def test_a_team_of_its_plans_size_is_no_notice(code):
    team(people=Plan.objects.get(code=code).features["team_size"], code=code)
    assert notices() == []


def test_a_team_over_its_plans_size_is_a_notice_at_its_owner():
    owner = team(people=5, code="BUSINESS")
    assert notices() == [Finding("team_size", "core.contractors", owner.pk, 4, 5)]


def test_an_owner_without_a_subscription_has_the_free_plans_team():
    owner = team(people=2)
    assert notices() == [Finding("team_size", "core.contractors", owner.pk, 1, 2)]


def test_a_team_is_held_against_the_plan_that_is_effective_at_the_runs_moment():
    owner = team(people=4, code="BUSINESS")
    assert notices(now=NOW + 30 * DAY - dt.timedelta(seconds=1)) == []
    assert notices(now=NOW + 30 * DAY) == [Finding("team_size", "core.contractors", owner.pk, 1, 4)]


@pytest.mark.parametrize(("status", "expected"), [("cancelled", []), ("grace", []), ("expired", [1])])
def test_what_was_paid_for_keeps_its_team(status, expected):
    team(people=4, code="BUSINESS", status=status)
    assert [notice.expected for notice in notices()] == expected


def test_to_be_a_member_of_many_teams_counts_for_ones_own_as_nothing():
    member = ContractorFactory()
    for _ in range(2):
        TeamMemberFactory(owner_contractor=team(people=1, code="BUSINESS"), member_contractor=member)
    assert notices() == []


def write_features(code, features):
    Plan.objects.filter(code=code).update(features=features)
    return Plan.objects.get(code=code)


def test_a_plan_with_malformed_features_is_a_notice_and_its_teams_are_passed_over():
    pro = write_features("PRO", {"team_size": "4"})
    team(people=9, code="PRO")
    free = team(people=2)
    message = 'team_size is a whole number from 1 up, not "4"'
    assert notices() == [
        Finding("plan_features", "billing.plans", pro.pk, message, {"team_size": "4"}),
        Finding("team_size", "core.contractors", free.pk, 1, 2),
    ]


def test_with_all_plans_malformed_no_team_is_judged():
    for code in Plan.Code:
        write_features(code, [])
    team(people=9, code="PRO")
    assert [notice.check for notice in notices()] == ["plan_features"] * 3


def test_a_team_size_that_is_no_bigint_is_still_a_whole_number():
    write_features("PRO", {"team_size": 10**30})
    team(people=9, code="PRO")
    assert notices() == []


def test_a_team_is_no_finding():
    team(people=9)
    assert findings() == []


def test_a_bot_made_subscription_agrees_although_its_history_names_another_source():
    subscription = SubscriptionFactory()
    SubscriptionHistoryFactory(contractor=subscription.contractor)
    assert subscription.source != SubscriptionHistory.objects.get().source
    assert findings() == []
