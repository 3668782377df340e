"""A PostgreSQL that may be stopped at any moment: nobody else's."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

from smetabot.postgres.embedded import PORT, USER, Cluster

# Processes die here, not machines: what the kernel was given is not lost.
OPTIONS = "fsync = off\nmax_connections = 100\nautovacuum_naptime = 5s\n"


class Server:
    def __init__(self) -> None:
        # Not under TMPDIR: root's server runs under another account, which has to pass through.
        self.folder = Path(tempfile.mkdtemp(prefix="smetabot-chaos-", dir="/tmp"))
        self.folder.chmod(0o711)
        self.cluster = Cluster(self.folder / "cluster")

    def __enter__(self) -> "Server":
        try:
            self.cluster.start()
            with open(self.cluster.data / "postgresql.auto.conf", "a") as options:
                options.write(OPTIONS)
            self.stop()
            self.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def url(self, database: str) -> str:
        return f"postgres://{USER}@/{database}?host={quote(str(self.cluster.socket_dir), safe='')}&port={PORT}"

    def start(self) -> None:
        self.cluster.start()

    def stop(self) -> None:
        """At once, as a crash: what was not committed is lost, and all connections with it."""
        pid = int((self.cluster.data / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGQUIT)
        while self.cluster.is_running():
            time.sleep(0.01)

    def restart(self) -> None:
        self.stop()
        self.start()

    def remove(self) -> None:
        try:
            self.cluster.reset()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)


def end(*processes: "subprocess.Popen[str]") -> None:
    for process in processes:
        process.kill()
        process.communicate()
