import datetime as dt
import json
from zoneinfo import ZoneInfo

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from analytics.factories import ViewsDailyFactory
from analytics.models import ChannelStats, ViewsDaily
from analytics.statistics import aggregate_stats, recount_channels, snapshot_views
from core.factories import ChannelFactory, ClientFactory, PublicationFactory

pytestmark = pytest.mark.django_db

NOW = dt.datetime(2026, 1, 31, 22, tzinfo=dt.UTC)
TODAY = NOW.date()
DAY = dt.timedelta(days=1)


def days_of(publication):
    found = ViewsDaily.objects.filter(publication=publication).order_by("collected_at")
    return list(found.values_list("collected_at", "views"))


def test_the_first_total_of_a_publication_is_written():
    publication = PublicationFactory(views=7)
    assert snapshot_views(now=NOW) == 1
    assert days_of(publication) == [(TODAY, 7)]


def test_a_first_total_of_nothing_is_not_written():
    PublicationFactory(views=0)
    assert snapshot_views(now=NOW) == 0


def test_a_deleted_publication_is_left_alone():
    PublicationFactory(views=7, deleted=True)
    assert snapshot_views(now=NOW) == 0


def test_a_day_without_a_change_has_no_row():
    publication = PublicationFactory(views=7)
    ViewsDailyFactory(publication=publication, collected_at=TODAY - DAY, views=7)
    assert snapshot_views(now=NOW) == 0


def test_the_last_write_of_a_day_wins():
    publication = PublicationFactory(views=9)
    ViewsDailyFactory(publication=publication, collected_at=TODAY - DAY, views=5)
    ViewsDailyFactory(publication=publication, collected_at=TODAY, views=7)
    assert snapshot_views(now=NOW) == 1
    assert days_of(publication) == [(TODAY - DAY, 5), (TODAY, 9)]


def test_a_row_that_says_so_already_is_not_written_again():
    ViewsDailyFactory(publication=PublicationFactory(views=7), collected_at=TODAY, views=7)
    assert snapshot_views(now=NOW) == 0


def test_no_row_comes_before_the_newest_one():
    ViewsDailyFactory(publication=PublicationFactory(views=9), collected_at=TODAY + DAY, views=7)
    assert snapshot_views(now=NOW) == 0


def test_a_total_that_fell_is_written_as_it_stands():
    publication = PublicationFactory(views=0)
    ViewsDailyFactory(publication=publication, collected_at=TODAY - DAY, views=5)
    assert snapshot_views(now=NOW) == 1
    assert days_of(publication)[-1] == (TODAY, 0)


def test_the_day_is_the_calendar_day_of_day_zone(settings):
    settings.DAY_ZONE = ZoneInfo("Europe/Moscow")
    publication = PublicationFactory(views=7)
    snapshot_views(now=NOW)
    assert days_of(publication) == [(TODAY + DAY, 7)]


def test_a_channel_is_counted_without_its_deleted_files():
    channel = ChannelFactory()
    PublicationFactory.create_batch(2, channel=channel, views=5)
    PublicationFactory(channel=channel, views=100, deleted=True)
    ClientFactory.create_batch(3, channel=channel)
    ClientFactory(channel=channel, blocked=True)
    recount_channels(now=NOW)
    found = ChannelStats.objects.values_list(
        "channel", "files_count", "views_total", "clients_total", "blocked_total", "last_updated"
    )
    assert list(found) == [(channel.pk, 2, 10, 4, 1, NOW)]


def test_an_empty_channel_has_a_row_of_zeros():
    ChannelFactory()
    assert recount_channels(now=NOW) == 1
    assert ChannelStats.objects.values_list("files_count", "views_total", "clients_total").get() == (0, 0, 0)


def test_a_row_is_rewritten_only_where_a_number_differs():
    same, changed = ChannelFactory.create_batch(2)
    recount_channels(now=NOW)
    ClientFactory(channel=changed)
    assert recount_channels(now=NOW + DAY) == 1
    assert dict(ChannelStats.objects.values_list("channel", "last_updated")) == {same.pk: NOW, changed.pk: NOW + DAY}


def test_a_wrong_row_is_set_right():
    channel = ChannelFactory()
    ChannelStats.objects.create(channel=channel, files_count=9, views_total=9, clients_total=9, blocked_total=9)
    recount_channels(now=NOW)
    assert ChannelStats.objects.values_list("files_count", "blocked_total").get() == (0, 0)


def test_the_number_of_statements_does_not_grow_with_the_channels():
    queries = []
    for channels in (1, 20):
        for publication in PublicationFactory.create_batch(channels, views=3):
            ClientFactory(channel=publication.channel)
        with CaptureQueriesContext(connection) as captured:
            aggregate_stats(now=NOW)
        queries.append(len(captured))
    assert queries[0] == queries[1]


def test_the_command_counts_the_rows_it_wrote(capsys):
    PublicationFactory.create_batch(2, views=3)
    for _ in range(2):
        call_command("aggregate_stats", "--json")
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first == {"looked_at": 2, "snapshots": 2, "channels": 2}
    assert second == {"looked_at": 0, "snapshots": 0, "channels": 0}


def test_a_dry_run_counts_and_leaves_nothing(capsys):
    PublicationFactory(views=3)
    call_command("aggregate_stats", "--dry-run", "--json")
    assert json.loads(capsys.readouterr().out) == {"looked_at": 1, "snapshots": 1, "channels": 1}
    assert not ViewsDaily.objects.exists()
    assert not ChannelStats.objects.exists()
    call_command("aggregate_stats", "--json")
    assert json.loads(capsys.readouterr().out) == {"looked_at": 1, "snapshots": 1, "channels": 1}
