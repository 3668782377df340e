"""Strikes every cron command and every act of staff, in every way, and audits what is left.

Exit 0 when nothing was lost, doubled or wrong and the wrong processors were caught, 1 when not.
"""

import argparse
import logging
import os
import pickle
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.db import connection

from chaos import company, faults
from chaos.audit import Auditor, Finding, Ledger
from chaos.away import away
from chaos.databases import Worlds, plain
from chaos.faults import Points, watched
from chaos.server import Server
from chaos.snapshot import read
from chaos.subjects import Act, Job, Subject, acts, cron, jobs
from chaos.tally import Tally, table
from chaos.tests.processors import CONTROLS, Anybody, Processor, product
from chaos.world import fill
from testbed.console import say
from testbed.documents import write_section

CONTRACTORS = 240
LEAST_FAULTS, LEAST_CHECKS = 200, 200_000
AT_ONCE = 4
LANES = 2
# Of the acts that left all as it was one in so many is tried again to the end; of cron's rounds one in so many is of
# all jobs.
FULL_EVERY = 8
# Those that make right what others left; the audit does itself what check_data and verify_journal do.
ROUND = ["expire_subscriptions", "advance_referrals", "apply_gifts", "aggregate_stats", "roll_up_days"]


class Chaos:
    def __init__(self, *, seed: int, contractors: int, folder: Path) -> None:
        self.seed, self.folder = seed, folder
        self.tally = Tally()
        self.lengths: dict[str, Points] = {}
        # Prepared in a world that nobody has touched since.
        self.prepared: Subject | None = None
        self.as_before = self.rounds = 0
        self.worlds = Worlds(empty=connection.settings_dict["NAME"])
        self.worlds.make()
        fill(seed=seed, contractors=contractors)
        self.worlds.fresh()
        self.auditor = Auditor(archive=folder / "archive")
        self.jobs = jobs(readings=folder / "readings.json")
        self.acts = acts()
        with plain() as desk:
            self.contractors = [row["id"] for row in desk.execute("SELECT id FROM core.contractors ORDER BY id")]

    def fresh(self, *, for_a_crash: bool = False) -> None:
        self.prepared = None
        self.worlds.fresh(for_a_crash=for_a_crash)
        settings.EVENTS_ARCHIVE = self.auditor.archive
        shutil.rmtree(settings.EVENTS_ARCHIVE, ignore_errors=True)

    def chance(self, *of: object) -> random.Random:
        """The same for the same seed, whatever else is done, and in which order."""
        return random.Random(f"{self.seed} {of}")

    def measure(self, subject: Subject) -> Points:
        """How many statements and commits it takes, unharmed, which is audited as well."""
        self.fresh()
        self.as_before = self.rounds = 0
        subject.prepare()
        with watched(Points()) as points:
            went_well = subject.run()
        found = self.settle(subject, went_well=went_well)
        if not went_well or found:
            raise AssertionError(f"{subject.name}, unharmed: {went_well=}, {[*map(str, found[:3])]}")
        self.lengths[subject.name] = points
        return points

    def struck(
        self, subject: Subject, fault: str, points: Points, *, in_a_process: bool = False, for_a_crash: bool = False
    ) -> None:
        """One fault, from a world that nobody has touched to the audit of what is left."""
        if self.prepared is not subject or for_a_crash:
            self.fresh(for_a_crash=for_a_crash)
            subject.prepare()
        self.prepared = None

        def run() -> bool:
            with watched(points):
                return subject.run()

        if in_a_process:
            status = company.Worker(lambda: Ledger(done=Counter(well=run())), folder=self.folder).wait()
            if status != -signal.SIGKILL:
                raise AssertionError(f"{subject.name}: its process ended with {status}")
            went_well = False
        else:
            went_well = run()
        self.count(fault, subject, self.settle(subject, went_well=went_well))

    def settle(self, subject: Subject, *, went_well: bool) -> list[Finding]:
        """What the audit finds at once, and once it was tried again and cron has been round."""
        connection.close()
        after = read()
        is_act = isinstance(subject, Act)
        # Of an act the journal tells whether it happened; who was told so may rely on it.
        ledger = Ledger(tried=Counter(act=is_act), done=Counter(act=is_act and went_well))
        found = self.auditor.audit(after, ledger=ledger, settled=False)
        if is_act and not subject.is_done():
            if not self.auditor.is_as_before(after):
                found.append(Finding("wrong", "something was written, and the journal has nothing of it"))
            self.as_before += 1
            if not found and self.as_before % FULL_EVERY:
                # Trying again would be what it was the last time.
                self.prepared = subject
                return found
        if not subject.again():
            found.append(Finding("lost", "it does not work the second time either"))
        ledger.done.update(act=int(is_act) - ledger.done["act"])
        return found + self.come_round(ledger)

    def come_round(self, ledger: Ledger | None = None, *, of_all: bool = False) -> list[Finding]:
        self.rounds += 1
        of_all = of_all or self.rounds % FULL_EVERY == 0
        failed = cron(job for job in self.jobs if of_all or job.name in ROUND)
        connection.close()
        found = self.auditor.audit(read(), ledger=ledger, settled=True)
        return [*(Finding("lost", f"{name} does not work any more") for name in failed), *found]

    def count(self, fault: str, subject: Subject, found: Sequence[Finding]) -> None:
        self.tally.count(fault, subject.name, found)
        for finding in found[:3]:
            say(f"  {fault}, {subject.name}: {finding}")

    # What is done to one at a time.

    def every_point(self, subject: Subject) -> None:
        """An exception after each statement, and the connection lost at each commit, before and after it."""
        length = self.lengths[subject.name]
        for nth in range(1, length.statements + 1):
            broken = Points(at=nth, strike=faults.break_off)
            self.struck(subject, "exception after each statement", broken)
        for nth in range(1, length.commits + 1):
            self.struck(subject, "connection lost before each commit", Points(at_commit=nth))
            self.struck(subject, "connection lost after each commit", Points(at_commit=nth, late=True))

    def each_way(self, subject: Subject) -> None:
        """The other faults, each after a statement that the seed draws."""
        for name, strike in faults.HERE.items():
            self.struck(subject, name, self.drawn(subject, strike))
        self.struck(subject, "SIGKILL", self.drawn(subject, faults.kill), in_a_process=True)

    def drawn(self, subject: Subject, strike: Callable[[], None]) -> Points:
        chance = self.chance(subject.name, strike.__name__)
        return Points(at=chance.randint(1, self.lengths[subject.name].statements), strike=strike)

    # What is done to many at once.

    def beside(self, job: Job, round_: int, hits: Sequence["Hit"], *, for_a_crash: bool = False) -> None:
        """The job several times at once, beside the bot, payments, staff and all other jobs, all on the same
        contractors, while they are hit."""
        self.fresh(for_a_crash=for_a_crash)
        chance = self.chance(job.name, round_)
        who = chance.sample(self.contractors, len(self.contractors) // 3)
        start = partial(company.Worker, folder=self.folder)

        def once() -> None:
            job.run()

        def round_of_cron() -> None:
            cron(self.jobs)

        name = f"{self.seed} {job.name} {round_}"
        others = [
            start(partial(company.bot, f"bot {name}", who)),
            start(partial(company.bot, f"payments {name}", who)),
            start(partial(company.staff, f"staff {name}", who)),
            start(round_of_cron),
        ]
        runs = [start(once) for _ in range(AT_ONCE)]
        landed = []
        for hit in hits:
            time.sleep(chance.uniform(*MOMENTS))
            if hit(runs, chance):
                landed.append(hit)
        statuses = [worker.wait() for worker in [*runs, *others]]
        ledger = Ledger()
        for worker in others:
            ledger.add(worker.ledger())
        wrong = [status for status in statuses if status not in (0, -signal.SIGKILL)]
        found = [Finding("wrong", f"processes ended with {wrong}")] if wrong else []
        found += self.auditor.audit(read(), ledger=ledger, settled=False)
        found += self.come_round(ledger, of_all=True)
        self.count(f"{AT_ONCE} at once, beside bot, payments, staff and the other jobs", job, found)
        for hit in landed:
            self.tally.count(f"… while {hit.__doc__}", job.name, found)

    # Of those who are wrong.

    def control(self, process: Processor, moment: Callable[[Processor], None]) -> list[Finding]:
        self.fresh()
        moment(process)
        connection.close()
        return self.auditor.audit(read(), ledger=Ledger(payments_tried=Anybody()), settled=False)

    def controls(self) -> dict[str, list[Finding]]:
        """Of each processor that is wrong, what the audit finds of that; of the right one it must find nothing."""
        caught = {}
        for process, moment, harm in CONTROLS:
            if found := self.control(product, moment):
                raise AssertionError(f"the product, when one {moment.__name__}: {[*map(str, found[:3])]}")
            caught[process.__name__] = [found for found in self.control(process, moment) if harm in str(found)]
        return caught

    # Two at a time, each with a copy of the world.

    def side_by_side(self, *lanes: Callable[[], None]) -> None:
        """Each in a process and with a world of its own; afterwards this one knows what they know."""
        files = [self.folder / f"lane-{number}" for number in range(len(lanes))]
        workers = [
            company.Worker(partial(self.in_lane, number, lane, file), folder=self.folder, seconds=0)
            for number, (lane, file) in enumerate(zip(lanes, files, strict=True))
        ]
        statuses = [worker.wait() for worker in workers]
        if any(statuses):
            raise AssertionError("it could not be done, as told above")
        for file in files:
            tally, checks, lengths = pickle.loads(file.read_bytes())
            self.tally.add(tally)
            self.auditor.checks += checks
            self.lengths |= lengths

    def in_lane(self, number: int, lane: Callable[[], None], file: Path) -> None:
        self.worlds.copy += f"_{number}"
        self.auditor.archive = self.folder / f"archive-{number}"
        try:
            lane()
        finally:
            self.worlds.remove_copy()
        lengths = {name: Points(statements=of.statements, commits=of.commits) for name, of in self.lengths.items()}
        file.write_bytes(pickle.dumps((self.tally, self.auditor.checks, lengths)))


# Seconds between hits. A job takes some tenths of one.
MOMENTS = 0.005, 0.06
# Whether it met anybody.
Hit = Callable[[Sequence[company.Worker], random.Random], bool]


def kill_one(runs: Sequence[company.Worker], chance: random.Random) -> bool:
    """one is killed"""
    at_work = [run for run in runs if run.is_at_work()]
    return bool(at_work) and chance.choice(at_work).kill()


def cut_off_half(runs: Sequence[company.Worker], chance: random.Random) -> bool:
    """half of the connections are terminated"""
    with plain() as desk:
        cut = desk.execute(
            "SELECT pg_terminate_backend(pid) AS is_cut FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
            " AND pid %% 2 = %s",
            [chance.randint(0, 1)],
        )
        return any(row["is_cut"] for row in cut)


def restart_of(server: Server) -> Hit:
    def restart(runs: Sequence[company.Worker], chance: random.Random) -> bool:
        """the server is stopped at once and started"""
        is_hit = any(run.is_at_work() for run in runs)
        server.restart()
        return is_hit

    return restart


def main(server: Server) -> int:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="of the jobs and acts those whose names contain this")
    parser.add_argument("--contractors", type=int, default=CONTRACTORS, help=f"default {CONTRACTORS}")
    parser.add_argument("--away", type=float, default=60, help="seconds without a database (default 60)")
    asked = parser.parse_args()
    # It would keep a list of every query, and make a page of every exception.
    settings.DEBUG = False
    logging.disable(logging.CRITICAL)
    start = time.monotonic()
    say(f"SEED={asked.seed}: the same number makes the same plan")
    call_command("migrate", verbosity=0)
    chaos = Chaos(seed=asked.seed, contractors=asked.contractors, folder=server.folder)
    everyone: list[Subject] = [*chaos.jobs, *chaos.acts]
    wanted = [subject for subject in everyone if asked.only in subject.name]

    def each_fault(subject: Subject) -> None:
        before, began = chaos.tally.injected, time.monotonic()
        length = chaos.measure(subject)
        chaos.every_point(subject)
        chaos.each_way(subject)
        if isinstance(subject, Job):
            chaos.beside(subject, 1, [kill_one, kill_one, cut_off_half])
            chaos.beside(subject, 2, [cut_off_half, kill_one, kill_one])
        made, took = chaos.tally.injected - before, time.monotonic() - began
        say(f"{subject.name}: {made} faults, {length.statements} statements, {took:.0f} s")

    # Whoever is free takes the next one; what is drawn is drawn for each by itself.
    take, give = os.pipe()
    os.write(give, bytes(range(len(wanted))))
    os.close(give)

    def lane() -> None:
        while place := os.read(take, 1):
            each_fault(wanted[place[0]])

    chaos.side_by_side(*[lane] * LANES)
    os.close(take)
    restart = restart_of(server)
    for subject in wanted:
        points = chaos.drawn(subject, server.restart)
        chaos.struck(subject, "server stopped at once and started", points, for_a_crash=True)
        if isinstance(subject, Job):
            chaos.beside(subject, 0, [kill_one, restart, kill_one], for_a_crash=True)
    say("server stopped and started")
    caught = chaos.controls()
    for name, found in caught.items():
        say(f"{name}: {f'caught, {found[0]}' if found else 'NOT CAUGHT'}")
    chaos.fresh(for_a_crash=True)
    told = away(server, seconds=asked.away)
    for problem in told.problems:
        say(problem)
    tally, checks, minutes = chaos.tally, chaos.auditor.checks, (time.monotonic() - start) / 60
    say(f"{tally.injected} faults, {checks} contractor checks, {tally.harm} with harm, in {minutes:.1f} minutes")
    is_good = not tally.harm and all(caught.values()) and not told.problems
    if asked.only or asked.contractors != CONTRACTORS:
        return int(not is_good)
    if tally.injected < LEAST_FAULTS or checks < LEAST_CHECKS:
        say(f"too little: {LEAST_FAULTS} faults and {LEAST_CHECKS} contractor checks are the least")
        is_good = False
    summary = (
        f"`make chaos SEED={asked.seed}`, in {minutes:.0f} minutes on {os.cpu_count()} cores, on PostgreSQL"
        f" {server_version()}: {tally.injected:,} faults, {checks:,} contractor checks."
    )
    write_section(
        settings.BASE_DIR / "docs" / "reliability.md",
        "Faults",
        "\n\n".join(
            [
                summary,
                HOW,
                table("what was done", tally.by_fault),
                table("to whom", {one.name: tally.by_subject[one.name] for one in everyone}),
                *[f"The wrong processor `{name}`: caught, {found[0]}." for name, found in caught.items() if found],
                told.text,
            ]
        ),
    )
    return int(not is_good)


HOW = """
Each fault begins in the same world of 240 contractors to whom much is due. A fault is given to every job and act
after every statement of it (an exception), before and after every commit (the connection is lost), and, of each other
kind, after one statement that the seed draws. At once afterwards every contractor is audited by a count of
`chaos/audit.py` that knows the data contract alone, against the world as it was before. Then whoever was struck tries
again, the jobs that settle what is due go round once (one round in eight is of all jobs), and every contractor is
audited again, now by `check_data` and `verify_journal` too; a try or a job that fails then is harm. An act that left
its tables as they were, to the digest, is seen to the end like this one time in eight, else the next fault finds the
same world. Lost, doubled and wrong are what the audits found; a fault without any of them was survived. Several at
once are hit within some hundredths of a second, and only a hit that met somebody counts. Payments, channels, clients
and acts must be those that the bot and staff know they wrote; views and statistics are not followed one by one, only
that none fall and all add up.
""".strip()


def server_version() -> str:
    with plain("postgres") as desk:
        row = desk.execute("SELECT current_setting('server_version') AS version").fetchone()
    assert row
    return row["version"].split()[0]
