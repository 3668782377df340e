"""Lists of rows: what a page of the admin shows of a table, however large it is."""

import datetime as dt
import re
from copy import copy
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ORDER_VAR, PAGE_VAR
from django.core.paginator import Paginator
from django.db import DataError, OperationalError, ProgrammingError
from django.db.models import F, Q, QuerySet
from django.db.models.constants import LOOKUP_SEP
from django.http import HttpRequest, QueryDict
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.templatetags import unfold_list
from unfold.templatetags.unfold_list import results
from unfold.views import ChangeList

from adminlog.columns import list_of
from adminlog.formats import amount
from smetabot.postgres.locks import Deadline, at_most, is_too_long

_result_headers = unfold_list.result_headers


def headers_of(changelist: Any) -> list[dict[str, Any]]:
    """Made once for a list. The theme makes them again for each row, which took a third of the time of a page."""
    if not hasattr(changelist, "headers_made"):
        changelist.headers_made = list(_result_headers(changelist))
    return changelist.headers_made


unfold_list.result_headers = headers_of


class AtLeast(int):
    def __str__(self) -> str:
        return f"{amount(int(self))}+"


MANY = 1_000_000
SEARCHED = 1_000


class BoundedPaginator(Paginator):
    """Counts and pages no further than anyone reads, so that the count of a large table stays cheap."""

    limit = 10_000
    template_name = "adminlog/pagination.html"

    @cached_property
    def count(self) -> int:
        rows: QuerySet[Any] = self.object_list  # type: ignore[assignment]
        count = rows.order_by().values("pk")[: self.limit + 1].count()
        return count if count <= self.limit else AtLeast(self.limit)

    @property
    def shown(self) -> str:
        return str(self.count) if isinstance(self.count, AtLeast) else amount(self.count)

    @property
    def told(self) -> str:
        return ngettext("%(number)s row", "%(number)s rows", self.count) % {"number": self.shown}


# Of a parent beyond a join. In the order of the key PostgreSQL would walk the key's index for the newest, and all of a
# large table may lie before them.
NEWEST = (F("pk") + 0).desc()

# Seconds for the database to find what was searched.
PATIENCE = 3.0
TOO_LONG = _(
    "This takes the database too long. A longer word or a filter is sooner done; the box at the top finds a contractor"
    " by an id or an @username at once."
)
TOO_LONG_TO_SORT = _("To sort so many rows by this column takes the database too long. Narrow them by a filter first.")


class PageFirstChangeList(ChangeList):
    """Finds the primary keys of a page, then reads these rows: joins, annotations and prefetches cost nothing for the
    rows that the page passes over.

    Nobody waits for a search, or for an order that no index carries, longer than is reasonable: the list is then empty
    and says so.
    """

    took_too_long = False

    @cached_property
    def deadline(self) -> Deadline:
        return Deadline(PATIENCE)

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        if not self.query:
            return super().get_queryset(request, exclude_parameters)
        try:
            with at_most(self.deadline):
                return super().get_queryset(request, exclude_parameters)
        except OperationalError as error:
            return self.nothing(request, error)

    def nothing(self, request: HttpRequest, error: OperationalError) -> QuerySet[Any]:
        if not is_too_long(error):
            raise error
        if not self.took_too_long:
            messages.warning(request, TOO_LONG if self.query else TOO_LONG_TO_SORT)
        self.took_too_long = True
        return self.root_queryset.none()

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        ordering = super().get_ordering(request, queryset)
        # As ParentFilter has it: channel__contractor__id__exact.
        is_beyond_join = any(name.count(LOOKUP_SEP) > 2 and name.endswith("__id__exact") for name in self.params)
        return [NEWEST if is_beyond_join and by == "-pk" else by for by in ordering]

    def get_results(self, request: HttpRequest) -> None:
        try:
            if self.query or ORDER_VAR in self.params:
                with at_most(self.deadline):
                    page = self.find_page(request)
            else:
                page = self.find_page(request)
        except OperationalError as error:
            self.queryset, self.page_num = self.nothing(request, error), 1
            page = self.find_page(request)
        except (DataError, IndexError, OverflowError, ProgrammingError, ValueError) as error:
            # A value in the address that the column's type does not hold, or a lookup that takes other ones.
            raise IncorrectLookupParameters(error) from error
        rows = self.apply_select_related(self.root_queryset.filter(page))
        self.result_list = rows.order_by(*self.get_ordering(request, rows))
        if not self.query and not self.get_filters_params():
            # All there are: the theme offers no way back from a search or a filter.
            self.full_result_count = self.result_count

    def find_page(self, request: HttpRequest) -> Q:
        super().get_results(request)
        found: QuerySet[Any] = self.result_list
        if not (by := self.model_admin.partitioned_by):
            return Q(pk__in=list(found.values_list("pk", flat=True)))
        page = list(found.values_list("pk", by))
        return Q(pk__in=[key for key, _moment in page]) & self.in_partitions(by, [moment for _key, moment in page])

    def in_partitions(self, by: str, moments: list[dt.datetime]) -> Q:
        """Without it each row would be looked for in every partition. What is farther off than any calendar was read as
        a moment that it is not."""
        if not moments or min(moments).year <= dt.MINYEAR or max(moments).year >= dt.MAXYEAR:
            return Q()
        return Q((f"{by}__range", (min(moments), max(moments))))


class Section(PageFirstChangeList):
    """Rows of a table that belong to one parent, as that table's own list shows them, newest first. Its pages turn
    inside the parent's page: each section has a parameter of its own there."""

    rows = 10

    def __init__(self, request: HttpRequest, *, name: str, heading: Any, model_admin: Any, by: str, key: Any) -> None:
        self.name, self.asked, self.by = name, request.GET, by
        here = copy(request)
        here.GET = QueryDict(f"{by}={key}&{PAGE_VAR}={page_asked(request, self.parameter)}")
        super().__init__(
            here,
            model=model_admin.model,
            model_admin=model_admin,
            list_display=[
                column
                for column in model_admin.get_list_display(request)
                if getattr(column, "__name__", column) not in (by, by.removesuffix("_id"))
            ],
            list_display_links=(),
            list_filter=(),
            date_hierarchy=None,
            search_fields=(),
            list_select_related=model_admin.get_list_select_related(request),
            list_per_page=self.rows,
            list_max_show_all=0,
            list_editable=(),
            sortable_by=(),
            search_help_text=None,
        )
        self.formset = None
        self.heading = heading
        whole_by = by if by.endswith("_id") else f"{by}__id__exact"
        self.whole_url = f"{list_of(self.model)}?{whole_by}={key}"
        # Where one more is added, if that is offered here.
        self.add_url: str | None = None

    @property
    def parameter(self) -> str:
        return f"{self.name}-page"

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        return [NEWEST if LOOKUP_SEP in self.by else "-pk"]

    def get_results(self, request: HttpRequest) -> None:
        try:
            super().get_results(request)
        except IncorrectLookupParameters:
            # Of a page that there is no more.
            self.page_num = 1
            super().get_results(request)

    def headers(self) -> list[dict[str, Any]]:
        return headers_of(self)

    def lines(self) -> list[Any]:
        return list(results(self))

    def pages(self) -> list[tuple[str, str]]:
        """What each is called, with its address; none of the one that is shown and of what is left out."""
        if not self.multi_page:
            return []
        numbers = self.paginator.get_elided_page_range(self.page_num, on_each_side=1, on_ends=1)
        return [
            (str(number), "" if number in (self.page_num, Paginator.ELLIPSIS) else self.page_url(int(number)))
            for number in numbers
        ]

    def page_url(self, number: int) -> str:
        return turned(self.asked, self.parameter, number, anchor=self.name)


def page_asked(request: HttpRequest, parameter: str) -> int:
    asked = request.GET.get(parameter, "")
    return int(asked) if re.fullmatch("[1-9][0-9]{0,4}", asked, re.ASCII) else 1


def turned(asked: QueryDict, parameter: str, number: int, *, anchor: str) -> str:
    """The same page with one part of it turned to another page; the other parts stay as they are."""
    query = asked.copy()
    query[parameter] = str(number)
    return f"?{query.urlencode()}#{anchor}"


class ParentFilter(admin.RelatedFieldListFilter):
    """Names the parent whose rows a list was opened for. It offers no other: there are too many to choose from, and a
    parent is found by search."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        chosen: Any = self.lookup_val
        try:
            return field.get_choices(include_blank=False, limit_choices_to={"pk": chosen[-1]}) if chosen else []
        except ValueError:
            return []

    def has_output(self) -> bool:
        return bool(self.lookup_val or self.lookup_val_isnull)
