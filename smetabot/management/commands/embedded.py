from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from adminlog.jobs import OneLineCommand
from smetabot.postgres.embedded import Cluster, EmbeddedPostgresError


class Command(OneLineCommand):
    help = "The embedded PostgreSQL of this checkout, used when no DATABASE_URL is set. It starts by itself."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", choices=["start", "stop", "reset", "status"])
        parser.add_argument("--no-input", action="store_false", dest="interactive", help="Reset without asking.")

    def handle(self, *, action: str, interactive: bool, **options: Any) -> str:
        base = settings.DATABASES["default"].get("EMBEDDED")
        if not base:
            raise CommandError(
                "The database is that of DATABASE_URL, not an embedded one: nothing was touched", returncode=2
            )
        cluster = Cluster(Path(base))
        try:
            match action:
                case "start":
                    cluster.start()
                    return f"PostgreSQL runs in {cluster.base}."
                case "stop":
                    return f"PostgreSQL in {cluster.base} " + ("is stopped." if cluster.stop() else "was not running.")
                case "reset":
                    return self._reset(cluster, interactive)
                case _:
                    return f"PostgreSQL in {cluster.base} " + ("runs." if cluster.is_running() else "does not run.")
        except EmbeddedPostgresError as error:
            raise CommandError(str(error), returncode=2) from error

    def _reset(self, cluster: Cluster, interactive: bool) -> str:
        if interactive:
            try:
                answer = input(f"This deletes the database in {cluster.data} for good. Type yes to go on: ")
            except EOFError:
                answer = ""
            if answer != "yes":
                raise CommandError("Nothing was changed")
        cluster.reset()
        return f"The database in {cluster.data} is gone; the next connection makes a new one."
