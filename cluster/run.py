"""Kills what leads while everybody works, and counts what is lost; writes a section of docs/reliability.md.

Exit 0 when nothing acknowledged was lost or doubled, 1 when something was, 2 when it could not be tried.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import psutil  # type: ignore[import-untyped]
import psycopg
import urllib3

from cluster import audit, jobs, report
from cluster.bot import Bot, Ledger, LostError
from cluster.faults import FAULTS, Round, fall_behind
from cluster.jobs import Cron, require, variables
from cluster.processes import Folder, require_packages, temporary
from cluster.report import Pace
from cluster.servers import PACKAGES, Cluster
from cluster.staff import LOGIN, Giver, Reader, ask, log_in
from cluster.watch import Watched, all_good_since
from load.browser import Browser
from testbed.console import HinderedError, give_up, say
from testbed.documents import write_section
from testbed.processes import BASE, gunicorn, until

OWNER, BOT, WEB, CRON = "smetabot", "smetabot_bot", "smetabot_web", "smetabot_cron"
READONLY, PARTITIONS = "smetabot_readonly", "smetabot_partitions"
# An export, such as an analyst would take.
READ_ALL = "from analytics.profiles import all_profiles; print(sum(1 for _ in all_profiles()))"
LAG = "SELECT coalesce(max(extract(epoch FROM replay_lag)), 0) FROM pg_stat_replication"
# All that cron ever runs.
SCHEDULED = "from django.conf import settings; print(*(args[0] for _cron, _call, args in settings.CRONJOBS))"
CONTRACTORS = 300
BOTS = 3


def main() -> int:
    parser = argparse.ArgumentParser(prog="make cluster-test", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often the leading machine dies")
    parser.add_argument("--seed", type=int, default=1, help="another number kills at other moments")
    asked = parser.parse_args()
    if asked.rounds < 1:
        parser.error("--rounds: at least 1")
    start = time.monotonic()
    try:
        require_packages(PACKAGES)
        with temporary() as folder:
            outcome = try_all(folder, asked.rounds, Random(asked.seed))
    except KeyboardInterrupt:
        print("Interrupted: all servers are stopped and the folder is gone.", file=sys.stderr)
        return 130
    except LostError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 1
    except (HinderedError, psycopg.Error, urllib3.exceptions.HTTPError, RuntimeError, AssertionError, OSError) as error:
        return give_up(error)
    outcome.seconds = time.monotonic() - start
    told = report.text(outcome, f"make cluster-test ROUNDS={asked.rounds} SEED={asked.seed}", machine())
    print(told)
    for failure in outcome.failures:
        print(failure, file=sys.stderr)
    if not outcome.failures and asked.rounds >= 3:
        write_section(BASE / "docs" / "reliability.md", report.HEADING, told)
        say(f"written to the section {report.HEADING!r} of docs/reliability.md")
    return int(bool(outcome.failures))


def machine() -> str:
    memory = psutil.virtual_memory().total / 2**30
    return f"{os.cpu_count()} cores for all of it together, {memory:.0f} GiB; {time.strftime('%Y-%m-%d')}"


def try_all(folder: Folder, rounds: int, random: Random) -> report.Outcome:
    cluster = Cluster(folder)
    say("starting etcd, two nodes of Patroni, HAProxy and PgBouncer")
    cluster.start()
    prepare(cluster)
    ledger = Ledger(folder.path / "acknowledged")
    watched = people(cluster, ledger)
    reader, giver, cron = watched[-3:]
    until(cluster.is_whole, "a replica that has all", seconds=60)
    pace = quiet(cluster, watched[:BOTS])
    for one in watched[BOTS:]:
        one.start()
    until(all_good_since(time.monotonic(), watched), "a first success of everybody", seconds=60)
    say("all are at work")
    names = list(FAULTS)
    schedule = [names[0]] * (rounds - 1) + names[1:] + [names[0]]
    done = [one_round(name, cluster, random, watched, ledger) for name in schedule]
    say("all stop, and are asked")
    for one in watched:
        one.stop()
    for one in watched:
        one.join()
    assert isinstance(cron, Cron) and isinstance(reader, Reader) and isinstance(giver, Giver)
    problems = settle(cluster) + [f"a page answered {status}" for status in odd(reader, giver)]
    problems += [f"cron would mail: {text[:300]}" for text in cron.long]
    replica = cluster.other(cluster.leader)
    cluster.catch_up(replica)
    read = require(variables(cluster.reading_url(READONLY)), "shell", "-v0", "-c", READ_ALL)
    with cluster.connect(cluster.leader.port) as leading, cluster.connect(replica.port) as copy:
        # Of the rounds, too: what is back at last was not there when it was asked for.
        lost = sum(sum(round.lost.values()) for round in done) + audit.lost(leading, ledger).total()
        lost_on_replica = audit.lost(copy, ledger).total()
        doubled = audit.doubled(leading)
        unrecorded = audit.unrecorded(leading, cron.done)
    return report.Outcome(
        rounds=done,
        acknowledged={what: len(keys) for what, keys in ledger.written.items()},
        pages=len(reader.good) + len(giver.good),
        exits=cron.exits,
        lost=lost,
        doubled=doubled,
        unrecorded=unrecorded,
        lost_on_replica=lost_on_replica,
        pace=pace,
        read_at_replica=int(read),
        control=without_synchronous_mode(cluster, folder.path),
        problems=problems,
    )


def prepare(cluster: Cluster) -> None:
    cluster.make_database(OWNER)
    owner = variables(cluster.direct_url(OWNER))
    say("migrating, seeding")
    require(owner, "migrate", "--verbosity", "0")
    require(variables(cluster.direct_url("postgres")), "setup_roles")
    cluster.give_passwords(BOT, WEB, CRON, READONLY, PARTITIONS)
    require(owner, "seed_demo", "--contractors", str(CONTRACTORS))
    # As the cron of the hour before would have left it.
    for job in jobs.JOBS:
        require(owner, job)
    cluster.start_pooler([BOT, WEB, CRON])
    until(lambda: jobs.run(as_cron(cluster), "verify_journal").returncode == 0, "PgBouncer that leads to the leader")


def as_cron(cluster: Cluster) -> dict[str, str]:
    return variables(cluster.url(CRON), POOLED="1")


def new_bots(cluster: Cluster, ledger: Ledger) -> list[Bot]:
    def connect() -> Any:
        return cluster.connect(cluster.ports["pooled"], role=BOT)

    return [Bot(f"bot {number}", connect, ledger) for number in range(1, BOTS + 1)]


def quiet(cluster: Cluster, bots: Sequence[Watched]) -> Pace:
    """How fast the bots are told that a write is done, while nobody else works, and how far the replica is behind."""
    for bot in bots:
        bot.start()
    until(all_good_since(time.monotonic(), bots), "a first success of every bot", seconds=60)
    time.sleep(1)
    begin, lags = time.monotonic(), []
    while time.monotonic() < begin + 5:
        lags.append(float(cluster.scalar(LAG)))
        time.sleep(0.25)
    took = [seconds for bot in bots if isinstance(bot, Bot) for moment, seconds in bot.took if moment > begin]
    return Pace(median(took), len(took) / (time.monotonic() - begin), median(lags), max(lags))


def people(cluster: Cluster, ledger: Ledger) -> list[Watched]:
    cluster.folder.start(
        "web",
        *gunicorn(cluster.ports["web"], "--workers", "2"),
        is_ours=True,
        cwd=BASE,
        env=variables(cluster.url(WEB), POOLED="1"),
    )
    until(lambda: answers(Browser(cluster.ports["web"], "127.0.0.1", [])), "a page of the back office")
    browsers = []
    for number, name in enumerate(("reader", "giver"), 1):
        said = require(
            variables(cluster.direct_url(OWNER)), "add_admin", name, "--role", "owner", "--tg-user-id", str(number)
        )
        password = said.partition("password ")[2].split()[0]
        browser = Browser(cluster.ports["web"], f"127.0.1.{number}", [])
        log_in(browser, name, password)
        browsers.append(browser)
    with cluster.connect(cluster.leader.port) as connection:
        contractors = [row[0] for row in connection.execute("SELECT id FROM core.contractors ORDER BY id")]

    return [
        *new_bots(cluster, ledger),
        Reader("reader", browsers[0]),
        Giver("giver", browsers[1], contractors, ledger),
        Cron("cron", as_cron(cluster)),
    ]


def answers(browser: Browser) -> bool:
    try:
        return ask(browser, LOGIN)[0] == 200
    except urllib3.exceptions.HTTPError:
        return False


def one_round(name: str, cluster: Cluster, random: Random, watched: list[Watched], ledger: Ledger) -> Round:
    until(cluster.is_whole, "a leader and a replica that has all", seconds=120)
    round = Round(name)
    noted = len(ledger)
    rewound = {node.name: node.said("running pg_rewind") for node in cluster.nodes}
    before = cluster.leader
    say(f"{name}: node {before.name}")
    node = FAULTS[name](cluster, random, round)
    time.sleep(2)
    until(lambda: cluster.leader_is_there(), "a leader", seconds=60)
    until(all_good_since(time.monotonic(), watched), "a success of everybody", seconds=90)
    round.ended = time.monotonic()
    until(cluster.is_whole, "a leader and a replica that has all", seconds=120)
    round.whole_after = time.monotonic() - round.began
    if cluster.leader is node:
        round.came_back += "it leads on"
    else:
        how = (
            "by pg_rewind"
            if node.said("running pg_rewind") > rewound[node.name]
            else "without pg_rewind, nothing to undo"
        )
        round.came_back += f"as a replica, {how}"
    kinds = {"bot": watched[:BOTS], "web": watched[BOTS:-1], "cron": watched[-1:]}
    for kind, ones in kinds.items():
        round.outages[kind] = max(one.outage(round.began, round.ended) for one in ones)
        round.complaints[kind] = sorted({why for one in ones for why in one.complaints(round.began, round.ended)})
    round.acknowledged = len(ledger) - noted
    with cluster.connect(cluster.leader.port) as connection:
        round.lost += audit.lost(connection, ledger)
    waits = ", ".join(f"{kind} {report.seconds(value)}" for kind, value in round.outages.items())
    say(f"  outage: {waits}; {round.came_back}; lost: {audit.in_words(round.lost)}")
    return round


def settle(cluster: Cluster) -> list[str]:
    """What the jobs do with what is left, and what the checks find then."""
    problems = []
    scheduled = require(as_cron(cluster), "shell", "-v0", "-c", SCHEDULED).split()
    for job in (*scheduled, "check_data", "verify_journal"):
        is_owners = job == "maintain_partitions"
        done = jobs.run(variables(cluster.direct_url(PARTITIONS)) if is_owners else as_cron(cluster), job)
        if done.returncode:
            problems.append(f"{job}: {jobs.last_line(done.stderr)}")
    return problems


def odd(*staff: Any) -> list[int]:
    return sorted({status for one in staff for status in one.statuses} - {200, 302, 503})


def without_synchronous_mode(cluster: Cluster, folder: Path) -> report.Control:
    """The control: here something must be lost, or else the audit would find nothing at all."""
    say("the control: without synchronous_mode, with a replica that is behind")
    cluster.let_any_replica_lead()
    ledger = Ledger(folder / "asynchronous")
    bots = new_bots(cluster, ledger)
    pace = quiet(cluster, bots)
    leader = cluster.leader
    fall_behind(leader, 2)
    for bot in bots:
        bot.stop()
    leader.kill()
    for bot in bots:
        bot.join()
    until(lambda: cluster.leader_is_there() and cluster.leader is not leader, "another leader", seconds=60)
    with cluster.connect(cluster.leader.port) as connection:
        lost = audit.lost(connection, ledger).total()
    say(f"  lost {lost} of {len(ledger)} acknowledged writes")
    return report.Control(len(ledger), lost, pace)
