import io
import json
import logging

import pytest
from django.core.management import call_command
from django.db import connection

from adminlog.logs import Context, JsonLines, run_id
from adminlog.models import AdminUser, JobRun

pytestmark = pytest.mark.django_db


@pytest.fixture
def log():
    """The lines that a production would write, as they are read."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    handler.addFilter(Context())
    loggers = [logging.getLogger(name) for name in ("adminlog.requests", "adminlog.jobs", "django.request")]
    for logger in loggers:
        logger.addHandler(handler)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    for logger in loggers:
        logger.removeHandler(handler)
    run_id.set(None)


def test_a_request_is_one_line_without_what_was_searched_for(anna, log):
    answer = anna.get("/admin/find/?q=ivan", headers={"x-request-id": "of-a-client"})
    [line] = log()
    assert line | {"time": None, "ms": None} == {
        "time": None,
        "level": "INFO",
        "logger": "adminlog.requests",
        "message": "GET /admin/find/ 302",
        "method": "GET",
        "path": "/admin/find/",
        "route": "admin/find/",
        "status": 302,
        "ms": None,
        "staff_id": AdminUser.objects.get(username="anna").pk,
        "request_id": answer.headers["X-Request-ID"],
    }


def test_what_breaks_is_told_with_its_request_and_without_its_query(anna, log):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE billing.plans RENAME TO away")
    anna.raise_request_exception = False
    anna.get("/admin/billing/plan/1/change/?q=ivan")
    error, request = log()
    assert (error["level"], error["request_id"], request["status"]) == ("ERROR", request["request_id"], 500)
    assert "UndefinedTable" in error["exception"]
    assert "ivan" not in json.dumps(error)


def test_a_job_tells_what_came_of_its_run(log):
    call_command("apply_gifts", stdout=io.StringIO())
    [line] = log()
    assert (line["run_id"], line["outcome"], line["counts"]["applied"]) == (JobRun.objects.get().pk, "done", 0)
