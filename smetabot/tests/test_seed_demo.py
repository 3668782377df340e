import datetime as dt
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
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Count, F, Max, Min
from django.utils import timezone

from adminlog.models import AdminAction, JobRun
from analytics.models import ChannelStats, Event, ViewsDaily
from analytics.statistics import recount_channels, snapshot_views
from billing.gifts import apply_gifts
from billing.models import Gift, Plan, Subscription, SubscriptionHistory, UsageCounter
from core.factories import ContractorFactory
from core.models import Channel, Client, Contractor, Invite, Publication, TeamMember
from referrals.models import Referral, ReferralCycle, ReferralLink, ReferralProgress
from smetabot.demo.chance import Chance
from smetabot.demo.seeding import NotEmptyError, seed
from smetabot.demo.words import Words

NOW = dt.datetime(2026, 1, 30, 9, 0, tzinfo=dt.UTC)
CORE = [Contractor, Channel, Publication, Invite, Client, TeamMember]
BILLING = [Subscription, SubscriptionHistory, Gift, UsageCounter]
DERIVED = [ViewsDaily, ChannelStats, Event]
REFERRALS = [ReferralLink, Referral, ReferralCycle]
MADE = CORE + BILLING + DERIVED + REFERRALS


def empty_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM core.contractors")
        cursor.execute("DELETE FROM analytics.events")


@pytest.fixture(scope="module")
def seeded(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    with django_db_blocker.unblock():
        empty_database()
        seed(contractors=200, seed=1, now=NOW)
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
    MigrationRecorder(connection).record_unapplied("billing", "0003_history_append_only")
    with pytest.raises(CommandError, match="run manage.py migrate") as refusal:
        call_command("seed_demo")
    assert refusal.value.returncode == 2


def test_it_makes_up_neither_job_runs_nor_deeds_of_staff(demo):
    assert not JobRun.objects.exists()
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
        assert (subscription.plan_id, subscription.status, subscription.starts_at, subscription.expires_at) == (
            newest.plan_id,
            newest.status,
            newest.starts_at,
            newest.expires_at,
        )


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


def test_a_referral_is_qualified_where_the_rows_say_so(demo):
    meets = ReferralProgress.objects.filter(
        channels_created__gte=2, referred_contractor__status=Contractor.Status.ACTIVE
    )
    assert set(meets.values_list("referral", flat=True)) == set(
        Referral.objects.exclude(qualified_at=None).values_list("pk", flat=True)
    )


def test_every_qualified_referral_is_counted_in_a_cycle_and_only_the_last_cycle_is_open(demo):
    qualified = Counter(Referral.objects.exclude(qualified_at=None).values_list("referrer", flat=True))
    for contractor in Contractor.objects.prefetch_related("referral_cycles"):
        cycles = sorted(contractor.referral_cycles.all(), key=lambda cycle: cycle.cycle_no)
        assert [cycle.cycle_no for cycle in cycles] == list(range(1, len(cycles) + 1))
        assert sum(cycle.qualified_refs_done for cycle in cycles) == qualified[contractor.pk]
        for cycle in cycles:
            full = cycle.qualified_refs_done == cycle.qualified_refs_required
            assert cycle.state == ("reward_queued" if full else "in_progress")
            assert (cycle.completed_at is not None) is full
            assert full or cycle is cycles[-1]


def test_every_full_cycle_has_given_one_reward(demo):
    full = ReferralCycle.objects.filter(state="reward_queued").values_list("referrer", "completed_at")
    rewards = Gift.objects.filter(reason="referral_reward").values_list("contractor", "queued_at")
    assert Counter(rewards) == Counter(full)
    assert full


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
