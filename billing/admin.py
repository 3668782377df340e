from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import ForeignKey
from django.http import HttpRequest
from django.utils import timezone

from adminlog.columns import coloured, column, label, link
from adminlog.forms import RowForm
from adminlog.lists import ParentFilter
from adminlog.pages import BaseAdmin
from billing.gifts import queue_gift
from billing.limits import Features
from billing.models import Gift, Plan, Subscription, SubscriptionHistory, UsageCounter

STATUS_COLOURS = {"active": "success", "trial": "info", "grace": "warning", "expired": "danger"}
STATUS = label("status", **STATUS_COLOURS)
SOURCE = label("source")
CONTRACTOR = ["contractor__tg_user_id", "contractor__username", "contractor__full_name"]
CONTRACTOR_HELP = "Contractor's Telegram id, @username, name"


class PlanForm(RowForm):
    class Meta:
        labels = {"price_month": "Price per month", "channels_limit_one_off": "Channels in a lifetime"}
        help_texts = {"channels_limit_one_off": "Deleted ones count as well. Empty: no limit."}

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
        column("price_month", "price per month"),
        column("channels_limit_one_off", "channels in a lifetime", empty="no limit"),
    ]
    search_fields = ["code", "name"]


class TermsAdmin(BaseAdmin):
    list_filter = ["status", "source", "plan__code", ("contractor", ParentFilter)]
    list_select_related = ["contractor", "plan"]
    search_fields = CONTRACTOR
    search_help_text = CONTRACTOR_HELP


@admin.register(Subscription)
class SubscriptionAdmin(TermsAdmin):
    icon = "verified"
    list_display = ["id", link("contractor"), column("plan"), STATUS, SOURCE, "starts_at", "expires_at"]
    fields = ["id", "contractor", "plan", STATUS, SOURCE, "starts_at", "expires_at", "paid_until"]


@admin.register(SubscriptionHistory)
class SubscriptionHistoryAdmin(TermsAdmin):
    icon = "history"
    list_display = [
        *["id", link("contractor"), column("plan"), STATUS, SOURCE, "starts_at", "expires_at", "paid_until"],
        *[column("payment_reference", "payment"), "created_at"],
    ]
    search_fields = [*CONTRACTOR, "payment_reference"]
    search_help_text = f"{CONTRACTOR_HELP}, payment reference"
    fields = [
        *["id", "contractor", "plan", STATUS, SOURCE, "starts_at", "expires_at", "paid_until"],
        *["payment_reference", "gift", "created_at"],
    ]


class GiftState(admin.SimpleListFilter):
    title = parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("waiting", "Waiting"), ("applied", "Applied"), ("withdrawn", "Withdrawn")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        match self.value():
            case "waiting":
                return queryset.pending()
            case "applied":
                return queryset.exclude(applied_at=None)
            case "withdrawn":
                return queryset.exclude(withdrawn_at=None)
        return queryset


@admin.register(Gift)
class GiftAdmin(BaseAdmin):
    icon = "redeem"
    allows = ["add"]
    contractors = ["contractor_id"]
    added_as = "queued"
    list_display = [
        "id",
        link("contractor"),
        column("plan"),
        "days",
        label("reason"),
        "state",
        "queued_at",
        "applied_at",
    ]
    list_filter = [GiftState, "reason", "plan__code", ("contractor", ParentFilter)]
    list_select_related = ["contractor", "plan"]
    search_fields = ["id", *CONTRACTOR]
    search_help_text = "Gift id, contractor"
    fields = ["id", "contractor", "plan", "days", label("reason"), "state", "queued_at", "applied_at", "withdrawn_at"]
    autocomplete_fields = ["contractor"]
    add_fieldsets = [(None, {"fields": ["contractor", "plan", "days"]})]

    @admin.display
    def state(self, gift: Gift) -> str:
        if gift.applied_at:
            return coloured("applied", "success")
        return coloured("withdrawn") if gift.withdrawn_at else coloured("waiting", "warning")

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"days": 30, **super().get_changeform_initial_data(request)}

    def formfield_for_foreignkey(self, db_field: ForeignKey, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "plan":
            kwargs["queryset"] = Plan.objects.filter(code__in=Plan.PAID)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: Any, form: forms.ModelForm, change: bool) -> None:
        queued = queue_gift(contractor=obj.contractor_id, plan=obj.plan, days=obj.days, now=timezone.now())
        obj.pk = queued.pk
        obj.refresh_from_db()


@admin.register(UsageCounter)
class UsageCounterAdmin(BaseAdmin):
    icon = "data_usage"
    list_display = ["contractor_id", link("contractor"), "channels_created_total", "last_channel_created_at"]
    list_select_related = ["contractor"]
    search_fields = CONTRACTOR
    search_help_text = CONTRACTOR_HELP
