"""The pictures in docs/, by `make screenshots`: one seed, so that the same people are on them every time. The dates are
those of the day, because the database has views that go by its own clock."""

from io import BytesIO
from pathlib import Path

import pytest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from PIL import Image
from playwright.sync_api import Page

from adminlog.columns import list_of, page_of
from adminlog.models import AdminAction
from adminlog.roles import MANAGER, OWNER
from billing.acts import Extend, GiveDays, QueueGift
from billing.models import Gift, Subscription
from browser.conftest import PHONE
from browser.desk import confirm, do
from core.acts import Block, GrantChannels, SwitchOff
from core.models import Client, Contractor, Invite

DOCS = Path(__file__).parent.parent / "docs"
WIDE = {"width": 1440, "height": 1080}


def somebody() -> Contractor:
    """Who has paid, brought others and waits for a gift."""
    live = Subscription.objects.live_paid(at=timezone.now()).filter(source="paid", status="active")
    waiting = Gift.objects.pending().filter(contractor__in=live.values("contractor"), reason="referral_reward")
    return waiting.earliest("contractor_id").contractor


PAGES = {
    "dashboard": lambda: reverse("admin:index"),
    "contractors": lambda: list_of(Contractor),
    "contractor": lambda: page_of(somebody()),
    "timeline": lambda: f"{page_of(somebody())}#timeline",
    "act": lambda: reverse("admin:core_contractor_change_plan", args=[somebody().pk]),
    "journal": lambda: list_of(AdminAction),
}


@pytest.mark.parametrize("language", ["en"], indirect=True)
def test_a_day_at_work(staff):
    """For the journal and the timeline to tell of."""
    anna, olga = staff(MANAGER, name="anna"), staff(OWNER, name="olga")
    others = Contractor.objects.exclude(pk=somebody().pk).filter(status="active").order_by("pk")
    for contractor, act, fields, reason in [
        (somebody(), GrantChannels, {_("How many"): "1"}, "Telegram closed the first channel, ticket 4698"),
        (others[3], QueueGift, {_("Days"): "14"}, "A client's letter praised them, ticket 4701"),
        (somebody(), Extend, {_("Days"): "3"}, "Three days without posting after the outage, ticket 4711"),
    ]:
        anna.goto(page_of(contractor))
        do(anna, act, fields, reason=reason)
    for row, act, reason in [
        (Invite.objects.active(at=timezone.now()).earliest("pk"), SwitchOff, "The link was posted in public"),
        (Client.objects.filter(blocked=False).earliest("pk"), Block, "Offers other people's work, ticket 4715"),
    ]:
        anna.goto(page_of(row))
        do(anna, act, reason=reason)

    olga.goto(list_of(Contractor))
    for box in olga.get_by_role("checkbox").all()[2:6]:
        box.check()
    olga.get_by_label(_("Select action to run")).select_option(label=str(GiveDays.title))
    olga.get_by_role("button", name=_("Run")).click()
    confirm(olga, GiveDays, reason="Everybody's week for the outage of the 19th")
    olga.get_by_role("heading", name=_("Done")).wait_for()


@pytest.mark.parametrize(
    ("name", "page", "language", "options"),
    [
        ("dashboard", "dashboard", "en", {}),
        ("contractors", "contractors", "en", {"size": {"width": 1600, "height": 1080}}),
        ("contractor", "contractor", "en", {}),
        ("timeline", "timeline", "en", {}),
        ("act", "act", "en", {}),
        ("journal", "journal", "en", {}),
        ("contractor-russian", "contractor", "ru", {}),
        ("contractor-phone", "contractor", "en", {"size": PHONE}),
        ("dashboard-dark", "dashboard", "en", {"scheme": "dark"}),
    ],
    indirect=["language"],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_picture_is_taken(staff, language, troubles, name, page, options):
    window = staff(MANAGER, name="anna" if language == "en" else "maxim", **{"size": WIDE} | options)
    window.goto(PAGES[page]())
    # Charts draw themselves.
    window.wait_for_load_state("networkidle")
    assert troubles == []
    take(window, name)


def take(page: Page, name: str) -> None:
    picture = Image.open(BytesIO(page.screenshot(animations="disabled", caret="hide")))
    # A third of the size, and no eye tells: the pages have few colours.
    picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(DOCS / f"{name}.png", optimize=True)
