import gc
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from testbed.console import HinderedError, say


@dataclass(frozen=True)
class Way:
    """`run` does the work once and returns what it found, if it is a reading. `units` says how much work that is.

    Of a `sample`, what it did is not compared: it does only a part. `rounds` is for what takes long.
    """

    run: Callable[[], Any]
    units: int = 1
    sample: bool = False
    rounds: int = 99
    # What is compared, of what `run` returned.
    read: Callable[[Any], Any] = lambda found: found


@dataclass(frozen=True)
class Timing:
    """Seconds a unit."""

    seconds: float
    sample: bool = False

    def __truediv__(self, other: "Timing") -> float:
        return self.seconds / other.seconds


class Timings(dict[str, Timing]):
    """By their names; beside them what is no time: numbers of queries, bytes."""

    def __init__(self, timings: Mapping[str, Timing] | None = None) -> None:
        super().__init__(timings or {})
        self.counts: dict[str, int] = {}


def sampled(number: int, of: int) -> list[int]:
    """So many numbers from 1, always the same. Not in steps: those that have much stand a step apart, from 1 on."""
    return random.Random(6).sample(range(1, of + 1), number)


def race(
    title: str,
    ways: Mapping[str, Way],
    *,
    rounds: int,
    before: Callable[[], Any] = lambda: None,
    state: Callable[[], Any] = lambda: None,
    warm: bool = True,
) -> Timings:
    """All ways in turn, each round in another order, and each from where `before` puts things. Ways that do all of the
    work must have found, or left, the same."""
    names = list(ways)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    results: dict[str, Any] = {}
    start, in_all = 1 - warm, time.perf_counter()
    for number in range(start, rounds + 1):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            way = ways[name]
            if len(seconds[name]) >= way.rounds or (number == 0 and way.sample):
                continue
            before()
            gc.collect()
            began = time.perf_counter()
            found = way.run()
            took = time.perf_counter() - began
            if number:
                seconds[name].append(took / way.units)
            if not way.sample:
                results[name] = (way.read(found), state())
                first = next(iter(results))
                if results[name] != results[first]:
                    raise HinderedError(
                        f"{title}: {name} and {first} differ: {results[name]!r:.600} and {results[first]!r:.600}"
                    )
    timings = Timings({name: Timing(median(each), ways[name].sample) for name, each in seconds.items()})
    told = ", ".join(f"{name} {readable(timing.seconds)}" for name, timing in timings.items())
    say(f"{title}: {told}; {time.perf_counter() - in_all:.0f} s in all")
    return timings


def readable(seconds: float) -> str:
    for unit, name in ((1, "s"), (1e-3, "ms")):
        if seconds >= unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds * 1e6:.3g} µs"
