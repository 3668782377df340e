"""Months of events that are old: written to a file that is proved to hold them, and only then out of the table."""

import csv
import datetime as dt
import gzip
import hashlib
import json
import os
import zlib
from dataclasses import asdict, dataclass, field
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, connection, transaction

from adminlog.days import day_of, days
from analytics.models import DailyTotals
from analytics.partitions import EVENTS
from analytics.rollup import EARLIEST, closing_of
from smetabot.postgres.locks import is_busy, set_patience
from smetabot.postgres.partitions import PATIENCE, QUICK, holding, lock, month_of, rows, run, shifted
from smetabot.postgres.retry import retry_busy

# Of anything but a month that is written all the time the first one is enough.
TRIES = 3


class ArchiveError(Exception):
    """The archive cannot be relied on; the message is one line."""


@dataclass
class Retired:
    months_detached: int = 0
    tables_dropped: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Content:
    """Of a partition, whatever the order of its rows.

    Without foreign keys: what is deleted elsewhere empties them at any time, and would never let a large month go.
    """

    rows: int
    checksum: str


@dataclass(frozen=True)
class Manifest:
    """What lies beside a file: of what it is, and by what it is proved."""

    table: str
    month: str
    columns: list[str]
    rows: int
    # Of the table's rows, in these columns.
    checksum: str
    checked: list[str]
    # Of the file's content when it is unpacked.
    sha256: str
    # By which a partition is told from one of the same month that was detached before.
    oid: int

    @property
    def content(self) -> Content:
        return Content(self.rows, self.checksum)


def retire_months(*, now: dt.datetime, drop: bool = False, rehearsed: bool = False) -> Retired:
    """Export and detach the months that ended EVENTS_RETENTION_MONTHS ago and are rolled up for good. `drop` those that
    earlier runs detached. `rehearsed`: in the caller's transaction, and without a file."""
    retired = Retired()
    if drop:
        _drop_detached(retired)
    if settings.EVENTS_RETENTION_MONTHS:
        _retire_months(retired, now=now, rehearsed=rehearsed)
    _free_detached(retired)
    return retired


def _retire_months(retired: Retired, *, now: dt.datetime, rehearsed: bool) -> None:
    try:
        for month in EVENTS.months():
            if shifted(month, settings.EVENTS_RETENTION_MONTHS) >= month_of(now):
                break
            if day := _open_day(month):
                # What is archived is never counted any more. A day that is still open is nobody's fault.
                if now >= closing_of(day):
                    retired.problems.append(
                        f"{EVENTS}: {day} is not counted for good, so {month:%B %Y} is not detached yet;"
                        " run roll_up_days"
                    )
                break
            retired.months_detached += _retire(month, rehearsed=rehearsed)
    except (ArchiveError, OSError) as error:
        retired.problems.append(f"{settings.EVENTS_ARCHIVE}: {error}; what was not archived stays in {EVENTS}")
    except DatabaseError as error:
        if not is_busy(error):
            raise
        retired.problems.append(f"{EVENTS}: somebody holds a lock on it, so {month:%B %Y} is not detached yet")


def _open_day(month: dt.date) -> dt.date | None:
    """The first whose events roll_up_days may still have to count."""
    [(first, last)] = rows(
        f"SELECT min(created_at), max(created_at) FROM {EVENTS.sql()} WHERE {EVENTS.range_of(month)}"
    )
    if first is None:
        return None
    counted = dict(DailyTotals.objects.values_list("day", "rolled_up_at"))
    for day in days(max(day_of(first), EARLIEST), day_of(last) + dt.timedelta(days=1)):
        if day not in counted or counted[day] < closing_of(day):
            return day
    return None


def _free_detached(retired: Retired) -> None:
    """Those that a killed run left, too."""
    for name in _detached():
        try:
            _free(f'"{EVENTS.schema}"."{name}"')
        except DatabaseError as error:
            if not is_busy(error):
                raise
            retired.problems.append(
                f"{EVENTS.schema}.{name} is detached, but its foreign keys stay until the next run: somebody reads what"
                " they refer to"
            )
            break


def _drop_detached(retired: Retired) -> None:
    """Only what the archive still holds."""
    for name in _detached():
        table, stem = f'"{EVENTS.schema}"."{name}"', name.removesuffix("_detached")
        try:
            manifest = _read_manifest(stem)
            if manifest is None or not _holds(stem, manifest):
                raise ArchiveError(f"{stem}.csv.gz is missing or spoilt")
            if content_of(table, manifest.checked) != manifest.content:
                raise ArchiveError(f"{stem}.csv.gz does not hold what is in the table")
            _free(table)
            _drop(table)
            retired.tables_dropped += 1
        except (ArchiveError, OSError) as error:
            retired.problems.append(f"{EVENTS.schema}.{name} is kept: {error}")
        except DatabaseError as error:
            if not is_busy(error):
                raise
            retired.problems.append(f"{EVENTS.schema}.{name} is kept: somebody holds a lock on it")


def content_of(table: str, checked: list[str]) -> Content:
    columns = ", ".join(f'"{column}"' for column in checked)
    [(count, checksum)] = rows(
        f"SELECT count(*), coalesce(sum(hashtextextended(ROW({columns})::text, 0)), 0)::text FROM ONLY {table}"
    )
    return Content(count, checksum)


def _checked() -> list[str]:
    found = rows(
        """
        SELECT attname FROM pg_attribute
        WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND NOT EXISTS (
            SELECT FROM pg_constraint WHERE conrelid = attrelid AND contype = 'f' AND attnum = ANY(conkey)
        )
        ORDER BY attnum
        """,
        EVENTS.sql(),
    )
    return [name for (name,) in found]


def _retire(month: dt.date, *, rehearsed: bool) -> bool:
    """False if somebody else did it."""
    part = EVENTS.part(month)
    for _ in range(TRIES):
        if rehearsed:
            stem, content = _stem_for(part), content_of(part, _checked())
        else:
            exported = _export(month)
            if exported is None:
                return False
            stem, content = exported
        outcome = _detach(month, stem, content)
        if outcome is not None:
            break
    else:
        raise ArchiveError(f"the events of {month:%B %Y} change while they are exported")
    return outcome


def _export(month: dt.date) -> tuple[str, Content] | None:
    """The name that the month has in the archive, and what it holds. None if it has no partition any more."""
    settings.EVENTS_ARCHIVE.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = EVENTS.part(month)
    with transaction.atomic():
        # One snapshot for the file and the checksum, and that not before it is our turn.
        run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        EVENTS.take_turns()
        if month not in EVENTS.months():
            return None
        stem, content = _stem_for(part), content_of(part, _checked())
        manifest = _read_manifest(stem)
        known = (manifest.checked, manifest.content) if manifest else None
        if manifest is None or known != (_checked(), content) or not _holds(stem, manifest):
            _write(stem, month, content)
    return stem, content


def _write(stem: str, month: dt.date, content: Content) -> None:
    part, columns, file = EVENTS.part(month), EVENTS.columns(), _file(stem)
    unfinished = file.with_name(f".{file.name}.unfinished")
    try:
        sha256 = _stream(
            f"COPY (SELECT {columns} FROM ONLY {part} ORDER BY id) TO STDOUT (FORMAT csv, HEADER)", unfinished
        )
        if _read_back(unfinished) != (content.rows, sha256):
            raise ArchiveError(f"{file.name} does not read as it was written")
        manifest = Manifest(
            table=str(EVENTS),
            month=f"{month:%Y-%m}",
            columns=[column.strip('"') for column in columns.split(", ")],
            rows=content.rows,
            checksum=content.checksum,
            checked=_checked(),
            sha256=sha256,
            oid=_oid(part),
        )
        # Whoever finds a manifest without its file begins anew; a file is there only when all of it is.
        file.unlink(missing_ok=True)
        _save(_manifest(stem), json.dumps(asdict(manifest), indent=2) + "\n")
        os.replace(unfinished, file)
        _sync(file.parent)
    finally:
        unfinished.unlink(missing_ok=True)


def _stream(copy_sql: str, path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "wb") as file:
        # Whoever looks into one sees people.
        os.chmod(path, 0o600)
        with (
            gzip.GzipFile(fileobj=file, mode="wb", compresslevel=6, mtime=0) as packed,
            connection.cursor() as cursor,
            connection.wrap_database_errors,
            cursor.copy(copy_sql) as copy,
        ):
            for data in copy:
                digest.update(data)
                packed.write(data)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _read_back(path: Path) -> tuple[int, str]:
    """The number of rows and the digest of what is packed in the file."""
    digest, count = hashlib.sha256(), -1
    csv.field_size_limit(2**31 - 1)

    def lines():
        for line in packed:
            digest.update(line)
            yield line.decode()

    with gzip.open(path) as packed:
        for _ in csv.reader(lines()):
            count += 1
    return count, digest.hexdigest()


def _holds(stem: str, manifest: Manifest) -> bool:
    try:
        return _read_back(_file(stem)) == (manifest.rows, manifest.sha256)
    except (FileNotFoundError, EOFError, gzip.BadGzipFile, UnicodeDecodeError, zlib.error):
        return False


@retry_busy
def _detach(month: dt.date, stem: str, content: Content) -> bool | None:
    """False if somebody else did it, None if the rows are no longer what was exported.

    Not CONCURRENTLY, which PostgreSQL refuses while there is a default partition.
    """
    part = EVENTS.part(month)
    with transaction.atomic():
        EVENTS.take_turns()
        if month not in EVENTS.months():
            return False
        # An autovacuum makes way, or whoever reads it for long is met before anybody is barred.
        set_patience(PATIENCE)
        lock(part, "ACCESS EXCLUSIVE")
    whole, default = ((table, "ACCESS EXCLUSIVE") for table in (EVENTS.sql(), EVENTS.default))
    with holding(EVENTS.referenced(), "SHARE ROW EXCLUSIVE", and_then=[whole], later=[default]):
        if month not in EVENTS.months():
            return False
        for each in (part, EVENTS.default):
            lock(each, "ACCESS EXCLUSIVE")
        if content_of(part, _checked()) != content:
            return None
        run(f"ALTER TABLE {EVENTS.sql()} DETACH PARTITION {part}")
        # Late events of the month may need its name.
        run(f'ALTER TABLE {part} RENAME TO "{stem}_detached"')
        return True


def _free(table: str) -> None:
    """What is deleted elsewhere no longer concerns it. Not together with the detaching: this locks out the readers of
    a table that it refers to."""
    for key, referenced in rows(
        "SELECT conname, confrelid::regclass::text FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'f'",
        table,
    ):
        _drop_key(table, key, referenced)


@retry_busy
def _drop_key(table: str, key: str, referenced: str) -> None:
    with transaction.atomic():
        # Whoever reads it waits meanwhile, and there is time.
        set_patience(QUICK)
        lock(referenced, "ACCESS EXCLUSIVE")
        run(f'ALTER TABLE {table} DROP CONSTRAINT IF EXISTS "{key}"')


@retry_busy
def _drop(table: str) -> None:
    with transaction.atomic():
        set_patience(PATIENCE)
        run(f"DROP TABLE {table}")


def _detached() -> list[str]:
    found = rows(
        """
        SELECT relname FROM pg_class
        WHERE relnamespace = %s::regnamespace AND relkind = 'r' AND relname ~ %s
        ORDER BY relname
        """,
        EVENTS.schema,
        rf"^{EVENTS.name}_\d{{6}}(_\d+)?_detached$",
    )
    return [name for (name,) in found]


def _stem_for(part: str) -> str:
    """The month's own name, with a number if events that came after it was detached are archived now."""
    name = part.split('"')[3]
    oid, taken, number = _oid(part), set(_detached()), 1
    while True:
        stem = name if number == 1 else f"{name}_{number}"
        manifest = _read_manifest(stem)
        is_ours = manifest.oid == oid if manifest else not _file(stem).exists()
        if is_ours and f"{stem}_detached" not in taken:
            return stem
        number += 1


def _oid(table: str) -> int:
    [(oid,)] = rows("SELECT %s::regclass::oid", table)
    return oid


def _file(stem: str) -> Path:
    return settings.EVENTS_ARCHIVE / f"{stem}.csv.gz"


def _manifest(stem: str) -> Path:
    return settings.EVENTS_ARCHIVE / f"{stem}.json"


def _read_manifest(stem: str) -> Manifest | None:
    try:
        return Manifest(**json.loads(_manifest(stem).read_text("utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise ArchiveError(f"{stem}.json is spoilt: {error}") from error


def _save(path: Path, text: str) -> None:
    unfinished = path.with_name(f".{path.name}.unfinished")
    with open(unfinished, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    """A file's name is safe only with its folder."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
