"""What a browser is told of every page, and that the pages keep to it."""

import re
from contextlib import closing
from html.parser import HTMLParser

import pytest
from django.conf import settings
from django.contrib import admin
from django.templatetags.static import static
from django.test import Client as Browser
from django.urls import reverse

from smetabot.tests.door import code_of, enter, knock, member, phone
from smetabot.tests.test_backoffice import row_of, url

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def in_production(settings):
    settings.SECOND_FACTOR = ["support", "manager", "owner"]


class Scripts(HTMLParser):
    """What of a page the policy would stop."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.is_in_script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.is_in_script = tag == "script" and "src" not in given and given.get("type") != "application/json"
        for name, value in given.items():
            # A person follows that one, to whoever is in Telegram.
            if tag == "a" and (value or "").startswith("https://t.me/"):
                continue
            if name.startswith("on"):
                self.found.append(f"<{tag} {name}>")
            elif name in ("src", "href", "action", "formaction") and re.match(r"javascript:|https?:|//", value or ""):
                self.found.append(f"<{tag} {name}={value}>")
        if tag in ("base", "iframe", "object", "embed"):
            self.found.append(f"<{tag}>")

    def handle_data(self, data: str) -> None:
        if self.is_in_script and data.strip():
            self.found.append(f"<script>{data.strip()[:40]}")

    def handle_endtag(self, tag: str) -> None:
        self.is_in_script = False


def stopped(page: str) -> list[str]:
    parser = Scripts()
    parser.feed(page)
    return parser.found


def assert_strict(response) -> None:
    headers = response.headers
    policy = dict(part.strip().partition(" ")[::2] for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self' 'unsafe-eval'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"


def assert_page(response, status: int = 200) -> None:
    """A page of ours: strict, kept by nobody, and without what the policy would stop."""
    assert response.status_code == status
    assert_strict(response)
    assert "no-store" in response.headers["Cache-Control"]
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert stopped(response.content.decode()) == []


@pytest.fixture
def client() -> Browser:
    """Logged in with both factors."""
    client = Browser()
    device = phone(member())
    knock(client)
    enter(client, code_of(device))
    return client


@pytest.mark.parametrize("model", admin.site._registry, ids=lambda model: model._meta.label)
def test_the_pages_of_a_table_keep_to_the_policy(client, model):
    row = row_of(model)
    assert_page(client.get(url(model, "changelist")))
    assert_page(client.get(url(model, "change", row.pk)))
    model_admin = admin.site.get_model_admin(model)
    for view, args, allowed in [("add", [], "add"), ("delete", [row.pk], "delete")]:
        assert_page(client.get(url(model, view, *args)), 200 if allowed in model_admin.allows else 403)


OWN = ["index", "password_change", "password_change_done", "second_factor"]


@pytest.mark.parametrize("name", OWN)
def test_the_pages_of_everybody_keep_to_the_policy(client, name):
    assert_page(client.get(reverse(f"admin:{name}")))


def test_the_pages_of_an_app_and_of_a_search_keep_to_the_policy(client):
    assert_page(client.get(reverse("admin:app_list", args=["core"])))
    assert_page(client.get(reverse("admin:search") + "?s=contractor"))


def test_the_pages_of_a_login_keep_to_the_policy(client, settings):
    stranger = Browser()
    assert_page(stranger.get(reverse("admin:login")))
    assert_page(knock(stranger, password="wrong"))
    knock(stranger)
    assert_page(stranger.get(reverse("admin:login_code")))
    settings.AXES_FAILURE_LIMIT = 1
    assert_page(enter(stranger, "nonsense"), 429)


def test_the_pages_of_a_set_up_and_of_a_logout_keep_to_the_policy():
    login, newcomer = member("boris"), Browser()
    knock(newcomer, "boris")
    assert_page(newcomer.get(reverse("admin:login_set_up")))
    enter(newcomer, code_of(login.totpdevice_set.get()), "admin:login_set_up")
    assert_page(newcomer.get(reverse("admin:backup_codes")))
    newcomer.post(reverse("admin:second_factor"), {"act": "set_up", "password": "correct horse battery"})
    assert_page(newcomer.get(reverse("admin:second_factor_set_up")))
    assert_page(newcomer.post(reverse("admin:logout")))


@pytest.mark.parametrize("path", ["/admin/nowhere/", "/nowhere", "/static/", "/static/unfold/js/"])
def test_a_page_that_is_not_there_is_as_strict(client, path):
    response = client.get(path)
    assert_page(response, 404)


def test_a_redirect_is_as_strict():
    assert_strict(Browser().get("/"))
    assert_strict(Browser().get(reverse("admin:index")))


def test_no_other_origin_may_read_a_page(client):
    answer = client.get(reverse("admin:login"), headers={"origin": "https://elsewhere.example.com"})
    assert [name for name in answer.headers if name.startswith("Access-Control-")] == []


def test_static_files_are_as_strict_and_may_be_kept():
    with closing(Browser().get(static("unfold/js/app.js"))) as response:
        assert response.status_code == 200
        assert_strict(response)
        assert "no-store" not in response.headers["Cache-Control"]


def test_our_scripts_make_no_markup():
    ours = list(settings.BASE_DIR.glob("*/static/**/*.js"))
    assert ours
    for script in ours:
        assert not re.search(r"HTML|document\.write|\beval\b|new Function", script.read_text("utf-8")), script


def test_what_is_typed_for_a_password_is_hidden(client):
    for page, of, names in [
        ("admin:login", Browser(), {"password"}),
        ("admin:password_change", client, {"old_password", "new_password1", "new_password2"}),
    ]:
        fields = re.findall("<input[^>]*>", of.get(reverse(page)).content.decode())
        assert {re.search(r'name="(\w+)"', field)[1] for field in fields if 'type="password"' in field} == names


@pytest.mark.parametrize(
    "page",
    [
        "<script>alert(1)</script>",
        '<a onclick="alert(1)">',
        '<a href="javascript:alert(1)">',
        '<script src="https://cdn.example/a.js"></script>',
        '<base href="/">',
    ],
)
def test_what_the_policy_would_stop_is_found(page):
    assert stopped(f"<p>{page}</p>") != []
