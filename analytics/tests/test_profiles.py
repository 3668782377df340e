import datetime as dt
import random
from itertools import islice

import pytest
from django.db import connection
from django.utils import timezone

from analytics.models import ProfileOverview
from analytics.profiles import COLUMNS, all_profiles, profile_of
from billing.factories import GiftFactory, SubscriptionFactory, UsageCounterFactory
from core.factories import ChannelFactory, ClientFactory, ContractorFactory, InviteFactory, PublicationFactory

pytestmark = pytest.mark.django_db


def contractors_of_all_kinds():
    chance = random.Random(6)
    hour = dt.timedelta(hours=1)
    for contractor in ContractorFactory.create_batch(12):
        if chance.random() < 0.7:
            SubscriptionFactory(contractor=contractor, pro=chance.random() < 0.5)
        if chance.random() < 0.7:
            UsageCounterFactory(contractor=contractor, channels_created_total=chance.randrange(9))
        GiftFactory.create_batch(chance.randrange(3), contractor=contractor, withdrawn=chance.random() < 0.3)
        for channel in ChannelFactory.create_batch(chance.randrange(3), contractor=contractor):
            for _ in range(chance.randrange(4)):
                PublicationFactory(channel=channel, views=chance.randrange(99), deleted=chance.random() < 0.3)
                ClientFactory(channel=channel, blocked=chance.random() < 0.3)
                InviteFactory(channel=channel, expires_at=timezone.now() + chance.choice([-hour, hour]))


def test_the_list_has_the_rows_of_the_view():
    ContractorFactory()
    contractors_of_all_kinds()
    rows = sorted(tuple(profile) for profile in all_profiles())
    assert len(rows) == 13
    assert rows == list(ProfileOverview.objects.order_by("pk").values_list(*COLUMNS))


def test_a_profile_by_itself_is_one_query(django_assert_num_queries):
    contractor = ContractorFactory()
    with django_assert_num_queries(1):
        profile = profile_of(contractor.pk)
    assert profile == ProfileOverview.objects.values_list(*COLUMNS).get(contractor=contractor)
    assert profile_of(contractor.pk + 1) is None


def test_a_page_follows_the_one_before(django_assert_num_queries):
    first, second, third, fourth = (contractor.pk for contractor in ContractorFactory.create_batch(4))
    with django_assert_num_queries(2):
        assert [profile.pk for profile in ProfileOverview.objects.page(size=2)] == [first, second]
    assert [profile.pk for profile in ProfileOverview.objects.page(after=second, size=2)] == [third, fourth]
    assert not ProfileOverview.objects.page(after=fourth)


@pytest.mark.parametrize("pooled", [False, True])
def test_the_list_is_read_from_a_cursor_of_the_server(monkeypatch, pooled):
    monkeypatch.setitem(connection.settings_dict, "POOLED", pooled)
    ContractorFactory()
    profiles = all_profiles()
    assert len(list(islice(profiles, 1))) == 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_cursors WHERE NOT is_holdable")
        assert cursor.fetchone() == (1,)
    profiles.close()
