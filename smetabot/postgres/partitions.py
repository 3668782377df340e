"""Tables in partitions by month (in UTC), with a default one for rows whose month has none yet.

Whatever changes them takes all its locks first (see `holding`), so nobody who only writes rows gets into a deadlock.
"""

import datetime as dt
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import connection, models, transaction
from django.db.backends.utils import split_identifier

from smetabot.postgres.locks import set_patience
from smetabot.postgres.retry import retry_busy

# While one waits for a lock, whoever comes later waits too. Longer than deadlock_timeout, after which an autovacuum
# that stands in the way gives up.
PATIENCE = "2s"
# For each of several locks: all of them together are had, or given up, before anybody who waits for one of them looks
# for a deadlock.
QUICK = "100ms"
# So that a job that stands still for weeks is no reason for rows to pile up in the default partition.
MONTHS_AHEAD = 3
# The months that rows may be moved to: a wrong clock must not make partitions for thousands of years.
EARLIEST = "2000-01-01"
FARTHEST = 12


def month_of(moment: dt.datetime) -> dt.date:
    return moment.astimezone(dt.UTC).date().replace(day=1)


def shifted(month: dt.date, by: int) -> dt.date:
    years, index = divmod(month.month - 1 + by, 12)
    return dt.date(month.year + years, index + 1, 1)


@dataclass(frozen=True)
class MonthlyTable:
    """One that is partitioned by month, or is to be. `column` is a date or a timestamptz."""

    schema: str
    name: str
    column: str

    @classmethod
    def of(cls, model: type[models.Model], field: str) -> "MonthlyTable":
        schema, name = split_identifier(model._meta.db_table)
        column: str = model._meta.get_field(field).column  # type: ignore[union-attr, assignment]
        return cls(schema or "public", name, column)

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"

    def sql(self, suffix: str = "") -> str:
        return f'"{self.schema}"."{self.name}{suffix}"'

    @property
    def default(self) -> str:
        return self.sql("_default")

    def part(self, month: dt.date) -> str:
        return self.sql(f"_{month.year:04}{month.month:02}")

    def range_of(self, month: dt.date) -> str:
        """As a condition: the zone of the text is ignored where the column is a date."""
        lower, upper = bounds(month)
        return f"\"{self.column}\" >= '{lower}' AND \"{self.column}\" < '{upper}'"

    def is_partitioned(self) -> bool:
        return bool(rows("SELECT FROM pg_partitioned_table WHERE partrelid = %s::regclass", self.sql()))

    def months(self) -> list[dt.date]:
        """Those that have a partition, in order."""
        found = rows(
            """
            SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
            WHERE inhparent = %s::regclass AND relname ~ (%s || '_[0-9]{6}$')
            ORDER BY relname
            """,
            self.sql(),
            f"^{self.name}",
        )
        return [dt.datetime.strptime(name[-6:], "%Y%m").date() for (name,) in found]

    def columns(self) -> str:
        return ", ".join(
            f'"{name}"'
            for (name,) in rows(
                """
                SELECT attname FROM pg_attribute
                WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
                ORDER BY attnum
                """,
                self.sql(),
            )
        )

    def owner(self) -> str:
        [(name,)] = rows("SELECT relowner::regrole::text FROM pg_class WHERE oid = %s::regclass", self.sql())
        return name

    def referenced(self) -> list[str]:
        found = rows(
            "SELECT DISTINCT confrelid::regclass::text FROM pg_constraint"
            " WHERE conrelid = %s::regclass AND contype = 'f' ORDER BY 1",
            self.sql(),
        )
        return [name for (name,) in found]

    @retry_busy
    def make_month(self, month: dt.date) -> int | None:
        """Give the month a partition, with the rows of it that lie in the default one. Returns how many these were, or
        None if the month has its partition already.

        Not by CREATE TABLE ... PARTITION OF, which locks out whoever reads the table.
        """
        with transaction.atomic():
            self.take_turns()
        if month in self.months():
            return None
        part, in_month, columns = self.part(month), self.range_of(month), self.columns()
        later = [(self.default, "ACCESS EXCLUSIVE")]
        if rows(f"SELECT FROM {self.default} WHERE {in_month} LIMIT 1"):
            later.append((self.sql(), "ACCESS EXCLUSIVE"))
        # Writers wait from here on, readers only while the default partition is looked through at the end. The table
        # itself is among them: a row already on its way to the default partition would be refused there.
        with holding([*self.referenced(), self.sql(), self.default], "SHARE ROW EXCLUSIVE", later=later):
            if month in self.months():
                return None
            run(f"CREATE TABLE {part} (LIKE {self.sql()} INCLUDING ALL EXCLUDING IDENTITY EXCLUDING INDEXES)")
            # Else nobody but who made it could change the table any more.
            run(f"ALTER TABLE {part} OWNER TO {self.owner()}")
            # So that it need not be looked through when it is attached.
            run(f'ALTER TABLE {part} ADD CONSTRAINT in_month CHECK ("{self.column}" IS NOT NULL AND {in_month})')
            moved = run(
                f"WITH gone AS (DELETE FROM {self.default} WHERE {in_month} RETURNING {columns})"
                f" INSERT INTO {part} ({columns}) SELECT {columns} FROM gone"
            )
            # Each would else be made when it is attached, under a lock that keeps readers out.
            copy_keys(self.sql(), part, named=False)
            if moved:
                # Whoever began to read now would know only the partitions of before, and find the rows in none.
                lock(self.sql(), "ACCESS EXCLUSIVE")
            lower, upper = bounds(month)
            run(f"ALTER TABLE {self.sql()} ATTACH PARTITION {part} FOR VALUES FROM ('{lower}') TO ('{upper}')")
            run(f"ALTER TABLE {part} DROP CONSTRAINT in_month")
            return moved

    def take_turns(self) -> None:
        """With whoever else changes partitions. Bars neither readers nor writers."""
        run(f"LOCK TABLE ONLY {self.sql()} IN SHARE UPDATE EXCLUSIVE MODE")

    def waiting(self, *, now: dt.datetime) -> tuple[list[dt.date], int]:
        """Of the rows in the default partition the months, and how many rows are of none that anybody could mean: such
        as those of the year 4026, infinity and BC."""
        in_bounds = f"\"{self.column}\" >= '{EARLIEST}' AND \"{self.column}\" < '{shifted(month_of(now), FARTHEST)}'"
        found = rows(
            f"""
            SELECT CASE WHEN {in_bounds} THEN
                date_trunc('month', "{self.column}"::timestamptz AT TIME ZONE 'UTC')::date END AS month, count(*)
            FROM {self.default} GROUP BY month ORDER BY month
            """
        )
        counts = dict(found)
        return [month for month in counts if month], counts.get(None, 0)

    def months_ahead(self, *, now: dt.datetime) -> list[dt.date]:
        """This one, too."""
        return [shifted(month_of(now), by) for by in range(MONTHS_AHEAD + 1)]


def bounds(month: dt.date) -> tuple[str, str]:
    return f"{month} 00:00:00+00", f"{shifted(month, 1)} 00:00:00+00"


@contextmanager
def holding(
    tables: Iterable[str],
    mode: str,
    *,
    and_then: Iterable[tuple[str, str]] = (),
    later: Iterable[tuple[str, str]] = (),
) -> Iterator[None]:
    """A transaction that begins with locks on the tables, in this order: referenced ones first, as a deletion takes
    them whose foreign keys cascade. `and_then` are tables with modes of their own, `later` those that the transaction
    takes itself: who stands in their way for long is to be met before anybody is barred."""
    wanted = [*((table, mode) for table in tables), *and_then]
    # One by one they can be waited for: who holds nothing gets into no deadlock, and an autovacuum makes way.
    for table, its_mode in [*later, *wanted]:
        with transaction.atomic():
            set_patience(PATIENCE)
            lock(table, its_mode)
    with transaction.atomic():
        set_patience(QUICK)
        for table, its_mode in wanted:
            lock(table, its_mode)
        yield


def lock(table: str, mode: str) -> None:
    """Of a table that one may not write the schema's own function takes it: PostgreSQL asks for that right first."""
    [(may_lock,)] = rows("SELECT has_table_privilege(%s, 'UPDATE, DELETE, TRUNCATE')", table)
    if may_lock:
        run(f"LOCK TABLE ONLY {table} IN {mode} MODE")
    else:
        run(f"SELECT {table.partition('.')[0]}.hold_table('{table}', '{mode}')")


def constraints_of(table: str, types: str) -> list[tuple[str, str]]:
    return rows(
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE conrelid = %s::regclass AND contype::text = ANY(%s) ORDER BY contype DESC, conname",
        *[table, list(types)],
    )


def copy_keys(source: str, target: str, *, named: bool) -> None:
    """Primary key, unique constraints and indexes. `named` takes them over as they were called before, and foreign keys
    with them.

    Not those of a partition: one that comes with its own locks out the readers of the tables that it refers to, and
    checking them when it is attached takes no longer.
    """

    def name(of: str) -> str:
        return f'"{of.removesuffix("_default")}"' if named else ""

    for constraint, definition in constraints_of(source, "puf" if named else "pu"):
        prefix = f"CONSTRAINT {name(constraint)} " if named else ""
        run(f"ALTER TABLE {target} ADD {prefix}{definition}")
    for index, unique, definition in rows(
        """
        SELECT relname, indisunique, pg_get_indexdef(indexrelid)
        FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
        WHERE indrelid = %s::regclass
            AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype <> 'f')
        ORDER BY relname
        """,
        source,
    ):
        kind, how = "UNIQUE INDEX" if unique else "INDEX", definition.partition(" USING ")[2]
        run(f"CREATE {kind} {name(index)} ON {target} USING {how}")


def run(sql: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.rowcount


def rows(sql: str, *params: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall()
