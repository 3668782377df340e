"""How staff come in: a password, then a code. Nobody is logged in before both are right."""

import time
from textwrap import wrap
from typing import Any
from urllib.parse import parse_qs, urlsplit

import django_otp
import segno
from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth import load_backend
from django.contrib.auth.forms import UsernameField
from django.contrib.auth.views import LoginView, LogoutView, PasswordChangeView, PasswordContextMixin
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse, reverse_lazy
from django.utils.crypto import constant_time_compare
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy as _
from django.views.generic import FormView, TemplateView
from django_otp.plugins.otp_static.models import StaticDevice
from unfold.forms import AdminOwnPasswordChangeForm, AuthenticationForm
from unfold.widgets import UnfoldAdminPasswordWidget

from adminlog import journal, logins, second_factor
from adminlog.roles import member_of_staff

NOT_STAFF = _("This login belongs to no active member of staff. An owner can make it one or switch it on again.")
SECOND_FACTOR_NEEDED = _("Your role requires a second factor now. Log in again to use it or to set it up.")
STALE = _("That took too long, or something changed meanwhile. Please begin again.")
STEP_SECONDS = 10 * 60

# Of the session: whose password was right, which key waits for its first code, what is shown once.
PENDING, WAITING, SHOWN_ONCE = "pending_login", "waiting_key", "backup_codes"


class LoginForm(AuthenticationForm):
    # Django's own has no limit.
    username = UsernameField(max_length=150)

    def confirm_login_allowed(self, user: Any) -> None:
        try:
            super().confirm_login_allowed(user)
            if not member_of_staff(user):
                raise ValidationError(NOT_STAFF, code="not_staff")
        except ValidationError:
            logins.refuse(self.request, user, step="password")
            raise


class PasswordStep(PasswordContextMixin, LoginView):
    template_name = "admin/login.html"
    title = _("Log in")
    authentication_form = LoginForm
    next_page = "admin:index"

    def form_valid(self, form: Any) -> HttpResponse:
        login, session = form.get_user(), self.request.session
        # Whoever knew this session's key before the password was right must not see the key of the second factor.
        session.flush()
        is_set_up = second_factor.is_set_up_for(login)
        if not is_set_up and not second_factor.is_required_of(login.admin_user):
            logins.let_in(self.request, login)
            return redirect(self.get_success_url())
        session[PENDING] = {
            "login": login.pk,
            "backend": login.backend,
            "role": login.admin_user.role,
            "hash": login.get_session_auth_hash(),
            "since": int(time.time()),
            "next": self.get_success_url(),
        }
        if is_set_up:
            return redirect("admin:login_code")
        await_first_code(self.request, login)
        return redirect("admin:login_set_up")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        username = self.request.user.get_username()
        return super().get_context_data(**kwargs) | {"app_path": self.request.get_full_path(), "username": username}


def await_first_code(request: HttpRequest, login: Any) -> None:
    device = second_factor.begin_set_up(login)
    request.session[WAITING] = {"device": device.pk, "since": int(time.time())}


def is_fresh(step: dict[str, Any]) -> bool:
    return time.time() - step.get("since", 0) < STEP_SECONDS


class CodeInput(UnfoldAdminPasswordWidget):
    """Can be read while it is typed. No page repeats it, as none repeats a password."""

    input_type = "text"


class CodeForm(forms.Form):
    code = forms.CharField(
        label=_("Code"),
        max_length=50,
        widget=CodeInput({"autocomplete": "one-time-code", "autofocus": "", "spellcheck": "false"}),
    )


class PendingStep(PasswordContextMixin, FormView):
    """A page for whom the password was right, while they are still who they were then."""

    form_class = CodeForm
    second_factor_is_set_up = True
    login: Any = None

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self.login = self.find_login()
        if self.login is None:
            if request.session.pop(PENDING, None):
                messages.warning(request, STALE)
            return redirect("admin:login")
        try:
            logins.stop_if_locked_out(request, self.login)
            return super().dispatch(request, *args, **kwargs)
        finally:
            if getattr(request, "axes_locked_out", False):
                request.session.flush()

    def find_login(self) -> Any:
        pending = self.request.session.get(PENDING, {})
        if not is_fresh(pending):
            return None
        login: Any = load_backend(pending["backend"]).get_user(pending["login"])
        admin_user = member_of_staff(login)
        is_same = (
            admin_user is not None
            and login.is_staff
            and admin_user.role == pending["role"]
            and constant_time_compare(login.get_session_auth_hash(), pending["hash"])
            and second_factor.is_set_up_for(login) == self.second_factor_is_set_up
        )
        if not is_same:
            return None
        login.backend = pending["backend"]
        return login

    def let_in(self, device: Any) -> str:
        """Returns where they were going."""
        logins.let_in(self.request, self.login, device)
        return self.request.session.pop(PENDING)["next"]


class CodeStep(PendingStep):
    template_name = "backoffice/login_code.html"
    title = _("Your code")

    def form_valid(self, form: CodeForm) -> HttpResponse:
        try:
            device = logins.check_code(self.request, self.login, form.cleaned_data["code"])
        except ValidationError as error:
            form.add_error("code", error)
            return self.form_invalid(form)
        going = self.let_in(device)
        if isinstance(device, StaticDevice):
            left = second_factor.backup_codes_left(self.login)
            told = _("That was a backup code. Unused ones left: %(left)s.") % {"left": left}
            messages.warning(self.request, told)
        return redirect(going)


class KeyPage(PasswordContextMixin, FormView):
    """Shows the key of an authenticator, and takes the first code made with it."""

    form_class = CodeForm
    title = _("Set up a second factor")
    login: Any = None
    device: Any = None
    start = ""
    again = False

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        key = request.session.get(WAITING, {})
        self.device = second_factor.waiting(self.login, key["device"]).first() if is_fresh(key) else None
        if self.device is None:
            if key or request.method == "POST":
                messages.warning(request, STALE)
            return redirect(self.start)
        return super().dispatch(request, *args, **kwargs)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        uri = self.device.config_url
        key = parse_qs(urlsplit(uri).query)["secret"][0]
        return super().get_context_data(**kwargs) | {
            "qr_code": mark_safe(segno.make(uri, error="m").svg_inline(scale=4)),
            "key": " ".join(wrap(key, 4)),
        }

    def form_valid(self, form: CodeForm) -> HttpResponse:
        try:
            device, codes = second_factor.set_up(
                self.login,
                self.device.pk,
                form.cleaned_data["code"],
                again=self.again,
                session=self.request.session.session_key,
            )
        except ValidationError as error:
            form.add_error("code", error)
            return self.form_invalid(form)
        del self.request.session[WAITING]
        return show_once(self.request, codes, going=self.take(device))

    def take(self, device: Any) -> str:
        """Go on with it; returns where to."""
        raise NotImplementedError


class SetUpStep(PendingStep, KeyPage):
    template_name = "backoffice/login_set_up.html"
    title = KeyPage.title
    second_factor_is_set_up = False
    start = "admin:login"

    def take(self, device: Any) -> str:
        return self.let_in(device)


class OwnSetUp(KeyPage):
    template_name = "backoffice/second_factor_set_up.html"
    start = "admin:second_factor"
    again = True

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().setup(request, *args, **kwargs)
        self.login = request.user

    def take(self, device: Any) -> str:
        django_otp.login(self.request, device)
        return reverse(self.start)


def show_once(request: HttpRequest, codes: list[str], *, going: str) -> HttpResponse:
    request.session[SHOWN_ONCE] = {"codes": codes, "going": going}
    return redirect("admin:backup_codes")


class BackupCodes(PasswordContextMixin, TemplateView):
    template_name = "backoffice/backup_codes.html"
    http_method_names = ["get"]
    title = _("Your backup codes")

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        shown = request.session.pop(SHOWN_ONCE, None)
        if shown is None:
            messages.info(request, _("Backup codes are shown once. If you have not kept them, make new ones."))
            return redirect("admin:second_factor")
        return self.render_to_response(self.get_context_data(**shown))


class OwnForm(forms.Form):
    """What one may do to one's own second factor, and a proof of who asks for it."""

    act = forms.ChoiceField()
    password = forms.CharField(
        label=_("Your password"),
        strip=False,
        max_length=4096,
        widget=UnfoldAdminPasswordWidget({"autocomplete": "current-password"}),
    )

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request
        self.is_set_up = second_factor.is_set_up_for(request.user)
        self.may_be_removed = self.is_set_up and not second_factor.is_required_of(request.user.admin_user)  # type: ignore[union-attr]
        acts = {"set_up": True, "renew": self.is_set_up, "give_up": self.may_be_removed}
        self.fields["act"].choices = [(act, act) for act, is_offered in acts.items() if is_offered]  # type: ignore[attr-defined]
        if self.is_set_up:
            self.fields["password"].label = _("Your password, or a code from your authenticator")

    def clean_password(self) -> str:
        proof, login = self.cleaned_data["password"], self.request.user
        if self.is_set_up and second_factor.is_from_authenticator(proof):
            logins.check_code(self.request, login, proof)
        else:
            logins.check_password(self.request, login, proof)
        return proof


class OwnSecondFactor(PasswordContextMixin, FormView):
    template_name = "backoffice/second_factor.html"
    form_class = OwnForm
    title = _("Second factor")

    def get_form_kwargs(self) -> dict[str, Any]:
        return super().get_form_kwargs() | {"request": self.request}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs) | {"codes_left": second_factor.backup_codes_left(self.request.user)}

    def form_valid(self, form: OwnForm) -> HttpResponse:
        login = self.request.user
        match form.cleaned_data["act"]:
            case "set_up":
                await_first_code(self.request, login)
                return redirect("admin:second_factor_set_up")
            case "renew":
                return show_once(
                    self.request, second_factor.renew_backup_codes(login), going=reverse("admin:second_factor")
                )
        second_factor.give_up(login)
        messages.success(self.request, _("Your second factor is removed. Your password alone lets you in now."))
        return redirect("admin:second_factor")


class OwnPasswordForm(AdminOwnPasswordChangeForm):
    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request

    def clean_old_password(self) -> str:
        old_password = self.cleaned_data["old_password"]
        logins.check_password(self.request, self.user, old_password)
        return old_password

    @transaction.atomic
    def save(self, commit: bool = True) -> Any:
        login = super().save(commit=False)
        # Nothing else: an owner may be switching the login off.
        login.save(update_fields=["password"])
        journal.record(journal.Act("admin_user.password_changed", login.admin_user), by=login.admin_user)
        return login


class OwnPassword(PasswordChangeView):
    success_url = reverse_lazy("admin:password_change_done")

    def get_form(self, form_class: Any = None) -> OwnPasswordForm:
        return OwnPasswordForm(**self.get_form_kwargs(), request=self.request)


class Farewell(LogoutView):
    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        logins.end(request)
        return self.render_to_response(self.get_context_data(has_permission=False))


def locked_out(request: HttpRequest, response: HttpResponseBase, credentials: object) -> HttpResponse:
    """What axes answers with instead of `response`."""
    context = {
        **admin.site.each_context(request),
        "title": _("Locked out"),
        "minutes": int(settings.AXES_COOLOFF_TIME.total_seconds() // 60),
    }
    return render(request, "backoffice/locked_out.html", context, status=429)
