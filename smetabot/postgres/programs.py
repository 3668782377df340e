"""PostgreSQL's own programs, run on the database that Django is connected to."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from django.db import connection
from psycopg import pq

from smetabot.postgres import embedded

# From here on a program sets what older servers do not know.
PARTICULAR = 17


class ProgramError(Exception):
    """It cannot be run, or failed; the message is one line."""


def server() -> int:
    return connection.pg_version // 10000  # type: ignore[attr-defined]


def run(program: str, *arguments: str | Path) -> str:
    """What it prints."""
    with started(program, *arguments) as result:
        return result()


@contextmanager
def started(program: str, *arguments: str | Path, holding: Sequence[int] = ()) -> Iterator[Callable[[], str]]:
    """It is at work until its result is asked for, and is ended with the block. `holding` are files that it keeps open
    as long as it lives."""
    # Not pipes: whoever fills one that nobody reads waits for ever.
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as complained:
        process = subprocess.Popen(
            [_suited(program), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=complained,
            env=_environment(),
            pass_fds=holding,
            # So that a limit on a file's size is an error that it tells of, and not its end.
            restore_signals=False,
        )

        def result() -> str:
            failed = process.wait()
            said.seek(0)
            complained.seek(0)
            if failed:
                why = _why(program, complained.read().decode(errors="replace"))
                raise ProgramError(why or f"{program} ended with {failed}")
            return said.read().decode(errors="replace")

        try:
            yield result
        finally:
            process.kill()
            process.wait()


def _why(program: str, complaints: str) -> str:
    """The first error: before it there are mere warnings, and after it is where it was."""
    lines = [" ".join(line.split()) for line in complaints.splitlines() if line.strip()]
    told = [line for line in lines if re.search(r"\b(error|ERROR|FATAL):", line)] or lines
    return told[0].removeprefix(f"{program}: error: ") if told else ""


def _suited(program: str) -> Path:
    """That of the server's own version, else the nearest newer one that speaks to it."""
    found = dict(_installed(program))
    able = [major for major in found if major == server() or major > server() >= PARTICULAR]
    if not able:
        there = f", and here is that of {', '.join(map(str, sorted(found)))}" if found else ""
        raise ProgramError(
            f"{program} of PostgreSQL {server()} is needed{there}: on Debian apt install postgresql-client-{server()}"
        )
    return found[min(able)]


def _installed(program: str) -> Iterator[tuple[int, Path]]:
    folders = list(embedded.installed())
    if on_path := shutil.which(program):
        folders.append(Path(on_path).resolve().parent)
    for folder in folders:
        if major := embedded.major_of(folder / program):
            yield major, folder / program


def _environment() -> dict[str, str]:
    """The place of the database, and its password, which anybody could read on a command line. Nothing else of ours:
    but libpq's own variables, which count for Django's connection too."""
    asked = connection.get_connection_params()
    variables = {
        option.keyword.decode(): option.envvar.decode() for option in pq.Conninfo.get_defaults() if option.envvar
    }
    kept = {name: value for name, value in os.environ.items() if name.startswith("PG") or name in ("HOME", "PATH")}
    place = {variables[name]: str(value) for name, value in asked.items() if name in variables and value is not None}
    return kept | place | {"LC_ALL": "C.UTF-8", "TZ": "UTC"}
