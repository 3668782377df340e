from dataclasses import dataclass

from bench.rounds import Timing, readable

# Of the two limits the first is what we want; beyond the second the bench fails.
MEETS, WITHIN, MISSED, LATER = "meets it", "within the limit", "MISSED", "aimed at from SIZE={}"


@dataclass(frozen=True)
class Line:
    """One ratio, what it should be, and what it may be. `least` turns at most into at least."""

    job: str
    against: str
    measured: float
    aim: float
    limit: float
    least: bool = False
    # What it comes from.
    behind: str = ""
    # Below this size the aim says nothing: what is compared with is quick there, too.
    since: str = "s"
    unit: str = "×"

    def meets(self, bound: float) -> bool:
        return self.measured >= bound if self.least else self.measured <= bound

    def verdict(self, size: str) -> str:
        if self.meets(self.aim):
            return MEETS
        if "xsml".index(size[-1]) < "xsml".index(self.since):
            return LATER.format(self.since)
        return WITHIN if self.meets(self.limit) else MISSED

    def bound(self, bound: float) -> str:
        return f"{'≥' if self.least else '≤'} {bound:g}{self.unit}"


@dataclass(frozen=True)
class Figure:
    """What is only told."""

    what: str
    value: str


def behind(timings: dict[str, Timing], *names: str, of: str = "") -> str:
    """The figures themselves. `of` is what their names begin with."""
    return ", ".join(
        f"{name} {readable(timings[of + name].seconds)}{' (sampled)' if timings[of + name].sample else ''}"
        for name in names
    )


def constant(job: str, against: str, many: int, few: int) -> Line:
    """How many times the memory for a few rows many take, in bytes. What is less than one MiB is one."""
    told = f"{many / 2**20:.1f} MiB, {few / 2**20:.1f} MiB"
    return Line(f"memory, {job}", against, max(many, 2**20) / max(few, 2**20), 1.5, 2, behind=told)


def within(
    job: str, against: str, timings: dict[str, Timing], ours: str, theirs: str, aim: float, limit: float, of: str = ""
) -> Line:
    """How many times as long we take as who does it by hand."""
    ratio = timings[of + ours] / timings[of + theirs]
    return Line(job, against, ratio, aim, limit, behind=behind(timings, ours, theirs, of=of))


def faster(
    job: str,
    against: str,
    timings: dict[str, Timing],
    ours: str,
    theirs: str,
    aim: float,
    limit: float,
    of: str = "",
    since: str = "s",
) -> Line:
    """How many times as long the others take."""
    ratio = timings[of + theirs] / timings[of + ours]
    return Line(job, against, ratio, aim, limit, least=True, since=since, behind=behind(timings, ours, theirs, of=of))
