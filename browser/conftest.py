"""The back office as staff have it: its WSGI application on demo data, in Chromium, in both languages.

Nothing is rolled back between the tests: each works with contractors of its own.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from io import StringIO
from itertools import count
from threading import Thread
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.servers.basehttp import ThreadedWSGIServer
from django.test.testcases import QuietWSGIRequestHandler
from django.test.utils import setup_databases, teardown_databases
from django.urls import reverse
from django.utils import timezone, translation
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from adminlog.roles import SUPPORT
from core.models import Contractor
from smetabot.demo.seeding import seed
from smetabot.tests import bot
from smetabot.tests.door import PASSWORD, member
from smetabot.wsgi import application

ARGUMENTS = [
    # It runs as root in CI, and shows nothing but our own pages.
    "--no-sandbox",
    "--disable-gpu",
    # Or else it calls its maker.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
DESK, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
# Each makes somebody, or something, unlike all others; of one length, so that none begins as another.
NUMBERS = count(1001)


@pytest.fixture(scope="session")
def database(
    django_test_environment: None, django_db_modify_db_settings: None, django_db_blocker: Any
) -> Iterator[None]:
    """One for the whole run, where everything is committed: the server has connections of its own."""
    with django_db_blocker.unblock(), pytest.MonkeyPatch.context() as patch:
        # Playwright keeps an event loop in this thread, where Django would allow no query; nothing of ours is async.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        made = setup_databases(verbosity=0, interactive=False)
        seed(contractors=200, seed=1, now=timezone.now())
        for _, _, (job,) in settings.CRONJOBS:
            # What a job finds at fault is for the pages to show.
            with suppress(SystemExit):
                call_command(job, stdout=StringIO(), stderr=StringIO())
        yield
        teardown_databases(made, verbosity=0)


@pytest.fixture(scope="session")
def office(database: None) -> Iterator[str]:
    """Where the back office is."""
    server = ThreadedWSGIServer(("127.0.0.1", 0), QuietWSGIRequestHandler)
    server.set_app(application)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(params=["en", "ru"])
def language(request: pytest.FixtureRequest) -> Iterator[str]:
    """In which staff work; gettext in the test says what they read."""
    with translation.override(request.param):
        yield request.param


class Troubles(list[str]):
    """What no page may do, of all that a browser sees."""

    def __init__(self, office: str) -> None:
        super().__init__()
        self.office = office

    def watch(self, context: BrowserContext) -> None:
        context.on("weberror", lambda error: self.append(f"{error.error}"))
        # What the content security policy stops is said there, too.
        context.on("console", lambda said: said.type in ("error", "warning") and self.append(f"{said.text}"))
        context.on("response", lambda answer: answer.status >= 400 and self.append(f"{answer.status} {answer.url}"))
        context.on("request", lambda asked: self.is_elsewhere(asked.url) and self.append(f"asked {asked.url}"))

    def is_elsewhere(self, url: str) -> bool:
        return not url.startswith((self.office + "/", "data:", "blob:"))


@pytest.fixture(scope="session")
def seen(office: str) -> Troubles:
    return Troubles(office)


@pytest.fixture
def troubles(seen: Troubles) -> Iterator[Troubles]:
    """Looked at after the test. One that means to be refused clears them."""
    seen.clear()
    yield seen
    assert seen == []


@pytest.fixture(scope="session")
def visit(chromium: Browser, office: str, seen: Troubles) -> Callable[[], BrowserContext]:
    """With cookies and a cache of its own."""

    def starts() -> BrowserContext:
        context = chromium.new_context(base_url=office)
        context.set_default_timeout(10_000)
        seen.watch(context)
        return context

    return starts


@pytest.fixture
def window(visit: Callable[[], BrowserContext], troubles: Troubles) -> Iterator[Callable[..., Page]]:
    """Opens one, for a stranger if nobody is named."""
    opened = []

    def opens(context: BrowserContext | None = None, *, size: Any = DESK, scheme: Any = "light") -> Page:
        page = (context or visit()).new_page()
        opened.append(page)
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme)
        return page

    yield opens
    for page in opened:
        page.close()


@pytest.fixture
def meet(database: None) -> Callable[..., Contractor]:
    """A contractor whom the bot has met, like no other in this database."""

    def meets(**columns: Any) -> Contractor:
        number = next(NUMBERS)
        told = {"username": f"ivan_{number}", "full_name": f"Ivan Petrov {number}"} | columns
        contractor = Contractor.objects.filter(pk=bot.meet(8_000_000_000 + number))
        contractor.update(**told)
        return contractor.get()

    return meets


@pytest.fixture
def ivan(meet: Callable[..., Contractor]) -> Contractor:
    return meet()


@pytest.fixture(scope="session")
def visits() -> dict[str, BrowserContext]:
    """Of whom is logged in, by name: the form is filled in, and the theme fetched, once for each."""
    return {}


@pytest.fixture
def staff(
    visit: Callable[[], BrowserContext],
    window: Callable[..., Page],
    language: str,
    visits: dict[str, BrowserContext],
) -> Callable[..., Page]:
    """A page of somebody who is logged in and works in the test's language."""

    def enters(role: str = SUPPORT, *, name: str = "", **options: Any) -> Page:
        name = name or f"{role}_{language}"
        if name not in visits:
            # This page stays: a window for the pages to come is sooner there than one for each.
            page = visit().new_page()
            log_in(page, newcomer(role, language, name=name))
            visits[name] = page.context
        return window(visits[name], **options)

    return enters


def newcomer(role: str, language: str, *, name: str) -> User:
    return member(name, role, language=language)


def log_in(page: Page, login: User, until: str = "**/admin/") -> None:
    page.goto(reverse("admin:login"))
    page.locator("#id_username").fill(login.username)
    page.locator("#id_password").fill(PASSWORD)
    page.locator("#id_password").press("Enter")
    page.wait_for_url(until)


@pytest.fixture
def page(staff: Callable[..., Page]) -> Page:
    """Somebody of support."""
    return staff()
