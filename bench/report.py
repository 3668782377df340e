"""docs/benchmarks.md, with a section and a chart for each size that was run."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from django.conf import settings

from bench.chart import draw
from bench.sizes import SIZES, Size
from bench.table import MISSED, Figure, Line

DOCS = Path(settings.BASE_DIR, "docs")
SECTION = "## SIZE="
INTRODUCTION = """\
# Benchmarks

Written by `make bench SIZE=s|m|l`: each size has a section, which its next run writes anew.

Each job goes through its own door (the command, the queryset, the page), beside the same work in SQL by hand through
psycopg, and beside the row-by-row way or stock Django: in one run, in turn, each round in another order. **The ratios
are what to read**: seconds belong to the machine. The aim is what we want; beyond the limit `make bench` fails.

Who did all of the work must have found, or left, the same rows, and a page must show those of stock Django's: else the
run ends. What was sampled is not compared, because it did a part of the work, and neither is what the bot's inserts
leave. Of all profiles of more than 5,000 contractors only the number is: to keep them would be no stream.

Times are medians of 3 rounds or more, and of 2 or 3 rounds of what was sampled; of what there is much they are those of
one: a gift, a channel, a profile, a reading. A page's are the medians of its requests, on a connection that is kept as
in production; its own rendering is what is left of it without its queries.

"""
COLUMNS = ("job", "against", "measured", "aim", "limit", "verdict", "from")


def cells(line: Line, size: Size) -> tuple[str, ...]:
    measured = f"{line.measured:.3g}{line.unit}"
    limits = line.bound(line.aim), line.bound(line.limit)
    return (line.job, line.against, measured, *limits, line.verdict(size.name), line.behind)


def show(lines: Sequence[Line | Figure], size: Size) -> None:
    rows = [COLUMNS, *(cells(line, size) for line in lines if isinstance(line, Line))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    print()
    for row in rows:
        print("  ".join(map(str.ljust, row, widths)).rstrip())
    for figure in lines:
        if isinstance(figure, Figure):
            print(f"{figure.what}: {figure.value}")
    print()


def write(lines: Sequence[Line | Figure], size: Size, machine: Mapping[str, str], *, minutes: float) -> None:
    path = DOCS.joinpath("benchmarks.md")
    written = path.read_text() if path.exists() else ""
    sections = {part.partition(":")[0]: part for part in re.split(f"^{SECTION}", written, flags=re.MULTILINE)[1:]}
    sections[size.name] = "\n".join(section(lines, size, machine, minutes)) + "\n"
    # The largest first.
    parts = [sections[name].strip() for name in reversed(SIZES) if name in sections]
    path.write_text(INTRODUCTION + "\n\n".join(SECTION + part for part in parts) + "\n")
    ratios = [line for line in lines if isinstance(line, Line)]
    DOCS.joinpath(chart_of(size)).write_text(draw(ratios, size))


def chart_of(size: Size) -> str:
    return f"benchmarks-{size.name}.svg"


def section(lines: Sequence[Line | Figure], size: Size, machine: Mapping[str, str], minutes: float) -> Iterator[str]:
    yield f"{size.name}: {size}\n"
    yield f"![How far each ratio is from its aim]({chart_of(size)})\n"
    yield f"| {' | '.join(COLUMNS)} |"
    yield "|---" * len(COLUMNS) + "|"
    for line in lines:
        if isinstance(line, Line):
            row = [f"**{cell}**" if cell == MISSED else cell for cell in cells(line, size)]
            yield f"| {' | '.join(row)} |"
    yield ""
    figures = [line for line in lines if isinstance(line, Figure)]
    if figures:
        yield "| also measured | |\n|---|---|"
        yield from (f"| {figure.what} | {figure.value} |" for figure in figures)
        yield ""
    yield f"The machine, on which this took {minutes:.0f} minutes:\n"
    yield from (f"- {name}: {value}" for name, value in machine.items())
