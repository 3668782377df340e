"""Calls of other programs over HTTP. Their answers are not trusted: none takes longer than it may, or is longer."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from socket import SHUT_RDWR
from threading import Timer
from urllib.parse import unquote, urlsplit, urlunsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from adminlog.jobs import one_line

MOST_BYTES = 1 << 20
CONNECT_SECONDS = 5

# At DEBUG it writes the paths, and Telegram's hold a secret.
logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)


class NoAnswer(Exception):
    """Why there is none."""


class LongAnswer(Exception):
    pass


@contextmanager
def cut_after(seconds: float, shut: Callable[[], object]) -> Iterator[None]:
    """A socket's time-out begins anew with each byte that comes."""

    def cut() -> None:
        with suppress(OSError):
            shut()

    timer = Timer(seconds, cut)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


class Connection(HTTPConnection):
    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]
        sock = self.sock
        with cut_after(self.timeout or 0, lambda: sock.shutdown(SHUT_RDWR)):
            return super().getresponse()


class SecureConnection(Connection, HTTPSConnection):
    pass


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    content: bytes


@dataclass
class Server:
    # Only here may it have a password.
    url: str = field(repr=False)
    # Seconds for an answer.
    timeout: float

    @cached_property
    def _pool(self) -> urllib3.HTTPConnectionPool:
        parts = urlsplit(self.url)
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if parts.username is not None:
            login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers |= urllib3.make_headers(basic_auth=login)
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=self.timeout)
        address = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], "", "", ""))
        pool = urllib3.connection_from_url(address, maxsize=32, headers=headers, timeout=timeout, retries=False)
        pool.ConnectionCls = SecureConnection if pool.scheme == "https" else Connection
        return pool

    def post(self, path: str, body: bytes) -> Answer:
        deadline, why = time.monotonic() + self.timeout, ""
        whole_path = urlsplit(self.url).path.rstrip("/") + path
        try:
            response = self._pool.request("POST", whole_path, body=body, redirect=False, preload_content=False)
            try:
                with cut_after(deadline - time.monotonic(), response.shutdown):
                    content = response.read(MOST_BYTES + 1)
            finally:
                # The connection is back in the pool if all was read; else it is of no use any more.
                response.close()
        except HTTPError as error:
            why = one_line(error)
        if time.monotonic() > deadline:
            why = f"its answer takes longer than {self.timeout:g} seconds"
        if why:
            raise NoAnswer(why)
        if len(content) > MOST_BYTES:
            raise LongAnswer(f"its answer is longer than {MOST_BYTES} bytes")
        return Answer(response.status, response.headers, content)
