"""docs/benchmarks.md, and its chart."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from django.conf import settings

from bench.chart import draw
from bench.sizes import Size
from bench.table import MISSED, Figure, Line

DOCS = Path(settings.BASE_DIR, "docs")
INTRODUCTION = """\
# Benchmarks

Written by `make bench SIZE={size}`: {what}.

Each job goes through its own door (the command, the queryset, the page), beside the same work in SQL by hand through
psycopg, and beside the row-by-row way or stock Django: in one run, in turn, each round in another order. Who did all of
the work must have found, or left, the same. A figure is the median of {rounds} rounds or more; where something was
sampled, it is a row's time. **The ratios are what to read**: seconds belong to the machine.

A page's own rendering is what is left of the page without the time that its queries take, both of one request.

![How far each ratio is from its aim](benchmarks.svg)

"""
COLUMNS = ("job", "against", "measured", "aim", "limit", "verdict", "medians")


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
    DOCS.joinpath("benchmarks.md").write_text("\n".join(page(lines, size, machine, minutes)) + "\n")
    ratios = [line for line in lines if isinstance(line, Line)]
    DOCS.joinpath("benchmarks.svg").write_text(draw(ratios, size))


def page(lines: Sequence[Line | Figure], size: Size, machine: Mapping[str, str], minutes: float) -> Iterator[str]:
    yield INTRODUCTION.format(size=size.name, what=size, rounds=size.rounds)
    yield f"| {' | '.join(COLUMNS)} |"
    yield "|---" * len(COLUMNS) + "|"
    for line in lines:
        if isinstance(line, Line):
            row = [f"**{cell}**" if cell == MISSED else cell for cell in cells(line, size)]
            yield f"| {' | '.join(row)} |"
    yield "\nThe aim is what we want; beyond the limit `make bench` fails.\n"
    figures = [line for line in lines if isinstance(line, Figure)]
    if figures:
        yield "| also measured | |\n|---|---|"
        yield from (f"| {figure.what} | {figure.value} |" for figure in figures)
        yield ""
    yield f"The machine, on which this took {minutes:.0f} minutes:\n"
    yield from (f"- {name}: {value}" for name, value in machine.items())
