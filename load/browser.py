"""A browser of a member of staff, behind the proxy that ends TLS."""

import re
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import IO
from urllib.parse import urlencode, urljoin

import urllib3

from testbed import forms
from testbed.forms import Form
from testbed.processes import HOST

# Seconds without a byte after which nobody waits any longer: the proxy neither.
PATIENCE = 60


class Wrong(Exception):
    """What a page should not have answered, in one line."""


class LoggedOut(Wrong):
    """Whoever is so has to log in first, before anything else is wrong for that reason alone."""


@dataclass(frozen=True)
class Request:
    kind: str
    began: float
    seconds: float


@dataclass(frozen=True)
class Page:
    address: str
    status: int
    text: str
    headers: Mapping[str, str]

    @property
    def leads_to(self) -> str:
        return urljoin(self.address, self.headers.get("Location", ""))

    def form(self, name: str) -> Form:
        if form := forms.Page(self.text).form_with(name):
            return form
        raise Wrong(f"{self.address}: no form asks for {name}: {self.gist}")

    @property
    def gist(self) -> str:
        words = re.sub(r"(?s)<(script|style|nav).*?</\1>|<[^>]+>", " ", self.text.partition("<main")[2] or self.text)
        return " ".join(words.split())[:300]


class Browser:
    def __init__(self, port: int, address: str, done: list[Request]) -> None:
        # As nginx does by itself: a connection for each request, and nothing asked twice.
        self.pool = urllib3.HTTPConnectionPool("127.0.0.1", port, retries=False, timeout=PATIENCE)
        self.address, self.done = address, done
        self.cookies: dict[str, str] = {}

    def ask(self, kind: str, address: str, fields: Mapping[str, str] | None = None) -> Page:
        """One request, until the last byte of its answer."""
        began = time.time()
        try:
            answer = self.send(address, fields)
            body = answer.read().decode()
        finally:
            # Also one that nobody waited for any longer.
            self.done.append(Request(kind, began, time.time() - began))
        answer.release_conn()
        page = Page(address, answer.status, body, answer.headers)
        if page.status not in (200, 302):
            raise Wrong(f"{address}: {page.status} {page.gist}")
        if page.status == 302 and page.leads_to.startswith("/admin/login/") and not address.startswith("/admin/login/"):
            raise LoggedOut(f"{address}: has to log in again: {self.ask('login page', page.leads_to).gist}")
        return page

    def get(self, kind: str, address: str, *expected: str) -> Page:
        """A whole page that says what is expected of it."""
        page = self.ask(kind, address)
        if page.status != 200 or "</html>" not in page.text:
            raise Wrong(f"{address}: {page.status}, and not a whole page: {page.gist}")
        if missing := [text for text in expected if text not in page.text]:
            raise Wrong(f"{address}: does not say {missing[0]}: {page.gist}")
        return page

    def download(self, address: str, fields: Mapping[str, str]) -> tuple[IO[bytes], urllib3.BaseHTTPResponse]:
        """A file, laid aside as it comes."""
        began = time.time()
        file = tempfile.TemporaryFile()  # noqa: SIM115
        started = None
        try:
            answer = self.send(address, fields)
            for piece in answer.stream(64 * 1024):
                if started is None:
                    started = time.time()
                    self.done.append(Request("export, first bytes", began, started - began))
                file.write(piece)
        finally:
            self.done.append(Request("export, whole", began, time.time() - began))
        answer.release_conn()
        if answer.status != 200 or "attachment" not in answer.headers.get("Content-Disposition", ""):
            raise Wrong(f"{address}: {answer.status}, and no file")
        file.seek(0)
        return file, answer

    def send(self, address: str, fields: Mapping[str, str] | None) -> urllib3.BaseHTTPResponse:
        headers = {
            "Host": HOST,
            "Connection": "close",
            "X-Forwarded-Proto": "https",
            "X-Forwarded-For": self.address,
            "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()),
        }
        body = None
        if fields is not None:
            headers |= {"Content-Type": "application/x-www-form-urlencoded", "Origin": f"https://{HOST}"}
            body = urlencode(fields)
        answer = self.pool.request(
            "GET" if fields is None else "POST",
            address,
            body=body,
            headers=headers,
            redirect=False,
            preload_content=False,
        )
        for line in answer.headers.getlist("Set-Cookie"):
            for name, morsel in SimpleCookie(line).items():
                if morsel.value and morsel["max-age"] != "0":
                    self.cookies[name] = morsel.value
                else:
                    self.cookies.pop(name, None)
        return answer
