import datetime as dt
from typing import Any

from django.conf import settings
from django.core.management import CommandError, CommandParser

from adminlog.jobs import Report, positive, require_migrated_database
from analytics.collection import Collection, alone
from analytics.readings import Intake, IntakeCommand
from analytics.userbot import Userbot


class Command(IntakeCommand):
    help = "Ask the userbot for the views of all publications that are not deleted, and take its readings in."
    summary = (
        "{answered} publications asked for, {readings} readings, {suspects} suspect; {channels_failed} channels failed;"
        " {publications} publications and {daily_views} daily views written"
    )
    verdict = "{number} problems, named above; the next run asks again"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--posted-within", type=positive, metavar="DAYS", help="ask only for what was posted in so many days"
        )
        parser.add_argument("--parallel", type=positive, default=4, help="requests side by side (default 4)")

    def handle(self, **options: Any) -> None:
        if not settings.USERBOT_URL:
            raise CommandError(
                "There is no userbot to ask: set USERBOT_URL, such as http://127.0.0.1:8080", returncode=2
            )
        require_migrated_database()
        with alone() as is_alone:
            if is_alone:
                super().handle(**options)
            else:
                # No run of its own: recorded as a good one it would hide that the other hangs.
                self.stderr.write("collect_views: another run is under way; this one asked nothing")

    def run(self, *, now: dt.datetime, **options: Any) -> Report:
        intake = Intake(
            source="userbot",
            # Deleted since it was asked for.
            unknown=lambda reading: None,
            suspect=self.name,
            lasting=options["lasting"],
        )
        userbot = Userbot(settings.USERBOT_URL, timeout=settings.USERBOT_TIMEOUT)
        collection = Collection(
            userbot,
            intake,
            problem=self.problem,
            now=now,
            parallel=options["parallel"],
            posted_within=options["posted_within"],
        )
        collection.run()
        counts = {name: intake.counts[name] for name in ("readings", "suspects", "publications", "daily_views")}
        return self.report({"answered": collection.answered, "channels_failed": len(collection.dead), **counts})
