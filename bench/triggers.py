"""What the log of changed channels costs the bot: its own statements, with the triggers and without."""

import time
from statistics import median
from typing import Any

from bench.rounds import Timing, Timings, readable
from bench.sizes import Size
from bench.table import Figure, Line
from testbed.databases import plain, unhindered

ACROSS = False
ROWS = 300
PUBLISH = """
    INSERT INTO core.publications AS p (channel_id, message_id, views) VALUES (%s, %s, 0)
    ON CONFLICT (channel_id, message_id) DO UPDATE SET views = greatest(p.views, excluded.views)
"""
LOGGING = """
    SELECT tgrelid::regclass::text, tgname FROM pg_trigger
    WHERE tgfoid = 'analytics.log_dirty_channels'::regproc
"""


def publish(bot: Any, size: Size) -> None:
    """Each in a transaction of its own, as the bot does."""
    for number in range(ROWS):
        bot.execute(PUBLISH, [1 + number % size.channels, 10**9 + number])


def measure(size: Size) -> Timings:
    with unhindered() as desk, plain() as bot:
        triggers = desk.execute(LOGGING).fetchall()

        def switch(on: bool) -> None:
            for table, trigger in triggers:
                desk.execute(f"ALTER TABLE {table} {'ENABLE' if on else 'DISABLE'} TRIGGER {trigger}")

        def put_back() -> None:
            desk.execute("DELETE FROM core.publications WHERE message_id >= 1000000000")
            desk.execute("DELETE FROM analytics.dirty_channels")

        try:
            seconds: dict[str, list[float]] = {"with": [], "without": []}
            for number in range(6):
                for name in ("without", "with") if number % 2 else ("with", "without"):
                    put_back()
                    switch(name == "with")
                    began = time.perf_counter()
                    publish(bot, size)
                    seconds[name].append((time.perf_counter() - began) / ROWS)
            return Timings({name: Timing(median(each)) for name, each in seconds.items()})
        finally:
            switch(True)
            put_back()
            desk.execute("VACUUM core.publications, analytics.dirty_channels")


def lines(sizes: list[Size], found: dict[str, Timings]) -> list[Line | Figure]:
    timings = found[sizes[-1].name]
    more = timings["with"].seconds - timings["without"].seconds
    return [
        Figure(
            "a publication that the bot inserts, without the log of changed channels and with it",
            f"{readable(timings['without'].seconds)} and {readable(timings['with'].seconds)}"
            f" ({more * 1e6:+.0f} µs, {timings['with'] / timings['without']:.2f}×)",
        )
    ]
