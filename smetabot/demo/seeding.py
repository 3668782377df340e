import datetime as dt
from collections.abc import Iterator
from itertools import chain

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count

from adminlog.days import days
from adminlog.models import JobRun
from analytics.models import ChannelStats, Event, ViewsDaily
from analytics.statistics import recount_channels, snapshot_views
from billing.models import Plan
from core.models import Channel, Client, Contractor, Publication
from referrals.models import ReferralLink
from smetabot.demo import contents, figures, relations
from smetabot.demo.chance import DAY, Chance
from smetabot.demo.lives import Life, lives, subscription
from smetabot.demo.tables import Tables
from smetabot.demo.words import Words
from smetabot.demo.world import World

# So many channels are filled at a time, so that what is in them is never all in memory.
BATCH = 500


class NotEmptyError(Exception):
    """There are contractors already."""


def seed(*, contractors: int, seed: int, now: dt.datetime) -> dict[str, int]:
    """Fill an empty database, all of it or nothing. Returns the rows written by what they are called."""
    tables = Tables()
    with transaction.atomic():
        _claim_empty_database()
        # As text, because to random the number -1 is the same as 1.
        chance = Chance(str(seed))
        plans = {plan.code: plan for plan in Plan.objects.all()}
        world = World(chance, Words(chance), plans, now, grace=DAY * settings.GRACE_DAYS)
        everyone = lives(contractors, world)
        tables.save(life.contractor for life in everyone)
        referrals = relations.referrals(everyone, world)
        cycles = relations.cycles(everyone, referrals, world)
        _save_billing(everyone, tables, world)
        tables.save(cycles)
        tables.save(referrals)
        _save_relations(everyone, tables, world)
        _save_channels(everyone, tables, world)
        _save_figures(tables, world)
    return {str(model._meta.verbose_name_plural): rows for model, rows in tables.written.items()}


def _claim_empty_database() -> None:
    with connection.cursor() as cursor:
        # A second seeding, or the bot's first contractor, waits here until this one is through.
        cursor.execute("LOCK TABLE core.contractors IN SHARE ROW EXCLUSIVE MODE")
    if Contractor.objects.exists():
        raise NotEmptyError


def _save_relations(everyone: list[Life], tables: Tables, world: World) -> None:
    tables.save(
        ReferralLink(contractor=life.contractor, token=world.chance.token(10), created_at=life.created)
        for life in everyone
    )
    tables.save(member for owner in everyone for member in relations.team(owner, everyone, world))


def _save_billing(everyone: list[Life], tables: Tables, world: World) -> None:
    tables.save(sorted(chain.from_iterable(life.gifts for life in everyone), key=lambda gift: gift.queued_at))
    histories = [list(life.history(world)) for life in everyone]
    tables.save(sorted(chain.from_iterable(histories), key=lambda row: row.created_at))
    tables.save(subscription(history[-1]) for history in histories)
    tables.save(life.usage() for life in everyone)


def _save_channels(everyone: list[Life], tables: Tables, world: World) -> None:
    channels = sorted(chain.from_iterable(life.channels for life in everyone), key=lambda channel: channel.created_at)
    tg_chat_id = -1_001_200_000_000
    for channel in channels:
        tg_chat_id -= world.chance.randint(1, 40_000)
        channel.tg_chat_id = tg_chat_id
    tables.save(channels)
    for start in range(0, len(channels), BATCH):
        _fill(channels[start : start + BATCH], tables, world)


def _fill(channels: list[Channel], tables: Tables, world: World) -> None:
    tables.copy(Publication, (file for channel in channels for file in contents.publications(channel, world)))
    invited = [list(contents.invites(channel, world)) for channel in channels]
    tables.save(one.invite for one in chain.from_iterable(invited))
    tables.copy(
        Client,
        (
            client
            for channel, its_invited in zip(channels, invited, strict=True)
            for client in contents.clients(channel, its_invited, world)
        ),
    )


def _save_figures(tables: Tables, world: World) -> None:
    params = {"now": world.now, "zone": str(settings.DAY_ZONE), "days": contents.VIEWS_WINDOW.days}
    tables.derive(Event, figures.EVENTS, params)
    tables.derive(ViewsDaily, figures.VIEWS_DAILY, params)
    tables.written[ViewsDaily] += snapshot_views(now=world.now)
    tables.save(_runs(world))
    tables.written[ChannelStats] += recount_channels(now=world.now)


def _runs(world: World) -> Iterator[JobRun]:
    """What collected the views: a day without one would count as not collected. The last is the one just made."""
    now = world.now.astimezone(settings.DAY_ZONE)
    written = dict(ViewsDaily.objects.values_list("collected_at").annotate(rows=Count("*")))
    for day in days(now.date() + DAY - contents.VIEWS_WINDOW, now.date() + DAY):
        at = dt.datetime.combine(day, now.timetz())
        yield JobRun(
            command="aggregate_stats",
            started_at=at,
            finished_at=at,
            outcome=JobRun.Outcome.DONE,
            counts={"snapshots": written.get(day, 0)},
        )
