"""Filters of the journal's list. For their choices they read the staff, or an index."""

import datetime as dt
from typing import Any

from django import forms
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import ValidationError
from django.db import connection
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.contrib.filters.admin import DropdownFilter, RangeDateTimeFilter

from adminlog.models import AdminAction, AdminUser
from adminlog.story import kind


class PersonFilter(DropdownFilter):
    title = "person"
    parameter_name = "admin"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(person.pk), str(person)) for person in AdminUser.objects.order_by("username", "pk")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AdminAction]) -> QuerySet[AdminAction]:
        return queryset.filter(admin=number(self.value())) if self.value() else queryset


class OccurringFilter(DropdownFilter):
    """By what occurs in a column: its index tells the next value after each one, however many rows have it."""

    # So many are offered: a program may write any.
    most = 200

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        column = connection.ops.quote_name(self.parameter_name)
        with connection.cursor() as cursor:
            cursor.execute(
                f"""
                WITH RECURSIVE occurring (value) AS (
                    SELECT min({column}) FROM admin.admin_actions
                    UNION ALL
                    SELECT (SELECT min({column}) FROM admin.admin_actions WHERE {column} > value)
                    FROM occurring WHERE value IS NOT NULL
                )
                SELECT value FROM occurring WHERE value IS NOT NULL LIMIT %s
                """,
                [self.most],
            )
            return [(value, self.called(value)) for (value,) in cursor]

    def called(self, value: str) -> str:
        return value

    def queryset(self, request: HttpRequest, queryset: QuerySet[AdminAction]) -> QuerySet[AdminAction]:
        return queryset.filter(**{self.parameter_name: self.value()}) if self.value() else queryset


class ActFilter(OccurringFilter):
    title = "act"
    parameter_name = "action"


class TargetFilter(OccurringFilter):
    title = "target"
    parameter_name = "target_type"

    def called(self, value: str) -> str:
        return kind(value)


class ContractorFilter(DropdownFilter):
    """A contractor's timeline, for which the list is opened from elsewhere: there are too many to choose from."""

    title = parameter_name = "contractor"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(chosen, chosen)] if (chosen := self.value()) else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[AdminAction]) -> QuerySet[AdminAction]:
        return queryset.filter(contractors__contains=[number(self.value())]) if self.value() else queryset

    @classmethod
    def chosen(cls, request: HttpRequest) -> list[int]:
        return [number(value) for value in request.GET.getlist(cls.parameter_name)]


class TimeFilter(RangeDateTimeFilter):
    """From and to, of which a day without a time is meant whole."""

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
        return timezone.make_aware(dt.datetime.combine(date, whole_day if moment is None else moment)) if date else None


def number(value: Any) -> int:
    try:
        return int(value)
    except ValueError as error:
        raise IncorrectLookupParameters(error) from error
