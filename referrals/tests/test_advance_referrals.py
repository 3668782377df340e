import datetime as dt
import itertools
import json

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.db.models import F

from adminlog.models import JobRun
from billing.factories import GiftFactory
from billing.gifts import apply_gifts
from billing.models import Gift, Plan
from core.factories import ChannelFactory, ContractorFactory
from core.models import Channel, Contractor
from referrals.cycles import advance_referrals
from referrals.factories import ReferralCycleFactory, ReferralFactory
from referrals.models import Referral, ReferralCycle
from smetabot.tests import bot

pytestmark = pytest.mark.django_db

NOW = dt.datetime(2026, 1, 31, 9, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


def brings(referrer, count, **kwargs):
    """So many referrals that meet the condition, oldest first."""
    return [
        ReferralFactory(referrer=referrer, channels=2, created_at=NOW - (count - n) * DAY, **kwargs)
        for n in range(count)
    ]


def advance(**kwargs):
    run = advance_referrals(now=NOW, **kwargs)
    assert run.refused == {}
    return run.qualified, run.cycles_completed, run.rewards_queued


def cycles_of(referrer):
    """Each as (number, done, required, state), after comparing what is done with what was counted."""
    cycles = ReferralCycle.objects.filter(referrer=referrer).order_by("cycle_no")
    assert all(cycle.qualified_refs_done == cycle.counted.count() for cycle in cycles)
    return list(cycles.values_list("cycle_no", "qualified_refs_done", "qualified_refs_required", "state"))


def counted_in(referrals):
    """The cycle number of each, in their order."""
    by_pk = dict(Referral.objects.values_list("pk", "cycle__cycle_no"))
    return [by_pk[referral.pk] for referral in referrals]


@pytest.fixture
def referrer():
    return ReferralCycleFactory().referrer


@pytest.mark.parametrize(
    ("channels", "blocked", "qualified"), [(0, False, 0), (1, False, 0), (2, False, 1), (5, False, 1), (2, True, 0)]
)
def test_a_referral_qualifies_with_two_channels_of_a_contractor_who_is_not_blocked(channels, blocked, qualified):
    referral = ReferralFactory(referred_contractor=ContractorFactory(blocked=blocked), channels=channels)
    assert advance() == (qualified, 0, 0)
    referral.refresh_from_db()
    assert referral.qualified_at == (NOW if qualified else None)


def test_who_is_unblocked_qualifies_then():
    referral = ReferralFactory(referred_contractor=ContractorFactory(blocked=True), channels=2)
    assert advance() == (0, 0, 0)
    Contractor.objects.filter(pk=referral.referred_contractor_id).update(status="active")
    assert advance() == (1, 0, 0)


def test_a_qualified_referral_stays_so_when_a_channel_goes_or_its_contractor_is_blocked(referrer):
    (referral,) = brings(referrer, 1)
    advance()
    Channel.objects.all().delete()
    Contractor.objects.filter(pk=referral.referred_contractor_id).update(status="blocked")
    assert advance_referrals(now=NOW + DAY).qualified == 0
    referral.refresh_from_db()
    assert referral.qualified_at == NOW
    assert cycles_of(referrer) == [(1, 1, 3, "in_progress")]


def test_a_referral_that_qualified_before_its_channels_went_is_counted_as_well(referrer):
    ReferralFactory(referrer=referrer, qualified_at=NOW - DAY)
    assert advance() == (0, 0, 0)
    assert cycles_of(referrer) == [(1, 1, 3, "in_progress")]


def test_a_full_cycle_is_completed_and_queues_one_gift(referrer):
    brings(referrer, 3)
    assert advance() == (3, 1, 1)
    cycle = ReferralCycle.objects.get()
    assert (cycle.state, cycle.completed_at) == ("reward_queued", NOW)
    gift = Gift.objects.pending().get()
    assert cycle.gift == gift
    assert (gift.contractor, gift.plan.code, gift.days, gift.reason, gift.queued_at) == (
        referrer,
        "PRO",
        30,
        "referral_reward",
        NOW,
    )


def test_the_reward_is_what_the_settings_say(referrer, settings):
    settings.REFERRAL_REWARD_PLAN, settings.REFERRAL_REWARD_DAYS = "BUSINESS", 7
    brings(referrer, 3)
    advance()
    assert Gift.objects.values_list("plan__code", "days").get() == ("BUSINESS", 7)


def test_seven_qualified_are_two_gifts_and_a_third_cycle_at_one_of_three(referrer):
    brings(referrer, 7)
    assert advance() == (7, 2, 2)
    assert cycles_of(referrer) == [(1, 3, 3, "reward_queued"), (2, 3, 3, "reward_queued"), (3, 1, 3, "in_progress")]
    assert Gift.objects.filter(contractor=referrer).count() == 2


def test_a_second_run_does_nothing(referrer):
    brings(referrer, 7)
    advance()
    before = [list(model.objects.order_by("pk").values()) for model in (Referral, ReferralCycle, Gift)]
    assert advance() == (0, 0, 0)
    assert [list(model.objects.order_by("pk").values()) for model in (Referral, ReferralCycle, Gift)] == before


def test_six_qualified_do_not_need_a_third_cycle(referrer):
    brings(referrer, 6)
    advance()
    assert len(cycles_of(referrer)) == 2


def test_the_oldest_are_counted_first_and_of_one_moment_the_lower_id(referrer):
    newest, oldest, first_twin, second_twin = (
        ReferralFactory(referrer=referrer, channels=2, created_at=NOW - days * DAY) for days in (1, 3, 2, 2)
    )
    advance()
    assert counted_in([oldest, first_twin, second_twin, newest]) == [1, 1, 1, 2]


def test_the_gifts_follow_the_cycles(referrer):
    brings(referrer, 9)
    advance()
    gifts = ReferralCycle.objects.order_by("cycle_no").values_list("gift", flat=True)
    assert list(gifts) == list(Gift.objects.order_by("pk").values_list("pk", flat=True))


def test_a_missing_first_cycle_is_made():
    referrer = brings(ContractorFactory(), 4)[0].referrer
    assert advance() == (4, 1, 1)
    assert cycles_of(referrer) == [(1, 3, 3, "reward_queued"), (2, 1, 3, "in_progress")]


def test_no_cycle_is_made_for_whom_no_referral_needs_one():
    ReferralFactory(channels=1)
    advance()
    assert not ReferralCycle.objects.exists()


def test_a_new_cycle_is_made_at_the_runs_moment_and_requires_three():
    referrer = brings(ContractorFactory(), 4)[0].referrer
    assert advance() == (4, 1, 1)
    assert cycles_of(referrer) == [(1, 3, 3, "reward_queued"), (2, 1, 3, "in_progress")]
    assert set(ReferralCycle.objects.values_list("created_at", flat=True)) == {NOW}


@pytest.mark.parametrize(
    ("required", "cycles"),
    [
        (1, [(1, 1, 1, "reward_queued"), (2, 3, 3, "reward_queued")]),
        (2, [(1, 2, 2, "reward_queued"), (2, 2, 3, "in_progress")]),
        (5, [(1, 4, 5, "in_progress")]),
        (0, [(1, 0, 0, "reward_queued"), (2, 3, 3, "reward_queued"), (3, 1, 3, "in_progress")]),
        (2**31 - 1, [(1, 4, 2**31 - 1, "in_progress")]),
    ],
)
def test_each_cycles_own_number_decides(required, cycles):
    referrer = ReferralCycleFactory(qualified_refs_required=required).referrer
    brings(referrer, 4)
    full = sum(state == "reward_queued" for *_, state in cycles)
    assert advance() == (4, full, full)
    assert cycles_of(referrer) == cycles


def test_a_cycle_that_requires_nothing_is_full_also_without_referrals():
    referrer = ReferralCycleFactory(qualified_refs_required=0).referrer
    assert [advance(), advance()] == [(0, 1, 1), (0, 0, 0)]
    assert cycles_of(referrer) == [(1, 0, 0, "reward_queued")]


def test_several_open_cycles_are_filled_in_the_order_of_their_numbers():
    referrer = ReferralCycleFactory(cycle_no=4).referrer
    ReferralCycleFactory(referrer=referrer, cycle_no=2, qualified_refs_required=2)
    referrals = brings(referrer, 4)
    assert advance() == (4, 1, 1)
    assert cycles_of(referrer) == [(2, 2, 2, "reward_queued"), (4, 2, 3, "in_progress")]
    assert counted_in(referrals) == [2, 2, 4, 4]


@pytest.mark.parametrize("state", ["completed", "reward_queued"])
def test_a_cycle_that_is_over_takes_no_more_though_it_has_room(state):
    referrer = ReferralCycleFactory(state=state).referrer
    brings(referrer, 1)
    advance()
    assert cycles_of(referrer) == [(1, 0, 3, "reward_queued"), (2, 1, 3, "in_progress")]


def test_what_an_older_program_counted_takes_its_room():
    referrer = ReferralCycleFactory(qualified_refs_done=2).referrer
    referrals = brings(referrer, 2)
    assert advance() == (2, 1, 1)
    assert counted_in(referrals) == [1, 2]


def test_a_cycle_left_full_in_progress_is_completed():
    ReferralCycleFactory(qualified_refs_done=3)
    assert [advance(), advance()] == [(0, 1, 1), (0, 0, 0)]


@pytest.mark.parametrize("completed_at", [None, NOW - DAY])
def test_a_cycle_left_completed_without_a_gift_gets_exactly_one(completed_at):
    cycle = ReferralCycleFactory(qualified_refs_done=3, state="completed", completed_at=completed_at)
    assert [advance(), advance()] == [(0, 0, 1), (0, 0, 0)]
    cycle.refresh_from_db()
    assert (cycle.state, cycle.completed_at) == ("reward_queued", completed_at or NOW)
    assert cycle.gift == Gift.objects.get()


def test_a_cycle_that_was_put_back_does_not_give_again(referrer):
    brings(referrer, 3)
    advance()
    ReferralCycle.objects.update(state="in_progress")
    assert advance() == (0, 1, 0)
    assert cycles_of(referrer) == [(1, 3, 3, "reward_queued")]
    assert Gift.objects.count() == 1


def test_a_gift_that_is_deleted_is_not_given_again(referrer):
    brings(referrer, 3)
    advance()
    bot.run("DELETE FROM billing.gifts_queue")
    assert advance() == (0, 0, 0)
    assert ReferralCycle.objects.get().gift is None


def test_gifts_that_were_there_before_are_not_taken_for_the_reward(referrer):
    GiftFactory(contractor=referrer, reason=Gift.Reason.REFERRAL_REWARD)
    brings(referrer, 3)
    assert advance() == (3, 1, 1)


def test_a_blocked_referrer_earns_and_the_gift_waits():
    referrer = ContractorFactory(blocked=True)
    brings(referrer, 3)
    assert advance() == (3, 1, 1)
    assert (apply_gifts(now=NOW).blocked, Gift.objects.pending().count()) == (1, 1)


def test_a_counted_referral_whose_contractor_is_deleted_stays_counted(referrer):
    gone = brings(referrer, 2)[0]
    advance()
    bot.run("DELETE FROM core.contractors WHERE id = %s", gone.referred_contractor_id)
    assert advance() == (0, 0, 0)
    assert ReferralCycle.objects.get().qualified_refs_done == 2
    brings(referrer, 2)
    assert advance() == (2, 1, 1)


def test_deleting_a_referrer_in_plain_sql_takes_all_of_it_along(referrer):
    brings(referrer, 7)
    advance()
    bot.run("DELETE FROM core.contractors WHERE id = %s", referrer.pk)
    connection.check_constraints()
    assert not Referral.objects.exists()
    assert not ReferralCycle.objects.exists()
    assert not Gift.objects.exists()


def test_a_cycle_that_counted_a_referral_is_not_deleted_by_itself(referrer):
    brings(referrer, 1)
    advance()
    with pytest.raises(IntegrityError), transaction.atomic():
        bot.run("DELETE FROM referrals.referral_cycles")
        connection.check_constraints()


def test_a_gift_belongs_to_one_cycle():
    gift = GiftFactory()
    ReferralCycleFactory(gift=gift)
    with pytest.raises(IntegrityError), transaction.atomic():
        ReferralCycleFactory(gift=gift)


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_whatever_the_order_of_arrival_the_cycles_and_gifts_are_the_same(referrer, order):
    referrals = [ReferralFactory(referrer=referrer, created_at=NOW + n * DAY) for n in range(4)]
    runs = []
    for arriving in order:
        ChannelFactory.create_batch(2, contractor=referrals[arriving].referred_contractor)
        runs.append(advance())
    assert runs == [(1, 0, 0), (1, 0, 0), (1, 1, 1), (1, 0, 0)]
    assert cycles_of(referrer) == [(1, 3, 3, "reward_queued"), (2, 1, 3, "in_progress")]


@pytest.mark.parametrize("split", range(8))
def test_in_one_run_or_two_seven_are_two_gifts(referrer, split):
    brings(referrer, split)
    first = advance()
    brings(referrer, 7 - split)
    assert tuple(map(sum, zip(first, advance(), strict=True))) == (7, 2, 2)
    assert cycles_of(referrer) == [(1, 3, 3, "reward_queued"), (2, 3, 3, "reward_queued"), (3, 1, 3, "in_progress")]


def test_along_a_chain_each_has_brought_one():
    chain = ContractorFactory.create_batch(50)
    for referrer, referred in itertools.pairwise(chain):
        ReferralFactory(referrer=referrer, referred_contractor=referred, channels=2)
    assert advance(batch_size=7) == (49, 0, 0)
    assert [cycles_of(who) for who in chain] == [[(1, 1, 3, "in_progress")]] * 49 + [[]]


def test_a_circle_that_plain_sql_has_closed_is_counted_and_ends():
    circle = ContractorFactory.create_batch(3)
    for referrer, referred in itertools.pairwise([*circle, circle[0]]):
        ReferralFactory(referrer=referrer, referred_contractor=referred, channels=2)
    assert [advance(), advance()] == [(3, 0, 0), (0, 0, 0)]


@pytest.mark.parametrize("batch_size", [1, 2, 1000])
def test_the_batch_size_does_not_change_the_result(batch_size):
    for _ in range(5):
        brings(ContractorFactory(), 4)
    assert advance(batch_size=batch_size) == (20, 5, 5)


def test_each_referrers_are_counted_in_their_own_cycles():
    for count in (1, 3, 5):
        brings(ReferralCycleFactory().referrer, count)
    assert advance() == (9, 2, 2)
    assert not Referral.objects.exclude(cycle__referrer=F("referrer")).exists()


def test_as_the_bot_writes_it():
    referrer, *brought = (bot.meet(n) for n in range(4))
    for contractor in brought:
        bot.run(
            "INSERT INTO referrals.referrals (referrer_id, referred_contractor_id) VALUES (%s, %s)",
            referrer,
            contractor,
        )
        for n in range(2):
            bot.make_channel(contractor, -10 * contractor - n)
    assert advance() == (3, 1, 1)
    assert cycles_of(referrer) == [(1, 3, 3, "reward_queued")]


@pytest.fixture
def picky_database():
    """A trigger that refuses a gift to contractors by name, at the statement or, deferred, at the commit."""
    with connection.cursor() as cursor:
        cursor.execute("""
            CREATE FUNCTION billing.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
            DECLARE who text;
            BEGIN
                SELECT full_name INTO who FROM core.contractors WHERE id = NEW.contractor_id;
                IF who = TG_ARGV[0] THEN RAISE EXCEPTION '% takes no gift', who; END IF;
                RETURN NEW;
            END $$;
            CREATE TRIGGER refuse BEFORE INSERT ON billing.gifts_queue
                FOR EACH ROW EXECUTE FUNCTION billing.refuse('Proud');
            CREATE CONSTRAINT TRIGGER refuse_late AFTER INSERT ON billing.gifts_queue
                DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION billing.refuse('Late');
        """)


@pytest.mark.parametrize("name", ["Proud", "Late"])
def test_who_is_refused_is_named_keeps_what_was_and_holds_nobody_up(picky_database, name):
    before, bad, after = (ContractorFactory(full_name=who) for who in ("Anna", name, "Boris"))
    for referrer in (before, bad, after):
        brings(referrer, 3)
    run = advance_referrals(now=NOW)
    assert (run.qualified, run.rewards_queued, run.refused) == (6, 2, {bad.pk: f"{name} takes no gift"})
    assert [cycles_of(who) for who in (before, bad, after)] == [
        [(1, 3, 3, "reward_queued")],
        [],
        [(1, 3, 3, "reward_queued")],
    ]
    assert not Referral.objects.filter(referrer=bad).exclude(qualified_at=None, cycle=None).exists()


def test_without_the_plan_nothing_is_lost(referrer):
    brings(referrer, 3)
    Plan.objects.filter(code="PRO").delete()
    assert "null value" in advance_referrals(now=NOW).refused[referrer.pk]
    Plan.objects.create(code="PRO", name="Pro")
    assert advance() == (3, 1, 1)


def test_the_command_counts_in_json(referrer, capsys):
    brings(referrer, 4)
    call_command("advance_referrals", "--json")
    counts = {"qualified": 4, "cycles_completed": 1, "rewards_queued": 1}
    assert json.loads(capsys.readouterr().out) == counts
    assert JobRun.objects.get().counts == counts


def test_the_command_says_it_in_words(referrer, capsys):
    brings(referrer, 4)
    call_command("advance_referrals")
    expected = "advance_referrals: 4 referrals qualified, 1 cycles completed, 1 rewards queued\n"
    assert capsys.readouterr().out == expected


def test_the_command_names_who_was_refused_on_stderr_and_fails(picky_database, capsys):
    bad = ContractorFactory(full_name="Proud")
    brings(bad, 3)
    with pytest.raises(CommandError) as failed:
        call_command("advance_referrals", "--json")
    out, err = capsys.readouterr()
    assert failed.value.returncode == 1
    assert err == f"contractor {bad.pk}: Proud takes no gift\n"
    assert json.loads(out) == {"qualified": 0, "cycles_completed": 0, "rewards_queued": 0}
    assert JobRun.objects.get().outcome == "failed"


def test_a_dry_run_counts_the_same_and_leaves_nothing(referrer, capsys):
    brings(referrer, 7)
    call_command("advance_referrals", "--dry-run", "--json")
    assert json.loads(capsys.readouterr().out) == {"qualified": 7, "cycles_completed": 2, "rewards_queued": 2}
    assert cycles_of(referrer) == [(1, 0, 3, "in_progress")]
    assert not Referral.objects.exclude(qualified_at=None).exists()
    assert not Gift.objects.exists()


def test_the_clock_is_the_one_that_was_given(referrer):
    brings(referrer, 3)
    call_command("advance_referrals", "--now", "2026-01-31T12:00:00+03:00", "--json")
    cycle = ReferralCycle.objects.get()
    assert (cycle.completed_at, cycle.gift.queued_at, cycle.counted.first().qualified_at) == (NOW, NOW, NOW)
