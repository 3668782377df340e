from importlib import import_module

from django.contrib.admin.apps import AdminConfig


class BackofficeConfig(AdminConfig):
    """Django's admin on our own site, with the pages that show all apps at once."""

    default_site = "smetabot.backoffice.site.BackofficeSite"

    def ready(self) -> None:
        # Before the apps' own pages: contractors come first in the menu.
        import_module("smetabot.backoffice.contractors")
        import_module("smetabot.backoffice.notes")
        super().ready()
