"""Who is struck: every cron command of the settings and every act of the back office, each by the way it is used."""

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from django.conf import settings
from django.contrib import admin
from django.core import signing
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import Error
from django.test import Client
from django.urls import reverse

from adminlog.acts import Operation
from adminlog.pages import BaseAdmin
from adminlog.tests.form import look_ahead, shown
from chaos.databases import plain
from chaos.faults import Broken
from chaos.world import OWNER, write_readings
from smetabot.backoffice.apps import load_pages


class Subject(Protocol):
    @property
    def name(self) -> str: ...

    def prepare(self) -> None:
        """What comes before, unharmed."""

    def run(self) -> bool:
        """Whether it said that all went well."""

    def again(self) -> bool:
        """What whoever it failed does next; whether that did it."""

    def is_done(self) -> bool:
        """Whether it left what tells that it is done, once."""


@dataclass
class Job:
    """`arguments` are those that cron's line has, or, of a command that is not cron's, what an operator gives it."""

    name: str
    arguments: list[str] = field(default_factory=list)

    def prepare(self) -> None:
        if self.name == "check_data":
            # What is yet to be counted is a finding.
            call_command("aggregate_stats", stdout=io.StringIO())

    def run(self) -> bool:
        try:
            call_command(self.name, *self.arguments, stdout=io.StringIO(), stderr=io.StringIO())
        except (CommandError, Error, Broken):
            return False
        return True

    def again(self) -> bool:
        return self.run()

    def is_done(self) -> bool:
        with plain() as desk:
            runs = desk.execute(
                "SELECT FROM admin.job_runs WHERE command = %s AND finished_at IS NOT NULL", [self.name]
            )
            return bool(runs.rowcount)


def jobs(*, readings: Path) -> list[Job]:
    """Of the settings, in cron's order, and before them the command that takes readings from a file."""
    write_readings(readings)
    return [Job("import_views", [str(readings)]), *jobs_of(settings.CRONJOBS)]


def jobs_of(lines: Iterable[tuple[str, str, list[str]]]) -> list[Job]:
    return [Job(arguments[0], list(arguments[1:])) for _time, _function, arguments in lines]


PRO = "SELECT id FROM billing.plans WHERE code = 'PRO'"
BUSINESS = "SELECT id FROM billing.plans WHERE code = 'BUSINESS'"
A_CONTRACTOR = "SELECT min(id) FROM core.contractors WHERE status = 'active'"
A_PAYER = """
    SELECT min(contractor_id) FROM billing.subscriptions
    JOIN core.contractors ON contractors.id = contractor_id AND contractors.status = 'active'
    WHERE plan_id = (SELECT id FROM billing.plans WHERE code = 'PRO') AND subscriptions.status = 'active'
        AND source = 'paid' AND expires_at > now() + interval '5 days'
"""
AN_INVITE = "SELECT min(id) FROM core.invites"
A_REFERRAL = "SELECT max(id) FROM referrals.referrals WHERE cycle_id IS NULL"
AN_ALERT = "SELECT min(id) FROM admin.admin_alerts"
# By act: of which row, and what staff write in its form; each is a query. None is as the form comes.
ACTS: dict[tuple[str, str], tuple[str, dict[str, str]]] = {
    ("core.contractor", "activate"): (
        A_CONTRACTOR,
        {"plan": PRO, "days": "SELECT 30", "payment_reference": "SELECT 'inv-' || 1"},
    ),
    ("core.contractor", "extend"): (A_PAYER, {"days": "SELECT 11"}),
    ("core.contractor", "change_plan"): (A_PAYER, {"plan": BUSINESS}),
    ("core.contractor", "cancel"): (A_PAYER, {}),
    ("core.contractor", "queue_gift"): (A_CONTRACTOR, {"plan": PRO, "days": "SELECT 9"}),
    ("core.contractor", "give_days"): (A_PAYER, {"plan": PRO, "days": "SELECT 5"}),
    ("core.contractor", "attach"): (
        A_CONTRACTOR,
        {
            "referred": "SELECT max(id) FROM core.contractors WHERE status = 'active' AND id <> (SELECT min(id) FROM"
            " core.contractors) AND id NOT IN (SELECT referred_contractor_id FROM referrals.referrals UNION"
            " SELECT referrer_id FROM referrals.referrals)"
        },
    ),
    ("core.contractor", "grant_channels"): (A_CONTRACTOR, {"number": "SELECT 2"}),
    ("core.contractor", "change_telegram_id"): (A_CONTRACTOR, {"tg_user_id": "SELECT 987654321"}),
    ("core.contractor", "block"): (A_CONTRACTOR, {}),
    ("core.contractor", "unblock"): ("SELECT min(id) FROM core.contractors WHERE status = 'blocked'", {}),
    ("core.contractor", "export_person"): (A_CONTRACTOR, {}),
    ("core.contractor", "erase"): (A_PAYER, {}),
    ("core.channel", "move"): (
        "SELECT min(id) FROM core.channels",
        {
            "contractor": "SELECT max(id) FROM core.contractors WHERE status = 'active' AND id <>"
            " (SELECT contractor_id FROM core.channels ORDER BY id LIMIT 1)"
        },
    ),
    ("core.invite", "prolong"): (AN_INVITE, {"max_uses": "SELECT 50"}),
    ("core.invite", "switch_off"): (AN_INVITE, {}),
    ("core.client", "block"): ("SELECT min(id) FROM core.clients WHERE NOT blocked", {}),
    ("core.client", "unblock"): ("SELECT min(id) FROM core.clients WHERE blocked", {}),
    ("billing.gift", "withdraw"): (
        "SELECT min(id) FROM billing.gifts_queue WHERE applied_at IS NULL AND withdrawn_at IS NULL",
        {},
    ),
    ("referrals.referral", "detach"): (A_REFERRAL, {}),
    ("adminlog.adminalert", "acknowledge"): (AN_ALERT, {}),
    ("adminlog.adminalert", "resolve"): (AN_ALERT, {}),
    ("adminlog.adminuser", "reset_access"): ("SELECT id FROM admin.admin_users WHERE tg_user_id = 78", {}),
}


def offered() -> Iterator[tuple[tuple[str, str], BaseAdmin, Operation]]:
    """Each act once: the page of a subscription offers those of its contractor, too."""
    seen: set[type[Operation]] = set()
    load_pages()
    pages = sorted(admin.site._registry.items(), key=lambda page: page[0]._meta.label != "core.Contractor")
    for model, page in pages:
        for operation in page.operations if isinstance(page, BaseAdmin) else ():
            if type(operation) not in seen:
                seen.add(type(operation))
                assert isinstance(page, BaseAdmin)
                yield (model._meta.label_lower, operation.name), page, operation


@dataclass
class Act:
    key: tuple[str, str]
    address: str
    row: int
    values: dict[str, Any]
    # In a list, of several rows at once.
    chosen: list[int] = field(default_factory=list)
    form: dict[str, Any] = field(default_factory=dict)
    browser: Client | None = None

    @property
    def name(self) -> str:
        return f"{self.key[0].partition('.')[2]} {self.key[1]}{' in bulk' if self.chosen else ''}"

    def prepare(self) -> None:
        self.browser = browser()
        if self.chosen:
            chosen: dict[str, Any] = {"action": self.key[1], "select_across": "0", "_selected_action": self.chosen}
            form = shown(self.browser.post(self.address, chosen)) | chosen | self.values
            self.form = shown(self.browser.post(self.address, form | {"step": "preview"})) | chosen
        else:
            self.form = look_ahead(self.browser, self.address, **self.values)
        if not self.form.get("confirmation"):
            raise AssertionError(f"{self.name} cannot be done in this world")
        self.form |= {"reason": "chaos", "step": "confirm"}

    def run(self) -> bool:
        assert self.browser
        response = self.browser.post(self.address, self.form)
        if response.status_code == 302:
            return response.headers["Location"] != self.address
        is_file = "Content-Disposition" in response.headers
        if is_file:
            try:
                b"".join(response.streaming_content)  # type: ignore[attr-defined]
            except (Error, Broken):
                # The file breaks off, and its reader is told so by what is missing.
                return False
        return response.status_code == 200 and (is_file or b'name="confirmation"' not in response.content)

    def again(self) -> bool:
        """The same confirmation once more: who got no answer presses it again, and may hear that it is done."""
        self.run()
        return self.is_done()

    def is_done(self) -> bool:
        """Whether the journal tells of it, with the days that were asked for."""
        with plain() as desk:
            row = desk.execute("SELECT payload FROM admin.admin_actions WHERE token = %s", [self.token]).fetchone()
        return row is not None and (row["payload"] or {}).get("days", self.days) == self.days

    @property
    def days(self) -> int | None:
        return self.values.get("days")

    @property
    def token(self) -> UUID:
        return UUID(signing.loads(self.form["confirmation"], salt=self.key[1])[0])


def browser() -> Client:
    client = Client(raise_request_exception=False, SERVER_NAME="localhost")
    client.cookies[settings.SESSION_COOKIE_NAME] = OWNER
    return client


def acts() -> list[Act]:
    """In the world that is there."""
    made = []
    with plain() as desk:

        def value(sql: str) -> Any:
            [found] = desk.execute(sql).fetchone().values()  # type: ignore[union-attr]
            if found is None:
                raise AssertionError(f"the world has none of: {sql}")
            return found

        for key, page, operation in offered():
            of, values = ACTS[key]
            row, said = value(of), {name: value(sql) for name, sql in values.items()}
            opts = page.opts
            view = f"admin:{opts.app_label}_{opts.model_name}"
            made.append(Act(key, reverse(f"{view}_{operation.name}", args=[row]), row, said))
            if operation.in_bulk and key in BULK:
                model = page.model._meta
                rows = desk.execute(
                    f'SELECT {model.pk.column} AS id FROM "{model.db_table}" WHERE {BULK[key]} ORDER BY 1 LIMIT 3'
                ).fetchall()
                made.append(Act(key, reverse(f"{view}_changelist"), row, said, [each["id"] for each in rows]))
    return made


# Which rows, of acts that differ in what they do to many.
BULK = {
    ("core.contractor", "give_days"): "status = 'active'",
    ("core.client", "block"): "NOT blocked",
}


def cron(commands: Iterable[Job]) -> list[str]:
    """As cron would, until nothing is due: once each, in its order. Returns those that failed."""
    return [job.name for job in commands if not job.run()]
