"""What is told at the end, and stands in docs/reliability.md."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple

from cluster.audit import in_words
from cluster.faults import FREEZES, MACHINE_DIES, Round

HEADING = "When a machine dies"

BUILT = """
`{command}` builds it on one machine, in a folder of its own, from Debian's packages and the files in
`cluster/config/`: etcd, two PostgreSQL under Patroni with `synchronous_mode`, HAProxy, which asks Patroni who leads,
and PgBouncer in transaction mode in front. On it run the back office (gunicorn, production settings, `POOLED=1`) and
cron's jobs one after the other, each with the database role of its own, three bots that write without a pause, and
two members of staff, of whom one reads lists and one queues gifts. Each write that was acknowledged is noted in a
file outside of any database. A leader dies by SIGKILL of its PostgreSQL and of its agent at once, at some moment or
when its replica has heard nothing for two seconds; it freezes by SIGSTOP of all its processes, and wakes after the
other one has taken over.
"""
SEEN = """
Meanwhile a page answers 503 and a job ends with one line; all were well again by themselves. What was seen: {seen}. A
death costs the {ttl} s of the lease, in which nobody else may lead; a switchover that is asked for costs only the
time that a PostgreSQL takes to stop and another to start.
"""
CONTROL = """
The control: the same death with `synchronous_mode` off, a replica that is two seconds behind, and
`maximum_lag_on_failover` raised so that it may lead all the same, lost {lost} of {asked} acknowledged writes, and the
audit found them missing. What the mode costs, with nobody but the bots at work:
a write was acknowledged after {slow:.1f} ms with it and {fast:.1f} ms without (medians; {slow_rate:.0f} and
{fast_rate:.0f} writes a second from three bots that wait for each). The replica was {lag:.1f} ms behind (median; at
most {most:.1f} ms). An export by `smetabot_readonly` at the replica read {read} profiles.
"""
END = """
In the end `check_data` found nothing and `verify_journal` a whole chain; no event, use of an invite, gift, reward or
start of a gift was twice there.
"""
TTL = 20


class Pace(NamedTuple):
    """Seconds that a write took, writes a second, and seconds that the replica was behind."""

    write: float
    rate: float
    lag: float
    most: float


class Control(NamedTuple):
    acknowledged: int
    lost: int
    pace: Pace


@dataclass
class Outcome:
    rounds: Sequence[Round]
    acknowledged: Mapping[str, int]
    pages: int
    exits: Mapping[int, int]
    lost: int
    doubled: Mapping[str, int]
    unrecorded: int
    lost_on_replica: int
    pace: Pace
    read_at_replica: int
    control: Control
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def survived(self) -> int:
        return sum(not sum(round.lost.values()) for round in self.rounds)

    @property
    def failures(self) -> list[str]:
        """Why it is not good, a line each."""
        found = list(self.problems)
        if self.lost:
            found.append(f"{self.lost} acknowledged writes are lost")
        if self.lost_on_replica:
            found.append(f"{self.lost_on_replica} acknowledged writes are not at the replica")
        if self.unrecorded:
            found.append(f"{self.unrecorded} runs of jobs that ended well are not in admin.job_runs")
        if sum(self.doubled.values()):
            found.append(f"doubled: {in_words(self.doubled)}")
        if not self.control.lost:
            found.append("the control lost nothing: the audit has not been seen to find anything")
        return found


def text(outcome: Outcome, command: str, machine: str) -> str:
    return "\n\n".join(part if part.startswith("|") else filled(part) for part in parts(outcome, command, machine))


def filled(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), 120, break_long_words=False, break_on_hyphens=False)


def parts(outcome: Outcome, command: str, machine: str) -> Sequence[str]:
    silent = [round for round in outcome.rounds if round.fault in (MACHINE_DIES, FREEZES)]
    told = ", ".join(f"{count:,} {what}s" for what, count in outcome.acknowledged.items())
    exits = ", ".join(f"{count} with exit {code}" for code, count in sorted(outcome.exits.items()))
    pace, control = outcome.pace, outcome.control
    doubled = sum(outcome.doubled.values())
    return [
        BUILT.format(command=command),
        "| injected | survived | acknowledged writes | lost | doubled |\n|---|---|---|---|---|\n"
        f"| {len(outcome.rounds)} faults | {outcome.survived} | {sum(outcome.acknowledged.values()):,} | {outcome.lost}"
        f" | {doubled} |",
        "\n".join(table(outcome.rounds)),
        f"When a leader is gone without a word: the bots waited {spread([round.outages['bot'] for round in silent])};"
        f" pages failed for {spread([round.outages['web'] for round in silent])};"
        f" no job ended well for {spread([round.outages['cron'] for round in silent])}, which the time of a job is in.",
        SEEN.format(seen=complaints(outcome.rounds), ttl=TTL),
        f"Acknowledged, and found both at the leader and at the replica: {told}. {outcome.pages:,} pages were served."
        f" Of the jobs ended {exits}; each of those with 0 is in `admin.job_runs`. {END}",
        CONTROL.format(
            lost=control.lost,
            asked=control.acknowledged,
            slow=1000 * pace.write,
            fast=1000 * control.pace.write,
            slow_rate=pace.rate,
            fast_rate=control.pace.rate,
            lag=1000 * pace.lag,
            most=1000 * pace.most,
            read=outcome.read_at_replica,
        ),
        f"Measured on {machine}; {outcome.seconds / 60:.1f} minutes.",
    ]


def table(rounds: Sequence[Round]) -> list[str]:
    lines = [
        "| fault | bots waited | pages failed | no job ended well | whole again after | the old leader | lost |",
        "|---|---|---|---|---|---|---|",
    ]
    for round in rounds:
        waited = " | ".join(seconds(round.outages[name]) for name in ("bot", "web", "cron"))
        lost = in_words(round.lost)
        lines.append(f"| {round.fault} | {waited} | {round.whole_after:.0f} s | {round.came_back} | {lost} |")
    return lines


def seconds(value: float) -> str:
    return f"{value:.1f} s" if value else "–"


def spread(values: Sequence[float]) -> str:
    return f"{median(values):.1f} s (median), at most {max(values):.1f} s"


def complaints(rounds: Sequence[Round]) -> str:
    seen: dict[str, set[str]] = {}
    for round in rounds:
        for who, what in round.complaints.items():
            seen.setdefault(who, set()).update(what)
    return "; ".join(f"{who}: {', '.join(sorted(what))}" for who, what in seen.items() if what) or "nothing"
