"""What fills a size's database."""

import hashlib
import time
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection

from adminlog.models import AdminUser
from analytics.models import Event, ViewsDaily
from bench.data import tables
from bench.sizes import FIRST, LAST, Size
from smetabot.postgres.partitions import MonthlyTable, shifted
from testbed.console import say
from testbed.databases import plain, unhindered

LOGIN = "bench"


def fingerprint(size: Size) -> str:
    """Of what the rows and their tables are made by."""
    digest = hashlib.sha256(repr(size).encode())
    sources = [Path(__file__), *(Path(__file__).with_name(name) for name in ("data.py", "sizes.py"))]
    for app in apps.get_app_configs():
        if Path(app.path).is_relative_to(settings.BASE_DIR):
            sources += sorted(Path(app.path, "migrations").glob("*.*"))
    for source in sources:
        if source.suffix in (".py", ".sql"):
            digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def fill(size: Size) -> None:
    start = time.perf_counter()
    say(f"making the database {connection.settings_dict['NAME']}: {size}")
    call_command("migrate", verbosity=0)
    make_months()
    with plain() as source, unhindered() as target:
        source.execute("SET work_mem = '256MB'")
        target.execute("SET maintenance_work_mem = '256MB'")
        for table, columns, query in tables(size):
            began = time.perf_counter()
            copy(source, target, table, columns, query)
            say(f"  {table}: {time.perf_counter() - began:.1f} s")
        set_sequences(target)
        target.execute("VACUUM (ANALYZE)")
    make_login()
    say(f"made in {time.perf_counter() - start:.0f} s")


def copy(source: Any, target: Any, table: str, columns: str, query: str) -> None:
    indexes = target.execute(PLAIN_INDEXES, [table]).fetchall()
    for name, _ in indexes:
        target.execute(f"DROP INDEX {name}")
    with (
        source.cursor().copy(f"COPY ({query}) TO STDOUT") as rows,
        target.cursor().copy(f"COPY {table} ({columns}) FROM STDIN") as into,
    ):
        block = bytearray()
        for row in rows:
            block += row
            if len(block) > 1 << 18:
                into.write(bytes(block))
                block.clear()
        into.write(bytes(block))
    for _, definition in indexes:
        target.execute(definition)
    target.execute(f"ANALYZE {table}")


# Those that nothing depends on: made afterwards they take half the time. Of a partitioned table also its partitions'.
PLAIN_INDEXES = """
    SELECT indexrelid::regclass::text, replace(pg_get_indexdef(indexrelid), ' ON ONLY ', ' ON ')
    FROM pg_index
    WHERE indrelid = %s::regclass AND NOT indisunique
        AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = indexrelid)
"""


def set_sequences(target: Any) -> None:
    columns = target.execute("""
        SELECT table_schema || '.' || table_name, column_name
        FROM information_schema.columns
        WHERE is_identity = 'YES' AND table_schema IN ('core', 'billing', 'referrals', 'analytics')
    """).fetchall()
    for table, column in columns:
        sequence = target.execute("SELECT pg_get_serial_sequence(%s, %s)", [table, column]).fetchone()[0]
        if sequence:
            target.execute(f"SELECT setval(%s, 1 + coalesce(max({column}), 0)) FROM {table}", [sequence])


def make_months() -> None:
    """Those of the data: else all of it would lie in the default partitions."""
    month = FIRST.replace(day=1)
    while month <= LAST:
        MonthlyTable.of(Event, "created_at").make_month(month)
        MonthlyTable.of(ViewsDaily, "collected_at").make_month(month)
        month = shifted(month, 1)


def make_login() -> None:
    login = User.objects.create_user(LOGIN, is_staff=True, is_superuser=True)
    AdminUser.objects.create(login=login, username=LOGIN, tg_user_id=1, role=AdminUser.Role.OWNER)
