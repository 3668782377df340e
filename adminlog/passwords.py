import sys
from collections.abc import Callable
from getpass import getpass
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.db import transaction
from django.utils.translation import gettext as _

from adminlog.jobs import OneLineCommand, mute_stdout, require_migrated_database


class NoNameOfTheProduct:
    """What somebody who guesses would try here first. docs/security.md lists the words."""

    WORDS = ("smeta", "смета")

    def validate(self, password: str, user: object = None) -> None:
        if any(word in password.casefold() for word in self.WORDS):
            raise ValidationError(self.get_help_text(), code="password_names_product")

    def get_help_text(self) -> str:
        return _("Your password can’t have the name of the product in it.")


class PasswordCommand(OneLineCommand):
    """A command that gives somebody a password. What it refuses it refuses in one line, with exit 2."""

    # Does it, and returns what to say.
    run: Callable[..., str]

    def handle(self, **options: Any) -> None:
        require_migrated_database()
        # Before the transaction, which holds the journal.
        password = None if options.get("keep_password") else ask()
        try:
            with transaction.atomic():
                said = self.run(password=password, **options)
                # Before the commit: a password that nobody saw would be worse than one that opens nothing.
                self.stdout.write(said)
                self.stdout.flush()
        except ValidationError as error:
            raise CommandError(" ".join(error.messages), returncode=2) from error
        except OSError as error:
            mute_stdout()
            raise CommandError(f"Nothing was done, since it could not be told here: {error}") from error


def ask() -> str | None:
    """Asked for at a terminal, twice. None when it is left to us, or when nobody sits there."""
    if sys.stdin is None or not sys.stdin.isatty():
        return None
    try:
        password = getpass("Password (leave it empty to have one made up): ")
        again = getpass("The same again: ") if password else ""
    except (EOFError, KeyboardInterrupt) as error:
        raise CommandError("Nothing was done.", returncode=2) from error
    if password != again:
        raise CommandError("These are two passwords. Nothing was done.", returncode=2)
    return password or None
