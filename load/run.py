"""Staff at their browsers, the bot and the hourly jobs at once; writes the section "Load" of docs/reliability.md.

Exit 0 when nothing went wrong and all is within the limits, 1 when something is not, 2 when it could not be measured.
"""

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import django.db
import psycopg
from django.conf import settings
from django.core.management import CommandError

from bench.databases import alone, copied
from bench.sizes import SIZES, Size
from load import audit, report
from load.audit import Finding
from load.beside import Beside, Jobs
from load.bot import CONNECTIONS
from load.day import Person, Told
from load.office import hire, hourly, run_job, served
from load.report import Found, Phase
from load.watch import Used, Watch, used
from testbed import machine
from testbed.console import HinderedError, give_up, say
from testbed.threads import Errand

EVENTS_A_SECOND = 200


@dataclass(frozen=True)
class Course:
    """Seconds of each part."""

    staff: int
    pause: float
    alone: float
    alone_with_pauses: float
    together: float


COURSES = {
    "load": Course(50, 10, 60, 180, 240),
    "soak": Course(50, 10, 20, 0, 600),
}
# So few rows and people say nothing but that it runs.
TRIAL = {"load": Course(8, 1, 6, 6, 15), "soak": Course(8, 1, 4, 0, 20)}


def main() -> int:
    parser = argparse.ArgumentParser(prog="make load", description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="s")
    parser.add_argument("--soak", action="store_true", help="for ten minutes, and look whether memory stays flat")
    asked = parser.parse_args()
    # It would keep a list of every query.
    settings.DEBUG = False
    for number in (signal.SIGTERM, signal.SIGHUP):
        # By nohup a hang-up is ignored.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    kind, size = "soak" if asked.soak else "load", SIZES[asked.size]
    course = (TRIAL if size.name == "xs" else COURSES)[kind]
    try:
        return load(kind, size, course)
    except (HinderedError, CommandError, django.db.Error, psycopg.Error) as error:
        return give_up(error)
    except KeyboardInterrupt:
        print("Interrupted: nothing is left of it.", file=sys.stderr)
        return 130


def load(kind: str, size: Size, course: Course) -> int:
    with alone(), ExitStack() as stack:
        name = f"load_{size.name}"
        stack.enter_context(copied(size, name))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        members = hire(course.staff)
        say("the hourly jobs, so that those beside staff find no more than an hour's work")
        for command in hourly():
            run_job(name, command, log=folder / "jobs.log")
        known, own, told = audit.known(), audit.own(), Told()
        before = audit.states(own)
        web = stack.enter_context(served(name, folder))
        watch = Watch(lambda: web.processes)
        watch.start()
        stack.callback(watch.stop)
        people = [Person(each, web.port, size, told, known, own[each.number :: course.staff]) for each in members]
        office = Office(people, told, web, course.pause)

        say("the first comes in")
        office.log_in(people[:1])
        phases = [office.phase("one, without pauses", people[:1], course.alone, pause=0)]
        if course.alone_with_pauses:
            phases.append(office.phase("one", people[:1], course.alone_with_pauses, pause=course.pause))

        totals = audit.totals()
        # Of the connections only those of the others are counted.
        django.db.connection.close()
        bot = stack.enter_context(Beside.started(name, EVENTS_A_SECOND, folder))
        jobs = Jobs(name, folder)
        stack.callback(jobs.stop)
        say(f"{len(people)} come in, while the bot does {EVENTS_A_SECOND} things a second")
        office.log_in(people[1:])
        office.bot = bot.process
        phases.append(office.phase(f"{len(people)} at once", people, course.together, pause=course.pause, jobs=jobs))
        written = bot.stop()
        samples = watch.between(phases[-1].start, phases[-1].end)
        watch.stop()

        say("looking what is in the database")
        wrong = [*told.wrong, *web.complaints(), *jobs.problems, *written.failures]
        problems = [Finding("wrong", text) for text in wrong]
        problems += audit.audit(told, before)
        problems += audit.audit_bot([what for what, *_ in written.done], totals, audit.totals())
        # Statistics of what the bot wrote last are an hour behind.
        for command in ("aggregate_stats", "check_data", "verify_journal"):
            code, _seconds, said = run_job(name, command, log=folder / "jobs.log")
            if code:
                problems.append(Finding("wrong", f"{command} at the end: {said}"))
        found = Found(
            size=size,
            phases=phases,
            told=told,
            written=written,
            jobs=jobs.runs,
            busy=jobs.span,
            samples=samples,
            problems=problems,
            pause=course.pause,
            staff=course.staff,
            rate=EVENTS_A_SECOND,
            web=f"gunicorn: {web.workers} workers, {web.threads} threads in all",
            places=web.threads + CONNECTIONS + 1,
        )
        described = machine.describe()
    lines = report.lines(kind, found)
    report.show(kind, found, lines)
    if size.name != "xs":
        report.write(kind, found, lines, described)
        say("written to the section Load of docs/reliability.md")
    is_missed = any(not line.is_met for line in lines) and size.name != "xs"
    return int(bool(problems) or is_missed)


class Office:
    def __init__(self, people: Sequence[Person], told: Told, web: Any, pause: float) -> None:
        self.people, self.told, self.web, self.pause = people, told, web, pause
        self.bot: Any = None

    def log_in(self, people: Sequence[Person]) -> None:
        """About one a second: to hash a password takes long, and is to."""
        with working(people, Person.come_in, len(people) * self.pause / 8):
            pass

    def phase(
        self, name: str, people: Sequence[Person], seconds: float, *, pause: float, jobs: Jobs | None = None
    ) -> Phase:
        say(f"{name}: {seconds:.0f} s")
        before = self.used()
        with working(people, Person.work, pause):
            try:
                deadline = time.monotonic() + seconds
                if jobs:
                    time.sleep(seconds / 4)
                    jobs.start()
                while time.monotonic() < deadline or (jobs and jobs.is_alive()):
                    time.sleep(1)
                end, after = time.time(), self.used()
            finally:
                for person in people:
                    person.over.set()
        phase = Phase.of(name, self.told.done, before, after, end)
        say(f"{name}: {phase}; {len(self.told.wrong)} wrong so far")
        return phase

    def used(self) -> Used:
        return used(self.web.processes, self.bot)


@contextmanager
def working(people: Sequence[Person], work: Any, *args: Any) -> Iterator[None]:
    threads = [Errand(work, person, *args) for person in people]
    for person in people:
        person.over.clear()
    for thread in threads:
        thread.start()
    try:
        yield
    except BaseException:
        for person in people:
            person.over.set()
        raise
    for thread in threads:
        thread.finish()
