"""Whether all that staff were told is done is in the database, once, and nothing else is."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from django.db import connection

from load.day import Act, Contractor, Told

# What acts change of a contractor.
STATES = """
    SELECT contractor.id, contractor.status, coalesce(contractor.bonus_channels, 0), subscription.expires_at,
        (SELECT count(*) FROM admin.notes WHERE contractor_id = contractor.id)
    FROM core.contractors AS contractor
    JOIN billing.subscriptions AS subscription ON subscription.contractor_id = contractor.id
    WHERE contractor.id = ANY(%s)
"""
# Notes give no reason: the text is theirs.
JOURNAL = """
    SELECT action.admin_name, target.id, action.action, coalesce(details.personal->>'reason', note.text)
    FROM admin.admin_actions AS action
    LEFT JOIN admin.action_details AS details ON details.id = action.details_id
    LEFT JOIN admin.notes AS note ON action.action = 'note.added' AND note.id = action.target_id
    CROSS JOIN unnest(action.contractors) AS target (id)
    WHERE coalesce(details.personal->>'reason', note.text) LIKE 'load %%'
"""
EXPORTS = """
    SELECT admin_name, payload->>'list', payload->>'format', (payload->>'rows')::bigint
    FROM admin.admin_actions WHERE action = 'list.exported' AND admin_name LIKE 'load%%'
"""
LOGINS = """
    SELECT admin_name, count(*) FROM admin.admin_actions
    WHERE action = 'login.succeeded' AND admin_name LIKE 'load%%' GROUP BY admin_name
"""
KNOWN = """
    SELECT contractor.id, tg_user_id, username,
        (SELECT min(id) FROM core.channels WHERE contractor_id = contractor.id)
    FROM core.contractors AS contractor
    WHERE id %% greatest(1, (SELECT max(id) FROM core.contractors) / 2000) = 0
    ORDER BY contractor.id
"""
OWN = """
    SELECT contractor.id FROM core.contractors AS contractor
    JOIN billing.subscriptions AS subscription ON subscription.contractor_id = contractor.id
    JOIN billing.plans AS plan ON plan.id = subscription.plan_id
    WHERE contractor.status = 'active' AND subscription.status = 'active' AND plan.code <> 'FREE'
        AND subscription.expires_at > now() + interval '1 year'
    ORDER BY contractor.id LIMIT 5000
"""


def rows(sql: str, *params: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall()


def known() -> list[Contractor]:
    return [Contractor(*row) for row in rows(KNOWN)]


def own() -> list[int]:
    return [key for (key,) in rows(OWN)]


State = tuple[str, int, Any, int]


def states(contractors: Sequence[int]) -> dict[int, State]:
    return {key: (status, bonus, end, notes) for key, status, bonus, end, notes in rows(STATES, list(contractors))}


def audit(told: Told, before: dict[int, State]) -> list[str]:
    """What does not agree, in lines."""
    acts = {(act.by, act.contractor, act.action, act.reason) for act in told.acts}
    journaled = Counter(rows(JOURNAL))
    return [
        *(f"told as done, and not in the journal: {act}" for act in acts - journaled.keys()),
        *(f"in the journal, and nobody was told so: {act}" for act in journaled.keys() - acts),
        *(f"{times} times in the journal: {act}" for act, times in journaled.items() if times > 1),
        *effects(told.acts, before),
        *exports(told),
        *(
            f"logins of {name}: {told.logins[name]} told, {count} in the journal"
            for name, count in rows(LOGINS)
            if told.logins[name] != count
        ),
    ]


def effects(acts: Sequence[Act], before: dict[int, State]) -> list[str]:
    """Each contractor must be what the acts made of them: nobody else did anything to them."""
    done: dict[int, list[Act]] = defaultdict(list)
    for act in acts:
        done[act.contractor].append(act)
    after = states(list(before))
    wrong = []
    for contractor, (status, bonus, end, notes) in before.items():
        days = 0
        for act in done[contractor]:
            match act.action:
                case "contractor.blocked":
                    status = "blocked"
                case "contractor.unblocked":
                    status = "active"
                case "contractor.channels_granted":
                    bonus += act.number
                case "subscription.extended":
                    days += act.number
                case "note.added":
                    notes += 1
        now_status, now_bonus, now_end, now_notes = after[contractor]
        now = (now_status, now_bonus, (now_end - end).days, now_notes)
        if now != (status, bonus, days, notes):
            wrong.append(f"contractor {contractor} is {now} and should be {(status, bonus, days, notes)}")
    return wrong


def exports(told: Told) -> list[str]:
    journaled = Counter((name, label.replace(".", "/"), format, count) for name, label, format, count in rows(EXPORTS))
    taken = Counter((export.by, export.list, export.format, export.promised) for export in told.exports)
    wrong = [
        *(f"an export was taken, and not journaled: {each}" for each in taken - journaled),
        *(f"an export was journaled, and not taken: {each}" for each in journaled - taken),
    ]
    for export in told.exports:
        [(held,)] = rows(f"SELECT count(*) FROM {export.rows_of}")
        if not held == export.promised == export.rows:
            wrong.append(f"{export.rows_of}: {held} rows, {export.promised} promised, {export.rows} in the file")
    return wrong
