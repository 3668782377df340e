import datetime as dt
import json
import re
from collections import Counter
from html import unescape
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings
from django.db import connection
from django.template.loader import render_to_string
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from adminlog import roles
from adminlog.columns import page_of
from adminlog.days import day_of, start_of
from adminlog.factories import JobRunFactory
from adminlog.lists import BoundedPaginator
from adminlog.models import AdminUser, JobRun
from adminlog.pages import BaseAdmin
from adminlog.tests.staff import browser
from analytics.factories import ChannelDailyFactory, DailyTotalsFactory, EventFactory, ViewsDailyFactory
from analytics.models import Event
from analytics.rollup import roll_up_days
from billing.factories import GiftFactory, SubscriptionFactory
from billing.models import Gift, Plan, Subscription
from core.factories import ChannelFactory, ContractorFactory, PublicationFactory
from core.models import Channel, Contractor
from smetabot.backoffice.charts import contractor_charts

pytestmark = pytest.mark.django_db
INDEX = reverse("admin:index")
DAY = dt.timedelta(days=1)
MOMENT = dt.timedelta(seconds=1)
Status = Subscription.Status


@pytest.fixture
def days(settings):
    """The first moments of today, of the week up to it, and of the one before; in a zone that is not the database's."""
    settings.DAY_ZONE = ZoneInfo("Asia/Vladivostok")
    today = day_of(timezone.now())
    return start_of(today), start_of(today - 7 * DAY), start_of(today - 14 * DAY)


def subscriptions(how_many: int, status: Status, ends_in: int | None, code: str = Plan.Code.PRO, **contractor) -> None:
    now = timezone.now()
    for _ in range(how_many):
        SubscriptionFactory(
            code=code,
            status=status,
            starts_at=now - 60 * DAY,
            expires_at=ends_in and now + ends_in * DAY,
            **{f"contractor__{name}": value for name, value in contractor.items()},
        )


def numbers_on(page: str) -> list[tuple[str, int]]:
    """What has nothing but a number for its text, and where it leads."""
    links = re.findall(r'<a [^>]*?href="([^"]+)"[^>]*>\s*([\d,]+)\s*</a>', page)
    return [(unescape(url), int(number.replace(",", ""))) for url, number in links]


def fill(days) -> None:
    """Rows on both sides of each limit, so many that no two numbers of a list are alike."""
    today, week, before = days
    long_ago = before - MOMENT
    subscriptions(10, Status.ACTIVE, 30, created_at=long_ago)
    subscriptions(3, Status.ACTIVE, None, created_at=before)
    subscriptions(2, Status.TRIAL, 3, code=Plan.Code.BUSINESS, created_at=week - MOMENT)
    subscriptions(4, Status.GRACE, 2, created_at=week)
    subscriptions(9, Status.CANCELLED, 8, code=Plan.Code.BUSINESS, created_at=today)
    subscriptions(7, Status.ACTIVE, -1, created_at=today)
    subscriptions(8, Status.EXPIRED, -30, created_at=long_ago)
    subscriptions(5, Status.CANCELLED, -1, created_at=before)
    ContractorFactory(blocked=True, created_at=long_ago)
    ContractorFactory.create_batch(8, created_at=today - MOMENT)

    channel = ChannelFactory(contractor=Contractor.objects.latest("pk"))
    moments = {long_ago: 20, before: 3, week - MOMENT: 5, week: 6, today - MOMENT: 7, today: 1}
    for event_type, more in ((Event.Type.CLIENT_JOIN, 0), (Event.Type.CLIENT_LEAVE, 10), (Event.Type.SYNC_RUN, 30)):
        for moment, count in moments.items():
            Event.objects.bulk_create(
                EventFactory.build_batch(count + more, channel=channel, event_type=event_type, created_at=moment)
            )
    for days_ago, publications in ((8, 2), (7, 3), (1, 1), (0, 5)):
        for _ in range(publications):
            publication = PublicationFactory(channel=channel)
            ViewsDailyFactory(publication=publication, collected_at=day_of(today) - days_ago * DAY)

    EventFactory(channel=None, event_type=Event.Type.CLIENT_JOIN, created_at=week)
    roll_up_days(now=timezone.now())

    contractor, month = channel.contractor, start_of(day_of(today) - 29 * DAY)
    for reason, queued_at, applied_at, count in [
        (Gift.Reason.ADMIN_GRANT, month, None, 6),
        (Gift.Reason.REFERRAL_REWARD, month - MOMENT, None, 3),
        (Gift.Reason.REFERRAL_REWARD, month, None, 1),
        (Gift.Reason.REFERRAL_REWARD, month - MOMENT, month - MOMENT, 1),
        (Gift.Reason.REFERRAL_REWARD, month - MOMENT, month, 5),
        (Gift.Reason.ADMIN_GRANT, month, month, 2),
        (Gift.Reason.REFERRAL_REWARD, month, today, 2),
    ]:
        for _ in range(count):
            GiftFactory(contractor=contractor, reason=reason, queued_at=queued_at, applied_at=applied_at)

    ends = {"finished_at": today, "outcome": JobRun.Outcome.FAILED}
    for number, (_schedule, _function, [command]) in enumerate(settings.CRONJOBS, 1):
        JobRunFactory(command=command, started_at=week + DAY - MOMENT, **ends)
        JobRunFactory.create_batch(number, command=command, started_at=week + DAY, **ends)
        JobRunFactory(command=command, started_at=today, finished_at=today, outcome=JobRun.Outcome.DONE)


def test_each_number_leads_to_a_list_of_exactly_so_many_rows(anna, days, monkeypatch):
    monkeypatch.setattr(BaseAdmin, "list_per_page", 1)  # the rows themselves would only take their time
    fill(days)
    numbers = numbers_on(anna.get(INDEX).content.decode())

    listed = Counter((url.partition("?")[0], number) for url, number in numbers)
    assert len(listed) == len(numbers) == 28 + len(settings.CRONJOBS) and all(number for _, number in numbers)
    assert {url: anna.get(url).context["cl"].result_count for url, _ in numbers} == dict(numbers)


def test_views_are_told_without_a_list_and_the_publications_that_have_them_with_one(anna, days):
    fill(days)
    page = anna.get(INDEX).context
    views = page["trends"][-1]
    assert [series.total for series in views.chart.series] == [40, 20]
    assert (views.today.value, views.today.url, views.rows.value) == (50, None, 4)


def test_what_check_data_found_last_is_shown_and_leads_to_it(anna):
    now = timezone.now()
    counts = {"findings": 2, "notices": 3, "fixed": 0}
    JobRunFactory(command="check_data", started_at=now - DAY, finished_at=now, outcome="done", counts=counts)
    run = JobRunFactory(
        command="check_data",
        started_at=now,
        finished_at=now,
        outcome="failed",
        counts=counts,
        error="a first disagreement\na second one",
    )
    page = anna.get(INDEX).content.decode()
    assert (page_of(run), 2) in numbers_on(page)
    assert "3 notices" in page and "a second one" in page
    assert "a second one" in anna.get(page_of(run)).content.decode()


def test_a_check_that_broke_off_is_no_check_without_findings(anna):
    now = timezone.now()
    JobRunFactory(command="check_data", finished_at=now, outcome="failed", error="OperationalError: gone")
    page = anna.get(INDEX)
    [card] = [card for card in page.context["cards"] if card.title == "Check of the data"]
    assert card.main is None
    assert "OperationalError: gone" in page.content.decode()


def test_late_and_failed_jobs_are_told_first(anna):
    now = timezone.now()
    for _schedule, _function, [command] in settings.CRONJOBS:
        JobRunFactory(command=command, finished_at=now, outcome="done")
    assert anna.get(INDEX).context["trouble"] == []

    failed = JobRunFactory(command="apply_gifts", finished_at=now, outcome="failed", error="no")
    JobRun.objects.filter(command="check_data").update(started_at=now - DAY)
    assert anna.get(INDEX).context["trouble"] == [
        ("apply_gifts failed", page_of(failed)),
        ("check_data is late", f"{reverse('admin:adminlog_jobrun_changelist')}?command=check_data"),
    ]


def test_the_result_of_an_older_run_is_told_with_its_time(anna):
    now = timezone.now()
    done = JobRunFactory(started_at=now - 3 * DAY, finished_at=now - 3 * DAY, outcome="done", counts={"applied": 2})
    JobRunFactory(started_at=now - 2 * DAY)
    [row] = [row for row in anna.get(INDEX).context["jobs"]["rows"] if "apply_gifts" in row[0]]
    assert "killed" in row[3]
    assert page_of(done) in row[4] and "applied 2" in row[4]


def test_what_a_role_may_not_list_is_not_shown(monkeypatch, days):
    fill(days)
    for permission in ("adminlog.view_jobrun", "billing.view_gift", "analytics.view_event"):
        monkeypatch.setitem(roles.LEAST, permission, AdminUser.Role.OWNER)
    roles.permissions.cache_clear()
    page = browser(AdminUser.Role.SUPPORT).get(INDEX)
    roles.permissions.cache_clear()

    assert {url.partition("?")[0] for url, _ in numbers_on(page.content.decode())} == {
        reverse("admin:core_contractor_changelist")
    }
    assert (page.context["trouble"], page.context["jobs"]) == ([], None)


def test_the_page_costs_as_many_queries_with_many_rows_as_with_none(anna, days):
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            anna.get(INDEX)
        return len(captured)

    empty = queries()
    fill(days)
    assert queries() == empty <= 18


@pytest.mark.parametrize(
    "chosen", ["x", "2026-03-01", "2026-03-01..", "2026-02-30..2026-03-01", "9999-12-31..9999-12-31"]
)
def test_days_that_there_are_not_lead_back_to_the_list(anna, chosen):
    assert anna.get(reverse("admin:analytics_event_changelist"), {"happened": chosen}).status_code == 302


def test_the_days_that_a_list_is_narrowed_to_are_named(anna):
    page = anna.get(reverse("admin:analytics_event_changelist"), {"happened": "2026-03-01..2026-03-02"})
    [chosen] = [
        choice for choice in page.context["cl"].filter_specs[1].choices(page.context["cl"]) if choice["selected"]
    ]
    assert chosen["display"] == "1\xa0Mar\xa02026 – 2\xa0Mar\xa02026"


def test_a_contractors_charts_tell_their_numbers_as_a_table_too(days):
    fill(days)
    channel = Channel.objects.get()
    views, clients = contractor_charts(channel.contractor_id, at=timezone.now())
    today = day_of(days[0])

    assert [len(chart.days) for chart in (views, clients)] == [60, 60]
    assert views.rows[0] == (today, ["50"]) and views.rows[7] == (today - 7 * DAY, ["30"])
    assert clients.rows[0] == (today, ["1", "11"]) and [series.total for series in clients.series] == [42, 102]
    shown = render_to_string("backoffice/charts.html", {"charts": [views, clients]})
    assert shown.count("<figure aria-label=") == 2 and shown.count("<tr") == 2 * 61
    drawn = json.loads(unescape(re.findall(r'data-value="([^"]*)"', shown)[1]))
    assert [dataset["data"][-1] for dataset in drawn["datasets"]] == [1, 11]


@pytest.mark.parametrize(("span", "weeks"), [(365, 53), (730, 105)])
def test_charts_of_years_are_drawn_by_the_week_from_one_query(days, django_assert_num_queries, span, weeks):
    fill(days)
    contractor = Channel.objects.get().contractor_id
    with django_assert_num_queries(1):
        views, clients = contractor_charts(contractor, at=timezone.now(), span=span)
    assert {len(chart.days) for chart in (views, clients)} <= {weeks, weeks + 1}
    assert {day.weekday() for day in views.days} == {0}
    assert views.series[0].total == 110 and [series.total for series in clients.series] == [42, 102]


def test_views_of_days_that_were_not_collected_are_a_series_and_a_column_of_their_own():
    today = day_of(timezone.now())
    for days_ago, after_gap, collected in ((9, 50, True), (3, 0, True), (2, 0, False), (0, 12, True)):
        DailyTotalsFactory(day=today - days_ago * DAY, collected=collected, rolled_up_at=timezone.now())
        ChannelDailyFactory(day=today - days_ago * DAY, views_gained=after_gap + 1, views_after_gap=after_gap)
    contractor = ContractorFactory()
    Channel.objects.update(contractor=contractor)

    views, _ = contractor_charts(contractor.pk, at=timezone.now())
    assert [series.name for series in views.series] == ["Views", "Days not collected (average)"]
    assert [figures for _, figures in views.rows[:4]] == [["1", "4"], ["0", "4"], ["1", "4"], ["1", "0"]]
    assert views.remarks == ["Not shown: 50 views from before the first day that was collected."]
    assert json.loads(views.options)["scales"]["y"]["stacked"]


def test_a_chart_says_up_to_when_it_was_counted_if_that_is_long_ago():
    now, contractor = timezone.now(), ContractorFactory()

    def remarks() -> set:
        return {tuple(chart.remarks) for chart in contractor_charts(contractor.pk, at=now)}

    assert remarks() == {("Nothing has been counted yet.",)}
    totals = DailyTotalsFactory(day=day_of(now) - 2 * DAY, rolled_up_at=dt.datetime(2026, 1, 2, 3, 4, tzinfo=dt.UTC))
    assert remarks() == {("Counted up to 2\xa0Jan\xa02026, 03:04.",)}
    totals.rolled_up_at = now
    totals.save()
    assert remarks() == {()}


@pytest.mark.parametrize("address", ["/admin/core/contractor/", "/admin/analytics/event/?happened={0}..{0}"])
def test_a_list_behind_a_number_counts_as_far_as_the_number(anna, monkeypatch, address):
    monkeypatch.setattr(BoundedPaginator, "limit", 1)
    EventFactory.create_batch(3)
    changes = anna.get(address.format(day_of(timezone.now()))).context["cl"]
    assert str(changes.result_count) == "3"
