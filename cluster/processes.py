"""What is started in a folder of its own, and is gone afterwards with all that it left there."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import psutil  # type: ignore[import-untyped]

from testbed.console import HinderedError

# PostgreSQL and PgBouncer refuse to run as root.
ACCOUNT = "postgres"


class Folder:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.started: list[subprocess.Popen[bytes]] = []

    def make(self, name: str) -> Path:
        made = self.path / name
        made.mkdir(mode=0o700)
        give(made)
        return made

    def write(self, name: str, text: str) -> Path:
        file = self.path / name
        file.write_text(text)
        file.chmod(0o600)
        give(file)
        return file

    def start(self, name: str, *command: str, is_ours: bool = False, **options: Any) -> "subprocess.Popen[bytes]":
        """As an account that may do nothing elsewhere, unless it is ours; what it says goes to NAME.log."""
        given: dict[str, Any] = {"cwd": self.path, "env": {"PATH": os.defpath, "LANG": "C.UTF-8"}} | options
        if os.geteuid() == 0 and not is_ours:
            given |= {"user": ACCOUNT, "group": ACCOUNT, "extra_groups": []}
        with (self.path / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command, **given, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        self.started.append(process)
        return process

    def log(self, name: str) -> str:
        return (self.path / f"{name}.log").read_text(errors="replace")

    def end_all(self) -> None:
        for process in reversed(self.started):
            end(process.pid)
            process.wait()
        # A PostgreSQL that outlived its agent is nobody's child; one that died left a number that may be another's now.
        for file in self.path.glob("*/data/postmaster.pid"):
            with suppress(ValueError, OSError, psutil.Error):
                number = int(file.read_text().split()[0])
                if Path(psutil.Process(number).cwd()).is_relative_to(self.path.resolve()):
                    end(number)


def give(path: Path) -> None:
    if os.geteuid() == 0:
        shutil.chown(path, ACCOUNT, ACCOUNT)


def family(pid: int) -> list[Any]:
    try:
        head = psutil.Process(pid)
        return [head, *head.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def end(pid: int) -> None:
    """With its children, and at once: there is nothing to be tidied up."""
    signal_all(family(pid), signal.SIGKILL)


def signal_all(processes: Sequence[Any], number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@contextmanager
def temporary() -> Iterator[Folder]:
    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGHUP, interrupt)
    path = Path(tempfile.mkdtemp(prefix="smetabot-cluster-"))
    give(path)
    folder = Folder(path)
    try:
        yield folder
    finally:
        # A second Ctrl-C must not leave servers behind.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        folder.end_all()
        shutil.rmtree(path, ignore_errors=True)


def require_packages(needed: dict[str, str]) -> None:
    """By the program that each brings; a line that names all that are missing."""
    if os.geteuid() == 0:
        try:
            pwd.getpwnam(ACCOUNT)
        except KeyError:
            raise HinderedError("There is no account postgres: apt-get install postgresql-15") from None
    if missing := [package for package, program in needed.items() if not Path(program).exists()]:
        raise HinderedError(f"Install first: apt-get install {' '.join(missing)}")
