import datetime as dt
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from itertools import pairwise
from time import monotonic, sleep
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Count, F, Max, Min, Q
from django.utils import timezone

from adminlog.days import days
from adminlog.models import AdminAction, JobRun
from analytics.models import ChannelStats, Event, ViewsDaily
from analytics.rollup import collected_days
from analytics.statistics import recount_channels, snapshot_views
from billing.gifts import apply_gifts
from billing.models import Gift, Plan, Subscription, SubscriptionHistory, UsageCounter
from billing.subscriptions import expire_subscriptions
from core.factories import ContractorFactory
from core.models import Channel, Client, Contractor, Invite, Publication, TeamMember
from referrals.cycles import advance_referrals
from referrals.models import Referral, ReferralCycle, ReferralLink
from smetabot.demo.chance import Chance
from smetabot.demo.seeding import NotEmptyError, seed
from smetabot.demo.words import Words

NOW = dt.datetime(2026, 1, 30, 9, 0, tzinfo=dt.UTC)
LAST_RUN = NOW - dt.timedelta(hours=1)
GRACE = dt.timedelta(days=3)
CORE = [Contractor, Channel, Publication, Invite, Client, TeamMember]
BILLING = [Subscription, SubscriptionHistory, Gift, UsageCounter]
DERIVED = [ViewsDaily, ChannelStats, Event, JobRun]
REFERRALS = [ReferralLink, Referral, ReferralCycle]
MADE = CORE + BILLING + DERIVED + REFERRALS


def empty_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM core.contractors")
        cursor.execute("DELETE FROM analytics.events")
        cursor.execute("DELETE FROM admin.job_runs")


@pytest.fixture(scope="module")
def seeded(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    with django_db_blocker.unblock():
        empty_database()
        seed(contractors=200, seed=1, now=NOW)
        with connection.cursor() as cursor:
            # What deletes them again was planned while the tables were empty.
            cursor.execute("ANALYZE")
        yield
        empty_database()


@pytest.fixture
def demo(seeded: None, db: None) -> None:
    """Two hundred contractors, made once for all the tests that look at them."""


@pytest.fixture
def empty(db: None) -> None:
    empty_database()


# The command


@pytest.mark.parametrize("contractors", [1, 3, 40])
def test_it_makes_as_many_contractors_as_asked_for_and_says_so_in_one_line(empty, contractors):
    out = StringIO()
    call_command("seed_demo", "--contractors", str(contractors), stdout=out)
    assert Contractor.objects.count() == contractors
    assert out.getvalue().startswith(f"seed_demo: {contractors} contractors, ")
    assert out.getvalue().count("\n") == 1


def test_it_counts_what_it_wrote(empty):
    counts = seed(contractors=40, seed=1, now=NOW)
    assert counts == {str(model._meta.verbose_name_plural): model._default_manager.count() for model in MADE}


@pytest.mark.parametrize("number", ["0", "-5", "many", "1.5"])
def test_it_refuses_a_number_of_contractors_that_is_none(number):
    with pytest.raises(CommandError, match=f"--contractors: '{number}' is not a whole number from 1"):
        call_command("seed_demo", f"--contractors={number}")


def test_it_refuses_a_database_that_has_a_contractor_and_writes_nothing(empty):
    ContractorFactory()
    with pytest.raises(CommandError, match="has contractors already.*nothing was written") as refusal:
        call_command("seed_demo")
    assert "\n" not in str(refusal.value)
    assert Contractor.objects.count() == 1
    assert not Channel.objects.exists()


def test_it_refuses_a_database_that_lacks_migrations(empty):
    ((app, newest),) = MigrationLoader(connection).graph.leaf_nodes("billing")
    MigrationRecorder(connection).record_unapplied(app, newest)
    with pytest.raises(CommandError, match="run manage.py migrate") as refusal:
        call_command("seed_demo")
    assert refusal.value.returncode == 2


def test_it_makes_up_no_deeds_of_staff_and_no_job_runs_but_those_that_collected_the_views(demo):
    assert set(JobRun.objects.values_list("command", "outcome")) == {("aggregate_stats", "done")}
    assert collected_days(last=NOW.date()) == days(
        NOW.date() - dt.timedelta(days=59), NOW.date() + dt.timedelta(days=1)
    )
    assert not AdminAction.objects.exists()


# The same seed and moment, the same world


def snapshot() -> dict[str, list[tuple]]:
    """Everything but the ids, which the database gives out."""

    def rows(model: type[models.Model]) -> list[tuple]:
        fields = [field for field in model._meta.concrete_fields if not field.primary_key and not field.is_relation]
        return sorted(model._default_manager.values_list(*(field.attname for field in fields)), key=str)

    return {model.__name__: rows(model) for model in MADE}


def test_the_same_seed_gives_the_same_data(empty):
    seed(contractors=40, seed=7, now=NOW)
    first = snapshot()
    empty_database()
    seed(contractors=40, seed=7, now=NOW)
    assert snapshot() == first


@pytest.mark.parametrize("other", [8, -7])
def test_another_seed_gives_other_data(empty, other):
    seed(contractors=40, seed=7, now=NOW)
    first = snapshot()
    empty_database()
    seed(contractors=40, seed=other, now=NOW)
    assert snapshot()["Contractor"] != first["Contractor"]


# All or nothing


def run_in_thread(pid: list[int] | None = None, *, contractors: int) -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            if pid is not None:
                pid.append(cursor.fetchone()[0])
        seed(contractors=contractors, seed=1, now=timezone.now())
        return "made"
    except NotEmptyError:
        return "refused"
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_of_two_at_once_one_is_refused():
    empty_database()
    with ThreadPoolExecutor(2) as pool:
        results = pool.map(lambda _: run_in_thread(contractors=60), range(2))
    assert Counter(results) == {"made": 1, "refused": 1}
    assert Contractor.objects.count() == 60


@pytest.mark.django_db(transaction=True)
def test_killed_half_way_it_leaves_nothing():
    empty_database()
    pid: list[int] = []
    with ThreadPoolExecutor(1) as pool, connection.cursor() as cursor:
        running = pool.submit(run_in_thread, pid, contractors=2000)
        give_up = monotonic() + 30
        written = False
        while not written and monotonic() < give_up:
            sleep(0.02)
            cursor.execute(
                "SELECT EXISTS (SELECT FROM pg_locks WHERE pid = ANY(%s) AND relation = 'core.clients'::regclass)",
                [pid],
            )
            (written,) = cursor.fetchone()
        cursor.execute("SELECT pg_terminate_backend(%s)", pid)
        assert isinstance(running.exception(), OperationalError)
    assert written
    assert not any(model._default_manager.exists() for model in MADE)


# What the cron jobs find


def check_data(*, now: dt.datetime) -> dict[str, list]:
    out = StringIO()
    call_command("check_data", now=now, json=True, stdout=out)
    return json.loads(out.getvalue())


def test_the_data_agree_with_what_they_are_derived_from(demo):
    assert check_data(now=NOW) == {"findings": [], "notices": []}


@pytest.mark.parametrize("grace_days", [0, 1])
def test_however_long_grace_is_the_data_still_agree_after_a_week_of_cron_jobs(empty, settings, grace_days):
    settings.GRACE_DAYS = grace_days
    seed(contractors=60, seed=1, now=NOW)
    for day in range(8):
        now = NOW + dt.timedelta(days=day)
        for job in ("expire_subscriptions", "advance_referrals", "apply_gifts", "aggregate_stats"):
            call_command(job, now=now, stdout=StringIO())
        assert check_data(now=now)["findings"] == []


def test_the_next_expiry_run_puts_some_in_grace_and_ends_some(demo):
    run = expire_subscriptions(now=NOW)
    assert run.grace > 0
    assert run.expired > 1
    assert run.refused == {}


@pytest.mark.parametrize("source", ["paid", "trial"])
def test_the_next_expiry_run_ends_a_grace_and_a_trial(demo, source):
    earlier = set(Subscription.objects.filter(status="expired", source=source).values_list("pk", flat=True))
    expire_subscriptions(now=NOW)
    assert Subscription.objects.filter(status="expired", source=source).exclude(pk__in=earlier).exists()


def test_the_next_referral_run_qualifies_some_fills_a_cycle_and_queues_its_reward(demo):
    waiting = Gift.objects.pending().filter(reason="referral_reward").count()
    run = advance_referrals(now=NOW)
    assert run.qualified > 0
    assert run.cycles_completed == run.rewards_queued > 0
    assert run.refused == {}
    assert Gift.objects.pending().filter(reason="referral_reward").count() == waiting + run.rewards_queued


def test_after_the_expiry_and_the_referral_run_the_gift_run_still_applies_some(demo):
    expire_subscriptions(now=NOW)
    advance_referrals(now=NOW)
    assert apply_gifts(now=NOW).applied > 1


def test_nothing_was_left_undone_by_the_last_hourly_runs(demo):
    assert not Subscription.objects.ended(at=LAST_RUN).exists()
    pending = Gift.objects.pending().filter(queued_at__lte=LAST_RUN, contractor__status=Contractor.Status.ACTIVE)
    assert pending.exists()
    live_paid = Subscription.objects.live_paid(at=LAST_RUN)
    assert not pending.exclude(contractor__subscription__in=live_paid).exists()


def test_the_next_gift_run_applies_some_and_leaves_some_waiting_and_some_blocked(demo):
    run = apply_gifts(now=NOW)
    assert run.applied > 5
    assert run.waiting > 5
    assert run.blocked > 0
    assert run.refused == []


def test_the_statistics_are_up_to_date(demo):
    assert ChannelStats.objects.count() == Channel.objects.count()
    assert snapshot_views(now=NOW) == 0
    assert recount_channels(now=NOW) == 0


# Channels and what is in them


def test_the_counter_is_not_below_the_channels_that_stand(demo):
    standing = Contractor.objects.annotate(standing=Count("channels")).filter(standing__gt=0)
    assert standing.exists()
    assert not standing.filter(usage__channels_created_total__lt=F("standing")).exists()


def test_no_one_who_was_never_on_a_plan_made_more_channels_than_free_and_bonus_allow(demo):
    on_free = Contractor.objects.exclude(subscription_history__plan__code__in=Plan.PAID)
    assert not on_free.filter(bonus_channels=None, usage__channels_created_total__gt=5).exists()
    assert not on_free.filter(usage__channels_created_total__gt=5 + F("bonus_channels")).exists()
    assert on_free.filter(bonus_channels=None, usage__channels_created_total=5).exists()


def test_an_invite_is_used_as_often_as_clients_came_by_it_or_more_and_never_above_its_limit(demo):
    invites = Invite.objects.annotate(came=Count("clients"))
    assert invites.filter(came__gt=0).exists()
    assert not invites.filter(used_count__lt=F("came")).exists()
    assert not invites.filter(used_count__gt=F("max_uses")).exists()
    assert invites.filter(used_count=F("max_uses"), came__lt=F("max_uses") - 1).exists(), "none is switched off"


def test_clients_come_by_an_invite_of_their_channel_while_it_holds(demo):
    by_invite = Client.objects.exclude(invite=None)
    assert not by_invite.exclude(channel=F("invite__channel")).exists()
    assert not by_invite.filter(joined_at__gt=F("invite__expires_at")).exists()


def test_a_username_and_a_telegram_id_are_one_persons(demo):
    people = {
        (row.tg_user_id, row.username, row.full_name)
        for model in (Contractor, Client)
        for row in model._default_manager.all()
    }
    assert len({tg_user_id for tg_user_id, *_ in people}) == len(people)
    names = [username for _, username, _ in people if username]
    names += Channel.objects.exclude(username=None).values_list("username", flat=True)
    assert len(set(names)) == len(names)


def test_names_that_are_taken_are_lengthened():
    words = Words(Chance("1"))
    usernames = [words.channel_username() for _ in range(70_000)]
    assert len(set(usernames)) == len(usernames)
    assert max(map(len, usernames)) <= 32


def test_some_are_clients_of_channels_of_more_than_one_contractor(demo):
    channels = Client.objects.values("tg_user_id").annotate(channels=Count("channel"))
    assert 10 < channels.filter(channels__gt=1).count() < channels.count() / 10
    assert channels.annotate(contractors=Count("channel__contractor", distinct=True)).filter(contractors=2).exists()


def test_only_who_is_on_a_plan_has_channels_in_sync(demo):
    synced = Channel.objects.filter(synced=True)
    assert synced.exists()
    live_paid = Subscription.objects.live_paid(at=NOW)
    assert not synced.exclude(contractor__subscription__in=live_paid).exists()


# Daily views


def views_by_publication() -> dict[int, list[ViewsDaily]]:
    by_publication = defaultdict(list)
    for row in ViewsDaily.objects.select_related("publication").order_by("publication", "collected_at"):
        by_publication[row.publication_id].append(row)
    return by_publication


def test_daily_views_have_a_row_only_where_the_total_rose(demo):
    for rows in views_by_publication().values():
        totals = [0, *(row.views for row in rows)]
        assert all(before < after for before, after in pairwise(totals))


def test_the_newest_daily_view_is_what_the_publication_has(demo):
    newest_rows = [rows[-1] for rows in views_by_publication().values()]
    assert any(row.publication.deleted for row in newest_rows)
    assert all(row.views == row.publication.views for row in newest_rows)


def test_daily_views_cover_sixty_days_and_no_day_before_the_posting_or_after_today(demo):
    days = ViewsDaily.objects.aggregate(first=Min("collected_at"), last=Max("collected_at"))
    assert days["last"] == NOW.date()
    assert 55 <= (days["last"] - days["first"]).days < 60
    assert not ViewsDaily.objects.filter(collected_at__lt=F("publication__posted_at__date")).exists()


def test_a_deleted_publication_has_its_last_daily_view_on_the_day_of_its_deletion_or_before(demo):
    deletions = Event.objects.filter(event_type=Event.Type.FILE_DELETED)
    deleted_on = {
        (channel, message_id): created_at.date()
        for channel, message_id, created_at in deletions.values_list("channel", "details__message_id", "created_at")
    }
    rows = ViewsDaily.objects.filter(publication__deleted=True).select_related("publication")
    left = [deleted_on[row.publication.channel_id, row.publication.message_id] - row.collected_at for row in rows]
    assert min(left) == dt.timedelta(0)


def test_days_are_those_of_the_day_zone(empty, settings):
    settings.DAY_ZONE = ZoneInfo("Asia/Kamchatka")
    seed(contractors=40, seed=1, now=dt.datetime(2026, 1, 29, 20, 0, tzinfo=dt.UTC))
    assert ViewsDaily.objects.latest("collected_at").collected_at == dt.date(2026, 1, 30)
    rows = ViewsDaily.objects.select_related("publication")
    assert all(row.collected_at >= row.publication.posted_at.astimezone(settings.DAY_ZONE).date() for row in rows)


# Subscriptions and gifts


def histories() -> dict[int, list[SubscriptionHistory]]:
    by_contractor = defaultdict(list)
    for row in SubscriptionHistory.objects.select_related("plan", "gift").order_by("contractor", "pk"):
        by_contractor[row.contractor_id].append(row)
    return by_contractor


@pytest.mark.parametrize("status", Subscription.Status)
def test_every_status_is_there(demo, status):
    assert Subscription.objects.filter(status=status).exists()


@pytest.mark.parametrize("status", ["active", "trial", "grace", "cancelled"])
def test_of_every_status_that_can_be_live_some_are_and_some_have_ended(demo, status):
    on_plan = Subscription.objects.filter(status=status, plan__code__in=Plan.PAID)
    live = on_plan.live(at=NOW)
    assert live.exists()
    assert on_plan.exclude(pk__in=live).exists()


@pytest.mark.parametrize("source", Subscription.Source)
def test_plans_come_from_every_source(demo, source):
    assert Subscription.objects.live_paid(at=NOW).filter(source=source).exists()


def test_some_plans_are_endless_and_some_end_soon(demo):
    live = Subscription.objects.live_paid(at=NOW)
    assert live.filter(expires_at=None).exists()
    assert live.filter(expires_at__lt=NOW + dt.timedelta(days=2)).exists()


def test_every_subscription_is_as_its_newest_history_row(demo):
    by_contractor = histories()
    for subscription in Subscription.objects.all():
        newest = by_contractor[subscription.contractor_id][-1]
        for column in ("plan_id", "status", "starts_at", "expires_at", "paid_until"):
            assert getattr(subscription, column) == getattr(newest, column)


def test_every_history_begins_with_the_row_that_the_bot_writes(demo):
    by_contractor = histories()
    for contractor in Contractor.objects.all():
        first = by_contractor[contractor.pk][0]
        assert (first.plan.code, first.status, first.source, first.expires_at) == ("FREE", "active", "trial", None)
        assert first.created_at == contractor.created_at


def test_a_history_row_starts_a_term_or_goes_on_with_the_one_before(demo):
    def end(row: SubscriptionHistory) -> dt.datetime:
        return row.expires_at or dt.datetime.max.replace(tzinfo=dt.UTC)

    for rows in histories().values():
        for before, after in pairwise(rows):
            assert before.created_at < after.created_at
            if after.starts_at == after.created_at:
                # Nothing that was paid for is cut short by what follows it.
                assert before.plan.code == "FREE" or end(before) <= after.created_at
            else:
                assert (after.starts_at, after.plan, after.source) == (before.starts_at, before.plan, before.source)
                assert end(after) >= end(before)


def changes_to(status: str) -> list[tuple[SubscriptionHistory, SubscriptionHistory]]:
    """Each history row with this status, and the one before it."""
    changes = [pair for rows in histories().values() for pair in pairwise(rows) if pair[1].status == status]
    assert len(changes) > 5
    return changes


def test_what_was_paid_for_goes_to_grace_at_its_end_and_nothing_else_does(demo):
    for before, after in changes_to("grace"):
        assert (before.status, after.source) == ("active", "paid")
        assert after.plan.code in Plan.PAID
        assert after.paid_until == before.expires_at
        assert after.expires_at == before.expires_at + GRACE


def test_what_was_paid_for_expires_after_its_grace_and_all_else_without(demo):
    for before, after in changes_to("expired"):
        assert (before.status == "grace") is (after.source == "paid")
        assert (after.expires_at, after.paid_until) == (before.expires_at, before.paid_until)
    assert {after.source for _, after in changes_to("expired")} == set(Subscription.Source)


@pytest.mark.parametrize("status", ["grace", "expired"])
def test_within_the_hour_a_run_saw_that_the_time_was_up(demo, status):
    for before, after in changes_to(status):
        assert before.expires_at < after.created_at < before.expires_at + dt.timedelta(hours=1)


def test_only_what_is_or_was_in_grace_remembers_an_end_before_it(demo):
    in_grace = Q(source="paid", status__in=["grace", "expired"])
    for model in (Subscription, SubscriptionHistory):
        assert set(model.objects.exclude(paid_until=None)) == set(model.objects.filter(in_grace))


@pytest.mark.parametrize("days", [1, 30])
def test_grace_is_as_long_as_the_setting_says(empty, settings, days):
    settings.GRACE_DAYS = days
    seed(contractors=40, seed=1, now=NOW)
    for _, after in changes_to("grace"):
        assert after.expires_at - after.paid_until == dt.timedelta(days=days)
        assert after.paid_until < after.created_at <= NOW
    assert Subscription.objects.filter(status="grace").live(at=NOW).exists()


def test_without_grace_nobody_ever_was_in_it(empty, settings):
    settings.GRACE_DAYS = 0
    seed(contractors=40, seed=1, now=NOW)
    for model in (Subscription, SubscriptionHistory):
        assert model.objects.filter(source="paid", status="expired").exists()
        assert not model.objects.filter(status="grace").exists()
        assert not model.objects.exclude(paid_until=None).exists()


def test_an_applied_gift_and_its_history_row_say_the_same(demo):
    applied = Gift.objects.exclude(applied_at=None).select_related("history")
    assert SubscriptionHistory.objects.exclude(gift=None).count() == len(applied) > 10
    for gift in applied:
        row = gift.history
        assert (row.contractor_id, row.plan_id) == (gift.contractor_id, gift.plan_id)
        assert (row.status, row.source) == ("active", "gift")
        assert row.starts_at == row.created_at == gift.applied_at
        assert row.expires_at == row.created_at + dt.timedelta(days=gift.days)


def test_every_term_of_source_gift_began_with_a_gift(demo):
    from_gift = SubscriptionHistory.objects.filter(source="gift", starts_at=F("created_at"))
    assert from_gift.exists()
    assert not from_gift.filter(gift=None).exists()


def test_no_gift_is_both_applied_and_withdrawn(demo):
    assert Gift.objects.exclude(withdrawn_at=None).exists()
    assert not Gift.objects.exclude(withdrawn_at=None).exclude(applied_at=None).exists()


# Referrals and teams


def test_who_is_brought_came_after_who_brought_them_so_that_there_is_no_circle(demo):
    assert Referral.objects.exists()
    assert not Referral.objects.filter(referred_contractor__created_at__lte=F("referrer__created_at")).exists()


def test_a_referral_is_qualified_where_the_rows_said_so_at_the_last_hourly_run(demo):
    stood = Count("referred_contractor__channels", filter=Q(referred_contractor__channels__created_at__lte=LAST_RUN))
    met = Referral.objects.filter(referred_contractor__status=Contractor.Status.ACTIVE).alias(stood=stood)
    assert set(met.filter(stood__gte=2)) == set(Referral.objects.exclude(qualified_at=None))


def test_every_qualified_referral_and_no_other_is_counted_in_a_cycle_of_its_referrer(demo):
    counted = Referral.objects.exclude(cycle=None)
    assert set(counted) == set(Referral.objects.exclude(qualified_at=None))
    assert not counted.exclude(cycle__referrer=F("referrer")).exists()


def test_a_cycle_has_counted_as_many_as_name_it(demo):
    cycles = ReferralCycle.objects.alias(named=Count("counted"))
    assert cycles.filter(named__gt=0).exists()
    assert not cycles.exclude(qualified_refs_done=F("named")).exists()


def test_cycles_count_run_by_run_and_in_each_run_the_oldest_referrals_first(demo):
    counted = Referral.objects.exclude(cycle=None).order_by("referrer", "qualified_at", "created_at", "pk")
    places = list(counted.values_list("referrer", "cycle__cycle_no"))
    assert places == sorted(places)


def test_only_the_last_cycle_is_open(demo):
    for contractor in Contractor.objects.prefetch_related("referral_cycles"):
        cycles = sorted(contractor.referral_cycles.all(), key=lambda cycle: cycle.cycle_no)
        assert [cycle.cycle_no for cycle in cycles] == list(range(1, len(cycles) + 1))
        for cycle in cycles:
            full = cycle.qualified_refs_done == cycle.qualified_refs_required
            assert cycle.state == ("reward_queued" if full else "in_progress")
            assert (cycle.completed_at is not None) is full
            assert full or cycle is cycles[-1]


def test_a_full_cycle_and_no_other_has_given_a_reward(demo):
    full = ReferralCycle.objects.filter(state="reward_queued")
    assert full.exists()
    assert set(full) == set(ReferralCycle.objects.exclude(gift=None))
    for cycle in full.select_related("gift__plan"):
        assert (cycle.gift.contractor_id, cycle.gift.queued_at) == (cycle.referrer_id, cycle.completed_at)
        assert (cycle.gift.reason, cycle.gift.plan.code, cycle.gift.days) == ("referral_reward", "PRO", 30)


def test_every_reward_is_of_a_cycle(demo):
    assert not Gift.objects.filter(reason="referral_reward", referral_cycle=None).exists()


def test_a_reward_is_what_the_settings_say(empty, settings):
    settings.REFERRAL_REWARD_PLAN, settings.REFERRAL_REWARD_DAYS = "BUSINESS", 7
    seed(contractors=100, seed=1, now=NOW)
    rewards = Gift.objects.filter(reason="referral_reward")
    assert set(rewards.values_list("plan__code", "days")) == {("BUSINESS", 7)}
    assert SubscriptionHistory.objects.filter(gift__in=rewards).exists()


def test_every_contractor_has_a_referral_link_of_their_first_moment(demo):
    assert ReferralLink.objects.filter(created_at=F("contractor__created_at")).count() == Contractor.objects.count()


def test_a_team_is_not_larger_than_the_plan_allows(demo):
    teams = Counter(TeamMember.objects.values_list("owner_contractor", flat=True))
    live = Subscription.objects.live_paid(at=NOW).select_related("plan").in_bulk(teams, field_name="contractor_id")
    assert teams
    assert all(size < live[owner].plan.features["team_size"] for owner, size in teams.items())


# Events


def test_every_client_joined_and_those_with_an_invite_used_it(demo):
    def happened(event_type: str) -> Counter:
        return Counter(Event.objects.filter(event_type=event_type).values_list("channel", "client", "created_at"))

    clients = Client.objects.values_list("channel", "pk", "joined_at")
    assert happened("client_join") == Counter(clients)
    assert happened("invite_used") == Counter(clients.exclude(invite=None))


def test_every_file_was_posted_and_the_deleted_ones_were_deleted(demo):
    def happened(event_type: str) -> Counter:
        return Counter(Event.objects.filter(event_type=event_type).values_list("channel", "details__message_id"))

    files = Publication.objects.values_list("channel", "message_id")
    assert happened("file_posted") == Counter(files)
    assert happened("file_deleted") == Counter(files.filter(deleted=True))


@pytest.mark.parametrize("event_type", Event.Type)
def test_every_type_of_event_is_there(demo, event_type):
    assert Event.objects.filter(event_type=event_type).exists()


# Time


@pytest.mark.parametrize(
    ("model", "earlier", "later"),
    [
        (Channel, "contractor__created_at", "created_at"),
        (Channel, "created_at", "last_synced_at"),
        (UsageCounter, "contractor__created_at", "last_channel_created_at"),
        (Publication, "channel__created_at", "posted_at"),
        (Invite, "channel__created_at", "created_at"),
        (Client, "channel__created_at", "joined_at"),
        (Client, "invite__created_at", "joined_at"),
        (Event, "channel__created_at", "created_at"),
        (Subscription, "starts_at", "paid_until"),
        (SubscriptionHistory, "paid_until", "created_at"),
        (Gift, "contractor__created_at", "queued_at"),
        (Gift, "queued_at", "applied_at"),
        (Gift, "queued_at", "withdrawn_at"),
        (Referral, "created_at", "qualified_at"),
        (TeamMember, "owner_contractor__created_at", "added_at"),
        (TeamMember, "member_contractor__created_at", "added_at"),
    ],
)
def test_cause_comes_before_effect(demo, model, earlier, later):
    in_order = model._default_manager.filter(**{f"{later}__isnull": False, f"{earlier}__isnull": False})
    assert in_order.exists()
    assert not in_order.filter(**{f"{later}__lte": F(earlier)}).exists()


def test_nothing_but_an_expiry_lies_in_the_future(demo):
    moments = [
        (model, field.attname)
        for model in MADE
        for field in model._meta.concrete_fields
        if isinstance(field, models.DateTimeField) and field.attname != "expires_at"
    ]
    assert len(moments) > 20
    assert [
        (model, name) for model, name in moments if model._default_manager.filter(**{f"{name}__gt": NOW}).exists()
    ] == []
