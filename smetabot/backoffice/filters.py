"""Filters of the contractors' list, by what all apps know of them."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from adminlog.filters import DaysFilter
from billing.models import Gift, Plan, Subscription
from billing.standing import Standing, standing
from core.models import Contractor


class PlanFilter(admin.SimpleListFilter):
    """By the effective plan."""

    title = _("plan")
    parameter_name = "plan"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return Plan.Code.choices

    def queryset(self, request: HttpRequest, queryset: QuerySet[Contractor]) -> QuerySet[Contractor]:
        live = Subscription.objects.live_paid(at=timezone.now())
        match self.value():
            case Plan.Code.FREE:
                return queryset.exclude(pk__in=live.values("contractor"))
            case code if code in Plan.PAID:
                return queryset.filter(pk__in=live.filter(plan__code=code).values("contractor"))
        return queryset


class PaidPlanFilter(admin.SimpleListFilter):
    """By how the subscription to PRO or BUSINESS stands; that to FREE neither ends nor begins."""

    title = _("paid plan")
    parameter_name = "paid"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("expiring", _("Ends within 7 days")), *Standing.choices]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Contractor]) -> QuerySet[Contractor]:
        now = timezone.now()
        match self.value():
            case "expiring":
                chosen = Subscription.objects.expiring(at=now)
            case value if value in Standing.values:
                chosen = Subscription.objects.paid().alias(standing=standing(at=now)).filter(standing=value)
            case _:
                return queryset
        return queryset.filter(pk__in=chosen.values("contractor"))


class GiftFilter(admin.SimpleListFilter):
    title = _("gifts")
    parameter_name = "gifts"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("waiting", _("Waiting"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Contractor]) -> QuerySet[Contractor]:
        if self.value() == "waiting":
            return queryset.filter(pk__in=Gift.objects.pending().values("contractor"))
        return queryset


class JoinedFilter(DaysFilter):
    title = _("day of joining")
    parameter_name = "joined"
    column = "created_at"
