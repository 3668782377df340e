"""Figures as the theme's charts, each with its numbers in words and as a table: a canvas says nothing to some."""

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.http import HttpRequest
from django.utils.formats import date_format
from django.utils.translation import get_language, ngettext, pgettext
from django.utils.translation import gettext as _

from adminlog.days import day_of
from adminlog.formats import amount, time
from adminlog.lists import turned
from analytics import daily

# Of the theme, and strong enough on white and on its dark ground.
PRIMARY, RED, GREY = "var(--color-primary-500)", "var(--color-red-500)", "var(--color-base-400)"
TICKS = "#6b7280"
DAY, HOUR = dt.timedelta(days=1), dt.timedelta(hours=1)
DAYS = 60
# Longer ones are drawn by the week: a bar a day would be thinner than a line.
SPANS = (DAYS, 365, 730)


@dataclass(frozen=True)
class Series:
    name: str
    figures: Sequence[int]
    colour: str = PRIMARY
    # Where its rows are listed.
    url: str | None = None

    @property
    def total(self) -> int:
        return sum(self.figures)

    @property
    def shown(self) -> str:
        return amount(self.total)


@dataclass(frozen=True)
class Chart:
    title: str
    days: Sequence[dt.date]
    series: Sequence[Series]
    # Of the theme's: bar or line.
    kind: str = "bar"
    height: int = 200
    # Bars of one day upon each other, not side by side.
    stacked: bool = False
    # Each of `days` is the first of a week.
    weekly: bool = False
    remarks: Sequence[str] = ()

    @property
    def span(self) -> str:
        count = len(self.days)
        if self.weekly:
            return ngettext("%(count)s week", "%(count)s weeks", count) % {"count": count}
        return ngettext("%(count)s day", "%(count)s days", count) % {"count": count}

    @property
    def data(self) -> str:
        # Django's date formats, short enough to stand side by side.
        form = pgettext("chart of a week", "D j") if len(self.days) <= 7 else pgettext("chart", "M j")
        if self.weekly:
            form = pgettext("chart of years", "M j, Y")
        labels = [day_as(form, day, get_language()) for day in self.days]
        datasets = [
            {
                "label": series.name,
                "data": series.figures,
                "borderColor": series.colour,
                "backgroundColor": series.colour,
                "borderWidth": 2 if self.kind == "line" else 0,
                "borderRadius": 2,
                "maxBarThickness": 12,
                "pointRadius": 0,
                # Between two zeros a curve would go below zero.
                "cubicInterpolationMode": "monotone",
            }
            for series in self.series
        ]
        return json.dumps({"labels": labels, "datasets": datasets})

    @property
    def options(self) -> str:
        """The theme's own would lay the bars of a day over each other and show halves of a person on the axis."""
        axis: dict[str, Any] = {"border": {"display": False}}
        return json.dumps(
            {
                "animation": False,
                "responsive": True,
                "maintainAspectRatio": False,
                "locale": get_language(),
                "interaction": {"mode": "index", "intersect": False},
                "plugins": {"legend": {"display": False}},
                "scales": {
                    "x": {
                        **axis,
                        "stacked": self.stacked,
                        "grid": {"display": False},
                        "ticks": {"color": TICKS, "maxTicksLimit": 8, "maxRotation": 0, "autoSkipPadding": 12},
                    },
                    "y": {
                        **axis,
                        "stacked": self.stacked,
                        "beginAtZero": True,
                        "ticks": {"color": TICKS, "precision": 0, "maxTicksLimit": 5},
                    },
                },
            }
        )

    @property
    def rows(self) -> list[tuple[dt.date, list[str]]]:
        """The newest day first."""
        figures = zip(*(series.figures for series in self.series), strict=True)
        return [(day, [amount(figure) for figure in each]) for day, each in zip(self.days, figures, strict=True)][::-1]


@lru_cache(10_000)
def day_as(form: str, day: dt.date, language: str | None) -> str:
    """Kept, because all charts show the same days."""
    return date_format(day, form)


def span_asked(request: HttpRequest) -> int:
    return next((span for span in SPANS if request.GET.get("days") == str(span)), DAYS)


def span_choices(request: HttpRequest, *, anchor: str) -> list[tuple[str, str]]:
    """What each span is called, with its address; none of the one that is shown."""
    return [
        (span_name(span), "" if span == span_asked(request) else turned(request.GET, "days", span, anchor=anchor))
        for span in SPANS
    ]


def span_name(span: int) -> str:
    years = span // 365
    if years:
        return ngettext("%(count)s year", "%(count)s years", years) % {"count": years}
    return ngettext("%(count)s day", "%(count)s days", span) % {"count": span}


def contractor_charts(contractor: int, *, at: dt.datetime, span: int = DAYS) -> list[Chart]:
    today = day_of(at)
    weekly = span > DAYS
    first = today - (span - 1) * DAY
    if weekly:
        first -= first.weekday() * DAY
    figures = daily.rolled_up(contractor=contractor, first=first, last=today + DAY)
    views = [(_("Views"), figures.views, PRIMARY)]
    if any(figures.views_averaged.values()):
        views.append((_("Days not collected (average)"), figures.views_averaged, GREY))
    people = [(_("Joins"), figures.joins, PRIMARY), (_("Leaves"), figures.leaves, RED)]
    late = lateness(figures, at=at)
    return [
        chart(
            _("Views per week") if weekly else _("Views per day"),
            views,
            weekly=weekly,
            stacked=True,
            remarks=[*not_shown(figures), *late],
        ),
        chart(
            _("Joins and leaves per week") if weekly else _("Joins and leaves per day"),
            people,
            weekly=weekly,
            remarks=late,
        ),
    ]


def chart(title: str, series: Sequence[tuple[str, daily.Figures, str]], *, weekly: bool, **how: Any) -> Chart:
    drawn = [(name, by_week(figures) if weekly else figures, colour) for name, figures, colour in series]
    shown = [Series(name, list(figures.values()), colour) for name, figures, colour in drawn]
    return Chart(title, list(drawn[0][1]), shown, weekly=weekly, **how)


def by_week(figures: daily.Figures) -> daily.Figures:
    weeks: daily.Figures = {}
    for day, figure in figures.items():
        monday = day - day.weekday() * DAY
        weeks[monday] = weeks.get(monday, 0) + figure
    return weeks


def not_shown(figures: daily.Daily) -> list[str]:
    if not (count := figures.views_before):
        return []
    told = ngettext(
        "Not shown: %(count)s view from before the first day that was collected.",
        "Not shown: %(count)s views from before the first day that was collected.",
        count,
    )
    return [told % {"count": amount(count)}]


def lateness(figures: daily.Daily, *, at: dt.datetime) -> list[str]:
    """Said when the job stands still: it runs hourly."""
    if figures.counted_at is None:
        return [_("Nothing has been counted yet.")]
    if at - figures.counted_at < 2 * HOUR:
        return []
    return [_("Counted up to %(time)s.") % {"time": time(figures.counted_at)}]
