from collections.abc import Sequence

from django.db.models import Model
from django.http import HttpResponse
from django.test import Client

from testbed.forms import Page, merged


def shown(response: HttpResponse) -> dict[str, str]:
    """What a browser would send of the page's own form, as it came."""
    return merged(form for form in Page(response.content.decode()).forms if form.id.endswith("_form"))


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
