import os
import shutil
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.utils.module_loading import import_string
from django_crontab.crontab import Crontab
from django_crontab.management.commands import crontab
from environ import Env


class DotEnv(Env):
    """Reads a .env into a dictionary of its own instead of the environment."""

    ENVIRON: dict[str, str] = {}


class Command(crontab.Command):
    """django-crontab's command, which prints nonsense or succeeds silently where this one says what is wrong."""

    requires_system_checks = ()

    def handle(self, *args: Any, subcommand: str, **options: Any) -> None:
        if subcommand == "run":
            return self.run(options["jobhash"])
        if not shutil.which(settings.CRONTAB_EXECUTABLE):
            raise CommandError("This machine has no cron: install it (on Debian: apt install cron) and try again.")
        if subcommand == "add" and (unseen := list(unseen_by_cron())):
            raise CommandError(
                f"Cron's environment is empty, so it would run without {', '.join(unseen)}: "
                f"write the same value into {settings.DOTENV} and try again."
            )
        os.chdir(settings.BASE_DIR)
        # Not more verbose: from 1 on it looks up what it removes and stops half-way when CRONJOBS has changed.
        super().handle(subcommand=subcommand, **options | {"verbosity": 0 if subcommand != "show" else 1})
        if subcommand == "show":
            return
        # The library ignores what crontab answers, so its table is asked.
        installed = os.popen(f"{settings.CRONTAB_EXECUTABLE} -l").read().count(f"# {settings.CRONTAB_COMMENT}\n")
        if installed != (len(settings.CRONJOBS) if subcommand == "add" else 0):
            raise CommandError(f"Cron did not take the change: {installed} jobs of this checkout are in its table.")
        self.stdout.write(f"Cron now has {installed} jobs of this checkout.")

    def run(self, job_hash: str) -> None:
        """Call the job and let its exit code and its one line through, both of which the library swallows."""
        try:
            job = Crontab()._Crontab__get_job_by_hash(job_hash)
        except RuntimeError as error:
            raise CommandError("This line of cron is out of date: install the jobs anew with `make cron`.") from error
        _, function, arguments = job
        import_string(function)(*arguments)


def unseen_by_cron() -> Iterator[str]:
    """The variables that this process has and `.env` lacks or has otherwise."""
    DotEnv.read_env(settings.DOTENV)
    for name in settings.VARIABLES:
        if os.environ.get(name, "") != DotEnv.ENVIRON.get(name, ""):
            yield name
