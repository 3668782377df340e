"""import_views of a CSV file: the command, COPY and one merge, and row by row."""

import csv
import datetime as dt
import tempfile
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.db import transaction

from analytics.models import ViewsDaily
from bench.databases import digest, silence
from bench.memory import taken
from bench.rounds import Timings, Way, race
from bench.sizes import NOW, Size, short
from bench.table import Line, constant, faster, within
from core.models import Publication
from testbed.databases import plain, unhindered

ACROSS = False
SAMPLE = 300
# It is put back for each round.
MOST = 100_000
ALL, TENTH = "views.csv", "tenth.csv"
READ_AT = NOW - dt.timedelta(hours=1)
DAY = READ_AT.date()
FILE = """
    COPY (
        SELECT tg_chat_id, message_id, views + (publication.id % 5 = 0)::int AS views, '{at}' AS time
        FROM core.publications AS publication JOIN core.channels AS channel ON channel.id = channel_id
        WHERE publication.id <= {most}
        ORDER BY tg_chat_id, publication.id
    ) TO STDOUT (FORMAT csv, HEADER)
"""
STAGE = """
    CREATE TEMP TABLE staged (tg_chat_id bigint, message_id bigint, views integer, read_at timestamptz)
"""
# A reading below an earlier total, or above a later one, is suspect; of two of a publication the later one wins.
MERGE = """
    WITH reading AS (
        SELECT DISTINCT ON (publication.id) publication.id, staged.views, read_at, publication.views AS old
        FROM staged
        JOIN core.channels AS channel USING (tg_chat_id)
        JOIN core.publications AS publication ON publication.channel_id = channel.id
            AND publication.message_id = staged.message_id
        LEFT JOIN LATERAL (
            SELECT views FROM analytics.views_daily
            WHERE publication_id = publication.id AND collected_at <= read_at::date
            ORDER BY collected_at DESC LIMIT 1
        ) AS before ON true
        LEFT JOIN LATERAL (
            SELECT views FROM analytics.views_daily
            WHERE publication_id = publication.id AND collected_at > read_at::date
            ORDER BY collected_at LIMIT 1
        ) AS after ON true
        WHERE staged.views >= coalesce(before.views, 0) AND coalesce(staged.views <= after.views, true)
        ORDER BY publication.id, read_at DESC, staged.views DESC
    ), raised AS (
        UPDATE core.publications AS publication SET views = reading.views
        FROM reading WHERE publication.id = reading.id AND publication.views < reading.views
    )
    INSERT INTO analytics.views_daily AS daily (publication_id, collected_at, views, read_views, read_at)
    SELECT id, read_at::date, views, views, read_at FROM reading
    ON CONFLICT (publication_id, collected_at) DO UPDATE
    SET views = excluded.views, read_views = excluded.read_views, read_at = excluded.read_at
"""


def write_file(sql: Any, path: Path, most: int) -> None:
    with path.open("wb") as file, sql.cursor().copy(FILE.format(at=READ_AT.isoformat(), most=most)) as rows:
        for block in rows:
            file.write(block)


def by_command(path: Path | str) -> None:
    with silence() as nowhere:
        call_command("import_views", str(path), now=NOW, stdout=nowhere, stderr=nowhere)


def by_hand(sql: Any, path: Path) -> None:
    with sql.transaction():
        sql.execute("SET LOCAL TimeZone = 'UTC'")
        sql.execute(STAGE)
        with path.open("rb") as file, sql.cursor().copy("COPY staged FROM STDIN (FORMAT csv, HEADER)") as into:
            while block := file.read(1 << 18):
                into.write(block)
        sql.execute("ANALYZE staged")
        sql.execute(MERGE)
        sql.execute("DROP TABLE staged")


def row_by_row(path: Path, most: int) -> None:
    with path.open() as file:
        for number, row in enumerate(csv.DictReader(file)):
            if number == most:
                break
            read_at, views = dt.datetime.fromisoformat(row["time"]), int(row["views"])
            with transaction.atomic():
                publication = Publication.objects.select_for_update().get(
                    channel__tg_chat_id=row["tg_chat_id"], message_id=row["message_id"]
                )
                daily = publication.views_daily.order_by("-collected_at")
                before = daily.filter(collected_at__lte=read_at.date()).first()
                after = daily.filter(collected_at__gt=read_at.date()).last()
                if (before and views < before.views) or (after and views > after.views):
                    continue
                publication.views = max(publication.views, views)
                publication.save()
                ViewsDaily.objects.update_or_create(
                    publication=publication,
                    collected_at=read_at.date(),
                    defaults={"views": views, "read_views": views, "read_at": read_at},
                )


def read_of(size: Size) -> int:
    return min(size.publications // 2, MOST)


def measure(size: Size) -> Timings:
    readings = read_of(size)
    with unhindered() as desk, plain() as sql, tempfile.TemporaryDirectory() as folder:
        path, tenth = Path(folder, ALL), Path(folder, TENTH)
        write_file(desk, path, readings)
        write_file(desk, tenth, readings // 10)
        desk.execute("CREATE SCHEMA IF NOT EXISTS bench")
        desk.execute("CREATE UNLOGGED TABLE bench.read AS SELECT id, views FROM core.publications")

        def put_back() -> None:
            desk.execute("""
                UPDATE core.publications AS publication SET views = read.views FROM bench.read
                WHERE read.id = publication.id AND read.views <> publication.views
            """)
            desk.execute("DELETE FROM analytics.views_daily WHERE collected_at >= %s", [DAY])
            desk.execute("DELETE FROM analytics.dirty_channels")
            desk.execute("VACUUM core.publications, analytics.views_daily, analytics.dirty_channels")
            desk.execute("CHECKPOINT")

        sample = min(SAMPLE, readings)
        try:
            timings = race(
                f"import_views, {short(readings)} readings",
                {
                    "command": Way(lambda: by_command(path), readings),
                    "SQL": Way(lambda: by_hand(sql, path), readings),
                    "row by row": Way(lambda: row_by_row(path, sample), sample, sample=True, rounds=2),
                },
                rounds=size.rounds,
                before=put_back,
                state=lambda: [
                    digest(desk, "core.publications", "id, views"),
                    digest(
                        desk, "analytics.views_daily", "publication_id, collected_at, views", f"collected_at >= '{DAY}'"
                    ),
                ],
                warm=False,
            )
            for file in (tenth, path):
                put_back()
                timings.counts[file.name] = taken("import_views", str(file))
            return timings
        finally:
            put_back()


def lines(sizes: list[Size], found: dict[str, Timings]) -> list[Line]:
    readings, timings = read_of(sizes[-1]), found[sizes[-1].name]
    job = f"import_views, {short(readings)} readings"
    return [
        within(job, "COPY and one merge", timings, "command", "SQL", 2, 2),
        faster(job, "row by row", timings, "command", "row by row", 20, 20),
        constant(job, f"{short(readings // 10)} readings", timings.counts[ALL], timings.counts[TENTH]),
    ]
