from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class AdminlogConfig(AppConfig):
    name = "adminlog"
    # The schema's name, which the pages stand under.
    verbose_name = _("Admin")

    def ready(self) -> None:
        from adminlog.staff import ensure_system_actor

        post_migrate.connect(ensure_system_actor, sender=self)
