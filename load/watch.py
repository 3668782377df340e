"""What the web and its database take, looked at every two seconds."""

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psutil  # type: ignore[import-untyped]
import psycopg

from testbed.console import HinderedError
from testbed.databases import plain
from testbed.threads import Errand

EVERY = 2.0
LATEST = 15.0
BACKENDS = """
    SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


@dataclass(frozen=True)
class Sample:
    at: float
    # Bytes: resident of gunicorn's processes; of the connections' processes what is theirs alone.
    web: int
    database: int
    files: int
    connections: int


@dataclass(frozen=True)
class Used:
    """Seconds of processor."""

    at: float
    web: float
    bot: float
    clients: float
    all: float


class Watch(Errand):
    def __init__(self, processes: Callable[[], list[Any]]) -> None:
        super().__init__(self.watch)
        self.processes = processes
        self.samples: list[Sample] = []
        self.over = threading.Event()
        self.desk: psycopg.Connection[Any] = plain(application_name="load")

    def watch(self) -> None:
        while not self.over.wait(EVERY):
            self.samples.append(self.look())
        self.desk.close()

    def look(self) -> Sample:
        web = files = database = 0
        for process in self.processes():
            with suppress(psutil.Error):
                web += process.memory_info().rss
                files += process.num_fds()
        pids = [pid for (pid,) in self.desk.execute(BACKENDS)]
        for pid in pids:
            # Where the server is elsewhere, it is another's process or none.
            with suppress(psutil.Error):
                memory = psutil.Process(pid).memory_info()
                database += memory.rss - memory.shared
        return Sample(time.time(), web, database, files, len(pids))

    def stop(self) -> None:
        self.over.set()
        self.finish()

    def between(self, start: float, end: float) -> list[Sample]:
        found = [sample for sample in self.samples if start <= sample.at <= end]
        if not found or found[-1].at < end - LATEST:
            raise HinderedError("What the web takes was not looked at until the end.")
        return found


def used(web: Sequence[Any], bot: Any) -> Used:
    def seconds(processes: Sequence[Any]) -> float:
        total = 0.0
        for process in processes:
            with suppress(psutil.Error):
                times = process.cpu_times()
                total += times.user + times.system
        return total

    everything = psutil.cpu_times()
    busy = sum(everything) - everything.idle - getattr(everything, "iowait", 0.0) - getattr(everything, "guest", 0.0)
    return Used(time.time(), seconds(web), seconds([bot] if bot else []), seconds([psutil.Process(os.getpid())]), busy)


def rise(samples: Sequence[Sample], value: Callable[[Sample], float]) -> float:
    """By how much the straight line nearest to them rises from the first to the last, as a part of their mean."""
    times, values = [sample.at for sample in samples], [value(sample) for sample in samples]
    middle, mean = sum(times) / len(times), sum(values) / len(values)
    spread = sum((at - middle) ** 2 for at in times)
    if not spread or not mean:
        return 0.0
    slope = sum((at - middle) * (each - mean) for at, each in zip(times, values, strict=True)) / spread
    return slope * (times[-1] - times[0]) / mean
