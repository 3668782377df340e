"""Pages of the admin, as a browser that is logged in gets them, beside stock Django's over the same tables.

Both ask on one connection that is kept as the web keeps its own in production. A page's own rendering is what is left
of it without its queries.
"""

import time
from contextlib import nullcontext
from statistics import median

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.template.response import TemplateResponse
from django.test import Client
from django.urls import clear_url_caches

from adminlog.lists import BoundedPaginator
from adminlog.pages import BaseAdmin
from bench.filling import LOGIN
from bench.queries import Watch
from bench.rounds import Timing, Timings, Way, race
from bench.sizes import Size, short
from bench.stock import its_templates
from bench.table import Figure, Line, behind, faster, within
from smetabot.postgres.kept import kept
from testbed.console import HinderedError

ACROSS = False
EVENTS = "analytics/event/"
TRIGRAMS = "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm')"


class Page:
    def __init__(self, browser: Client, address: str, *, stock: bool = False, times: int = 5) -> None:
        self.browser = browser
        self.address = f"/{'stock' if stock else 'admin'}/{address}"
        self.stock, self.times = stock, times
        self.whole: list[float] = []
        self.rendering: list[float] = []
        self.queries = 0

    def get(self) -> list[int]:
        """The ids of the rows that it shows, in their order."""
        for _ in range(self.times):
            watch = Watch()
            began = time.perf_counter()
            connection.close_if_unusable_or_obsolete()  # as at the beginning of each request
            with connection.execute_wrapper(watch), its_templates() if self.stock else nullcontext():
                answer = self.browser.get(self.address)
            done = time.perf_counter()
            if not isinstance(answer, TemplateResponse):
                raise HinderedError(f"{self.address} answers {answer.status_code}")
            self.whole.append(done - began)
            self.rendering.append(done - began - watch.seconds)
            self.queries = watch.number
        assert answer.context_data
        return [row.pk for row in answer.context_data["cl"].result_list]

    def timing(self, each: list[float]) -> Timing:
        """Of its requests, without those of the round that warms up."""
        return Timing(median(each[self.times :]))


def pages(size: Size) -> dict[str, str]:
    return {
        "events, first page": EVENTS,
        "events, filtered": f"{EVENTS}?event_type__exact=client_leave",
        "events, last page": f"{EVENTS}?p={min(size.events, BoundedPaginator.limit) // BaseAdmin.list_per_page}",
        "search of publications": "core/publication/?q=zeppelin",
        "search of contractors": f"core/contractor/?q=contractor{size.contractors * 4 // 5}",
    }


def measure(size: Size) -> Timings:
    urls, settings.ROOT_URLCONF = settings.ROOT_URLCONF, "bench.stock"
    clear_url_caches()
    before = connection.settings_dict
    connection.close()
    connection.settings_dict = kept(before)
    timings = Timings()
    browser = Client(headers={"host": "localhost"})
    browser.force_login(User.objects.get(username=LOGIN))
    try:
        for name, address in pages(size).items():
            ours = Page(browser, address)
            # It may take seconds.
            stock = Page(browser, address, stock=True, times=1)
            ways = {"page": Way(ours.get, ours.times), "stock": Way(stock.get, stock.times)}
            race(name, ways, rounds=size.rounds)
            timings[f"{name}, page"] = ours.timing(ours.whole)
            timings[f"{name}, rendering"] = ours.timing(ours.rendering)
            timings[f"{name}, stock"] = stock.timing(stock.whole)
            timings.counts[f"{name}, queries"] = ours.queries
    finally:
        connection.close()
        connection.settings_dict = before
        settings.ROOT_URLCONF = urls
        clear_url_caches()
    with connection.cursor() as cursor:
        cursor.execute(TRIGRAMS)
        timings.counts["trigrams"] = int(cursor.fetchone()[0])
    return timings


def lines(sizes: list[Size], found: dict[str, Timings]) -> list[Line | Figure]:
    size, timings = sizes[-1], found[sizes[-1].name]
    table: list[Line | Figure] = []
    for name in pages(size):
        of, job = f"{name}, ", f"admin, {name}"
        if not name.startswith("events"):
            table.append(faster(job, "stock Django", timings, "page", "stock", 5, 5, of=of, since="m"))
            continue
        job = f"admin, {short(size.events)} {name}"
        if name == "events, last page":
            told = f"{behind(timings, 'page', of=of)}, first {behind(timings, 'page', of='events, first page, ')}"
            over = timings[f"{of}page"] / timings["events, first page, page"]
            table.append(Line(job, "the first page", over, 2, 2, behind=told))
        else:
            table += [
                within(job, "the page's own rendering", timings, "page", "rendering", 1.3, 1.3, of=of),
                faster(job, "stock Django", timings, "page", "stock", 15, 15, of=of, since="m"),
            ]
        table.append(Line(job, "queries", timings.counts[f"{of}queries"], 6, 6, unit=""))
    searches = [name for name in pages(size) if name.startswith("search")]
    has = "has them" if timings.counts["trigrams"] else "has none"
    return [
        *table,
        Figure(
            "queries of the " + " and of the ".join(searches),
            " and ".join(str(timings.counts[f"{name}, queries"]) for name in searches),
        ),
        Figure("trigrams, on which searches for a part of a name stand", f"this database {has}"),
    ]
