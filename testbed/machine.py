import datetime as dt
import os
import platform
import re
import subprocess
from pathlib import Path

import django
import psutil  # type: ignore[import-untyped]
import psycopg
from django.conf import settings
from django.db import connection

# Those that change what is measured.
TOLD = ("shared_buffers", "work_mem", "max_parallel_workers_per_gather", "fsync", "synchronous_commit", "wal_level")


def describe() -> dict[str, str]:
    with connection._nodb_cursor() as cursor:
        cursor.execute(
            "SELECT name, current_setting(name) FROM pg_settings WHERE name = ANY(%s) ORDER BY name", [list(TOLD)]
        )
        values = ", ".join(f"{name} {value}" for name, value in cursor.fetchall())
        cursor.execute("SHOW server_version")
        version = cursor.fetchone()[0]
        cursor.execute("SELECT inet_server_addr() IS NOT DISTINCT FROM inet_client_addr()")
        is_here = cursor.fetchone()[0]
    beside = "for the server and the programs together" if is_here else "for the programs; the server is elsewhere"
    is_own = "the embedded one" if settings.DEVELOPMENT else "a server of its own"
    return {
        "processor": f"{processor()}, {os.cpu_count()} cores, {beside}",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "PostgreSQL": f"{version}, {is_own}: {values}",
        "Python": f"{platform.python_version()}, Django {django.get_version()}, psycopg {psycopg.__version__}",
        "measured": f"{dt.datetime.now(dt.UTC):%Y-%m-%d}, at commit {commit()}",
    }


def processor() -> str:
    try:
        found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def commit() -> str:
    def git(*args: str) -> str:
        return subprocess.run(
            ["git", *args], cwd=settings.BASE_DIR, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return git("rev-parse", "--short", "HEAD") + (" with changes" if git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
