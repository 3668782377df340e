from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from adminlog import chain
from adminlog.jobs import OneLineCommand
from smetabot import restoration
from smetabot.backups import BackupError, BackupRefused


class Command(OneLineCommand):
    help = (
        "Bring a backup into the empty database of DATABASE_URL, and prove it there: exit 0 restored and whole, 1"
        " something is wrong with what was restored, 2 refused, with nothing touched."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path", metavar="PATH", type=Path, help="the folder that backup wrote")
        parser.add_argument("--check", action="store_true", help="only see whether it could be restored here")
        parser.add_argument(
            "--head", type=chain.head, metavar="SEQ:HASH", help="the journal's head that backup printed, kept elsewhere"
        )

    def handle(self, *, path: str | Path, check: bool, head: str | chain.Head | None, **options: Any) -> None:
        place = Path(path)
        try:
            given = chain.head(head) if head is not None else None
            if check:
                manifest = restoration.verify(place, head=given)
                self.stdout.write(f"{place} is whole: {manifest.rows} rows of {len(manifest.tables)} tables")
                return
            restored = restoration.restore(place, head=given)
        except ArgumentTypeError as error:  # from call_command, which takes any value
            raise CommandError(str(error), returncode=2) from error
        except BackupRefused as error:
            raise CommandError(f"{error}; nothing was touched", returncode=2) from error
        except BackupError as error:
            raise CommandError(str(error)) from error
        manifest = restored.manifest
        self.stdout.write(
            f"restored {manifest.rows} rows of {len(manifest.tables)} tables as of {manifest.taken_at}, journal head"
            f" {manifest.head}"
        )
        if restored.problems:
            raise CommandError("; ".join(restored.problems))
        if restored.is_current:
            self.stdout.write(f"check_data: {manifest.findings} findings, as before; verify_journal: nothing new")
            self.stdout.write("Now run manage.py setup_roles: who may do what is not in a backup.")
        else:
            self.stdout.write(
                f"It is of {manifest.version}: run manage.py migrate, setup_roles, check_data and verify_journal."
            )
