"""The rules hold for a program that writes plain SQL and knows nothing of Django."""

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from smetabot.tests import bot

pytestmark = pytest.mark.django_db

TABLES_OF_A_CONTRACTOR = [
    "core.contractors",
    "core.channels",
    "core.publications",
    "core.invites",
    "core.clients",
    "core.team_members",
    "billing.subscriptions",
    "billing.subscription_history",
    "billing.usage_counters",
    "billing.gifts_queue",
    "analytics.views_daily",
    "analytics.channel_stats",
    "referrals.referral_links",
    "referrals.referrals",
    "referrals.referral_cycles",
]


@pytest.fixture
def contractor():
    """One with a row in every table that hangs on a contractor."""
    contractor, other = bot.meet(101), bot.meet(102)
    channel = bot.make_channel(contractor, -1001)
    invite = bot.invite(channel, "token", max_uses=5)
    bot.let_in(channel, invite, 201)
    publication = bot.publish(channel, 1, views=7)
    pro = bot.one("SELECT id FROM billing.plans WHERE code = 'PRO'")
    gift = bot.one(
        "INSERT INTO billing.gifts_queue (contractor_id, plan_id, reason) VALUES (%s, %s, 'admin_grant') RETURNING id",
        contractor,
        pro,
    )
    bot.run(
        "INSERT INTO billing.subscription_history (contractor_id, plan_id, status, source, gift_id)"
        " VALUES (%s, %s, 'active', 'gift', %s)",
        contractor,
        pro,
        gift,
    )
    bot.run("INSERT INTO analytics.views_daily VALUES (%s, '2026-01-31', 7)", publication)
    bot.run("INSERT INTO analytics.channel_stats (channel_id) VALUES (%s)", channel)
    for table in ("core.team_members (owner_contractor_id, member_contractor_id)",
                  "referrals.referrals (referrer_id, referred_contractor_id)"):  # fmt: skip
        bot.run(f"INSERT INTO {table} VALUES (%s, %s)", contractor, other)
    return contractor


def refused(sql, *params):
    """The database's message. What the test itself has left to check is checked before."""
    connection.check_constraints()
    with pytest.raises(DatabaseError) as caught, transaction.atomic():
        bot.run(sql, *params)
        connection.check_constraints()
    return str(caught.value)


def test_the_bots_own_statements_leave_valid_rows(contractor):
    found = bot.one(
        """
        SELECT to_jsonb(row) FROM (
            SELECT c.status AS contractor, s.source, s.starts_at = c.created_at AS together, u.channels_created_total,
                ch.created_by_bot, ch.synced, p.views, p.deleted, i.used_count, i.editable, cl.blocked,
                r.qualified_refs_required, r.qualified_refs_done, r.state
            FROM core.contractors c
            JOIN billing.subscriptions s ON s.contractor_id = c.id
            JOIN billing.usage_counters u ON u.contractor_id = c.id
            JOIN core.channels ch ON ch.contractor_id = c.id
            JOIN core.publications p ON p.channel_id = ch.id
            JOIN core.invites i ON i.channel_id = ch.id
            JOIN core.clients cl ON cl.invite_id = i.id
            JOIN referrals.referral_cycles r ON r.referrer_id = c.id
            WHERE c.id = %s
        ) row
        """,
        contractor,
    )
    assert found == (
        '{"state": "in_progress", "views": 7, "source": "paid", "synced": false, "blocked": false, "deleted": false, '
        '"editable": true, "together": true, "contractor": "active", "used_count": 1, "created_by_bot": true, '
        '"qualified_refs_done": 0, "channels_created_total": 1, "qualified_refs_required": 3}'
    )


@pytest.mark.parametrize("table", TABLES_OF_A_CONTRACTOR)
def test_deleting_a_contractor_takes_its_rows_along(contractor, table):
    before = bot.one(f"SELECT count(*) FROM {table}")
    bot.run("DELETE FROM core.contractors WHERE id = %s", contractor)
    connection.check_constraints()
    of_the_other = {"core.contractors", "billing.subscriptions", "billing.subscription_history",
                    "billing.usage_counters", "referrals.referral_links", "referrals.referral_cycles"}  # fmt: skip
    assert before > 0
    assert bot.one(f"SELECT count(*) FROM {table}") == (1 if table in of_the_other else 0)


def test_an_event_outlives_its_channel_and_client(contractor):
    bot.run("DELETE FROM core.channels")
    assert bot.one("SELECT array_agg(array[channel_id, client_id]) FROM analytics.events") == [[None, None]]


def test_a_client_outlives_their_invite(contractor):
    bot.run("DELETE FROM core.invites")
    assert bot.one("SELECT count(*) FROM core.clients WHERE invite_id IS NULL") == 1


def test_a_plan_in_use_cannot_be_deleted(contractor):
    assert 'foreign key constraint "subscriptions_plan_id' in refused("DELETE FROM billing.plans WHERE code = 'FREE'")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE billing.subscription_history SET status = 'expired'",
        "DELETE FROM billing.subscription_history",
        "TRUNCATE billing.subscription_history",
        "TRUNCATE core.contractors CASCADE",
    ],
)
def test_subscription_history_is_append_only(contractor, statement):
    assert "billing.subscription_history is append-only" in refused(statement)


def test_an_applied_gift_cannot_be_deleted_from_under_its_history(contractor):
    assert "billing.subscription_history is append-only: DELETE is refused" in refused(
        "DELETE FROM billing.gifts_queue"
    )


@pytest.mark.parametrize(
    "statement",
    ["UPDATE admin.admin_actions SET action = 'x'", "DELETE FROM admin.admin_actions", "TRUNCATE admin.admin_actions"],
)
def test_the_journal_is_append_only(statement):
    bot.run("INSERT INTO admin.admin_actions (admin_id, action) SELECT id, 'gift.queued' FROM admin.admin_users")
    assert "admin.admin_actions is append-only" in refused(statement)


def test_a_member_of_staff_with_a_journal_cannot_be_deleted():
    bot.run("INSERT INTO admin.admin_actions (admin_id, action) SELECT id, 'gift.queued' FROM admin.admin_users")
    assert "foreign key constraint" in refused("DELETE FROM admin.admin_users")


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("UPDATE core.contractors SET status = 'deleted'", "contractors_status_valid"),
        ("UPDATE core.publications SET views = -1", "publications_views_not_negative"),
        ("UPDATE core.invites SET used_count = -1", "invites_used_count_not_negative"),
        ("UPDATE core.invites SET max_uses = 0", "invites_max_uses_positive"),
        ("UPDATE core.team_members SET member_contractor_id = owner_contractor_id", "team_members_not_oneself"),
        ("UPDATE billing.plans SET code = 'GOLD'", "plans_code_valid"),
        ("UPDATE billing.subscriptions SET status = 'paused'", "subscription_status_valid"),
        ("UPDATE billing.subscriptions SET source = 'referral_reward'", "subscription_source_valid"),
        ("UPDATE billing.subscriptions SET expires_at = starts_at", "subscription_ends_after_start"),
        ("UPDATE billing.usage_counters SET channels_created_total = -1", "usage_counters_channels_not_negative"),
        ("UPDATE billing.gifts_queue SET days = 0", "gifts_queue_days_positive"),
        ("UPDATE billing.gifts_queue SET reason = 'gift'", "gifts_queue_reason_valid"),
        ("UPDATE analytics.views_daily SET views = -1", "views_daily_views_not_negative"),
        ("UPDATE analytics.channel_stats SET files_count = -1", "channel_stats_not_negative"),
        ("UPDATE analytics.channel_stats SET views_total = -1", "channel_stats_not_negative"),
        ("UPDATE analytics.channel_stats SET clients_total = -1", "channel_stats_not_negative"),
        ("UPDATE analytics.channel_stats SET blocked_total = -1", "channel_stats_not_negative"),
        ("UPDATE analytics.events SET event_type = 'joined'", "events_event_type_valid"),
        ("UPDATE referrals.referrals SET referred_contractor_id = referrer_id", "referrals_not_oneself"),
        ("UPDATE referrals.referral_links SET token = ''", "referral_links_token_is_start_payload"),
        ("UPDATE referrals.referral_links SET token = 'a b'", "referral_links_token_is_start_payload"),
        ("UPDATE referrals.referral_links SET token = E'ab\\n'", "referral_links_token_is_start_payload"),
        ("UPDATE referrals.referral_links SET token = repeat('a', 65)", "referral_links_token_is_start_payload"),
        ("UPDATE referrals.referral_cycles SET state = 'done'", "referral_cycles_state_valid"),
        ("UPDATE referrals.referral_cycles SET qualified_refs_done = 4", "referral_cycles_done_within_required"),
        ("UPDATE referrals.referral_cycles SET qualified_refs_done = -1", "referral_cycles_done_within_required"),
        ("UPDATE admin.admin_users SET role = 'root'", "admin_users_role_valid"),
    ],
)
def test_a_check_refuses_what_the_contract_rules_out(contractor, statement, constraint):
    assert f'violates check constraint "{constraint}"' in refused(statement)


@pytest.mark.parametrize(
    ("columns", "constraint"),
    [
        ("plan_id, status, source) SELECT id, 'paused', 'paid'", "subscriptionhistory_status_valid"),
        ("plan_id, status, source) SELECT id, 'active', 'bonus'", "subscriptionhistory_source_valid"),
        (
            "plan_id, status, source, starts_at, expires_at) SELECT id, 'active', 'paid', now(), now()",
            "subscriptionhistory_ends_after_start",
        ),
    ],
)
def test_history_is_under_the_same_checks_as_subscriptions(contractor, columns, constraint):
    statement = f"INSERT INTO billing.subscription_history (contractor_id, {columns.replace('SELECT', 'SELECT %s,')}"
    assert constraint in refused(statement + " FROM billing.plans", contractor)


def test_every_combination_that_the_checks_allow_is_accepted(contractor):
    bot.run("UPDATE billing.subscriptions SET status = 'grace', expires_at = NULL")
    bot.run("UPDATE billing.subscriptions SET status = 'cancelled', source = 'trial', expires_at = NULL")
    bot.run("UPDATE billing.subscriptions SET status = 'expired', source = 'admin_grant', expires_at = 'infinity'")
    bot.run("UPDATE core.invites SET used_count = 100, max_uses = 5")


def test_two_clients_of_a_channel_may_be_unknown_to_telegram(contractor):
    channel = bot.one("SELECT id FROM core.channels")
    bot.run("INSERT INTO core.clients (channel_id) VALUES (%s), (%s)", channel, channel)


def test_a_contractor_is_brought_by_one_referrer_only(contractor):
    third = bot.meet(103)
    other = bot.one("SELECT referred_contractor_id FROM referrals.referrals")
    with pytest.raises(IntegrityError, match="referrals_referred_contractor_id_key"):
        bot.run("INSERT INTO referrals.referrals (referrer_id, referred_contractor_id) VALUES (%s, %s)", third, other)


def test_a_gift_has_one_history_row_at_most(contractor):
    with pytest.raises(IntegrityError, match="subscription_history_gift_id_key"):
        bot.run(
            "INSERT INTO billing.subscription_history (contractor_id, plan_id, status, source, gift_id)"
            " SELECT contractor_id, plan_id, 'active', 'gift', id FROM billing.gifts_queue"
        )


@pytest.mark.parametrize(
    ("status", "ends", "live"),
    [
        ("active", None, True),
        ("active", "1 hour", True),
        ("active", "0", False),
        ("active", "-1 hour", False),
        ("trial", None, True),
        ("trial", "-1 hour", False),
        ("grace", "1 hour", True),
        ("grace", "-1 hour", False),
        ("cancelled", "1 hour", True),
        ("cancelled", "0", False),
        ("cancelled", None, False),
        ("expired", "1 hour", False),
        ("expired", None, False),
        (None, "1 hour", False),
    ],
)
def test_live_is_what_the_contract_says(status, ends, live):
    assert bot.one("SELECT billing.is_live(%s, now() + %s::interval, now())", status, ends) is live


def test_the_planner_sees_through_is_live():
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN SELECT FROM billing.subscriptions WHERE billing.is_live(status, expires_at, now())")
        plan = " ".join(line for (line,) in cursor.fetchall())
    assert "is_live" not in plan


def test_a_counted_referral_stays_with_the_referrer_whose_cycle_counted_it(contractor):
    other = bot.meet(900)
    cycle = bot.one("SELECT id FROM referrals.referral_cycles WHERE referrer_id = %s", contractor)
    referred = bot.meet(901)
    bot.run(
        "INSERT INTO referrals.referrals (referrer_id, referred_contractor_id, cycle_id) VALUES (%s, %s, %s)",
        *[contractor, referred, cycle],
    )
    message = refused("UPDATE referrals.referrals SET referrer_id = %s WHERE cycle_id IS NOT NULL", other)
    assert "referrals_counted_by_own_referrer" in message
