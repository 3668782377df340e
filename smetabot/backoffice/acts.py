"""What staff do to a contractor as a person, whom all schemas know."""

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextInputWidget

from adminlog.acts import Done, File
from adminlog.export import PERMISSION
from adminlog.formats import amount
from adminlog.journal import Act, difference
from adminlog.models import AdminUser
from adminlog.telegram import id_in
from core.acts import ContractorOperation
from core.models import Contractor
from smetabot.backoffice import persons


class TelegramIdField(forms.IntegerField):
    default_error_messages = {
        "invalid": _(
            "A Telegram id is a number, such as 123456789. An @username will not do: it may pass to somebody else."
        )
    }

    def to_python(self, value: Any) -> Any:
        text = str(value or "").strip()
        number = id_in(text)
        if text and number is None:
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        return super().to_python(number)


class AccountForm(forms.Form):
    tg_user_id = TelegramIdField(
        label=_("New Telegram id"),
        help_text=_("Paste it as it came, with spaces or in a link."),
        min_value=1,
        max_value=2**63 - 1,
        widget=UnfoldAdminTextInputWidget,
    )


class ChangeTelegramId(ContractorOperation):
    name = "change_telegram_id"
    title = _("Change Telegram id")
    icon = "swap_horiz"
    permission = "core.change_contractor"
    warning = _(
        "All that the contractor has goes on under the new account, and the old one gets in no more. Be sure that it is"
        " they who ask. If the new account has started the bot already, the empty contractor made by that is left"
        " without it."
    )
    form_class = AccountForm
    in_bulk = False
    is_grave = True
    group = _("Contractor")

    def is_offered(self, row: Contractor, *, by: AdminUser) -> bool:
        return not row.is_erased

    def others(self, data: Mapping[str, Any]) -> Iterable[int]:
        return Contractor.objects.filter(tg_user_id=data["tg_user_id"]).values_list("pk", flat=True)

    def do(self, row: Contractor, *, by: AdminUser, now: dt.datetime, **data: Any) -> Done:
        made = persons.change_telegram_id(contractor=row.pk, now=now, **data)
        before, after, left = made.change.before, made.change.after, made.left
        told = gettext("%(contractor)s: Telegram id %(before)s → %(after)s.")
        names = {"contractor": after, "before": before.tg_user_id or gettext("none"), "after": after.tg_user_id}
        facts, personal, about = {}, {}, [row.pk]
        if left:
            told = gettext(
                "%(contractor)s: Telegram id %(before)s → %(after)s. Contractor %(id)s, which the bot had made of that"
                " account and which is empty, is left without it."
            )
            names["id"] = left.after.pk
            facts = {"left_without_account": left.after.pk}
            personal = {"their_names": {"username": left.before.username, "full_name": left.before.full_name}}
            about.append(left.after.pk)
        changed = difference(before, after)
        act = Act("contractor.telegram_id_changed", after, facts=facts, personal=personal, contractors=about, **changed)
        return Done(act, told % names)


class ExportPerson(ContractorOperation):
    name = "export_person"
    title = _("Export everything held")
    icon = "download"
    permission = PERMISSION
    warning = _(
        "For whoever asks what is held about them: a file with all rows of all tables that are theirs or tell of them,"
        " notes and the journal's reasons included. Read it before you pass it on: these may name others. Their clients"
        " are other persons and are not in it. The download starts when you confirm."
    )
    in_bulk = False
    group = _("Person")

    def do(self, row: Contractor, *, by: AdminUser, now: dt.datetime, **data: Any) -> Done:
        told = gettext("You get everything that is held about %(contractor)s, as a file.") % {"contractor": row}
        file = File(f"contractor-{row.pk}.json", "application/json", persons.as_json(row))
        return Done(Act("contractor.exported", row, contractors=[row.pk]), told, file=file)


class ErasePerson(ContractorOperation):
    name = "erase"
    title = _("Erase the person")
    icon = "person_off"
    permission = "core.delete_contractor"
    warning = _(
        "This cannot be undone. Gone are names and Telegram ids of the contractor and of their rows as a client, titles"
        " and @usernames of channels, names of files, details of events, notes, reasons and names in the journal, and"
        " the referral link; the contractor is blocked. What stays, under the internal id: subscriptions, payments with"
        " references, gifts, referrals, counters, channels with their chat ids, invites, and clients, who are other"
        " persons. The reason must not name the person: it is written last, and stays."
    )
    in_bulk = False
    is_grave = True
    group = _("Person")

    def do(self, row: Contractor, *, by: AdminUser, now: dt.datetime, **data: Any) -> Done:
        erased = persons.erase(contractor=row.pk)
        # Never the columns before and after: they are what is erased.
        act = Act(
            "contractor.erased",
            erased.contractor,
            before={"status": erased.was},
            after={"status": erased.contractor.status},
            facts=erased.counts,
            contractors=[row.pk],
        )
        told = gettext(
            "Contractor %(id)s is erased. Emptied besides: channels %(channels)s, files %(files)s, rows as a client"
            " %(clients)s, events %(events)s, notes %(notes)s, journal entries %(journal_entries)s."
        )
        counts = {name: amount(count) for name, count in erased.counts.items()}
        return Done(act, told % {"id": row.pk, **counts})
