"""What a member of staff does in a day of support, one thing after the other, with pauses between."""

import csv
import datetime as dt
import io
import random
import re
import threading
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO

from adminlog.spreadsheets import BROKEN_OFF
from bench.sizes import FIRST, Size
from load.browser import Browser, LoggedOut, Page, Request, Wrong
from load.office import PASSWORD, Member
from testbed.console import say

# So many mistakes are told while it runs.
SHOWN = 10
DAY = dt.timedelta(days=1)


class Over(Exception):
    """Time to go home."""


@dataclass(frozen=True)
class Contractor:
    id: int
    tg_user_id: int
    username: str
    channel: int | None


@dataclass(frozen=True)
class Act:
    """What somebody was told is done. `reason` is nobody else's."""

    by: str
    contractor: int
    action: str
    reason: str
    number: int = 0


@dataclass(frozen=True)
class Export:
    by: str
    list: str
    format: str
    # What of it is in the database: FROM and WHERE.
    rows_of: str
    promised: int
    rows: int


@dataclass
class Told:
    """All that the pages said is done, by everybody."""

    acts: list[Act] = field(default_factory=list)
    exports: list[Export] = field(default_factory=list)
    logins: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    done: list[Request] = field(default_factory=list)


class Person:
    def __init__(
        self, member: Member, port: int, size: Size, told: Told, known: Sequence[Contractor], own: Sequence[int]
    ) -> None:
        self.member, self.told, self.size = member, told, size
        # Those whom they look at, and those to whom only they do something: what came of it is reckoned up afterwards.
        self.known, self.own = known, own
        self.browser = Browser(port, f"10.0.0.{member.number + 1}", told.done)
        self.chance = random.Random(member.number)
        self.over = threading.Event()
        self.pause_of = 0.0
        self.acts = 0
        self.codes: set[str] = set()
        self.is_in = False

    # Weights: of a hundred things that they do, so many are of this kind.
    def mix(self) -> dict[Callable[[], None], float]:
        return {
            self.find: 22,
            self.read_contractor: 18,
            self.turn_sections: 10,
            self.look_at_lists: 18,
            self.search: 8,
            self.look_at_dashboard: 6,
            self.extend: 4,
            self.grant_channels: 3,
            self.block_and_unblock: 2,
            self.write_note: 6,
            (self.export if self.member.may_export else self.look_at_lists): 2,
            self.go_and_come_back: 1,
        }

    def work(self, pause: float) -> None:
        """Until somebody sets `over`. `pause` is the mean of the pauses."""
        self.pause_of = pause
        things = self.mix()
        try:
            # Not all at once.
            self.over.wait(self.chance.uniform(0, pause))
            while not self.over.is_set():
                thing = self.chance.choices(list(things), list(things.values()))[0]
                self.do(thing if self.is_in else self.log_in)
                self.pause()
        except Over:
            pass

    def do(self, thing: Callable[[], None]) -> None:
        try:
            thing()
        except Over:
            raise
        # A page, a header or a file may be wrong in any way, and the next thing is done all the same.
        except Exception as error:
            self.is_in = self.is_in and not isinstance(error, LoggedOut)
            what = " ".join(f"{type(error).__name__}: {error}".split())[:400]
            self.told.wrong.append(f"{self.member.username}, {thing.__name__}: {what}")
            if len(self.told.wrong) <= SHOWN:
                say(f"  WRONG: {self.told.wrong[-1]}")

    def pause(self) -> None:
        if self.over.wait(self.chance.uniform(0.5, 1.5) * self.pause_of):
            raise Over

    # How they come in and go.

    def come_in(self, pause: float) -> None:
        """Some time in the morning."""
        if not self.over.wait(self.chance.uniform(0, pause)):
            with suppress(Over):
                self.do(self.log_in)

    def log_in(self) -> None:
        page = self.browser.get("login page", "/admin/login/?next=/admin/")
        fields = page.form("username").fields | {"username": self.member.username, "password": PASSWORD}
        page = self.browser.ask("password", page.address, fields)
        if page.status != 302 or "/login/code/" not in page.leads_to:
            raise Wrong(f"the password leads nowhere: {page.status} {page.leads_to} {page.gist}")
        page = self.browser.get("code page", page.leads_to)
        # No code is right twice.
        while (code := self.member.code()) in self.codes:
            if self.over.wait(1):
                raise Over
        self.codes.add(code)
        page = self.browser.ask("code", page.address, page.form("code").fields | {"code": code})
        if page.status != 302:
            raise Wrong(f"the code leads nowhere: {page.gist}")
        # Whom it was too busy to let in it leads there, too, and from there back to the login.
        page = self.browser.get("dashboard", page.leads_to, "check_data")
        self.told.logins[self.member.username] += 1
        self.is_in = True
        # Which browsers keep from then on.
        for address in sorted(set(re.findall(r'(?:href|src)="(/static/[^"]+\.(?:css|js|svg|woff2))"', page.text))):
            if self.browser.ask("static file", address).status != 200:
                raise Wrong(f"{address} is not there")

    def go_and_come_back(self) -> None:
        form = self.browser.get("dashboard", "/admin/").form("csrfmiddlewaretoken")
        self.is_in = False
        self.browser.ask("logout", "/admin/logout/", form.fields)
        self.browser.cookies.clear()
        self.pause()
        self.log_in()

    # What they look at.

    def any(self) -> Contractor:
        return self.chance.choice(self.known)

    def open(self, contractor: int, query: str = "", kind: str = "contractor") -> Page:
        return self.browser.get(kind, f"{page_of(contractor)}{query}", f"/admin/core/contractor/{contractor}/")

    def find(self) -> None:
        contractor = self.any()
        # Without the @ it might be a part of another's.
        term = self.chance.choice([str(contractor.tg_user_id), f"@{contractor.username}"])
        page = self.browser.ask("search box", f"/admin/find/?q={term}")
        if page.status != 302 or page.leads_to != page_of(contractor.id):
            raise Wrong(f"{page.address}: leads to {page.leads_to}, not to contractor {contractor.id}")
        self.open(contractor.id)

    def read_contractor(self) -> None:
        self.open(self.any().id)

    def turn_sections(self) -> None:
        contractor = self.any().id
        self.open(contractor)
        for query in self.chance.sample(SECTIONS, 2):
            self.pause()
            self.open(contractor, query, "contractor, turned")

    def look_at_lists(self) -> None:
        contractor = self.any()
        kind, address = self.chance.choice(LISTS)
        address = address.format(contractor=contractor.id, channel=contractor.channel or 1)
        self.browser.get(kind, f"/admin/{address}", 'id="changelist"')

    def search(self) -> None:
        contractor = self.any()
        kind, address = self.chance.choice(SEARCHES)
        part = contractor.username[: max(12, len(contractor.username) - 1)]
        self.browser.get(kind, f"/admin/{address.format(word=part)}", 'id="changelist"')

    def look_at_dashboard(self) -> None:
        self.browser.get("dashboard", "/admin/", "check_data")

    # What they do.

    def extend(self) -> None:
        self.act("extend", "subscription.extended", "days", self.chance.randint(1, 14))

    def grant_channels(self) -> None:
        self.act("grant_channels", "contractor.channels_granted", "number", self.chance.randint(1, 3))

    def block_and_unblock(self) -> None:
        contractor = self.chance.choice(self.own)
        self.act("block", "contractor.blocked", contractor=contractor)
        # Whoever is sent home here would leave them blocked: that is reckoned with.
        self.pause()
        self.act("unblock", "contractor.unblocked", contractor=contractor)

    def act(self, name: str, action: str, asked: str = "", number: int = 0, *, contractor: int | None = None) -> None:
        """As staff do it: look ahead, tell why, confirm."""
        contractor = contractor or self.chance.choice(self.own)
        page = self.browser.get("act", f"{page_of(contractor, name)}?next={page_of(contractor)}")
        self.pause()
        if asked:
            fields = page.form("confirmation").fields | {asked: str(number), "step": "preview"}
            page = self.browser.ask("act, foretold", page.address, fields)
            self.pause()
        reason = self.reason()
        fields = page.form("confirmation").fields | {"reason": reason, "step": "confirm"}
        if not fields["confirmation"]:
            raise Wrong(f"{page.address} offers no confirmation: {page.gist}")
        page = self.browser.ask("act, confirmed", page.address, fields)
        if page.status != 302:
            raise Wrong(f"{page.address} was not done: {page.gist}")
        self.told.acts.append(Act(self.member.username, contractor, action, reason, number))
        self.open(contractor)

    def write_note(self) -> None:
        contractor = self.chance.choice(self.own)
        page = self.browser.get("note", f"/admin/adminlog/note/add/?contractor={contractor}")
        self.pause()
        text = self.reason()
        page = self.browser.ask("note, saved", page.address, page.form("text").fields | {"text": text})
        if page.status != 302 or page.leads_to != page_of(contractor):
            raise Wrong(f"{page.address} was not saved: {page.gist}")
        self.told.acts.append(Act(self.member.username, contractor, "note.added", text))
        self.open(contractor)

    def reason(self) -> str:
        self.acts += 1
        return f"load {self.member.username} {self.acts}"

    def export(self) -> None:
        """Of rows that nobody writes any more."""
        first = FIRST + self.chance.randrange(300) * DAY
        if self.chance.random() < 0.5:
            table, parameter, column, last = "analytics/event", "happened", "created_at", first
            source = "analytics.events"
        else:
            table, parameter, column, last = "core/contractor", "joined", "created_at", first + 7 * DAY
            source = "core.contractors"
        query = f"?{parameter}={first}..{last}"
        format = self.chance.choice(["csv", "xlsx"])
        page = self.browser.get("export page", f"/admin/{table}/export/{query}")
        fields = page.form("csrfmiddlewaretoken").fields
        # The page has a form to log out, too.
        self.pause()
        file, answer = self.browser.download(page.address, fields | {"format": format})
        rows_of = f"{source} WHERE {column} >= '{first}Z' AND {column} < '{last + DAY}Z'"
        self.told.exports.append(
            Export(
                self.member.username,
                table,
                format,
                rows_of,
                int(answer.headers["X-Export-Rows"]),
                rows_in(file, format),
            )
        )


def page_of(contractor: int, name: str = "change") -> str:
    return f"/admin/core/contractor/{contractor}/{name}/"


def rows_in(file: IO[bytes], format: str) -> int:
    """Without the header. Wrong when the file is not whole."""
    if format == "xlsx":
        with zipfile.ZipFile(file) as book:
            if broken := book.testzip():
                raise Wrong(f"the spreadsheet's {broken} is broken")
            sheets = [name for name in book.namelist() if name.startswith("xl/worksheets/")]
            return sum(book.read(name).count(b"<row ") - 1 for name in sheets)
    rows = list(csv.reader(io.TextIOWrapper(file, "utf-8-sig", newline="")))
    if rows[-1][:1] == [BROKEN_OFF]:
        raise Wrong("the export broke off")
    return len(rows) - 1


SECTIONS = ["?channels-page=2", "?publications-page=2", "?clients-page=2", "?timeline-page=2", "?days=365", "?days=730"]
LISTS = [
    ("contractors", "core/contractor/"),
    ("contractors, filtered", "core/contractor/?status__exact=blocked"),
    ("contractors, filtered", "core/contractor/?plan=PRO"),
    ("contractors, filtered", "core/contractor/?gifts=waiting"),
    ("channels", "core/channel/?contractor__id__exact={contractor}"),
    ("clients", "core/client/?channel__contractor__id__exact={contractor}"),
    ("publications", "core/publication/?channel__id__exact={channel}"),
    ("events", "analytics/event/"),
    ("events, filtered", "analytics/event/?event_type__exact=client_leave"),
    ("events, of one", "analytics/event/?channel__id__exact={channel}"),
    ("gifts", "billing/gift/"),
    ("invites", "core/invite/?channel__id__exact={channel}"),
    ("journal", "adminlog/adminaction/"),
    ("journal, of one", "adminlog/adminaction/?contractor={contractor}"),
    ("job runs", "adminlog/jobrun/"),
]
SEARCHES = [
    ("search of contractors", "core/contractor/?q={word}"),
    ("search of clients", "core/client/?q={word}"),
    ("search of publications", "core/publication/?q=zeppelin"),
]
