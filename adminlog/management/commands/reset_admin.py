from difflib import get_close_matches
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management.base import CommandParser
from django.db import transaction

from adminlog import journal, passwords, staff
from adminlog.jobs import text
from adminlog.models import AdminUser


class Command(passwords.PasswordCommand):
    help = "Let in again who lost password or phone. A password is asked for at a terminal, or made up and shown once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username", type=text, help="the name that they log in with")
        parser.add_argument("--keep-password", action="store_true", help="for whoever lost only the phone")
        parser.add_argument("--keep-second-factor", action="store_true", help="for whoever lost only the password")

    def run(
        self, *, username: str, password: str | None, keep_password: bool, keep_second_factor: bool, **options: Any
    ) -> str:
        admin_user = member_of_staff(username)
        with transaction.atomic():
            reset = staff.reset_access(
                admin_user,
                by=staff.system(),
                password=password,
                keep_password=keep_password,
                keep_second_factor=keep_second_factor,
            )
            journal.record(reset.act, by=staff.system())
        stays = "" if admin_user.is_active else " They stay switched off until an owner switches them on."
        return f"{username}. {reset}{stays}"


def member_of_staff(username: str) -> AdminUser:
    if admin_user := AdminUser.objects.filter(login__username=username).first():
        return admin_user
    if get_user_model().objects.filter(username=username).exists():
        raise ValidationError(f"The login {username} belongs to no member of staff.")
    names = AdminUser.objects.exclude(login=None).values_list("login__username", flat=True)
    near = " or ".join(get_close_matches(username, names))
    raise ValidationError(f"Nobody logs in as {username!r}." + (f" Did you mean {near}?" if near else ""))
