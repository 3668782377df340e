"""What is in a channel: files, invites, the people who came."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from core.models import Channel, Client, Invite, Publication
from smetabot.demo.chance import DAY
from smetabot.demo.words import Person
from smetabot.demo.world import World

# Views are kept for so long.
VIEWS_WINDOW = 60 * DAY
MOST_FILES = 60
MOST_GUESTS = 40
KNOWN_GUESTS = 0.04


@dataclass(frozen=True)
class Invited:
    """An invite, and how many of those who used it are still there."""

    invite: Invite
    guests: int


def publications(channel: Channel, world: World) -> Iterator[Publication]:
    chance, now = world.chance, world.now
    recently = max(channel.created_at, now - VIEWS_WINDOW)
    files = min(int(chance.lognormvariate(2, 0.8)), MOST_FILES)
    since = [recently if chance.happens(0.75) else channel.created_at for _ in range(files)]
    message_id = 1
    for posted_at in sorted(chance.between(start, now) for start in since):
        message_id += chance.randint(1, 4)
        age = now - posted_at
        file_name, file_type = world.words.file()
        yield Publication(
            channel_id=channel.pk,
            message_id=message_id,
            file_name=file_name,
            file_type=file_type,
            views=int(chance.lognormvariate(3, 0.8) * min(1, age / (3 * DAY))),
            posted_at=posted_at,
            deleted=age > DAY and chance.happens(0.05),
        )


def invites(channel: Channel, world: World) -> Iterator[Invited]:
    chance = world.chance
    for _ in range(chance.choices([0, 1, 2, 3], [15, 45, 28, 12])[0]):
        created_at = chance.between(channel.created_at, world.now)
        max_uses = chance.choice([None, None, 1, 3, 5, 10, 25, 50])
        guests = min(int(chance.lognormvariate(1.2, 0.9)), max_uses or MOST_GUESTS)
        used_count = guests + chance.choice([0, 0, 0, 0, 1])
        switched_off = chance.happens(0.12)
        if max_uses and (switched_off or used_count > max_uses):
            used_count = max_uses
        invite = Invite(
            channel=channel,
            token=chance.token(12),
            expires_at=created_at + chance.days(1, 60) if chance.happens(0.4) else None,
            max_uses=max_uses,
            used_count=used_count,
            editable=chance.happens(0.9),
            created_at=created_at,
        )
        yield Invited(invite, guests)


def clients(channel: Channel, invited: list[Invited], world: World) -> Iterator[Client]:
    """Those who came by an invite, and a few who found their way without."""
    now = world.now
    arrivals: list[tuple[dt.datetime, int | None]] = [
        (world.chance.between(one.invite.created_at, min(one.invite.expires_at or now, now)), one.invite.pk)
        for one in invited
        for _ in range(one.guests)
    ]
    on_foot = int(world.chance.lognormvariate(0.2, 0.7))
    arrivals += [(world.chance.between(channel.created_at, now), None) for _ in range(on_foot)]
    arrivals.sort(key=lambda arrival: arrival[0])
    for (joined_at, invite_id), person in zip(arrivals, _people(len(arrivals), world), strict=True):
        yield Client(
            **person._asdict(),
            channel_id=channel.pk,
            invite_id=invite_id,
            joined_at=joined_at,
            blocked=world.chance.happens(0.04),
        )


def _people(number: int, world: World) -> list[Person]:
    """All different; a few are in another channel already."""
    known = min(sum(world.chance.happens(KNOWN_GUESTS) for _ in range(number)), len(world.guests))
    strangers = [world.words.person() for _ in range(number - known)]
    people = [*strangers, *world.chance.sample(world.guests, known)]
    world.guests.extend(strangers[:1])
    world.chance.shuffle(people)
    return people
