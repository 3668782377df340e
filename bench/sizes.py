import datetime as dt
from dataclasses import dataclass

# Half a year after nothing in particular: the data is the same whenever it is made.
NOW = dt.datetime(2026, 7, 1, 12, tzinfo=dt.UTC)
# The first day that has events, and the first after the last.
FIRST = dt.date(2025, 6, 1)
LAST = dt.date(2026, 7, 1)
# A day of the middle, for what is done a day at a time.
DAY = dt.date(2026, 6, 29)
# Rows of daily views to a publication.
READINGS = 10


@dataclass(frozen=True)
class Size:
    name: str
    contractors: int
    channels: int
    publications: int
    clients: int
    events: int
    rounds: int

    @property
    def more_rounds(self) -> int:
        """Of what takes little time, and is told apart from noise only so."""
        return self.rounds if self.name == "xs" else self.rounds + 2

    @property
    def is_small(self) -> bool:
        """So that a round more, which nobody counts, costs nothing."""
        return self.contractors <= 5_000

    @property
    def views(self) -> int:
        return self.publications * READINGS

    def __str__(self) -> str:
        return (
            f"{short(self.contractors)} contractors, {short(self.channels)} channels, "
            f"{short(self.publications)} publications, {short(self.views)} rows of daily views, "
            f"{short(self.events)} events, {short(self.clients)} clients"
        )


def short(number: int) -> str:
    for unit, letter in ((1_000_000, "M"), (1_000, "k")):
        if number >= unit:
            return f"{number / unit:g}{letter}"
    return str(number)


SIZES = {
    size.name: size
    for size in (
        # Of the bench's own test.
        Size("xs", 200, 400, 2_000, 1_000, 2_000, rounds=1),
        Size("s", 5_000, 10_000, 100_000, 50_000, 100_000, rounds=3),
        Size("m", 100_000, 200_000, 1_000_000, 1_000_000, 10_000_000, rounds=3),
        Size("l", 1_000_000, 1_200_000, 2_000_000, 2_000_000, 10_000_000, rounds=3),
    )
}


def up_to(size: Size) -> list[Size]:
    """Smaller ones first, for what must cost the same at each."""
    if size.name == "xs":
        return [size]
    names = list(SIZES)
    return [SIZES[name] for name in names[1 : names.index(size.name) + 1]]
