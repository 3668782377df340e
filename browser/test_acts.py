"""That once is once, whatever is clicked, and that it takes neither a mouse nor more than one may."""

import pytest
from django.urls import reverse
from django.utils.translation import gettext as _
from playwright.sync_api import expect

from adminlog.models import AdminAction
from adminlog.roles import MANAGER
from billing.acts import Extend
from billing.models import Subscription
from browser.desk import REASON, confirm, fill_in, find, is_told, part, sees_page_of
from core.acts import Block
from smetabot.tests import bot


@pytest.fixture
def ivan(meet):
    ivan = meet()
    bot.pay(ivan.pk, "PRO", 30)
    return ivan


def days_left(contractor):
    subscription = Subscription.objects.get(contractor=contractor)
    return round((subscription.expires_at - subscription.starts_at).total_seconds() / 86_400)


def acts_on(contractor):
    return AdminAction.objects.filter(contractors__contains=[contractor.pk]).count()


def test_a_double_click_does_it_once(staff, ivan):
    page = staff(MANAGER)
    find(page, f"@{ivan.username}")
    fill_in(page, Extend, {})
    page.get_by_label(_("Reason")).fill(REASON)
    page.get_by_role("button", name=str(Extend.title), exact=True).dblclick()
    already = _("This was done already, by %(person)s on %(time)s. Nothing was done a second time.").partition("%")[0]
    # If the first click's answer is here before the second, that one meets another page.
    expect(page.get_by_text(already).or_(part(page, _("Timeline")).get_by_text(REASON))).to_be_visible()
    assert (days_left(ivan), acts_on(ivan)) == (37, 1)


def test_whoever_goes_back_sees_what_would_happen_now(staff, ivan):
    page = staff(MANAGER)
    find(page, f"@{ivan.username}")
    fill_in(page, Extend, {})
    foretold = page.get_by_role("cell").inner_text()
    confirm(page, Extend)
    sees_page_of(page, ivan.full_name)
    page.go_back()
    expect(page.get_by_role("cell")).not_to_have_text(foretold)
    assert (days_left(ivan), acts_on(ivan)) == (37, 1)


def test_whoever_was_slower_changes_nothing_and_sees_why(staff, ivan):
    slow, fast = staff(MANAGER), staff(MANAGER)
    for page in [slow, fast]:
        find(page, f"@{ivan.username}")
        fill_in(page, Extend, {})
    foretold = slow.get_by_role("cell").inner_text()
    confirm(fast, Extend)
    sees_page_of(fast, ivan.full_name)
    confirm(slow, Extend)
    is_told(slow, _("Somebody was faster. Nothing was done; this is what will happen now."))
    expect(slow.get_by_role("cell")).not_to_have_text(foretold)
    assert (days_left(ivan), acts_on(ivan)) == (37, 1)


def test_support_is_offered_nothing_that_it_may_not_do(page, ivan):
    find(page, f"@{ivan.username}")
    sees_page_of(page, ivan.full_name)
    expect(page.get_by_role("navigation", name=_("What can be done"))).to_have_count(0)
    page.goto(reverse("admin:core_contractor_changelist"))
    expect(page.get_by_role("checkbox")).to_have_count(0)
    expect(page.get_by_role("link", name=_("Export"))).to_have_count(0)


def test_a_whole_act_takes_no_mouse(staff, ivan):
    page = staff(MANAGER)
    page.goto(reverse("admin:billing_gift_changelist"))
    tab_to(page, page.get_by_label(_("Find a contractor"), exact=True))
    page.keyboard.type(f"@{ivan.username}")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    tab_to(page, page.get_by_role("link", name=str(Block.title), exact=True))
    page.keyboard.press("Enter")
    page.wait_for_url("**/block/**")
    tab_to(page, page.get_by_label(_("Reason")))
    page.keyboard.type(REASON)
    tab_to(page, page.get_by_role("button", name=str(Block.title), exact=True))
    page.keyboard.press("Enter")
    sees_page_of(page, ivan.full_name)
    expect(part(page, _("Timeline"))).to_contain_text(REASON)


def tab_to(page, control):
    control.wait_for()
    for _tab in range(150):
        page.keyboard.press("Tab")
        if control.evaluate("(control) => control === document.activeElement"):
            return
    raise AssertionError(f"Tab never comes to {control}.")
