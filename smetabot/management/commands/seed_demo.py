from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from adminlog.jobs import OneLineCommand, positive, require_migrated_database
from smetabot.demo import seeding


class Command(OneLineCommand):
    help = "Fill an empty database with believable contractors and all that is theirs: everything, or nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--contractors", type=positive, default=200, help="how many (default 200)")
        parser.add_argument("--seed", type=int, default=1, help="another number makes other data (default 1)")

    def handle(self, *, contractors: int, seed: int, **options: Any) -> str:
        require_migrated_database()
        try:
            counts = seeding.seed(contractors=contractors, seed=seed, now=timezone.now())
        except seeding.NotEmptyError as error:
            raise CommandError(
                "The database has contractors already and demo data is for an empty one: nothing was written. "
                "Point DATABASE_URL to an empty database, or throw the embedded one away with make reset."
            ) from error
        return "seed_demo: " + ", ".join(f"{rows} {name}" for name, rows in counts.items())
