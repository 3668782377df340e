"""That nobody is kept out by what they see, how they move, or on what they look at it."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.urls import reverse
from django.utils.translation import gettext as _
from playwright.sync_api import Page, expect

from adminlog.models import AdminAction, AdminUser
from adminlog.roles import OWNER
from billing.acts import Activate, GiveDays
from billing.models import Gift, Subscription
from browser.conftest import DESK, PHONE, log_in, newcomer
from browser.desk import confirm, fill_in, find
from core.models import Contractor
from smetabot.tests import bot
from smetabot.tests.door import phone

# What they test is the same in both languages, but for the length of the words.
in_russian = pytest.mark.parametrize("language", ["ru"], indirect=True)
in_english = pytest.mark.parametrize("language", ["en"], indirect=True)


def page_of_a(model: Any, view: str = "change") -> Any:
    row = model.objects.order_by("pk").first()
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{view}", args=[row.pk])


PAGES = {
    "dashboard": lambda: reverse("admin:index"),
    "contractors": lambda: reverse("admin:core_contractor_changelist"),
    "contractor": lambda: page_of_a(Contractor),
    "contractor whose gift waits": lambda: reverse(
        "admin:core_contractor_change", args=[Gift.objects.pending().earliest("pk").contractor_id]
    ),
    "act": lambda: reverse("admin:core_contractor_extend", args=[Gift.objects.pending().earliest("pk").contractor_id]),
    "gifts": lambda: reverse("admin:billing_gift_changelist"),
    "export": lambda: reverse("admin:billing_gift_export"),
    "journal": lambda: reverse("admin:adminlog_adminaction_changelist"),
    "entry": lambda: page_of_a(AdminAction),
    "new member of staff": lambda: reverse("admin:adminlog_adminuser_add"),
    "reset of access": lambda: page_of_a(AdminUser.objects.none().model, "reset_access"),
    "new note": lambda: reverse("admin:adminlog_note_add"),
    "settings": lambda: reverse("admin:preferences"),
    "second factor": lambda: reverse("admin:second_factor"),
    "password": lambda: reverse("admin:password_change"),
}


def assert_accessible(page: Page) -> None:
    """In light and dark, which differ in colours only, and as narrow as a phone."""
    for scheme, rules in [("dark", {"runOnly": ["color-contrast"]}), ("light", {})]:
        page.emulate_media(color_scheme=scheme)
        assert findings(page, rules) == [], scheme
    page.set_viewport_size(PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.set_viewport_size(DESK)


def findings(page: Page, rules: Any) -> list[str]:
    return [
        f"{finding['id']} ({finding['impact']}): {' '.join(node['html'].split())} {node['failureSummary']}"
        for finding in Axe().run(page, options={"resultTypes": ["violations"]} | rules).response["violations"]
        if finding["impact"] in ("serious", "critical")
        for node in finding["nodes"]
    ]


@in_russian
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_for_every_eye(staff, name):
    page = staff(OWNER)
    page.goto(PAGES[name]())
    assert_accessible(page)


@in_russian
def test_the_pages_of_a_login_are_for_every_eye(window, language):
    page = window()
    page.goto(reverse("admin:login"))
    assert_accessible(page)
    login = newcomer(OWNER, language, name=f"phoned_{language}")
    phone(login)
    log_in(page, login, until="**/login/code/")
    assert_accessible(page)


@in_russian
def test_an_act_is_for_every_eye_when_something_is_wrong_with_it(staff, ivan):
    page = staff(OWNER)
    find(page, f"@{ivan.username}")
    fill_in(page, Activate, {_("Days"): "0", _("Payment reference"): ""})
    expect(page.get_by_role("button", name=str(Activate.title))).to_have_count(0)
    assert_accessible(page)


@in_russian
def test_an_act_on_many_is_for_every_eye(staff, meet):
    page, ivan, maria = staff(OWNER), meet(), meet()
    bot.pay(maria.pk, "PRO", 30)
    Subscription.objects.filter(contractor=maria).update(expires_at=None)
    page.goto(f"{reverse('admin:core_contractor_changelist')}?o=-10")
    for each in [ivan, maria]:
        page.get_by_role("row").filter(has_text=each.full_name).get_by_role("checkbox").check()
    page.get_by_label(_("Select action to run")).select_option(label=str(GiveDays.title))
    page.get_by_role("button", name=_("Run")).click()
    expect(page.get_by_label(_("Reason"))).to_be_visible()
    assert_accessible(page)
    confirm(page, GiveDays)
    expect(page.get_by_role("heading", name=_("Skipped, and why"))).to_be_visible()
    assert_accessible(page)


# Whether what is focused shows it: itself, or the frame around it.
SHOWS_FOCUS = """() => {
    for (let element = document.activeElement, up = 0; element && up < 4; element = element.parentElement, up++) {
        const style = getComputedStyle(element);
        if (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0) return true;
    }
    return false;
}"""
# What one can click on, each with a number.
CONTROLS = """() => [...document.querySelectorAll("a, button, input, select, textarea, summary, [x-on\\\\:click]")]
    .filter((control) => control.checkVisibility({visibilityProperty: true}) && control.type !== "hidden"
        && !control.disabled && !control.matches(".select2-hidden-accessible, .simplebar-content-wrapper")
        && control.getClientRects().length && !control.closest("[aria-hidden=true]"))
    .map((control, number) => { control.dataset.number = number; return control.outerHTML.slice(0, 200); })"""


@in_english
@pytest.mark.parametrize("name", ["dashboard", "contractors", "contractor", "new note"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["wide", "narrow"])
def test_everything_is_reached_by_tab_and_shows_it(staff, name, size):
    page = staff(OWNER, size=size)
    page.goto(PAGES[name]())
    controls = dict(enumerate(page.evaluate(CONTROLS)))
    hidden = []
    for _tab in range(3 * len(controls)):
        page.keyboard.press("Tab")
        number = page.evaluate("document.activeElement.dataset.number")
        if number is None:
            continue
        if not controls.pop(int(number), None):
            break
        if not page.evaluate(SHOWS_FOCUS):
            hidden.append(page.evaluate("document.activeElement.outerHTML.slice(0, 200)"))
    assert (controls, hidden) == ({}, [])


@in_english
def test_the_first_tab_leads_past_the_menu(page):
    page.goto(reverse("admin:core_contractor_changelist"))
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name=_("Skip to the content"))).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('#content') !== null")


@in_english
@pytest.mark.parametrize(
    ("size", "opener", "inside"),
    [
        (PHONE, "Menu", "#nav-sidebar"),
        (PHONE, "Filters", "#changelist-filter"),
        (DESK, "user", "nav:has(#logout-form):not(#nav-sidebar-inner)"),
    ],
    ids=["menu", "filters", "user"],
)
def test_a_menu_opens_by_enter_and_closes_by_escape(staff, language, size, opener, inside):
    page = staff(size=size)
    page.goto(reverse("admin:core_contractor_changelist"))
    button = page.get_by_role("button", name=f"support_{language}" if opener == "user" else _(opener)).last
    button.focus()
    page.keyboard.press("Enter")
    expect(page.locator(inside)).to_be_visible()
    page.wait_for_function("(inside) => document.activeElement.closest(inside)", arg=inside)
    page.keyboard.press("Escape")
    expect(page.locator(inside)).to_be_hidden()
    expect(button).to_be_focused()
