from typing import Any

from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from adminlog.columns import EMPTY, as_json, coloured, column, label, link, preformatted
from adminlog.models import AdminAction, AdminUser, JobRun
from adminlog.pages import BaseAdmin

# Logins are made and mended together with their row among the staff, so they have no page beside it.
admin.site.unregister([Group, User, StaticDevice, TOTPDevice])

ROLE = label("role", owner="primary", manager="info")


@admin.register(AdminUser)
class AdminUserAdmin(BaseAdmin):
    icon = "badge"
    allows = ["change"]
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


@admin.register(AdminAction)
class AdminActionAdmin(BaseAdmin):
    icon = "menu_book"
    list_display = ["id", "created_at", link("admin", "who"), "action", "target"]
    list_filter = ["admin"]
    list_select_related = ["admin"]
    search_fields = ["action", "target_type", "target_id", "admin__tg_user_id", "admin__username"]
    search_help_text = "Action, target, its id, who did it"
    fields = ["id", "created_at", "admin", "action", "target", as_json("payload")]

    @admin.display
    def target(self, action: AdminAction) -> str:
        if not action.target_type:
            return EMPTY
        name = f"{action.target_type} {action.target_id}"
        try:
            options = apps.get_model(action.target_type)._meta
            url = reverse(f"admin:{options.app_label}_{options.model_name}_change", args=[action.target_id])
        except (LookupError, ValueError, NoReverseMatch):
            return name
        return format_html('<a href="{}" class="text-link">{}</a>', url, name)


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
            f"{name} {count}" for name, count in (run.counts or {}).items()
        )
