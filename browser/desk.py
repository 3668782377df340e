"""What every member of staff does all day: finds somebody, and does something with a reason."""

from typing import Any

from django.utils.text import capfirst
from django.utils.translation import gettext as _
from playwright.sync_api import Locator, Page, expect

REASON = "They wrote to us, ticket 4711."


def find(page: Page, words: str) -> None:
    if page.url == "about:blank":
        page.goto("/admin/")
    box = page.get_by_label(_("Find a contractor"), exact=True)
    box.fill(words)
    # The page it leads to may look like this one.
    with page.expect_navigation():
        box.press("Enter")


def sees_page_of(page: Page, name: str) -> None:
    expect(page.get_by_role("heading", name=name, level=2)).to_be_visible()


def part(page: Page, heading: str) -> Locator:
    """Of a page, as its heading calls it."""
    return page.get_by_role("region", name=capfirst(heading), exact=True).first


def fill_in(page: Page, operation: Any, fields: dict[str, str]) -> None:
    """What an act asks for besides the reason; then its page foretells what will happen."""
    page.get_by_role("link", name=str(operation.title), exact=True).click()
    for label, value in fields.items():
        choose(page.get_by_label(label).first, value)
    if fields:
        page.get_by_role("button", name=_("Show what will happen")).click()


def choose(field: Locator, value: str) -> None:
    if field.evaluate("(field) => field.tagName") != "SELECT":
        field.fill(value)
    elif "admin-autocomplete" not in (field.get_attribute("class") or ""):
        field.select_option(label=value)
    else:
        field.locator("+ .select2").get_by_role("combobox").click()
        field.page.keyboard.type(value)
        field.page.get_by_role("option").filter(has_text=value).click()


def confirm(page: Page, operation: Any, *, reason: str = REASON) -> None:
    page.get_by_label(_("Reason")).fill(reason)
    page.get_by_role("button", name=str(operation.title), exact=True).click()


def do(page: Page, operation: Any, fields: dict[str, str] | None = None, *, reason: str = REASON) -> None:
    fill_in(page, operation, fields or {})
    confirm(page, operation, reason=reason)


def is_told(page: Page, text: str) -> None:
    expect(page.locator("#main").get_by_text(text).first).to_be_visible()
