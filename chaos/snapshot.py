"""What is audited: all rows, read by plain SQL."""

import datetime as dt
import gzip
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from chaos.databases import plain

Row = dict[str, Any]

TABLES = {
    "contractors": "SELECT * FROM core.contractors",
    "channels": "SELECT * FROM core.channels",
    "publications": "SELECT * FROM core.publications",
    "clients": "SELECT * FROM core.clients",
    "invites": "SELECT * FROM core.invites",
    "plans": "SELECT * FROM billing.plans",
    "subscriptions": "SELECT subscriptions.*, code FROM billing.subscriptions JOIN billing.plans ON plans.id = plan_id",
    "history": """
        SELECT subscription_history.*, code FROM billing.subscription_history JOIN billing.plans ON plans.id = plan_id
    """,
    "gifts": "SELECT gifts_queue.*, code FROM billing.gifts_queue JOIN billing.plans ON plans.id = plan_id",
    "usage": "SELECT contractor_id AS id, * FROM billing.usage_counters",
    "referrals": "SELECT * FROM referrals.referrals",
    "cycles": "SELECT * FROM referrals.referral_cycles",
    "acts": """
        SELECT admin_actions.*, personal FROM admin.admin_actions
        LEFT JOIN admin.action_details ON action_details.id = details_id
    """,
    "stats": "SELECT channel_id AS id, * FROM analytics.channel_stats",
    "views": "SELECT (publication_id, collected_at)::text AS id, * FROM analytics.views_daily",
    "daily": "SELECT (day, channel_id)::text AS id, * FROM analytics.channel_daily",
    "totals": "SELECT day AS id, * FROM analytics.daily_totals",
    "events": "SELECT id, channel_id, event_type, created_at FROM analytics.events",
}
# What an act changes is in one of these; what a job keeps of itself, and what is derived, is not.
RECORDS = """
    SELECT md5(string_agg(digest, '' ORDER BY digest)) AS digest FROM (
        SELECT 'c' || md5(string_agg(t::text, '' ORDER BY id)) AS digest FROM core.contractors AS t
        UNION ALL SELECT 'h' || md5(string_agg(t::text, '' ORDER BY id)) FROM core.channels AS t
        UNION ALL SELECT 'i' || md5(string_agg(t::text, '' ORDER BY id)) FROM core.invites AS t
        UNION ALL SELECT 'l' || md5(string_agg(t::text, '' ORDER BY id)) FROM core.clients AS t
        UNION ALL SELECT 'p' || md5(string_agg(t::text, '' ORDER BY id)) FROM core.publications AS t
        UNION ALL SELECT 's' || md5(string_agg(t::text, '' ORDER BY id)) FROM billing.subscriptions AS t
        UNION ALL SELECT 'y' || md5(string_agg(t::text, '' ORDER BY id)) FROM billing.subscription_history AS t
        UNION ALL SELECT 'g' || md5(string_agg(t::text, '' ORDER BY id)) FROM billing.gifts_queue AS t
        UNION ALL SELECT 'r' || md5(string_agg(t::text, '' ORDER BY id)) FROM referrals.referrals AS t
        UNION ALL SELECT 'o' || md5(string_agg(t::text, '' ORDER BY id)) FROM referrals.referral_cycles AS t
        UNION ALL SELECT 'x' || md5(string_agg(t::text, '' ORDER BY contractor_id)) FROM billing.usage_counters AS t
        UNION ALL SELECT 'k' || md5(string_agg(t::text, '' ORDER BY id)) FROM referrals.referral_links AS t
        UNION ALL SELECT 'a' || md5(string_agg(t::text, '' ORDER BY id)) FROM admin.admin_users AS t
        UNION ALL SELECT 'e' || md5(string_agg(t::text, '' ORDER BY id)) FROM admin.admin_alerts AS t
        UNION ALL SELECT 'd' || md5(string_agg(t::text, '' ORDER BY id)) FROM admin.action_details AS t
        UNION ALL SELECT 'n' || md5(string_agg(t::text, '' ORDER BY id)) FROM admin.notes AS t
        UNION ALL SELECT 'u' || md5(string_agg(password, '' ORDER BY id)) FROM public.auth_user
    ) AS digests
"""


@dataclass
class World:
    """All rows by table and id, of one snapshot."""

    rows: dict[str, dict[Any, Row]]
    at: dt.datetime
    records: str

    def __getitem__(self, table: str) -> dict[Any, Row]:
        return self.rows[table]

    def of(self, table: str, column: str) -> dict[Any, list[Row]]:
        """By another column, each in the order of ids."""
        found = defaultdict(list)
        for _, row in sorted(self.rows[table].items()):
            found[row[column]].append(row)
        return found


def read(desk: "psycopg.Connection[Row] | None" = None) -> World:
    if desk is None:
        with plain() as own, own.transaction():
            own.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            return read(own)
    rows = {name: {row["id"]: row for row in desk.execute(sql)} for name, sql in TABLES.items()}
    at = desk.execute("SELECT clock_timestamp() AS now").fetchone()
    records = desk.execute(RECORDS).fetchone()
    assert at and records
    return World(rows, at["now"], records["digest"])


def archived(folder: Path) -> set[int]:
    found: set[int] = set()
    for file in folder.glob("*.csv.gz"):
        with gzip.open(file, "rt") as lines:
            header = next(lines).rstrip("\n").split(",")
            found |= {int(line.split(",")[header.index("id")]) for line in lines if line[0].isdigit()}
    return found
