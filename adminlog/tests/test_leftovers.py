import datetime as dt

import pytest
from axes.models import AccessAttempt
from django.contrib.sessions.models import Session
from django.utils import timezone

from adminlog import leftovers
from adminlog.factories import AdminAlertFactory, JobRunFactory
from adminlog.models import AdminAlert, JobRun
from adminlog.schedule import WATCH

pytestmark = pytest.mark.django_db
DAY, MINUTE = dt.timedelta(days=1), dt.timedelta(minutes=1)


@pytest.fixture
def now():
    now = timezone.now()
    Session.objects.bulk_create(
        Session(session_key=f"{number}", expire_date=now + (number - 3) * MINUTE + MINUTE / 2) for number in range(5)
    )
    for number, ago in enumerate([14, 16]):
        AccessAttempt.objects.create(username=f"{number}", failures_since_start=1)
        AccessAttempt.objects.filter(username=f"{number}").update(attempt_time=now - ago * MINUTE)
    for command, days in [(WATCH, 89), (WATCH, 91), ("apply_gifts", 400)]:
        JobRunFactory(command=command, started_at=now - days * DAY)
    return now


def test_what_is_over_is_removed_batch_by_batch_and_what_counts_stays(now, monkeypatch):
    monkeypatch.setattr(leftovers, "BATCH", 2)
    AdminAlertFactory(run=JobRun.objects.earliest("started_at"))
    AdminAlertFactory(run=JobRun.objects.get(started_at=now - 91 * DAY))
    assert leftovers.clear(now=now) == {"sessions": 3, "attempts": 1, "runs": 1}
    assert leftovers.clear(now=now) == {"sessions": 0, "attempts": 0, "runs": 0}
    assert sorted(Session.objects.values_list("pk", flat=True)) == ["3", "4"]
    assert AccessAttempt.objects.get().username == "0"
    assert sorted(JobRun.objects.values_list("command", flat=True)) == ["apply_gifts", WATCH]
    assert AdminAlert.objects.filter(run=None).count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_failed_login_that_is_counted_meanwhile_stays(while_held):
    now = timezone.now()
    attempt = AccessAttempt.objects.create(username="x", failures_since_start=4)
    old = AccessAttempt.objects.filter(pk=attempt.pk)
    old.update(attempt_time=now - DAY)
    outcomes = while_held(
        lambda: old.update(attempt_time=now, failures_since_start=5), lambda: leftovers.clear(now=now)["attempts"]
    )
    assert (outcomes, AccessAttempt.objects.get().failures_since_start) == ([1, 0], 5)
