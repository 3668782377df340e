"""Contractors, each with what became of them, thought out before the first row is written."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field

from billing.models import Gift, Plan, Subscription, SubscriptionHistory, UsageCounter
from core.models import Channel, Contractor
from smetabot.demo.careers import CAREERS, FREE, GIFT, PAID, PRO, TRIAL, Career, Spell, Status
from smetabot.demo.chance import DAY, HOUR
from smetabot.demo.world import World

OLDEST = 400 * DAY
FREE_CHANNELS = 5
MOST_CHANNELS = 12


@dataclass
class Life:
    """One contractor. `made`: when the bot made each channel, those since deleted included."""

    contractor: Contractor
    career: Career
    spells: list[Spell] = field(default_factory=list)
    gifts: list[Gift] = field(default_factory=list)
    made: list[dt.datetime] = field(default_factory=list)
    channels: list[Channel] = field(default_factory=list)

    @property
    def created(self) -> dt.datetime:
        return self.contractor.created_at

    def live_spell(self, at: dt.datetime) -> Spell | None:
        return self.spells[-1] if self.spells and self.spells[-1].is_live(at) else None

    def make_channel(self, made_at: dt.datetime, world: World) -> None:
        """One more, still standing."""
        self.made.append(made_at)
        self.channels.append(_channel(self, made_at, world))

    def usage(self) -> UsageCounter:
        return UsageCounter(
            contractor=self.contractor,
            channels_created_total=len(self.made),
            last_channel_created_at=max(self.made, default=None),
        )

    def history(self, world: World) -> Iterator[SubscriptionHistory]:
        """The bot's own first row, then what each spell left."""
        yield SubscriptionHistory(
            contractor=self.contractor,
            plan=world.plans[FREE],
            status=Status.ACTIVE,
            source=TRIAL,
            starts_at=self.created,
            expires_at=None,
            created_at=self.created,
            gift=None,
        )
        for spell in self.spells:
            yield from spell.history(world)


def subscription(newest: SubscriptionHistory) -> Subscription:
    """The row that this one is a copy of. For a new contractor the bot leaves the source there to its default."""
    new = newest.source == TRIAL and newest.expires_at is None
    return Subscription(
        contractor_id=newest.contractor_id,
        plan_id=newest.plan_id,
        status=newest.status,
        source=PAID if new else newest.source,
        starts_at=newest.starts_at or newest.created_at,
        expires_at=newest.expires_at,
        paid_until=newest.paid_until,
    )


def lives(count: int, world: World) -> list[Life]:
    """In the order in which they began. Every career once, then as often as its weight says."""
    weights = [career.weight for career in CAREERS]
    careers = [*CAREERS, *world.chance.choices(CAREERS, weights, k=count)][:count]
    begun = [_life(career, world) for career in careers]
    return sorted(begun, key=lambda life: life.created)


def gift(
    contractor: Contractor,
    world: World,
    *,
    queued_at: dt.datetime,
    applied_at: dt.datetime | None = None,
    withdrawn_at: dt.datetime | None = None,
    plan: Plan.Code = PRO,
    days: int = 30,
    reason: Gift.Reason = Gift.Reason.ADMIN_GRANT,
) -> Gift:
    return Gift(
        contractor=contractor,
        plan=world.plans[plan],
        days=days,
        reason=reason,
        queued_at=queued_at,
        applied_at=applied_at,
        withdrawn_at=withdrawn_at,
    )


def _life(career: Career, world: World) -> Life:
    contractor = Contractor(
        **world.words.person()._asdict(),
        status=Contractor.Status.BLOCKED if career.blocked else Contractor.Status.ACTIVE,
        bonus_channels=world.chance.randint(1, 3) if not career.terms and world.chance.happens(0.1) else None,
    )
    life = Life(contractor, career)
    life.spells = _spells(life, world)
    contractor.created_at = _beginning(life, world)
    life.gifts = [spell.gift for spell in life.spells if spell.gift] + _queued_gifts(life, world)
    life.made = _channel_moments(life, world)
    life.channels = [channel for made_at in life.made for channel in _channels(life, made_at, world)]
    return life


def _spells(life: Life, world: World) -> list[Spell]:
    """Dated backwards from now, as the terms are written down."""
    spells: list[Spell] = []
    next_start = world.now
    for term in reversed(life.career.terms):
        grace = world.grace if term.has_grace else dt.timedelta()
        ends = None
        if term.ends:
            least, most = term.ends
            # However short grace is, it has begun.
            ends = next_start + world.chance.days(least, min(most, grace / DAY - 0.1) if grace else most)
        starts = ends - grace - term.length if ends else next_start - world.chance.days(10, 100)
        applied = None
        if term.source == GIFT:
            queued_at = world.chance.between(starts - HOUR, starts)
            applied = gift(
                life.contractor, world, queued_at=queued_at, applied_at=starts, plan=term.plan, days=term.days
            )
        spells.insert(0, Spell(life.contractor, term, starts, ends, grace, applied))
        next_start = starts
    return spells


def _beginning(life: Life, world: World) -> dt.datetime:
    if life.spells:
        return life.spells[0].starts - world.chance.days(0.5, 60)
    return world.now - 2 * HOUR - OLDEST * world.chance.random() ** 1.4


def _queued_gifts(life: Life, world: World) -> list[Gift]:
    """Behind a live spell they wait; else they came after the last hourly run, and the next one applies the oldest."""
    between = world.chance.between
    spell = life.live_spell(world.now)
    since = spell.starts if spell else world.now - HOUR
    moments = [between(since, world.now) for _ in range(life.career.gifts + life.career.withdrawn)]
    return [
        gift(
            life.contractor,
            world,
            queued_at=queued_at,
            withdrawn_at=between(queued_at, world.now) if number < life.career.withdrawn else None,
            days=world.chance.choice([14, 30, 90]),
        )
        for number, queued_at in enumerate(moments)
    ]


def _channel_moments(life: Life, world: World) -> list[dt.datetime]:
    """More than a FREE contractor may make they make while a plan allows it."""
    wanted = min(int(world.chance.lognormvariate(0.75, 0.7)), MOST_CHANNELS)
    free = min(wanted, FREE_CHANNELS + (life.contractor.bonus_channels or 0))
    moments = [world.chance.between(life.created, world.now) for _ in range(free)]
    if life.spells:
        spell = life.spells[-1]
        until = min(spell.ends or world.now, world.now)
        moments += [world.chance.between(spell.starts, until) for _ in range(wanted - free)]
    return sorted(moments)


def _channels(life: Life, made_at: dt.datetime, world: World) -> Iterator[Channel]:
    """What stands of one that the bot made: mostly that one, at times nothing, at times one of the contractor's own."""
    chance = world.chance
    (fate,) = chance.choices(["stands", "deleted", "replaced"], [92, 4, 4])
    if fate == "deleted":
        return
    if fate == "stands":
        yield _channel(life, made_at, world)
    else:
        yield _channel(life, chance.between(made_at, world.now), world, created_by_bot=False)


def _channel(life: Life, created_at: dt.datetime, world: World, *, created_by_bot: bool = True) -> Channel:
    chance, now = world.chance, world.now
    spell = life.live_spell(now)
    synced = spell is not None and chance.happens(0.5)
    return Channel(
        contractor=life.contractor,
        title=world.words.channel_title(),
        username=world.words.channel_username() if chance.happens(0.15) else None,
        created_by_bot=created_by_bot,
        synced=synced,
        last_synced_at=chance.between(max(created_at, spell.starts), now) if spell and synced else None,
        created_at=created_at,
    )
