"""What the contractor's page says first: who it is, what they have and until when, and what is out of the ordinary."""

import datetime as dt
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from adminlog.columns import page_of
from adminlog.formats import amount, day
from analytics.profiles import profile_of
from billing.limits import Features
from billing.models import Plan, Subscription
from billing.standing import LIVE, Standing
from billing.terms import ends_at, in_words, left, until
from core.models import Contractor
from referrals.models import Referral

# Of labels, in the theme's words.
PLAN_COLOURS = {"PRO": "info", "BUSINESS": "primary"}
STANDING_COLOURS: dict[str, str] = {
    Standing.ACTIVE: "success",
    Standing.TRIAL: "info",
    Standing.GRACE: "warning",
    Standing.CANCELLED: "warning",
    Standing.ENDED: "danger",
    Standing.EXPIRED: "danger",
    Standing.LAPSED: "danger",
}
STANDING_ICONS: dict[str, str] = {Standing.TRIAL: "experiment", Standing.GRACE: "hourglass_bottom"}


@dataclass(frozen=True)
class Flag:
    text: str
    colour: str
    icon: str
    url: str = ""


@dataclass(frozen=True)
class Figure:
    title: str
    value: str
    detail: str = ""
    url: str = ""


@dataclass(frozen=True)
class Header:
    """`contractor` as smetabot.backoffice.contractors reads it; `team` is how many members their team has."""

    contractor: Any
    team: int
    at: dt.datetime

    @property
    def subscription(self) -> Subscription | None:
        return getattr(self.contractor, "subscription", None)

    @cached_property
    def plan(self) -> Plan:
        """The effective one."""
        return Plan.objects.get(code=self.contractor.plan_code)

    @cached_property
    def brought_by(self) -> Any:
        brought = Referral.objects.with_suspicion().select_related("referrer")
        return brought.filter(referred_contractor=self.contractor.pk).first()

    @property
    def plan_colour(self) -> str | None:
        return PLAN_COLOURS.get(self.plan.code)

    @property
    def standing(self) -> Standing:
        """Of the subscription, where there is one."""
        return Standing(self.contractor.standing)

    @property
    def until(self) -> str:
        return until(self.subscription) if self.subscription else ""

    @property
    def what_is_left(self) -> str:
        """Of the effective plan: 12 days left, until 3 Feb 2027."""
        subscription = self.subscription
        if subscription is None:
            return _("There is no subscription")
        end = ends_at(subscription)
        if self.standing not in LIVE:
            if end and end <= self.at:
                return _("%(plan)s ended on %(day)s") % {"plan": subscription.plan.code, "day": day(end)}
            return in_words(subscription, at=self.at)
        if end is None:
            return "" if self.plan.code == Plan.Code.FREE else _("without an end")
        return _("%(left)s, until %(day)s") % {"left": left(end, at=self.at), "day": day(end)}

    @property
    def flags(self) -> list[Flag]:
        return list(self.raised())

    def raised(self) -> Any:
        contractor, subscription = self.contractor, self.subscription
        if contractor.status == Contractor.Status.BLOCKED:
            yield Flag(_("Blocked"), "danger", "block")
        if contractor.is_erased:
            yield Flag(_("Erased"), "danger", "person_off")
        if subscription:
            yield from self.raised_by(subscription)
        if waiting := contractor.gifts_waiting:
            yield Flag(_("Gifts waiting: %(count)s") % {"count": waiting}, "warning", "redeem", "#gifts")
        if self.team + 1 > self.features.team_size:
            yield Flag(_("The team is larger than the plan allows"), "warning", "groups", "#team")
        if self.brought_by and self.brought_by.suspicion:
            told = _("Suspicious referral: %(why)s") % {"why": self.brought_by.suspicion}
            yield Flag(told, "warning", "policy", page_of(self.brought_by))

    def raised_by(self, subscription: Subscription) -> Any:
        stands = self.standing
        if stands != Standing.ACTIVE:
            told = str(stands.label)
            if stands == Standing.GRACE and subscription.paid_until:
                told = _("In grace, paid until %(day)s") % {"day": day(subscription.paid_until)}
            yield Flag(told, STANDING_COLOURS[stands], STANDING_ICONS.get(stands, "event_busy"), "#subscription")
        if stands in LIVE and subscription.plan.code in Plan.PAID and ends_at(subscription) is None:
            yield Flag(_("Without an end"), "info", "all_inclusive", "#subscription")

    @property
    def limits(self) -> list[Figure]:
        return [self.channels, self.people, self.allowed]

    @property
    def channels(self) -> Figure:
        usage = getattr(self.contractor, "usage", None)
        made, bonus = usage.channels_created_total if usage else 0, self.contractor.bonus_channels or 0
        limit = self.plan.channels_limit_one_off
        title = _("Channels ever made")
        if limit is None:
            told = _("no limit; %(bonus)s as a bonus") if bonus else _("no limit on this plan")
            return Figure(title, amount(made), told % {"bonus": amount(bonus)}, "#channels")
        figures = {"made": amount(made), "most": amount(limit + bonus), "plan": amount(limit), "bonus": amount(bonus)}
        figures["left"] = amount(max(limit + bonus - made, 0))
        told = _("%(left)s left on the plan")
        if bonus:
            told = _("%(left)s left: %(plan)s by the plan, %(bonus)s as a bonus")
        return Figure(title, _("%(made)s of %(most)s") % figures, told % figures, "#channels")

    @property
    def people(self) -> Figure:
        people = {"people": amount(self.team + 1), "most": amount(self.features.team_size)}
        return Figure(_("Team"), _("%(people)s of %(most)s") % people, _("the contractor included"), "#team")

    @property
    def allowed(self) -> Figure:
        title, url = _("The plan allows"), page_of(self.plan)
        if self.misread:
            return Figure(title, "?", self.misread, url)
        features = self.features
        allowed = {_("editing"): features.can_edit_channel, _("sync"): features.can_sync, _("CRM"): features.crm}
        missing = ", ".join(what for what, is_allowed in allowed.items() if not is_allowed)
        names = ", ".join(what for what, is_allowed in allowed.items() if is_allowed)
        return Figure(title, names or _("the basics"), _("not: %(what)s") % {"what": missing} if missing else "", url)

    @property
    def features(self) -> Features:
        return self.read[0]

    @property
    def misread(self) -> str:
        return self.read[1]

    @cached_property
    def read(self) -> tuple[Features, str]:
        """What the plan allows, and what in it makes no sense."""
        try:
            return Features.read(self.plan.features), ""
        except ValidationError as error:
            return Features(), "; ".join(error.messages)

    @property
    def figures(self) -> list[Figure]:
        overview, referred = profile_of(self.contractor.pk), self.contractor.referral_overview
        blocked = _("of them blocked: %(count)s") % {"count": amount(overview.blocked_total)}
        without_deleted = _("without deleted ones")
        qualified = _("of them qualified: %(count)s") % {"count": amount(referred.qualified_total)}
        return [
            Figure(_("Channels"), amount(overview.channels_cnt), "", "#channels"),
            Figure(_("Files"), amount(overview.files_cnt), without_deleted, "#publications"),
            Figure(_("Views"), amount(overview.views_total), without_deleted, "#publications"),
            Figure(_("Clients"), amount(overview.clients_total), blocked, "#clients"),
            Figure(_("Active invites"), amount(overview.invites_active), "", "#invites"),
            Figure(_("Contractors brought"), amount(referred.referred_total), qualified, "#referrals"),
        ]

    @property
    def cycle(self) -> dict[str, Any]:
        """The current one, for the theme's progress bar."""
        progress = self.contractor.referral_overview
        done, required = progress.current_cycle_done, progress.current_cycle_required
        share = min(100 * done // required, 100) if required else 0
        return {
            "title": _("Cycle %(number)s") % {"number": progress.current_cycle_no},
            "description": _("%(done)s of %(required)s") % {"done": done, "required": required},
            "items": [{"value": share}],
        }
