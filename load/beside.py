"""What goes on beside staff: the bot, and the hourly jobs."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
from django.conf import settings

from load.office import STOP, hourly, run_job, stop
from testbed.console import HinderedError, say
from testbed.threads import Errand


@dataclass(frozen=True)
class Written:
    """Which thing was done, when it was due, and how many seconds later it was done."""

    done: Sequence[tuple[str, float, float]]
    failures: Sequence[str]

    def between(self, start: float, end: float) -> list[float]:
        return [late for _what, due, late in self.done if start <= due < end]


class Beside:
    """The bot's process."""

    def __init__(self, process: Any, file: Path, log: Path) -> None:
        self.process, self.file, self.log = process, file, log

    @classmethod
    @contextmanager
    def started(cls, name: str, rate: int, folder: Path) -> Iterator["Beside"]:
        file, log = folder / "bot.json", folder / "bot.log"
        with log.open("wb") as output:
            process = psutil.Popen(
                [sys.executable, "-m", "load.bot", name, str(rate), str(file)],
                cwd=settings.BASE_DIR,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield cls(process, file, log)
        finally:
            stop(process)

    def stop(self) -> Written:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(STOP)
        if not self.file.exists():
            raise HinderedError(f"The bot died: {self.log.read_text(errors='replace')[-600:]}")
        return Written(**json.loads(self.file.read_text()))


class Jobs(Errand):
    """Each of the hourly ones once, in the order of cron."""

    def __init__(self, name: str, folder: Path) -> None:
        super().__init__(self.run_all)
        self.database, self.folder = name, folder
        self.runs: dict[str, float] = {}
        self.span = (0.0, 0.0)
        self.problems: list[str] = []
        self.over = threading.Event()

    def run_all(self) -> None:
        began = time.time()
        for command in hourly():
            if self.over.is_set():
                break
            code, seconds, said = run_job(self.database, command, log=self.folder / "jobs.log", over=self.over)
            self.runs[command] = seconds
            self.span = began, time.time()
            say(f"  {command}: {seconds:.1f} s")
            # What the bot wrote since the statistics were made, check_data finds, and it goes with the next run.
            if code and command != "check_data":
                self.problems.append(f"{command}: {said}")

    def stop(self) -> None:
        self.over.set()
        if self.ident:
            self.finish()
