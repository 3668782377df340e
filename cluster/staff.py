"""Staff at their browsers: one looks at pages, another queues gifts, and remembers which of them were confirmed."""

from collections.abc import Mapping, Sequence

import urllib3

from cluster.bot import Ledger
from cluster.watch import Watched
from load.browser import Browser
from testbed.forms import Page

LOGIN = "/admin/login/"
LIST = "/admin/core/contractor/"
DONE_BEFORE = "This was done already"


def ask(browser: Browser, address: str, form: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Status and page, or where it leads to, whatever it is."""
    answer = browser.send(address, form)
    try:
        page = answer.read().decode()
        return answer.status, answer.headers.get("Location", "") if answer.status == 302 else page
    finally:
        answer.release_conn()


def fields(page: str) -> dict[str, str]:
    """Of the act's form."""
    read = Page(page)
    found = read.form_with("reason") or read.form_with("days")
    return dict(found.fields) if found else {}


def log_in(browser: Browser, username: str, password: str) -> None:
    form = Page(ask(browser, LOGIN)[1]).form_with("username")
    credentials = {"username": username, "password": password}
    status, _ = ask(browser, LOGIN, (dict(form.fields) if form else {}) | credentials)
    if status != 302:
        raise RuntimeError(f"{username} is not let in: {status}")


class Staff(Watched):
    def __init__(self, name: str, browser: Browser) -> None:
        super().__init__(name)
        self.browser = browser
        self.statuses: list[int] = []

    def ask(self, address: str, form: Mapping[str, str] | None = None) -> tuple[int, str]:
        """Only a page is good: 503 and no answer at all are counted alike, but told apart."""
        try:
            status, page = ask(self.browser, address, form)
        except urllib3.exceptions.HTTPError as error:
            self.failed(f"no answer: {type(error).__name__}")
            return 0, ""
        self.statuses.append(status)
        if status in (200, 302):
            self.succeeded()
        else:
            self.failed(str(status))
        return status, page


class Reader(Staff):
    PACE = 0.5

    def turn(self) -> None:
        self.ask(LIST)


class Giver(Staff):
    """Each gift is told a reason of its own. After any other answer the same form goes again, as by somebody who
    presses the button once more."""

    PACE = 1.0

    def __init__(self, name: str, browser: Browser, contractors: Sequence[int], ledger: Ledger) -> None:
        super().__init__(name, browser)
        self.contractors = contractors
        self.ledger = ledger
        self.number = 0

    def turn(self) -> None:
        contractor = self.contractors[self.number % len(self.contractors)]
        self.number += 1
        reason = f"cluster {self.number}"
        address = f"{LIST}{contractor}/queue_gift/"
        form = self.persist(address)
        form = self.persist(address, form | {"step": "preview"})
        confirmed = form | {"step": "confirm", "reason": reason}
        while not self.stopping.is_set():
            status, page = self.ask(address, confirmed)
            # Back to the same page it leads whoever was refused.
            if (status == 302 and page != address) or DONE_BEFORE in page:
                self.ledger.note("gift", reason)
                return
            if status == 200:
                # Something changed meanwhile: it shows the outcome anew.
                confirmed = fields(page) | {"step": "confirm", "reason": reason}
            self.stopping.wait(0.5)

    def persist(self, address: str, form: Mapping[str, str] | None = None) -> dict[str, str]:
        while not self.stopping.is_set():
            status, page = self.ask(address, form)
            if status == 200:
                return fields(page)
            self.stopping.wait(0.5)
        return {}
