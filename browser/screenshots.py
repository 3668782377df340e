"""The pictures in docs/, by `make screenshots`: one seed, so that the same people are on them every time. The dates are
those of the day, because the database has views that go by its own clock."""

from io import BytesIO
from pathlib import Path

import pytest
from django.urls import reverse
from django.utils import timezone
from PIL import Image
from playwright.sync_api import Page

from adminlog.roles import MANAGER
from billing.models import Gift, Subscription

DOCS = Path(__file__).parent.parent / "docs"
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


def somebody() -> int:
    """Who has paid, brought others and waits for a gift."""
    live = Subscription.objects.live_paid(at=timezone.now()).filter(source="paid", status="active")
    waiting = Gift.objects.pending().filter(contractor__in=live.values("contractor"), reason="referral_reward")
    return waiting.earliest("contractor_id").contractor_id


PAGES = {
    "dashboard": lambda: reverse("admin:index"),
    "contractors": lambda: reverse("admin:core_contractor_changelist"),
    "contractor": lambda: reverse("admin:core_contractor_change", args=[somebody()]),
    "act": lambda: reverse("admin:core_contractor_change_plan", args=[somebody()]),
    "journal": lambda: reverse("admin:adminlog_adminaction_changelist"),
}


@pytest.mark.parametrize(
    ("name", "page", "language", "options"),
    [
        ("dashboard", "dashboard", "en", {}),
        ("contractors", "contractors", "en", {}),
        ("contractor", "contractor", "en", {}),
        ("act", "act", "en", {}),
        ("contractor-russian", "contractor", "ru", {}),
        ("contractor-phone", "contractor", "en", {"viewport": PHONE}),
        ("dashboard-dark", "dashboard", "en", {"color_scheme": "dark"}),
        # Last: the others have left something to tell.
        ("journal", "journal", "en", {}),
    ],
    indirect=["language"],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_picture_is_taken(staff, troubles, name, page, options):
    window = staff(MANAGER, **{"viewport": DESK} | options)
    window.goto(PAGES[page]())
    # Charts draw themselves.
    window.wait_for_load_state("networkidle")
    assert troubles == []
    take(window, name)


def take(page: Page, name: str) -> None:
    picture = Image.open(BytesIO(page.screenshot(animations="disabled", caret="hide")))
    # A third of the size, and no eye tells: the pages have few colours.
    picture.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(DOCS / f"{name}.png", optimize=True)
