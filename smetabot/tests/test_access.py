"""Who may do what, role by role, at every address that the URL conf knows. An address that is not in one of the tables
below fails: say there who may, and in adminlog/roles.py."""

import datetime as dt
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import pytest
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import Group, Permission, User
from django.core.exceptions import PermissionDenied
from django.db import connection, transaction
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.test import Client as Browser
from django.urls import URLResolver, get_resolver, reverse
from django.utils import timezone

from adminlog import schedule
from adminlog.models import AdminAction, AdminUser, JobRun
from adminlog.pages import ReadOnlyInline
from adminlog.roles import LEAST, MANAGER, OWNER, SUPPORT, RoleBackend
from adminlog.tests.form import shown
from adminlog.tests.staff import browser
from billing.factories import SubscriptionFactory
from billing.models import Plan, Subscription
from core.factories import ContractorFactory
from core.models import Client, Contractor, Invite
from smetabot.tests.test_backoffice import row_of

pytestmark = pytest.mark.django_db

# Each may what those before may. A stranger is whoever is no active member of staff. What is open to none of them is
# forbidden, or not there, or for whoever is halfway in: the password was right, a code is still to come.
STRANGER, NOBODY, NOWHERE, HALFWAY = "stranger", "nobody", "nowhere", "halfway"
ASCENDING = [STRANGER, SUPPORT, MANAGER, OWNER, NOBODY, NOWHERE, HALFWAY]


class Page(NamedTuple):
    """The least role at the addresses that Django makes for a table."""

    see: str
    add: str
    change: str
    delete: str


class Address(NamedTuple):
    """The least role that may look at it, and the least that may post there."""

    look: str
    post: str


# By app and table: see, add, change, delete.
PAGES = {
    "core_contractor": Page(SUPPORT, NOBODY, MANAGER, NOBODY),
    "core_channel": Page(SUPPORT, NOBODY, MANAGER, NOBODY),
    "core_invite": Page(SUPPORT, NOBODY, NOBODY, NOBODY),
    "core_client": Page(SUPPORT, NOBODY, NOBODY, NOBODY),
    "core_teammember": Page(SUPPORT, MANAGER, NOBODY, MANAGER),
    "core_publication": Page(SUPPORT, NOBODY, NOBODY, NOBODY),
    "billing_plan": Page(SUPPORT, NOBODY, OWNER, NOBODY),
    "billing_subscription": Page(SUPPORT, NOBODY, NOBODY, NOBODY),
    "billing_subscriptionhistory": Page(SUPPORT, NOBODY, NOBODY, NOBODY),
    "billing_gift": Page(SUPPORT, NOBODY, NOBODY, NOBODY),
    "billing_usagecounter": Page(SUPPORT, NOBODY, NOBODY, NOBODY),
    "analytics_channelstats": Page(SUPPORT, NOBODY, NOBODY, NOBODY),
    "analytics_event": Page(SUPPORT, NOBODY, NOBODY, NOBODY),
    "analytics_suspectreading": Page(SUPPORT, NOBODY, NOBODY, NOBODY),
    "referrals_referrallink": Page(SUPPORT, NOBODY, NOBODY, NOBODY),
    "referrals_referral": Page(SUPPORT, NOBODY, NOBODY, NOBODY),
    "referrals_referralcycle": Page(SUPPORT, NOBODY, NOBODY, NOBODY),
    "adminlog_adminuser": Page(SUPPORT, OWNER, OWNER, NOBODY),
    "adminlog_adminaction": Page(SUPPORT, NOBODY, NOBODY, NOBODY),
    "adminlog_note": Page(SUPPORT, SUPPORT, NOBODY, NOBODY),
    "adminlog_jobrun": Page(SUPPORT, NOBODY, NOBODY, NOBODY),
    "adminlog_adminalert": Page(SUPPORT, NOBODY, NOBODY, NOBODY),
}
# By table: what staff do to a row on a page of its own, and from the list to several.
OPERATIONS = {
    ("core_contractor", "grant_channels"): MANAGER,
    ("core_contractor", "block"): MANAGER,
    ("core_contractor", "unblock"): MANAGER,
    **{(page, act): MANAGER for page in ("core_contractor", "billing_subscription") for act in ("extend", "cancel")},
    ("core_contractor", "queue_gift"): MANAGER,
    ("core_contractor", "give_days"): MANAGER,
    ("billing_gift", "withdraw"): MANAGER,
    ("referrals_referral", "detach"): MANAGER,
    ("core_channel", "move"): MANAGER,
    ("core_invite", "switch_off"): MANAGER,
    ("core_client", "block"): SUPPORT,
    ("core_client", "unblock"): SUPPORT,
    ("adminlog_adminalert", "acknowledge"): SUPPORT,
    ("adminlog_adminalert", "resolve"): MANAGER,
}
# And never to several.
ONE_BY_ONE = {
    ("core_contractor", "change_telegram_id"): MANAGER,
    ("core_contractor", "activate"): MANAGER,
    ("core_contractor", "change_plan"): MANAGER,
    ("core_contractor", "attach"): MANAGER,
    ("billing_subscription", "activate"): MANAGER,
    ("billing_subscription", "change_plan"): MANAGER,
    ("core_contractor", "export_person"): OWNER,
    ("core_contractor", "erase"): OWNER,
    ("core_invite", "prolong"): MANAGER,
    ("adminlog_adminuser", "reset_access"): OWNER,
}
# By name, or by route where there is none.
ADDRESSES = {
    # To the index.
    "": Address(STRANGER, STRANGER),
    "healthz": Address(STRANGER, NOBODY),
    "readyz": Address(STRANGER, NOBODY),
    "admin:login": Address(STRANGER, STRANGER),
    "admin:login_code": Address(HALFWAY, HALFWAY),
    "admin:login_set_up": Address(HALFWAY, HALFWAY),
    "admin:logout": Address(NOBODY, SUPPORT),
    "admin:index": Address(SUPPORT, SUPPORT),
    "admin:app_list": Address(SUPPORT, SUPPORT),
    "admin:search": Address(SUPPORT, SUPPORT),
    "admin:find": Address(SUPPORT, NOBODY),
    "admin:autocomplete": Address(SUPPORT, NOBODY),
    "admin:jsi18n": Address(SUPPORT, NOBODY),
    "admin:password_change": Address(SUPPORT, SUPPORT),
    "admin:password_change_done": Address(SUPPORT, NOBODY),
    "admin:preferences": Address(SUPPORT, SUPPORT),
    "admin:second_factor": Address(SUPPORT, SUPPORT),
    "admin:second_factor_set_up": Address(SUPPORT, SUPPORT),
    "admin:backup_codes": Address(SUPPORT, NOBODY),
    **{f"admin:{page}_{name}": Address(least, least) for (page, name), least in (OPERATIONS | ONE_BY_ONE).items()},
    # No row of ours has a place on a site.
    "admin:view_on_site": Address(NOWHERE, NOWHERE),
    # Whatever else there is below.
    "admin/(?P<url>.*)$": Address(NOWHERE, NOWHERE),
}
# The actions that a list offers. Those that Django offers everywhere and a page does not allow are nobody's.
ACTIONS = {
    **OPERATIONS,
    ("core_teammember", "delete_selected"): MANAGER,
    **{(page, "export"): OWNER for page in PAGES},
}


def on_pro() -> dict[str, Any]:
    for contractor in Contractor.objects.filter(subscription=None):
        SubscriptionFactory(contractor=contractor)
    pro = Plan.objects.get(code=Plan.Code.PRO)
    Subscription.objects.update(plan=pro, expires_at=timezone.now() + dt.timedelta(days=30))
    return {"plan": Plan.objects.get(code=Plan.Code.BUSINESS).pk}


# What a POST says beside the form as it was shown; some make the row such that it can be done. From the least role on
# it changes something.
POSTS: dict[str, Callable[[], dict[str, Any]]] = {
    "admin:core_contractor_change": lambda: {"full_name": "renamed"},
    "admin:core_contractor_grant_channels": lambda: {},
    "admin:core_contractor_change_telegram_id": lambda: {"tg_user_id": 7},
    "admin:core_contractor_block": lambda: {},
    "admin:core_contractor_unblock": lambda: Contractor.objects.update(status="blocked") and {},
    "admin:core_contractor_export_person": lambda: {},
    "admin:core_contractor_erase": lambda: {},
    "admin:core_channel_change": lambda: {"title": "renamed"},
    "admin:core_channel_move": lambda: {"contractor": ContractorFactory().pk},
    "admin:core_invite_switch_off": lambda: {},
    "admin:core_invite_prolong": lambda: Invite.objects.update(max_uses=1, used_count=1) and {"max_uses": 2},
    "admin:core_client_block": lambda: {},
    "admin:core_client_unblock": lambda: Client.objects.update(blocked=True) and {},
    "admin:core_teammember_add": lambda: {
        "owner_contractor": ContractorFactory().pk,
        "member_contractor": ContractorFactory().pk,
    },
    "admin:core_teammember_delete": lambda: {"post": "yes"},
    "admin:billing_plan_change": lambda: {"name": "renamed", "reason": "asked for it"},
    **{
        f"admin:{page}_{act}": on_pro
        for page in ("core_contractor", "billing_subscription")
        for act in ("extend", "change_plan", "cancel", "activate")
    },
    "admin:core_contractor_queue_gift": lambda: {},
    "admin:core_contractor_give_days": lambda: {},
    "admin:core_contractor_attach": lambda: {"referred": ContractorFactory().pk},
    "admin:billing_gift_withdraw": lambda: {},
    "admin:referrals_referral_detach": lambda: {},
    "admin:adminlog_adminalert_acknowledge": lambda: {},
    "admin:adminlog_adminalert_resolve": lambda: {},
    "admin:adminlog_note_add": lambda: {"contractor": ContractorFactory().pk, "text": "rings at night"},
    "admin:adminlog_adminuser_add": lambda: {"username": "new", "tg_user_id": 7, "role": "owner", "reason": "hired"},
    "admin:adminlog_adminuser_change": lambda: {"role": "owner", "reason": "promoted"},
    "admin:adminlog_adminuser_reset_access": lambda: {},
    "admin:logout": lambda: {},
    "admin:preferences": lambda: {"language": "ru", "time_zone": "Asia/Almaty"},
    "admin:second_factor": lambda: {"act": "set_up", "password": PASSWORD},
    "admin:password_change": lambda: {
        "old_password": PASSWORD,
        "new_password1": "tr0ubadour & 3",
        "new_password2": "tr0ubadour & 3",
    },
}
POSTS |= {f"admin:{page}_export": lambda: {"format": "csv"} for page in PAGES}
BY_OPERATION = {f"admin:{page}_{name}" for page, name in OPERATIONS | ONE_BY_ONE}
QUERIES = {
    "admin:autocomplete": {"app_label": "billing", "model_name": "gift", "field_name": "contractor", "term": ""},
    "admin:search": {"s": "contractor"},
    "admin:find": {"q": "ivan"},
}
ARGUMENTS = {"app_label": "core", "url": "nothing/", "content_type_id": "1"}
PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class Place:
    """A pattern of the URL conf."""

    name: str
    route: str
    model: type[Model] | None

    @property
    def about(self) -> str:
        """Its table, or the site's own pages."""
        return self.model._meta.label if self.model else "the site"

    def access(self) -> Address:
        """What the tables say."""
        if self.name in ADDRESSES:
            return ADDRESSES[self.name]
        page, _, view = self.name.removeprefix("admin:").rpartition("_")
        assert page in PAGES, f"{self.name or self.route} is not classified: say in PAGES or ADDRESSES who may"
        may = PAGES[page]
        ways = {
            "changelist": Address(may.see, may.see),
            "export": Address(OWNER, OWNER),
            "history": Address(may.see, may.see),
            "moved": Address(may.see, may.see),
            "add": Address(may.add, may.add),
            "change": Address(may.see, may.change),
            "delete": Address(may.delete, may.delete),
        }
        assert view in ways, f"{self.name} is not classified: say in ADDRESSES who may"
        return ways[view]

    def path(self) -> str:
        arguments = ARGUMENTS | {"object_id": str(row_of(self.model).pk) if self.model else "1"}
        groups = r"<\w+:(\w+)>|\(\?P<(\w+)>[^)]*\)"
        route = re.sub(groups, lambda found: arguments[found[1] or found[2]], self.route)
        return "/" + re.sub(r"[$^]", "", route)


def places(resolver: Any = None, route: str = "", namespace: str = "") -> Iterator[Place]:
    for pattern in (resolver or get_resolver()).url_patterns:
        here = route + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from places(pattern, here, f"{namespace}{pattern.namespace}:" if pattern.namespace else namespace)
            continue
        page = getattr(pattern.callback, "model_admin", None) or pattern.default_args.get("model_admin")
        name = f"{namespace}{pattern.name}" if pattern.name else here
        if page and not pattern.name:
            # Where a row's page was before Django 1.9.
            name = f"admin:{page.opts.app_label}_{page.opts.model_name}_moved"
        yield Place(name, here, page.model if page else None)


PLACES = list(places())


# One for all: each would load the middleware anew, which looks for all static files.
BROWSER = Browser()


@dataclass(frozen=True)
class Actor:
    name: str
    role: str
    session: str | None

    def may(self, least: str) -> bool:
        return ASCENDING.index(self.role) >= ASCENDING.index(least)

    def send(self, method: str, path: str, data: dict[str, Any] | None = None) -> HttpResponse:
        """With the session as it was at first: what a request does to it is rolled back."""
        BROWSER.cookies.clear()
        if self.session:
            BROWSER.cookies[settings.SESSION_COOKIE_NAME] = self.session
        return getattr(BROWSER, method.lower())(path, data or {})


@pytest.fixture
def actors() -> dict[str, Actor]:
    def login(name: str, **known: Any) -> str:
        return browser(username=name, password=PASSWORD, **known).session.session_key

    made = {
        "logged out": (STRANGER, None),
        "without a row": (STRANGER, login("boris", row=False)),
        "switched off": (STRANGER, login("clara", is_active=False)),
        "superuser without a row": (STRANGER, login("dmitri", row=False, is_superuser=True)),
        "superuser switched off": (STRANGER, login("elena", is_active=False, is_superuser=True)),
        "support": (SUPPORT, login("fyodor", role=SUPPORT)),
        "support with all that Django can grant": (SUPPORT, login("galina", role=SUPPORT, is_superuser=True)),
        "manager": (MANAGER, login("igor", role=MANAGER)),
        "owner": (OWNER, login("anna", role=OWNER)),
    }
    # Else /readyz is not ready.
    JobRun.objects.bulk_create(
        JobRun(command=job.command, outcome="done", finished_at=timezone.now()) for job in schedule.jobs()
    )
    everything = Group.objects.create(name="everything")
    everything.permissions.set(Permission.objects.all())
    everything.user_set.set(User.objects.filter(is_superuser=True))
    User.objects.get(username="galina").user_permissions.set(Permission.objects.all())
    return {name: Actor(name, *rest) for name, rest in made.items()}


@contextmanager
def rolled_back() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@cache
def all_rows() -> str:
    """A query for what all tables hold, but for the sessions."""
    with connection.cursor() as cursor:
        cursor.execute("""
            SELECT string_agg(
                format('SELECT %1$L, count(*), sum(hashtextextended(r::text, 0)) FROM %1$s AS r', oid::regclass),
                ' UNION ALL ' ORDER BY oid
            )
            FROM pg_class
            WHERE relkind = 'r' AND relnamespace::regnamespace::text !~ '^(pg_|information_schema)'
                AND relname <> 'django_session'
        """)
        return cursor.fetchone()[0]


def held() -> dict[str, Any]:
    with connection.cursor() as cursor:
        cursor.execute(all_rows())
        return {table: rest for table, *rest in cursor.fetchall()}


def is_open(response: HttpResponse) -> bool:
    to_login = response.headers.get("Location", "").startswith(reverse("admin:login"))
    return response.status_code == 200 or response.status_code == 302 and not to_login


def is_refused(response: HttpResponse, actor: Actor, least: str) -> bool:
    if response.status_code == 405:
        return True
    if actor.role == STRANGER or least == HALFWAY:
        to = response.headers.get("Location", "").partition("?")[0]
        # Whoever is logged out already is not asked to log in.
        expected = "admin:index" if response.wsgi_request.path == reverse("admin:logout") else "admin:login"
        return response.status_code == 302 and to == reverse(expected)
    return response.status_code == (404 if least == NOWHERE else 403)


def test_every_address_and_nothing_else_is_classified():
    for place in PLACES:
        place.access()
    gone = set(ADDRESSES) - {place.name for place in PLACES}
    pages = {f"{model._meta.app_label}_{model._meta.model_name}" for model in admin.site._registry}
    assert not gone | set(PAGES) ^ pages
    assert not set(POSTS) - {place.name for place in PLACES}


@pytest.mark.parametrize("about", sorted({place.about for place in PLACES}))
def test_an_address_is_open_from_the_least_role_on_and_does_nothing_for_those_below(about, actors):
    """Those of one table together: to log everybody in takes longer than an address."""
    for place in [place for place in PLACES if place.about == about]:
        with rolled_back():
            open_from_the_least_role_on(place, actors)


def open_from_the_least_role_on(place: Place, actors: dict[str, Actor]) -> None:
    access, path = place.access(), place.path()
    form = filled_in(place, path, by=actors["owner"]) if place.name in POSTS else {}
    before = held()

    for actor in actors.values():
        # Of what nobody posts to, roles in between see what the least one sees: to look at it takes the suite a minute.
        if not actor.may(access.look) or actor.role in (access.look, OWNER) or place.name in POSTS:
            check("GET", actor, access.look, actor.send("GET", path, QUERIES.get(place.name)))
        if not actor.may(access.look):
            check("HEAD", actor, access.look, actor.send("HEAD", path, QUERIES.get(place.name)))
    assert held() == before, f"to look at {path} changed something"

    for actor in actors.values():
        with rolled_back():
            response = actor.send("POST", path, form)
            changed = {table for table, rows in held().items() if rows != before[table]}
        check("POST", actor, access.post, response)
        does = actor.may(access.post) and place.name in POSTS
        assert bool(changed) == does, f"a POST to {path} by {actor.name} changed {changed or 'nothing'}"


def filled_in(place: Place, path: str, *, by: Actor) -> dict[str, Any]:
    values = POSTS[place.name]()
    form = shown(by.send("GET", path)) | values
    if place.name in BY_OPERATION:
        form = shown(by.send("POST", path, form | {"step": "preview"}))
        form |= {"reason": "asked for it", "step": "confirm"}
    return form


def check(method: str, actor: Actor, least: str, response: HttpResponse) -> None:
    as_said = is_open(response) if actor.may(least) else is_refused(response, actor, least)
    asked = f"{method} {response.wsgi_request.path} by {actor.name}, least role {least}"
    assert as_said, f"{asked}: {response.status_code} {response.headers}"


def test_each_form_that_somebody_may_send_is_sent_with_a_change():
    """Else its refusal would prove nothing."""
    views = {"add": "add", "change": "change", "delete": "delete"}
    sent = {f"admin:{page}_{view}" for page, may in PAGES.items() for view in views if getattr(may, view) != NOBODY}
    assert not (sent | BY_OPERATION) - set(POSTS)


def test_no_address_knows_another_method(actors):
    for path in [place.path() for place in PLACES]:
        for method in ("PUT", "PATCH", "DELETE", "OPTIONS"):
            assert actors["owner"].send(method, path).status_code == 405, (method, path)


def asked_by(actor: Actor) -> HttpRequest:
    return actor.send("GET", reverse("admin:jsi18n")).wsgi_request


@pytest.mark.parametrize("model", admin.site._registry, ids=lambda model: model._meta.label)
def test_an_action_is_offered_and_done_from_the_least_role_on(model, actors):
    page, row = admin.site._registry[model], row_of(model)
    path = reverse(f"admin:{page.opts.app_label}_{page.opts.model_name}_changelist")
    before = held()
    for actor in [actor for actor in actors.values() if actor.may(SUPPORT)]:
        for _, name, _ in page._get_base_actions():
            least = ACTIONS.get((f"{page.opts.app_label}_{page.opts.model_name}", name), NOBODY)
            for across in ("0", "1"):
                form = {"action": name, "_selected_action": row.pk, "select_across": across, "post": "yes"}
                with rolled_back():
                    response = actor.send("POST", path, form)
                    # Or it opens a page that asks something first. The list itself is the answer to what there is not.
                    is_asked = response.status_code == 200 and "cl" not in response.context
                    done = held() != before or is_asked
                seen = f"{name} of {page} by {actor.name}: classify it in ACTIONS"
                assert (name in page.get_actions(asked_by(actor))) == actor.may(least), seen
                assert done == actor.may(least), seen


def test_no_classified_action_is_gone():
    there = {
        (f"{page.opts.app_label}_{page.opts.model_name}", name)
        for page in admin.site._registry.values()
        for _, name, _ in page._get_base_actions()
    }
    assert not set(ACTIONS) - there


def test_each_permission_that_a_role_gives_is_one_that_django_knows():
    known = {f"{app}.{name}" for app, name in Permission.objects.values_list("content_type__app_label", "codename")}
    assert not set(LEAST) - known


@pytest.mark.parametrize("page", admin.site._registry.values(), ids=str)
def test_no_page_allows_what_no_role_gives(page):
    wanted = {f"{page.opts.app_label}.{verb}_{page.opts.model_name}" for verb in ("view", *page.allows)}
    assert not wanted - set(LEAST)


# The site lets only staff in, and each of the staff may see each page; so what a page asks itself shows behind that.
@pytest.fixture
def let_in(actors) -> Callable[[str], HttpRequest]:
    """An owner's request, made by a superuser without a row."""

    def ask(name: str) -> HttpRequest:
        request: Any = actors["owner"].send("GET", reverse(name), QUERIES.get(name)).wsgi_request
        request.user = RoleBackend().get_user(User.objects.get(username="dmitri").pk)
        return request

    return ask


@pytest.mark.parametrize("model", admin.site._registry, ids=lambda model: model._meta.label)
def test_each_page_asks_for_the_permission_itself(model, let_in):
    page, key = admin.site._registry[model], str(row_of(model).pk)
    request = let_in("admin:jsi18n")
    for view in (page.changelist_view, page.add_view, page.export_view):
        with pytest.raises(PermissionDenied):
            view(request)
    for view in (page.change_view, page.delete_view, page.history_view):
        with pytest.raises(PermissionDenied):
            view(request, key)
    for operation in page.operations:
        with pytest.raises(PermissionDenied):
            page.operation_view(request, operation=operation, object_id=key)


def test_the_choice_of_a_parent_asks_for_the_permission_itself(let_in):
    with pytest.raises(PermissionDenied):
        admin.site.autocomplete_view(let_in("admin:autocomplete"))


def test_the_menu_and_its_search_name_no_page_that_may_not_be_seen(let_in):
    assert admin.site.get_app_list(let_in("admin:index")) == []
    assert admin.site.search(let_in("admin:search")).context_data["results"].object_list == []


@pytest.mark.parametrize("model_admin", admin.site._registry.values(), ids=str)
def test_no_page_has_a_way_to_change_rows_that_the_tables_above_do_not_see(model_admin):
    assert all(issubclass(inline, ReadOnlyInline) for inline in model_admin.inlines)
    assert (*model_admin.list_editable, *model_admin.actions_submit_line) == ()


def test_no_form_of_another_site_is_taken(actors):
    browser = Browser(enforce_csrf_checks=True)
    browser.cookies[settings.SESSION_COOKIE_NAME] = actors["owner"].session
    taken = [
        place.name
        for place in PLACES
        if place.access().post not in (NOBODY, NOWHERE)
        if browser.post(place.path(), POSTS.get(place.name, dict)()).status_code != 403
    ]
    assert taken == []


@pytest.mark.parametrize(
    ("model", "field"),
    [("adminuser", "login"), ("adminuser", "actions"), ("adminaction", "details"), ("adminuser", "role"), ("x", "y")],
)
def test_nobody_is_offered_rows_that_have_no_page(actors, model, field):
    query = {"app_label": "adminlog", "model_name": model, "field_name": field, "term": ""}
    assert actors["owner"].send("GET", reverse("admin:autocomplete"), query).status_code == 403


@pytest.mark.parametrize("view", ["core_teammember_add", "adminlog_adminuser_add"])
def test_a_popup_is_no_way_around(actors, view):
    path = reverse(f"admin:{view}") + "?_popup=1"
    assert actors["support"].send("GET", path).status_code == 403
    assert actors["support"].send("POST", path, POSTS[f"admin:{view}"]() | {"_popup": "1"}).status_code == 403


def test_saving_a_row_as_a_new_one_is_no_way_around(actors):
    row = row_of(AdminUser)
    form = {"username": "new", "tg_user_id": "7", "role": "owner", "_saveasnew": "1"}
    path = reverse("admin:adminlog_adminuser_change", args=[row.pk])
    assert actors["manager"].send("POST", path, form).status_code == 403
    assert not AdminUser.objects.filter(username="new").exists()


@pytest.mark.parametrize("role", ["support", "owner"])
@pytest.mark.parametrize(
    ("page", "lookup", "right", "wrong"),
    [
        ("adminlog_adminuser", "login__password__startswith", "md5", "x"),
        ("adminlog_adminuser", "login__is_superuser__exact", "1", "0"),
        ("adminlog_adminaction", "admin__login__password__regex", "^md5", "^x"),
        ("adminlog_adminaction", "details__personal__icontains", "phone", "x"),
        ("core_channel", "contractor__subscription__status", "active", "x"),
        ("core_contractor", "subscription__plan__price_month__gt", "1", "1000000"),
        ("billing_gift", "contractor__usage__channels_created_total", "0", "1"),
    ],
)
def test_a_look_up_along_relations_tells_nothing(actors, role, page, lookup, right, wrong):
    row_of(AdminUser), row_of(AdminAction)
    path = reverse(f"admin:{page}_changelist")
    answers = [actors[role].send("GET", path, {lookup: guess}) for guess in (right, wrong)]
    assert [answer.status_code for answer in answers] == [400, 400]
    assert answers[0].content == answers[1].content


@pytest.mark.parametrize("role", ["support", "owner"])
@pytest.mark.parametrize("field", ["login", "login__password", "role"])
def test_no_list_serves_a_row_by_another_column(actors, role, field):
    path = reverse("admin:adminlog_adminuser_changelist")
    assert actors[role].send("GET", path, {"_to_field": field, "_popup": "1"}).status_code == 400


@pytest.mark.parametrize("term", ["md5", "md5$"])
def test_a_search_does_not_look_at_passwords(actors, term):
    answer = actors["owner"].send("GET", reverse("admin:adminlog_adminuser_changelist"), {"q": term})
    assert list(answer.context["cl"].result_list) == []


def test_the_search_of_the_menu_finds_what_may_be_seen(actors):
    for name in ("support", "manager", "owner"):
        found = actors[name].send("GET", reverse("admin:search"), {"s": "c"}).context["results"]
        assert len(found) > 1
        assert {actors[name].send("GET", str(result.link)).status_code for result in found} == {200}


def test_a_new_role_holds_from_the_next_request_on(actors):
    path = reverse("admin:core_teammember_add")
    assert actors["support"].send("GET", path).status_code == 403
    AdminUser.objects.filter(username="fyodor").update(role=MANAGER)
    assert actors["support"].send("GET", path).status_code == 200
    AdminUser.objects.filter(username="fyodor").update(role=SUPPORT)
    assert actors["support"].send("GET", path).status_code == 403


def test_whoever_is_switched_off_is_out_at_the_next_request(actors):
    page = Place("admin:core_client_block", "admin/core/client/<path:object_id>/block/", Client)
    path = page.path()
    form = filled_in(page, path, by=actors["support"])
    AdminUser.objects.filter(username="fyodor").update(is_active=False)
    before = held()

    assert is_refused(actors["support"].send("POST", path, form), Actor("", STRANGER, None), SUPPORT)
    assert held() == before
