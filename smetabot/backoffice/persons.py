"""What is held about a person, in all schemas: handed out, erased, and another Telegram account put behind it."""

import datetime as dt
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Case, F, JSONField, Model, Q, QuerySet, Value, When
from django.utils.text import get_text_list
from django.utils.translation import gettext as _

from adminlog import journal
from adminlog.models import AdminAction, Note
from analytics.models import ChannelStats, Event, ProfileOverview, ProfileReferralProgress, ViewsDaily
from billing.models import Gift, Plan, Subscription, SubscriptionHistory, UsageCounter
from core.contractors import refuse_erased
from core.models import Channel, Client, Contractor, Invite, Publication, TeamMember
from core.operations import Change, lock, staff_operation, write
from referrals.models import Referral, ReferralCycle, ReferralLink
from smetabot.postgres.fields import AnyJSON
from smetabot.postgres.locks import BUSY

# Of an event in a channel, what is the contractor's own doing. The others are their clients'.
OWN_EVENTS = [Event.Type.FILE_POSTED, Event.Type.FILE_DELETED, Event.Type.SYNC_RUN]
# Of an act on a contractor, what is told to them: neither who of the staff did it, nor from where.
TOLD_OF_ACTS = ["seq", "created_at", "action", "target_type", "target_id", "payload"]
# Characters of a piece of the answer.
PIECE = 64 * 1024


@dataclass(frozen=True)
class NewAccount:
    """`left` is whose account it was: a contractor that the bot had made of it before anybody told staff."""

    change: Change[Contractor]
    left: Change[Contractor] | None


@staff_operation()
def change_telegram_id(*, contractor: int, tg_user_id: int, now: dt.datetime) -> NewAccount:
    """Put another Telegram account behind a contractor.

    The bot makes a contractor of whoever starts it, so mostly the new account is one already. While there is nothing
    that could be lost with it, it gives up the account, with the names that are the account's.
    ValidationError when it is the same account, another contractor uses it, or this one is erased.
    """
    others = Contractor.objects.filter(tg_user_id=tg_user_id).exclude(pk=contractor)
    held = {each.pk: each for each in lock(contractor, *others.values_list("pk", flat=True))}
    mine = held.pop(contractor)
    refuse_erased(mine)
    if mine.tg_user_id == tg_user_id:
        raise ValidationError(
            _("%(contractor)s has this Telegram id already."), code="same", params={"contractor": mine}
        )
    left = others.first()
    if left is None:
        return NewAccount(write(mine, tg_user_id=tg_user_id), None)
    if left.pk not in held:
        raise ValidationError(BUSY, code="busy")
    refuse_use(left, now=now)
    given_up = write(left, tg_user_id=None, username=None, full_name=None)
    username = given_up.before.username or mine.username
    return NewAccount(write(mine, tg_user_id=tg_user_id, username=username), given_up)


def refuse_use(contractor: Contractor, *, now: dt.datetime) -> None:
    """ValidationError when there is anything that a contractor would lose with their account."""
    mine = Q(contractor=contractor)
    paid = Q(source=SubscriptionHistory.Source.PAID, plan__code__in=Plan.PAID) | ~Q(payment_reference=None)
    has: list[tuple[str, QuerySet[Any]]] = [
        (_("channels"), Channel.objects.filter(mine)),
        (_("channels made before"), UsageCounter.objects.filter(mine, channels_created_total__gt=0)),
        (_("a plan that is paid for"), Subscription.objects.live_paid(at=now).filter(mine)),
        (_("payments"), SubscriptionHistory.objects.filter(mine & paid)),
        (_("gifts"), Gift.objects.filter(mine)),
        (_("referrals"), Referral.objects.filter(Q(referrer=contractor) | Q(referred_contractor=contractor))),
        (_("a block"), Contractor.objects.filter(pk=contractor.pk, status=Contractor.Status.BLOCKED)),
        (_("bonus channels"), Contractor.objects.filter(pk=contractor.pk, bonus_channels__gt=0)),
        (_("a team"), TeamMember.objects.filter(Q(owner_contractor=contractor) | Q(member_contractor=contractor))),
    ]
    if what := [name for name, rows in has if rows.exists()]:
        raise ValidationError(
            _("This Telegram id is that of %(contractor)s, who would lose it and has: %(what)s."),
            code="in_use",
            params={"contractor": contractor, "what": get_text_list(what, _("and"))},
        )


@dataclass(frozen=True)
class Erased:
    """How many rows of each kind were emptied."""

    contractor: Contractor
    was: str
    channels: int
    files: int
    clients: int
    events: int
    notes: int
    journal_entries: int

    @property
    def counts(self) -> dict[str, int]:
        return {name: value for name, value in vars(self).items() if isinstance(value, int)}


@staff_operation()
def erase(*, contractor: int) -> Erased:
    """Forget who a contractor is. What they did and paid stays under their internal id.

    Blocked from then on: no gift starts and no referral counts for whom nobody can be any more. Whoever calls writes
    the act in the journal, last. May be done again: the bot, a note or a reason may have brought something back.
    """
    [held] = lock(contractor)
    was = held.status
    channels = Channel.objects.filter(contractor=held)
    as_client = list(clients_who_are(held).values_list("pk", flat=True))
    emptied = {
        "files": Publication.objects.filter(channel__in=channels).exclude(file_name=None).update(file_name=None),
        "events": Event.objects.filter(Q(channel__in=channels) | Q(client__in=as_client))
        .exclude(details=None)
        .update(details=None),
        "channels": channels.update(title=None, username=None),
        "clients": Client.objects.filter(pk__in=as_client).update(tg_user_id=None, username=None, full_name=None),
        "notes": Note.objects.filter(contractor_id=contractor).exclude(text=None).update(text=None),
        "journal_entries": journal.erase(
            contractor=contractor, rows=Q(target_type=Client._meta.label_lower, target_id__in=as_client)
        ),
    }
    # Its token may be made of the Telegram id.
    ReferralLink.objects.filter(contractor=held).delete()
    write(held, tg_user_id=None, username=None, full_name=None, status=Contractor.Status.BLOCKED)
    return Erased(held, was, **emptied)


def clients_who_are(contractor: Contractor) -> QuerySet[Client]:
    """The same person in others' channels, and in their own."""
    known = contractor.tg_user_id is not None
    return Client.objects.filter(tg_user_id=contractor.tg_user_id) if known else Client.objects.none()


def held_about(contractor: Contractor) -> Iterator[tuple[type[Model], QuerySet[Any, Any]]]:
    """By table. Their clients are other persons; of them the profile tells how many there are."""
    mine, channels = Q(contractor=contractor), Channel.objects.filter(contractor=contractor)
    in_channels, as_client = Q(channel__in=channels), clients_who_are(contractor)
    own_publications = Publication.objects.filter(in_channels)
    for rows in (
        Contractor.objects.filter(pk=contractor.pk),
        channels,
        own_publications,
        Invite.objects.filter(in_channels),
        as_client,
        TeamMember.objects.filter(Q(owner_contractor=contractor) | Q(member_contractor=contractor)),
        Subscription.objects.filter(mine),
        SubscriptionHistory.objects.filter(mine),
        UsageCounter.objects.filter(mine),
        Gift.objects.filter(mine),
        ViewsDaily.objects.filter(publication__in=own_publications),
        ChannelStats.objects.filter(in_channels),
        Event.objects.filter(in_channels & Q(event_type__in=OWN_EVENTS) | Q(client__in=as_client)),
        ProfileOverview.objects.filter(mine),
        ProfileReferralProgress.objects.filter(mine),
        ReferralLink.objects.filter(mine),
        Referral.objects.filter(Q(referrer=contractor) | Q(referred_contractor=contractor)),
        ReferralCycle.objects.filter(referrer=contractor),
    ):
        yield rows.model, rows.order_by("pk").values(*journal.columns_of(rows.model))
    yield Note, Note.objects.filter(contractor_id=contractor.pk).order_by("pk").values("created_at", "text")
    acts = AdminAction.objects.filter(contractors__contains=[contractor.pk]).order_by("seq")
    # What an act on another contractor tells is of that one.
    about = Q(target_type=Contractor._meta.label_lower) & ~Q(target_id=contractor.pk)
    told = Case(When(about, then=Value(None, JSONField(decoder=AnyJSON))), default=F("details__personal"))
    yield AdminAction, acts.values(*TOLD_OF_ACTS, personal=told)


def as_json(contractor: Contractor) -> Iterator[str]:
    """All of it as one object: each table by its name, with a list of its rows. Piece by piece, however long."""
    return in_pieces(written(contractor))


def written(contractor: Contractor) -> Iterator[str]:
    opening = "{\n"
    for model, rows in held_about(contractor):
        table = model._meta.db_table.replace('"', "")
        yield f'{opening}"{table}": ['
        for number, row in enumerate(rows.iterator()):
            yield (",\n" if number else "\n") + json.dumps(row, cls=DjangoJSONEncoder, ensure_ascii=False)
        yield "\n]"
        opening = ",\n"
    yield "\n}\n"


def in_pieces(texts: Iterable[str]) -> Iterator[str]:
    piece: list[str] = []
    length = 0
    for text in texts:
        piece.append(text)
        length += len(text)
        if length > PIECE:
            yield "".join(piece)
            piece, length = [], 0
    yield "".join(piece)
