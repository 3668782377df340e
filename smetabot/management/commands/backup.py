import datetime as dt
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from adminlog.jobs import JobCommand, Report, positive
from smetabot import backups


class Command(JobCommand[Report]):
    help = (
        "Write a backup of the database into a folder of its own in DIR: pg_dump's custom format, and a manifest by"
        " which restore proves it. A dry run reads everything and writes nothing."
    )
    summary = "{name}: {rows} rows of {tables} tables, journal head {head}, {bytes} bytes; {deleted} older ones deleted"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("dir", metavar="DIR", nargs="?", type=Path, help="where to; BACKUPS unless it is given")
        parser.add_argument(
            "--keep",
            type=positive,
            metavar="N",
            help="of this database's there keep the newest N alone; in BACKUPS it is BACKUPS_KEEP, else all stay",
        )

    def handle(self, *, dry_run: bool, **options: Any) -> None:
        if options["dir"] is None:
            if settings.BACKUPS is None:
                raise CommandError("Where to? Give a folder, or set BACKUPS.", returncode=2)
            options["dir"] = settings.BACKUPS
            options["keep"] = options["keep"] or settings.BACKUPS_KEEP
        super().handle(dry_run=dry_run, rehearsed=dry_run, **options)

    def run(self, *, now: dt.datetime, **options: Any) -> Report:
        folder = Path(options["dir"])
        try:
            if options["rehearsed"]:
                taken = backups.rehearse(folder)
            else:
                taken = backups.take(folder, keep=options["keep"] or 0)
        except backups.BackupRefused as error:
            raise CommandError(str(error), returncode=2) from error
        except backups.BackupError as error:
            raise CommandError(str(error)) from error
        manifest = taken.manifest
        counts: dict[str, int | str] = {
            "name": taken.name,
            "tables": len(manifest.tables),
            "rows": manifest.rows,
            # Kept elsewhere, it shows when somebody cuts the journal's tail.
            "head": str(manifest.head),
            "bytes": manifest.bytes,
            "deleted": len(taken.deleted),
        }
        return Report(counts, problems=taken.problems)
