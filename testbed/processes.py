"""The product's programs as production runs them."""

import os
import secrets
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from testbed.console import HinderedError

BASE = Path(__file__).resolve().parent.parent
# By which the proxy in front asks for it, whatever port is behind.
HOST = "office.example.com"
# One for all of a run: whoever is logged in at one process is known to the next.
SECRET_KEY = secrets.token_urlsafe(50)


def production(url: str, **more: str) -> dict[str, str]:
    """The environment of a process that works on this database, with nothing of ours but where programs and scratch
    files are and how many workers serve. What is not set has production's default, such as that all need a second
    factor."""
    return {
        **{name: os.environ[name] for name in ("PATH", "TMPDIR", "WEB_CONCURRENCY") if name in os.environ},
        "DATABASE_URL": url,
        "DEBUG": "0",
        "SECRET_KEY": SECRET_KEY,
        "ALLOWED_HOSTS": HOST,
    } | more


def manage(*arguments: str | Path) -> list[str]:
    return [sys.executable, str(BASE / "manage.py"), *map(str, arguments)]


def gunicorn(port: int, *options: str) -> list[str]:
    """For whoever starts it in BASE."""
    at = ["-c", "deploy/gunicorn.conf.py", "--bind", f"127.0.0.1:{port}"]
    return [sys.executable, "-m", "gunicorn", *at, *options, "smetabot.wsgi"]


def free_port() -> int:
    [port] = free_ports(["one"]).values()
    return port


def free_ports(names: Sequence[str]) -> dict[str, int]:
    """All are held until each has its own."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in names]
    ports = {name: server.getsockname()[1] for name, server in zip(names, held, strict=True)}
    for server in held:
        server.close()
    return ports


def until(is_so: Callable[[], Any], what: str, *, seconds: float = 60) -> Any:
    """What it returns once that is something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := is_so():
            return found
        time.sleep(0.05)
    raise HinderedError(f"After {seconds:.0f} s still not: {what}.")
