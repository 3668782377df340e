"""What contractors are to one another: who brought whom, what that earned, who works for whom."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator
from operator import attrgetter, itemgetter

from django.conf import settings

from billing.models import Gift, Plan
from core.models import TeamMember
from referrals.models import Referral, ReferralCycle
from smetabot.demo.careers import BUSINESS, GIFT, Spell, Status, Term
from smetabot.demo.chance import DAY, HOUR
from smetabot.demo.lives import FREE_CHANNELS, Life, gift
from smetabot.demo.world import World

CYCLE = 3
MOST_COLLEAGUES = 3


def referrals(everyone: list[Life], world: World) -> list[Referral]:
    """In the order in which they were made."""
    brought = list(_brought(everyone, world))
    _make_second_channels(brought, world)
    return [
        Referral(
            referrer=referrer.contractor,
            referred_contractor=referred.contractor,
            created_at=referred.created,
            qualified_at=_qualified_at(referred, world),
        )
        for referrer, referred in brought
    ]


def cycles(everyone: list[Life], made: list[Referral], world: World) -> list[ReferralCycle]:
    """The bot makes the first one with the contractor; another is made when a referral needs it. Each referral is told
    its cycle, each full cycle its gift."""
    qualified: dict[int, list[Referral]] = defaultdict(list)
    # Those of one run stay in the order in which they were made.
    for referral in sorted((one for one in made if one.qualified_at), key=attrgetter("qualified_at")):
        qualified[referral.referrer_id].append(referral)
    return [cycle for life in everyone for cycle in _cycles(life, qualified[life.contractor.pk], world)]


def team(owner: Life, everyone: list[Life], world: World) -> Iterator[TeamMember]:
    spell = owner.live_spell(world.now)
    if spell is None or spell.term.plan != BUSINESS:
        return
    size = min(world.chance.randint(0, MOST_COLLEAGUES), len(everyone))
    for member in world.chance.sample(everyone, size):
        if member is not owner:
            yield TeamMember(
                owner_contractor=owner.contractor,
                member_contractor=member.contractor,
                added_at=world.chance.between(max(spell.starts, member.created), world.now),
            )


def _can_be_rewarded(life: Life, world: World) -> bool:
    """Only those of whom it is plain what has become of a reward: on FREE all the time, or on a plan ever since."""
    never_had_any = not life.career.terms and not life.career.gifts
    return never_had_any or life.live_spell(world.now) is not None


def _rewarded_from(life: Life, world: World) -> dt.datetime:
    spell = life.live_spell(world.now)
    return spell.starts if spell else life.created


def _brought(everyone: list[Life], world: World) -> Iterator[tuple[Life, Life]]:
    """Four in ten came by one of the few who bring others, and who were there before them: so no circle closes."""
    ambassadors = [life for life in everyone if _can_be_rewarded(life, world)]
    ambassadors = world.chance.sample(ambassadors, len(ambassadors) // 10)
    to_come = sorted(ambassadors, key=lambda life: _rewarded_from(life, world), reverse=True)
    there: list[Life] = []
    for life in everyone:
        while to_come and _rewarded_from(to_come[-1], world) < life.created:
            there.append(to_come.pop())
        if there and world.chance.happens(0.4):
            yield world.chance.choice(there), life


def _make_second_channels(brought: list[tuple[Life, Life]], world: World) -> None:
    """A few who had one channel made another since the last hourly run. Wherever it can be, that fills a cycle."""
    by_referrer: dict[int, list[Life]] = defaultdict(list)
    for referrer, referred in brought:
        by_referrer[referrer.contractor.pk].append(referred)
    by_distance: list[tuple[int, list[Life]]] = []
    for everyone in by_referrer.values():
        short = CYCLE - sum(_meets_condition(life) for life in everyone) % CYCLE
        ready = [life for life in everyone if _lacks_a_channel(life)][:short]
        # Who cannot fill theirs comes last.
        by_distance.append((short if len(ready) == short else CYCLE + 1, ready))
    by_distance.sort(key=itemgetter(0))
    for number, (_, ready) in enumerate(by_distance):
        if number < 3 or world.chance.happens(0.02):
            for life in ready:
                life.make_channel(world.chance.between(world.now - HOUR, world.now), world)


def _meets_condition(life: Life) -> bool:
    return not life.career.blocked and len(life.channels) >= 2


def _lacks_a_channel(life: Life) -> bool:
    """And may make it."""
    return not life.career.blocked and len(life.channels) == 1 and len(life.made) < FREE_CHANNELS


def _qualified_at(life: Life, world: World) -> dt.datetime | None:
    """By the first hourly run after the second of the channels that still stand, unless that run is the next one."""
    if not _meets_condition(life):
        return None
    second = sorted(channel.created_at for channel in life.channels)[1]
    hours = (world.now - second) // HOUR
    return world.now - hours * HOUR if hours else None


def _cycles(life: Life, qualified: list[Referral], world: World) -> Iterator[ReferralCycle]:
    for start in range(0, max(len(qualified), 1), CYCLE):
        counted = qualified[start : start + CYCLE]
        moments = [referral.qualified_at for referral in counted if referral.qualified_at]
        cycle = ReferralCycle(
            referrer=life.contractor,
            cycle_no=start // CYCLE + 1,
            qualified_refs_required=CYCLE,
            qualified_refs_done=len(counted),
            state=ReferralCycle.State.IN_PROGRESS,
            created_at=moments[0] if start else life.created,
        )
        for referral in counted:
            referral.cycle = cycle
        if len(counted) == CYCLE:
            cycle.state = ReferralCycle.State.REWARD_QUEUED
            cycle.completed_at = moments[-1]
            cycle.gift = _reward(life, moments[-1], world)
        yield cycle


def _reward(life: Life, queued_at: dt.datetime, world: World) -> Gift:
    """A contractor who was on FREE all the time has had it since the next hourly run, or since the gift before it
    ended; everyone else's still waits."""
    plan, days = Plan.Code(settings.REFERRAL_REWARD_PLAN), settings.REFERRAL_REWARD_DAYS
    earned = gift(life.contractor, world, queued_at=queued_at, plan=plan, days=days, reason=Gift.Reason.REFERRAL_REWARD)
    life.gifts.append(earned)
    if life.career.terms or life.career.blocked:
        return earned
    starts = world.chance.between(queued_at, queued_at + HOUR)
    if life.spells and life.spells[-1].ends:
        starts = max(starts, life.spells[-1].ends + HOUR)
    if starts < world.now:
        earned.applied_at = starts
        ends = starts + DAY * days
        status = Status.ACTIVE if ends > world.now - HOUR else Status.EXPIRED
        life.spells.append(Spell(life.contractor, Term(plan, GIFT, None, status, days), starts, ends, gift=earned))
    return earned
