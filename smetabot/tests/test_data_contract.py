"""The database is the interface with the bot: what it promises is asked of PostgreSQL's catalogue, in plain SQL."""

import re

import pytest
from django.db import connection

pytestmark = pytest.mark.django_db

# column:type, a question mark where it may be null, =default.
TABLES = {
    "core.contractors": """
        id:bigint tg_user_id:bigint? username:text? full_name:text? status:text='active' created_at:timestamptz=now()
        bonus_channels:integer?
    """,
    "core.channels": """
        id:bigint contractor_id:bigint tg_chat_id:bigint title:text? username:text? created_by_bot:boolean=true
        synced:boolean=false last_synced_at:timestamptz? created_at:timestamptz=now() moved_at:timestamptz?
    """,
    "core.publications": """
        id:bigint channel_id:bigint message_id:bigint file_name:text? file_type:text? views:integer=0
        posted_at:timestamptz=now() deleted:boolean=false
    """,
    "core.invites": """
        id:bigint channel_id:bigint token:text expires_at:timestamptz? max_uses:integer? used_count:integer=0
        editable:boolean=true created_at:timestamptz=now()
    """,
    "core.clients": """
        id:bigint channel_id:bigint invite_id:bigint? tg_user_id:bigint? username:text? full_name:text?
        joined_at:timestamptz=now() blocked:boolean=false
    """,
    "core.team_members": """
        id:bigint owner_contractor_id:bigint member_contractor_id:bigint added_at:timestamptz=now()
    """,
    "billing.plans": """
        id:bigint code:text name:text price_month:numeric(10,2)? features:jsonb='{}' channels_limit_one_off:integer?
    """,
    "billing.subscriptions": """
        id:bigint contractor_id:bigint plan_id:bigint status:text source:text='paid' starts_at:timestamptz=now()
        expires_at:timestamptz? paid_until:timestamptz?
    """,
    "billing.subscription_history": """
        id:bigint contractor_id:bigint plan_id:bigint status:text source:text starts_at:timestamptz?
        expires_at:timestamptz? created_at:timestamptz=now() gift_id:bigint? paid_until:timestamptz?
        payment_reference:text?
    """,
    "billing.usage_counters": """
        contractor_id:bigint channels_created_total:integer=0 last_channel_created_at:timestamptz?
    """,
    "billing.gifts_queue": """
        id:bigint contractor_id:bigint plan_id:bigint days:integer=30 reason:text queued_at:timestamptz=now()
        applied_at:timestamptz? withdrawn_at:timestamptz?
    """,
    "analytics.views_daily": """
        publication_id:bigint collected_at:date views:integer read_views:integer? read_at:timestamptz?
    """,
    "analytics.suspect_readings": """
        id:bigint publication_id:bigint read_at:timestamptz views:integer against_views:integer against_day:date
        against_at:timestamptz? source:text noticed_at:timestamptz=now()
    """,
    "analytics.dirty_channels": "channel_id:bigint",
    "analytics.channel_stats": """
        channel_id:bigint files_count:integer=0 views_total:bigint=0 clients_total:integer=0 blocked_total:integer=0
        last_updated:timestamptz=now()
    """,
    "analytics.channel_daily": """
        channel_id:bigint day:date views_gained:bigint=0 views_after_gap:bigint=0 files:integer=0 joins:integer=0
        leaves:integer=0 view_rows:integer=0 event_rows:integer=0
    """,
    "analytics.daily_totals": """
        day:date collected:boolean=false views_gained:bigint=0 views_after_gap:bigint=0 files:integer=0 joins:integer=0
        leaves:integer=0 view_rows:integer=0 event_rows:integer=0 rolled_up_at:timestamptz=now()
    """,
    "analytics.events": """
        id:bigint channel_id:bigint? client_id:bigint? event_type:text details:jsonb? created_at:timestamptz=now()
    """,
    "referrals.referral_links": "id:bigint contractor_id:bigint token:text created_at:timestamptz=now()",
    "referrals.referrals": """
        id:bigint referrer_id:bigint referred_contractor_id:bigint created_at:timestamptz=now()
        qualified_at:timestamptz? cycle_id:bigint?
    """,
    "referrals.referral_cycles": """
        id:bigint referrer_id:bigint cycle_no:integer qualified_refs_required:integer=3
        qualified_refs_done:integer=0 state:text='in_progress' created_at:timestamptz=now() completed_at:timestamptz?
        gift_id:bigint?
    """,
    "admin.admin_users": """
        id:bigint tg_user_id:bigint username:text? role:text is_active:boolean=true added_at:timestamptz=now()
        login_id:integer? language:text? time_zone:text?
    """,
    "admin.admin_actions": """
        id:bigint admin_id:bigint action:text target_type:text? target_id:bigint? payload:jsonb?
        created_at:timestamptz=now() seq:bigint=0 hash:text='' admin_name:text? admin_role:text=''
        contractors:bigint[]='{}' details_id:bigint? details_hash:text? part_of_id:bigint? address:inet?
        request_id:uuid? token:uuid?
    """,
    "admin.action_details": "id:bigint salt:uuid?=gen_random_uuid() personal:jsonb?",
    "admin.notes": "id:bigint contractor_id:bigint author_id:bigint text:text? created_at:timestamptz=now()",
    "admin.admin_alerts": """
        id:bigint fingerprint:text command:text kind:text text:text run_id:bigint? count:integer=1 state:text='open'
        first_seen_at:timestamptz=now() last_seen_at:timestamptz=now() resolved_at:timestamptz? told_state:text?
        told_at:timestamptz?
    """,
}

FOREIGN_KEYS = """
    core.channels.contractor_id core.contractors cascade
    core.publications.channel_id core.channels cascade
    core.invites.channel_id core.channels cascade
    core.clients.channel_id core.channels cascade
    core.clients.invite_id core.invites set null
    core.team_members.owner_contractor_id core.contractors cascade
    core.team_members.member_contractor_id core.contractors cascade
    billing.subscriptions.contractor_id core.contractors cascade
    billing.subscriptions.plan_id billing.plans restrict
    billing.subscription_history.contractor_id core.contractors cascade
    billing.subscription_history.plan_id billing.plans restrict
    billing.subscription_history.gift_id billing.gifts_queue cascade
    billing.usage_counters.contractor_id core.contractors cascade
    billing.gifts_queue.contractor_id core.contractors cascade
    billing.gifts_queue.plan_id billing.plans restrict
    analytics.views_daily.publication_id core.publications cascade
    analytics.suspect_readings.publication_id core.publications cascade
    analytics.channel_stats.channel_id core.channels cascade
    analytics.channel_daily.channel_id core.channels cascade
    analytics.events.channel_id core.channels set null
    analytics.events.client_id core.clients set null
    referrals.referral_links.contractor_id core.contractors cascade
    referrals.referrals.referrer_id core.contractors cascade
    referrals.referrals.referred_contractor_id core.contractors cascade
    referrals.referrals.cycle_id referrals.referral_cycles no action
    referrals.referral_cycles.referrer_id core.contractors cascade
    referrals.referral_cycles.gift_id billing.gifts_queue set null
    admin.admin_users.login_id public.auth_user set null
    admin.admin_actions.admin_id admin.admin_users restrict
    admin.admin_actions.details_id admin.action_details restrict
    admin.admin_actions.part_of_id admin.admin_actions restrict
    admin.notes.author_id admin.admin_users restrict
    admin.admin_alerts.run_id admin.job_runs set null
"""

# Unique keys, primary ones apart from id included.
KEYS = """
    core.contractors(tg_user_id)
    core.channels(tg_chat_id)
    core.publications(channel_id,message_id)
    core.invites(token)
    core.clients(channel_id,tg_user_id)
    core.team_members(owner_contractor_id,member_contractor_id)
    billing.plans(code)
    billing.subscriptions(contractor_id)
    billing.subscription_history(gift_id)
    billing.subscription_history(payment_reference)
    billing.usage_counters(contractor_id)
    analytics.views_daily(publication_id,collected_at)
    analytics.suspect_readings(publication_id,read_at,views)
    analytics.channel_stats(channel_id)
    analytics.channel_daily(channel_id,day)
    analytics.daily_totals(day)
    analytics.events(id,created_at)
    referrals.referral_links(contractor_id)
    referrals.referral_links(token)
    referrals.referrals(referrer_id,referred_contractor_id)
    referrals.referrals(referred_contractor_id)
    referrals.referral_cycles(referrer_id,cycle_no)
    referrals.referral_cycles(gift_id)
    referrals.referral_cycles(id,referrer_id)
    admin.admin_users(tg_user_id)
    admin.admin_users(login_id)
    admin.admin_actions(seq)
    admin.admin_actions(details_id)
    admin.admin_actions(token)
"""

INDEXES = {
    "idx_channels_contractor": "core.channels USING btree (contractor_id)",
    "idx_publications_channel_posted": "core.publications USING btree (channel_id, posted_at DESC)",
    "idx_invites_channel": "core.invites USING btree (channel_id)",
    "idx_clients_channel": "core.clients USING btree (channel_id)",
    "idx_clients_invite": "core.clients USING btree (invite_id)",
    "idx_events_channel_created": "analytics.events USING btree (channel_id, created_at DESC)",
}

SCHEMAS = ["core", "billing", "analytics", "referrals", "admin"]


def rows(sql, **params):
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall()


def lines(text):
    return {line.strip() for line in text.strip().splitlines()}


@pytest.mark.parametrize("table", TABLES)
def test_a_table_has_the_columns_types_and_defaults_of_the_contract(table):
    found = rows(
        """
        SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid)
        FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = %(table)s::regclass AND a.attnum > 0 AND NOT a.attisdropped
        """,
        table=table,
    )
    short = {"character varying": "text", "timestamp with time zone": "timestamptz"}
    columns = set()
    for name, type_, required, default in found:
        suffix = "" if required else "?"
        if default:
            suffix += "=" + re.sub(r"::[a-z\[\] ]+$", "", default)
        columns.add(f"{name}:{short.get(type_, type_)}{suffix}")
    assert columns == set(TABLES[table].split())


@pytest.mark.parametrize("table", [table for table in TABLES if " id:bigint" in f" {TABLES[table].strip()}"])
def test_an_id_is_a_primary_key_that_the_database_draws(table):
    found = rows(
        """
        SELECT a.attidentity FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
        WHERE i.indisprimary AND i.indnkeyatts = %(columns)s AND a.attname = 'id'
            AND i.indrelid = %(table)s::regclass
        """,
        table=table,
        # By which it is partitioned is part of the key.
        columns=2 if table == "analytics.events" else 1,
    )
    assert found == [("d",)]


def test_foreign_keys_act_as_the_contract_says():
    found = rows(
        """
        SELECT format('%%s.%%s %%s.%%s %%s', c.conrelid::regclass, a.attname, n.nspname, parent.relname,
            CASE c.confdeltype WHEN 'c' THEN 'cascade' WHEN 'n' THEN 'set null' WHEN 'r' THEN 'restrict'
                WHEN 'a' THEN 'no action' END)
        FROM pg_constraint c
        JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
        JOIN pg_class parent ON parent.oid = c.confrelid JOIN pg_namespace n ON n.oid = parent.relnamespace
        WHERE c.contype = 'f' AND c.conparentid = 0 AND c.connamespace::regnamespace::text = ANY(%(schemas)s)
        """,
        schemas=SCHEMAS,
    )
    assert {row[0] for row in found} == lines(FOREIGN_KEYS)


def test_every_foreign_key_column_leads_an_index():
    found = rows(
        """
        SELECT c.conrelid::regclass::text, a.attname
        FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
        WHERE c.contype = 'f' AND c.connamespace::regnamespace::text = ANY(%(schemas)s) AND NOT EXISTS (
            SELECT FROM pg_index i
            WHERE i.indrelid = c.conrelid AND i.indkey[0] = c.conkey[1] AND i.indpred IS NULL
        )
        """,
        schemas=SCHEMAS,
    )
    assert found == []


def test_keys_are_unique_as_the_contract_says():
    found = rows(
        """
        SELECT format('%%s(%%s)', i.indrelid::regclass,
            (SELECT string_agg(a.attname, ',' ORDER BY k.position)
             FROM unnest(i.indkey::int[]) WITH ORDINALITY AS k(attnum, position)
             JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum))
        FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
        WHERE i.indisunique AND i.indpred IS NULL AND NOT c.relispartition
            AND c.relnamespace::regnamespace::text = ANY(%(schemas)s)
        """,
        schemas=SCHEMAS,
    )
    assert {row[0] for row in found if not row[0].endswith("(id)")} == lines(KEYS)


@pytest.mark.parametrize("name", INDEXES)
def test_an_index_bears_the_name_that_the_bot_knows(name):
    found = rows("SELECT replace(indexdef, ' ON ONLY ', ' ON ') FROM pg_indexes WHERE indexname = %(name)s", name=name)
    assert found == [(f"CREATE INDEX {name} ON {INDEXES[name]}",)]


def test_a_fresh_database_has_the_plans_of_the_contract():
    found = rows(
        "SELECT code, name, price_month::text, features, channels_limit_one_off FROM billing.plans ORDER BY id"
    )
    free = '{"crm": false, "can_sync": false, "team_size": 1, "can_edit_channel": false}'
    pro = '{"crm": false, "can_sync": true, "team_size": 1, "can_edit_channel": true}'
    business = '{"crm": true, "can_sync": true, "team_size": 4, "can_edit_channel": true}'
    assert [(code, name, price, str(features), limit) for code, name, price, features, limit in found] == [
        ("FREE", "Free", None, free, 5),
        ("PRO", "Pro", "590.00", pro, None),
        ("BUSINESS", "Business", "1490.00", business, None),
    ]


def test_a_fresh_database_has_the_system_actor():
    found = rows("SELECT tg_user_id, username, role, is_active, login_id FROM admin.admin_users")
    assert found == [(0, "system", "support", False, None)]
