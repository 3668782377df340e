"""The bot beside them: a process of its own, which does so many things a second, each with its event, as long as it is
let. `python -m load.bot DATABASE RATE FILE` writes what each took to the file, and what failed to stderr."""

import itertools
import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django

# As many connections as a bot has that does several things at once.
CONNECTIONS = 4
# Beyond those that the size's rows have.
FIRST_ID = 7_000_000_000


class Bot:
    def __init__(self, rate: int) -> None:
        from smetabot.tests import bot

        self.bot, self.rate = bot, rate
        self.over = threading.Event()
        self.numbers = itertools.count()
        # Which, when it was due, and how many seconds later it was done.
        self.done: list[tuple[str, float, float]] = []
        self.failures: list[str] = []
        self.channels = bot.one("SELECT max(id) FROM core.channels")
        self.publications = bot.one("SELECT max(id) FROM core.publications")

    def work(self, start: float) -> None:
        from django.db import connection

        chance = random.Random(threading.get_ident())
        while not self.over.is_set():
            number = next(self.numbers)
            due = start + number / self.rate
            if self.over.wait(max(0.0, due - time.time())):
                break
            try:
                what = self.turn(number, chance)
                self.done.append((what, due, time.time() - due))
            except Exception as error:
                self.failures.append(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")
                self.over.wait(0.5)
        connection.close()

    def turn(self, number: int, chance: random.Random) -> str:
        turns: list[Callable[[int, random.Random], Any]] = [self.let_in, self.read, self.post, self.leave, self.begin]
        turn = chance.choices(turns, [40, 30, 20, 9, 1])[0]
        turn(number, chance)
        return turn.__name__

    def event(self, channel: int | None, event_type: str) -> None:
        self.bot.run("INSERT INTO analytics.events (channel_id, event_type) VALUES (%s, %s)", channel, event_type)

    def let_in(self, number: int, chance: random.Random) -> None:
        # The size's rows have one to each channel, of the same number. Every seventh is used up.
        channel = chance.randrange(1, self.channels) // 7 * 7 + 1
        self.bot.let_in(channel, channel, FIRST_ID + number)

    def read(self, number: int, chance: random.Random) -> None:
        publication = chance.randrange(1, self.publications)
        self.bot.run("UPDATE core.publications SET views = views + 1 WHERE id = %s", publication)
        self.event(None, "sync_run")

    def post(self, number: int, chance: random.Random) -> None:
        channel = chance.randrange(1, self.channels)
        self.bot.publish(channel, FIRST_ID + number, views=1)
        self.event(channel, "file_posted")

    def leave(self, number: int, chance: random.Random) -> None:
        self.event(chance.randrange(1, self.channels), "client_leave")

    def begin(self, number: int, chance: random.Random) -> None:
        contractor = self.bot.meet(FIRST_ID + number)
        channel = self.bot.make_channel(contractor, -FIRST_ID - number)
        self.event(channel, "sync_run")


def main(name: str, rate: str, file: str) -> int:
    django.setup()
    from django.conf import settings

    from testbed.databases import use

    settings.DEBUG = False
    parent = os.getppid()
    use(name)
    bot = Bot(int(rate))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: bot.over.set())
    threads = [threading.Thread(target=bot.work, args=[time.time()]) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    while not bot.over.wait(1):
        if os.getppid() != parent:
            bot.over.set()
    for thread in threads:
        thread.join()
    Path(file).write_text(json.dumps({"done": bot.done, "failures": bot.failures}))
    return 0


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smetabot.settings")
    sys.exit(main(*sys.argv[1:]))
