import os
import subprocess

import pytest
from django.conf import settings

from adminlog.models import JobRun


@pytest.fixture
def cron(tmp_path):
    """A `crontab` program that keeps its table in a file, as cron's keeps it in a spool. Gives PATH and the table."""
    folder = tmp_path / "bin"
    folder.mkdir()
    table = tmp_path / "table"
    program = folder / "crontab"
    program.write_text(f'#!/bin/sh\nif [ "$1" = -l ]; then cat "{table}"; else cat "$1" > "{table}"; fi\n')
    program.chmod(0o755)
    table.write_text("0 0 * * * somebody-elses-job\n")
    return f"{folder}:{os.environ['PATH']}", table


def commands(table):
    """What cron gives to the shell: a backslash before a percent sign is its own."""
    ours = [line for line in table.read_text().splitlines() if "# smetabot in " in line]
    return [line.split(" ", 5)[5].rpartition(" # ")[0].replace(r"\%", "%") for line in ours]


def test_without_cron_it_says_so_and_fails(python, tmp_path):
    result = python("manage.py", "crontab", "add", PATH=str(tmp_path))
    assert (result.returncode, result.stdout) == (1, "")
    assert "This machine has no cron" in result.stderr


def test_the_jobs_are_installed_once_beside_other_peoples(python, cron):
    path, table = cron
    for _ in range(2):
        assert python("manage.py", "crontab", "add", PATH=path).returncode == 0
    assert len(commands(table)) == len(settings.CRONJOBS)
    assert "somebody-elses-job" in table.read_text()


def test_the_jobs_are_removed(python, cron):
    path, table = cron
    python("manage.py", "crontab", "add", PATH=path)
    assert python("manage.py", "crontab", "remove", PATH=path).returncode == 0
    assert table.read_text() == "0 0 * * * somebody-elses-job\n"


def test_a_refusing_cron_is_noticed(python, cron):
    path, _ = cron
    (program := os.path.join(path.split(":")[0], "crontab"))
    with open(program, "w") as file:
        file.write("#!/bin/sh\nexit 1\n")
    result = python("manage.py", "crontab", "add", PATH=path)
    assert result.returncode == 1
    assert "Cron did not take the change" in result.stderr


@pytest.mark.parametrize("dotenv", ["", "DATABASE_URL=postgres://u@h/another\nDEBUG=1\n"])
def test_a_database_that_cron_would_not_see_is_refused(python, cron, checkout, dotenv):
    path, table = cron
    (checkout / ".env").write_text(dotenv)
    result = python("manage.py", "crontab", "add", PATH=path, DATABASE_URL="postgres://u@h/n", DEBUG="1")
    assert result.returncode == 1
    assert "Cron's environment is empty, so it would run without DATABASE_URL" in result.stderr
    assert commands(table) == []


@pytest.mark.django_db(transaction=True)
def test_an_installed_line_runs_its_job_in_crons_empty_environment(python, cron, checkout, test_database_url):
    path, table = cron
    (checkout / ".env").write_text(f"DATABASE_URL={test_database_url}\nDEBUG=1\n")
    assert python("manage.py", "crontab", "add", PATH=path).returncode == 0
    for command in commands(table):
        subprocess.run(["/bin/sh", "-c", command], env={"HOME": "/"}, cwd="/", check=True, timeout=60)
    assert list(JobRun.objects.order_by("pk").values_list("command", "outcome")) == [
        ("expire_subscriptions", "done"),
        ("advance_referrals", "done"),
        ("apply_gifts", "done"),
        ("aggregate_stats", "done"),
        ("check_data", "done"),
        ("roll_up_days", "done"),
        ("verify_journal", "done"),
        ("maintain_partitions", "done"),
        ("clear_expired", "done"),
        ("watch_jobs", "done"),
    ]


@pytest.mark.django_db(transaction=True)
def test_under_cron_a_failed_job_says_one_line_and_exits_with_its_code(python, cron, checkout):
    path, table = cron
    python("manage.py", "crontab", "add", PATH=path)
    (checkout / ".env").write_text("DATABASE_URL=postgres://postgres@127.0.0.1:1/nowhere\nDEBUG=1\n")
    result = subprocess.run(["/bin/sh", "-c", commands(table)[0]], env={"HOME": "/"}, capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert result.stderr.startswith("CommandError: No database: ")


def test_a_line_from_before_an_update_says_what_to_do(python):
    result = python("manage.py", "crontab", "run", "0123456789abcdef0123456789abcdef")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "CommandError: This line of cron is out of date: install the jobs anew with `make cron`.\n"


def test_a_fault_in_a_page_of_the_admin_does_not_keep_cron_from_its_jobs(python, checkout):
    with open(checkout / "billing" / "admin.py", "a") as admin:
        admin.write("\nPlanAdmin.list_display = ['nonsense']\n")
    assert "admin.E108" in python("manage.py", "check").stderr
    assert "out of date" in python("manage.py", "crontab", "run", "x").stderr
