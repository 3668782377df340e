"""Lists of rows: what a page of the admin shows of a table, however large it is."""

from copy import copy
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.paginator import Paginator
from django.db import DataError
from django.db.models import QuerySet
from django.http import HttpRequest, QueryDict
from django.utils.functional import cached_property
from unfold.views import ChangeList

from adminlog.columns import list_of


class AtLeast(int):
    def __str__(self) -> str:
        return f"{int(self)}+"


class BoundedPaginator(Paginator):
    """Counts and pages no further than anyone reads, so that the count of a large table stays cheap."""

    limit = 10_000

    @cached_property
    def count(self) -> int:
        rows: QuerySet[Any] = self.object_list  # type: ignore[assignment]
        count = rows.order_by().values("pk")[: self.limit + 1].count()
        return count if count <= self.limit else AtLeast(self.limit)


class PageFirstChangeList(ChangeList):
    """Finds the primary keys of a page, then reads these rows: joins, annotations and prefetches cost nothing for the
    rows that the page passes over."""

    def get_results(self, request: HttpRequest) -> None:
        try:
            super().get_results(request)
            found: QuerySet[Any] = self.result_list  # type: ignore[has-type]
            page = list(found.values_list("pk", flat=True))
        except (DataError, OverflowError, ValueError) as error:
            # A value in the address that the column's type does not hold.
            raise IncorrectLookupParameters(error) from error
        rows = self.apply_select_related(self.root_queryset.filter(pk__in=page))
        self.result_list = rows.order_by(*self.get_ordering(request, rows))
        if not self.query and not self.get_filters_params():
            # All there are: the theme offers no way back from a search or a filter.
            self.full_result_count = self.result_count


class Section(PageFirstChangeList):
    """The newest rows of a table that belong to one parent, as that table's own list shows them."""

    rows = 10

    def __init__(
        self, request: HttpRequest, *, heading: str, model_admin: Any, by: str, key: Any, whole_by: str | None = None
    ) -> None:
        here = copy(request)
        here.GET = QueryDict(f"{by}={key}")
        super().__init__(
            here,
            model=model_admin.model,
            model_admin=model_admin,
            list_display=[
                name
                for name in model_admin.get_list_display(request)
                if getattr(name, "__name__", name) not in (by, by.removesuffix("_id"))
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
        self.whole_url = f"{list_of(self.model)}?{whole_by or by}={key}"
        # Where one more is added, if that is offered here.
        self.add_url: str | None = None


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
