"""What contractors have been through with their plan. CAREERS names every state that staff should meet."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from billing.models import Gift, Plan, SubscriptionHistory, SubscriptionTerms
from core.models import Contractor
from smetabot.demo.chance import DAY, HOUR
from smetabot.demo.world import World

FREE, PRO, BUSINESS = Plan.Code
PAID, GIFT, TRIAL, GRANT = SubscriptionTerms.Source
Status = SubscriptionTerms.Status

# In days from now: what ended since the last hourly run, which the next one therefore finds.
JUST_NOW = (-0.04, -0.01)


@dataclass(frozen=True)
class Term:
    """A stretch on a plan. `ends` is a range in days from now, or from the start of the term that follows, and is the
    end of grace where there was one. GRACE without any grace is ACTIVE."""

    plan: Plan.Code
    source: SubscriptionTerms.Source
    ends: tuple[float, float] | None
    status: SubscriptionTerms.Status = Status.ACTIVE
    days: int = 30
    renewals: int = 0

    @property
    def length(self) -> dt.timedelta:
        """Without grace."""
        return DAY * self.days * (self.renewals + 1)

    @property
    def has_grace(self) -> bool:
        return self.source == PAID and self.status in (Status.GRACE, Status.EXPIRED)


@dataclass(frozen=True)
class Career:
    """From FREE through `terms` to now. `weight`: how often it is met; `gifts`: how many are pending."""

    weight: int
    terms: tuple[Term, ...] = ()
    gifts: int = 0
    withdrawn: int = 0
    blocked: bool = False


# A small world has the first ones only.
CAREERS = (
    Career(45),
    Career(10, (Term(PRO, PAID, (3, 28)),)),
    Career(2, gifts=1),
    Career(4, (Term(PRO, PAID, (3, 28)),), gifts=1),
    Career(8, (Term(BUSINESS, PAID, (2, 27), renewals=3),)),
    Career(2, blocked=True, gifts=1),
    Career(4, (Term(PRO, GIFT, (2, 28)),)),
    Career(4, (Term(PRO, TRIAL, (1, 13), Status.TRIAL, days=14),)),
    Career(6, (Term(PRO, PAID, (-90, -3), Status.EXPIRED, renewals=1),)),
    Career(3, (Term(PRO, PAID, (0.1, 2.9), Status.GRACE, renewals=2),)),
    Career(3, (Term(PRO, PAID, (5, 25), Status.CANCELLED),)),
    Career(3, (Term(PRO, PAID, (0.2, 2), renewals=4),)),
    Career(8, (Term(PRO, PAID, (1, 27), renewals=6),)),
    Career(3, (Term(PRO, TRIAL, (-20, -5), Status.EXPIRED, days=14), Term(BUSINESS, PAID, (3, 27), renewals=1))),
    Career(2, (Term(PRO, PAID, JUST_NOW),), gifts=2),
    Career(1, (Term(PRO, PAID, JUST_NOW, Status.GRACE),), gifts=1),
    Career(2, (Term(PRO, GIFT, (4, 26)),), gifts=1),
    Career(1, (Term(BUSINESS, GIFT, (2, 13), days=14),), withdrawn=1),
    Career(2, (Term(PRO, PAID, (-0.08, -0.05), Status.EXPIRED), Term(PRO, GIFT, (8, 22)))),
    Career(3, (Term(PRO, TRIAL, (-40, -2), Status.EXPIRED, days=14),)),
    Career(1, (Term(PRO, TRIAL, JUST_NOW, Status.TRIAL, days=14),)),
    Career(2, (Term(PRO, GIFT, (-60, -3), Status.EXPIRED),)),
    Career(2, (Term(BUSINESS, PAID, (-70, -4), Status.EXPIRED, renewals=2),)),
    Career(1, (Term(PRO, PAID, (2, 20), Status.CANCELLED),), gifts=1),
    Career(2, (Term(BUSINESS, PAID, (-30, -2), Status.CANCELLED, renewals=1),)),
    Career(2, (Term(BUSINESS, GRANT, None),)),
    Career(2, (Term(PRO, GRANT, (10, 80), days=90),)),
    Career(1, (Term(PRO, GRANT, (-50, -5), Status.EXPIRED, days=14),)),
    Career(1, (Term(BUSINESS, GRANT, None, Status.CANCELLED),)),
    Career(1, withdrawn=1),
    Career(3, blocked=True),
    Career(1, (Term(PRO, PAID, (4, 24)),), gifts=1, blocked=True),
    Career(1, (Term(PRO, PAID, (-50, -5), Status.EXPIRED),), blocked=True),
)


@dataclass(frozen=True)
class Spell:
    """A term in one contractor's life, with its dates, the grace that is in them and, where one began it, its gift."""

    contractor: Contractor
    term: Term
    starts: dt.datetime
    ends: dt.datetime | None
    grace: dt.timedelta = dt.timedelta()
    gift: Gift | None = None

    @property
    def paid_until(self) -> dt.datetime | None:
        return self.ends - self.grace if self.ends and self.grace else None

    def is_live(self, at: dt.datetime) -> bool:
        if self.term.status == Status.EXPIRED:
            return False
        return self.ends > at if self.ends else self.term.status != Status.CANCELLED

    def history(self, world: World) -> Iterator[SubscriptionHistory]:
        """The rows that it left, oldest first."""
        term, at, now = self.term, self.starts, world.now
        status = Status.TRIAL if term.source == TRIAL else Status.ACTIVE
        if self.ends is None:
            yield self._row(at, status, None, world)
        else:
            ends = at + DAY * term.days
            yield self._row(at, status, ends, world, gift=self.gift)
            for _ in range(term.renewals):
                at, ends = world.chance.between(ends - 3 * DAY, ends), ends + DAY * term.days
                yield self._row(at, status, ends, world)
            # Hourly runs saw that the time was up.
            if self.paid_until:
                seen_at = world.chance.between(ends, ends + HOUR)
                yield self._row(seen_at, Status.GRACE, self.ends, world, paid_until=self.paid_until)
            if term.status == Status.EXPIRED:
                seen_at = world.chance.between(self.ends, min(self.ends + HOUR, now))
                yield self._row(seen_at, Status.EXPIRED, self.ends, world, paid_until=self.paid_until)
        if term.status == Status.CANCELLED:
            yield self._row(world.chance.between(at, min(self.ends or now, now)), term.status, self.ends, world)

    def _row(
        self,
        at: dt.datetime,
        status: SubscriptionTerms.Status,
        ends: dt.datetime | None,
        world: World,
        paid_until: dt.datetime | None = None,
        gift: Gift | None = None,
    ) -> SubscriptionHistory:
        return SubscriptionHistory(
            contractor=self.contractor,
            plan=world.plans[self.term.plan],
            status=status,
            source=self.term.source,
            starts_at=self.starts,
            expires_at=ends,
            paid_until=paid_until,
            created_at=at,
            gift=gift,
        )
