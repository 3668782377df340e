"""A backup: pg_dump's custom format, and a manifest of what must come of it. A folder that bears a backup's name is
whole: until it is proved it is called `.….unfinished`."""

import datetime as dt
import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import Error, connection, transaction
from django.db.migrations.recorder import MigrationRecorder

from adminlog import chain
from smetabot.management.commands.check_data import CHECKS
from smetabot.postgres import programs
from smetabot.postgres.locks import set_patience

PRODUCT = "smetabot"
FORMAT = 1
DUMP, MANIFEST = "database.dump", "manifest.json"
# Whoever was logged in then has no business being so after a restore.
LEFT_OUT = ["public.django_session"]
PATIENCE = "60s"
# A row reads the same wherever it is read, and however long that takes.
READING = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    # Whatever a policy says: it would be code of who owns the table, run as who reads it. pg_dump does the same.
    "row_security": "off",
}


class BackupError(Exception):
    """It could not be done; the message is one line."""


class BackupRefused(BackupError):
    """Nothing was begun."""


@dataclass(frozen=True)
class Manifest:
    product: str
    format: int
    version: str
    taken_at: str
    database: str
    # Which server's: two of them may have a database of that name.
    cluster: str
    server_version: int
    migrations: list[str]
    extensions: list[str]
    # Who owned something, or might do something, in it.
    roles: list[str]
    # Of each table, a partition being one, the number of rows and a checksum of them.
    tables: dict[str, list[Any]]
    left_out: list[str]
    # The head of the chain, and how many of its links did not hold.
    journal: list[Any]
    broken: int
    # How much check_data found.
    findings: int
    bytes: int
    sha256: str

    @property
    def rows(self) -> int:
        return sum(rows for rows, _ in self.tables.values())

    @property
    def head(self) -> chain.Head:
        return chain.Head(*self.journal)

    def written(self) -> str:
        content = asdict(self)
        return json.dumps(content | {"seal": _seal(content)}, indent=1) + "\n"


@dataclass(frozen=True)
class Taken:
    name: str
    manifest: Manifest
    deleted: Sequence[str]
    problems: Sequence[str]


def take(folder: Path, *, keep: int = 0) -> Taken:
    """Into the folder. Then of this database's backups in it all but the newest `keep` go; 0 keeps all."""
    require_direct_connection()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        problems: list[str] = []
        with _unfinished(folder, problems) as (place, lock):
            manifest = _fill(place, lock)
            name = _name(manifest)
            os.rename(place, folder / name)
            _sync(folder)
        deleted = _retire(folder, manifest, problems, keep=keep) if keep else []
    except OSError as error:
        raise BackupError(f"{folder}: {error.strerror or error}; no backup was made") from error
    except (Error, programs.ProgramError) as error:
        raise BackupError(f"{' '.join(str(error).split())}; no backup was made") from error
    return Taken(name, manifest, deleted, problems)


def rehearse(folder: Path) -> Taken:
    """Everything but the dump and its file."""
    require_direct_connection()
    return Taken("nothing", _describe(), [], [])


def require_direct_connection() -> None:
    if settings.POOLED:
        raise BackupRefused(
            "A pooler gives each transaction another connection, and pg_dump needs one of its own: let DATABASE_URL"
            " lead to PostgreSQL itself, with POOLED=0"
        )


@contextmanager
def _unfinished(folder: Path, problems: list[str]) -> Iterator[tuple[Path, int]]:
    """A place to write to, which whoever comes later leaves alone as long as somebody holds its lock, and sweeps away
    after that."""
    with _holding(folder):
        _sweep(folder, problems)
        place = Path(tempfile.mkdtemp(prefix=".", suffix=".unfinished", dir=folder))
        lock = os.open(place, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield place, lock
    finally:
        shutil.rmtree(place, ignore_errors=True)
        os.close(lock)


@contextmanager
def _holding(folder: Path, how: int = fcntl.LOCK_EX) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, how)
        yield
    finally:
        os.close(handle)


def _sweep(folder: Path, problems: list[str]) -> None:
    for left in folder.glob(".*.unfinished"):
        try:
            with _holding(left, fcntl.LOCK_EX | fcntl.LOCK_NB):
                shutil.rmtree(left)
        except BlockingIOError:
            pass
        except OSError as error:
            problems.append(f"{left} could not be deleted: {error.strerror or error}")


def _fill(place: Path, lock: int) -> Manifest:
    file = place / DUMP
    with transaction.atomic():
        snapshot = _begin()
        with programs.started(
            "pg_dump",
            "--format=custom",
            f"--snapshot={snapshot}",
            f"--lock-wait-timeout={PATIENCE}",
            *(f"--exclude-table-data={table}" for table in LEFT_OUT),
            # Nothing of ours is a large object, and one that any role makes, which nobody else may read, would stop it.
            "--no-blobs",
            "--no-password",
            f"--file={file}",
            # If we are killed it goes on for a while.
            holding=[lock],
        ) as dumped:
            described = _describe()
            dumped()
    file.chmod(0o600)
    _sync(file)
    prove(file, described)
    manifest = Manifest(**asdict(described) | {"bytes": file.stat().st_size, "sha256": digest(file)})
    with open(os.open(place / MANIFEST, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as text:
        text.write(manifest.written())
        text.flush()
        os.fsync(text.fileno())
    _sync(place)
    return manifest


def _begin() -> str:
    """A snapshot for everybody who reads here, in this transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute("SELECT pg_export_snapshot()")
        [snapshot] = cursor.fetchone()
        _prepare()
        set_patience(PATIENCE)
        # Nobody takes a partition away between pg_dump's look at it and ours.
        cursor.execute(f"LOCK TABLE ONLY {', ONLY '.join(_tables())} IN ACCESS SHARE MODE")
    return snapshot


def _describe() -> Manifest:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT
                now(), current_database(), (SELECT system_identifier::text FROM pg_control_system()),
                ARRAY(SELECT extname FROM pg_extension WHERE extname <> 'plpgsql' ORDER BY extname),
                ARRAY(
                    SELECT DISTINCT rolname FROM pg_shdepend JOIN pg_roles ON pg_roles.oid = refobjid
                    WHERE refclassid = 'pg_authid'::regclass
                        AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
                    ORDER BY rolname
                )
            """
        )
        taken_at, database, cluster, extensions, roles = cursor.fetchone()
    verified = chain.verify()
    return Manifest(
        product=PRODUCT,
        format=FORMAT,
        version=version(),
        taken_at=taken_at.isoformat(),
        database=database,
        cluster=cluster,
        server_version=connection.pg_version,  # type: ignore[attr-defined]
        migrations=sorted(map(".".join, MigrationRecorder(connection).applied_migrations())),
        extensions=extensions,
        roles=roles,
        tables=contents(),
        left_out=LEFT_OUT,
        journal=list(verified.head),
        broken=len(verified.broken),
        findings=count_findings(),
        bytes=0,
        sha256="",
    )


def version() -> str:
    return tomllib.loads(Path(settings.BASE_DIR, "pyproject.toml").read_text("utf-8"))["project"]["version"]


def count_findings() -> int:
    return sum(check.find().number for check in CHECKS)


def contents(*, but: Sequence[str] = LEFT_OUT) -> dict[str, list[Any]]:
    """The rows of each table, whatever their order."""
    found = {}
    with transaction.atomic(), connection.cursor() as cursor:
        _prepare()
        for table in _tables():
            if table in but:
                found[table] = [0, "0"]
                continue
            cursor.execute(
                "SELECT count(*), coalesce(sum(hashtextextended(each::text, 0)), 0)::text"
                f" FROM (SELECT * FROM ONLY {table}) AS each"
            )
            found[table] = list(cursor.fetchone())
    return found


def _prepare() -> None:
    """This transaction."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config(name, value, true) FROM unnest(%s::text[], %s::text[]) AS each (name, value)",
            [list(READING), list(READING.values())],
        )


def _tables() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT format('%I.%I', nspname, relname)
            FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
            WHERE relkind = 'r' AND relpersistence <> 't'
                AND nspname <> 'information_schema' AND NOT starts_with(nspname, 'pg_')
                AND NOT EXISTS (
                    SELECT FROM pg_depend
                    WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e'
                )
            ORDER BY 1
            """
        )
        return [name for (name,) in cursor.fetchall()]


def _name(manifest: Manifest) -> str:
    moment = dt.datetime.fromisoformat(manifest.taken_at)
    return f"{re.sub(r'[^A-Za-z0-9_-]', '-', manifest.database)}-{moment:%Y%m%dT%H%M%S.%fZ}"


def _retire(folder: Path, newest: Manifest, problems: list[str], *, keep: int) -> list[str]:
    """Only what is surely one of the same database, and older."""
    deleted = []
    with _holding(folder):
        for place in sorted(_older(folder, newest), reverse=True)[keep - 1 :]:
            try:
                # What is left of it if we are killed is no backup.
                gone = place.rename(place.with_name(f".{place.name}.unfinished"))
                shutil.rmtree(gone)
                deleted.append(place.name)
            except OSError as error:
                problems.append(f"{place} could not be deleted: {error.strerror or error}")
    return deleted


def _older(folder: Path, newest: Manifest) -> Iterator[Path]:
    """Their names are in the order of their times."""
    for place in folder.iterdir():
        try:
            manifest = read(place)
            is_whole = (place / DUMP).stat().st_size == manifest.bytes and place.name == _name(manifest)
        # Somebody else's: it may say anything.
        except (BackupError, OSError, ValueError, TypeError):
            continue
        is_same = (manifest.database, manifest.cluster) == (newest.database, newest.cluster)
        if is_whole and is_same and place.name < _name(newest):
            yield place


def read(place: Path) -> Manifest:
    """What the manifest says, if it is as it was written. Whoever may write there can write another, seal and all."""
    if place.name.endswith(".unfinished"):
        raise BackupRefused(f"{place} was never finished")
    try:
        content = json.loads((place / MANIFEST).read_text("utf-8"))
    except OSError as error:
        raise BackupRefused(
            f"{place} is no backup: {MANIFEST} cannot be read ({error.strerror}); give the folder that backup wrote"
        ) from error
    except (ValueError, RecursionError) as error:
        raise BackupRefused(f"{place}: {MANIFEST} is spoilt: it is no JSON in UTF-8") from error
    if not isinstance(content, dict) or content.get("product") != PRODUCT:
        raise BackupRefused(f"{place} is no backup of {PRODUCT}")
    is_ours = content.get("format") == FORMAT
    if is_ours and content.pop("seal", None) != _seal(content):
        raise BackupRefused(f"{place}: {MANIFEST} was changed after it was written")
    if not is_ours or content.keys() != {field.name for field in fields(Manifest)}:
        raise BackupRefused(f"{place} was made by another version, {content.get('version')!r}: restore it with that")
    return Manifest(**content)


def prove(file: Path, manifest: Manifest) -> None:
    """Read it through, and that it has what the manifest tells of."""
    listed = programs.run("pg_restore", "--list", file)
    for table in manifest.tables.keys() - manifest.left_out:
        if f" TABLE DATA {table.replace('.', ' ', 1).replace(chr(34), '')} " not in listed:
            raise BackupRefused(f"{file} has no rows of {table}")
    programs.run("pg_restore", "--file=/dev/null", file)


def digest(file: Path) -> str:
    with open(file, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _seal(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
