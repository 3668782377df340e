"""What contractors are to one another: who brought whom, what that earned, who works for whom."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator

from billing.models import Gift
from core.models import TeamMember
from referrals.models import Referral, ReferralCycle
from smetabot.demo.careers import BUSINESS, GIFT, PRO, Spell, Status, Term
from smetabot.demo.chance import DAY, HOUR
from smetabot.demo.lives import Life, gift
from smetabot.demo.world import World

CYCLE = 3
REWARD_DAYS = 30
MOST_COLLEAGUES = 3


def referrals(everyone: list[Life], world: World) -> list[Referral]:
    """Four in ten came by one of the few who bring others, and who were there before them: so no circle closes."""
    ambassadors = [life for life in everyone if _can_be_rewarded(life, world)]
    ambassadors = world.chance.sample(ambassadors, len(ambassadors) // 10)
    to_come = sorted(ambassadors, key=lambda life: _rewarded_from(life, world), reverse=True)
    there: list[Life] = []
    made = []
    for life in everyone:
        while to_come and _rewarded_from(to_come[-1], world) < life.created:
            there.append(to_come.pop())
        if there and world.chance.happens(0.4):
            made.append(
                Referral(
                    referrer=world.chance.choice(there).contractor,
                    referred_contractor=life.contractor,
                    created_at=life.created,
                    qualified_at=_qualified_at(life),
                )
            )
    return made


def cycles(everyone: list[Life], made: list[Referral]) -> list[ReferralCycle]:
    """The bot makes the first one with the contractor; another is made when a referral needs it."""
    qualified: dict[int, list[dt.datetime]] = defaultdict(list)
    for referral in made:
        if referral.qualified_at:
            qualified[referral.referrer_id].append(referral.qualified_at)
    return [cycle for life in everyone for cycle in _cycles(life, sorted(qualified[life.contractor.pk]))]


def reward(life: Life, completed_at: dt.datetime, world: World) -> None:
    """Queue a cycle's gift. A contractor who was on FREE all the time has had it since the next hourly run, or since
    the gift before it ended; everyone else's still waits."""
    earned = gift(life.contractor, world, queued_at=completed_at, days=REWARD_DAYS, reason=Gift.Reason.REFERRAL_REWARD)
    life.gifts.append(earned)
    if life.career.terms or life.career.blocked:
        return
    starts = world.chance.between(completed_at, completed_at + HOUR)
    if life.spells and life.spells[-1].ends:
        starts = max(starts, life.spells[-1].ends + HOUR)
    if starts < world.now:
        earned.applied_at = starts
        ends = starts + DAY * REWARD_DAYS
        status = Status.ACTIVE if ends > world.now else Status.EXPIRED
        life.spells.append(Spell(life.contractor, Term(PRO, GIFT, None, status, REWARD_DAYS), starts, ends, earned))


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


def _qualified_at(life: Life) -> dt.datetime | None:
    """With the second of the channels that still stand."""
    if life.career.blocked or len(life.channels) < 2:
        return None
    return sorted(channel.created_at for channel in life.channels)[1]


def _cycles(life: Life, qualified: list[dt.datetime]) -> Iterator[ReferralCycle]:
    for start in range(0, max(len(qualified), 1), CYCLE):
        counted = qualified[start : start + CYCLE]
        full = len(counted) == CYCLE
        yield ReferralCycle(
            referrer=life.contractor,
            cycle_no=start // CYCLE + 1,
            qualified_refs_required=CYCLE,
            qualified_refs_done=len(counted),
            state=ReferralCycle.State.REWARD_QUEUED if full else ReferralCycle.State.IN_PROGRESS,
            created_at=counted[0] if start else life.created,
            completed_at=counted[-1] if full else None,
        )
