"""What a distributed PostgreSQL (Citus) would ask of this schema, read from the catalogue.

Citus keeps the rows of one contractor on one server, if every table has the contractor in a column of its own. It
enforces a unique key only if that column is in it, and a foreign key only if the column is in it on both sides or the
other table is on every server. It does not distribute a table that has triggers. `python -m cluster.distribution`
writes the table in docs/scaling.md.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import django
from django.db import connection

from testbed.documents import write_section

HEADING = "What Citus would ask of this schema"
DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "scaling.md"
INTRO = """
Read from the catalogue, and compared with it by `make test`. Distributed by contractor, with all that they refer to,
{ready} of {all} tables could be as they stand. What stands in one of the last three columns would have to be changed
first, and a table whose contractor is found only by way of another one needs a column for it.
"""
SCHEMAS = ["core", "billing", "analytics", "referrals", "admin"]
ROOT = "core.contractors"
# Small, and the same for all: a copy on every server.
REFERENCE = {"billing.plans"}

TABLES = """
    SELECT oid, relnamespace::regnamespace || '.' || relname,
        (SELECT attname FROM pg_attribute WHERE attrelid = pg_class.oid AND attname = 'contractor_id')
    FROM pg_class
    WHERE relkind IN ('r', 'p') AND NOT relispartition AND relnamespace::regnamespace::text = ANY(%s)
    ORDER BY array_position(%s, relnamespace::regnamespace::text), relname
"""
COLUMNS = "array(SELECT attname::text FROM unnest({key}) WITH ORDINALITY AS k (n, place) JOIN pg_attribute"
COLUMNS += " ON attrelid = {table} AND attnum = n ORDER BY place)"
FOREIGN_KEYS = f"""
    SELECT {COLUMNS.format(key="conkey", table="conrelid")},
        (SELECT relnamespace::regnamespace || '.' || relname FROM pg_class WHERE oid = confrelid),
        {COLUMNS.format(key="confkey", table="confrelid")}
    FROM pg_constraint WHERE contype = 'f' AND conparentid = 0 AND conrelid = %s ORDER BY 1, confrelid::regclass::text
"""
UNIQUE_KEYS = f"""
    SELECT {COLUMNS.format(key="indkey::int2[]", table="indrelid")} AS key
    FROM pg_index WHERE indisunique AND indrelid = %s ORDER BY NOT indisprimary, key
"""
TRIGGERS = "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = %s"
VIEWS = """
    SELECT relnamespace::regnamespace || '.' || relname FROM pg_class
    WHERE relkind = 'v' AND relnamespace::regnamespace::text = ANY(%s) ORDER BY 1
"""


@dataclass
class Table:
    name: str
    triggers: int
    unique: list[list[str]]
    # Own columns, the other table, its columns.
    foreign: list[tuple[list[str], str, list[str]]]
    # How it is the contractor's: a column of its own, or the way to the table that has one.
    column: str | None = None
    way: str = ""


def read(cursor: Any) -> dict[str, Table]:
    tables = {}
    for oid, name, column in rows(cursor, TABLES, SCHEMAS, SCHEMAS):
        foreign = rows(cursor, FOREIGN_KEYS, oid)
        unique = [key for (key,) in rows(cursor, UNIQUE_KEYS, oid)]
        tables[name] = Table(name, rows(cursor, TRIGGERS, oid)[0][0], unique, foreign, column)
    for table in tables.values():
        find_contractor(table, tables)
    return tables


def rows(cursor: Any, sql: str, *parameters: Any) -> list[Any]:
    cursor.execute(sql, parameters)
    return cursor.fetchall()


def find_contractor(table: Table, tables: dict[str, Table]) -> None:
    if table.name == ROOT:
        table.column = "id"
        return
    direct = sorted(own[0] for own, to, _ in table.foreign if to == ROOT)
    if direct:
        # Whose a referral or a member is: the referrer's, the owner's.
        table.column = min(direct, key=lambda column: ("referred" in column or "member" in column, column))
        return
    for own, to, _ in table.foreign:
        if leads_to_contractor(to, tables):
            table.way = f"{own[0]} → {to}"
            return


def leads_to_contractor(name: str, tables: dict[str, Table]) -> bool:
    others = {to for _, to, _ in tables[name].foreign if to != name} if name in tables else set()
    return ROOT in others or any(leads_to_contractor(other, tables) for other in others)


def keys_without(table: Table) -> Iterator[str]:
    """Unique keys that could not be enforced as they stand."""
    for key in table.unique:
        if table.column not in key:
            yield ", ".join(key)


def links_without(table: Table, tables: dict[str, Table]) -> Iterator[str]:
    """Foreign keys that could not, either."""
    for own, to, their in table.foreign:
        if to in REFERENCE:
            continue
        theirs = tables[to].column if to in tables else None
        if not any(mine == table.column and other == theirs for mine, other in zip(own, their, strict=True)):
            yield f"{', '.join(own)} → {to}"


def is_ready(table: Table, tables: dict[str, Table]) -> bool:
    """With all that it refers to."""
    if table.name in REFERENCE:
        return True
    if table.column is None or table.triggers or [*keys_without(table), *links_without(table, tables)]:
        return False
    return all(is_ready(tables[to], tables) for _, to, _ in table.foreign if to != table.name)


def kind(table: Table) -> str:
    if table.name in REFERENCE:
        return "on every server"
    if table.column:
        return f"`{table.column}`"
    return f"none: {table.way}" if table.way else "none"


def text(cursor: Any) -> str:
    tables = read(cursor)
    distributed = [table for table in tables.values() if table.name not in REFERENCE]
    ready = [table.name for table in distributed if is_ready(table, tables)]
    lines = [
        INTRO.format(ready=len(ready) or "none", all=len(distributed)).strip(),
        "",
        "| table | column of the contractor | unique keys without it | foreign keys that do not go along | triggers |",
        "|---|---|---|---|---|",
    ]
    for table in tables.values():
        is_copied = table.name in REFERENCE
        keys = [] if is_copied else [f"({key})" for key in keys_without(table)]
        links = [] if is_copied else list(links_without(table, tables))
        cells = [table.name, kind(table), ", ".join(keys), ", ".join(links), str(table.triggers or "")]
        lines.append(f"| {' | '.join(cell or '–' for cell in cells)} |")
    views = [name for (name,) in rows(cursor, VIEWS, SCHEMAS)]
    lines += ["", f"Views that join them: {', '.join(views)}."]
    return "\n".join(lines)


def main() -> None:
    with connection.cursor() as cursor:
        write_section(DOCUMENT, HEADING, text(cursor))


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smetabot.settings")
    django.setup()
    main()
