"""The pages while the database is away. Its faults in the middle of each act are `make chaos`'s."""

import logging
import re

import psycopg
import pytest
from django.db import InterfaceError, OperationalError, ProgrammingError, connection
from django.test import Client

from smetabot.postgres.outage import is_away

PAGES = [
    "/admin/login/",
    "/admin/",
    "/admin/core/contractor/",
    "/admin/find/?q=ivan",
    "/admin/core/contractor/1/block/",
]


@pytest.fixture
def browser(anna):
    return Client(raise_request_exception=False, headers={"cookie": f"sessionid={anna.cookies['sessionid'].value}"})


@pytest.fixture
def away(monkeypatch):
    """Nobody listens where the database was."""
    connection.close()
    monkeypatch.setitem(connection.settings_dict, "HOST", "127.0.0.1")
    monkeypatch.setitem(connection.settings_dict, "PORT", "1")
    yield
    connection.close()


def is_plain(answer) -> bool:
    page = answer.content.decode()
    return (
        (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
        and re.findall(r'<h1 lang="(\w+)">', page) == ["en", "ru"]
        and "Traceback" not in page
        and "127.0.0.1" not in page
    )


@pytest.mark.django_db(transaction=True)
def test_without_a_database_each_page_says_so_in_one_line_of_the_log(browser, away, caplog):
    logging.getLogger("django.request").addHandler(caplog.handler)
    for path in PAGES:
        assert is_plain(browser.get(path)), path
        assert is_plain(browser.post(path, {"username": "anna"})), path
    said = [record.getMessage() for record in caplog.records if record.name == "django.request"]
    assert (len(said), {line.partition(":")[0] for line in said}) == (2 * len(PAGES), {"No database"})
    assert not any("\n" in line for line in said) and not any(record.exc_info for record in caplog.records)
    assert browser.get("/healthz").status_code == 200
    ready = browser.get("/readyz")
    assert (ready.status_code, ready.json()["database"]) == (503, "away")


@pytest.mark.django_db(transaction=True)
def test_a_page_whose_connection_is_lost_says_so_and_the_next_is_served_again(browser):
    def cut(execute, sql, params, many, context):
        if "core" in sql:
            # In the middle of the request, once it is known who asks.
            context["connection"].connection.close()
        return execute(sql, params, many, context)

    with connection.execute_wrapper(cut):
        assert is_plain(browser.get("/admin/core/contractor/"))
    connection.close_if_unusable_or_obsolete()
    assert browser.get("/admin/core/contractor/").status_code == 200


@pytest.mark.parametrize(
    ("error", "away"),
    [
        (psycopg.OperationalError("connection refused"), True),
        (psycopg.errors.AdminShutdown(), True),
        (psycopg.errors.TooManyConnections(), True),
        (psycopg.errors.QueryCanceled(), False),
        (psycopg.errors.LockNotAvailable(), False),
        (psycopg.errors.DeadlockDetected(), False),
    ],
)
def test_what_took_too_long_is_no_outage(error, away):
    told = OperationalError()
    told.__cause__ = error
    assert is_away(told) is away


@pytest.mark.django_db
def test_a_fault_of_the_program_is_no_outage():
    assert not is_away(ProgrammingError())
    connection.ensure_connection()
    assert not is_away(InterfaceError("the cursor is closed"))
