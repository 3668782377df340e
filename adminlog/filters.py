"""Filters of lists. For their choices they read the staff, an index or the calendar."""

import datetime as dt
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import ValidationError
from django.db import connection
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter, RangeDateTimeFilter

from adminlog.days import day_of, within
from adminlog.models import AdminAction, AdminUser
from adminlog.story import kind

DAY = dt.timedelta(days=1)


class PersonFilter(DropdownFilter):
    title = _("person")
    parameter_name = "admin"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(person.pk), str(person)) for person in AdminUser.objects.order_by("username", "pk")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AdminAction]) -> QuerySet[AdminAction]:
        return queryset.filter(admin=number(self.value())) if self.value() else queryset


class OccurringFilter(admin.SimpleListFilter):
    """By what occurs in a column: its index tells the next value after each one, however many rows have it."""

    # So many are offered: a program may write any.
    most = 200

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        table, column = map(connection.ops.quote_name, (model_admin.opts.db_table, self.parameter_name))
        with connection.cursor() as cursor:
            cursor.execute(
                f"""
                WITH RECURSIVE occurring (value) AS (
                    SELECT min({column}) FROM {table}
                    UNION ALL
                    SELECT (SELECT min({column}) FROM {table} WHERE {column} > value)
                    FROM occurring WHERE value IS NOT NULL
                )
                SELECT value FROM occurring WHERE value IS NOT NULL LIMIT %s
                """,
                [self.most],
            )
            return [(value, self.called(value)) for (value,) in cursor]

    def called(self, value: str) -> str:
        return value

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(Q((str(self.parameter_name), self.value()))) if self.value() else queryset


class CommandFilter(OccurringFilter):
    title = _("command")
    parameter_name = "command"


class ActFilter(OccurringFilter, DropdownFilter):
    title = _("act")
    parameter_name = "action"


class TargetFilter(OccurringFilter, DropdownFilter):
    title = _("target")
    parameter_name = "target_type"

    def called(self, value: str) -> str:
        return kind(value)


class ContractorFilter(DropdownFilter):
    """A contractor's timeline, for which the list is opened from elsewhere: there are too many to choose from."""

    title = _("contractor")
    parameter_name = "contractor"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(chosen, chosen)] if (chosen := self.value()) else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[AdminAction]) -> QuerySet[AdminAction]:
        return queryset.filter(contractors__contains=[number(self.value())]) if self.value() else queryset

    @classmethod
    def chosen(cls, request: HttpRequest) -> list[int]:
        return [number(value) for value in request.GET.getlist(cls.parameter_name)]


class TimeFilter(RangeDateTimeFilter):
    """From and to, of which a day without a time, and a minute without seconds, is meant whole."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[AdminAction]) -> QuerySet[AdminAction]:
        for end, lookup, whole_day in (("from", "gte", dt.time.min), ("to", "lte", dt.time.max)):
            if moment := self.moment(end, whole_day):
                queryset = queryset.filter(**{f"{self.parameter_name}__{lookup}": moment})
        return queryset

    def moment(self, end: str, whole_day: dt.time) -> dt.datetime | None:
        day, time = (self.used_parameters.get(f"{self.parameter_name}_{end}_{part}") for part in (0, 1))
        try:
            date = forms.DateField(required=False).clean(day)
            moment = forms.TimeField(required=False).clean(time)
        except ValidationError as error:
            raise IncorrectLookupParameters(error) from error
        if moment is None:
            moment = whole_day
        elif str(time).count(":") == 1:
            moment = moment.replace(second=whole_day.second, microsecond=whole_day.microsecond)
        return timezone.make_aware(dt.datetime.combine(date, moment)) if date else None


def number(value: Any) -> int:
    try:
        return int(value)
    except ValueError as error:
        raise IncorrectLookupParameters(error) from error


class DaysFilter(admin.SimpleListFilter):
    """The days from one to another in which `column` lies, in the calendar of daily figures."""

    column: str

    @classmethod
    def query(cls, first: dt.date, last: dt.date) -> dict[str, str]:
        """What the address says of the days from `first` up to, without, `last`."""
        return {str(cls.parameter_name): f"{first}..{last - DAY}"}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        today = day_of(timezone.now())
        tomorrow = today + DAY
        spans = [
            (self.query(today, tomorrow), _("Today")),
            (self.query(today - DAY, today), _("Yesterday")),
            (self.query(tomorrow - 7 * DAY, tomorrow), _("Last 7 days")),
            (self.query(tomorrow - 30 * DAY, tomorrow), _("Last 30 days")),
        ]
        choices: list[tuple[str, Any]] = [(query[str(self.parameter_name)], title) for query, title in spans]
        chosen = self.value()
        if chosen and chosen not in dict(choices):
            first, last = self.span(chosen)
            choices.append((chosen, f"{date_format(first)} – {date_format(last - DAY)}"))
        return choices

    def span(self, chosen: str) -> tuple[dt.date, dt.date]:
        first, _dots, last = chosen.partition("..")
        try:
            span = dt.date.fromisoformat(first), dt.date.fromisoformat(last) + DAY
            within(self.column, *span)
        except (OverflowError, ValueError) as error:
            raise IncorrectLookupParameters(error) from error
        return span

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return self.narrowed(queryset, *self.span(chosen)) if (chosen := self.value()) else queryset

    def narrowed(self, queryset: QuerySet[Any], first: dt.date, last: dt.date) -> QuerySet[Any]:
        return queryset.filter(within(self.column, first, last))
