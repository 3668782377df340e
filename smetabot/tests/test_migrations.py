import pytest
from django.core.management import call_command
from django.db import connection

from smetabot.tests import bot

pytestmark = pytest.mark.django_db(transaction=True)

APPS = ["analytics", "referrals", "billing", "core", "adminlog"]

CATALOGUE = """
    SELECT array_agg(line ORDER BY line) FROM (
        SELECT concat_ws(' ', attrelid::regclass, attname, atttypid::regtype, attnotnull, attidentity) AS line
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
        WHERE relnamespace = ANY(%(ours)s::regnamespace[]) AND attnum > 0
        UNION ALL
        SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid))
        FROM pg_constraint WHERE connamespace = ANY(%(ours)s::regnamespace[])
        UNION ALL
        SELECT indexdef FROM pg_indexes WHERE schemaname = ANY(%(ours)s)
        UNION ALL
        SELECT pg_get_viewdef(oid) FROM pg_class
        WHERE relkind = 'v' AND relnamespace = ANY(%(ours)s::regnamespace[])
        UNION ALL
        SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = ANY(%(ours)s::regnamespace[])
        UNION ALL
        SELECT pg_get_triggerdef(pg_trigger.oid) FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
        WHERE NOT tgisinternal AND relnamespace = ANY(%(ours)s::regnamespace[])
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
