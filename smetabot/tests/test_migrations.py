import pytest
from django.core.management import call_command
from django.db import connection

from smetabot.tests import bot

pytestmark = pytest.mark.django_db(transaction=True)

APPS = ["analytics", "referrals", "billing", "core", "adminlog"]

# Which months have partitions depends on the day.
CATALOGUE = """
    SELECT array_agg(line ORDER BY line) FROM (
        SELECT concat_ws(' ', attrelid::regclass, attname, atttypid::regtype, attnotnull, attidentity) AS line
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
        WHERE relnamespace = ANY(%(ours)s::regnamespace[]) AND attnum > 0 AND NOT attisdropped
            AND NOT relispartition
        UNION ALL
        SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid))
        FROM pg_constraint WHERE connamespace = ANY(%(ours)s::regnamespace[])
            AND NOT EXISTS (SELECT FROM pg_class WHERE pg_class.oid = conrelid AND relispartition)
        UNION ALL
        SELECT pg_get_indexdef(pg_class.oid) FROM pg_class
        WHERE relkind IN ('i', 'I') AND relnamespace = ANY(%(ours)s::regnamespace[]) AND NOT relispartition
        UNION ALL
        SELECT pg_get_viewdef(oid) FROM pg_class
        WHERE relkind = 'v' AND relnamespace = ANY(%(ours)s::regnamespace[])
        UNION ALL
        SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = ANY(%(ours)s::regnamespace[])
        UNION ALL
        SELECT pg_get_triggerdef(pg_trigger.oid) FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
        WHERE NOT tgisinternal AND relnamespace = ANY(%(ours)s::regnamespace[]) AND NOT relispartition
    ) AS catalogue
"""


def catalogue():
    with connection.cursor() as cursor:
        cursor.execute(CATALOGUE, {"ours": ["core", "billing", "analytics", "referrals", "admin"]})
        return cursor.fetchone()[0]


def test_all_migrations_can_be_undone_and_done_again():
    before = catalogue()
    for app in APPS:
        call_command("migrate", app, "zero", verbosity=0)
    assert catalogue() is None
    call_command("migrate", verbosity=0)
    assert catalogue() == before


def test_migrating_again_leaves_an_operators_edits_alone():
    bot.run("UPDATE billing.plans SET price_month = 690, features = '{}' WHERE code = 'PRO'")
    call_command("migrate", verbosity=0)
    assert bot.one("SELECT (price_month, features)::text FROM billing.plans WHERE code = 'PRO'") == "(690.00,{})"


def test_what_cycles_had_counted_and_given_before_is_not_counted_and_given_again():
    call_command("migrate", "referrals", "0003", verbosity=0)
    referrer = bot.meet(1)
    bot.run("UPDATE referrals.referral_cycles SET qualified_refs_done = 3, state = 'reward_queued'")
    bot.run(
        "INSERT INTO referrals.referral_cycles (referrer_id, cycle_no, qualified_refs_done) VALUES (%s, 2, 1)", referrer
    )
    for number in range(5):
        referred = bot.meet(10 + number)
        bot.run(
            "INSERT INTO referrals.referrals (referrer_id, referred_contractor_id, created_at) VALUES (%s, %s, %s)",
            *[referrer, referred, f"2026-01-0{9 - number}T00:00Z"],
        )
        for channel in range(2):
            bot.make_channel(referred, -10 * number - channel)
    for queued_at in ("2026-01-02T00:00Z", "2026-01-01T00:00Z"):
        bot.run(
            "INSERT INTO billing.gifts_queue (contractor_id, plan_id, reason, queued_at)"
            " SELECT %s, id, 'referral_reward', %s FROM billing.plans WHERE code = 'PRO'",
            *[referrer, queued_at],
        )
    call_command("migrate", verbosity=0)
    assert bot.one(
        "SELECT array_agg(cycle.cycle_no ORDER BY referral.created_at)"
        " FROM referrals.referrals AS referral LEFT JOIN referrals.referral_cycles AS cycle ON cycle.id = cycle_id"
    ) == [1, 1, 1, 2, None]
    assert bot.one("SELECT count(*) FROM referrals.referrals WHERE qualified_at IS NULL") == 1
    gift = bot.one("SELECT gift_id FROM referrals.referral_cycles WHERE state = 'reward_queued'")
    assert bot.one("SELECT queued_at::date::text FROM billing.gifts_queue WHERE id = %s", gift) == "2026-01-01"
    assert bot.one("SELECT count(gift_id) FROM referrals.referral_cycles") == 1
