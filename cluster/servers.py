"""The machines: etcd, PostgreSQL under Patroni, HAProxy and PgBouncer, as config/ says."""

import io
import json
import secrets
import signal
import string
import subprocess
import time
from collections.abc import Mapping
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import urllib3

from cluster.processes import Folder, end, family, signal_all
from testbed.processes import free_ports, until

CONFIG = Path(__file__).with_name("config")
# As in production, but for its places.
DEPLOYED = CONFIG.parents[1] / "deploy" / "pgbouncer.ini"
BINARIES = Path("/usr/lib/postgresql/15/bin")
PACKAGES = {
    "patroni": "/usr/bin/patroni",
    "etcd-server": "/usr/bin/etcd",
    "haproxy": "/usr/sbin/haproxy",
    "pgbouncer": "/usr/sbin/pgbouncer",
    "postgresql-15": str(BINARIES / "postgres"),
}
NODES = ("one", "two")
DATABASE = "smetabot"
HTTP = urllib3.PoolManager(retries=False, timeout=2)


@dataclass
class Node:
    name: str
    folder: Folder
    port: int
    rest: int
    agent: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        self.agent = self.folder.start(f"patroni-{self.name}", PACKAGES["patroni"], str(self.config))

    @property
    def config(self) -> Path:
        return self.folder.path / f"patroni-{self.name}.yml"

    @property
    def server(self) -> int:
        return int((self.folder.path / self.name / "data" / "postmaster.pid").read_text().split()[0])

    @property
    def processes(self) -> list[Any]:
        assert self.agent
        # The agent first: it must not see how the server goes, and say so.
        return family(self.agent.pid) + family(self.server)

    def senders(self) -> list[Any]:
        return [process for process in family(self.server) if "walsender" in " ".join(process.cmdline())]

    def kill(self) -> None:
        """As a machine dies: nobody on it has a last word."""
        signal_all(self.processes, signal.SIGKILL)
        assert self.agent
        self.agent.wait()

    def kill_server(self) -> None:
        end(self.server)

    def freeze(self) -> list[Any]:
        frozen = self.processes
        signal_all(frozen, signal.SIGSTOP)
        return frozen

    def said(self, text: str) -> int:
        return self.folder.log(f"patroni-{self.name}").count(text)


class Cluster:
    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.secret = secrets.token_hex(16)
        names = ["etcd", "etcd_peers", "leader", "replicas", "pooled", "web"]
        ports = free_ports([*names, *(f"{kind}_{name}" for name in NODES for kind in ("port", "rest"))])
        self.ports = {name: ports[name] for name in names}
        self.nodes = [Node(name, folder, ports[f"port_{name}"], ports[f"rest_{name}"]) for name in NODES]

    def start(self) -> None:
        self.folder.make("etcd")
        self.folder.start("etcd", PACKAGES["etcd-server"], "--config-file", str(self.configured("etcd.yml")))
        for node in self.nodes:
            self.folder.make(node.name)
            self.configured("patroni.yml", f"patroni-{node.name}.yml", name=node.name, port=node.port, rest=node.rest)
            node.start()
            # The first one that asks makes the database, and the others copy it.
            until(self.leader_is_there, "a leader", seconds=90)
        servers = "\n".join(f"  server {node.name} 127.0.0.1:{node.port} check port {node.rest}" for node in self.nodes)
        haproxy = self.configured("haproxy.cfg", servers=servers)
        self.folder.start("haproxy", PACKAGES["haproxy"], "-db", "-f", str(haproxy))

    def start_pooler(self, roles: list[str]) -> None:
        self.folder.write("users", "".join(f'"{role}" "{self.secret}"\n' for role in roles))
        # Not one included by the other: a section that comes twice begins with PgBouncer's defaults again.
        merged = ConfigParser(interpolation=None)
        merged.read([DEPLOYED, self.configured("pgbouncer.ini")])
        written = io.StringIO()
        merged.write(written)
        self.folder.start("pgbouncer", PACKAGES["pgbouncer"], str(self.folder.write("pooler.ini", written.getvalue())))

    def configured(self, template: str, to: str | None = None, **values: Any) -> Path:
        text = string.Template((CONFIG / template).read_text())
        every = {"folder": self.folder.path, "secret": self.secret, "binaries": BINARIES} | self.ports | values
        return self.folder.write(to or template, text.substitute(every))

    def members(self) -> list[Mapping[str, Any]]:
        """As whichever agent answers first sees them."""
        for node in self.nodes:
            try:
                return json.loads(HTTP.request("GET", f"http://127.0.0.1:{node.rest}/cluster").data)["members"]
            except (urllib3.exceptions.HTTPError, ValueError, KeyError):
                continue
        return []

    def node(self, *roles: str) -> Node | None:
        """The one that runs in that role. A dead one is listed for a while, and does not answer."""
        for node in self.nodes:
            try:
                told = json.loads(HTTP.request("GET", f"http://127.0.0.1:{node.rest}/patroni").data)
            except (urllib3.exceptions.HTTPError, ValueError):
                continue
            if told.get("state") == "running" and told.get("role") in roles:
                return node
        return None

    def leader_is_there(self) -> bool:
        return self.node("master", "primary") is not None

    @property
    def leader(self) -> Node:
        node = self.node("master", "primary")
        assert node, "no leader"
        return node

    def is_whole(self) -> bool:
        """Every node runs, one leads, and the other has all that was acknowledged."""
        roles = [member["role"] for member in self.members() if member["state"] in ("running", "streaming")]
        return len(roles) == len(NODES) and {"leader", "sync_standby"} == set(roles) and self.leader_is_there()

    def other(self, node: Node) -> Node:
        return next(other for other in self.nodes if other is not node)

    def switch_over(self) -> None:
        leader = self.leader
        HTTP.request(
            "POST",
            f"http://127.0.0.1:{leader.rest}/switchover",
            json={"leader": leader.name, "candidate": self.other(leader).name},
            timeout=60,
        )

    def let_any_replica_lead(self) -> None:
        # However far a replica is behind, it may lead: else one that lacks a megabyte, as a fast machine writes in two
        # seconds, is left out, and nobody leads.
        asked = {"synchronous_mode": False, "maximum_lag_on_failover": 2**30}
        HTTP.request("PATCH", f"http://127.0.0.1:{self.leader.rest}/config", json=asked)
        until(lambda: self.scalar("SHOW synchronous_standby_names") == "", "asynchronous replication")

    def connect(self, port: int, *, role: str = "postgres", database: str = DATABASE) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host="127.0.0.1",
            port=port,
            user=role,
            password=self.secret,
            dbname=database,
            connect_timeout=3,
            # Through the pooler: who runs it next may be on another connection.
            prepare_threshold=None,
            autocommit=True,
        )

    def scalar(self, sql: str, *, node: Node | None = None, database: str = DATABASE) -> Any:
        with self.connect((node or self.leader).port, database=database) as connection:
            row = connection.execute(sql.encode()).fetchone()
            return row[0] if row else None

    def make_database(self, owner: str) -> None:
        with self.connect(self.leader.port, database="postgres") as connection:
            connection.execute(f"CREATE ROLE {owner} LOGIN PASSWORD '{self.secret}'".encode())
            connection.execute(f"CREATE DATABASE {DATABASE} OWNER {owner}".encode())

    def give_passwords(self, *roles: str) -> None:
        with self.connect(self.leader.port, database="postgres") as connection:
            for role in roles:
                connection.execute(f"ALTER ROLE {role} PASSWORD '{self.secret}'".encode())

    def url(self, role: str) -> str:
        return f"postgres://{role}:{self.secret}@127.0.0.1:{self.ports['pooled']}/{DATABASE}"

    def direct_url(self, role: str) -> str:
        """Past the pooler, to whoever leads: migrations take locks of a session."""
        return f"postgres://{role}:{self.secret}@127.0.0.1:{self.ports['leader']}/{DATABASE}"

    def reading_url(self, role: str) -> str:
        return f"postgres://{role}:{self.secret}@127.0.0.1:{self.ports['replicas']}/{DATABASE}"

    def catch_up(self, node: Node) -> None:
        """Until the replica shows all that the leader has."""
        at = self.scalar("SELECT pg_current_wal_lsn()")
        until(
            lambda: self.scalar(f"SELECT pg_last_wal_replay_lsn() >= '{at}'", node=node),
            "a replica that shows all",
        )


def sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))
