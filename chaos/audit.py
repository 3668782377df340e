"""Whether anything was lost, doubled or is wrong, told once more from the contract alone.

Nothing here is shared with billing and referrals: rows are read by plain SQL and followed one by one. `before` is the
same world before anybody touched it.
"""

import datetime as dt
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder

from adminlog.chain import verify
from chaos.snapshot import Row, World, archived, read
from smetabot.management.commands.check_data import CHECKS

Harm = Literal["lost", "doubled", "wrong"]
DAY = dt.timedelta(days=1)
GRACE = 3 * DAY
PAID = ("PRO", "BUSINESS")

# Of which kind of row a journal entry tells, and what of such a row jobs and the bot change; all else nobody changes
# without an entry that says so.
KEPT: dict[str, tuple[str, set[str]]] = {
    "contractors": ("core.contractor", set()),
    "channels": ("core.channel", {"synced", "last_synced_at"}),
    "publications": ("core.publication", {"views"}),
    "clients": ("core.client", set()),
    "invites": ("core.invite", {"used_count"}),
    "gifts": ("billing.gift", {"applied_at"}),
    "referrals": ("referrals.referral", {"qualified_at", "cycle_id"}),
    "cycles": (
        "referrals.referralcycle",
        {"qualified_refs_done", "state", "gift_id", "completed_at"},
    ),
    # History tells of these.
    "subscriptions": (
        "billing.subscription",
        {"plan_id", "code", "status", "source", "starts_at", "expires_at", "paid_until"},
    ),
    "usage": ("", {"channels_created_total", "last_channel_created_at"}),
    "plans": ("billing.plan", set()),
}
LEAST_CHANNELS = 2


class Finding(NamedTuple):
    harm: Harm
    text: str

    def __str__(self) -> str:
        return f"{self.harm}: {self.text}"


@dataclass
class Ledger:
    """What the bot and staff did meanwhile, as they know it: `tried` may have happened, `done` must have."""

    tried: Counter[str] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)
    # Payments by contractor and end.
    payments_tried: set[tuple[int, dt.datetime]] = field(default_factory=set)
    payments_done: set[tuple[int, dt.datetime]] = field(default_factory=set)

    def add(self, other: "Ledger") -> None:
        self.tried += other.tried
        self.done += other.done
        self.payments_tried |= other.payments_tried
        self.payments_done |= other.payments_done


class Auditor:
    """`archive` is where months of events go."""

    def __init__(self, *, archive: Path) -> None:
        self.archive = archive
        self.before = read()
        self.channels = Counter(channel["contractor_id"] for channel in self.before["channels"].values())
        # Contractors looked at, all audits together.
        self.checks = 0

    def audit(self, after: World, *, ledger: Ledger | None = None, settled: bool) -> list[Finding]:
        """`settled`: cron has been round since, so nothing may be due any more."""
        self.checks += len(after["contractors"])
        found = list(self._find(after, ledger or Ledger(), settled=settled))
        if settled:
            found += [Finding("wrong", str(finding)) for check in CHECKS for finding in check.find()]
            found += [Finding("wrong", f"the journal is {fault}") for fault in verify().broken]
        return found

    def is_as_before(self, after: World) -> bool:
        return after.records == self.before.records

    def _find(self, after: World, ledger: Ledger, *, settled: bool) -> Iterator[Finding]:
        yield from self._gifts(after)
        yield from self._history(after, ledger)
        yield from self._journal(after)
        yield from self._referrals(after, settled=settled)
        yield from self._kept(after, ledger)
        if settled:
            yield from self._nothing_is_due(after)
            yield from self._statistics(after)

    def _gifts(self, after: World) -> Iterator[Finding]:
        given = Counter(row["gift_id"] for row in after["history"].values() if row["gift_id"])
        applications = {row["gift_id"]: row for row in after["history"].values() if row["gift_id"]}
        for key, gift in after["gifts"].items():
            name = f"gift {key} of contractor {gift['contractor_id']}"
            if given[key] > 1:
                yield Finding("doubled", f"{name} has {given[key]} history rows")
            if gift["applied_at"] and not given[key]:
                yield Finding("lost", f"{name} is marked and was never given")
            if given[key] and not gift["applied_at"]:
                yield Finding("doubled", f"{name} was given and still waits")
            if given[key] and gift["withdrawn_at"]:
                yield Finding("wrong", f"{name} was withdrawn and given")
            if history := applications.get(key):
                is_of_it = (history["contractor_id"], history["plan_id"], history["status"], history["source"])
                if is_of_it != (gift["contractor_id"], gift["plan_id"], "active", "gift"):
                    yield Finding("wrong", f"{name} was given as {is_of_it}")
                if history["expires_at"] - history["starts_at"] != gift["days"] * DAY:
                    yield Finding("wrong", f"{name} was given with another number of days")
                if history["starts_at"] != gift["applied_at"]:
                    yield Finding("wrong", f"{name} does not begin when it was applied")
                if history["id"] not in self.before["history"]:
                    if not self.before.at <= gift["applied_at"] <= after.at:
                        yield Finding("wrong", f"{name} was applied at {gift['applied_at']}")
                    if self._is_blocked_all_along(gift["contractor_id"], after):
                        yield Finding("wrong", f"{name} was given to who is blocked")
        for contractor, gifts in after.of("gifts", "contractor_id").items():
            queue = [gift for gift in gifts if not gift["withdrawn_at"]]
            for older, younger in pairs(queue):
                if older["queued_at"] > younger["queued_at"] or not younger["applied_at"]:
                    continue
                if not older["applied_at"] or older["applied_at"] > younger["applied_at"]:
                    yield Finding(
                        "wrong",
                        f"contractor {contractor} was given gift {younger['id']} before the older {older['id']}",
                    )

    def _history(self, after: World, ledger: Ledger) -> Iterator[Finding]:
        told = Counter(
            act["payload"]["history"]
            for key, act in after["acts"].items()
            if key not in self.before["acts"] and "history" in (act["payload"] or {})
        )
        for key, row in self.before["history"].items():
            if after["history"].get(key) != row:
                yield Finding("lost", f"history row {key} is gone or another")
        chains = after.of("history", "contractor_id")
        for contractor, row in ((each["contractor_id"], each) for each in after["subscriptions"].values()):
            newest = chains[contractor][-1] if contractor in chains else None
            if newest is None:
                yield Finding("lost", f"contractor {contractor} has a subscription and no history")
            elif terms(newest) != terms(row):
                yield Finding("lost", f"contractor {contractor}: the newest history row is not the subscription")
        payments: Counter[tuple[int, dt.datetime]] = Counter()
        for contractor, chain in chains.items():
            for previous, row in zip([None, *chain], chain, strict=False):
                if row["id"] in self.before["history"]:
                    continue
                name = f"contractor {contractor}, history row {row['id']}"
                if row["gift_id"]:
                    if previous and is_live_paid(previous, at=row["created_at"]):
                        yield Finding("doubled", f"{name}: a gift over live paid time")
                elif told[row["id"]]:
                    if told[row["id"]] > 1:
                        yield Finding("doubled", f"{name} is told by {told[row['id']]} acts")
                elif row["status"] in ("grace", "expired"):
                    yield from ended(name, previous, row)
                elif (contractor, row["expires_at"]) in ledger.payments_tried:
                    payments[contractor, row["expires_at"]] += 1
                else:
                    yield Finding("doubled", f"{name}: nobody knows of it")
        for payment, times in payments.items():
            if times > 1:
                yield Finding("doubled", f"the payment {payment} stands {times} times")
        for payment in ledger.payments_done - payments.keys():
            yield Finding("lost", f"the payment {payment}")
        for key in told.keys() - after["history"].keys():
            yield Finding("lost", f"an act tells of history row {key}, which is not there")

    def _journal(self, after: World) -> Iterator[Finding]:
        acts = sorted(after["acts"].values(), key=lambda act: act["seq"])
        if [act["seq"] for act in acts] != list(range(1, len(acts) + 1)):
            yield Finding("lost", "the journal's numbers have a gap")
        for key, act in self.before["acts"].items():
            if (after["acts"].get(key) or {}).get("hash") != act["hash"]:
                yield Finding("lost", f"journal entry {key} is gone or another")
        new = [act for act in acts if act["id"] not in self.before["acts"]]
        yield from twice("token", [act["token"] for act in new if act["token"]])
        queued = Counter(act["target_id"] for act in new if act["action"] == "gift.queued")
        for key, gift in after["gifts"].items():
            if key in self.before["gifts"] or gift["reason"] != "admin_grant":
                continue
            if not queued[key]:
                yield Finding("doubled", f"gift {key} is there, and no act tells of it")
            if queued[key] > 1:
                yield Finding("doubled", f"gift {key} is told by {queued[key]} acts")
        for key in queued.keys() - after["gifts"].keys():
            yield Finding("lost", f"an act tells of gift {key}, which is not there")
        for act in new:
            yield from self._effect(act, after)
            moments = act["payload"] or {}
            days, was, became = moments.get("days", 0), moments.get("before", {}), moments.get("after", {})
            if act["action"] == "subscription.extended" and days > 0 and not was.get("paid_until"):
                moved = dt.datetime.fromisoformat(became["expires_at"]) - dt.datetime.fromisoformat(was["expires_at"])
                if moved != days * DAY:
                    yield Finding("wrong", f"act {act['seq']} gave {moved} and not {days} days")

    def _effect(self, act: Row, after: World) -> Iterator[Finding]:
        """What an act says of a subscription stands in the history row that it names."""
        told, row = act["payload"] or {}, None
        if "history" in told and (row := after["history"].get(told["history"])):
            said = told.get("after", {})
            if wrong := [name for name in said.keys() & row.keys() if plainly(row[name]) != said[name]]:
                yield Finding("wrong", f"act {act['seq']} tells of {wrong} what history row {row['id']} does not")
        if row and act["action"] == "subscription.activated":
            chain = after.of("history", "contractor_id")[row["contractor_id"]]
            earlier = [each for each in chain if each["id"] < row["id"]]
            is_renewed = bool(earlier) and is_live_paid(earlier[-1], at=row["created_at"])
            if not is_renewed and row["expires_at"] - row["starts_at"] != told["days"] * DAY:
                yield Finding("wrong", f"act {act['seq']} activated another number of days than {told['days']}")

    def _is_blocked_all_along(self, contractor: int, after: World) -> bool:
        return (
            self.before["contractors"][contractor]["status"] == "blocked" == after["contractors"][contractor]["status"]
            and contractor not in self._told(after)["core.contractor"]
        )

    def _told(self, after: World) -> dict[str, dict[int, Row]]:
        """By kind and id of the row, what new acts say that it became."""
        told: dict[str, dict[int, Row]] = defaultdict(dict)
        for act in sorted(after["acts"].values(), key=lambda act: act["seq"]):
            if act["id"] not in self.before["acts"] and act["target_id"]:
                became = told[act["target_type"]].setdefault(act["target_id"], {})
                for tells in (act["payload"], act["personal"]):
                    became |= (tells or {}).get("after", {})
        return told

    def _referrals(self, after: World, *, settled: bool) -> Iterator[Finding]:
        """A cycle counts each referral once, in order, and earns one gift."""
        counted = Counter(row["cycle_id"] for row in after["referrals"].values() if row["cycle_id"])
        rewards = Counter(cycle["gift_id"] for cycle in after["cycles"].values() if cycle["gift_id"])
        for key, times in rewards.items():
            gift = after["gifts"].get(key)
            if times > 1:
                yield Finding("doubled", f"gift {key} is the reward of {times} cycles")
            if gift is None or gift["reason"] != "referral_reward":
                yield Finding("lost", f"gift {key} is a reward and not there")
        for cycle in after["cycles"].values():
            gift = after["gifts"].get(cycle["gift_id"])
            if gift and gift["id"] not in self.before["gifts"]:
                earned = (cycle["referrer_id"], settings.REFERRAL_REWARD_PLAN, settings.REFERRAL_REWARD_DAYS)
                if (gift["contractor_id"], gift["code"], gift["days"]) != earned:
                    yield Finding("wrong", f"gift {gift['id']} is not the reward of {earned}")
        for key, gift in after["gifts"].items():
            if gift["reason"] == "referral_reward" and key not in rewards:
                yield Finding("doubled", f"gift {key} is a reward of no cycle")
        for referrer, cycles in after.of("cycles", "referrer_id").items():
            cycles.sort(key=lambda cycle: cycle["cycle_no"])
            for cycle in cycles:
                name = f"cycle {cycle['cycle_no']} of contractor {referrer}"
                done, required = cycle["qualified_refs_done"], cycle["qualified_refs_required"]
                if done > counted[cycle["id"]]:
                    yield Finding("doubled", f"{name} says {done} and counted {counted[cycle['id']]}")
                if done < counted[cycle["id"]]:
                    yield Finding("lost", f"{name} says {done} and counted {counted[cycle['id']]}")
                is_full = done == required
                if (cycle["state"] == "reward_queued") != is_full or (cycle["gift_id"] is None) == is_full:
                    yield Finding("lost", f"{name} is {cycle['state']} with {done} of {required}")
            for earlier, later in zip(cycles, cycles[1:], strict=False):
                is_full = earlier["qualified_refs_done"] == earlier["qualified_refs_required"]
                if later["qualified_refs_done"] and not is_full:
                    yield Finding("wrong", f"contractor {referrer} fills cycle {later['cycle_no']} too early")
        for key, row in self.before["referrals"].items():
            now = after["referrals"].get(key)
            if row["qualified_at"] and now and now["qualified_at"] != row["qualified_at"]:
                yield Finding("wrong", f"referral {key} qualified a second time")
            if row["cycle_id"] and now and now["cycle_id"] != row["cycle_id"]:
                yield Finding("doubled", f"referral {key} was counted a second time")
        channels = Counter(channel["contractor_id"] for channel in after["channels"].values())
        for key, row in after["referrals"].items():
            if row["cycle_id"] and after["cycles"][row["cycle_id"]]["referrer_id"] != row["referrer_id"]:
                yield Finding("wrong", f"referral {key} was counted for another referrer")
            if row["qualified_at"] and not self.before["referrals"].get(key, row)["qualified_at"]:
                referred = row["referred_contractor_id"]
                has = max(channels[referred], self.channels[referred])
                if has < LEAST_CHANNELS or self._is_blocked_all_along(referred, after):
                    yield Finding("wrong", f"referral {key} qualified without what it takes")
        if settled:
            for key, row in after["referrals"].items():
                referred = after["contractors"][row["referred_contractor_id"]]
                if (
                    channels[referred["id"]] >= LEAST_CHANNELS
                    and referred["status"] != "blocked"
                    and not row["qualified_at"]
                ):
                    yield Finding("lost", f"referral {key} was not counted")
                if row["qualified_at"] and not row["cycle_id"]:
                    yield Finding("lost", f"referral {key} qualified and is in no cycle")

    def _kept(self, after: World, ledger: Ledger) -> Iterator[Finding]:
        """What only the bot writes is as the bot left it."""
        told = self._told(after)
        erased = {
            contractor
            for act in after["acts"].values()
            if act["action"] == "contractor.erased"
            for contractor in act["contractors"]
        }
        detached = {act["target_id"] for act in after["acts"].values() if act["action"] == "referral.detached"}
        for table, (kind, theirs) in KEPT.items():
            for key, row in self.before[table].items():
                if (now := after[table].get(key)) is None:
                    if not (table == "referrals" and key in detached):
                        yield Finding("lost", f"{table}: {key} is gone")
                    continue
                became = told[kind].get(key, {})
                changed = {name for name in row.keys() - theirs if now[name] != row[name]}
                if changed - became.keys() and not self._is_of(table, row, erased):
                    yield Finding("wrong", f"{table}: {key}, nobody says why {sorted(changed)} changed")
        for table, (kind, theirs) in KEPT.items():
            for key, became in told[kind].items():
                if (now := after[table].get(key)) is None or self._is_of(table, now, erased):
                    continue
                if wrong := [
                    name
                    for name, value in became.items()
                    if name in now and name not in theirs and plainly(now[name]) != value
                ]:
                    yield Finding("lost", f"{table}: {key}, an act tells of {wrong} what is not so")
        for key, counter in self.before["usage"].items():
            fallen = after["usage"].get(key, {}).get("channels_created_total", 0) < counter["channels_created_total"]
            if fallen:
                yield Finding("lost", f"contractor {key}: the counter of channels fell")
        tokens = sum(bool(act["token"]) for key, act in after["acts"].items() if key not in self.before["acts"])
        yield from within("acts", tokens, ledger, "act")
        total = sum(row["channels_created_total"] for row in after["usage"].values())
        more = total - sum(row["channels_created_total"] for row in self.before["usage"].values())
        yield from within("channels counted", more, ledger, "channel")
        for table, action in (("channels", "channel"), ("clients", "client")):
            yield from within(table, len(after[table].keys() - self.before[table].keys()), ledger, action)
        for key, row in self.before["publications"].items():
            if after["publications"].get(key, row)["views"] < row["views"]:
                yield Finding("lost", f"publication {key}: views fell")
        for key, row in self.before["invites"].items():
            if after["invites"].get(key, row)["used_count"] < row["used_count"]:
                yield Finding("lost", f"invite {key}: uses fell")
        events = after["events"].keys() | archived(self.archive)
        if gone := self.before["events"].keys() - events:
            yield Finding("lost", f"{len(gone)} events, first {min(gone)}")

    def _is_of(self, table: str, row: Row, contractors: set[int]) -> bool:
        if table == "contractors":
            return row["id"] in contractors
        channel = self.before["channels"].get(row.get("channel_id"))
        owners = {row.get(name) for name in ("contractor_id", "referrer_id", "referred_contractor_id")}
        return bool(contractors & (owners | ({channel["contractor_id"]} if channel else set())))

    def _nothing_is_due(self, after: World) -> Iterator[Finding]:
        """As of a minute ago: time goes on."""
        at = after.at - dt.timedelta(minutes=1)
        live = {row["contractor_id"] for row in after["subscriptions"].values() if is_live_paid(row, at=after.at)}
        for row in after["subscriptions"].values():
            if row["status"] in ("active", "trial", "grace") and row["expires_at"] and row["expires_at"] <= at:
                yield Finding("lost", f"contractor {row['contractor_id']} should have come to an end")
        for key, gift in after["gifts"].items():
            waits = not gift["applied_at"] and not gift["withdrawn_at"]
            is_active = after["contractors"][gift["contractor_id"]]["status"] == "active"
            if waits and is_active and gift["contractor_id"] not in live:
                yield Finding("lost", f"gift {key} of contractor {gift['contractor_id']} was due and not given")

    def _statistics(self, after: World) -> Iterator[Finding]:
        files: dict[int, Counter[str]] = defaultdict(Counter)
        for row in after["publications"].values():
            if not row["deleted"]:
                files[row["channel_id"]] += Counter(files=1, views=row["views"])
        for row in after["clients"].values():
            files[row["channel_id"]] += Counter(clients=1, blocked=int(row["blocked"]))
        for key in after["channels"]:
            stats, of = after["stats"].get(key), files[key]
            said = (
                (stats["files_count"], stats["views_total"], stats["clients_total"], stats["blocked_total"])
                if stats
                else ()
            )
            if said != (of["files"], of["views"], of["clients"], of["blocked"]):
                yield Finding("wrong", f"channel {key}: statistics {said}, counted {dict(of)}")
        newest: dict[int, int] = {}
        for publication, days in after.of("views", "publication_id").items():
            days.sort(key=lambda row: row["collected_at"])
            totals = [row["views"] for row in days]
            newest[publication] = totals[-1]
            if totals != sorted(totals):
                yield Finding("wrong", f"publication {publication}: running totals fall")
        for key, row in after["publications"].items():
            if not row["deleted"] and newest.get(key, 0) != row["views"]:
                yield Finding("lost", f"publication {key}: {row['views']} views, of which {newest.get(key, 0)} stand")
        gained: Counter[int] = Counter()
        daily: dict[Any, Counter[str]] = defaultdict(Counter)
        for row in after["daily"].values():
            gained[row["channel_id"]] += row["views_gained"]
            daily[row["day"]] += Counter({name: row[name] for name in ("files", "joins", "leaves", "views_gained")})
        stand: Counter[int] = Counter()
        for publication, views in newest.items():
            stand[after["publications"][publication]["channel_id"]] += views
        if +gained != +stand:
            wrong = [key for key in gained.keys() | stand.keys() if gained[key] != stand[key]]
            yield Finding("wrong", f"channels {wrong[:3]}: days do not add up to the running totals")
        for day, row in after["totals"].items():
            if any(row[name] != daily[day][name] for name in ("files", "joins", "leaves", "views_gained")):
                yield Finding("wrong", f"{day}: the totals are not the sum of the channels")
        happened = Counter(
            (row["created_at"].date(), row["channel_id"], row["event_type"])
            for row in after["events"].values()
            if row["event_type"] in NAMES
        )
        for (day, channel, kind), times in happened.items():
            figure = next((row[NAMES[kind]] for row in [after["daily"].get(f"({day},{channel})")] if row), 0)
            if figure != times:
                yield Finding("wrong", f"{day}, channel {channel}: {figure} {NAMES[kind]}, of {times} events")


NAMES = {"file_posted": "files", "client_join": "joins", "client_leave": "leaves"}


def plainly(value: Any) -> Any:
    """As the journal tells it."""
    return json.loads(json.dumps(value, cls=DjangoJSONEncoder))


def is_live_paid(row: Row, *, at: dt.datetime) -> bool:
    if row["code"] not in PAID:
        return False
    if row["status"] in ("active", "trial", "grace"):
        return row["expires_at"] is None or row["expires_at"] > at
    return row["status"] == "cancelled" and row["expires_at"] is not None and row["expires_at"] > at


def terms(row: Row) -> tuple[Any, ...]:
    return row["plan_id"], row["status"], row["source"], row["starts_at"], row["expires_at"], row["paid_until"]


def ended(name: str, previous: Row | None, row: Row) -> Iterator[Finding]:
    """Nobody's act: what had come to its end, once, with its days to the second."""
    if previous is None or previous["status"] not in ("active", "trial", "grace"):
        yield Finding("doubled", f"{name}: {row['status']}, and it had ended before")
        return
    graced = (previous["status"], previous["source"], previous["code"] in PAID) == ("active", "paid", True)
    end = previous["expires_at"] + (GRACE if graced else 0 * DAY)
    status = "grace" if end > row["created_at"] else "expired"
    same = all(row[column] == previous[column] for column in ("plan_id", "source", "starts_at"))
    if not same or (row["status"], row["expires_at"]) != (status, end) or previous["expires_at"] > row["created_at"]:
        yield Finding("wrong", f"{name}: {row['status']} until {row['expires_at']} after {terms(previous)}")


def pairs(rows: list[Row]) -> Iterator[tuple[Row, Row]]:
    return ((first, second) for place, first in enumerate(rows) for second in rows[place + 1 :])


def twice(what: str, values: Iterable[Any]) -> Iterator[Finding]:
    for value, times in Counter(values).items():
        if times > 1:
            yield Finding("doubled", f"{what} {value} stands {times} times")


def within(what: str, number: int, ledger: Ledger, action: str) -> Iterator[Finding]:
    if number < ledger.done[action]:
        yield Finding("lost", f"{what}: {ledger.done[action]} were written and {number} are there")
    if number > ledger.tried[action]:
        yield Finding("doubled", f"{what}: {ledger.tried[action]} were tried and {number} are there")
