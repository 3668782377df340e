"""The contractor's list and page. They show what all apps know of a contractor, so they stand above the apps."""

import datetime as dt
from typing import Any

from django.contrib import admin
from django.db.models import Count, Model, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from adminlog.columns import coloured, column, label
from adminlog.export import Cell, RowResource
from adminlog.formats import amount, day
from adminlog.lists import Section
from adminlog.pages import BaseAdmin
from adminlog.search import among, matching
from billing.acts import Activate, Cancel, ChangePlan, Extend, GiveDays, QueueGift
from billing.limits import effective_plan
from billing.models import Gift, Subscription
from billing.standing import Standing, standing
from billing.terms import until
from core.acts import Block, GrantChannels, Unblock
from core.models import Channel, Contractor, Invite
from core.names import NAMES
from referrals.acts import Attach
from referrals.models import ReferralLink
from smetabot.backoffice.acts import ChangeTelegramId, ErasePerson, ExportPerson
from smetabot.backoffice.charts import contractor_charts, span_asked, span_choices
from smetabot.backoffice.filters import GiftFilter, JoinedFilter, PaidPlanFilter, PlanFilter
from smetabot.backoffice.header import PLAN_COLOURS, STANDING_COLOURS, Header
from smetabot.backoffice.notes import notes_on
from smetabot.backoffice.timeline import Timeline

PLAN = label("plan_code", _("plan"), **PLAN_COLOURS)


def at_a_glance(contractors: QuerySet[Contractor], *, at: dt.datetime) -> QuerySet[Contractor]:
    """With the subscription and its standing, plan_code (the effective plan's), channels_count and gifts_waiting; for
    the rows of one page."""
    mine = {"contractor": OuterRef("pk")}
    subscriptions = Subscription.objects.filter(**mine).annotate(standing=standing(at=at))
    return contractors.select_related("subscription__plan").annotate(
        plan_code=effective_plan(at=at),
        standing=Subquery(subscriptions.values("standing")),
        channels_count=count(Channel.objects.filter(**mine)),
        gifts_waiting=count(Gift.objects.pending().filter(**mine)),
    )


def count(rows: QuerySet[Any]) -> Coalesce:
    """How many of a contractor's rows there are, without a join that would multiply the contractor."""
    counted = rows.order_by().values("contractor").annotate(count=Count("pk"))
    return Coalesce(Subquery(counted.values("count")), 0)


class ContractorResource(RowResource):
    plan = Cell("plan_code")
    subscription_status = Cell("subscription__status")
    expires_at = Cell("subscription__expires_at")
    channels = Cell("channels_count")
    gifts_waiting = Cell("gifts_waiting")


@admin.register(Contractor)
class ContractorAdmin(BaseAdmin):
    icon = "engineering"
    counts_many = True
    resource_class = ContractorResource
    allows = ["change"]
    editable = fields = ["username", "full_name"]
    contractors = ["pk"]
    operations = [
        *[Activate(), Extend(), ChangePlan(), Cancel()],
        *[QueueGift(), GiveDays()],
        Attach(),
        *[GrantChannels(), ChangeTelegramId(), Block(), Unblock()],
        *[ExportPerson(), ErasePerson()],
    ]
    offers_in_rows = False
    sections = {
        "channels": _("channels"),
        "channels__publications": _("publications"),
        "channels__invites": _("invites"),
        "channels__clients": _("clients"),
        "gifts": _("gifts"),
        "subscription_history": _("subscription history"),
        "referrals_made": _("contractors brought"),
        "referral_cycles": _("cycles"),
        "team": _("members of the team"),
        "teams": _("teams of others"),
    }
    list_display = [
        "__str__",
        "tg_user_id",
        "username",
        label("status", active="success", blocked="danger"),
        PLAN,
        "subscription_state",
        column("subscription", _("until"), show=lambda subscription: until(subscription, form=day)),
        column("channels_count", _("channels"), show=amount),
        column("gifts_waiting", _("gifts waiting"), show=amount),
        column("created_at", _("joined"), show=timezone.localdate),
    ]
    list_display_links = ["__str__", "tg_user_id"]
    list_filter = ["status", PlanFilter, PaidPlanFilter, GiftFilter, JoinedFilter]
    list_select_related = ["subscription"]
    search_fields = ["id", *NAMES]
    search_help_text = _("Telegram id, @username, name, channel, token")
    change_form_template = "backoffice/contractor.html"
    # That template places them.
    change_form_outer_before_template = change_form_outer_after_template = None

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # One name more, and nobody would be taken for erased any longer.
        return super().has_change_permission(request, obj) and not (obj and obj.is_erased)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Contractor]:
        return at_a_glance(super().get_queryset(request), at=timezone.now())

    def get_sections(self, request: HttpRequest, obj: Model) -> list[Section]:
        return [*super().get_sections(request, obj), *notes_on(request, obj.pk)]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, obj: Any = None, **kwargs: Any
    ) -> HttpResponse:
        response = super().render_change_form(request, context, *args, obj=obj, **kwargs)
        if obj:
            sections = {section.name.replace("-", "_"): section for section in context["sections"]}
            response.context_data |= self.told_of(request, obj, sections)  # type: ignore[attr-defined]
        return response

    def told_of(self, request: HttpRequest, contractor: Any, sections: dict[str, Section]) -> dict[str, Any]:
        now = timezone.now()
        counts = {name: section.paginator.shown for name, section in sections.items() if section.result_count}
        return {
            "section": sections,
            "header": Header(contractor, team=sections["team"].result_count if "team" in sections else 0, at=now),
            "charts": contractor_charts(contractor.pk, at=now, span=span_asked(request)),
            "spans": span_choices(request, anchor="overview"),
            "timeline": Timeline(contractor.pk, request),
            "parts": [
                ("overview", _("Overview"), None),
                ("channels", _("Channels"), counts.get("channels")),
                ("publications", _("Publications"), counts.get("publications")),
                ("invites", _("Invites"), counts.get("invites")),
                ("clients", _("Clients"), counts.get("clients")),
                ("subscription", _("Subscription and gifts"), counts.get("gifts")),
                ("referrals", _("Referrals"), counts.get("referrals_made")),
                ("team", _("Team"), counts.get("team")),
                ("timeline", _("Timeline"), None),
                ("notes", _("Notes"), counts.get("notes")),
            ],
        }

    def found_by(self, word: str) -> Q:
        channels = Channel.objects.filter(matching(Channel, ["tg_chat_id", "title", "username"], word))
        return (
            super().found_by(word)
            | among("pk", channels, "contractor")
            | among("pk", Invite.objects.filter(token=word), "channel__contractor")
            | among("pk", ReferralLink.objects.filter(token=word), "contractor")
        )

    def as_choice(self, obj: Any) -> str:
        return ", ".join(filter(None, [str(obj), obj.username and f"@{obj.username}", str(obj.tg_user_id or "")]))

    @admin.display(description=_("state"))
    def subscription_state(self, contractor: Any) -> str | None:
        stands = contractor.standing
        return coloured(Standing(stands).label, STANDING_COLOURS[stands]) if stands else None
