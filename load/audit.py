"""Whether all that staff and the bot were told is done is in the database, once, and nothing else is."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

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
# What each thing of the bot adds, and nobody else does.
ADDED = {
    "let_in": ("events", "clients", "uses of invites"),
    "read": ("events", "views"),
    "post": ("events", "publications", "views"),
    "leave": ("events",),
    "begin": ("events", "contractors", "channels"),
}
TOTALS = {
    "events": "SELECT count(*) FROM analytics.events",
    "clients": "SELECT count(*) FROM core.clients",
    "uses of invites": "SELECT sum(used_count) FROM core.invites",
    "publications": "SELECT count(*) FROM core.publications",
    "views": "SELECT sum(views) FROM core.publications",
    "contractors": "SELECT count(*) FROM core.contractors",
    "channels": "SELECT count(*) FROM core.channels",
}
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


class Finding(NamedTuple):
    harm: Literal["lost", "doubled", "wrong"]
    text: str

    def __str__(self) -> str:
        return f"{self.harm}: {self.text}"


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


def totals() -> dict[str, int]:
    return {what: int(rows(sql)[0][0] or 0) for what, sql in TOTALS.items()}


def audit(told: Told, before: dict[int, State]) -> Iterator[Finding]:
    """What does not agree of what staff did."""
    acts = {(act.by, act.contractor, act.action, act.reason) for act in told.acts}
    journaled = Counter(rows(JOURNAL))
    yield from (Finding("lost", f"told as done, and not in the journal: {act}") for act in acts - journaled.keys())
    yield from (Finding("wrong", f"in the journal, and nobody was told so: {act}") for act in journaled.keys() - acts)
    yield from (Finding("doubled", f"{n} times in the journal: {act}") for act, n in journaled.items() if n > 1)
    yield from effects(told.acts, before)
    yield from exports(told)
    yield from compared("logins in the journal of", told.logins, Counter(dict(rows(LOGINS))))


def audit_bot(done: Sequence[str], before: dict[str, int], after: dict[str, int]) -> Iterator[Finding]:
    added = Counter(what for each in done for what in ADDED[each])
    yield from compared("of the bot's", added, Counter({what: after[what] - before[what] for what in before}))


def compared(what: str, told: Counter[str], found: Counter[str]) -> Iterator[Finding]:
    for name in sorted(told.keys() | found.keys()):
        if told[name] != found[name]:
            harm: Literal["lost", "doubled"] = "lost" if found[name] < told[name] else "doubled"
            yield Finding(harm, f"{what} {name}: {told[name]} told as done, {found[name]} there")


def effects(acts: Sequence[Act], before: dict[int, State]) -> Iterator[Finding]:
    """Each contractor must be what the acts made of them: nobody else did anything to them."""
    done: dict[int, list[Act]] = defaultdict(list)
    for act in acts:
        done[act.contractor].append(act)
    after = states(list(before))
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
            yield Finding("wrong", f"contractor {contractor} is {now} and should be {(status, bonus, days, notes)}")


def exports(told: Told) -> Iterator[Finding]:
    journaled = Counter((name, label.replace(".", "/"), format, count) for name, label, format, count in rows(EXPORTS))
    taken = Counter((export.by, export.list, export.format, export.promised) for export in told.exports)
    yield from (Finding("lost", f"an export was taken, and not journaled: {each}") for each in taken - journaled)
    yield from (Finding("wrong", f"an export was journaled, and not taken: {each}") for each in journaled - taken)
    for export in told.exports:
        [(held,)] = rows(f"SELECT count(*) FROM {export.rows_of}")
        if not held == export.promised == export.rows:
            text = f"{export.rows_of}: {held} rows, {export.promised} promised, {export.rows} in the file"
            yield Finding("lost" if export.rows < held else "wrong", text)
