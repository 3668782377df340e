"""The contractor's list and page. They show what all apps know of a contractor, so they stand above the apps."""

import datetime as dt
from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Count, Exists, Model, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html_join

from adminlog.columns import coloured, column, label, link
from adminlog.lists import Section
from adminlog.pages import BaseAdmin
from adminlog.search import matching
from billing.admin import STATUS_COLOURS
from billing.limits import Features, effective_plan
from billing.models import Gift, Plan, Subscription
from core.models import Channel, Contractor, Invite
from referrals.models import ReferralLink
from smetabot.backoffice.notes import notes_on

PLAN = label("plan_code", "plan", PRO="info", BUSINESS="primary")


def at_a_glance(contractors: QuerySet[Contractor], *, at: dt.datetime) -> QuerySet[Contractor]:
    """With plan_code and plan_features (the effective plan's), is_live, channels_count and gifts_waiting; for the rows
    of one page."""
    mine = {"contractor": OuterRef("pk")}
    live = Subscription.objects.live(at=at).filter(**mine)
    return contractors.annotate(
        plan_code=effective_plan(at=at),
        plan_features=Subquery(Plan.objects.filter(code=OuterRef("plan_code")).values("features")),
        is_live=Exists(live),
        channels_count=count(Channel.objects.filter(**mine)),
        gifts_waiting=count(Gift.objects.pending().filter(**mine)),
    )


def count(rows: QuerySet[Any]) -> Coalesce:
    """How many of a contractor's rows there are, without a join that would multiply the contractor."""
    counted = rows.order_by().values("contractor").annotate(count=Count("pk"))
    return Coalesce(Subquery(counted.values("count")), 0)


class PlanFilter(admin.SimpleListFilter):
    title = parameter_name = "plan"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return Plan.Code.choices

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        live = Subscription.objects.live_paid(at=timezone.now())
        match self.value():
            case Plan.Code.FREE:
                return queryset.exclude(pk__in=live.values("contractor"))
            case code if code in Plan.PAID:
                return queryset.filter(pk__in=live.filter(plan__code=code).values("contractor"))
        return queryset


class SubscriptionStatusFilter(admin.ChoicesFieldListFilter):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = "subscription"


class GiftFilter(admin.SimpleListFilter):
    title = parameter_name = "gifts"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("waiting", "Waiting")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "waiting":
            return queryset.filter(pk__in=Gift.objects.pending().values("contractor"))
        return queryset


@admin.register(Contractor)
class ContractorAdmin(BaseAdmin):
    icon = "engineering"
    allows = ["change"]
    editable = ["username", "full_name", "status", "bonus_channels"]
    contractors = ["pk"]
    sections = ["channels", "gifts", "subscription_history", "referrals_made", "team"]
    list_display = [
        "__str__",
        "tg_user_id",
        "username",
        label("status", active="success", blocked="danger"),
        PLAN,
        "subscription_state",
        column("subscription__expires_at", "until", show=timezone.localdate),
        column("channels_count", "channels"),
        column("gifts_waiting", "gifts waiting"),
        column("created_at", "joined", show=timezone.localdate),
    ]
    list_display_links = ["__str__", "tg_user_id"]
    list_filter = ["status", PlanFilter, ("subscription__status", SubscriptionStatusFilter), GiftFilter]
    list_select_related = ["subscription"]
    search_fields = ["id", "tg_user_id", "username", "full_name"]
    search_help_text = "Telegram id, @username, name, channel, token"
    fieldsets = [
        (
            "At a glance",
            {
                "fields": [
                    (PLAN, "subscription_state", column("subscription__expires_at", "until")),
                    "plan_allows",
                    (
                        column("overview__channels_cnt", "channels"),
                        column("usage__channels_created_total", "channels ever made"),
                        column("overview__free_channels_left", "channels left on the plan", empty="no limit"),
                    ),
                    (
                        column("overview__gifts_queued", "gifts waiting"),
                        column("overview__files_cnt", "files"),
                        column("overview__views_total", "views"),
                    ),
                    (
                        column("overview__clients_total", "clients"),
                        column("overview__blocked_total", "blocked clients"),
                        column("overview__invites_active", "active invites"),
                    ),
                    (
                        column("referral_overview__referred_total", "contractors brought"),
                        column("referral_overview__qualified_total", "of them qualified"),
                        "current_cycle",
                    ),
                ]
            },
        ),
        (
            "Contractor",
            {
                "fields": [
                    ("id", "tg_user_id", column("created_at", "joined")),
                    ("username", "full_name"),
                    ("status", "bonus_channels"),
                    (link("subscription"), link("referral_link"), link("referred_by__referrer", "brought by")),
                ]
            },
        ),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Contractor]:
        return at_a_glance(super().get_queryset(request), at=timezone.now())

    def get_sections(self, request: HttpRequest, obj: Model) -> list[Section]:
        return [*notes_on(request, obj.pk), *super().get_sections(request, obj)]

    def found_by(self, word: str) -> Q:
        channels = Channel.objects.filter(matching(Channel, ["tg_chat_id", "title", "username"], word))
        return (
            super().found_by(word)
            | Q(pk__in=channels.values("contractor"))
            | Q(pk__in=Invite.objects.filter(token=word).values("channel__contractor"))
            | Q(pk__in=ReferralLink.objects.filter(token=word).values("contractor"))
        )

    def as_choice(self, obj: Any) -> str:
        return ", ".join(filter(None, [str(obj), obj.username and f"@{obj.username}", str(obj.tg_user_id or "")]))

    @admin.display(description="state")
    def subscription_state(self, contractor: Any) -> str | None:
        subscription = getattr(contractor, "subscription", None)
        if subscription is None:
            return None
        if contractor.is_live or subscription.status == Subscription.Status.EXPIRED:
            return coloured(subscription.status, STATUS_COLOURS.get(subscription.status))
        return coloured(f"{subscription.status}, over", "danger")

    @admin.display(description="the plan allows")
    def plan_allows(self, contractor: Any) -> str:
        try:
            features = Features.read(contractor.plan_features)
        except ValidationError as error:
            return "; ".join(error.messages)
        allowed = {"editing": features.can_edit_channel, "sync": features.can_sync, "CRM": features.crm}
        labels = [coloured(f"a team of {features.team_size}", "info" if features.team_size > 1 else None)]
        labels += [coloured(what if yes else f"no {what}", "info" if yes else None) for what, yes in allowed.items()]
        return format_html_join(" ", "{}", ([label] for label in labels))

    @admin.display(description="current cycle")
    def current_cycle(self, contractor: Contractor) -> str:
        progress = contractor.referral_overview
        return f"{progress.current_cycle_no}: {progress.current_cycle_done} of {progress.current_cycle_required}"
