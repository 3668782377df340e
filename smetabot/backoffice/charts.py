"""Figures as the theme's charts, each with its numbers in words and as a table: a canvas says nothing to some."""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.formats import date_format
from django.utils.translation import get_language, ngettext, pgettext
from django.utils.translation import gettext as _

from adminlog.days import day_of
from adminlog.formats import amount
from analytics import daily

# Of the theme, and strong enough on white and on its dark ground.
PRIMARY, RED, GREY = "var(--color-primary-500)", "var(--color-red-500)", "var(--color-base-400)"
TICKS = "#6b7280"
DAYS = 60


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

    @property
    def span(self) -> str:
        return ngettext("%(count)s day", "%(count)s days", len(self.days)) % {"count": len(self.days)}

    @property
    def data(self) -> str:
        # Django's date formats, short enough to stand side by side.
        form = pgettext("chart of a week", "D j") if len(self.days) <= 7 else pgettext("chart", "M j")
        labels = [date_format(day, form) for day in self.days]
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
                        "grid": {"display": False},
                        "ticks": {"color": TICKS, "maxTicksLimit": 8, "maxRotation": 0, "autoSkipPadding": 12},
                    },
                    "y": {**axis, "beginAtZero": True, "ticks": {"color": TICKS, "precision": 0, "maxTicksLimit": 5}},
                },
            }
        )

    @property
    def rows(self) -> list[tuple[dt.date, list[str]]]:
        """The newest day first."""
        figures = zip(*(series.figures for series in self.series), strict=True)
        return [(day, [amount(figure) for figure in each]) for day, each in zip(self.days, figures, strict=True)][::-1]


def contractor_charts(contractor: int, *, at: dt.datetime) -> list[Chart]:
    last = day_of(at) + dt.timedelta(days=1)
    span = {"first": last - dt.timedelta(days=DAYS), "last": last}
    views = daily.views_gained(contractor=contractor, **span)
    joins, leaves = daily.joins_and_leaves(contractor=contractor, **span)
    return [
        chart(_("Views per day"), [(_("Views"), views, PRIMARY)]),
        chart(_("Joins and leaves per day"), [(_("Joins"), joins, PRIMARY), (_("Leaves"), leaves, RED)]),
    ]


def chart(title: str, series: Sequence[tuple[str, Mapping[dt.date, int], str]]) -> Chart:
    days = list(series[0][1])
    return Chart(title, days, [Series(name, list(figures.values()), colour) for name, figures, colour in series])
