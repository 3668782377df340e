"""One bar a ratio, on a logarithmic scale on which every aim stands at the same place."""

from collections.abc import Iterator, Sequence
from html import escape
from math import log10

from bench.sizes import Size
from bench.table import MEETS, MISSED, WITHIN, Line

ROW, LEFT, WIDE, TOP = 22, 430, 420, 46
# How many times better or worse than its aim a bar may be drawn.
MOST = 10.0
COLOURS = {MEETS: "#2f855a", WITHIN: "#b7791f", MISSED: "#c53030"}


def draw(lines: Sequence[Line], size: Size) -> str:
    height = TOP + ROW * len(lines) + 12
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDE + 90} {height}" '
            'font-family="sans-serif" font-size="12">',
            "<title>Each ratio beside its aim</title>",
            f'<rect width="100%" height="{height}" fill="#fff"/>',
            *_scale(height),
            *(part for number, line in enumerate(lines) for part in _bar(number, line, size)),
            "</svg>\n",
        ]
    )


def _at(better: float) -> float:
    """Left of the middle is better than the aim."""
    return LEFT + WIDE * (0.5 - log10(min(max(better, 1 / MOST), MOST)) / 2 / log10(MOST))


def _scale(height: int) -> Iterator[str]:
    for better, label in ((MOST, f"{MOST:g} times better"), (1, "aim"), (1 / MOST, f"{MOST:g} times worse")):
        x = _at(better)
        yield f'<line x1="{x:.0f}" x2="{x:.0f}" y1="{TOP - 8}" y2="{height - 8}" stroke="#cbd5e0"/>'
        yield f'<text x="{x:.0f}" y="{TOP - 16}" text-anchor="middle" fill="#4a5568">{label}</text>'


def _bar(number: int, line: Line, size: Size) -> Iterator[str]:
    y = TOP + ROW * number
    better = line.measured / line.aim if line.least else line.aim / max(line.measured, 1e-9)
    middle, end = _at(1), _at(better)
    colour = COLOURS.get(line.verdict(size.name), "#718096")
    label = escape(f"{line.job} : {line.against}")
    yield f'<text x="{LEFT - 10}" y="{y + 14}" text-anchor="end" fill="#1a202c">{label}</text>'
    yield (
        f'<rect x="{min(middle, end):.1f}" y="{y + 3}" width="{max(abs(end - middle), 1):.1f}" height="{ROW - 7}" '
        f'fill="{colour}"/>'
    )
    told = escape(f"{line.measured:.3g}{line.unit} ({line.bound(line.aim)})")
    yield f'<text x="{LEFT + WIDE + 6}" y="{y + 14}" fill="#1a202c" font-size="10">{told}</text>'
