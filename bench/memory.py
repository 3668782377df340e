"""How much memory a job takes: in a process of its own, because another holds what it may reuse."""

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import psutil  # type: ignore[import-untyped]
from django.conf import settings
from django.core.management import call_command
from django.db import connection

from analytics.profiles import all_profiles
from bench.databases import silence
from bench.sizes import NOW
from testbed.console import HinderedError
from testbed.databases import use

ENTRY = "import sys, django; django.setup(); from bench.memory import main; main(*sys.argv[1:])"


def taken(job: str, *args: str) -> int:
    """Bytes at the most, beyond what the process had before it began."""
    name = settings.DATABASES["default"]["NAME"]
    answer = subprocess.run(
        [sys.executable, "-c", ENTRY, name, job, *args], cwd=settings.BASE_DIR, capture_output=True, text=True
    )
    if answer.returncode:
        raise HinderedError(f"{job} failed in a process of its own: {answer.stderr.strip()[-600:]}")
    return int(answer.stdout.splitlines()[-1])


def peak(work: Callable[[], Any]) -> int:
    process = psutil.Process(os.getpid())
    gc.collect()
    start = most = process.memory_info().rss
    done = threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.002):
            most = max(most, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        work()
    finally:
        done.set()
        watcher.join()
    return most - start


def imported(path: str) -> None:
    with silence() as nowhere:
        call_command("import_views", path, now=NOW, stdout=nowhere, stderr=nowhere)


def streamed() -> None:
    for _ in all_profiles():
        pass


def main(name: str, job: str, *args: str) -> None:
    settings.DEBUG = False
    use(name)
    connection.ensure_connection()
    work: dict[str, Callable[..., None]] = {"profiles": streamed, "import_views": imported}
    print(peak(lambda: work[job](*args)))
