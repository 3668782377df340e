from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from adminlog.columns import EMPTY, coloured, column, label, link, number
from adminlog.filters import DaysFilter
from adminlog.forms import ReasonedForm
from adminlog.lists import ParentFilter
from adminlog.pages import BaseAdmin
from billing.acts import Activate, Cancel, ChangePlan, Extend, WithdrawGift
from billing.limits import Features
from billing.models import Gift, Plan, Subscription, SubscriptionHistory, UsageCounter
from billing.terms import until
from billing.waiting import why_it_waits, with_wait
from core.names import along

STATUS_COLOURS = {"active": "success", "trial": "info", "grace": "warning", "cancelled": "warning", "expired": "danger"}
STATUS = label("status", **STATUS_COLOURS)
SOURCE = label("source")
CONTRACTOR_HELP = _("Contractor's Telegram id, @username, name")


class PlanForm(ReasonedForm):
    class Meta:
        labels = {"price_month": _("Price per month"), "channels_limit_one_off": _("Channels in a lifetime")}
        help_texts = {"channels_limit_one_off": _("Deleted ones count as well. Empty: no limit.")}

    def clean_features(self) -> dict[str, Any]:
        features = self.cleaned_data["features"]
        Features.read(features)
        return features


@admin.register(Plan)
class PlanAdmin(BaseAdmin):
    icon = "sell"
    allows = ["change"]
    editable = ["name", "price_month", "features", "channels_limit_one_off"]
    form = PlanForm
    ordering = ["pk"]
    list_display = [
        "name",
        "code",
        number("price_month", _("price per month")),
        number("channels_limit_one_off", _("channels in a lifetime"), empty=_("no limit")),
    ]
    search_fields = ["code", "name"]


class TermsAdmin(BaseAdmin):
    list_filter = ["status", "source", "plan__code", ("contractor", ParentFilter)]
    list_select_related = ["contractor", "plan"]
    search_fields = along("contractor")
    search_help_text = CONTRACTOR_HELP

    @admin.display(description=_("expires at"), ordering="expires_at")
    def until(self, terms: Any) -> str:
        return until(terms) or EMPTY


@admin.register(Subscription)
class SubscriptionAdmin(TermsAdmin):
    icon = "verified"
    contractors = ["contractor_id"]
    operations = [Activate(), Extend(), ChangePlan(), Cancel()]
    offers_in_rows = False
    list_display = ["id", link("contractor"), column("plan"), STATUS, SOURCE, "starts_at", "until"]
    fields = ["id", "contractor", "plan", STATUS, SOURCE, "starts_at", "until", "paid_until"]


@admin.register(SubscriptionHistory)
class SubscriptionHistoryAdmin(TermsAdmin):
    icon = "history"
    list_display = [
        *["id", link("contractor"), column("plan"), STATUS, SOURCE, "starts_at", "until", "paid_until"],
        *[column("payment_reference", _("payment")), "created_at"],
    ]
    search_fields = [*along("contractor"), "payment_reference"]
    search_help_text = _("Contractor's Telegram id, @username, name, payment reference")
    fields = [
        *["id", "contractor", "plan", STATUS, SOURCE, "starts_at", "until", "paid_until"],
        *["payment_reference", "gift", "created_at"],
    ]


class GiftState(admin.SimpleListFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("waiting", gettext("Waiting")), ("applied", gettext("Applied")), ("withdrawn", gettext("Withdrawn"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        match self.value():
            case "waiting":
                return queryset.pending()
            case "applied":
                return queryset.exclude(applied_at=None)
            case "withdrawn":
                return queryset.exclude(withdrawn_at=None)
        return queryset


class QueuedFilter(DaysFilter):
    title = _("day queued")
    parameter_name = "queued"
    column = "queued_at"


class AppliedFilter(DaysFilter):
    title = _("day applied")
    parameter_name = "applied"
    column = "applied_at"


@admin.register(Gift)
class GiftAdmin(BaseAdmin):
    icon = "redeem"
    counts_many = True
    contractors = ["contractor_id"]
    operations = [WithdrawGift()]
    list_display = [
        "id",
        link("contractor"),
        column("plan"),
        "days",
        "state",
        "waits",
        label("reason"),
        "queued_at",
        "applied_at",
    ]
    list_filter = [GiftState, "reason", "plan__code", QueuedFilter, AppliedFilter, ("contractor", ParentFilter)]
    list_select_related = ["contractor", "plan"]
    search_fields = ["id", *along("contractor")]
    search_help_text = _("Gift id, contractor")
    fields = [
        *["id", "contractor", "plan", "days", label("reason"), "state", "waits"],
        *["queued_at", "applied_at", "withdrawn_at", link("referral_cycle", _("reward of"))],
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Gift]:
        return with_wait(super().get_queryset(request), at=timezone.now())

    @admin.display(description=_("why it waits"))
    def waits(self, gift: Gift) -> str:
        return why_it_waits(gift, at=timezone.now()) or EMPTY

    @admin.display(description=_("state"))
    def state(self, gift: Gift) -> str:
        if gift.applied_at:
            return coloured(_("Applied"), "success")
        return coloured(_("Withdrawn")) if gift.withdrawn_at else coloured(_("Waiting"), "warning")


@admin.register(UsageCounter)
class UsageCounterAdmin(BaseAdmin):
    icon = "data_usage"
    list_display = [
        column("contractor_id", ordering="contractor_id"),
        link("contractor"),
        number("channels_created_total"),
        "last_channel_created_at",
    ]
    list_select_related = ["contractor"]
    search_fields = along("contractor")
    search_help_text = CONTRACTOR_HELP
