"""Random histories: the bot in plain SQL, staff, cron in any order and two at once, and a clock that jumps.

After each step every derived number agrees with its source, and what the step did to whom is held against rules that
are told here a second time, row by row. HYPOTHESIS_EXAMPLES=1000 looks longer, each time at other histories, and
shrinks what it finds.
"""

import datetime as dt
import os
import threading
from collections import Counter
from decimal import Decimal
from typing import NamedTuple

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from analytics.models import ViewsDaily
from analytics.statistics import aggregate_stats, recount_channels
from billing.gifts import apply_gifts, queue_gift, withdraw_gift
from billing.models import Gift, Plan, Subscription, SubscriptionHistory
from billing.subscriptions import activate, cancel, change_plan, expire_subscriptions, extend
from core.models import Channel, Contractor, Publication
from referrals.attribution import attach, detach
from referrals.cycles import advance_referrals
from referrals.models import Referral, ReferralCycle
from smetabot.management.commands.check_data import CHECKS
from smetabot.tests import bot

DAY = dt.timedelta(days=1)
GRACE = 3 * DAY
PRICE = {"PRO": Decimal(590), "BUSINESS": Decimal(1490)}

JOBS = {
    "expire": expire_subscriptions,
    "advance": advance_referrals,
    "gifts": apply_gifts,
    "snapshot": aggregate_stats,
}

# Which row of a table, in the order of their ids, whatever their number is.
which = st.integers(0, 3) | st.integers(0, 11)
days = st.integers(1, 40)
paid_plans = st.sampled_from(["PRO", "BUSINESS"])


class Terms(NamedTuple):
    code: str
    status: str
    source: str
    starts_at: dt.datetime
    expires_at: dt.datetime | None
    paid_until: dt.datetime | None

    def is_live(self, now: dt.datetime) -> bool:
        if self.expires_at is None:
            return self.status in ("active", "trial", "grace")
        return self.status in ("active", "trial", "grace", "cancelled") and self.expires_at > now

    def is_live_paid(self, now: dt.datetime) -> bool:
        return self.code in PRICE and self.is_live(now)

    def as_timely(self, now: dt.datetime) -> "Terms":
        """What runs of expire_subscriptions at every moment would have made of it."""
        if self.status not in ("active", "trial", "grace") or self.expires_at is None or self.expires_at > now:
            return self
        if (self.status, self.source) == ("active", "paid") and self.code in PRICE:
            in_grace = self._replace(status="grace", paid_until=self.expires_at, expires_at=self.expires_at + GRACE)
            return in_grace.as_timely(now)
        return self._replace(status="expired")

    @property
    def end(self) -> dt.datetime | None:
        """Of what was given, grace left out."""
        return self.paid_until or self.expires_at

    def worth(self, now: dt.datetime) -> Decimal:
        """Of the days left, in the price of a month times seconds."""
        left = self.end - max(now, self.starts_at)
        return PRICE[self.code] * (Decimal(left // dt.timedelta(microseconds=1)) / 1_000_000)


COLUMNS = ("contractor", "plan__code", "status", "source", "starts_at", "expires_at", "paid_until")


def subscriptions() -> dict[int, Terms]:
    return {contractor: Terms(*terms) for contractor, *terms in Subscription.objects.values_list(*COLUMNS)}


def recorded() -> Counter[int]:
    """How many history rows each contractor has."""
    return Counter(SubscriptionHistory.objects.values_list("contractor", flat=True))


def assert_recorded(before: dict[int, Terms], after: dict[int, Terms]) -> None:
    """Of what we changed, unlike of what the bot did, the newest history row is a copy in every column."""
    rows = SubscriptionHistory.objects.order_by("contractor", "-pk").distinct("contractor").values_list(*COLUMNS)
    newest = {contractor: Terms(*terms) for contractor, *terms in rows}
    changed = [contractor for contractor in after if after[contractor] != before.get(contractor)]
    assert {who: newest[who] for who in changed} == {who: after[who] for who in changed}


class World(RuleBasedStateMachine):
    """What all histories have: some contractors, a clock that jumps, cron, and what holds after each step."""

    def __init__(self) -> None:
        super().__init__()
        self.now = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
        self.drawn = 0
        # Which referrals each cycle ever counted, those included whose contractor is gone.
        self.counted: dict[int, set[int]] = {}
        self.qualified: dict[int, dt.datetime] = {}

    def teardown(self) -> None:
        bot.run("DELETE FROM core.contractors")
        bot.run("DELETE FROM analytics.events")

    def next_number(self) -> int:
        self.drawn += 1
        return self.drawn

    def some(self, rows, which: int) -> int | None:
        found = list(rows.order_by("pk").values_list("pk", flat=True))
        return found[which % len(found)] if found else None

    def contractor(self, which: int) -> int | None:
        return self.some(Contractor.objects, which)

    @initialize(how_many=st.integers(1, 3))
    def there_are_some(self, how_many: int) -> None:
        for _ in range(how_many):
            bot.meet(self.next_number())

    @rule(owner=which)
    def bot_makes_a_channel(self, owner: int) -> None:
        if owner_id := self.contractor(owner):
            bot.make_channel(owner_id, -self.next_number())

    @rule(channel=which)
    def a_channel_goes(self, channel: int) -> None:
        bot.run("DELETE FROM core.channels WHERE id = %s", self.some_channel(channel))

    def some_channel(self, which: int) -> int | None:
        return self.some(Channel.objects, which)

    @rule(hours=st.integers(1, 24) | st.sampled_from([24 * 3, 24 * 30, 24 * 90, -1, -24 * 5]))
    def the_clock_jumps(self, hours: int) -> None:
        self.now += dt.timedelta(hours=hours)

    @rule(job=st.sampled_from(sorted(JOBS)))
    def cron_runs(self, job: str) -> None:
        self.cron(job)

    @rule(job=st.sampled_from(sorted(JOBS)), other=st.sampled_from(sorted(JOBS)))
    def cron_runs_two_at_once(self, job: str, other: str) -> None:
        """With something to do for both."""
        pro = Plan.objects.get(code="PRO")
        for contractor in Contractor.objects.all():
            queue_gift(contractor=contractor.pk, plan=pro, days=1, now=self.now)
        ends = (
            Subscription.objects.order_by("-expires_at").exclude(expires_at=None).values_list("expires_at", flat=True)
        )
        if ends and ends[0] > self.now:
            self.now = ends[0]
        self.cron(job, other)

    def cron(self, *jobs: str) -> None:
        before, applied_before, recorded_before = subscriptions(), set(self.applied()), recorded()
        uncounted = list(Referral.objects.filter(cycle=None))
        of_deleted = ViewsDaily.objects.filter(publication__deleted=True)
        left_alone = list(of_deleted.order_by("pk").values_list())
        waiting = {gift.contractor_id: gift for gift in Gift.objects.pending().order_by("-queued_at", "-pk")}
        at_once([lambda job=job: JOBS[job](now=self.now) for job in jobs])
        newly_applied = Gift.objects.filter(pk__in=set(self.applied()) - applied_before)
        started = {gift.contractor_id: gift for gift in newly_applied}
        assert len(started) == len(newly_applied)
        after = subscriptions()
        assert_recorded(before, after)
        rows = recorded() - recorded_before
        assert rows.keys() == {who for who in after if after[who] != before.get(who)}
        # What one ends the other may replace by a gift.
        assert all(count <= len({*jobs} - {"advance", "snapshot"}) for count in rows.values())
        if "advance" in jobs:
            self.every_qualified_referral_is_counted(uncounted)
        if "snapshot" in jobs:
            self.every_total_is_in_the_daily_views()
            assert list(of_deleted.order_by("pk").values_list()) == left_alone
        blocked = set(Contractor.objects.filter(status="blocked").values_list("pk", flat=True))
        for contractor, became in after.items():
            was = before[contractor]
            in_time = was.as_timely(self.now) if "expire" in jobs else was
            if gift := started.get(contractor):
                assert "gifts" in jobs and contractor not in blocked and not was.is_live_paid(self.now)
                assert gift == waiting.get(contractor, gift)
                ends = self.now + gift.days * DAY
                assert became == Terms(gift.plan.code, "active", "gift", self.now, ends, None)
            else:
                assert became == in_time
                if "gifts" in jobs and contractor in waiting and contractor not in blocked:
                    assert in_time.is_live_paid(self.now)

    def every_qualified_referral_is_counted(self, uncounted: list[Referral]) -> None:
        """And those that were not so far, the oldest first, each in the lowest cycle that had a place left."""
        assert not Referral.objects.filter(progress__qualified=True, cycle=None).exists()
        places: dict[int, list[int]] = {}
        for referral in sorted(uncounted, key=lambda referral: (referral.created_at, referral.pk)):
            found = Referral.objects.select_related("cycle").filter(pk=referral.pk).first()
            if found and found.cycle:
                places.setdefault(found.referrer_id, []).append(found.cycle.cycle_no)
        assert all(cycles == sorted(cycles) for cycles in places.values())
        for referrer in Contractor.objects.prefetch_related("referral_cycles"):
            cycles = sorted(referrer.referral_cycles.all(), key=lambda cycle: cycle.cycle_no)
            assert [cycle.cycle_no for cycle in cycles] == list(range(1, len(cycles) + 1))
            # Only the last one is open, and only as many were made as there are referrals in them.
            assert all(cycle.state == "reward_queued" for cycle in cycles[:-1])
            assert all(cycle.qualified_refs_done for cycle in cycles[1:])

    def every_total_is_in_the_daily_views(self) -> None:
        """But for what was written for a later day already, before the clock was put back."""
        today = self.now.date()
        for publication in Publication.objects.prefetch_related("views_daily"):
            rows = sorted(publication.views_daily.all(), key=lambda row: row.collected_at)
            totals = [0, *(row.views for row in rows)]
            assert all(before != after for before, after in zip(totals, totals[1:], strict=False))
            if not publication.deleted and (not rows or rows[-1].collected_at <= today):
                assert totals[-1] == publication.views

    def applied(self):
        return Gift.objects.exclude(applied_at=None).values_list("pk", flat=True)

    @invariant()
    def every_number_agrees_with_its_source(self) -> None:
        recount_channels(now=self.now)
        assert [finding for check in CHECKS for finding in check.find()] == []

    @invariant()
    def no_gift_is_given_twice(self) -> None:
        given = SubscriptionHistory.objects.exclude(gift=None).values_list("gift", flat=True)
        assert Counter(self.applied()) == Counter(given)

    @invariant()
    def a_referral_qualifies_once(self) -> None:
        qualified = dict(Referral.objects.exclude(qualified_at=None).values_list("pk", "qualified_at"))
        assert qualified == qualified | {pk: at for pk, at in self.qualified.items() if pk in qualified}
        assert not Referral.objects.filter(pk__in=self.qualified.keys() - qualified.keys()).exists()
        self.qualified |= qualified

    @invariant()
    def each_full_cycle_and_no_other_earned_one_gift(self) -> None:
        for referral, cycle in Referral.objects.exclude(cycle=None).values_list("pk", "cycle"):
            self.counted.setdefault(cycle, set()).add(referral)
        gifts = Gift.objects.filter(reason="referral_reward")
        assert set(gifts.values_list("plan__code", "days")) <= {("PRO", 30)}
        rewards = Counter(gifts.values_list("contractor", flat=True))
        full: Counter[int] = Counter()
        for cycle in ReferralCycle.objects.all():
            assert cycle.qualified_refs_done == len(self.counted.get(cycle.pk, ()))
            is_full = cycle.qualified_refs_done == cycle.qualified_refs_required
            assert cycle.state == ("reward_queued" if is_full else "in_progress")
            full[cycle.referrer_id] += is_full
        assert rewards == +full


class Plans(World):
    @rule(days=st.integers(1, 6), jobs=st.permutations(["expire", "gifts"]))
    def days_go_by(self, days: int, jobs: list[str]) -> None:
        for _ in range(days):
            self.now += DAY
            for job in jobs:
                self.cron(job)

    @rule(who=which, code=paid_plans, ends_in=days)
    def bot_is_paid(self, who: int, code: str, ends_in: int) -> None:
        self.bot_writes(who, code, "active", "paid", ends_in)

    @rule(
        who=which,
        code=st.sampled_from(["FREE", "PRO", "BUSINESS"]),
        status=st.sampled_from(Subscription.Status.values),
        source=st.sampled_from(Subscription.Source.values),
        ends_in=st.none() | days,
    )
    def bot_writes_a_subscription(self, who: int, code: str, status: str, source: str, ends_in: int | None) -> None:
        """Every combination that the checks allow."""
        self.bot_writes(who, code, status, source, ends_in)

    def bot_writes(self, who: int, code: str, status: str, source: str, ends_in: int | None) -> None:
        if not (contractor := self.contractor(who)):
            return
        bot.run(
            "INSERT INTO billing.subscriptions (contractor_id, plan_id, status, source, starts_at, expires_at)"
            " SELECT %s, id, %s, %s, %s, %s FROM billing.plans WHERE code = %s"
            " ON CONFLICT (contractor_id) DO UPDATE SET plan_id = excluded.plan_id, status = excluded.status,"
            " source = excluded.source, starts_at = excluded.starts_at, expires_at = excluded.expires_at",
            *[contractor, status, source, self.now, ends_in and self.now + ends_in * DAY, code],
        )
        bot.run(
            "INSERT INTO billing.subscription_history (contractor_id, plan_id, status, source, starts_at, expires_at)"
            " SELECT contractor_id, plan_id, status, source, starts_at, expires_at FROM billing.subscriptions"
            " WHERE contractor_id = %s",
            contractor,
        )
        # It says nothing of what was paid for before: staff renew from what it wrote.
        assert subscriptions()[contractor].paid_until is None

    @rule(who=which, status=st.sampled_from(["blocked", "active"]))
    def a_contractor_is_blocked_or_not(self, who: int, status: str) -> None:
        bot.run("UPDATE core.contractors SET status = %s WHERE id = %s", status, self.contractor(who))

    @rule(subscription=which, after=st.sampled_from([-1, 0, 1, 24, 48, 71, 72, 73, 24 * 30]))
    def the_clock_jumps_to_where_something_ends(self, subscription: int, after: int) -> None:
        ends = Subscription.objects.exclude(expires_at=None).order_by("pk").values_list("expires_at", flat=True)
        if ends:
            self.now = ends[subscription % len(ends)] + dt.timedelta(hours=after)

    def staff(self, operation, **arguments):
        """Returns the one subscription that it was about, before and after; None when it was refused."""
        before, history = subscriptions(), SubscriptionHistory.objects.count()
        who = arguments["contractor"]
        try:
            operation(now=self.now, **arguments)
        except ValidationError:
            assert (subscriptions(), SubscriptionHistory.objects.count()) == (before, history)
            return None
        after = subscriptions()
        assert_recorded(before, after)
        assert SubscriptionHistory.objects.count() == history + 1
        assert {**before, who: None} == {**after, who: None}
        was = before.get(who, Terms("FREE", "active", "paid", self.now, None, None))
        return was.as_timely(self.now), after[who]

    @rule(who=which, code=paid_plans, how_long=days, paid=st.booleans())
    def staff_activate(self, who: int, code: str, how_long: int, paid: bool) -> None:
        if not (contractor := self.contractor(who)):
            return
        change = self.staff(
            activate,
            contractor=contractor,
            plan=Plan.objects.get(code=code),
            days=how_long,
            payment_reference=f"inv-{self.next_number()}" if paid else None,
        )
        if not change:
            return
        was, became = change
        assert (became.code, became.status, became.paid_until) == (code, "active", None)
        assert became.source == ("paid" if paid else "admin_grant")
        assert became.expires_at > self.now
        if not was.is_live_paid(self.now):
            assert (became.starts_at, became.expires_at) == (self.now, self.now + how_long * DAY)
        elif was.code == code or was.source != "paid" or was.end <= self.now:
            assert (became.starts_at, became.expires_at) == (was.starts_at, was.end + how_long * DAY)
        else:
            added = became.worth(self.now) - was.worth(self.now) - how_long * 86_400 * PRICE[code]
            assert 0 <= added <= PRICE[code]

    @rule(who=which, how_long=days | days.map(lambda days: -days))
    def staff_extend(self, who: int, how_long: int) -> None:
        if not (contractor := self.contractor(who)):
            return
        if change := self.staff(extend, contractor=contractor, days=how_long):
            was, became = change
            assert was.is_live(self.now) and became.expires_at > self.now
            assert (became.code, became.source, became.starts_at) == (was.code, was.source, was.starts_at)
            if how_long > 0:
                assert became.expires_at == was.end + how_long * DAY
            else:
                assert was.expires_at >= became.expires_at >= was.expires_at + how_long * DAY

    @rule(who=which, code=paid_plans)
    def staff_change_the_plan(self, who: int, code: str) -> None:
        if not (contractor := self.contractor(who)):
            return
        if change := self.staff(change_plan, contractor=contractor, plan=Plan.objects.get(code=code)):
            was, became = change
            assert was.is_live_paid(self.now) and became._replace(code=was.code, expires_at=was.expires_at) == was
            if was.expires_at is None or was.source != "paid":
                assert became.expires_at == was.expires_at
            else:
                assert 0 <= became.worth(self.now) - was.worth(self.now) <= PRICE[code]

    @rule(who=which)
    def staff_cancel(self, who: int) -> None:
        if not (contractor := self.contractor(who)):
            return
        if change := self.staff(cancel, contractor=contractor):
            was, became = change
            assert was.is_live_paid(self.now) and became == was._replace(status="cancelled")

    @rule(who=which, code=paid_plans, how_long=days)
    def staff_queue_a_gift(self, who: int, code: str, how_long: int) -> None:
        if contractor := self.contractor(who):
            queue_gift(contractor=contractor, plan=Plan.objects.get(code=code), days=how_long, now=self.now)

    @rule(gift=which)
    def staff_withdraw_a_gift(self, gift: int) -> None:
        if found := self.some(Gift.objects, gift):
            pending = Gift.objects.pending().filter(pk=found).exists()
            try:
                withdraw_gift(gift=found, now=self.now)
                assert pending
            except ValidationError:
                assert not pending


class Referrals(World):
    @rule()
    def what_counts_referrals_runs(self) -> None:
        self.cron("advance")

    @rule()
    def bot_meets_somebody(self) -> None:
        bot.meet(self.next_number())

    def bot_meets_somebody_by_a_link(self, referrer: int) -> None:
        referrer_id = self.contractor(referrer)
        if referrer_id:
            referred = bot.meet(self.next_number())
            bot.run(
                "INSERT INTO referrals.referrals (referrer_id, referred_contractor_id) VALUES (%s, %s)",
                referrer_id,
                referred,
            )
            for _ in range(2):
                bot.make_channel(referred, -self.next_number())

    @rule(who=which)
    def a_contractor_is_deleted(self, who: int) -> None:
        bot.run("DELETE FROM core.contractors WHERE id = %s", self.contractor(who))

    @rule(referrer=which, required=st.integers(1, 4))
    def an_operator_changes_what_an_open_cycle_requires(self, referrer: int, required: int) -> None:
        bot.run(
            "UPDATE referrals.referral_cycles SET qualified_refs_required = %s"
            " WHERE referrer_id = %s AND state = 'in_progress' AND qualified_refs_done < %s",
            *[required, self.contractor(referrer), required],
        )

    @rule(referrer=which, referred=st.integers(2, 8))
    def bot_meets_several_by_one_link(self, referrer: int, referred: int) -> None:
        for _ in range(referred):
            self.bot_meets_somebody_by_a_link(referrer)

    @rule(referrer=which, referred=which)
    def staff_attach_a_referral(self, referrer: int, referred: int) -> None:
        first, second = self.contractor(referrer), self.contractor(referred)
        if not (first and second):
            return
        brought_by = dict(Referral.objects.values_list("referred_contractor", "referrer"))
        above = [first]
        while above[-1] in brought_by and brought_by[above[-1]] not in above:
            above.append(brought_by[above[-1]])
        try:
            attach(referrer=first, referred=second, now=self.now)
            assert second not in brought_by and second not in above
        except ValidationError:
            assert second in brought_by or second in above

    @rule(referral=which)
    def staff_detach_a_referral(self, referral: int) -> None:
        if found := self.some(Referral.objects, referral):
            is_counted = Referral.objects.exclude(cycle=None).filter(pk=found).exists()
            try:
                detach(referral=found)
                assert not is_counted
            except ValidationError:
                assert is_counted


class Contents(World):
    @rule()
    def what_snapshots_views_runs(self) -> None:
        self.cron("snapshot")

    @rule(channel=which, message=st.integers(1, 3), views=st.integers(0, 100), deleted=st.booleans())
    def bot_publishes_or_counts_or_deletes(self, channel: int, message: int, views: int, deleted: bool) -> None:
        channel_id = self.some_channel(channel) or bot.make_channel(bot.meet(self.next_number()), -self.next_number())
        publication = bot.publish(channel_id, message, views)
        bot.run("UPDATE core.publications SET deleted = %s WHERE id = %s", deleted, publication)

    @rule(channel=which, clients=st.integers(1, 3))
    def bot_lets_clients_in(self, channel: int, clients: int) -> None:
        if channel_id := self.some_channel(channel):
            invite = bot.invite(channel_id, f"invite-{self.next_number()}", max_uses=5)
            for client in range(clients):
                bot.let_in(channel_id, invite, client)

    @rule()
    def bot_switches_invites_off(self) -> None:
        bot.run("UPDATE core.invites SET used_count = max_uses")

    @rule(client=which)
    def a_client_is_blocked(self, client: int) -> None:
        bot.run("UPDATE core.clients SET blocked = NOT blocked WHERE tg_user_id = %s", client)


class Everything(Plans, Referrals, Contents):
    pass


def at_once(jobs) -> None:
    """The first in this thread when it is alone, as in a test that one debugs."""
    if len(jobs) == 1:
        jobs[0]()
        return
    errors = []

    def work(job) -> None:
        try:
            connection.ensure_connection()
            together.wait(20)
            job()
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    together = threading.Barrier(len(jobs))
    threads = [threading.Thread(target=work, args=[job]) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("histories", [Plans, Referrals, Contents, Everything])
def test_whatever_happens_every_number_agrees_and_nothing_is_lost_or_given_twice(histories):
    examples = os.environ.get("HYPOTHESIS_EXAMPLES")
    run_state_machine_as_test(
        histories,
        settings=settings(
            max_examples=int(examples or 10),
            stateful_step_count=40,
            derandomize=not examples,
            database=None,
            deadline=None,
            # Shrinking takes minutes, so only for who looks closer.
            phases=[Phase.generate, Phase.shrink] if examples else [Phase.generate],
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )
