"""The product's commands as cron calls them, one after the other, again and again."""

import subprocess
from collections import Counter

from cluster.watch import Watched
from testbed.console import HinderedError
from testbed.processes import BASE, manage, production

JOBS = ("expire_subscriptions", "advance_referrals", "apply_gifts", "aggregate_stats", "roll_up_days")


def variables(url: str, **more: str) -> dict[str, str]:
    return production(url, SECOND_FACTOR="none", **more)


def run(environment: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        manage(*arguments),
        cwd=BASE,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        start_new_session=True,
    )


def require(environment: dict[str, str], *arguments: str) -> str:
    done = run(environment, *arguments)
    if done.returncode:
        raise HinderedError(f"{arguments[0]} failed: {last_line(done.stderr)}")
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
        done = run(self.environment, job)
        self.exits[done.returncode] += 1
        if done.returncode == 0:
            self.done[job] += 1
            self.succeeded()
            return
        self.failed(f"exit {done.returncode}")
        if "Traceback" in done.stderr or len(done.stderr.strip().splitlines()) != 1:
            self.long.append(done.stderr.strip())
