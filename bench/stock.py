"""Django's own admin over the same tables, beside ours: its templates, its counts, its search."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import django.contrib.admin
from django.contrib.admin import AdminSite, ModelAdmin
from django.template import loader
from django.template.utils import EngineHandler
from django.urls import path

from adminlog.pages import BaseAdmin
from analytics.models import Event
from core.models import Contractor, Publication
from smetabot.urls import urlpatterns as ours

site = AdminSite(name="stock")


class EventAdmin(ModelAdmin):
    list_display = ["id", "event_type", "channel", "client", "created_at"]
    list_filter = ["event_type"]
    search_fields = ["channel__tg_chat_id", "channel__title", "client__tg_user_id", "client__username"]


class PublicationAdmin(ModelAdmin):
    list_display = ["__str__", "channel", "file_type", "views", "deleted", "posted_at"]
    list_filter = ["deleted", "file_type"]
    search_fields = ["file_name", "message_id", "channel__tg_chat_id", "channel__title"]


class ContractorAdmin(ModelAdmin):
    list_display = ["__str__", "username", "status", "created_at", "subscription"]
    list_filter = ["status"]
    search_fields = ["username", "full_name", "tg_user_id"]


for model, page in ((Event, EventAdmin), (Publication, PublicationAdmin), (Contractor, ContractorAdmin)):
    # As many rows as ours shows.
    site.register(model, type(page.__name__, (page,), {"list_per_page": BaseAdmin.list_per_page}))

urlpatterns = [path("stock/", site.urls), *ours]

templates = EngineHandler(
    [
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "DIRS": [Path(django.contrib.admin.__file__).parent / "templates"],
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ]
            },
        }
    ]
)


@contextmanager
def its_templates() -> Iterator[None]:
    """The theme's bear the same names and come first."""
    kept = loader.engines  # type: ignore[attr-defined]
    loader.engines = templates  # type: ignore[attr-defined]
    try:
        yield
    finally:
        loader.engines = kept  # type: ignore[attr-defined]
