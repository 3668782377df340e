"""What becomes of readings, whoever collects them."""

import datetime as dt
import threading
from zoneinfo import ZoneInfo

import pytest
from django.db import OperationalError, connection
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from analytics import readings as module
from analytics.factories import ViewsDailyFactory
from analytics.models import SuspectReading, ViewsDaily
from analytics.readings import Intake, Reading
from analytics.statistics import aggregate_stats, snapshot_views
from core.factories import PublicationFactory
from core.models import Publication

pytestmark = pytest.mark.django_db

NOON = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
TODAY = NOON.date()


def reading(publication, views, read_at=NOON, line=0):
    return Reading(line, publication.channel.tg_chat_id, publication.message_id, views, read_at)


def take(*readings, **options):
    """Returns the counts, and the suspects as (views, against)."""
    suspects = []
    intake = Intake(source="a test", unknown=lambda unknown: None, suspect=suspects.append, **options)
    intake.take(readings)
    return intake.counts, [(suspect.views, suspect.against_views) for suspect in suspects]


def days_of(publication):
    found = ViewsDaily.objects.filter(publication=publication).order_by("collected_at")
    return list(found.values_list("collected_at", "views", "read_at"))


def total(publication):
    publication.refresh_from_db()
    return publication.views


@pytest.mark.parametrize(("before", "read", "after"), [(5, 7, 7), (9, 7, 9)])
def test_a_reading_raises_the_total_and_never_lowers_it(before, read, after):
    publication = PublicationFactory(views=before)
    assert take(reading(publication, read))[1] == []
    assert (total(publication), days_of(publication)) == (after, [(TODAY, read, NOON)])


def test_the_latest_reading_of_a_day_wins_in_whatever_order_they_come():
    one, other = PublicationFactory.create_batch(2)
    early, late = reading(one, 5), reading(one, 9, NOON + HOUR)
    take(late, early)
    for each in (late, early):
        take(each._replace(tg_chat_id=other.channel.tg_chat_id, message_id=other.message_id))
    assert days_of(one) == days_of(other) == [(TODAY, 9, NOON + HOUR)]


# Stored days: (day, views, hour of the reading or none). Then a reading at noon of day 0, and what it is suspect for.
@pytest.mark.parametrize(
    ("stored", "views", "against"),
    [
        ([(0, 10, 11)], 9, 10),
        ([(0, 10, 11)], 10, None),
        ([(0, 10, 12)], 9, 10),
        ([(0, 10, 12)], 11, None),
        ([(0, 10, 13)], 11, 10),
        ([(0, 10, 13)], 10, None),
        ([(0, 10, None)], 9, None),
        ([(0, 10, None)], 11, None),
        ([(-1, 10, 23)], 9, 10),
        ([(-1, 10, None)], 9, 10),
        ([(-1, 10, None)], 10, None),
        ([(1, 10, None)], 11, 10),
        ([(1, 10, 1)], 10, None),
        # The nearest rows of other days count, and a total may have fallen.
        ([(-2, 90, None), (-1, 10, None)], 20, None),
        ([(-1, 10, None), (1, 30, None), (2, 15, None)], 20, None),
    ],
)
def test_a_reading_is_suspect_below_what_is_earlier_and_above_what_is_later(stored, views, against):
    publication = PublicationFactory()
    for day, total_then, hour in stored:
        ViewsDailyFactory(
            publication=publication,
            collected_at=TODAY + day * DAY,
            views=total_then,
            read_views=hour and total_then,
            read_at=hour is not None and NOON + day * DAY + (hour - 12) * HOUR or None,
        )
    before = days_of(publication)
    counts, suspects = take(reading(publication, views))
    assert suspects == ([] if against is None else [(views, against)])
    if against is not None:
        assert (days_of(publication), total(publication), counts["daily_views"]) == (before, 0, 0)
        assert list(SuspectReading.objects.values_list("views", "against_views", "source")) == [
            (views, against, "a test")
        ]


@pytest.mark.parametrize(("read", "day"), [(9, 10), (10, 10), (11, 11)])
def test_of_a_reading_and_a_total_of_an_unknown_time_of_its_day_the_greater_counts(read, day):
    publication = PublicationFactory(views=10)
    ViewsDailyFactory(publication=publication, collected_at=TODAY, views=10)
    take(reading(publication, read))
    assert (days_of(publication), ViewsDaily.objects.get().read_views) == ([(TODAY, day, NOON)], read)


def test_the_bots_own_total_does_not_let_a_day_forget_its_last_reading():
    publication = PublicationFactory()
    take(reading(publication, 100))
    Publication.objects.update(views=105)
    snapshot_views(now=NOON + HOUR)
    assert take(reading(publication, 110, NOON - HOUR))[1] == [(110, 100)]
    assert (days_of(publication), total(publication)) == ([(TODAY, 105, NOON)], 105)
    assert take(reading(publication, 103, NOON + 2 * HOUR))[1] == []
    assert (days_of(publication), total(publication)) == ([(TODAY, 105, NOON + 2 * HOUR)], 105)


def test_a_suspect_reading_stays_suspect_when_what_it_was_above_has_grown():
    publication = PublicationFactory()
    take(reading(publication, 5, NOON + DAY))
    read = reading(publication, 7), reading(publication, 9, NOON + DAY + HOUR)
    assert take(*read)[1] == take(*read)[1] == [(7, 5)]
    assert days_of(publication) == [(TODAY + DAY, 9, NOON + DAY + HOUR)]


def test_within_a_batch_a_suspect_reading_is_no_measure_for_others():
    publication = PublicationFactory()
    ViewsDailyFactory(publication=publication, collected_at=TODAY + DAY, views=50)
    # 90 is above a later day, so 20 is not below it; 10 is below 20.
    _, suspects = take(
        reading(publication, 90), reading(publication, 20, NOON + HOUR), reading(publication, 10, NOON + 2 * HOUR)
    )
    assert sorted(suspects) == [(10, 20), (90, 50)]
    assert SuspectReading.objects.get(views=10).against_at == NOON + HOUR


def test_of_two_at_the_same_time_the_lower_one_is_suspect():
    publication = PublicationFactory()
    assert take(reading(publication, 5), reading(publication, 7))[1] == [(5, 7)]


def test_a_day_is_the_calendar_day_of_day_zone(settings):
    settings.DAY_ZONE = ZoneInfo("Europe/Moscow")
    publication = PublicationFactory()
    late = NOON + 10 * HOUR
    take(reading(publication, 5, late))
    assert days_of(publication) == [(TODAY + DAY, 5, late)]


moments = st.integers(0, 71).map(lambda hour: NOON + hour * HOUR)


@examples(max_examples=25, deadline=None, derandomize=True)
@given(
    stored=st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 9), st.booleans()), unique_by=lambda row: row[0]),
    read=st.lists(st.tuples(st.integers(0, 9), moments), max_size=8),
    order=st.randoms(use_true_random=False),
)
def test_any_readings_leave_the_same_in_any_order_and_a_second_time_change_nothing(stored, read, order):
    publication, twin = PublicationFactory.create_batch(2)
    for each in (publication, twin):
        ViewsDaily.objects.bulk_create(
            ViewsDaily(
                publication=each,
                collected_at=TODAY + day * DAY,
                views=views,
                read_views=views if is_read else None,
                read_at=NOON + day * DAY if is_read else None,
            )
            for day, views, is_read in stored
        )
    before = dict(ViewsDaily.objects.filter(publication=publication).values_list("collected_at", "views"))
    take(*(reading(publication, *each) for each in read))
    shuffled = order.sample(read, len(read))
    take(*(reading(twin, *each) for each in shuffled))

    def suspects(of):
        return set(SuspectReading.objects.filter(publication=of).values_list("read_at", "views"))

    first = days_of(publication), suspects(publication), total(publication)
    assert (days_of(twin), suspects(twin), total(twin)) == first
    counts, _ = take(*(reading(publication, *each) for each in read))
    assert (days_of(publication), suspects(publication), total(publication)) == first
    assert (counts["daily_views"], counts["publications"]) == (0, 0)
    # Each reading is in, or suspect, or an earlier one of its day; and no day has lost anything.
    after = {day: views for day, views, _ in first[0]}
    assert all(after[day] >= views for day, views in before.items())
    assert all(views <= after[read_at.date()] for views, read_at in read if (read_at, views) not in first[1])


@examples(max_examples=15, deadline=None, derandomize=True)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("read"), st.integers(0, 20), st.integers(0, 35)),
            st.tuples(st.just("bot adds"), st.integers(1, 5), st.just(0)),
            st.tuples(st.just("aggregate"), st.just(0), st.integers(0, 35)),
        ),
        min_size=4,
        max_size=10,
    )
)
def test_whatever_the_bot_and_aggregate_stats_do_between_them_readings_are_judged_by_what_is_known(steps):
    publication = PublicationFactory()

    def rows():
        found = ViewsDaily.objects.filter(publication=publication).order_by("collected_at")
        return {row.collected_at: (row.views, row.read_at, row.read_views) for row in found}

    last = {}
    for step, number, hour in steps:
        at, before, known = NOON + hour * HOUR, total(publication), rows()
        if step == "bot adds":
            Publication.objects.filter(pk=publication.pk).update(views=before + number)
        elif step == "aggregate":
            aggregate_stats(now=at)
        else:
            earlier = [row[0] for day, row in known.items() if day < at.date()][-1:]
            later = [row[0] for day, row in known.items() if day > at.date()][:1]
            same_at, same = last.get(at.date(), (at, number))
            among = [*earlier, number, *later]
            fits = (
                (same <= number if same_at <= at else number <= same)
                and among == sorted(among)
                and not SuspectReading.objects.filter(publication=publication, read_at=at, views=number).exists()
            )
            assert (take(reading(publication, number, at))[1] == []) is fits
            if fits:
                last[at.date()] = max((at, number), (same_at, same))
                assert total(publication) == max(before, number)
                assert rows()[at.date()][0] == max(known.get(at.date(), (0,))[0], last[at.date()][1])
            else:
                assert (total(publication), rows()) == (before, known)
        assert {day: row[1:] for day, row in rows().items() if row[1]} == last


def test_more_readings_than_a_batch_holds_are_all_taken(monkeypatch):
    monkeypatch.setattr(module, "BATCH", 3)
    publications = PublicationFactory.create_batch(4)
    merged = []
    read = [reading(each, 5 + n, NOON + n * HOUR) for each in publications for n in range(2)]
    counts, _ = take(*read, merged=lambda *progress: merged.append(progress))
    assert (counts["readings"], counts["publications"], counts["daily_views"]) == (8, 4, 4)
    # All readings of a publication in one.
    assert merged == [(4, 8), (6, 8), (8, 8)]


def test_a_reading_of_no_publication_is_told_and_harms_nothing():
    publication = PublicationFactory()
    unknown = []
    intake = Intake(source="", unknown=unknown.append, suspect=print)
    missing = reading(publication, 5, line=7)._replace(message_id=publication.message_id + 1)
    intake.take([missing, reading(publication, 5)])
    assert (unknown, intake.counts["readings"], total(publication)) == ([missing], 1, 5)


def test_what_shall_not_last_leaves_no_trace():
    publication = PublicationFactory()
    counts, _ = take(reading(publication, 5), lasting=False)
    assert (counts["publications"], total(publication), days_of(publication)) == (1, 0, [])


def test_many_readings_are_taken_in_as_many_statements_as_few(django_assert_num_queries):
    publications = PublicationFactory.create_batch(30)
    with django_assert_num_queries(17):
        take(*(reading(each, 5) for each in publications))


def from_another_connection(publication, views, outcome):
    def work():
        try:
            outcome.append(take(reading(publication, views)))
        except Exception as error:
            outcome.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


@pytest.mark.django_db(transaction=True)
def test_a_greater_total_that_the_bot_commits_meanwhile_stays(colleague, wait_for_lock):
    publication = PublicationFactory(views=1)
    outcome = []
    with colleague.cursor() as cursor:
        cursor.execute("UPDATE core.publications SET views = greatest(views, 50)")
    thread = from_another_connection(publication, 20, outcome)
    wait_for_lock()
    colleague.commit()
    thread.join()
    assert (total(publication), days_of(publication)) == (50, [(TODAY, 20, NOON)])


@pytest.mark.django_db(transaction=True)
def test_a_publication_that_the_bot_deletes_meanwhile_fails_nothing(colleague, wait_for_lock):
    publication = PublicationFactory()
    outcome = []
    with colleague.cursor() as cursor:
        cursor.execute("DELETE FROM core.publications")
    thread = from_another_connection(publication, 20, outcome)
    wait_for_lock()
    colleague.commit()
    thread.join()
    assert outcome[0][0]["daily_views"] == 0


@pytest.mark.django_db(transaction=True)
def test_imports_at_once_judge_by_what_the_other_has_written(while_held):
    publication = PublicationFactory()
    _, second = while_held(lambda: take(reading(publication, 20)), lambda: take(reading(publication, 10, NOON + HOUR)))
    assert second[1] == [(10, 20)]
    assert days_of(publication) == [(TODAY, 20, NOON)]


@pytest.mark.django_db(transaction=True)
def test_a_lost_connection_leaves_whole_batches_and_another_run_does_the_rest(monkeypatch):
    monkeypatch.setattr(module, "BATCH", 1)
    publications = PublicationFactory.create_batch(3)
    read = [reading(each, 5) for each in publications]

    def lose(done, of):
        with connection.copy().cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s::int)", [connection.connection.info.backend_pid])
            cursor.connection.close()

    with pytest.raises(OperationalError):
        take(*read, merged=lose)
    connection.close()
    assert ViewsDaily.objects.count() == 1
    assert take(*read)[0]["daily_views"] == 2
