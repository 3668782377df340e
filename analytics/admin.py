import datetime as dt
from collections.abc import Sequence

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from adminlog.columns import as_json, column, label, link, number
from adminlog.filters import DaysFilter
from adminlog.lists import ParentFilter
from adminlog.pages import BaseAdmin, ReadOnlyInline
from analytics.daily import viewed
from analytics.models import ChannelStats, Event, SuspectReading, ViewsDaily
from core.models import Publication


class ViewsDailyInline(ReadOnlyInline):
    model = ViewsDaily
    fields = ["collected_at", "views", "read_views", "read_at"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ViewsDaily]:
        return super().get_queryset(request).order_by("-collected_at")


class ViewedFilter(DaysFilter):
    title = _("day of views")
    parameter_name = "viewed"
    column = "collected_at"

    def narrowed(self, queryset: QuerySet[Publication], first: dt.date, last: dt.date) -> QuerySet[Publication]:
        return queryset.filter(viewed(first=first, last=last))


@admin.register(Publication)
class PublicationAdmin(BaseAdmin):
    """Not in core: it shows the daily views, whose key of two columns keeps them from having a page of their own."""

    icon = "description"
    inlines = [ViewsDailyInline]
    list_display = [
        "__str__",
        link("channel"),
        "file_type",
        number("views"),
        label("deleted", yes="danger"),
        "posted_at",
    ]
    list_filter = ["deleted", ViewedFilter, ("channel", ParentFilter), ("channel__contractor", ParentFilter)]
    list_select_related = ["channel"]
    search_fields = ["file_name", "message_id", "channel__tg_chat_id", "channel__title"]
    search_help_text = _("File name, message id, channel")
    fields = [
        "id",
        "channel",
        "message_id",
        "file_name",
        "file_type",
        number("views"),
        label("deleted", yes="danger"),
        "posted_at",
    ]


@admin.register(ChannelStats)
class ChannelStatsAdmin(BaseAdmin):
    icon = "monitoring"
    list_display = [
        column("channel_id", _("channel id"), ordering="channel_id"),
        link("channel"),
        number("files_count"),
        number("views_total"),
        number("clients_total"),
        number("blocked_total"),
        "last_updated",
    ]
    list_select_related = ["channel"]
    search_fields = ["channel__tg_chat_id", "channel__title", "channel__username"]
    search_help_text = _("Channel's title, @username, chat id")


class HappenedFilter(DaysFilter):
    title = _("day")
    parameter_name = "happened"
    column = "created_at"


@admin.register(Event)
class EventAdmin(BaseAdmin):
    icon = "bolt"
    partitioned_by = "created_at"
    list_display = ["id", label("event_type", _("event")), link("channel"), link("client"), "created_at"]
    list_filter = ["event_type", HappenedFilter, ("channel", ParentFilter), ("client", ParentFilter)]
    list_select_related = ["channel", "client"]
    search_fields = ["channel__tg_chat_id", "channel__title", "client__tg_user_id", "client__username"]
    search_help_text = _("Channel, or client's Telegram id, @username")
    fields = ["id", label("event_type", _("event")), "channel", "client", as_json("details"), "created_at"]

    def get_ordering(self, request: HttpRequest) -> Sequence[str]:
        # As the indexes have the events of a type and of a day: in the order of the key all that is newer lies before.
        is_narrowed = {"event_type__exact", HappenedFilter.parameter_name} & request.GET.keys()
        return ["-created_at"] if is_narrowed else super().get_ordering(request)


class NoticedFilter(DaysFilter):
    title = _("day it was noticed")
    parameter_name = "noticed"
    column = "noticed_at"


@admin.register(SuspectReading)
class SuspectReadingAdmin(BaseAdmin):
    icon = "rule"
    list_display = [
        "read_at",
        link("publication"),
        link("publication__channel"),
        number("views"),
        number("against_views", _("other total")),
        "against_day",
        "against_at",
        "source",
        "noticed_at",
    ]
    list_filter = [NoticedFilter, ("publication", ParentFilter), ("publication__channel", ParentFilter)]
    list_select_related = ["publication__channel"]
    search_fields = ["publication__message_id", "publication__channel__tg_chat_id", "publication__channel__title"]
    search_help_text = _("Message id, channel")
    fields = [
        "publication",
        "read_at",
        number("views"),
        number("against_views", _("other total")),
        "against_day",
        "against_at",
        "source",
        "noticed_at",
    ]
