import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import Client

import manage as program
from smetabot.backoffice.apps import load_pages
from testbed.databases import url

# Tests are parametrized by the admin's registry when they are collected.
load_pages()
# The product's is slow on purpose; it stays known for what a process of its own has hashed.
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher", *settings.PASSWORD_HASHERS]


@pytest.fixture
def anna(db: None) -> Client:
    """An owner's browser, logged in."""
    from adminlog.tests.staff import browser

    return browser()


@pytest.fixture
def test_database_url(db: None) -> str:
    return url()


@pytest.fixture
def manage(test_database_url: str) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Starts `manage.py …` as a process of its own on the test database, at a terminal if one is given; what the test
    leaves running is killed."""
    started = []

    def start(*args: str, terminal: int | None = None, **variables: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "manage.py", *args],
            cwd=settings.BASE_DIR,
            env=os.environ | {"DATABASE_URL": test_database_url, "DEBUG": "1"} | variables,
            stdin=terminal or subprocess.DEVNULL,
            stdout=terminal or subprocess.PIPE,
            stderr=terminal or subprocess.PIPE,
            # Not at the terminal that the tests run at.
            start_new_session=True,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str, str]]:
    """Runs `manage.py …` in this process, which is sooner done: exit code, and what it says on stdout and stderr."""
    # Else the handlers of the whole run would be bound to this test's stderr.
    monkeypatch.setattr("django.utils.log.configure_logging", lambda *args: None)

    def run(*args: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["manage.py", *args])
        code = 0
        try:
            program.main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def colleague(db: None) -> Iterator[BaseDatabaseWrapper]:
    """A second connection, in a transaction that the test ends."""
    other = connection.copy()
    other.set_autocommit(False)
    yield other
    other.close()


@pytest.fixture
def held_journal(colleague: BaseDatabaseWrapper) -> Iterator[None]:
    """Somebody else writes in the journal and does not end, and nobody is patient. For a test with transactions."""
    patience = "ALTER FUNCTION admin.chain_action() SET lock_timeout = '{}'"
    with connection.cursor() as ours, colleague.cursor() as theirs:
        ours.execute(patience.format("50ms"))
        theirs.execute("INSERT INTO admin.admin_actions (admin_id, action) SELECT min(id), 'x' FROM admin.admin_users")
        yield
        colleague.rollback()
        ours.execute(patience.format("5s"))


@pytest.fixture
def wait_for_lock(db: None) -> Callable[[], int]:
    """Returns once somebody in the test database waits for a lock: that backend's process id."""

    def wait() -> int:
        deadline = time.monotonic() + 20
        with connection.cursor() as cursor:
            while time.monotonic() < deadline:
                cursor.execute(
                    "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
                )
                if found := cursor.fetchone():
                    return found[0]
                time.sleep(0.02)
        raise AssertionError("nobody waits for a lock")

    return wait


@pytest.fixture
def while_held(wait_for_lock: Callable[[], int]) -> Callable[..., list[Any]]:
    """Calls `second` while the transaction of `first` is open, each on a connection of its own; `first` commits once
    `second` waits for it. Returns what they returned or raised."""

    def call(first: Callable[[], Any], second: Callable[[], Any]) -> list[Any]:
        done, commit = threading.Event(), threading.Event()
        outcomes: list[Any] = [None, None]

        def work(number: int, operation: Callable[[], Any]) -> None:
            try:
                with transaction.atomic():
                    outcomes[number] = operation()
                    if number == 0:
                        done.set()
                        commit.wait(20)
            except Exception as error:
                outcomes[number] = error
            finally:
                done.set()
                connection.close()

        threads = [threading.Thread(target=work, args=each) for each in enumerate([first, second])]
        threads[0].start()
        done.wait(20)
        threads[1].start()
        wait_for_lock()
        commit.set()
        for thread in threads:
            thread.join()
        return outcomes

    return call
