"""Against a real HTTP server, which answers as the test says."""

import datetime as dt
import json
import logging
import threading
import time
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import transaction

from adminlog.chat import ALONE, Chat, bring_up_to_date
from adminlog.factories import AdminAlertFactory
from adminlog.models import AdminAlert, JobRun
from testbed.stranger import Stranger

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 3, 4, 18, 6, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
TOKEN = "123456:SECRET-token_of_the_bot"
Kind, State = AdminAlert.Kind, AdminAlert.State


def taken(message):
    return 200, {}, b'{"ok": true, "result": {}}'


@pytest.fixture
def telegram():
    with Stranger(taken) as telegram:
        yield telegram


def lines(telegram):
    return [line for message in telegram.questions for line in message["text"].splitlines()[1:]]


@pytest.fixture
def tell(telegram):
    def tell(*, hours_later=0, timeout=5, url=None):
        chat = Chat(url or telegram.url, TOKEN, "-1001", timeout=timeout)
        return bring_up_to_date(chat, now=NOW + hours_later * HOUR)

    return tell


def alert(**known):
    return AdminAlertFactory(first_seen_at=NOW, last_seen_at=NOW, **known)


def test_the_chat_is_told_once_that_an_alert_is_open_and_once_that_it_is_over(telegram, tell):
    failed = alert(text="contractor 5, Ivan Petrov: no", count=3)
    assert [tell(), tell(hours_later=1)] == [1, 0]
    assert (telegram.paths, telegram.questions[0]["chat_id"]) == ([f"/bot{TOKEN}/sendMessage"], "-1001")
    AdminAlert.objects.update(state=State.RESOLVED, resolved_at=NOW)
    assert [tell(hours_later=2), tell(hours_later=3)] == [1, 0]
    what = f"apply_gifts failed, 3 times since 2026-03-04 18:06 UTC (alert {failed.pk})"
    assert lines(telegram) == [f"New: {what}", f"Over: {what}"]


def test_what_goes_on_is_told_again_after_a_day_unless_somebody_sees_to_it(telegram, tell):
    goes_on, acknowledged, once = alert(), alert(), alert()
    tell()
    AdminAlert.objects.filter(pk=acknowledged.pk).update(state=State.ACKNOWLEDGED)
    AdminAlert.objects.exclude(pk=once.pk).update(last_seen_at=NOW + 23 * HOUR, count=24)
    assert [tell(hours_later=23), tell(hours_later=24), tell(hours_later=25)] == [0, 1, 0]
    assert lines(telegram)[-1].startswith("Still: apply_gifts failed, 24 times")
    assert f"(alert {goes_on.pk})" in lines(telegram)[-1]


def test_what_was_over_before_it_could_be_told_is_not_told(telegram, tell):
    alert(state=State.RESOLVED, resolved_at=NOW)
    assert (tell(), telegram.questions) == (0, [])


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (429, b'{"ok": false, "parameters": {"retry_after": 99999}}', "it answered 429"),
        (401, b'{"ok": false, "description": "Unauthorized"}', "answered 401: Unauthorized"),
        (400, f'{{"ok": false, "description": "chat not found by {TOKEN}\\u0000"}}'.encode(), "not found by …"),
        (400, b'{"ok": false, "description": "bad \\ud800"}', "it answered 400: bad ?"),
        (400, f'{{"description": "{TOKEN[:9]}\\u0000{TOKEN[9:]}"}}'.encode(), "it answered 400: …"),
        (500, b"<html>", "it answered 500"),
        (200, b'{"ok": false}', "it answered 200"),
        (200, b"[" * 100_000, "it answered 200"),
        (200, b" " * (1 << 21), "longer than"),
        (302, b"", "it answered 302"),
    ],
)
def test_a_chat_that_cannot_be_told_is_an_alert_of_its_own_until_it_can(telegram, tell, status, body, why):
    alert()
    telegram.answer = lambda message: (status, {}, body)
    assert [tell(), tell(hours_later=0.1)] == [0, 0]
    untold = AdminAlert.objects.get(kind=Kind.UNTOLD)
    assert (untold.state, untold.last_seen_at) == ("open", NOW + 0.1 * HOUR)
    assert why in untold.text and TOKEN not in untold.text
    telegram.answer = taken
    assert [tell(hours_later=1), tell(hours_later=2)] == [2, 0]
    assert "watch_jobs could not tell this chat" in lines(telegram)[-1]
    assert AdminAlert.objects.get(kind=Kind.UNTOLD).state == "resolved"


def test_a_chat_that_hangs_or_is_away_is_not_waited_for_and_the_token_stays_here(telegram, tell, caplog):
    caplog.set_level(logging.DEBUG)
    alert()
    release = threading.Event()
    telegram.answer = lambda message: release.wait(5) and taken(message)
    tell(timeout=0.2)
    release.set()
    assert "takes longer than 0.2 seconds" in AdminAlert.objects.get(kind=Kind.UNTOLD).text
    tell(url="http://127.0.0.1:1")
    assert "Connection refused" in AdminAlert.objects.get(kind=Kind.UNTOLD).text
    assert TOKEN not in caplog.text + repr(Chat(telegram.url, TOKEN, "1")) + AdminAlert.objects.get(kind="untold").text


def test_who_comes_while_another_tells_says_nothing(telegram, tell, colleague):
    alert()
    with colleague.cursor() as cursor:
        cursor.execute(ALONE)
        assert (tell(), telegram.questions) == (0, [])
    colleague.rollback()
    assert tell() == 1


def run(settings, telegram, *options):
    settings.ALERTS_BOT_TOKEN, settings.ALERTS_CHAT, settings.ALERTS_API_URL = TOKEN, "-1001", telegram.url
    settings.CRONJOBS = []
    out = StringIO()
    call_command("watch_jobs", "--json", *options, stdout=out)
    return json.loads(out.getvalue())


def test_the_job_tells_and_a_dry_run_of_it_does_not(telegram, settings):
    alert()
    assert (run(settings, telegram, "--dry-run")["told"], telegram.questions) == (0, [])
    assert (run(settings, telegram)["told"], run(settings, telegram)["told"]) == (1, 0)


def test_no_answer_of_the_chat_makes_the_job_fail(telegram, settings):
    alert()
    telegram.answer = lambda message: (500, {}, b"")
    assert run(settings, telegram)["told"] == 0
    assert JobRun.objects.get(command="watch_jobs").outcome == "done"


def test_without_a_chat_nothing_is_told_and_nobody_misses_it(settings):
    settings.ALERTS_BOT_TOKEN = None
    alert(kind=Kind.UNTOLD)
    call_command("watch_jobs", stdout=StringIO())
    assert AdminAlert.objects.get().state == "resolved"


@pytest.mark.django_db(transaction=True)
def test_who_is_killed_between_the_message_and_the_note_of_it_leaves_it_to_the_next(telegram, tell, manage):
    with transaction.atomic():
        alert()
    killed = []

    def kill_the_caller(message):
        killed[0].kill()
        return taken(message)

    telegram.answer = kill_the_caller
    killed.append(manage("watch_jobs", ALERTS_BOT_TOKEN=TOKEN, ALERTS_CHAT="-1001", ALERTS_API_URL=telegram.url))
    _, err = killed[0].communicate(timeout=60)
    assert (killed[0].returncode, TOKEN in err, len(telegram.questions)) == (-9, False, 1)
    telegram.answer = taken
    deadline = time.monotonic() + 20
    # PostgreSQL notices a moment later that the other is gone.
    while not tell() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert lines(telegram)[0] == lines(telegram)[1]
