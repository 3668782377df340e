from importlib import import_module
from typing import Any

from django.contrib import admin
from django.contrib.admin.apps import SimpleAdminConfig
from django.contrib.admin.checks import check_admin_app, check_dependencies
from django.core.checks import Tags, register


class BackofficeConfig(SimpleAdminConfig):
    """Django's admin on our own site. Its pages come in with the URL conf: a command is there sooner without them, and
    cron's do their work whatever is wrong with a page."""

    default_site = "smetabot.backoffice.site.BackofficeSite"

    def ready(self) -> None:
        register(check_dependencies, Tags.admin)
        register(check_pages, Tags.admin)


def check_pages(**options: Any) -> list[Any]:
    load_pages()
    return check_admin_app(**options)


def load_pages() -> None:
    # Before the apps' own: contractors come first in the menu.
    import_module("smetabot.backoffice.contractors")
    import_module("smetabot.backoffice.notes")
    admin.autodiscover()
