import datetime as dt

import pytest
from django.utils import timezone

from adminlog.checks import Finding
from analytics.checks import CHECKS
from analytics.factories import ChannelStatsFactory, ViewsDailyFactory
from analytics.models import ChannelStats
from analytics.statistics import recount_channels, snapshot_views
from core.factories import ChannelFactory, ClientFactory, ContractorFactory, PublicationFactory
from core.models import Channel, Publication

pytestmark = pytest.mark.django_db

NOW = dt.datetime(2026, 1, 31, 9, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
YESTERDAY, TODAY = NOW.date() - DAY, NOW.date()
COUNTED = {"files_count": 2, "views_total": 12, "clients_total": 3, "blocked_total": 1}


def findings():
    return [finding for check in CHECKS for finding in check.find()]


@pytest.fixture
def channel():
    channel = ChannelFactory()
    PublicationFactory(channel=channel, views=5)
    PublicationFactory(channel=channel, views=7)
    PublicationFactory(channel=channel, views=100, deleted=True)
    ClientFactory.create_batch(2, channel=channel)
    ClientFactory(channel=channel, blocked=True)
    return channel


def days(*views, publication=None):
    """One row a day up to TODAY, on a publication that has as many views as the last one."""
    publication = publication or PublicationFactory(views=views[-1])
    for back, total in enumerate(reversed(views)):
        ViewsDailyFactory(publication=publication, collected_at=TODAY - back * DAY, views=total)
    return publication


# Channel statistics


def test_what_the_statistics_wrote_agrees(channel):
    ChannelFactory()
    snapshot_views(now=NOW)
    recount_channels(now=NOW)
    assert findings() == []


def test_a_row_equal_to_its_sources_agrees(channel):
    ChannelStatsFactory(channel=channel, **COUNTED)
    assert findings() == []


@pytest.mark.parametrize("number", COUNTED)
@pytest.mark.parametrize("off", [-1, 1])
def test_one_number_that_is_off_names_the_channel(channel, number, off):
    stored = COUNTED | {number: COUNTED[number] + off}
    ChannelStatsFactory(channel=channel, **stored)
    assert findings() == [Finding("channel_stats", "analytics.channel_stats", channel.pk, COUNTED, stored)]


def test_a_missing_row_of_a_channel_with_something_in_it_is_found_as_null(channel):
    assert findings() == [Finding("channel_stats", "analytics.channel_stats", channel.pk, COUNTED, None)]


def test_a_new_empty_channel_needs_no_row():
    ChannelFactory()
    assert findings() == []


def test_a_channel_with_nothing_but_deleted_publications_needs_no_row():
    PublicationFactory(views=5, deleted=True)
    assert findings() == []


def test_a_row_of_an_emptied_channel_is_expected_to_be_zeros(channel):
    ChannelStatsFactory(channel=channel, **COUNTED)
    Publication.objects.all().delete()
    channel.clients.all().delete()
    assert [finding.expected for finding in findings()] == [dict.fromkeys(COUNTED, 0)]


def test_a_moved_channel_takes_its_statistics_along(channel):
    ChannelStatsFactory(channel=channel, **COUNTED)
    Channel.objects.update(contractor=ContractorFactory(), moved_at=timezone.now())
    assert findings() == []


def test_a_deleted_contractor_leaves_nothing_to_find(channel):
    ChannelStatsFactory(channel=channel)
    days(3, 2)
    for contractor in (channel.contractor, *ContractorFactory._meta.model.objects.all()):
        contractor.delete()
    assert not ChannelStats.objects.exists()
    assert findings() == []


# Daily views


def only_views():
    return [finding for finding in findings() if finding.check != "channel_stats"]


def test_daily_views_that_rise_to_the_publications_views_agree():
    days(3, 5, 9)
    assert only_views() == []


def test_daily_views_may_lag_behind_the_publication():
    days(3, 5, publication=PublicationFactory(views=9))
    assert only_views() == []


@pytest.mark.parametrize("deleted", [False, True])
def test_the_newest_daily_view_above_the_publications_views_is_named_with_its_day(deleted):
    publication = days(3, 8, publication=PublicationFactory(views=7, deleted=deleted))
    newest = [publication.pk, "2026-01-31"]
    assert only_views() == [Finding("newest_daily_views", "analytics.views_daily", newest, 7, 8)]


def test_an_earlier_daily_view_above_the_publications_views_is_only_a_fall():
    publication = days(8, 7)
    newest = [publication.pk, "2026-01-31"]
    assert only_views() == [Finding("falling_daily_views", "analytics.views_daily", newest, 8, 7)]


def test_each_fall_is_compared_with_the_row_before_it():
    publication = days(9, 4, 6, 5, publication=PublicationFactory(views=9))
    assert [(finding.id, finding.expected, finding.found) for finding in only_views()] == [
        ([publication.pk, "2026-01-29"], 9, 4),
        ([publication.pk, "2026-01-31"], 6, 5),
    ]


def test_the_row_before_a_fall_may_be_long_ago():
    publication = PublicationFactory(views=9)
    ViewsDailyFactory(publication=publication, collected_at=dt.date(2020, 2, 29), views=2)
    ViewsDailyFactory(publication=publication, collected_at=TODAY, views=1)
    assert [(finding.id, finding.expected) for finding in only_views()] == [([publication.pk, "2026-01-31"], 2)]


def test_the_same_total_twice_is_no_fall():
    days(4, 4)
    assert only_views() == []


def test_publications_are_not_compared_with_one_another():
    days(9)
    days(3)
    assert only_views() == []


def test_a_day_in_the_future_is_judged_like_any_other():
    ViewsDailyFactory(publication=PublicationFactory(views=5), collected_at=dt.date(9000, 1, 1), views=5)
    assert only_views() == []
