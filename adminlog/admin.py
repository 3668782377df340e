import datetime as dt
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.auth.forms import UsernameField
from django.contrib.auth.models import Group, User
from django.db.models import Model
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import NoReverseMatch
from django.utils.formats import date_format, get_format
from django.utils.html import format_html, format_html_join
from django.utils.timezone import get_current_timezone_name, localtime
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice
from import_export.resources import Resource
from unfold.widgets import UnfoldAdminTextInputWidget

from adminlog import acts, alerts, sessions, staff, story
from adminlog.columns import EMPTY, as_json, coloured, column, label, link, list_of, number, page_at, preformatted
from adminlog.export import Cell
from adminlog.filters import (
    ActFilter,
    CommandFilter,
    ContractorFilter,
    DaysFilter,
    PersonFilter,
    TargetFilter,
    TimeFilter,
)
from adminlog.forms import ReasonedForm
from adminlog.journal import Act, difference
from adminlog.lists import Section
from adminlog.models import AdminAction, AdminAlert, AdminUser, JobRun
from adminlog.pages import BaseAdmin

# Logins are made and mended together with their row among the staff, so they have no page beside it.
admin.site.unregister([Group, User, StaticDevice, TOTPDevice])

ROLE = label("role", owner="primary", manager="info")
ALERT_STATE = label("state", open="danger", acknowledged="warning", resolved="success")
RESET = _(
    "For whoever lost their password or phone: they get a new password, which is shown here once, set up a second"
    " factor anew, are no longer locked out, and all their sessions end. Be sure that it is they who ask."
)


class ResetAccess(acts.Operation):
    name = "reset_access"
    title = _("Reset access")
    icon = "lock_reset"
    permission = "adminlog.reset_adminuser"
    warning = RESET
    in_bulk = False
    is_grave = True

    def is_offered(self, row: AdminUser, *, by: AdminUser) -> bool:
        return staff.refusal_to_reset(row, by=by) is None

    def do(self, row: AdminUser, *, by: AdminUser, now: dt.datetime, **data: Any) -> acts.Done:
        reset = staff.reset_access(row, by=by)
        return acts.Done(reset.act, reset.told, secret=reset.new_password)


class NewStaffForm(ReasonedForm):
    username = User._meta.get_field("username").formfield(
        form_class=UsernameField, label=_("Login name"), widget=UnfoldAdminTextInputWidget
    )

    def clean(self) -> dict[str, Any] | None:
        if username := self.cleaned_data.get("username"):
            User(username=username).full_clean(exclude=["password"])
        return super().clean()


@admin.register(AdminUser)
class AdminUserAdmin(BaseAdmin):
    icon = "badge"
    allows = ["add", "change"]
    form = ReasonedForm
    operations = [ResetAccess()]
    add_fieldsets = [(None, {"fields": ["username", "tg_user_id", "role", "reason"]})]
    editable = ["username", "role", "is_active"]
    list_display = ["__str__", "tg_user_id", ROLE, "is_active", "login", "added_at"]
    list_filter = ["role", "is_active"]
    list_select_related = ["login"]
    search_fields = ["tg_user_id", "username", "login__username"]
    search_help_text = _("Telegram id, username, login")

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
        told = gettext("%(name)s may log in now. Password: %(password)s (shown only now).") % {
            "name": obj,
            "password": obj.password,
        }
        return acts.tell(self, request, obj, title=_("Add staff member"), told=told)


class JournalResource(Resource):
    seq = Cell("seq")
    time = Cell("created_at")
    staff_id = Cell("admin_id")
    name = Cell("admin_name")
    role = Cell("admin_role")
    act = Cell("action")
    target_type = Cell("target_type")
    target_id = Cell("target_id")
    contractors = Cell(lambda act: " ".join(map(str, act.contractors)))
    before = Cell(lambda act: story.moments(act)[0] or "")
    after = Cell(lambda act: story.moments(act)[1] or "")
    remarks = Cell(lambda act: story.remarks(act) or "")
    reason = Cell(story.reason)
    part_of = Cell("part_of_id")
    address = Cell("address")
    request_id = Cell("request_id")
    hash = Cell("hash")


@admin.register(AdminAction)
class AdminActionAdmin(BaseAdmin):
    icon = "menu_book"
    resource_class = JournalResource
    sections = {"parts": _("parts")}
    list_display = ["created_at", "who", "action", "target", "summary", "reason"]
    list_filter = [PersonFilter, ActFilter, TargetFilter, ("created_at", TimeFilter), ContractorFilter]
    list_filter_submit = True
    list_select_related = ["details"]
    search_fields = ["action", "target_type", "target_id", "admin__tg_user_id", "admin__username"]
    search_help_text = _("Act, target, its id, who did it")
    fieldsets = [
        (None, {"fields": [("action", "target"), ("moment", "who"), "reason", "changes", "remarks"]}),
        (_("Where it belongs"), {"fields": [("timelines", "part_of"), ("address", "request_id"), "seq", "hash"]}),
    ]

    def get_sections(self, request: HttpRequest, obj: Model) -> list[Section]:
        # Hardly an act has parts.
        return [section for section in super().get_sections(request, obj) if section.result_count]

    @admin.display(description=_("who"))
    def who(self, act: AdminAction) -> str:
        url = page_at(AdminUser, act.admin_id)
        name = act.admin_name or gettext("Staff member %(id)s") % {"id": act.admin_id}
        role = dict(AdminUser.Role.choices).get(act.admin_role, act.admin_role)
        return format_html('<a href="{}" class="text-link">{}</a> ({})', url, name, str(role).lower())

    @admin.display(description=_("target"))
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

    @admin.display(description=_("summary"))
    def summary(self, act: AdminAction) -> str:
        return story.summary(act)

    @admin.display(description=_("reason"))
    def reason(self, act: AdminAction) -> str:
        return story.reason(act)

    @admin.display(description=_("time"))
    def moment(self, act: AdminAction) -> str:
        here = date_format(localtime(act.created_at), f"{get_format('DATETIME_FORMAT')}:s")
        utc = f"{act.created_at.astimezone(dt.UTC):%H:%M:%S} UTC"
        zone = get_current_timezone_name()
        return f"{here} UTC" if zone == "UTC" else f"{here} {zone} ({utc})"

    @admin.display(description=_("what changed"))
    def changes(self, act: AdminAction) -> str:
        if not (changes := story.changes(act)):
            return EMPTY
        rows = [
            [change.name, *(in_colour(change) if change.before != change.after else change[1:])] for change in changes
        ]
        return render_to_string(
            "unfold/components/table.html", {"table": {"headers": [_("field"), _("before"), _("after")], "rows": rows}}
        )

    @admin.display(description=_("what else is told"))
    def remarks(self, act: AdminAction) -> str:
        lines = [f"{story.title(name)}: {story.shown(value)}" for name, value in story.remarks(act).items()]
        if story.is_emptied(act):
            lines.append(gettext("Names and free text were emptied by an erasure."))
        return preformatted("\n".join(lines)) if lines else EMPTY

    @admin.display(description=_("contractors"))
    def timelines(self, act: AdminAction) -> str:
        links = ((f"{list_of(AdminAction)}?contractor={contractor}", contractor) for contractor in act.contractors)
        return format_html_join(", ", '<a href="{}" class="text-link">{}</a>', links) or EMPTY


def in_colour(change: story.Change) -> list[str]:
    return [
        format_html('<span class="text-{0}-700 dark:text-{0}-400">{1}</span>', colour, value)
        for colour, value in (("red", change.before), ("green", change.after))
    ]


class StartedFilter(DaysFilter):
    title = _("day of the start")
    parameter_name = "started"
    column = "started_at"


@admin.register(JobRun)
class JobRunAdmin(BaseAdmin):
    icon = "schedule"
    list_display = ["id", "command", "state", "started_at", "finished_at", "result"]
    list_filter = [CommandFilter, "outcome", StartedFilter]
    search_fields = ["command"]
    search_help_text = _("Command")
    fields = [
        "id",
        "command",
        "state",
        "started_at",
        "finished_at",
        "now",
        as_json("counts"),
        column("error", show=preformatted),
        "alerts",
    ]

    @admin.display(description=_("outcome"))
    def state(self, run: JobRun) -> str:
        match run.outcome:
            case JobRun.Outcome.DONE:
                return coloured(run.get_outcome_display(), "success")
            case JobRun.Outcome.FAILED:
                return coloured(run.get_outcome_display(), "danger")
        return coloured(_("Unfinished"), "warning")

    @admin.display(description=_("result"))
    def result(self, run: JobRun) -> str:
        return run.first_problem or run.counted

    @admin.display(description=_("alerts"))
    def alerts(self, run: JobRun) -> str:
        return of_command(AdminAlert, run.command, _("Alerts of this job"))


def of_command(model: type[Model], command: str, title: Any) -> str:
    url = f"{list_of(model)}?{urlencode({'command': command})}"
    return format_html('<a href="{}" class="text-link">{}</a>', url, title)


class AlertOperation(acts.Operation):
    def done(self, verb: str, alert: AdminAlert, before: AdminAlert) -> acts.Done:
        told = gettext("%(alert)s: %(before)s → %(after)s.")
        states = {"before": before.get_state_display().lower(), "after": alert.get_state_display().lower()}
        act = Act(f"alert.{verb}", alert, contractors=(), **difference(before, alert))
        return acts.Done(act, told % {"alert": alert, **states})


class Acknowledge(AlertOperation):
    name = "acknowledge"
    title = _("Acknowledge")
    icon = "visibility"
    permission = "adminlog.acknowledge_adminalert"
    warning = _(
        "It says that you see to it. Nobody is reminded of it any more; it closes when the job runs well again."
    )

    def is_offered(self, row: AdminAlert, *, by: AdminUser) -> bool:
        return row.state == AdminAlert.State.OPEN

    def do(self, row: AdminAlert, *, by: AdminUser, now: dt.datetime, **data: Any) -> acts.Done:
        before, after = alerts.acknowledge(alert=row.pk)
        return self.done("acknowledged", after, before)


class Resolve(AlertOperation):
    name = "resolve"
    title = _("Resolve")
    icon = "task_alt"
    permission = "adminlog.resolve_adminalert"
    warning = _("It closes by itself when the job runs well again. If the next run fails so, another alert opens.")

    def is_offered(self, row: AdminAlert, *, by: AdminUser) -> bool:
        return row.state in AdminAlert.UNRESOLVED

    def do(self, row: AdminAlert, *, by: AdminUser, now: dt.datetime, **data: Any) -> acts.Done:
        before, after = alerts.resolve(alert=row.pk, now=now)
        return self.done("resolved", after, before)


@admin.register(AdminAlert)
class AdminAlertAdmin(BaseAdmin):
    icon = "notifications"
    operations = [Acknowledge(), Resolve()]
    list_display = [
        "__str__",
        ALERT_STATE,
        "command",
        "kind",
        "problem",
        number("count", _("times seen")),
        "first_seen_at",
        "last_seen_at",
    ]
    list_filter = ["state", "kind", CommandFilter]
    search_fields = ["command"]
    search_help_text = _("Command")
    list_select_related = ["run"]
    fields = [
        ("command", "kind"),
        ALERT_STATE,
        column("text", show=preformatted),
        "count",
        ("first_seen_at", "last_seen_at", "resolved_at"),
        (link("run", _("job run")), "runs"),
        ("told_state", "told_at"),
    ]

    @admin.display(description=_("text"))
    def problem(self, alert: AdminAlert) -> str:
        return alert.text[:200]

    @admin.display(description=_("job runs"))
    def runs(self, alert: AdminAlert) -> str:
        return of_command(JobRun, alert.command, _("All runs of this job"))
