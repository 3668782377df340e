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

from bench.documents import write_section
from chaos import company, faults
from chaos.audit import Auditor, Finding, Ledger, read
from chaos.away import away
from chaos.databases import Worlds, plain
from chaos.faults import Points, watched
from chaos.server import Server
from chaos.subjects import Act, Job, Subject, acts, cron, jobs
from chaos.tally import Tally, table
from chaos.tests.processors import CONTROLS, Anybody, Processor, product
from chaos.world import fill

CONTRACTORS = 240
LEAST_FAULTS, LEAST_CHECKS = 200, 200_000
AT_ONCE = 4
# Of an act that left all as it was, so many times one is tried again to the end.
FULL_EVERY = 8


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


class Chaos:
    def __init__(self, *, seed: int, contractors: int, folder: Path) -> None:
        self.seed, self.folder = seed, folder
        self.tally = Tally()
        self.lengths: dict[str, Points] = {}
        # Prepared in a world that nobody has touched since.
        self.prepared: Subject | None = None
        self.worlds = Worlds(empty=connection.settings_dict["NAME"])
        self.worlds.make()
        fill(seed=seed, contractors=contractors)
        self.worlds.fresh()
        self.auditor = Auditor(archive=folder / "archive")
        self.jobs = jobs(readings=folder / "readings.json")
        self.acts = acts()
        with plain() as desk:
            self.contractors = [row["id"] for row in desk.execute("SELECT id FROM core.contractors ORDER BY id")]

    def fresh(self) -> None:
        self.prepared = None
        self.worlds.fresh()
        settings.EVENTS_ARCHIVE = self.auditor.archive
        shutil.rmtree(settings.EVENTS_ARCHIVE, ignore_errors=True)

    def chance(self, *of: object) -> random.Random:
        """The same for the same seed, whatever else is done, and in which order."""
        return random.Random(f"{self.seed} {of}")

    def measure(self, subject: Subject) -> Points:
        """How many statements and commits it takes, unharmed, which is audited as well."""
        self.fresh()
        subject.prepare()
        with watched(Points()) as points:
            went_well = subject.run()
        found = self.settle(subject, went_well=went_well)
        if not went_well or found:
            raise AssertionError(f"{subject.name}, unharmed: {went_well=}, {[*map(str, found[:3])]}")
        self.lengths[subject.name] = points
        return points

    def struck(
        self, subject: Subject, fault: str, points: Points, *, in_a_process: bool = False, in_full: bool = True
    ) -> None:
        """One fault, from a world that nobody has touched to the audit of what is left."""
        if self.prepared is not subject:
            self.fresh()
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
        self.count(fault, subject, self.settle(subject, went_well=went_well, in_full=in_full))

    def settle(self, subject: Subject, *, went_well: bool, in_full: bool = True) -> list[Finding]:
        """What the audit finds at once, and once it was tried again and cron has been round."""
        connection.close()
        after = read()
        found = self.auditor.audit(after, settled=False)
        is_act = isinstance(subject, Act)
        if is_act:
            # Whether it happened is whether the journal says so; who was told so may rely on it.
            is_done = subject.is_done()
            if went_well and not is_done:
                found.append(Finding("lost", "it was said to be done, and the journal has nothing"))
            if not is_done and not self.auditor.is_as_before(after):
                found.append(Finding("wrong", "something was written, and the journal has nothing"))
            if not (is_done or found or in_full):
                # Trying again would be what it was the last time.
                self.prepared = subject
                return found
        subject.again()
        if is_act and not subject.is_done():
            found.append(Finding("lost", "the journal has nothing of the second try either"))
        return found + self.come_round()

    def come_round(self, ledger: Ledger | None = None) -> list[Finding]:
        cron(self.jobs)
        connection.close()
        return self.auditor.audit(read(), ledger=ledger, settled=True)

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
            self.struck(subject, "exception after each statement", broken, in_full=nth % FULL_EVERY == 0)
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

    def beside(self, job: Job, round_: int, hits: Sequence["Hit"]) -> None:
        """The job several times at once, beside the bot, payments, staff and all other jobs, all on the same
        contractors, while they are hit."""
        self.fresh()
        chance = self.chance(job.name, round_)
        who = chance.sample(self.contractors, len(self.contractors) // 3)
        start = partial(company.Worker, folder=self.folder)

        def once() -> None:
            job.run()

        runs = [start(once) for _ in range(AT_ONCE)]
        name = f"{self.seed} {job.name} {round_}"
        others = [
            start(partial(company.bot, f"bot {name}", who)),
            start(partial(company.bot, f"payments {name}", who)),
            start(partial(company.staff, f"staff {name}", who)),
            start(lambda: cron(self.jobs)),
        ]
        for hit in hits:
            time.sleep(chance.uniform(0.02, 0.35))
            hit(runs, chance)
        statuses = [worker.wait() for worker in [*runs, *others]]
        ledger = Ledger()
        for worker in others:
            ledger.add(worker.ledger())
        wrong = [status for status in statuses if status not in (0, -signal.SIGKILL)]
        found = [Finding("wrong", f"processes ended with {wrong}")] if wrong else []
        found += self.auditor.audit(read(), ledger=ledger, settled=False)
        found += self.come_round(ledger)
        self.count(f"{AT_ONCE} at once, beside bot, payments, staff and the other jobs", job, found)
        for hit in hits:
            self.count(f"… while {hit.__doc__}", job, [])

    # Of those who are wrong.

    def control(self, process: Processor, moment: Callable[[Processor], None]) -> list[Finding]:
        self.fresh()
        moment(process)
        connection.close()
        return self.auditor.audit(read(), ledger=Ledger(payments_tried=Anybody()), settled=False)

    def controls(self) -> dict[str, list[Finding]]:
        """What the audit finds of each processor that is wrong; of the right one it must find nothing."""
        caught = {}
        for process, moment in CONTROLS:
            if found := self.control(product, moment):
                raise AssertionError(f"the product, when one {moment.__name__}: {[*map(str, found[:3])]}")
            caught[process.__name__] = self.control(process, moment)
        return caught

    # Two at a time, each with a copy of the world.

    def side_by_side(self, *lanes: Callable[[], None]) -> None:
        """Each in a process and with a world of its own; afterwards this one knows what they know."""
        files = [self.folder / f"lane-{number}" for number in range(len(lanes))]
        workers = [
            company.Worker(partial(self.in_lane, number, lane, file), folder=self.folder)
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


Hit = Callable[[Sequence[company.Worker], random.Random], None]


def kill_one(runs: Sequence[company.Worker], chance: random.Random) -> None:
    """one is killed"""
    chance.choice(runs).kill()


def cut_off_half(runs: Sequence[company.Worker], chance: random.Random) -> None:
    """half of the connections are terminated"""
    with plain() as desk:
        desk.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND pid %% 2 = %s",
            [chance.randint(0, 1)],
        )


def restart_of(server: Server) -> Hit:
    def restart(runs: Sequence[company.Worker], chance: random.Random) -> None:
        """the server is stopped at once and started"""
        server.restart()

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

    def one_by_one(subjects: Sequence[Subject]) -> None:
        for subject in subjects:
            before, began = chaos.tally.injected, time.monotonic()
            length = chaos.measure(subject)
            chaos.every_point(subject)
            chaos.each_way(subject)
            if isinstance(subject, Job):
                chaos.beside(subject, 1, [kill_one, kill_one, cut_off_half])
                chaos.beside(subject, 2, [cut_off_half, kill_one, kill_one])
            made, took = chaos.tally.injected - before, time.monotonic() - began
            say(f"{subject.name}: {made} faults, {length.statements} statements, {took:.0f} s")

    chaos.side_by_side(
        lambda: one_by_one([subject for subject in wanted if isinstance(subject, Job)]),
        lambda: one_by_one([subject for subject in wanted if isinstance(subject, Act)]),
    )
    restart = restart_of(server)
    for subject in wanted:
        chaos.struck(subject, "server stopped at once and started", chaos.drawn(subject, server.restart))
        if isinstance(subject, Job):
            chaos.beside(subject, 0, [kill_one, restart, kill_one])
    say("server stopped and started")
    caught = chaos.controls()
    for name, found in caught.items():
        say(f"{name}: {f'caught, {found[0]}' if found else 'NOT CAUGHT'}")
    chaos.fresh()
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
                table("to whom", tally.by_subject),
                *[f"The wrong processor `{name}`: caught, {found[0]}." for name, found in caught.items() if found],
                told.text,
            ]
        ),
    )
    return int(not is_good)


HOW = """
Each fault begins in the same world of 240 contractors to whom much is due. Whoever was struck tries again, cron goes
round once, and before and after that every contractor is audited: by `check_data`, `verify_journal`, and a count of
`chaos/audit.py` that knows the data contract alone. Lost, doubled and wrong are what these found; a fault without any
of them was survived. A process is killed, a connection cut and the server stopped when a statement, drawn by the seed,
is just done.
""".strip()


def server_version() -> str:
    with plain("postgres") as desk:
        row = desk.execute("SELECT current_setting('server_version') AS version").fetchone()
    assert row
    return row["version"].split()[0]
