"""Whether all that was acknowledged is there, and nothing twice."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from cluster.bot import FIRST_ID, Ledger

# What is there of each kind, as the ledger names it.
PRESENT = {
    "contractor": f"SELECT tg_user_id FROM core.contractors WHERE tg_user_id > {FIRST_ID}",
    "publication": "SELECT jsonb_build_array(channel_id, message_id) FROM core.publications",
    "client": f"SELECT jsonb_build_array(channel_id, tg_user_id) FROM core.clients WHERE tg_user_id > {FIRST_ID}",
    "event": "SELECT (details ->> 'cluster')::int FROM analytics.events WHERE details ? 'cluster'",
    "gift": "SELECT personal ->> 'reason' FROM admin.admin_actions JOIN admin.action_details"
    " ON action_details.id = details_id JOIN billing.gifts_queue ON gifts_queue.id = target_id"
    " WHERE action = 'gift.queued'",
}
# Each counts what nothing may make: the rows by another way than the one that wrote them.
DOUBLED = {
    "events of one visit": """
        SELECT coalesce(sum(n - 1), 0) FROM (
            SELECT count(*) AS n FROM analytics.events WHERE details ? 'cluster' GROUP BY details ->> 'cluster'
        ) AS of_one""",
    "uses of an invite": """
        SELECT coalesce(sum(abs(used_count - there)), 0) FROM (
            SELECT used_count, (SELECT count(*) FROM core.clients WHERE invite_id = invites.id) AS there
            FROM core.invites WHERE token LIKE 'cluster\\_%'
        ) AS of_one""",
    "channels counted": f"""
        SELECT coalesce(sum(abs(channels_created_total - 2)), 0) FROM billing.usage_counters
        JOIN core.contractors ON contractors.id = contractor_id WHERE tg_user_id > {FIRST_ID}""",
    "gifts of one act": """
        SELECT coalesce(sum(n - 1), 0) FROM (
            SELECT count(*) AS n FROM admin.admin_actions JOIN admin.action_details ON action_details.id = details_id
            WHERE action = 'gift.queued' GROUP BY personal ->> 'reason'
        ) AS of_one""",
    "rewards of one cycle": f"""
        SELECT coalesce(sum(greatest(gifts - brought / 3, 0)), 0) FROM (
            SELECT (SELECT count(*) FROM billing.gifts_queue
                    WHERE contractor_id = contractors.id AND reason = 'referral_reward') AS gifts,
                (SELECT count(*) FROM referrals.referrals WHERE referrer_id = contractors.id) AS brought
            FROM core.contractors WHERE tg_user_id > {FIRST_ID}
        ) AS of_one""",
    "starts of one gift": f"""
        SELECT coalesce(sum(abs(starts - (applied_at IS NOT NULL)::int)), 0) FROM (
            SELECT applied_at,
                (SELECT count(*) FROM billing.subscription_history WHERE gift_id = gifts_queue.id) AS starts
            FROM billing.gifts_queue JOIN core.contractors ON contractors.id = contractor_id
            WHERE tg_user_id > {FIRST_ID} OR gifts_queue.id IN (
                SELECT target_id FROM admin.admin_actions WHERE action = 'gift.queued'
            )
        ) AS of_one""",
}


def lost(connection: Any, ledger: Ledger) -> Counter[str]:
    """How many of each kind were acknowledged and are not there. What was told already is not told again."""
    missing = set()
    for what, keys in list(ledger.written.items()):
        noted = {as_key(key) for key in list(keys)}
        missing |= {(what, key) for key in noted - {as_key(row[0]) for row in connection.execute(PRESENT[what])}}
    found = Counter(what for what, _ in missing - ledger.lost)
    ledger.lost |= missing
    return found


def as_key(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def doubled(connection: Any) -> dict[str, int]:
    return {what: int(connection.execute(sql).fetchone()[0]) for what, sql in DOUBLED.items()}


def unrecorded(connection: Any, done: Mapping[str, int]) -> int:
    """Runs of jobs that ended well and that the database does not know of."""
    known = dict(
        connection.execute("SELECT command, count(*) FROM admin.job_runs WHERE outcome = 'done' GROUP BY command")
    )
    return sum(max(0, count - known.get(command, 0)) for command, count in done.items())


def in_words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count) or "none"
