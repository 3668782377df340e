"""Against a real HTTP server, which answers as the test says."""

import io
import json
import socket
import threading
import time
from collections import Counter
from contextlib import suppress
from itertools import count

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from adminlog.calls import MOST_BYTES
from adminlog.jobs import moment
from adminlog.models import JobRun
from analytics.collection import LEAVE_THE_PLACE, TAKE_THE_PLACE, Collection
from analytics.models import SuspectReading, ViewsDaily
from analytics.readings import Intake
from analytics.userbot import Refusal, Userbot, sorted_out
from core.factories import ChannelFactory, ContractorFactory, PublicationFactory
from core.models import Publication
from testbed.stranger import Stranger

pytestmark = pytest.mark.django_db
NOW = "2026-01-31T12:00:00Z"


def ok(views):
    return 200, {}, json.dumps({"ok": True, "views": views}).encode()


def all_seven(question):
    return ok({str(message): 7 for message in question["message_ids"]})


@pytest.fixture
def server():
    with Stranger(all_seven) as server:
        yield server


@pytest.fixture
def collected(server):
    """What came of a collection: counts, problems."""

    def collect(**options):
        problems = []
        intake = Intake(source="userbot", unknown=print, suspect=lambda suspect: None)
        userbot = Userbot(options.pop("url", server.url), timeout=options.pop("timeout", 5), pause=0.01)
        now = options.pop("now", moment(NOW))
        collection = Collection(userbot, intake, problem=problems.append, now=now, parallel=2, **options)
        collection.run()
        return intake.counts, problems

    return collect


def totals():
    return list(Publication.objects.order_by("pk").values_list("views", flat=True))


def test_the_userbot_is_asked_for_a_hundred_messages_of_a_channel_at_a_time(server, collected):
    channel = ChannelFactory()
    Publication.objects.bulk_create(PublicationFactory.build_batch(101, channel=channel))
    counts, problems = collected()
    assert problems == []
    assert sorted(len(question.pop("message_ids")) for question in server.questions) == [1, 100]
    assert server.questions == 2 * [{"contractor_id": channel.contractor_id, "channel_id": channel.tg_chat_id}]
    assert set(server.paths) == {"/rooms/get_views"}
    assert (counts["readings"], Counter(totals())) == (101, {7: 101})
    assert set(ViewsDaily.objects.values_list("views", "read_views")) == {(7, 7)}


def test_a_reading_is_of_the_time_when_its_answer_came(server, collected):
    PublicationFactory()
    # Of a run that has gone on for an hour.
    collected(now=moment("2026-01-31T23:30:00Z"), began=time.monotonic() - 3600)
    read = ViewsDaily.objects.get()
    assert moment("2026-02-01T00:30:00Z") <= read.read_at < moment("2026-02-01T00:40:00Z")
    assert str(read.collected_at) == "2026-02-01"


def test_deleted_publications_and_blocked_contractors_are_not_asked_for(server, collected):
    PublicationFactory(deleted=True)
    PublicationFactory(channel__contractor=ContractorFactory(blocked=True))
    collected()
    assert server.questions == []


@pytest.mark.parametrize(("days", "asked"), [(None, 2), (3, 1), (1_000_000, 2)])
def test_only_what_was_posted_lately_can_be_asked_for(server, collected, days, asked):
    channel = ChannelFactory()
    for posted_at in ("2026-01-30T12:00:00Z", "2025-01-01T12:00:00Z"):
        PublicationFactory(channel=channel, posted_at=posted_at)
    collected(posted_within=days)
    assert len(server.questions[0]["message_ids"]) == asked


@pytest.mark.parametrize(("channels", "page"), [(1000, 3), (2, 1000)])
def test_all_publications_are_asked_for_page_by_page(server, collected, monkeypatch, channels, page):
    monkeypatch.setattr("analytics.collection.SET", channels)
    monkeypatch.setattr("analytics.collection.PAGE", page)
    for channel in ChannelFactory.create_batch(3):
        PublicationFactory.create_batch(2, channel=channel)
    collected()
    assert totals() == 6 * [7]


def failing(times, *answer):
    """So often this answer to each channel, then a good one."""
    seen = Counter()

    def answers(question):
        seen[question["channel_id"]] += 1
        return answer if seen[question["channel_id"]] <= times else ok(dict.fromkeys(question["message_ids"], 7))

    return answers


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_may_pass_is_tried_again(server, collected, status):
    PublicationFactory()
    server.answer = failing(2, status, {}, b"")
    assert collected()[1] == []
    assert (len(server.questions), totals()) == (3, [7])


def test_it_waits_as_long_as_it_is_told_to(server, collected):
    PublicationFactory()
    server.answer = failing(1, 429, {"Retry-After": "1"}, b"")
    began = time.monotonic()
    assert collected()[1] == []
    assert time.monotonic() - began >= 1


@pytest.mark.parametrize("wait", ["999999999999", "Wed, 21 Oct 2099 07:28:00 GMT", "-1", "soon", "²"])
def test_but_not_for_ever(server, collected, wait, monkeypatch):
    monkeypatch.setattr("analytics.userbot.MOST_PATIENCE", 0.05)
    PublicationFactory()
    server.answer = failing(1, 503, {"Retry-After": wait.encode().decode("latin-1")}, b"")
    assert collected()[1] == []


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((404, {}, b"{}"), "it answered 404"),
        ((302, {"Location": "http://127.0.0.1:1/"}, b""), "it answered 302"),
        ((200, {}, b"<html>"), "its answer is no JSON"),
        ((200, {}, b"\xff\xfe"), "its answer is no JSON"),
        ((200, {}, b"[" * 100_000), "its answer is no JSON"),
        ((200, {}, b"[]"), "it refused: []"),
        ((200, {}, b'{"ok": false, "error": "no session"}'), "it refused: {'ok': False, 'error': 'no session'}"),
        ((200, {}, b'{"ok": true}'), "its answer has no views"),
        ((200, {}, b'{"ok": true, "views": [1]}'), "its answer has no views"),
        ((200, {}, b" " * (MOST_BYTES + 1)), "its answer is longer than"),
    ],
)
def test_a_channel_without_an_answer_of_use_is_named_once_and_the_others_go_on(server, collected, answer, reason):
    dead, alive = ChannelFactory.create_batch(2)
    Publication.objects.bulk_create(PublicationFactory.build_batch(150, channel=dead))
    PublicationFactory(channel=alive)
    server.answer = lambda question: answer if question["channel_id"] == dead.tg_chat_id else ok({"1": 7})
    Publication.objects.filter(channel=alive).update(message_id=1)
    _, problems = collected()
    assert [problem.split(": ", 1)[0] for problem in problems] == [f"channel {dead.tg_chat_id}"]
    assert reason in problems[0]
    # No further attempts.
    assert sum(question["channel_id"] == dead.tg_chat_id for question in server.questions) <= 2
    assert Publication.objects.get(channel=alive).views == 7


def test_of_a_dead_channel_the_rest_is_not_asked_for(server, collected):
    dead = ChannelFactory()
    Publication.objects.bulk_create(PublicationFactory.build_batch(1000, channel=dead))
    server.answer = lambda question: (404, {}, b"")
    assert len(collected()[1]) == 1
    assert len(server.questions) <= 5


def test_an_answer_that_hangs_or_drips_is_not_waited_for(server, collected):
    hanging, alive = PublicationFactory.create_batch(2)
    release = threading.Event()

    def answer(question):
        if question["channel_id"] == alive.channel.tg_chat_id:
            return ok({str(alive.message_id): 7})
        release.wait(5)
        return ok({})

    server.answer = answer
    _, problems = collected(timeout=0.1)
    release.set()
    assert len(problems) == 1 and f"channel {hanging.channel.tg_chat_id}: " in problems[0]
    assert totals() == [0, 7]


@pytest.mark.parametrize(
    "drip",
    [
        b"X: " + b"a" * 1000,
        b"Transfer-Encoding: chunked\r\n\r\n" + b"0" * 1000,
        b"Content-Length: 1000\r\n\r\n" + b" " * 1000,
    ],
)
def test_no_answer_takes_longer_than_the_time_out_whatever_drips(drip):
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve():
            caller, _ = listening.accept()
            with caller, suppress(OSError):
                caller.recv(65536)
                caller.send(b"HTTP/1.1 200 OK\r\n")
                for byte in drip:
                    caller.send(bytes([byte]))
                    time.sleep(0.01)

        thread = threading.Thread(target=serve)
        thread.start()
        userbot = Userbot(f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=0.2)
        userbot.stopped.set()
        began = time.monotonic()
        with pytest.raises(Refusal, match="takes longer than 0.2 seconds"):
            userbot.views(contractor_id=1, channel_id=-1, message_ids=[1])
        assert time.monotonic() - began < 2
        thread.join()


def test_an_answer_that_is_cut_off_is_tried_again(server, collected):
    PublicationFactory()
    server.answer = failing(1, 200, {"Content-Length": "100", "Connection": "close"}, b'{"ok": ')
    collected(timeout=1)
    assert (len(server.questions), totals()) == (2, [7])


def test_nobody_there_is_one_line_and_soon(collected):
    for channel in ChannelFactory.create_batch(40):
        PublicationFactory(channel=channel)
    began = time.monotonic()
    _, problems = collected(url="http://anna:secret@127.0.0.1:1/path")
    assert len(problems) == 1
    assert problems[0].startswith("the userbot at 127.0.0.1:1 does not answer: ")
    assert problems[0].count("-100") == 25
    assert "secret" not in problems[0]
    assert time.monotonic() - began < 10


def test_what_was_read_before_it_went_away_is_kept(server, collected):
    for channel in ChannelFactory.create_batch(40):
        PublicationFactory(channel=channel)
    served = Counter()

    def answer(question):
        served["all"] += 1
        return all_seven(question) if served["all"] <= 5 else (503, {}, b"")

    server.answer = answer
    _, problems = collected()
    assert (len(problems), Counter(totals())[7]) == (1, 5)


def test_whom_a_run_did_not_come_to_another_one_asks(server, collected):
    for channel in ChannelFactory.create_batch(40):
        PublicationFactory(channel=channel)
    server.answer = lambda question: (503, {"Retry-After": "0"}, b"")
    asked = []
    for _ in range(2):
        collected()
        asked.append({question["channel_id"] for question in server.questions})
        server.questions.clear()
    assert asked[0] != asked[1]


def test_what_was_read_before_a_fault_is_kept(server, collected, monkeypatch):
    PublicationFactory.create_batch(2)
    number = count()

    def views(self, *, message_ids, **question):
        if next(number):
            time.sleep(0.1)
            raise MemoryError
        return {str(message): 7 for message in message_ids}

    monkeypatch.setattr(Userbot, "views", views)
    with pytest.raises(MemoryError):
        collected()
    assert sorted(totals()) == [0, 7]


def test_channels_of_one_contractor_without_a_session_do_not_stop_the_others(server, collected):
    contractor = ContractorFactory()
    for channel in ChannelFactory.create_batch(10, contractor=contractor):
        PublicationFactory(channel=channel)
    alive = PublicationFactory()
    server.answer = lambda question: (
        (503, {}, b"") if question["contractor_id"] == contractor.pk else all_seven(question)
    )
    _, problems = collected()
    alive.refresh_from_db()
    assert (len(problems), alive.views) == (10, 7)


def test_of_an_answer_the_good_part_is_taken_and_the_rest_named():
    views = {"1": 7, "2": -1, "3": 7.5, "4": True, "5": 2**31, "6": "7", "7": None, "99": 1, "01": 1}
    totals, wrong = sorted_out(views, asked=list(range(1, 9)))
    assert totals == {1: 7}
    assert len(wrong) == 7
    assert wrong[0] == "message 2 has -1 views"
    assert wrong[-1] == "it told of 2 messages that it was not asked for, first '99'"


def test_a_password_goes_to_the_server_and_nowhere_else(server):
    userbot = Userbot(server.url.replace("http://", "http://anna:se%20cret@") + "/bot/", timeout=5, pause=0.01)
    server.answer = lambda question: (403, {}, b"")
    with pytest.raises(Refusal) as refused:
        userbot.views(contractor_id=1, channel_id=-1, message_ids=[1])
    assert server.headers[0]["Authorization"] == "Basic YW5uYTpzZSBjcmV0"
    assert server.paths == ["/bot/rooms/get_views"]
    assert "cret" not in f"{refused.value} {userbot.name}"


def run(settings, url, *options):
    settings.USERBOT_URL = url
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("collect_views", "--json", f"--now={NOW}", *options, stdout=out, stderr=err)
    except CommandError as error:
        return error, out.getvalue(), err.getvalue()
    return None, out.getvalue() and json.loads(out.getvalue()), err.getvalue()


def test_the_command_tells_what_it_did(server, settings):
    PublicationFactory()
    assert run(settings, server.url) == (
        None,
        {"answered": 1, "channels_failed": 0, "readings": 1, "suspects": 0, "publications": 1, "daily_views": 1},
        "",
    )


def test_the_command_fails_when_a_channel_does(server, settings):
    PublicationFactory()
    server.answer = lambda question: (404, {}, b"")
    error, _, err = run(settings, server.url)
    assert (error.returncode, err.count("\n")) == (1, 1)
    assert JobRun.objects.get().outcome == "failed"


def test_a_dry_run_asks_and_changes_nothing(server, settings):
    PublicationFactory()
    assert run(settings, server.url, "--dry-run")[1]["publications"] == 1
    assert (totals(), ViewsDaily.objects.count()) == ([0], 0)


def test_a_total_below_an_earlier_one_is_kept_aside(server, settings):
    publication = PublicationFactory()
    run(settings, server.url)
    server.answer = lambda question: ok({str(publication.message_id): 3})
    error, counts, err = run(settings, server.url, "--now=2026-01-31T13:00:00Z")
    assert (error, counts["suspects"], " is suspect, below 7 of 2026-01-31T12:0" in err) == (None, 1, True)
    assert SuspectReading.objects.get().source == "userbot"


def test_a_second_run_at_the_same_time_asks_nothing_and_leaves_no_record(server, settings, colleague):
    PublicationFactory()
    with colleague.cursor() as cursor:
        cursor.execute(TAKE_THE_PLACE)
        error, out, err = run(settings, server.url)
        cursor.execute(LEAVE_THE_PLACE)
    assert (error, out, err) == (None, "", "collect_views: another run is under way; this one asked nothing\n")
    assert (server.questions, JobRun.objects.count()) == ([], 0)
    assert run(settings, server.url)[1]["readings"] == 1


def test_a_pooler_that_gives_each_transaction_another_connection_is_refused(settings, monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "POOLED", True)
    error, out, _ = run(settings, "http://127.0.0.1:1")
    assert (error.returncode, out) == (2, "")
    assert "DATABASE_URL that leads to PostgreSQL itself" in str(error)


def test_without_an_address_it_says_what_to_set(settings):
    error, out, _ = run(settings, None)
    assert (error.returncode, out) == (2, "")
    assert "set USERBOT_URL" in str(error)
    assert not JobRun.objects.exists()
