import datetime as dt

import pytest
from django.apps import apps
from django.utils import timezone

from analytics.models import ProfileOverview, ProfileReferralProgress
from billing.factories import GiftFactory, SubscriptionFactory, UsageCounterFactory
from billing.models import Gift, Plan
from core.factories import ChannelFactory, ClientFactory, ContractorFactory, InviteFactory, PublicationFactory

pytestmark = pytest.mark.django_db


def overview(contractor):
    return ProfileOverview.objects.get(contractor=contractor)


@pytest.mark.parametrize("view", [m for m in apps.get_models() if not m._meta.managed], ids=lambda m: m.__name__)
def test_every_view_has_the_columns_of_its_model(view):
    list(view.objects.all())


def test_a_contractor_without_anything_has_zeros_and_no_plan():
    contractor = ContractorFactory()
    row = ProfileOverview.objects.values().get(contractor=contractor)
    assert row == {
        "contractor_id": contractor.pk,
        "tg_user_id": contractor.tg_user_id,
        "plan_code": None,
        "plan_name": None,
        "sub_status": None,
        "sub_starts_at": None,
        "sub_expires_at": None,
        "channels_cnt": 0,
        "files_cnt": 0,
        "views_total": 0,
        "clients_total": 0,
        "blocked_total": 0,
        "invites_active": 0,
        "free_channels_left": 5,
        "gifts_queued": 0,
    }


def test_each_source_is_counted_by_itself():
    """One join over all of them would multiply the rows."""
    contractor = ContractorFactory()
    first, second = ChannelFactory.create_batch(2, contractor=contractor)
    PublicationFactory.create_batch(3, channel=first, views=10)
    PublicationFactory(channel=second, views=5)
    PublicationFactory(channel=second, views=100, deleted=True)
    ClientFactory.create_batch(2, channel=first)
    ClientFactory(channel=second, blocked=True)
    InviteFactory.create_batch(2, channel=first)
    GiftFactory.create_batch(2, contractor=contractor)
    row = overview(contractor)
    counts = (row.channels_cnt, row.files_cnt, row.views_total, row.clients_total, row.blocked_total)
    assert counts == (2, 4, 35, 3, 1)
    assert (row.invites_active, row.gifts_queued) == (2, 2)


def test_an_invite_counts_while_it_has_time_and_uses_left():
    channel = ChannelFactory()
    hour = dt.timedelta(hours=1)
    InviteFactory(channel=channel, expires_at=timezone.now() + hour, max_uses=3, used_count=2)
    InviteFactory(channel=channel, expires_at=timezone.now() - hour)
    InviteFactory(channel=channel, max_uses=3, used_count=3)
    InviteFactory(channel=channel, max_uses=3, used_count=4)
    assert overview(channel.contractor).invites_active == 1


def test_applied_and_withdrawn_gifts_are_not_queued():
    contractor = ContractorFactory()
    GiftFactory(contractor=contractor, applied_at=timezone.now())
    GiftFactory(contractor=contractor, withdrawn=True)
    assert overview(contractor).gifts_queued == 0


def test_the_subscription_is_shown_as_its_row_says_also_when_it_is_over():
    subscription = SubscriptionFactory(pro=True, expired=True)
    row = overview(subscription.contractor)
    shown = (row.plan_code, row.plan_name, row.sub_status, row.sub_starts_at, row.sub_expires_at)
    assert shown == ("PRO", "Pro", "expired", subscription.starts_at, subscription.expires_at)


@pytest.mark.parametrize(("used", "bonus", "left"), [(0, None, 5), (3, None, 2), (5, 2, 2), (9, None, 0), (9, 1, 0)])
def test_channels_left_are_the_limit_and_the_bonus_less_those_ever_made(used, bonus, left):
    contractor = ContractorFactory(bonus_channels=bonus)
    SubscriptionFactory(contractor=contractor)
    UsageCounterFactory(contractor=contractor, channels_created_total=used)
    assert overview(contractor).free_channels_left == left


def test_a_live_plan_without_a_limit_leaves_channels_unlimited():
    assert overview(SubscriptionFactory(pro=True).contractor).free_channels_left is None


def test_an_ended_plan_leaves_the_channels_of_free():
    ended = SubscriptionFactory(pro=True, starts_at=timezone.now() - dt.timedelta(days=31))
    assert overview(ended.contractor).free_channels_left == 5


def test_the_largest_numbers_do_not_take_the_view_away():
    contractor = ContractorFactory(bonus_channels=2**31 - 1)
    PublicationFactory.create_batch(2, channel=ChannelFactory(contractor=contractor), views=2**31 - 1)
    Plan.objects.filter(code="FREE").update(channels_limit_one_off=2**31 - 1)
    row = overview(contractor)
    assert (row.free_channels_left, row.views_total) == (2 * (2**31 - 1), 2 * (2**31 - 1))


def test_referral_progress_counts_only_rewards_that_wait():
    contractor = ContractorFactory()
    GiftFactory(contractor=contractor, reason=Gift.Reason.REFERRAL_REWARD)
    GiftFactory(contractor=contractor, reason=Gift.Reason.REFERRAL_REWARD, applied_at=timezone.now())
    GiftFactory(contractor=contractor, reason=Gift.Reason.REFERRAL_REWARD, withdrawn=True)
    GiftFactory(contractor=contractor, reason=Gift.Reason.ADMIN_GRANT)
    assert ProfileReferralProgress.objects.get(contractor=contractor).gifts_queued == 1


def test_referral_progress_has_a_row_for_a_contractor_without_referrals():
    contractor = ContractorFactory()
    assert ProfileReferralProgress.objects.values().get(contractor=contractor) == {
        "contractor_id": contractor.pk,
        "referred_total": 0,
        "qualified_total": 0,
        "current_cycle_no": 1,
        "current_cycle_done": 0,
        "current_cycle_required": 3,
        "current_cycle_state": "in_progress",
        "gifts_queued": 0,
    }
