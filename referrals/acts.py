"""What staff do to referrals, by the pages of adminlog.acts. The rules are elsewhere."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from adminlog import journal
from adminlog.acts import Done
from adminlog.forms import ParentSelect
from adminlog.models import AdminUser
from core.acts import ContractorOperation
from core.models import Contractor
from referrals.attribution import attach, detach, hold_circles
from referrals.models import Referral
from referrals.standing import standing


class AttachForm(forms.Form):
    referred = forms.ModelChoiceField(
        Contractor.objects.all(),
        label=_("Whom they brought"),
        widget=ParentSelect(Referral._meta.get_field("referred_contractor"), admin.site),
    )


class Attach(ContractorOperation):
    name = "attach"
    title = _("Attach a referral")
    icon = "group_add"
    permission = "referrals.add_referral"
    form_class = AttachForm
    in_bulk = False
    group = _("Referrals")

    def is_offered(self, row: Contractor, *, by: AdminUser) -> bool:
        return not row.is_erased

    def others(self, data: Mapping[str, Any]) -> Iterable[int]:
        return [data["referred"].pk]

    def hold(self, contractors: Sequence[int]) -> None:
        hold_circles()
        super().hold(contractors)

    def do(self, row: Contractor, *, by: AdminUser, now: dt.datetime, referred: Contractor, **data: Any) -> Done:
        made: Any = attach(referrer=row.pk, referred=referred.pk, now=now)
        words = [gettext("%(referral)s. %(state)s.") % {"referral": made, "state": standing(made).text}]
        if made.suspicion:
            words.append(gettext("Suspicious, look at both: %(suspicion)s.") % {"suspicion": made.suspicion})
        act = journal.Act("referral.attached", made, after=journal.values(made), contractors=[row.pk, referred.pk])
        return Done(act, " ".join(words))


class Detach(ContractorOperation):
    name = "detach"
    title = _("Detach")
    icon = "group_remove"
    permission = "referrals.delete_referral"
    warning = _("It no longer counts towards a reward. What a cycle has counted stays.")
    is_grave = True
    removes = True

    def is_offered(self, row: Referral, *, by: AdminUser) -> bool:
        return row.cycle_id is None

    def do(self, row: Referral, *, by: AdminUser, now: dt.datetime, **data: Any) -> Done:
        gone = detach(referral=row.pk)
        contractors = [gone.referrer_id, gone.referred_contractor_id]
        act = journal.Act("referral.detached", gone, before=journal.values(gone), contractors=contractors)
        return Done(act, gettext("%(referral)s: detached.") % {"referral": gone})
