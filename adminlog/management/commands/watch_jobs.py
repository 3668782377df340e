import datetime as dt
from dataclasses import asdict
from typing import Any

from adminlog import alerts, chat
from adminlog.jobs import JobCommand, Report


class Command(JobCommand[Report]):
    help = "Open an alert for each job that is late, hangs or fails, close those that are over, and tell the chat."
    summary = "{late} late, {killed} killed; {opened} alerts opened, {closed} closed, {told} told"

    def handle(self, *, dry_run: bool, now: str | dt.datetime | None, **options: Any) -> None:
        # Alerts are of the present: at another moment it only looks. And a message cannot be taken back.
        dry_run = dry_run or now is not None
        self.tells = not dry_run
        super().handle(dry_run=dry_run, now=now, **options)

    def run(self, *, now: dt.datetime, **options: Any) -> Report:
        watched = alerts.watch(now=now)
        told = chat.bring_up_to_date(chat.configured(), now=now) if self.tells else 0
        return Report({**asdict(watched), "told": told})
