"""The search box of every page: from what a contractor wrote to the contractor."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from adminlog.columns import list_of, page_of
from adminlog.lists import PATIENCE
from adminlog.search import among, matching, named
from adminlog.telegram import id_in
from core.models import Channel, Client, Contractor, Invite
from core.names import NAMES
from referrals.models import ReferralLink
from smetabot.postgres.locks import Deadline, at_most, is_too_long


@require_safe
def find(request: HttpRequest) -> HttpResponse:
    """Opens the one that is meant, or the list of those that may be."""
    term = request.GET.get("q", "").replace("\0", "").strip()
    if not all(admin.site.get_model_admin(model).has_view_permission(request) for model in (Contractor, Client)):
        raise PermissionDenied
    if not term:
        return redirect(list_of(Contractor))
    try:
        with at_most(Deadline(PATIENCE)):
            found = address_of(request, term)
    except OperationalError as error:
        if not is_too_long(error):
            raise
        # Which says so, or finds it in as much time again.
        found = searched(Contractor, term)
    if found:
        return redirect(found)
    messages.warning(
        request,
        _(
            "Nobody was found. What finds a contractor: their Telegram id, @username or name; a channel's title,"
            " @username or chat id; the token of an invite or a referral link; and links to any of these. A client is"
            " found by Telegram id, @username or full name."
        ),
    )
    return redirect(searched(Contractor, term))


def address_of(request: HttpRequest, term: str) -> str | None:
    # What looks like an id may yet be a @username: id123456.
    for meant in dict.fromkeys([id_in(term) or term, term]):
        for rows in likely(request, meant):
            match list(rows.order_by()[:2]):
                case [one]:
                    return page_of(one)
                case [_one, _another]:
                    return searched(rows.model, meant)
    return None


def likely(request: HttpRequest, term: str) -> Iterator[QuerySet[Any]]:
    """The likeliest first. Clients are many: they are looked for by whole names, once, and when no contractor is
    meant."""
    name = named(term)
    if name is not None:
        yield Contractor.objects.filter(exactly(name))
        yield called(name)
    # It looks for parents at once, and must not before its turn: for a part of a word it may read all of them.
    yield admin.site.get_model_admin(Contractor).get_search_results(request, Contractor.objects.all(), term)[0]
    if name is None:
        yield called(term.strip("\"'"))


def called(name: str) -> QuerySet[Client]:
    return Client.objects.filter(matching(Client, NAMES, name, whole=True))


def exactly(name: str) -> Q:
    channels = Channel.objects.filter(matching(Channel, ["tg_chat_id", "username"], name, whole=True))
    return (
        matching(Contractor, ["id", "tg_user_id", "username"], name, whole=True)
        | among("pk", channels, "contractor")
        | among("pk", Invite.objects.filter(token=name), "channel__contractor")
        | among("pk", ReferralLink.objects.filter(token=name), "contractor")
    )


def searched(model: Any, term: str) -> str:
    return f"{list_of(model)}?{urlencode({'q': term})}"
