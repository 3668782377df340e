"""check_data: the command, and its statements through psycopg."""

from typing import Any

from django.core.management import call_command

from bench.databases import silence
from bench.rounds import Timings, Way, race
from bench.sizes import NOW, Size
from bench.table import Line, within
from billing.checks import TEAM_SIZE
from smetabot.management.commands.check_data import CHECKS
from testbed.console import HinderedError
from testbed.databases import plain

ACROSS = False


def by_command() -> None:
    with silence() as nowhere:
        call_command("check_data", now=NOW, stdout=nowhere)  # which refuses to find anything


def by_hand(sql: Any) -> None:
    plans = sql.execute("SELECT id, (features->>'team_size')::numeric FROM billing.plans").fetchall()
    found = [row for check in CHECKS for row in sql.execute(f"{check.sql} ORDER BY 1").fetchall()]
    ids, sizes = zip(*plans, strict=True)
    found += sql.execute(TEAM_SIZE.sql, {"now": NOW, "plans": list(ids), "sizes": list(sizes)}).fetchall()
    if found:
        raise HinderedError(f"check_data by hand finds {found[:3]}")


def measure(size: Size) -> Timings:
    with plain() as sql:
        ways = {"command": Way(by_command), "SQL": Way(lambda: by_hand(sql))}
        return race("check_data", ways, rounds=size.rounds, warm=size.is_small)


def lines(sizes: list[Size], found: dict[str, Timings]) -> list[Line]:
    return [within("check_data", "the same SQL by hand", found[sizes[-1].name], "command", "SQL", 1.5, 2)]
