"""A list as a file: its rows as they are filtered, searched and ordered, all of them or those that were chosen."""

import datetime as dt
import json
import re
import struct
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ERROR_FLAG, SEARCH_VAR, ChangeList
from django.db import connection, transaction
from django.db.models import Max, Model, QuerySet
from django.http import HttpRequest, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from import_export.fields import Field
from import_export.resources import ModelResource, Resource, modelresource_factory

from adminlog import journal
from adminlog.columns import list_of
from adminlog.formats import amount
from adminlog.spreadsheets import in_csv, in_xlsx

PERMISSION = "adminlog.export_adminaction"
FORMATS = {
    "csv": (in_csv, "text/csv; charset=utf-8"),
    "xlsx": (in_xlsx, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
}
# Rows that are read at once.
CHUNK = 2000


class Cell(Field):
    """A column of an export: what is at the end of a path such as subscription__status, or what a function makes of a
    row. It stays what it is, for each format to write in its own way."""

    def __init__(self, value: str | Callable[[Any], Any], name: str | None = None) -> None:
        super().__init__(None if callable(value) else value, name)
        self.reckon = value if callable(value) else super().get_value

    def export(self, instance: Model, **kwargs: Any) -> Any:
        return self.reckon(instance)


class RowResource(ModelResource):
    """The columns of a table by their own names, which other programs know, and what a page declares beside them."""

    @classmethod
    def field_from_django_field(cls, field_name: str, django_field: Any, readonly: bool) -> Field:
        return Cell(django_field.attname, django_field.attname)


def resource_of(model_admin: Any) -> Resource:
    """That of the page, with the names of the parents that the list reads anyway."""
    base = model_admin.resource_class
    if not issubclass(base, ModelResource):
        return base()
    paths = {
        "__".join(names[:end])
        for names in (path.split("__") for path in model_admin.list_select_related or ())
        for end in range(1, len(names) + 1)
    }
    names = {f"{path}_name": Cell(path, path.rpartition("__")[2]) for path in sorted(paths)}
    return modelresource_factory(model_admin.model, base, custom_fields=names)()


class ExportPage:
    """One request of a list's export."""

    def __init__(self, model_admin: Any, request: HttpRequest, *, chosen: Collection[str] = ()) -> None:
        self.model_admin, self.request, self.chosen = model_admin, request, chosen

    def answer(self) -> HttpResponseBase:
        format = self.request.POST.get("format")
        if not all(re.fullmatch(r"-?[0-9]{1,18}", key) for key in self.chosen):
            messages.warning(self.request, _("There are no such rows. Nothing was done."))
            return HttpResponseRedirect(list_of(self.model_admin.model))
        try:
            changelist = self.model_admin.get_changelist_instance(self.request)
        except IncorrectLookupParameters:
            return HttpResponseRedirect(f"{list_of(self.model_admin.model)}?{ERROR_FLAG}=1")
        if getattr(changelist, "took_too_long", False):
            # Not a file without rows. The list will say so itself.
            list(messages.get_messages(self.request))
            return HttpResponseRedirect(f"{list_of(self.model_admin.model)}{changelist.get_query_string()}")
        return self.send(changelist, format) if format in FORMATS else self.show(changelist)

    def show(self, changelist: ChangeList) -> HttpResponseBase:
        opts = self.model_admin.opts
        number = len(self.chosen) or changelist.result_count
        context = {
            **self.model_admin.admin_site.each_context(self.request),
            "opts": opts,
            "title": _("Export %(rows)s") % {"rows": opts.verbose_name_plural},
            "chosen": self.chosen,
            "number": number,
            "shown": amount(number) if self.chosen else changelist.paginator.shown,
            "is_part": bool(self.chosen or changelist.query or changelist.get_filters_params()),
            "query": changelist.query,
            "list_url": f"{list_of(self.model_admin.model)}{changelist.get_query_string()}",
            "checkbox_name": ACTION_CHECKBOX_NAME,
            "url": f"{self.model_admin.export_url}{changelist.get_query_string()}",
        }
        return TemplateResponse(self.request, "adminlog/export.html", context)

    def send(self, changelist: ChangeList, format: str) -> HttpResponseBase:
        """Tells the journal, then streams. The browser's script wants to know how far it is; without it the file comes
        as it is."""
        rows = changelist.apply_select_related(changelist.queryset)
        if self.chosen:
            rows = rows.filter(pk__in=self.chosen)
        # What is added from now on does not belong to it: the journal tells how many rows were taken.
        last = self.model_admin.model._default_manager.aggregate(pk=Max("pk", default=0))["pk"]
        rows = rows.filter(pk__lte=last)
        total = rows.order_by().values("pk").count()
        journal.record(self.act(format, total), by=self.model_admin.actor(self.request))

        write, content_type = FORMATS[format]
        table = Table(resource_of(self.model_admin), rows, timezone.get_current_timezone())
        pieces = write(table)
        wants_progress = "progress" in self.request.POST
        table_name = self.model_admin.opts.db_table.rpartition('"')[2]
        name = f"{table_name}-{timezone.localtime():%Y-%m-%d-%H%M}.{format}"
        return StreamingHttpResponse(
            framed(pieces, table) if wants_progress else pieces,
            content_type="application/octet-stream" if wants_progress else content_type,
            headers={
                "Content-Disposition": f'attachment; filename="{name}"',
                "X-Export-Rows": str(total),
                "X-Export-Type": content_type,
            },
        )

    def act(self, format: str, total: int) -> journal.Act:
        # Without the words looked for: an erasure would not know whose name is among them.
        asked = {name: str(value) for name, value in self.request.GET.items() if name != SEARCH_VAR}
        facts = {
            "list": self.model_admin.opts.label_lower,
            "rows": total,
            "format": format,
            "searched": SEARCH_VAR in self.request.GET,
            "chosen": bool(self.chosen),
        }
        contractors = [
            int(value)
            for name, value in asked.items()
            if name in ("contractor", "contractor__id__exact") and value.isdecimal()
        ]
        return journal.Act(
            "list.exported", facts=facts, personal={"filters": asked} if asked else {}, contractors=contractors
        )


class Table:
    """The header and then the rows of an export, read once. `done` counts the rows."""

    def __init__(self, resource: Resource, rows: QuerySet[Any], zone: dt.tzinfo) -> None:
        self.columns, self.rows, self.zone = resource.get_export_fields(), rows, zone
        self.done = 0

    def __iter__(self) -> Iterator[list[Any]]:
        yield [column.column_name for column in self.columns]
        # In a transaction PostgreSQL gives the first rows out at once; else it would first lay them all aside.
        with transaction.atomic():
            with connection.cursor() as cursor:
                # Whoever stops reading must not keep the tables from being vacuumed.
                cursor.execute("SET LOCAL idle_in_transaction_session_timeout = '5min'")
            for row in self.rows.iterator(chunk_size=CHUNK):
                self.done += 1
                yield [self.plain(column.export(row)) for column in self.columns]

    def plain(self, value: Any) -> Any:
        match value:
            case dt.datetime():
                return value.astimezone(self.zone)
            case dict() | list() | tuple():
                return json.dumps(value, ensure_ascii=False, default=str)
            case None | bool() | int() | str() | dt.date():
                return value
        return value if hasattr(value, "as_tuple") else str(value)


def framed(pieces: Iterable[bytes], table: Table) -> Iterator[bytes]:
    """Each piece with how many rows are done and how long it is before it. One of no length ends it: without that the
    file is not whole."""
    for piece in pieces:
        if piece:
            yield struct.pack(">II", table.done, len(piece)) + piece
    yield struct.pack(">II", table.done, 0)
