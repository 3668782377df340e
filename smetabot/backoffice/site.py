from typing import Any

from django.apps import apps
from django.contrib import messages
from django.contrib.admin.models import LogEntry
from django.contrib.admin.views.autocomplete import AutocompleteJsonView
from django.core.exceptions import ValidationError
from django.core.paginator import InvalidPage
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from unfold.forms import AuthenticationForm
from unfold.sites import UnfoldAdminSite

from adminlog.pages import BaseAdmin
from adminlog.roles import member_of_staff

NOT_STAFF = "This login belongs to no active member of staff. An owner can make it one or switch it on again."


class LoginForm(AuthenticationForm):
    def confirm_login_allowed(self, user: Any) -> None:
        super().confirm_login_allowed(user)
        if not member_of_staff(user):
            raise ValidationError(NOT_STAFF, code="not_staff")


class ParentChoices(AutocompleteJsonView):
    model_admin: BaseAdmin

    def serialize_result(self, obj: Model, to_field_name: str) -> dict[str, str]:
        return {"id": str(getattr(obj, to_field_name)), "text": self.model_admin.as_choice(obj)}


class BackofficeSite(UnfoldAdminSite):
    """Open to logins with an active row among the staff, and to no other, superuser or not."""

    login_form = LoginForm
    index_title = "Back office"

    def has_permission(self, request: HttpRequest) -> bool:
        return super().has_permission(request) and member_of_staff(request.user) is not None

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.method == "GET" and request.user.is_authenticated and not self.has_permission(request):
            messages.error(request, NOT_STAFF)
        return super().login(request, extra_context)

    def autocomplete_view(self, request: HttpRequest) -> HttpResponseBase:
        return ParentChoices.as_view(admin_site=self)(request)

    def search(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        try:
            return super().search(request, extra_context)
        except InvalidPage:
            return HttpResponse()

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """The schemas in the order of the installed apps, their tables in that of registration."""
        schemas = list(apps.app_configs)
        tables = list(self._registry)
        app_list = super().get_app_list(request, app_label)
        for app in app_list:
            app["models"].sort(key=lambda page: tables.index(page["model"]))
        return sorted(app_list, key=lambda app: schemas.index(app["app_label"]))

    def get_sidebar_list(self, request: HttpRequest) -> list[dict[str, Any]]:
        return [
            {
                "title": app["name"],
                "items": [
                    {
                        "title": page["name"],
                        "link": page["admin_url"],
                        "icon": getattr(self._registry[page["model"]], "icon", None),
                        "active": self._get_is_active(request, page["admin_url"]),
                        "has_permission": True,
                    }
                    for page in app["models"]
                ],
            }
            for app in self.get_app_list(request)
        ]

    def get_log_entries(self, request: HttpRequest) -> QuerySet[LogEntry]:
        # Django's own log is not written: the journal is adminlog's.
        return LogEntry.objects.none()
