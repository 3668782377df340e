"""Who may do what in the database: what each process connects as, and what PostgreSQL lets it do.

Nobody is given anything that is not in the table below, a table that a later migration makes neither: it needs a line
here, and `manage.py setup_roles` after the migration.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

BOT, WEB, CRON, PARTITIONS, READONLY = ROLES = [
    "smetabot_bot",
    "smetabot_web",
    "smetabot_cron",
    "smetabot_partitions",
    "smetabot_readonly",
]
SCHEMAS = ["core", "billing", "analytics", "referrals", "admin"]

# The letters are those of psql's \dp: r SELECT, a INSERT, w UPDATE, d DELETE; U USAGE, C CREATE, X EXECUTE, c CONNECT,
# T TEMPORARY. A star after a letter: only in the columns that COLUMNS tells.
TABLE = """
                                         bot     web      cron    partitions  readonly  PUBLIC
database                                 c       c        cT      c           c         -
schema core                              U       U        U       U           U         -
schema billing                           U       U        U       -           U         -
schema analytics                         U       U        U       UC          U         -
schema referrals                         U       U        U       -           U         -
schema admin                             -       U        U       U           U         -
schema public                            -       -        -       -           -         U

core.contractors                         ra*w*d  rw*      rw*     -           r         -
core.channels                            ra*w*   rw*      rw*     r*          r         -
core.publications                        raw*    rw*      rw*     r*          r         -
core.invites                             raw*    rw*      r       -           r         -
core.clients                             raw*    rw*      r       r*          r         -
core.team_members                        r       raw*d    r       -           r         -

billing.plans                            r       rw*      r       -           r         -
billing.subscriptions                    ra*w*   raw*     raw*    -           r         -
billing.subscription_history             a*      ra       ra      -           r         -
billing.usage_counters                   raw*    r        r       -           r         -
billing.gifts_queue                      -       raw*     raw*    -           r         -
sequence billing.gifts_queue_id_seq      -       -        U       -           -         -

analytics.events                         a       rw*      r       -           r         -
analytics.views_daily                    -       r        raw*    -           r         -
analytics.suspect_readings               -       r        raw*    -           r         -
analytics.dirty_channels                 -       -        rad     -           r         -
analytics.channel_stats                  -       r        raw     -           r         -
analytics.channel_daily                  -       r        rawd    -           r         -
analytics.daily_totals                   -       r        raw     r*          r         -
analytics.profile_overview               r       r        r       -           r         -
analytics.profile_referral_progress      r       r        r       -           r         -
analytics.profile_listing                -       r        r       -           r         -

referrals.referral_links                 ra      rd       r       -           r         -
referrals.referrals                      ra*     raw*d    rw*     -           r         -
referrals.referral_cycles                ra*     r        raw*    -           r         -
referrals.referral_progress              -       r        r       -           r         -

admin.admin_users                        -       raw*     -       -           r         -
admin.admin_actions                      -       ra       r       -           r         -
admin.action_details                     -       raw*     r       -           -         -
admin.notes                              -       raw*     -       -           -         -
admin.job_runs                           -       r        raw*d   raw*        r         -
admin.admin_alerts                       -       rw*      raw*    raw*        r         -

public.django_migrations                 -       r        r       r           r         -
public.django_content_type               -       r        -       -           -         -
public.django_session                    -       rawd     r*d     -           -         -
public.auth_permission                   -       r        -       -           -         -
public.auth_group                        -       r        -       -           -         -
public.auth_group_permissions            -       -        -       -           -         -
public.auth_user                         -       raw*     -       -           -         -
public.auth_user_groups                  -       -        -       -           -         -
public.auth_user_user_permissions        -       -        -       -           -         -
public.axes_accessattempt                -       rawd     r*d     -           -         -
public.axes_accessattemptexpiration      -       rawd     -       -           -         -
public.axes_accessfailurelog             -       r        -       -           -         -
public.axes_accesslog                    -       r        -       -           -         -
public.django_admin_log                  -       r        -       -           -         -
public.otp_static_staticdevice           -       rawd     -       -           -         -
public.otp_static_statictoken            -       rawd     -       -           -         -
public.otp_totp_totpdevice               -       rawd     -       -           -         -

function billing.is_live                 X       X        X       -           X         -
function core.hold_table                 -       -        -       X           -         -
function admin.action_hash               -       -        X       -           -         -
function admin.details_hash              -       -        X       -           -         -
"""

RUN = "finished_at outcome counts error"
ALERT = "text run_id count state last_seen_at resolved_at told_state told_at"
TERMS = "plan_id status source starts_at expires_at"
COLUMNS = {
    # What is ours the bot does not write: more channels than the plan has, when a channel was moved, what a cycle has
    # counted, what a gift or a payment is told by.
    ("core.contractors", BOT, "a"): "tg_user_id username full_name status created_at",
    ("core.contractors", BOT, "w"): "username full_name",
    ("core.channels", BOT, "a"): (
        "contractor_id tg_chat_id title username created_by_bot synced last_synced_at created_at"
    ),
    ("core.channels", BOT, "w"): "title username synced last_synced_at",
    ("core.publications", BOT, "w"): "file_name file_type views deleted",
    ("core.invites", BOT, "w"): "expires_at max_uses used_count editable",
    ("core.clients", BOT, "w"): "invite_id username full_name blocked",
    ("billing.subscriptions", BOT, "a"): f"contractor_id {TERMS}",
    ("billing.subscriptions", BOT, "w"): TERMS,
    ("billing.subscription_history", BOT, "a"): f"contractor_id {TERMS} created_at",
    ("billing.usage_counters", BOT, "w"): "channels_created_total last_channel_created_at",
    ("referrals.referrals", BOT, "a"): "referrer_id referred_contractor_id created_at",
    ("referrals.referral_cycles", BOT, "a"): "referrer_id cycle_no created_at",
    # What an act writes. Counters that the bot keeps are not among it.
    ("core.contractors", WEB, "w"): "tg_user_id username full_name status bonus_channels",
    ("core.channels", WEB, "w"): "contractor_id title username moved_at",
    ("core.publications", WEB, "w"): "file_name",
    ("core.invites", WEB, "w"): "expires_at max_uses",
    ("core.clients", WEB, "w"): "tg_user_id username full_name blocked",
    ("billing.plans", WEB, "w"): "name price_month features channels_limit_one_off",
    ("billing.subscriptions", WEB, "w"): f"{TERMS} paid_until",
    ("billing.gifts_queue", WEB, "w"): "withdrawn_at",
    ("analytics.events", WEB, "w"): "details",
    # Only to lock a row, which takes the right to write one of its columns.
    ("core.team_members", WEB, "w"): "added_at",
    ("referrals.referrals", WEB, "w"): "created_at",
    ("admin.admin_users", WEB, "w"): "tg_user_id username role is_active language time_zone",
    # A trigger lets them be emptied and nothing else.
    ("admin.action_details", WEB, "w"): "salt personal",
    ("admin.notes", WEB, "w"): "text",
    ("public.auth_user", WEB, "w"): "password last_login",
    ("admin.admin_alerts", WEB, "w"): "state resolved_at",
    # The first two only to lock a row.
    ("core.contractors", CRON, "w"): "username",
    ("core.channels", CRON, "w"): "last_synced_at",
    ("core.publications", CRON, "w"): "views",
    ("billing.subscriptions", CRON, "w"): f"{TERMS} paid_until",
    ("billing.gifts_queue", CRON, "w"): "applied_at",
    ("analytics.views_daily", CRON, "w"): "views read_views read_at",
    ("analytics.suspect_readings", CRON, "w"): "source",
    ("referrals.referrals", CRON, "w"): "qualified_at cycle_id",
    ("referrals.referral_cycles", CRON, "w"): "qualified_refs_done state completed_at gift_id",
    ("admin.job_runs", CRON, "w"): RUN,
    # Whoever reads a session's key is in.
    ("public.django_session", CRON, "r"): "expire_date",
    # Not who it was, from where, and what was typed.
    ("public.axes_accessattempt", CRON, "r"): "id attempt_time",
    ("admin.admin_alerts", CRON, "w"): ALERT,
    # To check the foreign keys of a month that is attached.
    ("core.channels", PARTITIONS, "r"): "id",
    ("core.publications", PARTITIONS, "r"): "id",
    ("core.clients", PARTITIONS, "r"): "id",
    ("analytics.daily_totals", PARTITIONS, "r"): "day rolled_up_at",
    ("admin.job_runs", PARTITIONS, "w"): RUN,
    ("admin.admin_alerts", PARTITIONS, "w"): ALERT,
}

# Behind a pooler a session has no settings of its own, but these. An export streams for minutes, of which each
# statement takes a moment; a job may take long, and one that hangs is to end before the next day's. With row_security
# off a policy, which its owner might have put on events to have code run by whoever reads them, is an error.
SETTINGS: dict[str, dict[str, str]] = {
    BOT: {"row_security": "off"},
    WEB: {
        "row_security": "off",
        "statement_timeout": "2min",
        "lock_timeout": "10s",
        "idle_in_transaction_session_timeout": "1min",
        "jit": "off",
    },
    CRON: {
        "row_security": "off",
        "statement_timeout": "2h",
        "lock_timeout": "10min",
        "idle_in_transaction_session_timeout": "15min",
    },
    PARTITIONS: {"statement_timeout": "0", "idle_in_transaction_session_timeout": "0"},
    READONLY: {
        "row_security": "off",
        "default_transaction_read_only": "on",
        "statement_timeout": "10min",
        "idle_in_transaction_session_timeout": "10min",
    },
}

VERBS = {
    "r": "SELECT",
    "a": "INSERT",
    "w": "UPDATE",
    "d": "DELETE",
    "U": "USAGE",
    "C": "CREATE",
    "X": "EXECUTE",
    "c": "CONNECT",
    "T": "TEMPORARY",
}


class Right(NamedTuple):
    """`kind` and `name` as GRANT takes them. `column` is empty where it is the whole table's."""

    kind: str
    name: str
    grantee: str
    verb: str
    column: str


def cells() -> Iterator[tuple[str, str, str]]:
    """Each object with a role and its letters, as the table has them."""
    header, *lines = [line for line in TABLE.splitlines() if line]
    roles = [name if name == "PUBLIC" else f"smetabot_{name}" for name in header.split()]
    for line in lines:
        name, *letters = line.rsplit(maxsplit=len(roles))
        for role, cell in zip(roles, letters, strict=True):
            yield name, role, cell.replace("-", "")


def rights(*, database: str) -> set[Right]:
    wanted = set()
    for name, role, cell in cells():
        kind, _, bare = name.rpartition(" ")
        kind = {"": "TABLE", "schema": "SCHEMA", "sequence": "SEQUENCE", "function": "FUNCTION"}[kind]
        if name == "database":
            kind, bare = "DATABASE", database
        for letter, star in re.findall(r"(\w)(\*?)", cell):
            columns = COLUMNS[bare, role, letter].split() if star else [""]
            wanted |= {Right(kind, bare, role, VERBS[letter], column) for column in columns}
    return wanted


@cache
def named_tables() -> frozenset[str]:
    return frozenset(name for name, _, _ in cells() if "." in name and " " not in name)
