"""What the triggers log when the bot writes, and that a run over what is logged does what one over everything does."""

import datetime as dt
import os

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from analytics import statistics
from analytics.factories import ViewsDailyFactory
from analytics.models import ChannelStats, ViewsDaily
from analytics.statistics import aggregate_stats
from core.factories import ChannelFactory, ClientFactory, PublicationFactory
from smetabot.tests import bot

NOW = dt.datetime(2026, 1, 31, 9, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


def logged():
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT channel_id FROM analytics.dirty_channels ORDER BY channel_id")
        return [channel for (channel,) in cursor.fetchall()]


@pytest.fixture
def channels(db):
    """Two that were looked at, each with one publication (message 1, 5 views) and one client (Telegram's number 1)."""
    pair = ChannelFactory.create_batch(2)
    for channel in pair:
        PublicationFactory(channel=channel, message_id=1, views=5)
        ClientFactory(channel=channel, tg_user_id=1)
    aggregate_stats(now=NOW)
    assert logged() == []
    # TRUNCATE is refused while foreign keys are yet to be looked at.
    bot.run("SET CONSTRAINTS ALL IMMEDIATE")
    return [channel.pk for channel in pair]


# What is logged. %(one)s and %(two)s are the channels; the number is how many of them the log then names, one first.
WRITES = {
    "a publication": (1, "INSERT INTO core.publications (channel_id, message_id) VALUES (%(one)s, 2)"),
    "several": (
        2,
        "INSERT INTO core.publications (channel_id, message_id)"
        " SELECT channel, message FROM unnest(ARRAY[%(one)s, %(two)s]) AS channel, generate_series(2, 9) AS message",
    ),
    "an upsert that raises views": (
        1,
        "INSERT INTO core.publications AS p (channel_id, message_id, views) VALUES (%(one)s, 1, 6)"
        " ON CONFLICT (channel_id, message_id) DO UPDATE SET views = greatest(p.views, excluded.views)",
    ),
    "an upsert that does not": (
        0,
        "INSERT INTO core.publications AS p (channel_id, message_id, views) VALUES (%(one)s, 1, 4)"
        " ON CONFLICT (channel_id, message_id) DO UPDATE SET views = greatest(p.views, excluded.views)",
    ),
    "a merge": (
        1,
        "MERGE INTO core.publications AS p USING (VALUES (%(one)s, 1)) AS new (channel_id, message_id)"
        " ON p.channel_id = new.channel_id AND p.message_id = new.message_id"
        " WHEN MATCHED THEN UPDATE SET views = 9",
    ),
    "a file's name": (0, "UPDATE core.publications SET file_name = 'x', posted_at = now()"),
    "a deletion mark": (1, "UPDATE core.publications SET deleted = true WHERE channel_id = %(one)s"),
    "one row of a wide update": (
        1,
        "UPDATE core.publications SET views = CASE channel_id WHEN %(one)s THEN 6 ELSE views END",
    ),
    "a publication's move": (
        2,
        "UPDATE core.publications SET channel_id = %(two)s, message_id = 3 WHERE channel_id = %(one)s",
    ),
    "a swap of two": (
        2,
        "UPDATE core.publications SET channel_id = %(one)s + %(two)s - channel_id, message_id = channel_id + 9",
    ),
    "a publication's end": (1, "DELETE FROM core.publications WHERE channel_id = %(one)s"),
    "a channel's end": (1, "DELETE FROM core.channels WHERE id = %(one)s"),
    "a contractor's end": (
        1,
        "DELETE FROM core.contractors WHERE id = (SELECT contractor_id FROM core.channels WHERE id = %(one)s)",
    ),
    "no publications any more": (2, "TRUNCATE core.publications CASCADE"),
    "a client": (1, "INSERT INTO core.clients (channel_id) VALUES (%(one)s)"),
    "a client who is known": (
        0,
        "INSERT INTO core.clients (channel_id, tg_user_id) VALUES (%(one)s, 1)"
        " ON CONFLICT (channel_id, tg_user_id) DO UPDATE SET invite_id = excluded.invite_id, full_name = 'x'",
    ),
    "a block": (1, "UPDATE core.clients SET blocked = true WHERE channel_id = %(one)s"),
    "a client's move": (
        2,
        "UPDATE core.clients SET channel_id = %(two)s, tg_user_id = 3 WHERE channel_id = %(one)s",
    ),
    "a client's end": (1, "DELETE FROM core.clients WHERE channel_id = %(one)s"),
    "no clients any more": (2, "TRUNCATE core.clients CASCADE"),
}


@pytest.mark.parametrize("write", WRITES)
def test_the_log_names_the_channels_whose_numbers_a_write_may_have_changed(channels, write):
    named, sql = WRITES[write]
    with connection.cursor() as cursor:
        cursor.execute(sql, dict(zip(["one", "two"], channels, strict=True)))
    assert logged() == channels[:named]


def test_rows_that_are_copied_in_are_logged_once_a_channel(channels):
    copy = "COPY core.publications (channel_id, message_id) FROM STDIN"
    with connection.cursor() as cursor, cursor.copy(copy) as copied:
        for message in range(100, 200):
            copied.write_row((channels[message % 2], message))
    assert logged() == channels
    assert bot.one("SELECT count(*) FROM analytics.dirty_channels") == 2


def test_who_may_write_publications_needs_no_right_to_the_log_and_cannot_put_another_in_its_place(db):
    function = "SELECT prosecdef::text || ' ' || proconfig::text FROM pg_proc WHERE proname = 'log_dirty_channels'"
    assert bot.one(function) == 'true {"search_path=pg_catalog, pg_temp"}'


# What a run does with it


def test_a_run_looks_at_what_is_logged_and_at_what_has_no_row(channels):
    assert aggregate_stats(now=NOW).looked_at == 0
    bot.publish(channels[0], 2)
    ChannelStats.objects.filter(pk=channels[1]).delete()
    ChannelFactory()
    assert aggregate_stats(now=NOW) == (3, 0, 3)
    assert logged() == []


def test_a_dry_run_leaves_the_log_as_it_was(channels):
    bot.publish(channels[0], 2)
    with transaction.atomic():
        aggregate_stats(now=NOW)
        transaction.set_rollback(True)
    assert logged() == channels[:1]


def test_what_was_changed_by_hand_is_mended_by_a_full_run_alone(channels):
    ChannelStats.objects.filter(pk=channels[0]).update(files_count=9)
    ViewsDaily.objects.filter(publication__channel=channels[1]).delete()
    assert aggregate_stats(now=NOW) == (0, 0, 0)
    assert aggregate_stats(now=NOW, full=True) == (2, 1, 1)


@pytest.mark.parametrize("full", [False, True])
def test_a_total_that_may_not_be_written_yet_waits_in_the_log(channels, full):
    """A run whose --now lies before the newest row consumes what a later one is to write."""
    bot.publish(channels[0], 1, 8)
    aggregate_stats(now=NOW - DAY, full=full)
    assert logged() == channels[:1]
    assert aggregate_stats(now=NOW + DAY).snapshots == 1
    assert logged() == []


def test_a_total_that_fell_back_to_the_day_before_waits_for_the_next_day(channels):
    publication = PublicationFactory(channel_id=channels[0], views=3)
    ViewsDailyFactory(publication=publication, collected_at=NOW.date() - DAY, views=3)
    ViewsDailyFactory(publication=publication, collected_at=NOW.date(), views=4)
    assert aggregate_stats(now=NOW).snapshots == 0
    assert aggregate_stats(now=NOW + DAY).snapshots == 1


@pytest.mark.django_db(transaction=True)
def test_two_who_write_in_one_channel_wait_for_nobody_and_each_is_counted_once_committed(colleague):
    channel = ChannelFactory()
    one, two = PublicationFactory.create_batch(2, channel=channel)
    aggregate_stats(now=NOW)
    update = "UPDATE core.publications SET views = 9 WHERE id = %s"
    with colleague.cursor() as theirs, transaction.atomic(), connection.cursor() as ours:
        theirs.execute(update, [one.pk])
        ours.execute("SET LOCAL lock_timeout = '1s'")
        ours.execute(update, [two.pk])
    assert aggregate_stats(now=NOW) == (1, 1, 1)
    colleague.commit()
    assert aggregate_stats(now=NOW) == (1, 1, 1)
    assert ChannelStats.objects.values_list("views_total").get() == (18,)


def test_when_much_changed_at_once_a_run_looks_at_all(channels, monkeypatch):
    monkeypatch.setattr(statistics, "FEW", 0)
    bot.publish(channels[0], 1, 8)
    assert aggregate_stats(now=NOW) == (2, 1, 1)
    assert logged() == []


# The n-th row of a table by its id; where there are fewer, nothing happens.
CONTRACTOR, CHANNEL, PUBLICATION, CLIENT = (
    f"(SELECT id FROM core.{table} ORDER BY id OFFSET %s LIMIT 1)"
    for table in ("contractors", "channels", "publications", "clients")
)
few = st.integers(0, 3)
views = st.integers(0, 3)
HAPPENINGS = {
    f"INSERT INTO core.publications AS p (channel_id, message_id, views) SELECT id, %s, %s FROM {CHANNEL} AS c"
    " ON CONFLICT (channel_id, message_id) DO UPDATE SET views = greatest(p.views, excluded.views)": (few, views, few),
    f"UPDATE core.publications SET views = %s WHERE id = {PUBLICATION}": (views, few),
    f"UPDATE core.publications SET deleted = %s WHERE id = {PUBLICATION}": (st.booleans(), few),
    f"UPDATE core.publications SET channel_id = coalesce({CHANNEL}, channel_id), message_id = id + 9"
    f" WHERE id = {PUBLICATION}": (few, few),
    f"DELETE FROM core.publications WHERE id = {PUBLICATION}": (few,),
    f"INSERT INTO core.clients (channel_id, tg_user_id) SELECT id, %s FROM {CHANNEL} AS c ON CONFLICT DO NOTHING": (
        few,
        few,
    ),
    f"UPDATE core.clients SET blocked = NOT blocked WHERE id = {CLIENT}": (few,),
    f"UPDATE core.clients SET channel_id = coalesce({CHANNEL}, channel_id), tg_user_id = NULL WHERE id = {CLIENT}": (
        few,
        few,
    ),
    f"DELETE FROM core.clients WHERE id = {CLIENT}": (few,),
    "INSERT INTO core.channels (contractor_id, tg_chat_id)"
    f" SELECT id, (SELECT coalesce(max(tg_chat_id), 0) + 1 FROM core.channels) FROM {CONTRACTOR} AS c": (few,),
    f"UPDATE core.channels SET contractor_id = coalesce({CONTRACTOR}, contractor_id) WHERE id = {CHANNEL}": (few, few),
    f"DELETE FROM core.channels WHERE id = {CHANNEL}": (few,),
    f"DELETE FROM core.contractors WHERE id = {CONTRACTOR}": (few,),
    f"DELETE FROM analytics.channel_stats WHERE channel_id = {CHANNEL}": (few,),
}
happenings = st.sampled_from(sorted(HAPPENINGS)).flatmap(
    lambda sql: st.tuples(st.just(sql), st.tuples(*HAPPENINGS[sql]))
)
# Of the clock, in days, to and fro.
jumps = st.sampled_from([1, -1, 0, 2, -2])
rises = st.tuples(
    st.just("UPDATE core.publications SET views = views + 1 WHERE id %% 2 = %s"), st.tuples(st.integers(0, 1))
)
histories = st.lists(st.tuples(st.lists(happenings | rises, min_size=1, max_size=4), jumps), min_size=5, max_size=8)


def derived():
    return (
        list(ChannelStats.objects.order_by("channel").values_list()),
        list(ViewsDaily.objects.order_by("publication", "collected_at").values_list()),
    )


@pytest.mark.django_db
def test_whatever_happened_a_run_leaves_what_a_full_one_would_have():
    examples = os.environ.get("HYPOTHESIS_EXAMPLES")

    @settings(
        max_examples=int(examples or 12),
        derandomize=not examples,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink] if examples else [Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(history=histories)
    def check(history):
        now = NOW
        with transaction.atomic(), connection.cursor() as cursor:
            for number in (1, 2):
                channel = bot.make_channel(bot.meet(number), -number)
                bot.publish(channel, 1, number)
            for writes, jump in history:
                for sql, params in writes:
                    cursor.execute(sql, params)
                now += jump * DAY
                with transaction.atomic():
                    aggregate_stats(now=now, full=True)
                    expected = derived()
                    transaction.set_rollback(True)
                aggregate_stats(now=now)
                assert derived() == expected
            transaction.set_rollback(True)

    check()
