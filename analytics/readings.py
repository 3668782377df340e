"""Readings of views come in, whoever collects them: each is the total of a publication at its time."""

import datetime as dt
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, NamedTuple

import tenacity
from django.conf import settings
from django.core.management import CommandError
from django.db import Error, OperationalError, connection, transaction
from psycopg.errors import DeadlockDetected
from tqdm import tqdm

from adminlog.jobs import JobCommand, Report
from smetabot.postgres.locks import is_busy, set_patience

# What views_daily.views holds.
MOST_VIEWS = 2**31 - 1
# Readings a transaction, so that the bot waits for a row for less than a second.
BATCH = 5_000

STAGE = """
    CREATE TEMP TABLE staged_readings
        (line bigint, tg_chat_id bigint, message_id bigint, views integer, read_at timestamptz)
"""
COPY = "COPY staged_readings (line, tg_chat_id, message_id, views, read_at) FROM STDIN"

# By rank, all readings of a publication are in one batch.
RESOLVE = """
    CREATE TEMP TABLE sorted_readings AS
    SELECT reading.*, publication.id AS publication_id,
        (rank() OVER (ORDER BY publication.id) - 1) / {size} AS batch
    FROM staged_readings AS reading
    LEFT JOIN core.channels AS channel USING (tg_chat_id)
    LEFT JOIN core.publications AS publication
        ON publication.channel_id = channel.id AND publication.message_id = reading.message_id
"""
INDEX = "CREATE INDEX ON sorted_readings (batch) WHERE publication_id IS NOT NULL"
DROP = "DROP TABLE IF EXISTS pg_temp.staged_readings, pg_temp.sorted_readings"

UNKNOWN = """
    SELECT line, tg_chat_id, message_id, views, read_at
    FROM sorted_readings WHERE publication_id IS NULL ORDER BY line
"""
SIZES = """
    SELECT batch, count(*) FROM sorted_readings WHERE publication_id IS NOT NULL GROUP BY batch ORDER BY batch
"""

# No two write daily views at the same time, aggregate_stats neither: each compares with what the other has written.
TAKE_TURNS = "SELECT pg_advisory_xact_lock('analytics.channel_stats'::regclass::oid::bigint)"

# A batch is a small part of large tables, which is more than the planner can know.
LOOK_UP = "SET LOCAL enable_seqscan = off"

# A total that aggregate_stats wrote over the day's last reading is of an unknown time: it is neither earlier nor later
# than another reading of that day, so the day keeps the greater of both, and it is with the last reading that this one
# is compared. Within a batch a reading is held against those before it that are in, and not against suspect ones. What
# is suspect once stays so: the total that it is above may have grown since, by the same file.
MERGE = """
    WITH held AS (
        SELECT publication.id
        FROM (
            SELECT DISTINCT publication_id FROM sorted_readings
            WHERE batch = %(batch)s::bigint AND publication_id IS NOT NULL ORDER BY publication_id
        ) AS wanted
        CROSS JOIN LATERAL (
            SELECT id FROM core.publications WHERE id = wanted.publication_id FOR NO KEY UPDATE
        ) AS publication
    ), reading AS (
        SELECT DISTINCT publication_id, tg_chat_id, message_id, read_at, views,
            (read_at AT TIME ZONE %(zone)s::text)::date AS day
        FROM sorted_readings JOIN held ON held.id = publication_id
        WHERE batch = %(batch)s::bigint
    ), compared AS (
        SELECT reading.*, same.read_views AS same_views, same.read_at AS same_at,
            earlier.views AS earlier_views, earlier.collected_at AS earlier_day,
            CASE WHEN earlier.views = earlier.read_views THEN earlier.read_at END AS earlier_at,
            later.views AS later_views, later.collected_at AS later_day,
            CASE WHEN later.views = later.read_views THEN later.read_at END AS later_at,
            kept.against_views AS kept_views, kept.against_day AS kept_day, kept.against_at AS kept_at,
            kept.id IS NULL
                AND coalesce(reading.views >= earlier.views, true) AND coalesce(reading.views <= later.views, true)
                AND coalesce(CASE
                    WHEN same.read_at <= reading.read_at THEN reading.views >= same.read_views
                    WHEN same.read_at > reading.read_at THEN reading.views <= same.read_views
                END, true) AS fits
        FROM reading
        LEFT JOIN LATERAL (
            SELECT read_views, read_at FROM analytics.views_daily
            WHERE publication_id = reading.publication_id AND collected_at = reading.day LIMIT 1
        ) AS same ON true
        LEFT JOIN LATERAL (
            SELECT views, collected_at, read_views, read_at FROM analytics.views_daily
            WHERE publication_id = reading.publication_id AND collected_at < reading.day
            ORDER BY collected_at DESC LIMIT 1
        ) AS earlier ON true
        LEFT JOIN LATERAL (
            SELECT views, collected_at, read_views, read_at FROM analytics.views_daily
            WHERE publication_id = reading.publication_id AND collected_at > reading.day
            ORDER BY collected_at LIMIT 1
        ) AS later ON true
        LEFT JOIN analytics.suspect_readings AS kept
            ON kept.publication_id = reading.publication_id
            AND kept.read_at = reading.read_at AND kept.views = reading.views
    ), ordered AS (
        SELECT *, max(views) FILTER (WHERE fits) OVER so_far AS peak
        FROM compared
        WINDOW so_far AS (
            PARTITION BY publication_id ORDER BY read_at, views DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        )
    ), judged AS (
        SELECT *, fits AND coalesce(views >= peak, true) AS taken,
            max(read_at) FILTER (WHERE fits AND coalesce(views >= peak, true)) OVER so_far AS peak_at
        FROM ordered
        WINDOW so_far AS (
            PARTITION BY publication_id ORDER BY read_at, views DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        )
    ), raised AS (
        UPDATE core.publications AS publication SET views = greatest(publication.views, top.views)
        FROM (
            SELECT publication_id, max(views) AS views FROM judged WHERE taken GROUP BY publication_id
        ) AS top
        WHERE publication.id = top.publication_id AND publication.views < top.views
        RETURNING 1
    ), written AS (
        INSERT INTO analytics.views_daily AS daily (publication_id, collected_at, views, read_views, read_at)
        SELECT DISTINCT ON (publication_id, day) publication_id, day, views, views, read_at
        FROM judged WHERE taken
        ORDER BY publication_id, day, read_at DESC, views DESC
        ON CONFLICT (publication_id, collected_at) DO UPDATE
        SET views = greatest(daily.views, excluded.views), read_views = excluded.views, read_at = excluded.read_at
        WHERE daily.read_at IS NULL OR (excluded.read_at, excluded.views) > (daily.read_at, daily.read_views)
        RETURNING 1
    ), suspect AS (
        SELECT publication_id, tg_chat_id, message_id, judged.views, read_at,
            against.views AS against_views, against.day AS against_day, against.at AS against_at
        FROM judged
        CROSS JOIN LATERAL (
            SELECT * FROM (VALUES
                (1, peak, (peak_at AT TIME ZONE %(zone)s::text)::date, peak_at, judged.views < peak),
                (2, same_views, judged.day, same_at,
                    CASE WHEN same_at <= read_at THEN judged.views < same_views
                        WHEN same_at > read_at THEN judged.views > same_views END),
                (3, earlier_views, earlier_day, earlier_at, judged.views < earlier_views),
                (4, later_views, later_day, later_at, judged.views > later_views),
                (5, kept_views, kept_day, kept_at, kept_views IS NOT NULL)
            ) AS known (rank, views, day, at, contradicts)
            WHERE contradicts ORDER BY rank LIMIT 1
        ) AS against
        WHERE NOT taken
    ), kept_aside AS (
        INSERT INTO analytics.suspect_readings
            (publication_id, read_at, views, against_views, against_day, against_at, source)
        SELECT publication_id, read_at, views, against_views, against_day, against_at, %(source)s::text
        FROM suspect
        ON CONFLICT DO NOTHING
    )
    SELECT (SELECT count(*) FROM raised), (SELECT count(*) FROM written),
        suspect.tg_chat_id, suspect.message_id, suspect.views, suspect.read_at,
        suspect.against_views, suspect.against_day, suspect.against_at
    FROM (VALUES (true)) AS always LEFT JOIN suspect ON true
    ORDER BY tg_chat_id, message_id, read_at, views DESC
"""


class Reading(NamedTuple):
    # Of a file; else 0.
    line: int
    tg_chat_id: int
    message_id: int
    views: int
    read_at: dt.datetime


class Suspect(NamedTuple):
    tg_chat_id: int
    message_id: int
    views: int
    read_at: dt.datetime
    against_views: int
    against_day: dt.date
    against_at: dt.datetime | None

    def __str__(self) -> str:
        side = "below" if self.views < self.against_views else "above"
        against = self.against_at.isoformat() if self.against_at else f"{self.against_day}"
        return (
            f"channel {self.tg_chat_id}, message {self.message_id}: {self.views} views at {self.read_at.isoformat()}"
            f" is suspect, {side} {self.against_views} of {against}; kept aside"
        )


def _is_contended(error: BaseException) -> bool:
    contended = isinstance(error, OperationalError) and (
        is_busy(error) or isinstance(error.__cause__, DeadlockDetected)
    )
    return contended and not connection.needs_rollback


# Not when the connection is lost: what was staged is gone with it.
retry_contended = tenacity.retry(
    retry=tenacity.retry_if_exception(_is_contended),
    stop=tenacity.stop_after_attempt(5),
    wait=tenacity.wait_exponential_jitter(multiplier=0.2, max=5, jitter=0.2),
    reraise=True,
)


@dataclass
class Intake:
    """Takes readings in, judged in the order of their time. `unknown` is told of those whose publication there is not,
    `suspect` of those that cannot be, `merged` how many of how many are in."""

    # Where they are from.
    source: str
    unknown: Callable[[Reading], None]
    suspect: Callable[[Suspect], None]
    merged: Callable[[int, int], None] = lambda done, of: None
    # Else each batch is taken back at its end, and holds its rows no longer than if it were kept.
    lasting: bool = True
    counts: Counter[str] = field(
        default_factory=lambda: Counter(readings=0, unknown=0, suspects=0, publications=0, daily_views=0),
    )

    def take(self, readings: Iterable[Reading]) -> None:
        try:
            self._stage(readings)
            for unknown in self._unknown():
                self.counts["unknown"] += 1
                self.unknown(unknown)
            self._merge()
        finally:
            with suppress(Error), connection.cursor() as cursor:
                cursor.execute(DROP)

    def _stage(self, readings: Iterable[Reading]) -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(STAGE)
            with connection.wrap_database_errors, cursor.copy(COPY) as copy:
                for reading in readings:
                    copy.write_row(reading)
            cursor.execute("ANALYZE staged_readings")
            cursor.execute(RESOLVE.format(size=BATCH))
            cursor.execute(INDEX)
            cursor.execute("ANALYZE sorted_readings")

    def _unknown(self) -> Iterator[Reading]:
        # It is at the server that they wait: all may be unknown.
        with connection.chunked_cursor() as cursor:
            cursor.execute(UNKNOWN)
            for rows in iter(lambda: cursor.fetchmany(2000), []):
                yield from map(Reading._make, rows)

    def _merge(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(SIZES)
            sizes = cursor.fetchall()
        done, of = 0, sum(size for _batch, size in sizes)
        for batch, size in sizes:
            raised, days, suspects = self._merge_batch(batch)
            self.counts.update(readings=size, publications=raised, daily_views=days, suspects=len(suspects))
            for suspect in suspects:
                self.suspect(suspect)
            done += size
            self.merged(done, of)

    @retry_contended
    def _merge_batch(self, batch: int) -> tuple[int, int, list[Suspect]]:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(TAKE_TURNS)
            # Who hangs with a row of one publication must not hang all that are held here.
            set_patience("2s")
            cursor.execute(LOOK_UP)
            cursor.execute(MERGE, {"batch": batch, "zone": str(settings.DAY_ZONE), "source": self.source})
            rows = cursor.fetchall()
            if not self.lasting:
                transaction.set_rollback(True)
        raised, days = rows[0][:2]
        return raised, days, [Suspect._make(row[2:]) for row in rows if row[2] is not None]


class IntakeCommand(JobCommand[Report]):
    """Names what is wrong as it is found. All may be wrong, so the run's record keeps the first ones and their number.

    A suspect reading makes no failed run: it is kept, and another run would find the same."""

    kept: ClassVar[int] = 20
    # What is said at the end of so many problems.
    verdict: ClassVar[str]

    def handle(self, **options: Any) -> None:
        if connection.settings_dict.get("POOLED"):
            raise CommandError(
                "This needs one connection from beginning to end, and not a pooler in transaction mode: give it a"
                " DATABASE_URL that leads to PostgreSQL itself, and POOLED=0",
                returncode=2,
            )
        self.problems: list[str] = []
        self.number_of_problems = 0
        super().handle(lasting=not options["dry_run"], **options)

    def name(self, what: object) -> None:
        with tqdm.external_write_mode(file=sys.stderr):
            self.stderr.write(str(what))

    def problem(self, what: str) -> None:
        self.number_of_problems += 1
        if len(self.problems) < self.kept:
            self.problems.append(what)
        self.name(what)

    def report(self, counts: dict[str, int]) -> Report:
        more = self.number_of_problems - len(self.problems)
        return Report(counts, [*self.problems, f"and {more} more"] if more else self.problems)

    def print_report(self, report: Report, *, prefix: str, as_json: bool) -> None:
        super().print_report(replace(report, problems=()), prefix=prefix, as_json=as_json)
        if report.problems:
            raise CommandError(f"{prefix}: {self.verdict.format(number=self.number_of_problems)}")
