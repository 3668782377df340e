"""The bot, which writes all the time, in plain SQL, and remembers what it was told is done."""

import itertools
import json
import time
from collections.abc import Callable
from typing import Any

import psycopg

from cluster.watch import Watched

# Above those of the demo data, and of Telegram.
FIRST_ID = 70_000_000_000


class LostError(Exception):
    """What was acknowledged is not there."""


class Ledger:
    """What was acknowledged, in a file outside of any database."""

    def __init__(self, path: Any) -> None:
        self.file = path.open("a")
        self.written: dict[str, list[Any]] = {}
        # Kind and key of those that were found to be gone.
        self.lost: set[tuple[str, Any]] = set()

    def note(self, what: str, key: Any) -> None:
        self.file.write(json.dumps([what, key]) + "\n")
        self.file.flush()
        self.written.setdefault(what, []).append(key)

    def __len__(self) -> int:
        return sum(map(len, self.written.values()))


class Bot(Watched):
    numbers = itertools.count(1)

    def __init__(self, name: str, connect: Callable[[], "psycopg.Connection[Any]"], ledger: Ledger) -> None:
        super().__init__(name)
        self.connect = connect
        self.ledger = ledger
        self.connection: psycopg.Connection[Any] | None = None
        # One in four brings the three next: a cycle of referrals is full with them.
        self.referrer = self.brought = 0
        self.channel = self.invite = 0
        # When it was told that a write is done, and how long that took.
        self.took: list[tuple[float, float]] = []

    def turn(self) -> None:
        number = next(self.numbers)
        if number % 8 == 0 or not self.channel:
            self.until_done(self.meet, number)
        else:
            self.until_done(self.publish, number)
            self.until_done(self.let_in, number)

    def until_done(self, write: Callable[..., Any], number: int) -> None:
        """Whoever was not told that it is done does not know whether it is: each writes what is not there yet."""
        while not self.stopping.is_set():
            began = time.monotonic()
            try:
                if self.connection is None:
                    self.connection = self.connect()
                with self.connection.transaction():
                    made = write(self.connection, number)
            except psycopg.errors.ForeignKeyViolation as error:
                raise LostError(f"{self.name} was told that something is done, and it is gone: {error}") from error
            except psycopg.Error as error:
                # Away, or a copy that takes no writes: what else is wrong would be wrong for ever.
                state = error.sqlstate
                if state and not state.startswith(("08", "53", "57", "25006")):
                    raise
                self.failed("writes refused: read only" if state == "25006" else "connection lost or refused")
                if self.connection is not None:
                    self.connection.close()
                self.connection = None
                self.stopping.wait(0.2)
            else:
                self.took.append((time.monotonic(), time.monotonic() - began))
                self.acknowledged(write.__name__, number, made)
                return

    def acknowledged(self, write: str, number: int, made: Any) -> None:
        self.succeeded()
        match write:
            case "meet":
                self.ledger.note("contractor", FIRST_ID + number)
                contractor, self.channel, self.invite = made
                self.brought = (self.brought + 1) % 4
                if self.brought == 1:
                    self.referrer = contractor
            case "publish":
                self.ledger.note("publication", [self.channel, number])
            case "let_in":
                self.ledger.note("client", [self.channel, FIRST_ID + number])
                self.ledger.note("event", number)

    def meet(self, connection: Any, number: int) -> tuple[int, int, int]:
        """A new contractor with all that is theirs, two channels and an invite, in one transaction."""
        account = FIRST_ID + number
        row = connection.execute(
            "INSERT INTO core.contractors (tg_user_id) VALUES (%s) ON CONFLICT DO NOTHING RETURNING id", [account]
        ).fetchone()
        if row is None:
            return connection.execute(
                "SELECT contractor_id, channels.id, invites.id FROM core.invites JOIN core.channels"
                " ON channels.id = channel_id WHERE token = %s",
                [f"cluster_{number}"],
            ).fetchone()
        contractor = row[0]
        connection.execute(
            "INSERT INTO billing.subscriptions (contractor_id, plan_id, status)"
            " SELECT %s, id, 'active' FROM billing.plans WHERE code = 'FREE'",
            [contractor],
        )
        connection.execute(
            "INSERT INTO billing.subscription_history (contractor_id, plan_id, status, source, starts_at)"
            " SELECT %s, id, 'active', 'trial', now() FROM billing.plans WHERE code = 'FREE'",
            [contractor],
        )
        connection.execute("INSERT INTO billing.usage_counters (contractor_id) VALUES (%s)", [contractor])
        connection.execute(
            "INSERT INTO referrals.referral_links (contractor_id, token) VALUES (%s, %s)",
            [contractor, f"cluster_{number}"],
        )
        connection.execute("INSERT INTO referrals.referral_cycles (referrer_id, cycle_no) VALUES (%s, 1)", [contractor])
        if self.brought:
            connection.execute(
                "INSERT INTO referrals.referrals (referrer_id, referred_contractor_id) VALUES (%s, %s)",
                [self.referrer, contractor],
            )
        for offset in (0, 1):
            connection.execute(
                "INSERT INTO billing.usage_counters AS u (contractor_id, channels_created_total,"
                " last_channel_created_at) VALUES (%s, 1, now()) ON CONFLICT (contractor_id) DO UPDATE"
                " SET channels_created_total = u.channels_created_total + 1, last_channel_created_at = now()",
                [contractor],
            )
            channel = connection.execute(
                "INSERT INTO core.channels (contractor_id, tg_chat_id) VALUES (%s, %s) RETURNING id",
                [contractor, -(2 * account + offset)],
            ).fetchone()[0]
        invite = connection.execute(
            "INSERT INTO core.invites (channel_id, token) VALUES (%s, %s) RETURNING id",
            [channel, f"cluster_{number}"],
        ).fetchone()[0]
        return contractor, channel, invite

    def publish(self, connection: Any, number: int) -> None:
        connection.execute(
            "INSERT INTO core.publications AS p (channel_id, message_id, views) VALUES (%s, %s, 1)"
            " ON CONFLICT (channel_id, message_id) DO UPDATE SET views = greatest(p.views, excluded.views)",
            [self.channel, number],
        )

    def let_in(self, connection: Any, number: int) -> None:
        guest = connection.execute(
            "INSERT INTO core.clients (channel_id, invite_id, tg_user_id) VALUES (%s, %s, %s)"
            " ON CONFLICT (channel_id, tg_user_id) DO NOTHING RETURNING id",
            [self.channel, self.invite, FIRST_ID + number],
        ).fetchone()
        if guest is None:
            return
        connection.execute("UPDATE core.invites SET used_count = used_count + 1 WHERE id = %s", [self.invite])
        connection.execute(
            "INSERT INTO analytics.events (channel_id, client_id, event_type, details)"
            " VALUES (%s, %s, 'invite_used', jsonb_build_object('cluster', %s::int))",
            [self.channel, guest[0], number],
        )
