from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest

from adminlog.columns import label, link
from adminlog.lists import ParentFilter
from adminlog.pages import BaseAdmin
from core.models import Channel, Client, Invite, TeamMember
from core.operations import lock, staff_operation

CONTRACTOR = ["contractor__tg_user_id", "contractor__username", "contractor__full_name"]


@admin.register(Channel)
class ChannelAdmin(BaseAdmin):
    icon = "campaign"
    allows = ["change"]
    editable = ["title"]
    contractors = ["contractor_id"]
    sections = ["publications", "invites", "clients"]
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
    search_fields = ["tg_chat_id", "title", "username", *CONTRACTOR]
    search_help_text = "Title, @username, chat id, contractor, invite token"

    def found_by(self, word: str) -> Q:
        return super().found_by(word) | Q(pk__in=Invite.objects.filter(token=word).values("channel"))


@admin.register(Invite)
class InviteAdmin(BaseAdmin):
    icon = "link"
    allows = ["change"]
    editable = ["expires_at", "max_uses", "editable"]
    contractors = ["channel__contractor_id"]
    sections = ["clients"]
    list_display = ["token", link("channel"), link("channel__contractor"), "uses", "expires_at", "created_at"]
    list_filter = ["editable", ("channel", ParentFilter)]
    list_select_related = ["channel__contractor"]
    search_fields = ["token", "channel__tg_chat_id", "channel__title", *(f"channel__{path}" for path in CONTRACTOR)]
    search_help_text = "Token, channel, contractor"

    @admin.display(description="used")
    def uses(self, invite: Invite) -> str:
        return f"{invite.used_count} of {invite.max_uses}" if invite.max_uses else str(invite.used_count)


@admin.register(Client)
class ClientAdmin(BaseAdmin):
    icon = "person"
    allows = ["change"]
    editable = ["blocked"]
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
    list_filter = ["blocked", ("channel", ParentFilter), ("invite", ParentFilter)]
    list_select_related = ["channel", "invite"]
    search_fields = ["tg_user_id", "username", "full_name", "channel__tg_chat_id", "channel__title"]
    search_help_text = "Telegram id, @username, name, channel"


@admin.register(TeamMember)
class TeamMemberAdmin(BaseAdmin):
    icon = "groups"
    allows = ["add", "delete"]
    contractors = ["owner_contractor_id", "member_contractor_id"]
    list_display = ["id", link("owner_contractor", "team of"), link("member_contractor", "member"), "added_at"]
    list_filter = [("owner_contractor", ParentFilter), ("member_contractor", ParentFilter)]
    list_select_related = ["owner_contractor", "member_contractor"]
    search_fields = [
        f"{who}__{column}"
        for who in ("owner_contractor", "member_contractor")
        for column in ("tg_user_id", "username", "full_name")
    ]
    search_help_text = "Telegram id, @username, name of either"
    autocomplete_fields = ["owner_contractor", "member_contractor"]
    add_fieldsets = [(None, {"fields": ["owner_contractor", "member_contractor"]})]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        with staff_operation():
            lock(obj.owner_contractor_id, obj.member_contractor_id)
            super().save_model(request, obj, form, change)
