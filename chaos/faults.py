"""What goes wrong, and when: after the nth statement of whoever is running, of all that they execute."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from django.db import connection, connections
from psycopg.pq import TransactionStatus

from chaos.databases import plain

KEY, OTHER = 471_100, 471_101


class Broken(Exception):
    """The fault of a program: nobody expects it."""


def break_off() -> None:
    raise Broken("in the middle")


@dataclass
class Points:
    """Counts statements and commits. `strike` is called once, after statement `at`; with `at_commit`, at the nth commit
    before it is sent, and with `late` after the server has done it, when the answer is lost."""

    at: int = 0
    strike: Callable[[], None] = break_off
    at_commit: int = 0
    late: bool = False
    statements: int = 0
    commits: int = 0

    def execute(self, execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        found = execute(sql, params, many, context)
        self.statements += 1
        if self.statements == self.at:
            self.strike()
        return found

    def commit(self, commit: Callable[[], None]) -> None:
        self.commits += 1
        is_now = self.commits == self.at_commit
        if is_now and not self.late:
            terminate()
        commit()
        if is_now and self.late:
            terminate()
            with connection.wrap_database_errors:
                raise psycopg.OperationalError("the answer to the commit is lost")


@contextmanager
def watched(points: Points) -> Iterator[Points]:
    """Only the connection of this thread."""
    wrapper: Any = connections["default"]
    commit = wrapper._commit
    wrapper._commit = lambda: points.commit(commit)
    try:
        with connection.execute_wrapper(points.execute):
            yield points
    finally:
        wrapper._commit = commit


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def terminate() -> None:
    with plain() as desk:
        desk.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.connection.info.backend_pid])


def out_of_time() -> None:
    _refused("statement_timeout", "SELECT pg_sleep(5)")


def out_of_patience() -> None:
    with plain() as other:
        other.execute("SELECT pg_advisory_lock(%s)", [KEY])
        _refused("lock_timeout", f"SELECT pg_advisory_xact_lock({KEY})")


def deadlock() -> None:
    """With a session that holds the one lock and waits for the other. Ours looks first, so ours is sent back."""
    with plain() as other:
        other.execute("SELECT pg_advisory_lock(%s)", [KEY])
        connection.connection.execute(f"SELECT pg_advisory_lock({OTHER})")

        def wait() -> None:
            with suppress(psycopg.Error):
                other.execute("SET deadlock_timeout = '10s'")
                other.execute("SELECT pg_advisory_lock(%s)", [OTHER])

        waiter = threading.Thread(target=wait)
        waiter.start()
        try:
            _until_waiting(other.info.backend_pid)
            _refused("deadlock_timeout", f"SELECT pg_advisory_xact_lock({KEY})")
        finally:
            other.cancel()
            waiter.join()


def _until_waiting(pid: int) -> None:
    with plain() as desk:
        while not desk.execute("SELECT FROM pg_locks WHERE pid = %s AND NOT granted", [pid]).rowcount:
            pass


def _refused(setting: str, sql: str) -> None:
    """The server's own error, in the middle of whatever is under way."""
    server = connection.connection
    server.execute(f"SET {setting} = '10ms'")
    try:
        with connection.wrap_database_errors:
            server.execute(sql)
    finally:
        # Else the transaction that failed takes it back.
        if server.info.transaction_status == TransactionStatus.IDLE:
            server.execute(f"RESET {setting}")
    raise AssertionError(f"{sql} was not refused")


# Those that need no process and no server of their own.
HERE = {
    "exception": break_off,
    "pg_terminate_backend": terminate,
    "statement_timeout": out_of_time,
    "lock_timeout": out_of_patience,
    "deadlock victim": deadlock,
}
