"""What is done to the machine that leads, and what becomes of it."""

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import psycopg

from cluster.bot import FIRST_ID
from cluster.processes import signal_all
from cluster.servers import Cluster, Node, sleep_until
from testbed.console import say
from testbed.processes import until

# So long nothing is heard of a frozen leader: longer than its lease.
FROZEN = 35.0


@dataclass
class Round:
    fault: str
    began: float = 0.0
    ended: float = 0.0
    # Seconds until the cluster was whole again, and how the old leader came back.
    whole_after: float = 0.0
    came_back: str = ""
    acknowledged: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    outages: dict[str, float] = field(default_factory=dict)
    complaints: dict[str, list[str]] = field(default_factory=dict)


Fault = Callable[[Cluster, Random, Round], Node]


def machine_dies(cluster: Cluster, random: Random, round: Round) -> Node:
    """At some moment, and sometimes when its replica has heard nothing for a while."""
    leader = cluster.leader
    behind = random.choice((0.0, 0.0, 2.0))
    time.sleep(random.uniform(0.5, 3))
    fall_behind(leader, behind)
    round.began = time.monotonic()
    leader.kill()
    until(lambda: cluster.leader_is_there() and cluster.leader is not leader, "another leader", seconds=60)
    leader.start()
    return leader


def fall_behind(leader: Node, seconds: float) -> None:
    if seconds:
        signal_all(leader.senders(), signal.SIGSTOP)
        time.sleep(seconds)


def server_dies(cluster: Cluster, random: Random, round: Round) -> Node:
    """PostgreSQL alone: its agent starts it again where it was."""
    time.sleep(random.uniform(0.5, 3))
    leader = cluster.leader
    round.began = time.monotonic()
    leader.kill_server()
    return leader


def planned(cluster: Cluster, random: Random, round: Round) -> Node:
    leader = cluster.leader
    time.sleep(random.uniform(0.5, 3))
    round.began = time.monotonic()
    cluster.switch_over()
    return leader


def machine_freezes(cluster: Cluster, random: Random, round: Round) -> Node:
    """It hears nothing and says nothing, is given up, and wakes as one that thinks it leads. Somebody was connected to
    it past HAProxy, and writes in the very moment."""
    leader = cluster.leader
    witness = Witness(cluster.connect(leader.port))
    time.sleep(random.uniform(0.5, 3))
    round.began = time.monotonic()
    frozen = leader.freeze()
    try:
        witness.write()
        until(lambda: cluster.leader_is_there() and cluster.leader is not leader, "another leader", seconds=60)
        sleep_until(round.began + FROZEN)
    finally:
        signal_all(frozen, signal.SIGCONT)
    say(f"it wakes after {time.monotonic() - round.began:.0f} s")
    witness.thread.join(timeout=60)
    round.came_back = f"a write sent to it past HAProxy was {witness.told} when it woke; "
    if witness.told == "acknowledged" and not cluster.scalar(Witness.IS_THERE):
        round.lost["contractor"] += 1
    return leader


class Witness:
    """Connected to one server itself, with a write on its way to it while it is frozen."""

    ACCOUNT = FIRST_ID - 1
    IS_THERE = f"SELECT count(*) FROM core.contractors WHERE tg_user_id = {ACCOUNT}"

    def __init__(self, connection: "psycopg.Connection[Any]") -> None:
        self.connection = connection
        self.told = "not answered"
        self.thread = threading.Thread(target=self.work, daemon=True)

    def write(self) -> None:
        self.thread.start()

    def work(self) -> None:
        try:
            self.connection.execute(f"INSERT INTO core.contractors (tg_user_id) VALUES ({self.ACCOUNT})".encode())
            self.told = "acknowledged"
        except psycopg.Error:
            self.told = "refused"
        finally:
            self.connection.close()


MACHINE_DIES, FREEZES = "the machine dies", "the machine freezes for 35 s"
FAULTS: dict[str, Fault] = {
    MACHINE_DIES: machine_dies,
    "PostgreSQL alone dies": server_dies,
    "planned switchover": planned,
    FREEZES: machine_freezes,
}
