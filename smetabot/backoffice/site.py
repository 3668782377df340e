from collections.abc import Callable
from typing import Any

from django.apps import apps
from django.contrib import messages
from django.contrib.admin.models import LogEntry
from django.contrib.admin.views.autocomplete import AutocompleteJsonView
from django.contrib.auth import logout
from django.core.exceptions import PermissionDenied
from django.core.paginator import InvalidPage
from django.db import OperationalError
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import path
from django.utils.translation import gettext_lazy as _
from django.views import View
from django.views.decorators.debug import sensitive_post_parameters
from unfold.sites import UnfoldAdminSite

from adminlog import second_factor
from adminlog.lists import PATIENCE, TOO_LONG
from adminlog.pages import BaseAdmin
from adminlog.roles import member_of_staff
from smetabot.backoffice import login, preferences
from smetabot.backoffice.find import find
from smetabot.postgres.locks import BUSY, Deadline, at_most, is_busy, is_too_long


class ParentChoices(AutocompleteJsonView):
    model_admin: BaseAdmin

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            with at_most(Deadline(PATIENCE)):
                return super().get(request, *args, **kwargs)
        except OperationalError as error:
            if not is_too_long(error):
                raise
            told = {"id": "", "text": str(TOO_LONG), "disabled": True}
            return JsonResponse({"results": [told], "pagination": {"more": False}})

    def process_request(self, request: HttpRequest) -> Any:
        found = super().process_request(request)  # type: ignore[misc]
        if not found[2].concrete:
            # Django offers the rows of what points here, too, and breaks on them.
            raise PermissionDenied
        return found

    def serialize_result(self, obj: Model, to_field_name: str) -> dict[str, str]:
        return {"id": str(getattr(obj, to_field_name)), "text": self.model_admin.as_choice(obj)}


class BackofficeSite(UnfoldAdminSite):
    """Open to logins with an active row among the staff, superuser or not, who showed the second factor that their role
    requires; to no other."""

    index_title = _("Back office")
    index_template = "backoffice/dashboard.html"

    def has_permission(self, request: HttpRequest) -> bool:
        return (
            super().has_permission(request)
            and member_of_staff(request.user) is not None
            and not self.lacks_second_factor(request)
        )

    def lacks_second_factor(self, request: HttpRequest) -> bool:
        admin_user = member_of_staff(request.user)
        return (
            admin_user is not None and second_factor.is_required_of(admin_user) and not request.user.is_verified()  # type: ignore[union-attr]
        )

    def get_urls(self) -> list[Any]:
        own: dict[str, tuple[type[View], str]] = {
            "preferences/": (preferences.OwnPreferences, "preferences"),
            "second-factor/": (login.OwnSecondFactor, "second_factor"),
            "second-factor/set-up/": (login.OwnSetUp, "second_factor_set_up"),
            "second-factor/backup-codes/": (login.BackupCodes, "backup_codes"),
        }
        steps: dict[str, tuple[type[View], str]] = {
            "login/code/": (login.CodeStep, "login_code"),
            "login/set-up/": (login.SetUpStep, "login_set_up"),
        }
        return [
            *(path(route, self.page(view), name=name) for route, (view, name) in steps.items()),
            *(path(route, self.admin_view(self.page(view)), name=name) for route, (view, name) in own.items()),
            path("find/", self.admin_view(find), name="find"),
            *super().get_urls(),
        ]

    def page(self, view: type[View]) -> Callable[[HttpRequest], HttpResponseBase]:
        @sensitive_post_parameters()
        def show(request: HttpRequest) -> HttpResponseBase:
            request.current_app = self.name
            try:
                return view.as_view(extra_context=self.each_context(request))(request)
            except OperationalError as error:
                if not is_busy(error):
                    raise
                messages.error(request, BUSY)
                return redirect("admin:index")

        return show

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:
        if request.method != "POST" and self.has_permission(request):
            return redirect("admin:index")
        if request.method != "POST" and request.user.is_authenticated:
            needed = self.lacks_second_factor(request)
            # Or else whoever is switched on again would be in again without a password.
            logout(request)
            messages.error(request, login.SECOND_FACTOR_NEEDED if needed else login.NOT_STAFF)
        return self.page(login.PasswordStep)(request)

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:
        return self.page(login.Farewell)(request)

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:
        return self.page(login.OwnPassword)(request)

    def autocomplete_view(self, request: HttpRequest) -> HttpResponseBase:
        return ParentChoices.as_view(admin_site=self)(request)

    def search(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        try:
            return super().search(request, extra_context)
        except InvalidPage:
            return HttpResponse()

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """The schemas in the order of the installed apps, their tables in that of registration.

        Made once for a request, which shows it in several places: it took a seventh of the time of the first page.
        """
        by, made = getattr(request, "app_list", (None, []))
        if app_label is None and by is request.user:
            return made
        schemas = list(apps.app_configs)
        tables = list(self._registry)
        app_list = super().get_app_list(request, app_label)
        for app in app_list:
            app["models"].sort(key=lambda page: tables.index(page["model"]))
        app_list.sort(key=lambda app: schemas.index(app["app_label"]))
        if app_label is None:
            request.app_list = request.user, app_list  # type: ignore[attr-defined]
        return app_list

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
