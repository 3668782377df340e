"""What all cron commands promise, in processes of their own: each is asked for its own, one for all the rest."""

import json
import os
import subprocess
import sys

import pytest
from django.core.management import CommandError, call_command, get_commands, load_command_class
from django.db import connection

from adminlog.jobs import JobCommand
from adminlog.models import JobRun

OURS = ["core", "billing", "analytics", "referrals", "adminlog", "smetabot"]
JOBS = [
    name
    for name, app in get_commands().items()
    if app in OURS and isinstance(load_command_class(app, name), JobCommand)
]

# Without any, each test here would be skipped.
assert {"apply_gifts", "check_data", "verify_journal"} <= set(JOBS)

# In JSON a job prints what it counts; these the things themselves, or a text.
LISTS = {"check_data": {"findings", "notices"}, "verify_journal": {"broken"}}
TEXTS = {"verify_journal": {"hash"}, "backup": {"name", "head"}}

# What a job does not start without; there is nothing in it to do.
ARGUMENTS = {"import_views": ["smetabot/tests/no_views.csv"]}
USERBOT_URL = "http://127.0.0.1:1"

pytestmark = pytest.mark.django_db(transaction=True)
every_job = pytest.mark.parametrize("job", JOBS)
# What their common base alone decides.
one_job = pytest.mark.parametrize("job", ["advance_referrals"])


@pytest.fixture
def manage(manage, tmp_path):
    needed = {"USERBOT_URL": USERBOT_URL, "BACKUPS": str(tmp_path)}

    def start(job, *args, **variables):
        return manage(job, *ARGUMENTS.get(job, []), *args, **needed | variables)

    return start


@pytest.fixture
def refused(manage):
    """Runs the command; its one line on stderr, when it exits with 2 and says nothing on stdout."""

    def run(*args, **variables):
        process = manage(*args, **variables)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (2, "")
        assert err.count("\n") == 1, err
        return err

    return run


def counts(job, out):
    """What the printed JSON says the job counted: integers, or lists and texts under the names that are such."""
    result = json.loads(out)
    lists, texts = LISTS.get(job, set()), TEXTS.get(job, set())
    assert {name for name, value in result.items() if type(value) is list} == lists
    assert {name for name, value in result.items() if type(value) is str} == texts
    assert {type(result[name]) for name in result.keys() - lists - texts} <= {int}
    return {name: len(value) if name in lists else value for name, value in result.items()}


@every_job
def test_a_job_prints_one_json_object_of_what_it_counts_and_nothing_else(manage, job):
    out, err = manage(job, "--json").communicate(timeout=60)
    assert (out.count("\n"), err) == (1, "")
    assert counts(job, out)


@every_job
def test_a_job_says_in_one_line_what_it_did(typed, settings, tmp_path, job):
    settings.USERBOT_URL, settings.BACKUPS = USERBOT_URL, str(tmp_path)
    code, out, err = typed(job, *ARGUMENTS.get(job, []))
    assert (code, out.count("\n"), err) == (0, 1, "")
    assert out.startswith(f"{job}: ")


@one_job
def test_a_run_is_recorded_with_its_counts_and_wall_clock(manage, job):
    out, _ = manage(job, "--json", "--now", "2020-01-01T00:00:00Z").communicate(timeout=60)
    run = JobRun.objects.get()
    assert (run.command, run.outcome, run.error) == (job, "done", None)
    assert run.counts == counts(job, out) | ({"fixed": 0} if job == "check_data" else {})
    assert (run.now.year, run.started_at < run.finished_at, run.started_at.year > 2025) == (2020, True, True)


@one_job
def test_a_reader_who_has_seen_enough_is_no_fault(manage, job):
    run = manage(job)
    run.stdout.close()
    assert (run.wait(timeout=60), run.stderr.read()) == (0, "")
    assert JobRun.objects.get().outcome == "done"


@one_job
def test_a_result_that_cannot_be_printed_is_one_line(job, test_database_url):
    with open("/dev/full", "w") as full:
        run = subprocess.run(
            [sys.executable, "manage.py", job],
            env=os.environ | {"DATABASE_URL": test_database_url, "DEBUG": "1"},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert (run.returncode, run.stderr.count("\n")) == (1, 1)
    assert "not all is printed" in run.stderr
    assert JobRun.objects.get().outcome == "done"


@one_job
def test_a_dry_run_is_not_recorded(manage, job):
    assert manage(job, "--dry-run").wait(timeout=60) == 0
    assert not JobRun.objects.exists()


@one_job
def test_a_clock_without_a_zone_is_refused(refused, job):
    assert "is no time with a zone" in refused(job, "--now", "2026-01-31T09:00:00")


@pytest.mark.parametrize("now", ["2026-01-31", "yesterday", "", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z"])
@one_job
def test_a_clock_without_sense_is_refused(job, now):
    with pytest.raises(CommandError, match="is no time with a zone"):
        call_command(job, *ARGUMENTS.get(job, []), f"--now={now}")


@one_job
def test_an_argument_that_argparse_takes_for_none_is_refused(job):
    with pytest.raises(CommandError, match="^argument --now: -- is no value$"):
        call_command(job, "--now=--")


@one_job
def test_an_unknown_argument_is_refused(refused, job):
    assert "unrecognized arguments: --fast" in refused(job, "--fast")


@one_job
def test_an_argument_with_line_breaks_is_refused_in_one_line(job):
    with pytest.raises(CommandError) as refused:
        call_command(job, "one\n\rtwo")
    assert str(refused.value) == "Error: unrecognized arguments: one two"


@one_job
def test_without_a_database_it_says_so(refused, job):
    assert "No database: " in refused(job, DATABASE_URL="postgres://postgres@127.0.0.1:1/nowhere")


@one_job
def test_on_an_unmigrated_database_it_says_what_to_do(refused, job, test_database_url):
    name = connection.settings_dict["NAME"]
    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {name}_unmigrated")
        cursor.execute(f"CREATE DATABASE {name}_unmigrated")
    url = test_database_url.replace(f"/{name}?", f"/{name}_unmigrated?")
    try:
        assert "run manage.py migrate" in refused(job, DATABASE_URL=url)
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {name}_unmigrated")


@one_job
def test_malformed_configuration_is_one_line(refused, job):
    assert refused(job, DEBUG="maybe") == "Configuration: DEBUG: 'maybe' is neither 1 nor 0.\n"


@one_job
def test_a_read_only_database_is_one_line_and_not_done(manage, job, test_database_url):
    url = f"{test_database_url}&options=-c%20default_transaction_read_only%3Don"
    out, err = (run := manage(job, "--json", DATABASE_URL=url)).communicate(timeout=60)
    assert (run.returncode, out) == (1, "")
    assert err.count("\n") == 1
    assert "read-only transaction" in err


@every_job
def test_a_clock_that_call_command_is_given_is_held_to_the_same_rule(job, settings):
    settings.USERBOT_URL, settings.BACKUPS = USERBOT_URL, settings.BASE_DIR
    with pytest.raises(CommandError, match="is no time with a zone") as refused:
        call_command(job, *ARGUMENTS.get(job, []), now="2026-01-31T09:00:00")
    assert refused.value.returncode == 2


@one_job
def test_a_run_that_breaks_off_is_recorded_as_failed(manage, job):
    # Whatever a job reads first is away; where its run is recorded is not.
    schemas = ["core", "billing", "analytics", "referrals"]
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE admin.action_details RENAME TO details_away")
        for schema in schemas:
            cursor.execute(f"ALTER SCHEMA {schema} RENAME TO {schema}_away")
    try:
        out, err = (run := manage(job)).communicate(timeout=60)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE admin.details_away RENAME TO action_details")
            for schema in schemas:
                cursor.execute(f"ALTER SCHEMA {schema}_away RENAME TO {schema}")
    assert (run.returncode, out, err.count("\n")) == (1, "", 1)
    recorded = JobRun.objects.get()
    assert (recorded.outcome, recorded.finished_at is not None) == ("failed", True)
    assert "does not exist" in recorded.error


@pytest.mark.parametrize("job", ["apply_gifts", "watch_jobs", "check_data"])
def test_a_page_that_is_at_fault_keeps_no_job_from_its_work(python, checkout, test_database_url, job):
    for page in ("billing/admin.py", "smetabot/backoffice/contractors.py"):
        (checkout / page).write_text("raise RuntimeError('at fault')")
    result = python("manage.py", job, DATABASE_URL=test_database_url, DEBUG="1")
    assert (result.returncode, result.stderr) == (0, "")
