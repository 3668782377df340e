"""The first page: how things stand. Each number leads to the list of the rows that it counts."""

import datetime as dt
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import admin
from django.contrib.humanize.templatetags.humanize import naturaltime
from django.db.models import Count, Model, Q
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import mark_safe
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from adminlog import schedule
from adminlog.admin import StartedFilter
from adminlog.columns import EMPTY, coloured, list_of, page_of
from adminlog.days import day_of, days, within
from adminlog.formats import amount, day, time
from adminlog.models import AdminAction, AdminAlert, JobRun, Note
from analytics import daily
from analytics.admin import HappenedFilter, ViewedFilter
from analytics.models import Event
from billing import standing
from billing.admin import AppliedFilter, QueuedFilter
from billing.models import Gift, Plan, Subscription
from billing.standing import Standing
from core.models import Contractor, Publication
from smetabot.backoffice.charts import GREY, PRIMARY, Chart, Series, not_shown
from smetabot.backoffice.filters import JoinedFilter

DAY = dt.timedelta(days=1)
WEEK = 7 * DAY
REWARD_DAYS = 30
# So many lines of what check_data found are shown.
LINES = 3

CHART_COLOURS = {
    Plan.Code.FREE: GREY,
    Plan.Code.PRO: "var(--color-blue-500)",
    Plan.Code.BUSINESS: PRIMARY,
}
RUN_COLOURS: dict[str, str] = {JobRun.Outcome.DONE: "success", JobRun.Outcome.FAILED: "danger"}
TRACKER: dict[str | None, str] = {
    JobRun.Outcome.DONE: "bg-green-500",
    JobRun.Outcome.FAILED: "bg-red-500",
    None: "bg-orange-500",
}


@dataclass(frozen=True)
class Number:
    name: str
    value: int
    # None if it counts no rows.
    url: str | None
    colour: str | None = None

    @property
    def shown(self) -> str:
        return amount(self.value)


@dataclass(frozen=True)
class Card:
    title: str
    # The one to be read from afar.
    main: Number | None = None
    # What it is the sum of, drawn as shares of it.
    parts: Sequence[Number] = ()
    numbers: Sequence[Number] = ()
    remarks: Sequence[str] = ()


@dataclass(frozen=True)
class Trend:
    """A week beside the one before it, and what of today is known so far."""

    chart: Chart
    today: Number
    # What there is to list where the figure itself counts no rows.
    rows: Number | None = None

    @property
    def difference(self) -> str:
        now, before = (series.total for series in self.chart.series)
        count = f"{'+' if now >= before else '−'}{amount(abs(now - before))}"
        return _("%(count)s to the week before") % {"count": count}


def show(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """The theme's DASHBOARD_CALLBACK: of what the person may see the lists of."""
    at = timezone.now()
    health = schedule.health(at=at) if sees(request, JobRun) else []
    alerts = standing_alerts(health) if sees(request, AdminAlert) else []
    figures = counted(at=at) if sees(request, Event, Publication) else None
    return context | {
        "ways_in": ways_in(request),
        "trouble": trouble(health, alerts),
        "seen_to": told([alert for alert in alerts if alert.state == AdminAlert.State.ACKNOWLEDGED]),
        "cards": [
            *(contractor_cards(at=at) if sees(request, Contractor, Subscription) else []),
            *([gift_card(at=at)] if sees(request, Gift) else []),
            *([check_card(health)] if health else []),
        ],
        "trends": [
            *(contractor_trends(at=at) if sees(request, Contractor) else []),
            *(channel_trends(figures, at=at) if figures else []),
        ],
        "counted": counted_when(figures) if figures else "",
        "day_zone": settings.DAY_ZONE,
        "jobs": job_table(health, at=at) if health else None,
    }


def sees(request: HttpRequest, *models: type[Model]) -> bool:
    return all(admin.site.get_model_admin(model).has_view_permission(request) for model in models)


def rows_of(model: type[Model], **query: Any) -> str:
    return f"{list_of(model)}?{urlencode(query)}" if query else list_of(model)


def standing_alerts(health: Sequence[schedule.Health]) -> list[AdminAlert]:
    """Those that are not resolved, and those that staff have resolved of what the jobs still say."""
    runs = [run.pk for job in health for run in (job.failure, job.last_finished) if run]
    unresolved = Q(state__in=AdminAlert.UNRESOLVED)
    return list(AdminAlert.objects.filter(unresolved | Q(run__in=runs)).order_by("-last_seen_at", "pk"))


def trouble(health: Sequence[schedule.Health], alerts: Sequence[AdminAlert]) -> list[tuple[str, str]]:
    """What somebody must see to, and where it is told. Of what no alert tells the runs themselves do: watch_jobs may
    not run either."""
    known = {(alert.kind, alert.command) for alert in alerts}
    lines = told([alert for alert in alerts if alert.state == AdminAlert.State.OPEN])
    for job in health:
        names = {"command": job.job.command}
        if job.is_late and (AdminAlert.Kind.LATE, job.job.command) not in known:
            lines.append((_("%(command)s is late") % names, rows_of(JobRun, command=job.job.command)))
        if job.failure and (AdminAlert.Kind.FAILED, job.job.command) not in known:
            lines.append((_("%(command)s failed") % names, page_of(job.failure)))
    return lines


def told(alerts: Sequence[AdminAlert]) -> list[tuple[str, str]]:
    return [(said(alert), page_of(alert)) for alert in alerts]


def said(alert: AdminAlert) -> str:
    names = {"command": alert.command, "text": Truncator(alert.text).chars(120)}
    match alert.kind:
        case AdminAlert.Kind.LATE:
            return _("%(command)s is late") % names
        case AdminAlert.Kind.KILLED:
            return _("%(command)s was killed or hangs") % names
        case AdminAlert.Kind.UNTOLD:
            return _("The chat was not told of alerts. %(text)s") % names
    names["count"] = amount(alert.count)
    return ngettext("%(command)s failed: %(text)s", "%(command)s failed %(count)s times: %(text)s", alert.count) % names


def ways_in(request: HttpRequest) -> list[dict[str, str]]:
    lists = [
        (Contractor, _("Contractors"), "engineering"),
        (AdminAction, _("Journal"), "menu_book"),
        (JobRun, _("Job runs"), "schedule"),
        (AdminAlert, _("Alerts"), "notifications"),
    ]
    ways = [
        {"title": title, "icon": icon, "url": list_of(model)} for model, title, icon in lists if sees(request, model)
    ]
    if admin.site.get_model_admin(Note).has_add_permission(request):
        ways.append({"title": _("Write a note"), "icon": "sticky_note_2", "url": reverse("admin:adminlog_note_add")})
    return ways


def contractor_cards(*, at: dt.datetime) -> list[Card]:
    by_status = Counter(dict(Contractor.objects.values_list("status").annotate(Count("pk")).order_by()))
    by_plan: Counter[str] = Counter()
    by_standing: Counter[str] = Counter()
    paid = Subscription.objects.paid().values_list("plan__code", standing.standing(at=at))
    for plan, stands, count in paid.annotate(Count("pk")).order_by():
        by_standing[stands] += count
        if stands in standing.LIVE:
            by_plan[plan] += count
    by_plan[Plan.Code.FREE] = by_status.total() - by_plan.total()
    expiring = Subscription.objects.expiring(at=at).count()
    return [
        Card(
            _("Contractors"),
            Number(_("in all"), by_status.total(), rows_of(Contractor)),
            parts=[
                Number(plan, by_plan[plan], rows_of(Contractor, plan=plan), CHART_COLOURS[plan]) for plan in Plan.Code
            ],
            numbers=[
                Number(str(status.label), by_status[status], rows_of(Contractor, status__exact=status))
                for status in Contractor.Status
            ],
        ),
        Card(
            _("Paid plans"),
            Number(_("end within 7 days"), expiring, rows_of(Contractor, paid="expiring")),
            numbers=[Number(str(each.label), by_standing[each], rows_of(Contractor, paid=each)) for each in Standing],
        ),
    ]


def gift_card(*, at: dt.datetime) -> Card:
    pending, rewards = Gift.objects.pending(), Gift.objects.filter(reason=Gift.Reason.REFERRAL_REWARD)
    reason = {"reason__exact": Gift.Reason.REFERRAL_REWARD}
    span = day_of(at) - (REWARD_DAYS - 1) * DAY, day_of(at) + DAY
    oldest = pending.order_by("queued_at", "pk").first()
    return Card(
        _("Gifts and rewards"),
        Number(_("waiting"), pending.count(), rows_of(Gift, state="waiting")),
        numbers=[
            Number(_("Rewards waiting"), rewards.pending().count(), rows_of(Gift, state="waiting", **reason)),
            Number(
                _("Rewards queued in 30 days"),
                rewards.filter(within("queued_at", *span)).count(),
                rows_of(Gift, **reason, **QueuedFilter.query(*span)),
            ),
            Number(
                _("Rewards begun in 30 days"),
                rewards.filter(within("applied_at", *span)).count(),
                rows_of(Gift, **reason, **AppliedFilter.query(*span)),
            ),
        ],
        remarks=[linked_to(page_of(oldest), _("The oldest since %(day)s") % {"day": day(oldest.queued_at)})]
        if oldest
        else [],
    )


def check_card(health: Sequence[schedule.Health]) -> Card:
    """The last check_data that came to an end, as its run tells it."""
    title = _("Check of the data")
    run = next((job.last_finished for job in health if job.job.command == "check_data"), None)
    if run is None:
        return Card(title, remarks=[_("It has not run yet.")])
    lines = (run.error or "").splitlines()[:LINES]
    if run.counts is None:
        return Card(title, remarks=[linked_to(page_of(run), time(run.started_at)), *lines])
    findings, notices = (run.counts.get(name, 0) for name in ("findings", "notices"))
    noticed = ngettext("%(count)s notice", "%(count)s notices", notices) % {"count": amount(notices)}
    return Card(
        title,
        Number(_("findings"), findings, page_of(run)),
        remarks=[f"{time(run.started_at)}, {noticed}", *lines],
    )


def contractor_trends(*, at: dt.datetime) -> list[Trend]:
    first, last = fortnight(at)
    new = daily.new_contractors(first=first, last=last)
    return [trend(_("New contractors"), new, lambda *span: rows_of(Contractor, **JoinedFilter.query(*span)), at=at)]


def counted(*, at: dt.datetime) -> daily.Daily:
    first, last = fortnight(at)
    return daily.rolled_up(first=first, last=last)


def counted_when(figures: daily.Daily) -> str:
    """A list may have what has come since then."""
    if figures.counted_at is None:
        return _("Clients and views have not been counted yet.")
    return _("Clients and views as counted on %(time)s.") % {"time": time(figures.counted_at)}


def channel_trends(figures: daily.Daily, *, at: dt.datetime) -> list[Trend]:
    week = day_of(at) - WEEK, day_of(at)
    viewed = Publication.objects.filter(daily.viewed(first=week[0], last=week[1])).count()
    averaged = sum(figures.views_averaged.values())
    of_gaps = _("Over days that were not collected, as an average: %(count)s.") % {"count": amount(averaged)}
    return [
        trend(_("Clients who joined"), figures.joins, events(Event.Type.CLIENT_JOIN), at=at),
        trend(_("Clients who left"), figures.leaves, events(Event.Type.CLIENT_LEAVE), at=at),
        trend(
            _("Views"),
            {day: views + figures.views_averaged[day] for day, views in figures.views.items()},
            at=at,
            remarks=[*([of_gaps] if averaged else []), *not_shown(figures)],
            rows=Number(
                _("Publications viewed in the 7 days"), viewed, rows_of(Publication, **ViewedFilter.query(*week))
            ),
        ),
    ]


def events(event_type: str) -> Callable[..., str]:
    return lambda *span: rows_of(Event, event_type__exact=event_type, **HappenedFilter.query(*span))


def fortnight(at: dt.datetime) -> tuple[dt.date, dt.date]:
    """The two weeks up to today, and what of today is known so far."""
    return day_of(at) - 2 * WEEK, day_of(at) + DAY


def trend(
    title: str,
    figures: daily.Figures,
    listed: Callable[..., str] | None = None,
    *,
    at: dt.datetime,
    rows: Number | None = None,
    remarks: Sequence[str] = (),
) -> Trend:
    today = day_of(at)

    def week(name: str, first: dt.date, colour: str) -> Series:
        last = first + WEEK
        url = listed(first, last) if listed else None
        return Series(name, [figures[each] for each in days(first, last)], colour, url)

    weeks = [week(_("7 days"), today - WEEK, PRIMARY), week(_("The 7 before"), today - 2 * WEEK, GREY)]
    return Trend(
        Chart(title, days(today - WEEK, today), weeks, kind="line", height=140, remarks=remarks),
        Number(_("Today so far"), figures[today], listed(today, today + DAY) if listed else None),
        rows,
    )


def job_table(health: Sequence[schedule.Health], *, at: dt.datetime) -> dict[str, Any]:
    """For the theme's table."""
    week = day_of(at) - WEEK + DAY, day_of(at) + DAY
    failures = schedule.failures(first=week[0], last=week[1])
    failed = {"outcome__exact": JobRun.Outcome.FAILED, **StartedFilter.query(*week)}
    return {
        "headers": [
            *[_("job"), _("due"), _("last run"), _("state"), _("result"), _("failed in 7 days")],
            _("last %(count)s runs") % {"count": schedule.RECENT},
        ],
        "rows": [
            [
                linked_to(rows_of(JobRun, command=job.job.command), job.job.command),
                rhythm(job, at=at),
                linked_to(page_of(job.last), naturaltime(job.last.started_at)) if job.last else EMPTY,
                state(job),
                result(job),
                linked_to(rows_of(JobRun, command=job.job.command, **failed), amount(failures[job.job.command])),
                tracker(job),
            ]
            for job in health
        ],
    }


def rhythm(job: schedule.Health, *, at: dt.datetime) -> str:
    gap = job.job.longest_gap(at=at)
    return {DAY / 24: _("hourly"), DAY: _("daily"), WEEK: _("weekly")}.get(gap, job.job.cron)


def state(job: schedule.Health) -> str:
    labels = [coloured(_("late"), "danger")] if job.is_late else []
    if job.last is None:
        labels.append(coloured(_("never ran")))
    elif job.last.outcome is None:
        labels.append(coloured(_("running"), "info") if job.is_running else coloured(_("killed"), "warning"))
    else:
        labels.append(coloured(job.last.get_outcome_display(), RUN_COLOURS.get(job.last.outcome)))
    return format_html_join(" ", "{}", ([each] for each in labels))


def result(job: schedule.Health) -> str:
    """Of the last run that came to an end; it is named where a later one did not."""
    if (run := job.last_finished) is None:
        return EMPTY
    older = linked_to(page_of(run), time(run.started_at)) if run != job.last else ""
    problem = format_html('<span class="text-red-700 dark:text-red-400">{}</span>', run.first_problem)
    told = [older, problem if run.first_problem else "", run.counted]
    # In a box of their own: on a narrow screen a cell sets its parts apart.
    return format_html("<div>{}</div>", format_html_join(mark_safe("<br>"), "{}", ([each] for each in told if each)))


def tracker(job: schedule.Health) -> str:
    """The oldest first. The columns beside it say in words what matters."""
    runs = [{"color": TRACKER[run.outcome], "tooltip": time(run.started_at)} for run in reversed(job.runs)]
    return render_to_string("backoffice/tracker.html", {"runs": runs})


def linked_to(url: str, text: str) -> str:
    return format_html('<a href="{}" class="text-link">{}</a>', url, text)
