from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from adminlog.columns import coloured, column, label, link
from adminlog.lists import ParentFilter
from adminlog.pages import BaseAdmin
from referrals.models import Referral, ReferralCycle, ReferralLink


@admin.register(ReferralLink)
class ReferralLinkAdmin(BaseAdmin):
    icon = "share"
    list_display = ["token", link("contractor"), "created_at"]
    list_select_related = ["contractor"]
    search_fields = ["token", "contractor__tg_user_id", "contractor__username", "contractor__full_name"]
    search_help_text = "Token; contractor's Telegram id, @username"


class SuspicionFilter(admin.SimpleListFilter):
    title = parameter_name = "suspicious"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Yes")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.exclude(suspicion=None) if self.value() == "yes" else queryset


# For a person to look at; the referral counts as any other.
SUSPICION = column("suspicion", "suspicious", show=lambda reason: coloured(reason, "warning"))


@admin.register(Referral)
class ReferralAdmin(BaseAdmin):
    icon = "group_add"
    list_display = [
        "id",
        link("referrer"),
        link("referred_contractor", "brought"),
        column("progress__channels_created", "channels"),
        label("progress__qualified", yes="success"),
        link("cycle", "counted in"),
        SUSPICION,
        "created_at",
    ]
    list_filter = [SuspicionFilter, ("referrer", ParentFilter), ("cycle", ParentFilter)]
    list_select_related = ["referrer", "referred_contractor", "cycle"]
    fields = [*list_display, "qualified_at"]
    search_fields = [
        f"{who}__{name}"
        for who in ("referrer", "referred_contractor")
        for name in ("tg_user_id", "username", "full_name")
    ]
    search_help_text = "Telegram id, @username, name of either"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).with_suspicion().prefetch_related("progress")


@admin.register(ReferralCycle)
class ReferralCycleAdmin(BaseAdmin):
    icon = "cycle"
    sections = ["counted"]
    fields = list_display = [
        "id",
        link("referrer"),
        column("cycle_no", "cycle"),
        column("qualified_refs_done", "done"),
        column("qualified_refs_required", "required"),
        label("state", in_progress="info", completed="success", reward_queued="success"),
        link("gift"),
        "created_at",
        "completed_at",
    ]
    list_filter = ["state", ("referrer", ParentFilter)]
    list_select_related = ["referrer", "gift__plan"]
    search_fields = ["referrer__tg_user_id", "referrer__username", "referrer__full_name"]
    search_help_text = "Referrer's Telegram id, @username, name"
