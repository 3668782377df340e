from typing import Any

from django.core.management.base import CommandParser

from adminlog import passwords, staff
from adminlog.jobs import text
from adminlog.roles import ASCENDING


class Command(passwords.PasswordCommand):
    help = "Make a login for a member of staff. Their password is asked for at a terminal, or made up and printed once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username", type=text)
        parser.add_argument(
            "--role", required=True, choices=[role.value for role in ASCENDING], help="what they may do"
        )
        parser.add_argument("--tg-user-id", type=int, required=True, help="their Telegram id")

    def run(self, *, username: str, role: str, tg_user_id: int, password: str | None, **options: Any) -> str:
        _, made = staff.add(username=username, tg_user_id=tg_user_id, role=role, by=staff.system(), password=password)
        return f"Login {username}, " + ("password as given" if password else f"password {made} (shown only now)")
