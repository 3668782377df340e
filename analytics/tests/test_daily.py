import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from analytics import daily
from analytics.factories import ChannelDailyFactory, DailyTotalsFactory
from core.factories import ChannelFactory, ContractorFactory

pytestmark = pytest.mark.django_db
DAY = dt.timedelta(days=1)
FIRST = dt.date(2026, 3, 2)
SPAN = {"first": FIRST, "last": FIRST + 4 * DAY}
COUNTED = dt.datetime(2026, 3, 6, tzinfo=dt.UTC)


def totals(day: int, *, collected: bool = True, **figures: int) -> None:
    """Of so many days after the first of the span."""
    DailyTotalsFactory(day=FIRST + day * DAY, collected=collected, rolled_up_at=COUNTED + day * DAY, **figures)


def test_each_day_of_the_span_has_its_figures_and_those_of_no_other():
    for day in (-1, 0, 2, 4):
        totals(day, views_gained=10 + day, joins=20 + day, leaves=30 + day)
    told = daily.rolled_up(**SPAN)
    assert [list(each.values()) for each in (told.views, told.joins, told.leaves)] == [
        [10, 0, 12, 0],
        [20, 0, 22, 0],
        [30, 0, 32, 0],
    ]
    assert list(told.views) == [FIRST + number * DAY for number in range(4)]
    assert told.counted_at == COUNTED + 2 * DAY


def test_a_contractors_figures_are_those_of_their_channels():
    channel = ChannelFactory()
    for day in range(4):
        totals(day, views_gained=100, joins=100)
    for each in (channel, ChannelFactory(contractor=channel.contractor), ChannelFactory()):
        ChannelDailyFactory(channel=each, day=FIRST + DAY, views_gained=3, joins=2, leaves=1)
    told = daily.rolled_up(**SPAN, contractor=channel.contractor_id)
    assert [list(each.values()) for each in (told.views, told.joins, told.leaves)] == [
        [0, 6, 0, 0],
        [0, 4, 0, 0],
        [0, 2, 0, 0],
    ]


def test_what_came_after_a_gap_is_spread_over_it():
    totals(-1)
    totals(0, collected=False)
    totals(1, collected=False)
    totals(2, views_gained=15, views_after_gap=11)
    told = daily.rolled_up(**SPAN)
    assert list(told.views.values()) == [0, 0, 4, 0]
    assert list(told.views_averaged.values()) == [3, 4, 4, 0]
    assert told.views_before == 0


def test_a_gap_that_began_before_the_span_has_its_part_there():
    totals(-3)
    totals(0, views_gained=9, views_after_gap=9)
    assert list(daily.rolled_up(**SPAN).views_averaged.values()) == [3, 0, 0, 0]


def test_what_was_there_before_the_first_collected_day_is_on_no_day():
    totals(0, collected=False)
    totals(1, views_gained=1000, views_after_gap=990)
    told = daily.rolled_up(**SPAN)
    assert list(told.views.values()) == [0, 10, 0, 0]
    assert (sum(told.views_averaged.values()), told.views_before) == (0, 990)


def test_where_nothing_was_counted_all_is_nought():
    told = daily.rolled_up(**SPAN)
    assert (set(told.views.values()), told.counted_at) == ({0}, None)


def test_a_day_begins_at_midnight_of_the_calendars_zone(settings):
    settings.DAY_ZONE = ZoneInfo("Asia/Vladivostok")  # ten hours before UTC
    for time in ("2026-03-01T13:59:59Z", "2026-03-01T14:00:00Z", "2026-03-02T14:00:00Z", "2026-03-05T14:00:00Z"):
        ContractorFactory(created_at=dt.datetime.fromisoformat(time))
    assert list(daily.new_contractors(**SPAN).values()) == [1, 1, 0, 0]


@pytest.mark.parametrize("contractor", [None, 1])
@pytest.mark.parametrize("days", [4, 730])
def test_all_figures_of_a_span_are_one_query(django_assert_num_queries, contractor, days):
    with django_assert_num_queries(1):
        told = daily.rolled_up(first=FIRST, last=FIRST + days * DAY, contractor=contractor)
    assert len(told.joins) == days
