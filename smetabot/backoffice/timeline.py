"""What happened to a contractor, newest first: what the tables remember, with the entry of the journal that tells who
did it and why; and what only the journal tells.

Most acts of staff leave a row elsewhere, too. Such a row is the entry, and its act is told with it, not once more.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import CharField, Exists, F, ForeignKey, Model, OuterRef, Q, QuerySet, Subquery, Value
from django.http import HttpRequest
from django.urls import NoReverseMatch
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from adminlog import story
from adminlog.columns import EMPTY, list_of, page_at, page_of
from adminlog.journal import columns_of
from adminlog.lists import page_asked, turned
from adminlog.models import AdminAction, Note
from billing.models import Gift, Plan, SubscriptionHistory
from billing.terms import ends_at, in_words
from core.models import Channel, Client, Contractor, Invite
from referrals.models import Referral, ReferralCycle

Status, Source = SubscriptionHistory.Status, SubscriptionHistory.Source

# A channel has the moment at which its move began, and the journal, which is written last, that of its end.
TOGETHER = dt.timedelta(minutes=1)
END_OF_TIME = dt.datetime.max.replace(tzinfo=dt.UTC)
# What staff do to rows of these tables the rows themselves tell.
TOLD_BY_ROW: dict[type[Model], list[str]] = {
    Gift: ["gift.queued", "gift.withdrawn"],
    Referral: ["referral.attached"],
    Channel: ["channel.moved"],
    Note: ["note.added"],
}
# What only the journal tells. Of other acts their names there must do.
ACTS = {
    "contractor.changed": gettext_lazy("Names corrected"),
    "contractor.blocked": gettext_lazy("Blocked"),
    "contractor.unblocked": gettext_lazy("Unblocked"),
    "contractor.channels_granted": gettext_lazy("Bonus channels changed"),
    "contractor.telegram_id_changed": gettext_lazy("Telegram id changed"),
    "contractor.exported": gettext_lazy("Everything held was exported"),
    "contractor.erased": gettext_lazy("The person was erased"),
    "channel.moved": gettext_lazy("Channel moved away"),
    "channel.changed": gettext_lazy("Channel renamed"),
    "invite.changed": gettext_lazy("Invite changed"),
    "invite.switched_off": gettext_lazy("Invite switched off"),
    "invite.prolonged": gettext_lazy("Invite prolonged"),
    "client.changed": gettext_lazy("Client changed"),
    "client.blocked": gettext_lazy("Client blocked"),
    "client.unblocked": gettext_lazy("Client unblocked"),
    "referral.attached": gettext_lazy("Referral attached"),
    "referral.detached": gettext_lazy("Referral detached"),
    "team_member.added": gettext_lazy("Added to the team"),
    "team_member.deleted": gettext_lazy("Removed from the team"),
    "note.added": gettext_lazy("Note added"),
}


@dataclass
class Entry:
    at: dt.datetime
    icon: str
    what: str
    # Of the row that it is about.
    url: str = ""
    who: str = ""
    # What the row itself says of where it comes from.
    fact: str = ""
    changes: Sequence[story.Change] = ()
    act: AdminAction | None = None

    def __post_init__(self) -> None:
        if self.act:
            self.who = self.act.admin_name or self.who

    @property
    def why(self) -> str:
        return story.reason(self.act) if self.act else ""

    @property
    def act_url(self) -> str:
        return page_of(self.act) if self.act else ""


@dataclass
class Timeline:
    contractor: int
    request: HttpRequest
    name: str = "timeline"
    rows: int = 15
    page: int = field(init=False)
    entries: list[Entry] = field(init=False)
    older_url: str = ""
    newer_url: str = ""

    def __post_init__(self) -> None:
        self.page = page_asked(self.request, self.parameter)
        start = (self.page - 1) * self.rows
        found = list(keys(self.contractor, most=start + self.rows + 1)[start : start + self.rows + 1])
        self.entries = Reader(self.contractor, found[: self.rows]).entries()
        if len(found) > self.rows:
            self.older_url = turned(self.request.GET, self.parameter, self.page + 1, anchor=self.name)
        if self.page > 1:
            self.newer_url = turned(self.request.GET, self.parameter, self.page - 1, anchor=self.name)

    @property
    def parameter(self) -> str:
        return f"{self.name}-page"

    @property
    def journal_url(self) -> str:
        return f"{list_of(AdminAction)}?contractor={self.contractor}"


def keys(contractor: int, *, most: int) -> QuerySet[Any]:
    """When, what kind, which row. Of each table no more is read than could stand on the pages up to the one shown."""
    gifts, referrals = Gift.objects.filter(contractor=contractor), Referral.objects.filter(referrer=contractor)
    cycles = ReferralCycle.objects.filter(referrer=contractor, completed_at__isnull=False)
    tables: list[tuple[str, QuerySet[Any], str]] = [
        ("terms", SubscriptionHistory.objects.filter(contractor=contractor), "created_at"),
        ("queued", gifts.exclude(pk__in=cycles.filter(gift__isnull=False).values("gift")), "queued_at"),
        ("started", gifts.filter(applied_at__isnull=False, history=None), "applied_at"),
        ("withdrawn", gifts.filter(withdrawn_at__isnull=False), "withdrawn_at"),
        ("brought", referrals, "created_at"),
        ("qualified", referrals.filter(qualified_at__isnull=False), "qualified_at"),
        ("brought_by", Referral.objects.filter(referred_contractor=contractor), "created_at"),
        ("completed", cycles, "completed_at"),
        ("moved", Channel.objects.filter(contractor=contractor, moved_at__isnull=False), "moved_at"),
        ("noted", Note.objects.filter(contractor_id=contractor), "created_at"),
        ("done", acts(contractor).exclude(told_elsewhere(contractor)), "created_at"),
    ]
    first, *others = (
        # No index gives this order, or the journal's could be walked through for the few acts on a contractor.
        rows.annotate(at=F(at) + Value(dt.timedelta(0)), kind=Value(kind, CharField()), key=F("pk"))
        .order_by("-at", "-key")
        .values_list("at", "kind", "key")[:most]
        for kind, rows, at in tables
    )
    return first.union(*others, all=True).order_by("-at", "kind", "-key")


def acts(contractor: int) -> QuerySet[AdminAction]:
    return AdminAction.objects.filter(contractors__contains=[contractor])


def told_elsewhere(contractor: int) -> Q:
    since = (OuterRef("created_at") - TOGETHER, OuterRef("created_at"))
    told = Q(payload__has_key="history")
    for model, actions in TOLD_BY_ROW.items():
        rows = model._default_manager.filter(pk=OuterRef("target_id"))
        if model in (Gift, Note):
            rows = rows.filter(contractor_id=contractor)
        if model is Channel:
            rows = rows.filter(contractor_id=contractor, moved_at__range=since)
        told |= Q(Exists(rows), target_type=model._meta.label_lower, action__in=actions)
    return told


class Reader:
    """Reads the rows of one page, a kind in one query, and says what they tell."""

    def __init__(self, contractor: int, found: Iterable[tuple[dt.datetime, str, int]]) -> None:
        self.contractor, self.found = contractor, list(found)
        self.named_rows: dict[Any, dict[int, Any]] = {}

    def entries(self) -> list[Entry]:
        rows = self.read()
        told = self.told_with(rows)
        entries = []
        for at, kind, key in self.found:
            if row := rows[kind].get(key):
                tell = getattr(self, f"tell_{kind}")
                entries.append(tell(row, at, told.get((kind, key))))
        return entries

    def read(self) -> dict[str, dict[int, Any]]:
        gifts = Gift.objects.select_related("plan", "referral_cycle")
        referrals = Referral.objects.select_related("referrer", "referred_contractor", "cycle")
        terms = SubscriptionHistory.objects.select_related("plan", "gift__plan", "gift__referral_cycle")
        rows: dict[str, dict[int, Any]] = {
            "terms": self.among(with_previous(terms), "terms"),
            "completed": self.among(ReferralCycle.objects.select_related("gift__plan"), "completed"),
            "moved": self.among(Channel.objects.all(), "moved"),
            "noted": self.among(Note.objects.select_related("author"), "noted"),
            "done": self.among(AdminAction.objects.select_related("details"), "done"),
        }
        rows |= dict.fromkeys(["queued", "started", "withdrawn"], self.among(gifts, "queued", "started", "withdrawn"))
        rows |= dict.fromkeys(
            ["brought", "qualified", "brought_by"], self.among(referrals, "brought", "qualified", "brought_by")
        )
        before = SubscriptionHistory.objects.select_related("plan").in_bulk(
            [row.previous for row in rows["terms"].values() if row.previous]
        )
        for row in rows["terms"].values():
            row.before = before.get(row.previous)
        self.named_rows = self.rows_in(rows["done"].values())
        return rows

    def named(self, value: Any, column: Any) -> str:
        """The journal knows a contractor, or a plan, by its id."""
        parents = self.named_rows.get(column.related_model, {}) if isinstance(column, ForeignKey) else {}
        return str(parents[value]) if value in parents else story.shown(value, column)

    def rows_in(self, acts: Iterable[AdminAction]) -> dict[type[Model], dict[int, Any]]:
        keys: dict[Any, set[int]] = {model: set() for model in (Contractor, Plan, Channel, Invite, Client)}
        for act in acts:
            table = story.model(act.target_type)
            columns = columns_of(table)
            if table in keys and act.target_id is not None:
                keys[table].add(act.target_id)
            for moment in story.moments(act):
                for name, value in moment.items():
                    column = columns.get(name)
                    if isinstance(column, ForeignKey) and column.related_model in keys and isinstance(value, int):
                        keys[column.related_model].add(value)
        return {model: model._default_manager.in_bulk(found) for model, found in keys.items()}

    def among(self, rows: QuerySet[Any], *kinds: str) -> dict[int, Any]:
        return rows.in_bulk([key for _at, kind, key in self.found if kind in kinds])

    def told_with(self, rows: dict[str, dict[int, Any]]) -> dict[tuple[str, int], AdminAction]:
        """The acts that left these rows."""
        tables: dict[str, type[Model]] = {
            **{"queued": Gift, "withdrawn": Gift, "brought": Referral, "brought_by": Referral},
            **{"moved": Channel, "noted": Note},
        }
        shown = [(kind, key) for _at, kind, key in self.found]
        wanted = Q(pk__in=[])
        for kind, model in tables.items():
            keys = [key for each, key in shown if each == kind]
            wanted |= Q(target_type=model._meta.label_lower, action__in=TOLD_BY_ROW[model], target_id__in=keys)
        wanted |= Q(payload__history__in=list(rows["terms"]))
        found = list(acts(self.contractor).filter(wanted).select_related("details").order_by("seq"))
        by_row = {(act.target_type, act.target_id, act.action): act for act in found}
        told = {}
        for kind, key in shown:
            table = tables.get(kind)
            for action in TOLD_BY_ROW[table] if table else []:
                act = by_row.get((table._meta.label_lower, key, action)) if table else None
                if act and is_of(kind, action):
                    told[kind, key] = act
        payloads = ((act, act.payload or {}) for act in found)
        return told | {("terms", payload["history"]): act for act, payload in payloads if "history" in payload}

    def tell_terms(self, row: Any, at: dt.datetime, act: AdminAction | None) -> Entry:
        before = in_words(row.before, at=row.before.created_at) if row.before else ""
        change = story.Change("", before, in_words(row, at=row.created_at))
        icon, what = what_became(row.before, row)
        return Entry(at, icon, what, page_of(row), who_wrote(row), source_of(row), [change], act)

    def tell_queued(self, gift: Any, at: dt.datetime, act: AdminAction | None) -> Entry:
        what = _("Gift queued: %(gift)s") % {"gift": name_of(gift)}
        who = _("the job advance_referrals") if gift.reason == Gift.Reason.REFERRAL_REWARD else unknown()
        return Entry(at, "redeem", what, page_of(gift), who, act=act)

    def tell_started(self, gift: Any, at: dt.datetime, act: AdminAction | None) -> Entry:
        what = _("Gift started: %(gift)s") % {"gift": name_of(gift)}
        return Entry(at, "redeem", what, page_of(gift), _("the job apply_gifts"), act=act)

    def tell_withdrawn(self, gift: Any, at: dt.datetime, act: AdminAction | None) -> Entry:
        what = _("Gift withdrawn: %(gift)s") % {"gift": name_of(gift)}
        return Entry(at, "remove_circle", what, page_of(gift), unknown(), act=act)

    def tell_brought(self, referral: Any, at: dt.datetime, act: AdminAction | None) -> Entry:
        what = _("Brought: %(contractor)s") % {"contractor": referral.referred_contractor}
        return Entry(at, "group_add", what, page_of(referral), _("the bot"), act=act)

    def tell_brought_by(self, referral: Any, at: dt.datetime, act: AdminAction | None) -> Entry:
        what = _("Brought by: %(contractor)s") % {"contractor": referral.referrer}
        return Entry(at, "group_add", what, page_of(referral), _("the bot"), act=act)

    def tell_qualified(self, referral: Any, at: dt.datetime, act: AdminAction | None) -> Entry:
        names = {"contractor": referral.referred_contractor, "number": referral.cycle and referral.cycle.cycle_no}
        told = _("%(contractor)s qualified")
        if referral.cycle:
            told = _("%(contractor)s qualified, counted in cycle %(number)s")
        return Entry(at, "how_to_reg", told % names, page_of(referral), _("the job advance_referrals"), act=act)

    def tell_completed(self, cycle: Any, at: dt.datetime, act: AdminAction | None) -> Entry:
        names = {"number": cycle.cycle_no, "gift": cycle.gift and days_of(cycle.gift)}
        told = _("Cycle %(number)s completed")
        if cycle.gift:
            told = _("Cycle %(number)s completed, reward queued: %(gift)s")
        return Entry(at, "cycle", told % names, page_of(cycle), _("the job advance_referrals"), act=act)

    def tell_moved(self, channel: Any, at: dt.datetime, act: AdminAction | None) -> Entry:
        what = _("Was given the channel %(channel)s") % {"channel": channel}
        return Entry(at, "move_down", what, page_of(channel), unknown(), act=act)

    def tell_noted(self, note: Any, at: dt.datetime, act: AdminAction | None) -> Entry:
        text = _("The note was emptied by an erasure") if note.text is None else note.text
        return Entry(at, "sticky_note_2", text, page_of(note), str(note.author), act=act)

    def tell_done(self, act: AdminAction, at: dt.datetime, told: AdminAction | None) -> Entry:
        before, after = story.moments(act)
        what = str(ACTS.get(act.action) or capfirst(act.action.replace("_", " ").replace(".", " ")))
        if act.action == "channel.moved" and after.get("contractor_id") == self.contractor:
            # It was moved on since, and so the row tells of it no more.
            what = _("Was given a channel")
        table = story.model(act.target_type)
        targets = {} if table is Contractor else self.named_rows.get(table, {})
        if target := targets.get(act.target_id or 0):
            what = _("%(act)s: %(row)s") % {"act": what, "row": target}
        changes = [change for change in story.changes(act, say=self.named) if change.before != change.after]
        if not (before and after):
            # Of a row that came or went: what it was, without what nobody chose.
            kept = {story.title(name, column) for name, column in columns_of(table).items() if not column.editable}
            told_once = ((name, was if now == EMPTY else now) for name, was, now in changes)
            changes = [story.Change(name, "", value) for name, value in told_once if name not in kept]
        return Entry(at, "person_edit", what, target_url(act), changes=changes, act=act)


def unknown() -> str:
    """The journal does not know: plain SQL, or a command."""
    return _("not in the journal")


def is_of(kind: str, action: str) -> bool:
    """A gift's two acts are two entries."""
    return kind not in ("queued", "withdrawn") or action == f"gift.{kind}"


def with_previous(terms: QuerySet[Any]) -> QuerySet[Any]:
    at, key = OuterRef("created_at"), OuterRef("pk")
    older = SubscriptionHistory.objects.filter(
        Q(created_at__lt=at) | Q(created_at=at, pk__lt=key), contractor=OuterRef("contractor")
    )
    return terms.annotate(previous=Subquery(older.order_by("-created_at", "-pk").values("pk")[:1]))


def what_became(before: Any, after: Any) -> tuple[str, str]:
    """An icon, and in words what happened between two rows of a subscription's history."""
    if after.gift:
        return "redeem", _("Gift started")
    if before is None:
        return "flag", _("Subscription began")
    if after.status == Status.EXPIRED:
        return "event_busy", _("Subscription expired")
    if after.status == Status.GRACE and before.status != Status.GRACE:
        return "hourglass_bottom", _("Grace began")
    if after.status == Status.CANCELLED and before.status != Status.CANCELLED:
        return "cancel", _("Subscription cancelled")
    if after.plan_id != before.plan_id and {before.plan.code, after.plan.code} <= set(Plan.PAID):
        return "swap_horiz", _("Plan changed")
    if after.plan.code == Plan.Code.FREE and before.plan.code != Plan.Code.FREE:
        return "undo", _("Back to FREE")
    is_new = after.status != before.status and before.status in (Status.EXPIRED, Status.CANCELLED)
    if after.plan_id != before.plan_id or is_new or (is_trial(before) and not is_trial(after)):
        return "verified", _("Plan activated")
    end, old = (ends_at(terms) or END_OF_TIME for terms in (after, before))
    if end != old:
        return ("more_time", _("Extended")) if end > old else ("timelapse", _("Shortened"))
    return "verified", _("Subscription written")


def is_trial(terms: Any) -> bool:
    return terms.status == Status.TRIAL or terms.source == Source.TRIAL


def who_wrote(row: Any) -> str:
    """Of a history row that no act in the journal left."""
    if row.gift:
        return _("the job apply_gifts")
    has_ended = row.expires_at is not None and row.expires_at <= row.created_at
    if row.status == Status.GRACE or (row.status == Status.EXPIRED and has_ended):
        return _("the job expire_subscriptions")
    if row.payment_reference or row.source == Source.ADMIN_GRANT:
        return unknown()
    return _("the bot")


def source_of(row: Any) -> str:
    """On FREE the column has only its default to say."""
    if row.gift:
        return name_of(row.gift)
    if row.payment_reference:
        return _("Payment %(reference)s") % {"reference": row.payment_reference}
    if row.plan.code == Plan.Code.FREE:
        return ""
    return _("Source: %(source)s") % {"source": row.get_source_display().lower()}


def days_of(gift: Any) -> str:
    days = {"days": gift.days, "plan": gift.plan.code}
    return ngettext("%(days)s day of %(plan)s", "%(days)s days of %(plan)s", gift.days) % days


def name_of(gift: Any) -> str:
    cycle = getattr(gift, "referral_cycle", None)
    names = {"gift": days_of(gift), "number": cycle and cycle.cycle_no}
    if cycle:
        return _("%(gift)s, the reward of cycle %(number)s") % names
    if gift.reason == Gift.Reason.REFERRAL_REWARD:
        return _("%(gift)s, a reward for referrals") % names
    return _("%(gift)s, from staff") % names


def target_url(act: AdminAction) -> str:
    model = story.model(act.target_type)
    if model is None or act.target_id is None or act.action.endswith(".deleted"):
        return ""
    try:
        return page_at(model, act.target_id)
    except NoReverseMatch:
        return ""
