from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from adminlog.columns import coloured, column, label, link
from adminlog.formats import amount
from adminlog.lists import ParentFilter
from adminlog.pages import BaseAdmin
from adminlog.search import among
from core.acts import BlockClient, MoveChannel, Prolong, SwitchOff, UnblockClient
from core.invites import state_of
from core.models import Channel, Client, Invite, TeamMember
from core.names import NAMES, along
from core.operations import lock, staff_operation


@admin.register(Channel)
class ChannelAdmin(BaseAdmin):
    icon = "campaign"
    allows = ["change"]
    editable = ["title"]
    operations = [MoveChannel()]
    contractors = ["contractor_id"]
    sections = {"publications": _("publications"), "invites": _("invites"), "clients": _("clients")}
    list_display = [
        "__str__",
        link("contractor"),
        "tg_chat_id",
        "username",
        label("created_by_bot"),
        label("synced", yes="success"),
        "created_at",
    ]
    list_filter = ["created_by_bot", "synced", ("contractor", ParentFilter)]
    list_select_related = ["contractor"]
    search_fields = ["tg_chat_id", "title", "username", *along("contractor")]
    search_help_text = _("Title, @username, chat id, contractor, invite token")

    def found_by(self, word: str) -> Q:
        return super().found_by(word) | among("pk", Invite.objects.filter(token=word), "channel")


@admin.register(Invite)
class InviteAdmin(BaseAdmin):
    icon = "link"
    operations = [Prolong(), SwitchOff()]
    contractors = ["channel__contractor_id"]
    sections = {"clients": _("clients who came by it")}
    list_display = [
        *["token", link("channel"), link("channel__contractor"), "state", "uses"],
        *[column("clients_came", _("clients"), show=amount), "expires_at", "created_at"],
    ]
    list_filter = ["editable", ("channel", ParentFilter), ("channel__contractor", ParentFilter)]
    fields = [
        *["id", "channel", "token", "state", "uses", column("clients_came", _("clients who came by it"), show=amount)],
        *["expires_at", "max_uses", "editable", "created_at"],
    ]
    list_select_related = ["channel__contractor"]
    search_fields = ["token", "channel__tg_chat_id", "channel__title", *along("channel__contractor")]
    search_help_text = _("Token, channel, contractor")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).with_state(at=timezone.now())

    @admin.display(description=_("state"))
    def state(self, invite: Any) -> str:
        return coloured(*state_of(invite, at=timezone.now()))

    @admin.display(description=_("used"))
    def uses(self, invite: Invite) -> str:
        used, most = invite.used_count, invite.max_uses
        if most is None:
            return gettext("%(used)s, no limit") % {"used": amount(used)}
        uses = {"used": amount(used), "most": amount(most), "left": amount(max(most - used, 0))}
        return gettext("%(used)s of %(most)s, %(left)s left") % uses


@admin.register(Client)
class ClientAdmin(BaseAdmin):
    icon = "person"
    operations = [BlockClient(), UnblockClient()]
    contractors = ["channel__contractor_id"]
    list_display = [
        "__str__",
        "tg_user_id",
        "username",
        link("channel"),
        link("invite"),
        label("blocked", yes="danger"),
        "joined_at",
    ]
    list_filter = [
        *["blocked", ("channel", ParentFilter), ("channel__contractor", ParentFilter), ("invite", ParentFilter)],
    ]
    list_select_related = ["channel", "invite"]
    search_fields = [*NAMES, "channel__tg_chat_id", "channel__title"]
    search_help_text = _("Telegram id, @username, name, channel")


@admin.register(TeamMember)
class TeamMemberAdmin(BaseAdmin):
    icon = "groups"
    allows = ["add", "delete"]
    contractors = ["owner_contractor_id", "member_contractor_id"]
    list_display = ["id", link("owner_contractor", _("team of")), link("member_contractor", _("member")), "added_at"]
    list_filter = [("owner_contractor", ParentFilter), ("member_contractor", ParentFilter)]
    list_select_related = ["owner_contractor", "member_contractor"]
    search_fields = along("owner_contractor", "member_contractor")
    search_help_text = _("Telegram id, @username, name of either")
    autocomplete_fields = ["owner_contractor", "member_contractor"]
    add_fieldsets = [(None, {"fields": ["owner_contractor", "member_contractor"]})]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        with staff_operation():
            lock(obj.owner_contractor_id, obj.member_contractor_id)
            super().save_model(request, obj, form, change)
