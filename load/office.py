"""What is loaded: a copy of the size's database, its staff, and the web as production runs it."""

import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from runpy import run_path
from typing import Any

import psutil  # type: ignore[import-untyped]
import urllib3
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.db import transaction
from django_otp.oath import TOTP
from django_otp.plugins.otp_totp.models import TOTPDevice

from adminlog.models import AdminUser
from testbed.console import HinderedError
from testbed.databases import url
from testbed.processes import BASE, free_port, gunicorn, manage, production

PASSWORD = secrets.token_urlsafe(16)
# Seconds.
START = 60
STOP = 30


@dataclass(frozen=True)
class Member:
    number: int
    username: str
    key: bytes
    may_export: bool

    def code(self) -> str:
        totp = TOTP(self.key)
        totp.time = time.time()
        return f"{totp.token():06d}"


@transaction.atomic
def hire(number: int) -> list[Member]:
    """Managers, of whom one in five is an owner. The password is one, because to hash it takes its time."""
    password, members = make_password(PASSWORD), []
    for each in range(number):
        is_owner = each % 5 == 0
        login = User.objects.create(username=f"load{each}", is_staff=True, password=password)
        role = AdminUser.Role.OWNER if is_owner else AdminUser.Role.MANAGER
        AdminUser.objects.create(login=login, username=login.username, tg_user_id=900_000_000 + each, role=role)
        device = TOTPDevice.objects.create(user=login, name="authenticator", confirmed=True)
        members.append(Member(each, login.username, device.bin_key, is_owner))
    return members


@dataclass
class Web:
    process: psutil.Process
    port: int
    log: Path

    @property
    def processes(self) -> list[psutil.Process]:
        """The one that watches, and its workers."""
        with suppress(psutil.NoSuchProcess):
            return [self.process, *self.process.children()]
        return []

    @property
    def workers(self) -> int:
        return len(self.processes) - 1

    @property
    def threads(self) -> int:
        """Of all workers. Each has a connection of its own."""
        return self.workers * run_path(str(BASE / "deploy/gunicorn.conf.py"))["threads"]

    def complaints(self) -> list[str]:
        lines = self.log.read_text(errors="replace").splitlines()
        return [line[:400] for line in lines if "ERROR" in line or "CRITICAL" in line or line.startswith("Traceback")]


@contextmanager
def served(name: str, folder: Path) -> Iterator[Web]:
    port, log = free_port(), folder / "web.log"
    with log.open("wb") as output:
        # Not at our terminal: a Ctrl-C there is for us, who then stop it.
        process = psutil.Popen(
            gunicorn(port),
            cwd=BASE,
            env=production(url(name)),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        await_start(process, port, log)
        yield Web(process, port, log)
    finally:
        stop(process)


def await_start(process: Any, port: int, log: Path) -> None:
    deadline = time.monotonic() + START
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(urllib3.exceptions.HTTPError):
            urllib3.request("GET", f"http://127.0.0.1:{port}/healthz", retries=False, timeout=5)
            return
        time.sleep(0.2)
    raise HinderedError(f"gunicorn did not start: {log.read_text(errors='replace')[-600:]}")


def stop(process: Any) -> None:
    """It with its children, which it is asked to end first."""
    with suppress(psutil.NoSuchProcess):
        children = process.children(recursive=True)
        # QUIT: those who ask have gone already.
        process.send_signal(signal.SIGQUIT if children else signal.SIGTERM)
        _gone, alive = psutil.wait_procs([process, *children], timeout=STOP)
        for each in alive:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        psutil.wait_procs(alive, timeout=STOP)


def hourly() -> list[str]:
    return [args[0] for cron, _call, args in settings.CRONJOBS if cron.endswith(" * * * *")]


def run_job(name: str, command: str, *, log: Path, over: threading.Event | None = None) -> tuple[int, float, str]:
    """As cron runs it. Exit code, seconds and what it said. Whoever sets `over` ends it."""
    began = time.monotonic()
    with log.open("a+") as output:
        start = output.tell()
        process = psutil.Popen(
            manage(command),
            cwd=BASE,
            env=production(url(name)),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            while (code := process.poll()) is None and not (over and over.wait(0.1)):
                time.sleep(0.1)
        finally:
            stop(process)
        output.seek(start)
        return code or 0, time.monotonic() - began, " ".join(output.read().split())[:600]
