"""What staff do to contractors, channels, invites and clients, as their pages offer it."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminIntegerFieldWidget

from adminlog.acts import Done, Operation
from adminlog.forms import MomentField, ParentSelect
from adminlog.journal import Act, difference, noun
from adminlog.models import AdminUser
from core import channels, clients, contractors, invites
from core.models import Channel, Client, Contractor, Invite
from core.operations import Change, lock
from smetabot.postgres.base import FAR_FUTURE

MINUTE, WEEK = dt.timedelta(minutes=1), dt.timedelta(days=7)


def act(change: Change[Any], verb: str, *about: int) -> Act:
    changed = difference(change.before, change.after)
    return Act(f"{noun(type(change.after))}.{verb}", change.after, contractors=about, **changed)


class ContractorOperation(Operation):
    """On rows that are a contractor's: nobody else changes what is that contractor's meanwhile."""

    def hold(self, contractors: Sequence[int]) -> None:
        lock(*contractors)


class Block(ContractorOperation):
    name = "block"
    title = _("Block")
    icon = "block"
    permission = "core.change_contractor"
    warning = _(
        "The bot does nothing for whoever is blocked. Their gifts wait, and they do not qualify as a referral, for as"
        " long. Their subscription goes on to its end."
    )
    is_grave = True
    group = _("Contractor")

    def is_offered(self, row: Contractor, *, by: AdminUser) -> bool:
        return row.status != Contractor.Status.BLOCKED

    def do(self, row: Contractor, *, by: AdminUser, now: dt.datetime, **data: Any) -> Done:
        change = contractors.block(contractor=row.pk)
        return Done(
            act(change, "blocked", row.pk), gettext("%(contractor)s: active → blocked.") % {"contractor": change.after}
        )


class Unblock(ContractorOperation):
    name = "unblock"
    title = _("Unblock")
    icon = "lock_open"
    permission = "core.change_contractor"
    group = _("Contractor")

    def is_offered(self, row: Contractor, *, by: AdminUser) -> bool:
        return row.status == Contractor.Status.BLOCKED and not row.is_erased

    def do(self, row: Contractor, *, by: AdminUser, now: dt.datetime, **data: Any) -> Done:
        change = contractors.unblock(contractor=row.pk)
        return Done(
            act(change, "unblocked", row.pk),
            gettext("%(contractor)s: blocked → active.") % {"contractor": change.after},
        )


class ChannelsForm(forms.Form):
    number = forms.IntegerField(
        label=_("How many"),
        help_text=_("Channels on top of the plan's lifetime limit. A negative number takes some back."),
        initial=1,
        min_value=-1000,
        max_value=1000,
        widget=UnfoldAdminIntegerFieldWidget,
    )


class GrantChannels(ContractorOperation):
    name = "grant_channels"
    title = _("Give bonus channels")
    icon = "add_box"
    permission = "core.change_contractor"
    form_class = ChannelsForm
    group = _("Contractor")

    def is_offered(self, row: Contractor, *, by: AdminUser) -> bool:
        return not row.is_erased

    def do(self, row: Contractor, *, by: AdminUser, now: dt.datetime, **data: Any) -> Done:
        change = contractors.grant_channels(contractor=row.pk, **data)
        told = gettext("%(contractor)s: bonus channels %(before)s → %(after)s.")
        names = {"before": change.before.bonus_channels or 0, "after": change.after.bonus_channels}
        return Done(act(change, "channels_granted", row.pk), told % (names | {"contractor": change.after}))


class OwnerForm(forms.Form):
    contractor = forms.ModelChoiceField(
        Contractor.objects.all(),
        label=_("To whom"),
        help_text=_("Search by Telegram id, @username, name, channel."),
        widget=ParentSelect(Channel._meta.get_field("contractor"), admin.site),
    )


class MoveChannel(ContractorOperation):
    name = "move"
    title = _("Move to another contractor")
    icon = "move_up"
    permission = "core.change_channel"
    warning = _(
        "Its publications, invites and clients go along. No counter of channels ever made changes: it goes on counting"
        " for whoever made it, and takes nothing of the limit of whoever gets it."
    )
    form_class = OwnerForm

    def others(self, data: Mapping[str, Any]) -> Iterable[int]:
        return [data["contractor"].pk]

    def do(self, row: Channel, *, by: AdminUser, now: dt.datetime, **data: Any) -> Done:
        change = channels.move(channel=row.pk, to=data["contractor"].pk, now=now)
        owners = [change.before.contractor, change.after.contractor]
        told = gettext("%(channel)s: from %(before)s to %(after)s.")
        names = {"channel": change.after, "before": owners[0], "after": owners[1]}
        return Done(act(change, "moved", *(owner.pk for owner in owners)), told % names)


class SwitchOff(ContractorOperation):
    name = "switch_off"
    title = _("Switch off")
    icon = "link_off"
    permission = "core.change_invite"
    warning = _("It lets nobody in from now on. Those who came by it stay.")

    def is_offered(self, row: Any, *, by: AdminUser) -> bool:
        return row.is_active

    def do(self, row: Invite, *, by: AdminUser, now: dt.datetime, **data: Any) -> Done:
        change = invites.switch_off(invite=row.pk, now=now)
        told = gettext("The invite %(invite)s lets nobody in any more. It was: %(terms)s.")
        names = {"invite": change.after, "terms": invites.terms(change.before)}
        return Done(act(change, "switched_off", row.channel.contractor_id), told % names)


class TermsForm(forms.Form):
    expires_at = MomentField(label=_("Works until"), help_text=_("Empty: without an end."), required=False)
    max_uses = forms.IntegerField(
        label=_("How often it may be used in all"),
        help_text=_("With the uses there were already. Empty: without a limit."),
        required=False,
        min_value=1,
        max_value=2**31 - 1,
        widget=UnfoldAdminIntegerFieldWidget,
    )


def whole_minute(moment: dt.datetime) -> dt.datetime:
    """As its field shows it, and no earlier."""
    floor = moment.replace(second=0, microsecond=0)
    return floor if floor == moment else floor + MINUTE


class Prolong(ContractorOperation):
    name = "prolong"
    title = _("Prolong")
    icon = "more_time"
    permission = "core.change_invite"
    form_class = TermsForm
    in_bulk = False

    def is_offered(self, row: Invite, *, by: AdminUser) -> bool:
        return row.expires_at is not None or row.max_uses is not None

    def initial(self, rows: Sequence[Invite]) -> dict[str, Any]:
        """What lets the next client in: a week more where it ended, one use more where it is used up."""
        [invite] = rows
        now, end, most = timezone.now(), invite.expires_at, invite.max_uses
        if end is not None:
            is_far = end >= FAR_FUTURE.replace(tzinfo=dt.UTC)
            end = None if is_far else whole_minute(end if end > now else now + WEEK)
        return {"expires_at": end, "max_uses": most and max(most, invite.used_count + 1)}

    def do(self, row: Invite, *, by: AdminUser, now: dt.datetime, **data: Any) -> Done:
        change = invites.prolong(invite=row.pk, now=now, **data)
        names = {"before": invites.terms(change.before), "after": invites.terms(change.after)}
        told = gettext("The invite %(invite)s: %(before)s → %(after)s.") % {"invite": change.after, **names}
        return Done(act(change, "prolonged", row.channel.contractor_id), told)


class BlockClient(ContractorOperation):
    name = "block"
    title = _("Block")
    icon = "block"
    permission = "core.change_client"
    is_grave = True

    def is_offered(self, row: Client, *, by: AdminUser) -> bool:
        return not row.blocked

    def do(self, row: Client, *, by: AdminUser, now: dt.datetime, **data: Any) -> Done:
        change = clients.block(client=row.pk)
        told = gettext("%(client)s is blocked in the channel %(channel)s.")
        names = {"client": change.after, "channel": row.channel}
        return Done(act(change, "blocked", row.channel.contractor_id), told % names)


class UnblockClient(ContractorOperation):
    name = "unblock"
    title = _("Unblock")
    icon = "lock_open"
    permission = "core.change_client"

    def is_offered(self, row: Client, *, by: AdminUser) -> bool:
        return row.blocked

    def do(self, row: Client, *, by: AdminUser, now: dt.datetime, **data: Any) -> Done:
        change = clients.unblock(client=row.pk)
        told = gettext("%(client)s is no longer blocked in the channel %(channel)s.")
        names = {"client": change.after, "channel": row.channel}
        return Done(act(change, "unblocked", row.channel.contractor_id), told % names)
