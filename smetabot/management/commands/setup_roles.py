from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import DatabaseError

from adminlog.jobs import OneLineCommand, one_line, require_migrated_database
from smetabot.role_setup import MissingRightError, differences, set_up


class Command(OneLineCommand):
    help = (
        "Make the roles that the bot, web, cron, partitions and analysts connect as, and give each what the table in "
        "smetabot/database_roles.py says, and nothing else. To be run after every migrate."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="only compare; exit 1 and a line for each difference")

    def handle(self, *, check: bool, **options: Any) -> None:
        require_migrated_database()
        try:
            done = [] if check else set_up()
            left = differences()
        except MissingRightError as error:
            raise CommandError(str(error), returncode=2) from error
        except DatabaseError as error:
            raise CommandError(f"setup_roles failed, and nothing was done: {one_line(error)}") from error
        for difference in left:
            self.stderr.write(difference.told)
        if left:
            what = "run manage.py setup_roles" if check else "set them right by hand"
            raise CommandError(f"setup_roles: {len(left)} differences, named above; {what}")
        self.stdout.write(
            f"setup_roles: {len(done)} differences set right" if done else "setup_roles: all is as it should be"
        )
