"""Pages of the admin, as a browser that is logged in gets them, beside stock Django's over the same tables.

A page's own rendering is what is left of it when the time that its queries take is taken off.
"""

import time
from contextlib import nullcontext
from statistics import median

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.urls import clear_url_caches

from bench.databases import LOGIN, BenchError
from bench.queries import Watch
from bench.rounds import Timing, Way, race
from bench.sizes import Size, short
from bench.stock import its_templates
from bench.table import Figure, Line, behind, faster

ACROSS = False
EVENTS = "analytics/event/"
TRIGRAMS = "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm')"


class Page:
    def __init__(self, browser: Client, address: str, *, stock: bool = False, times: int = 5) -> None:
        self.browser = browser
        self.address = f"/{'stock' if stock else 'admin'}/{address}"
        self.stock, self.times = stock, times
        self.rendering: list[float] = []
        self.ratios: list[float] = []
        self.queries = 0

    def get(self) -> None:
        for _ in range(self.times):
            watch = Watch()
            began = time.perf_counter()
            with connection.execute_wrapper(watch), its_templates() if self.stock else nullcontext():
                answer = self.browser.get(self.address)
            if answer.status_code != 200:
                raise BenchError(f"{self.address} answers {answer.status_code}")
            took = time.perf_counter() - began
            self.rendering.append(took - watch.seconds)
            self.ratios.append(took / (took - watch.seconds))
            self.queries = watch.number


def pages(size: Size) -> dict[str, str]:
    return {
        "events, first page": EVENTS,
        "events, filtered": f"{EVENTS}?event_type__exact=client_leave",
        "search of publications": "core/publication/?q=zeppelin",
        "search of contractors": f"core/contractor/?q=contractor{size.contractors * 4 // 5}",
    }


def measure(size: Size) -> dict[str, Timing]:
    urls, settings.ROOT_URLCONF = settings.ROOT_URLCONF, "bench.stock"
    clear_url_caches()
    timings: dict[str, Timing] = {}
    browser = Client(headers={"host": "localhost"})
    browser.force_login(User.objects.get(username=LOGIN))
    try:
        for name, address in pages(size).items():
            ours = Page(browser, address)
            # It may take seconds.
            stock = Page(browser, address, stock=True, times=1)
            found = race(
                name,
                {
                    "page": Way(ours.get, ours.times),
                    "stock": Way(stock.get, stock.times),
                },
                rounds=size.rounds,
            )
            timings |= {f"{name}, {way}": timing for way, timing in found.items()}
            timings[f"{name}, rendering"] = Timing(
                median(ours.rendering[ours.times :]), tuple(ours.rendering), sample=False
            )
            # Of one request both: so nothing else that the machine does comes between them.
            timings[f"{name}, over"] = Timing(median(ours.ratios[ours.times :]), (), sample=False)
            for way, page in (("page", ours), ("stock", stock)):
                timings[f"{name}, {way}, queries"] = Timing(page.queries, (), sample=False)
    finally:
        settings.ROOT_URLCONF = urls
        clear_url_caches()
    with connection.cursor() as cursor:
        cursor.execute(TRIGRAMS)
        timings["trigrams"] = Timing(cursor.fetchone()[0], (), sample=False)
    return timings


def lines(sizes: list[Size], found: dict[str, dict[str, Timing]]) -> list[Line | Figure]:
    size, timings = sizes[-1], found[sizes[-1].name]
    table: list[Line | Figure] = []
    for name in pages(size):
        of = f"{name}, "
        if name.startswith("events"):
            job = f"admin, {short(size.events)} {name}"
            over, queries = timings[f"{of}over"].seconds, timings[f"{of}page, queries"].seconds
            told = behind(timings, "page", "rendering", of=of)
            table += [
                Line(job, "the page's own rendering", over, 1.3, 1.3, behind=told),
                faster(job, "stock Django", timings, "page", "stock", 15, 15, of=of, since="m"),
                Line(job, "queries", queries, 6, 6, unit=""),
            ]
        else:
            table.append(faster(f"admin, {name}", "stock Django", timings, "page", "stock", 5, 5, of=of, since="m"))
    has = "has them" if timings["trigrams"].seconds else "has none"
    table.append(Figure("trigrams, on which searches for a part of a name stand", f"this database {has}"))
    return table
