from collections.abc import Sequence
from html.parser import HTMLParser

from django.db.models import Model
from django.http import HttpResponse
from django.test import Client


class Form(HTMLParser):
    """What a browser would send of a page's form, as it came."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, str] = {}
        self.name = ""
        self.inside = self.writing = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        name, value = given.get("name") or "", given.get("value") or ""
        if tag == "form":
            self.inside = (given.get("id") or "").endswith("_form")
        elif not self.inside or given.get("type") in ("submit", "button"):
            return
        elif tag == "input" and (given.get("type") != "checkbox" or "checked" in given):
            self.values[name] = value or ("on" if given.get("type") == "checkbox" else "")
        elif tag == "select":
            self.name = name
        elif tag == "option" and "selected" in given:
            self.values[self.name] = value
        elif tag == "textarea":
            self.name, self.writing = name, True
            self.values[name] = ""

    def handle_data(self, data: str) -> None:
        if self.writing:
            self.values[self.name] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.inside = False
        elif tag == "textarea":
            self.writing = False


def shown(response: HttpResponse) -> dict[str, str]:
    form = Form()
    form.feed(response.content.decode())
    return form.values


def change(browser: Client, address: str, **values: object) -> HttpResponse:
    """Opens a page, changes these values and saves."""
    return browser.post(address, shown(browser.get(address)) | values)


def look_ahead(browser: Client, address: str, **values: object) -> dict[str, str]:
    """Opens an operation's page, fills it in and asks what will happen. Returns the form that would confirm it."""
    form = shown(browser.get(address)) | values
    return shown(browser.post(address, form | {"step": "preview"})) if values else form


def do(browser: Client, address: str, *, reason: str = "asked for it", **values: object) -> HttpResponse:
    """An operation as staff do it: look ahead, tell why, confirm."""
    return browser.post(address, look_ahead(browser, address, **values) | {"reason": reason, "step": "confirm"})


def do_in_bulk(
    browser: Client, address: str, rows: Sequence[Model], name: str, *, reason: str = "asked for it", **values: object
) -> HttpResponse:
    """The same from a list, where these rows are chosen."""
    chosen = {"action": name, "select_across": "0", "_selected_action": [row.pk for row in rows]}
    form = shown(browser.post(address, chosen))
    if values:
        form = shown(browser.post(address, form | chosen | values | {"step": "preview"}))
    return browser.post(address, form | chosen | {"reason": reason, "step": "confirm"})
