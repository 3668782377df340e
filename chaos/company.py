"""Whoever works beside a job, on the same contractors: the bot, payments, staff, and the job itself again.

Each is a process of its own, and may be killed.
"""

import datetime as dt
import json
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
from django.db import connection

from adminlog.tests.form import look_ahead
from billing.models import Plan
from chaos.audit import Ledger
from chaos.databases import plain
from chaos.subjects import browser

# Seconds that the bot, payments and staff are at it.
LONG = 1.5


class Worker:
    """A process that a function becomes. What it returns is its ledger. Who takes longer than so many
    `seconds`, if any, hangs and dies of it."""

    def __init__(self, work: Callable[[], Ledger | None], *, folder: Path, seconds: int = 120) -> None:
        self.ledger_file = folder / f"ledger-{time.monotonic_ns()}.json"
        connection.close()
        sys.stdout.flush()
        self.status: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            signal.alarm(seconds)
            try:
                ledger = work()
                if ledger:
                    self.ledger_file.write_text(written(ledger))
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(status)

    def is_at_work(self) -> bool:
        return self.status is None and os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def kill(self) -> bool:
        """Whether it died of it: who had ended is not hurt."""
        if self.status is not None:
            return False
        os.kill(self.pid, signal.SIGKILL)
        return self.wait() == -signal.SIGKILL

    def wait(self) -> int:
        """Its exit code, or less than 0 if it was killed."""
        if self.status is None:
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.status

    def ledger(self) -> Ledger:
        return loaded(self.ledger_file.read_text()) if self.ledger_file.exists() else Ledger()


def written(ledger: Ledger) -> str:
    payments = [[[who, end.isoformat()] for who, end in of] for of in (ledger.payments_tried, ledger.payments_done)]
    return json.dumps([ledger.tried, ledger.done, *payments])


def loaded(text: str) -> Ledger:
    tried, done, *payments = json.loads(text)
    ledger = Ledger()
    ledger.tried.update(tried)
    ledger.done.update(done)
    ledger.payments_tried, ledger.payments_done = (
        {(who, dt.datetime.fromisoformat(end)) for who, end in of} for of in payments
    )
    return ledger


def bot(seed: str, contractors: list[int]) -> Ledger:
    """Upserts without a lock, and payments, as the contract has them."""
    chance, ledger = random.Random(seed), Ledger()
    until = time.monotonic() + LONG
    desk: Any = None
    number = 0
    while time.monotonic() < until:
        number += 1
        who, action = chance.choice(contractors), chance.choice(["pay", "pay", "channel", "publish", "let in"])
        try:
            desk = desk or plain()
            ACTIONS[action](desk, ledger, who, chance.randrange(10**12), number)
        except psycopg.Error:
            # The next one may find the server back.
            if desk:
                desk.close()
            desk = None
            time.sleep(0.05)
    return ledger


def pay(desk: Any, ledger: Ledger, who: int, drawn: int, number: int) -> None:
    end = dt.datetime.now(dt.UTC) + dt.timedelta(days=20 + drawn % 300)
    row = {"who": who, "end": end, "plan": ("PRO", "BUSINESS")[drawn % 2]}
    ledger.payments_tried.add((who, end))
    with desk.transaction():
        desk.execute(
            "INSERT INTO billing.subscriptions (contractor_id, plan_id, status, source, starts_at, expires_at)"
            " SELECT %(who)s, id, 'active', 'paid', now(), %(end)s FROM billing.plans WHERE code = %(plan)s"
            " ON CONFLICT (contractor_id) DO UPDATE SET plan_id = excluded.plan_id, status = excluded.status,"
            " source = excluded.source, starts_at = excluded.starts_at, expires_at = excluded.expires_at",
            row,
        )
        desk.execute(
            "INSERT INTO billing.subscription_history (contractor_id, plan_id, status, source, starts_at, expires_at)"
            " SELECT contractor_id, plan_id, status, source, starts_at, expires_at FROM billing.subscriptions"
            " WHERE contractor_id = %(who)s",
            row,
        )
    ledger.payments_done.add((who, end))


def channel(desk: Any, ledger: Ledger, who: int, drawn: int, number: int) -> None:
    ledger.tried["channel"] += 1
    with desk.transaction():
        desk.execute(
            "INSERT INTO billing.usage_counters AS u (contractor_id, channels_created_total, last_channel_created_at)"
            " VALUES (%s, 1, now()) ON CONFLICT (contractor_id) DO UPDATE"
            " SET channels_created_total = u.channels_created_total + 1, last_channel_created_at = now()",
            [who],
        )
        desk.execute("INSERT INTO core.channels (contractor_id, tg_chat_id) VALUES (%s, %s)", [who, -(10**14) - drawn])
    ledger.done["channel"] += 1


def publish(desk: Any, ledger: Ledger, who: int, drawn: int, number: int) -> None:
    desk.execute(
        "INSERT INTO core.publications AS p (channel_id, message_id, views)"
        " SELECT id, %s, %s FROM core.channels WHERE contractor_id = %s ORDER BY id LIMIT 1"
        " ON CONFLICT (channel_id, message_id) DO UPDATE SET views = greatest(p.views, excluded.views)",
        [1 + drawn % 3, 60 + number, who],
    )


def let_in(desk: Any, ledger: Ledger, who: int, drawn: int, number: int) -> None:
    with desk.transaction():
        invite = desk.execute(
            "UPDATE core.invites SET used_count = used_count + 1 WHERE id = (SELECT min(invites.id) FROM core.invites"
            " JOIN core.channels ON channels.id = channel_id WHERE contractor_id = %s) RETURNING id, channel_id",
            [who],
        ).fetchone()
        if invite:
            ledger.tried["client"] += 1
            desk.execute(
                "WITH client AS (INSERT INTO core.clients (channel_id, invite_id, tg_user_id)"
                " VALUES (%(channel_id)s, %(id)s, %(person)s) RETURNING id) INSERT INTO analytics.events"
                " (channel_id, client_id, event_type) SELECT %(channel_id)s, id, 'client_join' FROM client",
                invite | {"person": 10**6 + drawn},
            )
    if invite:
        ledger.done["client"] += 1


ACTIONS: dict[str, Callable[[Any, Ledger, int, int, int], None]] = {
    "pay": pay,
    "channel": channel,
    "publish": publish,
    "let in": let_in,
}


def staff(seed: str, contractors: list[int]) -> Ledger:
    """Acts as a browser sends them; what is refused, or finds no server, is not done."""
    chance, ledger = random.Random(seed), Ledger()
    anna, until = browser(), time.monotonic() + LONG
    plan = Plan.objects.get(code=Plan.Code.PRO).pk
    while time.monotonic() < until:
        who, name = chance.choice(contractors), chance.choice(["activate", "extend", "queue_gift", "cancel"])
        address = f"/admin/core/contractor/{who}/{name}/"
        values = {"plan": plan, "days": chance.randint(1, 9)} if name != "cancel" else {}
        with suppress(Exception):
            form = look_ahead(anna, address, **values)
            if form.get("confirmation"):
                ledger.tried["act"] += 1
                response = anna.post(address, form | {"reason": "chaos", "step": "confirm"})
                ledger.done["act"] += response.status_code == 302 and response.headers["Location"] != address
        connection.close()
    return ledger
