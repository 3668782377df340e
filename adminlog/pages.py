"""What every page of the admin stands on."""

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import wraps
from operator import attrgetter
from typing import Any, ClassVar

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import ShowFacets
from django.contrib.admin.utils import flatten_fieldsets, unquote
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import DatabaseError, transaction
from django.db.models import DecimalField, ForeignKey, JSONField, Model, Q, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from unfold.admin import ModelAdmin, TabularInline
from unfold.views import ChangeList

from adminlog import journal
from adminlog.columns import list_of
from adminlog.forms import FiniteDecimalField, ParentSelect, RowForm, StorableJSON
from adminlog.lists import BoundedPaginator, PageFirstChangeList, Section
from adminlog.models import AdminAction, AdminUser
from adminlog.search import matching, words
from smetabot.postgres.locks import BUSY, is_busy, set_patience

logger = logging.getLogger(__name__)


def all_or_nothing(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """A POST is one transaction with its journal, and what an act or the database refuses becomes a message to the
    member of staff: triggers and deferred constraints speak only there, and the bot writes at the same time."""

    @wraps(view)
    def wrapper(self: "BaseAdmin", request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.method != "POST":
            return view(self, request, *args, **kwargs)
        try:
            with transaction.atomic():
                set_patience("5s")
                return view(self, request, *args, **kwargs)
        except ValidationError as error:
            refusal = f"Nothing was saved. {' '.join(error.messages)}"
        except DatabaseError as error:
            refusal = BUSY
            if not is_busy(error):
                logger.warning("%s refused by the database", request.path, exc_info=True)
                refusal = f"Nothing was saved. The database says: {told_by(error)}"
        self.message_user(request, refusal, messages.ERROR)
        return HttpResponseRedirect(request.get_full_path())

    return wrapper


def told_by(error: DatabaseError) -> str:
    """What PostgreSQL said, with what it says to do about it."""
    said = getattr(error.__cause__, "diag", None)
    lines = [said.message_primary, said.message_hint] if said else []
    return ". ".join(filter(None, lines)) or str(error)


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
    # What becomes of a row that is added, in the journal's words.
    added_as: ClassVar[str] = "added"
    # Reverse relations whose newest rows the page shows below its form, as their own lists show them.
    sections: ClassVar[Sequence[str]] = ()

    form = RowForm
    formfield_overrides = {
        DecimalField: {"form_class": FiniteDecimalField},
        JSONField: {
            "decoder": StorableJSON,
            "error_messages": {"invalid": "Write JSON, without NaN, endless numbers and NUL characters."},
        },
    }
    ordering = ["-pk"]
    list_per_page = 50
    list_max_show_all = 0
    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    warn_unsaved_form = True
    change_form_outer_after_template = "adminlog/sections.html"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return "add" in self.allows and super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return "change" in self.allows and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return "delete" in self.allows and super().has_delete_permission(request, obj)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[Any]:
        return self.fields or [field.name for field in self.opts.concrete_fields]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[Any]:
        if obj is None:
            return self.readonly_fields
        return [name for name in flatten_fieldsets(self.get_fieldsets(request, obj)) if name not in self.editable]

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        obj = super().get_object(request, object_id, from_field)
        if obj is None or request.method != "POST":
            return obj
        # Held until the commit: what a form is compared with, and the journal's "before".
        return self.get_queryset(request).select_for_update(no_key=True, of=["self"]).filter(pk=obj.pk).first()

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> type[ModelForm]:
        form = super().get_form(request, obj, change=change, **kwargs)
        for field in form.base_fields.values():
            field.show_hidden_initial = change
        return form

    def formfield_for_foreignkey(self, db_field: ForeignKey, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name in self.get_autocomplete_fields(request):
            kwargs["widget"] = ParentSelect(db_field, self.admin_site, using=kwargs.get("using"))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

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
    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return super().changelist_view(request, *args, **kwargs)

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        try:
            for key in request.POST.getlist(ACTION_CHECKBOX_NAME):
                self.opts.pk.to_python(key)
        except ValidationError:
            self.message_user(request, "There are no such rows. Nothing was done.", messages.WARNING)
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
        context["show_history"] = bool(self.allows)
        context["sections"] = self.get_sections(request, obj) if obj else []
        return super().render_change_form(request, context, *args, obj=obj, **kwargs)

    def get_sections(self, request: HttpRequest, obj: Model) -> list[Section]:
        sections = []
        for relation in map(self.opts.get_field, self.sections):
            model_admin = self.admin_site.get_model_admin(relation.related_model)
            if model_admin.has_view_permission(request):
                sections.append(
                    Section(
                        request,
                        heading=relation.get_accessor_name().replace("_", " "),
                        model_admin=model_admin,
                        by=relation.field.name,
                        key=obj.pk,
                        whole_by=f"{relation.field.name}__id__exact",
                    )
                )
        return sections

    def save_model(self, request: HttpRequest, obj: Model, form: ModelForm, change: bool) -> None:
        # Only what was changed: the bot counts in other columns of the same row while staff look at it.
        obj.save(update_fields=form.changed_data if change else None)

    def construct_change_message(
        self, request: HttpRequest, form: ModelForm, formsets: Any, add: bool = False
    ) -> dict[str, journal.Values]:
        """What log_addition and log_change are given: the columns before and after."""
        after = journal.values(form.instance)
        if add:
            return {"after": after}
        changed = {self.opts.get_field(name).attname: form.initial[name] for name in form.changed_data}
        return {"before": changed, "after": {name: after[name] for name in changed}}

    def log_addition(self, request: HttpRequest, obj: Model, message: dict[str, journal.Values]) -> None:
        journal.record(self.act(obj, self.added_as, **message), by=self.actor(request))

    def log_change(self, request: HttpRequest, obj: Model, message: dict[str, journal.Values]) -> None:
        if message["before"]:
            journal.record(self.act(obj, "changed", **message), by=self.actor(request))

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
            raise ValidationError("Somebody else has deleted this meanwhile.", code="gone")
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
