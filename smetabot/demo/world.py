import datetime as dt
from dataclasses import dataclass, field

from billing.models import Plan
from smetabot.demo.chance import Chance
from smetabot.demo.words import Person, Words


@dataclass(frozen=True)
class World:
    """What everything is drawn from: one seed and one moment give one world."""

    chance: Chance
    words: Words
    plans: dict[str, Plan]
    now: dt.datetime
    grace: dt.timedelta
    # One guest of each channel so far, who may come to another one too.
    guests: list[Person] = field(default_factory=list)
