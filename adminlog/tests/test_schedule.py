import datetime as dt

import pytest

from adminlog import schedule
from adminlog.factories import JobRunFactory
from adminlog.models import JobRun

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 3, 4, 18, 6, tzinfo=dt.UTC)
HOURLY, DAILY = "apply_gifts", "verify_journal"


@pytest.fixture(autouse=True)
def two_jobs(settings):
    function = "django.core.management.call_command"
    settings.CRONJOBS = [("5 * * * *", function, [HOURLY]), ("30 3 * * *", function, [DAILY])]


def ran(command: str, hours_ago: float, *, failed: bool = False, finished: bool = True) -> JobRun:
    started = NOW - dt.timedelta(hours=hours_ago)
    ends = {"finished_at": started, "outcome": JobRun.Outcome.FAILED if failed else JobRun.Outcome.DONE}
    return JobRunFactory(command=command, started_at=started, **(ends if finished else {}))


def health(command: str) -> schedule.Health:
    return next(job for job in schedule.health(at=NOW) if job.job.command == command)


def test_a_job_that_never_ran_is_late():
    ran("another", 1)
    assert [job.is_late for job in schedule.health(at=NOW)] == [True, True]


@pytest.mark.parametrize(
    ("command", "hours_ago", "is_late"),
    [(HOURLY, 1.9, False), (HOURLY, 2.1, True), (DAILY, 24.9, False), (DAILY, 25.1, True)],
)
def test_a_job_is_late_an_hour_after_the_time_that_it_missed(command, hours_ago, is_late):
    ran(command, hours_ago)
    assert health(command).is_late == is_late


def test_a_run_that_has_not_come_to_its_end_keeps_no_job_from_being_late():
    ran(HOURLY, 3)
    ran(HOURLY, 0.1, finished=False)
    assert health(HOURLY).is_late and health(HOURLY).is_running


def test_a_run_without_an_end_was_killed_an_hour_later():
    ran(HOURLY, 1.1, finished=False)
    assert not health(HOURLY).is_running


def test_the_last_run_that_came_to_an_end_says_whether_the_job_fails():
    failure = ran(HOURLY, 0.9, failed=True)
    ran(HOURLY, 0.1, finished=False)
    assert health(HOURLY).failure == failure
    ran(HOURLY, 0.5)
    assert health(HOURLY).failure is None


def test_the_latest_runs_of_all_jobs_are_one_query(django_assert_num_queries):
    runs = [ran(HOURLY, number) for number in range(schedule.RECENT + 1)]
    daily = ran(DAILY, 1)
    with django_assert_num_queries(1):
        assert [job.runs for job in schedule.health(at=NOW)] == [runs[:-1], [daily]]
