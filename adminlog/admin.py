import datetime as dt
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import SEARCH_VAR
from django.contrib.auth.forms import UsernameField
from django.contrib.auth.models import Group, User
from django.db.models import Max, Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.template.loader import render_to_string
from django.urls import NoReverseMatch
from django.utils.html import format_html, format_html_join
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice
from unfold.dataclasses import UnfoldAction
from unfold.decorators import action
from unfold.widgets import UnfoldAdminTextInputWidget

from adminlog import acts, export, journal, sessions, staff, story
from adminlog.columns import EMPTY, as_json, coloured, column, label, list_of, page_at, preformatted
from adminlog.filters import ActFilter, ContractorFilter, PersonFilter, TargetFilter, TimeFilter
from adminlog.forms import RowForm
from adminlog.lists import Section
from adminlog.models import AdminAction, AdminUser, JobRun
from adminlog.pages import BaseAdmin, all_or_nothing

# Logins are made and mended together with their row among the staff, so they have no page beside it.
admin.site.unregister([Group, User, StaticDevice, TOTPDevice])

ROLE = label("role", owner="primary", manager="info")
RESET = """
    For whoever lost their password or phone: they get a new password, which is shown here once, set up a second factor
    anew, are no longer locked out, and all their sessions end. Be sure that it is they who ask.
"""


class NewStaffForm(RowForm):
    username = User._meta.get_field("username").formfield(
        form_class=UsernameField, label="Login name", widget=UnfoldAdminTextInputWidget
    )

    def clean(self) -> dict[str, Any] | None:
        if username := self.cleaned_data.get("username"):
            User(username=username).full_clean(exclude=["password"])
        return super().clean()


@admin.register(AdminUser)
class AdminUserAdmin(BaseAdmin):
    icon = "badge"
    allows = ["add", "change"]
    actions_detail = ["reset_access"]
    add_fieldsets = [(None, {"fields": ["username", "tg_user_id", "role"]})]
    editable = ["username", "role", "is_active"]
    list_display = ["__str__", "tg_user_id", ROLE, "is_active", "login", "added_at"]
    list_filter = ["role", "is_active"]
    list_select_related = ["login"]
    search_fields = ["tg_user_id", "username", "login__username"]
    search_help_text = "Telegram id, username, login"

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if isinstance(obj, AdminUser):
            is_system = obj.tg_user_id == AdminUser.SYSTEM_TG_USER_ID
            # Whoever switched themselves off, or the last owner who became support, could not undo it.
            is_oneself = obj.login_id is not None and obj.login_id == request.user.pk
            if is_system or is_oneself:
                return False
        return super().has_change_permission(request, obj)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> type[ModelForm]:
        return super().get_form(request, obj, change, **kwargs if change else {"form": NewStaffForm, **kwargs})

    def save_model(self, request: HttpRequest, obj: Any, form: ModelForm, change: bool) -> None:
        if change:
            if not obj.is_active and obj.login:
                sessions.end(obj.login)
            return super().save_model(request, obj, form, change)
        added, obj.password = staff.add(**form.cleaned_data, by=self.actor(request))
        obj.pk = added.pk

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> None:
        """Nothing more: staff.add has told it."""

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        told = f"{obj} may log in now. Password: {obj.password} (shown only now)."
        return acts.tell(self, request, obj, title="Add staff member", outcome=told)

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[UnfoldAction]:
        offered = super().get_actions_detail(request, object_id)
        admin_user = self.get_object(request, unquote(object_id)) if offered else None
        if admin_user is None or staff.refusal_to_reset(admin_user, by=self.actor(request)):
            return []
        return offered

    def has_reset_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return request.user.has_perm("adminlog.reset_adminuser")

    # A permission by its name would have every system check read the database, the one before the first migrate too.
    @action(description="Reset access", icon="lock_reset", permissions=["reset"])
    @all_or_nothing
    def reset_access(self, request: HttpRequest, object_id: str) -> HttpResponse:
        admin_user = self.get_object(request, unquote(object_id))
        if admin_user is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        return acts.ask(
            self,
            request,
            admin_user,
            title="Reset access",
            warning=RESET,
            do=lambda reason: staff.reset_access(admin_user, by=self.actor(request), reason=reason),
        )


@admin.register(AdminAction)
class AdminActionAdmin(BaseAdmin):
    icon = "menu_book"
    actions = ["export"]
    sections = ["parts"]
    list_display = ["created_at", "who", "action", "target", "summary", "reason"]
    list_filter = [PersonFilter, ActFilter, TargetFilter, ("created_at", TimeFilter), ContractorFilter]
    list_filter_submit = True
    list_select_related = ["details"]
    search_fields = ["action", "target_type", "target_id", "admin__tg_user_id", "admin__username"]
    search_help_text = "Act, target, its id, who did it"
    fieldsets = [
        (None, {"fields": [("action", "target"), ("moment", "who"), "reason", "changes", "remarks"]}),
        ("Where it belongs", {"fields": [("timelines", "part_of"), ("address", "request_id"), "seq", "hash"]}),
    ]

    def has_export_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("adminlog.export_adminaction")

    def get_sections(self, request: HttpRequest, obj: Model) -> list[Section]:
        # Hardly an act has parts.
        return [section for section in super().get_sections(request, obj) if section.result_count]

    @admin.display
    def who(self, act: AdminAction) -> str:
        url = page_at(AdminUser, act.admin_id)
        name = act.admin_name or f"staff member {act.admin_id}"
        return format_html('<a href="{}" class="text-link">{}</a> ({})', url, name, act.admin_role)

    @admin.display
    def target(self, act: AdminAction) -> str:
        if not act.target_type or act.target_id is None:
            return act.target_type or EMPTY
        name = f"{story.kind(act.target_type)} {act.target_id}"
        model = story.model(act.target_type)
        if model is None:
            return name
        try:
            return format_html('<a href="{}" class="text-link">{}</a>', page_at(model, act.target_id), name)
        except NoReverseMatch:
            return name

    @admin.display
    def summary(self, act: AdminAction) -> str:
        return story.summary(act)

    @admin.display
    def reason(self, act: AdminAction) -> str:
        return story.reason(act)

    @admin.display(description="time")
    def moment(self, act: AdminAction) -> str:
        return f"{act.created_at.astimezone(dt.UTC):%d %b %Y, %H:%M:%S} UTC"

    @admin.display(description="what changed")
    def changes(self, act: AdminAction) -> str:
        if not (changes := story.changes(act)):
            return EMPTY
        rows = [
            [change.name, *(in_colour(change) if change.before != change.after else change[1:])] for change in changes
        ]
        return render_to_string(
            "unfold/components/table.html", {"table": {"headers": ["field", "before", "after"], "rows": rows}}
        )

    @admin.display(description="what else is told")
    def remarks(self, act: AdminAction) -> str:
        lines = [f"{story.title(name)}: {story.shown(value)}" for name, value in story.remarks(act).items()]
        if story.is_emptied(act):
            lines.append("Names and free text were emptied by an erasure.")
        return preformatted("\n".join(lines)) if lines else EMPTY

    @admin.display(description="contractors")
    def timelines(self, act: AdminAction) -> str:
        links = ((f"{list_of(AdminAction)}?contractor={contractor}", contractor) for contractor in act.contractors)
        return format_html_join(", ", '<a href="{}" class="text-link">{}</a>', links) or EMPTY

    @admin.action(description="Export as CSV", permissions=["export"])
    def export(self, request: HttpRequest, queryset: QuerySet[AdminAction]) -> StreamingHttpResponse:
        # Nothing that is written from now on belongs to it: the journal tells how many rows were taken.
        last = AdminAction.objects.aggregate(pk=Max("pk", default=0))["pk"]
        chosen = queryset.filter(pk__lte=last).order_by("pk")
        # Without the words looked for: an erasure would not know whose name is among them.
        filters = {name: value for name, value in request.GET.items() if name != SEARCH_VAR}
        act = journal.Act(
            "journal.exported",
            facts={"rows": chosen.count(), "searched": SEARCH_VAR in request.GET},
            personal={"filters": filters} if filters else {},
            contractors=ContractorFilter.chosen(request),
        )
        journal.record(act, by=self.actor(request))
        return StreamingHttpResponse(
            export.pieces(chosen),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": 'attachment; filename="journal.csv"'},
        )


def in_colour(change: story.Change) -> list[str]:
    return [
        format_html('<span class="text-{0}-700 dark:text-{0}-400">{1}</span>', colour, value)
        for colour, value in (("red", change.before), ("green", change.after))
    ]


@admin.register(JobRun)
class JobRunAdmin(BaseAdmin):
    icon = "schedule"
    list_display = ["id", "command", "state", "started_at", "finished_at", "result"]
    list_filter = ["outcome"]
    search_fields = ["command"]
    search_help_text = "Command"
    fields = [
        "id",
        "command",
        "state",
        "started_at",
        "finished_at",
        "now",
        as_json("counts"),
        column("error", show=preformatted),
    ]

    @admin.display(description="outcome")
    def state(self, run: JobRun) -> str:
        match run.outcome:
            case JobRun.Outcome.DONE:
                return coloured("done", "success")
            case JobRun.Outcome.FAILED:
                return coloured("failed", "danger")
        return coloured("unfinished", "warning")

    @admin.display
    def result(self, run: JobRun) -> str:
        return (run.error or "").partition("\n")[0][:200] or ", ".join(
            f"{name} {count}" for name, count in (run.counts or {}).items() if isinstance(count, int)
        )
