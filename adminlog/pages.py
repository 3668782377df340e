"""What every page of the admin stands on."""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache, partial, wraps
from operator import attrgetter
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import ShowFacets
from django.contrib.admin.utils import flatten_fieldsets, quote, unquote
from django.contrib.admin.views.main import SEARCH_VAR
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import DatabaseError, transaction
from django.db.models import DecimalField, ForeignKey, JSONField, Model, Q, QuerySet
from django.db.models.constants import LOOKUP_SEP
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path, reverse
from django.utils.html import escape, format_html_join
from django.utils.http import urlencode
from django.utils.safestring import mark_safe
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _
from import_export.resources import Resource
from unfold.admin import ModelAdmin, TabularInline, checkbox
from unfold.decorators import display
from unfold.views import ChangeList

from adminlog import journal
from adminlog.acts import MOST_ROWS, NEXT, Operation, OperationPage, in_words
from adminlog.columns import EMPTY, list_of
from adminlog.export import PERMISSION as EXPORT
from adminlog.export import ExportPage, RowResource
from adminlog.filters import DaysFilter
from adminlog.forms import FiniteDecimalField, ParentSelect, ReasonedForm, RowForm, StorableJSON
from adminlog.lists import MANY, SEARCHED, BoundedPaginator, PageFirstChangeList, Section
from adminlog.models import AdminAction, AdminUser
from adminlog.search import matching, words
from smetabot.postgres.locks import BUSY, is_busy, set_patience
from smetabot.postgres.outage import is_away

logger = logging.getLogger(__name__)


def all_or_nothing(view: Callable[..., Any]) -> Callable[..., Any]:
    """A POST is one transaction with its journal, and what an act or the database refuses becomes a message to the
    member of staff: triggers and deferred constraints speak only there, and the bot writes at the same time."""

    @wraps(view)
    def wrapper(self: "BaseAdmin", request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method != "POST":
            return view(self, request, *args, **kwargs)
        try:
            with transaction.atomic():
                set_patience("5s")
                return view(self, request, *args, **kwargs)
        except (ValidationError, DatabaseError) as error:
            # Whether anything was saved nobody knows then: the connection may have gone with the answer to the commit.
            if is_away(error):
                raise
            refusal = in_words(error)
            if refusal != str(BUSY):
                refusal = _("Nothing was saved. %(why)s") % {"why": refusal}
            if isinstance(error, DatabaseError) and not is_busy(error):
                logger.warning("%s refused by the database", request.path, exc_info=True)
        self.message_user(request, refusal, messages.ERROR)
        return HttpResponseRedirect(request.get_full_path())

    return wrapper


@cache
def _checkbox(language: str | None) -> str:
    """In the list of a table, of the row ROW. A template makes it, which took a sixth of the time of a page."""
    return checkbox.render(ACTION_CHECKBOX_NAME, "ROW")


class BaseAdmin(ModelAdmin):
    """A table's pages. Nobody adds, changes or deletes a row here, a superuser neither, but for what `allows` names.

    Each act goes to our journal, with the columns before and after.
    """

    # Of "add", "change" and "delete"; a person's permissions narrow it.
    allows: ClassVar[Collection[str]] = ()
    # Columns that "change" is about; all others are only shown.
    editable: ClassVar[Collection[str]] = ()
    # Paths to the ids of the contractors whose row it is.
    contractors: ClassVar[Sequence[str]] = ()
    # What else staff do to a row, on pages of their own.
    operations: ClassVar[Sequence[Operation]] = ()
    # Whether lists and sections offer it beside each row.
    offers_in_rows: ClassVar[bool] = True
    # Paths along reverse relations, such as channels__clients, with headings: their rows stand below the form, as their
    # own lists show them.
    sections: ClassVar[Mapping[str, Any]] = {}
    # The columns of an export.
    resource_class: ClassVar[type[Resource]] = RowResource

    # The column whose months are the table's partitions.
    partitioned_by: ClassVar[str | None] = None
    # Whether a list says how many there are beyond where others stop counting.
    counts_many: ClassVar[bool] = False

    form = RowForm
    formfield_overrides = {
        DecimalField: {"form_class": FiniteDecimalField},
        JSONField: {
            "decoder": StorableJSON,
            "error_messages": {
                "invalid": gettext_lazy(
                    "Write JSON, without NaN, endless numbers and NUL characters, and not more than 100 levels deep."
                )
            },
        },
    }
    actions = ["export"]
    ordering = ["-pk"]
    list_per_page = 50
    list_max_show_all = 0
    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    warn_unsaved_form = True
    change_form_outer_before_template: str | None = "adminlog/operations.html"
    change_form_outer_after_template: str | None = "adminlog/sections.html"

    @display(description=mark_safe(checkbox.render("action_toggle_all", 1)))
    def action_checkbox(self, obj: Model) -> str:
        return mark_safe(_checkbox(get_language()).replace('value="ROW"', f'value="{escape(obj.pk)}"'))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return "add" in self.allows and super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return "change" in self.allows and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return "delete" in self.allows and super().has_delete_permission(request, obj)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[Any]:
        fields = self.fields or [field.name for field in self.opts.concrete_fields]
        asks_why = issubclass(self.form, ReasonedForm) and self.has_change_permission(request, obj)
        return [*fields, "reason"] if asks_why else fields

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[Any]:
        if obj is None:
            return self.readonly_fields
        editable = [*self.editable, "reason"]
        return [name for name in flatten_fieldsets(self.get_fieldsets(request, obj)) if name not in editable]

    def get_urls(self) -> list[URLPattern]:
        view: Any = self.admin_site.admin_view(self.export_view)
        view.model_admin = self
        return [
            path("export/", view, name=f"{self.opts.app_label}_{self.opts.model_name}_export"),
            *map(self.url_of, self.operations),
            *super().get_urls(),
        ]

    def url_of(self, operation: Operation) -> URLPattern:
        view: Any = self.admin_site.admin_view(partial(self.operation_view, operation=operation))
        view.model_admin = self  # as Django's own views of a table bear it
        return path(f"<path:object_id>/{operation.name}/", view, name=self.view_of(operation))

    def view_of(self, operation: Operation) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{operation.name}"

    @all_or_nothing
    def operation_view(self, request: HttpRequest, *, operation: Operation, object_id: str) -> HttpResponseBase:
        if not self.may(request, operation):
            raise PermissionDenied
        # Not held as for a form: an operation first locks the contractor whose row it is.
        row = super().get_object(request, unquote(object_id))
        if row is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        return OperationPage(operation, self, request, [row], in_bulk=False).answer()

    def may(self, request: HttpRequest, operation: Operation) -> bool:
        return self.has_view_permission(request) and request.user.has_perm(operation.permission)

    def offered(self, request: HttpRequest, row: Model) -> list[tuple[Operation, str]]:
        """What may be done to a row, each with the address of its page, which leads back to where it was opened."""
        back = urlencode({NEXT: request.get_full_path()})
        return [
            (operation, f"{reverse(f'admin:{self.view_of(operation)}', args=[quote(row.pk)])}?{back}")
            for operation in self.operations
            if self.may(request, operation) and operation.is_offered(row, by=self.actor(request))
        ]

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        columns = list(super().get_list_display(request))
        if self.offers_in_rows and any(self.may(request, operation) for operation in self.operations):

            @admin.display(description=_("do"))
            def offers(row: Model) -> str:
                links = [(address, operation.title) for operation, address in self.offered(request, row)]
                return format_html_join(" ", '<a href="{}" class="text-link whitespace-nowrap">{}</a>', links) or EMPTY

            columns.append(offers)
        return columns

    def _get_base_actions(self) -> list[Any]:
        return [
            *super()._get_base_actions(),
            *(self.as_action(operation) for operation in self.operations if operation.in_bulk),
        ]

    def as_action(self, operation: Operation) -> tuple[Callable[..., Any], str, str]:
        def act(model_admin: BaseAdmin, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponseBase | None:
            if "step" in request.POST:
                # Chosen already: the act itself may move a row out of the list's filter.
                queryset = self.get_queryset(request).filter(pk__in=request.POST.getlist(ACTION_CHECKBOX_NAME))
            rows = list(queryset[: MOST_ROWS + 1])
            if not rows or len(rows) > MOST_ROWS:
                told = _("Choose from 1 to %(most)s rows; filters and search make a list shorter. Nothing was done.")
                self.message_user(request, told % {"most": MOST_ROWS}, messages.WARNING)
                return None
            return OperationPage(operation, self, request, rows, in_bulk=True).answer()

        return act, operation.name, operation.title

    def _filter_actions_by_permissions(self, request: HttpRequest, actions: list[Any]) -> list[Any]:
        operations = {operation.name: operation for operation in self.operations}
        return [
            action
            for action in super()._filter_actions_by_permissions(request, actions)
            if action[1] not in operations or self.may(request, operations[action[1]])
        ]

    @property
    def export_url(self) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_export")

    def has_export_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request) and request.user.has_perm(EXPORT)

    @admin.action(description=gettext_lazy("Export"), permissions=["export"])
    def export(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponseBase:
        everything = request.POST.get("select_across") == "1"
        return ExportPage(
            self, request, chosen=[] if everything else request.POST.getlist(ACTION_CHECKBOX_NAME)
        ).answer()

    @all_or_nothing
    def export_view(self, request: HttpRequest) -> HttpResponseBase:
        if not self.has_export_permission(request):
            raise PermissionDenied
        return ExportPage(self, request, chosen=request.POST.getlist(ACTION_CHECKBOX_NAME)).answer()

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        # Of an empty name Django would look for the field.
        obj = super().get_object(request, object_id, from_field or None)
        if obj is None or request.method != "POST" or not self.has_any_change_permission(request, obj):
            return obj
        # Held until the commit: what a form is compared with, and the journal's "before".
        return self.get_queryset(request).select_for_update(no_key=True, of=["self"]).filter(pk=obj.pk).first()

    def has_any_change_permission(self, request: HttpRequest, obj: Any) -> bool:
        return self.has_change_permission(request, obj) or self.has_delete_permission(request, obj)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> type[ModelForm]:
        form = super().get_form(request, obj, change=change, **kwargs)
        for field in form.base_fields.values():
            field.show_hidden_initial = change
        return form

    def formfield_for_foreignkey(self, db_field: ForeignKey, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name in self.get_autocomplete_fields(request):
            kwargs["widget"] = ParentSelect(db_field, self.admin_site, using=kwargs.get("using"))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def get_paginator(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        paginator = super().get_paginator(request, *args, **kwargs)
        filters = [each for each in self.get_list_filter(request) if isinstance(each, type)]
        of_days = any(issubclass(each, DaysFilter) and each.parameter_name in request.GET for each in filters)
        if request.GET.get(SEARCH_VAR):
            # Who finds more looks for another word; to count each costs as much as to find it.
            paginator.limit = SEARCHED
        elif self.counts_many or of_days:
            # The first page has told how many there are.
            paginator.limit = MANY
        return paginator

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return PageFirstChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        for word in words(search_term):
            queryset = queryset.filter(self.found_by(word))
        return queryset, False

    def found_by(self, word: str) -> Q:
        return matching(self.model, self.search_fields, word)

    def as_choice(self, obj: Model) -> str:
        """How a row is told from others of its name where it is chosen as a parent."""
        return str(obj)

    @all_or_nothing
    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return super().changeform_view(request, *args, **kwargs)

    @all_or_nothing
    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return super().delete_view(request, *args, **kwargs)

    @all_or_nothing
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        export_url = self.export_url if self.has_export_permission(request) else None
        return super().changelist_view(request, {"export_url": export_url, **(extra_context or {})})

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        try:
            for key in request.POST.getlist(ACTION_CHECKBOX_NAME):
                self.opts.pk.to_python(key)
        except ValidationError:
            self.message_user(request, _("There are no such rows. Nothing was done."), messages.WARNING)
            return None
        return super().response_action(request, queryset)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """The journal about this row."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        about = QueryDict(mutable=True)
        about.update({"target_type": self.opts.label_lower, "target_id": unquote(object_id)})
        return HttpResponseRedirect(f"{list_of(AdminAction)}?{about.urlencode()}")

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, obj: Any = None, **kwargs: Any
    ) -> HttpResponse:
        context["show_history"] = bool(self.allows or self.operations)
        context["operations"] = self.offered(request, obj) if obj else []
        context["sections"] = self.get_sections(request, obj) if obj else []
        return super().render_change_form(request, context, *args, obj=obj, **kwargs)

    def get_sections(self, request: HttpRequest, obj: Model) -> list[Section]:
        found = (self.section(request, obj, path, heading) for path, heading in self.sections.items())
        return [section for section in found if section]

    def section(self, request: HttpRequest, obj: Model, path: str, heading: Any) -> Section | None:
        relations, model = [], self.model
        for name in path.split(LOOKUP_SEP):
            relations.append(model._meta.get_field(name))
            model = relations[-1].related_model
        model_admin = self.admin_site.get_model_admin(model)
        if not model_admin.has_view_permission(request):
            return None
        by = LOOKUP_SEP.join(relation.field.name for relation in reversed(relations))
        name = relations[-1].get_accessor_name().replace("_", "-")
        return Section(request, name=name, heading=heading, model_admin=model_admin, by=by, key=obj.pk)

    def save_model(self, request: HttpRequest, obj: Model, form: ModelForm, change: bool) -> None:
        # Only what was changed: the bot counts in other columns of the same row while staff look at it.
        obj.save(update_fields=[name for name in form.changed_data if name != "reason"] if change else None)

    def construct_change_message(
        self, request: HttpRequest, form: ModelForm, formsets: Any, add: bool = False
    ) -> tuple[dict[str, journal.Values], str | None]:
        """What log_addition and log_change are given: the columns before and after, and the reason."""
        after, reason = journal.values(form.instance), form.cleaned_data.get("reason")
        if add:
            return {"after": after}, reason
        names = [name for name in form.changed_data if name != "reason"]
        changed = {self.opts.get_field(name).attname: form.initial[name] for name in names}
        return {"before": changed, "after": {name: after[name] for name in changed}}, reason

    def log_addition(self, request: HttpRequest, obj: Model, message: tuple[dict[str, journal.Values], Any]) -> None:
        values, reason = message
        journal.record(self.act(obj, "added", **values), by=self.actor(request), reason=reason)

    def log_change(self, request: HttpRequest, obj: Model, message: tuple[dict[str, journal.Values], Any]) -> None:
        values, reason = message
        if values["before"]:
            journal.record(self.act(obj, "changed", **values), by=self.actor(request), reason=reason)

    def log_deletions(self, request: HttpRequest, queryset: Collection[Model]) -> None:
        """Nothing: Django tells of a deletion before it deletes, and the journal comes last."""

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        [act] = self.delete_rows([obj.pk])
        journal.record(act, by=self.actor(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        acts = self.delete_rows(queryset.values_list("pk", flat=True))
        head = journal.Act(f"{journal.noun(self.model)}.deleted", facts={"rows": len(acts)})
        journal.record_bulk(head, acts, by=self.actor(request))

    def delete_rows(self, keys: Iterable[Any]) -> list[journal.Act]:
        """Those that are told of are those that are deleted: by a filter they would be looked for twice."""
        chosen = self.model._default_manager.filter(pk__in=list(keys))
        rows = list(chosen.order_by("pk").select_for_update())
        if not rows:
            raise ValidationError(_("Somebody else has deleted this meanwhile."), code="gone")
        acts = [self.act(row, "deleted", before=journal.values(row)) for row in rows]
        self.model._default_manager.filter(pk__in=[row.pk for row in rows]).delete()
        return acts

    def act(self, obj: Model, verb: str, **values: journal.Values) -> journal.Act:
        """What was done to a row, about the contractors whose it is."""
        return journal.Act(f"{journal.noun(type(obj))}.{verb}", obj, contractors=self.contractors_of(obj), **values)

    def contractors_of(self, obj: Model) -> list[int]:
        return [attrgetter(path.replace("__", "."))(obj) for path in self.contractors]

    def actor(self, request: HttpRequest) -> AdminUser:
        return request.user.admin_user  # type: ignore[union-attr]


class ReadOnlyInline(TabularInline):
    """Rows of a table that has no page of its own, inside their parent."""

    extra = 0
    per_page = 30
    hide_title = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
