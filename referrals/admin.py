from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from adminlog.columns import coloured, column, label, link, number
from adminlog.export import Cell, RowResource
from adminlog.lists import ParentFilter
from adminlog.pages import BaseAdmin
from core.names import along
from referrals.acts import Detach
from referrals.models import Referral, ReferralCycle, ReferralLink
from referrals.standing import standing


@admin.register(ReferralLink)
class ReferralLinkAdmin(BaseAdmin):
    icon = "share"
    list_display = ["token", link("contractor"), "created_at"]
    list_select_related = ["contractor"]
    search_fields = ["token", *along("contractor")]
    search_help_text = _("Token; contractor's Telegram id, @username")


class SuspicionFilter(admin.SimpleListFilter):
    title = _("suspicious")
    parameter_name = "suspicious"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", gettext("Yes"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.exclude(suspicion=None) if self.value() == "yes" else queryset


# For a person to look at; the referral counts as any other.
SUSPICION = column("suspicion", _("suspicious"), show=lambda reason: coloured(reason, "warning"))


class ReferralResource(RowResource):
    channels_created = Cell("progress__channels_created")
    suspicion = Cell("suspicion")


@admin.register(Referral)
class ReferralAdmin(BaseAdmin):
    icon = "group_add"
    resource_class = ReferralResource
    contractors = ["referrer_id", "referred_contractor_id"]
    operations = [Detach()]
    list_display = [
        "id",
        link("referrer"),
        link("referred_contractor", _("brought")),
        "state",
        link("cycle", _("counted in")),
        SUSPICION,
        "created_at",
    ]
    list_filter = [SuspicionFilter, ("referrer", ParentFilter), ("cycle", ParentFilter)]
    list_select_related = ["referrer", "referred_contractor", "cycle"]
    fields = [*list_display, number("progress__channels_created", _("channels")), "qualified_at"]
    search_fields = along("referrer", "referred_contractor")
    search_help_text = _("Telegram id, @username, name of either")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).with_suspicion().prefetch_related("progress")

    @admin.display(description=_("state"))
    def state(self, referral: Referral) -> str:
        stands = standing(referral)
        return coloured(stands.text, stands.colour)


@admin.register(ReferralCycle)
class ReferralCycleAdmin(BaseAdmin):
    icon = "cycle"
    sections = {"counted": _("counted referrals")}
    fields = list_display = [
        "id",
        link("referrer"),
        column("cycle_no", _("cycle")),
        column("qualified_refs_done", _("done")),
        column("qualified_refs_required", _("required")),
        label("state", in_progress="info", completed="success", reward_queued="success"),
        link("gift"),
        "created_at",
        "completed_at",
    ]
    list_filter = ["state", ("referrer", ParentFilter)]
    list_select_related = ["referrer", "gift__plan"]
    search_fields = along("referrer")
    search_help_text = _("Referrer's Telegram id, @username, name")
