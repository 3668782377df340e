from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from adminlog import staff
from adminlog.jobs import require_migrated_database
from adminlog.roles import OWNER


class Command(BaseCommand):
    help = "Make a login for an owner. Its random password is printed once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--tg-user-id", type=int, required=True, help="their Telegram id")

    def handle(self, *, username: str, tg_user_id: int, **options: Any) -> None:
        require_migrated_database()
        try:
            _, password = staff.add(username=username, tg_user_id=tg_user_id, role=OWNER, by=staff.system())
        except ValidationError as error:
            raise CommandError(" ".join(error.messages), returncode=2) from error
        self.stdout.write(f"Login {username}, password {password} (shown only now)")
