"""Some hundred contractors to whom much is due: plans that end, gifts that wait, referrals that fill cycles.

All by the contract's own tables, in plain SQL. What is drawn depends on the seed alone, and times are counted back from
the clock, so the same seed makes the same world at any time.
"""

import io
import json
import random
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.test import Client

from adminlog.models import AdminUser
from chaos.databases import plain

# Their session's key, too, which has at least eight characters.
OWNER = "chaos-owner"
# Plan, status, source, days from the beginning and to the end, and how many of hundred contractors have it.
TERMS: list[tuple[tuple[str, str, str, int, int | None] | None, int]] = [
    (("FREE", "active", "trial", -40, None), 36),
    (("PRO", "active", "paid", -10, 20), 9),
    (("BUSINESS", "active", "paid", -10, 50), 6),
    (("PRO", "active", "paid", -31, -1), 9),
    (("BUSINESS", "active", "paid", -60, -10), 4),
    (("PRO", "grace", "paid", -33, -1), 5),
    (("PRO", "grace", "paid", -33, 2), 4),
    (("PRO", "trial", "trial", -15, -1), 5),
    (("PRO", "trial", "trial", -5, 9), 4),
    (("PRO", "cancelled", "paid", -20, 10), 4),
    (("PRO", "cancelled", "paid", -40, -10), 3),
    (("PRO", "active", "admin_grant", -20, -2), 4),
    (("BUSINESS", "expired", "paid", -50, -20), 5),
    (None, 2),
]
GRACE_DAYS = 3
# Months of events that are over, for the archive.
OLD_EVENTS = [95, 100, 105]


def fill(*, seed: int, contractors: int) -> None:
    chance = random.Random(f"world {seed}")
    with plain() as desk, desk.transaction():
        plans = {row["code"]: row["id"] for row in desk.execute("SELECT id, code FROM billing.plans").fetchall()}
        ids = [
            row["id"]
            for row in desk.execute(
                "INSERT INTO core.contractors (tg_user_id, username, full_name, status, created_at)"
                " SELECT 1000 + n, 'user' || n, 'Contractor ' || n,"
                " CASE WHEN n = ANY(%s) THEN 'blocked' ELSE 'active' END, now() - interval '60 days'"
                " FROM generate_series(1, %s) AS n RETURNING id",
                [chance.sample(range(1, contractors + 1), max(2, contractors // 25)), contractors],
            )
        ]
        _bill(desk, chance, ids, plans)
        _refer(desk, chance, ids)
        _publish(desk, chance, ids)
        for number in range(3):
            desk.execute(
                "INSERT INTO admin.admin_actions (admin_id, action, contractors)"
                " SELECT min(id), 'note.added', ARRAY[%s::bigint] FROM admin.admin_users",
                [ids[number]],
            )
    _staff()
    call_command("maintain_partitions", stdout=io.StringIO())
    # What is to be archived must have been counted.
    with plain() as desk:
        _old_events(desk)
    call_command("aggregate_stats", stdout=io.StringIO())
    call_command("roll_up_days", stdout=io.StringIO())
    with plain() as desk:
        _since_then(desk)


def _bill(desk: Any, chance: random.Random, ids: list[int], plans: dict[str, int]) -> None:
    terms = [kind for kind, share in TERMS for _ in range(share)]
    # Each there is, in a small world too.
    kinds = [kind for kind, _ in TERMS] * 2
    for number, contractor in enumerate(ids):
        kind = kinds[number] if number < len(kinds) and len(ids) >= len(kinds) else chance.choice(terms)
        if kind:
            plan, status, source, begins, ends = kind
            row = [contractor, plans[plan], status, source, begins, ends]
            paid_until = ends - GRACE_DAYS if status == "grace" and ends is not None else None
            if paid_until is not None:
                _history(desk, contractor, plans[plan], "active", source, begins, paid_until)
            _subscribe(desk, *row, paid_until=paid_until)
        desk.execute(
            "INSERT INTO billing.usage_counters (contractor_id, channels_created_total) VALUES (%s, 0)", [contractor]
        )
        for nth in range(chance.choice([0, 0, 0, 1, 1, 2, 2, 3])):
            desk.execute(
                "INSERT INTO billing.gifts_queue (contractor_id, plan_id, days, reason, queued_at)"
                " VALUES (%s, %s, %s, 'admin_grant', now() - make_interval(hours => %s))",
                [contractor, plans[chance.choice(["PRO", "BUSINESS"])], chance.randint(1, 40), 50 - 10 * nth],
            )


def _subscribe(desk: Any, *terms: Any, paid_until: int | None) -> None:
    desk.execute(
        "INSERT INTO billing.subscriptions (contractor_id, plan_id, status, source, starts_at, expires_at, paid_until)"
        " VALUES (%s, %s, %s, %s, now() + make_interval(days => %s), now() + make_interval(days => %s),"
        " now() + make_interval(days => %s))",
        [*terms, paid_until],
    )
    _history(desk, *terms, paid_until=paid_until)


def _history(desk: Any, *terms: Any, paid_until: int | None = None) -> None:
    desk.execute(
        "INSERT INTO billing.subscription_history"
        " (contractor_id, plan_id, status, source, starts_at, expires_at, paid_until, created_at)"
        " VALUES (%s, %s, %s, %s, now() + make_interval(days => %s), now() + make_interval(days => %s),"
        " now() + make_interval(days => %s), now() - interval '1 day')",
        [*terms, paid_until],
    )


def _refer(desk: Any, chance: random.Random, ids: list[int]) -> None:
    for contractor in ids:
        desk.execute(
            "INSERT INTO referrals.referral_links (contractor_id, token) VALUES (%s, %s)",
            [contractor, f"r{contractor}"],
        )
        desk.execute("INSERT INTO referrals.referral_cycles (referrer_id, cycle_no) VALUES (%s, 1)", [contractor])
    referrers = ids[: max(1, len(ids) // 8)]
    for referred in ids[len(ids) // 2 :]:
        desk.execute(
            "INSERT INTO referrals.referrals (referrer_id, referred_contractor_id, created_at)"
            " VALUES (%s, %s, now() - interval '20 days')",
            [chance.choice(referrers), referred],
        )


def _publish(desk: Any, chance: random.Random, ids: list[int]) -> None:
    for contractor in ids:
        for nth in range(chance.choice([0, 1, 2, 2, 2, 3])):
            desk.execute(
                "UPDATE billing.usage_counters SET channels_created_total = channels_created_total + 1"
                " WHERE contractor_id = %s",
                [contractor],
            )
            channel = desk.execute(
                "INSERT INTO core.channels (contractor_id, tg_chat_id, title) VALUES (%s, %s, %s) RETURNING id",
                [contractor, -1000 * contractor - nth, f"Flat {contractor}.{nth}"],
            ).fetchone()["id"]
            desk.execute(
                "INSERT INTO core.publications (channel_id, message_id, file_name, views, posted_at)"
                " SELECT %s, n, 'plan.pdf', %s + n, now() - interval '3 days' FROM generate_series(1, 2) AS n",
                [channel, chance.randint(0, 50)],
            )
            desk.execute(
                "WITH invite AS ("
                " INSERT INTO core.invites (channel_id, token, max_uses, used_count, expires_at)"
                " VALUES (%(channel)s, %(token)s, 5, 2, now() + interval '9 days') RETURNING id"
                "), client AS ("
                " INSERT INTO core.clients (channel_id, invite_id, tg_user_id, blocked)"
                " SELECT %(channel)s, id, n, n = 2 AND %(blocked)s FROM invite, generate_series(1, 2) AS n RETURNING id"
                ") INSERT INTO analytics.events (channel_id, client_id, event_type, created_at)"
                " SELECT %(channel)s, id, 'client_join', now() - make_interval(days => (id %% 3)::int) FROM client",
                {"channel": channel, "token": f"i{channel}", "blocked": chance.random() < 0.3},
            )
            desk.execute(
                "INSERT INTO analytics.events (channel_id, event_type, created_at)"
                " VALUES (%s, 'file_posted', now() - interval '2 days')",
                [channel],
            )


def _staff() -> None:
    login = User.objects.create_user(OWNER, password=None, is_staff=True)
    colleague = User.objects.create_user(f"{OWNER}-colleague", password=None, is_staff=True)
    AdminUser.objects.create(login=login, username=login.username, tg_user_id=77, role=AdminUser.Role.OWNER)
    AdminUser.objects.create(login=colleague, username=colleague.username, tg_user_id=78, role=AdminUser.Role.SUPPORT)
    Client().force_login(login)
    Session.objects.update(session_key=OWNER)


def _old_events(desk: Any) -> None:
    for days in OLD_EVENTS:
        desk.execute(
            "INSERT INTO analytics.events (channel_id, event_type, created_at)"
            " SELECT id, 'file_posted', now() - make_interval(days => %s) FROM core.channels ORDER BY id LIMIT 5",
            [days],
        )


def _since_then(desk: Any) -> None:
    """What is due to the jobs on top of what they have done by now."""
    desk.execute("UPDATE core.publications SET views = views + 1 + (id % 7) WHERE id % 2 = 0")
    desk.execute("UPDATE core.clients SET blocked = NOT blocked WHERE id % 5 = 0")
    desk.execute(
        "INSERT INTO analytics.events (channel_id, event_type) SELECT id, 'client_leave' FROM core.channels"
        " WHERE id % 3 = 0"
    )
    desk.execute("DELETE FROM admin.job_runs")
    desk.execute(
        "INSERT INTO admin.admin_alerts (fingerprint, command, kind, text)"
        " VALUES ('chaos', 'aggregate_stats', 'failed', 'as it was before')"
    )


def write_readings(path: Path) -> None:
    """A file for import_views: of some publications one view more than there are."""
    with plain() as desk, path.open("w") as file:
        for row in desk.execute(
            "SELECT tg_chat_id, message_id, publications.views + 1 AS views, now() AS time"
            " FROM core.publications JOIN core.channels ON channels.id = channel_id"
            " WHERE publications.id % 3 = 0 ORDER BY publications.id"
        ):
            file.write(json.dumps(row | {"time": row["time"].isoformat()}) + "\n")
