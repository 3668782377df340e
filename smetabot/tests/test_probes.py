import datetime as dt
import logging

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from adminlog import schedule
from adminlog.models import AdminAction, JobRun
from smetabot.tests.test_headers import assert_strict

pytestmark = pytest.mark.django_db


@pytest.fixture
def monitor(settings):
    """As a monitor on the machine itself asks, in production: not by TLS, and by an address."""
    settings.PRODUCTION = settings.SECURE_SSL_REDIRECT = True
    settings.ALLOWED_HOSTS = ["office.example.com"]
    return Client(headers={"host": "10.0.0.1:8000", "cookie": "sessionid=of-somebody"})


@pytest.fixture
def no_job_is_late():
    now = timezone.now()
    JobRun.objects.bulk_create(JobRun(command=job.command, outcome="done", finished_at=now) for job in schedule.jobs())


def test_a_process_is_alive_without_asking_the_database(monitor, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert monitor.get("/healthz").json() == {"alive": True}


def test_it_is_ready_when_all_that_it_needs_is_there_and_leaves_no_trace(monitor, no_job_is_late):
    answer = monitor.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"database": "ok", "migrations": "ok", "jobs": "ok"})
    assert not answer.cookies
    assert_strict(answer)
    assert not AdminAction.objects.exists()


def test_it_is_not_ready_while_a_job_is_late_and_the_log_is_not_filled_with_it(monitor, no_job_is_late, caplog):
    logging.getLogger("django.request").addHandler(caplog.handler)
    JobRun.objects.filter(command="apply_gifts").update(started_at=timezone.now() - dt.timedelta(hours=3))
    answer = monitor.get("/readyz")
    assert (answer.status_code, answer.json()["jobs"]) == (503, "late: apply_gifts")
    assert not caplog.records


def test_it_is_not_ready_on_an_older_schema(monitor, no_job_is_late):
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'billing'")
    answer = monitor.get("/readyz")
    assert (answer.status_code, answer.json()["migrations"]) == (503, "missing")


def test_it_does_not_wait_for_a_database_that_hangs(monitor, colleague, monkeypatch):
    monkeypatch.setattr("smetabot.probes.PATIENCE", 0.2)
    with colleague.cursor() as cursor:
        cursor.execute("LOCK TABLE admin.job_runs")
        answer = monitor.get("/readyz")
    assert (answer.status_code, answer.json()["jobs"]) == (503, "unknown")
