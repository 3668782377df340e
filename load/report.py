"""The section "Load" of docs/reliability.md: one part by `make load`, one by `make soak`."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from django.conf import settings

from bench.rounds import readable
from bench.sizes import Size
from load.audit import Finding
from load.beside import Written
from load.browser import Request
from load.day import Told
from load.watch import Sample, Used, rise
from testbed.documents import write_section

RELIABILITY = Path(settings.BASE_DIR, "docs", "reliability.md")
SECTION = "Load"
# What takes its time by intent, or as long as a file is large, is told by itself.
NO_PAGES = ("password", "code", "export, first bytes", "export, whole", "static file")
# Of the ten minutes the first are for what every process learns once.
WARM = 1 / 3
MIB = 2**20


def at(share: float, values: Sequence[float]) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


@dataclass(frozen=True)
class Phase:
    name: str
    start: float
    end: float
    requests: Sequence[Request]
    # Shares of all processors.
    shares: Mapping[str, float]

    @classmethod
    def of(cls, name: str, done: Sequence[Request], before: Used, after: Used, end: float) -> "Phase":
        # With those that were under way at the end, and how long they still took.
        inside = [each for each in done if before.at <= each.began <= end]
        spent = max(after.all - before.all, 0.01)
        shares = {
            "the web": (after.web - before.web) / spent,
            "the bot": max(after.bot - before.bot, 0.0) / spent,
            "the clients": (after.clients - before.clients) / spent,
        }
        shares["PostgreSQL, jobs and the rest"] = max(0.0, 1 - sum(shares.values()))
        return cls(name, before.at, end, inside, shares)

    @property
    def seconds(self) -> float:
        return self.end - self.start

    @property
    def throughput(self) -> float:
        return len(self.requests) / self.seconds

    @property
    def pages(self) -> list[float]:
        return [request.seconds for request in self.requests if request.kind not in NO_PAGES]

    @property
    def p50(self) -> float:
        return median(self.pages) if self.pages else 0.0

    @property
    def p95(self) -> float:
        return at(0.95, self.pages)

    def kinds(self) -> dict[str, list[float]]:
        kinds: dict[str, list[float]] = defaultdict(list)
        for request in self.requests:
            kinds[request.kind].append(request.seconds)
        return kinds

    def __str__(self) -> str:
        return (
            f"{len(self.requests)} requests, {self.throughput:.1f} a second,"
            f" pages p50 {readable(self.p50)}, p95 {readable(self.p95)}"
        )


@dataclass(frozen=True)
class Found:
    size: Size
    pause: float
    phases: Sequence[Phase]
    told: Told
    written: Written
    jobs: Mapping[str, float]
    # From when to when they ran.
    busy: tuple[float, float]
    samples: Sequence[Sample]
    problems: Sequence[Finding]
    web: str
    places: int
    staff: int
    rate: int

    @property
    def together(self) -> Phase:
        return self.phases[-1]

    @property
    def bot(self) -> list[float]:
        return self.written.between(self.together.start, self.together.end)

    @property
    def calm(self) -> Phase:
        """What was asked while no job ran."""
        start, end = self.busy
        asked = [each for each in self.together.requests if each.began > end or each.began + each.seconds < start]
        return replace(self.together, requests=asked)

    @property
    def settled(self) -> list[Sample]:
        start = self.together.start + WARM * self.together.seconds
        return [sample for sample in self.samples if sample.at >= start]


@dataclass(frozen=True)
class Line:
    what: str
    measured: float
    limit: float
    behind: str
    least: bool = False
    unit: str = "×"

    @property
    def is_met(self) -> bool:
        return self.measured >= self.limit if self.least else self.measured <= self.limit

    def cells(self) -> tuple[str, ...]:
        bound = f"{'≥' if self.least else '≤'} {self.limit:g}{self.unit}"
        return self.what, f"{self.measured:.3g}{self.unit}", bound, "yes" if self.is_met else "**MISSED**", self.behind


COLUMNS = ("what", "measured", "limit", "met", "from")


def lines(kind: str, found: Found) -> list[Line]:
    first, together = found.phases[0], found.together
    achieved = len(found.bot) / together.seconds
    both = [
        Line("what went wrong", len(found.problems), 0, "statuses, pages, acts, files, jobs, the log", unit=""),
        Line(
            "the bot's things a second, of those it was to do",
            achieved / found.rate,
            0.95,
            f"{achieved:.0f} of {found.rate}",
            least=True,
        ),
    ]
    if kind == "load":
        paused = found.phases[1]
        return [
            *both,
            Line(
                f"throughput of {found.staff}, to one with the same pauses",
                together.throughput / paused.throughput,
                0.75 * found.staff,
                f"{together.throughput:.2f} and {paused.throughput:.3f} requests a second",
                least=True,
            ),
            *pages("while no job runs", found.calm, first, p95=10, p50=3),
            # Of two processors the jobs, most of all check_data, have one for half of the time.
            *pages("the hourly jobs beside", together, first, p95=20, p50=6),
        ]
    settled = found.settled
    values = {
        "memory of the web": (lambda sample: sample.web, 5, in_mib(lambda sample: sample.web, found)),
        "memory of the connections": (
            lambda sample: sample.database,
            10,
            in_mib(lambda sample: sample.database, found),
        ),
        "open files of the web": (lambda sample: sample.files, 5, f"{settled[-1].files} at the end"),
    }
    return [
        *both,
        *(
            Line(f"rise of the {what}", 100 * rise(settled, value), limit, behind, unit=" %")
            for what, (value, limit, behind) in values.items()
        ),
        Line(
            "connections, to the threads of the web with the bot's and the jobs'",
            max(sample.connections for sample in found.samples) / found.places,
            # A program that is gone is a connection for a moment longer.
            1.1,
            f"{max(sample.connections for sample in found.samples)} at most, {found.places} places",
        ),
    ]


def pages(when: str, phase: Phase, alone: Phase, *, p95: float, p50: float) -> Iterator[Line]:
    against = f"of pages, {when}, to one alone without pauses"
    yield Line(f"p95 {against}", phase.p95 / alone.p95, p95, f"{readable(phase.p95)} and {readable(alone.p95)}")
    yield Line(f"median {against}", phase.p50 / alone.p50, p50, f"{readable(phase.p50)} and {readable(alone.p50)}")


def in_mib(value: Callable[[Sample], float], found: Found) -> str:
    settled = found.settled
    mean = sum(map(value, settled)) / len(settled) / MIB
    asked = sum(each.began >= settled[0].at for each in found.together.requests)
    each = 1000 * rise(settled, value) * mean / max(asked, 1)
    return f"{value(settled[-1]) / MIB:.0f} MiB at the end, {each:+.1f} MiB for each 1,000 requests"


def show(kind: str, found: Found, told: Sequence[Line]) -> None:
    print()
    print("\n".join(body(kind, found, told)))
    for problem in found.problems[:20]:
        print(f"WRONG: {problem}")
    if len(found.problems) > 20:
        print(f"… and {len(found.problems) - 20} more")
    print()


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield "|---" * len(header) + "|"
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""


def body(kind: str, found: Found, told: Sequence[Line]) -> Iterator[str]:
    yield from table(COLUMNS, [line.cells() for line in told])
    yield from table(
        ["who", "seconds", "requests", "a second", "pages p50", "p95", "longest"],
        [
            (
                phase.name,
                f"{phase.seconds:.0f}",
                str(len(phase.requests)),
                f"{phase.throughput:.2f}",
                *(readable(value) for value in (phase.p50, phase.p95, max(phase.pages, default=0.0))),
            )
            for phase in found.phases
        ],
    )
    if kind == "load":
        first, together = found.phases[0].kinds(), found.together.kinds()
        yield from table(
            ["kind", "requests", "alone p50", "p95", f"{found.staff} at once p50", "p95"],
            [
                (
                    name,
                    str(len(many)),
                    *([readable(median(first[name])), readable(at(0.95, first[name]))] if name in first else ["", ""]),
                    readable(median(many)),
                    readable(at(0.95, many)),
                )
                for name, many in sorted(together.items(), key=lambda each: -len(each[1]))
            ],
        )
        capacity = found.together.throughput / found.phases[0].throughput
        yield f"{found.staff} with pauses asked {capacity:.2f} times as much as one without."
        yield ""
    acts, exports, bot = found.told.acts, found.told.exports, found.bot
    yield from table(
        ["injected", "survived", "lost", "doubled"],
        [
            (
                f"{len(acts)} acts, {len(exports)} exports of {sum(export.rows for export in exports):,} rows,"
                f" {sum(found.told.logins.values())} logins, {len(found.written.done):,} things of the bot",
                "all" if not found.problems else "not all",
                *(str(sum(problem.harm == harm for problem in found.problems)) for harm in ("lost", "doubled")),
            )
        ],
    )
    yield (
        f"The bot's things were done p50 {readable(at(0.5, bot))}, p95 {readable(at(0.95, bot))},"
        f" p99 {readable(at(0.99, bot))} after they were due. The jobs took"
        f" {', '.join(f'{name} {readable(seconds)}' for name, seconds in found.jobs.items())}."
    )
    yield ""
    shares = ", ".join(f"{name} {share:.0%}" for name, share in found.together.shares.items())
    yield f"Of the processor time that was used with {found.staff} at once: {shares}. {found.web}."


INTRODUCTION = """\
Staff are clients of the web as nginx would speak to it, under production's settings: each with a login and a second
factor of their own, cookies, and the tokens of the pages; each on a thread of one process. A closed model: who has an
answer pauses, for half to one and a half of the mean, then asks the next thing; seeds are fixed. They search, read
contractors' pages and turn their sections, look at lists and the dashboard, do acts (look ahead, tell why, confirm),
write notes, export, go and come back. The bot and the hourly jobs, each once, run beside them. It all works on a copy
of the database of that size, which is dropped.

Each page must be whole and say what it was asked for. Afterwards every act that a page told of must be in the journal
once, and no other; the contractors must be what these acts make of them; an export must have the rows that the
database has; of events, clients, publications, views, contractors and channels there must be as many more as the bot
was told are done; `check_data` and `verify_journal` must find nothing. Whatever was asked counts, with those that were
under way at the end or were given up after a minute. To be asked to try again, because a lock was waited for too long
(a login or an act waits at most 5 s for its place in the journal), is an error here, too.

Beside the jobs pages have limits of their own. There two processors have no rest, and how long a page waits depends
most on how fast the machine is that hour: [scaling.md](scaling.md) has the figures of several runs.
"""
FLAT = """\
Flat means: after the first third, for what every process learns once, the straight line nearest to the samples of
every two seconds rises by no more than the limit until the end, and connections are hardly more than there are threads
and programs. Memory of the web is what gunicorn's processes hold; of the connections, what their processes hold alone.
"""


def heading(kind: str, size: Size) -> str:
    return f"### make {kind} SIZE={size.name}"


def write(kind: str, found: Found, told: Sequence[Line], described: Mapping[str, str]) -> None:
    text = "\n".join(body(kind, found, told))
    problems = "".join(f"\n- {problem}" for problem in found.problems[:10])
    wrong = f"\n\nWhat went wrong:\n{problems}" if problems else ""
    on = "\n".join(f"- {name}: {value}" for name, value in described.items())
    pauses = f"Pauses of {found.pause:g} s in the mean. {found.size}."
    before = f"{FLAT}\n" if kind == "soak" else ""
    part = f"{heading(kind, found.size)}\n\n{pauses}\n\n{before}{text}{wrong}\n\nThe machine:\n\n{on}\n"
    kept = [each for each in parts() if not each.startswith(f"### make {kind} ")]
    write_section(RELIABILITY, SECTION, INTRODUCTION + "\n" + "\n".join(sorted([*kept, part])))


def parts() -> list[str]:
    found = re.search(rf"(?ms)^## {SECTION}$(.*?)(?=^## |\Z)", RELIABILITY.read_text())
    return [f"{part.strip()}\n" for part in re.split(r"(?m)^(?=### )", found[1])[1:]] if found else []
