"""In which language, and by whose clock, a member of staff reads the pages."""

from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from adminlog import journal
from adminlog.models import AdminUser
from adminlog.requests import Handler
from adminlog.roles import member_of_staff

# What is under no other name is an older name of one of these, or an offset whose sign misleads.
PARTS_OF_THE_WORLD = (
    *("Africa/", "America/", "Antarctica/", "Arctic/", "Asia/"),
    *("Atlantic/", "Australia/", "Europe/", "Indian/", "Pacific/"),
)


@cache
def zones() -> list[str]:
    return ["UTC", *sorted(name for name in available_timezones() if name.startswith(PARTS_OF_THE_WORLD))]


def zone_of(admin_user: AdminUser | None) -> ZoneInfo:
    try:
        return ZoneInfo(admin_user.time_zone) if admin_user and admin_user.time_zone else settings.STAFF_ZONE
    except (KeyError, OSError, ValueError):
        # What plain SQL wrote, or what this machine knows no more, must not lock anybody out of their own settings.
        return settings.STAFF_ZONE


def language_of(admin_user: AdminUser | None) -> str:
    return (admin_user and admin_user.language) or settings.STAFF_LANGUAGE


def preferences_middleware(get_response: Handler) -> Handler:
    """Outside of a request it stays English and UTC: commands, cron's mails, logs."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        admin_user = member_of_staff(request.user)
        with translation.override(language_of(admin_user)), timezone.override(zone_of(admin_user)):
            return get_response(request)

    return middleware


@transaction.atomic
def prefer(admin_user: AdminUser, *, language: str | None, time_zone: str | None) -> None:
    """Set one's own; None is what the office has set. ValidationError for a zone that there is not."""
    if time_zone is not None and time_zone not in zones():
        raise ValidationError(_("There is no time zone %(zone)s."), code="time_zone", params={"zone": time_zone})
    held = AdminUser.objects.select_for_update(no_key=True).get(pk=admin_user.pk)
    before = {"language": held.language, "time_zone": held.time_zone}
    after = {"language": language, "time_zone": time_zone}
    if before == after:
        return
    held.language, held.time_zone = language, time_zone
    held.save(update_fields=list(after))
    journal.record(journal.Act("admin_user.preferences_changed", held, before=before, after=after), by=held)
