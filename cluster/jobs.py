"""The product's commands as cron calls them, one after the other, again and again."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

from cluster.processes import ClusterError
from cluster.watch import Watched
from load.browser import HOST

BASE = Path(__file__).resolve().parent.parent
JOBS = ("expire_subscriptions", "advance_referrals", "apply_gifts", "aggregate_stats", "roll_up_days")


def variables(url: str, **more: str) -> dict[str, str]:
    """Of production, and nothing of whoever started this but the way to programs."""
    return {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": url,
        "DEBUG": "0",
        "SECRET_KEY": "only for the minutes of this run, and for nobody else: Tz8-cluster",
        "ALLOWED_HOSTS": HOST,
        "SECOND_FACTOR": "none",
    } | more


def manage(environment: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=BASE,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        start_new_session=True,
    )


def require(environment: dict[str, str], *arguments: str) -> str:
    done = manage(environment, *arguments)
    if done.returncode:
        raise ClusterError(f"{arguments[0]} failed: {last_line(done.stderr)}")
    return done.stdout


def last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it said nothing"])[-1]


class Cron(Watched):
    PACE = 0.5

    def __init__(self, name: str, environment: dict[str, str]) -> None:
        super().__init__(name)
        self.environment = environment
        self.done: Counter[str] = Counter()
        self.exits: Counter[int] = Counter()
        # What cron would mail of a run that failed: one line, or else it is a fault of the product.
        self.long: list[str] = []
        self.runs = 0

    def turn(self) -> None:
        job = JOBS[self.runs % len(JOBS)]
        self.runs += 1
        run = manage(self.environment, job)
        self.exits[run.returncode] += 1
        if run.returncode == 0:
            self.done[job] += 1
            self.succeeded()
            return
        self.failed(f"exit {run.returncode}")
        if "Traceback" in run.stderr or len(run.stderr.strip().splitlines()) != 1:
            self.long.append(run.stderr.strip())
