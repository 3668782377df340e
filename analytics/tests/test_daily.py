import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from analytics import daily
from analytics.factories import EventFactory, ViewsDailyFactory
from analytics.models import Event
from core.factories import ChannelFactory, ContractorFactory, PublicationFactory

pytestmark = pytest.mark.django_db
Type = Event.Type
DAY = dt.timedelta(days=1)
FIRST = dt.date(2026, 3, 2)
SPAN = {"first": FIRST, "last": FIRST + 4 * DAY}


def views_on(publication, *totals: tuple[int, int]) -> None:
    """Running totals, each so many days after the first of the span."""
    for days, total in totals:
        ViewsDailyFactory(publication=publication, collected_at=FIRST + days * DAY, views=total)


def at(time: str) -> dt.datetime:
    return dt.datetime.fromisoformat(time)


def test_a_days_views_are_what_its_total_has_more_than_the_newest_before_it():
    views_on(PublicationFactory(), (-9, 5), (-2, 7), (0, 10), (3, 14), (4, 100))
    views_on(PublicationFactory(deleted=True), (1, 20), (3, 21))

    assert daily.views_gained(**SPAN) == {FIRST: 3, FIRST + DAY: 20, FIRST + 2 * DAY: 0, FIRST + 3 * DAY: 5}


def test_a_contractors_views_are_those_of_their_channels():
    publication = PublicationFactory()
    views_on(publication, (-1, 4), (2, 6))
    views_on(PublicationFactory(channel__contractor=publication.channel.contractor), (2, 1))
    views_on(PublicationFactory(), (2, 50))

    gained = daily.views_gained(**SPAN, contractor=publication.channel.contractor_id)
    assert list(gained.values()) == [0, 0, 3, 0]


def test_who_comes_and_who_goes_are_counted_apart_in_the_days_of_the_span():
    channel = ChannelFactory()
    for event_type, time in [
        (Type.CLIENT_JOIN, "2026-03-01T23:59:59Z"),
        (Type.CLIENT_JOIN, "2026-03-02T00:00:00Z"),
        (Type.CLIENT_JOIN, "2026-03-02T23:59:59Z"),
        (Type.INVITE_USED, "2026-03-02T12:00:00Z"),
        (Type.CLIENT_LEAVE, "2026-03-05T23:59:59Z"),
        (Type.CLIENT_LEAVE, "2026-03-06T00:00:00Z"),
    ]:
        EventFactory(channel=channel, event_type=event_type, created_at=at(time))
    EventFactory(event_type=Type.CLIENT_JOIN, created_at=at("2026-03-03T12:00:00Z"))
    EventFactory(channel=None, event_type=Type.CLIENT_LEAVE, created_at=at("2026-03-04T12:00:00Z"))

    everybodys = daily.joins_and_leaves(**SPAN)
    theirs = daily.joins_and_leaves(**SPAN, contractor=channel.contractor_id)
    assert [list(figures.values()) for figures in everybodys] == [[2, 1, 0, 0], [0, 0, 1, 1]]
    assert [list(figures.values()) for figures in theirs] == [[2, 0, 0, 0], [0, 0, 0, 1]]


def test_a_day_begins_at_midnight_of_the_calendars_zone(settings):
    settings.DAY_ZONE = ZoneInfo("Asia/Vladivostok")  # ten hours before UTC
    for time in ("2026-03-01T13:59:59Z", "2026-03-01T14:00:00Z", "2026-03-02T14:00:00Z", "2026-03-05T14:00:00Z"):
        ContractorFactory(created_at=at(time))
        EventFactory(event_type=Type.CLIENT_JOIN, created_at=at(time))

    assert list(daily.new_contractors(**SPAN).values()) == [1, 1, 0, 0]
    assert list(daily.joins_and_leaves(**SPAN)[0].values()) == [1, 1, 0, 0]


def test_each_figure_is_one_query(django_assert_num_queries):
    for count in (daily.views_gained, daily.joins_and_leaves, daily.new_contractors):
        with django_assert_num_queries(1):
            count(**SPAN)
