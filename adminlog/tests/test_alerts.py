import datetime as dt
import threading
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.db.models import Q
from django.urls import reverse

from adminlog import alerts, chain, schedule
from adminlog.alerts import Trouble, gist, open_alerts
from adminlog.columns import list_of, page_of
from adminlog.factories import AdminActionFactory, AdminAlertFactory, JobRunFactory
from adminlog.models import AdminAction, AdminAlert, JobRun
from adminlog.tests.form import do
from adminlog.tests.staff import browser

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 3, 4, 18, 6, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
JOB, DAILY = "apply_gifts", "maintain_partitions"
Kind, State = AdminAlert.Kind, AdminAlert.State


def ran(command: str = JOB, *, hours_ago: float = 0.5, problems: list[str] | None = None) -> JobRun:
    started = NOW - hours_ago * HOUR
    error = "\n".join(problems or []) or None
    outcome = JobRun.Outcome.FAILED if problems else JobRun.Outcome.DONE
    return JobRunFactory(command=command, started_at=started, finished_at=started, outcome=outcome, error=error)


def follow(*problems: str, command: str = JOB) -> None:
    alerts.follow(ran(command, problems=[*problems]), now=NOW)


def seen(**those: str) -> list[tuple[str, str, int]]:
    found = AdminAlert.objects.filter(**those).order_by("pk")
    return list(found.values_list("command", "state", "count"))


@pytest.fixture
def watched(settings):
    """Looks after two jobs, which are well unless the test says otherwise."""
    function = "django.core.management.call_command"
    settings.CRONJOBS = [
        ("5 * * * *", function, [JOB]),
        ("30 3 * * *", function, [DAILY]),
        ("*/5 * * * *", function, [schedule.WATCH]),
    ]
    ran(schedule.WATCH, hours_ago=100)

    def watch(*, hours_later: float = 0) -> alerts.Watched:
        return alerts.watch(now=NOW + hours_later * HOUR)

    return watch


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("gift 5 of contractor 7: no plan", "gift 61 of contractor 8: no plan"),
        ('Key (username)=(ivan) already exists, in "ivan"', 'Key (username)=(petr) already exists, in "petr"'),
        ("late since 2026-01-31T09:00:00Z, 3.5 s", "late since 2026-02-01T10:30:00Z, 17 s"),
        ("token 9f1c2d3e-aaaa-4bbb-8ccc-123456789abc of @ivan", "token 0f1c2d3e-aaaa-4bbb-8ccc-123456789abc of @petr"),
        ("check: core.x [1, 2]: expected [], found 7", "check: core.x [3, 44]: expected [], found 8"),
    ],
)
def test_what_differs_by_ids_numbers_moments_and_names_only_is_one_alert(text, other):
    assert gist(text) == gist(other)
    assert not {"ivan", "5", "2026", "9f1c"} & set(gist(text))


def test_an_apostrophe_quotes_nothing():
    assert gist("contractor 5: can't find 'PRO', isn't paid") == "contractor # can't find #, isn't paid"


def test_a_run_that_fails_opens_an_alert_for_each_kind_of_problem_and_counts_runs():
    for _ in range(2):
        follow("contractor 1: no plan", "contractor 2: no plan", "contractor 3: too rich", "and 17 more")
    assert seen() == [(JOB, "open", 2), (JOB, "open", 2)]
    first = AdminAlert.objects.earliest("pk")
    assert (first.text, first.run_id) == ("contractor 1: no plan", JobRun.objects.latest("pk").pk)


def test_the_same_run_is_counted_once_however_often_it_is_told():
    run = ran(problems=["no"])
    for _ in range(2):
        alerts.follow(run, now=NOW)
    assert seen() == [(JOB, "open", 1)]


def test_a_thousand_different_problems_are_few_alerts():
    follow(*("a" * number for number in range(1, 1000)))
    assert len(seen()) == alerts.MOST


@pytest.mark.parametrize("error", [None, "", " \n\t\n", "and 17 more"])
def test_a_run_that_does_not_say_why_it_failed_is_an_alert_all_the_same(error):
    run = ran(problems=["no"])
    run.error = error
    alerts.follow(run, now=NOW)
    assert AdminAlert.objects.get().text == "It does not say why."


def test_an_older_run_that_ends_later_is_counted_and_hides_nothing_of_the_newer():
    older, newer = ran(problems=["gift 1: no"]), ran(problems=["gift 2: no"])
    for run in (newer, older):
        alerts.follow(run, now=NOW)
    alert = AdminAlert.objects.get()
    assert (alert.count, alert.run_id, alert.text) == (2, newer.pk, "gift 2: no")


@pytest.mark.django_db(transaction=True)
def test_of_two_failures_at_once_there_is_one_alert_that_counts_both(while_held):
    runs = [ran(problems=[f"gift {number}: no"]) for number in range(2)]
    outcomes = while_held(*[lambda run=run: alerts.follow(run, now=NOW) for run in runs])
    assert (outcomes, seen()) == ([None, None], [(JOB, "open", 2)])


def test_a_run_that_goes_well_closes_what_the_runs_before_it_opened_and_nothing_else():
    earlier = ran()
    follow("no")
    follow("no", command=DAILY)
    alerts.follow(earlier, now=NOW)
    assert seen(state="open") == [(JOB, "open", 1), (DAILY, "open", 1)]
    AdminAlert.objects.filter(command=JOB).update(state=State.ACKNOWLEDGED)
    follow()
    assert seen() == [(JOB, "resolved", 1), (DAILY, "open", 1)]
    follow("no")
    assert seen(command=JOB) == [(JOB, "resolved", 1), (JOB, "open", 1)]


@pytest.fixture
def broken_chain():
    AdminActionFactory.create_batch(2)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("UPDATE admin.admin_actions SET action = 'x'")
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")
    assert chain.verify().broken


@pytest.mark.parametrize("options", [{}, {"dry_run": True}])
def test_a_job_tells_of_its_failure_by_itself_unless_it_is_dry(broken_chain, options):
    with pytest.raises(CommandError, match="verify_journal"):
        call_command("verify_journal", stdout=StringIO(), stderr=StringIO(), **options)
    assert seen() == ([] if options else [("verify_journal", "open", 1)])
    assert options or AdminAlert.objects.get().text in JobRun.objects.get().error


def test_an_alert_that_cannot_be_written_hides_nothing_and_watch_jobs_makes_up_for_it(broken_chain, watched, settings):
    settings.CRONJOBS = [("30 3 * * *", settings.CRONJOBS[0][1], ["verify_journal"])]
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE admin.admin_alerts ADD CONSTRAINT nothing CHECK (false) NOT VALID")
    with pytest.raises(CommandError, match="verify_journal: "):
        call_command("verify_journal", stdout=StringIO(), stderr=StringIO())
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE admin.admin_alerts DROP CONSTRAINT nothing")
    assert (JobRun.objects.latest("pk").outcome, seen()) == ("failed", [])
    assert watched().opened == 1
    assert (watched().opened, seen()) == (0, [("verify_journal", "open", 1)])


def test_a_late_job_is_one_alert_until_it_has_run(watched):
    ran(DAILY, hours_ago=1)
    ran(hours_ago=3)
    assert [watched(), watched(hours_later=0.1)] == [alerts.Watched(1, 0, 1, 0), alerts.Watched(1, 0, 0, 0)]
    alert = AdminAlert.objects.get()
    assert (alert.command, alert.kind, alert.count, alert.last_seen_at) == (JOB, "late", 1, NOW + 0.1 * HOUR)
    ran()
    assert watched(hours_later=0.2) == alerts.Watched(0, 0, 0, 1)
    assert seen() == [(JOB, "resolved", 1)]


def test_a_job_that_never_ran_is_expected_from_when_the_watch_began(watched):
    JobRun.objects.update(started_at=NOW - 2.5 * HOUR)
    assert watched().late == 1
    assert seen(kind=Kind.LATE) == [(JOB, "open", 1)]
    JobRun.objects.update(started_at=NOW - HOUR)
    assert watched() == alerts.Watched(0, 0, 0, 1)


def test_of_a_job_that_never_ran_staff_may_close_it_too(watched):
    assert watched().opened == 2
    for alert in AdminAlert.objects.all():
        alerts.resolve(alert=alert.pk, now=NOW)
    assert (watched(hours_later=0.1).opened, seen(state="open")) == (0, [])


@pytest.mark.parametrize("now", ["2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z"])
def test_at_another_moment_the_watch_only_looks(watched, now):
    follow("no")
    before = AdminAlert.objects.values().get(), JobRun.objects.count()
    call_command("watch_jobs", now=now, stdout=StringIO())
    assert (AdminAlert.objects.values().get(), JobRun.objects.count()) == before


@pytest.mark.django_db(transaction=True)
def test_who_closes_and_who_opens_several_do_not_wait_in_a_ring(wait_for_lock):
    # In the table they lie in the other order.
    follow("b")
    follow("a")
    first, second = ([Trouble(JOB, Kind.FAILED, text, gist=text)] for text in "ab")
    begun, go_on, outcomes = threading.Event(), threading.Event(), []

    def work(operation):
        with transaction.atomic():
            outcomes.append(operation())
        connection.close()

    def open_both():
        open_alerts(first, now=NOW)
        begun.set()
        go_on.wait(20)
        return open_alerts(second, now=NOW)

    opening = threading.Thread(target=work, args=[open_both])
    closing = threading.Thread(target=work, args=[lambda: alerts.close(Q(command=JOB), now=NOW)])
    opening.start()
    begun.wait(20)
    closing.start()
    wait_for_lock()
    go_on.set()
    for thread in (opening, closing):
        thread.join()
    assert outcomes == [0, 2]


def test_a_run_without_an_end_is_an_alert_until_another_one_ends(watched):
    ran(DAILY, hours_ago=1)
    ran(hours_ago=1.6)
    JobRunFactory(command=JOB, started_at=NOW - 1.5 * HOUR)
    JobRunFactory(command=JOB, started_at=NOW - 0.1 * HOUR)
    assert watched() == alerts.Watched(0, 1, 1, 0)
    assert seen(kind=Kind.KILLED) == [(JOB, "open", 1)]
    ran(hours_ago=0)
    assert watched() == alerts.Watched(0, 0, 0, 1)


def test_the_watch_closes_what_has_gone_well_since(watched):
    ran(DAILY, hours_ago=1)
    follow("no")
    ran(hours_ago=0)
    assert watched() == alerts.Watched(0, 0, 0, 1)


def test_what_staff_resolved_stays_so_until_another_run(watched):
    ran(DAILY, hours_ago=30)
    follow("no")
    watched()
    for alert in AdminAlert.objects.all():
        alerts.resolve(alert=alert.pk, now=NOW)
    assert watched(hours_later=0.1).opened == 0
    follow("no")
    assert seen(state="open") == [(JOB, "open", 1)]


def test_the_watch_asks_no_more_of_the_database_for_many_jobs(watched, django_assert_max_num_queries):
    ran(DAILY, hours_ago=1)
    ran()
    with django_assert_max_num_queries(5):
        watched()


@pytest.mark.parametrize(
    ("role", "act", "state"), [("support", "acknowledge", "acknowledged"), ("manager", "resolve", "resolved")]
)
def test_staff_acknowledge_and_resolve_with_a_reason_in_the_journal(role, act, state):
    alert = AdminAlertFactory()
    do(browser(role), reverse(f"admin:adminlog_adminalert_{act}", args=[alert.pk]), reason="I look at it")
    alert.refresh_from_db()
    told = AdminAction.objects.get()
    assert (alert.state, alert.resolved_at is not None) == (state, act == "resolve")
    assert (told.action, told.target_id) == (f"alert.{state}", alert.pk)
    assert (told.payload["after"]["state"], told.details.personal["reason"]) == (state, "I look at it")


def test_what_the_job_itself_has_closed_meanwhile_is_refused(anna):
    alert = AdminAlertFactory()
    AdminAlert.objects.update(state=State.RESOLVED, resolved_at=NOW)
    page = do(anna, reverse("admin:adminlog_adminalert_acknowledge", args=[alert.pk])).content.decode()
    assert "is resolved already" in page and not AdminAction.objects.exists()


def test_an_alert_leads_to_its_run_and_a_run_to_the_alerts_of_its_job(anna):
    alert = AdminAlertFactory()
    assert page_of(alert.run) in (page := anna.get(page_of(alert)).content.decode())
    assert f"{list_of(JobRun)}?command=apply_gifts" in page
    assert f"{list_of(AdminAlert)}?command=apply_gifts" in anna.get(page_of(alert.run)).content.decode()


def test_the_dashboard_tells_open_alerts_first_acknowledged_ones_aside_and_resolved_ones_not(anna, settings):
    settings.CRONJOBS = settings.CRONJOBS[:0]
    failed = AdminAlertFactory(count=3)
    late = AdminAlertFactory(kind=Kind.LATE, state=State.ACKNOWLEDGED)
    AdminAlertFactory(state=State.RESOLVED, resolved_at=NOW)
    page = anna.get(reverse("admin:index")).context
    assert page["trouble"] == [("apply_gifts failed 3 times: gift 5: it does not start", page_of(failed))]
    assert page["seen_to"] == [("apply_gifts is late", page_of(late))]


def test_what_an_alert_tells_the_dashboard_tells_once(anna, settings):
    settings.CRONJOBS = [("5 * * * *", settings.CRONJOBS[0][1], [JOB])]
    run = JobRunFactory(command=JOB, finished_at=dt.datetime.now(dt.UTC), outcome="failed", error="no")
    index = reverse("admin:index")
    assert anna.get(index).context["trouble"] == [("apply_gifts failed", page_of(run))]
    alerts.follow(run, now=NOW)
    alert = AdminAlert.objects.get()
    assert anna.get(index).context["trouble"] == [("apply_gifts failed: no", page_of(alert))]
    alerts.resolve(alert=alert.pk, now=NOW)
    assert anna.get(index).context["trouble"] == []


def test_open_alerts_takes_none_and_the_longest():
    assert open_alerts([], now=NOW) == 0
    open_alerts([Trouble(JOB, Kind.FAILED, "x" * 10**6, gist="я" * 10**6)], now=NOW)
    assert len(AdminAlert.objects.get().text) == alerts.LONGEST_TEXT
