import datetime as dt
import json
from io import StringIO
from zoneinfo import ZoneInfo

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.utils import timezone

from adminlog.days import day_of
from adminlog.factories import JobRunFactory
from adminlog.models import JobRun
from analytics import rollup
from analytics.factories import EventFactory, ViewsDailyFactory
from analytics.models import ChannelDaily, DailyTotals, Event, ViewsDaily
from analytics.rollup import roll_up_days
from core.factories import ChannelFactory, PublicationFactory
from core.models import Publication

pytestmark = pytest.mark.django_db
JOIN, LEAVE, FILE = Event.Type.CLIENT_JOIN, Event.Type.CLIENT_LEAVE, Event.Type.FILE_POSTED
DAY = dt.timedelta(days=1)
FIRST = dt.date(2025, 3, 30)
LONG_AGO = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


def day(number: int) -> dt.date:
    return FIRST + number * DAY


def at(number: int, hour: int = 12) -> dt.datetime:
    """So many days after the first, at noon."""
    return dt.datetime.combine(day(number), dt.time(hour), dt.UTC)


def views_on(publication: Publication, **totals: int) -> None:
    """`day3=10`: the running total as it stood on that day."""
    for name, total in totals.items():
        ViewsDailyFactory(publication=publication, collected_at=day(int(name[3:])), views=total)


def collect(*numbers: int) -> None:
    for number in numbers:
        JobRunFactory(command="aggregate_stats", started_at=at(number), finished_at=at(number), outcome="done")


def events(event_type: str, count: int = 1, **of) -> list[Event]:
    return [EventFactory(event_type=event_type, **of) for _ in range(count)]


def figures(*columns: str) -> dict:
    """Of each channel's day, by how many days it is after the first."""
    rows = ChannelDaily.objects.values_list("channel_id", "day", *columns)
    return {(channel, (on - FIRST).days): tuple(told) for channel, on, *told in rows}


def test_a_day_has_what_was_gained_posted_joined_and_left_in_each_channel():
    channel, other = ChannelFactory.create_batch(2)
    collect(0, 1)
    views_on(PublicationFactory(channel=channel, posted_at=LONG_AGO), day0=5, day1=9)
    views_on(PublicationFactory(channel=channel, posted_at=at(1), deleted=True), day1=2)
    for event_type, count in ((JOIN, 3), (LEAVE, 2), (FILE, 1), (Event.Type.SYNC_RUN, 4)):
        events(event_type, count, channel=channel, created_at=at(1))
    events(JOIN, channel=other, created_at=at(1))

    assert roll_up_days(now=at(1)) == {"days": 2, "written": 3, "removed": 0, "kept": 0}
    columns = ["views_gained", "files", "joins", "leaves", "view_rows", "event_rows"]
    assert figures(*columns) == {
        (channel.pk, 0): (5, 0, 0, 0, 1, 0),
        (channel.pk, 1): (6, 1, 3, 2, 2, 6),
        (other.pk, 1): (0, 0, 1, 0, 0, 1),
    }


def test_every_day_since_the_first_row_has_its_totals_and_no_day_after_now():
    events(JOIN, channel=None, created_at=at(0))
    views_on(PublicationFactory(posted_at=LONG_AGO), day2=7, day5=9)
    collect(2, 5)

    roll_up_days(now=at(3))
    totals = DailyTotals.objects.order_by("day").values_list("day", "collected", "views_gained", "joins")
    # An event without a channel is in no channel's figures, and counts in the totals.
    assert list(totals) == [(day(0), False, 0, 1), (day(1), False, 0, 0), (day(2), True, 7, 0), (day(3), False, 0, 0)]


@pytest.mark.parametrize(
    ("totals", "collected", "posted_at", "after_gap"),
    [
        ({"day0": 3, "day1": 10}, [], LONG_AGO, 0),
        ({"day1": 10}, [0, 1], LONG_AGO, 0),
        ({"day0": 3, "day3": 10}, [0, 3], LONG_AGO, 7),
        ({"day0": 3, "day3": 10}, [0, 2, 3], LONG_AGO, 0),
        ({"day2": 3, "day3": 10}, [0, 3], LONG_AGO, 0),
        ({"day3": 10}, [0, 3], at(3, 0), 0),
        ({"day3": 10}, [0, 3], at(2, 23), 10),
        ({"day3": 10}, [3], LONG_AGO, 10),
        ({"day3": 10}, [3], at(3, 0), 0),
    ],
    ids=[
        "the day before has a row",
        "the day before was collected",
        "days between were not collected",
        "nobody looked at it on days that were collected",
        "a reading was brought in for the day before",
        "posted on the day",
        "posted on a day that was not collected",
        "there before the first collected day",
        "posted on the first collected day",
    ],
)
def test_a_gain_that_may_have_come_on_days_not_collected_is_marked(totals, collected, posted_at, after_gap):
    views_on(PublicationFactory(posted_at=posted_at), **totals)
    collect(*collected)
    roll_up_days(now=at(3))
    newest = ChannelDaily.objects.latest("day")
    assert newest.views_after_gap == after_gap and newest.views_gained >= after_gap


def test_the_clock_that_a_run_was_given_says_which_day_it_collected():
    JobRunFactory(command="aggregate_stats", started_at=at(2), now=at(0), finished_at=at(2), outcome="done")
    JobRunFactory(command="aggregate_stats", started_at=at(1), finished_at=at(1), outcome="failed")
    JobRunFactory(command="aggregate_stats", started_at=at(1))
    JobRunFactory(command="apply_gifts", started_at=at(1), finished_at=at(1), outcome="done")
    assert rollup.collected_days(last=day(9)) == [day(0)]


def test_a_total_older_than_two_months_is_found_too():
    publication = PublicationFactory(posted_at=LONG_AGO)
    ViewsDailyFactory(publication=publication, collected_at=day(-200), views=4)
    views_on(publication, day0=10)
    collect(-1, 0)
    roll_up_days(now=at(0), since=day(0))
    assert figures("views_gained", "views_after_gap")[publication.channel_id, 0] == (6, 0)


def test_an_open_day_follows_its_rows():
    publication = PublicationFactory(posted_at=LONG_AGO)
    joined, left = events(JOIN, channel=publication.channel, created_at=at(0)) + events(LEAVE, created_at=at(0))
    roll_up_days(now=at(0))

    views_on(publication, day0=8)
    joined.delete()
    left.delete()
    assert roll_up_days(now=at(3)) == {"days": 4, "written": 1, "removed": 1, "kept": 0}
    assert figures("views_gained", "joins") == {(publication.channel_id, 0): (8, 0)}
    assert DailyTotals.objects.filter(day=day(0), views_gained=8, joins=0, leaves=0).exists()


def test_a_second_run_writes_nothing():
    events(JOIN, 2, created_at=at(0))
    roll_up_days(now=at(0))
    assert roll_up_days(now=at(0)) == {"days": 1, "written": 0, "removed": 0, "kept": 0}


def test_a_day_that_was_open_when_it_was_last_counted_is_counted_once_more_and_closed(settings):
    """The job stood still: the day was half over."""
    settings.ROLLUP_OPEN_DAYS = 1
    channel = ChannelFactory()
    gone, *_ = events(JOIN, 2, channel=channel, created_at=at(0, 9))
    lost = EventFactory(event_type=JOIN, created_at=at(0, 9))
    roll_up_days(now=at(0, 10))

    events(JOIN, 3, channel=channel, created_at=at(0, 20))
    gone.delete()
    lost.delete()
    assert roll_up_days(now=at(10)) == {"days": 11, "written": 1, "removed": 0, "kept": 1}
    assert figures("joins") == {(channel.pk, 0): (4,), (lost.channel_id, 0): (1,)}

    events(JOIN, channel=channel, created_at=at(0, 20))
    assert roll_up_days(now=at(10))["days"] == 2
    assert figures("joins")[channel.pk, 0] == (4,)


def test_closed_days_are_counted_again_when_asked_for_but_never_from_fewer_rows():
    more, fewer, gone = (publication.channel for publication in PublicationFactory.create_batch(3))
    for channel in (more, fewer, gone):
        events(JOIN, 2, channel=channel, created_at=at(0))
        events(JOIN, 2, channel=channel, created_at=at(1))
    roll_up_days(now=at(10))

    events(LEAVE, channel=more, created_at=at(0))
    events(LEAVE, channel=more, created_at=at(1))
    Event.objects.filter(channel=fewer, event_type=JOIN).earliest("pk").delete()
    Event.objects.filter(channel=gone).delete()
    # Rows of another kind neither stand for those that went, nor stay out because of them.
    views_on(fewer.publications.get(), day0=5)

    assert roll_up_days(now=at(10), since=day(1)) == {"days": 10, "written": 1, "removed": 0, "kept": 1}
    assert roll_up_days(now=at(10), since=day(-90)) == {"days": 11, "written": 2, "removed": 0, "kept": 3}
    assert figures("joins", "leaves", "views_gained") == {
        **{(more.pk, number): (2, 1, 0) for number in (0, 1)},
        **{(channel.pk, number): (2, 0, 0) for channel in (fewer, gone) for number in (0, 1)},
        (fewer.pk, 0): (2, 0, 5),
    }
    assert list(DailyTotals.objects.order_by("day").values_list("joins", "leaves", "views_gained")[:2]) == [
        (6, 1, 5),
        (6, 1, 0),
    ]


def test_the_totals_of_a_closed_day_keep_what_is_gone_and_gain_what_comes_late():
    lost, late = PublicationFactory.create_batch(2, posted_at=LONG_AGO)
    deleted = ChannelFactory()
    events(JOIN, 2, channel=deleted, created_at=at(0))
    events(JOIN, channel=None, created_at=at(0))
    views_on(lost, day0=1000)
    views_on(PublicationFactory(channel=deleted), day0=50)
    roll_up_days(now=at(10))

    lost.delete()
    deleted.delete()
    views_on(late, day0=7)
    events(JOIN, channel=None, created_at=at(0))
    for _ in range(2):
        roll_up_days(now=at(10), since=day(0))
        assert DailyTotals.objects.filter(day=day(0), views_gained=1057, view_rows=3, joins=4, event_rows=4).exists()
    assert figures("views_gained") == {(lost.channel_id, 0): (1000,), (late.channel_id, 0): (7,)}


def test_a_clock_put_back_reopens_nothing():
    event, *_ = events(JOIN, 2, channel=ChannelFactory(), created_at=at(0))
    roll_up_days(now=at(10))
    event.delete()
    assert roll_up_days(now=at(0))["removed"] == 0
    assert set(figures("joins").values()) == {(2,)}
    assert DailyTotals.objects.get(day=day(0)).rolled_up_at == at(10)


@pytest.mark.parametrize("next_run", [0, 5])
def test_a_clock_that_was_ahead_once_closes_no_day_for_good(next_run):
    now = timezone.now()
    channel = ChannelFactory()
    events(JOIN, channel=channel, created_at=now)
    roll_up_days(now=now + 9 * DAY)
    events(JOIN, channel=channel, created_at=now)
    # Either while it is really open, or after a standstill.
    for _ in range(2):
        roll_up_days(now=now + next_run * DAY)
        assert ChannelDaily.objects.get().joins == DailyTotals.objects.get(day=day_of(now)).joins == 2
    assert DailyTotals.objects.get(day=day_of(now)).rolled_up_at == now + next_run * DAY


def test_of_what_is_far_ahead_no_days_are_made(monkeypatch):
    monkeypatch.setattr(rollup, "FURTHEST", DAY)
    EventFactory(event_type=JOIN, created_at=timezone.now())
    assert roll_up_days(now=dt.datetime(9998, 1, 1, tzinfo=dt.UTC))["days"] == 2


def test_dates_out_of_all_reason_are_no_days():
    channel = PublicationFactory().channel
    with connection.cursor() as cursor:
        for moment in ("infinity", "-infinity", "0044-03-15 BC", "9999-01-01"):
            cursor.execute(
                "INSERT INTO analytics.events (channel_id, event_type, created_at) VALUES (%s, 'client_join', %s)",
                [channel.pk, moment],
            )
            cursor.execute(
                "INSERT INTO analytics.views_daily SELECT id, %s, 7 FROM core.publications",
                [moment],
            )
        cursor.execute("UPDATE core.publications SET posted_at = '-infinity'")
    assert roll_up_days(now=at(0))["days"] == 0
    views_on(channel.publications.get(), day0=9)
    assert roll_up_days(now=at(0))["days"] == 1
    assert figures("views_gained", "joins") == {(channel.pk, 0): (2, 0)}


def test_a_day_is_that_of_the_calendars_zone(settings):
    settings.DAY_ZONE = ZoneInfo("Asia/Vladivostok")  # ten hours before UTC
    channel = ChannelFactory()
    for moment in (at(0, 13), at(0, 14), at(1, 13), at(1, 14)):
        EventFactory(channel=channel, event_type=JOIN, created_at=moment)
    roll_up_days(now=at(1, 13))
    assert figures("joins") == {(channel.pk, 0): (1,), (channel.pk, 1): (2,)}


def test_a_dry_run_says_what_it_would_do_and_leaves_nothing():
    events(JOIN, created_at=at(0))
    out = StringIO()
    call_command("roll_up_days", dry_run=True, json=True, now=at(0), stdout=out)
    assert json.loads(out.getvalue()) == {"days": 1, "written": 1, "removed": 0, "kept": 0}
    assert not DailyTotals.objects.exists() and not JobRun.objects.exists()


def test_a_day_that_is_none_is_refused():
    with pytest.raises(CommandError, match="--since: '2026-02-30' is no day; write 2026-01-31"):
        call_command("roll_up_days", "--since", "2026-02-30")


@pytest.mark.django_db(transaction=True)
def test_killed_in_the_middle_it_goes_on_where_it_was(monkeypatch):
    for number in range(6):
        events(JOIN, created_at=at(number))
    roll_up, done = rollup._roll_up, []

    def gives_up(*args, **kwargs):
        if len(done) == 3:
            raise OperationalError
        done.append(args)
        return roll_up(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(rollup, "_roll_up", gives_up)
        with pytest.raises(OperationalError):
            roll_up_days(now=at(20))
    assert ChannelDaily.objects.count() == 3
    assert roll_up_days(now=at(20)) == {"days": 18, "written": 3, "removed": 0, "kept": 0}


@pytest.mark.django_db(transaction=True)
def test_of_two_runs_at_once_the_second_counts_after_the_first(while_held):
    events(JOIN, created_at=at(0))
    first, second = while_held(lambda: roll_up_days(now=at(0)), lambda: roll_up_days(now=at(0)))
    assert (first["written"], second["written"]) == (1, 0)


@pytest.mark.django_db(transaction=True)
def test_a_channel_that_the_bot_deletes_meanwhile_fails_nothing(while_held):
    gone, kept = ChannelFactory.create_batch(2)
    for channel in (gone, kept):
        events(JOIN, channel=channel, created_at=at(0))

    def delete() -> None:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM core.channels WHERE id = %s", [gone.pk])

    _, counts = while_held(delete, lambda: roll_up_days(now=at(0)))
    assert counts["written"] == 1 and figures("joins") == {(kept.pk, 0): (1,)}
    assert DailyTotals.objects.get().joins == 2
    assert ViewsDaily.objects.count() == 0
