"""How a referral stands, in words: what it has, and what it lacks to count."""

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from core.models import Contractor

# As referrals.referral_progress has it.
CHANNELS_REQUIRED = 2


@dataclass(frozen=True)
class Standing:
    text: str
    # One of the theme's.
    colour: str | None = None

    def __str__(self) -> str:
        return self.text


def standing(referral: Any) -> Standing:
    """Of a referral with its `progress`, `referred_contractor` and `cycle`."""
    if referral.cycle:
        return Standing(_("Qualified, counted in cycle %(number)s") % {"number": referral.cycle.cycle_no}, "success")
    if referral.qualified_at:
        return Standing(_("Qualified, counted at the next run"), "success")
    progress = referral.progress
    if progress.qualified:
        return Standing(_("Qualifies at the next run"), "info")
    channels = {"channels": progress.channels_created, "required": CHANNELS_REQUIRED}
    if referral.referred_contractor.status == Contractor.Status.BLOCKED:
        return Standing(_("Blocked, has %(channels)s of %(required)s channels") % channels, "danger")
    return Standing(_("Has %(channels)s of %(required)s channels") % channels, "warning")
