"""Where something can be put in: read off the URL conf and the pages themselves, so that no new one is forgotten."""

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote

from django.conf import settings
from django.contrib import admin
from django.http import HttpResponse
from django.test import Client as Browser

from adminlog.roles import MANAGER, OWNER, SUPPORT
from adminlog.tests.staff import browser
from smetabot.tests.door import PASSWORD, knock, member, phone
from smetabot.tests.hostile.rubbish import encoded
from smetabot.tests.test_access import ARGUMENTS, PLACES, QUERIES, Place
from smetabot.tests.test_backoffice import row_of
from testbed import forms

FORM = "application/x-www-form-urlencoded"


@dataclass
class Page:
    place: Place
    path: str
    who: str
    # What a browser would send of its forms, and the names of all their fields.
    form: dict[str, str] = field(default_factory=dict)
    fields: list[str] = field(default_factory=list)
    # Parameters of its own address that it links to.
    parameters: list[str] = field(default_factory=list)


class Office:
    """A row of each table, somebody of each role with a session, and the pages as the most powerful see them."""

    def __init__(self) -> None:
        self.browser = Browser()
        self.rows = {model: row_of(model) for model in admin.site._registry}
        self.sessions = {"stranger": None}
        for role in (SUPPORT, MANAGER, OWNER):
            self.sessions[role] = browser(role, username=role, password=PASSWORD).session.session_key
        # The password was right, a code is still to come.
        self.phone = phone(member("halfway"))
        visitor = Browser()
        knock(visitor, "halfway")
        self.sessions["halfway"] = visitor.session.session_key
        self.pages = [page for place in PLACES for who in (OWNER, "halfway") if (page := self.read(place, who))]

    def path(self, place: Place) -> str:
        return place_path(place, str(self.rows[place.model].pk) if place.model else "1")

    def read(self, place: Place, who: str) -> Page | None:
        # The two that a login goes through are a stranger's and that of whoever is halfway.
        is_of_login = place.name.startswith("admin:login")
        who = "stranger" if place.name == "admin:login" and who == OWNER else who
        if (who == "halfway") != (is_of_login and place.name != "admin:login"):
            return None
        page = Page(place, self.path(place), who)
        response = self.send("GET", page.path, encoded(QUERIES.get(place.name, {}).items()), who=who)
        if response.status_code != 200 or response.streaming:
            return page
        shown = forms.Page(response.content.decode())
        page.form, page.fields = posted_of(shown), sorted(shown.names)
        page.parameters = sorted(parameters_of(response) | shown.names)
        return page

    def send(
        self,
        method: str,
        path: str,
        query: str = "",
        body: bytes = b"",
        *,
        who: str = OWNER,
        content_type: str = FORM,
        cookies: dict[str, str] | None = None,
        **headers: Any,
    ) -> HttpResponse:
        self.browser.cookies.clear()
        session = self.sessions[who]
        sent = ({settings.SESSION_COOKIE_NAME: session} if session else {}) | (cookies or {})
        address = f"{path}?{query}" if query else path
        return self.browser.generic(method, address, body, content_type, **cookie(sent) | headers)

    def post(self, path: str, form: Any, *, who: str = OWNER) -> HttpResponse:
        """Of a list of values each is sent by that name."""
        pairs = form.items() if isinstance(form, dict) else form
        each = [(name, one) for name, value in pairs for one in (value if isinstance(value, list) else [value])]
        return self.send("POST", path, body=encoded(each).encode(), who=who)

    def look_ahead(self, page: Page) -> dict[str, str]:
        return posted(self.post(page.path, page.form | {"step": "preview"}))


def cookie(sent: dict[str, str]) -> dict[str, str]:
    """As it comes in: newer Pythons' own cookies refuse to hold what is no good one."""
    return {"HTTP_COOKIE": "; ".join(f"{name}={value}" for name, value in sent.items())} if sent else {}


def posted(response: HttpResponse) -> dict[str, str]:
    """What a browser would send of all forms of a page that are posted."""
    return posted_of(forms.Page(response.content.decode()))


def posted_of(page: forms.Page) -> dict[str, str]:
    return forms.merged(form for form in page.forms if form.method == "post")


def place_path(place: Place, key: str, **arguments: str) -> str:
    """Its address, for any key and whatever else stands in it."""
    given = ARGUMENTS | {"object_id": key} | arguments
    given = {name: quote(value.encode("utf-8", "surrogatepass"), safe="/") for name, value in given.items()}
    groups = r"<\w+:(\w+)>|\(\?P<(\w+)>[^)]*\)"
    route = re.sub(groups, lambda found: given[found[1] or found[2]], re.sub(r"\$$|\^", "", place.route))
    return "/" + route


def parameters_of(response: HttpResponse) -> set[str]:
    """What its links say after the question mark, and what its list's filters expect."""
    found = set()
    for query in re.findall(r'(?:href|action)="[^"?]*\?([^"#]*)', response.content.decode()):
        found |= {name for name, _ in parse_qsl(query.replace("&amp;", "&"), keep_blank_values=True)}
    changelist = (response.context or {}).get("cl")
    for spec in getattr(changelist, "filter_specs", []):
        found |= {str(name) for name in spec.expected_parameters()}
    return found


def operation_of(place: Place) -> Any:
    """The act whose page it is."""
    if place.model is None:
        return None
    page: Any = admin.site._registry[place.model]
    return next((each for each in page.operations if f"admin:{page.view_of(each)}" == place.name), None)
